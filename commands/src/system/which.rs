//! `which`: the files that commands are.

use v::file::{self, Kind};
use v::process::program_files;

use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "which",
        synopsis: "[-a] COMMAND...",
        summary: "Writes the files of programs, as PATH finds them.",
        details: "The status is 1 if one is not found. What the shell itself does with a name, type tells.",
        choices: &[Choice { letter: 'a', long: "all", value: None, help: "All, not only what would run." }],
        operands: (1, MANY),
    },
    body: which,
};

fn which(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    for name in &arguments.operands {
        let is_file = |file: &alloc::string::String| {
            file::metadata(file).is_ok_and(|metadata| metadata.kind == Kind::File)
        };
        let mut found = program_files(name).into_iter().filter(is_file).peekable();
        if found.peek().is_none() {
            context.status = 1;
        }
        for file in found.take(if arguments.has("all") { usize::MAX } else { 1 }) {
            context.output.write_all([&*file, "\n"].concat().as_bytes())?;
        }
    }
    Ok(())
}
