//! `diff`: what has to change to make one file of another.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use crate::file::Kind;
use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};

use crate::Command;
use crate::context::{Context, Failure, Outcome, failed, without_newline};
use crate::files::path;
use crate::usage::{Arguments, Choice, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "diff",
        synopsis: "[-ubiqr] [-U LINES] FILE1 FILE2",
        summary: "Shows what has to change to make FILE2 of FILE1.",
        details: "The status is 0 if they are the same, 1 if they differ, and 2 if one cannot be read. Both are kept\n\
                  in memory.",
        choices: &[
            Choice {
                letter: 'r',
                long: "recursive",
                value: None,
                help: "Compare the files of two directories, and of those in them.",
            },
            Choice {
                letter: 'u',
                long: "unified",
                value: None,
                help: "In unified form, as patches have it.",
            },
            Choice {
                letter: 'U',
                long: "context",
                value: Some("LINES"),
                help: "The same, with so many lines around each change; 3.",
            },
            Choice {
                letter: 'b',
                long: "ignore-blanks",
                value: None,
                help: "Take any blanks in a row for one.",
            },
            Choice { letter: 'i', long: "ignore-case", value: None, help: "Take A and a for equal." },
            Choice { letter: 'q', long: "brief", value: None, help: "Say only whether they differ." },
        ],
        operands: (2, 2),
    },
    body: diff,
};

/// A file's lines with their newlines, and what is compared of each.
struct Text {
    bytes: Vec<u8>,
    lines: Vec<Range<usize>>,
    keys: Vec<Vec<u8>>,
}

impl Text {
    fn read(name: &str, arguments: &Arguments, context: &Context<'_>) -> Result<Text, Failure> {
        let mut file = (context.open)(name).map_err(|error| failed(name, error))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| failed(name, error))?;
        let mut lines = Vec::new();
        let mut from = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            lines.push(from..from + line.len());
            from += line.len();
        }
        let [blanks, case] = ["ignore-blanks", "ignore-case"].map(|option| arguments.has(option));
        let keys = lines.iter().map(|line| key(&bytes[line.clone()], blanks, case)).collect();
        Ok(Text { bytes, lines, keys })
    }

    fn line(&self, at: usize) -> &[u8] {
        &self.bytes[self.lines[at].clone()]
    }
}

/// What is compared of a line.
fn key(line: &[u8], ignores_blanks: bool, ignores_case: bool) -> Vec<u8> {
    let mut key = Vec::with_capacity(line.len());
    for byte in line {
        let is_blank = matches!(byte, b' ' | b'\t');
        if ignores_blanks && is_blank && key.last() == Some(&b' ') {
            continue;
        }
        key.push(if ignores_blanks && is_blank { b' ' } else { *byte });
    }
    if ignores_blanks && let Some(end) = key.iter().rposition(|byte| !matches!(byte, b' ' | b'\n')) {
        let newline = key.last() == Some(&b'\n');
        key.truncate(end + 1);
        key.extend(newline.then_some(b'\n'));
    }
    if ignores_case {
        key.make_ascii_lowercase();
    }
    key
}

fn diff(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let [old_name, new_name] = &arguments.operands[..] else { return Ok(()) };
    context.failure_status = 2;
    if !arguments.has("recursive") {
        return files(arguments, old_name, new_name, context);
    }
    let mut pairs = Vec::from([(old_name.clone(), new_name.clone())]);
    while let Some((old, new)) = pairs.pop() {
        let [old_names, new_names] = [names(&old)?, names(&new)?];
        match (old_names, new_names) {
            (Some(old_names), Some(new_names)) => {
                for entry in compared(&old_names, &new_names) {
                    match entry {
                        Entry::Only(in_new, name) => {
                            context.status = context.status.max(1);
                            let directory = if in_new { &new } else { &old };
                            let line = format!("only in {directory}: {name}\n");
                            context.output.write_all(line.as_bytes())?;
                        }
                        Entry::Both(name) => pairs.push((path::join(&old, name), path::join(&new, name))),
                    }
                }
            }
            (None, None) => differing(arguments, &old, &new, context)?,
            (old_names, _) => {
                context.status = context.status.max(1);
                let (directory, file) = if old_names.is_some() { (&old, &new) } else { (&new, &old) };
                let line = format!("{directory} is a directory, {file} is none\n");
                context.output.write_all(line.as_bytes())?;
            }
        }
    }
    Ok(())
}

