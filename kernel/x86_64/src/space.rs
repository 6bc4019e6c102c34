//! Address spaces of programs: page tables under one root, walked by the direct map.
//!
//! * Each entry that leads to a table counts the entries in use of that table in bits that the processor ignores, so
//!   that tearing a space down reads no more than it must.
//! * An entry in use that is not present is a page without any access.
//! * The last of the root's entries for programs leads to the information page; what it leads to is shared by all spaces,
//!   and closed to mapping. In its bits for that, it counts the root's other entries.
//! * Where an entry maps 2 MiB, the table of their pages stays beside it, with all their entries. So nobody else knows of
//!   large pages: who looks for an entry finds it there, and who may change one has the table in use again.
//! * A change that takes something away from a loaded space is made known to the processor at once; spaces that are
//!   not loaded need nothing, since loading one forgets all but the kernel's half.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};

use abi::{Error, PAGE_BYTES, USER_ADDRESS_END, information};
use kernel_core::frame::{Frame, Frames};
use kernel_core::machine::{Caching, Protection};

use crate::copy;
use crate::cpu::Cpu;
use crate::heap;
use crate::paging::{
    ACCESSED, ADDRESS, DIRECTORY_SHIFT, DIRTY, ENTRIES, LARGE, LARGE_PAGE_BYTES, NO_EXECUTE, PAGE_SHIFT,
    POINTERS_SHIFT, PRESENT, ROOT_SHIFT, UNCACHED, USER, WRITABLE, allows, entry, index, protection_bits,
    required_bits, share_kernel_half,
};
use crate::physical;

/// An address space: the physical address of its root table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    root: u64,
}

/// One entry in use, in the count that an entry leading to a table keeps.
const COUNT_ONE: u64 = 1 << 52;
/// The count's bits.
const COUNT: u64 = 0x3ff << 52;
/// What an entry leading to a table says besides.
const TABLE: u64 = PRESENT | WRITABLE | USER;
/// Empty tables that one look for the next page passes over, at most: it bounds how long interrupts are off.
const PASSES: usize = 64;
/// The last entry of the root that is not the kernel's, the information page's.
const LAST_USER_ENTRY: usize = ENTRIES / 2 - 1;
const _: () = assert!(index(information::ADDRESS, ROOT_SHIFT) == LAST_USER_ENTRY);

/// Where what all spaces share begins.
pub const SHARED_ADDRESS: u64 = information::ADDRESS >> ROOT_SHIFT << ROOT_SHIFT;

/// By 2 MiB of memory: the table of its pages, where it is a large page.
static BESIDE: AtomicPtr<u64> = AtomicPtr::new(core::ptr::null_mut());

/// Where the table beside an entry that maps a large page is noted.
fn beside(large: u64) -> *mut u64 {
    BESIDE.load(Ordering::Relaxed).wrapping_add(((large & ADDRESS) >> DIRECTORY_SHIFT) as usize)
}

/// What all spaces have in common.
pub struct Common {
    /// The kernel's own root, which has no lower half.
    pub root: u64,
    /// The shared table of pointers that leads to the information page.
    pointers: u64,
}

impl Common {
    /// Maps the information page, the frame at physical address `page`, for all spaces to come, of `frame_count` frames.
    pub fn new(root: u64, page: u64, frame_count: u32) -> Common {
        let blocks = (u64::from(frame_count) * PAGE_BYTES).div_ceil(LARGE_PAGE_BYTES);
        BESIDE.store(alloc::vec![0; blocks as usize].leak().as_mut_ptr(), Ordering::Relaxed);
        let pointers = heap::zeroed_page();
        let (directory, table, address) = (heap::zeroed_page(), heap::zeroed_page(), information::ADDRESS);
        // SAFETY: the tables were just allocated, in the direct map, and nobody else knows them.
        unsafe {
            *entry(pointers, index(address, POINTERS_SHIFT)) = directory | PRESENT | USER;
            *entry(directory, index(address, DIRECTORY_SHIFT)) = table | PRESENT | USER;
            *entry(table, index(address, PAGE_SHIFT)) = page | PRESENT | USER | NO_EXECUTE;
        }
        Common { root, pointers }
    }
}

