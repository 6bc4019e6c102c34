//! `cp`: copies files and directories.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::file::{self, DirectoryEntry, File, Kind, Metadata};
use abi::Error;
use v::io::{Read, Write};

use super::kept::Kept;
use super::path;
use crate::Command;
use crate::context::{Context, Failure, Outcome};
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "cp",
        synopsis: "[-rRpaf] FROM... TO",
        summary: "Copies files; several into a directory.",
        details: "What others may not read they may not read in the copy either; else it is its owner's to read and write,\n\
                  and others' to read. A file that was there keeps its own permissions. With -p they are as they were.",
        choices: &[
            Choice {
                letter: 'r',
                long: "recursive",
                value: None,
                help: "Directories too, with all that is in them.",
            },
            Choice { letter: 'R', long: "all-below", value: None, help: "The same." },
            Choice {
                letter: 'p',
                long: "preserve",
                value: None,
                help: "Keep permissions and times; for the system, owners.",
            },
            Choice { letter: 'a', long: "archive", value: None, help: "The same as -rp." },
            Choice {
                letter: 'f',
                long: "force",
                value: None,
                help: "Replace files that may not be written.",
            },
        ],
        operands: (2, MANY),
    },
    body: cp,
};

fn cp(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let has_any = |options: &[&str]| options.iter().any(|option| arguments.has(option));
    let is_recursive = has_any(&["recursive", "all-below", "archive"]);
    let kept = if has_any(&["preserve", "archive"]) { Kept::Everything } else { Kept::Privacy };
    let replaces = arguments.has("force");
    each_target(&arguments.operands, context, |from, to, context| {
        if file::metadata(from)?.kind != Kind::Directory {
            return copy_file(from, to, kept, replaces);
        }
        if !is_recursive {
            return Err(Refusal::Because("a directory is copied only with -r"));
        }
        refuse_inside(from, to)?;
        copy_directory(from, to, kept, replaces, context).map(drop)
    })
}

/// Why a file was not copied or moved.
pub enum Refusal {
    /// Something failed.
    Failed(Error),
    /// It makes no sense.
    Because(&'static str),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Failed(error)
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Refusal::Failed(error) => error.fmt(f),
            Refusal::Because(reason) => f.write_str(reason),
        }
    }
}

/// Refuses what would put a directory into itself, as far as names tell.
pub fn refuse_inside(directory: &str, to: &str) -> Result<(), Refusal> {
    let (outer, inner) = (file::full_name(directory)?, file::full_name(to)?);
    if inner == outer || path::join(&inner, "").starts_with(&path::join(&outer, "")) {
        return Err(Refusal::Because("a directory can't go into itself"));
    }
    Ok(())
}

/// Calls `act` with each source and where it goes: `TO`, or in `TO` if that is a directory.
pub fn each_target(
    operands: &[String],
    context: &mut Context<'_>,
    mut act: impl FnMut(&str, &str, &mut Context<'_>) -> Result<(), Refusal>,
) -> Outcome {
    let Some((target, sources)) = operands.split_last() else {
        return Ok(());
    };
    let into = file::metadata(target).is_ok_and(|metadata| metadata.kind == Kind::Directory);
    if sources.len() > 1 && !into {
        return Err(Failure::Failed(format!("{target}: {}", Error::NotADirectory)));
    }
    for source in sources {
        let place = if into { path::join(target, path::last_component(source)) } else { target.clone() };
        if let Err(error) = act(source, &place, context) {
            context.complain(&format!("{source} to {place}"), error);
        }
    }
    Ok(())
}

/// Copies one file over another or a new one. A file is never copied onto itself, which would empty it.
pub fn copy_file(from: &str, to: &str, kept: Kept, replaces: bool) -> Result<(), Refusal> {
    let mut source = File::open(from)?;
    let original = file::metadata(from)?;
    let is_new = match file::metadata(to) {
        Err(Error::NotFound) => true,
        other if other?.object == original.object && server(from)? == server(to)? => {
            return Err(Refusal::Because("they are the same file"));
        }
        _ => false,
    };
    let mut target = match File::create(to) {
        Err(Error::NoPermission) if replaces => file::remove(to).and_then(|()| File::create(to)),
        created => created,
    }?;
    kept.begin(to, &original, is_new)?;
    let mut chunk = alloc::vec![0; 64 * 1024];
    loop {
        let count = source.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        target.write_all(&chunk[..count])?;
    }
    target.flush()?;
    drop(target);
    Ok(kept.finish(to, &original)?)
}

/// The server that a name leads to.
fn server(name: &str) -> Result<impl PartialEq, Error> {
    file::resolve(name).map(|place| place.server)
}

/// Copies a directory with all that is in it, without recursion. What cannot be copied is complained about; whether nothing was.
pub fn copy_directory(
    from: &str,
    to: &str,
    kept: Kept,
    replaces: bool,
    context: &mut Context<'_>,
) -> Result<bool, Refusal> {
    let mut complaints: Vec<(String, Refusal)> = Vec::new();
    let mut pairs: Vec<(String, String)> = alloc::vec![(from.into(), to.into())];
    // What was made by this copy is not copied again, should TO lie in FROM by another name.
    let mut made: Vec<(String, Metadata, u64)> = Vec::new();
    while let Some((from, to)) = pairs.pop() {
        match enter(&from, &to, kept) {
            Ok((entries, original, copy)) => {
                made.push((to.clone(), original, copy));
                for entry in entries {
                    let (inner, target) = (path::join(&from, &entry.name), path::join(&to, &entry.name));
                    if entry.metadata.kind == Kind::Directory {
                        if !made.iter().any(|(_, _, copy)| *copy == entry.metadata.object) {
                            pairs.push((inner, target));
                        }
                    } else if let Err(error) = copy_file(&inner, &target, kept, replaces) {
                        complaints.push((format!("{inner} to {target}"), error));
                    }
                }
            }
            Err(error) => complaints.push((format!("{from} to {to}"), error.into())),
        }
    }
    for (copy, original, _) in made.iter().rev() {
        if let Err(error) = kept.finish(copy, original) {
            complaints.push((copy.clone(), error.into()));
        }
    }
    for (what, reason) in &complaints {
        context.complain(what, reason);
    }
    Ok(complaints.is_empty())
}

/// Makes the copy of a directory; what is in the original, what is said of it, and the number of the copy.
fn enter(from: &str, to: &str, kept: Kept) -> Result<(Vec<DirectoryEntry>, Metadata, u64), Error> {
    let entries = file::read_directory(from)?;
    let original = file::metadata(from)?;
    let is_new = match file::create_directory(to) {
        Err(Error::AlreadyExists) => false,
        created => created.map(|()| true)?,
    };
    let copy = file::metadata(to)?;
    if !copy.is_directory() {
        return Err(Error::NotADirectory);
    }
    kept.begin(to, &original, is_new)?;
    Ok((entries, original, copy.object))
}
