//! A fixed number of records; the lowest free one is taken first, so what is free says nothing of the past.

use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

use super::IndexSet;

/// Records of type `T`, of which the free ones are `T::default()`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pool<T> {
    records: Vec<T>,
    free: IndexSet,
    used: usize,
}

impl<T: Default> Pool<T> {
    /// `count` free records.
    pub fn new(count: usize) -> Pool<T> {
        let records = core::iter::repeat_with(T::default).take(count).collect();
        Pool { records, free: IndexSet::full(count), used: 0 }
    }

    /// Puts `record` into a free place and says which; none if all are taken.
    pub fn take(&mut self, record: T) -> Option<usize> {
        let (index, place) = self.take_default()?;
        *place = record;
        Some(index)
    }

    /// Takes a free place, to be filled in where it is; none if all are taken.
    pub fn take_default(&mut self) -> Option<(usize, &mut T)> {
        let index = self.free.first()?;
        self.free.remove(index);
        self.used += 1;
        Some((index, &mut self.records[index]))
    }

    /// Frees record `index`.
    pub fn release(&mut self, index: usize) {
        self.records[index] = T::default();
        self.free.insert(index);
        self.used -= 1;
    }

    /// How many are taken.
    pub fn used(&self) -> usize {
        self.used
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Record `index`, if there is such a one and it is taken.
    pub fn get(&self, index: usize) -> Option<&T> {
        self.records.get(index).filter(|_| !self.free.contains(index))
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
