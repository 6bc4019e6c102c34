//! The network and the users on it.
//!
//! Each host is an engine with memory for its buffers. Clients send numbered requests; servers answer each with a
//! response that is computed from it, and keep count of how often each was executed.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::ProptestConfig;
use vmtp::encapsulation::Address;
use vmtp::packet::message;
use vmtp::{
    Action, Buffer, Configuration, Destination, Engine, EntityId, Forward, LogicalHost, Message, Outcome,
    Refusal, Reply, Request, RequestId, Segment, Send, SendId,
};

pub const MILLISECOND: u64 = 1_000_000;
pub const SECOND: u64 = 1000 * MILLISECOND;

/// What servers of even index do with a request's code.
pub mod ask {
    /// Answer at once with a segment as long as word 1 says.
    pub const SEGMENT: u32 = 0x1001;
    /// Answer after word 2 milliseconds.
    pub const DELAY: u32 = 0x1002;
    /// As SEGMENT, idempotent.
    pub const IDEMPOTENT: u32 = 0x1003;
    /// There is no such server.
    pub const NOBODY: u32 = 0x1004;
    /// Forward to the host of index word 3, which does as for SEGMENT.
    pub const FORWARD: u32 = 0x1005;
}

/// So many cases of a property, or as many as `PROPTEST_CASES` says.
pub fn cases(count: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|count| count.parse().ok());
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(asked.unwrap_or(count)) }
}

/// Chances, in 1/1000, and times.
#[derive(Clone, Copy)]
pub struct Weather {
    pub loss: u64,
    pub repeat: u64,
    pub delay_ns: u64,
    pub jitter_ns: u64,
}

pub const CALM: Weather = Weather { loss: 0, repeat: 0, delay_ns: 50_000, jitter_ns: 0 };

pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

/// What a request's execution leaves behind.
pub type Executed = (EntityId, u32);

#[derive(Debug)]
pub struct Host {
    pub engine: Engine,
    pub number: LogicalHost,
    pub connected: bool,
    pub claimed: BTreeSet<LogicalHost>,
    pub lost: Vec<LogicalHost>,
    pub collected: Vec<(SendId, EntityId)>,
    /// Memory of the engine's own buffers and, above, of everything else.
    pub memory: BTreeMap<Buffer, Vec<u8>>,
    next_buffer: u32,
    later: Vec<(u64, RequestId, Reply)>,
    pub outcomes: Vec<(SendId, Outcome)>,
    pub abandoned: Vec<RequestId>,
    waiting: BTreeMap<(EntityId, u32), Send>,
}

pub struct Net {
    pub now_ns: u64,
    pub weather: Weather,
    pub random: Random,
    pub hosts: Vec<Host>,
    pub configuration: Configuration,
    flying: BTreeMap<(u64, u64), (usize, usize, Vec<u8>)>,
    flights: u64,
    /// Time of a packet on the link from each host, and how many may wait for it.
    pub queue: Option<(u64, u64)>,
    busy_ns: BTreeMap<usize, u64>,
    pub executed: BTreeMap<Executed, u32>,
    /// Requests whose response was idempotent.
    pub idempotent: BTreeSet<Executed>,
}

pub fn process(host: LogicalHost, index: u64) -> EntityId {
    EntityId::from_bits(0x2000_0000_0001_0000 | u64::from(host.to_bits()) << 32 | index)
}

/// The byte at `offset` of a segment that belongs to `transaction`.
fn pattern(transaction: u32, offset: usize) -> u8 {
    (transaction as usize * 31 + offset + offset / 512 * 7) as u8
}

pub fn segment(transaction: u32, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|offset| pattern(transaction, offset)).collect()
}

impl Host {
    /// The response to a transaction, with a segment of `bytes`.
    fn answer(&mut self, transaction: u32, bytes: u32) -> (Message, Option<Segment>) {
        let response = (bytes != 0).then(|| {
            let buffer = Buffer(self.next_buffer);
            self.next_buffer += 1;
            self.memory.insert(buffer, segment(transaction ^ 0x55, bytes as usize));
            Segment { buffer, bytes }
        });
        (Message { words: [7, bytes, transaction, 0, 0, 0, 0, 99] }, response)
    }
}

