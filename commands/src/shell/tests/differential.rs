//! Our shell beside the host's `dash`: some hundred fragments of scripts, of which output and status must be the same.
//!
//! They lie in `fragments/`. Those of `differences.sh` must *not* come out alike: each is a difference that we want, and
//! the book says why.

use std::vec::Vec;
use std::{format, println};

use super::{Outcome, run_dash, run_script};

const FRAGMENTS: [&str; 3] = [
    include_str!("fragments/words.sh"),
    include_str!("fragments/commands.sh"),
    include_str!("fragments/builtins.sh"),
];
const DIFFERENCES: &str = include_str!("fragments/differences.sh");
const BOOK: &str = include_str!("../../../../docs/book/shell.md");

/// What parts fragments.
const SEPARATOR: &str = "\n----\n";

/// The fragments of a file, whose first part says what is in it.
fn fragments(text: &str) -> impl Iterator<Item = &str> {
    text.trim_end_matches('\n').split(SEPARATOR).skip(1)
}

fn dash(script: &str) -> Outcome {
    run_dash(script).expect("the shell is compared with dash: apt-get install dash")
}

/// What of an outcome is compared: messages are each shell's own.
fn told(outcome: &Outcome) -> (&str, i32) {
    (&outcome.output, outcome.status)
}

#[test]
fn fragments_do_here_what_they_do_in_dash() {
    let mut count = 0;
    let mut failures = Vec::new();
    for script in FRAGMENTS.into_iter().flat_map(fragments) {
        let (ours, theirs) = (run_script(script), dash(script));
        if told(&ours) != told(&theirs) {
            failures.push(format!("{script}\n  ours {ours:?}\n  dash {theirs:?}\n"));
        }
        count += 1;
    }
    for failure in &failures {
        println!("{failure}");
    }
    assert!(failures.is_empty(), "{} of {count} fragments differ", failures.len());
    assert!(count > 400, "{count} fragments");
}

#[test]
fn differences_are_those_that_the_book_names() {
    for fragment in fragments(DIFFERENCES) {
        let (ours, theirs) = (run_script(fragment), dash(fragment));
        assert!(told(&ours) != told(&theirs), "{fragment}\n  both {ours:?}");
        let row = format!("\n| `{}` |", fragment.replace('|', "\\|"));
        assert!(BOOK.contains(&row), "docs/book/shell.md has no row for {fragment}");
    }
    let (_, table) = BOOK.split_once("\n## What is different from dash\n").expect("the book has the table");
    let rows = table.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, fragments(DIFFERENCES).count(), "rows of the table in docs/book/shell.md");
}
