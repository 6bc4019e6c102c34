//! Regular expressions, which grep, sed and less share: crate `regex-automata`'s machine, with POSIX's notations made its
//! own. Where several matches begin at one place, the first alternative counts, not the longest.

use alloc::format;
use alloc::string::{String, ToString};
use core::iter::Peekable;
use core::ops::Range;
use core::str::Chars;

use regex_automata::Input;
use regex_automata::nfa::thompson::NFA;
use regex_automata::nfa::thompson::pikevm::{Cache, PikeVM};
use regex_automata::util::captures::Captures;
use regex_automata::util::primitives::PatternID;
use regex_automata::util::syntax;

use crate::usage::Misuse;

/// The most memory that a compiled pattern takes, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// A compiled pattern with the memory that matching needs.
pub struct Pattern {
    matcher: PikeVM,
    cache: Cache,
    captures: Captures,
}

impl Pattern {
    /// Compiles an expression in the crate's notation. A misuse shows `text`, as it was typed.
    pub fn compile(expression: &str, ignores_case: bool, text: &str) -> Result<Pattern, Misuse> {
        let bad = |reason: String| {
            let reason = reason.lines().last().unwrap_or_default();
            Misuse(format!("bad pattern '{text}': {}", reason.strip_prefix("error: ").unwrap_or(reason)))
        };
        let rules =
            syntax::Config::new().utf8(false).dot_matches_new_line(true).case_insensitive(ignores_case);
        let parsed = syntax::parse_with(expression, &rules).map_err(|error| bad(error.to_string()))?;
        let compiled = NFA::compiler()
            .configure(NFA::config().utf8(false).nfa_size_limit(Some(MOST_BYTES)))
            .build_from_hir(&parsed)
            .map_err(|error| bad(error.to_string()))?;
        let matcher = PikeVM::new_from_nfa(compiled).map_err(|error| bad(error.to_string()))?;
        let (cache, captures) = (matcher.create_cache(), matcher.create_captures());
        Ok(Pattern { matcher, cache, captures })
    }

    /// Whether there is a match in a text.
    pub fn matches(&mut self, text: &[u8]) -> bool {
        self.matcher.is_match(&mut self.cache, text)
    }

    /// All matches.
    pub fn find_all<'a>(&'a mut self, text: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.matcher.find_iter(&mut self.cache, text).map(|found| &text[found.range()])
    }

    /// The first match that begins at `from` or later; its groups are at hand until the next search.
    pub fn find_from(&mut self, text: &[u8], from: usize) -> Option<Range<usize>> {
        let input = Input::new(text).range(from..);
        self.matcher.captures(&mut self.cache, input, &mut self.captures);
        self.group(0)
    }

    /// Where a group of the last match was; none if it took no part.
    pub fn group(&self, number: usize) -> Option<Range<usize>> {
        self.captures.get_group(number).map(|span| span.start..span.end)
    }

    /// How many groups there are, the whole match among them.
    pub fn groups(&self) -> usize {
        self.matcher.get_nfa().group_info().group_len(PatternID::ZERO)
    }
}

/// The text as an expression that matches it alone.
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// An expression of POSIX, basic or extended, in the crate's notation.
pub fn from_posix(text: &str, is_extended: bool) -> String {
    let mut output = String::new();
    let mut rest = text.chars().peekable();
    // Where an expression begins, * is text, and ^ an anchor.
    let mut begins = true;
    while let Some(character) = rest.next() {
        let (is_special, character) = match (character, is_extended) {
            ('[', _) => {
                bracket(&mut rest, &mut output);
                begins = false;
                continue;
            }
            ('\\', _) => match rest.next() {
                Some('<' | '>') => {
                    output += r"(?-u:\b)";
                    begins = false;
                    continue;
                }
                Some(next @ ('(' | ')' | '{' | '}' | '|' | '+' | '?')) => (!is_extended, next),
                Some(next) => {
                    output.extend(['\\', next]);
                    begins = false;
                    continue;
                }
                None => (true, '\\'),
            },
            ('*', false) => (!begins, '*'),
            ('^', false) => (begins, '^'),
            ('$', false) => {
                let mut ahead = rest.clone();
                let next = (ahead.next(), ahead.next());
                (matches!(next, (None, _) | (Some('\\'), Some(')' | '|'))), '$')
            }
            ('(' | ')' | '{' | '}' | '|' | '+' | '?', false) => (false, character),
            (character, _) => {
                output.push(character);
                begins = false;
                continue;
            }
        };
        if is_special {
            output.push(character);
            if character == '{' && rest.peek() == Some(&',') {
                output.push('0');
            }
        } else {
            output += &escape(character.encode_utf8(&mut [0; 4]));
        }
        begins = is_special && matches!(character, '(' | '|' | '^');
    }
    output
}

