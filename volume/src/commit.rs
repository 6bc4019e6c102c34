//! What was changed goes to the disk.
//!
//! First each dirty page is *placed*: it is given a free block, unless the one that it has is unknown to the last commit.
//! Placing changes the map, which is a tree of pages itself, so that is placed last, until nothing of it changes any more.
//! Then the pages are written from below to above, since above stands the checksum of what is below; and in the end the
//! superblock. Between that and all else the disk is flushed.

use abi::Error;
use alloc::vec;
use alloc::vec::Vec;

use crate::cache::{Key, Slot, row_length};
use crate::disk::{Disk, Memory};
use crate::layout::{BLOCK_BYTES, FANOUT, MAX_DEPTH, Pointer, Root, Superblock, checksum};
use crate::volume::{BUFFER_PAGES, MAP, ROW_PAGES, TABLE, Volume};

/// In which order trees are written: where a tree's root stands comes after it.
const fn turn(object: u32) -> u32 {
    match object {
        TABLE => 1,
        MAP => 2,
        _ => 0,
    }
}

impl<D: Disk + Memory> Volume<D> {
    /// Makes all that was done safe: when this returns it is on the disk. With an error nothing is lost, and it may be tried
    /// again.
    pub fn commit(&mut self, now_ns: u64) -> Result<(), Error> {
        if !self.needs_commit {
            return Ok(());
        }
        let keys: Vec<Key> = self.cache.dirty().filter(|key| key.object() != MAP).collect();
        for key in keys {
            self.place(key)?;
        }
        self.place_map()?;
        for turn_now in 0..=turn(MAP) {
            for level in 0..=MAX_DEPTH {
                let due = |key: &Key| turn(key.object()) == turn_now && key.level() == level;
                let keys: Vec<Key> = self.cache.dirty().filter(due).collect();
                self.write_pages(&keys)?;
            }
        }
        self.disk.flush()?;
        self.superblock.generation += 1;
        self.superblock.committed_ns = now_ns;
        if let Err(error) = self.write_superblock() {
            // It may be there or not. The next try writes it over, and until then what either refers to stays.
            self.superblock.generation -= 1;
            self.map.note_doubt();
            return Err(error);
        }
        self.map.note_commit();
        self.needs_commit = false;
        Ok(())
    }

    /// Writes pages of data, so that they may be given up. What refers to them stays in memory until the next commit.
    pub fn write_out(&mut self) -> Result<(), Error> {
        let is_data = |key: &Key| key.level() == 0 && turn(key.object()) == 0;
        let keys: Vec<Key> = self.cache.dirty().filter(is_data).collect();
        for key in &keys {
            self.place(*key)?;
        }
        self.write_pages(&keys)
    }

    /// Both copies. They are alike, so that one of them may be damaged.
    pub(crate) fn write_superblock(&mut self) -> Result<(), Error> {
        let mut blocks = vec![0; 2 * BLOCK_BYTES];
        for block in blocks.chunks_exact_mut(BLOCK_BYTES) {
            self.superblock.encode(block);
        }
        self.disk.write(Superblock::place(self.superblock.generation), &blocks)?;
        self.disk.flush()
    }

    /// Sees to it that a dirty page has a block that may be written.
    fn place(&mut self, key: Key) -> Result<(), Error> {
        let Some(slot) = self.cache.find(key) else { return Ok(()) };
        if !self.cache.is_unplaced(slot) {
            return Ok(());
        }
        let old = self.cache.block(slot);
        let block = self.map.take()?;
        self.cache.set_placed(slot, block);
        self.unplaced -= 1;
        if old != 0 {
            self.map.give_back(old);
        }
        Ok(())
    }

