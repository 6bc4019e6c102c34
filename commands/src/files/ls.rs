//! `ls`: what is in a directory.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::file::{self, DirectoryEntry, Kind, Metadata};
use protocols::io::attribute;

use crate::Command;
use crate::context::{Context, Outcome};
use crate::system::date::format_time;
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "ls",
        synopsis: "[-ladrtSF] [NAME...]",
        summary: "Lists what is in directories, or files.",
        details: "Without NAME it lists the working directory. -l shows who may read (r) and write (w), the owner first and\n\
                  then others, as rw-r--; dots where a server has no permissions.",
        choices: &[
            Choice {
                letter: 'l',
                long: "long",
                value: None,
                help: "Say kind, access, owner, size and time of each.",
            },
            Choice { letter: 'a', long: "all", value: None, help: "Also names that begin with a dot." },
            Choice {
                letter: 'd',
                long: "directory",
                value: None,
                help: "Directories themselves, not what is in them.",
            },
            Choice { letter: 'F', long: "classify", value: None, help: "A / after each directory." },
            Choice { letter: 't', long: "time", value: None, help: "Newest first." },
            Choice { letter: 'S', long: "size", value: None, help: "Largest first." },
            Choice { letter: 'r', long: "reverse", value: None, help: "The other way round." },
        ],
        operands: (0, MANY),
    },
    body: ls,
};

fn ls(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let here = [String::from(".")];
    let names = if arguments.operands.is_empty() { &here[..] } else { &arguments.operands[..] };
    let (mut files, mut directories) = (Vec::new(), Vec::new());
    for name in names {
        match file::metadata(name) {
            Ok(metadata) if metadata.kind == Kind::Directory && !arguments.has("directory") => {
                directories.push(name);
            }
            Ok(metadata) => files.push(DirectoryEntry { name: name.clone(), metadata }),
            Err(error) => context.complain(name, error),
        }
    }
    let mut any = !files.is_empty();
    write(arguments, context, files)?;
    for name in directories {
        match file::read_directory(name) {
            Ok(mut entries) => {
                if names.len() > 1 {
                    let gap = if any { "\n" } else { "" };
                    context.output.write_all(format!("{gap}{name}:\n").as_bytes())?;
                }
                any = true;
                entries.retain(|entry| arguments.has("all") || !entry.name.starts_with('.'));
                write(arguments, context, entries)?;
            }
            Err(error) => context.complain(name, error),
        }
    }
    Ok(())
}

fn write(arguments: &Arguments, context: &mut Context<'_>, mut entries: Vec<DirectoryEntry>) -> Outcome {
    entries.sort_by(|left, right| left.name.cmp(&right.name));
    if arguments.has("time") {
        entries.sort_by_key(|entry| core::cmp::Reverse(entry.metadata.modified_ns));
    }
    if arguments.has("size") {
        entries.sort_by_key(|entry| core::cmp::Reverse(entry.metadata.size));
    }
    if arguments.has("reverse") {
        entries.reverse();
    }
    let width = entries.iter().map(|entry| format!("{}", entry.metadata.size).len()).max().unwrap_or(0);
    for entry in &entries {
        let mark = if arguments.has("classify") && entry.metadata.kind == Kind::Directory { "/" } else { "" };
        let long = if arguments.has("long") { long(&entry.metadata, width) } else { String::new() };
        context.output.write_all(format!("{long}{}{mark}\n", entry.name).as_bytes())?;
    }
    Ok(())
}

/// Kind as a letter, who may read and write, owner, size, time. Where there are no permissions, what can be done at all.
fn long(metadata: &Metadata, size_width: usize) -> String {
    let letter = match metadata.kind {
        Kind::File => '-',
        Kind::Directory => 'd',
        Kind::Stream => 's',
        Kind::Device => 'c',
        Kind::Prefix => 'p',
        Kind::Other(_) => '?',
    };
    let can = |bit, letter| {
        if metadata.attributes & bit == 0 { '-' } else { letter }
    };
    let access = metadata.permissions().map_or_else(
        || format!("{}{}....", can(attribute::READABLE, 'r'), can(attribute::WRITABLE, 'w')),
        |permissions| permissions.to_string(),
    );
    let time = format_time(metadata.modified_ns, "%Y-%m-%d %H:%M").unwrap_or_else(|_| "?".into());
    format!("{letter}{access} {:>5} {:>size_width$} {time} ", metadata.owner, metadata.size)
}
