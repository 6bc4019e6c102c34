//! `ps`: processes, what they do and what each waits for.

use alloc::format;
use alloc::string::String;

use abi::kernel::record::{ProcessRecord, ProcessState};

use super::kernel::{describe, name, names};
use super::node::Node;
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, Choice, NODE, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "ps",
        synopsis: "[-t] [@NODE]",
        summary: "Lists the processes of a node.",
        details: "STATE is what the process does: ready, receive (waits for a message), send (its message has not been\n\
                  received), reply (waits for the answer), delay, newborn, exception, ended. WAITS-ON is for whom.\n\
                  PRIO is its priority, 0 the most urgent; a second number is the one that it has while it serves\n\
                  someone more urgent.",
        choices: &[
            Choice { letter: 't', long: "teams", value: None, help: "Only the first process of each team." },
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
    context.output.write_all(
        format!(
            "{:<17} {:<16} {:<10} {:<18} {:>5} {:>6} {:>7} {:>9} {:>8}\n",
            "PID", "NAME", "STATE", "WAITS-ON", "PRIO", "USER", "PAGES", "CPU-MS", "RECEIVED"
        )
        .as_bytes(),
    )?;
    for record in &records {
        if arguments.has("teams") && record.team != record.pid {
            continue;
        }
        let line = format!(
            "{:<17} {:<16} {:<10} {:<18} {:>5} {:>6} {:>7} {:>9} {:>8}\n",
            format!("{}", record.process()),
            name(record),
            state(record),
            describe(abi::Pid::from_bits(record.waits_on), &names),
            priority(record),
            record.user(),
            record.team_pages,
            record.run_ns / 1_000_000,
            record.received,
        );
        context.output.write_all(line.as_bytes())?;
    }
    Ok(())
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
