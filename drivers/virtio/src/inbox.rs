//! What a device tells by itself: a queue of small buffers, all of which it has unless one is being looked at.

use hardware::buffers::Buffers;

use crate::queue::Queue;

/// The queue and its buffers.
#[derive(Debug)]
pub struct Inbox {
    queue: Queue,
    buffers: Buffers,
}

impl Inbox {
    /// Hands all buffers over; the device sees them after the next [`show`](Inbox::show) or [`ask`](Inbox::ask).
    ///
    /// # Panics
    /// If there are more buffers than places in the queue.
    pub fn new(mut queue: Queue, buffers: Buffers) -> Inbox {
        queue.quieten();
        for buffer in 0..buffers.count() {
            queue.describe(buffer as u16, buffers.physical(buffer), buffers.bytes() as u32, true);
        }
        let mut inbox = Inbox { queue, buffers };
        (0..inbox.buffers.count()).for_each(|buffer| inbox.hand_over(buffer));
        inbox
    }

    fn hand_over(&mut self, buffer: usize) {
        self.buffers.lend(buffer);
        self.queue.name(buffer as u16);
    }

    /// Lets the device see which buffers it has again. True if it is to be told.
    pub fn show(&mut self) -> bool {
        self.queue.show()
    }

    /// Has the next buffer looked at that the device gives back, and how many bytes of it are new; then the device has it again.
    /// None if it gives none; `Some(None)` if it gives one that it did not have.
    pub fn take<T>(&mut self, look: impl FnOnce(&mut [u8], usize) -> T) -> Option<Option<T>> {
        let used = self.queue.take()?;
        let buffer = used.buffer as usize;
        if !self.buffers.take_back(buffer) {
            return Some(None);
        }
        let count = (used.bytes as usize).min(self.buffers.bytes());
        let seen = look(self.buffers.get_mut(buffer), count);
        self.hand_over(buffer);
        Some(Some(seen))
    }

    /// Asks for an interrupt when the device gives more. True if it has given some already, for which none may come.
    pub fn ask(&mut self) -> bool {
        self.queue.ask()
    }
}
