//! Remote logical hosts: where each is, how far, how lossy the way to it, and whether it lives.
//!
//! A host is looked for by a multicast probe when a transaction needs it, and its address follows every packet that
//! comes from it. Of a logical host that is local, the address is always [`Address::Own`], of others never. A host is *silent* when it answers no retransmission; it is declared dead, for all transactions at once,
//! when it has been silent long enough and often enough. One word from it ends the silence.

use crate::action::{Action, Destination, Transmit};
use crate::client::RunWindow;
use crate::encapsulation::Address;
use crate::engine::Engine;
use crate::manager::{probe_transaction, procedure};
use crate::packet::header::Control;
use crate::packet::{Function, Header, Message};
use crate::table::NEVER;
use crate::{EntityId, LogicalHost};

/// No host: of a transaction with a group.
pub(crate) const NO_HOST: u32 = u32::MAX;

/// Where a host lives, a message is given up after so many times the retries.
const ATTEMPTS_PER_RETRY: u16 = 4;

/// How many probes of a host go out before the time between them doubles: a network that loses a third of all packets
/// would hide one host in fifty from a single one each time.
const PROBES_PER_TIME: u8 = 2;

/// How many records are looked at for one to give up when all are taken.
const EVICTION_LOOKS: usize = 64;

/// What is known of a remote logical host.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct Host {
    pub number: LogicalHost,
    pub address: Option<Address>,
    /// Transactions that hold this record.
    pub users: u32,
    /// Records of its clients' requests.
    pub served: u32,
    /// When a packet last came from it, or when it was first thought of.
    pub heard_ns: u64,
    /// A packet has come from it.
    pub heard: bool,
    /// Smoothed round trip time and its variation (RFC 6298); 0 before the first measurement.
    pub round_trip_ns: u64,
    pub variation_ns: u64,
    /// The gap between packets to it, and that which it is asked for, in 1/32 of a packet's time; see `pace`.
    pub gap: u8,
    pub wanted_gap: u8,
    /// How many transactions of a run it takes at a time, and whether it takes runs at all; see `client/run`.
    pub run_window: RunWindow,
    /// When the next packet may go to it.
    pub pace_ns: u64,
    /// No transaction of it with an individual that began after this was executed and forgotten.
    pub forgotten_ns: u64,
    /// The same of its transactions with groups.
    pub group_forgotten_ns: u64,
    /// It is being looked for.
    pub locating: bool,
    /// Probes without an answer.
    pub attempts: u8,
    /// The transaction of the last probe, and when it left.
    pub probe: u32,
    pub probe_sent_ns: u64,
}

impl Host {
    /// Whether it is, as was known, where a packet of it came from.
    #[inline(always)]
    pub fn is_at(&self, from: &Address) -> bool {
        !self.locating && self.address.as_ref().is_some_and(|address| address.is(from))
    }
}

impl Engine {
    /// The record of `number`, a new one if need be, or none if all are in use.
    pub(crate) fn host_of(&mut self, number: LogicalHost) -> Option<usize> {
        let key = u64::from(number.to_bits());
        if let Some(index) = self.host_map.get(key) {
            return Some(index);
        }
        if self.hosts.used() == self.hosts.len() {
            self.evict_host()?;
        }
        let (heard_ns, forgotten_ns, group_forgotten_ns) =
            (self.now_ns, self.forgotten_ns, self.forgotten_ns);
        let address = self.is_local(number).then_some(Address::Own);
        let index = self.hosts.take(Host {
            number,
            address,
            heard_ns,
            forgotten_ns,
            group_forgotten_ns,
            ..Host::default()
        })?;
        self.host_map.insert(key, index);
        let idle_ns = self.now_ns + self.configuration.host_idle_ns;
        self.timers.set(self.host_node(index), idle_ns);
        Some(index)
    }

    /// Frees the record that was silent longest of some that no transaction holds.
    fn evict_host(&mut self) -> Option<()> {
        let count = self.hosts.len();
        let looks = (0..count.min(EVICTION_LOOKS)).map(|step| (self.host_hand + step) % count.max(1));
        let victim =
            looks.filter(|at| self.hosts[*at].users == 0).min_by_key(|at| self.hosts[*at].heard_ns)?;
        self.host_hand = (self.host_hand + EVICTION_LOOKS) % count;
        self.forget_host(victim);
        Some(())
    }

    fn forget_host(&mut self, index: usize) {
        let host = &self.hosts[index];
        self.forgotten_ns = self.forgotten_ns.max(host.forgotten_ns).max(host.group_forgotten_ns);
        self.host_map.remove(u64::from(host.number.to_bits()));
        self.hosts.release(index);
        let node = self.host_node(index);
        self.timers.set(node, NEVER);
        self.ready.remove(node);
    }

    pub(crate) fn hold_host(&mut self, index: usize) {
        self.hosts[index].users += 1;
    }

    pub(crate) fn let_go_of_host(&mut self, index: usize) {
        self.hosts[index].users -= 1;
    }

