//! Which clock of a domain the others follow, and when one is set.
//!
//! Every node asks every other one now and then (Cristian, *Probabilistic clock synchronization*, 1989: the answer was
//! made in the middle of the round trip, give or take half of it; the shortest of some round trips tells most). All
//! follow the node that has been up longest, so one that boots takes the domain's time, and never gives it its own.
//! Nobody elects it or remembers it: who is asked shows it. Only the real-time clock is set; what programs measure
//! time by, and all that expires, goes by the monotonic clock, which never jumps.

#![no_std]
#![forbid(unsafe_code)]

use v::abi::LogicalHost;
use v::node::ClockReading;

/// Between two looks at the others' clocks. Clocks that differ by 200 millionths drift by 3.2 ms in that time.
pub const PERIOD_NS: u64 = 16_000_000_000;
/// Whose uptimes differ by less are equally old: a reading may be that wrong.
const SAME_AGE_NS: u64 = 50_000_000;

/// A node and what its clocks showed.
pub type Reading = (LogicalHost, ClockReading);

/// Whether the node of one reading is to be followed rather than that of another.
fn is_before(one: &Reading, other: &Reading) -> bool {
    if one.1.uptime_ns.abs_diff(other.1.uptime_ns) < SAME_AGE_NS {
        one.0.to_bits() < other.0.to_bits()
    } else {
        one.1.uptime_ns > other.1.uptime_ns
    }
}

/// Whom to follow, among this node and the others. None if it is this node.
pub fn leader(own: &Reading, others: impl IntoIterator<Item = Reading>) -> Option<Reading> {
    let first =
        others.into_iter().reduce(|first, other| if is_before(&other, &first) { other } else { first });
    first.filter(|first| is_before(first, own))
}

/// By how much to set the clock, after a reading: not at all where the reading may be as wrong as the clock.
pub fn correction_ns(reading: &ClockReading) -> Option<i64> {
    (reading.ahead_ns.unsigned_abs() > reading.error_ns()).then_some(reading.ahead_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn reading(host: u32, uptime_ns: u64) -> Reading {
        (
            LogicalHost::from_bits(host),
            ClockReading { at_ns: 0, round_trip_ns: 1_000_000, uptime_ns, ahead_ns: 0 },
        )
    }

    #[test]
    fn the_oldest_is_followed_whoever_asks() {
        let all = [reading(7, 90 * SECOND_NS), reading(3, 20 * SECOND_NS), reading(5, 21 * SECOND_NS)];
        for own in all {
            let others = all.into_iter().filter(|other| *other != own);
            let expected = (own.0 != all[0].0).then_some(all[0]);
            assert_eq!(leader(&own, others), expected);
        }
        assert_eq!(leader(&all[1], []), None, "alone");
    }

    #[test]
    fn of_two_that_booted_together_one_is_followed() {
        let (one, other) = (reading(3, 20 * SECOND_NS), reading(5, 20 * SECOND_NS + SAME_AGE_NS / 2));
        assert_eq!(leader(&one, [other]), None);
        assert_eq!(leader(&other, [one]), Some(one));
    }

    #[test]
    fn a_clock_is_set_only_when_it_is_surely_wrong() {
        let ahead = |ahead_ns| ClockReading { at_ns: 0, round_trip_ns: 2001, uptime_ns: 0, ahead_ns };
        assert_eq!(correction_ns(&ahead(1001)), None);
        assert_eq!(correction_ns(&ahead(-1001)), None);
        assert_eq!(correction_ns(&ahead(1002)), Some(1002));
        assert_eq!(correction_ns(&ahead(i64::MIN)), Some(i64::MIN));
    }
}
