//! Plain transactions, in calm and in bad weather.

use crate::net::*;
use crate::users::ask;
use proptest::prelude::*;
use vmtp::packet::{self, Header};
use vmtp::{Configuration, EntityId, Failure, Message, Outcome};

fn quick() -> Configuration {
    Configuration { host_idle_ns: 20 * SECOND, ..Configuration::default() }
}

#[test]
fn a_small_transaction_takes_two_packets() {
    let mut net = Net::new(2, CALM, 1, quick());
    let server = process(net.hosts[1].number, 2);
    net.run_until(2 * SECOND);
    net.send(0, (1, 1), server, [ask::SEGMENT, 0, 0, 0, 0, 0, 0, 0], (0, 0));
    net.run_until_done();
    assert!(matches!(net.hosts[0].outcomes[0].1, Outcome::Response(_)));
    let before = net.hosts[0].engine.counters().packets_sent + net.hosts[1].engine.counters().packets_sent;
    net.send(0, (1, 2), server, [ask::SEGMENT, 0, 0, 0, 0, 0, 0, 0], (0, 0));
    net.run_until_done();
    let after = net.hosts[0].engine.counters().packets_sent + net.hosts[1].engine.counters().packets_sent;
    assert_eq!(after - before, 2);
    net.run_until_quiet();
}

#[test]
fn segments_go_both_ways() {
    for mtu_bytes in [580, 1500, 9000, 65_000] {
        let mut net = Net::new(2, CALM, 1, Configuration { mtu_bytes, ..quick() });
        let server = process(net.hosts[1].number, 2);
        net.run_until(2 * SECOND);
        for (number, bytes) in [1, 511, 512, 513, 16_384, 16_385, 65_560].into_iter().enumerate() {
            let words = [ask::SEGMENT, bytes, 0, 0, 0, 0, 0, 0];
            net.send(0, (1, 256 * (number as u32 + 1)), server, words, (bytes as usize, 65_560));
            net.run_until_done();
            assert!(matches!(net.hosts[0].outcomes[number].1, Outcome::Response(_)), "{bytes}");
        }
        assert_eq!(net.hosts[0].engine.counters().retransmissions, 0);
        net.run_until_quiet();
    }
}

#[test]
fn a_slow_server_is_waited_for() {
    let mut net = Net::new(2, CALM, 1, quick());
    let server = process(net.hosts[1].number, 2);
    net.run_until(2 * SECOND);
    net.send(0, (1, 1), server, [ask::DELAY, 0, 100_000, 0, 0, 0, 0, 0], (0, 0));
    net.run_until_done();
    assert!(matches!(net.hosts[0].outcomes[0].1, Outcome::Response(_)));
    net.run_until_quiet();
}

#[test]
fn a_host_that_is_not_there_is_certain() {
    let mut net = Net::new(1, CALM, 1, quick());
    let server = process(vmtp::LogicalHost::from_bits(999), 2);
    net.send(0, (1, 1), server, [ask::SEGMENT, 0, 0, 0, 0, 0, 0, 0], (0, 0));
    net.run_until_done();
    let expected = Outcome::Failed { failure: Failure::HostUnreachable, may_have_been_executed: false };
    assert_eq!(net.hosts[0].outcomes[0].1, expected);
    net.run_until_quiet();
}

#[test]
fn a_server_that_is_not_there_is_certain() {
    let mut net = Net::new(2, CALM, 1, quick());
    let server = process(net.hosts[1].number, 2);
    net.run_until(2 * SECOND);
    net.send(0, (1, 1), server, [ask::NOBODY, 0, 0, 0, 0, 0, 0, 0], (3000, 0));
    net.run_until_done();
    let expected = Outcome::Failed { failure: Failure::NonexistentEntity, may_have_been_executed: false };
    assert_eq!(net.hosts[0].outcomes[0].1, expected);
    net.run_until_quiet();
}

