//! Trees print to text that parses to the same tree.

use std::string::String;

use crate::shell::ast::List;
use crate::shell::parser::parse;
use crate::shell::print::{print_list, quote};
use crate::shell::stack::Stack;

/// The tree without its positions.
fn shape(list: &List) -> String {
    let text = std::format!("{list:?}");
    let mut shape = String::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find("Position {") {
        shape.push_str(&rest[..start]);
        rest = rest[start..].split_once('}').map_or("", |(_, after)| after);
    }
    shape + rest
}

/// Checks that a script comes back from its print; `None` if it is no script.
pub(super) fn survives_printing(script: &[u8]) -> Option<()> {
    let stack = Stack::here(1 << 20);
    let tree = parse(script, stack).ok()?;
    let printed = print_list(&tree);
    let shown = String::from_utf8_lossy(&printed);
    let again = parse(&printed, stack).unwrap_or_else(|error| panic!("{error} in:\n{shown}"));
    assert_eq!(shape(&again), shape(&tree), "printed:\n{shown}");
    Some(())
}

#[test]
fn scripts_survive_printing() {
    let scripts = [
        "echo a 'b c' \"d $e\" f\\ g; x=1 y='2' cmd arg",
        "if a; then b; elif c; then d; else e; fi > f 2>&1",
        "while a; do b; done; until c; do d; done < e",
        "for i in a \"$b\" 'c'; do echo $i; done; for j; do :; done",
        "case $x in a|'b c'|\"$d\"*) echo;; (esac) ;; *) x; esac",
        "f() { echo; }; g() ( a ) > b; h() for i in 1; do :; done",
        "a && b || ! c | d & e",
        "cat <<A; cat <<'B' | cat <<-C\n$x ${y:-z} $(e)\nA\n$x\nB\n\t`a` \\$ \\\\ \"\n\tC",
        "cat <<E\nEND0\n$(cat <<F\ninner\nF\n)\nE\necho after",
        "echo ${x} ${#x} ${x:-a b} ${x:='q'} ${x?\"m $n\"} ${x+} ${x%%*.c} \"${x#'*'}\" \"${x:-a\\}b}\"",
        "echo $1 ${10} $@ \"$*\" $# $? $- $$ $! ${#@} ${#} ~ ~/a",
        "echo $((1 + x * ${y} - $(z))) \"$((\"1\"))\" `echo \\`a\\`` $(a; b & c)",
        "a @node; b @ *; c @$d @'x'; echo '@y' \\@z",
        ">f if; >g; x=$y$z''",
        "{ a; } | ( b; ) | { c & }",
        "echo $'x' $\"y\" $ a$ '' \"\" \"$\"",
    ];
    for script in scripts {
        assert!(survives_printing(script.as_bytes()).is_some(), "{script}");
    }
}

#[test]
fn quoting_is_undone_by_parsing() {
    assert_eq!(quote(b"it's"), b"'it'\\''s'");
    assert_eq!(quote(b""), b"''");
}
