//! A port's requests: a slot's number is its command's. Each command has a head in the list, a table with what to do and
//! where its data is, and its slot's buffer.

use abi::Error;
use block_device::{Finished, MOST_SLOTS, Operation};
use hardware::buffers::Buffers;
use hardware::dma::DmaMemory;

use crate::identify;

/// The memory of a port: the list of heads, the place for what the disk says, and the tables.
const HEAD_BYTES: usize = 32;
const RECEIVED: usize = 1024;
const TABLES: usize = 2048;
const TABLE_BYTES: usize = 256;
/// Its length.
pub const BYTES: usize = TABLES + MOST_SLOTS * TABLE_BYTES;
/// In a table, where the list of data begins.
const DATA: usize = 128;

/// In a head: a command has so many words, it writes to the disk, and it has one piece of data.
const COMMAND_WORDS: u32 = 5;
const WRITES: u32 = 1 << 6;
const HAS_DATA: u32 = 1 << 16;

/// Commands.
mod command {
    pub const DATASET: u8 = 0x06;
    pub const READ: u8 = 0x25;
    pub const WRITE: u8 = 0x35;
    pub const FLUSH: u8 = 0xea;
    pub const IDENTIFY: u8 = 0xec;
}

/// A message to the disk, with a command; addresses are those of blocks; of the data sets, those that nobody needs.
const MESSAGE: u8 = 0x27;
const IS_COMMAND: u8 = 0x80;
const BY_BLOCKS: u8 = 0x40;
const TRIM: u8 = 1;

/// A list of ranges to discard is a block of entries of eight bytes: the first block in six, how many in two.
const LIST_BYTES: u32 = 512;
const MOST_OF_ENTRY: u32 = 0xffff;
/// Most blocks of one discard.
pub const LARGEST_DISCARD: u32 = MOST_OF_ENTRY * (LIST_BYTES / 8);

/// What the disk is told.
#[derive(Clone, Copy, Debug, Default)]
struct Task {
    command: u8,
    feature: u8,
    first: u64,
    count: u16,
    /// Bytes of the buffer that are data, and whether they go to the disk.
    bytes: u32,
    writes: bool,
}

/// A port's requests.
#[derive(Debug)]
pub struct Requests {
    memory: DmaMemory,
    buffers: Buffers,
    block_bytes: u32,
    /// One bit for each slot: what is to be issued, what has been, and what has ended so or so and is to be taken.
    ready: u32,
    issued: u32,
    done: u32,
    failed: u32,
}

impl Requests {
    /// Requests with as many slots as there are buffers.
    ///
    /// # Panics
    /// If there are more than a port can have, or the memory is too short.
    pub fn new(memory: DmaMemory, buffers: Buffers, block_bytes: u32) -> Requests {
        assert!(buffers.count() <= MOST_SLOTS && memory.bytes() >= BYTES, "{} slots", buffers.count());
        Requests { memory, buffers, block_bytes, ready: 0, issued: 0, done: 0, failed: 0 }
    }

    /// Where the list of commands is, and the place for what the disk says.
    pub fn places(&self) -> [u64; 2] {
        [self.memory.physical(), self.memory.physical() + RECEIVED as u64]
    }

    /// How many slots there are.
    pub fn slots(&self) -> usize {
        self.buffers.count()
    }

    /// The disk has blocks of so many bytes, as it said.
    pub const fn set_block_bytes(&mut self, block_bytes: u32) {
        self.block_bytes = block_bytes;
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
        let transfer = |command, first, count: u32, writes| Task {
            command,
            first,
            count: count as u16,
            bytes: count * self.block_bytes,
            writes,
            ..Task::default()
        };
        let task = match *operation {
            Operation::Read { first, count } => transfer(command::READ, first, count, false),
            Operation::Write { first, count } => transfer(command::WRITE, first, count, true),
            Operation::Flush => Task { command: command::FLUSH, ..Task::default() },
            Operation::Discard { first, count } => {
                self.list_range(slot, first, count);
                let (bytes, feature) = (LIST_BYTES, TRIM);
                Task { command: command::DATASET, feature, first: 0, count: 1, bytes, writes: true }
            }
        };
        self.hand_over(slot, &task);
    }

    /// Asks the disk what it is; the answer comes into the buffer.
    ///
    /// # Panics
    /// If the device has the slot.
    pub fn identify(&mut self, slot: usize) {
        let bytes = identify::BYTES as u32;
        self.hand_over(slot, &Task { command: command::IDENTIFY, bytes, ..Task::default() });
    }

    /// Writes what is to be discarded into the slot's buffer.
    fn list_range(&mut self, slot: usize, first: u64, count: u32) {
        let list = &mut self.buffers.get_mut(slot)[..LIST_BYTES as usize];
        list.fill(0);
        let (mut first, mut left) = (first, count);
        for entry in list.chunks_exact_mut(8) {
            let count = left.min(MOST_OF_ENTRY);
            entry.copy_from_slice(&(first & 0xffff_ffff_ffff | u64::from(count) << 48).to_le_bytes());
            (first, left) = (first + u64::from(count), left - count);
            if left == 0 {
                break;
            }
        }
    }