#[test]
fn a_host_that_dies_ends_its_transactions() {
    let mut net = Net::new(2, CALM, 1, quick());
    let server = process(net.hosts[1].number, 2);
    net.run_until(2 * SECOND);
    net.send(0, (1, 1), server, [ask::DELAY, 0, 60_000, 0, 0, 0, 0, 0], (0, 0));
    net.run_until(net.now_ns + SECOND);
    net.hosts[1].connected = false;
    net.run_until_done();
    let expected = Outcome::Failed { failure: Failure::HostSilent, may_have_been_executed: true };
    assert_eq!(net.hosts[0].outcomes[0].1, expected);
    assert!(net.now_ns < 22 * SECOND);
    net.run_until_quiet();
}

/// A host that was just heard is not given up for being looked for in vain, however soon the probes are over.
#[test]
fn a_host_that_is_looked_for_has_its_silence() {
    let configuration = Configuration { silence_ns: 10 * SECOND, ..quick() };
    let mut net = Net::new(2, CALM, 1, configuration);
    let server = process(net.hosts[1].number, 2);
    net.run_until(2 * SECOND);
    net.send(0, (1, 1), server, [ask::DELAY, 0, 30_000, 0, 0, 0, 0, 0], (0, 0));
    net.run_until(3 * SECOND);
    // A word that the server has moved makes the engine look for it at once.
    let number = net.hosts[1].number;
    net.hosts[1].engine.remove_local_host(3 * SECOND, number);
    net.run_until(9 * SECOND);
    assert!(net.hosts[0].outcomes.is_empty(), "given up {:?}", net.hosts[0].outcomes);
    net.run_until(60 * SECOND);
    let expected = Outcome::Failed { failure: Failure::HostSilent, may_have_been_executed: true };
    assert_eq!(net.hosts[0].outcomes[0].1, expected);
}

/// A host that asks as much as it can and never lets go of anything: another still gets through, with a segment.
#[test]
fn a_host_that_asks_too_much_does_not_keep_another_out() {
    let configuration = Configuration { servers: 16, buffers: 6, ..quick() };
    let mut net = Net::new(3, CALM, 1, configuration);
    let server = process(net.hosts[2].number, 2);
    let flooding = net.hosts[0].number;
    net.run_until(2 * SECOND);
    for index in 0..60 {
        // Half of them hold a record for long; of the others' segments nothing comes but the first packet.
        if index % 2 == 0 {
            net.send(0, (100 + index, 1), server, [ask::DELAY, 0, 100_000, 0, 0, 0, 0, 0], (0, 0));
        } else {
            flood_with_first_packet(&mut net, process(flooding, 100 + index), server);
        }
    }
    net.run_until(net.now_ns + SECOND / 2);
    assert!(net.hosts[2].engine.counters().overflows > 20);
    for round in 1..4 {
        net.send(1, (1, 256 * round), server, [ask::SEGMENT, 5000, 0, 0, 0, 0, 0, 0], (5000, 65_560));
        net.run_until(net.now_ns + SECOND / 2);
        let outcome = net.hosts[1].outcomes.last().map(|ended| ended.1);
        assert!(matches!(outcome, Some(Outcome::Response(_))), "{outcome:?}");
        flood_with_first_packet(&mut net, process(flooding, 1000 + u64::from(round)), server);
    }
}

/// A packet of a long request of which no more will come.
fn flood_with_first_packet(net: &mut Net, client: EntityId, server: EntityId) {
    let mut message = Message { words: [ask::SEGMENT, 0, 0, 0, 0, 0, 0, 40_000] };
    message.words[0] |= packet::message::SEGMENT;
    let header = Header { client, server, transaction: 1, domain: 3, message, ..Header::default() };
    let now_ns = net.now_ns;
    let received = net.hosts[2].engine.receive(now_ns, Net::address(0), &header);
    assert_eq!(received.action, None);
    net.settle();
}

#[test]
fn a_restarted_server_engine_does_not_execute_again() {
    let mut net = Net::new(2, CALM, 1, quick());
    let server = process(net.hosts[1].number, 2);
    net.run_until(2 * SECOND);
    net.send(0, (1, 1), server, [ask::DELAY, 0, 60_000, 0, 0, 0, 0, 0], (0, 0));
    net.run_until(net.now_ns + 100 * MILLISECOND);
    net.restart_engine(1);
    net.run_until_done();
    let expected = Outcome::Failed { failure: Failure::Forgotten, may_have_been_executed: true };
    assert_eq!(net.hosts[0].outcomes[0].1, expected);
    // A transaction that begins after the restart is taken at once, though its client is asked.
    net.send(0, (1, 2), server, [ask::SEGMENT, 100, 0, 0, 0, 0, 0, 0], (1000, 100));
    net.run_until_done();
    assert!(matches!(net.hosts[0].outcomes[1].1, Outcome::Response(_)));
    net.run_until_quiet();
}