impl Net {
    pub fn new(count: u32, weather: Weather, seed: u64, configuration: Configuration) -> Net {
        let hosts = (0..count)
            .map(|number| {
                let mut engine = Engine::new(&configuration, 0, seed + u64::from(number));
                let number = LogicalHost::from_bits(100 + number);
                assert!(engine.add_local_host(number));
                Host {
                    engine,
                    number,
                    connected: true,
                    claimed: BTreeSet::new(),
                    lost: Vec::new(),
                    collected: Vec::new(),
                    memory: BTreeMap::new(),
                    next_buffer: configuration.buffers as u32,
                    later: Vec::new(),
                    outcomes: Vec::new(),
                    abandoned: Vec::new(),
                    waiting: BTreeMap::new(),
                }
            })
            .collect();
        Net {
            now_ns: 0,
            weather,
            random: Random(seed * 2 + 1),
            hosts,
            configuration,
            flying: BTreeMap::new(),
            flights: 0,
            queue: None,
            busy_ns: BTreeMap::new(),
            executed: BTreeMap::new(),
            idempotent: BTreeSet::new(),
        }
    }

    /// A host's engine loses its state; its logical host, processes and waiting clients stay.
    pub fn restart_engine(&mut self, host: usize) {
        let seed = self.random.next();
        let now_ns = self.now_ns;
        let host = &mut self.hosts[host];
        host.engine = Engine::new(&self.configuration, now_ns, seed);
        host.engine.add_local_host(host.number);
        host.later.clear();
        let waiting = &host.waiting;
        host.memory.retain(|buffer, _| {
            waiting.values().any(|send| {
                send.response.buffer == *buffer
                    || send.segment.is_some_and(|segment| segment.buffer == *buffer)
            })
        });
        for send in host.waiting.values() {
            let (_, first) = host.engine.send(now_ns, send).expect("a fresh engine has room");
            assert_eq!(first, None, "it must look for the other hosts");
        }
        self.settle();
    }

    /// The logical host of machine `from` moves to machine `to`, which has none, with its processes and their memory.
    pub fn migrate(&mut self, from: usize, to: usize) {
        let (now_ns, first) = (self.now_ns, self.configuration.buffers as u32);
        let number = self.hosts[from].number;
        let state = self.hosts[from].engine.export(now_ns, number).expect("it is local");
        self.settle();
        let [old, new] = self.hosts.get_disjoint_mut([from, to]).expect("two machines");
        let shift = new.next_buffer;
        let renumbered = |buffer: Buffer| Buffer(buffer.0 + shift);
        let imported = new
            .engine
            .import(now_ns, &state, |buffer| {
                (buffer.0 >= first || buffer == Buffer(0)).then_some(renumbered(buffer))
            })
            .expect("it is imported");
        new.next_buffer += old.next_buffer;
        new.number = number;
        for (buffer, bytes) in old.memory.split_off(&Buffer(first)) {
            new.memory.insert(renumbered(buffer), bytes);
        }
        for (key, mut send) in core::mem::take(&mut old.waiting) {
            assert!(
                imported.sends.iter().any(|id| (id.client, id.transaction) == key),
                "{key:?} is left behind"
            );
            send.response.buffer = renumbered(send.response.buffer);
            send.segment =
                send.segment.map(|segment| Segment { buffer: renumbered(segment.buffer), ..segment });
            new.waiting.insert(key, send);
        }
        for (at_ns, id, mut reply) in core::mem::take(&mut old.later) {
            let same = |new: &&RequestId| (new.client, new.transaction) == (id.client, id.transaction);
            reply.segment =
                reply.segment.map(|segment| Segment { buffer: renumbered(segment.buffer), ..segment });
            match imported.requests.iter().find(same) {
                Some(id) => new.later.push((at_ns, *id, reply)),
                None => drop(reply.segment.map(|segment| new.memory.remove(&segment.buffer))),
            }
        }
        for buffer in &imported.released {
            assert!(new.memory.remove(buffer).is_some(), "released twice");
        }
        self.settle();
    }

