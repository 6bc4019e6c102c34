//! The lines `cargo v …` of the documents are lines that the tool takes.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use walkdir::WalkDir;

use super::Arguments;

const COMMAND: &str = "cargo v ";

/// The documents that are for people.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let book = WalkDir::new(root.join("docs/book")).into_iter().map(|entry| entry.unwrap().into_path());
    let pages = book.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.chain(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root.join(name))).collect()
}

/// The commands of a page: what follows `cargo v` in code, up to what a shell would end it by, or to its comment.
fn commands(page: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut is_block = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
            continue;
        }
        if is_block {
            found.extend(line.split_once(COMMAND).map(|(_, rest)| words(rest)));
        } else {
            // Between backquotes.
            found.extend(line.split('`').skip(1).step_by(2).filter_map(|code| {
                let mut words = words(code.strip_prefix(COMMAND)?);
                // A text may name an option without its value.
                let ends_in_option = words.last().is_some_and(|word| word.starts_with("--"));
                if ends_in_option && parse(&words).is_err() {
                    words.push("VALUE".into());
                }
                Some(words)
            }));
        }
    }
    found
}

/// The words of a shell's line.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in line.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, '|' | '>' | '<' | ';' | '&') => break,
            (None, '#') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

/// Whether a word stands for others: `NAME`, `PORT`, `...`.
fn is_placeholder(word: &str) -> bool {
    let letters = || word.chars().filter(|character| character.is_alphabetic());
    word.contains("...") || word.contains('…') || letters().count() > 0 && letters().all(char::is_uppercase)
}

/// What the tool says of a command; placeholders stand for a number, a medium or a name.
fn parse(words: &[String]) -> Result<(), clap::Error> {
    let with = |filling: &str| {
        let filled = words.iter().map(|word| if is_placeholder(word) { filling } else { word.as_str() });
        Arguments::try_parse_from(["cargo v"].into_iter().chain(filled)).map(drop)
    };
    with("1").or_else(|_| with("cd")).or_else(|_| with("x"))
}

#[test]
fn lines_of_the_documents_are_taken() {
    let (mut count, mut refused) = (0, Vec::new());
    for path in documents() {
        let page = fs::read_to_string(&path).unwrap();
        for words in commands(&page) {
            count += 1;
            if let Err(error) = parse(&words)
                && !matches!(
                    error.kind(),
                    clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion
                )
            {
                let reason = error.to_string();
                let reason = reason.lines().next().unwrap_or_default();
                refused.push(format!("{}: {}: {reason}", path.display(), words.join(" ")));
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(count > 40, "{count} lines: are they written in another way now?");
}

#[test]
fn lines_are_taken_apart() {
    let page = "Text `cargo v run --gdb PORT`, cargo v no.\n```\n$ cargo v run --exec 'a | b' | c # d\n```\n";
    let found = commands(page);
    assert_eq!(found, [vec!["run", "--gdb", "PORT"], vec!["run", "--exec", "a | b"]]);
    assert!(found.iter().all(|words| parse(words).is_ok()));
    assert!(parse(&words("run --no-such-option")).is_err());
}
