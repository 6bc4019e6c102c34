//! A disk in memory, for tests: sparse, its power can be cut, its bits flipped, its requests refused.

use abi::Error;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut, Range};

use crate::disk::{Disk, Memory};
use crate::layout::BLOCK_BYTES;

/// Bytes that are written at once, whatever happens: what a disk's own block is.
const SECTOR_BYTES: usize = 512;

type Block = Box<[u8]>;

/// A disk of zeros, until it is written.
#[derive(Clone, Debug)]
pub struct TestDisk {
    blocks: u64,
    /// What is safe.
    medium: BTreeMap<u64, Block>,
    /// What was written since the last flush, in order.
    written: Vec<(u64, Block)>,
    /// The newest of `written`, by block.
    newest: BTreeMap<u64, usize>,
    /// How many more requests are taken before all are refused; none for no limit.
    pub patience: Option<u64>,
    /// Blocks read and written, and flushes.
    pub counts: Counts,
}

/// What was asked of a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Reads, and blocks of them.
    pub reads: (u64, u64),
    /// Writes, and blocks of them.
    pub writes: (u64, u64),
    /// Flushes.
    pub flushes: u64,
}

impl TestDisk {
    /// A blank one.
    pub fn new(blocks: u64) -> TestDisk {
        TestDisk {
            blocks,
            medium: BTreeMap::new(),
            written: Vec::new(),
            newest: BTreeMap::new(),
            patience: None,
            counts: Counts::default(),
        }
    }

    /// The disk after its power was cut: of what was written since the last flush, `random` decides for each 512 bytes of
    /// each write whether they got there.
    pub fn cut_power(&mut self, mut random: impl FnMut() -> u64) {
        for (block, bytes) in core::mem::take(&mut self.written) {
            // Most writes get there as a whole or not at all.
            let mask = match random() % 4 {
                0 => u64::MAX,
                1 => 0,
                2 => (1 << (random() % 9)) - 1,
                _ => random(),
            };
            let medium = self.medium.entry(block).or_insert_with(|| Box::from(&[0_u8; BLOCK_BYTES][..]));
            for (at, (old, new)) in
                medium.chunks_exact_mut(SECTOR_BYTES).zip(bytes.chunks_exact(SECTOR_BYTES)).enumerate()
            {
                if mask >> at & 1 != 0 {
                    old.copy_from_slice(new);
                }
            }
        }
        self.newest.clear();
        self.patience = None;
    }

    /// Flips a bit of a block that was written.
    pub fn flip(&mut self, block: u64, bit: usize) {
        if let Some(bytes) = self.medium.get_mut(&block) {
            bytes[bit / 8 % BLOCK_BYTES] ^= 1 << (bit % 8);
        }
    }

    /// Makes the second half of a sector of a block another, as if the power had gone while it was written.
    pub fn tear(&mut self, block: u64, sector: usize) {
        if let Some(bytes) = self.medium.get_mut(&block) {
            let begin = sector * SECTOR_BYTES % BLOCK_BYTES;
            for byte in &mut bytes[begin + SECTOR_BYTES / 2..begin + SECTOR_BYTES] {
                *byte = !*byte;
            }
        }
    }

    /// Blocks that were ever written and flushed.
    pub fn written_blocks(&self) -> Vec<u64> {
        self.medium.keys().copied().collect()
    }

    /// Puts bytes on the medium.
    pub fn put(&mut self, block: u64, bytes: &[u8]) {
        self.medium.insert(block, Box::from(bytes));
    }

    fn ask(&mut self) -> Result<(), Error> {
        match &mut self.patience {
            Some(0) => Err(Error::DeviceError),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn check(&self, first: u64, bytes: usize) -> Result<(), Error> {
        let end = first.checked_add((bytes / BLOCK_BYTES) as u64);
        if bytes.is_multiple_of(BLOCK_BYTES) && end.is_some_and(|end| end <= self.blocks) {
            Ok(())
        } else {
            Err(Error::BadArgument)
        }
    }
}

impl Disk for TestDisk {
    fn blocks(&self) -> u64 {
        self.blocks
    }

    fn read(&mut self, first: u64, place: &mut [u8]) -> Result<(), Error> {
        self.check(first, place.len())?;
        self.ask()?;
        self.counts.reads.0 += 1;
        for (block, page) in (first..).zip(place.chunks_exact_mut(BLOCK_BYTES)) {
            self.counts.reads.1 += 1;
            let newest = self.newest.get(&block).map(|at| &self.written[*at].1);
            match newest.or_else(|| self.medium.get(&block)) {
                Some(bytes) => page.copy_from_slice(bytes),
                None => page.fill(0),
            }
        }
        Ok(())
    }

    fn write(&mut self, first: u64, bytes: &[u8]) -> Result<(), Error> {
        self.check(first, bytes.len())?;
        self.ask()?;
        self.counts.writes.0 += 1;
        for (block, page) in (first..).zip(bytes.chunks_exact(BLOCK_BYTES)) {
            self.counts.writes.1 += 1;
            self.newest.insert(block, self.written.len());
            self.written.push((block, Box::from(page)));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.ask()?;
        self.counts.flushes += 1;
        for (block, bytes) in core::mem::take(&mut self.written) {
            self.medium.insert(block, bytes);
        }
        self.newest.clear();
        Ok(())
    }
}

impl Memory for TestDisk {
    type Pages = AlignedPages;

    fn allocate(&mut self, bytes: usize) -> Result<AlignedPages, Error> {
        let memory = vec![0; bytes + BLOCK_BYTES];
        let offset = memory.as_ptr().align_offset(BLOCK_BYTES);
        Ok(AlignedPages { memory, range: offset..offset + bytes })
    }
}

/// Pages that begin where one of the machine's does.
#[derive(Debug)]
pub struct AlignedPages {
    memory: Vec<u8>,
    range: Range<usize>,
}

impl Deref for AlignedPages {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.memory[self.range.clone()]
    }
}

impl DerefMut for AlignedPages {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.range.clone()]
    }
}