/// The names in a directory, sorted; none if it is no directory.
fn names(name: &str) -> Result<Option<Vec<String>>, Failure> {
    let metadata = crate::file::metadata(name).map_err(|error| failed(name, error))?;
    if metadata.kind != Kind::Directory {
        return Ok(None);
    }
    let entries = crate::file::read_directory(name).map_err(|error| failed(name, error))?;
    let mut names: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
    names.sort_unstable();
    Ok(Some(names))
}

/// What there is to say of a name in one of two directories, or in both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Entry<'a> {
    /// Whether it is in the new one.
    Only(bool, &'a str),
    Both(&'a str),
}

/// Two sorted lists as one: first what only one has, then, from behind, what both have.
fn compared<'a>(old: &'a [String], new: &'a [String]) -> Vec<Entry<'a>> {
    let only = |names: &'a [String], others: &'a [String], in_new: bool| {
        let alone = names.iter().filter(move |name| others.binary_search(name).is_err());
        alone.map(move |name| Entry::Only(in_new, name))
    };
    let both = old.iter().rev().filter(|name| new.binary_search(name).is_ok());
    let both = both.map(|name| Entry::Both(name));
    only(old, new, false).chain(only(new, old, true)).chain(both).collect()
}

/// Two files of two directories, and which they are if they differ.
fn differing(arguments: &Arguments, old: &str, new: &str, context: &mut Context<'_>) -> Outcome {
    let mut output = Vec::new();
    let mut inner = Context { output: &mut output, errors: &mut *context.errors, status: 0, ..*context };
    let outcome = files(arguments, old, new, &mut inner);
    let status = inner.status;
    context.status = context.status.max(status);
    if let Err(Failure::Failed(text)) = outcome {
        context.complain(old, text);
        return Ok(());
    }
    outcome?;
    if status == 1 && !arguments.has("brief") {
        context.output.write_all(format!("diff {old} {new}\n").as_bytes())?;
    }
    Ok(context.output.write_all(&output)?)
}

/// Two files.
fn files(arguments: &Arguments, old_name: &str, new_name: &str, context: &mut Context<'_>) -> Outcome {
    let around: Option<usize> = arguments.number("context")?;
    let is_unified = arguments.has("unified") || around.is_some();
    let old = Text::read(old_name, arguments, context)?;
    let new = Text::read(new_name, arguments, context)?;
    if old.keys == new.keys {
        return Ok(());
    }
    context.status = 1;
    if arguments.has("brief") {
        return Ok(context.output.write_all(format!("{old_name} and {new_name} differ\n").as_bytes())?);
    }
    let changes = capture_diff_slices(Algorithm::Myers, &old.keys, &new.keys);
    if !is_unified {
        return normal(&changes, &old, &new, context);
    }
    context.output.write_all(format!("--- {old_name}\n+++ {new_name}\n").as_bytes())?;
    for hunk in group_diff_ops(changes, around.unwrap_or(3)) {
        unified(&hunk, &old, &new, context)?;
    }
    Ok(())
}

/// Writes lines, each behind `mark`.
fn lines(mark: &str, text: &Text, range: Range<usize>, context: &mut Context<'_>) -> Outcome {
    for at in range {
        let line = text.line(at);
        context.output.write_all(mark.as_bytes())?;
        context.output.write_all(without_newline(line))?;
        let end: &[u8] = if line.ends_with(b"\n") { b"\n" } else { b"\n\\ No newline at end of file\n" };
        context.output.write_all(end)?;
    }
    Ok(())
}

fn unified(hunk: &[DiffOp], old: &Text, new: &Text, context: &mut Context<'_>) -> Outcome {
    let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { return Ok(()) };
    let old_range = first.old_range().start..last.old_range().end;
    let new_range = first.new_range().start..last.new_range().end;
    // Of no lines, the one before them.
    let place = |range: &Range<usize>| match range.len() {
        0 => format!("{},0", range.start),
        1 => format!("{}", range.start + 1),
        count => format!("{},{count}", range.start + 1),
    };
    let head = format!("@@ -{} +{} @@\n", place(&old_range), place(&new_range));
    context.output.write_all(head.as_bytes())?;
    for change in hunk {
        if let DiffOp::Equal { .. } = change {
            // What only counts as equal is shown as the first file has it.
            lines(" ", old, change.old_range(), context)?;
        } else {
            lines("-", old, change.old_range(), context)?;
            lines("+", new, change.new_range(), context)?;
        }
    }
    Ok(())
}

fn normal(changes: &[DiffOp], old: &Text, new: &Text, context: &mut Context<'_>) -> Outcome {
    let place = |range: &Range<usize>| -> String {
        match range.len() {
            0 => format!("{}", range.start),
            1 => format!("{}", range.start + 1),
            _ => format!("{},{}", range.start + 1, range.end),
        }
    };
    for change in changes {
        let letter = match change {
            DiffOp::Equal { .. } => continue,
            DiffOp::Delete { .. } => 'd',
            DiffOp::Insert { .. } => 'a',
            DiffOp::Replace { .. } => 'c',
        };
        let (from, to) = (change.old_range(), change.new_range());
        context.output.write_all(format!("{}{letter}{}\n", place(&from), place(&to)).as_bytes())?;
        lines("< ", old, from, context)?;
        if letter == 'c' {
            context.output.write_all(b"---\n")?;
        }
        lines("> ", new, to, context)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::try_command;

    const FILES: &[(&str, &[u8])] = &[
        ("a", b"1\n2\n3\n4\n5\n6\n7\n8\n9\n"),
        ("b", b"1\n2\n3\n4\nfive\n6\n7\n8\n9\n"),
        ("c", b"0\n1\n2\n3\n4\n5\n6\n7\n8"),
        ("empty", b""),
        ("blanks", b"x  y \nZ\n"),
        ("other", b"x y\nz\n"),
        ("bytes", b"\xff\n\0\n"),
    ];

    fn check(line: &str, status: i32, output: &str) {
        let found = try_command(&COMMAND, line, FILES);
        assert_eq!((found.0, &*found.1, &*found.2), (status, output, ""), "{line}");
    }

    #[test]
    fn directories_are_compared_name_by_name() {
        let list = |names: &[&str]| names.iter().map(|name| String::from(*name)).collect::<Vec<_>>();
        let (old, new) = (list(&["a", "b", "c"]), list(&["b", "c", "d"]));
        let entries = compared(&old, &new);
        assert_eq!(
            entries,
            [Entry::Only(false, "a"), Entry::Only(true, "d"), Entry::Both("c"), Entry::Both("b")]
        );
    }

    #[test]
    fn changes_are_shown() {
        check("a a", 0, "");
        check("a b", 1, "5c5\n< 5\n---\n> five\n");
        check("a c", 1, "0a1\n> 0\n8,9c9\n< 8\n< 9\n---\n> 8\n\\ No newline at end of file\n");
        check("-u a b", 1, "--- a\n+++ b\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
        check("-U 0 a b", 1, "--- a\n+++ b\n@@ -5 +5 @@\n-5\n+five\n");
        check("-u empty other", 1, "--- empty\n+++ other\n@@ -0,0 +1,2 @@\n+x y\n+z\n");
        check("empty other", 1, "0a1,2\n> x y\n> z\n");
        check("other empty", 1, "1,2d0\n< x y\n< z\n");
        check("-q a b", 1, "a and b differ\n");
        check("-bi blanks other", 0, "");
        check("-b blanks other", 1, "2c2\n< Z\n---\n> z\n");
        assert_eq!(try_command(&COMMAND, "bytes empty", FILES).0, 1);
        for line in ["a gone", "a", "-U x a b"] {
            assert_eq!(try_command(&COMMAND, line, FILES).0, 2, "{line}");
        }
    }
}
