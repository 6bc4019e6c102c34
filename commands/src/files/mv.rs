//! `mv`: renames and moves files and directories.

use crate::file;
use abi::Error;

use super::cp::{Refusal, copy_directory, copy_file, each_target, refuse_inside};
use super::kept::Kept;
use super::rm;
use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "mv",
        synopsis: "[-f] FROM... TO",
        summary: "Renames or moves files and directories; several into a directory.",
        details: "From one server to another it copies with permissions, as far as they are kept there, and times, then\n\
                  removes.",
        choices: &[Choice { letter: 'f', long: "force", value: None, help: "As it does in any case." }],
        operands: (2, MANY),
    },
    body: mv,
};

fn mv(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    each_target(&arguments.operands, context, |from, to, context| match file::rename(from, to) {
        Err(Error::CrossServer) if file::metadata(from)?.is_directory() => {
            if file::exists(to)? {
                return Err(Error::AlreadyExists.into());
            }
            if !copy_directory(from, to, Kept::Possible, false, context)? {
                return Err(Refusal::Because("it is not copied whole, so nothing of it is removed"));
            }
            Ok(rm::remove(from, true)?)
        }
        Err(Error::CrossServer) => {
            copy_file(from, to, Kept::Possible, true)?;
            Ok(file::remove(from)?)
        }
        Err(Error::BadArgument) => {
            refuse_inside(from, to)?;
            Err(Error::BadArgument.into())
        }
        result => Ok(result?),
    })
}
