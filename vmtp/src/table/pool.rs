//! A fixed number of records; the lowest free one is taken first, so what is free says nothing of the past.

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::ops::{Index, IndexMut};

use super::IndexSet;

const NONE: u32 = u32::MAX;

/// Records of type `T`. What is in the free ones makes no difference.
#[derive(Clone, Debug)]
pub struct Pool<T> {
    records: Vec<T>,
    /// The lowest free record, where it is kept apart from the set; else [`NONE`]. What is taken and given back again
    /// and again never gets to the set.
    spare: u32,
    free: IndexSet,
    /// The lowest in the set, or [`NONE`].
    lowest: u32,
    used: usize,
}

impl<T: Default> Pool<T> {
    /// `count` free records.
    pub fn new(count: usize) -> Pool<T> {
        let records = core::iter::repeat_with(T::default).take(count).collect();
        let free = IndexSet::full(count);
        let lowest = free.first().map_or(NONE, |index| index as u32);
        Pool { records, spare: NONE, free, lowest, used: 0 }
    }

    /// Puts `record` into a free place and says which; none if all are taken.
    pub fn take(&mut self, record: T) -> Option<usize> {
        let (index, place) = self.take_any()?;
        *place = record;
        Some(index)
    }

    /// Takes a free place, with whatever it was left with; none if all are taken.
    #[inline(always)]
    pub fn take_any(&mut self) -> Option<(usize, &mut T)> {
        if self.spare == NONE {
            self.find_spare();
        }
        let index = core::mem::replace(&mut self.spare, NONE) as usize;
        let record = self.records.get_mut(index)?;
        self.used += 1;
        Some((index, record))
    }

    /// Moves the lowest free record out of the set.
    #[cold]
    fn find_spare(&mut self) {
        self.spare = self.lowest;
        if self.spare != NONE {
            self.free.remove(self.spare as usize);
            self.find_lowest();
        }
    }

    fn find_lowest(&mut self) {
        self.lowest = self.free.first().map_or(NONE, |index| index as u32);
    }

    /// Frees record `index`, and makes it blank.
    pub fn release(&mut self, index: usize) {
        self.records[index] = T::default();
        self.release_as_is(index);
    }

    /// Frees record `index`, which stays as it is.
    #[inline]
    pub fn release_as_is(&mut self, index: usize) {
        self.used -= 1;
        if self.spare == NONE && (index as u32) < self.lowest {
            self.spare = index as u32;
        } else {
            self.put_back(index as u32);
        }
    }

    #[cold]
    fn put_back(&mut self, index: u32) {
        self.free.insert(index as usize);
        if self.spare != NONE {
            self.free.insert(self.spare as usize);
            self.spare = NONE;
        }
        self.find_lowest();
    }

    fn is_free(&self, index: usize) -> bool {
        self.free.contains(index) || self.spare as usize == index
    }

    /// Those that are taken, from the lowest on. As the lowest free one is always taken first, few others are looked at.
    pub fn taken(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).filter(|index| !self.is_free(*index)).take(self.used)
    }

    /// How many are taken.
    pub fn used(&self) -> usize {
        self.used
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Record `index`, taken or not, if there is such a one.
    #[inline]
    pub fn at(&self, index: usize) -> Option<&T> {
        self.records.get(index)
    }

    /// As [`Pool::at`].
    #[inline]
    pub fn at_mut(&mut self, index: usize) -> Option<&mut T> {
        self.records.get_mut(index)
    }

    /// Record `index`, if there is such a one and it is taken.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.records.get(index).filter(|_| !self.is_free(index))
    }
}

impl<T> Index<usize> for Pool<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        &self.records[index]
    }
}

impl<T> IndexMut<usize> for Pool<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self.records[index]
    }
}

impl<T: Default + PartialEq> PartialEq for Pool<T> {
    fn eq(&self, other: &Pool<T>) -> bool {
        self.len() == other.len() && (0..self.len()).all(|index| self.get(index) == other.get(index))
    }
}

impl<T: Default + Eq> Eq for Pool<T> {}

impl<T: Default + Hash> Hash for Pool<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (0..self.len()).for_each(|index| self.get(index).hash(state));
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// The lowest free one is taken, and pools with the same ones taken are equal.
        #[test]
        fn like_a_tree_set(count in 0..100usize, steps in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..300)) {
            let mut pool: Pool<u8> = Pool::new(count);
            let mut free: BTreeSet<usize> = (0..count).collect();
            for (which, take) in steps {
                if take {
                    prop_assert_eq!(pool.take(7), free.pop_first());
                } else {
                    let taken: std::vec::Vec<_> = (0..count).filter(|index| !free.contains(index)).collect();
                    if taken.is_empty() {
                        continue;
                    }
                    pool.release(taken[which.index(taken.len())]);
                    free.insert(taken[which.index(taken.len())]);
                }
                prop_assert_eq!(pool.used(), count - free.len());
                for index in 0..count {
                    prop_assert_eq!(pool.get(index).is_none(), free.contains(&index));
                }
                prop_assert!(pool.taken().eq((0..count).filter(|index| !free.contains(index))));
            }
            let mut fresh: Pool<u8> = Pool::new(count);
            for _ in 0..count {
                fresh.take(7);
            }
            for index in &free {
                fresh.release(*index);
            }
            prop_assert_eq!(fresh, pool);
        }
    }
}
