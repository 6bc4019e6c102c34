//! The split virtqueue.
//!
//! Three tables in memory: descriptors, one for each buffer, which say where it is and who writes it; the *available*
//! ring, in which the driver names buffers that it hands over; and the *used* ring, in which the device names those that
//! it gives back. Indices count without end and are taken modulo the queue's size, a power of two.
//!
//! Each side writes down the index at which it wants to hear from the other next (event indices), so while a side is busy
//! with the queue it isn't told of every buffer. Where the device cannot do that, two flags say so more coarsely.

use core::sync::atomic::{Ordering, fence};

use hardware::dma::{DmaCell, DmaMemory, DmaTable, barrier};
use v::Error;

pub(crate) const DESCRIPTOR_BYTES: usize = 16;
pub(crate) const DESCRIPTOR_LENGTH: usize = 8;
pub(crate) const DESCRIPTOR_FLAGS: usize = 12;
/// The device writes the buffer.
pub(crate) const DEVICE_WRITES: u16 = 2;
/// The buffer is a [table](crate::indirect) of descriptors.
const IS_TABLE: u16 = 4;

/// Offsets in both rings, and bytes of their entries.
const FLAGS: usize = 0;
const INDEX: usize = 2;
const ENTRIES: usize = 4;
const AVAILABLE_BYTES: usize = 2;
const USED_BYTES: usize = 8;

/// In either ring's flags: its writer does not want to hear of more.
const QUIET: u16 = 1;

/// A queue. Buffers are named by their numbers, below its size.
#[derive(Debug)]
pub struct Queue {
    memory: DmaMemory,
    size: u16,
    available: usize,
    used: usize,
    lengths: DmaTable<u32>,
    /// Each side's flags, index and entries: the driver's ring, and the device's, whose entries are buffer and bytes.
    available_flags: DmaCell<u16>,
    available_index: DmaCell<u16>,
    available_entries: DmaTable<u16>,
    used_flags: DmaCell<u16>,
    used_index: DmaCell<u16>,
    used_buffers: DmaTable<u32>,
    used_lengths: DmaTable<u32>,
    /// Where each side writes the index at which it wants to hear from the other.
    used_event: DmaCell<u16>,
    available_event: DmaCell<u16>,
    has_events: bool,
    /// The driver's index: what it has named in the available ring.
    named: u16,
    /// What the device has been shown of that.
    shown: u16,
    /// What the driver has taken out of the used ring.
    taken: u16,
}

/// A buffer that the device gave back. What it says may be nonsense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Used {
    /// Its number.
    pub buffer: u32,
    /// Bytes that the device says it has written.
    pub bytes: u32,
}

impl Queue {
    /// Bytes of memory that a queue of this size takes.
    pub const fn bytes(size: u16) -> usize {
        Queue::used_at(size) + ENTRIES + USED_BYTES * size as usize + 2
    }

    const fn available_at(size: u16) -> usize {
        DESCRIPTOR_BYTES * size as usize
    }

    const fn used_at(size: u16) -> usize {
        (Queue::available_at(size) + ENTRIES + AVAILABLE_BYTES * size as usize + 2).next_multiple_of(4)
    }

    /// A queue in zeroed memory. `has_events` says whether event indices were agreed on.
    ///
    /// # Panics
    /// If the size is no power of two, or the memory too small.
    pub fn new(memory: DmaMemory, size: u16, has_events: bool) -> Queue {
        assert!(size.is_power_of_two() && Queue::bytes(size) <= memory.bytes(), "a queue of {size}");
        let (available, used) = (Queue::available_at(size), Queue::used_at(size));
        let count = usize::from(size);
        Queue {
            size,
            available,
            used,
            lengths: memory.table(DESCRIPTOR_LENGTH, count, DESCRIPTOR_BYTES),
            available_flags: memory.cell(available + FLAGS),
            available_index: memory.cell(available + INDEX),
            available_entries: memory.table(available + ENTRIES, count, AVAILABLE_BYTES),
            used_flags: memory.cell(used + FLAGS),
            used_index: memory.cell(used + INDEX),
            used_buffers: memory.table(used + ENTRIES, count, USED_BYTES),
            used_lengths: memory.table(used + ENTRIES + 4, count, USED_BYTES),
            used_event: memory.cell(available + ENTRIES + AVAILABLE_BYTES * count),
            available_event: memory.cell(used + ENTRIES + USED_BYTES * count),
            memory,
            has_events,
            named: 0,
            shown: 0,
            taken: 0,
        }
    }

