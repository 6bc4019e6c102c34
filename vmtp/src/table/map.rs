//! From 64-bit keys to places in a pool: open addressing, at most half full.

use alloc::vec;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

const EMPTY: u32 = u32::MAX;

/// A map for a fixed number of keys. Derived from the pool that it leads to: any two are equal.
#[derive(Clone, Debug)]
pub struct Map {
    /// Key and place; [`EMPTY`] for none. A power of two of them.
    entries: Vec<(u64, u32)>,
    shift: u32,
}

impl Map {
    /// For up to `count` keys.
    pub fn new(count: usize) -> Map {
        let size = (2 * count).next_power_of_two().max(2);
        Map { entries: vec![(0, EMPTY); size], shift: 64 - size.trailing_zeros() }
    }

    fn start(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    /// The entry that holds `key`, or the empty one where it would go; and what it leads to, or [`EMPTY`].
    #[inline]
    fn find(&self, key: u64) -> (usize, u32) {
        let mut at = self.start(key);
        loop {
            let (found, place) = self.entries[at];
            if place == EMPTY || found == key {
                return (at, place);
            }
            at = (at + 1) & (self.entries.len() - 1);
        }
    }

    /// The place that `key` leads to.
    #[inline]
    pub fn get(&self, key: u64) -> Option<usize> {
        let (_, place) = self.find(key);
        (place != EMPTY).then_some(place as usize)
    }

    /// As [`Map::get`], and the entry, for [`Map::remove_entry`], as long as nothing changes.
    #[inline]
    pub fn entry(&self, key: u64) -> Option<(usize, usize)> {
        let (at, place) = self.find(key);
        (place != EMPTY).then_some((at, place as usize))
    }

    /// Where `key` would go, if it is not there: for [`Map::fill`], as long as nothing changes.
    #[inline]
    pub fn vacancy(&self, key: u64) -> Option<usize> {
        let (at, place) = self.find(key);
        (place == EMPTY).then_some(at)
    }

    /// Lets `key`, whose vacancy is `at`, lead to `place`.
    #[inline]
    pub fn fill(&mut self, at: usize, key: u64, place: usize) {
        self.entries[at] = (key, place as u32);
    }

    /// Lets `key` lead to `place`.
    pub fn insert(&mut self, key: u64, place: usize) {
        let (at, _) = self.find(key);
        self.fill(at, key, place);
    }

    /// Forgets `key`.
    pub fn remove(&mut self, key: u64) {
        if let Some((entry, _)) = self.entry(key) {
            self.remove_entry(entry);
        }
    }

    /// Forgets the key of an entry.
    #[inline]
    pub fn remove_entry(&mut self, entry: usize) {
        let last = self.entries.len() - 1;
        let mut hole = entry;
        // Move back what the hole would cut off from its home.
        let mut at = (hole + 1) & last;
        while self.entries[at].1 != EMPTY {
            let start = self.start(self.entries[at].0);
            if at.wrapping_sub(start) & last >= at.wrapping_sub(hole) & last {
                self.entries[hole] = self.entries[at];
                hole = at;
            }
            at = (at + 1) & last;
        }
        self.entries[hole] = (0, EMPTY);
    }
}

impl PartialEq for Map {
    fn eq(&self, _: &Map) -> bool {
        true
    }
}

impl Eq for Map {}

impl Hash for Map {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn like_a_tree_map(steps in prop::collection::vec((0..40u64, any::<bool>()), 0..400)) {
            let (mut map, mut model) = (Map::new(20), BTreeMap::new());
            for (place, (key, insert)) in steps.into_iter().enumerate() {
                if insert && (model.len() < 20 || model.contains_key(&key)) {
                    map.insert(key, place);
                    model.insert(key, place);
                } else {
                    map.remove(key);
                    model.remove(&key);
                }
                for key in 0..40 {
                    prop_assert_eq!(map.get(key), model.get(&key).copied());
                }
            }
        }
    }
}
