//! Equal buffers in DMA memory, which driver and device have by turns.
//!
//! A buffer that is [lent](Buffers::lend) is the device's and cannot be looked at; one that was [taken
//! back](Buffers::take_back) is the driver's, as a slice, so that no byte is copied on the way. A device that gives back
//! what it was not lent is found out here. That it writes into a buffer after it has given it back is the one thing that
//! is trusted of it: so are devices altogether, until an IOMMU is used.

use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};

use v::Error;

use crate::dma::DmaMemory;

/// Buffers of one size.
#[derive(Debug)]
pub struct Buffers {
    memory: DmaMemory,
    bytes: usize,
    lent: Vec<bool>,
}

impl Buffers {
    /// `count` buffers of `bytes` bytes each. The memory must have been granted.
    pub fn allocate(count: usize, bytes: usize) -> Result<Buffers, Error> {
        let all = count.checked_mul(bytes).ok_or(Error::TooLong)?;
        Ok(Buffers::of(DmaMemory::allocate(all)?, count, bytes))
    }

    /// As many in `memory`.
    ///
    /// # Panics
    /// If they do not fit.
    pub fn of(memory: DmaMemory, count: usize, bytes: usize) -> Buffers {
        assert!(count * bytes <= memory.bytes(), "{count} buffers of {bytes} bytes in {}", memory.bytes());
        Buffers { memory, bytes, lent: vec![false; count] }
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.lent.len()
    }

    /// The length of each.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// A buffer's physical address.
    pub const fn physical(&self, buffer: usize) -> u64 {
        self.memory.physical() + (buffer * self.bytes) as u64
    }

    #[inline]
    fn must_have(&self, buffer: usize) {
        if self.lent[buffer] {
            has_not(buffer);
        }
    }

    /// The device has the buffer from now on.
    ///
    /// # Panics
    /// If it has it already, or there is no such buffer.
    #[inline]
    pub fn lend(&mut self, buffer: usize) {
        self.must_have(buffer);
        self.lent[buffer] = true;
    }

    /// The device says that it is done with the buffer. False if it did not have it.
    #[inline]
    pub fn take_back(&mut self, buffer: usize) -> bool {
        fence(Ordering::Acquire);
        self.lent.get_mut(buffer).is_some_and(core::mem::take)
    }

    /// A buffer that the driver has.
    ///
    /// # Panics
    /// If the device has it.
    #[inline]
    pub fn get(&self, buffer: usize) -> &[u8] {
        self.must_have(buffer);
        let first = self.memory.range(buffer * self.bytes, self.bytes);
        // SAFETY: within the memory, which is mapped as long as the team lives; the device doesn't have it (see the head
        // of this file), and `&self` keeps writers of the driver's away.
        unsafe { core::slice::from_raw_parts(first, self.bytes) }
    }

    /// A buffer that the driver has, to be written.
    ///
    /// # Panics
    /// As [`get`](Buffers::get).
    #[inline]
    pub fn get_mut(&mut self, buffer: usize) -> &mut [u8] {
        self.must_have(buffer);
        let first = self.memory.range(buffer * self.bytes, self.bytes);
        // SAFETY: as in `get`; `&mut self` keeps everyone else of the driver's away.
        unsafe { core::slice::from_raw_parts_mut(first, self.bytes) }
    }
}

#[cold]
#[inline(never)]
fn has_not(buffer: usize) -> ! {
    panic!("buffer {buffer} is the device's")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffers() -> Buffers {
        Buffers::of(DmaMemory::imitate(8192), 4, 2048)
    }

    #[test]
    fn a_device_gives_back_what_it_was_lent_once() {
        let mut buffers = buffers();
        buffers.get_mut(1)[2047] = 7;
        buffers.lend(1);
        assert!(!buffers.take_back(0), "it did not have it");
        assert!(!buffers.take_back(4), "there is no such buffer");
        assert!(buffers.take_back(1));
        assert!(!buffers.take_back(1), "it has given it back already");
        assert_eq!((buffers.get(1)[2047], buffers.get(2)[0]), (7, 0));
        assert_eq!(buffers.physical(3) - buffers.physical(0), 3 * 2048);
    }

    #[test]
    #[should_panic(expected = "is the device's")]
    fn what_is_lent_is_not_looked_at() {
        let mut buffers = buffers();
        buffers.lend(0);
        buffers.get(0);
    }

    #[test]
    #[should_panic(expected = "4 buffers of 4096 bytes")]
    fn buffers_must_fit() {
        Buffers::of(DmaMemory::imitate(8192), 4, 4096);
    }
}
