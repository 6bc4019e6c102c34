//! `comm`: what two sorted files have in common.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;

use v::io::BufRead;

use crate::Command;
use crate::context::{Context, Failure, Outcome, failed, without_newline};
use crate::usage::{Arguments, Choice, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "comm",
        synopsis: "[-123] FILE1 FILE2",
        summary: "Compares two sorted files line by line.",
        details: "It writes three columns: lines only in FILE1, lines only in FILE2, and lines in both.",
        choices: &[
            Choice { letter: '1', long: "no-first", value: None, help: "No lines that are only in FILE1." },
            Choice { letter: '2', long: "no-second", value: None, help: "No lines that are only in FILE2." },
            Choice { letter: '3', long: "no-common", value: None, help: "No lines that are in both." },
        ],
        operands: (2, 2),
    },
    body: comm,
};

/// A file of which one line is at hand.
struct Lines<'a> {
    name: &'a str,
    file: Box<dyn BufRead>,
    line: Option<Vec<u8>>,
}

impl<'a> Lines<'a> {
    fn open(name: &'a str, context: &Context<'_>) -> Result<Lines<'a>, Failure> {
        let file = (context.open)(name).map_err(|error| failed(name, error))?;
        let mut lines = Lines { name, file, line: Some(Vec::new()) };
        lines.advance()?;
        Ok(lines)
    }

    fn advance(&mut self) -> Result<(), Failure> {
        let mut line = self.line.take().unwrap_or_default();
        line.clear();
        let count = self.file.read_until(b'\n', &mut line).map_err(|error| failed(self.name, error))?;
        if count > 0 {
            line.truncate(without_newline(&line).len());
            self.line = Some(line);
        }
        Ok(())
    }
}

fn comm(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let [first, second] = &arguments.operands[..] else { return Ok(()) };
    let hidden = ["no-first", "no-second", "no-common"].map(|option| arguments.has(option));
    let mut files = [Lines::open(first, context)?, Lines::open(second, context)?];
    loop {
        let order = match [&files[0].line, &files[1].line] {
            [None, None] => return Ok(()),
            [Some(_), None] => Ordering::Less,
            [None, Some(_)] => Ordering::Greater,
            [Some(left), Some(right)] => left.cmp(right),
        };
        let (column, advancing): (usize, &[usize]) = match order {
            Ordering::Less => (0, &[0]),
            Ordering::Greater => (1, &[1]),
            Ordering::Equal => (2, &[0, 1]),
        };
        if !hidden[column] {
            let indent = hidden[..column].iter().filter(|hidden| !**hidden).count();
            context.output.write_all("\t".repeat(indent).as_bytes())?;
            context.output.write_all(files[advancing[0]].line.as_deref().unwrap_or_default())?;
            context.output.write_all(b"\n")?;
        }
        for at in advancing {
            files[*at].advance()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::try_command;
    use alloc::string::String;

    #[test]
    fn columns_tell_whose_lines_they_are() {
        let files: &[(&str, &[u8])] = &[("a", b"1\n2\n4"), ("b", b"2\n3\n4\n")];
        for (line, output) in [
            ("a b", "1\n\t\t2\n\t3\n\t\t4\n"),
            ("-12 a b", "2\n4\n"),
            ("-3 a b", "1\n\t3\n"),
            ("-1 a b", "\t2\n3\n\t4\n"),
            ("-123 a b", ""),
        ] {
            assert_eq!(try_command(&COMMAND, line, files), (0, output.into(), String::new()), "{line}");
        }
        assert_eq!(try_command(&COMMAND, "a gone", files).0, 1);
        assert_eq!(try_command(&COMMAND, "a", files).0, 2);
    }
}
