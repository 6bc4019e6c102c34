//! `du`: how much files have in them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::file::{self, Kind};
use abi::Error;

use super::path;
use super::size::Shown;
use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "du",
        synopsis: "[-absh] [NAME...]",
        summary: "Shows how much the files below directories have in them.",
        details: "Sizes are in KiB, rounded up; a directory's is that of all below it. Without NAME it begins at the\n\
                  working directory.",
        choices: &[
            Choice { letter: 'a', long: "all", value: None, help: "Each file too." },
            Choice { letter: 's', long: "summarize", value: None, help: "Only what was named." },
            Choice { letter: 'b', long: "bytes", value: None, help: "Sizes in bytes." },
            Choice { letter: 'h', long: "human", value: None, help: "Sizes as 1.5M." },
        ],
        operands: (0, MANY),
    },
    body: du,
};

/// A directory whose entries are being added up.
struct Level {
    name: String,
    bytes: u64,
    waiting: Vec<(String, Kind, u64)>,
}

fn du(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let shown = Shown::of(arguments);
    let line = |bytes: u64, name: &str| format!("{}\t{name}\n", shown.size(bytes));
    let here = [String::from(".")];
    let starts = if arguments.operands.is_empty() { &here[..] } else { &arguments.operands[..] };
    for start in starts {
        let metadata = match file::metadata(start) {
            Ok(metadata) => metadata,
            Err(error) => {
                context.complain(start, error);
                continue;
            }
        };
        if metadata.kind != Kind::Directory {
            context.output.write_all(line(metadata.size, start).as_bytes())?;
            continue;
        }
        let mut levels = Vec::from([open(start, context)]);
        while let Some(level) = levels.last_mut() {
            match level.waiting.pop() {
                Some((name, Kind::Directory, _)) => levels.push(open(&name, context)),
                Some((name, kind, size)) => {
                    // What flows through streams and devices is kept nowhere.
                    let size = if kind == Kind::File { size } else { 0 };
                    level.bytes += size;
                    if arguments.has("all") && !arguments.has("summarize") {
                        context.output.write_all(line(size, &name).as_bytes())?;
                    }
                }
                None => {
                    let (name, bytes) = (core::mem::take(&mut level.name), level.bytes);
                    levels.pop();
                    if let Some(parent) = levels.last_mut() {
                        parent.bytes += bytes;
                    }
                    if levels.is_empty() || !arguments.has("summarize") {
                        context.output.write_all(line(bytes, &name).as_bytes())?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// A directory's level; one that cannot be read is complained about and has nothing in it.
fn open(name: &str, context: &mut Context<'_>) -> Level {
    let entries = file::read_directory(name).unwrap_or_else(|error: Error| {
        context.complain(name, error);
        Vec::new()
    });
    let mut waiting: Vec<_> = entries
        .into_iter()
        .map(|entry| (path::join(name, &entry.name), entry.metadata.kind, entry.metadata.size))
        .collect();
    waiting.sort_by(|left, right| right.0.cmp(&left.0));
    Level { name: name.into(), bytes: 0, waiting }
}
