//! Address spaces of programs: page tables under one root, walked by the direct map.
//!
//! * Each entry that leads to a table counts the entries in use of that table in bits that the processor ignores, so
//!   that tearing a space down reads no more than it must.
//! * An entry in use that is not present is a page without any access.
//! * The last of the root's entries for programs leads to the information page; what it leads to is shared by all spaces,
//!   but for those whose clock is another, and closed to mapping. In its bits for that, it counts the root's other entries.
//! * A change that takes something away from a loaded space is made known to the processor at once; spaces that are
//!   not loaded need nothing, since loading one forgets all but the kernel's half.

use abi::kernel::protection;
use abi::{PAGE_BYTES, USER_ADDRESS_END, information};
use kernel_core::frame::{Frame, Frames};
use kernel_core::machine::{Caching, MapError, Protection};

use crate::copy;
use crate::cpu::Cpu;
use crate::heap;
use crate::paging::{
    ADDRESS, DIRECTORY_SHIFT, DIRTY, ENTRIES, NO_EXECUTE, PAGE_SHIFT, POINTERS_SHIFT, PRESENT, ROOT_SHIFT,
    SPECIAL, UNCACHED, USER, WRITABLE, entry, index, is_direct, share_kernel_half,
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

/// Frames that an information page of a space's own takes: three tables, and the page.
const OWN_INFORMATION: u32 = 4;

/// Where what all spaces share begins.
pub const SHARED_ADDRESS: u64 = information::ADDRESS >> ROOT_SHIFT << ROOT_SHIFT;

/// What all spaces have in common.
pub struct Common {
    /// The kernel's own root, which has no lower half.
    pub root: u64,
    /// The shared table of pointers that leads to the information page.
    pointers: u64,
}

impl Common {
    /// Maps the information page, the frame at physical address `page`, for all spaces to come.
    pub fn new(root: u64, page: u64) -> Common {
        let pointers = heap::zeroed_page();
        // SAFETY: the tables were just allocated, in the direct map, and nobody else knows them.
        unsafe { lead_to_information(pointers, heap::zeroed_page(), heap::zeroed_page(), page) };
        Common { root, pointers }
    }
}

/// Makes tables, all zeros, lead to an information page.
///
/// # Safety
/// They are in the direct map and the caller's alone.
unsafe fn lead_to_information(pointers: u64, directory: u64, table: u64, page: u64) {
    let address = information::ADDRESS;
    // SAFETY: the caller's.
    unsafe {
        *entry(pointers, index(address, POINTERS_SHIFT)) = directory | PRESENT | USER;
        *entry(directory, index(address, DIRECTORY_SHIFT)) = table | PRESENT | USER;
        *entry(table, index(address, PAGE_SHIFT)) = page | PRESENT | USER | NO_EXECUTE;
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

    /// The information page of its own, and how many frames were taken for it now. `None` without memory.
    pub fn own_information(self, common: &Common, frames: &mut Frames) -> Option<(u64, u32)> {
        if self.own_pointers(common).is_some() {
            let (table, _) = self.walk(information::ADDRESS)?;
            // SAFETY: as in `walk`.
            let found = unsafe { *entry(table, index(information::ADDRESS, PAGE_SHIFT)) };
            return Some((found & ADDRESS, 0));
        }
        if frames.free_count() < OWN_INFORMATION {
            return None;
        }
        let [pointers, directory, table, page] =
            [(); OWN_INFORMATION as usize].map(|()| frames.allocate().map(Frame::address));
        let (pointers, directory, table, page) = (pointers?, directory?, table?, page?);
        // SAFETY: the frames were just allocated; the root is this space's, and one processor changes it.
        unsafe {
            for frame in [pointers, directory, table, page] {
                copy::zero_page(frame);
            }
            lead_to_information(pointers, directory, table, page);
            let slot = entry(self.root, LAST_USER_ENTRY);
            *slot = *slot & !ADDRESS | pointers;
            Cpu::this().walks.clear();
        }
        Some((page, OWN_INFORMATION))
    }

    /// The table of pointers that leads to an information page of its own.
    fn own_pointers(self, common: &Common) -> Option<u64> {
        // SAFETY: as in `walk`.
        let pointers = unsafe { *entry(self.root, LAST_USER_ENTRY) } & ADDRESS;
        Some(pointers).filter(|pointers| *pointers != common.pointers)
    }

    /// Frees at most `limit` tables of a space without pages. Returns how many, and whether those were all.
    ///
    /// # Safety
    /// The space is not loaded, and is not used again once all have been freed.
    pub unsafe fn destroy(self, common: &Common, limit: u32, frames: &mut Frames) -> (u32, bool) {
        let own_pointers = self.own_pointers(common);
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
        if let Some(pointers) = own_pointers {
            if left <= OWN_INFORMATION {
                return (limit - left, false);
            }
            left -= OWN_INFORMATION;
            let mut table = pointers;
            for shift in [POINTERS_SHIFT, DIRECTORY_SHIFT, PAGE_SHIFT] {
                // SAFETY: the tables are this space's; each leads to the next, and the last to the page.
                let next = unsafe { *entry(table, index(information::ADDRESS, shift)) } & ADDRESS;
                frames.release(Frame::containing(table));
                table = next;
            }
            frames.release(Frame::containing(table));
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
        common: &Common,
        address: u64,
        frame: Frame,
        protection: Protection,
        caching: Caching,
        frames: &mut Frames,
    ) -> Result<u32, MapError> {
        if address >= USER_ADDRESS_END || is_shared(address) {
            return Err(MapError::Occupied);
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
                        return Err(MapError::NoMemory);
                    }
                    let new = frames.allocate().ok_or(MapError::NoMemory)?.address();
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
            if *slot != 0 {
                return Err(MapError::Occupied);
            }
            let special = match caching {
                Caching::Cached if is_direct(common.root, frame.address()) => 0,
                Caching::Cached => SPECIAL,
                Caching::Uncached => SPECIAL | UNCACHED,
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

    /// Unmaps a page. Returns its frame.
    pub fn unmap(self, address: u64) -> Option<Frame> {
        let (slot, above) = self.slot(address)?;
        // SAFETY: the entries belong to this space; one processor, so nobody else is changing them.
        unsafe {
            let old = *slot;
            if old == 0 {
                return None;
            }
            *slot = 0;
            *above -= COUNT_ONE;
            Some(Frame::containing(old & ADDRESS))
        }
    }

    /// Changes a page's protection; false if none is mapped.
    pub fn protect(self, address: u64, protection: Protection) -> bool {
        let Some(slot) = self.page_slot(address).filter(|_| !is_shared(address)) else {
            return false;
        };
        // SAFETY: as in `unmap`.
        unsafe {
            let old = *slot;
            if old == 0 {
                return false;
            }
            *slot = old & (ADDRESS | SPECIAL | UNCACHED | DIRTY) | protection_bits(protection);
        }
        true
    }

    /// Whether a page was written since it was mapped or last asked for; see `Machine::take_written`.
    pub fn take_written(self, address: u64) -> bool {
        self.slot(address).is_some_and(|(slot, _)| {
            // SAFETY: as in `unmap`.
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
            // SAFETY: as in `unmap`.
            unsafe {
                let lacks_only_that =
                    *slot & DIRTY == 0 && (*slot | DIRTY) & (required | SPECIAL) == required;
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
        for shift in [ROOT_SHIFT, POINTERS_SHIFT, DIRECTORY_SHIFT] {
            // SAFETY: as in `walk`.
            let found = unsafe { *entry(table, index(from, shift)) };
            if found & COUNT == 0 {
                return Err(((from >> shift) + 1) << shift);
            }
            table = found & ADDRESS;
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
        // SAFETY: it is in a table of pages in this space.
        self.page_slot(address).map(|slot| unsafe { *slot })
    }

    /// The same, if a recent walk led to the table.
    #[inline]
    pub fn known_entry(self, address: u64) -> Option<u64> {
        // SAFETY: as in `page_entry`.
        self.slot_after(address, || None).map(|slot| unsafe { *slot })
    }

    /// Where the entry of the page at `address` is.
    #[inline]
    fn page_slot(self, address: u64) -> Option<*mut u64> {
        self.slot_after(address, || self.walk(address).map(|(table, _)| table))
    }

    #[inline]
    fn slot_after(self, address: u64, walk: impl FnOnce() -> Option<u64>) -> Option<*mut u64> {
        if address >= USER_ADDRESS_END {
            return None;
        }
        // SAFETY: the reference lives for this statement, in which nobody else takes one.
        let table = unsafe { &mut Cpu::this().walks }.find(self.root, address, walk)?;
        Some(entry(table, index(address, PAGE_SHIFT)))
    }

    /// The table of pages for an address, and the entry that leads to it.
    #[inline(never)]
    fn walk(self, address: u64) -> Option<(u64, *mut u64)> {
        let mut table = self.root;
        let mut above = core::ptr::null_mut();
        for shift in [ROOT_SHIFT, POINTERS_SHIFT, DIRECTORY_SHIFT] {
            above = entry(table, index(address, shift));
            // SAFETY: `table` is a table of this space, its root or what an entry leads to; entries of programs'
            // spaces lead to tables only.
            let found = unsafe { *above };
            if found & PRESENT == 0 {
                return None;
            }
            table = found & ADDRESS;
        }
        Some((table, above))
    }

    /// The entry of a page that may be changed, and the one above that counts it.
    fn slot(self, address: u64) -> Option<(*mut u64, *mut u64)> {
        if address >= USER_ADDRESS_END || is_shared(address) {
            return None;
        }
        let (table, above) = self.walk(address)?;
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

/// What a page's entry must have for an access.
#[inline]
pub const fn required_bits(protection: Protection) -> u64 {
    let mut bits = if protection == 0 { USER } else { PRESENT | USER };
    if protection & protection::WRITE != 0 {
        bits |= WRITABLE;
    }
    if protection & protection::EXECUTE != 0 {
        // Compared with the bit inverted: see `allows`.
        bits |= NO_EXECUTE;
    }
    bits
}

/// Whether a page's entry has all of `required`.
#[inline]
pub const fn allows(entry: u64, required: u64) -> bool {
    (entry ^ NO_EXECUTE) & required == required
}

/// The bits of a page's entry for a protection. Whatever is allowed, reading is: the processor knows no page that can
/// be written or executed and not read.
const fn protection_bits(bits: Protection) -> u64 {
    let mut entry = USER;
    if bits & (protection::READ | protection::WRITE | protection::EXECUTE) != 0 {
        entry |= PRESENT;
    }
    if bits & protection::WRITE != 0 {
        entry |= WRITABLE;
    }
    if bits & protection::EXECUTE == 0 {
        entry |= NO_EXECUTE;
    }
    entry
}

const _: () = assert!(PAGE_BYTES == 1 << PAGE_SHIFT);
