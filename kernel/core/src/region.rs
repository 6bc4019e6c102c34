//! Regions: which pages a team may touch, how, and what lies behind them.
//!
//! One table, sized at boot, holds the regions of all teams. A team's own are a list through the table in the order
//! of their addresses, and a hint remembers the one that was found last, since faults come in runs.
//!
//! Invariants, which the property tests check against a map of pages:
//! * regions of a list don't overlap, lie within the legal range and have at least one page;
//! * two neighbours that could be one region are one, but for DMA memory;
//! * no region can be written and executed.
//!
//! Nothing here touches a page: `memory` does, by what it finds here.

use alloc::boxed::Box;

use abi::kernel::protection::{EXECUTE, READ, SHARED, WIRED, WRITE};
use abi::{Error, PAGE_BYTES, Pid, USER_ADDRESS_END};

use crate::frame::Frame;
use crate::machine::{Caching, Protection};
use crate::object::{ObjectIndex, Objects};
use crate::team::{NO_TEAM, TeamIndex};
use crate::{Result, ensure};

/// Index of a region's slot.
pub type RegionIndex = u32;

/// No region.
pub const NO_REGION: RegionIndex = RegionIndex::MAX;

/// Most regions that one team may have: bounds the time to find one.
pub const REGIONS_PER_TEAM: u32 = 1024;

/// Where the kernel begins to look when it chooses an address.
pub const CHOSEN_ADDRESS_START: u64 = 0x1_0000_0000;

/// Whole pages in the part of an address space that regions may use: from `start` up to `end`, at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageRange {
    /// Address of the first page.
    pub start: u64,
    /// Address behind the last page.
    pub end: u64,
}

impl PageRange {
    /// `pages` pages from `address` on, both a program's allegations. Page 0 is never legal.
    pub fn new(address: u64, pages: u32) -> Result<PageRange> {
        let is_sound = pages > 0 && address.is_multiple_of(PAGE_BYTES) && address >= PAGE_BYTES;
        let end = address.checked_add(u64::from(pages) * PAGE_BYTES).filter(|end| *end <= USER_ADDRESS_END);
        let end = end.filter(|_| is_sound).ok_or(Error::BadArgument)?;
        Ok(PageRange { start: address, end })
    }

    /// How many pages.
    pub const fn pages(&self) -> u32 {
        ((self.end - self.start) / PAGE_BYTES) as u32
    }

    /// Whether both have a page in common.
    pub const fn overlaps(&self, other: &PageRange) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// Checks what a program asks for: something legal, never writable and executable at once.
pub fn check_protection(protection: Protection, allowed: Protection) -> Result<()> {
    let legal = protection & !allowed == 0
        && protection & READ != 0
        && protection & (WRITE | EXECUTE) != WRITE | EXECUTE;
    if legal { Ok(()) } else { Err(Error::BadArgument) }
}

/// Where the frames of a region come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backing {
    /// Zeroed frames, the team's own, each given when its page is first touched.
    Zero,
    /// Frames that are nobody's to give back: device memory, or the boot archive.
    Physical {
        /// Behind the first page.
        first: Frame,
        /// Whether it may be cached.
        caching: Caching,
    },
    /// Frames in a row, the team's own, there from the start.
    Dma {
        /// Behind the first page.
        first: Frame,
    },
    /// Pages of an instance, each had from its server when it is first touched.
    Bound {
        /// The instance.
        object: ObjectIndex,
        /// Which of its pages is behind the first one.
        page: u32,
        /// Whether what is written goes to the instance. Otherwise to frames of the team's own.
        shared: bool,
    },
    /// In no address space: DMA memory of a team that has ended, held back until its devices were reset.
    Held {
        /// The first frame.
        first: Frame,
        /// The team that had it.
        team: Pid,
    },
}

impl Backing {
    /// What lies behind the page `pages` further on.
    fn advanced(self, pages: u32) -> Backing {
        let beyond = |first: Frame| Frame(first.0 + pages);
        match self {
            Backing::Zero => Backing::Zero,
            Backing::Physical { first, caching } => Backing::Physical { first: beyond(first), caching },
            Backing::Dma { first } => Backing::Dma { first: beyond(first) },
            Backing::Held { first, team } => Backing::Held { first: beyond(first), team },
            Backing::Bound { object, page, shared } => Backing::Bound { object, page: page + pages, shared },
        }
    }

