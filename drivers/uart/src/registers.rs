//! The registers of a 16550 (National Semiconductor PC16550D, section 8), by their offset from the first port.

/// Received byte when read, byte to send when written; low half of the divisor while [`line::DIVISOR`] is set.
pub const DATA: u16 = 0;
/// Which interrupts are enabled: bits of [`enable`]; high half of the divisor.
pub const INTERRUPT_ENABLE: u16 = 1;
/// Read: what the interrupt is for, see [`cause`]. Written: how the queues work.
pub const INTERRUPT_CAUSE: u16 = 2;
/// The same register when written: bits of [`queue`].
pub const QUEUE_CONTROL: u16 = 2;
/// The format on the line: bits of [`line`].
pub const LINE_CONTROL: u16 = 3;
/// The lines to the other side: bits of [`modem`].
pub const MODEM_CONTROL: u16 = 4;
/// What the port is doing: bits of [`status`].
pub const LINE_STATUS: u16 = 5;
/// The lines from the other side.
pub const MODEM_STATUS: u16 = 6;
/// Remembers a byte and does nothing.
pub const SCRATCH: u16 = 7;
/// How many registers there are.
pub const COUNT: u16 = 8;

/// Bits of [`INTERRUPT_ENABLE`].
pub mod enable {
    /// Bytes have come.
    pub const RECEIVED: u8 = 1;
    /// There is room to send.
    pub const SENT: u8 = 2;
    /// Something went wrong on the line.
    pub const LINE: u8 = 4;
}

/// [`INTERRUPT_CAUSE`](super::INTERRUPT_CAUSE).
pub mod cause {
    /// Set: there is no cause at all.
    pub const NONE: u8 = 1;
    /// The bits that tell the causes below apart.
    pub const MASK: u8 = 0x0e;
    /// The lines from the other side changed; reading their register ends it.
    pub const MODEM: u8 = 0;
    /// There is room to send; reading the cause ends it.
    pub const SENT: u8 = 2;
    /// The queue has as many bytes as [`queue`](super::queue) says.
    pub const RECEIVED: u8 = 4;
    /// Something went wrong on the line; reading its status ends it.
    pub const LINE: u8 = 6;
    /// The queue has fewer bytes, and none has come for a while.
    pub const RECEIVED_FEW: u8 = 0x0c;
    /// Both set: there are queues.
    pub const HAS_QUEUES: u8 = 0xc0;
}

/// [`QUEUE_CONTROL`].
pub mod queue {
    /// Uses the queues, and tells of received bytes when [`RECEIVED_BYTES`] are there. What is in them stays, if they were used.
    pub const ENABLE: u8 = 0xc1;
    /// As many received bytes are told of at once; fewer, when no more have come for a while.
    pub const RECEIVED_BYTES: usize = 14;
    /// What fits the queue of bytes to send.
    pub const BYTES: usize = 16;
}

/// Bits of [`LINE_CONTROL`](super::LINE_CONTROL).
pub mod line {
    /// Eight bits, no parity, one stop bit.
    pub const EIGHT_BITS: u8 = 3;
    /// The first two registers are the divisor.
    pub const DIVISOR: u8 = 0x80;
}

/// Bits of [`MODEM_CONTROL`](super::MODEM_CONTROL).
pub mod modem {
    /// This side is there.
    pub const READY: u8 = 1;
    /// The other side may send.
    pub const MAY_SEND: u8 = 2;
    /// On a PC: lets interrupts through.
    pub const INTERRUPTS: u8 = 8;
}

/// Bits of [`LINE_STATUS`](super::LINE_STATUS).
pub mod status {
    /// A received byte is there.
    pub const RECEIVED: u8 = 1;
    /// A byte was lost, or came garbled; a break counts as that.
    pub const ERRORS: u8 = 0x1e;
    /// The queue of bytes to send is empty.
    pub const SENT: u8 = 0x20;
    /// And the last of them has left.
    pub const IDLE: u8 = 0x40;
}

/// A chip's registers.
pub trait Registers {
    /// Reads one. What isn't there reads as all ones.
    fn read(&mut self, register: u16) -> u8;
    /// Reads bytes from [`DATA`], one after the other; at most [`queue::BYTES`].
    fn read_data(&mut self, bytes: &mut [u8]);
    /// Writes one.
    fn write(&mut self, register: u16, value: u8);
    /// Writes bytes to [`DATA`], one after the other; at most [`queue::BYTES`].
    fn write_data(&mut self, bytes: &[u8]);
}