    /// A packet has come from host `index` by `from`.
    #[inline]
    pub(crate) fn hear_host(&mut self, index: usize, from: Address) {
        let host = &mut self.hosts[index];
        host.heard_ns = self.now_ns;
        host.heard = true;
        if !host.is_at(&from) {
            self.find_host(index, from);
        }
    }

    /// Host `index` is found by `from`.
    #[cold]
    fn find_host(&mut self, index: usize, from: Address) {
        if self.is_local(self.hosts[index].number) != from.is_own() {
            // From before it moved.
            return;
        }
        let host = &mut self.hosts[index];
        host.address = Some(from);
        if host.locating {
            host.locating = false;
            host.attempts = 0;
            let node = self.host_node(index);
            self.timers.set(node, self.now_ns + self.configuration.host_idle_ns);
            self.wake_waiting_for_host(index);
        }
    }

    /// Begins to look for host `index`, unless that is under way, or it is local.
    pub(crate) fn locate_host(&mut self, index: usize) {
        let is_local = self.is_local(self.hosts[index].number);
        let host = &mut self.hosts[index];
        if host.locating || is_local {
            return;
        }
        host.locating = true;
        host.attempts = 0;
        self.ready.insert(self.host_node(index));
    }

    /// Host `index` is not where it was: it is looked for.
    pub(crate) fn look_for_host(&mut self, index: usize) {
        let number = self.hosts[index].number;
        if self.is_local(number) {
            self.hosts[index].locating = true;
            self.find_host(index, Address::Own);
        } else {
            self.hosts[index].address = None;
            self.locate_host(index);
        }
    }

    /// Whether a word from `from` can be one of host `index`.
    pub(crate) fn may_be_of_host(&self, from: &Address, index: usize) -> bool {
        self.is_local(self.hosts[index].number) == from.is_own()
    }

    /// A round trip to host `index` took this long.
    pub(crate) fn measure_host(&mut self, index: usize, round_trip_ns: u64) {
        let host = &mut self.hosts[index];
        if host.round_trip_ns == 0 {
            host.round_trip_ns = round_trip_ns.max(1);
            host.variation_ns = round_trip_ns / 2;
        } else {
            let error_ns = host.round_trip_ns.abs_diff(round_trip_ns);
            host.variation_ns = (3 * host.variation_ns + error_ns) / 4;
            host.round_trip_ns = ((7 * host.round_trip_ns + round_trip_ns) / 8).max(1);
        }
    }

    /// How long to wait for an answer from host `index`, after `attempts` that had none (TC2, TS3).
    #[inline(always)]
    pub(crate) fn answer_time_ns(&self, index: u32, attempts: u8) -> u64 {
        let configuration = &self.configuration;
        let once_ns = match self.hosts.at(index as usize) {
            Some(host) if host.round_trip_ns != 0 => host.round_trip_ns + 4 * host.variation_ns,
            _ => configuration.round_trip_ns,
        };
        let once_ns = once_ns.clamp(configuration.retransmit_min_ns, configuration.retransmit_max_ns);
        if attempts == 0 {
            return once_ns;
        }
        (once_ns << attempts.min(16)).min(configuration.retransmit_max_ns)
    }

    /// Whether host `index` is to be given up after `attempts` without an answer.
    pub(crate) fn is_silent(&self, index: u32, attempts: u8) -> bool {
        let Some(host) = self.hosts.get(index as usize) else { return attempts > self.configuration.retries };
        attempts > self.configuration.retries && self.now_ns - host.heard_ns >= self.configuration.silence_ns
    }

    /// Whether a message of which nothing more has come or gone after so many attempts is to be given up, though its host
    /// is heard.
    pub(crate) fn is_stalled(&self, attempts: u8) -> bool {
        u16::from(attempts) > ATTEMPTS_PER_RETRY * u16::from(self.configuration.retries)
    }

    /// The next probe of a host that is looked for.
    pub(crate) fn host_action(&mut self, index: usize) -> Option<Action> {
        let node = self.host_node(index);
        self.ready.remove(node);
        if !self.hosts[index].locating {
            return None;
        }
        let count = self.random() as u32;
        let transaction = probe_transaction(node, count);
        let wait_ns = self.answer_time_ns(NO_HOST, self.hosts[index].attempts / PROBES_PER_TIME);
        self.timers.set(node, self.now_ns + wait_ns);
        let host = &mut self.hosts[index];
        host.probe = transaction;
        host.probe_sent_ns = self.now_ns;
        let entity = EntityId::manager_of(host.number);
        let destination = Destination::Group(EntityId::MANAGER_GROUP);
        let header = self.probe_header(entity, transaction, destination);
        self.counters.packets_sent += 1;
        Some(Action::Transmit(Transmit {
            destination,
            header,
            buffer: None,
            segment_offset: 0,
            group_bytes: 0,
        }))
    }

    /// The request "what is `entity` doing?" to its manager.
    pub(crate) fn probe_header(
        &mut self,
        entity: EntityId,
        transaction: u32,
        destination: Destination,
    ) -> Header {
        self.counters.probes_sent += 1;
        let mut message = Message::default();
        message.words[0] = procedure::PROBE_ENTITY;
        message.set_entity(1, entity);
        message.set_entity(3, entity);
        let mut header = Header {
            client: self.own_manager(),
            control: Control::new(Function::Request),
            transaction,
            server: EntityId::MANAGER_GROUP,
            message,
            ..Header::default()
        };
        self.finish_header(&mut header, destination);
        header
    }

