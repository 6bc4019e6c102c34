//! The engine: its tables, the way of a packet through it, and what comes out.
//!
//! Everything that waits for something is a *node*: a client's transaction, a remote client's transaction, a remote
//! host, a claim, a group member's response. Nodes have one numbering, by which `timers` holds their deadlines and `ready` those that have something to
//! give out. [`Engine::next_action`] asks ready nodes first, then lets deadlines that are reached make more ready, so
//! nothing is queued but node numbers, and the memory needed is known when the engine is made.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use crate::action::{Action, Buffer, Destination, Received, Store, Transmit};
use crate::claim::Claim;
use crate::client::{ClientRecord, MemberRecord};
use crate::configuration::Configuration;
use crate::counters::Counters;
use crate::encapsulation::Address;
use crate::group::{Arriving, Departing, Derived};
use crate::host::Host;
use crate::packet::header::{HEADER_CHECKSUM_ONLY, MULTICAST};
use crate::packet::{self, Function, Header, Packet, PacketError};
use crate::server::ServerRecord;
use crate::short_path::{ShortReceiver, USUAL};
use crate::table::{IndexSet, LocalHosts, Map, Pool, Ready, Timers};
use crate::{EntityId, LogicalHost};

/// One host's VMTP. See the crate.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Engine {
    pub(crate) configuration: Configuration,
    pub(crate) room_bytes: u32,
    pub(crate) now_ns: u64,
    /// When the engine was made.
    pub(crate) began_ns: u64,
    /// From now on a request that was never sent before is new: packets of an earlier engine's time are gone.
    pub(crate) trusted_from_ns: u64,
    /// Some transaction that began before this may have been executed and forgotten.
    pub(crate) forgotten_ns: u64,
    pub(crate) random: u64,
    pub(crate) local_hosts: LocalHosts,
    pub(crate) groups: Vec<EntityId>,
    pub(crate) clients: Pool<ClientRecord>,
    pub(crate) client_map: Map,
    pub(crate) members: Pool<MemberRecord>,
    pub(crate) servers: Pool<ServerRecord>,
    pub(crate) server_map: Map,
    pub(crate) hosts: Pool<Host>,
    pub(crate) host_map: Map,
    pub(crate) host_hand: usize,
    pub(crate) claims: Pool<Claim>,
    pub(crate) free_buffers: IndexSet,
    /// Whose segment is in each buffer that is not free.
    buffer_hosts: Vec<Option<LogicalHost>>,
    used_buffers: usize,
    pub(crate) timers: Timers,
    pub(crate) ready: Ready,
    pub(crate) control: VecDeque<Transmit>,
    pub(crate) departing: Derived<Departing>,
    pub(crate) arriving: Derived<Option<Arriving>>,
    pub(crate) counters: Counters,
}

/// Whether a host that holds `held` of something may take one more of the `free` ones: as long as it holds no more than
/// are free. So one host alone gets half, each of a few gets an equal share, and there is one for a host that has none.
const fn within_share(held: usize, free: usize) -> bool {
    held <= free
}

/// What a node's number stands for.
#[derive(Clone, Copy)]
enum Node {
    Client(usize),
    Server(usize),
    Host(usize),
    Claim(usize),
    Member(usize),
}

impl Engine {
    /// An engine that knows nobody. `seed` is for its random choices.
    ///
    /// # Panics
    ///
    /// If the configuration cannot be; the message names the field.
    pub fn new(configuration: &Configuration, now_ns: u64, seed: u64) -> Engine {
        configuration.check();
        let Configuration { clients, group_responses, servers, hosts, local_hosts, .. } = *configuration;
        let nodes = clients + servers + hosts + local_hosts + group_responses;
        Engine {
            room_bytes: configuration.room_bytes(),
            now_ns,
            began_ns: now_ns,
            trusted_from_ns: 0,
            forgotten_ns: 0,
            random: seed,
            local_hosts: LocalHosts::new(local_hosts),
            groups: Vec::with_capacity(configuration.groups),
            clients: Pool::new(clients),
            client_map: Map::new(clients),
            members: Pool::new(group_responses),
            servers: Pool::new(servers),
            server_map: Map::new(servers),
            hosts: Pool::new(hosts),
            host_map: Map::new(hosts),
            host_hand: 0,
            claims: Pool::new(local_hosts),
            free_buffers: IndexSet::full(configuration.buffers),
            buffer_hosts: vec![None; configuration.buffers],
            used_buffers: 0,
            timers: Timers::new(nodes),
            ready: Ready::empty(nodes),
            control: VecDeque::with_capacity(configuration.control_packets),
            departing: Derived::default(),
            arriving: Derived::default(),
            counters: Counters::default(),
            configuration: configuration.clone(),
        }
    }

