//! What it costs that a packet is lost.

use crate::net::*;
use crate::users::ask;
use vmtp::{Configuration, Outcome};

/// A link of 250 MB/s, and the way of a packet then.
const PACKET_NS: u64 = 36_000;
const DELAY_NS: u64 = 100_000;
const ROUND_TRIP_NS: u64 = 2 * (DELAY_NS + PACKET_NS);
/// Longer than a window.
const BYTES: u32 = 24 * 16 * 1024 + 24;

/// Two hosts that know each other.
fn net() -> Net {
    let configuration = Configuration {
        mtu_bytes: 9000,
        buffer_bytes: BYTES,
        group_gap_ns: 2 * MILLISECOND,
        retransmit_min_ns: 2 * MILLISECOND,
        host_idle_ns: 20 * SECOND,
        ..Configuration::default()
    };
    let mut net = Net::new(2, Weather { delay_ns: DELAY_NS, ..CALM }, 1, configuration);
    net.queue = Some((PACKET_NS, 1000));
    net.run_until(2 * SECOND);
    copy(&mut net, 1, true);
    copy(&mut net, 2, false);
    net
}

/// How long a copy takes, to the server or from it.
fn copy(net: &mut Net, number: u32, is_to: bool) -> u64 {
    let server = process(net.hosts[1].number, 2);
    let (request, response) = if is_to { (BYTES, 24) } else { (24, BYTES) };
    let start_ns = net.now_ns;
    let words = [ask::SEGMENT, response, 0, 0, 0, 0, 0, 0];
    net.send(0, (1, 256 * number), server, words, (request as usize, response));
    net.run_until_done();
    let time_ns = net.now_ns - start_ns;
    assert!(matches!(net.hosts[0].outcomes.last(), Some((_, Outcome::Response(_)))));
    // What is still said about it is no part of the next.
    net.run_until(net.now_ns + 50 * MILLISECOND);
    time_ns
}

/// Whichever packet of a copy is lost, the copy takes no longer for it than a round trip, if a later packet shows the
/// loss; else than one silence, and a round trip.
#[test]
fn a_lost_packet_costs_a_round_trip_or_one_silence() {
    for is_to in [true, false] {
        let mut calm = net();
        let before = calm.left.clone();
        let calm_ns = copy(&mut calm, 3, is_to);
        let mut silences = 0;
        for from in 0..2 {
            for number in before[&from] + 1..=calm.left[&from] {
                let mut net = net();
                assert_eq!(net.left, before);
                net.lost = Some((from, number));
                let more_ns = copy(&mut net, 3, is_to).saturating_sub(calm_ns);
                let is_silence = more_ns > ROUND_TRIP_NS;
                assert!(
                    !is_silence || more_ns <= 2 * MILLISECOND + 2 * ROUND_TRIP_NS,
                    "{from} {number} {more_ns}"
                );
                silences += u32::from(is_silence);
            }
        }
        // The last two packet groups, and the message with nothing to copy.
        assert!(silences <= 4, "{silences} lost packets of a copy are missed only by silence");
    }
}
