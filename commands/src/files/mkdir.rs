//! `mkdir`: makes directories.

use crate::file;

use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "mkdir",
        synopsis: "[-p] NAME...",
        summary: "Makes directories.",
        details: "",
        choices: &[Choice {
            letter: 'p',
            long: "parents",
            value: None,
            help: "Also those above, and no complaint if it is there.",
        }],
        operands: (1, MANY),
    },
    body: mkdir,
};

#[expect(clippy::unnecessary_wraps, reason = "every command's body has this type")]
fn mkdir(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    for name in &arguments.operands {
        let result = if arguments.has("parents") {
            file::create_directories(name)
        } else {
            file::create_directory(name)
        };
        if let Err(error) = result {
            context.complain(name, error);
        }
    }
    Ok(())
}
