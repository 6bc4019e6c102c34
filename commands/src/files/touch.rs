//! `touch`: makes files, or sets their time to now.

use crate::file::{self, File};
use abi::Error;
use protocols::io::mode;

use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "touch",
        synopsis: "[-c] NAME...",
        summary: "Sets the time of last change to now; makes files that are not there.",
        details: "",
        choices: &[Choice { letter: 'c', long: "no-create", value: None, help: "Make no file." }],
        operands: (1, MANY),
    },
    body: touch,
};

#[expect(clippy::unnecessary_wraps, reason = "every command's body has this type")]
fn touch(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    for name in &arguments.operands {
        let result = match file::set_modified_ns(name, v::time::real_ns()) {
            Err(Error::NotFound) if arguments.has("no-create") => Ok(()),
            Err(Error::NotFound) => File::open_with(name, mode::WRITE | mode::CREATE).map(drop),
            result => result,
        };
        if let Err(error) = result {
            context.complain(name, error);
        }
    }
    Ok(())
}
