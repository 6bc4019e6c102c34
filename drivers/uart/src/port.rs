//! One serial port: what has come and was not read, what was written and not sent, and who waits for which.
//!
//! Invariants: nobody waits to read while there are bytes, unless more are coming in without a pause, nor to write
//! while there is room. The chip interrupts for received bytes while there is room for them, and for room to send
//! while there are bytes to send; so a cause that nothing can be done about is switched off, and every handling of an
//! interrupt comes to an end.
//!
//! Bytes that come without a pause are given out many at a time. To hear of the pause, one byte is left in the chip's
//! queue whenever the queue says that it is full enough: for a byte that stays there the chip interrupts again.

use abi::{Message, Pid};
use hardware::interrupt::InterruptLine;
use io_server::{Line, Outcome, Queues, System};

use crate::registers::{self, Registers, cause, enable, line, modem, queue, status};

/// Bytes received and not read.
pub const RECEIVE_BYTES: usize = 16 * 1024;
/// Bytes written and not sent.
pub const SEND_BYTES: usize = 16 * 1024;
/// While bytes come without a pause, so many are given out at once.
const BUSY_BYTES: usize = 1024;
/// How often the chip's queue is filled at once without waiting for an interrupt.
const FILLS: usize = 64;
/// An interrupt of a chip that works has far fewer causes one after the other.
const MAX_CAUSES: usize = 4096;

/// A port with its chip.
#[derive(Debug)]
pub struct SerialPort<R> {
    registers: R,
    has_queues: bool,
    /// What [`registers::INTERRUPT_ENABLE`] holds.
    enabled: u8,
    /// Who sends the chip's interrupts.
    interrupt: Pid,
    queues: Queues,
    line_errors: u64,
    /// The line has not paused since the last bytes came.
    is_busy: bool,
}

impl<R: Registers> SerialPort<R> {
    /// Sets the chip up, whose interrupts `interrupt` sends: 115,200 bits a second, eight bits, no parity. None if there is no such
    /// chip.
    pub fn start(mut registers: R, interrupt: Pid) -> Option<SerialPort<R>> {
        for probe in [0x5a, 0xa5] {
            registers.write(registers::SCRATCH, probe);
            if registers.read(registers::SCRATCH) != probe {
                return None;
            }
        }
        registers.write(registers::INTERRUPT_ENABLE, 0);
        registers.write(registers::LINE_CONTROL, line::DIVISOR);
        registers.write(registers::DATA, 1);
        registers.write(registers::INTERRUPT_ENABLE, 0);
        registers.write(registers::LINE_CONTROL, line::EIGHT_BITS);
        let mut port = SerialPort {
            registers,
            has_queues: false,
            enabled: 0,
            interrupt,
            queues: Queues::new(RECEIVE_BYTES, SEND_BYTES),
            line_errors: 0,
            is_busy: false,
        };
        // What was typed before the driver came, or while it was started again: to use the queues at first empties them.
        while port.take_few() == queue::BYTES {}
        port.registers.write(registers::QUEUE_CONTROL, queue::ENABLE);
        let what = port.registers.read(registers::INTERRUPT_CAUSE);
        port.has_queues = what & cause::HAS_QUEUES == cause::HAS_QUEUES;
        port.set_may_receive(port.queues.received.room() > 0);
        Some(port)
    }

    /// Bytes that were lost or came garbled, and breaks.
    pub const fn line_errors(&self) -> u64 {
        self.line_errors
    }

    /// Does what the chip interrupts for, until it is content.
    pub fn attend(&mut self, system: &mut dyn System) {
        for _ in 0..MAX_CAUSES {
            let what = self.registers.read(registers::INTERRUPT_CAUSE);
            if what & cause::NONE != 0 {
                break;
            }
            match what & cause::MASK {
                cause::RECEIVED if self.has_queues => {
                    self.is_busy = true;
                    self.take(queue::RECEIVED_BYTES - 1);
                }
                cause::RECEIVED => self.take(1),
                cause::RECEIVED_FEW => {
                    self.is_busy = false;
                    self.take_few();
                }
                cause::SENT => self.send(),
                cause::LINE => {
                    self.note_line_status();
                }
                cause::MODEM => {
                    self.registers.read(registers::MODEM_STATUS);
                }
                _ => break,
            }
            self.serve_readers(system);
        }
        self.move_on(system);
    }

