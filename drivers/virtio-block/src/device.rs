//! From a device that was found to a disk: what it offers, and what it says of itself.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use abi::{Error, Pid};
use block_device::serve::Found;
use block_device::{Disk, Facts, Finished, LARGEST_TRANSFER_BYTES, MOST_SLOTS, Operation, SECTOR_BYTES};
use hardware::device::Device;
use hardware::dma::DmaMemory;
use hardware::interrupt::InterruptLine;
use v::time::{self, Duration};
use virtio::transport::Bell;
use virtio::{Queue, Transport, feature};

use crate::requests::{RECORD_BYTES, Requests};

/// Features of virtio disks.
mod disk_feature {
    /// The longest part of a request is said.
    pub const LONGEST_PART: u64 = 1 << 1;
    /// It cannot be written.
    pub const READ_ONLY: u64 = 1 << 5;
    /// How long a block is is said.
    pub const BLOCK_BYTES: u64 = 1 << 6;
    /// It has a write cache, and flushes it.
    pub const FLUSH: u64 = 1 << 9;
    /// How long a block on the medium is is said.
    pub const TOPOLOGY: u64 = 1 << 10;
    /// Whether the cache is on is said.
    pub const CACHE_MODE: u64 = 1 << 11;
    /// It takes discards.
    pub const DISCARD: u64 = 1 << 13;
    /// All that are of use here.
    pub const ALL: u64 = LONGEST_PART | READ_ONLY | BLOCK_BYTES | FLUSH | TOPOLOGY | CACHE_MODE | DISCARD;
}

/// Offsets of a disk's own registers.
mod register {
    pub const SECTORS: usize = 0;
    pub const LONGEST_PART: usize = 8;
    pub const BLOCK_BYTES: usize = 20;
    pub const PHYSICAL_EXPONENT: usize = 24;
    pub const CACHE_IS_ON: usize = 32;
    pub const LARGEST_DISCARD: usize = 36;
}

const QUEUE: u16 = 0;
/// How long the device may take to say its serial number.
const SERIAL_PATIENCE_NS: u64 = 1_000_000_000;
const SERIAL_PAUSE: Duration = Duration::from_micros(100);

/// A started device.
#[derive(Debug)]
pub struct VirtioDisk {
    transport: Transport,
    bell: Bell,
    interrupt: InterruptLine,
    facts: Facts,
    requests: Requests,
}

/// Starts the device's one disk.
pub fn start(device: &Device) -> Result<Vec<Found>, Error> {
    Ok(vec![(0, Box::new(VirtioDisk::start(device)?))])
}

impl VirtioDisk {
    /// Resets the device and starts it.
    pub fn start(device: &Device) -> Result<VirtioDisk, Error> {
        let transport = Transport::open(device)?;
        let features = transport.agree(feature::EVENT_INDEX | feature::INDIRECT | disk_feature::ALL)?;
        if features & feature::INDIRECT == 0 {
            return Err(Error::NotSupported);
        }
        let size = transport.queue_size(QUEUE, MOST_SLOTS as u16)?;
        let facts = facts(&transport, features, size.into())?;
        let buffers = block_device::allocate_buffers(facts.slots, facts.largest_transfer_bytes)?;
        let facts = Facts { slots: buffers.count(), ..facts };
        let records = DmaMemory::allocate(RECORD_BYTES * facts.slots)?;
        let queue = Queue::allocate(size, features & feature::EVENT_INDEX != 0)?;
        let interrupt = device.claim_interrupt()?;
        let bell = transport.set_up(QUEUE, &queue)?;
        let requests = Requests::new(queue, buffers, records, facts.block_bytes);
        transport.start();
        let mut disk = VirtioDisk { transport, bell, interrupt, facts, requests };
        disk.facts.serial = disk.serial().unwrap_or_default();
        Ok(disk)
    }

    /// Asks for the serial number. Nothing else is at the device yet.
    fn serial(&mut self) -> Result<String, Error> {
        self.requests.ask_serial(0);
        self.show();
        let end_ns = time::now_ns() + SERIAL_PATIENCE_NS;
        loop {
            if let Some(finished) = self.requests.take() {
                finished.outcome?;
                return Ok(self.requests.serial(0));
            }
            if time::now_ns() > end_ns {
                return Err(Error::DeviceError);
            }
            time::sleep(SERIAL_PAUSE)?;
        }
    }
}

/// What the device says of itself.
fn facts(transport: &Transport, features: u64, slots: usize) -> Result<Facts, Error> {
    let has = |feature: u64| features & feature != 0;
    let word = |offset| transport.own_u32(offset).ok_or(Error::NotSupported);
    let sectors = u64::from(word(register::SECTORS)?) | u64::from(word(register::SECTORS + 4)?) << 32;
    let block_bytes =
        if has(disk_feature::BLOCK_BYTES) { word(register::BLOCK_BYTES)? } else { SECTOR_BYTES };
    let exponent = match transport.own_u8(register::PHYSICAL_EXPONENT) {
        Some(exponent) if has(disk_feature::TOPOLOGY) => u32::from(exponent),
        _ => 0,
    };
    let longest_part = if has(disk_feature::LONGEST_PART) { word(register::LONGEST_PART)? } else { u32::MAX };
    let cache_is_on =
        !has(disk_feature::CACHE_MODE) || transport.own_u8(register::CACHE_IS_ON).is_none_or(|on| on != 0);
    let sectors_of_block = (block_bytes / SECTOR_BYTES).max(1);
    let largest_discard = if has(disk_feature::DISCARD) { word(register::LARGEST_DISCARD)? } else { 0 };
    Facts {
        block_bytes,
        physical_block_bytes: block_bytes.checked_shl(exponent).unwrap_or(block_bytes),
        block_count: sectors / u64::from(sectors_of_block),
        largest_transfer_bytes: longest_part.min(LARGEST_TRANSFER_BYTES as u32),
        slots,
        has_write_cache: has(disk_feature::FLUSH) && cache_is_on,
        is_read_only: has(disk_feature::READ_ONLY),
        largest_discard_blocks: largest_discard / sectors_of_block,
        model: "virtio disk".to_string(),
        serial: String::new(),
    }
    .check()
}

impl Disk for VirtioDisk {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn interrupt(&self) -> Option<Pid> {
        Some(self.interrupt.sender())
    }

    fn buffer(&mut self, slot: usize) -> &mut [u8] {
        self.requests.buffer(slot)
    }

    fn start(&mut self, slot: usize, operation: &Operation) {
        self.requests.start(slot, operation);
    }

    fn show(&mut self) {
        if self.requests.show() {
            self.transport.ring(self.bell);
        }
    }

    fn take(&mut self) -> Option<Finished> {
        self.requests.take()
    }

    fn rearm(&mut self) -> bool {
        self.requests.rearm()
    }
}
