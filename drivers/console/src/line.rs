//! A line of bytes: what has come and was not read, what was written and has not left, and who waits for which.
//!
//! Invariants: nobody waits to read while there are bytes, nor to write while there is room. What there is no room for stays in the
//! device's buffers, so that the other side is held back, and nothing is lost.

use abi::protocol::Reply as _;
use abi::{Error, Pid};
use io_server::{Client, Incoming, Ring, System, Waiter, Waiters};
use protocols::io::io;

use crate::{Port, RECEIVE_BYTES, SEND_BYTES};

/// Bytes received and not read.
pub const RECEIVED_BYTES: usize = 4 * RECEIVE_BYTES;
/// Bytes written and not sent.
const WRITTEN_BYTES: usize = 16 * 1024;
/// How often the device is looked at without a pause: it may say without end that there is more.
const MOST_LOOKS: usize = 64;

/// A device with a line, as its driver has it.
pub trait Wire {
    /// Who sends its interrupts.
    fn interrupt(&self) -> Pid;

    /// Hears what the device says of itself.
    fn attend(&mut self);

    /// Gives the next bytes that have come, at most [`RECEIVE_BYTES`] of them. False if there are none.
    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> bool;

    /// Asks for an interrupt when more comes. True if more has come meanwhile, for which none may come.
    fn rearm(&mut self) -> bool;

    /// Whether the device takes bytes. If not, an interrupt comes when it may.
    fn has_room(&mut self) -> bool;

    /// Has the device, which takes bytes, send some: at most [`SEND_BYTES`].
    fn send(&mut self, data: &[u8]) -> Result<(), Error>;

    /// Whether all has left. If not, an interrupt comes when it may have.
    fn is_idle(&mut self) -> bool;
}

impl Wire for Port {
    fn interrupt(&self) -> Pid {
        Port::interrupt(self)
    }

    fn attend(&mut self) {
        // What cannot be told to a device that takes no message is not missed by it.
        let _ = Port::attend(self);
    }

    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        let Some(received) = Port::receive(self) else { return false };
        take(self.bytes(&received));
        self.give_back(received);
        true
    }

    fn rearm(&mut self) -> bool {
        Port::rearm(self)
    }

    fn has_room(&mut self) -> bool {
        self.room(0) > 0
    }

    fn send(&mut self, data: &[u8]) -> Result<(), Error> {
        Port::send(self, data)
    }

    fn is_idle(&mut self) -> bool {
        Port::is_idle(self)
    }
}

/// A line.
#[derive(Debug)]
pub struct Line<W> {
    wire: W,
    received: Ring,
    written: Ring,
    readers: Waiters,
    writers: Waiters,
    /// Those who wait until all has left.
    synchronizers: Waiters,
}

impl<W: Wire> Line<W> {
    /// The line of a started device.
    pub const fn new(wire: W) -> Line<W> {
        Line {
            wire,
            received: Ring::new(RECEIVED_BYTES),
            written: Ring::new(WRITTEN_BYTES),
            readers: Waiters::new(),
            writers: Waiters::new(),
            synchronizers: Waiters::new(),
        }
    }

    /// Who sends its interrupts.
    pub fn interrupt(&self) -> Pid {
        self.wire.interrupt()
    }

    /// Bytes that wait to be read.
    pub const fn received_bytes(&self) -> usize {
        self.received.len()
    }

    /// Does what the device interrupts for, and what has become possible.
    pub fn attend(&mut self, system: &mut dyn System) {
        for _ in 0..MOST_LOOKS {
            self.wire.attend();
            self.receive();
            self.readers.read_from(&mut self.received, system);
            self.send();
            self.writers.write_to(&mut self.written, system);
            self.send();
            if !self.synchronizers.is_empty() && self.is_idle() {
                self.synchronizers.answer_all(&io::Synchronized {}.to_message(), system);
            }
            // What there is no room for is left where it is until somebody reads.
            if self.received.room() < RECEIVE_BYTES || !self.wire.rearm() {
                return;
            }
        }
    }

    fn receive(&mut self) {
        let received = &mut self.received;
        // There is room; only memory for the first byte can be lacking, and then these are lost.
        while received.room() >= RECEIVE_BYTES && self.wire.receive(&mut |bytes| _ = received.push(bytes)) {}
    }

    fn send(&mut self) {
        while !self.written.is_empty() && self.wire.has_room() {
            let (first, second) = self.written.oldest(SEND_BYTES);
            let piece = if first.is_empty() { second } else { first };
            let count = piece.len();
            if self.wire.send(piece).is_err() {
                return;
            }
            self.written.drop_oldest(count);
        }
    }

    fn is_idle(&mut self) -> bool {
        self.written.is_empty() && self.wire.is_idle()
    }

    /// Answers a read, now or when something has come.
    pub fn read(&mut self, client: &Client, instance: u64, room: usize, system: &mut dyn System) {
        self.readers.push(Waiter { client: client.pid, instance, bytes: room });
        self.attend(system);
    }

    /// Takes what there is room for of a write; none: the client is answered when there is room.
    pub fn write(
        &mut self,
        client: &Client,
        instance: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<Option<usize>, Error> {
        if self.written.room() == 0 {
            self.writers.push(Waiter { client: client.pid, instance, bytes: data.bytes() });
            return Ok(None);
        }
        let taken = self.written.push_incoming(data, system)?;
        self.send();
        Ok(Some(taken))
    }

    /// Whether all that was written has left; if not, the client is answered when it has.
    pub fn synchronize(&mut self, client: &Client, instance: u64) -> bool {
        if self.is_idle() {
            return true;
        }
        self.synchronizers.push(Waiter { client: client.pid, instance, bytes: 0 });
        false
    }

    /// Refuses those who wait through an instance that is being closed.
    pub fn close(&mut self, instance: u64, system: &mut dyn System) {
        self.readers.close(instance, system);
        self.writers.close(instance, system);
        self.synchronizers.close(instance, system);
    }
}
