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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SLOTS: u16 = 4;
    const BUFFER_BYTES: usize = 4096;

    /// Requests, and the memory of queue and records as the device has it.
    struct Device {
        requests: Requests,
        queue: DmaMemory,
        used: usize,
        records: DmaMemory,
        given: u16,
    }

    impl Device {
        fn new() -> Device {
            let memory = DmaMemory::imitate(Queue::bytes(SLOTS));
            let (seen, records) =
                (memory.seen_by_device(), DmaMemory::imitate(RECORD_BYTES * usize::from(SLOTS)));
            let queue = Queue::new(memory, SLOTS, true);
            let [descriptors, _, used] = queue.places();
            let buffers = Buffers::of(&DmaMemory::imitate(4 * BUFFER_BYTES), SLOTS.into(), BUFFER_BYTES);
            let seen_records = records.seen_by_device();
            let requests = Requests::new(queue, buffers, records, 512);
            Device {
                requests,
                queue: seen,
                used: (used - descriptors) as usize,
                records: seen_records,
                given: 0,
            }
        }

        fn record<T: hardware::register::Width>(&self, slot: usize, offset: usize) -> T {
            self.records.get(RECORD_BYTES * slot + offset)
        }

        fn give(&mut self, slot: u32) {
            let entry = self.used + 4 + 8 * usize::from(self.given % SLOTS);
            self.queue.set(entry, slot);
            self.given += 1;
            self.queue.set(self.used + 2, self.given);
        }
    }

    #[test]
    fn requests_are_as_the_standard_says() {
        let mut device = Device::new();
        device.requests.start(2, &Operation::Write { first: 5, count: 2 });
        assert!(device.requests.show());
        assert_eq!((device.record::<u32>(2, HEAD), device.record::<u64>(2, HEAD + HEAD_SECTOR)), (1, 5));
        let part = |device: &Device, number: usize| {
            let at = table_bytes(number);
            (device.record::<u32>(2, at + 8), device.record::<u16>(2, at + 12))
        };
        assert_eq!([0, 1, 2].map(|number| part(&device, number)), [(16, 1), (1024, 1), (1, 2)]);
        // Its descriptor leads to a table of three.
        let descriptor =
            (device.queue.get::<u64>(32), device.queue.get::<u32>(40), device.queue.get::<u16>(44));
        assert_eq!(descriptor, (device.records.physical() + 2 * RECORD_BYTES as u64, 48, 4));
        device.requests.start(0, &Operation::Flush);
        assert_eq!(device.queue.get::<u32>(8), 32, "a flush has no data");
        for (slot, status) in [(2, DONE), (0, 1)] {
            device.records.set(RECORD_BYTES * slot as usize + STATUS, status);
            device.give(slot);
        }
        assert_eq!(device.requests.take(), Some(Finished { slot: 2, outcome: Ok(()) }));
        assert_eq!(device.requests.take(), Some(Finished { slot: 0, outcome: Err(Error::DeviceError) }));
        assert_eq!(device.requests.take(), None);
    }

    #[test]
    fn what_the_device_has_said_nothing_of_has_failed() {
        let mut device = Device::new();
        device.requests.start(1, &Operation::Discard { first: 1 << 40, count: 3 });
        assert_eq!(device.record::<u64>(1, RANGE), 1 << 40);
        assert_eq!(device.record::<u32>(1, RANGE + RANGE_SECTORS), 3);
        device.give(1);
        device.give(1);
        let outcome = Err(Error::DeviceError);
        assert_eq!(device.requests.take(), Some(Finished { slot: 1, outcome }));
        assert_eq!(device.requests.take(), None, "it had it once");
    }

    proptest! {
        #[test]
        fn a_hostile_device_cannot_end_what_it_has_not(
            words in prop::collection::vec(0..8_u32, 9),
            index: u16,
            lent in prop::collection::vec(any::<bool>(), usize::from(SLOTS)),
        ) {
            let mut device = Device::new();
            for slot in (0..usize::from(SLOTS)).filter(|slot| lent[*slot]) {
                device.requests.start(slot, &Operation::Read { first: 0, count: 8 });
            }
            for (at, word) in words.iter().enumerate() {
                device.queue.set(device.used + 4 * at, *word);
            }
            device.queue.set(device.used + 2, index);
            let mut ended = [false; SLOTS as usize];
            // Nonsense is passed over one at a time.
            for _ in 0..=u16::MAX {
                if let Some(finished) = device.requests.take() {
                    prop_assert!(lent[finished.slot] && !ended[finished.slot]);
                    ended[finished.slot] = true;
                    device.requests.buffer(finished.slot)[0] = 1;
                }
            }
            prop_assert!(!device.requests.rearm(), "it is all looked at");
        }
    }
}