    fn hand_over(&mut self, slot: usize, task: &Task) {
        self.buffers.lend(slot);
        let (table, first) = (TABLES + TABLE_BYTES * slot, task.first.to_le_bytes());
        let count = task.count.to_le_bytes();
        self.memory.write(
            table,
            &[
                MESSAGE,
                IS_COMMAND,
                task.command,
                task.feature,
                first[0],
                first[1],
                first[2],
                BY_BLOCKS,
                first[3],
                first[4],
                first[5],
                0,
                count[0],
                count[1],
                0,
                0,
                0,
                0,
                0,
                0,
            ],
        );
        let mut head = COMMAND_WORDS | if task.writes { WRITES } else { 0 };
        if task.bytes > 0 {
            head |= HAS_DATA;
            self.memory.set(table + DATA, self.buffers.physical(slot));
            self.memory.set(table + DATA + 8, 0_u32);
            // Lengths are one less than what they mean.
            self.memory.set(table + DATA + 12, task.bytes - 1);
        }
        let at = HEAD_BYTES * slot;
        self.memory.set(at, head);
        self.memory.set(at + 4, 0_u32);
        self.memory.set(at + 8, self.memory.physical() + table as u64);
        self.ready |= 1 << slot;
    }

    /// The slots to issue now.
    pub fn issue(&mut self) -> u32 {
        self.issued |= self.ready;
        core::mem::take(&mut self.ready)
    }

    /// The port says what it has not done yet.
    pub const fn note(&mut self, left: u32) {
        self.done |= self.issued & !left;
        self.issued &= left;
    }

    /// The port has stopped with a slot that failed; what else it had is to be issued again.
    pub const fn note_failure(&mut self, slot: u32) {
        let mut bit = self.issued & 1 << (slot & 31);
        if bit == 0 {
            // It names one that it has not. One must be it, or it would go on so for ever.
            bit = self.issued & self.issued.wrapping_neg();
        }
        self.failed |= bit;
        self.ready |= self.issued & !bit;
        self.issued = 0;
    }

    /// Whether something has ended and was not taken yet.
    pub const fn has_ended(&self) -> bool {
        self.done | self.failed != 0
    }

    /// The next slot that the device gives back.
    pub fn take(&mut self) -> Option<Finished> {
        let ended = self.done | self.failed;
        let slot = (ended != 0).then(|| ended.trailing_zeros() as usize)?;
        let bit = 1 << slot;
        let outcome = if self.failed & bit == 0 { Ok(()) } else { Err(Error::DeviceError) };
        self.done &= !bit;
        self.failed &= !bit;
        // Only what was issued ends, so the device has had it.
        self.buffers.take_back(slot).then_some(Finished { slot, outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SLOTS: usize = 4;

    fn requests() -> Requests {
        let buffers = Buffers::of(&DmaMemory::imitate(SLOTS * 4096), SLOTS, 4096);
        Requests::new(DmaMemory::imitate(BYTES), buffers, 512)
    }

    #[test]
    fn commands_are_as_the_specification_says() {
        let mut requests = requests();
        requests.start(2, &Operation::Write { first: 0x0605_0403_0201, count: 8 });
        let head = [0, 4].map(|at| requests.memory.get::<u32>(2 * HEAD_BYTES + at));
        assert_eq!(head, [0x0001_0045, 0]);
        let table = TABLES + 2 * TABLE_BYTES;
        assert_eq!(requests.memory.get::<u64>(2 * HEAD_BYTES + 8), requests.memory.physical() + table as u64);
        let mut message = [0; 20];
        requests.memory.read(table, &mut message);
        assert_eq!(message[..16], [0x27, 0x80, 0x35, 0, 1, 2, 3, 0x40, 4, 5, 6, 0, 8, 0, 0, 0]);
        assert_eq!(requests.memory.get::<u64>(table + DATA), requests.buffers.physical(2));
        assert_eq!(requests.memory.get::<u32>(table + DATA + 12), 4095);
        requests.start(0, &Operation::Flush);
        assert_eq!(requests.memory.get::<u32>(0), 5);
        assert_eq!((requests.issue(), requests.issue()), (0b101, 0));
    }

    #[test]
    fn a_discard_is_a_list() {
        let mut requests = requests();
        requests.start(1, &Operation::Discard { first: 10, count: 0x1_0001 });
        requests.issue();
        requests.note(0);
        requests.take().unwrap();
        let list = requests.buffer(1);
        assert_eq!(list[..8], [10, 0, 0, 0, 0, 0, 0xff, 0xff]);
        assert_eq!(list[8..16], [0x09, 0, 1, 0, 0, 0, 2, 0]);
        assert!(list[16..512].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn one_that_fails_takes_no_other_along() {
        let mut requests = requests();
        for slot in 0..3 {
            requests.start(slot, &Operation::Read { first: 0, count: 1 });
        }
        requests.issue();
        requests.note(0b110);
        requests.note_failure(1);
        assert_eq!(requests.issue(), 0b100);
        requests.note(0);
        let ended: alloc::vec::Vec<_> = core::iter::from_fn(|| requests.take()).collect();
        let of = |slot, outcome| Finished { slot, outcome };
        assert_eq!(ended, [of(0, Ok(())), of(1, Err(Error::DeviceError)), of(2, Ok(()))]);
    }

    proptest! {
        #[test]
        fn a_hostile_port_cannot_end_what_it_has_not(said in prop::collection::vec((any::<u32>(), any::<bool>()), 20)) {
            let mut requests = requests();
            let mut lent = [false; SLOTS];
            for (word, fails) in said {
                let slot = (word >> 8) as usize % SLOTS;
                if !lent[slot] {
                    requests.start(slot, &Operation::Read { first: 0, count: 1 });
                    lent[slot] = true;
                }
                requests.issue();
                if fails { requests.note_failure(word) } else { requests.note(word) }
                while let Some(finished) = requests.take() {
                    prop_assert!(core::mem::take(&mut lent[finished.slot]));
                    requests.buffer(finished.slot)[0] = 1;
                }
            }
            // What a port that fails again and again has comes back in the end.
            for _ in 0..SLOTS {
                requests.issue();
                requests.note_failure(0);
            }
            let left = core::iter::from_fn(|| requests.take()).count();
            prop_assert_eq!(left, lent.iter().filter(|lent| **lent).count());
        }
    }
}