    pub fn send(
        &mut self,
        from: usize,
        (index, transaction): (u64, u32),
        server: EntityId,
        words: [u32; 8],
        (request_bytes, capacity): (usize, u32),
    ) -> SendId {
        let now_ns = self.now_ns;
        let host = &mut self.hosts[from];
        let mut buffer = |bytes: Vec<u8>| {
            let buffer = Buffer(host.next_buffer);
            host.next_buffer += 1;
            host.memory.insert(buffer, bytes);
            buffer
        };
        let request = (request_bytes > 0).then(|| Segment {
            buffer: buffer(segment(transaction, request_bytes)),
            bytes: request_bytes as u32,
        });
        let response = Segment { buffer: buffer(vec![0xee; capacity as usize]), bytes: capacity };
        let several = server.is_group() && words[0] & message::MULTIPLE_RESPONSES != 0;
        let send = Send {
            deadline_ns: several.then_some(now_ns + 5 * SECOND),
            client: process(host.number, index),
            transaction,
            server,
            message: Message { words },
            segment: request,
            response,
            ..Send::default()
        };
        let (id, first) = host.engine.send(now_ns, &send).expect("the send is begun");
        host.waiting.insert((send.client, transaction), Send { resumed_since_ns: Some(now_ns), ..send });
        self.do_first(from, first);
        self.settle();
        id
    }

    pub fn is_waiting(&self, host: usize, client: EntityId) -> bool {
        self.hosts[host].waiting.keys().any(|(waiting, _)| *waiting == client)
    }

    fn fly(&mut self, from: usize, to: usize, packet: &[u8]) {
        let copies = if self.random.below(1000) < self.weather.repeat { 2 } else { 1 };
        for _ in 0..copies {
            if self.random.below(1000) < self.weather.loss {
                continue;
            }
            let jitter_ns = self.random.below(self.weather.jitter_ns + 1);
            let mut left_ns = self.now_ns;
            if let Some((packet_ns, length)) = self.queue {
                let busy_ns = self.busy_ns.entry(from).or_default();
                let start_ns = (*busy_ns).max(self.now_ns);
                if start_ns - self.now_ns >= packet_ns * length {
                    continue;
                }
                *busy_ns = start_ns + packet_ns;
                left_ns = *busy_ns;
            }
            self.flights += 1;
            let key = (left_ns + self.weather.delay_ns + jitter_ns, self.flights);
            self.flying.insert(key, (from, to, packet.to_vec()));
        }
    }

    pub fn address(host: usize) -> Address {
        Address::Ethernet([2, 0, 0, 0, 0, host as u8])
    }

    /// Does what the engines want done until none wants anything.
    pub fn settle(&mut self) {
        for host in 0..self.hosts.len() {
            let mut actions = 0;
            while let Some(action) = self.hosts[host].engine.next_action() {
                actions += 1;
                assert!(actions < 10_000, "the engine never comes to rest: {action:?}");
                self.act(host, action);
            }
        }
    }

    /// Does what comes of a call at once.
    fn do_first(&mut self, host: usize, action: Option<Action>) {
        if let Some(action) = action {
            self.act(host, action);
        }
    }

    fn act(&mut self, from: usize, action: Action) {
        match action {
            Action::Transmit(transmit) => {
                let empty = Vec::new();
                let segment = match transmit.buffer {
                    Some(buffer) => &self.hosts[from].memory[&buffer],
                    None => &empty,
                };
                let mut packet = vec![0; transmit.packet_bytes()];
                assert_eq!(transmit.write(segment, &mut packet), Some(packet.len()));
                assert!(packet.len() <= self.configuration.mtu_bytes as usize);
                let targets: Vec<usize> = match transmit.destination {
                    Destination::Host(Address::Ethernet(station)) => vec![usize::from(station[5])],
                    Destination::Host(_) => unreachable!("all hosts are on one Ethernet"),
                    Destination::Group(_) => (0..self.hosts.len()).filter(|to| *to != from).collect(),
                };
                if self.hosts[from].connected {
                    for to in targets {
                        self.fly(from, to, &packet);
                    }
                }
            }
            Action::Deliver(request) => self.serve(from, &request),
            Action::Abandon(id) => self.hosts[from].abandoned.push(id),
            Action::Release(buffer) => {
                assert!(self.hosts[from].memory.remove(&buffer).is_some(), "released twice");
            }
            Action::Complete { id, outcome } => {
                let sent =
                    self.hosts[from].waiting.remove(&(id.client, id.transaction)).expect("one outcome");
                self.check(from, id, &sent, outcome);
                self.hosts[from].memory.remove(&sent.response.buffer);
                if let Some(segment) = sent.segment {
                    self.hosts[from].memory.remove(&segment.buffer);
                }
                self.hosts[from].outcomes.push((id, outcome));
            }
            Action::Collect { id, response, segment: received } => {
                assert!(self.hosts[from].waiting.contains_key(&(id.client, id.transaction)));
                if let Some(received) = received {
                    let memory = self.hosts[from].memory.remove(&received.buffer).expect("it was stored");
                    let bytes = received.bytes as usize;
                    assert_eq!(&memory[..bytes], &segment(id.transaction ^ 0x55, bytes)[..]);
                    self.hosts[from].engine.release_buffer(received.buffer);
                }
                self.hosts[from].collected.push((id, response.server));
            }
            Action::Claimed(number) => assert!(self.hosts[from].claimed.insert(number)),
            Action::ClaimLost(number) => {
                self.hosts[from].claimed.remove(&number);
                self.hosts[from].lost.push(number);
            }
        }
    }

