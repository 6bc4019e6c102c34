//! The queue: buffers that the device fills with random bytes, all of which it has unless one is being emptied.

use hardware::buffers::Buffers;
use virtio::{Inbox, Queue};

/// Bytes of a buffer: twice what a generator's key has.
pub const BUFFER_BYTES: usize = 64;

/// The queue and its buffers.
#[derive(Debug)]
pub struct Source(Inbox);

impl Source {
    /// Hands all buffers over; the device sees them after the next [`show`](Source::show).
    ///
    /// # Panics
    /// If there are more buffers than places in the queue.
    pub fn new(queue: Queue, buffers: Buffers) -> Source {
        Source(Inbox::new(queue, buffers))
    }

    /// Lets the device see which buffers it has. True if it is to be told.
    pub fn show(&mut self) -> bool {
        self.0.show()
    }

    /// The next bytes that the device gives, by which `place` begins: how many. None if it gives none, or nonsense.
    pub fn take(&mut self, place: &mut [u8; BUFFER_BYTES]) -> usize {
        let taken = self.0.take(|bytes, count| {
            place[..count].copy_from_slice(&bytes[..count]);
            // Who reads this memory later must not learn what was given out, nor take the same bytes for new ones.
            bytes.fill(0);
            count
        });
        taken.flatten().unwrap_or(0)
    }

    /// Asks for an interrupt when the device gives more. True if it has given some already, for which none may come.
    pub fn ask(&mut self) -> bool {
        self.0.ask()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hardware::dma::DmaMemory;
    use proptest::prelude::*;

    const COUNT: u16 = 4;

    /// A source, and its memory as the device has it.
    struct Device {
        source: Source,
        queue: DmaMemory,
        used: usize,
        buffers: DmaMemory,
        given: u16,
    }

    impl Device {
        fn new() -> Device {
            let memory = DmaMemory::imitate(Queue::bytes(COUNT));
            let buffers = DmaMemory::imitate(BUFFER_BYTES * usize::from(COUNT));
            let (queue, seen) = (memory.seen_by_device(), buffers.seen_by_device());
            let shared = Queue::new(memory, COUNT, true);
            let [descriptors, _, used] = shared.places();
            let source = Source::new(shared, Buffers::of(&buffers, COUNT.into(), BUFFER_BYTES));
            Device { source, queue, used: (used - descriptors) as usize, buffers: seen, given: 0 }
        }

        fn fill(&self, buffer: usize, word: u64) {
            (0..BUFFER_BYTES / 8).for_each(|at| self.buffers.set(BUFFER_BYTES * buffer + 8 * at, word));
        }

        fn give(&mut self, buffer: u32, bytes: u32) {
            let entry = self.used + 4 + 8 * usize::from(self.given % COUNT);
            self.queue.set(entry, buffer);
            self.queue.set(entry + 4, bytes);
            self.given += 1;
            self.queue.set(self.used + 2, self.given);
        }
    }

    #[test]
    fn what_the_device_gives_is_taken_once() {
        let mut device = Device::new();
        assert!(device.source.show(), "it has all buffers");
        let mut place = [0; BUFFER_BYTES];
        assert_eq!(device.source.take(&mut place), 0);
        device.fill(2, u64::MAX);
        device.give(2, 10);
        assert_eq!(device.source.take(&mut place), 10);
        assert_eq!(place[..11], [[0xff; 10].as_slice(), &[0]].concat());
        assert_eq!(device.source.take(&mut place), 0);
        // It has the buffer again, in which nothing is left of them.
        assert!(device.source.show() || device.source.take(&mut place) == 0);
        assert_eq!(device.buffers.get::<u64>(2 * BUFFER_BYTES), 0);
        device.give(2, 64);
        assert_eq!((device.source.take(&mut place), place), (64, [0; BUFFER_BYTES]));
        assert!(!device.source.ask());
        device.give(1, 1);
        assert!(device.source.ask(), "for this no interrupt may come");
    }

    proptest! {
        #[test]
        fn a_hostile_device_gives_no_more_than_a_buffer(
            words in prop::collection::vec(any::<u32>(), 9),
            index: u16,
        ) {
            let mut device = Device::new();
            device.source.show();
            for (at, word) in words.iter().enumerate() {
                // Some are buffers that there are.
                device.queue.set(device.used + 4 * at, if word % 2 == 0 { word % 8 } else { *word });
            }
            device.queue.set(device.used + 2, index);
            let mut place = [0; BUFFER_BYTES];
            for _ in 0..=u16::MAX {
                prop_assert!(device.source.take(&mut place) <= BUFFER_BYTES);
                device.source.show();
            }
            prop_assert!(!device.source.ask(), "it is all looked at");
        }
    }
}