    /// A queue in DMA memory of its own.
    pub fn allocate(size: u16, has_events: bool) -> Result<Queue, Error> {
        Ok(Queue::new(DmaMemory::allocate(Queue::bytes(size))?, size, has_events))
    }

    /// Its size.
    pub const fn size(&self) -> u16 {
        self.size
    }

    /// Physical addresses of descriptors, available ring and used ring.
    pub const fn places(&self) -> [u64; 3] {
        let base = self.memory.physical();
        [base, base + self.available as u64, base + self.used as u64]
    }

    /// Says where a buffer is.
    pub fn describe(&mut self, buffer: u16, physical: u64, bytes: u32, device_writes: bool) {
        self.describe_with(buffer, physical, bytes, if device_writes { DEVICE_WRITES } else { 0 });
    }

    /// Says where the [table](crate::indirect) is of a buffer with several parts. The device must have agreed to such.
    pub fn describe_table(&mut self, buffer: u16, physical: u64, bytes: u32) {
        self.describe_with(buffer, physical, bytes, IS_TABLE);
    }

    fn describe_with(&mut self, buffer: u16, physical: u64, bytes: u32, flags: u16) {
        let at = self.descriptor(buffer);
        self.memory.set(at, physical);
        self.memory.set(at + DESCRIPTOR_LENGTH, bytes);
        self.memory.set(at + DESCRIPTOR_FLAGS, flags);
    }

    /// Says how much of a buffer counts; of one with a table, how much of that.
    #[inline]
    pub fn set_length(&mut self, buffer: u16, bytes: u32) {
        self.lengths.cell(buffer.into()).set(bytes);
    }

    fn descriptor(&self, buffer: u16) -> usize {
        assert!(buffer < self.size, "buffer {buffer} of {}", self.size);
        DESCRIPTOR_BYTES * usize::from(buffer)
    }

    /// Names a buffer for the device, which sees it after the next [`show`](Queue::show).
    #[inline]
    pub fn name(&mut self, buffer: u16) {
        let entry = usize::from(self.named & (self.size - 1));
        self.available_entries.cell(entry).set(buffer);
        self.named = self.named.wrapping_add(1);
    }

    /// Lets the device see what was named. True if it wants to be told.
    #[inline]
    pub fn show(&mut self) -> bool {
        let before = self.shown;
        if before == self.named {
            return false;
        }
        self.available_index.set(self.named);
        self.shown = self.named;
        // The device writes what it wants before it looks at the index for the last time, so read it after.
        barrier();
        if self.has_events {
            passes(self.available_event.get(), before, self.named)
        } else {
            self.used_flags.get() & QUIET == 0
        }
    }

    /// Takes the next buffer that the device gave back.
    #[inline]
    pub fn take(&mut self) -> Option<Used> {
        if self.used_index.get() == self.taken {
            return None;
        }
        fence(Ordering::Acquire);
        let entry = usize::from(self.taken & (self.size - 1));
        self.taken = self.taken.wrapping_add(1);
        Some(Used { buffer: self.used_buffers.cell(entry).get(), bytes: self.used_lengths.cell(entry).get() })
    }

    /// Asks for an interrupt when the device gives back the next buffer. True if there is one already, for which
    /// none may come.
    #[inline]
    pub fn ask(&mut self) -> bool {
        if self.has_events {
            self.used_event.set(self.taken);
        } else {
            self.available_flags.set(0);
        }
        barrier();
        self.used_index.get() != self.taken
    }

    /// Asks for no interrupt. With event indices this holds for 65,535 buffers from the last that was taken.
    #[inline]
    pub fn quieten(&mut self) {
        if self.has_events {
            self.used_event.set(self.taken.wrapping_sub(1));
        } else {
            self.available_flags.set(QUIET);
        }
    }
}

