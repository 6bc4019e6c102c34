//! `nl`: lines with numbers.

use alloc::format;
use alloc::vec::Vec;

use crate::Command;
use crate::context::{Context, FileFailure, Outcome, next_line, without_newline};
use crate::usage::{Arguments, Choice, MANY, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "nl",
        synopsis: "[-b a|t|n] [-v START] [-i STEP] [-w WIDTH] [-s TEXT] [FILE...]",
        summary: "Writes lines with numbers before them.",
        details: "Empty lines get none unless told. The files are numbered as one.",
        choices: &[
            Choice {
                letter: 'b',
                long: "body",
                value: Some("a|t|n"),
                help: "Number all lines, those with text, or none.",
            },
            Choice { letter: 'v', long: "start", value: Some("START"), help: "The first number; 1." },
            Choice { letter: 'i', long: "step", value: Some("STEP"), help: "From one to the next; 1." },
            Choice { letter: 'w', long: "width", value: Some("WIDTH"), help: "Columns of the number; 6." },
            Choice {
                letter: 's',
                long: "separator",
                value: Some("TEXT"),
                help: "Between number and line; a tabulator.",
            },
        ],
        operands: (0, MANY),
    },
    body: nl,
};

/// The widest that a number is written.
const MOST_COLUMNS: usize = 1000;

fn nl(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let (numbers_all, numbers_text) = match arguments.value("body").unwrap_or("t") {
        "a" => (true, true),
        "t" => (false, true),
        "n" => (false, false),
        other => return Err(Misuse(format!("--body: '{other}' is none of a, t and n")).into()),
    };
    let mut number: i64 = arguments.number("start")?.unwrap_or(1);
    let step: i64 = arguments.number("step")?.unwrap_or(1);
    let width: usize = arguments.number("width")?.unwrap_or(6);
    if width > MOST_COLUMNS {
        return Err(Misuse(format!("--width: at most {MOST_COLUMNS} columns")).into());
    }
    let separator = arguments.value("separator").unwrap_or("\t");
    context.each_file(&arguments.operands, |context, _, file| {
        let mut line = Vec::new();
        while next_line(file, &mut line)? {
            if numbers_all || numbers_text && line != b"\n" {
                context.output.write_all(format!("{number:width$}{separator}").as_bytes())?;
                number = number.saturating_add(step);
            } else {
                context.output.write_all(format!("{:width$}", "").as_bytes())?;
                context.output.write_all(separator.replace(|_| true, " ").as_bytes())?;
            }
            context.output.write_all(without_newline(&line))?;
            context.output.write_all(b"\n")?;
        }
        Ok::<(), FileFailure>(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    #[test]
    fn lines_are_numbered() {
        expect(&COMMAND, "", "a\n\nb\n", "     1\ta\n       \n     2\tb\n");
        expect(&COMMAND, "-b a -w 2 -s: -v 9 -i 2", "a\n\nb", " 9:a\n11:\n13:b\n");
        expect(&COMMAND, "-b n -w 1", "a\n", "  a\n");
        assert_eq!(try_command(&COMMAND, "-b x", &[("-", b"")]).0, 2);
        assert_eq!(try_command(&COMMAND, "-w 99999", &[("-", b"")]).0, 2);
    }
}