    fn serve(&mut self, at: usize, request: &Request) {
        let host = &mut self.hosts[at];
        let transaction = request.id.transaction;
        if let Some(received) = request.segment {
            let bytes = host.memory.remove(&received.buffer).expect("the segment was stored");
            assert_eq!(&bytes[..received.bytes as usize], &segment(transaction, received.bytes as usize)[..]);
            host.engine.release_buffer(received.buffer);
        }
        let words = request.message.words;
        if request.message.code() == ask::NOBODY {
            host.engine.refuse(self.now_ns, request.id, Refusal::NonexistentEntity).expect("it waits");
            return;
        }
        if request.message.code() == ask::FORWARD {
            let number = LogicalHost::from_bits(100 + words[3]);
            let mut words = words;
            words[0] = ask::SEGMENT;
            let held = (words[2] != 0).then(|| {
                let buffer = Buffer(host.next_buffer);
                host.next_buffer += 1;
                host.memory.insert(buffer, segment(transaction, words[2] as usize));
                Segment { buffer, bytes: words[2] }
            });
            let forward = Forward { server: process(number, 50), message: Message { words }, segment: held };
            host.engine.forward(self.now_ns, request.id, &forward).expect("it is forwarded");
            return;
        }
        if request.server.is_group() {
            self.executed.insert((request.id.client, transaction), 1);
            for member in 200..202 {
                let number = host.number;
                let (message, response) = host.answer(transaction, words[1]);
                let reply = Reply { server: process(number, member), message, segment: response };
                let first = host.engine.reply(self.now_ns, request.id, &reply).expect("it waits");
                assert_eq!(first, None, "of several, none is first");
            }
            host.engine.finish(self.now_ns, request.id).expect("it waits");
            return;
        }
        *self.executed.entry((request.id.client, transaction)).or_default() += 1;
        if request.message.has(message::DATAGRAM) {
            return;
        }
        let bytes = if request.message.code() == ask::DELAY { 0 } else { words[1] };
        let (mut answer, response) = host.answer(transaction, bytes);
        if request.message.code() == ask::IDEMPOTENT {
            answer.words[0] |= message::DATAGRAM;
            self.idempotent.insert((request.id.client, transaction));
        }
        let reply = Reply { server: request.server, message: answer, segment: response };
        if request.message.code() == ask::DELAY {
            host.later.push((self.now_ns + u64::from(words[2]) * MILLISECOND, request.id, reply));
        } else {
            let first = host.engine.reply(self.now_ns, request.id, &reply).expect("it waits");
            self.do_first(at, first);
        }
    }

    /// An outcome must be true.
    fn check(&self, at: usize, id: SendId, sent: &Send, outcome: Outcome) {
        let times = self.executed.get(&(id.client, id.transaction)).copied().unwrap_or(0);
        if !self.idempotent.contains(&(id.client, id.transaction)) {
            assert!(times <= 1, "{id:?} was executed {times} times");
        }
        match outcome {
            Outcome::Response(response) => {
                assert_eq!(times.min(1), 1, "{id:?} has a response but was never executed");
                assert_eq!(response.message.words[2], id.transaction);
                let bytes = response.segment_bytes as usize;
                let memory = &self.hosts[at].memory[&sent.response.buffer];
                assert_eq!(&memory[..bytes], &segment(id.transaction ^ 0x55, bytes)[..], "{id:?}");
            }
            Outcome::Failed { may_have_been_executed: false, .. } => {
                assert_eq!(times, 0, "{id:?} failed for certain but was executed");
            }
            Outcome::Failed { .. } | Outcome::Sent | Outcome::Collected { .. } => {}
        }
    }

