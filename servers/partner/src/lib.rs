//! The kernel's partner for processes on other machines, without input or output: what the network server does between
//! the messages that the kernel gives it (`abi::remote`) and VMTP.
//!
//! [`Partner`] is driven like the engine in it: by messages received, packets received, and the time. It acts on its
//! kernel and its link through two small traits, and never waits. So the network server and the simulator run the same
//! code.
//!
//! | module | what for |
//! |---|---|
//! | `sends` | processes here that send to other machines |
//! | `serves` | clients on other machines that send to processes here |
//! | `moves` | copies to and from the segments of processes here, which servers elsewhere ask for |
//! | [`guests`] | logical hosts beside the node's own |
//! | [`groups`] | groups with members on several machines |
//! | [`hosts`] | which other nodes there are |
//! | `loopback` | packets between logical hosts of this node |
//! | `memory` | segments on their way |
//! | [`migration`] | a guest's logical host as bytes, and back |
//! | `state` | what these consist of |
//! | `places` | copies' segments, which stay where they are |
//! | [`kernel`] | what it needs of the kernel |
//!
//! Nothing here outlives the partner, but what it has of a guest that it gives out ([`Partner::export_host`]): when it
//! ends, the kernel ends what was under way, and the next one begins anew.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod groups;
pub mod guests;
pub mod hosts;
pub mod kernel;
mod loopback;
mod memory;
pub mod migration;
mod moves;
mod places;
mod sends;
mod serves;
mod state;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use abi::kernel::MOST_MOVED_BYTES;
use abi::remote::{Arrival, Received};
use abi::segment::HEAD_BYTES;
use abi::wire::PREFIX_BYTES;
use abi::{LogicalHost, Pid};
use vmtp::encapsulation::Address;
use vmtp::{Action, Destination, Engine, EntityId, Store, Transmit};

use guests::{Guests, vmtp_host};
use hosts::Hosts;
pub use hosts::{Host, Name};
pub use kernel::{AlienPlace, Kernel, MovingKernel};
use loopback::{Loopback, PACKETS_AT_ONCE};
use memory::Memory;
use places::Places;
use sends::Sends;
use serves::{Answer, Serves};

/// Bytes of the longest segment on the wire that is not a copy's: a head, behind its prefix.
pub const WIRE_SEGMENT_BYTES: usize = PREFIX_BYTES + HEAD_BYTES as usize;

/// How often the partner looks whether those who wait for it are still there, and what memory and aliens are for nothing.
const LOOK_NS: u64 = 1_000_000_000;

/// How much of what a partner may have at a time.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The engine's.
    pub engine: vmtp::Configuration,
    /// What the node is called.
    pub name: Name,
    /// Logical hosts that are claimed before a guest needs one.
    pub spare_hosts: usize,
    /// Requests from other machines that are being served.
    pub serves: usize,
    /// Of these, from one machine.
    pub serves_per_host: usize,
    /// Bytes of memory for segments; beyond it nothing new is begun but copies, which let others end.
    pub memory_bytes: usize,
}

impl Default for Configuration {
    fn default() -> Configuration {
        Configuration {
            engine: vmtp::Configuration {
                buffer_bytes: (PREFIX_BYTES + MOST_MOVED_BYTES as usize) as u32,
                // Where three packets in ten are lost, half of all attempts are in vain: a dozen in a row, and twenty of
                // a machine that is known, are less likely than its death.
                retries: 12,
                // What is lost is missed soon: a packet more for a server that takes longer is cheap. But a machine that
                // has more to do than processors takes some milliseconds to answer, and is not to be asked each time.
                service_time_ns: 10_000_000,
                group_gap_ns: 2_000_000,
                retransmit_min_ns: 2_000_000,
                retransmit_max_ns: 500_000_000,
                silence_ns: 10_000_000_000,
                any_group: true,
                local_hosts: 64,
                ..vmtp::Configuration::default()
            },
            name: Name::default(),
            spare_hosts: 2,
            serves: 128,
            serves_per_host: 64,
            memory_bytes: 4 * 1024 * 1024,
        }
    }
}

/// Where packets go.
pub trait Link {
    /// Sends a packet of `bytes` bytes, which `fill` writes, unless that says that it cannot. Without room for it, it is
    /// lost, as on the way.
    fn transmit(&mut self, destination: &Destination, bytes: usize, fill: impl FnOnce(&mut [u8]) -> bool);
}

/// See the crate.
pub struct Partner {
    configuration: Configuration,
    own: LogicalHost,
    engine: Engine,
    memory: Memory,
    places: Places,
    sends: Sends,
    serves: Serves,
    hosts: Hosts,
    /// Where the next message's segment goes, behind room for a prefix.
    inbox: Vec<u8>,
    look_ns: u64,
    /// How many aliens there are, at most: those with lower numbers were needed since they last ended.
    aliens: usize,
    standing: Standing,
    guests: Guests,
    loopback: Loopback,
    /// What came of calls of the engine at once, to be done first.
    due: VecDeque<Action>,
    /// What was received while the logical host was being claimed.
    waiting: Vec<Received>,
}