    /// The configuration that the engine was made with.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// What has happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Makes `host`, which is not, local. Whoever waits for it sends to this node itself from now on.
    pub(crate) fn begin_local(&mut self, host: LogicalHost) {
        self.local_hosts.add(host);
        self.arriving.0 = None;
        if let Some(index) = self.host_map.get(u64::from(host.to_bits())) {
            self.look_for_host(index);
        }
    }

    /// Ends that. Whoever waits for it looks for it on the network.
    pub(crate) fn end_local(&mut self, host: LogicalHost) {
        self.local_hosts.remove(host);
        self.arriving.0 = None;
        if let Some(index) = self.host_map.get(u64::from(host.to_bits())) {
            self.hosts[index].address = None;
        }
    }

    /// Whether a packet from `from` can be one of `entity`'s: what is local speaks from this node itself, nobody else does.
    pub(crate) fn may_come_from(&self, from: &Address, entity: EntityId) -> bool {
        self.is_local(entity.host()) == from.is_own()
    }

    /// Whether `host` is local.
    pub fn is_local(&self, host: LogicalHost) -> bool {
        self.local_hosts.contains(host)
    }

    /// Makes requests to `group` be delivered here. False if there are too many groups.
    pub fn join_group(&mut self, group: EntityId) -> bool {
        match self.groups.binary_search(&group) {
            Ok(_) => true,
            Err(_) if self.groups.len() == self.configuration.groups => false,
            Err(at) => {
                self.groups.insert(at, group);
                true
            }
        }
    }

    /// Ends that.
    pub fn leave_group(&mut self, group: EntityId) {
        if let Ok(at) = self.groups.binary_search(&group) {
            self.groups.remove(at);
        }
    }

    /// Whether requests to `group` are delivered here.
    pub fn is_joined(&self, group: EntityId) -> bool {
        self.configuration.any_group || self.groups.binary_search(&group).is_ok()
    }

    /// Whether no transaction, buffer or packet is left, only what is known of hosts.
    pub fn is_quiet(&self) -> bool {
        self.clients.used() == 0
            && self.servers.used() == 0
            && self.free_buffers == IndexSet::full(self.configuration.buffers)
            && self.control.is_empty()
            && self.ready.first().is_none()
    }

    /// Whether nothing is in one of the engine's buffers: no request that comes in, and none that was delivered.
    pub fn is_free(&self, buffer: Buffer) -> bool {
        self.free_buffers.contains(buffer.0 as usize)
    }

    /// Takes back the buffer of a delivered request's segment.
    pub fn release_buffer(&mut self, buffer: Buffer) {
        debug_assert!((buffer.0 as usize) < self.configuration.buffers, "one of the engine's buffers");
        self.free_buffers.insert(buffer.0 as usize);
        if self.buffer_hosts[buffer.0 as usize].take().is_some() {
            self.used_buffers -= 1;
        }
    }

    /// A buffer for a segment from `host`; none if none is free, or `host` has its share.
    pub(crate) fn take_buffer(&mut self, host: LogicalHost) -> Option<Buffer> {
        let number = self.free_buffers.first()?;
        let used = self.used_buffers;
        let count = || self.buffer_hosts.iter().filter(|whose| **whose == Some(host)).count();
        let free = self.buffer_hosts.len() - used;
        // No host has more than are used.
        if !within_share(used, free) && !within_share(count(), free) {
            return None;
        }
        self.used_buffers += 1;
        self.free_buffers.remove(number);
        self.buffer_hosts[number] = Some(host);
        Some(Buffer(number as u32))
    }

