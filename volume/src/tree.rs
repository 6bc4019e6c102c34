//! Pages of files: found, made and cut off.
//!
//! **Invariant.** Above a dirty page all pages of its tree are dirty, up to the inode's, and above that all of the table.
//! So the number of dirty pages says how many blocks the next commit takes, and a change is refused when there are not
//! enough, not when it is too late.

use abi::Error;

use crate::cache::{Key, Slot, row_length};
use crate::disk::{Disk, Memory};
use crate::layout::{BLOCK_BYTES, FANOUT, FANOUT_BITS, INODES, MAX_DEPTH, Pointer, Root, checksum};
use crate::volume::{BUFFER_PAGES, MAP, ROW_PAGES, TABLE, Volume};

/// In so many pieces what fits into the buffer is read to where its pages lie in memory; rather than in more, it is read there
/// and copied.
const MOST_ROWS: usize = 4;

/// So many rows of pages have room in memory at the least.
const ROWS_OF_CACHE: u64 = 4;

/// Pages of pointers that are read at once for who reads on: of 16 MiB.
const POINTERS_AHEAD: u64 = 16;

/// Pages of a level that lie in a row on the disk.
struct Row {
    /// Where the first of them is.
    block: u64,
    pages: usize,
    /// What their checksums should be.
    sums: [u64; ROW_PAGES as usize],
}

impl<D: Disk + Memory> Volume<D> {
    /// The page of a tree in memory, read if need be. None for a hole.
    pub(crate) fn load(&mut self, object: u32, level: u32, index: u64) -> Result<Option<Slot>, Error> {
        let key = Key::new(object, level, index);
        if let Some(slot) = self.cache.find(key) {
            return Ok(Some(slot));
        }
        let pointer = self.pointer(object, level, index)?;
        if pointer.is_none() { Ok(None) } else { self.read_page(key, pointer).map(Some) }
    }

    /// What refers to a page: the one above, or the inode.
    fn pointer(&mut self, object: u32, level: u32, index: u64) -> Result<Pointer, Error> {
        let root = self.root(object)?;
        if level >= root.depth {
            return Ok(if level == root.depth && index == 0 { root.pointer } else { Pointer::NONE });
        }
        if index >> (FANOUT_BITS * (root.depth - level)) != 0 {
            return Ok(Pointer::NONE);
        }
        Ok(match self.load(object, level + 1, index / FANOUT)? {
            Some(above) => Pointer::get(self.cache.page(above), (index % FANOUT) as usize),
            None => Pointer::NONE,
        })
    }

    fn read_page(&mut self, key: Key, pointer: Pointer) -> Result<Slot, Error> {
        if !self.map.is_used(pointer.block) && key.object() != MAP {
            return Err(Error::Damaged);
        }
        let slot = self.cache.insert(key, pointer.block, &mut self.disk)?;
        let page = self.cache.page_mut(slot);
        let read = self.disk.read(pointer.block, page);
        let checked =
            read.and_then(|()| if checksum(page) == pointer.checksum { Ok(()) } else { Err(Error::Damaged) });
        match checked {
            Ok(()) => Ok(slot),
            Err(error) => {
                self.cache.remove(slot, &mut self.disk);
                Err(error)
            }
        }
    }

    /// Reads pages of data that lie in a row on the disk at once, up to `count` from `index` on, as far as they are not in
    /// memory. What cannot be read is left for who wants it. Of `following` pages behind them that will be wanted next the disk
    /// learns first, so that it is at work on them while what is read now is used.
    pub(crate) fn read_ahead(
        &mut self,
        object: u32,
        index: u64,
        count: u64,
        following: u64,
    ) -> Result<(), Error> {
        let first = Key::new(object, 0, index);
        if count < 2 || self.cache.find(first).is_some() {
            return Ok(());
        }
        let Some(row) = self.row(first, count)? else { return Ok(()) };
        if following > 0 {
            let _ = self.expect(object, index + row.pages as u64, following);
        }
        self.read_row(first, &row);
        Ok(())
    }

    /// Up to `count` pages that lie in a row on the disk, from `first` on, and are not in memory. None if that are not even two.
    fn row(&mut self, first: Key, count: u64) -> Result<Option<Row>, Error> {
        let (object, level, index) = (first.object(), first.level(), first.index());
        // A row that took much of the memory would drive out what others use.
        let most = ROW_PAGES.min(self.cache.most_pages() as u64 / ROWS_OF_CACHE);
        let count = count.min(most).min(FANOUT - index % FANOUT);
        if level >= self.root(object)?.depth {
            return Ok(None);
        }
        let Some(above) = self.load(object, level + 1, index / FANOUT)? else { return Ok(None) };
        let pointers = self.cache.page(above);
        let at = |key: Key| Pointer::get(pointers, (key.index() % FANOUT) as usize);
        let block = at(first).block;
        let mut row = Row { block, pages: 0, sums: [0; ROW_PAGES as usize] };
        for (following, key) in (0..count).zip(first.following()) {
            let pointer = at(key);
            let is_next = pointer.block == block.saturating_add(following);
            if !is_next || !self.map.is_used(pointer.block) || self.cache.has(key) {
                break;
            }
            row.sums[row.pages] = pointer.checksum;
            row.pages += 1;
        }
        Ok(Some(row).filter(|row| row.pages >= 2))
    }

