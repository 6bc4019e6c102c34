//! A set of small numbers whose least is found at once.

use alloc::vec;
use alloc::vec::Vec;

const WORD_BITS: usize = 64;

/// A set of numbers below a fixed limit: a bit for each, and above them a bit for each word that is not empty, and so
/// on up to a single word.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct IndexSet {
    /// Lowest level first.
    levels: Vec<Vec<u64>>,
}

impl IndexSet {
    /// No number, of those below `limit`.
    pub fn empty(limit: usize) -> IndexSet {
        let mut levels = Vec::new();
        let mut count = limit;
        loop {
            count = count.div_ceil(WORD_BITS).max(1);
            levels.push(vec![0; count]);
            if count == 1 {
                return IndexSet { levels };
            }
        }
    }

    /// All numbers below `limit`.
    pub fn full(limit: usize) -> IndexSet {
        let mut set = IndexSet::empty(limit);
        (0..limit).for_each(|number| set.insert(number));
        set
    }

    /// Whether `number` is in.
    pub fn contains(&self, number: usize) -> bool {
        self.levels[0][number / WORD_BITS] >> (number % WORD_BITS) & 1 == 1
    }

    /// Puts `number` in.
    pub fn insert(&mut self, mut number: usize) {
        for level in &mut self.levels {
            let word = &mut level[number / WORD_BITS];
            let was_empty = *word == 0;
            *word |= 1 << (number % WORD_BITS);
            if !was_empty {
                return;
            }
            number /= WORD_BITS;
        }
    }

    /// Takes `number` out.
    pub fn remove(&mut self, mut number: usize) {
        for level in &mut self.levels {
            let word = &mut level[number / WORD_BITS];
            *word &= !(1 << (number % WORD_BITS));
            if *word != 0 {
                return;
            }
            number /= WORD_BITS;
        }
    }

    /// The least number that is in.
    pub fn first(&self) -> Option<usize> {
        let mut number = 0;
        for level in self.levels.iter().rev() {
            let word = level[number];
            if word == 0 {
                return None;
            }
            number = number * WORD_BITS + word.trailing_zeros() as usize;
        }
        Some(number)
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
        fn like_a_tree_set(limit in 1..5000usize, steps in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..200)) {
            let (mut set, mut model) = (IndexSet::empty(limit), BTreeSet::new());
            for (index, insert) in steps {
                let number = index.index(limit);
                if insert {
                    set.insert(number);
                    model.insert(number);
                } else {
                    set.remove(number);
                    model.remove(&number);
                }
                prop_assert_eq!(set.first(), model.first().copied());
                prop_assert_eq!(set.contains(number), insert);
            }
        }
    }

    #[test]
    fn full_is_all_of_them() {
        let mut set = IndexSet::full(130);
        for number in 0..130 {
            assert_eq!(set.first(), Some(number));
            set.remove(number);
        }
        assert_eq!(set.first(), None);
    }
}
