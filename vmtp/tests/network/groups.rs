//! Requests to groups, datagrams, and requests that are forwarded.

use crate::net::*;
use crate::users::ask;
use proptest::prelude::*;
use vmtp::packet::message::{DATAGRAM, MULTIPLE_RESPONSES};
use vmtp::{Configuration, EntityId, Outcome};

const GROUP: EntityId = EntityId::from_bits(0x6000_0000_0000_0001);

fn net(weather: Weather, seed: u64, count: u32) -> Net {
    let mut net = Net::new(
        count,
        weather,
        seed,
        Configuration { host_idle_ns: 20 * SECOND, ..Configuration::default() },
    );
    for host in &mut net.hosts {
        assert!(host.engine.join_group(GROUP));
    }
    net.run_until(2 * SECOND);
    net
}

#[test]
fn every_member_answers_once() {
    for bytes in [0, 100, 5000, 40_000] {
        let mut net = net(CALM, 1, 4);
        let words = [ask::SEGMENT | MULTIPLE_RESPONSES, bytes, 0, 0, 0, 0, 0, 0];
        net.send(0, (1, 256), GROUP, words, (3000, 65_560));
        net.run_until_done();
        assert_eq!(net.hosts[0].outcomes[0].1, Outcome::Collected { responses: 5 });
        assert_eq!(net.hosts[0].collected.len(), 5);
        net.run_until_quiet();
    }
}

#[test]
fn the_first_answer_is_enough_where_one_is_wanted() {
    let mut net = net(CALM, 1, 4);
    net.send(0, (1, 256), GROUP, [ask::SEGMENT, 5000, 0, 0, 0, 0, 0, 0], (0, 65_560));
    net.run_until_done();
    let Outcome::Response(response) = net.hosts[0].outcomes[0].1 else { panic!("no response") };
    assert!(!response.server.is_group());
    net.run_until_quiet();
}

#[test]
fn a_datagram_is_sent_and_no_more() {
    let mut net = net(CALM, 1, 2);
    let server = process(net.hosts[1].number, 2);
    net.send(0, (1, 1), server, [ask::SEGMENT | DATAGRAM, 0, 0, 0, 0, 0, 0, 0], (3000, 0));
    net.run_until_done();
    assert_eq!(net.hosts[0].outcomes[0].1, Outcome::Sent);
    net.run_until(net.now_ns + SECOND);
    assert_eq!(net.executed.len(), 1);
    net.run_until_quiet();
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn groups_in_bad_weather(seed in 1u64..1 << 60, loss in 0u64..200, bytes in prop_oneof![Just(0u32), 1..20_000u32]) {
        let weather = Weather { loss, repeat: 100, delay_ns: 50_000, jitter_ns: MILLISECOND };
        let mut net = net(weather, seed, 4);
        for round in 1..6 {
            let words = [ask::SEGMENT | MULTIPLE_RESPONSES, bytes, 0, 0, 0, 0, 0, 0];
            net.send(0, (1, 256 * round), GROUP, words, (3000, 65_560));
            net.send(1, (1, 256 * round), GROUP, [ask::SEGMENT, bytes, 0, 0, 0, 0, 0, 0], (0, 65_560));
            net.run_until_done();
        }
        for (index, (id, server)) in net.hosts[0].collected.iter().enumerate() {
            prop_assert!(!net.hosts[0].collected[..index].contains(&(*id, *server)), "two answers of one");
        }
        prop_assert!(net.hosts[0].collected.len() <= 25);
        net.run_until_quiet();
    }

    #[test]
    fn forwarding_in_bad_weather(seed in 1u64..1 << 60, loss in 0u64..150, request in 0..40_000u32, forwarded in 0..40_000u32, response in 0..40_000u32) {
        forward(seed, loss, request, forwarded, response);
    }
}

/// Five requests of so many bytes, forwarded with so many, and answered with so many.
fn forward(seed: u64, loss: u64, request: u32, forwarded: u32, response: u32) {
    let weather = Weather { loss, repeat: 100, delay_ns: 50_000, jitter_ns: MILLISECOND };
    let mut net = net(weather, seed, 3);
    let server = process(net.hosts[1].number, 2);
    for round in 1..6 {
        let words = [ask::FORWARD, response, forwarded, 2, 0, 0, 0, 0];
        net.send(0, (1, 256 * round), server, words, (request as usize, 65_560));
        net.run_until_done();
        let outcome = net.hosts[0].outcomes.last().unwrap().1;
        assert!(matches!(outcome, Outcome::Response(_)), "{outcome:?}");
    }
    net.run_until_quiet();
}

/// What the property above once found in many thousands of cases.
#[test]
fn forwarding_in_weather_that_was_too_bad() {
    forward(229_109_964_013_053_664, 116, 21_913, 20_889, 0);
    forward(614_692_297_623_769_180, 134, 32_153, 12_697, 35_225);
    forward(662_714_231_100_520_681, 131, 12_697, 0, 0);
    forward(894_751_135_563_636_589, 117, 0, 0, 0);
}
