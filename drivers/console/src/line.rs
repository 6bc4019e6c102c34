//! A device as a [line](io_server::lines) of bytes. What there is no room for stays in the device's buffers, so that the other
//! side is held back, and nothing is lost.

use abi::{Error, Message, Pid};
use hardware::interrupt::InterruptLine;
use io_server::{Line, Outcome, Queues, System};

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

/// The line of a device.
#[derive(Debug)]
pub struct WireLine<W> {
    wire: W,
    queues: Queues,
}

impl<W: Wire> WireLine<W> {
    /// The line of a started device.
    pub const fn new(wire: W) -> WireLine<W> {
        WireLine { wire, queues: Queues::new(RECEIVED_BYTES, WRITTEN_BYTES) }
    }

    fn receive(&mut self) {
        let received = &mut self.queues.received;
        // There is room; only memory for the first byte can be lacking, and then these are lost.
        while received.room() >= RECEIVE_BYTES && self.wire.receive(&mut |bytes| _ = received.push(bytes)) {}
    }
}

impl<W: Wire> Line for WireLine<W> {
    const BLOCK_BYTES: usize = RECEIVE_BYTES;

    fn queues(&mut self) -> &mut Queues {
        &mut self.queues
    }

    fn received_bytes(&self) -> usize {
        self.queues.received.len()
    }

    fn interrupt(&self) -> Pid {
        self.wire.interrupt()
    }

    fn interrupted(&mut self, message: &Message, system: &mut dyn System) -> Outcome<'static> {
        self.move_on(system);
        InterruptLine::attended(message)
    }

    /// An interrupt that the device forgot is made up for.
    fn move_on(&mut self, system: &mut dyn System) {
        for _ in 0..MOST_LOOKS {
            self.wire.attend();
            self.receive();
            self.queues.readers.read_from(&mut self.queues.received, system);
            self.send();
            self.queues.writers.write_to(&mut self.queues.written, system);
            self.send();
            if !self.queues.synchronizers.is_empty() && self.is_idle() {
                self.queues.answer_synchronizers(system);
            }
            // What there is no room for is left where it is until somebody reads.
            if self.queues.received.room() < RECEIVE_BYTES || !self.wire.rearm() {
                return;
            }
        }
    }

    fn send(&mut self) {
        while !self.queues.written.is_empty() && self.wire.has_room() {
            let (first, second) = self.queues.written.oldest(SEND_BYTES);
            let piece = if first.is_empty() { second } else { first };
            let count = piece.len();
            if self.wire.send(piece).is_err() {
                return;
            }
            self.queues.written.drop_oldest(count);
        }
    }

    fn is_idle(&mut self) -> bool {
        self.queues.written.is_empty() && self.wire.is_idle()
    }
}

#[cfg(test)]
mod tests;
