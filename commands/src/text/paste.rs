//! `paste`: lines of files side by side.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use v::io::BufRead;

use crate::Command;
use crate::context::{Context, FileFailure, Outcome, failed, next_line, without_newline};
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "paste",
        synopsis: "[-s] [-d CHARACTERS] [FILE...]",
        summary: "Joins the lines of several files side by side, or those of each file in a row.",
        details: "CHARACTERS are used one after the other and again from the first; \\n \\t \\\\ and \\0, nothing, are among\n\
                  them. Each - among the files takes the next line of standard input.",
        choices: &[
            Choice {
                letter: 'd',
                long: "delimiters",
                value: Some("CHARACTERS"),
                help: "Between them, instead of a tabulator.",
            },
            Choice { letter: 's', long: "serial", value: None, help: "Each file's lines in a row." },
        ],
        operands: (0, MANY),
    },
    body: paste,
};

/// What stands between two lines, by how many were before.
fn delimiters(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let meant = match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some('n') => "\n".to_owned(),
                Some('t') => "\t".to_owned(),
                Some('0') => String::new(),
                other => other.unwrap_or('\\').into(),
            },
            (character, false) => character.into(),
        };
        found.push(meant);
    }
    if found.is_empty() {
        found.push(String::new());
    }
    found
}

fn paste(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let delimiters = delimiters(arguments.value("delimiters").unwrap_or("\t"));
    if arguments.has("serial") {
        return context.each_file(&arguments.operands, |context, _, file| {
            let mut line = Vec::new();
            let mut between = core::iter::once("").chain(delimiters.iter().map(String::as_str).cycle());
            while next_line(file, &mut line)? {
                context.output.write_all(between.next().unwrap_or_default().as_bytes())?;
                context.output.write_all(without_newline(&line))?;
            }
            context.output.write_all(b"\n")?;
            Ok::<(), FileFailure>(())
        });
    }
    let input = ["-".to_owned()];
    let names = if arguments.operands.is_empty() { &input } else { &arguments.operands[..] };
    // Each - is the same standard input.
    let mut sources: Vec<(&str, Option<Box<dyn BufRead>>)> = Vec::new();
    let mut columns = Vec::new();
    for name in names {
        let known = sources.iter().position(|(other, _)| name == "-" && *other == "-");
        columns.push(known.unwrap_or(sources.len()));
        if known.is_none() {
            sources.push((name, Some((context.open)(name).map_err(|error| failed(name, error))?)));
        }
    }
    let (mut row, mut line) = (Vec::new(), Vec::new());
    loop {
        row.clear();
        let mut any = false;
        for (at, source) in columns.iter().enumerate() {
            if at > 0 {
                row.extend_from_slice(delimiters[(at - 1) % delimiters.len()].as_bytes());
            }
            let (name, slot) = &mut sources[*source];
            let Some(file) = slot else { continue };
            line.clear();
            match file.read_until(b'\n', &mut line) {
                Ok(0) => *slot = None,
                Ok(_) => any = true,
                Err(error) => return Err(failed(name, error)),
            }
            row.extend_from_slice(without_newline(&line));
        }
        if !any {
            return Ok(());
        }
        row.push(b'\n');
        context.output.write_all(&row)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    #[test]
    fn lines_are_joined() {
        let files: &[(&str, &[u8])] = &[("a", b"1\n2\n3\n"), ("b", b"x\ny"), ("-", b"")];
        for (line, output) in [
            ("a b", "1\tx\n2\ty\n3\t\n"),
            ("-d, a b a", "1,x,1\n2,y,2\n3,,3\n"),
            ("-s a b", "1\t2\t3\nx\ty\n"),
            ("-s -d ':\\n' a", "1:2\n3\n"),
            ("-d '\\0' a b", "1x\n2y\n3\n"),
        ] {
            assert_eq!(try_command(&COMMAND, line, files), (0, output.into(), String::new()), "{line}");
        }
        expect(&COMMAND, "", "a\nb\n", "a\nb\n");
        expect(&COMMAND, "- - -", "1\n2\n3\n4\n", "1\t2\t3\n4\t\t\n");
        assert_eq!(try_command(&COMMAND, "a gone", files).0, 1);
    }
}
