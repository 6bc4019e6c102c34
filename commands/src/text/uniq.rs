//! `uniq`: each line once, where equal lines follow each other.

use alloc::format;
use alloc::vec::Vec;

use crate::Command;
use crate::context::{Context, FileFailure, Outcome, next_line, without_newline};
use crate::usage::{Arguments, Choice, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "uniq",
        synopsis: "[-cdui] [FILE]",
        summary: "Writes each of several equal lines in a row once.",
        details: "",
        choices: &[
            Choice {
                letter: 'c',
                long: "count",
                value: None,
                help: "Say before each line how often it came.",
            },
            Choice {
                letter: 'd',
                long: "repeated",
                value: None,
                help: "Only lines that came more than once.",
            },
            Choice { letter: 'u', long: "unique", value: None, help: "Only lines that came once." },
            Choice { letter: 'i', long: "ignore-case", value: None, help: "Take A and a for equal." },
        ],
        operands: (0, 1),
    },
    body: uniq,
};

fn uniq(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let equal = |left: &[u8], right: &[u8]| {
        if arguments.has("ignore-case") { left.eq_ignore_ascii_case(right) } else { left == right }
    };
    let write = |context: &mut Context<'_>, line: &[u8], count: u64| -> Result<(), FileFailure> {
        if count == 0 || arguments.has("repeated") && count == 1 || arguments.has("unique") && count > 1 {
            return Ok(());
        }
        if arguments.has("count") {
            context.output.write_all(format!("{count:7} ").as_bytes())?;
        }
        context.output.write_all(line)?;
        context.output.write_all(b"\n")?;
        Ok(())
    };
    context.each_file(&arguments.operands, |context, _, file| {
        let (mut current, mut line, mut count) = (Vec::new(), Vec::new(), 0);
        while next_line(file, &mut line)? {
            let next = without_newline(&line);
            if count > 0 && equal(&current, next) {
                count += 1;
                continue;
            }
            write(context, &current, count)?;
            current.clear();
            current.extend_from_slice(next);
            count = 1;
        }
        write(context, &current, count)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::expect;

    #[test]
    fn neighbours_are_compared() {
        expect(&COMMAND, "", "a\na\nb\na", "a\nb\na\n");
        expect(&COMMAND, "-c", "a\na\nb\n", "      2 a\n      1 b\n");
        expect(&COMMAND, "-d", "a\na\nb\n", "a\n");
        expect(&COMMAND, "-u", "a\na\nb\n", "b\n");
        expect(&COMMAND, "-i", "a\nA\nb\n", "a\nb\n");
        expect(&COMMAND, "", "", "");
        expect(&COMMAND, "", "\n\n", "\n");
    }
}