    /// Places the pages of the map that changed, until placing them changes no other.
    fn place_map(&mut self) -> Result<(), Error> {
        self.when_committing(|volume| {
            loop {
                let mut pages: Vec<u64> = volume.map.changed_pages().collect();
                pages.retain(|page| {
                    let slot = volume.cache.find(Key::new(MAP, 0, *page));
                    !slot.is_some_and(|slot| volume.cache.is_dirty(slot))
                });
                for page in &pages {
                    // All of it is written below.
                    volume.touch(MAP, 0, *page, true)?;
                }
                let keys: Vec<Key> = volume.cache.dirty().filter(|key| key.object() == MAP).collect();
                for key in keys {
                    volume.place(key)?;
                }
                if pages.is_empty() {
                    break;
                }
            }
            let keys: Vec<Key> = volume.cache.dirty_of(MAP, 0, 0).collect();
            for key in keys {
                if let Some(slot) = volume.cache.find(key) {
                    volume.map.store(key.index(), volume.cache.page_mut(slot));
                }
            }
            Ok(())
        })
    }

    /// Writes dirty pages that were placed, in one piece those that lie in a row, and enters them above.
    fn write_pages(&mut self, keys: &[Key]) -> Result<(), Error> {
        let mut rest = keys;
        let mut sums = [0; ROW_PAGES as usize];
        let mut slots = [0; ROW_PAGES as usize];
        while let [first, ..] = rest {
            let Some(slot) = self.cache.find(*first) else { return Err(Error::Damaged) };
            let begin = self.cache.block(slot);
            let mut count = 0;
            for key in rest.iter().take(ROW_PAGES as usize) {
                let Some(slot) = self.cache.find(*key) else { break };
                if self.cache.block(slot) != begin + count as u64 {
                    break;
                }
                (slots[count], sums[count]) = (slot, checksum(self.cache.page(slot)));
                count += 1;
            }
            self.write_row(begin, &slots[..count])?;
            let (done, further) = rest.split_at(count);
            for ((key, sum), at) in done.iter().zip(sums).zip(0..) {
                self.enter(*key, Pointer { block: begin + at, checksum: sum })?;
                if let Some(slot) = self.cache.find(*key) {
                    self.cache.set_clean(slot);
                }
            }
            rest = further;
        }
        Ok(())
    }

    /// Writes pages to blocks in a row: from where they lie, if that is in a row as well.
    fn write_row(&mut self, block: u64, slots: &[Slot]) -> Result<(), Error> {
        if row_length(slots) == slots.len() {
            return self.disk.write(block, self.cache.pages(slots[0], slots.len()));
        }
        for (slots, block) in slots.chunks(BUFFER_PAGES).zip((block..).step_by(BUFFER_PAGES)) {
            let bytes = &mut self.buffer[..slots.len() * BLOCK_BYTES];
            for (place, slot) in bytes.chunks_exact_mut(BLOCK_BYTES).zip(slots) {
                place.copy_from_slice(self.cache.page(*slot));
            }
            self.disk.write(block, bytes)?;
        }
        Ok(())
    }

    /// Puts the pointer to a page where it belongs, which is dirty.
    fn enter(&mut self, key: Key, pointer: Pointer) -> Result<(), Error> {
        let (object, level, index) = (key.object(), key.level(), key.index());
        let depth = self.root(object)?.depth;
        if level == depth {
            return self.set_root(object, Root { depth, pointer });
        }
        let above = self.cache.find(Key::new(object, level + 1, index / FANOUT)).ok_or(Error::Damaged)?;
        pointer.put(self.cache.page_mut(above), (index % FANOUT) as usize);
        Ok(())
    }

    /// Blocks that the pages of the map can take at a commit.
    pub(crate) fn map_cost(&self) -> u64 {
        let mut cost = 0;
        let mut pages = self.superblock.map_blocks();
        loop {
            cost += pages;
            if pages == 1 {
                return cost;
            }
            pages = pages.div_ceil(FANOUT);
        }
    }

    /// Whether so much is dirty that it should be written.
    pub fn is_full_of_changes(&self) -> bool {
        self.cache.dirty_count() > self.cache.most_pages() / 2
    }

    /// Whether anything is to be committed.
    pub const fn has_changes(&self) -> bool {
        self.needs_commit
    }

    /// Whether it says that files may be leased to caches of other machines.
    pub const fn is_leased(&self) -> bool {
        self.superblock.leased
    }

    /// Says whether files may be leased to caches of other machines, from the next commit on.
    pub fn set_leased(&mut self, leased: bool) {
        self.needs_commit |= self.superblock.leased != leased;
        self.superblock.leased = leased;
    }
}
