//! Equal buffers in DMA memory, which driver and device have by turns.
//!
//! A buffer that is [lent](Buffers::lend) is the device's and cannot be looked at; one that was [taken
//! back](Buffers::take_back) is the driver's, as a slice, so that no byte is copied on the way. A device that gives back
//! what it was not lent is found out here. That it writes into a buffer after it has given it back is the one thing that
//! is trusted of it: so are devices altogether, until an IOMMU is used.

use alloc::vec::Vec;
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};

use v::Error;

use crate::dma::DmaMemory;

/// Buffers of one size.
#[derive(Debug)]
pub struct Buffers {
    bytes: usize,
    /// Each has `bytes` bytes of DMA memory, all to itself. That stays mapped as long as the team lives.
    buffers: Vec<Buffer>,
}

#[derive(Debug)]
struct Buffer {
    first: NonNull<u8>,
    physical: u64,
    is_lent: bool,
}

// SAFETY: as of the memory that they are in, which is theirs alone.
unsafe impl Send for Buffers {}

impl Buffers {
    /// `count` buffers of `bytes` bytes each, in one piece of memory. That must have been granted.
    pub fn allocate(count: usize, bytes: usize) -> Result<Buffers, Error> {
        let all = count.checked_mul(bytes).ok_or(Error::TooLong)?;
        Ok(Buffers::of(&DmaMemory::allocate(all)?, count, bytes))
    }

    /// Up to `count` buffers, each in a piece of its own: as many as there is memory for, but one at the least.
    pub fn allocate_apart(count: usize, bytes: usize) -> Result<Buffers, Error> {
        let mut buffers = Buffers::of(&DmaMemory::allocate(bytes)?, 1, bytes);
        while buffers.count() < count
            && let Ok(memory) = DmaMemory::allocate(bytes)
        {
            buffers.add(&memory, 1);
        }
        Ok(buffers)
    }

    /// `count` buffers in `memory`, of which nobody else makes any use.
    ///
    /// # Panics
    /// If they do not fit.
    pub fn of(memory: &DmaMemory, count: usize, bytes: usize) -> Buffers {
        let mut buffers = Buffers { bytes, buffers: Vec::with_capacity(count) };
        buffers.add(memory, count);
        buffers
    }

    fn add(&mut self, memory: &DmaMemory, count: usize) {
        let bytes = self.bytes;
        assert!(count * bytes <= memory.bytes(), "{count} buffers of {bytes} bytes in {}", memory.bytes());
        self.buffers.extend((0..count).filter_map(|buffer| {
            let offset = buffer * bytes;
            let first = NonNull::new(memory.range(offset, bytes))?;
            Some(Buffer { first, physical: memory.physical() + offset as u64, is_lent: false })
        }));
    }

    /// How many.
    pub const fn count(&self) -> usize {
        self.buffers.len()
    }

    /// The length of each.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// A buffer's physical address.
    ///
    /// # Panics
    /// If there is no such buffer.
    #[inline]
    pub fn physical(&self, buffer: usize) -> u64 {
        self.buffers[buffer].physical
    }

    /// The device has the buffer from now on.
    ///
    /// # Panics
    /// If it has it already, or there is no such buffer.
    #[inline]
    pub fn lend(&mut self, buffer: usize) {
        if core::mem::replace(&mut self.buffers[buffer].is_lent, true) {
            has_not(buffer);
        }
    }

    /// The device says that it is done with the buffer. False if it did not have it.
    #[inline]
    pub fn take_back(&mut self, buffer: usize) -> bool {
        fence(Ordering::Acquire);
        self.buffers.get_mut(buffer).is_some_and(|buffer| core::mem::take(&mut buffer.is_lent))
    }

    #[inline]
    fn own(&self, buffer: usize) -> NonNull<[u8]> {
        let Buffer { first, is_lent, .. } = self.buffers[buffer];
        if is_lent {
            has_not(buffer);
        }
        NonNull::slice_from_raw_parts(first, self.bytes)
    }

    /// A buffer that the driver has.
    ///
    /// # Panics
    /// If the device has it.
    #[inline]
    pub fn get(&self, buffer: usize) -> &[u8] {
        // SAFETY: `bytes` bytes that are mapped as long as the team lives, and this buffer's alone; the device doesn't have it
        // (see the head of this file), and `&self` keeps writers of the driver's away.
        unsafe { self.own(buffer).as_ref() }
    }

    /// A buffer that the driver has, to be written.
    ///
    /// # Panics
    /// As [`get`](Buffers::get).
    #[inline]
    pub fn get_mut(&mut self, buffer: usize) -> &mut [u8] {
        // SAFETY: as in `get`; `&mut self` keeps everyone else of the driver's away.
        unsafe { self.own(buffer).as_mut() }
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
        Buffers::of(&DmaMemory::imitate(8192), 4, 2048)
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
        Buffers::of(&DmaMemory::imitate(8192), 4, 4096);
    }
}
