//! Pages of teams: giving them when they are touched, taking them back, and what that does to quotas.
//!
//! Regions say what ought to be; the machine's tables say what is. A page of zeros gets its frame when it is first
//! touched, by its program or by a copy. What takes long is done some pages at a time, and after each piece regions,
//! tables and quotas agree, so it may stop there.
//!
//! A page table is charged when it is added. It may take a team past its quota, by the three tables that one page
//! needs at most: after that the team gets no page more.

use abi::kernel::protection::{EXECUTE, READ, WIRED, WRITE};
use abi::{Error, PAGE_BYTES, Rights, information};

use crate::cache::Cache;
use crate::frame::{BLOCK_FRAMES, Frame, Frames};
use crate::kernel::Kernel;
use crate::machine::{Caching, Machine, Protection};
use crate::paging::PAGE_MISSING;
use crate::region::{Backing, PageRange, Region};
use crate::team::{Team, TeamIndex};
use crate::{Result, ensure};

/// Pages that one step of long work takes or looks at.
pub const PAGES_PER_STEP: u32 = 64;

/// Pages that one step of long work fills with zeros.
pub const ZEROED_PAGES_PER_STEP: u32 = 16;

/// What no region may overlap: the 512 gigabytes around the information page, whose tables all spaces share.
pub const RESERVED: PageRange =
    PageRange { start: information::ADDRESS >> 39 << 39, end: abi::USER_ADDRESS_END };

/// A frame is a team's no more. One that was lent stays where it was lent to.
#[inline]
fn give_up<Space>(cache: &mut Cache, frames: &mut Frames, team: &mut Team<Space>, frame: Frame) {
    if !cache.keep(frame) {
        frames.release(frame);
    }
    team.pages.give_back(1);
}

impl<M: Machine> Kernel<M> {
    /// Makes the page that holds `address` present if the team may have it for `access`. `PAGE_MISSING` if its server has
    /// to be asked for it first.
    pub fn touch(&mut self, team: TeamIndex, address: u64, access: Protection) -> Result<()> {
        let slot = &mut self.teams[usize::from(team)];
        let region = match self.regions.find(&mut slot.regions, address) {
            Some(region) if region.protection & access == access => *region,
            _ => return Err(Error::BadAddress),
        };
        let page = address & !(PAGE_BYTES - 1);
        let protection = region.machine_protection();
        let frame = |first: Frame| Frame(first.0 + ((page - region.start) / PAGE_BYTES) as u32);
        let given = match region.backing {
            Backing::Zero if region.pages >= BLOCK_FRAMES && self.give_in_block(team, page, &region) => {
                Ok(())
            }
            Backing::Zero => self.give(team, page, protection),
            Backing::Bound { .. } => return self.touch_bound(team, page, &region, access),
            Backing::Physical { first, caching } => {
                self.map_as(team, page, frame(first), protection, caching)
            }
            Backing::Dma { first } => self.map_as(team, page, frame(first), protection, Caching::Cached),
            Backing::Held { .. } => return Err(Error::BadAddress),
        };
        // It may be there, and only a change of protection has not come to it yet.
        if given.is_err() && self.machine.protect(self.team(team).space, page, protection) {
            return Ok(());
        }
        given
    }

    /// Gives the page at `address` a frame of zeros.
    #[inline]
    fn give(&mut self, team: TeamIndex, address: u64, protection: Protection) -> Result<()> {
        let frame = self.take_own_zeros(team)?;
        self.map_own(team, address, frame, protection)
    }

    /// Maps a page where none is.
    pub(crate) fn map_as(
        &mut self,
        team: TeamIndex,
        address: u64,
        frame: Frame,
        protection: Protection,
        caching: Caching,
    ) -> Result<()> {
        let space = self.team(team).space;
        let tables = self.machine.map(space, address, frame, protection, caching, &mut self.frames)?;
        // Whatever the limit: they are there.
        self.team_mut(team).pages.used += tables;
        Ok(())
    }

    /// Makes a page of zeros present, unless that takes a frame of the reserve; and waits for none.
    pub(crate) fn give_beyond_reserve(&mut self, team: TeamIndex, address: u64) -> Result<()> {
        if self.machine.translate(self.team(team).space, address, 0).is_some() {
            return Ok(());
        }
        let frame = self.take_frame(self.reserve()).map_err(|_| Error::NoMemory)?;
        self.frames.release(frame);
        self.touch(team, address, READ)
    }

    /// Adds a region to a team: `pages` pages at `address`, or where there is room if that is 0.
    pub(crate) fn add_region(
        &mut self,
        team: TeamIndex,
        address: u64,
        pages: u32,
        protection: Protection,
        backing: Backing,
    ) -> Result<PageRange> {
        let team = &mut self.teams[usize::from(team)];
        let range = if address == 0 {
            ensure(pages != 0, Error::BadArgument)?;
            self.regions.gap(&team.regions, pages, RESERVED)?
        } else {
            PageRange::new(address, pages)?
        };
        ensure(!range.overlaps(&RESERVED), Error::AlreadyMapped)?;
        self.regions.insert(&mut team.regions, range, protection, backing)?;
        if protection & WIRED != 0 {
            team.wired_pages += pages;
        }
        Ok(range)
    }

