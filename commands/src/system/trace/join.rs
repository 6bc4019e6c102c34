//! One list out of what several kernels noted.
//!
//! **Time.** Each kernel notes the time since its own boot. What a node's boot was by this node's clock has been
//! measured, to within half a round trip.
//!
//! **Transactions.** A process has one Send under way at a time, so on one node everything from its Send to the Reply is
//! one transaction. A Send to another node is noted there too, in the client's own name: the first such by a client to a
//! process is the first there of that client, and so on. That holds however wrong the clocks are; where records have been
//! lost at the beginning, numbers of the two nodes may be of different Sends.
//!
//! **Guests** have logical hosts of their own, and what passes between one and another process of the same node goes by way
//! of the network server, too: there each such Send is noted twice. On which node a guest was at a time is seen by what only a
//! process of the node can do; right after a move that is as uncertain as the clocks.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
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
    let homes = Homes::new(logs, &entries);
    let mut numbers = Numbers::default();
    // Clients' own nodes first: they say which numbers there are.
    for is_own in [true, false] {
        for entry in &mut entries {
            let Some(client) = client(&entry.record) else { continue };
            let is_here = |pid: Pid| homes.at(pid.host(), entry.time_ns) == Some(entry.log);
            if is_here(client) == is_own {
                let to = entry.record.to_pid();
                let way = match is_own {
                    false => Way::FromElsewhere,
                    true if to.host() == LogicalHost::OWN || to.host() == client.host() => Way::Direct,
                    true if is_here(to) => Way::Twice,
                    true => Way::ToElsewhere,
                };
                entry.transaction = numbers.of(entry.log, client, &entry.record, way);
            }
        }
    }
    entries
}

/// On which node each logical host was: the place of its log, since when.
struct Homes(BTreeMap<LogicalHost, Vec<(i64, usize)>>);

impl Homes {
    /// From all records, in the order of their times.
    fn new(logs: &[Log], entries: &[Entry]) -> Homes {
        let of_nodes = logs.iter().enumerate().map(|(place, log)| (log.host, vec![(i64::MIN, place)]));
        let mut homes: BTreeMap<_, _> = of_nodes.collect();
        for entry in entries {
            let Some(host) = resident(&entry.record) else { continue };
            if logs.iter().all(|log| log.host != host) {
                let places: &mut Vec<_> = homes.entry(host).or_default();
                if places.last().is_none_or(|(_, place)| *place != entry.log) {
                    places.push((entry.time_ns, entry.log));
                }
            }
        }
        Homes(homes)
    }

    fn at(&self, host: LogicalHost, time_ns: i64) -> Option<usize> {
        let places = self.0.get(&host)?;
        let later = places.partition_point(|(since_ns, _)| *since_ns <= time_ns);
        Some(places[later.saturating_sub(1)].1)
    }
}

/// The logical host of a process that must have been on the node that noted the record.
fn resident(record: &TraceRecord) -> Option<LogicalHost> {
    match record.event()? {
        Event::Send if record.to_pid().host() == LogicalHost::OWN => Some(record.from_pid().host()),
        Event::Receive => Some(record.to_pid().host()),
        Event::Reply => Some(record.from_pid().host()),
        _ => None,
    }
}

/// Whose Send a record is about.
fn client(record: &TraceRecord) -> Option<Pid> {
    match record.event()? {
        Event::Send | Event::Receive | Event::Forward => Some(record.from_pid()),
        Event::Reply => Some(record.to_pid()),
        _ => None,
    }
}

/// How a Send goes, as seen from the node that noted it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Within a logical host, or to the node's kernel.
    Direct,
    /// To another logical host of the same node: it is noted twice, and so is its Reply.
    Twice,
    ToElsewhere,
    FromElsewhere,
}

/// A Send that is under way on a node.
struct UnderWay {
    number: u64,
    to: Pid,
    /// How often it has been noted.
    times: u32,
}

/// The numbers given so far.
#[derive(Default)]
struct Numbers {
    last: u64,
    /// What is under way on a node, by the place of its log and the client.
    under_way: BTreeMap<(usize, Pid), UnderWay>,
    /// Of a client's Sends to a process of another node, those that have not been seen there.
    sent: BTreeMap<(Pid, Pid), VecDeque<u64>>,
}

