//! Frames for those who need one, taken from the cache when there is no other.
//!
//! The hand of a clock goes round the cache. What was used since it last passed is only unmapped, so that the next use
//! tells; what was not is given up, or, if it is dirty, written back. The reserve of frames is for teams that may wire
//! memory, on which the way of every page depends; so a page can always be written back, and then others go on.
//!
//! A page that a process has granted, and waits with, stays: a copy never waits for the other side's page.

use abi::kernel::protection::{READ, WRITE};
use abi::{Error, Rights};

use crate::Result;
use crate::cache::{Entry, EntryIndex, NO_ENTRY, flag};
use crate::frame::Frame;
use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::object::ObjectIndex;
use crate::page_request::PageOf;
use crate::paging::PAGE_MISSING;
use crate::process::{NOBODY, State};
use crate::region::{NO_REGION, Region};
use crate::team::TeamIndex;

/// Writes that one look for a frame begins.
const WRITES_AT_ONCE: u32 = 8;

/// Entries among which one is looked for that another page gets.
const ENTRIES_LOOKED_AT: u32 = 64;

/// Pages of an object that one step of work gives up.
const PAGES_PER_STEP: u32 = 32;

/// Frames that only teams which may wire memory get: one in so many of all, and so many at most.
const RESERVE_PART: u32 = 32;
const MOST_RESERVED: u32 = 256;

impl<M: Machine> Kernel<M> {
    /// A frame, if more than `kept` are free or can be had.
    #[inline]
    pub(crate) fn take_frame(&mut self, kept: u32) -> Result<Frame> {
        self.frames.allocate_beyond(kept).map_or_else(|| self.reclaim(kept), Ok)
    }

    /// A frame for a team's own page, charged to the team.
    #[inline]
    pub(crate) fn take_own_frame(&mut self, team: TeamIndex) -> Result<Frame> {
        self.team_mut(team).pages.take(1)?;
        self.take_frame(self.kept_from(team)).inspect_err(|_| self.team_mut(team).pages.give_back(1))
    }

    /// The same, filled with zeros.
    #[inline]
    pub(crate) fn take_own_zeros(&mut self, team: TeamIndex) -> Result<Frame> {
        self.team_mut(team).pages.take(1)?;
        let kept = self.kept_from(team);
        if self.frames.free_count() > kept
            && let Some(frame) = self.frames.allocate_zeroed()
        {
            return Ok(frame);
        }
        let frame = self.take_frame(kept).inspect_err(|_| self.team_mut(team).pages.give_back(1))?;
        self.machine.zero_frame(frame);
        Ok(frame)
    }

    /// Free frames of which a team gets none.
    #[inline]
    fn kept_from(&self, team: TeamIndex) -> u32 {
        if self.team(team).rights.contains(Rights::WIRE_MEMORY) { 0 } else { self.reserve() }
    }

    /// Fills a free frame with zeros for who will need one. False if there are enough.
    pub(crate) fn zero_ahead(&mut self) -> bool {
        self.frames.begin_zeroing().inspect(|frame| self.machine.zero_frame(*frame)).is_some()
    }

    /// Frames that are not for every team.
    pub(crate) fn reserve(&self) -> u32 {
        (self.frames.total_count() / RESERVE_PART).min(MOST_RESERVED)
    }