impl Space {
    /// The root table's physical address.
    #[inline]
    pub const fn root(self) -> u64 {
        self.root
    }

    /// A space with the kernel's half and the information page.
    pub fn create(common: &Common, frames: &mut Frames) -> Option<Space> {
        let root = frames.allocate()?.address();
        // SAFETY: the frame was just allocated, so it is nobody else's, and usable memory is in the direct map.
        unsafe {
            copy::zero_page(root);
            share_kernel_half(common.root, root);
            *entry(root, LAST_USER_ENTRY) = common.pointers | PRESENT | USER;
        }
        Some(Space { root })
    }

    /// Frees at most `limit` tables of a space without pages. Returns how many, and whether those were all.
    ///
    /// # Safety
    /// The space is not loaded, and is not used again once all have been freed.
    pub unsafe fn destroy(self, limit: u32, frames: &mut Frames) -> (u32, bool) {
        // SAFETY: the reference lives for this statement.
        unsafe { Cpu::this() }.walks.clear();
        let root = physical::pointer::<[u64; ENTRIES]>(self.root);
        // SAFETY: the space is the caller's and not loaded, so its tables are used by nobody but this function.
        let root = unsafe { &mut *root };
        let mut left = limit;
        let mut at = 0;
        while root[LAST_USER_ENTRY] & COUNT != 0
            && let Some(used) = next_with(!0, &root[..LAST_USER_ENTRY], at)
        {
            at = used + 1;
            // SAFETY: the entry leads to a table of pointers of this space, two levels above pages' tables.
            if !unsafe { free_tables(&mut root[used], 2, &mut left, frames) } {
                return (limit, false);
            }
            root[LAST_USER_ENTRY] -= COUNT_ONE;
        }
        if left == 0 {
            return (limit, false);
        }
        frames.release(Frame::containing(self.root));
        (limit - left + 1, true)
    }

    /// Maps a page; see `Machine::map`. The kernel's copies only go to and from memory in the direct map.
    pub fn map(
        self,
        address: u64,
        frame: Frame,
        protection: Protection,
        caching: Caching,
        frames: &mut Frames,
    ) -> Result<u32, Error> {
        if address >= USER_ADDRESS_END || is_shared(address) {
            return Err(Error::BadAddress);
        }
        let mut added = 0;
        let mut above = entry(self.root, LAST_USER_ENTRY);
        let mut table = self.root;
        let mut shift = ROOT_SHIFT;
        while shift > PAGE_SHIFT {
            let slot = entry(table, index(address, shift));
            // SAFETY: `table` is a table of this space: its root, or what an entry not shared leads to. `above` is
            // the entry that led to it, with room to count all of its entries. One processor, so nobody else is
            // changing them.
            unsafe {
                if *slot == 0 {
                    // All that are missing or none, so that a failure leaves nothing behind.
                    let missing = (shift - PAGE_SHIFT) / 9;
                    if added == 0 && frames.free_count() < missing {
                        return Err(Error::NoMemory);
                    }
                    let new = frames.allocate().ok_or(Error::NoMemory)?.address();
                    copy::zero_page(new);
                    *slot = new | TABLE;
                    *above += COUNT_ONE;
                    added += 1;
                }
                table = *slot & ADDRESS;
            }
            above = slot;
            shift -= 9;
        }
        let slot = entry(table, index(address, PAGE_SHIFT));
        // SAFETY: as above.
        unsafe {
            if *above & LARGE != 0 || *slot != 0 {
                return Err(Error::BadAddress);
            }
            let special = match caching {
                Caching::Cached => 0,
                Caching::Uncached => UNCACHED,
            };
            *slot = frame.address() | special | DIRTY | protection_bits(protection);
            *above += COUNT_ONE;
        }
        Ok(added)
    }