impl Numbers {
    fn of(&mut self, log: usize, client: Pid, record: &TraceRecord, way: Way) -> Option<u64> {
        let key = (log, client);
        match record.event()? {
            Event::Send => {
                let to = record.to_pid();
                let before = self.under_way.get_mut(&key);
                if let Some(before) = before.filter(|before| before.to == to && before.times == 1)
                    && way == Way::Twice
                {
                    before.times = 2;
                    return Some(before.number);
                }
                let sent = self.sent.entry((client, to)).or_default();
                let there = if way == Way::FromElsewhere { sent.pop_front() } else { None };
                let number = there.unwrap_or_else(|| {
                    self.last += 1;
                    self.last
                });
                if way == Way::ToElsewhere {
                    sent.push_back(number);
                }
                self.under_way.insert(key, UnderWay { number, to, times: 1 });
                Some(number)
            }
            Event::Reply => {
                let under_way = self.under_way.get_mut(&key)?;
                let number = under_way.number;
                under_way.times -= 1;
                if under_way.times == 0 {
                    self.under_way.remove(&key);
                }
                Some(number)
            }
            _ => self.under_way.get(&key).map(|under_way| under_way.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: LogicalHost = LogicalHost::from_bits(1);
    const THERE: LogicalHost = LogicalHost::from_bits(2);

    fn record(time_ns: u64, event: Event, from: Pid, to: Pid) -> TraceRecord {
        TraceRecord {
            time_ns,
            event_and_code: event as u64,
            from: from.to_bits(),
            to: to.to_bits(),
            ..TraceRecord::default()
        }
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

    #[test]
    fn what_a_guest_sends_and_gets_is_joined_wherever_it_is() {
        let guest = Pid::process(LogicalHost::from_bits(9), 1, 0x8000);
        let (client, cache) = (Pid::process(HERE, 1, 20), Pid::process(THERE, 1, 25));
        let (network_here, network_there) = (Pid::process(HERE, 1, 30), Pid::process(THERE, 1, 30));
        let own_kernel = Pid::kernel_server(LogicalHost::OWN, 2);
        let log = |host, records| Log { host, booted_ns: 0, records, lost: 0 };
        let here = vec![
            record(100, Event::Send, client, guest),
            record(105, Event::Receive, client, network_here),
            record(190, Event::Reply, network_here, client),
            // It sends here, and has moved here; by the clocks that came before it was sent.
            record(295, Event::Send, guest, client),
            record(296, Event::Receive, guest, client),
            record(400, Event::Send, guest, own_kernel),
            record(410, Event::Send, client, guest),
            record(411, Event::Receive, client, network_here),
            record(415, Event::Send, client, guest),
            record(416, Event::Receive, client, guest),
            record(420, Event::Reply, guest, client),
            record(430, Event::Reply, network_here, client),
        ];
        let there = vec![
            record(90, Event::Send, guest, own_kernel),
            record(120, Event::Send, client, guest),
            record(125, Event::Receive, client, guest),
            record(130, Event::Reply, guest, client),
            // To a process of the node where it is, twice.
            record(200, Event::Send, guest, cache),
            record(201, Event::Receive, guest, network_there),
            record(205, Event::Send, guest, cache),
            record(206, Event::Receive, guest, cache),
            record(210, Event::Reply, cache, guest),
            record(215, Event::Reply, network_there, guest),
            record(220, Event::Send, guest, cache),
            record(225, Event::Send, guest, cache),
            record(300, Event::Send, guest, client),
        ];
        let entries = join(&[log(HERE, here), log(THERE, there)]);
        let some = |numbers: &[u64]| numbers.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(numbers(&entries, 0), some(&[2, 2, 2, 5, 5, 6, 7, 7, 7, 7, 7, 7]));
        assert_eq!(numbers(&entries, 1), some(&[1, 2, 2, 2, 3, 3, 3, 3, 3, 3, 4, 4, 5]));
    }
}