    /// Takes frames from the cache until more than `kept` are free, and one of them. So the reserve, of which page tables and
    /// those who may have it take, fills again. [`PAGE_MISSING`] if there will be more when what is being written back has
    /// been.
    #[cold]
    fn reclaim(&mut self, kept: u32) -> Result<Frame> {
        self.empty_windows();
        if let Some(frame) = self.frames.allocate_beyond(kept) {
            return Ok(frame);
        }
        let mut limit = 2 * self.cache.slots();
        let mut writes = 0;
        let mut waits_for = None;
        while let Some(index) = self.cache.advance(&mut limit) {
            let entry = *self.cache.get(index);
            if entry.flags & (flag::LENT | flag::BUSY) != 0 || self.is_granted(index) {
                continue;
            }
            if entry.flags & flag::REFERENCED != 0 {
                self.unmap_everywhere(index);
                self.cache.set_flags(index, flag::REFERENCED, 0);
            } else if entry.flags & flag::DIRTY == 0 {
                self.drop_entry(index);
                self.counters.reclaimed_frames += 1;
                if let Some(frame) = self.frames.allocate_beyond(kept) {
                    return Ok(frame);
                }
            } else if writes < WRITES_AT_ONCE && self.request_write(index) == PAGE_MISSING {
                writes += 1;
                // The first to be begun is likely the first to end.
                waits_for.get_or_insert(self.missing);
            }
        }
        let waits_for = waits_for.or_else(|| self.page_requests.under_way().next()).unwrap_or(NOBODY);
        (self.missing, self.missing_room) = (waits_for, true);
        Err(if waits_for == NOBODY { Error::NoMemory } else { PAGE_MISSING })
    }

    /// Enters a page that is not in the cache, where others make room if they have to.
    #[inline]
    pub(crate) fn enter(&mut self, page: PageOf, frame: Frame, bytes: u16, flags: u8) -> bool {
        if self.cache.used() == self.cache.slots() {
            self.free_entry();
        }
        self.cache.insert(&mut self.regions.objects, page, frame, bytes, flags)
    }

    /// Gives up an entry that was not used since the hand last passed, or of some the last: none that somebody has mapped, and whose
    /// server would not give it again.
    #[cold]
    fn free_entry(&mut self) {
        let (mut limit, mut looked_at, mut found) = (self.cache.slots(), 0, NO_ENTRY);
        while looked_at < ENTRIES_LOOKED_AT
            && let Some(index) = self.cache.advance(&mut limit)
        {
            let Entry { flags, object, .. } = *self.cache.get(index);
            let pager = self.regions.objects.get(object).pager;
            let mut stays =
                flags & (flag::DIRTY | flag::BUSY | flag::WRITABLE) != 0 || self.is_granted(index);
            if self.find_receiver_anywhere(self.processes.host(), pager).is_err() {
                self.for_each_mapping(index, |_, _, _, _| stays = true);
            }
            if stays {
                continue;
            }
            (looked_at, found) = (looked_at + 1, index);
            if flags & flag::REFERENCED == 0 {
                break;
            }
            self.unmap_everywhere(index);
            self.cache.set_flags(index, flag::REFERENCED, 0);
        }
        if found != NO_ENTRY {
            self.drop_entry(found);
        }
    }

    /// Calls `with` for each mapping of an entry's page: team, space and address.
    fn for_each_mapping(
        &mut self,
        index: EntryIndex,
        mut with: impl FnMut(&mut Self, &Region, M::Space, u64),
    ) {
        let entry = *self.cache.get(index);
        let mut bound = self.regions.objects.get(entry.object).regions;
        while bound != NO_REGION {
            let region = *self.regions.get(bound);
            bound = region.next_bound;
            let space = self.team(region.team).space;
            if let Some(address) = region.address_of(entry.page)
                && self.machine.translate(space, address, READ) == Some(entry.frame)
            {
                with(self, &region, space, address);
            }
        }
    }

    /// Takes an entry's page out of all address spaces.
    fn unmap_everywhere(&mut self, index: EntryIndex) {
        self.for_each_mapping(index, |kernel, _, space, address| {
            kernel.machine.unmap(space, address);
        });
    }

    /// Keeps everyone from writing an entry's page without a fault.
    pub(crate) fn protect_mappings(&mut self, index: EntryIndex) {
        self.for_each_mapping(index, |kernel, region, space, address| {
            kernel.machine.protect(space, address, region.machine_protection() & !WRITE);
        });
    }

