//! Trace records as text and as JSON.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use abi::trace::{Event, TraceRecord};
use abi::{Error, Pid};

use super::join::Entry;
use crate::json;
use crate::system::kernel::describe;

/// What happened, in words.
pub fn words(record: &TraceRecord, names: &BTreeMap<Pid, String>) -> String {
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

/// What a request is called.
pub fn request(code: u32) -> String {
    protocols::name_of(code).map_or_else(|| format!("{code:#x}"), String::from)
}

/// What a reply says.
pub fn outcome(code: u32) -> String {
    match Error::check(code) {
        Ok(()) => "ok".into(),
        // What a new team's root is told at its beginning is no outcome.
        Err(Error::Unknown(code)) => format!("{code:#x}"),
        Err(error) => format!("'{error}'"),
    }
}

/// A line for a person; with the node and the transaction if there are several nodes.
pub fn line(entry: &Entry, start_ns: i64, node: Option<&String>, names: &BTreeMap<Pid, String>) -> String {
    let since_us = (entry.time_ns - start_ns) / 1000;
    let words = words(&entry.record, names);
    let Some(node) = node else {
        return format!("{since_us:>9} us  {words}");
    };
    let transaction = entry.transaction.map_or_else(String::new, |number| format!("#{number}"));
    format!("{since_us:>9} us  {node:<8} {transaction:>6}  {words}")
}

/// An object of JSON in one line. Pids are their numbers, to be found again in others' lines.
pub fn object(entry: &Entry, node: &str, names: &BTreeMap<Pid, String>) -> String {
    let record = &entry.record;
    let event = Event::NAMES.iter().find(|(event, _)| Some(*event) == record.event());
    let transaction = entry.transaction.map_or_else(|| "null".into(), |number| format!("{number}"));
    format!(
        "{{\"time_ns\":{},\"node\":{},\"transaction\":{transaction},\"event\":{},\"from\":\"{}\",\"to\":\"{}\",\
         \"code\":{},\"text\":{}}}",
        entry.time_ns,
        json::string(node),
        json::string(event.map_or("unknown", |(_, name)| name)),
        record.from_pid(),
        record.to_pid(),
        record.code(),
        json::string(&words(record, names)),
    )
}