    /// The next thing happens. False if nothing ever will.
    pub fn step(&mut self) -> bool {
        let flight = self.flying.keys().next().map(|key| key.0);
        let reply = self.hosts.iter().flat_map(|host| host.later.iter().map(|later| later.0)).min();
        let timer = self.hosts.iter_mut().filter_map(|host| host.engine.next_deadline()).min();
        let Some(next_ns) = [flight, reply, timer].into_iter().flatten().min() else { return false };
        assert!(next_ns >= self.now_ns || timer == Some(next_ns));
        self.now_ns = self.now_ns.max(next_ns);
        let now_ns = self.now_ns;
        if flight == Some(next_ns) {
            let (_, (from, to, packet)) = self.flying.pop_first().expect("something flies");
            let host = &mut self.hosts[to];
            let mut first = None;
            if host.connected {
                let received = host.engine.receive_packet(now_ns, Net::address(from), &packet);
                if let Some(store) = received.store {
                    let size = self.configuration.buffer_bytes as usize;
                    let memory = host.memory.entry(store.buffer).or_insert_with(|| vec![0xee; size]);
                    assert_eq!(
                        store.copy(&packet, memory),
                        Some(()),
                        "{store:?} {} {}",
                        packet.len(),
                        memory.len()
                    );
                }
                first = received.action;
            }
            self.do_first(to, first);
        }
        for at in 0..self.hosts.len() {
            let host = &mut self.hosts[at];
            host.engine.advance(now_ns);
            let (due, later): (Vec<_>, Vec<_>) = host.later.drain(..).partition(|later| later.0 <= now_ns);
            host.later = later;
            for (_, id, reply) in due {
                // The client may be gone.
                let first = self.hosts[at].engine.reply(now_ns, id, &reply);
                self.do_first(at, first.ok().flatten());
            }
        }
        self.settle();
        true
    }

    /// Goes on until `until_ns`.
    pub fn run_until(&mut self, until_ns: u64) {
        loop {
            let timer = self.hosts.iter_mut().filter_map(|host| host.engine.next_deadline()).min();
            let flight = self.flying.keys().next().map(|key| key.0);
            let reply = self.hosts.iter().flat_map(|host| host.later.iter().map(|later| later.0)).min();
            match [timer, flight, reply].into_iter().flatten().min() {
                Some(next_ns) if next_ns <= until_ns => assert!(self.step()),
                _ => break,
            }
        }
        self.now_ns = until_ns;
        for host in &mut self.hosts {
            host.engine.advance(until_ns);
        }
        self.settle();
    }

    /// Goes on until every send has its outcome.
    pub fn run_until_done(&mut self) {
        let start_ns = self.now_ns;
        let mut steps = 0;
        while self.hosts.iter().any(|host| !host.waiting.is_empty()) {
            assert!(self.step(), "a send waits for nothing");
            steps += 1;
            assert!(steps < 50_000, "a send never ends");
            assert!(self.now_ns - start_ns < 600 * SECOND, "a send waits forever");
        }
    }

    /// Goes on until every record has had time to be forgotten, and checks that all are.
    pub fn run_until_quiet(&mut self) {
        self.run_until_done();
        let quiet_ns = self.configuration.host_idle_ns * 3 + self.configuration.retention_ns;
        self.run_until(self.now_ns + quiet_ns);
        for host in &mut self.hosts {
            assert_eq!(host.engine.next_deadline(), None);
            // The engine takes back itself what it never delivered.
            host.memory.retain(|buffer, _| buffer.0 as usize >= self.configuration.buffers);
            assert!(host.memory.is_empty(), "memory was not given back: {:?}", host.memory.keys());
            let mut fresh = host.engine.clone();
            fresh.advance(self.now_ns);
            assert!(fresh.is_quiet(), "{:?}", host.engine);
        }
    }
}
