//! A disk in memory, for tests on the host. It ends requests when and in the order that a test says, or says nonsense.

use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use abi::{Error, Pid};

use crate::{Disk, Facts, Finished, Operation};

/// What a test and the disk share.
#[derive(Debug, Default)]
pub struct Medium {
    /// What is on it.
    pub bytes: Vec<u8>,
    /// What is at the device, in the order in which it came.
    pub at_work: Vec<(usize, Operation)>,
    /// What has ended and was not taken yet.
    pub ended: Vec<Finished>,
    /// Flushes that were done.
    pub flushes: usize,
    /// Whether everything fails.
    pub is_broken: bool,
}

/// A disk in memory.
#[derive(Debug)]
pub struct MemoryDisk {
    facts: Facts,
    medium: Rc<RefCell<Medium>>,
    buffers: Vec<Vec<u8>>,
    /// Whether the device has the slot.
    lent: Vec<bool>,
    /// Who sends its interrupts.
    pub interrupt: Option<Pid>,
}

impl MemoryDisk {
    /// A disk of so many blocks of 512 bytes, with so many slots for four blocks each; and what a test shares with it.
    pub fn new(block_count: u64, slots: usize) -> (MemoryDisk, Rc<RefCell<Medium>>) {
        let facts = Facts {
            block_bytes: 512,
            physical_block_bytes: 4096,
            block_count,
            largest_transfer_bytes: 2048,
            slots,
            has_write_cache: true,
            is_read_only: false,
            largest_discard_blocks: 8,
            model: "Memory".to_string(),
            serial: "1".to_string(),
        };
        let medium = Medium { bytes: vec![0; 512 * block_count as usize], ..Medium::default() };
        let medium = Rc::new(RefCell::new(medium));
        let buffers = vec![vec![0; facts.largest_transfer_bytes as usize]; slots];
        let disk =
            MemoryDisk { facts, medium: medium.clone(), buffers, lent: vec![false; slots], interrupt: None };
        (disk, medium)
    }

    /// The same with buffers of so many bytes.
    #[must_use]
    pub fn with_buffer(mut self, bytes: u32) -> MemoryDisk {
        self.facts.largest_transfer_bytes = bytes;
        self.buffers = vec![vec![0; bytes as usize]; self.facts.slots];
        self
    }

    /// The same with other facts.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Facts)) -> MemoryDisk {
        change(&mut self.facts);
        self
    }
}

impl Medium {
    /// Has the device end the request that came as the `position`th of those at work.
    pub fn end(&mut self, position: usize) {
        if position < self.at_work.len() {
            let (slot, _) = self.at_work[position];
            self.ended.push(Finished { slot, outcome: Ok(()) });
        }
    }

    /// Has it end all, in their order.
    pub fn end_all(&mut self) {
        (0..self.at_work.len()).for_each(|position| self.end(position));
    }
}

impl Disk for MemoryDisk {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn interrupt(&self) -> Option<Pid> {
        self.interrupt
    }

    fn buffer(&mut self, slot: usize) -> &mut [u8] {
        assert!(!self.lent[slot], "the device has slot {slot}");
        &mut self.buffers[slot]
    }

    fn start(&mut self, slot: usize, operation: &Operation) {
        assert!(!core::mem::replace(&mut self.lent[slot], true), "the device has slot {slot}");
        let mut medium = self.medium.borrow_mut();
        let blocks = match *operation {
            Operation::Read { first, count } | Operation::Write { first, count } => {
                assert!(count > 0 && count * 512 <= self.facts.largest_transfer_bytes, "{operation:?}");
                first + u64::from(count)
            }
            Operation::Discard { first, count } => {
                assert!(count > 0 && count <= self.facts.largest_discard_blocks, "{operation:?}");
                first + u64::from(count)
            }
            Operation::Flush => 0,
        };
        assert!(blocks <= self.facts.block_count, "{operation:?} is beyond the end");
        medium.at_work.push((slot, *operation));
    }

    fn show(&mut self) {}

    fn take(&mut self) -> Option<Finished> {
        let mut medium = self.medium.borrow_mut();
        loop {
            if medium.ended.is_empty() {
                return None;
            }
            let mut finished = medium.ended.remove(0);
            // As a driver has to: what the device does not have it cannot give back.
            if !self.lent.get_mut(finished.slot).is_some_and(core::mem::take) {
                continue;
            }
            let position = medium.at_work.iter().position(|(slot, _)| *slot == finished.slot);
            let (_, operation) = medium.at_work.remove(position.expect("what is lent is at work"));
            if medium.is_broken {
                finished.outcome = Err(Error::DeviceError);
                return Some(finished);
            }
            let buffer = &mut self.buffers[finished.slot];
            let place =
                |first: u64, count: u32| 512 * first as usize..512 * (first as usize + count as usize);
            match operation {
                Operation::Read { first, count } => {
                    buffer[..512 * count as usize].copy_from_slice(&medium.bytes[place(first, count)]);
                }
                Operation::Write { first, count } => {
                    medium.bytes[place(first, count)].copy_from_slice(&buffer[..512 * count as usize]);
                }
                Operation::Flush => medium.flushes += 1,
                Operation::Discard { first, count } => medium.bytes[place(first, count)].fill(0xdd),
            }
            return Some(finished);
        }
    }

    fn rearm(&mut self) -> bool {
        !self.medium.borrow().ended.is_empty()
    }
}
