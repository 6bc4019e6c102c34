//! `format-disk`, `check-disk`, `sync`: the volume of this node, files on a disk as a whole.

use alloc::format;
use alloc::vec;

use abi::Error;
use protocols::storage::{CONTROL, FILES, format_flag, storage};
use v::file::File;
use v::message::{Segment, call};

use super::node::Node;
use crate::Command;
use crate::context::{Context, Failure, Outcome, failed};
use crate::usage::{Arguments, Choice, MANY, NODE, Usage};

/// Room for what a check says.
const REPORT_BYTES: usize = 16 * 1024;

/// `format-disk`.
pub const FORMAT_DISK: Command = Command {
    usage: Usage {
        name: "format-disk",
        synopsis: "[-f] DISK",
        summary: "Makes a disk or a partition a volume, on which [storage] is.",
        details: "DISK is such as [disk0]all, or [disk0]1 for its first partition: 'disks' lists them. One that is not \
                  blank is left as it is; with --force what is on it is lost.",
        choices: &[Choice { letter: 'f', long: "force", value: None, help: "Even if something is on it." }],
        operands: (1, 1),
    },
    body: format_disk,
};

/// `check-disk`.
pub const CHECK_DISK: Command = Command {
    usage: Usage {
        name: "check-disk",
        synopsis: "[[storage]]",
        summary: "Looks at all that is on the disk of [storage], and says what is wrong.",
        details: "Each block is compared with its checksum, names with what they name, the map of used blocks with what \
                  uses them. What can be repaired is. The status is 1 if anything is wrong.",
        choices: &[],
        operands: (0, 1),
    },
    body: check_disk,
};

/// `sync`.
pub const SYNC: Command = Command {
    usage: Usage {
        name: "sync",
        synopsis: "[FILE...]",
        summary: "Waits until what was written is safe on the disk.",
        details: "Without files, all of [storage].",
        choices: &[NODE],
        operands: (0, MANY),
    },
    body: sync,
};

fn format_disk(arguments: &Arguments, _: &mut Context<'_>) -> Outcome {
    let disk = &arguments.operands[0];
    let flags = if arguments.has("force") { format_flag::FORCE } else { 0 };
    let server = Node::own().server(CONTROL)?;
    call(server, &storage::Format { flags }, Segment::Read(disk.as_bytes())).map_err(
        |error| match error {
            Error::AlreadyExists => failed(disk, "something is on it; with --force that is lost"),
            Error::Busy => failed(disk, "it is in use, or [storage] is on another disk already"),
            error => failed(disk, error),
        },
    )?;
    Ok(())
}

fn check_disk(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let files = format!("[{FILES}]");
    if let Some(name) = arguments.operands.first().filter(|name| **name != files) {
        return Err(failed(name, format!("only {files} can be checked")));
    }
    let server = Node::own().server(CONTROL)?;
    let mut text = vec![0; REPORT_BYTES];
    let checked = call(server, &storage::Check {}, Segment::Write(&mut text)).map_err(no_volume(&files))?;
    let text = text.get(..checked.count as usize).ok_or_else(|| failed(&files, Error::BadReply))?;
    context.output.write_all(text)?;
    let outcome = match checked.findings {
        0 => format!("{files} is clean\n"),
        1 => format!("{files}: 1 thing is wrong\n"),
        count => format!("{files}: {count} things are wrong\n"),
    };
    if checked.findings > 0 {
        context.status = 1;
    }
    Ok(context.output.write_all(outcome.as_bytes())?)
}

fn sync(arguments: &Arguments, _: &mut Context<'_>) -> Outcome {
    for name in &arguments.operands {
        File::open(name).and_then(|file| file.synchronize()).map_err(|error| failed(name, error))?;
    }
    if !arguments.operands.is_empty() {
        return Ok(());
    }
    let node = Node::of(arguments)?;
    if !node.is_named() && !v::name::is_known_here(CONTROL) {
        // Where no disk is, nothing is ever safe, and nobody has to wait for that.
        return Ok(());
    }
    let name = node.prefix(FILES);
    call(node.server(CONTROL)?, &storage::Synchronize {}, Segment::None)
        .map_err(|error| failed(&name, error))?;
    Ok(())
}

fn no_volume(files: &str) -> impl Fn(Error) -> Failure {
    move |error| match error {
        Error::NotFound => failed(files, "no disk has a volume; 'format-disk' makes one"),
        error => failed(files, error),
    }
}
