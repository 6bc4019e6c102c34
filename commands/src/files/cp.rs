//! `cp`: copies files and directories.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::Error;
use v::file::{self, File, Kind};
use v::io::{Read, Write};

use super::path;
use crate::Command;
use crate::context::{Context, Failure, Outcome};
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "cp",
        synopsis: "[-r] FROM... TO",
        summary: "Copies files; several into a directory.",
        details: "",
        choices: &[Choice {
            letter: 'r',
            long: "recursive",
            value: None,
            help: "Directories too, with all that is in them.",
        }],
        operands: (2, MANY),
    },
    body: cp,
};

fn cp(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    each_target(&arguments.operands, context, |from, to| {
        if file::metadata(from)?.kind != Kind::Directory {
            return copy_file(from, to);
        }
        if !arguments.has("recursive") {
            return Err(Refusal::Because("a directory is copied only with -r"));
        }
        refuse_inside(from, to)?;
        copy_directory(from, to)
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
    let (outer, inner) = (v::name::full_name(directory)?, v::name::full_name(to)?);
    if inner == outer || path::join(&inner, "").starts_with(&path::join(&outer, "")) {
        return Err(Refusal::Because("a directory can't go into itself"));
    }
    Ok(())
}

/// Calls `act` with each source and where it goes: `TO`, or in `TO` if that is a directory.
pub fn each_target(
    operands: &[String],
    context: &mut Context<'_>,
    mut act: impl FnMut(&str, &str) -> Result<(), Refusal>,
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
        if let Err(error) = act(source, &place) {
            context.complain(&format!("{source} to {place}"), error);
        }
    }
    Ok(())
}

/// Copies one file over another or a new one. A file is never copied onto itself, which would empty it.
pub fn copy_file(from: &str, to: &str) -> Result<(), Refusal> {
    let mut source = File::open(from)?;
    if same_object(from, to)? {
        return Err(Refusal::Because("they are the same file"));
    }
    let mut target = File::create(to)?;
    let mut chunk = alloc::vec![0; 64 * 1024];
    loop {
        let count = source.read(&mut chunk)?;
        if count == 0 {
            return Ok(target.flush()?);
        }
        target.write_all(&chunk[..count])?;
    }
}

/// Whether two names are of one object.
pub fn same_object(left: &str, right: &str) -> Result<bool, Error> {
    let other = match file::metadata(right) {
        Err(Error::NotFound) => return Ok(false),
        other => other?,
    };
    let one = file::metadata(left)?;
    let server = |name| v::name::resolve(name).map(|place| place.server);
    Ok(one.object == other.object && server(left)? == server(right)?)
}

/// Copies a directory with all that is in it, without recursion.
fn copy_directory(from: &str, to: &str) -> Result<(), Refusal> {
    let mut pairs: Vec<(String, String)> = alloc::vec![(from.into(), to.into())];
    // What was made by this copy is not copied again, should TO lie in FROM by another name.
    let mut made = Vec::new();
    while let Some((from, to)) = pairs.pop() {
        let entries = file::read_directory(&from)?;
        match file::create_directory(&to) {
            Err(Error::AlreadyExists) => {}
            result => result?,
        }
        made.push(file::metadata(&to)?.object);
        for entry in entries {
            let (inner, target) = (path::join(&from, &entry.name), path::join(&to, &entry.name));
            if entry.metadata.kind != Kind::Directory {
                copy_file(&inner, &target)?;
            } else if !made.contains(&entry.metadata.object) {
                pairs.push((inner, target));
            }
        }
    }
    Ok(())
}
