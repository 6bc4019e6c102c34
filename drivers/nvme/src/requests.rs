//! A disk's requests at the device: a slot's number is its command's.

use abi::{Error, PAGE_BYTES};
use block_device::{Finished, Operation};
use hardware::buffers::Buffers;
use hardware::dma::DmaMemory;

use crate::command::{Command, Data};
use crate::queue::{ENTRIES, Queue};

/// A slot's record: the list of its buffer's pages behind the first, and the range of a discard.
const LIST_BYTES: usize = 8 * block_device::LARGEST_TRANSFER_BYTES / PAGE_BYTES as usize;
const RANGE: usize = LIST_BYTES;
const RANGE_COUNT: usize = 4;
const RANGE_FIRST: usize = 8;
const RANGE_BYTES: usize = 16;
/// Bytes of a record. None reaches over a page's end.
pub const RECORD_BYTES: usize = PAGE_BYTES as usize;
const _: () = assert!(RANGE + RANGE_BYTES <= RECORD_BYTES);
const _: () = assert!(block_device::MOST_SLOTS < ENTRIES as usize);

/// A namespace's requests.
#[derive(Debug)]
pub struct Requests {
    /// Its pair of queues.
    pub queue: Queue,
    namespace: u32,
    block_bytes: u32,
    buffers: Buffers,
    records: DmaMemory,
}

impl Requests {
    /// Requests to a namespace, as many at once as there are buffers.
    ///
    /// # Panics
    /// If there are not as many records, or as many entries in the queue.
    pub fn new(
        queue: Queue,
        namespace: u32,
        block_bytes: u32,
        buffers: Buffers,
        records: DmaMemory,
    ) -> Requests {
        let slots = buffers.count();
        assert!(slots * RECORD_BYTES <= records.bytes() && slots < usize::from(ENTRIES), "{slots} slots");
        for slot in 0..slots {
            // A buffer's pages stay where they are, so the list is written once.
            for page in 1..buffers.bytes() / PAGE_BYTES as usize {
                let physical = buffers.physical(slot) + page as u64 * PAGE_BYTES;
                records.set(RECORD_BYTES * slot + 8 * (page - 1), physical);
            }
        }
        Requests { queue, namespace, block_bytes, buffers, records }
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
        self.buffers.lend(slot);
        let command = match *operation {
            Operation::Read { first, count } => {
                Command::read(self.namespace, first, count, self.data(slot, count))
            }
            Operation::Write { first, count } => {
                Command::write(self.namespace, first, count, self.data(slot, count))
            }
            Operation::Flush => Command::flush(self.namespace),
            Operation::Discard { first, count } => {
                let range = RECORD_BYTES * slot + RANGE;
                self.records.set(range, 0_u32);
                self.records.set(range + RANGE_COUNT, count);
                self.records.set(range + RANGE_FIRST, first);
                Command::discard(self.namespace, self.records.physical() + range as u64)
            }
        };
        self.queue.put(&command.numbered(slot as u16));
    }

    fn data(&self, slot: usize, count: u32) -> Data {
        let first = self.buffers.physical(slot);
        let bytes = u64::from(count) * u64::from(self.block_bytes);
        let rest = match bytes.div_ceil(PAGE_BYTES) {
            0 | 1 => 0,
            2 => first + PAGE_BYTES,
            _ => self.records.physical() + (RECORD_BYTES * slot) as u64,
        };
        Data { first, rest }
    }

    /// The next slot that the device gives back.
    pub fn take(&mut self) -> Option<Finished> {
        // Those that name what the device does not have are passed over; the queue's length bounds how many there are.
        for _ in 0..ENTRIES {
            let completion = self.queue.take()?;
            let slot = usize::from(completion.number);
            if self.buffers.take_back(slot) {
                let outcome = if completion.status == 0 { Ok(()) } else { Err(Error::DeviceError) };
                return Some(Finished { slot, outcome });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::BYTES;
    use crate::queue::tests::{complete, scribble};
    use proptest::prelude::*;

    const SLOTS: usize = 4;

    fn requests() -> Requests {
        let buffers = Buffers::of(&DmaMemory::imitate(SLOTS * 16384), SLOTS, 16384);
        let records = DmaMemory::imitate(SLOTS * RECORD_BYTES);
        Requests::new(Queue::new(DmaMemory::imitate(BYTES)), 1, 512, buffers, records)
    }

    #[test]
    fn data_is_told_by_pages() {
        let requests = requests();
        let base = requests.buffers.physical(2);
        let list = requests.records.physical() + 2 * RECORD_BYTES as u64;
        for (blocks, rest) in [(1, 0), (8, 0), (9, base + 4096), (16, base + 4096), (17, list), (32, list)] {
            assert_eq!(requests.data(2, blocks), Data { first: base, rest }, "{blocks} blocks");
        }
        let pages = [0, 1, 2].map(|at| requests.records.get::<u64>(2 * RECORD_BYTES + 8 * at));
        assert_eq!(pages, [base + 4096, base + 8192, base + 12288]);
    }

    #[test]
    fn a_device_ends_what_it_has_once() {
        let mut requests = requests();
        requests.start(0, &Operation::Flush);
        requests.start(3, &Operation::Write { first: 1, count: 1 });
        for (count, (number, status)) in [(1, 0), (3, 0), (3, 0), (9999, 0), (0, 6)].into_iter().enumerate() {
            complete(&requests.queue, count as u32, number, status);
        }
        assert_eq!(requests.take(), Some(Finished { slot: 3, outcome: Ok(()) }));
        assert_eq!(requests.take(), Some(Finished { slot: 0, outcome: Err(Error::DeviceError) }));
        assert_eq!(requests.take(), None);
    }

    proptest! {
        #[test]
        fn a_hostile_device_cannot_end_what_it_has_not(
            words in prop::collection::vec(any::<u32>(), 128),
            lent in prop::collection::vec(any::<bool>(), SLOTS),
        ) {
            let mut requests = requests();
            for slot in (0..SLOTS).filter(|slot| lent[*slot]) {
                requests.start(slot, &Operation::Read { first: 0, count: 32 });
            }
            scribble(&requests.queue, &words);
            let mut ended = [false; SLOTS];
            while let Some(finished) = requests.take() {
                prop_assert!(lent[finished.slot] && !ended[finished.slot]);
                ended[finished.slot] = true;
                requests.buffer(finished.slot)[0] = 1;
            }
        }
    }
}
