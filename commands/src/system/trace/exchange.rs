//! The Sends of one program, each with its reply, out of a kernel's records.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::trace::{Event, TraceRecord};
use abi::words::{self, Field, Value};
use abi::{Error, Message, Pid};

use super::show::{outcome, request};
use crate::json;
use crate::system::kernel::describe;

/// What a kernel has to record.
pub const EVENTS: u32 =
    Event::Send.bit() | Event::Reply.bit() | Event::Forward.bit() | Event::Create.bit() | Event::End.bit();

/// A Send of the program's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exchange {
    /// When, in nanoseconds since boot.
    pub sent_ns: u64,
    /// Who answered, or was asked last.
    server: Pid,
    /// What was asked.
    request: Message,
    /// What was answered, and after how long; none if it was not.
    reply: Option<(Message, u64)>,
}

/// The exchanges of a program, which is known by its root, and of the further processes that it made.
pub fn exchanges(records: &[TraceRecord], root: Pid) -> Vec<Exchange> {
    let mut own = BTreeSet::from([root]);
    // By process, the exchange that is under way.
    let mut open: BTreeMap<Pid, usize> = BTreeMap::new();
    let mut all: Vec<Exchange> = Vec::new();
    for record in records {
        let (from, to) = (record.from_pid(), record.to_pid());
        match record.event() {
            Some(Event::Create) if own.contains(&to) => {
                own.insert(from);
            }
            Some(Event::Send) if own.contains(&from) => {
                open.insert(from, all.len());
                let request = record.message();
                all.push(Exchange { sent_ns: record.time_ns, server: to, request, reply: None });
            }
            Some(Event::Forward) => {
                if let Some(at) = open.get(&from) {
                    all[*at].server = to;
                }
            }
            Some(Event::Reply) => {
                if let Some(at) = open.remove(&to) {
                    let exchange = &mut all[at];
                    let took_ns = record.time_ns.saturating_sub(exchange.sent_ns);
                    exchange.reply = Some((record.message(), took_ns));
                }
            }
            // What its root is answered from here on is the notice of its end.
            Some(Event::End) => {
                open.remove(&from);
            }
            _ => {}
        }
    }
    all
}

impl Exchange {
    /// A line for a person.
    pub fn line(&self, start_ns: u64, names: &BTreeMap<Pid, String>) -> String {
        let since_us = self.sent_ns.saturating_sub(start_ns) / 1000;
        let (request, server) = (request(self.request.code()), describe(self.server, names));
        let answer = match &self.reply {
            Some((reply, took_ns)) => format!("{} after {} us", outcome(reply.code()), took_ns / 1000),
            None => String::from("no answer"),
        };
        let shown = |text: String, (name, value)| text + &format!(" {name}={value}");
        let fields = self.fields().fold(String::new(), shown);
        let replied = self.replied().fold(String::new(), shown);
        let arrow = if replied.is_empty() { "" } else { " ->" };
        let line =
            format!("{since_us:>9} us  {request:<20} {server:<16} {answer:<20} {fields}{arrow}{replied}");
        format!("{}\n", line.trim_end())
    }

    /// What the request's fields hold.
    fn fields(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let fields = protocols::operation(self.request.code()).map_or(&[][..], |operation| operation.request);
        words::values(fields, &self.request)
    }

    /// What the reply's fields hold, if it is none that refuses.
    fn replied(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let reply = self.reply.as_ref().map(|(reply, _)| reply);
        let done = reply.filter(|reply| Error::check(reply.code()).is_ok());
        let fields = |_| protocols::operation(self.request.code()).map(|operation| operation.reply);
        let fields: &[Field] = done.and_then(fields).unwrap_or_default();
        reply.into_iter().flat_map(move |reply| words::values(fields, reply))
    }

    /// A line of JSON.
    pub fn object(&self, names: &BTreeMap<Pid, String>) -> String {
        let (answer, took) =
            self.reply.map_or((String::from("null"), String::from("null")), |(reply, took_ns)| {
                (json::string(&outcome(reply.code())), format!("{took_ns}"))
            });
        format!(
            "{{\"time_ns\":{},\"request\":{},\"to\":\"{}\",\"server\":{},\"fields\":{},\"answer\":{answer},\
             \"answered\":{},\"took_ns\":{took}}}\n",
            self.sent_ns,
            json::string(&request(self.request.code())),
            self.server,
            json::string(&describe(self.server, names)),
            members(self.fields()),
            members(self.replied()),
        )
    }
}