    fn serve_readers(&mut self, system: &mut dyn System) {
        if !self.is_busy || self.queues.received.len() >= BUSY_BYTES {
            self.queues.readers.read_from(&mut self.queues.received, system);
        }
    }

    /// Takes `count` bytes that the chip says are there.
    fn take(&mut self, count: usize) {
        let mut bytes = [0; queue::BYTES];
        let count = count.min(self.queues.received.room()).min(bytes.len());
        self.registers.read_data(&mut bytes[..count]);
        self.keep(&bytes[..count]);
    }

    /// Takes bytes as long as the chip says that there is another one, as many as fit its queue at most; how many there were.
    fn take_few(&mut self) -> usize {
        let mut bytes = [0; queue::BYTES];
        let most = bytes.len().min(self.queues.received.room());
        let mut count = 0;
        while count < most && self.note_line_status() & status::RECEIVED != 0 {
            bytes[count] = self.registers.read(registers::DATA);
            count += 1;
        }
        self.keep(&bytes[..count]);
        count
    }

    fn keep(&mut self, bytes: &[u8]) {
        // There is room; only memory for the first byte can be lacking, and then these are lost.
        if self.queues.received.push(bytes).is_err() {
            self.line_errors += bytes.len() as u64;
        }
        if self.queues.received.room() == 0 {
            self.set_may_receive(false);
        }
    }

    /// Reads the line's status, which forgets its errors, and counts them.
    fn note_line_status(&mut self) -> u8 {
        let line_status = self.registers.read(registers::LINE_STATUS);
        if line_status & status::ERRORS != 0 {
            self.line_errors += 1;
        }
        line_status
    }

    /// Lets the other side send, or holds it.
    fn set_may_receive(&mut self, may: bool) {
        let lines = modem::READY | modem::INTERRUPTS;
        let (lines, causes) =
            if may { (lines | modem::MAY_SEND, enable::RECEIVED | enable::LINE) } else { (lines, 0) };
        self.registers.write(registers::MODEM_CONTROL, lines);
        self.enable(self.enabled & enable::SENT | causes);
    }

    fn enable(&mut self, causes: u8) {
        if causes != self.enabled {
            self.enabled = causes;
            self.registers.write(registers::INTERRUPT_ENABLE, causes);
        }
    }
}

impl<R: Registers> Line for SerialPort<R> {
    const BLOCK_BYTES: usize = RECEIVE_BYTES;

    fn queues(&mut self) -> &mut Queues {
        &mut self.queues
    }

    fn received_bytes(&self) -> usize {
        self.queues.received.len()
    }

    fn interrupt(&self) -> Pid {
        self.interrupt
    }

    fn interrupted(&mut self, message: &Message, system: &mut dyn System) -> Outcome<'static> {
        self.attend(system);
        InterruptLine::attended(message)
    }

    /// After bytes were read or sent there may be room for more.
    fn move_on(&mut self, system: &mut dyn System) {
        self.serve_readers(system);
        if self.enabled & enable::RECEIVED == 0 && self.queues.received.room() >= RECEIVE_BYTES / 2 {
            self.set_may_receive(true);
        }
        if !self.queues.writers.is_empty() && self.queues.written.room() > 0 {
            self.queues.writers.write_to(&mut self.queues.written, system);
            self.send();
        }
        if self.is_waited_on() && self.is_idle() {
            self.queues.answer_synchronizers(system);
        }
    }

    /// Fills the chip's queue as often as it is empty, within bounds; an interrupt tells when to go on.
    fn send(&mut self) {
        let most = if self.has_queues { queue::BYTES } else { 1 };
        for _ in 0..FILLS {
            if self.queues.written.is_empty() || self.note_line_status() & status::SENT == 0 {
                break;
            }
            let mut bytes = [0; queue::BYTES];
            let (first, second) = self.queues.written.oldest(most);
            let count = first.len() + second.len();
            bytes[..first.len()].copy_from_slice(first);
            bytes[first.len()..count].copy_from_slice(second);
            self.registers.write_data(&bytes[..count]);
            self.queues.written.drop_oldest(count);
        }
        let wanted = if self.queues.written.is_empty() { 0 } else { enable::SENT };
        self.enable(self.enabled & !enable::SENT | wanted);
    }

    fn is_idle(&mut self) -> bool {
        self.queues.written.is_empty() && self.note_line_status() & status::IDLE != 0
    }

    /// Of the last byte's leaving no interrupt tells.
    fn is_waited_on(&self) -> bool {
        !self.queues.synchronizers.is_empty()
    }
}
