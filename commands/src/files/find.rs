//! `find`: names below a directory.

use alloc::format;
use alloc::string::String;

use v::file::{self, Kind};

use super::path;
use crate::Command;
use crate::context::{Context, Outcome};
use crate::shell::pattern::{Masked, Pattern};
use crate::usage::{Arguments, Choice, MANY, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "find",
        synopsis: "[-n PATTERN] [-t f|d] [-d DEPTH] [NAME...]",
        summary: "Lists what is below directories, at any depth.",
        details: "Without NAME it begins at the working directory. -name, -type and -maxdepth may have one hyphen.",
        choices: &[
            Choice {
                letter: 'n',
                long: "name",
                value: Some("PATTERN"),
                help: "Only what is called so; * ? and [...] stand for others.",
            },
            Choice {
                letter: 't',
                long: "type",
                value: Some("f|d"),
                help: "Only files, or only directories.",
            },
            Choice {
                letter: 'd',
                long: "maxdepth",
                value: Some("DEPTH"),
                help: "Not deeper than so many levels.",
            },
        ],
        operands: (0, MANY),
    },
    body: find,
};

fn find(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let wanted_kind = match arguments.value("type") {
        None => None,
        Some("f") => Some(Kind::File),
        Some("d") => Some(Kind::Directory),
        Some(other) => {
            return Err(Misuse(format!("there is no type '{other}'; f is a file, d a directory")).into());
        }
    };
    let pattern = arguments.value("name").map(|text| {
        let quoted = alloc::vec![false; text.len()];
        Pattern::new(&Masked { text: text.into(), quoted })
    });
    let deepest: usize = arguments.number("maxdepth")?.unwrap_or(usize::MAX);
    let here = [String::from(".")];
    let starts = if arguments.operands.is_empty() { &here[..] } else { &arguments.operands[..] };
    for start in starts {
        let start_kind = match file::metadata(start) {
            Ok(metadata) => metadata.kind,
            Err(error) => {
                context.complain(start, error);
                continue;
            }
        };
        let mut waiting = alloc::vec![(start.clone(), start_kind, 0)];
        while let Some((name, found_kind, depth)) = waiting.pop() {
            let last = path::last_component(&name).as_bytes();
            let is_named = pattern.as_ref().is_none_or(|pattern| pattern.matches(last));
            if is_named && wanted_kind.is_none_or(|wanted| wanted == found_kind) {
                context.output.write_all(format!("{name}\n").as_bytes())?;
            }
            if found_kind != Kind::Directory || depth == deepest {
                continue;
            }
            match file::read_directory(&name) {
                Ok(mut entries) => {
                    entries.sort_by(|left, right| right.name.cmp(&left.name));
                    waiting.extend(
                        entries
                            .iter()
                            .map(|entry| (path::join(&name, &entry.name), entry.metadata.kind, depth + 1)),
                    );
                }
                Err(error) => context.complain(&name, error),
            }
        }
    }
    Ok(())
}