    /// Whether a process waits with a segment granted in which an entry's page is mapped.
    fn is_granted(&mut self, index: EntryIndex) -> bool {
        let mut found = false;
        self.for_each_mapping(index, |kernel, region, _, address| {
            let mut member = kernel.team(region.team).first_process;
            while member != NOBODY && !found {
                found = kernel.grants(member, address);
                member = kernel.processes[member].team_next;
            }
        });
        found
    }

    fn grants(&self, index: ProcessIndex, address: u64) -> bool {
        let process = &self.processes[index];
        let start = process.segment_address();
        let end = start.saturating_add(process.grant().bytes());
        matches!(process.state, State::Sending | State::AwaitingReply)
            && process.flags.only(crate::process::Flags::REMOTE)
            && start < address + abi::PAGE_BYTES
            && address < end
    }

    /// Gives an entry up.
    pub(crate) fn drop_entry(&mut self, index: EntryIndex) {
        self.unmap_everywhere(index);
        self.cache.remove(&mut self.regions.objects, &mut self.frames, index);
    }

    /// A server takes back pages of an instance. Returns how many there were.
    pub(crate) fn revoke(&mut self, pager: ProcessIndex, instance: u32, first: u32, pages: u32) -> u32 {
        let pid = self.processes[pager].pid;
        let mut count = 0;
        for object in 0..self.regions.objects.count() {
            let found = self.regions.objects.get(object);
            if found.pager != pid || found.instance != instance {
                continue;
            }
            let mut index = found.entries;
            while index != NO_ENTRY {
                let entry = *self.cache.get(index);
                let this = core::mem::replace(&mut index, entry.next);
                if entry.page.checked_sub(first).is_none_or(|offset| offset >= pages) {
                    continue;
                }
                count += 1;
                if entry.flags & flag::BUSY == 0 {
                    self.drop_entry(this);
                } else {
                    self.unmap_everywhere(this);
                    self.cache.set_flags(this, flag::DIRTY, flag::REVOKED);
                }
            }
        }
        count
    }

    /// Begins to write back what is dirty of pages `first` to `end - 1` of an object. [`PAGE_MISSING`] while that goes on.
    pub(crate) fn flush(&mut self, object: ObjectIndex, first: u32, end: u32) -> Result<()> {
        let mut index = self.regions.objects.get(object).entries;
        let mut waits_for = NOBODY;
        while index != NO_ENTRY {
            let entry = *self.cache.get(index);
            if (first..end).contains(&entry.page) {
                if entry.flags & flag::DIRTY != 0 && self.request_write(index) == PAGE_MISSING {
                    waits_for = self.missing;
                } else if entry.flags & flag::BUSY != 0 {
                    self.request_write(index);
                    waits_for = self.missing;
                }
            }
            index = entry.next;
        }
        if waits_for != NOBODY {
            (self.missing, self.missing_room) = (waits_for, true);
            return Err(PAGE_MISSING);
        }
        let failure = core::mem::take(&mut self.regions.objects.get_mut(object).failure);
        if failure == 0 { Ok(()) } else { Err(Error::from_code(failure)) }
    }

    /// How many of pages `first` to `end - 1` of an object are dirty.
    pub(crate) fn count_dirty(&self, object: ObjectIndex, first: u32, end: u32) -> u32 {
        let (mut index, mut count) = (self.regions.objects.get(object).entries, 0);
        while index != NO_ENTRY {
            let entry = self.cache.get(index);
            count += u32::from(entry.flags & flag::DIRTY != 0 && (first..end).contains(&entry.page));
            index = entry.next;
        }
        count
    }

    /// A step of giving up pages of objects to which nothing is bound any more. False if there is nothing to do.
    pub(crate) fn release_unbound_step(&mut self) -> bool {
        let Some(object) = self.regions.objects.next_unbound() else { return false };
        for _ in 0..PAGES_PER_STEP {
            let index = self.regions.objects.get(object).entries;
            if index == NO_ENTRY {
                self.regions.objects.release(object);
                return true;
            }
            self.drop_entry(index);
        }
        true
    }
}