    /// Whether a team may wire so many pages more: up to half of its quota, or all of it by right.
    pub(crate) fn may_wire(&self, team: TeamIndex, pages: u32) -> Result<()> {
        let team = &self.teams[usize::from(team)];
        ensure(u64::from(team.pages.used) + u64::from(pages) <= u64::from(team.pages.limit), Error::NoQuota)?;
        let wired = u64::from(team.wired_pages) + u64::from(pages);
        ensure(
            wired <= u64::from(team.pages.limit / 2) || team.rights.contains(Rights::WIRE_MEMORY),
            Error::NoQuota,
        )?;
        Ok(())
    }

    /// Makes pages of a range present, from its start on; returns the address to go on with.
    pub(crate) fn populate_some(&mut self, team: TeamIndex, range: PageRange) -> Result<u64> {
        let mut address = range.start;
        for _ in 0..ZEROED_PAGES_PER_STEP {
            if address < range.end {
                self.touch(team, address, READ)?;
                address += PAGE_BYTES;
            }
        }
        Ok(address)
    }

    /// Whether every page of a range is in a region of the team.
    pub(crate) fn is_mapped(&self, team: TeamIndex, range: PageRange) -> bool {
        let list = &self.teams[usize::from(team)].regions;
        self.regions.covers(list, range, |_| true)
    }

    /// Takes pages out of a range, from its start on, frames and regions; returns the address to go on with. What was
    /// changed in shared pages is written back first: `PAGE_MISSING` as long as that takes.
    pub(crate) fn unmap_some(&mut self, team: TeamIndex, range: PageRange) -> Result<u64> {
        let mut left = PAGES_PER_STEP;
        let mut address = range.start;
        while left > 0 {
            let list = &mut self.teams[usize::from(team)].regions;
            let Some(mut index) = self.regions.first_ending_after(list, address) else {
                return Ok(range.end);
            };
            let start = self.regions.get(index).start;
            if start >= range.end {
                return Ok(range.end);
            }
            if start < address {
                index = self.regions.split(list, index, address)?;
            }
            let region = *self.regions.get(index);
            if let Backing::Bound { object, page, shared: true } = region.backing {
                let pages = (region.end().min(range.end) - region.start) / PAGE_BYTES;
                match self.flush(object, page, page + pages as u32) {
                    // What went before is not done again when this has been written back.
                    Err(_) if address > range.start => return Ok(address),
                    outcome => outcome?,
                }
            }
            let stop = self.unmap_front(team, &region, range.end, &mut left);
            let pages = ((stop - region.start) / PAGE_BYTES) as u32;
            let slot = &mut self.teams[usize::from(team)];
            self.regions.drop_front(&mut slot.regions, index, pages);
            if region.protection & WIRED != 0 {
                slot.wired_pages -= pages;
            }
            if let Backing::Dma { .. } = region.backing {
                slot.dma_pages -= pages;
            }
            address = stop;
        }
        Ok(address)
    }

    /// Takes the pages of `region` before `end`, `left` at most; returns the address behind the last one.
    fn unmap_front(&mut self, team: TeamIndex, region: &Region, end: u64, left: &mut u32) -> u64 {
        let end = region.end().min(end);
        // The region itself is some work.
        *left -= 1;
        let Kernel { machine, frames, teams, cache, .. } = self;
        let team = &mut teams[usize::from(team)];
        if let Backing::Dma { first } = region.backing {
            let pages = ((end - region.start) / PAGE_BYTES).min(u64::from(*left)) as u32;
            for page in 0..pages {
                machine.unmap(team.space, region.start + u64::from(page) * PAGE_BYTES);
                give_up(cache, frames, team, Frame(first.0 + page));
            }
            *left -= pages;
            return region.start + u64::from(pages) * PAGE_BYTES;
        }
        let is_own = matches!(region.backing, Backing::Zero);
        let is_bound = matches!(region.backing, Backing::Bound { .. });
        let (next, count) = machine.unmap_run(team.space, region.start, end, *left, |frame| {
            if is_own || is_bound && !cache.holds(frame) {
                give_up(cache, frames, team, frame);
            }
        });
        *left -= count;
        next.min(end)
    }

    /// Takes the frames of ordinary pages of a range, from its start on, so that they are zeros when touched next; returns
    /// the address to go on with.
    pub(crate) fn discard_some(&mut self, team: TeamIndex, range: PageRange) -> Result<u64> {
        let list = &self.teams[usize::from(team)].regions;
        let is_ordinary = |region: &Region| region.backing == Backing::Zero && region.protection & WIRED == 0;
        ensure(self.regions.covers(list, range, is_ordinary), Error::BadArgument)?;
        let Kernel { machine, frames, teams, cache, .. } = self;
        let team = &mut teams[usize::from(team)];
        let (next, _) = machine.unmap_run(team.space, range.start, range.end, PAGES_PER_STEP, |frame| {
            give_up(cache, frames, team, frame);
        });
        Ok(next.min(range.end))
    }

