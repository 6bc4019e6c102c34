//! Whether a history of reads and writes of one register is linearizable: whether each could have happened at one moment
//! between its beginning and its end, so that every read gives what was last written (Wing and Gong's search, and no state
//! is looked at twice).

use std::collections::HashSet;

/// What an operation did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It read this value.
    Read(u64),
    /// It wrote this value.
    Write(u64),
}

/// An operation of a history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Operation {
    /// What it did.
    pub kind: Kind,
    /// When it began.
    pub began_ns: u64,
    /// When it ended; none for a write of which nobody knows whether it happened, or when.
    pub ended_ns: Option<u64>,
}

/// Whether a history is linearizable, for a register that holds 0 at first.
pub fn is_linearizable(history: &[Operation]) -> bool {
    let mut operations = history.to_vec();
    operations.sort_unstable_by_key(|operation| operation.began_ns);
    let search = Search { operations, seen: HashSet::new() };
    search.run()
}

struct Search {
    /// In the order in which they began.
    operations: Vec<Operation>,
    seen: HashSet<(Vec<u64>, u64)>,
}

impl Search {
    fn run(mut self) -> bool {
        let words = self.operations.len().div_ceil(64);
        let mut open = vec![(vec![0_u64; words], 0_u64)];
        while let Some((done, value)) = open.pop() {
            if !self.seen.insert((done.clone(), value)) {
                continue;
            }
            let is_done = |at: usize| done[at / 64] >> (at % 64) & 1 != 0;
            let left = || (0..self.operations.len()).filter(|at| !is_done(*at));
            let Some(first_end_ns) = left().filter_map(|at| self.operations[at].ended_ns).min() else {
                return true;
            };
            // Whatever began before any other must have ended can be the next to have happened.
            for at in left().take_while(|at| self.operations[*at].began_ns <= first_end_ns) {
                let next = match self.operations[at].kind {
                    Kind::Read(read) if read != value => continue,
                    Kind::Read(_) => value,
                    Kind::Write(written) => written,
                };
                let mut done = done.clone();
                done[at / 64] |= 1 << (at % 64);
                open.push((done, next));
            }
        }
        false
    }
}

#[test]
fn histories_are_told_apart() {
    let operation = |kind, began_ns, ended_ns| Operation { kind, began_ns, ended_ns };
    let write = operation(Kind::Write(1), 10, Some(20));
    let lost = operation(Kind::Write(2), 12, None);
    // Old after new is stale.
    let new = operation(Kind::Read(1), 11, Some(13));
    assert!(is_linearizable(&[write, new, operation(Kind::Read(1), 14, Some(15))]));
    assert!(!is_linearizable(&[write, new, operation(Kind::Read(0), 14, Some(15))]));
    assert!(is_linearizable(&[write, new, operation(Kind::Read(0), 12, Some(15))]));
    assert!(!is_linearizable(&[write, operation(Kind::Read(0), 21, Some(22))]));
    // What may have been written may be seen at any time after, or never; but not undone.
    let late = operation(Kind::Read(2), 90, Some(91));
    assert!(is_linearizable(&[write, lost, operation(Kind::Read(1), 80, Some(81)), late]));
    assert!(is_linearizable(&[write, lost, operation(Kind::Read(1), 80, Some(81))]));
    assert!(!is_linearizable(&[write, lost, late, operation(Kind::Read(1), 92, Some(93))]));
}
