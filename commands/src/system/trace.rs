//! `trace`: the kernel's events, live or of one command.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use abi::kernel::{STATISTICS, server, statistics};
use abi::trace::{Event, TraceRecord};
use abi::{Error, Pid};
use v::message::{Segment, call};
use v::process::Command as Program;

use super::kernel::{describe, names};
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, Choice, MANY, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "trace",
        synopsis: "[-e EVENTS] PROGRAM [WORD...]",
        summary: "Runs a program and shows what the kernel did meanwhile: sends, receives, replies, faults, switches.",
        details: "EVENTS is a list with commas of: send receive reply forward switch fault create end interrupt.\n\
                  All but switch are shown unless told. Needs the right to trace. Put -- before a program that is\n\
                  given options.",
        choices: &[Choice { letter: 'e', long: "events", value: Some("EVENTS"), help: "Only these events." }],
        operands: (1, MANY),
    },
    body: trace,
};

fn events(list: Option<&str>) -> Result<u32, Misuse> {
    let Some(list) = list else {
        let all = Event::NAMES.iter().fold(0, |set, (event, _)| set | event.bit());
        return Ok(all & !Event::Switch.bit());
    };
    list.split(',').try_fold(0, |set, word| {
        let known = Event::NAMES.iter().find(|(_, name)| *name == word);
        known.map(|(event, _)| set | event.bit()).ok_or_else(|| Misuse(format!("there is no event '{word}'")))
    })
}

fn trace(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let chosen = events(arguments.value("events"))?;
    let (name, words) =
        arguments.operands.split_first().ok_or_else(|| Misuse("a program is missing".into()))?;
    let refused = |error: Error| failed("statistics server", error);
    let from = read(u64::MAX, |_| Ok(())).map_err(refused)?;
    let before = v::process::all().map(|records| names(&records)).unwrap_or_default();
    set(chosen).map_err(refused)?;
    let mut command = Program::new(name);
    for word in words {
        command = command.arg(word);
    }
    let result = command.start().and_then(|mut child| child.wait());
    let reset = set(0);
    let mut names = v::process::all().map(|records| names(&records)).unwrap_or_default();
    names.extend(before);
    let mut start_ns = None;
    read(from, |record| {
        let since_us = record.time_ns.saturating_sub(*start_ns.get_or_insert(record.time_ns)) / 1000;
        context.output.write_all(format!("{since_us:>9} us  {}\n", show(record, &names)).as_bytes())
    })
    .map_err(refused)?;
    reset.map_err(refused)?;
    context.status = result.map_err(|error| failed(name, error))?.code;
    Ok(())
}

fn set(events: u32) -> Result<(), Error> {
    call(server(STATISTICS), &statistics::SetTrace { events }, Segment::None).map(|_| ())
}

/// Gives every record from a sequence number on to `take`; returns where to go on.
fn read(mut from: u64, mut take: impl FnMut(&TraceRecord) -> Result<(), Error>) -> Result<u64, Error> {
    let mut buffer = alloc::vec![0; 128 * TraceRecord::BYTES];
    loop {
        let reply = call(server(STATISTICS), &statistics::ReadTrace { from }, Segment::Write(&mut buffer))?;
        let (records, _) = buffer.as_chunks::<{ TraceRecord::BYTES }>();
        for record in records.iter().take(reply.count as usize) {
            take(&TraceRecord::from_bytes(record))?;
        }
        from = reply.next;
        if reply.count == 0 {
            return Ok(from);
        }
    }
}

fn show(record: &TraceRecord, names: &BTreeMap<Pid, String>) -> String {
    let from = describe(record.from_pid(), names);
    let to = describe(record.to_pid(), names);
    let code = record.code();
    match record.event() {
        Some(Event::Send) => format!("{from} sends {} to {to}", request(code)),
        Some(Event::Receive) => format!("{to} receives from {from}"),
        Some(Event::Reply) => format!("{from} replies {} to {to}", outcome(code)),
        Some(Event::Forward) => format!("{from} is forwarded to {to}"),
        Some(Event::Switch) => format!("switch from {from} to {to}"),
        Some(Event::Fault) => format!("{from} faults at {:x}, vector {code}", record.to),
        Some(Event::Create) => format!("{to} creates {from}"),
        Some(Event::End) => format!("{from} ends with status {code}"),
        Some(Event::Interrupt) => format!("interrupt {code} for {to}"),
        None => format!("event {}", record.event_and_code as u32),
    }
}

fn request(code: u32) -> String {
    protocols::name_of(code).map_or_else(|| format!("{code:#x}"), String::from)
}

fn outcome(code: u32) -> String {
    match Error::check(code) {
        Ok(()) => "ok".into(),
        Err(error) => format!("'{error}'"),
    }
}