    /// Whether another record may be taken for a request from host `index`.
    pub(crate) fn may_be_served(&self, index: usize) -> bool {
        within_share(self.hosts[index].served as usize, self.servers.len() - self.servers.used())
    }

    /// The time is now `now_ns`; it never goes back. Deadlines that are reached show in [`Engine::next_action`].
    #[inline]
    pub fn advance(&mut self, now_ns: u64) {
        self.now_ns = self.now_ns.max(now_ns);
        self.end_departing();
    }

    /// When [`Engine::advance`] must be called next, if nothing happens before.
    pub fn next_deadline(&mut self) -> Option<u64> {
        self.timers.next()
    }

    /// A time until which [`Engine::advance`] need not be called, if nothing happens before: cheaper than
    /// [`Engine::next_deadline`], and not later than that.
    #[inline]
    pub fn soonest_deadline(&self) -> Option<u64> {
        self.timers.soonest()
    }

    /// What is to be done next; none when all is done for now. Ask after every other call until there is none.
    #[inline]
    pub fn next_action(&mut self) -> Option<Action> {
        self.end_departing();
        if self.control.is_empty() && self.ready.is_empty() && self.timers.is_early(self.now_ns) {
            return None;
        }
        self.find_action()
    }

    fn find_action(&mut self) -> Option<Action> {
        loop {
            if let Some(transmit) = self.control.pop_front() {
                self.counters.packets_sent += 1;
                return Some(Action::Transmit(transmit));
            }
            if let Some(node) = self.ready.first() {
                let action = match self.node(node) {
                    Node::Client(index) => self.client_action(index),
                    Node::Server(index) => self.server_action(index),
                    Node::Host(index) => self.host_action(index),
                    Node::Claim(index) => self.claim_action(index),
                    Node::Member(index) => self.member_action(index),
                };
                if action.is_some() {
                    return action;
                }
                if self.control.is_empty() {
                    self.ready.remove(node);
                }
            } else {
                let node = self.timers.expire(self.now_ns)?;
                match self.node(node) {
                    Node::Client(index) => self.client_timeout(index),
                    Node::Server(index) => self.server_timeout(index),
                    Node::Host(index) => self.host_timeout(index),
                    Node::Claim(index) => self.claim_timeout(index),
                    Node::Member(index) => self.member_timeout(index),
                }
            }
        }
    }

    /// A packet has come from `from`, without its encapsulation. What it carries for a segment must be stored by the
    /// caller at once, before anything else: see [`Received`]. Bytes that are no packet are counted and dropped.
    pub fn receive_packet(&mut self, now_ns: u64, from: Address, bytes: &[u8]) -> Received {
        match packet::parse_plain(bytes, self.configuration.domain, USUAL) {
            Some(header) => {
                self.advance(now_ns);
                self.receive_usual(from, &header)
            }
            None => self.receive_unusual(now_ns, from, bytes),
        }
    }

    #[inline(never)]
    fn receive_unusual(&mut self, now_ns: u64, from: Address, bytes: &[u8]) -> Received {
        match Packet::parse(bytes, self.configuration.accept_unchecked) {
            Ok(packet) => return self.receive(now_ns, from, &packet.header),
            Err(PacketError::Checksum) => self.counters.checksum_errors += 1,
            Err(_) => self.counters.packets_malformed += 1,
        }
        Received::default()
    }

    /// As [`Engine::receive_packet`], of a packet that the caller has taken apart and checked.
    #[inline]
    pub fn receive(&mut self, now_ns: u64, from: Address, header: &Header) -> Received {
        self.advance(now_ns);
        if let Some(store) = self.receive_in_group(from, header) {
            return Received { store: Some(store), action: None };
        }
        self.receive_other(from, header)
    }

