//! The owners that have something to give out, the most urgent first.

use alloc::vec;
use alloc::vec::Vec;

use super::IndexSet;

const CLASSES: usize = 4;
/// The class of VMTP's priorities 0 to 3.
const NORMAL: u8 = 2;

/// A set of numbers in four classes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Ready {
    sets: [IndexSet; CLASSES],
    classes: Vec<u8>,
}

impl Ready {
    /// None of `owners`, all of normal priority.
    pub fn empty(owners: usize) -> Ready {
        Ready { sets: core::array::from_fn(|_| IndexSet::empty(owners)), classes: vec![NORMAL; owners] }
    }

    /// Gives `owner`, who is not in, one of VMTP's priorities: a sign and a magnitude, the most negative first
    /// (RFC 1045, 3.2).
    pub fn set_priority(&mut self, owner: usize, priority: u8) {
        self.classes[owner] = match priority >> 2 & 3 {
            0b11 => 0,
            0b10 => 1,
            0b00 => NORMAL,
            _ => 3,
        };
    }

    /// Puts `owner` in.
    pub fn insert(&mut self, owner: usize) {
        self.sets[usize::from(self.classes[owner])].insert(owner);
    }

    /// Takes `owner` out.
    pub fn remove(&mut self, owner: usize) {
        self.sets[usize::from(self.classes[owner])].remove(owner);
    }

    /// The least of the most urgent.
    pub fn first(&self) -> Option<usize> {
        self.sets.iter().find_map(IndexSet::first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_urgent_are_first() {
        let mut ready = Ready::empty(8);
        for (owner, priority) in [0b0100, 0b0000, 0b1000, 0b1100, 0b0011].into_iter().enumerate() {
            ready.set_priority(owner, priority);
            ready.insert(owner);
        }
        for expected in [3, 2, 1, 4, 0] {
            assert_eq!(ready.first(), Some(expected));
            ready.remove(expected);
        }
        assert_eq!(ready.first(), None);
    }
}
