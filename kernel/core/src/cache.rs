//! The page cache: frames that hold pages of objects, for everyone who has those bound.
//!
//! An entry is one page of one object, in a frame that is either the cache's own, filled by a reply that was copied, or
//! *lent* by the object's server out of its own memory. One lent frame may be in several entries, since a file may be
//! open as several instances; if its owner gives it up meanwhile it is the cache's, until the last of them goes.
//!
//! Entries are found by object and page through rows, and by the object's list. All is sized at boot. Nothing here touches
//! a mapping: `paging` and `reclaim` do.

use alloc::boxed::Box;

use crate::frame::{Frame, Frames};
use crate::object::{ObjectIndex, Objects};

/// Index of an entry.
pub type EntryIndex = u32;

/// No entry.
pub const NO_ENTRY: EntryIndex = EntryIndex::MAX;

/// What holds of an entry.
pub mod flag {
    /// It was used since the clock's hand last passed.
    pub const REFERENCED: u8 = 1;
    /// It was written, and that has not been written back.
    pub const DIRTY: u8 = 2;
    /// Its frame is its server's.
    pub const LENT: u8 = 4;
    /// Its frame is lent for writing: what is written there needs not be written back.
    pub const WRITABLE: u8 = 8;
    /// It is being written back.
    pub const BUSY: u8 = 16;
    /// It is out of date, and goes as soon as it has been written back.
    pub const REVOKED: u8 = 32;
}

/// A page of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Whose; meaningless while the entry is free.
    pub object: ObjectIndex,
    /// Bits of [`flag`].
    pub flags: u8,
    /// How many of its bytes, from the first, the object has: what is behind its end is never written back.
    pub bytes: u16,
    /// Which page of it.
    pub page: u32,
    /// Where it is.
    pub frame: Frame,
    /// Next in its row, or next free one.
    row_next: EntryIndex,
    /// Next of its object.
    pub next: EntryIndex,
    previous: EntryIndex,
    in_use: bool,
}

/// What a frame is to the cache: 0 for nothing, else how many entries have it; and this is set where it is the cache's own,
/// from the beginning, or because its owner has given up what it lent.
const OWN: u16 = 1 << 15;

/// All entries.
#[derive(Debug)]
pub struct Cache {
    entries: Box<[Entry]>,
    rows: Box<[EntryIndex]>,
    holdings: Box<[u16]>,
    free: EntryIndex,
    hand: EntryIndex,
    used: u32,
    dirty: u32,
}

impl Cache {
    /// An empty cache for a machine of so many frames.
    pub fn new(frame_count: u32) -> Cache {
        let free = |next| Entry {
            object: 0,
            flags: 0,
            bytes: 0,
            page: 0,
            frame: Frame(0),
            row_next: next,
            next: NO_ENTRY,
            previous: NO_ENTRY,
            in_use: false,
        };
        let count = (frame_count / 2).max(1);
        let rows = count.next_power_of_two() / 2;
        Cache {
            entries: (1..=count).map(|next| free(if next == count { NO_ENTRY } else { next })).collect(),
            rows: (0..rows.max(1)).map(|_| NO_ENTRY).collect(),
            holdings: (0..frame_count).map(|_| 0).collect(),
            free: 0,
            hand: 0,
            used: 0,
            dirty: 0,
        }
    }

    /// Entries in use.
    pub fn used(&self) -> u32 {
        self.used
    }

    /// Of these, dirty ones.
    pub fn dirty(&self) -> u32 {
        self.dirty
    }

    /// An entry in use.
    #[inline]
    pub fn get(&self, index: EntryIndex) -> &Entry {
        &self.entries[index as usize]
    }

    /// The entry of a page.
    #[inline]
    pub fn find(&self, object: ObjectIndex, page: u32) -> Option<EntryIndex> {
        let mut index = self.rows[self.row(object, page)];
        loop {
            let entry = self.entries.get(index as usize)?;
            if entry.object == object && entry.page == page {
                return Some(index);
            }
            index = entry.row_next;
        }
    }

