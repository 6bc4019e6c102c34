//! `mv`: renames and moves files and directories.

use abi::Error;
use v::file::{self, Kind};

use super::cp::{Refusal, copy_file, each_target, refuse_inside};
use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "mv",
        synopsis: "FROM... TO",
        summary: "Renames or moves files and directories; several into a directory.",
        details: "From one server to another it moves files only: it copies, then removes.",
        choices: &[],
        operands: (2, MANY),
    },
    body: mv,
};

fn mv(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    each_target(&arguments.operands, context, |from, to| match file::rename(from, to) {
        Err(Error::CrossServer) => {
            if file::metadata(from)?.kind == Kind::Directory {
                return Err(Refusal::Because("a directory can't go to another server; cp -r copies it"));
            }
            copy_file(from, to)?;
            Ok(file::remove(from)?)
        }
        Err(Error::BadArgument) => {
            refuse_inside(from, to)?;
            Err(Error::BadArgument.into())
        }
        result => Ok(result?),
    })
}
