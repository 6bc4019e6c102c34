//! The engine's user in the fuzzer: it keeps its own books of what it and the engine owe each other, and compares.
//!
//! * Every send has one outcome, every delivered request one end; ids and buffers are never doubly in use, and never
//!   more of them than the configuration says.
//! * Every packet said is well formed, and its blocks are in the segment that it names.
//! * A packet from outside is answered by few packets: [`ANSWERS`] without data, and only as many with data as the
//!   user's own segments have.
//! * The counters count.
//! * In the end, when nobody answers any more, the engine lets go of everything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use vmtp::encapsulation::Address;
use vmtp::packet::{Control, Header, Message, Packet};
use vmtp::{
    Action, BatchError, Buffer, Configuration, Destination, Engine, EntityId, Forward, ForwardError,
    LogicalHost, Outcome, Refusal, Reply, Request, RequestId, Segment, Send, SendId, Store, transaction_step,
};

/// Bits of entities of the local logical host, and of the first remote one.
pub const LOCAL: u64 = 0x2000_0064_0001_0000;
/// See [`LOCAL`].
pub const REMOTE: u64 = 0x2000_0065_0001_0000;
/// Bytes of the largest packet.
pub const MTU_BYTES: u32 = 1500;

/// Packets without data that one packet may cause: a notice for each packet group in the window, and a few.
const ANSWERS: usize = 24;
/// Packets from the engine to itself that one event may cause.
const OWN_PACKETS: usize = 2000;
/// Packets kept to be said again.
const KEPT: usize = 8;
const CLIENTS: usize = 4;
const SERVERS: usize = 4;
const RUN_LENGTH: usize = 3;
const BUFFERS: usize = 3;
const BUFFER_BYTES: u32 = 40_000;
/// Deadlines that may pass before an engine that nobody answers is quiet.
const LAST_DEADLINES: usize = 20_000;

/// The user, its engine, and its books.
pub struct User {
    engine: Engine,
    now_ns: u64,
    sends: BTreeMap<(EntityId, u32), (SendId, Send)>,
    /// The transaction that would go on with each client's run.
    next: BTreeMap<EntityId, u32>,
    serving: Vec<Request>,
    /// Segments of replies that the engine has not released, and their lengths.
    replies: BTreeMap<Buffer, u32>,
    /// Buffers of the engine's that the user has.
    held: BTreeSet<Buffer>,
    next_buffer: u32,
    /// Logical hosts that are being claimed.
    claiming: BTreeSet<LogicalHost>,
    said: VecDeque<Header>,
    heard: VecDeque<Vec<u8>>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    sends: u64,
    responses: u64,
    failures: u64,
    requests: u64,
    packets: u64,
}

