//! One deadline for each of a fixed number of owners, and the earliest of them.
//!
//! A 4-ary heap of (queued time, owner). Deadlines move later far more often than they are reached: a retransmission
//! timer is set with each request and cleared with its response. So clearing or moving a deadline later only writes
//! it down, and the heap learns of it when the old time comes to its top. A million deadlines that are far away cost
//! nothing until they are due.

use alloc::vec;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

/// The deadline of an owner that waits for none.
pub const NEVER: u64 = u64::MAX;

const CHILDREN: usize = 4;
const NOT_QUEUED: u32 = u32::MAX;

/// An owner's.
#[derive(Clone, Copy, Debug)]
struct Times {
    deadline_ns: u64,
    /// With which it is in the heap, or [`NEVER`].
    queued_ns: u64,
}

/// See the module. Times are nanoseconds.
#[derive(Clone, Debug)]
pub struct Timers {
    times: Vec<Times>,
    /// Where in the heap each owner is, or [`NOT_QUEUED`].
    positions: Vec<u32>,
    /// Sorted by time, then owner. An owner's time here is never later than its deadline.
    heap: Vec<(u64, u32)>,
    /// Heap entries that were moved, so that a test can tell what deadlines cost.
    #[cfg(test)]
    pub moves: usize,
}

impl Timers {
    /// For `owners`, none of which waits.
    pub fn new(owners: usize) -> Timers {
        Timers {
            times: vec![Times { deadline_ns: NEVER, queued_ns: NEVER }; owners],
            positions: vec![NOT_QUEUED; owners],
            heap: Vec::with_capacity(owners),
            #[cfg(test)]
            moves: 0,
        }
    }

    /// Sets, moves or, with [`NEVER`], clears the deadline of `owner`.
    #[inline(always)]
    pub fn set(&mut self, owner: usize, deadline_ns: u64) {
        let times = &mut self.times[owner];
        times.deadline_ns = deadline_ns;
        if deadline_ns < times.queued_ns {
            times.queued_ns = deadline_ns;
            self.queue(owner, deadline_ns);
        }
    }

    /// Sets the deadline of `owner` if that need not be queued for it. False if it must; nothing is done then.
    #[inline(always)]
    pub fn set_quietly(&mut self, owner: usize, deadline_ns: u64) -> bool {
        let times = &mut self.times[owner];
        let is_quiet = deadline_ns >= times.queued_ns;
        if is_quiet {
            times.deadline_ns = deadline_ns;
        }
        is_quiet
    }

    #[cold]
    fn queue(&mut self, owner: usize, deadline_ns: u64) {
        let mut at = self.positions[owner] as usize;
        if self.positions[owner] == NOT_QUEUED {
            at = self.heap.len();
            self.heap.push((deadline_ns, owner as u32));
        }
        self.heap[at].0 = deadline_ns;
        self.rise(at);
    }

    /// A time before which no deadline is reached: at most the earliest, and most often found without a look at it.
    #[inline]
    pub fn soonest(&self) -> Option<u64> {
        self.heap.first().map(|(queued_ns, _)| *queued_ns)
    }

    /// The earliest deadline.
    pub fn next(&mut self) -> Option<u64> {
        while let Some((queued_ns, owner)) = self.heap.first().copied() {
            let deadline_ns = self.times[owner as usize].deadline_ns;
            if queued_ns == deadline_ns {
                return Some(deadline_ns);
            }
            self.requeue_top(deadline_ns);
        }
        None
    }

    /// Whether certainly no deadline is reached.
    pub fn is_early(&self, now_ns: u64) -> bool {
        // What is queued is never later than what is due.
        self.heap.first().is_none_or(|(queued_ns, _)| *queued_ns > now_ns)
    }

    /// The owner whose deadline is the earliest, if that is reached, least owner first among equals. Its deadline is
    /// cleared.
    pub fn expire(&mut self, now_ns: u64) -> Option<usize> {
        if self.is_early(now_ns) || self.next()? > now_ns {
            return None;
        }
        let owner = self.heap[0].1 as usize;
        self.times[owner].deadline_ns = NEVER;
        self.requeue_top(NEVER);
        Some(owner)
    }

    /// Moves the heap's top to a later time, or takes it out.
    fn requeue_top(&mut self, deadline_ns: u64) {
        if deadline_ns == NEVER {
            let (_, owner) = self.heap.swap_remove(0);
            self.positions[owner as usize] = NOT_QUEUED;
            self.times[owner as usize].queued_ns = NEVER;
        } else {
            self.times[self.heap[0].1 as usize].queued_ns = deadline_ns;
            self.heap[0].0 = deadline_ns;
        }
        if !self.heap.is_empty() {
            self.sink(0);
        }
    }

    fn rise(&mut self, mut at: usize) {
        let entry = self.heap[at];
        while at > 0 {
            let parent = (at - 1) / CHILDREN;
            if self.heap[parent] <= entry {
                break;
            }
            self.put(at, self.heap[parent]);
            at = parent;
        }
        self.put(at, entry);
    }

    fn sink(&mut self, mut at: usize) {
        let entry = self.heap[at];
        loop {
            let first = at * CHILDREN + 1;
            let children = first..(first + CHILDREN).min(self.heap.len());
            let Some(least) = children.min_by_key(|child| self.heap[*child]) else { break };
            if entry <= self.heap[least] {
                break;
            }
            self.put(at, self.heap[least]);
            at = least;
        }
        self.put(at, entry);
    }

    fn deadlines(&self) -> impl Iterator<Item = u64> + '_ {
        self.times.iter().map(|times| times.deadline_ns)
    }

    fn put(&mut self, at: usize, entry: (u64, u32)) {
        self.heap[at] = entry;
        self.positions[entry.1 as usize] = at as u32;
        #[cfg(test)]
        {
            self.moves += 1;
        }
    }
}

/// Equal deadlines are equal timers: the heap follows from them.
impl PartialEq for Timers {
    fn eq(&self, other: &Timers) -> bool {
        self.deadlines().eq(other.deadlines())
    }
}

impl Eq for Timers {}

impl Hash for Timers {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.deadlines().for_each(|deadline_ns| deadline_ns.hash(state));
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn like_a_plain_search(steps in prop::collection::vec((0..20usize, prop_oneof![0..100u64, Just(NEVER)], any::<bool>()), 0..300)) {
            let (mut timers, mut model) = (Timers::new(20), [NEVER; 20]);
            for (owner, time, expire) in steps {
                if expire {
                    let due = model.iter().enumerate().map(|(owner, at)| (*at, owner)).min().unwrap();
                    let expected = (due.0 <= time && due.0 != NEVER).then_some(due.1);
                    prop_assert_eq!(timers.expire(time), expected);
                    if let Some(owner) = expected {
                        model[owner] = NEVER;
                    }
                } else {
                    timers.set(owner, time);
                    model[owner] = time;
                }
                let least = model.iter().copied().min().filter(|least| *least != NEVER);
                prop_assert_eq!(timers.clone().next(), least);
            }
        }
    }
}
