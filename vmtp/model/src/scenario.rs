//! What a network consists of, what its processes do, and what may go wrong.

use vmtp::packet::Control;
use vmtp::{Configuration, EntityId, LogicalHost};

/// A small network. Hosts are known by their place in it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// How many hosts there are.
    pub hosts: usize,
    /// Who sends what, in which order: the sends of one client follow each other.
    pub orders: Vec<Order>,
    /// What a process does with a request; its server, when the same is asked twice.
    pub deeds: Vec<Deed>,
    /// What may go wrong.
    pub budget: Budget,
    /// Buffers for segments of requests, on each host.
    pub buffers: usize,
    /// For how long the engines have been up when the first send begins.
    pub up_ns: u64,
    /// Hosts that all claim one number, each at any time; they have no other.
    pub claimants: Vec<usize>,
    /// One of those has claimed it before the others listened.
    pub holder: Option<usize>,
    /// At no time do two hosts have the number. Else this is so at the end only.
    pub always_one_owner: bool,
    /// What the engines' random choices, such as how strong a claim is, depend on.
    pub seed: u8,
}

/// A send.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The client's host.
    pub from: usize,
    /// The server's host; of a group's servers, none.
    pub to: Option<usize>,
    /// Bytes of the request's segment.
    pub request_bytes: u32,
    /// Bytes of the response's segment.
    pub response_bytes: u32,
    /// The response may be computed again.
    pub idempotent: bool,
    /// It is a datagram.
    pub datagram: bool,
    /// It is sent without an answer to those of its host before it: they are one run of transactions.
    pub streamed: bool,
    /// How long the client waits at most.
    pub patience_ns: Option<u64>,
}

/// What servers do with a request that they are given.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Deed {
    /// Reply.
    Reply,
    /// Refuse it: there is no such server.
    Refuse,
    /// Send it on to the server of that host, which itself never does.
    Forward(usize),
    /// Execute it, and let the response to the next one of its run stand for its response, too.
    Batch,
}

/// How often something may go wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Budget {
    /// Packets lost.
    pub losses: u8,
    /// Packets repeated by the network, to arrive at any time of a packet's life.
    pub copies: u8,
    /// Times that a deadline passes while a packet is on its way or a server at work.
    pub delays: u8,
    /// Engines that lose their state while their host lives on.
    pub restarts: u8,
    /// Hosts that fall silent for ever.
    pub crashes: u8,
    /// Hosts that crash and are up again at once, under another number.
    pub reboots: u8,
    /// Sends that are taken back.
    pub cancels: u8,
    /// Times that time passes when all else is over: owners of a claimed number announce it for ever.
    pub announcements: u8,
}

impl Budget {
    /// Nothing goes wrong.
    pub const NOTHING: Budget = Budget {
        losses: 0,
        copies: 0,
        delays: 0,
        restarts: 0,
        crashes: 0,
        reboots: 0,
        cancels: 0,
        announcements: 0,
    };
}

impl Default for Scenario {
    /// A client on host 0, a server on host 1, a request and a response without segments; nothing goes wrong.
    fn default() -> Scenario {
        Scenario {
            hosts: 2,
            orders: vec![Order::small(0, 1)],
            deeds: vec![Deed::Reply],
            budget: Budget::default(),
            buffers: 1,
            up_ns: 2 * SECOND_NS,
            claimants: Vec::new(),
            holder: None,
            always_one_owner: true,
            seed: 1,
        }
    }
}

impl Order {
    /// A request without a segment for a response without one.
    pub const fn small(from: usize, to: usize) -> Order {
        Order {
            from,
            to: Some(to),
            request_bytes: 0,
            response_bytes: 0,
            idempotent: false,
            datagram: false,
            streamed: false,
            patience_ns: None,
        }
    }
}

const SECOND_NS: u64 = 1_000_000_000;

impl Scenario {
    /// What the engines are made with: tables as small as the scenario allows, and few retries, since each makes
    /// every course longer.
    pub fn configuration(&self) -> Configuration {
        Configuration {
            mtu_bytes: 600,
            clients: self.orders.len().max(2),
            servers: self.orders.len().max(2),
            hosts: self.hosts,
            buffers: self.buffers,
            buffer_bytes: 64 * 1024,
            local_hosts: 1,
            groups: 1,
            control_packets: 8,
            retries: 2,
            silence_ns: SECOND_NS,
            host_idle_ns: 60 * SECOND_NS,
            ..Configuration::default()
        }
    }

    /// Whether two orders, the second after the first, are of one run.
    pub(crate) fn is_in_run_of(&self, first: usize, second: usize) -> bool {
        let from = self.orders[first].from;
        let mut between = self.orders[first + 1..=second].iter().filter(|order| order.from == from);
        self.orders[second].from == from && between.all(|order| order.streamed)
    }

    /// The flags of an order's place in a run.
    pub(crate) fn run_flags(&self, order: usize) -> u32 {
        let from = self.orders[order].from;
        let next = self.orders[order + 1..].iter().find(|next| next.from == from);
        let start = if self.orders[order].streamed { Control::NOT_START_OF_RUN } else { 0 };
        let end = if next.is_some_and(|next| next.streamed) { Control::NOT_END_OF_RUN } else { 0 };
        start | end
    }

    /// The number of a host that was booted so often, or that it claims.
    pub(crate) fn number(&self, host: usize, boots: u8) -> LogicalHost {
        if self.claimants.contains(&host) {
            return CLAIMED;
        }
        LogicalHost::from_bits(0x100 * (host as u32 + 1) + u32::from(boots))
    }
}

/// The number that claimants claim.
pub(crate) const CLAIMED: LogicalHost = LogicalHost::from_bits(0x77);

/// The group that all servers are in.
pub const GROUP: EntityId = EntityId::from_bits(0x6000_0000_0000_0007);

/// A process of a host.
pub const fn entity(host: LogicalHost, process: u32) -> EntityId {
    EntityId::from_bits(0x2000_0000_0001_0000 | (host.to_bits() as u64) << 32 | process as u64)
}
