//! The page that every program may read and none may write: time without a trap, and facts about the node.
//!
//! It lies at [`ADDRESS`] in every address space: little-endian 64-bit words in the order of [`Information`]'s
//! fields, then the boot command line. Monotonic time in nanoseconds is
//! `((counter - counter_base) * multiplier) >> 32`, with the processor's time-stamp counter; real time is that
//! plus `real_base_ns`. The monotonic time of a guest is another, which the time server tells.

/// Where the page is mapped.
pub const ADDRESS: u64 = 0x0000_7fff_0000_0000;

/// Byte offset of the boot command line: its length as a 16-bit number, then its UTF-8 bytes.
pub const COMMAND_LINE_OFFSET: usize = 1024;
/// Longest command line kept.
pub const COMMAND_LINE_BYTES: usize = 1022;

/// The page's fields in their order.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct Information {
    /// Layout version; this is [`VERSION`].
    pub version: u64,
    /// Time-stamp counter at boot.
    pub counter_base: u64,
    /// Nanoseconds per counter tick, times 2^32.
    pub multiplier: u64,
    /// Nanoseconds from 1970 to boot; changed by `SetTime`.
    pub real_base_ns: u64,
    /// The node's own logical host.
    pub logical_host: u64,
    /// Processors that run.
    pub processors: u64,
    /// Frames of usable memory.
    pub total_frames: u64,
    /// What the firmware shows.
    pub screen: FirmwareScreen,
}

/// The pixels that the firmware has a screen show, as the boot loader tells it and nobody has checked: rows of 32-bit words.
/// All 0 where there are none.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct FirmwareScreen {
    /// The physical address of the first pixel.
    pub address: u64,
    /// Bytes from one row to the next.
    pub pitch: u64,
    /// Pixels of a row.
    pub width: u64,
    /// Rows.
    pub height: u64,
    /// Where red, green and blue lie in a pixel, as bytes from the lowest one on: of each its lowest bit, and how many bits it has.
    pub colours: u64,
}

/// The layout described here.
pub const VERSION: u64 = 1;

const _: () = assert!(size_of::<Information>() <= COMMAND_LINE_OFFSET);
