//! `trace`: the kernel's events, live or of one command.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use abi::kernel::{STATISTICS, server, statistics};
use abi::trace::{Event, TraceRecord};
use abi::{Error, Pid};
use protocols::supervisor::{MOST_TRACE_RECORDS, supervisor};
use v::message::{Segment, call};
use v::process::Command as Program;

use super::kernel::{describe, names};
use super::node::Node;
use crate::Command;
use crate::context::{Context, Failure, Outcome, failed};
use crate::usage::{Arguments, Choice, MANY, Misuse, NODE, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "trace",
        synopsis: "[-e EVENTS] PROGRAM [WORD...] [@NODE]",
        summary: "Runs a program and shows what the kernel did meanwhile: sends, receives, replies, faults, switches.",
        details: "EVENTS is a list with commas of: send receive reply forward switch fault create end interrupt.\n\
                  All but switch are shown unless told. Needs the right to trace. Put -- before a program that is\n\
                  given options. With @NODE the program runs here and that node's kernel is watched.",
        choices: &[
            Choice { letter: 'e', long: "events", value: Some("EVENTS"), help: "Only these events." },
            NODE,
        ],
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
    let node = Node::of(arguments)?;
    let tracer = Tracer::of(&node)?;
    let refused = |error: Error| failed("trace", error);
    let from = tracer.read(u64::MAX, |_| Ok(())).map_err(refused)?;
    let before = v::process::all_of(node.host).map(|records| names(&records)).unwrap_or_default();
    tracer.set(chosen).map_err(refused)?;
    let mut command = Program::new(name);
    for word in words {
        command = command.arg(word);
    }
    let result = command.start().and_then(|mut child| child.wait());
    let reset = tracer.set(0);
    let mut names = v::process::all_of(node.host).map(|records| names(&records)).unwrap_or_default();
    names.extend(before);
    let mut start_ns = None;
    tracer
        .read(from, |record| {
            let since_us = record.time_ns.saturating_sub(*start_ns.get_or_insert(record.time_ns)) / 1000;
            context.output.write_all(format!("{since_us:>9} us  {}\n", show(record, &names)).as_bytes())
        })
        .map_err(refused)?;
    reset.map_err(refused)?;
    context.status = result.map_err(|error| failed(name, error))?.code;
    Ok(())
}

/// Who sets and reads a kernel's trace: this node's for itself; another node's supervisor, since rights never travel.
enum Tracer {
    Kernel,
    Supervisor(Pid),
}

impl Tracer {
    fn of(node: &Node) -> Result<Tracer, Failure> {
        if node.is_named() { node.server("supervisor").map(Tracer::Supervisor) } else { Ok(Tracer::Kernel) }
    }

    fn set(&self, events: u32) -> Result<(), Error> {
        match self {
            Tracer::Kernel => {
                call(server(STATISTICS), &statistics::SetTrace { events }, Segment::None).map(|_| ())
            }
            Tracer::Supervisor(supervisor) => {
                call(*supervisor, &supervisor::SetTrace { events }, Segment::None).map(|_| ())
            }
        }
    }

    /// Gives every record from a sequence number on to `take`; returns where to go on.
    fn read(
        &self,
        mut from: u64,
        mut take: impl FnMut(&TraceRecord) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let mut buffer = alloc::vec![0; MOST_TRACE_RECORDS * TraceRecord::BYTES];
        loop {
            let segment = Segment::Write(&mut buffer);
            let (count, next) = match self {
                Tracer::Kernel => {
                    let read = call(server(STATISTICS), &statistics::ReadTrace { from }, segment)?;
                    (read.count, read.next)
                }
                Tracer::Supervisor(supervisor) => {
                    let read = call(*supervisor, &supervisor::ReadTrace { from }, segment)?;
                    (read.count, read.next)
                }
            };
            let (records, _) = buffer.as_chunks::<{ TraceRecord::BYTES }>();
            for record in records.iter().take(count as usize) {
                take(&TraceRecord::from_bytes(record))?;
            }
            from = next;
            if count == 0 {
                return Ok(from);
            }
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
