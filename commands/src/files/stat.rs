//! `stat`: all that a server says of an object.

use alloc::format;
use alloc::string::{String, ToString};

use crate::file::{self, Kind, Metadata};
use protocols::io::attribute;

use super::path;
use crate::Command;
use crate::context::{Context, Outcome};
use crate::system::date::format_time;
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "stat",
        synopsis: "[-c FORMAT] NAME...",
        summary: "Shows all that is known of files.",
        details: "In FORMAT, %n is the name, %N its last part, %F the kind, %s the size, %a what can be done with it,\n\
                  %A who may read and write it as 'ls -l' shows, %U its owner, %i its number in its server, %y and %w when it was changed and made, %Y and %W the\n\
                  same in seconds since 1970, %% a percent sign.",
        choices: &[Choice {
            letter: 'c',
            long: "format",
            value: Some("FORMAT"),
            help: "A line in this format.",
        }],
        operands: (1, MANY),
    },
    body: stat,
};

/// What is written without a format.
const WHOLE: &str =
    "%n: %F, %s bytes\n  can be %a, owner %U, permissions %A, number %i\n  changed %y\n  made    %w";

fn stat(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let format = arguments.value("format").unwrap_or(WHOLE);
    for name in &arguments.operands {
        match file::metadata(name) {
            Ok(metadata) => context.output.write_all((fill(format, name, &metadata) + "\n").as_bytes())?,
            Err(error) => context.complain(name, error),
        }
    }
    Ok(())
}

/// The format with what is known of an object in it.
fn fill(format: &str, name: &str, metadata: &Metadata) -> String {
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let piece = match letters.next() {
            Some('n') => name.into(),
            Some('N') => path::last_component(name).into(),
            Some('F') => kind(metadata.kind).into(),
            Some('s') => metadata.size.to_string(),
            Some('a') => access(metadata.attributes),
            Some('A') => metadata.permissions().map_or_else(|| "none".into(), |known| known.to_string()),
            Some('U') => metadata.owner.to_string(),
            Some('i') => metadata.object.to_string(),
            Some('y') => time(metadata.modified_ns),
            Some('w') => time(metadata.created_ns),
            Some('Y') => (metadata.modified_ns / 1_000_000_000).to_string(),
            Some('W') => (metadata.created_ns / 1_000_000_000).to_string(),
            Some('%') | None => "%".into(),
            Some(other) => format!("%{other}"),
        };
        text += &piece;
    }
    text
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Stream => "stream",
        Kind::Device => "device",
        Kind::Prefix => "prefix",
        Kind::Other(_) => "something unknown",
    }
}

fn access(attributes: u32) -> String {
    let words = [
        (attribute::READABLE, "read"),
        (attribute::WRITABLE, "written"),
        (attribute::APPEND_ONLY, "appended to only"),
    ];
    let mut text = String::new();
    for (_, word) in words.into_iter().filter(|(bit, _)| attributes & bit != 0) {
        text += if text.is_empty() { "" } else { ", " };
        text += word;
    }
    if text.is_empty() { "used by nobody".into() } else { text }
}

fn time(ns: u64) -> String {
    format_time(ns, "%Y-%m-%d %H:%M:%S").unwrap_or_else(|_| "?".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocols::permissions::Permissions;

    #[test]
    fn a_format_is_filled_in() {
        let metadata = Metadata {
            kind: Kind::File,
            attributes: attribute::READABLE | attribute::WRITABLE | Permissions::USUAL.in_attributes(),
            owner: 1,
            size: 42,
            modified_ns: 1_704_067_200_000_000_000,
            created_ns: 0,
            object: 7,
        };
        let filled = |format| fill(format, "[tmp]a/b", &metadata);
        assert_eq!(filled("%n %N %F %s %U %i %Y %W"), "[tmp]a/b b file 42 1 7 1704067200 0");
        assert_eq!(filled("%y|%a|%A"), "2024-01-01 00:00:00|read, written|rw-r--");
        assert_eq!(filled("100%% %z %"), "100% %z %");
    }
}