    /// Whether a frame holds a page of an object.
    #[inline]
    pub fn holds(&self, frame: Frame) -> bool {
        self.holdings.get(frame.0 as usize).is_some_and(|holding| *holding != 0)
    }

    /// Enters a page that has no entry. False if there is no room, or the frame cannot be lent.
    pub fn insert(
        &mut self,
        objects: &mut Objects,
        (object, page): (ObjectIndex, u32),
        frame: Frame,
        bytes: u16,
        flags: u8,
    ) -> bool {
        let (index, lent) = (self.free, flags & flag::LENT != 0);
        match self.holdings.get_mut(frame.0 as usize) {
            Some(holding) if index != NO_ENTRY && (*holding == 0 || lent && *holding < OWN - 1) => {
                *holding += if lent { 1 } else { OWN + 1 };
            }
            _ => return false,
        }
        self.free = self.get(index).row_next;
        let row = self.row(object, page);
        let next = core::mem::replace(&mut objects.get_mut(object).entries, index);
        if let Some(next) = self.entries.get_mut(next as usize) {
            next.previous = index;
        }
        let row_next = core::mem::replace(&mut self.rows[row], index);
        self.entries[index as usize] =
            Entry { object, flags, bytes, page, frame, row_next, next, previous: NO_ENTRY, in_use: true };
        self.used += 1;
        true
    }

    /// Takes an entry out. Its frame is free, if it was the cache's own.
    pub fn remove(&mut self, objects: &mut Objects, frames: &mut Frames, index: EntryIndex) {
        self.set_flags(index, flag::DIRTY, 0);
        let entry = *self.get(index);
        let row = self.row(entry.object, entry.page);
        let mut link = &mut self.rows[row];
        while *link != index {
            link = &mut self.entries[*link as usize].row_next;
        }
        *link = entry.row_next;
        match self.entries.get_mut(entry.previous as usize) {
            Some(previous) => previous.next = entry.next,
            None => objects.get_mut(entry.object).entries = entry.next,
        }
        if let Some(next) = self.entries.get_mut(entry.next as usize) {
            next.previous = entry.previous;
        }
        let holding = &mut self.holdings[entry.frame.0 as usize];
        *holding -= 1;
        if *holding == OWN {
            *holding = 0;
            frames.release(entry.frame);
        }
        self.entries[index as usize].in_use = false;
        self.entries[index as usize].row_next = core::mem::replace(&mut self.free, index);
        self.used -= 1;
    }

    /// The owner of a frame gives it up. True if the cache keeps it: it was lent.
    pub fn keep(&mut self, frame: Frame) -> bool {
        match self.holdings.get_mut(frame.0 as usize) {
            Some(holding) if *holding != 0 => {
                *holding |= OWN;
                true
            }
            _ => false,
        }
    }

    /// Clears and sets flags of an entry.
    pub fn set_flags(&mut self, index: EntryIndex, clear: u8, set: u8) {
        let entry = &mut self.entries[index as usize];
        let old = entry.flags;
        entry.flags = old & !clear | set;
        self.dirty += u32::from(entry.flags & flag::DIRTY != 0);
        self.dirty -= u32::from(old & flag::DIRTY != 0);
    }

    /// Moves the clock's hand on, to an entry in use; none if it has passed `limit` slots without one.
    pub fn advance(&mut self, limit: &mut u32) -> Option<EntryIndex> {
        while *limit > 0 {
            *limit -= 1;
            let index = self.hand;
            self.hand = if (index + 1) as usize == self.entries.len() { 0 } else { index + 1 };
            if self.get(index).in_use {
                return Some(index);
            }
        }
        None
    }

    /// How many slots there are, used or not.
    pub fn slots(&self) -> u32 {
        self.entries.len() as u32
    }

    fn row(&self, object: ObjectIndex, page: u32) -> usize {
        // Pages of one object follow one another; objects are spread.
        (page.wrapping_add(u32::from(object).wrapping_mul(0x9e37_79b1) >> 7)) as usize % self.rows.len()
    }
}