    fn object(self) -> Option<ObjectIndex> {
        if let Backing::Bound { object, .. } = self { Some(object) } else { None }
    }
}

/// One slot of the region table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// Address of its first page.
    pub start: u64,
    /// How many.
    pub pages: u32,
    /// READ, WRITE, EXECUTE and WIRED.
    pub protection: Protection,
    /// What lies behind them.
    pub backing: Backing,
    /// Whose it is.
    pub team: TeamIndex,
    /// The region behind it in its list, or among the free slots.
    next: RegionIndex,
    /// The next one that is bound to the same object.
    pub next_bound: RegionIndex,
}

impl Region {
    /// Address behind its last page.
    #[inline]
    pub const fn end(&self) -> u64 {
        self.start + self.pages as u64 * PAGE_BYTES
    }

    /// What of the protection the machine knows.
    #[inline]
    pub const fn machine_protection(&self) -> Protection {
        self.protection & (READ | WRITE | EXECUTE)
    }

    /// Where a page of the object that it is bound to is in it, if it is.
    pub fn address_of(&self, page: u32) -> Option<u64> {
        match self.backing {
            Backing::Bound { page: first, .. } => {
                let offset = page.checked_sub(first).filter(|offset| *offset < self.pages)?;
                Some(self.start + u64::from(offset) * PAGE_BYTES)
            }
            _ => None,
        }
    }

    /// Whether `next`, which begins where this one ends, is only more of the same. DMA memory stays in the pieces
    /// that it was allocated in, which bounds the work of holding one back.
    fn is_continued_by(&self, next: &Region) -> bool {
        self.end() == next.start
            && !matches!(self.backing, Backing::Dma { .. })
            && self.protection == next.protection
            && self.backing.advanced(self.pages) == next.backing
            && self.pages.checked_add(next.pages).is_some()
    }
}

/// A team's regions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegionList {
    first: RegionIndex,
    /// One of the list, found last; or none.
    hint: RegionIndex,
    count: u32,
    team: TeamIndex,
}

impl RegionList {
    /// No regions, of no team.
    pub const EMPTY: RegionList = RegionList::new(NO_TEAM);

    /// No regions yet.
    pub const fn new(team: TeamIndex) -> RegionList {
        RegionList { first: NO_REGION, hint: NO_REGION, count: 0, team }
    }
}

/// All regions of all teams.
pub struct Regions {
    slots: Box<[Region]>,
    free: RegionIndex,
    used: u32,
    /// What regions are bound to.
    pub objects: Objects,
}

impl Regions {
    /// A table of `count` free slots.
    pub fn new(count: u32) -> Regions {
        let slot = |next| Region {
            start: 0,
            pages: 0,
            protection: 0,
            backing: Backing::Zero,
            team: NO_TEAM,
            next,
            next_bound: NO_REGION,
        };
        Regions {
            objects: Objects::new((count / 8).clamp(16, 4096) as u16),
            slots: (1..=count).map(|next| slot(if next == count { NO_REGION } else { next })).collect(),
            free: if count == 0 { NO_REGION } else { 0 },
            used: 0,
        }
    }

    /// How many slots there are.
    pub fn count(&self) -> u32 {
        self.slots.len() as u32
    }

    /// How many are in use.
    pub fn used(&self) -> u32 {
        self.used
    }

    /// A region in use.
    #[inline]
    pub fn get(&self, index: RegionIndex) -> &Region {
        &self.slots[index as usize]
    }

    /// The region that holds `address`.
    #[inline]
    pub fn find(&self, list: &mut RegionList, address: u64) -> Option<&Region> {
        let index = self.first_ending_after(list, address)?;
        list.hint = index;
        let region = self.get(index);
        (region.start <= address).then_some(region)
    }

    /// The first region that ends after `address`.
    #[inline]
    pub fn first_ending_after(&self, list: &RegionList, address: u64) -> Option<RegionIndex> {
        let mut index = list.first;
        if let Some(hinted) = self.slots.get(list.hint as usize)
            && hinted.start <= address
        {
            index = list.hint;
        }
        loop {
            let region = self.slots.get(index as usize)?;
            if region.end() > address {
                return Some(index);
            }
            index = region.next;
        }
    }