    /// Maps pages of one table that is there already; see `Machine::map_run`.
    pub fn map_run(
        self,
        address: u64,
        most: u32,
        mut each: impl FnMut(u32) -> Option<(Frame, Protection)>,
    ) -> u32 {
        let Some((first, above)) = self.slot(address) else {
            return 0;
        };
        let most = (most as usize).min(ENTRIES - index(address, PAGE_SHIFT));
        // SAFETY: these entries are of one table of pages of this space; one processor, so nobody else is changing them,
        // and no other reference to them is made meanwhile.
        let slots = unsafe { core::slice::from_raw_parts_mut(first, most) };
        let mut count = 0;
        for slot in slots {
            if *slot != 0 {
                break;
            }
            let Some((frame, protection)) = each(count) else { break };
            *slot = frame.address() | DIRTY | protection_bits(protection);
            count += 1;
        }
        // SAFETY: the entry above counts those of this table.
        unsafe { *above += COUNT_ONE * u64::from(count) };
        count
    }

    /// Maps the 2 MiB from `address` on by one entry if they are 2 MiB of memory; see `Machine::make_large`.
    pub fn make_large(self, address: u64) {
        let Some((first, above)) = self.slot(address & !(LARGE_PAGE_BYTES - 1)) else { return };
        // SAFETY: these entries are of one table of pages of this space; one processor, so nobody else is changing them,
        // but that it notes which were used.
        let pages = unsafe { core::slice::from_raw_parts(first, ENTRIES) };
        let begin = pages[0] & !ACCESSED;
        let follows =
            |(at, page): (usize, &u64)| page & !ACCESSED == begin.wrapping_add(at as u64 * PAGE_BYTES);
        if (begin & ADDRESS).is_multiple_of(LARGE_PAGE_BYTES)
            && begin & (PRESENT | DIRTY | UNCACHED) == PRESENT | DIRTY
            && pages.iter().enumerate().all(follows)
        {
            // SAFETY: the entry above leads to their table. What is in memory was noted there, and so has a place; nobody
            // else has a large page of it.
            unsafe {
                *beside(begin) = *above & ADDRESS;
                *above = begin | LARGE | *above & COUNT;
            }
        }
    }

    /// Unmaps the pages of a range, one table after the other; see `Machine::unmap_run`.
    pub fn unmap_run(self, from: u64, end: u64, most: u32, mut each: impl FnMut(u64, Frame)) -> (u64, u32) {
        let end = end.min(USER_ADDRESS_END);
        let (mut address, mut count) = (from, 0);
        for _ in 0..PASSES {
            address = self.next_mapped(address, end);
            let Some((first, above)) = self.slot(address).filter(|_| address < end) else {
                return (address.max(end), count);
            };
            let table_end = ((address >> DIRECTORY_SHIFT) + 1) << DIRECTORY_SHIFT;
            let pages = (table_end.min(end) - address) / PAGE_BYTES;
            // SAFETY: these entries are of one table of pages of this space; one processor, so nobody else is changing
            // them, and no other reference to them is made meanwhile.
            let slots = unsafe { core::slice::from_raw_parts_mut(first, pages as usize) };
            for slot in slots {
                if *slot != 0 {
                    if count == most {
                        return (address, count);
                    }
                    let frame = Frame::containing(*slot & ADDRESS);
                    *slot = 0;
                    // SAFETY: the entry above counts those of this table.
                    unsafe { *above -= COUNT_ONE };
                    count += 1;
                    each(address, frame);
                }
                address += PAGE_BYTES;
            }
            if address >= end {
                break;
            }
        }
        (address, count)
    }

    /// Changes a page's protection; false if none is mapped.
    pub fn protect(self, address: u64, protection: Protection) -> bool {
        // Mostly there is no page, which is soon seen.
        if self.page_entry(address).is_none_or(|entry| entry == 0) {
            return false;
        }
        let Some((slot, _)) = self.slot(address) else {
            return false;
        };
        // SAFETY: the entry belongs to this space; one processor, so nobody else is changing it.
        unsafe { *slot = *slot & (ADDRESS | UNCACHED | DIRTY) | protection_bits(protection) };
        true
    }