/// A bracket expression behind its `[`. Inside, the crate has operators and escapes that POSIX has not.
fn bracket(rest: &mut Peekable<Chars<'_>>, output: &mut String) {
    output.push('[');
    if rest.next_if_eq(&'^').is_some() {
        output.push('^');
    }
    let mut is_first = true;
    while let Some(character) = rest.next() {
        match character {
            ']' if !is_first => {
                output.push(']');
                return;
            }
            '[' => match rest.peek() {
                Some(kind @ (':' | '=' | '.')) => {
                    let kind = *kind;
                    rest.next();
                    let mut inner = String::new();
                    while let Some(next) = rest.next() {
                        if next == kind && rest.next_if_eq(&']').is_some() {
                            break;
                        }
                        inner.push(next);
                    }
                    let meant = if kind == ':' { format!("[:{inner}:]") } else { escape(&inner) };
                    *output += &meant;
                }
                _ => *output += r"\[",
            },
            // As other seds have it, though POSIX has a backslash and an n.
            '\\' => match rest.next_if(|next| matches!(next, 'n' | 't' | ']' | '\\')) {
                Some(next) => output.extend(['\\', next]),
                None => *output += r"\\",
            },
            '-' if is_first || rest.peek() == Some(&']') => *output += r"\-",
            '&' | '~' | ']' | '^' => output.extend(['\\', character]),
            other => output.push(other),
        }
        is_first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posix_expressions_become_the_crates() {
        for (basic, expected) in [
            (r"a\(b*\)\{2,\}c", r"a(b*){2,}c"),
            (r"a+b?(c)|{d}", r"a\+b\?\(c\)\|\{d\}"),
            (r"*a", r"\*a"),
            (r"\(*a\)", r"(\*a)"),
            (r"^*a^b$c$", r"^\*a\^b\$c$"),
            (r"\(a$\|^b\)", r"(a$|^b)"),
            (r"[]a-]", r"[\]a\-]"),
            (r"[^[:alpha:][]", r"[^[:alpha:]\[]"),
            (r"[a&&b~~c]", r"[a\&\&b\~\~c]"),
            (r"[\n\.]", r"[\n\\.]"),
            (r"\<a\>", r"(?-u:\b)a(?-u:\b)"),
            (r"a\{,3\}", r"a{0,3}"),
            (r"\.\*\n", r"\.\*\n"),
        ] {
            assert_eq!(from_posix(basic, false), expected, "{basic}");
        }
        assert_eq!(from_posix(r"(a|b)+\(c\)[]x]{2}", true), r"(a|b)+\(c\)[\]x]{2}");
    }

    #[test]
    fn groups_and_places_are_told() {
        let Ok(mut pattern) = Pattern::compile("a(b)?", false, "") else { panic!() };
        assert_eq!((pattern.find_from(b"xabab", 2), pattern.group(1)), (Some(3..5), Some(4..5)));
        assert_eq!((pattern.find_from(b"a", 0), pattern.group(1), pattern.groups()), (Some(0..1), None, 2));
        assert_eq!(pattern.find_from(b"a", 1), None);
        let Err(Misuse(reason)) = Pattern::compile("(", false, "\\(") else { panic!() };
        assert_eq!(reason, "bad pattern '\\(': unclosed group");
    }
}