    /// Tells the disk of up to `count` pages of data that will be read from `index` on; and of the pages of pointers behind
    /// those that it takes to know them, which then are there when they have to say what comes next.
    fn expect(&mut self, object: u32, index: u64, count: u64) -> Result<(), Error> {
        let pointers = Key::new(object, 1, index / FANOUT);
        if let Some(row) = self.missing_pointers(pointers)? {
            self.read_row(pointers, &row);
        }
        let Some(row) = self.row(Key::new(object, 0, index), count)? else { return Ok(()) };
        self.disk.expect(row.block, row.pages as u64);
        let next = Key::new(object, 1, (index + row.pages as u64) / FANOUT);
        if next != pointers
            && let Some(row) = self.missing_pointers(next)?
        {
            self.disk.expect(row.block, row.pages as u64);
        }
        Ok(())
    }

    /// Pages of pointers from `first` on, if that is not in memory: those of a long file were written in a row.
    fn missing_pointers(&mut self, first: Key) -> Result<Option<Row>, Error> {
        if self.cache.has(first) { Ok(None) } else { self.row(first, POINTERS_AHEAD) }
    }

    /// Reads pages of a row, of which none is in memory, from `first` on: those that are as their checksums say are there
    /// afterwards.
    fn read_row(&mut self, first: Key, row: &Row) {
        let mut slots = [0; ROW_PAGES as usize];
        let mut count = 0;
        for (key, block) in first.following().zip(row.block..).take(row.pages) {
            let Ok(slot) = self.cache.insert(key, block, &mut self.disk) else { break };
            slots[count] = slot;
            count += 1;
        }
        let slots = &slots[..count];
        let read = self.read_to(row.block, slots);
        for ((key, slot), sum) in first.following().zip(slots).zip(&row.sums) {
            // Pages of this row may have had to go for later ones of it.
            if self.cache.is_at(*slot, key) && (read.is_err() || checksum(self.cache.page(*slot)) != *sum) {
                self.cache.remove(*slot, &mut self.disk);
            }
        }
    }

    /// Reads blocks that lie in a row to pages: to their places, unless these lie all about.
    fn read_to(&mut self, block: u64, slots: &[Slot]) -> Result<(), Error> {
        let (mut block, mut slots) = (block, slots);
        while !slots.is_empty() {
            let near = &slots[..slots.len().min(BUFFER_PAGES)];
            let breaks = near.windows(2).filter(|pair| row_length(pair) < 2).count();
            let count = if breaks >= MOST_ROWS {
                let bytes = &mut self.buffer[..near.len() * BLOCK_BYTES];
                self.disk.read(block, bytes)?;
                for (page, slot) in bytes.chunks_exact(BLOCK_BYTES).zip(near) {
                    self.cache.page_mut(*slot).copy_from_slice(page);
                }
                near.len()
            } else {
                let count = row_length(slots);
                self.disk.read(block, self.cache.pages_mut(slots[0], count))?;
                count
            };
            slots = &slots[count..];
            block += count as u64;
        }
        Ok(())
    }

    /// The page of a tree, to be changed: it is dirty from now on. A hole becomes a page of zeros. If all of it will be
    /// written, `whole`, what it was is not read.
    pub(crate) fn touch(&mut self, object: u32, level: u32, index: u64, whole: bool) -> Result<Slot, Error> {
        let key = Key::new(object, level, index);
        let found = self.cache.find(key);
        if let Some(slot) = found
            && self.cache.is_dirty(slot)
        {
            return Ok(slot);
        }
        self.grow(object, level, index)?;
        self.touch_above(object, level, index)?;
        let pointer = match found {
            Some(_) => Pointer::NONE,
            None => self.pointer(object, level, index)?,
        };
        // To come this far, other pages may have had to go, and this one with them.
        let slot = match self.cache.find(key) {
            Some(slot) => slot,
            None if found.is_some() => return self.touch(object, level, index, whole),
            None if pointer.is_none() || whole => {
                let slot = self.cache.insert(key, pointer.block, &mut self.disk)?;
                self.cache.page_mut(slot).fill(0);
                slot
            }
            None => self.read_page(key, pointer)?,
        };
        let needs_block = match self.reserve(self.cache.block(slot)) {
            Ok(needs_block) => needs_block,
            Err(error) => {
                // What was not read must not be there to be read.
                self.cache.remove(slot, &mut self.disk);
                return Err(error);
            }
        };
        self.cache.set_dirty(slot, needs_block);
        self.needs_commit = true;
        Ok(slot)
    }