impl User {
    pub fn new(seed: u8) -> User {
        let configuration = Configuration {
            mtu_bytes: MTU_BYTES,
            accept_unchecked: true,
            clients: CLIENTS,
            run_length: RUN_LENGTH,
            servers: SERVERS,
            hosts: 4,
            buffers: BUFFERS,
            buffer_bytes: BUFFER_BYTES,
            group_responses: 3,
            local_hosts: 2,
            groups: 2,
            control_packets: 64,
            ..Configuration::default()
        };
        let mut engine = Engine::new(&configuration, 0, u64::from(seed));
        assert!(engine.add_local_host(LogicalHost::from_bits(100)));
        engine.join_group(EntityId::from_bits(0x6000_0000_0000_0007));
        User {
            engine,
            now_ns: 0,
            sends: BTreeMap::new(),
            next: BTreeMap::new(),
            serving: Vec::new(),
            replies: BTreeMap::new(),
            held: BTreeSet::new(),
            next_buffer: 1000,
            claiming: BTreeSet::new(),
            said: VecDeque::new(),
            heard: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// A packet that the engine said, the last but so many.
    pub fn said(&self, back: usize) -> Option<Header> {
        self.said.iter().rev().nth(back).copied()
    }

    /// A packet comes from outside.
    pub fn receive(&mut self, from: Address, packet: &[u8]) {
        let data_bytes = self.data_owed();
        let received = self.engine.receive_packet(self.now_ns, from, packet);
        self.store(received.store, packet);
        let (bare, data) = self.settle(received.action);
        assert!(bare <= ANSWERS, "{bare} packets without data");
        assert!(data <= data_bytes, "{data} bytes of data");
        self.heard.push_back(packet.to_vec());
        if self.heard.len() > KEPT {
            self.heard.pop_front();
        }
    }

    /// Copies a packet's data where the engine says.
    fn store(&self, store: Option<Store>, packet: &[u8]) {
        if let Some(store) = store {
            let limit = if (store.buffer.0 as usize) < BUFFERS {
                assert!(!self.held.contains(&store.buffer), "{store:?} is the user's");
                BUFFER_BYTES
            } else {
                let capacity = |(_, send): &(SendId, Send)| (send.response.buffer, send.response.bytes);
                let found = self.sends.values().map(capacity).find(|(buffer, _)| *buffer == store.buffer);
                found.expect("a response's buffer").1
            };
            let mut memory = vec![0; limit as usize];
            // A packet with less data than its mask calls for is the sender's mistake.
            let end =
                store.stretches().map(|stretch| store.segment_offset + stretch.group_offset + stretch.bytes);
            assert!(end.max().unwrap_or(0) <= limit, "{store:?}");
            assert_eq!(store.copy(packet, &mut memory), Some(()), "{store:?}");
        }
    }

    /// The bytes of all segments that the user has given to be sent, as packets at most.
    fn data_owed(&self) -> usize {
        let requests = self.sends.values().filter_map(|(_, send)| send.segment).map(|segment| segment.bytes);
        let bytes = |bytes: u32| bytes as usize + 600 * (bytes as usize / 512 + 1);
        requests.chain(self.replies.values().copied()).map(bytes).sum()
    }

    /// A packet that came before comes again.
    pub fn again(&mut self, from: Address, back: usize) {
        if let Some(packet) = self.heard.iter().rev().nth(back).cloned() {
            self.receive(from, &packet);
        }
    }

    pub fn pass(&mut self, ns: u64) {
        self.now_ns += ns;
        self.engine.advance(self.now_ns);
        self.settle(None);
    }

    pub fn pass_to_deadline(&mut self) {
        if let Some(deadline_ns) = self.engine.next_deadline() {
            assert!(deadline_ns > self.now_ns, "a deadline that has passed");
            self.pass(deadline_ns - self.now_ns);
        }
    }

    fn buffer(&mut self) -> Buffer {
        self.next_buffer += 1;
        Buffer(self.next_buffer)
    }

    pub fn send(
        &mut self,
        client: EntityId,
        server: EntityId,
        message: Message,
        transaction: u32,
        capacity: u32,
        (deadline, flags): (u8, u32),
    ) {
        let goes_on = flags & Control::NOT_START_OF_RUN != 0;
        let next = self.next.get(&client).copied().filter(|_| goes_on);
        let transaction = next.unwrap_or(transaction);
        let bytes = message.segment_bytes();
        let segment = (bytes > 0).then(|| Segment { buffer: self.buffer(), bytes });
        let response = Segment { buffer: self.buffer(), bytes: capacity };
        let deadline_ns = (deadline != 0).then(|| self.now_ns + u64::from(deadline) * 10_000_000);
        let send = Send {
            client,
            transaction,
            server,
            message,
            segment,
            response,
            deadline_ns,
            flags,
            ..Send::default()
        };
        let mut first = None;
        if let Ok((id, action)) = self.engine.send(self.now_ns, &send) {
            first = action;
            assert_eq!((id.client, id.transaction), (client, transaction));
            assert!((id.index as usize) < CLIENTS && self.sends.len() < CLIENTS, "a send too many");
            assert!(self.sends.insert((client, transaction), (id, send)).is_none(), "the client was busy");
            self.counts.sends += 1;
            let of_client = self.sends.keys().filter(|(sender, _)| *sender == client).count();
            assert!(of_client <= RUN_LENGTH, "a send of {client:?} too many");
            self.next.insert(client, transaction.wrapping_add(transaction_step(bytes, capacity)));
        }
        self.settle(first);
    }

    /// Answers a request; one to a group also, by one of its members, and it stays the user's.
    pub fn reply(&mut self, which: u8, message: Message) {
        if self.serving.is_empty() {
            return;
        }
        let place = usize::from(which) % self.serving.len();
        let request = self.serving[place];
        let bytes = message.segment_bytes();
        let segment = (bytes > 0).then(|| Segment { buffer: self.buffer(), bytes });
        let is_group = request.server.is_group();
        let server = if is_group { EntityId::from_bits(LOCAL | u64::from(which)) } else { request.server };
        if !is_group || has_one_member(&request) {
            self.serving.remove(place);
            self.let_go(request.segment);
        }
        let replied = self.engine.reply(self.now_ns, request.id, &Reply { server, message, segment });
        match replied {
            Ok(_) => self.replies.extend(segment.map(|segment| (segment.buffer, bytes))),
            Err(_) => assert!(is_group, "{request:?} is the user's"),
        }
        self.settle(replied.ok().flatten());
    }

    /// Leaves a request's response to that of the next.
    pub fn batch(&mut self, which: u8) {
        if self.serving.is_empty() {
            return;
        }
        let place = usize::from(which) % self.serving.len();
        let request = self.serving[place];
        match self.engine.batch(self.now_ns, request.id) {
            Ok(()) => {
                self.serving.remove(place);
                self.let_go(request.segment);
            }
            Err(error) => assert_eq!(error, BatchError::Alone, "{request:?} is the user's"),
        }
        self.settle(None);
    }

    /// Ends a request without a (further) response.
    pub fn end(&mut self, which: u8) {
        if self.serving.is_empty() {
            return;
        }
        let request = self.serving.remove(usize::from(which) % self.serving.len());
        self.let_go(request.segment);
        assert_eq!(self.engine.finish(self.now_ns, request.id), Ok(()), "{request:?}");
        self.settle(None);
    }

    /// Hands a request on to a remote server.
    pub fn forward(&mut self, which: u8, server: EntityId, message: Message) {
        if self.serving.is_empty() {
            return;
        }
        let which = usize::from(which) % self.serving.len();
        let id = self.serving[which].id;
        let bytes = message.segment_bytes();
        let segment = (bytes > 0).then(|| Segment { buffer: self.buffer(), bytes });
        match self.engine.forward(self.now_ns, id, &Forward { server, message, segment }) {
            Ok(()) => {
                let request = self.serving.remove(which);
                self.let_go(request.segment);
                if let Some(segment) = segment {
                    self.replies.insert(segment.buffer, bytes);
                }
            }
            Err(error) => assert_ne!(error, ForwardError::Stale, "{id:?} is the user's"),
        }
        self.settle(None);
    }

    pub fn refuse(&mut self, which: u8, why: u8) {
        if self.serving.is_empty() {
            return;
        }
        let request = self.serving.remove(usize::from(which) % self.serving.len());
        self.let_go(request.segment);
        let refusals = [
            Refusal::NonexistentEntity,
            Refusal::NoPermission,
            Refusal::NotAwaiting,
            Refusal::Died,
            Refusal::Busy,
        ];
        let refusal = refusals[usize::from(why) % refusals.len()];
        assert_eq!(self.engine.refuse(self.now_ns, request.id, refusal), Ok(()), "{request:?}");
        self.settle(None);
    }

    fn let_go(&mut self, segment: Option<Segment>) {
        if let Some(segment) = segment {
            assert!(self.held.remove(&segment.buffer));
            self.engine.release_buffer(segment.buffer);
        }
    }

    pub fn cancel(&mut self, which: u8) {
        let found = self.sends.values().nth(usize::from(which) % self.sends.len().max(1));
        if let Some((id, _)) = found.copied() {
            self.engine.cancel(self.now_ns, id);
        }
        self.settle(None);
    }

    /// Local hosts and groups come and go.
    pub fn own(&mut self, what: u8, number: u32) {
        let host = LogicalHost::from_bits(100 + number % 4);
        let group = EntityId::from_bits(0x6000_0000_0000_0007 + u64::from(number % 3));
        match what % 5 {
            0 => {
                if self.engine.claim(self.now_ns, host) {
                    self.claiming.insert(host);
                }
            }
            1 if !self.claiming.contains(&host) => {
                let is_new = number % 8 < 4;
                let _ =
                    if is_new { self.engine.add_local_host(host) } else { self.engine.resume_claim(host) };
            }
            1 | 2 => {
                self.claiming.remove(&host);
                self.engine.remove_local_host(self.now_ns, host);
            }
            3 => drop(self.engine.join_group(group)),
            _ => self.engine.leave_group(group),
        }
        self.settle(None);
    }

    /// Does what the engine wants done, this first, and hands back what it sends to itself; how many packets without data
    /// went out, and how many bytes with.
    fn settle(&mut self, mut first: Option<Action>) -> (usize, usize) {
        let (mut bare, mut data, mut handed_back) = (0, 0, 0);
        let mut own: VecDeque<Vec<u8>> = VecDeque::new();
        loop {
            let Some(action) = first.take().or_else(|| self.engine.next_action()) else {
                let Some(packet) = own.pop_front() else { break };
                handed_back += 1;
                assert!(handed_back < OWN_PACKETS, "the engine never stops speaking to itself");
                let received = self.engine.receive_packet(self.now_ns, Address::Own, &packet);
                self.store(received.store, &packet);
                first = received.action;
                continue;
            };
            match action {
                Action::Transmit(transmit) => {
                    self.counts.packets += 1;
                    let bytes = transmit.buffer.map_or(0, |buffer| self.segment_bytes(buffer));
                    let segment = vec![1; bytes as usize];
                    let mut packet = [0; MTU_BYTES as usize];
                    let length = transmit.write(&segment, &mut packet).expect("a packet that fits");
                    assert_eq!(length, transmit.packet_bytes());
                    let back = Packet::parse(&packet[..length], false).expect("a packet");
                    assert_eq!(back.header, transmit.header);
                    if transmit.destination == Destination::Host(Address::Own) {
                        own.push_back(packet[..length].to_vec());
                    } else if transmit.header.length_words == 0 {
                        bare += 1;
                    } else {
                        data += length;
                    }
                    self.said.push_back(transmit.header);
                    if self.said.len() > KEPT {
                        self.said.pop_front();
                    }
                }
                Action::Deliver(request) => self.take(request),
                Action::Abandon(id) => self.abandon(id),
                Action::Release(buffer) => {
                    assert!(self.replies.remove(&buffer).is_some(), "{buffer:?} is not the engine's");
                }
                Action::Complete { id, outcome } => {
                    let sent = self.sends.remove(&(id.client, id.transaction)).expect("one outcome");
                    assert_eq!(sent.0, id);
                    match outcome {
                        Outcome::Response(response) => {
                            assert!(response.segment_bytes <= sent.1.response.bytes);
                            self.counts.responses += 1;
                        }
                        Outcome::Failed { .. } => self.counts.failures += 1,
                        Outcome::Collected { .. } | Outcome::Batched { .. } => self.counts.responses += 1,
                        Outcome::Sent => {}
                    }
                }
                Action::Collect { id, response, segment } => {
                    assert!(self.sends.contains_key(&(id.client, id.transaction)), "{id:?} is over");
                    assert_eq!(segment.map_or(0, |segment| segment.bytes), response.segment_bytes);
                    self.hold(segment);
                    self.let_go(segment);
                }
                Action::Claimed(host) => assert!(self.claiming.remove(&host), "{host:?} was not claimed"),
                // Whatever is owned may be lost to whoever has the better claim.
                Action::ClaimLost(host) => {
                    self.claiming.remove(&host);
                }
            }
        }
        let counters = self.engine.counters();
        assert_eq!(counters.packets_sent, self.counts.packets);
        assert_eq!(counters.sends, self.counts.sends);
        assert_eq!(counters.responses, self.counts.responses);
        assert_eq!(counters.failures, self.counts.failures);
        assert_eq!(counters.requests, self.counts.requests);
        (bare, data)
    }

    /// The length of a segment that the user has given to be sent.
    fn segment_bytes(&self, buffer: Buffer) -> u32 {
        let requests = self.sends.values().filter_map(|(_, send)| send.segment);
        let request = requests.filter(|segment| segment.buffer == buffer).map(|segment| segment.bytes).next();
        request.or_else(|| self.replies.get(&buffer).copied()).expect("a segment that may be sent")
    }

    /// One of the engine's buffers is the user's now.
    fn hold(&mut self, segment: Option<Segment>) {
        if let Some(segment) = segment {
            assert!((segment.buffer.0 as usize) < BUFFERS && segment.bytes <= BUFFER_BYTES);
            assert!(self.held.insert(segment.buffer), "{segment:?} is the user's already");
        }
    }

    fn take(&mut self, request: Request) {
        self.counts.requests += 1;
        self.hold(request.segment);
        if request.message.has(vmtp::packet::message::DATAGRAM) {
            self.let_go(request.segment);
            return;
        }
        assert!(
            self.serving.iter().all(|served| served.id.client != request.id.client),
            "{request:?} comes before the client's last one is over"
        );
        assert!(self.serving.len() < SERVERS, "a request too many");
        if has_one_member(&request) {
            assert_eq!(self.engine.expect_one(request.id), Ok(()), "{request:?} is the user's");
        }
        self.serving.push(request);
    }

    fn abandon(&mut self, id: RequestId) {
        let place = self.serving.iter().position(|request| request.id == id).expect("the user has it");
        let request = self.serving.remove(place);
        self.let_go(request.segment);
    }

    /// Nobody answers any more: the engine must let go of everything.
    pub fn finish(&mut self) {
        for host in 100..104 {
            self.engine.remove_local_host(self.now_ns, LogicalHost::from_bits(host));
        }
        self.settle(None);
        while !self.serving.is_empty() {
            self.end(0);
        }
        for _ in 0..LAST_DEADLINES {
            match self.engine.next_deadline() {
                Some(deadline_ns) => self.pass(deadline_ns.saturating_sub(self.now_ns)),
                None => break,
            }
        }
        assert_eq!(self.engine.next_deadline(), None, "the engine never rests: {:?}", self.engine);
        assert!(self.sends.is_empty(), "{:?} have no outcome", self.sends);
        assert!(self.replies.is_empty() && self.held.is_empty(), "segments are kept");
        assert!(self.engine.is_quiet(), "{:?}", self.engine);
    }
}

/// Whether a request is to a group of which one member is here.
fn has_one_member(request: &Request) -> bool {
    request.server.is_group() && !request.id.transaction.is_multiple_of(2)
}