    /// Whether a page was written since it was mapped or last asked for; see `Machine::take_written`.
    pub fn take_written(self, address: u64) -> bool {
        self.slot(address).is_some_and(|(slot, _)| {
            // SAFETY: as in `protect`.
            unsafe {
                let old = *slot;
                *slot = old & !DIRTY;
                old & DIRTY != 0
            }
        })
    }

    /// Makes a page dirty that a copy is about to write, if all but that is there of what its entry must have.
    #[cold]
    pub fn note_written(self, address: u64, required: u64) -> bool {
        self.slot(address).is_some_and(|(slot, _)| {
            // SAFETY: as in `protect`.
            unsafe {
                let lacks_only_that =
                    *slot & DIRTY == 0 && (*slot | DIRTY) & (required | UNCACHED) == required;
                *slot |= if lacks_only_that { DIRTY } else { 0 };
                lacks_only_that
            }
        })
    }

    /// The first page from `from` on that may be mapped, or `end`. Tables of which no entry is in use are passed over,
    /// [`PASSES`] at most: what is returned after that many is passed over the next time.
    pub fn next_mapped(self, mut from: u64, end: u64) -> u64 {
        let end = end.min(USER_ADDRESS_END);
        for _ in 0..PASSES {
            if from >= end {
                return end;
            }
            match self.find_from(!0, from) {
                Ok(page) => return page.min(end),
                Err(passed) => from = passed,
            }
        }
        from
    }

    /// As [`Space::next_mapped`], of the pages that were written; in one table, whose entries are many to look at.
    pub fn next_written(self, from: u64, end: u64) -> u64 {
        self.find_from(DIRTY, from).unwrap_or_else(|passed| passed).min(end)
    }

    /// The first page from `from` on with any of `bits` in its entry, if it is in the same table of pages; else where what
    /// has no such entry around `from` ends.
    fn find_from(self, bits: u64, from: u64) -> Result<u64, u64> {
        let mut table = self.root;
        let mut found = 0;
        for shift in [ROOT_SHIFT, POINTERS_SHIFT, DIRECTORY_SHIFT] {
            // SAFETY: as in `above`.
            found = unsafe { *entry(table, index(from, shift)) };
            if found & COUNT == 0 {
                return Err(((from >> shift) + 1) << shift);
            }
            table = found & ADDRESS;
        }
        if found & LARGE != 0 {
            return Ok(from);
        }
        // SAFETY: it is a table of pages in this space; one processor, so nobody changes it meanwhile.
        let pages = unsafe { &*physical::pointer::<[u64; ENTRIES]>(table) };
        let begin = from >> DIRECTORY_SHIFT << DIRECTORY_SHIFT;
        match next_with(bits, pages, index(from, PAGE_SHIFT)) {
            Some(used) => Ok(begin + used as u64 * PAGE_BYTES),
            None => Err(begin + (1 << DIRECTORY_SHIFT)),
        }
    }

    /// The frame of a page if it allows `protection`.
    #[inline]
    pub fn translate(self, address: u64, protection: Protection) -> Option<Frame> {
        let found = self.page_entry(address)?;
        allows(found, required_bits(protection)).then(|| Frame::containing(found & ADDRESS))
    }

    /// The entry of the page at `address`, if there is a table that holds it.
    #[inline]
    pub fn page_entry(self, address: u64) -> Option<u64> {
        self.entry_after(address, || self.table_to_read(address))
    }

    /// The same, if a recent walk led to the table.
    #[inline]
    pub fn known_entry(self, address: u64) -> Option<u64> {
        self.entry_after(address, || None)
    }

    #[inline]
    fn entry_after(self, address: u64, walk: impl FnOnce() -> Option<u64>) -> Option<u64> {
        if address >= USER_ADDRESS_END {
            return None;
        }
        // SAFETY: the reference lives for this statement, in which nobody else takes one.
        let table = unsafe { &mut Cpu::this().walks }.find(self.root, address, walk)?;
        // SAFETY: it is a table of pages in this space.
        Some(unsafe { *entry(table, index(address, PAGE_SHIFT)) })
    }

