//! A ring of descriptors, which card and driver go around in, the driver ahead.
//!
//! The driver hands descriptors over at the *tail*; the card marks each done, in order, and the driver takes it back. One
//! descriptor is always the driver's, since a ring with head equal to tail is empty. What a descriptor says is taken as
//! numbers: which buffer goes with it, the driver remembers itself.

use hardware::dma::DmaMemory;
use v::Error;

use super::registers::{RegisterFile, ring};

/// Bytes of a descriptor: address (8), length (2), then five bytes whose meaning differs with the way, and status.
const BYTES: usize = 16;
/// Offsets in it.
const LENGTH: usize = 8;
const COMMAND: usize = 8;
const STATUS: usize = 12;
/// The card is done with it.
const DONE: u32 = 1;

/// A ring.
#[derive(Debug)]
pub struct Ring {
    pub(super) memory: DmaMemory,
    /// Where the registers are.
    registers: usize,
    /// The buffer of each descriptor.
    buffers: alloc::vec::Vec<u16>,
    /// The next descriptor that the card will be done with.
    first: usize,
    /// The first descriptor that the driver has.
    tail: usize,
    /// What the card knows of that.
    shown: usize,
}

/// A descriptor that the card is done with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Done {
    /// Its buffer.
    pub buffer: u16,
    /// Received bytes, as the card says.
    pub bytes: u16,
    /// Status in the lowest byte and errors in the second, as the card says.
    pub status: u32,
}

impl Ring {
    /// A ring of `count` descriptors, a multiple of eight, all of them the driver's; the card is told of it.
    pub fn new(memory: DmaMemory, count: usize, at: usize, registers: &impl RegisterFile) -> Ring {
        assert!(count.is_multiple_of(8) && count * BYTES <= memory.bytes(), "a ring of {count}");
        registers.write(at + ring::BASE_LOW, memory.physical() as u32);
        registers.write(at + ring::BASE_HIGH, (memory.physical() >> 32) as u32);
        registers.write(at + ring::LENGTH, (count * BYTES) as u32);
        registers.write(at + ring::HEAD, 0);
        registers.write(at + ring::TAIL, 0);
        Ring { memory, registers: at, buffers: alloc::vec![0; count], first: 0, tail: 0, shown: 0 }
    }

    /// As [`new`](Ring::new), in DMA memory of its own.
    pub fn allocate(count: usize, at: usize, registers: &impl RegisterFile) -> Result<Ring, Error> {
        Ok(Ring::new(DmaMemory::allocate(count * BYTES)?, count, at, registers))
    }

    /// How many descriptors can be the card's at a time.
    pub const fn capacity(count: usize) -> usize {
        count - 1
    }

    fn after(&self, descriptor: usize) -> usize {
        if descriptor + 1 == self.buffers.len() { 0 } else { descriptor + 1 }
    }

    /// Names a buffer, which lies at `physical`, for the card, which sees it after the next [`show`](Ring::show).
    /// `command` holds a length and what the card is to do.
    ///
    /// # Panics
    /// If the card has all that it can have.
    #[inline]
    pub fn name(&mut self, buffer: u16, physical: u64, command: u32) {
        let next = self.after(self.tail);
        assert_ne!(next, self.first, "the ring is full");
        let at = BYTES * self.tail;
        self.memory.set(at, physical);
        self.memory.set(at + COMMAND, command);
        self.memory.set(at + STATUS, 0_u32);
        self.buffers[self.tail] = buffer;
        self.tail = next;
    }

    /// Lets the card see what was named. True if there was anything new.
    #[inline]
    pub fn show(&mut self, registers: &impl RegisterFile) -> bool {
        let is_new = self.shown != self.tail;
        if is_new {
            self.shown = self.tail;
            registers.write(self.registers + ring::TAIL, self.tail as u32);
        }
        is_new
    }

    /// Whether the card is done with the next descriptor that it was shown.
    #[inline]
    pub fn has_done(&self) -> bool {
        self.first != self.shown && self.memory.get::<u32>(BYTES * self.first + STATUS) & DONE != 0
    }

    /// Takes the next descriptor that the card is done with.
    #[inline]
    pub fn take(&mut self) -> Option<Done> {
        if !self.has_done() {
            return None;
        }
        core::sync::atomic::fence(core::sync::atomic::Ordering::Acquire);
        let at = BYTES * self.first;
        let done = Done {
            buffer: self.buffers[self.first],
            bytes: self.memory.get(at + LENGTH),
            status: self.memory.get(at + STATUS),
        };
        self.first = self.after(self.first);
        Some(done)
    }

    /// Where the card finds, or leaves, what is said of the descriptor at a place, for tests: length, status, errors.
    #[cfg(test)]
    pub(super) fn finish(&self, descriptor: usize, bytes: u16, status: u32) {
        self.memory.set(BYTES * descriptor + LENGTH, bytes);
        self.memory.set(BYTES * descriptor + STATUS, status);
    }
}
