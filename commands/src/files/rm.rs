//! `rm`: removes files and directories.

use alloc::vec::Vec;

use crate::file::{self, Kind};
use abi::Error;

use super::path;
use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "rm",
        synopsis: "[-rf] NAME...",
        summary: "Removes files.",
        details: "",
        choices: &[
            Choice {
                letter: 'r',
                long: "recursive",
                value: None,
                help: "Directories too, with all that is in them.",
            },
            Choice { letter: 'f', long: "force", value: None, help: "No complaint about what is not there." },
        ],
        operands: (0, MANY),
    },
    body: rm,
};

fn rm(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    if arguments.operands.is_empty() && !arguments.has("force") {
        return Err(crate::usage::Misuse("a name is missing".into()).into());
    }
    for name in &arguments.operands {
        match remove(name, arguments.has("recursive")) {
            Err(Error::NotFound) if arguments.has("force") => {}
            Err(Error::IsADirectory) => context.complain(name, "a directory is removed only with -r"),
            Err(Error::BadName) if is_root(name) => {
                context
                    .complain(name, "it is all that a server has; name what is in it, as in 'rm -r [tmp]*'");
            }
            Err(Error::BadName) if is_dots(name) => {
                context.complain(name, "'.' and '..' are not removed; name the directory itself");
            }
            Err(error) => context.complain(name, error),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Whether a name is that of a server's uppermost directory.
fn is_root(name: &str) -> bool {
    let full = file::full_name(name);
    full.and_then(|full| file::resolve(&full).map(|place| place.rest.is_empty())).unwrap_or(false)
}

/// Whether a name ends in `.` or `..`, by which nothing is removed.
fn is_dots(name: &str) -> bool {
    matches!(path::last_component(name), "." | "..")
}

/// Removes a file, or with `recursive` a directory, however deep, without recursion.
pub fn remove(name: &str, recursive: bool) -> Result<(), Error> {
    if file::metadata(name)?.kind != Kind::Directory {
        return file::remove(name);
    }
    if !recursive {
        return Err(Error::IsADirectory);
    }
    // It could not be removed itself, and must not be emptied before that shows.
    if is_root(name) || is_dots(name) {
        return Err(Error::BadName);
    }
    let mut to_empty = alloc::vec![alloc::string::String::from(name)];
    let mut to_remove = Vec::new();
    while let Some(directory) = to_empty.pop() {
        for entry in file::read_directory(&directory)? {
            let inner = path::join(&directory, &entry.name);
            if entry.metadata.kind == Kind::Directory {
                to_empty.push(inner);
            } else {
                file::remove(&inner)?;
            }
        }
        to_remove.push(directory);
    }
    to_remove.iter().rev().try_for_each(|directory| file::remove(directory))
}
