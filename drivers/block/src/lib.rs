//! Drivers of disks, all but what is different in each: requests in flight, partitions, and the block protocol
//! ([`protocols::block`]).
//!
//! | module | what it has |
//! |---|---|
//! | `lib` | [`Disk`]: what a driver has to bring |
//! | `unit` | [`Unit`]: a disk with its partitions, and the requests that wait for it or are at it |
//! | `partitions` | the tables that say which partitions a disk has |
//! | `server` | [`DiskServer`]: the objects of several disks, who has them open |
//! | `numbers` | which disk is `[disk0]` |
//! | `serve` | a driver's main program, over the real kernel |
//! | `testing` | a disk in memory, for tests on the host |
//!
//! A driver never waits: a request is handed to the device, and answered when an interrupt tells of its end. A disk has
//! *slots*, each with a buffer of its own in DMA memory, and as many requests are at the device at once; the others wait in
//! order. Data is copied once, between the client's segment and the slot's buffer. A request that is longer than a buffer is
//! done in part, as the protocol allows, so none is ever split.
//!
//! What a device says is checked here and in the drivers: it cannot end a request that it was not given, nor one twice, nor
//! make the driver look beyond a buffer. What it can do is lie about data.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod numbers;
pub mod partitions;
pub mod serve;
pub mod server;
pub mod testing;
pub mod unit;

use alloc::string::String;

use abi::{Error, Pid};
use hardware::buffers::Buffers;

pub use server::DiskServer;
pub use unit::Unit;

/// Most bytes of one transfer, whatever the device could do.
pub const LARGEST_TRANSFER_BYTES: usize = 1024 * 1024;
/// Most requests at a disk at once, whatever the device could do.
pub const MOST_SLOTS: usize = 8;
/// So many there are also where memory is short; else buffers take up to a part of it.
const LEAST_SLOTS: usize = 2;
const BUFFERS_SHARE: u64 = 16;
/// Bytes of the sectors in which several kinds of device count, whatever their blocks are.
pub const SECTOR_BYTES: u32 = 512;
/// Lengths of blocks that can be: a power of two between these.
const SHORTEST_BLOCK: u32 = 512;
const LONGEST_BLOCK: u32 = 64 * 1024;

/// What a disk is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// Bytes of a block, a power of two.
    pub block_bytes: u32,
    /// Bytes of a block as the medium has it, a multiple.
    pub physical_block_bytes: u32,
    /// Blocks.
    pub block_count: u64,
    /// Bytes of each slot's buffer that one transfer can use: a multiple of `block_bytes`.
    pub largest_transfer_bytes: u32,
    /// How many slots there are.
    pub slots: usize,
    /// What was written is safe only after a flush.
    pub has_write_cache: bool,
    /// It cannot be written.
    pub is_read_only: bool,
    /// Most blocks that one discard covers; 0 if it has none.
    pub largest_discard_blocks: u32,
    /// What it calls itself.
    pub model: String,
    /// Its serial number.
    pub serial: String,
}

impl Facts {
    /// What a device said of itself, where that can be: [`NotSupported`](Error::NotSupported) for lengths that make no sense.
    pub fn check(mut self) -> Result<Facts, Error> {
        let can_be =
            |bytes: u32| bytes.is_power_of_two() && (SHORTEST_BLOCK..=LONGEST_BLOCK).contains(&bytes);
        let fits = self.block_count.checked_mul(self.block_bytes.into()).is_some();
        let transfer = self.largest_transfer_bytes.min(LARGEST_TRANSFER_BYTES as u32);
        if !can_be(self.block_bytes) || !fits || transfer < self.block_bytes || self.slots == 0 {
            return Err(Error::NotSupported);
        }
        self.largest_transfer_bytes = transfer - transfer % self.block_bytes;
        if !can_be(self.physical_block_bytes) || self.physical_block_bytes < self.block_bytes {
            self.physical_block_bytes = self.block_bytes;
        }
        Ok(self)
    }
}

/// A text as devices give it: filled up with blanks or zeros, and not always ASCII.
pub fn text(bytes: &[u8]) -> String {
    let shown = bytes.iter().map(|byte| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { ' ' });
    String::from(shown.collect::<String>().trim())
}

