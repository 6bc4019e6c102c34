//! Frames that are under way, until their time has come.
//!
//! Between two nodes frames arrive in the order in which they were sent, however their delays vary, except for those
//! that are marked to be overtaken.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

/// Bytes that may be under way.
const MOST_BYTES: usize = 64 << 20;

/// The frames under way. Times count from the network's start.
#[derive(Debug, Default)]
pub struct Deliveries {
    queue: BinaryHeap<Reverse<Delivery>>,
    /// When the last frame that keeps order arrives, for each sender and receiver.
    last_due: BTreeMap<(usize, usize), Duration>,
    inserted: u64,
    bytes: usize,
}

/// A frame under way. They compare by when they arrive, then by when they were sent.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Delivery {
    due: Duration,
    place: u64,
    receiver: usize,
    frame: Arc<[u8]>,
}

impl Deliveries {
    /// Puts a frame under way, to arrive at `due`, or later if one before it does. Whether there was room for it.
    pub fn put(
        &mut self,
        sender: usize,
        receiver: usize,
        due: Duration,
        overtaken: bool,
        frame: &Arc<[u8]>,
    ) -> bool {
        if self.bytes + frame.len() > MOST_BYTES {
            return false;
        }
        let last_due = self.last_due.entry((sender, receiver)).or_default();
        let due = due.max(*last_due);
        if !overtaken {
            *last_due = due;
        }
        self.queue.push(Reverse(Delivery { due, place: self.inserted, receiver, frame: Arc::clone(frame) }));
        self.inserted += 1;
        self.bytes += frame.len();
        true
    }

    /// The next frame whose time has come, and its receiver.
    pub fn take(&mut self, now: Duration) -> Option<(usize, Arc<[u8]>)> {
        if self.next_due()? > now {
            return None;
        }
        let Reverse(delivery) = self.queue.pop()?;
        self.bytes -= delivery.frame.len();
        Some((delivery.receiver, delivery.frame))
    }

    /// When the next frame arrives.
    pub fn next_due(&self) -> Option<Duration> {
        self.queue.peek().map(|Reverse(delivery)| delivery.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn an_overtaken_frame_comes_after_the_next() {
        let mut deliveries = Deliveries::default();
        let frame = |byte: u8| Arc::from([byte]);
        assert!(deliveries.put(0, 1, milliseconds(10), true, &frame(1)));
        assert!(deliveries.put(0, 1, milliseconds(1), false, &frame(2)));
        assert_eq!(deliveries.next_due(), Some(milliseconds(1)));
        assert_eq!(deliveries.take(milliseconds(0)), None);
        assert_eq!(deliveries.take(milliseconds(20)), Some((1, frame(2))));
        assert_eq!(deliveries.take(milliseconds(20)), Some((1, frame(1))));
        assert_eq!(deliveries.next_due(), None);
    }

    #[test]
    fn what_is_under_way_is_bounded() {
        let mut deliveries = Deliveries::default();
        let large: Arc<[u8]> = vec![0; MOST_BYTES / 2].into();
        assert!(deliveries.put(0, 1, milliseconds(1), false, &large));
        assert!(deliveries.put(0, 2, milliseconds(1), false, &large));
        assert!(!deliveries.put(0, 3, milliseconds(1), false, &Arc::from([0])));
        assert!(deliveries.take(milliseconds(1)).is_some());
        assert!(deliveries.put(0, 3, milliseconds(1), false, &Arc::from([0])));
    }

    proptest! {
        #[test]
        fn each_pair_of_nodes_keeps_its_order(sent in prop::collection::vec((0..3_usize, 0..3_usize, 0..50_u64), 0..60)) {
            let mut deliveries = Deliveries::default();
            for (number, (sender, receiver, due)) in sent.iter().enumerate() {
                let frame = Arc::from([*sender as u8, number as u8]);
                prop_assert!(deliveries.put(*sender, *receiver, milliseconds(*due), false, &frame));
            }
            let mut last = BTreeMap::new();
            let mut count = 0;
            while let Some((receiver, frame)) = deliveries.take(milliseconds(50)) {
                if let Some(before) = last.insert((frame[0], receiver), frame[1]) {
                    prop_assert!(before < frame[1]);
                }
                count += 1;
            }
            prop_assert_eq!(count, sent.len());
        }
    }
}