    /// Whether every page of `range` is in a region, all of which pass `test`.
    pub fn covers(&self, list: &RegionList, range: PageRange, test: impl Fn(&Region) -> bool) -> bool {
        let mut index = self.first_ending_after(list, range.start);
        let mut covered = range.start;
        while covered < range.end {
            match index.and_then(|index| self.slots.get(index as usize)) {
                Some(region) if region.start <= covered && test(region) => {
                    covered = region.end();
                    index = Some(region.next);
                }
                _ => return false,
            }
        }
        true
    }

    /// The lowest free place for `pages` pages with an unmapped page on either side, away from `forbidden`.
    pub fn gap(&self, list: &RegionList, pages: u32, forbidden: PageRange) -> Result<PageRange> {
        let mut address = CHOSEN_ADDRESS_START;
        let mut index = self.first_ending_after(list, address - PAGE_BYTES);
        loop {
            let range = PageRange::new(address, pages).map_err(|_| Error::NoMemory)?;
            let with_guard = PageRange { start: address, end: range.end + PAGE_BYTES };
            if with_guard.overlaps(&forbidden) {
                address = forbidden.end + PAGE_BYTES;
                continue;
            }
            match index.and_then(|index| self.slots.get(index as usize)) {
                Some(region) if region.start < with_guard.end => {
                    address = address.max(region.end() + PAGE_BYTES);
                    index = Some(region.next);
                }
                _ => return Ok(range),
            }
        }
    }

    /// Adds a region where none is; it becomes one with its neighbours where it can.
    pub fn insert(
        &mut self,
        list: &mut RegionList,
        range: PageRange,
        protection: Protection,
        backing: Backing,
    ) -> Result<()> {
        let before = self.last_starting_before(list, range.start);
        let next = self.behind(list, before);
        let overlaps_before = before != NO_REGION && self.get(before).end() > range.start;
        let overlaps_next = next != NO_REGION && self.get(next).start < range.end;
        ensure(!overlaps_before && !overlaps_next, Error::AlreadyMapped)?;
        let region = Region {
            start: range.start,
            pages: range.pages(),
            protection,
            backing,
            team: list.team,
            next,
            next_bound: NO_REGION,
        };
        let index = self.allocate(list, region)?;
        self.link_behind(list, before, index);
        self.merge_around(list, range);
        Ok(())
    }

    /// Cuts a region in two at `address`, inside it; returns the second.
    pub fn split(&mut self, list: &mut RegionList, index: RegionIndex, address: u64) -> Result<RegionIndex> {
        let region = *self.get(index);
        let kept = ((address - region.start) / PAGE_BYTES) as u32;
        let second = Region {
            start: address,
            pages: region.pages - kept,
            backing: region.backing.advanced(kept),
            ..region
        };
        let second = self.allocate(list, second)?;
        let first = &mut self.slots[index as usize];
        first.pages = kept;
        first.next = second;
        Ok(second)
    }

    /// Takes the first `pages` pages out of a region, or all of it.
    pub fn drop_front(&mut self, list: &mut RegionList, index: RegionIndex, pages: u32) {
        let region = &mut self.slots[index as usize];
        if pages < region.pages {
            region.start += u64::from(pages) * PAGE_BYTES;
            region.pages -= pages;
            region.backing = region.backing.advanced(pages);
            return;
        }
        let start = region.start;
        let before = self.last_starting_before(list, start);
        self.unlink_behind(list, before);
        self.release(list, index);
    }

    /// Changes READ, WRITE and EXECUTE of pages that are all in regions.
    pub fn protect(&mut self, list: &mut RegionList, range: PageRange, protection: Protection) -> Result<()> {
        ensure(self.covers(list, range, |_| true), Error::NotMapped)?;
        self.cut_at(list, range.start)?;
        if let Err(error) = self.cut_at(list, range.end) {
            self.merge_around(list, range);
            return Err(error);
        }
        let mut index = self.first_ending_after(list, range.start);
        while let Some(region) = index.and_then(|index| self.slots.get_mut(index as usize)) {
            if region.start >= range.end {
                break;
            }
            region.protection = region.protection & (WIRED | SHARED) | protection;
            index = Some(region.next);
        }
        self.merge_around(list, range);
        Ok(())
    }

    /// Takes the first region out of a list and holds it back as what `team` left.
    pub fn move_first(&mut self, from: &mut RegionList, to: &mut RegionList, team: Pid) {
        let index = from.first;
        self.unlink_behind(from, NO_REGION);
        from.count -= 1;
        let region = &mut self.slots[index as usize];
        if let Backing::Dma { first } = region.backing {
            region.backing = Backing::Held { first, team };
        }
        to.count += 1;
        self.link_behind(to, NO_REGION, index);
    }

