//! What must hold of messages between machines, whatever the network does.
//!
//! Each request of a program has a number, which travels in its message. The oracle hears when it is sent, when a
//! packet of it leaves, when a server receives it, and how it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use abi::{Error, Pid};

use super::random::Random;

/// What all machines share.
pub struct Shared {
    /// The restricted group that was made last.
    pub restricted_group: Option<Pid>,
    /// The time, on every machine.
    pub now_ns: u64,
    /// How long programs have waited for servers, together.
    pub waited_ns: u64,
    /// What is random.
    pub random: Random,
    /// What must hold.
    pub oracle: Oracle,
    /// What happened, if anyone wants to know.
    pub trace: Option<String>,
}

impl Shared {
    /// Adds a line to the trace.
    pub fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let (ms, ns) = (self.now_ns / 1_000_000, self.now_ns % 1_000_000);
            let _ = writeln!(trace, "{ms:6}.{ns:06} ms  {}", line());
        }
    }
}

/// A request of a program.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who sent it.
    pub client: Pid,
    /// To whom.
    pub to: Pid,
    /// A packet with it has left its machine.
    left: bool,
    /// The client's network server ended meanwhile: what it did with the request nobody knows.
    network_ended: bool,
    /// Who received it.
    received: BTreeSet<Pid>,
    /// How often it was executed, and who did last.
    executed: u32,
    executed_by: Pid,
    outcome: Option<Result<(), Error>>,
}

/// See the module.
#[derive(Default)]
pub struct Oracle {
    entries: Vec<Entry>,
    /// The request that each client waits for.
    waiting: BTreeMap<Pid, u32>,
    /// Every server that there ever was.
    servers: Vec<Pid>,
}

impl Oracle {
    /// A new server.
    pub fn meet_server(&mut self, server: Pid) {
        self.servers.push(server);
    }

    /// Every server that there ever was.
    pub fn servers(&self) -> &[Pid] {
        &self.servers
    }

    /// The request with a number.
    pub fn entry(&self, number: u32) -> &Entry {
        &self.entries[number as usize]
    }

    /// How many requests ended well, and how many did not.
    pub fn counts(&self) -> (usize, usize) {
        let ended = |well| move |entry: &&Entry| entry.outcome.is_some_and(|outcome| outcome.is_ok() == well);
        (self.entries.iter().filter(ended(true)).count(), self.entries.iter().filter(ended(false)).count())
    }

    /// A client sends: the request's number.
    pub fn sent(&mut self, client: Pid, to: Pid) -> u32 {
        let number = self.entries.len() as u32;
        self.entries.push(Entry {
            client,
            to,
            // Between logical hosts of one machine no packet is seen; a kernel server elsewhere may be a guest's.
            left: client.is_guest() || to.is_guest() || to.is_kernel_server() && to.host() != client.host(),
            network_ended: false,
            received: BTreeSet::new(),
            executed: 0,
            executed_by: Pid::NONE,
            outcome: None,
        });
        assert_eq!(self.waiting.insert(client, number), None, "{client} sends twice at a time");
        number
    }

    /// A packet with a request of `client` leaves its machine.
    pub fn left(&mut self, client: Pid) {
        if let Some(number) = self.waiting.get(&client) {
            self.entries[*number as usize].left = true;
        }
    }

    /// The network server of a machine ends.
    pub fn network_ended(&mut self, is_there: impl Fn(Pid) -> bool) {
        for (client, number) in &self.waiting {
            if is_there(*client) {
                self.entries[*number as usize].network_ended = true;
            }
        }
    }

    /// A client has ended, and waits no more.
    pub fn client_ended(&mut self, client: Pid) {
        self.waiting.remove(&client);
    }

    /// A process has received a request that was sent by `client`, and maybe forwarded.
    pub fn received(&mut self, number: u32, client: Pid, by: Pid) {
        let entry = &mut self.entries[number as usize];
        assert_eq!(entry.client, client, "request {number} has another sender");
        let new = entry.received.insert(by);
        assert!(new, "request {number} was received twice by {by}: {entry:?}");
    }

    /// A process has executed a request.
    pub fn executed(&mut self, number: u32, by: Pid) {
        let entry = &mut self.entries[number as usize];
        entry.executed += 1;
        entry.executed_by = by;
        assert_eq!(entry.executed, 1, "request {number} was executed twice: {entry:?}");
        if let Some(Err(error)) = entry.outcome {
            assert!(
                error.may_have_been_executed(),
                "request {number} was executed after it failed: {entry:?}"
            );
        }
    }

    /// A client's Send has ended, in the name of `replier`. `counted` says whether the server tells of executions.
    pub fn ended(&mut self, number: u32, outcome: Result<(), Error>, replier: Pid, counted: bool) {
        let entry = &mut self.entries[number as usize];
        assert_eq!(entry.outcome, None, "request {number} ended twice");
        assert_eq!(self.waiting.remove(&entry.client), Some(number));
        entry.outcome = Some(outcome);
        match outcome {
            Ok(()) if counted => {
                assert_eq!(
                    entry.executed, 1,
                    "request {number} ended well without being executed: {entry:?}"
                );
                assert_eq!(entry.executed_by, replier, "request {number} was answered by another: {entry:?}");
            }
            Ok(()) => {}
            Err(error) if error.may_have_been_executed() => {
                let received = !entry.received.is_empty();
                assert!(
                    entry.left || entry.network_ended || received,
                    "request {number} cannot have been executed: {entry:?}"
                );
            }
            Err(_) => assert_eq!(entry.executed, 0, "request {number} was executed: {entry:?}"),
        }
    }

    /// Every request of a client that lives has ended.
    pub fn assert_all_ended(&self) {
        assert!(self.waiting.is_empty(), "these wait for ever: {:?}", self.waiting);
    }

    /// Everything went well for those clients that `matters` says it of.
    pub fn assert_all_well(&self, matters: impl Fn(Pid) -> bool) {
        let failed = self
            .entries
            .iter()
            .enumerate()
            .find(|(_, entry)| entry.outcome != Some(Ok(())) && matters(entry.client));
        assert!(failed.is_none(), "a request failed: {failed:?}");
    }
}
