//! Pages in memory: what was read from the disk, and what is to be written.
//!
//! A page is known by its place in a tree, its [`Key`]. A clean page can be given up for another one; a dirty one stays
//! until it is written. Pages lie in slabs, one of the machine's each, so that they can be lent to others: a page that
//! was lent is *discarded* before it becomes another. A slab gets its memory in parts, and nobody fills it with zeros: what is
//! in a page is written over by whoever inserts it.

use abi::Error;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Range;
use hashbrown::HashMap;

use crate::disk::Memory;
use crate::layout::{BLOCK_BYTES, FANOUT_BITS};
use crate::volume::ROW_PAGES;

/// Pages of a slab: as many as are read at once.
const SLAB_PAGES: usize = ROW_PAGES as usize;
/// Pages that get memory at once.
const PART_PAGES: usize = 64;
const _: () = assert!(SLAB_PAGES.is_multiple_of(PART_PAGES));
/// Fewer pages would not do.
const LEAST_PAGES: usize = 64;
const INDEX_BITS: u32 = 34;
const LEVEL_BITS: u32 = 3;

/// A page's place: object, level, and which one of that level. In this order they sort.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Key(u64);

impl Key {
    /// [`has_place`](Key::has_place) says which there are.
    pub(crate) const fn new(object: u32, level: u32, index: u64) -> Key {
        debug_assert!(index < 1 << INDEX_BITS);
        Key((object as u64) << (INDEX_BITS + LEVEL_BITS) | (level as u64) << INDEX_BITS | index)
    }

    /// Whether a tree can have that page: files have so many pages, and no more.
    pub(crate) const fn has_place(level: u32, index: u64) -> bool {
        index < (1 << INDEX_BITS) >> (FANOUT_BITS * level) || index == 0
    }

    /// This place and those behind it.
    pub(crate) fn following(self) -> impl Iterator<Item = Key> {
        (self.0..).map(Key)
    }

    pub(crate) const fn object(self) -> u32 {
        (self.0 >> (INDEX_BITS + LEVEL_BITS)) as u32
    }

    pub(crate) const fn level(self) -> u32 {
        (self.0 >> INDEX_BITS) as u32 & ((1 << LEVEL_BITS) - 1)
    }

    pub(crate) const fn index(self) -> u64 {
        self.0 & ((1 << INDEX_BITS) - 1)
    }
}

/// Which page in memory.
pub(crate) type Slot = u32;

/// Whether a page is as it is on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Clean,
    /// It is to be written, to the block that it has.
    Placed,
    /// It is to be written, and needs a block for that.
    Unplaced,
}

/// What a page in memory is.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Its place; none if it is free.
    key: Option<Key>,
    /// Where it is on the disk; 0 if nowhere yet.
    block: u64,
    state: State,
    /// Somebody else may have it mapped.
    is_lent: bool,
    /// It was wanted since the hand last came by.
    was_used: bool,
}

const UNUSED: Frame = Frame { key: None, block: 0, state: State::Clean, is_lent: false, was_used: false };

/// The pages, in memory of some kind.
pub(crate) struct Cache<M: Memory> {
    /// Pages in a row each.
    slabs: Vec<M::Pages>,
    frames: Vec<Frame>,
    places: HashMap<Key, Slot>,
    dirty: BTreeSet<Key>,
    free: Vec<Slot>,
    hand: usize,
    /// How many pages there are to be. There are more when so many are dirty.
    most_pages: usize,
    /// Lent pages that were given up.
    given_up: Vec<Key>,
}

impl<M: Memory> core::fmt::Debug for Cache<M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Cache of {} pages, {} dirty", self.frames.len(), self.dirty.len())
    }
}

impl<M: Memory> Cache<M> {
    pub(crate) fn new(most_pages: usize) -> Cache<M> {
        Cache {
            slabs: Vec::new(),
            frames: Vec::new(),
            places: HashMap::new(),
            dirty: BTreeSet::new(),
            free: Vec::new(),
            hand: 0,
            most_pages: most_pages.max(LEAST_PAGES),
            given_up: Vec::new(),
        }
    }

    /// The page at a place, if it is in memory.
    #[inline]
    pub(crate) fn find(&mut self, key: Key) -> Option<Slot> {
        let slot = *self.places.get(&key)?;
        self.frames[slot as usize].was_used = true;
        Some(slot)
    }

    /// Whether a page in memory is the one of that place.
    pub(crate) fn is_at(&self, slot: Slot, key: Key) -> bool {
        self.frames[slot as usize].key == Some(key)
    }

