//! One way between driver and device: a queue, its buffers, and how the device is told of it.

use hardware::buffers::Buffers;
use v::Error;

use crate::queue::Queue;
use crate::transport::{Bell, Transport};

/// A queue whose every descriptor has its buffer.
#[derive(Debug)]
pub struct Way {
    /// The queue.
    pub queue: Queue,
    /// As many buffers as the queue's size.
    pub buffers: Buffers,
    bell: Bell,
}

impl Way {
    /// Sets a queue up with at most `most` buffers of `bytes` bytes each.
    pub fn new(
        transport: &Transport,
        number: u16,
        most: u16,
        bytes: usize,
        has_events: bool,
        device_writes: bool,
    ) -> Result<Way, Error> {
        let size = transport.queue_size(number, most)?;
        let mut queue = Queue::allocate(size, has_events)?;
        let buffers = Buffers::allocate(size.into(), bytes)?;
        for buffer in 0..size {
            queue.describe(buffer, buffers.physical(buffer.into()), bytes as u32, device_writes);
        }
        let bell = transport.set_up(number, &queue)?;
        Ok(Way { queue, buffers, bell })
    }

    /// The device has a buffer from now on, and sees it after the next [`show`](Way::show).
    #[inline]
    pub fn hand_over(&mut self, buffer: u16) {
        self.buffers.lend(buffer.into());
        self.queue.name(buffer);
    }

    /// Shows the device what it was handed. True if it had to be told.
    #[inline]
    pub fn show(&mut self, transport: &Transport) -> bool {
        let is_wanted = self.queue.show();
        if is_wanted {
            transport.ring(self.bell);
        }
        is_wanted
    }
}
