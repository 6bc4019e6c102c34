//! Logical hosts that move from engine to engine in the middle of everything.

use crate::net::*;
use crate::users::ask;
use proptest::prelude::*;
use vmtp::{Configuration, ImportError, LogicalHost, Outcome};

/// Three machines with a logical host each, and one without.
fn net(weather: Weather, seed: u64) -> Net {
    let configuration = Configuration { host_idle_ns: 20 * SECOND, buffers: 6, ..Configuration::default() };
    let mut net = Net::new(4, weather, seed, configuration);
    let number = net.hosts[3].number;
    net.hosts[3].engine.remove_local_host(0, number);
    net.run_until(2 * SECOND);
    net
}

#[test]
fn a_request_is_answered_where_its_server_went() {
    let mut net = net(CALM, 1);
    let server = process(net.hosts[1].number, 2);
    net.send(0, (1, 256), server, [ask::DELAY, 0, 3000, 0, 0, 0, 0, 0], (5000, 0));
    net.run_until(3 * SECOND);
    net.migrate(1, 3);
    net.run_until_done();
    let outcome = net.hosts[0].outcomes[0].1;
    assert!(matches!(outcome, Outcome::Response(_)), "{outcome:?}");
    net.send(0, (1, 512), server, [ask::SEGMENT, 40_000, 0, 0, 0, 0, 0, 0], (5000, 65_560));
    net.run_until_done();
    let outcome = net.hosts[0].outcomes[1].1;
    assert!(matches!(outcome, Outcome::Response(_)), "{outcome:?}");
    net.run_until_quiet();
}

/// At whatever moment of a long transaction the client moves, it has its response there.
#[test]
fn a_response_comes_to_where_its_client_went() {
    for moment in 0..60 {
        let mut net = net(Weather { loss: 50, ..CALM }, 7);
        let server = process(net.hosts[1].number, 2);
        net.send(0, (1, 256), server, [ask::SEGMENT, 60_000, 0, 0, 0, 0, 0, 0], (60_000, 65_560));
        net.run_until(net.now_ns + moment * 100_000);
        net.migrate(0, 3);
        net.run_until_done();
        let outcome = net.hosts[0].outcomes.iter().chain(&net.hosts[3].outcomes).next().unwrap().1;
        assert!(matches!(outcome, Outcome::Response(_)), "{moment}: {outcome:?}");
        net.run_until_quiet();
    }
}

#[test]
fn what_is_cut_or_local_is_refused_and_changes_nothing() {
    let mut net = net(CALM, 1);
    let server = process(net.hosts[1].number, 2);
    net.send(0, (1, 256), server, [ask::DELAY, 0, 3000, 0, 0, 0, 0, 0], (5000, 1000));
    let now_ns = net.now_ns;
    let number = net.hosts[0].number;
    let state = net.hosts[0].engine.export(now_ns, number).unwrap();
    assert_eq!(net.hosts[0].engine.export(now_ns, number), None);
    let engine = &mut net.hosts[3].engine;
    let before = engine.clone();
    for end in 0..state.len() {
        assert_eq!(engine.import(now_ns, &state[..end], Some), Err(ImportError::Malformed));
    }
    assert_eq!(engine.import(now_ns, &state, |_| None), Err(ImportError::UnknownBuffer));
    assert_eq!(*engine, before);
    assert!(engine.import(now_ns, &state, Some).is_ok());
    assert_eq!(engine.import(now_ns, &state, Some), Err(ImportError::NotRemote));
    assert!(engine.is_local(LogicalHost::from_bits(100)));
}

proptest! {
    #![proptest_config(cases(300))]

    /// Whatever the weather, and however often logical hosts move: one outcome each, at most one execution, whole segments.
    #[test]
    fn transactions_among_hosts_that_move(
        seed in 1u64..u64::MAX / 4,
        loss in prop_oneof![Just(0u64), Just(20), Just(200)],
        repeat in prop_oneof![Just(0u64), Just(100)],
        jitter_ns in prop_oneof![Just(0u64), Just(300_000), Just(30 * MILLISECOND)],
        sends in prop::collection::vec((0..3usize, 1..3usize, 0..4u64, 0..4u32, prop_oneof![Just(0usize), 1..2000usize, 1..65_560usize], prop_oneof![Just(0u32), 1..2000u32, 1..65_560u32], 0..3000u64), 1..25),
        moves in prop::collection::vec((0..3usize, 0..25usize), 1..5),
    ) {
        let weather = Weather { loss, repeat, delay_ns: 50_000, jitter_ns };
        let mut net = net(weather, seed);
        // On which machine each logical host is, and at the end, the machine without.
        let mut places = [0, 1, 2, 3];
        let mut transactions = std::collections::BTreeMap::new();
        for (number, (from, ahead, index, code, request, response, pause)) in sends.into_iter().enumerate() {
            for (host, _) in moves.iter().filter(|(_, at)| *at == number) {
                net.migrate(places[*host], places[3]);
                places.swap(*host, 3);
            }
            let to = net.hosts[places[(from + ahead) % 3]].number;
            let from = places[from];
            let client = process(net.hosts[from].number, index);
            if net.is_waiting(from, client) {
                net.run_until_done();
            }
            let transaction = transactions.entry(client).or_insert(0xffff_f000u32);
            *transaction = transaction.wrapping_add(256);
            let words = [ask::SEGMENT + code, response, pause as u32 / 8, 0, 0, 0, 0, 0];
            net.send(from, (index, *transaction), process(to, 100 + index), words, (request, 65_560));
            net.run_until(net.now_ns + pause * MILLISECOND / 10);
        }
        net.run_until_quiet();
        for (executed, times) in &net.executed {
            prop_assert!(*times <= 1 || net.idempotent.contains(executed), "{executed:?}: {times} times");
        }
    }
}
