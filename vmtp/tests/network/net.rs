//! The network and the users on it.
//!
//! Each host is an engine with memory for its buffers. Clients send numbered requests; servers answer each with a
//! response that is computed from it, and keep count of how often each was executed.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::ProptestConfig;
use vmtp::encapsulation::Address;
use vmtp::packet::message;
use vmtp::{
    Action, Buffer, Configuration, Destination, Engine, EntityId, LogicalHost, Message, Outcome, Reply,
    RequestId, Segment, Send, SendError, SendId,
};

use crate::users::ask;

pub const MILLISECOND: u64 = 1_000_000;
pub const SECOND: u64 = 1000 * MILLISECOND;

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
    pub next_buffer: u32,
    pub later: Vec<(u64, RequestId, Reply)>,
    pub outcomes: Vec<(SendId, Outcome)>,
    pub abandoned: Vec<RequestId>,
    pub waiting: BTreeMap<(EntityId, u32), Send>,
    configuration: Configuration,
    /// Of the sends since the engine began.
    pub ids: BTreeMap<(EntityId, u32), SendId>,
    /// The last transaction of each client that was executed here.
    pub last_executed: BTreeMap<EntityId, u32>,
    pub turned_away: BTreeSet<Executed>,
}

pub struct Net {
    pub now_ns: u64,
    pub weather: Weather,
    pub random: Random,
    pub hosts: Vec<Host>,
    pub configuration: Configuration,
    flying: BTreeMap<(u64, u64), (usize, usize, Vec<u8>)>,
    flights: u64,
    /// Time of the largest packet on the link from each host, and how many may wait for it.
    pub queue: Option<(u64, u64)>,
    /// How many packets have left each host, and the one that is lost whatever the weather, by its host and number.
    pub left: BTreeMap<usize, u64>,
    pub lost: Option<(usize, u64)>,
    busy_ns: BTreeMap<usize, u64>,
    pub executed: BTreeMap<Executed, u32>,
    /// Packets that arrived, from where and to where, if they are to be noted.
    pub heard: Option<Vec<(usize, usize, Vec<u8>)>>,
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
    pub fn answer(&mut self, transaction: u32, bytes: u32) -> (Message, Option<Segment>) {
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
                    configuration: configuration.clone(),
                    ids: BTreeMap::new(),
                    last_executed: BTreeMap::new(),
                    turned_away: BTreeSet::new(),
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
            left: BTreeMap::new(),
            lost: None,
            busy_ns: BTreeMap::new(),
            executed: BTreeMap::new(),
            heard: None,
            idempotent: BTreeSet::new(),
        }
    }

    /// A host's engine, which knows nobody yet, is one that takes runs of so many.
    pub fn set_run_length(&mut self, host: usize, run_length: usize) {
        let host = &mut self.hosts[host];
        host.configuration.run_length = run_length;
        host.engine = Engine::new(&host.configuration, self.now_ns, 77);
        assert!(host.engine.add_local_host(host.number));
    }

    /// A host's engine loses its state; its logical host, processes and waiting clients stay.
    pub fn restart_engine(&mut self, host: usize) {
        let seed = self.random.next();
        let now_ns = self.now_ns;
        let host = &mut self.hosts[host];
        host.engine = Engine::new(&host.configuration, now_ns, seed);
        host.engine.add_local_host(host.number);
        host.later.clear();
        let waiting = &host.waiting;
        host.memory.retain(|buffer, _| {
            waiting.values().any(|send| {
                send.response.buffer == *buffer
                    || send.segment.is_some_and(|segment| segment.buffer == *buffer)
            })
        });
        let mut sends: Vec<&Send> = host.waiting.values().collect();
        let order = |one: &&Send, other: &&Send| {
            let ahead = one.transaction.wrapping_sub(other.transaction).cast_signed();
            one.client.cmp(&other.client).then(ahead.cmp(&0))
        };
        sends.sort_by(order);
        for send in sends {
            let (_, first) = host.engine.send(now_ns, send).expect("a fresh engine has room");
            assert_eq!(first, None, "it must look for the other hosts");
        }
        self.settle();
    }

    /// The logical host of machine `from` moves to machine `to`, which has none, with its processes and their memory.
    pub fn migrate(&mut self, from: usize, to: usize) {
        let number = self.hosts[from].number;
        self.migrate_one(number, from, to);
        self.hosts[to].number = number;
    }

    /// Logical host `number` moves from machine `from` to machine `to`, with its processes and their memory.
    pub fn migrate_one(&mut self, number: LogicalHost, from: usize, to: usize) {
        let now_ns = self.now_ns;
        let state = self.hosts[from].engine.export(now_ns, number).expect("it is local");
        self.settle();
        let [old, new] = self.hosts.get_disjoint_mut([from, to]).expect("two machines");
        // What the state names, and what its servers have not said yet, goes along.
        let mut moved = BTreeMap::new();
        let mut move_buffer = |buffer: Buffer| {
            let number = Buffer(new.next_buffer);
            new.next_buffer += 1;
            let content = old.memory.remove(&buffer);
            content.map(|bytes| new.memory.insert(number, bytes));
            moved.insert(buffer, number);
            number
        };
        let imported =
            new.engine.import(now_ns, &state, |buffer| Some(move_buffer(buffer))).expect("it is imported");
        let (goes, stays): (Vec<_>, Vec<_>) =
            old.later.drain(..).partition(|later| later.2.server.host() == number);
        old.later = stays;
        let mut unwanted = Vec::new();
        for (at_ns, id, mut reply) in goes {
            let same = |new: &&RequestId| (new.client, new.transaction) == (id.client, id.transaction);
            let renumber = |segment: Segment| Segment { buffer: move_buffer(segment.buffer), ..segment };
            reply.segment = reply.segment.map(renumber);
            match imported.requests.iter().find(same) {
                Some(id) => new.later.push((at_ns, *id, reply)),
                None => unwanted.extend(reply.segment.map(|segment| segment.buffer)),
            }
        }
        for (key, mut send) in core::mem::take(&mut old.waiting) {
            if key.0.host() != number {
                old.waiting.insert(key, send);
                continue;
            }
            assert!(
                imported.sends.iter().any(|id| (id.client, id.transaction) == key),
                "{key:?} is left behind"
            );
            // One without room is not named in the state.
            let response = send.response.buffer;
            send.response.buffer = moved.get(&response).copied().unwrap_or_else(|| {
                new.next_buffer += 1;
                let number = Buffer(new.next_buffer - 1);
                new.memory.extend(old.memory.remove(&response).map(|bytes| (number, bytes)));
                number
            });
            send.segment = send.segment.map(|segment| Segment { buffer: moved[&segment.buffer], ..segment });
            new.waiting.insert(key, send);
        }
        for buffer in unwanted.iter().chain(&imported.released) {
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
        self.try_send(from, (index, transaction), server, words, (request_bytes, capacity), 0)
            .expect("the send is begun")
    }

    /// As [`Net::send`], with flags of its place in a run.
    pub fn try_send(
        &mut self,
        from: usize,
        (index, transaction): (u64, u32),
        server: EntityId,
        words: [u32; 8],
        (request_bytes, capacity): (usize, u32),
        flags: u32,
    ) -> Result<SendId, SendError> {
        let client = process(self.hosts[from].number, index);
        self.try_send_as(from, client, transaction, server, words, (request_bytes, capacity), flags)
    }

    /// As [`Net::try_send`], of any client on the machine.
    #[expect(clippy::too_many_arguments, reason = "they are what a send has")]
    pub fn try_send_as(
        &mut self,
        from: usize,
        client: EntityId,
        transaction: u32,
        server: EntityId,
        words: [u32; 8],
        (request_bytes, capacity): (usize, u32),
        flags: u32,
    ) -> Result<SendId, SendError> {
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
            client,
            transaction,
            server,
            message: Message { words },
            segment: request,
            response,
            flags,
            is_prompt: words[0] == ask::SEGMENT,
            ..Send::default()
        };
        let sent = host.engine.send(now_ns, &send);
        if sent.is_err() {
            host.memory.remove(&response.buffer);
            request.and_then(|segment| host.memory.remove(&segment.buffer));
        }
        let (id, first) = sent?;
        host.ids.insert((send.client, transaction), id);
        host.waiting.insert((send.client, transaction), Send { resumed_since_ns: Some(now_ns), ..send });
        self.do_first(from, first);
        self.settle();
        Ok(id)
    }

    pub fn is_waiting(&self, host: usize, client: EntityId) -> bool {
        self.hosts[host].waiting.keys().any(|(waiting, _)| *waiting == client)
    }

    /// The client takes back the oldest of its sends.
    pub fn cancel_first(&mut self, host: usize, client: EntityId) {
        let now_ns = self.now_ns;
        let host = &mut self.hosts[host];
        let id = host
            .ids
            .values()
            .find(|id| id.client == client && host.waiting.contains_key(&(client, id.transaction)));
        if let Some(id) = id {
            host.engine.cancel(now_ns, *id);
        }
        self.settle();
    }

    fn fly(&mut self, from: usize, to: usize, packet: &[u8]) {
        let number = self.left.entry(from).or_default();
        *number += 1;
        if self.lost == Some((from, *number)) {
            return;
        }
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
                let share = (packet.len() as u64, u64::from(self.configuration.mtu_bytes));
                *busy_ns = start_ns + packet_ns * share.0 / share.1;
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
    pub fn do_first(&mut self, host: usize, action: Option<Action>) {
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
                    Destination::Host(Address::Own) => vec![from],
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
            if let Some(heard) = &mut self.heard {
                heard.push((from, to, packet.clone()));
            }
            let host = &mut self.hosts[to];
            let mut first = None;
            if host.connected {
                let address = if from == to { Address::Own } else { Net::address(from) };
                let received = host.engine.receive_packet(now_ns, address, &packet);
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
