//! A bounded buffer of bytes between those who write and those who read. Data is copied straight between it and the
//! clients' segments, so it shows its filled and its free space as slices.

use alloc::vec::Vec;

use abi::{Error, Pid};

use crate::service::Incoming;
use crate::system::System;

/// A ring of bytes. Its memory is taken when the first byte comes, and given back by [`Ring::clear`].
#[derive(Debug)]
pub struct Ring {
    bytes: Vec<u8>,
    capacity: usize,
    begin: usize,
    length: usize,
}

impl Ring {
    /// An empty ring for `capacity` bytes.
    pub const fn new(capacity: usize) -> Ring {
        Ring { bytes: Vec::new(), capacity, begin: 0, length: 0 }
    }

    /// How many bytes are in it.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many more there is room for.
    pub const fn room(&self) -> usize {
        self.capacity - self.length
    }

    /// Its bytes, the oldest first, in two pieces.
    pub fn filled(&self) -> (&[u8], &[u8]) {
        let end = self.begin + self.length;
        if end <= self.bytes.len() {
            (&self.bytes[self.begin..end], &[])
        } else {
            (&self.bytes[self.begin..], &self.bytes[..end - self.bytes.len()])
        }
    }

    /// Its `count` oldest bytes, in two pieces; fewer if there are not as many.
    pub fn oldest(&self, count: usize) -> (&[u8], &[u8]) {
        let (first, second) = self.filled();
        let in_first = count.min(first.len());
        (&first[..in_first], &second[..(count - in_first).min(second.len())])
    }

    /// Takes the `count` oldest bytes out; all if there are not as many.
    pub fn drop_oldest(&mut self, count: usize) {
        let count = count.min(self.length);
        self.length -= count;
        self.begin = match self.length {
            0 => 0,
            _ => (self.begin + count) % self.capacity,
        };
    }

    /// Adds as many of `data`'s bytes as there is room for; how many.
    pub fn push(&mut self, data: &[u8]) -> Result<usize, Error> {
        self.fill(data.len(), |offset, place| {
            place.copy_from_slice(&data[offset..offset + place.len()]);
            Ok(())
        })
    }

    /// Adds as many bytes of a write as there is room for; how many. If they can't be had, none.
    pub fn push_incoming(&mut self, data: &Incoming<'_>, system: &mut dyn System) -> Result<usize, Error> {
        self.fill(data.bytes(), |offset, place| data.copy_to(offset, place, system))
    }

    /// As [`push_incoming`](Ring::push_incoming), of a writer that has been waiting: `bytes` of its segment.
    pub fn push_from(&mut self, client: Pid, bytes: usize, system: &mut dyn System) -> Result<usize, Error> {
        self.fill(bytes, |offset, place| system.move_from(client, offset as u64, place))
    }

    /// Empties it and gives its memory back.
    pub fn clear(&mut self) {
        *self = Ring::new(self.capacity);
    }

    /// Has `copy` fill up to two pieces of free space, `wanted` bytes at most.
    fn fill(
        &mut self,
        wanted: usize,
        mut copy: impl FnMut(usize, &mut [u8]) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        let count = wanted.min(self.room());
        if count == 0 {
            return Ok(0);
        }
        if self.bytes.is_empty() {
            self.bytes.try_reserve_exact(self.capacity).map_err(|_| Error::NoMemory)?;
            self.bytes.resize(self.capacity, 0);
        }
        let first_free = (self.begin + self.length) % self.capacity;
        let in_first = count.min(self.capacity - first_free);
        copy(0, &mut self.bytes[first_free..first_free + in_first])?;
        if count > in_first {
            copy(in_first, &mut self.bytes[..count - in_first])?;
        }
        self.length += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::VecDeque;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_ring_is_a_queue(steps in prop::collection::vec((any::<bool>(), 0usize..12), 0..60)) {
            let mut ring = Ring::new(9);
            let mut queue = VecDeque::new();
            let mut next = 0u8;
            for (adds, count) in steps {
                if adds {
                    let data: Vec<u8> = (0..count).map(|at| next.wrapping_add(at as u8)).collect();
                    let taken = ring.push(&data).unwrap();
                    prop_assert_eq!(taken, count.min(9 - queue.len()));
                    queue.extend(&data[..taken]);
                    next = next.wrapping_add(taken as u8);
                } else {
                    let (first, second) = ring.oldest(count);
                    prop_assert_eq!(first.len() + second.len(), count.min(queue.len()));
                    ring.drop_oldest(count);
                    queue.drain(..count.min(queue.len()));
                }
                let (first, second) = ring.filled();
                prop_assert_eq!([first, second].concat(), queue.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!((ring.len(), ring.room()), (queue.len(), 9 - queue.len()));
            }
        }
    }
}