    /// The table of pages for an address, which is not changed: the one in use, or beside a large page.
    #[cold]
    #[inline(never)]
    fn table_to_read(self, address: u64) -> Option<u64> {
        // SAFETY: as in `above`; a table is noted for each large page.
        unsafe {
            let found = *self.directory_entry(address)?;
            Some(if found & LARGE == 0 { found & ADDRESS } else { *beside(found) })
        }
    }

    /// The entry that leads to the table of pages for an address: also to that of a large page, from now on. What the
    /// processor remembers of that is as true as before, until a page changes and is made known to it.
    #[inline(never)]
    fn above(self, address: u64) -> Option<NonNull<u64>> {
        let above = self.directory_entry(address)?;
        // SAFETY: the entry is of this space, and one processor, so nobody else is changing it; a table is noted for each
        // large page.
        unsafe {
            if *above & LARGE != 0 {
                *above = *beside(*above) | TABLE | *above & COUNT;
            }
        }
        NonNull::new(above)
    }

    /// The entry of a directory for an address, if there is one in use.
    #[inline]
    fn directory_entry(self, address: u64) -> Option<*mut u64> {
        let mut table = self.root;
        let mut above = core::ptr::null_mut();
        for shift in [ROOT_SHIFT, POINTERS_SHIFT, DIRECTORY_SHIFT] {
            above = entry(table, index(address, shift));
            // SAFETY: `table` is a table of this space, its root or what an entry leads to; entries of programs'
            // spaces lead to tables only, but for a directory's.
            let found = unsafe { *above };
            if found & PRESENT == 0 {
                return None;
            }
            table = found & ADDRESS;
        }
        Some(above)
    }

    /// The entry of a page that may be changed, and the one above that counts it.
    fn slot(self, address: u64) -> Option<(*mut u64, *mut u64)> {
        if address >= USER_ADDRESS_END || is_shared(address) {
            return None;
        }
        let above = self.above(address)?.as_ptr();
        // SAFETY: it leads to a table.
        let table = unsafe { *above } & ADDRESS;
        Some((entry(table, index(address, PAGE_SHIFT)), above))
    }
}

/// Whether an address is in what all spaces share.
#[inline]
const fn is_shared(address: u64) -> bool {
    address >> ROOT_SHIFT == SHARED_ADDRESS >> ROOT_SHIFT
}

/// The first entry from `from` on with any of `bits`. Most are without, so they are looked at in groups.
fn next_with(bits: u64, entries: &[u64], from: usize) -> Option<usize> {
    const GROUP: usize = 16;
    let mut at = from;
    while at < entries.len() {
        let group = entries[at..].first_chunk::<GROUP>();
        if at.is_multiple_of(GROUP)
            && group.is_some_and(|group| group.iter().fold(0, |all, one| all | one) & bits == 0)
        {
            at += GROUP;
        } else if entries[at] & bits != 0 {
            return Some(at);
        } else {
            at += 1;
        }
    }
    None
}

/// Frees the table that an entry leads to, and, `levels` deep, the tables below it; false if `left` ran out.
///
/// # Safety
/// The entry leads to a table that nobody else uses. Tables 0 levels above pages hold no page.
unsafe fn free_tables(slot: &mut u64, levels: u32, left: &mut u32, frames: &mut Frames) -> bool {
    if levels > 0 && *slot & COUNT != 0 {
        // SAFETY: the caller says that the table is this function's alone.
        let table = unsafe { &mut *physical::pointer::<[u64; ENTRIES]>(*slot & ADDRESS) };
        let mut at = 0;
        while let Some(used) = next_with(!0, table, at) {
            at = used + 1;
            let below = &mut table[used];
            // SAFETY: as the caller's, one level below.
            if !unsafe { free_tables(below, levels - 1, left, frames) } {
                return false;
            }
            *slot -= COUNT_ONE;
            if *slot & COUNT == 0 {
                break;
            }
        }
    }
    assert!(*slot & COUNT == 0, "a page table is freed that holds a page");
    if *left == 0 {
        return false;
    }
    *left -= 1;
    frames.release(Frame::containing(*slot & ADDRESS));
    *slot = 0;
    true
}

const _: () = assert!(PAGE_BYTES == 1 << PAGE_SHIFT);