/// A buffer for each of so many slots, or for fewer if there is not so much DMA memory, or little memory altogether.
pub fn allocate_buffers(slots: usize, bytes: u32) -> Result<Buffers, Error> {
    let memory_bytes = v::entry::information().total_frames * v::abi::PAGE_BYTES;
    let share = (memory_bytes / BUFFERS_SHARE) as usize / bytes as usize;
    Buffers::allocate_apart(slots.min(share.max(LEAST_SLOTS)), bytes as usize)
}

/// What a device is to do. Blocks are counted from the disk's first, and have been checked to be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Reads blocks into the slot's buffer.
    Read {
        /// The first.
        first: u64,
        /// How many: no more than a transfer has.
        count: u32,
    },
    /// Writes them from there.
    Write {
        /// The first.
        first: u64,
        /// How many.
        count: u32,
    },
    /// Puts on the medium what has been written. Only where there is a write cache.
    Flush,
    /// Nobody needs these blocks. Only where there is such a thing.
    Discard {
        /// The first.
        first: u64,
        /// How many: no more than one discard covers.
        count: u32,
    },
}

/// What the device has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finished {
    /// The slot, which the driver has again.
    pub slot: usize,
    /// How.
    pub outcome: Result<(), Error>,
}

/// A disk, as its driver has it. The driver's half of every slot's turn: what is handed over is the device's until
/// [`take`](Disk::take) gives it back.
pub trait Disk {
    /// What it is.
    fn facts(&self) -> &Facts;

    /// Who sends its interrupts; none if it has none, and is looked at from time to time.
    fn interrupt(&self) -> Option<Pid>;

    /// The buffer of a slot that the device does not have.
    ///
    /// # Panics
    /// If the device has it.
    fn buffer(&mut self, slot: usize) -> &mut [u8];

    /// Hands an operation with its slot to the device, which learns of it at the next [`show`](Disk::show) at the latest.
    ///
    /// # Panics
    /// If the device has the slot.
    fn start(&mut self, slot: usize, operation: &Operation);

    /// Lets the device know of all that was started.
    fn show(&mut self);

    /// The next slot that the device gives back. What it says of slots that it does not have is left out.
    fn take(&mut self) -> Option<Finished>;

    /// Asks for an interrupt when the next slot is given back, all having been taken that were. True if one has come
    /// meanwhile, for which no interrupt may come.
    fn rearm(&mut self) -> bool;
}

/// The driver in the book compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/book/disks.md")]
struct Book;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_says_of_itself_must_make_sense() {
        let facts = Facts {
            block_bytes: 512,
            physical_block_bytes: 4096,
            block_count: 8,
            largest_transfer_bytes: u32::MAX,
            slots: 1,
            ..Facts::default()
        };
        let checked = facts.clone().check().unwrap();
        assert_eq!(
            (checked.largest_transfer_bytes, checked.physical_block_bytes),
            (LARGEST_TRANSFER_BYTES as u32, 4096)
        );
        let odd = Facts { physical_block_bytes: 3, largest_transfer_bytes: 1300, ..facts.clone() };
        let odd = odd.check().unwrap();
        assert_eq!((odd.largest_transfer_bytes, odd.physical_block_bytes), (1024, 512));
        for nonsense in [
            Facts { block_bytes: 0, ..facts.clone() },
            Facts { block_bytes: 520, ..facts.clone() },
            Facts { block_bytes: 1 << 31, ..facts.clone() },
            Facts { block_count: u64::MAX, ..facts.clone() },
            Facts { largest_transfer_bytes: 511, ..facts.clone() },
            Facts { slots: 0, ..facts },
        ] {
            assert_eq!(nonsense.check(), Err(Error::NotSupported));
        }
    }

    #[test]
    fn texts_are_made_readable() {
        assert_eq!(text(b"QEMU HARDDISK   \0\0"), "QEMU HARDDISK");
        assert_eq!(text(b"\xff\0a\nb"), "a b");
        assert_eq!(text(b""), "");
    }
}
