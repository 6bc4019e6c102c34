//! `mkdir` and `rmdir`: make directories, and remove empty ones.

use abi::Error;

use crate::Command;
use crate::context::{Context, Outcome};
use crate::file;
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command `mkdir`.
pub const MKDIR: Command = Command {
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

/// The command `rmdir`.
pub const RMDIR: Command = Command {
    usage: Usage {
        name: "rmdir",
        synopsis: "NAME...",
        summary: "Removes directories that are empty.",
        details: "",
        choices: &[],
        operands: (1, MANY),
    },
    body: rmdir,
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

#[expect(clippy::unnecessary_wraps, reason = "every command's body has this type")]
fn rmdir(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    for name in &arguments.operands {
        let removed = match file::metadata(name) {
            Ok(metadata) if !metadata.is_directory() => Err(Error::NotADirectory),
            found => found.and_then(|_| file::remove(name)),
        };
        if let Err(error) = removed {
            context.complain(name, error);
        }
    }
    Ok(())
}
