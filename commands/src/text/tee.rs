//! `tee`: standard input to standard output and to files.

use alloc::vec::Vec;

use crate::file::File;
use protocols::io::mode;
use v::io::Write;

use crate::Command;
use crate::context::{Context, FileFailure, Outcome};
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "tee",
        synopsis: "[-a] [FILE...]",
        summary: "Copies standard input to standard output and to each FILE.",
        details: "",
        choices: &[Choice { letter: 'a', long: "append", value: None, help: "Add to the files' ends." }],
        operands: (0, MANY),
    },
    body: tee,
};

fn tee(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let how =
        mode::WRITE | mode::CREATE | if arguments.has("append") { mode::APPEND } else { mode::TRUNCATE };
    let mut files = Vec::new();
    for name in &arguments.operands {
        match File::open_with(name, how) {
            Ok(file) => files.push(Some((name, file))),
            Err(error) => context.complain(name, error),
        }
    }
    context.each_file(&[], |context, _, input| {
        let mut chunk = alloc::vec![0; 64 * 1024];
        loop {
            let count = input.read(&mut chunk).map_err(FileFailure::Input)?;
            if count == 0 {
                return Ok(());
            }
            for place in &mut files {
                if let Some((name, file)) = place
                    && let Err(error) = file.write_all(&chunk[..count])
                {
                    context.complain(name, error);
                    *place = None;
                }
            }
            context.output.write_all(&chunk[..count])?;
            context.output.flush()?;
        }
    })
}