    /// What refers to a page is to be changed.
    fn touch_above(&mut self, object: u32, level: u32, index: u64) -> Result<(), Error> {
        if level < self.root(object)?.depth {
            self.touch(object, level + 1, index / FANOUT, false)?;
        } else if object != TABLE && object != MAP {
            self.touch_inode(object)?;
        }
        Ok(())
    }

    /// Makes the page dirty in which the inode lies.
    pub(crate) fn touch_inode(&mut self, object: u32) -> Result<Slot, Error> {
        self.touch(TABLE, 0, u64::from(object) / INODES as u64, false)
    }

    /// Makes a tree so high that it has the page.
    fn grow(&mut self, object: u32, level: u32, index: u64) -> Result<(), Error> {
        loop {
            let root = self.root(object)?;
            if level > root.depth || index < 1 << (FANOUT_BITS * (root.depth - level)) {
                return Ok(());
            }
            let depth = root.depth + 1;
            if depth > MAX_DEPTH {
                return Err(Error::NoSpace);
            }
            if object != TABLE && object != MAP {
                self.touch_inode(object)?;
            }
            let is_empty =
                root.pointer.is_none() && self.cache.find(Key::new(object, root.depth, 0)).is_none();
            if !is_empty {
                self.reserve(0)?;
                let slot = self.cache.insert(Key::new(object, depth, 0), 0, &mut self.disk);
                let slot = slot.inspect_err(|_| self.unplaced -= 1)?;
                let page = self.cache.page_mut(slot);
                page.fill(0);
                root.pointer.put(page, 0);
                self.cache.set_dirty(slot, true);
            }
            self.set_root(object, Root { depth, pointer: Pointer::NONE })?;
        }
    }

    /// A page that lies in `block` is about to become dirty: whether it needs another block, which there is then.
    fn reserve(&mut self, block: u64) -> Result<bool, Error> {
        if block != 0 && self.map.is_fresh(block) {
            return Ok(false);
        }
        if self.map.available() <= self.unplaced + self.kept_back() {
            return Err(Error::NoSpace);
        }
        self.unplaced += 1;
        Ok(true)
    }

    /// Cuts off all pages of data from `kept` on.
    pub(crate) fn cut(&mut self, object: u32, kept: u64) -> Result<(), Error> {
        let root = self.root(object)?;
        self.touch_inode(object)?;
        if kept == 0 {
            self.free_tree(object, root.depth, 0, root.pointer);
            return self.set_root(object, Root::default());
        }
        if kept < root.pages() && root.depth > 0 {
            self.cut_page(object, root.depth, 0, kept)?;
        }
        Ok(())
    }

    /// Cuts off what lies below a page of pointers from `kept` on, of which it has some.
    fn cut_page(&mut self, object: u32, level: u32, index: u64, kept: u64) -> Result<(), Error> {
        if self.load(object, level, index)?.is_none() {
            return Ok(());
        }
        self.touch(object, level, index, false)?;
        let span = 1 << (FANOUT_BITS * (level - 1));
        for at in 0..FANOUT {
            let below = index * FANOUT + at;
            let first = below * span;
            if first >= kept {
                // It is dirty, so it stays in memory.
                let Some(slot) = self.cache.find(Key::new(object, level, index)) else { break };
                let page = self.cache.page_mut(slot);
                let pointer = Pointer::get(page, at as usize);
                Pointer::NONE.put(page, at as usize);
                self.free_tree(object, level - 1, below, pointer);
            } else if first + span > kept && level > 1 {
                self.cut_page(object, level - 1, below, kept)?;
            }
        }
        Ok(())
    }

    /// Gives the blocks of a page and of all below it back. What cannot be read stays used, until the volume is repaired.
    fn free_tree(&mut self, object: u32, level: u32, index: u64, pointer: Pointer) {
        if !Key::has_place(level, index) {
            return;
        }
        let key = Key::new(object, level, index);
        let slot = match self.cache.find(key) {
            None if pointer.is_none() => return,
            None if level > 0 => self.read_page(key, pointer).ok(),
            found => found,
        };
        if level > 0 && slot.is_some() {
            for at in 0..FANOUT {
                // Others below may have driven it out meanwhile.
                let Ok(slot) = self.cache.find(key).map_or_else(|| self.read_page(key, pointer), Ok) else {
                    break;
                };
                let below = Pointer::get(self.cache.page(slot), at as usize);
                self.free_tree(object, level - 1, index * FANOUT + at, below);
            }
        }
        let mut block = pointer.block;
        if let Some(slot) = self.cache.find(key) {
            block = self.cache.block(slot);
            if self.cache.is_unplaced(slot) {
                self.unplaced -= 1;
            }
            self.cache.remove(slot, &mut self.disk);
        }
        if block != 0 {
            self.map.give_back(block);
        }
    }
}
