//! `yes`: a line, for ever.

use alloc::string::String;

use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "yes",
        synopsis: "[WORD...]",
        summary: "Writes a line again and again: its words, or y.",
        details: "It ends when nobody reads any more.",
        choices: &[],
        operands: (0, MANY),
    },
    body: yes,
};

/// How much is written at once, at least.
const CHUNK_BYTES: usize = 8 * 1024;

fn yes(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let line = if arguments.operands.is_empty() { "y".into() } else { arguments.operands.join(" ") };
    let line: String = line + "\n";
    let lines = line.repeat(CHUNK_BYTES.div_ceil(line.len()));
    loop {
        context.output.write_all(lines.as_bytes())?;
    }
}