    /// The manager of a host that was looked for has answered.
    pub(crate) fn host_probed(&mut self, index: usize, from: Address, header: &Header) {
        let Some(host) = self.hosts.get(index) else { return };
        if host.probe != header.transaction || !host.locating || host.number != header.server.host() {
            return;
        }
        let round_trip_ns = self.now_ns - host.probe_sent_ns;
        self.measure_host(index, round_trip_ns);
        self.hear_host(index, from);
    }

    pub(crate) fn host_timeout(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        if host.locating {
            host.attempts = host.attempts.saturating_add(1);
            let is_searched = host.attempts >= PROBES_PER_TIME.saturating_mul(self.configuration.retries);
            // Of one that never said a word there is no silence to wait for.
            let is_silent = !host.heard || self.now_ns - host.heard_ns >= self.configuration.silence_ns;
            let given_up = is_searched && is_silent;
            if given_up {
                self.declare_dead(index);
            } else {
                self.ready.insert(self.host_node(index));
            }
            return;
        }
        let idle_at_ns = host.heard_ns + self.configuration.host_idle_ns;
        if host.users == 0 && idle_at_ns <= self.now_ns {
            self.forget_host(index);
        } else {
            let again_ns = idle_at_ns.max(self.now_ns + self.configuration.host_idle_ns / 2);
            self.timers.set(self.host_node(index), again_ns);
        }
    }

    /// Gives host `index` up: every transaction that waits for it ends.
    pub(crate) fn declare_dead(&mut self, index: usize) {
        let idle_ns = self.now_ns + self.configuration.host_idle_ns;
        let node = self.host_node(index);
        let address = self.is_local(self.hosts[index].number).then_some(Address::Own);
        let host = &mut self.hosts[index];
        if core::mem::replace(&mut host.address, address).is_some() {
            self.counters.hosts_dead += 1;
        }
        host.locating = false;
        host.attempts = 0;
        self.timers.set(node, idle_ns);
        self.ready.remove(node);
        self.end_clients_of_host(index);
        self.end_servers_of_host(index);
    }

    /// Host `index` has been found: whoever waited to send to it may.
    fn wake_waiting_for_host(&mut self, index: usize) {
        for client in self.clients.taken() {
            if self.clients[client].host as usize == index && !self.clients[client].outgoing.is_idle() {
                self.ready.insert(client);
            }
        }
        for server in self.servers.taken() {
            let record = &self.servers[server];
            let goes_there = record.target.unwrap_or(record.host) as usize == index;
            if goes_there && !record.outgoing.is_idle() {
                self.ready.insert(self.server_node(server));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Configuration;

    const HOSTS: usize = 1_000_000;
    const SECOND_NS: u64 = 1_000_000_000;

    /// One answer that came after seconds, while its host was starting again, does not make every later loss cost as long.
    #[test]
    fn a_late_answer_does_not_slow_what_follows() {
        let mut engine = Engine::new(&Configuration::default(), 1, 1);
        let host = engine.host_of(LogicalHost::from_bits(5)).unwrap();
        engine.measure_host(host, SECOND_NS / 1000);
        engine.measure_host(host, 6 * SECOND_NS);
        let most_ns = engine.configuration.retransmit_max_ns;
        assert_eq!(engine.answer_time_ns(host as u32, 0), most_ns);
        assert_eq!(engine.answer_time_ns(host as u32, 3), most_ns);
    }

    /// An idle host's timer costs nothing until it is due, and then once: of a million, asking for the next deadline or
    /// action moves none.
    #[test]
    fn a_million_idle_hosts_cost_nothing_until_due() {
        let configuration = Configuration { hosts: HOSTS, ..Configuration::default() };
        let idle_ns = configuration.host_idle_ns;
        let mut engine = Engine::new(&configuration, 0, 1);
        for number in 0..HOSTS {
            let host = engine.host_of(LogicalHost::from_bits(number as u32 + 100)).expect("a record is free");
            engine.hear_host(host, Address::Ethernet([2; 6]));
        }
        engine.timers.moves = 0;
        for second in 1..idle_ns / SECOND_NS {
            engine.advance(second * SECOND_NS);
            assert_eq!(engine.next_action(), None);
            assert_eq!(engine.next_deadline(), Some(idle_ns));
            // A word of one of them moves no timer either.
            engine.hear_host(second as usize, Address::Ethernet([2; 6]));
        }
        assert_eq!(engine.timers.moves, 0);
        engine.advance(idle_ns);
        assert_eq!(engine.next_action(), None);
        // Each is looked at once, for as much as the heap is deep; those that were heard wait for another time.
        assert_eq!(engine.hosts.used() as u64, idle_ns / SECOND_NS - 1);
        assert!(engine.timers.moves < HOSTS * 12, "{} moves", engine.timers.moves);
    }
}