    /// Whether the page at a place is in memory.
    pub(crate) fn has(&self, key: Key) -> bool {
        self.places.contains_key(&key)
    }

    #[inline]
    pub(crate) fn page(&self, slot: Slot) -> &[u8] {
        self.pages(slot, 1)
    }

    /// The page at an address, if it is one here.
    pub(crate) fn page_at(&self, address: usize) -> Option<&[u8]> {
        let mut used = (0..).zip(&self.frames).filter(|(_, frame)| frame.key.is_some());
        used.find(|(slot, _)| self.page(*slot).as_ptr().addr() == address).map(|(slot, _)| self.page(slot))
    }

    /// As many of `count` pages as lie in a row in memory.
    #[inline]
    pub(crate) fn pages(&self, slot: Slot, count: usize) -> &[u8] {
        let (slab, first) = place(slot);
        &self.slabs[slab][range(first, count.min(SLAB_PAGES - first))]
    }

    #[inline]
    pub(crate) fn page_mut(&mut self, slot: Slot) -> &mut [u8] {
        self.pages_mut(slot, 1)
    }

    /// As many of `count` pages as lie in a row in memory, to be changed.
    pub(crate) fn pages_mut(&mut self, slot: Slot, count: usize) -> &mut [u8] {
        let (slab, first) = place(slot);
        &mut self.slabs[slab][range(first, count.min(SLAB_PAGES - first))]
    }

    /// How many of the pages that belong to `key` and the places behind it lie behind `slot` in a row, up to `most`.
    #[inline]
    pub(crate) fn row(&self, key: Key, slot: Slot, most: usize) -> usize {
        let most = most.min(SLAB_PAGES - place(slot).1).min(1 << INDEX_BITS);
        let behind = self.frames[slot as usize..].iter().take(most).zip(key.0..);
        behind.take_while(|(frame, key)| frame.key == Some(Key(*key))).count()
    }

    pub(crate) fn block(&self, slot: Slot) -> u64 {
        self.frames[slot as usize].block
    }

    /// A dirty page has a block from now on.
    pub(crate) fn set_placed(&mut self, slot: Slot, block: u64) {
        let frame = &mut self.frames[slot as usize];
        (frame.block, frame.state) = (block, State::Placed);
    }

    pub(crate) fn is_dirty(&self, slot: Slot) -> bool {
        self.frames[slot as usize].state != State::Clean
    }

    /// Whether a page is to be written and needs a block for that.
    pub(crate) fn is_unplaced(&self, slot: Slot) -> bool {
        self.frames[slot as usize].state == State::Unplaced
    }

    /// Makes a clean page for a place that has none. What is in it is to be written over.
    pub(crate) fn insert(&mut self, key: Key, block: u64, memory: &mut M) -> Result<Slot, Error> {
        let slot = self.take(memory)?;
        self.frames[slot as usize] = Frame { key: Some(key), block, was_used: true, ..UNUSED };
        self.places.insert(key, slot);
        Ok(slot)
    }

    pub(crate) fn set_dirty(&mut self, slot: Slot, needs_block: bool) {
        let frame = &mut self.frames[slot as usize];
        frame.state = if needs_block { State::Unplaced } else { State::Placed };
        self.dirty.extend(frame.key);
    }

    pub(crate) fn set_clean(&mut self, slot: Slot) {
        let frame = &mut self.frames[slot as usize];
        frame.state = State::Clean;
        if let Some(key) = frame.key {
            self.dirty.remove(&key);
        }
    }

    /// Notes that somebody else has the page.
    pub(crate) fn set_lent(&mut self, slot: Slot) {
        self.frames[slot as usize].is_lent = true;
    }

    /// Forgets a page, and what was in it.
    pub(crate) fn remove(&mut self, slot: Slot, memory: &mut M) {
        self.forget(slot);
        if self.make_own(slot, memory).is_ok() {
            self.free.push(slot);
        }
    }

    /// Forgets all pages of an object, none of which is dirty.
    pub(crate) fn remove_object(&mut self, object: u32, memory: &mut M) {
        for slot in 0..self.frames.len() as Slot {
            if self.frames[slot as usize].key.is_some_and(|key| key.object() == object) {
                self.remove(slot, memory);
            }
        }
    }

    /// Dirty pages, by place.
    pub(crate) fn dirty(&self) -> impl Iterator<Item = Key> {
        self.dirty.iter().copied()
    }

