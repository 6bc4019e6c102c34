//! Which blocks are used, and which may be.
//!
//! There are two maps: of the blocks that are used now, and of those that the last commit refers to. A block may be given
//! out if it is in neither, so that what the last commit refers to stays as it is until there is another.

use abi::Error;
use alloc::vec;
use alloc::vec::Vec;

use crate::layout::{BLOCK_BYTES, MAP_BLOCKS, SUPERBLOCKS};

const WORD_BITS: u64 = 64;
/// Words of a page of the map.
const PAGE_WORDS: usize = BLOCK_BYTES / 8;

/// Both maps.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    used: Vec<u64>,
    committed: Vec<u64>,
    /// By page of the map: whether it may have changed since the last commit.
    changed: Vec<bool>,
    blocks: u64,
    used_count: u64,
    /// Blocks in neither map.
    available: u64,
    /// Where the next one is looked for.
    cursor: u64,
}

impl Map {
    /// Of a volume in which only the superblocks are used.
    pub(crate) fn new(blocks: u64) -> Result<Map, Error> {
        let pages = blocks.div_ceil(MAP_BLOCKS) as usize;
        let words = pages * PAGE_WORDS;
        let mut used: Vec<u64> = Vec::new();
        used.try_reserve_exact(words).map_err(|_| Error::NoMemory)?;
        used.resize(words, 0);
        let mut committed: Vec<u64> = Vec::new();
        committed.try_reserve_exact(words).map_err(|_| Error::NoMemory)?;
        let mut map = Map {
            used,
            committed,
            changed: vec![true; pages],
            blocks,
            used_count: 0,
            available: 0,
            cursor: SUPERBLOCKS,
        };
        for block in (0..SUPERBLOCKS).chain(blocks..pages as u64 * MAP_BLOCKS) {
            let (word, bit) = place(block);
            map.used[word] |= bit;
        }
        map.committed.extend_from_slice(&map.used);
        map.count();
        Ok(map)
    }

