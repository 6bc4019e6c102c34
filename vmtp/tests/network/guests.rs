//! Several logical hosts on each machine, with messages among all of them, while they move.

use std::collections::BTreeMap;

use crate::net::*;
use crate::users::ask;
use proptest::prelude::*;
use vmtp::{Configuration, EntityId, LogicalHost, Outcome, SendError};

/// Machines, each with a logical host of its own, which stays.
const MACHINES: usize = 3;
/// The first number of those that move.
const FIRST_GUEST: u32 = 200;

/// Machines with their own logical hosts, and guests on them.
struct World {
    net: Net,
    /// Where each logical host is: first the machines' own, then the guests.
    places: Vec<(LogicalHost, usize)>,
    transactions: BTreeMap<EntityId, u32>,
}

impl World {
    fn new(weather: Weather, seed: u64, guests: &[usize]) -> World {
        let configuration = Configuration { host_idle_ns: 20 * SECOND, ..Configuration::default() };
        let mut net = Net::new(MACHINES as u32, weather, seed, configuration);
        let mut places: Vec<_> = net.hosts.iter().map(|host| host.number).zip(0..).collect();
        for (number, place) in (FIRST_GUEST..).zip(guests) {
            let number = LogicalHost::from_bits(number);
            assert!(net.hosts[*place].engine.add_new_local_host(number));
            places.push((number, *place));
        }
        net.run_until(2 * SECOND);
        World { net, places, transactions: BTreeMap::new() }
    }

    /// A process of one logical host sends to one of another.
    fn send(&mut self, from: usize, to: usize, index: u64, words: [u32; 8], sizes: (usize, u32)) {
        let (number, machine) = self.places[from];
        let client = process(number, index);
        if self.net.is_waiting(machine, client) {
            self.net.run_until_done();
        }
        let transaction = self.transactions.entry(client).or_insert(0xffff_f000);
        *transaction = transaction.wrapping_add(256);
        let server = process(self.places[to].0, 100 + index);
        let sent = self.net.try_send_as(machine, client, *transaction, server, words, sizes, 0);
        assert!(sent.is_ok(), "{sent:?}");
    }

    fn migrate(&mut self, host: usize, to: usize) {
        let (number, from) = self.places[host];
        if from != to {
            self.net.migrate_one(number, from, to);
            self.places[host].1 = to;
        }
    }

    /// All sends that there were had a response.
    fn assert_answered(&self) {
        let outcomes = self.net.hosts.iter().flat_map(|host| &host.outcomes);
        for (id, outcome) in outcomes {
            assert!(matches!(outcome, Outcome::Response(_)), "{id:?}: {outcome:?}");
        }
    }
}

#[test]
fn messages_pass_between_logical_hosts_of_one_machine() {
    let mut world = World::new(CALM, 1, &[0, 0]);
    let before = world.net.hosts[0].engine.counters().packets_sent;
    for (from, to) in [(0, 3), (3, 0), (3, 4), (4, 3)] {
        for size in [0, 100, 40_000] {
            world.send(from, to, 1, [ask::SEGMENT, size, 0, 0, 0, 0, 0, 0], (size as usize, 65_560));
            world.net.run_until_done();
        }
    }
    assert_eq!(world.net.hosts[0].outcomes.len(), 12);
    world.assert_answered();
    let counters = world.net.hosts[0].engine.counters();
    assert_eq!((counters.conflicts, counters.packets_ignored, counters.probes_sent), (0, 0, 0));
    assert!(counters.packets_sent > before);
    let sent: Vec<_> = (1..3).map(|at| world.net.hosts[at].engine.counters().packets_received).collect();
    assert_eq!(sent, [0, 0], "no other machine heard of it");
    world.net.run_until_quiet();
}

#[test]
fn processes_of_one_logical_host_are_not_the_engines() {
    let mut world = World::new(CALM, 1, &[0]);
    let client = process(LogicalHost::from_bits(FIRST_GUEST), 1);
    let server = process(LogicalHost::from_bits(FIRST_GUEST), 2);
    let sent = world.net.try_send_as(0, client, 256, server, [ask::SEGMENT; 8], (0, 0), 0);
    assert_eq!(sent.err(), Some(SendError::SameHost));
}

/// Who speaks in the name of a local logical host from elsewhere is not heard, and one that has moved here is not looked
/// for elsewhere because of an old packet.
#[test]
fn a_local_logical_host_speaks_from_here_only() {
    let mut world = World::new(CALM, 1, &[0, 0]);
    let words = [ask::DELAY, 0, 50, 0, 0, 0, 0, 0];
    world.send(3, 4, 1, words, (0, 0));
    world.net.run_until(world.net.now_ns + 10 * MILLISECOND);
    // As an engine of its own would that has both.
    let mut forger = World::new(CALM, 2, &[1, 2]);
    forger.net.heard = Some(Vec::new());
    forger.send(3, 4, 1, words, (0, 0));
    forger.net.run_until_done();
    let before = world.net.hosts[0].engine.counters().packets_ignored;
    for packet in forger.net.heard.iter().flatten().filter(|packet| packet.0 == 1 && packet.1 == 2) {
        let from = Net::address(1);
        let received = world.net.hosts[0].engine.receive_packet(world.net.now_ns, from, &packet.2);
        assert_eq!(received, vmtp::Received::default());
    }
    assert!(world.net.hosts[0].engine.counters().packets_ignored > before);
    world.net.run_until_done();
    world.assert_answered();
}

proptest! {
    #![proptest_config(cases(300))]

    /// Whatever the weather, among whichever logical hosts, however often they move: one outcome each, which is true, at
    /// most one execution, whole segments; and a response for each where the network is not bad.
    #[test]
    fn transactions_among_guests_that_move(
        seed in 1u64..u64::MAX / 4,
        loss in prop_oneof![Just(0u64), Just(20), Just(200)],
        repeat in prop_oneof![Just(0u64), Just(100)],
        jitter_ns in prop_oneof![Just(0u64), Just(300_000), Just(30 * MILLISECOND)],
        guests in prop::collection::vec(0..MACHINES, 1..5),
        sends in prop::collection::vec((0..7usize, 0..6usize, 0..4u64, 0..3u32, prop_oneof![Just(0usize), 1..2000usize, 1..65_560usize], prop_oneof![Just(0u32), 1..2000u32, 1..65_560u32], 0..3000u64), 1..25),
        moves in prop::collection::vec((0..4usize, 0..MACHINES, 0..25usize), 0..8),
    ) {
        let weather = Weather { loss, repeat, delay_ns: 50_000, jitter_ns };
        let mut world = World::new(weather, seed, &guests);
        let hosts = MACHINES + guests.len();
        for (number, (from, ahead, index, code, request, response, pause)) in sends.into_iter().enumerate() {
            for (guest, to, _) in moves.iter().filter(|(.., at)| *at == number) {
                world.migrate(MACHINES + guest % guests.len(), *to);
            }
            let from = from % hosts;
            let to = (from + 1 + ahead % (hosts - 1)) % hosts;
            let words = [ask::SEGMENT + code, response, pause as u32 / 8, 0, 0, 0, 0, 0];
            world.send(from, to, index, words, (request, 65_560));
            let until_ns = world.net.now_ns + pause * MILLISECOND / 10;
            world.net.run_until(until_ns);
        }
        world.net.run_until_quiet();
        for (executed, times) in &world.net.executed {
            prop_assert!(*times <= 1 || world.net.idempotent.contains(executed), "{executed:?}: {times} times");
        }
        if loss == 0 && jitter_ns < MILLISECOND {
            world.assert_answered();
        }
    }
}
