//! Requests in the queue.

use abi::Error;
use block_device::{Finished, Operation, SECTOR_BYTES};
use hardware::buffers::Buffers;
use hardware::dma::DmaMemory;
use virtio::Queue;
use virtio::indirect::{self, Part, table_bytes};

/// What a head asks for.
mod kind {
    pub const READ: u32 = 0;
    pub const WRITE: u32 = 1;
    pub const FLUSH: u32 = 4;
    pub const SERIAL: u32 = 8;
    pub const DISCARD: u32 = 11;
}

/// What the device says at the end.
const DONE: u8 = 0;
const NOT_SUPPORTED: u8 = 2;
/// What is there before that.
const NOTHING_SAID: u8 = 0xff;

/// A slot's record: the table of the request's parts, its head, what a discard is about, and the last byte.
const PARTS: usize = 3;
const HEAD: usize = table_bytes(PARTS);
const HEAD_BYTES: usize = 16;
const RANGE: usize = HEAD + HEAD_BYTES;
const RANGE_BYTES: usize = 16;
const STATUS: usize = RANGE + RANGE_BYTES;
/// Bytes of a record.
pub const RECORD_BYTES: usize = 128;
const _: () = assert!(STATUS < RECORD_BYTES);

/// In the head and in a discard's range: fields behind the first eight or four bytes.
const HEAD_SECTOR: usize = 8;
const RANGE_SECTORS: usize = 8;
const RANGE_FLAGS: usize = 12;

/// Bytes of a serial number; a shorter one ends with a zero.
const SERIAL_BYTES: u32 = 20;

/// The queue, with a place for each slot.
#[derive(Debug)]
pub struct Requests {
    queue: Queue,
    buffers: Buffers,
    records: DmaMemory,
    sectors_of_block: u32,
}

impl Requests {
    /// A queue with as many slots as there are buffers.
    ///
    /// # Panics
    /// If there are more buffers than places in the queue, or than records.
    pub fn new(mut queue: Queue, buffers: Buffers, records: DmaMemory, block_bytes: u32) -> Requests {
        assert!(buffers.count() * RECORD_BYTES <= records.bytes(), "{} records", buffers.count());
        for slot in 0..buffers.count() {
            let table = records.physical() + (RECORD_BYTES * slot) as u64;
            queue.describe_table(slot as u16, table, table_bytes(PARTS) as u32);
        }
        Requests { queue, buffers, records, sectors_of_block: block_bytes / SECTOR_BYTES }
    }

    /// A slot's buffer.
    ///
    /// # Panics
    /// If the device has it.
    pub fn buffer(&mut self, slot: usize) -> &mut [u8] {
        self.buffers.get_mut(slot)
    }

    /// Hands an operation over.
    ///
    /// # Panics
    /// If the device has the slot.
    pub fn start(&mut self, slot: usize, operation: &Operation) {
        let sector = |block: u64| block * u64::from(self.sectors_of_block);
        let bytes = |count: u32| count * self.sectors_of_block * SECTOR_BYTES;
        match *operation {
            Operation::Read { first, count } => {
                let data = self.data(slot, bytes(count), true);
                self.hand_over(slot, kind::READ, sector(first), Some(data));
            }
            Operation::Write { first, count } => {
                let data = self.data(slot, bytes(count), false);
                self.hand_over(slot, kind::WRITE, sector(first), Some(data));
            }
            Operation::Flush => self.hand_over(slot, kind::FLUSH, 0, None),
            Operation::Discard { first, count } => {
                let range = RECORD_BYTES * slot + RANGE;
                self.records.set(range, sector(first));
                self.records.set(range + RANGE_SECTORS, count * self.sectors_of_block);
                self.records.set(range + RANGE_FLAGS, 0_u32);
                let physical = self.records.physical() + range as u64;
                let data = Part { physical, bytes: RANGE_BYTES as u32, device_writes: false };
                self.hand_over(slot, kind::DISCARD, 0, Some(data));
            }
        }
    }

    /// Asks for the serial number.
    ///
    /// # Panics
    /// If the device has the slot.
    pub fn ask_serial(&mut self, slot: usize) {
        let data = self.data(slot, SERIAL_BYTES, true);
        self.hand_over(slot, kind::SERIAL, 0, Some(data));
    }

    /// The serial number, which has been asked for.
    ///
    /// # Panics
    /// If the device has the slot.
    pub fn serial(&self, slot: usize) -> alloc::string::String {
        block_device::text(&self.buffers.get(slot)[..SERIAL_BYTES as usize])
    }

    fn data(&self, slot: usize, bytes: u32, device_writes: bool) -> Part {
        Part { physical: self.buffers.physical(slot), bytes, device_writes }
    }

    fn hand_over(&mut self, slot: usize, kind: u32, sector: u64, data: Option<Part>) {
        self.buffers.lend(slot);
        let record = RECORD_BYTES * slot;
        let place = |offset: usize| self.records.physical() + (record + offset) as u64;
        self.records.set(record + HEAD, kind);
        self.records.set(record + HEAD + 4, 0_u32);
        self.records.set(record + HEAD + HEAD_SECTOR, sector);
        self.records.set(record + STATUS, NOTHING_SAID);
        let head = Part { physical: place(HEAD), bytes: HEAD_BYTES as u32, device_writes: false };
        let status = Part { physical: place(STATUS), bytes: 1, device_writes: true };
        let parts = match data {
            Some(data) => &[head, data, status][..],
            None => &[head, status],
        };
        indirect::write(&self.records, record, parts);
        self.queue.set_length(slot as u16, table_bytes(parts.len()) as u32);
        self.queue.name(slot as u16);
    }

    /// Lets the device see what was handed over. True if it is to be told.
    pub fn show(&mut self) -> bool {
        self.queue.show()
    }

    /// The next slot that the device gives back.
    pub fn take(&mut self) -> Option<Finished> {
        let slot = self.queue.take()?.buffer as usize;
        // One that gives back what it does not have may do so without end.
        if !self.buffers.take_back(slot) {
            return None;
        }
        let outcome = match self.records.get(RECORD_BYTES * slot + STATUS) {
            DONE => Ok(()),
            NOT_SUPPORTED => Err(Error::NotSupported),
            _ => Err(Error::DeviceError),
        };
        Some(Finished { slot, outcome })
    }

    /// See [`Disk::rearm`](block_device::Disk::rearm).
    pub fn rearm(&mut self) -> bool {
        self.queue.ask()
    }
}