#[test]
fn a_restarted_client_engine_gets_the_response() {
    let mut net = Net::new(2, CALM, 1, quick());
    let server = process(net.hosts[1].number, 2);
    net.run_until(2 * SECOND);
    net.send(0, (1, 1), server, [ask::DELAY, 0, 3000, 0, 0, 0, 0, 0], (5000, 0));
    net.run_until(net.now_ns + 100 * MILLISECOND);
    net.restart_engine(0);
    net.run_until_done();
    assert!(matches!(net.hosts[0].outcomes[0].1, Outcome::Response(_)));
    net.run_until_quiet();
}

proptest! {
    #![proptest_config(cases(400))]

    /// Whatever the weather: one outcome each, at most one execution, whole segments, nothing left.
    #[test]
    fn transactions_in_any_weather(
        seed in 1u64..u64::MAX / 4,
        loss in prop_oneof![Just(0u64), Just(20), Just(200)],
        repeat in prop_oneof![Just(0u64), Just(100)],
        jitter_ns in prop_oneof![Just(0u64), Just(300_000), Just(30 * MILLISECOND)],
        mtu_bytes in prop_oneof![Just(580u32), Just(1500), Just(9000)],
        sends in prop::collection::vec((0..3usize, 1..3usize, 0..4u64, 0..4u32, prop_oneof![Just(0usize), 1..2000usize, 1..65_560usize], prop_oneof![Just(0u32), 1..2000u32, 1..65_560u32], 0..3000u64), 1..25),
        restarts in prop::collection::vec((0..3usize, 0..25usize), 0..3),
    ) {
        let weather = Weather { loss, repeat, delay_ns: 50_000, jitter_ns };
        let configuration = Configuration { mtu_bytes, buffers: 6, ..quick() };
        let mut net = Net::new(3, weather, seed, configuration);
        let mut transactions = std::collections::BTreeMap::new();
        for (number, (from, ahead, index, code, request, response, pause)) in sends.into_iter().enumerate() {
            for (host, at) in &restarts {
                if *at == number {
                    net.restart_engine(*host);
                }
            }
            let client = process(net.hosts[from].number, index);
            if net.is_waiting(from, client) {
                net.run_until_done();
            }
            let transaction = transactions.entry(client).or_insert(0xffff_f000u32);
            *transaction = transaction.wrapping_add(256);
            let server = process(net.hosts[(from + ahead) % 3].number, 100 + index);
            let words = [ask::SEGMENT + code, response, pause as u32 / 8, 0, 0, 0, 0, 0];
            net.send(from, (index, *transaction), server, words, (request, 65_560));
            net.run_until(net.now_ns + pause * MILLISECOND / 10);
        }
        net.run_until_quiet();
    }
}

/// A link with a short queue: what comes too fast is lost. Without a gap every burst would lose most of itself.
#[test]
fn the_gap_adapts_to_a_slow_link() {
    let configuration = Configuration { packet_time_ns: 1_000_000, ..quick() };
    let mut net = Net::new(2, CALM, 1, configuration);
    net.queue = Some((1_000_000, 4));
    let server = process(net.hosts[1].number, 2);
    net.run_until(2 * SECOND);
    let mut sent = Vec::new();
    for round in 1..40 {
        let before = net.hosts[1].engine.counters().packets_sent;
        net.send(0, (1, 256 * round), server, [ask::SEGMENT, 65_560, 0, 0, 0, 0, 0, 0], (0, 65_560));
        net.run_until_done();
        assert!(matches!(net.hosts[0].outcomes.last().unwrap().1, Outcome::Response(_)));
        sent.push(net.hosts[1].engine.counters().packets_sent - before);
    }
    // 65 packets are needed; the last rounds come close.
    let last: u64 = sent[30..].iter().sum::<u64>() / 9;
    assert!(last < 80, "{sent:?}");
    net.run_until_quiet();
}
