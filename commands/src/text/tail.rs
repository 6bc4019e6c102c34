//! `tail`: the last lines or bytes.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;

use crate::Command;
use crate::context::{Context, FileFailure, Outcome, next_line, read_all};
use crate::usage::{Arguments, Choice, MANY, Misuse, Usage, option_number};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "tail",
        synopsis: "[-n [+]LINES | -c BYTES] [FILE...]",
        summary: "Writes the last lines of files, ten unless told.",
        details: "With +LINES it begins at that line, counted from 1. -5 is -n 5.",
        choices: &[
            Choice { letter: 'n', long: "lines", value: Some("LINES"), help: "So many lines." },
            Choice { letter: 'c', long: "bytes", value: Some("BYTES"), help: "So many bytes." },
        ],
        operands: (0, MANY),
    },
    body: tail,
};

enum Part {
    LastLines(usize),
    LastBytes(usize),
    FromLine(u64),
}

fn part(arguments: &Arguments) -> Result<Part, Misuse> {
    if let Some(bytes) = arguments.number("bytes")? {
        return Ok(Part::LastBytes(bytes));
    }
    match arguments.value("lines") {
        None => Ok(Part::LastLines(10)),
        Some(text) => match text.strip_prefix('+') {
            Some(line) => option_number(line, "lines").map(Part::FromLine),
            None => option_number(text, "lines").map(Part::LastLines),
        },
    }
}

fn tail(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let part = part(arguments)?;
    let several = arguments.operands.len() > 1;
    let mut first = true;
    context.each_file(&arguments.operands, |context, name, file| {
        if several {
            let gap = if first { "" } else { "\n" };
            context.output.write_all(format!("{gap}==> {name} <==\n").as_bytes())?;
            first = false;
        }
        match part {
            Part::LastBytes(bytes) => {
                let all = read_all(file)?;
                context.output.write_all(&all[all.len().saturating_sub(bytes)..])?;
            }
            Part::FromLine(from) => {
                let mut line = Vec::new();
                let mut at = 1;
                while next_line(file, &mut line)? {
                    if at >= from {
                        context.output.write_all(&line)?;
                    }
                    at += 1;
                }
            }
            Part::LastLines(lines) => {
                let mut kept: VecDeque<Vec<u8>> = VecDeque::new();
                loop {
                    let mut line =
                        if kept.len() > lines { kept.pop_front().unwrap_or_default() } else { Vec::new() };
                    if !next_line(file, &mut line)? {
                        break;
                    }
                    kept.push_back(line);
                }
                let surplus = kept.len().saturating_sub(lines);
                for line in kept.iter().skip(surplus) {
                    context.output.write_all(line)?;
                }
            }
        }
        Ok::<(), FileFailure>(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::expect;

    #[test]
    fn the_end_comes_whole() {
        expect(&COMMAND, "-n 2", "a\nb\nc\n", "b\nc\n");
        expect(&COMMAND, "-n 2", "a\nb\nc", "b\nc");
        expect(&COMMAND, "-1", "a\nb\n", "b\n");
        expect(&COMMAND, "-n 0", "a\nb\n", "");
        expect(&COMMAND, "-n 5", "a\nb\n", "a\nb\n");
        expect(&COMMAND, "-n +2", "a\nb\nc\n", "b\nc\n");
        expect(&COMMAND, "-c 3", "a\nbc\n", "bc\n");
        expect(&COMMAND, "-n 3", "1\n2\n3\n4\n5\n6\n7\n8\n", "6\n7\n8\n");
    }
}