/// Whether an index that went from `before` to `after` has passed `wanted`.
const fn passes(wanted: u16, before: u16, after: u16) -> bool {
    after.wrapping_sub(wanted).wrapping_sub(1) < after.wrapping_sub(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    const SIZE: u16 = 8;

    /// The other side of a queue.
    #[derive(Default)]
    struct Device {
        seen: u16,
        given: u16,
        had: VecDeque<u16>,
    }

    impl Device {
        fn see(&mut self, queue: &Queue) {
            while self.seen != queue.memory.get::<u16>(queue.available + INDEX) {
                let at = queue.available + ENTRIES + AVAILABLE_BYTES * usize::from(self.seen % SIZE);
                self.had.push_back(queue.memory.get(at));
                self.seen = self.seen.wrapping_add(1);
            }
            queue.available_event.set(self.seen);
        }

        /// Gives a buffer back. True if it interrupts.
        fn give(&mut self, queue: &Queue, bytes: u32) -> bool {
            let buffer = self.had.pop_front().unwrap();
            let at = queue.used + ENTRIES + USED_BYTES * usize::from(self.given % SIZE);
            queue.memory.set(at, u32::from(buffer));
            queue.memory.set(at + 4, bytes);
            let before = self.given;
            self.given = self.given.wrapping_add(1);
            queue.memory.set(queue.used + INDEX, self.given);
            passes(queue.used_event.get(), before, self.given)
        }
    }

    fn queue() -> Queue {
        Queue::new(DmaMemory::imitate(Queue::bytes(SIZE)), SIZE, true)
    }

    #[test]
    fn buffers_go_there_and_back_for_more_than_all_indices() {
        let (mut queue, mut device) = (queue(), Device::default());
        for round in 0..70_000_u32 {
            let buffer = (round % u32::from(SIZE)) as u16;
            queue.name(buffer);
            assert!(queue.show(), "an idle device is told, round {round}");
            device.see(&queue);
            assert!(!queue.ask());
            assert!(device.give(&queue, round), "it interrupts, round {round}");
            assert_eq!(queue.take(), Some(Used { buffer: buffer.into(), bytes: round }));
            assert_eq!(queue.take(), None);
        }
    }

    #[test]
    fn many_buffers_cost_one_notice_each_way() {
        let (mut queue, mut device) = (queue(), Device::default());
        queue.ask();
        for buffer in 0..4 {
            queue.name(buffer);
        }
        assert!(queue.show());
        // The device has not looked yet.
        queue.name(4);
        assert!(!queue.show());
        assert!(!queue.show(), "nothing new");
        device.see(&queue);
        assert!(device.give(&queue, 1));
        assert!(!device.give(&queue, 1), "the driver has not taken the first");
        assert_eq!(queue.take().unwrap().buffer, 0);
        assert!(queue.ask(), "there is one more");
        assert_eq!(queue.take().unwrap().buffer, 1);
        queue.quieten();
        assert!(!device.give(&queue, 1));
    }

    #[test]
    fn without_event_indices_flags_do() {
        let mut queue = Queue::new(DmaMemory::imitate(Queue::bytes(SIZE)), SIZE, false);
        queue.name(0);
        assert!(queue.show());
        queue.memory.set(queue.used + FLAGS, QUIET);
        queue.name(1);
        assert!(!queue.show());
        queue.quieten();
        assert_eq!(queue.memory.get::<u16>(queue.available + FLAGS), QUIET);
        queue.ask();
        assert_eq!(queue.memory.get::<u16>(queue.available + FLAGS), 0);
    }

    proptest! {
        #[test]
        fn whatever_the_device_writes_is_taken_as_numbers(words in prop::collection::vec(any::<u16>(), 40)) {
            let mut queue = queue();
            for (at, word) in words.into_iter().enumerate() {
                queue.memory.set(queue.used + 2 * at, word);
            }
            let taken: Vec<Used> = core::iter::from_fn(|| queue.take()).take(100_000).collect();
            prop_assert!(u16::try_from(taken.len()).is_ok());
            queue.name(0);
            queue.show();
        }
    }
}
