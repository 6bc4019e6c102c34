//! `migrateprog` and `evacuate`: moving programs between nodes while they run.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::{Error, LogicalHost, Pid};
use protocols::network::HostRecord;
use v::process::{self, Place};

use super::hosts::network_failure;
use super::node::{self, Node};
use crate::Command;
use crate::context::{Context, Failure, Outcome};
use crate::usage::{Arguments, MANY, NODE, Usage};

/// The command.
pub const MIGRATEPROG: Command = Command {
    usage: Usage {
        name: "migrateprog",
        synopsis: "PID|PROGRAM... [@NODE]",
        summary: "Moves guests to another node while they run.",
        details: "A guest is a program that was started with @NODE or @ *, as hosts shows them. It is named by the number\n\
                  of its first process, or by its name if only one guest in the domain has that. Without a node it goes to\n\
                  the one that is idle most. Its files, pipes, terminal and messages under way go on, and nothing of it stays\n\
                  on the node that it leaves. What cannot be moved goes on where it is, and the reason is told.",
        choices: &[NODE],
        operands: (1, MANY),
    },
    body: migrateprog,
};

/// The command.
pub const EVACUATE: Command = Command {
    usage: Usage {
        name: "evacuate",
        synopsis: "[@NODE]",
        summary: "Moves all guests of a node, this one or another, to others.",
        details: "Each goes to the node that is idle most. The status is 1 if one of them could not be moved; it goes on\n\
                  where it is, and the reason is told.",
        choices: &[NODE],
        operands: (0, 0),
    },
    body: evacuate,
};

/// A guest, and on which node it is.
struct Guest {
    program: Pid,
    name: String,
    host: HostRecord,
}

fn migrateprog(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let to = match arguments.value(NODE.long) {
        Some(name) => {
            node::find(name)?;
            Place::Node(name.into())
        }
        None => Place::any(),
    };
    let guests = guests(&all_nodes()?);
    for word in &arguments.operands {
        match find(&guests, word) {
            Ok(guest) => move_guest(guest, &to, context)?,
            Err(why) => context.complain(word, why),
        }
    }
    Ok(())
}

fn evacuate(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let host = match Node::of(arguments)?.host {
        LogicalHost::OWN => v::node::host(),
        host => host,
    };
    let nodes: Vec<HostRecord> = all_nodes()?.into_iter().filter(|node| node.logical_host == host).collect();
    for guest in guests(&nodes) {
        move_guest(&guest, &Place::any(), context)?;
    }
    Ok(())
}

fn all_nodes() -> Result<Vec<HostRecord>, Failure> {
    v::node::all().map_err(|error| network_failure("[network]", error))
}

/// The guests of some nodes. A node that does not answer has none.
fn guests(nodes: &[HostRecord]) -> Vec<Guest> {
    let mut guests = Vec::new();
    for host in nodes {
        let Ok(programs) = process::programs_of(host.logical_host) else { continue };
        for record in programs.running.iter().filter(|record| record.is_guest) {
            let name = record.name().unwrap_or("?").into();
            guests.push(Guest { program: record.program, name, host: *host });
        }
    }
    guests
}

/// The guest that a word means.
fn find<'a>(guests: &'a [Guest], word: &str) -> Result<&'a Guest, String> {
    if let Ok(pid) = word.parse::<Pid>() {
        return guests.iter().find(|guest| guest.program == pid).ok_or_else(|| {
            let why = if pid.is_guest() {
                "there is no such guest"
            } else {
                "not a guest, so it stays where it is"
            };
            format!("{why}; hosts shows the guests")
        });
    }
    let mut named = guests.iter().filter(|guest| guest.name == word);
    let guest = named.next().ok_or("no guest has this name; hosts shows the guests")?;
    let others: Vec<String> = named.map(|other| format!("{}", other.program)).collect();
    if others.is_empty() {
        return Ok(guest);
    }
    Err(format!("several guests have this name: {}, {}; say which", guest.program, others.join(", ")))
}

/// Moves a guest, and says so.
fn move_guest(guest: &Guest, to: &Place, context: &mut Context<'_>) -> Outcome {
    let from = guest.host.name().unwrap_or("?");
    let (node, moved) = match process::migrate(guest.program, to) {
        Ok(moved) => moved,
        Err(error) => {
            let object = format!("{} {}", guest.name, guest.program);
            context.complain(&object, reason(error));
            return Ok(());
        }
    };
    let line = format!(
        "{} {}: {from} -> {node}, {} pages while it ran and {} while it did not, for {}.{:03} ms\n",
        guest.name,
        guest.program,
        moved.running_pages,
        moved.frozen_pages,
        moved.frozen_us / 1000,
        moved.frozen_us % 1000,
    );
    Ok(context.output.write_all(line.as_bytes())?)
}

/// Why a program was not moved, for people.
fn reason(error: Error) -> String {
    match error {
        Error::NotMovable => "it has something that cannot be moved, such as a device or wired memory".into(),
        Error::Busy => "something that it does cannot be interrupted now; try again later".into(),
        Error::NoMemory => "the other node has not enough memory for it".into(),
        Error::NoOffer => "no other node offers to take it".into(),
        Error::BadArgument => "it is there already".into(),
        error => format!("{error}; it goes on where it was"),
    }
}
