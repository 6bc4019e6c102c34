//! A pair of queues: the driver writes commands into one, and the device writes completions into the other. Each entry of
//! the latter has a bit that changes with every round, so that a new one is known from an old one.

use core::sync::atomic::{Ordering, fence};

use abi::Error;
use hardware::dma::DmaMemory;

use crate::command::{COMMAND_BYTES, Command};

const COMPLETION_BYTES: usize = 16;
/// In a completion: the number of its command (2 bytes), and then the round's bit and how it went.
const NUMBER_AND_STATUS: usize = 12;
const ROUND: u32 = 1 << 16;
const STATUS_SHIFT: u32 = 17;

/// Entries of either queue of a pair. More than ever are at work at once: a queue with all entries used looks empty.
pub const ENTRIES: u16 = 32;
/// Bytes of each queue: it takes pages of its own.
const COMMANDS_BYTES: usize = COMMAND_BYTES * ENTRIES as usize;
const PAGE: usize = 4096;
const _: () = assert!(COMMANDS_BYTES <= PAGE && COMPLETION_BYTES * ENTRIES as usize <= PAGE);
/// Bytes of a pair's memory.
pub const BYTES: usize = 2 * PAGE;

/// What a completion says. It may be nonsense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion {
    /// Which command.
    pub number: u16,
    /// How it went: 0 well.
    pub status: u16,
}

/// A pair of queues.
#[derive(Debug)]
pub struct Queue {
    memory: DmaMemory,
    /// Where the next command goes.
    tail: u16,
    /// What the device knows of that.
    shown: u16,
    /// Where the next completion comes, and in which round.
    head: u16,
    round: bool,
    /// What the device knows of that.
    taken: u16,
}

impl Queue {
    /// A pair in zeroed memory.
    ///
    /// # Panics
    /// If there is not enough.
    pub fn new(memory: DmaMemory) -> Queue {
        assert!(memory.bytes() >= BYTES, "a pair of queues in {} bytes", memory.bytes());
        Queue { memory, tail: 0, shown: 0, head: 0, round: true, taken: 0 }
    }

    /// A pair in DMA memory of its own.
    pub fn allocate() -> Result<Queue, Error> {
        Ok(Queue::new(DmaMemory::allocate(BYTES)?))
    }

    /// Where the commands are, for the device.
    pub const fn commands(&self) -> u64 {
        self.memory.physical()
    }

    /// Where the completions are.
    pub const fn completions(&self) -> u64 {
        self.memory.physical() + PAGE as u64
    }

    /// Writes a command, which the device is told of with the next [`tail`](Queue::new_tail). No more than [`ENTRIES`] less
    /// one may be at work.
    pub fn put(&mut self, command: &Command) {
        let at = COMMAND_BYTES * usize::from(self.tail);
        for (number, word) in command.0.iter().enumerate() {
            self.memory.set(at + 4 * number, *word);
        }
        self.tail = (self.tail + 1) % ENTRIES;
    }

    /// What to write into the doorbell for commands, if there are new ones.
    pub fn new_tail(&mut self) -> Option<u32> {
        let is_new = self.shown != self.tail;
        self.shown = self.tail;
        // The device sees the commands before the doorbell rings.
        fence(Ordering::SeqCst);
        is_new.then_some(self.tail.into())
    }

    fn next(&self) -> Option<u32> {
        let at = PAGE + COMPLETION_BYTES * usize::from(self.head) + NUMBER_AND_STATUS;
        let word = self.memory.get::<u32>(at);
        (self.round == (word & ROUND != 0)).then_some(word)
    }

    /// The next completion.
    pub fn take(&mut self) -> Option<Completion> {
        let word = self.next()?;
        fence(Ordering::Acquire);
        self.head = (self.head + 1) % ENTRIES;
        self.round ^= self.head == 0;
        Some(Completion { number: word as u16, status: (word >> STATUS_SHIFT) as u16 })
    }

    /// What to write into the doorbell for completions, if some were taken.
    pub fn new_head(&mut self) -> Option<u32> {
        let is_new = self.taken != self.head;
        self.taken = self.head;
        is_new.then_some(self.head.into())
    }

    /// Whether there is a completion to take.
    pub fn has_next(&self) -> bool {
        self.next().is_some()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes a completion where the device would write its `count`th.
    pub(crate) fn complete(queue: &Queue, count: u32, number: u16, status: u16) {
        let entry = count as usize % usize::from(ENTRIES);
        let round = if (count / u32::from(ENTRIES)).is_multiple_of(2) { ROUND } else { 0 };
        let word = u32::from(number) | round | u32::from(status) << STATUS_SHIFT;
        queue.memory.set(PAGE + COMPLETION_BYTES * entry + NUMBER_AND_STATUS, word);
    }

    /// Writes anything where the device writes.
    pub(crate) fn scribble(queue: &Queue, words: &[u32]) {
        for (at, word) in words.iter().enumerate().take(PAGE / 4) {
            queue.memory.set(PAGE + 4 * at, *word);
        }
    }

    #[test]
    fn completions_come_round_after_round() {
        let mut queue = Queue::new(DmaMemory::imitate(BYTES));
        assert_eq!((queue.take(), queue.new_head(), queue.new_tail()), (None, None, None));
        for count in 0..200 {
            queue.put(&Command::flush(1).numbered(count as u16));
            assert_eq!(queue.new_tail(), Some((count + 1) % u32::from(ENTRIES)));
            assert!(!queue.has_next());
            complete(&queue, count, count as u16, 5);
            assert_eq!(queue.take(), Some(Completion { number: count as u16, status: 5 }));
            assert_eq!((queue.take(), queue.new_head()), (None, Some((count + 1) % u32::from(ENTRIES))));
            assert_eq!((queue.new_head(), queue.new_tail()), (None, None));
        }
        let last = COMMAND_BYTES * (199 % usize::from(ENTRIES));
        assert_eq!(queue.memory.get::<u32>(last), 199 << 16);
    }

    proptest! {
        #[test]
        fn whatever_the_device_writes_is_taken_as_numbers(words in prop::collection::vec(any::<u32>(), 200)) {
            let mut queue = Queue::new(DmaMemory::imitate(BYTES));
            scribble(&queue, &words);
            // Without the device's help no round follows another.
            prop_assert!(core::iter::from_fn(|| queue.take()).count() <= 2 * usize::from(ENTRIES));
        }
    }
}
