//! The Sends of one program, each with its reply, out of a kernel's records.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::Pid;
use abi::trace::{Event, TraceRecord};

use super::show::{outcome, request};
use crate::json;
use crate::system::kernel::describe;

/// What a kernel has to record.
pub const EVENTS: u32 = Event::Send.bit() | Event::Reply.bit() | Event::Forward.bit() | Event::Create.bit();

/// A Send of the program's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exchange {
    /// When, in nanoseconds since boot.
    pub sent_ns: u64,
    /// Who answered, or was asked last.
    server: Pid,
    /// What was asked.
    code: u32,
    /// What was answered, and after how long; none if it was not.
    reply: Option<(u32, u64)>,
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
                all.push(Exchange { sent_ns: record.time_ns, server: to, code: record.code(), reply: None });
            }
            Some(Event::Forward) => {
                if let Some(at) = open.get(&from) {
                    all[*at].server = to;
                }
            }
            Some(Event::Reply) => {
                if let Some(at) = open.remove(&to) {
                    let exchange = &mut all[at];
                    exchange.reply = Some((record.code(), record.time_ns.saturating_sub(exchange.sent_ns)));
                }
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
        let (request, server) = (request(self.code), describe(self.server, names));
        match self.reply {
            Some((code, took_ns)) => {
                format!(
                    "{since_us:>9} us  {request:<20} {server:<20} {} after {} us\n",
                    outcome(code),
                    took_ns / 1000
                )
            }
            None => format!("{since_us:>9} us  {request:<20} {server:<20} no answer\n"),
        }
    }

    /// A line of JSON.
    pub fn object(&self, names: &BTreeMap<Pid, String>) -> String {
        let (answer, took) =
            self.reply.map_or((String::from("null"), String::from("null")), |(code, took_ns)| {
                (json::string(&outcome(code)), format!("{took_ns}"))
            });
        format!(
            "{{\"time_ns\":{},\"request\":{},\"to\":\"{}\",\"server\":{},\"answer\":{answer},\"took_ns\":{took}}}\n",
            self.sent_ns,
            json::string(&request(self.code)),
            self.server,
            json::string(&describe(self.server, names)),
        )
    }
}

/// How many there were of each kind, the most first, and how long they took together.
pub fn sums(exchanges: &[Exchange], names: &BTreeMap<Pid, String>) -> String {
    let mut kinds: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for exchange in exchanges {
        let kind = (request(exchange.code), describe(exchange.server, names));
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
            ["0x770001", "pipe", "after 3 us"],
        ]) {
            assert!(words.iter().all(|word| line.contains(word)), "{line}");
        }
        assert!(
            sums(&found, &names).starts_with("       2          1 us  Read "),
            "{}",
            sums(&found, &names)
        );
        assert!(found[1].object(&names).ends_with("\"answer\":null,\"took_ns\":null}\n"));
    }
}
