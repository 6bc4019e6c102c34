//! `ps`: processes, what they do and what each waits for.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::kernel::record::{ProcessRecord, ProcessState};
use abi::{LogicalHost, Pid};
use protocols::program::ProgramRecord;

use super::kernel::{column, describe, name, names};
use super::node::Node;
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::json;
use crate::usage::{Arguments, Choice, NODE, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "ps",
        synopsis: "[-t] [--json] [@NODE]",
        summary: "Lists the processes of a node.",
        details: "STATE is what the process does: ready, receive (waits for a message), send (its message has not been\n\
                  received), reply (waits for the answer), delay, newborn, exception, ended. WAITS-ON is for whom.\n\
                  PRIO is its priority, 0 the most urgent; a second number is the one that it has while it serves\n\
                  someone more urgent. GUEST says of programs that were started from elsewhere, or are free to\n\
                  move, on which node.",
        choices: &[
            Choice { letter: 't', long: "teams", value: None, help: "Only the first process of each team." },
            json::OPTION,
            NODE,
        ],
        operands: (0, 0),
    },
    body: ps,
};

fn ps(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let host = Node::of(arguments)?.host;
    let records = v::process::all_of(host).map_err(|error| failed("process server", error))?;
    let names = names(&records);
    let origins = origins(host);
    let mut shown = records.iter().filter(|record| !arguments.has("teams") || record.team == record.pid);
    if arguments.has("json") {
        let objects = shown.map(|record| object(record, &names, &origins));
        return Ok(context.output.write_all((json::array(objects) + "\n").as_bytes())?);
    }
    context.output.write_all(
        format!(
            "{:<17} {:<16} {:<10} {:<18} {:>5} {:>6} {:>7} {:>9} {:>8}{}\n",
            "PID", "NAME", "STATE", "WAITS-ON", "PRIO", "USER", "PAGES", "CPU-MS", "RECEIVED", " GUEST"
        )
        .as_bytes(),
    )?;
    shown.try_for_each(|record| {
        let guest = origin(record, &origins);
        let line = format!(
            "{:<17} {:<16} {:<10} {:<18} {:>5} {:>6} {:>7} {:>9} {:>8}{}\n",
            format!("{}", record.process()),
            column(&name(record)),
            state(record),
            describe(Pid::from_bits(record.waits_on), &names),
            priority(record),
            record.user(),
            record.team_pages,
            record.run_ns / 1_000_000,
            record.received,
            guest.map_or_else(String::new, |origin| format!(" {origin}")),
        );
        Ok(context.output.write_all(line.as_bytes())?)
    })
}

/// Where a process's team was started, if it is a guest.
fn origin<'a>(record: &ProcessRecord, origins: &'a [(Pid, String)]) -> Option<&'a str> {
    let found = origins.iter().find(|(program, _)| program.to_bits() == record.team);
    found.map(|(_, origin)| origin.as_str())
}

fn object(record: &ProcessRecord, names: &BTreeMap<Pid, String>, origins: &[(Pid, String)]) -> String {
    let object = json::Object::new()
        .text("pid", &format!("{}", record.process()))
        .text("team", &format!("{}", Pid::from_bits(record.team)))
        .text("name", &name(record))
        .text("state", &state(record))
        .text("waits_on", &describe(Pid::from_bits(record.waits_on), names))
        .number("priority", record.priorities as u32)
        .number("priority_in_force", (record.priorities >> 32) as u32)
        .number("user", record.user().0)
        .number("pages", record.team_pages)
        .number("cpu_ns", record.run_ns)
        .number("received", record.received)
        .number("sent", record.sent)
        .number("sent_elsewhere", record.sent_elsewhere)
        .number("page_faults", record.page_faults)
        .number("page_reads", record.page_reads);
    match origin(record, origins) {
        Some(origin) => object.text("guest_of", origin).end(),
        None => object.end(),
    }
}

/// The guests of a node, and the node on which each was started.
fn origins(host: LogicalHost) -> Vec<(Pid, String)> {
    // Without its program manager, which is being started again, it is a list of processes.
    let programs = v::process::programs_of(host).unwrap_or_default();
    let guests: Vec<ProgramRecord> =
        programs.running.into_iter().filter(|program| program.is_guest).collect();
    if guests.is_empty() {
        return Vec::new();
    }
    let nodes = v::node::all().unwrap_or_default();
    let named = |guest: &ProgramRecord| {
        let from = guest.from()?;
        let node = nodes.iter().find(|node| node.logical_host == from);
        Some(node.and_then(|node| node.name()).map_or_else(|| format!("{:x}", from.to_bits()), String::from))
    };
    guests.iter().map(|guest| (guest.program, named(guest).unwrap_or_else(|| "?".into()))).collect()
}

fn state(record: &ProcessRecord) -> String {
    let word = ProcessState::from_number(record.state)
        .and_then(|state| ProcessState::NAMES.iter().find(|(known, _)| *known == state))
        .map_or("?", |(_, word)| word);
    if record.state & ProcessState::SUSPENDED_BIT != 0 { format!("{word}*") } else { word.into() }
}

fn priority(record: &ProcessRecord) -> String {
    let (own, in_force) = (record.priorities as u32, (record.priorities >> 32) as u32);
    if own == in_force { format!("{own}") } else { format!("{own}/{in_force}") }
}
