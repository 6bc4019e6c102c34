//! What a node offers to programs from elsewhere.
//!
//! Pure bookkeeping. A bid that the node can serve is answered after a time that grows with the node's load, so that of all
//! nodes the one with the least is heard first. Guests that have just begun count before they show in what the processor
//! did: else each of many programs that are started at once would find the same node idle.

use alloc::vec::Vec;

use abi::Pid;
use abi::kernel::record::StatisticsRecord;
use protocols::program::program::Bid;

/// What must be left when a guest that asks for no memory begins.
const LEAST_FREE_PAGES: u64 = 256;
/// How much of the past the load is about, at least and at most as long as somebody looks.
const INTERVAL_NS: u64 = 500_000_000;
/// How long a guest counts as one that has just begun.
const FRESH_NS: u64 = 2_000_000_000;
/// What each of these adds to the load, in percent.
const FRESH_PERCENT: u32 = 100;
/// How much later an answer comes for each percent of load, and how late at most.
const DELAY_NS_PER_PERCENT: u64 = 200_000;
const MOST_DELAY_NS: u64 = 300_000_000;
/// Most bids that wait for their answers.
const MOST_WAITING: usize = 64;

/// A bid that is to be answered later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Waiting {
    due_ns: u64,
    client: Pid,
}

/// What becomes of a bid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offer {
    /// The node cannot.
    None,
    /// It can, and says so now.
    Now,
    /// It is answered later.
    Later,
}

/// The node's load, and the bids that wait.
#[derive(Debug, Default)]
pub struct Offers {
    /// When the processor was looked at, since when `busy_percent` holds: time and idle time of all processors.
    sample: Option<(u64, u64)>,
    busy_percent: u32,
    /// When guests have begun.
    fresh: Vec<u64>,
    waiting: Vec<Waiting>,
}

impl Offers {
    /// A guest has begun.
    pub fn guest_started(&mut self, now_ns: u64) {
        self.fresh.push(now_ns);
    }

    /// The load that a further guest beside `guests` meets.
    pub fn load_percent(&mut self, statistics: &StatisticsRecord, guests: usize) -> u32 {
        let now_ns = statistics.uptime_ns;
        let (since_ns, idle_ns) = *self.sample.get_or_insert((0, 0));
        let elapsed_ns = now_ns.saturating_sub(since_ns);
        if elapsed_ns >= INTERVAL_NS {
            let possible_ns = elapsed_ns * statistics.processors.max(1);
            let idle_percent = statistics.idle_ns.saturating_sub(idle_ns).saturating_mul(100) / possible_ns;
            self.busy_percent = 100 - idle_percent.min(100) as u32;
            self.sample = Some((now_ns, statistics.idle_ns));
        }
        self.fresh.retain(|began_ns| began_ns.saturating_add(FRESH_NS) > now_ns);
        // Some of those that have just begun may have ended.
        let fresh = self.fresh.len().min(guests);
        let guests = u32::try_from(guests - fresh).unwrap_or(u32::MAX);
        let fresh = u32::try_from(fresh).unwrap_or(u32::MAX);
        self.busy_percent
            .saturating_mul(guests.saturating_add(1))
            .saturating_add(fresh.saturating_mul(FRESH_PERCENT))
    }

    /// A client asks what the node, which has `guests` already, can do.
    pub fn bid(&mut self, client: Pid, bid: Bid, statistics: &StatisticsRecord, guests: usize) -> Offer {
        let load_percent = self.load_percent(statistics, guests);
        let free_pages = statistics.free_frames + statistics.cached_frames;
        let idle_percent = 100 - self.busy_percent;
        if free_pages < u64::from(bid.least_free_pages).max(LEAST_FREE_PAGES)
            || idle_percent < bid.least_idle_percent
            || statistics.teams >= statistics.team_slots
            || statistics.processes >= statistics.process_slots
        {
            return Offer::None;
        }
        let delay_ns = u64::from(load_percent).saturating_mul(DELAY_NS_PER_PERCENT).min(MOST_DELAY_NS);
        if delay_ns < DELAY_NS_PER_PERCENT * 10 {
            return Offer::Now;
        }
        if self.waiting.len() == MOST_WAITING {
            return Offer::None;
        }
        self.waiting.push(Waiting { due_ns: statistics.uptime_ns + delay_ns, client });
        Offer::Later
    }