/// Fields as an object of JSON. Pids are texts, as everywhere.
fn members(fields: impl Iterator<Item = (&'static str, Value)>) -> String {
    let members: Vec<String> = fields
        .map(|(name, value)| match value {
            Value::Pid(pid) => format!("\"{name}\":\"{pid}\""),
            number => format!("\"{name}\":{number}"),
        })
        .collect();
    format!("{{{}}}", members.join(","))
}

/// How many there were of each kind, the most first, and how long they took together.
pub fn sums(exchanges: &[Exchange], names: &BTreeMap<Pid, String>) -> String {
    let mut kinds: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for exchange in exchanges {
        let kind = (request(exchange.request.code()), describe(exchange.server, names));
        let (count, took_ns) = kinds.entry(kind).or_default();
        *count += 1;
        *took_ns += exchange.reply.map_or(0, |(_, took_ns)| took_ns);
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, (count, _))| core::cmp::Reverse(*count));
    let lines = kinds.into_iter().map(|((request, server), (count, took_ns))| {
        format!("{count:>8}  {:>9} us  {request:<20} {server}\n", took_ns / 1000)
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::LogicalHost;
    use abi::Request;
    use protocols::io::io;

    fn pid(number: u16) -> Pid {
        Pid::process(LogicalHost::from_bits(1), 1, number)
    }

    fn record(time_us: u64, event: Event, code: u32, from: u16, to: u16) -> TraceRecord {
        TraceRecord {
            time_ns: time_us * 1000,
            event_and_code: event as u64 | u64::from(code) << 32,
            from: pid(from).to_bits(),
            to: pid(to).to_bits(),
            message: Message::with_code(code).to_registers(),
        }
    }

    #[test]
    fn sends_have_their_replies() {
        let (read, ok, refused) = (io::Read::CODE, 0, abi::Error::NotFound.code());
        let records = [
            record(1, Event::Send, read, 5, 9),
            record(2, Event::Send, read, 1, 2),
            record(3, Event::Reply, ok, 2, 1),
            record(4, Event::Create, 0, 6, 1),
            record(5, Event::Send, read, 6, 2),
            record(6, Event::Send, 0x0077_0001, 1, 2),
            record(7, Event::Forward, 0, 1, 3),
            record(9, Event::Reply, refused, 3, 1),
        ];
        let found = exchanges(&records, pid(1));
        let names = BTreeMap::from([(pid(2), String::from("ramfs")), (pid(3), String::from("pipe"))]);
        let lines: Vec<String> = found.iter().map(|exchange| exchange.line(2000, &names)).collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        for (line, words) in lines.iter().zip([
            ["Read", "ramfs", "ok after 1 us"],
            ["Read", "ramfs", "no answer"],
            ["0x770001", "pipe", "'not found' after 3 us"],
        ]) {
            assert!(words.iter().all(|word| line.contains(word)), "{line}");
        }
        assert!(
            sums(&found, &names).starts_with("       2          1 us  Read "),
            "{}",
            sums(&found, &names)
        );
        let object = found[1].object(&names);
        assert!(object.ends_with("\"answer\":null,\"answered\":{},\"took_ns\":null}\n"), "{object}");
    }

    #[test]
    fn fields_have_their_names() {
        let ask = io::Read { instance: 3, position: 1 << 32 }.to_message();
        let message = |time_us, event, message: Message, from, to| TraceRecord {
            message: message.to_registers(),
            ..record(time_us, event, message.code(), from, to)
        };
        let reply = io::ReadDone { count: 512 };
        let records = [
            message(1, Event::Send, ask, 1, 2),
            message(2, Event::Reply, abi::protocol::Reply::to_message(&reply), 2, 1),
            message(3, Event::Send, ask, 1, 2),
            record(4, Event::End, 0, 1, 0),
            record(5, Event::Reply, 0, 2, 1),
        ];
        let found = exchanges(&records, pid(1));
        let names = BTreeMap::new();
        let line = found[0].line(1000, &names);
        assert!(
            line.ends_with("ok after 1 us         instance=3 position=4294967296 -> count=512\n"),
            "{line}"
        );
        let object = found[0].object(&names);
        assert!(object.contains(r#""fields":{"instance":3,"position":4294967296}"#), "{object}");
        assert!(object.contains(r#""answered":{"count":512}"#), "{object}");
        // The notice of the end is no answer.
        assert!(found[1].line(1000, &names).contains("no answer"));
    }
}