    /// Changes what a team may do with pages of a range, all of which must be in regions; for the pages themselves
    /// follow up with `protect_some`. Device memory holds no code.
    pub(crate) fn protect_regions(
        &mut self,
        team: TeamIndex,
        range: PageRange,
        protection: Protection,
    ) -> Result<()> {
        let list = &mut self.teams[usize::from(team)].regions;
        ensure(self.regions.covers(list, range, |_| true), Error::NotMapped)?;
        let may_be_so = |region: &Region| {
            protection & EXECUTE == 0
                || matches!(region.backing, Backing::Zero | Backing::Bound { shared: false, .. })
        };
        ensure(self.regions.covers(list, range, may_be_so), Error::BadArgument)?;
        self.regions.protect(list, range, protection)
    }

    /// Gives pages of a range the protection that their regions have, from its start on; returns the address to go
    /// on with.
    pub(crate) fn protect_some(&mut self, team: TeamIndex, range: PageRange) -> u64 {
        let mut address = range.start;
        for _ in 0..PAGES_PER_STEP {
            let Some(region) = self.first_region_ending_after(team, address) else {
                return range.end;
            };
            let (space, end) = (self.team(team).space, region.end().min(range.end));
            let page = self.machine.next_mapped(space, address.max(region.start), end);
            if page < end {
                self.set_protection(space, page, &region);
                address = page + PAGE_BYTES;
            } else {
                address = end;
            }
            if address >= range.end {
                return range.end;
            }
        }
        address
    }

    /// Gives a page the protection that its region has now. The cache's frames are only mapped to be read: the first write
    /// is a fault; and what may not even be read is not mapped, so that the cache can take it back.
    fn set_protection(&mut self, space: M::Space, page: u64, region: &Region) {
        let protection = region.machine_protection();
        let bound = matches!(region.backing, Backing::Bound { .. });
        let frame = self.machine.translate(space, page, READ).filter(|_| bound);
        if !frame.is_some_and(|frame| self.cache.holds(frame)) {
            self.machine.protect(space, page, protection);
        } else if protection & READ == 0 {
            self.machine.unmap(space, page);
        } else {
            self.machine.protect(space, page, protection & !WRITE);
        }
    }

    /// The first region of a team that ends after `address`.
    pub(crate) fn first_region_ending_after(&self, team: TeamIndex, address: u64) -> Option<Region> {
        let list = &self.teams[usize::from(team)].regions;
        let index = self.regions.first_ending_after(list, address)?;
        Some(*self.regions.get(index))
    }

    /// Counts pages of a range that are present, from its start on; returns the address to go on with.
    pub(crate) fn count_some(&self, team: TeamIndex, range: PageRange, count: &mut u32) -> u64 {
        let (space, mut address) = (self.team(team).space, range.start);
        for _ in 0..PAGES_PER_STEP {
            address = self.machine.next_mapped(space, address, range.end);
            if address >= range.end {
                return range.end;
            }
            *count += u32::from(self.machine.translate(space, address, READ).is_some());
            address += PAGE_BYTES;
        }
        address
    }

    /// One step of giving back the regions of a team that has ended; true when it has none left. `PAGE_MISSING` while
    /// pages are written back.
    pub(crate) fn release_regions_step(&mut self, team: TeamIndex) -> Result<bool> {
        let list = self.teams[usize::from(team)].regions;
        let Some(index) = self.regions.first_ending_after(&list, 0) else {
            return Ok(true);
        };
        let region = *self.regions.get(index);
        if let Backing::Dma { .. } = region.backing {
            self.hold_back(team, &region);
        } else {
            let range = PageRange { start: region.start, end: region.end() };
            // It begins where a region does, so nothing is split. A page that could not be written back is lost.
            if let Err(PAGE_MISSING) = self.unmap_some(team, range) {
                return Err(PAGE_MISSING);
            }
        }
        Ok(false)
    }

    /// Moves the first region of an ended team, DMA memory, to what is held back: its device may still write there.
    fn hold_back(&mut self, team: TeamIndex, region: &Region) {
        let space = self.team(team).space;
        for page in 0..region.pages {
            self.machine.unmap(space, region.start + u64::from(page) * PAGE_BYTES);
        }
        let slot = &mut self.teams[usize::from(team)];
        slot.pages.give_back(region.pages);
        slot.dma_pages -= region.pages;
        let root = self.processes[slot.root].pid;
        self.regions.move_first(&mut slot.regions, &mut self.held, root);
    }
}

#[cfg(test)]
#[path = "tests/memory.rs"]
mod tests;
