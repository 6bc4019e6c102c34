//! The registers of the 8254x and 82574 that the driver uses, by their names in Intel's manuals.

use core::time::Duration;

use hardware::register::Registers;

/// Device control.
pub const CTRL: usize = 0x0000;
/// Device status.
pub const STATUS: usize = 0x0008;
/// Interrupt causes; each is cleared by writing a one.
pub const ICR: usize = 0x00c0;
/// Interrupt causes that are let through, by writing ones.
pub const IMS: usize = 0x00d0;
/// Those that no longer are, by writing ones.
pub const IMC: usize = 0x00d8;
/// 82574: which message interrupt goes with which cause.
pub const IVAR: usize = 0x00e4;
/// Receive control.
pub const RCTL: usize = 0x0100;
/// Transmit control.
pub const TCTL: usize = 0x0400;
/// Gaps between sent frames.
pub const TIPG: usize = 0x0410;
/// The receive ring: see [`ring`].
pub const RECEIVE_RING: usize = 0x2800;
/// The transmit ring.
pub const TRANSMIT_RING: usize = 0x3800;
/// The card's own address, its first four bytes.
pub const RAL: usize = 0x5400;
/// Its last two bytes, and whether it is valid.
pub const RAH: usize = 0x5404;
/// Bytes of registers up to the last of these.
pub const BYTES: usize = 0x5408;

/// Offsets in the registers of a ring.
pub mod ring {
    /// Where it is, the lower half of its address.
    pub const BASE_LOW: usize = 0x00;
    /// The upper half.
    pub const BASE_HIGH: usize = 0x04;
    /// Its length in bytes.
    pub const LENGTH: usize = 0x08;
    /// The next descriptor that the card uses.
    pub const HEAD: usize = 0x10;
    /// The first descriptor that the card doesn't have.
    pub const TAIL: usize = 0x18;
}

/// Bits of [`CTRL`].
pub mod ctrl {
    /// Finds out the link's speed by itself.
    pub const AUTO_SPEED: u32 = 1 << 5;
    /// The link is to be up.
    pub const LINK_UP: u32 = 1 << 6;
    /// Resets the card; ends by itself.
    pub const RESET: u32 = 1 << 26;
}

/// Bits of [`STATUS`].
pub mod status {
    /// The link is up.
    pub const LINK_UP: u32 = 1 << 1;
}

/// Causes of interrupts.
pub mod cause {
    /// A frame was sent.
    pub const SENT: u32 = 1;
    /// Few descriptors are left to receive with.
    pub const FEW_LEFT: u32 = 1 << 4;
    /// None was left, and a frame was lost.
    pub const OVERRUN: u32 = 1 << 6;
    /// A frame was received.
    pub const RECEIVED: u32 = 1 << 7;
    /// 82574 with message interrupts: something was received.
    pub const RECEIVE_QUEUE: u32 = 1 << 20;
    /// 82574 with message interrupts: something was sent.
    pub const TRANSMIT_QUEUE: u32 = 1 << 22;
    /// 82574 with message interrupts: anything else.
    pub const OTHER: u32 = 1 << 24;
    /// All of them.
    pub const ALL: u32 = u32::MAX;
}

/// [`IVAR`]: receive queue 0, transmit queue 0 and everything else by message 0, which in each field is bits 0 to 2, with
/// bit 3 to say that it is valid.
pub const ALL_BY_MESSAGE_0: u32 = 0x0008_0808;

/// Bits of [`RCTL`].
pub mod rctl {
    /// Receives.
    pub const ENABLE: u32 = 1 << 1;
    /// Frames for all groups.
    pub const ALL_GROUPS: u32 = 1 << 4;
    /// Frames longer than 1,522 bytes.
    pub const LONG_FRAMES: u32 = 1 << 5;
    /// Frames for everyone.
    pub const BROADCAST: u32 = 1 << 15;
    /// Buffers of 2,048 bytes.
    pub const BUFFERS_OF_2048: u32 = 0;
    /// Buffers of 16,384 bytes.
    pub const BUFFERS_OF_16384: u32 = 1 << 16 | 1 << 25;
    /// Frames without their checksum.
    pub const STRIP_CHECKSUM: u32 = 1 << 26;
}

/// Bits and fields of [`TCTL`].
pub mod tctl {
    /// Sends.
    pub const ENABLE: u32 = 1 << 1;
    /// Fills short frames up.
    pub const PAD: u32 = 1 << 3;
    /// How often a frame that met another is sent again, and how far apart stations may be: what the manuals advise.
    pub const COLLISIONS: u32 = 0x0f << 4 | 0x40 << 12;
}

/// [`TIPG`] as the manuals advise for copper.
pub const GAPS: u32 = 8 | 8 << 10 | 6 << 20;

/// In [`RAH`]: the address is valid.
pub const ADDRESS_IS_VALID: u32 = 1 << 31;

/// A card's registers, or what imitates them.
pub trait RegisterFile {
    /// Reads one.
    fn read(&self, register: usize) -> u32;
    /// Writes one.
    fn write(&self, register: usize, value: u32);
    /// Lets a millisecond pass.
    fn rest(&self);
}

impl RegisterFile for Registers {
    fn read(&self, register: usize) -> u32 {
        Registers::read(self, register)
    }

    fn write(&self, register: usize, value: u32) {
        Registers::write(self, register, value);
    }

    fn rest(&self) {
        // A sleep that fails only makes the wait shorter, which the caller notices.
        let _ = v::time::sleep(Duration::from_millis(1));
    }
}