/// What is known of the node's logical host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It is being claimed: what is sent waits.
    Claiming,
    /// It is the node's.
    Owned,
    /// It is another node's. This one is to boot again, with another number.
    Lost,
}

impl Partner {
    /// A partner of the kernel with the logical host `own`, at a time, with a seed for what is random. The node's
    /// first has the logical host to claim; `former` is how many there were before. Begins with [`Partner::advance`].
    pub fn new(
        configuration: &Configuration,
        own: LogicalHost,
        former: u32,
        now_ns: u64,
        seed: u64,
    ) -> Partner {
        let mut engine = Engine::new(&configuration.engine, now_ns, seed);
        let host = vmtp_host(own);
        let standing = if former > 0 && engine.resume_claim(host) {
            Standing::Owned
        } else if engine.claim(now_ns, host) {
            Standing::Claiming
        } else {
            Standing::Lost
        };
        let (clients, buffers) = (configuration.engine.clients, configuration.engine.buffers);
        Partner {
            own,
            engine,
            // Each process that sends has one copy made for it at a time.
            memory: Memory::new(buffers, clients, configuration.serves + clients),
            places: Places::default(),
            sends: Sends::new(clients),
            serves: Serves::new(configuration.serves, clients),
            hosts: Hosts::default(),
            inbox: alloc::vec![0; WIRE_SEGMENT_BYTES],
            look_ns: now_ns + LOOK_NS,
            aliens: 0,
            standing,
            guests: Guests::default(),
            loopback: Loopback::default(),
            due: VecDeque::new(),
            waiting: Vec::new(),
            configuration: configuration.clone(),
        }
    }

    /// Where the kernel is to put the head of the segment of the next message that is received.
    #[inline]
    pub fn inbox(&mut self) -> &mut [u8] {
        &mut self.inbox[PREFIX_BYTES..]
    }