    /// Takes page `page` as it lies on the disk. [`Damaged`](Error::Damaged) if it is not of such a volume.
    pub(crate) fn load(&mut self, page: u64, bytes: &[u8]) -> Result<(), Error> {
        let first = page as usize * PAGE_WORDS;
        for (at, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*eight);
            // What is no block to be used is used from the beginning.
            if word & self.used[first + at] != self.used[first + at] {
                return Err(Error::Damaged);
            }
            self.used[first + at] = word;
        }
        Ok(())
    }

    /// What was loaded is what the last commit refers to.
    pub(crate) fn finish_loading(&mut self) {
        self.note_commit();
        self.count();
    }

    /// Marks a block as used that is found to be.
    pub(crate) fn note_used(&mut self, block: u64) {
        let (word, bit) = place(block);
        self.used[word] |= bit;
    }

    fn count(&mut self) {
        let padding = self.used.len() as u64 * WORD_BITS - self.blocks;
        self.used_count = self.used.iter().map(|word| u64::from(word.count_ones())).sum::<u64>() - padding;
        let both = self.used.iter().zip(&self.committed).map(|(used, committed)| used | committed);
        self.available = both.map(|word| u64::from(word.count_zeros())).sum();
    }

    /// Page `page` as it is to lie on the disk.
    pub(crate) fn store(&self, page: u64, bytes: &mut [u8]) {
        let words = &self.used[page as usize * PAGE_WORDS..][..PAGE_WORDS];
        for (eight, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *eight = word.to_le_bytes();
        }
    }

    /// Pages that may have changed since the last commit.
    pub(crate) fn changed_pages(&self) -> impl Iterator<Item = u64> {
        self.changed.iter().enumerate().filter(|(_, changed)| **changed).map(|(page, _)| page as u64)
    }

    /// The state is committed.
    pub(crate) fn note_commit(&mut self) {
        self.committed.clear();
        self.committed.extend_from_slice(&self.used);
        self.changed.fill(false);
        self.available = self.blocks - self.used_count;
    }

    /// It is not known whether the state is committed: the blocks of the last commit stay what they are, and so do those of
    /// this one.
    pub(crate) fn note_doubt(&mut self) {
        for (committed, used) in self.committed.iter_mut().zip(&self.used) {
            *committed |= used;
        }
        self.count();
    }

    /// Blocks of the volume that nothing needs.
    pub(crate) const fn free(&self) -> u64 {
        self.blocks - self.used_count
    }

    /// Blocks that may be given out before the next commit.
    pub(crate) const fn available(&self) -> u64 {
        self.available
    }

    /// Whether a block is used, and the last commit does not know: it may be overwritten.
    pub(crate) fn is_fresh(&self, block: u64) -> bool {
        let (word, bit) = place(block);
        block < self.blocks && self.used[word] & bit != 0 && self.committed[word] & bit == 0
    }

    /// Whether a block can be what a pointer points to.
    pub(crate) fn is_used(&self, block: u64) -> bool {
        let (word, bit) = place(block);
        (SUPERBLOCKS..self.blocks).contains(&block) && self.used[word] & bit != 0
    }

    /// Gives a block out: the next one that may be, so that what is wanted in a row lies in a row.
    pub(crate) fn take(&mut self) -> Result<u64, Error> {
        let words = self.used.len();
        let mut word = (self.cursor / WORD_BITS) as usize % words;
        let mut mask = u64::MAX << (self.cursor % WORD_BITS);
        for _ in 0..=words {
            let candidates = !(self.used[word] | self.committed[word]) & mask;
            if candidates != 0 {
                let block = word as u64 * WORD_BITS + u64::from(candidates.trailing_zeros());
                self.used[word] |= 1 << (block % WORD_BITS);
                self.changed[(block / MAP_BLOCKS) as usize] = true;
                self.used_count += 1;
                self.available -= 1;
                self.cursor = block + 1;
                return Ok(block);
            }
            mask = u64::MAX;
            word = (word + 1) % words;
        }
        Err(Error::NoSpace)
    }

    /// Takes a block back.
    pub(crate) fn give_back(&mut self, block: u64) {
        if !self.is_used(block) {
            return;
        }
        if self.is_fresh(block) {
            self.available += 1;
        }
        let (word, bit) = place(block);
        self.used[word] &= !bit;
        self.changed[(block / MAP_BLOCKS) as usize] = true;
        self.used_count -= 1;
    }
}

const fn place(block: u64) -> (usize, u64) {
    ((block / WORD_BITS) as usize, 1 << (block % WORD_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_last_commit_has_is_not_given_out() {
        let mut map = Map::new(256).unwrap();
        assert_eq!((map.free(), map.available()), (252, 252));
        let first = map.take().unwrap();
        assert_eq!((first, map.take()), (4, Ok(5)));
        assert!(map.is_fresh(first));
        map.give_back(5);
        assert_eq!((map.free(), map.available()), (251, 251));
        map.note_commit();
        assert!(!map.is_fresh(first));
        map.give_back(first);
        assert_eq!((map.free(), map.available()), (252, 251));
        for expected in (6..256).chain([5]) {
            assert_eq!(map.take(), Ok(expected));
        }
        assert_eq!(map.take(), Err(Error::NoSpace));
        map.note_commit();
        assert_eq!((map.take(), map.take()), (Ok(first), Err(Error::NoSpace)));
    }

    #[test]
    fn maps_come_back() {
        let mut map = Map::new(MAP_BLOCKS + 300).unwrap();
        for _ in 0..MAP_BLOCKS {
            map.take().unwrap();
        }
        let mut other = Map::new(MAP_BLOCKS + 300).unwrap();
        let mut page = vec![0; BLOCK_BYTES];
        for number in 0..2 {
            map.store(number, &mut page);
            other.load(number, &page).unwrap();
        }
        other.finish_loading();
        assert_eq!((other.free(), other.available()), (296, 296));
        assert_eq!(other.used, map.used);
        page.fill(0);
        assert_eq!(other.load(0, &page), Err(Error::Damaged));
    }
}