    /// A packet that is not in the middle of the group that is coming.
    #[inline(never)]
    fn receive_other(&mut self, from: Address, header: &Header) -> Received {
        if let Some(received) = self.complete_group(from, header) {
            return received;
        }
        if let Some(received) = self.begin_group(from, header) {
            return received;
        }
        if header.control.without(USUAL).0 == 0 && header.domain == self.configuration.domain {
            return self.receive_usual(from, header);
        }
        self.receive_plain(from, header)
    }

    /// A packet with nothing unusual in its control word, by the short path if that can be.
    #[inline(always)]
    fn receive_usual(&mut self, from: Address, header: &Header) -> Received {
        match self.short_receiver(from, header) {
            ShortReceiver::Server(index) => self.take_short_request(index, header),
            ShortReceiver::Client { entry, index } => self.take_short_response(entry, index, header),
            ShortReceiver::Unknown => self.receive_plain(from, header),
        }
    }

    #[inline(never)]
    fn receive_plain(&mut self, from: Address, header: &Header) -> Received {
        Received { store: self.receive_any(from, header), action: None }
    }

    #[inline(never)]
    pub(crate) fn receive_any(&mut self, from: Address, header: &Header) -> Option<Store> {
        if header.domain != self.configuration.domain {
            self.counters.packets_ignored += 1;
            return None;
        }
        self.counters.packets_received += 1;
        match header.control.function() {
            Function::Request => self.receive_request(from, header),
            Function::Response => self.receive_response(from, header),
        }
    }

    /// Whether `node` is the only one that has something to give out.
    pub(crate) fn is_alone(&self, node: usize) -> bool {
        self.control.is_empty() && self.ready.is_only(node)
    }

    fn node(&self, node: usize) -> Node {
        let clients = self.clients.len();
        let servers = clients + self.servers.len();
        if node < clients {
            Node::Client(node)
        } else if node < servers {
            Node::Server(node - clients)
        } else if node < servers + self.hosts.len() {
            Node::Host(node - servers)
        } else if node < servers + self.hosts.len() + self.claims.len() {
            Node::Claim(node - servers - self.hosts.len())
        } else {
            Node::Member(node - servers - self.hosts.len() - self.claims.len())
        }
    }

    pub(crate) fn server_node(&self, index: usize) -> usize {
        self.clients.len() + index
    }

    pub(crate) fn host_node(&self, index: usize) -> usize {
        self.clients.len() + self.servers.len() + index
    }

    pub(crate) fn claim_node(&self, index: usize) -> usize {
        self.clients.len() + self.servers.len() + self.hosts.len() + index
    }

    pub(crate) fn member_node(&self, index: usize) -> usize {
        self.claim_node(self.claims.len()) + index
    }

    /// The individual in whose name this engine speaks when no other is concerned.
    pub(crate) fn own_manager(&self) -> EntityId {
        self.local_hosts.first().map_or(EntityId::DEFAULT_CLIENT, EntityId::manager_of)
    }

    /// A random number (splitmix64).
    pub(crate) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Fills in what all packets of this engine have in common.
    pub(crate) fn finish_header(&self, header: &mut Header, destination: Destination) {
        header.domain = self.configuration.domain;
        header.flags = self.packet_flags(destination, header.length_words != 0);
    }

    pub(crate) fn packet_flags(&self, destination: Destination, has_data: bool) -> u8 {
        let multicast = match destination {
            Destination::Host(_) => 0,
            Destination::Group(_) => MULTICAST,
        };
        let is_unchecked = has_data && self.configuration.header_checksum_only;
        let unchecked = if is_unchecked { HEADER_CHECKSUM_ONLY } else { 0 };
        multicast | unchecked
    }

    /// Queues a packet without data that no node answers for. When there is no room it is lost, as on the network.
    pub(crate) fn transmit_control(&mut self, destination: Destination, mut header: Header) {
        if self.control.len() == self.configuration.control_packets {
            self.counters.overflows += 1;
            return;
        }
        self.finish_header(&mut header, destination);
        self.control.push_back(Transmit {
            destination,
            header,
            buffer: None,
            segment_offset: 0,
            group_bytes: 0,
        });
    }
}