    /// When the next answer is due.
    pub fn next_ns(&self) -> Option<u64> {
        self.waiting.iter().map(|waiting| waiting.due_ns).min()
    }

    /// The clients whose answers are due.
    pub fn due(&mut self, now_ns: u64) -> impl Iterator<Item = Pid> {
        self.waiting.extract_if(.., move |waiting| waiting.due_ns <= now_ns).map(|waiting| waiting.client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Pid = Pid::from_bits(7);
    const SECOND: u64 = 1_000_000_000;
    const ANY: Bid = Bid { least_free_pages: 0, least_idle_percent: 0 };

    fn statistics(uptime_ns: u64, idle_ns: u64) -> StatisticsRecord {
        StatisticsRecord {
            uptime_ns,
            idle_ns,
            free_frames: 1000,
            cached_frames: 24,
            processors: 1,
            team_slots: 10,
            process_slots: 10,
            ..StatisticsRecord::default()
        }
    }

    #[test]
    fn an_idle_node_answers_at_once_and_a_busy_one_later() {
        let mut offers = Offers::default();
        let idle = offers.bid(CLIENT, ANY, &statistics(SECOND, SECOND), 0);
        assert_eq!(idle, Offer::Now);
        assert_eq!(offers.bid(CLIENT, ANY, &statistics(3 * SECOND, 2 * SECOND), 0), Offer::Later);
        let due_ns = 3 * SECOND + 50 * DELAY_NS_PER_PERCENT;
        assert_eq!(offers.next_ns(), Some(due_ns));
        assert_eq!(offers.due(due_ns - 1).count(), 0);
        let due: Vec<_> = offers.due(due_ns).collect();
        assert_eq!(due, [CLIENT]);
        assert_eq!(offers.next_ns(), None);
    }

    #[test]
    fn what_a_node_lacks_it_does_not_offer() {
        let mut offers = Offers::default();
        let half = statistics(2 * SECOND, SECOND);
        let mut offer = |bid: Bid, statistics: &StatisticsRecord| offers.bid(CLIENT, bid, statistics, 0);
        assert_ne!(offer(Bid { least_free_pages: 1024, least_idle_percent: 50 }, &half), Offer::None);
        assert_eq!(offer(Bid { least_free_pages: 1025, ..ANY }, &half), Offer::None);
        assert_eq!(offer(Bid { least_idle_percent: 51, ..ANY }, &half), Offer::None);
        assert_eq!(offer(ANY, &StatisticsRecord { free_frames: 200, ..half }), Offer::None);
        assert_eq!(offer(ANY, &StatisticsRecord { teams: 10, ..half }), Offer::None);
        assert_eq!(offer(ANY, &StatisticsRecord { processes: 10, ..half }), Offer::None);
    }

    #[test]
    fn guests_count_from_their_beginning() {
        let mut offers = Offers::default();
        let idle = |at_ns| statistics(at_ns, at_ns);
        assert_eq!(offers.load_percent(&idle(SECOND), 0), 0);
        offers.guest_started(SECOND);
        offers.guest_started(SECOND);
        assert_eq!(offers.load_percent(&idle(SECOND + 1), 2), 200);
        assert_eq!(offers.load_percent(&idle(SECOND + 1), 1), 100, "one has ended");
        // Two seconds later it shows what they do: nothing, or all that there is.
        assert_eq!(offers.load_percent(&idle(3 * SECOND), 2), 0);
        assert_eq!(offers.load_percent(&statistics(4 * SECOND, 3 * SECOND), 2), 300);
    }

    #[test]
    fn bids_that_wait_are_so_many_at_most() {
        let mut offers = Offers::default();
        let busy = statistics(SECOND, 0);
        for _ in 0..MOST_WAITING {
            assert_eq!(offers.bid(CLIENT, ANY, &busy, 0), Offer::Later);
        }
        assert_eq!(offers.bid(CLIENT, ANY, &busy, 0), Offer::None);
    }
}
