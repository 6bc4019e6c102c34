//! The owners that have something to give out, the most urgent first.
//!
//! Nearly always there is one at most, so the only one is kept apart from the sets, which hold two or more.

use alloc::vec;
use alloc::vec::Vec;

use super::IndexSet;

const CLASSES: usize = 4;
/// The class of VMTP's priorities 0 to 3.
const NORMAL: u8 = 2;
const NONE: u32 = u32::MAX;

/// A set of numbers in four classes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Ready {
    /// The only one, or [`NONE`].
    single: u32,
    /// How many are in the sets: 0, or 2 and more.
    many: u32,
    sets: [IndexSet; CLASSES],
    classes: Vec<u8>,
}

impl Ready {
    /// None of `owners`, all of normal priority.
    pub fn empty(owners: usize) -> Ready {
        Ready {
            single: NONE,
            many: 0,
            sets: core::array::from_fn(|_| IndexSet::empty(owners)),
            classes: vec![NORMAL; owners],
        }
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
        if self.single == owner as u32 {
            return;
        }
        if self.single == NONE && self.many == 0 {
            self.single = owner as u32;
            return;
        }
        self.insert_further(owner);
    }

    #[cold]
    fn insert_further(&mut self, owner: usize) {
        if self.single != NONE {
            let single = core::mem::replace(&mut self.single, NONE) as usize;
            self.sets[usize::from(self.classes[single])].insert(single);
            self.many = 1;
        }
        let set = &mut self.sets[usize::from(self.classes[owner])];
        if !set.contains(owner) {
            set.insert(owner);
            self.many += 1;
        }
    }

    /// Takes `owner` out.
    pub fn remove(&mut self, owner: usize) {
        if self.single == owner as u32 {
            self.single = NONE;
        } else if self.many != 0 {
            self.remove_of_many(owner);
        }
    }

    #[cold]
    fn remove_of_many(&mut self, owner: usize) {
        let set = &mut self.sets[usize::from(self.classes[owner])];
        if !set.contains(owner) {
            return;
        }
        set.remove(owner);
        self.many -= 1;
        if self.many == 1
            && let Some(left) = self.sets.iter().find_map(IndexSet::first)
        {
            self.sets[usize::from(self.classes[left])].remove(left);
            self.many = 0;
            self.single = left as u32;
        }
    }

    /// Whether nobody is in.
    pub fn is_empty(&self) -> bool {
        self.single == NONE && self.many == 0
    }

    /// Whether `owner` is in and nobody else.
    pub fn is_only(&self, owner: usize) -> bool {
        self.single == owner as u32
    }

    /// The least of the most urgent.
    pub fn first(&self) -> Option<usize> {
        if self.single != NONE {
            return Some(self.single as usize);
        }
        if self.many == 0 { None } else { self.sets.iter().find_map(IndexSet::first) }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn the_urgent_are_first(steps in prop::collection::vec((0..8usize, any::<bool>()), 0..100)) {
            let priorities = [0b0100, 0b0000, 0b1000, 0b1100, 0b0011, 0b1101, 0b0000, 0b0111];
            let class = |owner: usize| [2, 3, 1, 0][usize::from(priorities[owner] >> 2 & 3u8)];
            let (mut ready, mut model) = (Ready::empty(8), BTreeSet::new());
            for (owner, priority) in priorities.into_iter().enumerate() {
                ready.set_priority(owner, priority);
            }
            let mut other = ready.clone();
            for (owner, insert) in steps {
                if insert {
                    ready.insert(owner);
                    model.insert((class(owner), owner));
                } else {
                    ready.remove(owner);
                    model.remove(&(class(owner), owner));
                }
                prop_assert_eq!(ready.first(), model.first().map(|first| first.1));
            }
            for (_, owner) in &model {
                other.insert(*owner);
            }
            prop_assert_eq!(ready, other, "what is in says all");
        }
    }
}
