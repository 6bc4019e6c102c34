//! `cat`: files one after the other.

use alloc::format;
use alloc::vec::Vec;

use v::io::BufRead;

use crate::Command;
use crate::context::{Context, FileFailure, Outcome, next_line};
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "cat",
        synopsis: "[-n] [FILE...]",
        summary: "Writes files one after the other to standard output.",
        details: "Without FILE, or where FILE is -, it reads standard input.",
        choices: &[Choice { letter: 'n', long: "number", value: None, help: "Number the lines." }],
        operands: (0, MANY),
    },
    body: cat,
};

/// Bytes read at once; as large as one message moves cheaply.
const CHUNK_BYTES: usize = 64 * 1024;

fn cat(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let mut line_number = 0_u64;
    let (mut line, mut is_begun) = (Vec::new(), false);
    context.each_file(&arguments.operands, |context, _, file| {
        if !arguments.has("number") {
            return copy(context, file);
        }
        while next_line(file, &mut line)? {
            // The last line of a file may go on in the next.
            if !is_begun {
                line_number += 1;
                context.output.write_all(format!("{line_number:6}\t").as_bytes())?;
            }
            is_begun = !line.ends_with(b"\n");
            context.output.write_all(&line)?;
        }
        Ok(())
    })
}

fn copy(context: &mut Context<'_>, file: &mut dyn BufRead) -> Result<(), FileFailure> {
    let mut chunk = alloc::vec![0; CHUNK_BYTES];
    loop {
        let count = file.read(&mut chunk).map_err(FileFailure::Input)?;
        if count == 0 {
            return Ok(());
        }
        context.output.write_all(&chunk[..count])?;
        // What a person types comes back at once.
        context.output.flush()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    #[test]
    fn files_come_in_order_and_failures_are_told() {
        let (status, output, errors) = try_command(&COMMAND, "a gone - a", &[("a", b"1\n"), ("-", b"in")]);
        assert_eq!((status, output.as_str()), (1, "1\nin1\n"));
        assert_eq!(errors, "cat: gone: not found\n");
        expect(&COMMAND, "-n", "x\ny", "     1\tx\n     2\ty");
    }
}
