//! Clients that want to know which other nodes there are, while it is being asked.
//!
//! The question goes out as long as there is anyone who wants to know, again and again, since a packet may be lost. Each
//! hears every answer that comes from then on; who looks for a node by its name is answered as soon as that does.

use alloc::vec::Vec;

use abi::protocol::{Reply as _, refusal};
use abi::{Error, LogicalHost, Pid};
use network_partner::Host;
use protocols::network::HostRecord;
use protocols::network::network::{HostFound, HostsListed};
use v::message;

/// How long one question waits for answers.
pub const ROUND_NS: u64 = 200_000_000;
/// How long a list takes: two questions.
const LIST_NS: u64 = 2 * ROUND_NS;
/// How long a node is looked for that does not answer: where three packets in ten are lost, one node in a thousand is
/// not found.
const FIND_NS: u64 = 10 * ROUND_NS;
/// Clients at a time.
const MOST_SEEKERS: usize = 64;
/// Nodes in a list.
const MOST_HOSTS: usize = 1024;

enum Wanted {
    /// All nodes; these have answered.
    All(Vec<Host>),
    /// The one with this name.
    Named([u8; protocols::network::HOST_NAME_BYTES]),
}

struct Seeker {
    client: Pid,
    wanted: Wanted,
    until_ns: u64,
}

/// See the module.
#[derive(Default)]
pub struct Seekers {
    seekers: Vec<Seeker>,
}

impl Seekers {
    /// Nobody.
    pub const fn new() -> Seekers {
        Seekers { seekers: Vec::new() }
    }

    /// Whether nobody wants to know.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.seekers.is_empty()
    }

    /// A client wants all nodes; this one is known.
    pub fn list(&mut self, client: Pid, own: Host, now_ns: u64) -> Result<(), Error> {
        self.add(Seeker { client, wanted: Wanted::All(alloc::vec![own]), until_ns: now_ns + LIST_NS })
    }

    /// A client wants one, and waits so long, but not longer than others; 0: as long as they.
    pub fn find(
        &mut self,
        client: Pid,
        name: [u8; protocols::network::HOST_NAME_BYTES],
        patience_ms: u32,
        now_ns: u64,
    ) -> Result<(), Error> {
        let wait_ns = match patience_ms {
            0 => FIND_NS,
            milliseconds => FIND_NS.min(u64::from(milliseconds) * 1_000_000),
        };
        self.add(Seeker { client, wanted: Wanted::Named(name), until_ns: now_ns + wait_ns })
    }

    fn add(&mut self, seeker: Seeker) -> Result<(), Error> {
        if self.seekers.len() == MOST_SEEKERS {
            return Err(Error::NoResources);
        }
        self.seekers.push(seeker);
        Ok(())
    }

    /// A node has answered.
    pub fn heard(&mut self, host: Host) {
        self.seekers.retain_mut(|seeker| match &mut seeker.wanted {
            Wanted::All(hosts) => {
                let is_new = hosts.iter().all(|known| known.logical_host != host.logical_host);
                if is_new && hosts.len() < MOST_HOSTS {
                    hosts.push(host);
                }
                true
            }
            Wanted::Named(name) if *name == host.name.0 => {
                found(seeker.client, host.logical_host);
                false
            }
            Wanted::Named(_) => true,
        });
    }

    /// Answers those whose time is over.
    pub fn expire(&mut self, now_ns: u64) {
        for seeker in self.seekers.extract_if(.., |seeker| seeker.until_ns <= now_ns) {
            match seeker.wanted {
                Wanted::All(hosts) => listed(seeker.client, &hosts),
                Wanted::Named(_) => {
                    let _ = message::reply(seeker.client, &refusal(Error::HostNotFound), &[]);
                }
            }
        }
    }

    /// When the next one's time is over.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.seekers.iter().map(|seeker| seeker.until_ns).min()
    }
}

// A client that has gone meanwhile needs no answer.

fn found(client: Pid, host: LogicalHost) {
    let reply = HostFound { logical_host: host.to_bits() };
    let _ = message::reply(client, &reply.to_message(), &[]);
}

fn listed(client: Pid, hosts: &[Host]) {
    let mut bytes = Vec::with_capacity(hosts.len() * HostRecord::BYTES);
    for host in hosts {
        let record = HostRecord { logical_host: host.logical_host, name: host.name.0 };
        bytes.extend(record.to_bytes());
    }
    let reply = HostsListed { count: hosts.len() as u32 }.to_message();
    // What does not fit is told by the count.
    let mut whole = bytes.len();
    while let Err(error) = message::reply(client, &reply, &bytes[..whole]) {
        if error != Error::TooLong || whole == 0 {
            let _ = message::reply(client, &refusal(error), &[]);
            return;
        }
        whole -= HostRecord::BYTES;
    }
}