    /// Dirty pages of one level of an object from `first` on.
    pub(crate) fn dirty_of(&self, object: u32, level: u32, first: u64) -> impl Iterator<Item = Key> {
        let end = Key::new(object, level, (1 << INDEX_BITS) - 1);
        self.dirty.range(Key::new(object, level, first)..=end).copied()
    }

    pub(crate) fn dirty_count(&self) -> usize {
        self.dirty.len()
    }

    pub(crate) const fn most_pages(&self) -> usize {
        self.most_pages
    }

    /// Pages in memory.
    pub(crate) fn count(&self) -> usize {
        self.places.len()
    }

    /// Lent pages that were given up since this was last asked. Who has them must be told.
    pub(crate) fn take_given_up(&mut self) -> Vec<Key> {
        core::mem::take(&mut self.given_up)
    }

    fn take(&mut self, memory: &mut M) -> Result<Slot, Error> {
        if let Some(slot) = self.free.pop() {
            return Ok(slot);
        }
        if self.frames.len() >= self.most_pages
            && let Some(slot) = self.give_one_up(memory)
        {
            return Ok(slot);
        }
        if let Err(error) = self.grow(memory) {
            return self.give_one_up(memory).ok_or(error);
        }
        self.free.pop().ok_or(Error::NoMemory)
    }

    /// Gives up a clean page that was not used since the hand last came by.
    fn give_one_up(&mut self, memory: &mut M) -> Option<Slot> {
        for _ in 0..2 * self.frames.len() {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.frames.len();
            let frame = &mut self.frames[at];
            if frame.key.is_none() || frame.state != State::Clean {
                continue;
            }
            if core::mem::replace(&mut frame.was_used, false) {
                continue;
            }
            let slot = at as Slot;
            self.forget(slot);
            if self.make_own(slot, memory).is_ok() {
                return Some(slot);
            }
        }
        None
    }

    fn forget(&mut self, slot: Slot) {
        let frame = &mut self.frames[slot as usize];
        if let Some(key) = frame.key {
            if frame.state != State::Clean {
                self.dirty.remove(&key);
            }
            self.places.remove(&key);
            if frame.is_lent {
                self.given_up.push(key);
            }
        }
        *frame = Frame { is_lent: frame.is_lent, ..UNUSED };
    }

    /// A page that was lent is lent no more. One for which that fails is lost.
    fn make_own(&mut self, slot: Slot, memory: &mut M) -> Result<(), Error> {
        if self.frames[slot as usize].is_lent {
            let address = self.page(slot).as_ptr().addr();
            memory.discard(self.page_mut(slot))?;
            memory.make_present(address, 1)?;
            self.frames[slot as usize].is_lent = false;
        }
        Ok(())
    }

    /// Makes another part of a slab.
    fn grow(&mut self, memory: &mut M) -> Result<(), Error> {
        let no_memory = |_| Error::NoMemory;
        self.slabs.try_reserve(1).map_err(no_memory)?;
        self.frames.try_reserve(PART_PAGES).map_err(no_memory)?;
        self.free.try_reserve(PART_PAGES).map_err(no_memory)?;
        self.places.try_reserve(PART_PAGES).map_err(|_| Error::NoMemory)?;
        let (slab, first) = place(self.frames.len() as Slot);
        if slab == self.slabs.len() {
            self.slabs.push(memory.allocate(SLAB_PAGES * BLOCK_BYTES)?);
        }
        let part = &self.slabs[slab][range(first, PART_PAGES)];
        memory.make_present(part.as_ptr().addr(), PART_PAGES as u32)?;
        let first = self.frames.len() as Slot;
        self.frames.resize(self.frames.len() + PART_PAGES, UNUSED);
        self.free.extend((first..first + PART_PAGES as Slot).rev());
        Ok(())
    }
}

/// How many pages lie in a row in memory, in this order, from the first on.
pub(crate) fn row_length(slots: &[Slot]) -> usize {
    let Some(first) = slots.first() else { return 0 };
    let expected = (*first..).take(SLAB_PAGES - place(*first).1);
    slots.iter().zip(expected).take_while(|(slot, expected)| *slot == expected).count()
}

/// Slab, and place in it.
const fn place(slot: Slot) -> (usize, usize) {
    (slot as usize / SLAB_PAGES, slot as usize % SLAB_PAGES)
}

/// The bytes of pages of a slab.
const fn range(first: usize, count: usize) -> Range<usize> {
    first * BLOCK_BYTES..(first + count) * BLOCK_BYTES
}