    /// Takes the first region of a list that `test` chooses out of it, for good.
    pub fn take_first(&mut self, list: &mut RegionList, test: impl Fn(&Region) -> bool) -> Option<Region> {
        let mut before = NO_REGION;
        let mut index = list.first;
        while let Some(region) = self.slots.get(index as usize).copied() {
            if test(&region) {
                self.unlink_behind(list, before);
                self.release(list, index);
                return Some(region);
            }
            before = index;
            index = region.next;
        }
        None
    }

    /// Makes `address` a boundary if it is inside a region.
    fn cut_at(&mut self, list: &mut RegionList, address: u64) -> Result<()> {
        match self.first_ending_after(list, address) {
            Some(index) if self.get(index).start < address => self.split(list, index, address).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Makes one of neighbours that can be one, from the region before `range` to the one behind it.
    fn merge_around(&mut self, list: &mut RegionList, range: PageRange) {
        let mut index = self.last_starting_before(list, range.start);
        if index == NO_REGION {
            index = list.first;
        }
        while let Some(&region) = self.slots.get(index as usize)
            && region.start <= range.end
        {
            match self.slots.get(region.next as usize) {
                Some(next) if region.is_continued_by(next) => {
                    self.slots[index as usize].pages += next.pages;
                    self.unlink_behind(list, index);
                    self.release(list, region.next);
                }
                _ => index = region.next,
            }
        }
    }

    /// The last region that starts before `address`, or none.
    fn last_starting_before(&self, list: &RegionList, address: u64) -> RegionIndex {
        let mut before = NO_REGION;
        let mut index = list.first;
        if let Some(hinted) = self.slots.get(list.hint as usize)
            && hinted.start < address
        {
            index = list.hint;
        }
        while let Some(region) = self.slots.get(index as usize)
            && region.start < address
        {
            before = index;
            index = region.next;
        }
        before
    }

    /// The region behind `before`; the first if that is none.
    fn behind(&self, list: &RegionList, before: RegionIndex) -> RegionIndex {
        match self.slots.get(before as usize) {
            Some(region) => region.next,
            None => list.first,
        }
    }

    fn link_behind(&mut self, list: &mut RegionList, before: RegionIndex, index: RegionIndex) {
        self.slots[index as usize].next = self.behind(list, before);
        self.set_behind(list, before, index);
    }

    fn unlink_behind(&mut self, list: &mut RegionList, before: RegionIndex) {
        let index = self.behind(list, before);
        let next = self.get(index).next;
        self.set_behind(list, before, next);
        if list.hint == index {
            list.hint = NO_REGION;
        }
    }

    fn set_behind(&mut self, list: &mut RegionList, before: RegionIndex, index: RegionIndex) {
        match self.slots.get_mut(before as usize) {
            Some(region) => region.next = index,
            None => list.first = index,
        }
    }

    fn allocate(&mut self, list: &mut RegionList, region: Region) -> Result<RegionIndex> {
        let index = self.free;
        ensure(index != NO_REGION && list.count < REGIONS_PER_TEAM, Error::NoResources)?;
        self.free = self.get(index).next;
        self.slots[index as usize] = region;
        if let Some(object) = region.backing.object() {
            let first = &mut self.objects.get_mut(object).regions;
            self.slots[index as usize].next_bound = core::mem::replace(first, index);
        }
        self.used += 1;
        list.count += 1;
        Ok(index)
    }

    /// Takes a region out of the list of its object. Those that came last are first, and mostly go first.
    fn unbind(&mut self, object: ObjectIndex, index: RegionIndex) {
        let next = self.get(index).next_bound;
        let Regions { slots, objects, .. } = self;
        let mut link = &mut objects.get_mut(object).regions;
        while *link != index {
            link = &mut slots[*link as usize].next_bound;
        }
        *link = next;
        if objects.get(object).regions == NO_REGION {
            objects.unbound += 1;
        }
    }

    fn release(&mut self, list: &mut RegionList, index: RegionIndex) {
        if let Some(object) = self.get(index).backing.object() {
            self.unbind(object, index);
        }
        self.slots[index as usize].next = self.free;
        self.free = index;
        self.used -= 1;
        list.count -= 1;
    }
}

#[cfg(test)]
#[path = "tests/region.rs"]
mod tests;
