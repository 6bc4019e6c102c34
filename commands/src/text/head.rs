//! `head`: the first lines or bytes.

use alloc::format;
use alloc::vec::Vec;

use crate::Command;
use crate::context::{Context, FileFailure, Outcome, next_line};
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "head",
        synopsis: "[-n LINES | -c BYTES] [FILE...]",
        summary: "Writes the first lines of files, ten unless told.",
        details: "-5 is -n 5.",
        choices: &[
            Choice { letter: 'n', long: "lines", value: Some("LINES"), help: "So many lines." },
            Choice { letter: 'c', long: "bytes", value: Some("BYTES"), help: "So many bytes." },
        ],
        operands: (0, MANY),
    },
    body: head,
};

fn head(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let bytes: Option<u64> = arguments.number("bytes")?;
    let lines: u64 = arguments.number("lines")?.unwrap_or(10);
    let several = arguments.operands.len() > 1;
    let mut first = true;
    context.each_file(&arguments.operands, |context, name, file| {
        if several {
            let gap = if first { "" } else { "\n" };
            context.output.write_all(format!("{gap}==> {name} <==\n").as_bytes())?;
            first = false;
        }
        if let Some(mut left) = bytes {
            let mut chunk = alloc::vec![0; 4096];
            while left > 0 {
                let wanted = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let count = file.read(&mut chunk[..wanted]).map_err(FileFailure::Input)?;
                if count == 0 {
                    break;
                }
                context.output.write_all(&chunk[..count])?;
                left -= count as u64;
            }
            return Ok(());
        }
        let mut line = Vec::new();
        for _ in 0..lines {
            if !next_line(file, &mut line)? {
                break;
            }
            context.output.write_all(&line)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    #[test]
    fn so_many_and_no_more() {
        expect(&COMMAND, "-n 2", "a\nb\nc\n", "a\nb\n");
        expect(&COMMAND, "-2", "a\nb\nc\n", "a\nb\n");
        expect(&COMMAND, "-n 0", "a\n", "");
        expect(&COMMAND, "-c 3", "a\nb\nc\n", "a\nb");
        expect(&COMMAND, "-n9", "a\nb", "a\nb");
        let (status, output, _) = try_command(&COMMAND, "x y", &[("x", b"1\n"), ("y", b"2\n")]);
        assert_eq!((status, output.as_str()), (0, "==> x <==\n1\n\n==> y <==\n2\n"));
        assert_eq!(try_command(&COMMAND, "-n -1", &[]).0, 2);
    }
}
