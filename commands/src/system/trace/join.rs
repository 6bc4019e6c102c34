//! One list out of what several kernels noted.
//!
//! **Time.** Each kernel notes the time since its own boot. What a node's boot was by this node's clock has been
//! measured, to within half a round trip.
//!
//! **Transactions.** A process has one Send under way at a time, so on one node everything from its Send to the Reply is
//! one transaction. A Send to another node is noted there too, in the client's own name: the first such by a client to a
//! node is the first there of that client, and so on. That holds however wrong the clocks are; where records have been
//! lost at the beginning, numbers of the two nodes may be of different Sends.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use abi::trace::{Event, TraceRecord};
use abi::{LogicalHost, Pid};

/// What a kernel noted.
pub struct Log {
    /// Whose kernel.
    pub host: LogicalHost,
    /// When it was booted, in nanoseconds since this node's boot.
    pub booted_ns: i64,
    /// In the order in which it noted them.
    pub records: Vec<TraceRecord>,
    /// How many more there were.
    pub lost: u64,
}

/// A record in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which log it comes from.
    pub log: usize,
    /// Nanoseconds since this node's boot.
    pub time_ns: i64,
    /// Which Send it is about, from 1, if it is about one.
    pub transaction: Option<u64>,
    /// The record.
    pub record: TraceRecord,
}

/// All records in the order of their times; those of one log stay in their order.
pub fn join(logs: &[Log]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (place, log) in logs.iter().enumerate() {
        entries.extend(log.records.iter().map(|record| Entry {
            log: place,
            time_ns: log.booted_ns.saturating_add(record.time_ns.cast_signed()),
            transaction: None,
            record: *record,
        }));
    }
    entries.sort_by_key(|entry| entry.time_ns);
    let mut numbers = Numbers::default();
    // Clients' own nodes first: they say which numbers there are.
    for is_own in [true, false] {
        for entry in &mut entries {
            let host = logs[entry.log].host;
            if let Some(client) = client(&entry.record).filter(|client| (client.host() == host) == is_own) {
                entry.transaction = numbers.of(host, client, &entry.record);
            }
        }
    }
    entries
}

/// Whose Send a record is about.
fn client(record: &TraceRecord) -> Option<Pid> {
    match record.event()? {
        Event::Send | Event::Receive | Event::Forward => Some(record.from_pid()),
        Event::Reply => Some(record.to_pid()),
        _ => None,
    }
}

/// The numbers given so far.
#[derive(Default)]
struct Numbers {
    last: u64,
    /// Of what is under way on a node, by its client.
    under_way: BTreeMap<(LogicalHost, Pid), u64>,
    /// Of a client's Sends to another node that have not been seen there.
    sent: BTreeMap<(Pid, LogicalHost), VecDeque<u64>>,
}

impl Numbers {
    fn of(&mut self, host: LogicalHost, client: Pid, record: &TraceRecord) -> Option<u64> {
        match record.event()? {
            Event::Send => {
                let there = self.sent.get_mut(&(client, host)).and_then(VecDeque::pop_front);
                let number = there.unwrap_or_else(|| {
                    self.last += 1;
                    self.last
                });
                let to = record.to_pid().host();
                if to != host && to != LogicalHost::OWN {
                    self.sent.entry((client, to)).or_default().push_back(number);
                }
                self.under_way.insert((host, client), number);
                Some(number)
            }
            Event::Reply => self.under_way.remove(&(host, client)),
            _ => self.under_way.get(&(host, client)).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const HERE: LogicalHost = LogicalHost::from_bits(1);
    const THERE: LogicalHost = LogicalHost::from_bits(2);

    fn record(time_ns: u64, event: Event, from: Pid, to: Pid) -> TraceRecord {
        TraceRecord { time_ns, event_and_code: event as u64, from: from.to_bits(), to: to.to_bits() }
    }

    fn numbers(entries: &[Entry], log: usize) -> Vec<Option<u64>> {
        entries.iter().filter(|entry| entry.log == log).map(|entry| entry.transaction).collect()
    }

    #[test]
    fn a_send_has_one_number_here_and_there() {
        let client = Pid::process(HERE, 1, 20);
        let local = Pid::process(HERE, 1, 21);
        let server = Pid::process(THERE, 1, 22);
        let here = Log {
            host: HERE,
            booted_ns: 0,
            records: vec![
                record(100, Event::Send, client, local),
                record(110, Event::Reply, local, client),
                record(120, Event::Send, client, server),
                record(150, Event::Switch, client, local),
                record(200, Event::Reply, server, client),
                record(210, Event::Send, client, server),
            ],
            lost: 0,
        };
        // Its clock is wrong by more than a message takes: all seems to come before it was sent.
        let there = Log {
            host: THERE,
            booted_ns: -4950,
            records: vec![
                record(5000, Event::Send, client, server),
                record(5010, Event::Receive, client, server),
                record(5020, Event::Reply, server, client),
                record(5030, Event::Send, client, server),
            ],
            lost: 0,
        };
        let entries = join(&[here, there]);
        assert!(entries.is_sorted_by_key(|entry| entry.time_ns));
        assert_eq!(numbers(&entries, 0), [Some(1), Some(1), Some(2), None, Some(2), Some(3)]);
        assert_eq!(numbers(&entries, 1), [Some(2), Some(2), Some(2), Some(3)]);
    }

    #[test]
    fn what_was_sent_before_has_no_number() {
        let (client, server) = (Pid::process(HERE, 1, 20), Pid::process(HERE, 1, 21));
        let records =
            vec![record(5, Event::Receive, client, server), record(6, Event::Reply, server, client)];
        let entries = join(&[Log { host: HERE, booted_ns: 0, records, lost: 0 }]);
        assert_eq!(numbers(&entries, 0), [None, None]);
    }
}