    /// A message has been received, its segment's head into the inbox. False if it is for the network server itself.
    #[inline]
    pub fn take_message<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        received: &Received,
        kernel: &mut K,
        link: &mut L,
    ) -> bool {
        match received.arrival {
            Arrival::Own => return false,
            Arrival::Elsewhere { .. } => {
                self.send(now_ns, received, kernel, link);
            }
            Arrival::Answered { cookie, replier, outcome } => {
                let answer = Answer { message: &received.message, replier, outcome };
                self.answered(now_ns, cookie, &answer, kernel, link);
            }
            Arrival::Forwarded { cookie, forwarder, to } => {
                self.forwarded(now_ns, cookie, &received.message, forwarder, to, kernel, link);
            }
        }
        self.act(now_ns, None, kernel, link);
        true
    }

    /// A packet has come from `from`, without what it was carried in. Its memory is free again before anything is sent:
    /// what it brings about, [`Partner::act`] does, which is to be called next with what comes of it at once.
    #[inline]
    pub fn take_packet<K: Kernel>(
        &mut self,
        now_ns: u64,
        from: Address,
        packet: &[u8],
        kernel: &mut K,
    ) -> vmtp::Received {
        let mut received = self.engine.receive_packet(now_ns, from, packet);
        if let Some(store) = &received.store {
            self.take_data(store, &mut received.action, packet, kernel);
        }
        received
    }

    /// Takes the data of a packet, ahead of what else it brings about.
    fn take_data<K: Kernel>(
        &mut self,
        store: &Store,
        action: &mut Option<Action>,
        packet: &[u8],
        kernel: &mut K,
    ) {
        match action {
            // A whole response: it goes from the packet to who waits for it.
            Some(Action::Complete { id, outcome }) if let Some(data) = self.whole_segment(store, packet) => {
                self.complete_with(*id, outcome, data, kernel);
                *action = None;
            }
            _ => self.store(store, packet, kernel),
        }
    }

    /// The segment of which a packet brings all, if that is not kept elsewhere.
    fn whole_segment<'a>(&mut self, store: &Store, packet: &'a [u8]) -> Option<&'a [u8]> {
        let is_here = self.memory.get(store.buffer).is_empty() && self.places.get(store.buffer).is_none();
        store.data_from(packet, 0).filter(|data| is_here && data.len() == store.group_bytes as usize)
    }

    /// Puts the data of a packet where it belongs.
    fn store<K: Kernel>(&mut self, store: &Store, packet: &[u8], kernel: &mut K) {
        if store.is_first {
            self.begin_store(store.buffer, packet);
        }
        if let Some(place) = self.places.get(store.buffer) {
            return place.store(store, packet, &mut self.memory, &self.sends, kernel);
        }
        let end = (store.segment_offset + store.group_bytes) as usize;
        if end > WIRE_SEGMENT_BYTES {
            // No kernel sends so much but for a copy. Without its data the request is refused.
            return;
        }
        let have = self.memory.get(store.buffer).len();
        // Most packets go on where the one before has ended: their bytes need not be made zero first.
        if let Some(data) = store.data_from(packet, have) {
            self.memory.append(store.buffer, data, end);
        } else {
            // The engine has checked the packet against the segment's length.
            let _ = store.copy(packet, self.memory.at_least(store.buffer, end));
        }
    }

    /// It is `now_ns`; to be told when [`Partner::next_deadline`] has come.
    pub fn advance<K: Kernel, L: Link>(&mut self, now_ns: u64, kernel: &mut K, link: &mut L) {
        self.engine.advance(now_ns);
        if now_ns >= self.look_ns {
            self.claim_in_advance(now_ns);
            self.look_ns = now_ns + LOOK_NS;
            self.look_for_clients(now_ns, kernel);
            self.memory.empty_incoming(|buffer| self.engine.is_free(buffer));
            if self.aliens > 0 && self.serves.is_empty() {
                self.aliens = 0;
                kernel.end_aliens();
                // They would keep the heap from shrinking after much was under way.
                self.memory.drop_spare();
            }
            let incoming = self.configuration.engine.buffers as u32;
            self.places.drop_where(|buffer| buffer.0 < incoming && self.engine.is_free(buffer));
        }
        self.act(now_ns, None, kernel, link);
    }

    /// When [`Partner::advance`] is to be called at the latest, if nothing happens before.
    #[inline]
    pub fn next_deadline(&self) -> Option<u64> {
        if !self.loopback.is_empty() {
            return Some(0);
        }
        let looks = self.aliens > 0 || !self.sends.is_empty() || self.memory.used_bytes() > 0;
        let look_ns = if looks { self.look_ns } else { u64::MAX };
        let soonest_ns = self.engine.soonest_deadline().unwrap_or(u64::MAX).min(look_ns);
        (soonest_ns != u64::MAX).then_some(soonest_ns)
    }

    /// What is known of the node's logical host.
    #[inline]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether nothing is under way, and no memory is held.
    pub fn is_quiet(&self) -> bool {
        self.engine.is_quiet()
            && self.sends.is_empty()
            && self.serves.is_empty()
            && self.waiting.is_empty()
            && self.due.is_empty()
            && self.loopback.is_empty()
            && self.memory.used_bytes() == 0
            && self.places.is_empty()
    }

    /// What is under way: processes that wait for other machines, those of other machines that are being served or
    /// whose answer is kept, aliens that are kept for the next ones, and bytes of segments.
    pub fn under_way(&self) -> [(&'static str, u64); 4] {
        [
            ("waiting_for_others", self.sends.used() as u64),
            ("serving_others", self.serves.used() as u64),
            ("aliens_kept", self.aliens as u64),
            ("segment_bytes_held", self.memory.used_bytes() as u64),
        ]
    }

    /// What the engine has counted.
    pub fn counters(&self) -> &vmtp::Counters {
        self.engine.counters()
    }

    /// Does what a call of the engine's has brought about at once, and then all that the engine wants done.
    #[inline]
    pub fn act<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        first: Option<&mut Action>,
        kernel: &mut K,
        link: &mut L,
    ) {
        if let Some(action) = first {
            self.carry_out(now_ns, action, kernel, link);
        }
        let mut handed_back = 0;
        loop {
            let next = match self.due.pop_front() {
                Some(action) => Some(action),
                None if self.loopback.is_empty() => self.engine.next_action(),
                None if handed_back == PACKETS_AT_ONCE => return,
                None => {
                    handed_back += 1;
                    self.hand_back(now_ns, kernel, link);
                    continue;
                }
            };
            let Some(mut action) = next else { return };
            self.carry_out(now_ns, &mut action, kernel, link);
        }
    }

    /// A packet of this node to itself arrives.
    #[inline(never)]
    fn hand_back<K: Kernel, L: Link>(&mut self, now_ns: u64, kernel: &mut K, link: &mut L) {
        let Some(packet) = self.loopback.pop() else { return };
        let mut received = self.take_packet(now_ns, Address::Own, &packet, kernel);
        self.loopback.recycle(packet);
        if let Some(action) = &mut received.action {
            self.carry_out(now_ns, action, kernel, link);
        }
    }

    /// Does what came of a call of the engine's at once. That is a packet, if anything.
    #[inline]
    fn act_at_once<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        first: &mut Option<Action>,
        kernel: &mut K,
        link: &mut L,
    ) {
        match first {
            Some(Action::Transmit(transmit)) => self.transmit_group(now_ns, transmit, kernel, link),
            Some(action) => self.due.push_back(*action),
            None => {}
        }
    }

    fn carry_out<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        action: &mut Action,
        kernel: &mut K,
        link: &mut L,
    ) {
        match action {
            Action::Transmit(transmit) => self.transmit_group(now_ns, transmit, kernel, link),
            Action::Deliver(request) => self.serve(now_ns, request, kernel, link),
            Action::Abandon(id) => self.abandon(*id, kernel),
            Action::Release(buffer) => self.release(*buffer),
            Action::Complete { id, .. } if self.have_asked(*id) => {}
            Action::Complete { id, outcome } => self.complete(*id, outcome, kernel),
            Action::Collect { id, response, segment } => {
                let data = segment.map_or(Vec::new(), |segment| {
                    self.engine.release_buffer(segment.buffer);
                    self.memory.take(segment.buffer)
                });
                self.collect_host(*id, response);
                self.collect_reply(*id, response, &data, kernel);
            }
            Action::Claimed(host) => match LogicalHost::from_bits(host.to_bits()) {
                host if host == self.own => self.set_standing(now_ns, Standing::Owned, kernel, link),
                host => self.guest_claimed(host),
            },
            Action::ClaimLost(host) => match LogicalHost::from_bits(host.to_bits()) {
                host if host == self.own => self.set_standing(now_ns, Standing::Lost, kernel, link),
                host => self.guest_lost(now_ns, host),
            },
        }
    }

    /// Sends a packet, and those of its packet group that can be sent at once.
    #[inline]
    fn transmit_group<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        transmit: &mut Transmit,
        kernel: &mut K,
        link: &mut L,
    ) {
        if transmit.buffer.is_none() && !loopback::is_own(&transmit.destination) {
            // A packet without data is all of its group.
            let (to, bytes) = (&transmit.destination, transmit.packet_bytes());
            return link.transmit(to, bytes, |packet| transmit.write(&[], packet).is_some());
        }
        loop {
            if !self.transmit(transmit, kernel, link) {
                return self.stop_copy(now_ns, transmit.buffer);
            }
            if !self.engine.next_in_group(transmit) {
                return;
            }
        }
    }

    /// Sends a packet, or hands it back. False if the data for it cannot be had.
    fn transmit<K: Kernel, L: Link>(&mut self, transmit: &Transmit, kernel: &mut K, link: &mut L) -> bool {
        if loopback::is_own(&transmit.destination) {
            return self.transmit_back(transmit, kernel);
        }
        self.transmit_by(transmit, kernel, link)
    }

    #[cold]
    fn transmit_back<K: Kernel>(&mut self, transmit: &Transmit, kernel: &mut K) -> bool {
        let mut loopback = core::mem::take(&mut self.loopback);
        let is_whole = self.transmit_by(transmit, kernel, &mut loopback);
        self.loopback = loopback;
        is_whole
    }

    #[inline]
    fn transmit_by<K: Kernel, L: Link>(&mut self, transmit: &Transmit, kernel: &mut K, link: &mut L) -> bool {
        let Partner { memory, places, sends, .. } = self;
        let segment = transmit.buffer.map_or(&[][..], |buffer| memory.get(buffer));
        let place = transmit.buffer.and_then(|buffer| places.get(buffer));
        let mut is_whole = true;
        link.transmit(&transmit.destination, transmit.packet_bytes(), |packet| {
            let written = match place {
                None => transmit.write(segment, packet),
                Some(place) => {
                    transmit.write_with(packet, |at, out| place.read(at, out, segment, sends, kernel))
                }
            };
            is_whole = written.is_some();
            is_whole
        });
        is_whole
    }
}

/// What is under way, without what is in the buffers.
impl fmt::Debug for Partner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partner")
            .field("standing", &self.standing)
            .field("waiting", &self.waiting)
            .field("sends", &self.sends)
            .field("serves", &self.serves)
            .field("memory_bytes", &self.memory.used_bytes())
            .field("engine_is_quiet", &self.engine.is_quiet())
            .finish_non_exhaustive()
    }
}

/// A pid as VMTP has it.
fn entity(pid: Pid) -> EntityId {
    EntityId::from_bits(pid.to_bits())
}

/// VMTP's entity as a pid.
fn pid(entity: EntityId) -> Pid {
    Pid::from_bits(entity.to_bits())
}

/// A message as VMTP has it: the flags are its own.
fn to_wire(message: &abi::Message) -> vmtp::Message {
    let mut words = message.words;
    words[0] = message.code();
    words[7] = 0;
    vmtp::Message { words }
}

/// A message from VMTP, with `segment_bytes` bytes of data behind the prefix.
fn from_wire(message: &vmtp::Message, segment_bytes: usize) -> abi::Message {
    let mut words = message.words;
    words[0] = message.code();
    words[7] = segment_bytes as u32;
    abi::Message { words }
}
