//! Whatever the text, the shell answers.

use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::printing::survives_printing;
use crate::shell::arithmetic::{Variables, evaluate};
use crate::shell::ast::Text;
use crate::shell::parser::{Parser, parse};
use crate::shell::pattern::{Masked, Pattern};
use crate::shell::stack::Stack;

/// Texts made of what matters to the grammar.
fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop::sample::select(Vec::from([
        "echo", " ", " ", "\n", ";", "&", "&&", "||", "|", "(", ")", "{ ", " }", "if ", "then ", "else ",
        "fi", "for ", "i", " in ", "do ", "done", "while ", "case ", "esac", ";;", "'", "\"", "\\", "$",
        "${", "}", "$(", "$((", "))", "`", "x", "=", "1", "<", ">", ">>", "<<E\n", "\nE\n", "2>&1", "#", "*",
        "?", "[", "]", "~", "@", "! ", ":-", "%", "f() ", "é", "\u{0}",
    ]));
    prop::collection::vec(fragment, 0..40).prop_map(|fragments| fragments.concat())
}

struct None0;

impl Variables for None0 {
    fn value(&self, _name: &[u8]) -> Option<Text> {
        Some(b"3".to_vec())
    }

    fn assign(&mut self, _name: &[u8], _value: Text) -> Result<(), String> {
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_parse_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, Stack::here(1 << 20));
    }

    #[test]
    fn any_grammar_parses_or_fails(text in fragments()) {
        let _ = parse(text.as_bytes(), Stack::here(1 << 20));
        let mut parser = Parser::new(text.as_bytes(), Stack::here(1 << 20));
        while let Ok(Some(_)) = parser.next_line() {}
    }

    #[test]
    fn what_parses_survives_printing(text in fragments()) {
        let _ = survives_printing(text.as_bytes());
    }

    #[test]
    fn incomplete_text_can_be_completed_or_is_wrong(text in fragments()) {
        // A text that is right has no start that is wrong at its own end, unless that is in a word.
        if parse(text.as_bytes(), Stack::here(1 << 20)).is_ok()
            && let Some(cut) = text.rfind('\n')
            && let Err(error) = parse(&text.as_bytes()[..=cut], Stack::here(1 << 20))
        {
            prop_assert!(error.incomplete, "{:?} of {:?}", error, text);
        }
    }

    #[test]
    fn any_arithmetic_evaluates_or_fails(text in "[-+*/%<>=!&|^~?:, ()x0-9a-f]{0,30}") {
        let _ = evaluate(text.as_bytes(), &mut None0, Stack::here(1 << 20));
    }

    #[test]
    fn arithmetic_agrees_with_rust(a in any::<i64>(), b in any::<i64>(), c in 1_i64..100) {
        let text = std::format!("({a} + {b}) * {c} - {a} / {c} % 7");
        let expected = a.wrapping_add(b).wrapping_mul(c).wrapping_sub(a.wrapping_div(c) % 7);
        prop_assert_eq!(evaluate(text.as_bytes(), &mut None0, Stack::here(1 << 20)), Ok(expected));
    }

    #[test]
    fn patterns_agree_with_a_plain_matcher(pattern in "[ab?*]{0,8}", text in "[ab]{0,10}") {
        let masked = Masked { text: pattern.clone().into_bytes(), quoted: std::vec![false; pattern.len()] };
        let compiled = Pattern::new(&masked);
        let plain = |text: &str| matches_plainly(pattern.as_bytes(), text.as_bytes());
        prop_assert_eq!(compiled.matches(text.as_bytes()), plain(&text));
        let prefixes: Vec<usize> = (0..=text.len()).filter(|end| plain(&text[..*end])).collect();
        prop_assert_eq!(compiled.match_prefix(text.as_bytes(), false), prefixes.first().copied());
        prop_assert_eq!(compiled.match_prefix(text.as_bytes(), true), prefixes.last().copied());
        let suffixes: Vec<usize> = (0..=text.len()).filter(|start| plain(&text[*start..])).collect();
        prop_assert_eq!(compiled.match_suffix(text.as_bytes(), true), suffixes.first().copied());
        prop_assert_eq!(compiled.match_suffix(text.as_bytes(), false), suffixes.last().copied());
    }
}

/// The definition of matching, without regard for time.
fn matches_plainly(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], text) => text.is_empty(),
        ([b'*', rest @ ..], text) => (0..=text.len()).any(|skip| matches_plainly(rest, &text[skip..])),
        ([b'?', rest @ ..], [_, text @ ..]) => matches_plainly(rest, text),
        ([byte, rest @ ..], [first, text @ ..]) => byte == first && matches_plainly(rest, text),
        _ => false,
    }
}
