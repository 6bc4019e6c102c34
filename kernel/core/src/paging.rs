//! Pages of bound regions: what a touch of one comes to.
//!
//! A page of a bound region is absent, or the cache's frame, or (written where the region is not `SHARED`) a frame of the
//! team's own. The cache's frame is mapped for writing only where writes go to the instance, and the entry is dirty then,
//! or lent for writing. So the first write of a page is always a fault, and tells.
//!
//! What is not in the cache is asked for (`page_request`), and the touch comes to [`PAGE_MISSING`]: who wanted the page in
//! its own time waits ([`Wait`]), anyone else does not.

use abi::call::{MoveFrom, MoveTo};
use abi::kernel::protection::{READ, WRITE};
use abi::{Error, PAGE_BYTES, Pid};

use crate::Result;
use crate::cache::{Entry, EntryIndex, flag};
use crate::frame::Frame;
use crate::kernel::Kernel;
use crate::machine::{Caching, Machine, ProcessIndex, Protection, Resume};
use crate::object::ObjectIndex;
use crate::process::{Flags, NOBODY, State};
use crate::region::{Backing, Region};
use crate::team::TeamIndex;

/// The page has been asked for: `Kernel::missing` says by which request. Never leaves the kernel.
pub(crate) const PAGE_MISSING: Error = Error::Unknown(0);

/// Pages that are mapped with a touched one, and it, if they are in the cache.
const MOST_MAPPED: u64 = 32;

/// Above the processor's code in a faulting process's `extra.value`: what it wanted of the page.
const ACCESS_SHIFT: u32 = 24;
const CODE_MASK: u32 = (1 << ACCESS_SHIFT) - 1;

/// What a process does when the page that it waits for has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Wait {
    /// It waits for no page.
    #[default]
    None,
    /// Goes on where it touched the page: `extra.count` is the address, `extra.value` the processor's code and the access.
    Fault,
    /// Makes its system call anew.
    Call,
    /// Sends its message on to the process whose pid is in `extra.count`.
    Send,
    /// Goes on with long work.
    Work,
}

impl<M: Machine> Kernel<M> {
    /// Makes the page at `address` of a bound region present for `access`.
    pub(crate) fn touch_bound(
        &mut self,
        team: TeamIndex,
        address: u64,
        region: &Region,
        access: Protection,
    ) -> Result<()> {
        let Backing::Bound { object, page, shared } = region.backing else { return Err(Error::BadAddress) };
        let page = page + ((address - region.start) / PAGE_BYTES) as u32;
        let space = self.team(team).space;
        let reading = region.machine_protection() & !WRITE;
        let found = self.cache.find(object, page);
        if access & WRITE == 0
            && let Some(entry) = found
            && self.map_run(space, address, region, (object, page), found) > 0
        {
            self.cache.set_flags(entry, 0, flag::REFERENCED);
            return Ok(());
        }
        // The region's protection may not have come to this page yet.
        let is_mapped = self.machine.protect(space, address, reading);
        let mapped = if is_mapped { self.machine.translate(space, address, READ) } else { None };
        if let Some(own) = mapped.filter(|frame| !self.cache.holds(*frame)) {
            debug_assert!(!shared, "frame {own:?} in a shared region is not the cache's");
            self.machine.protect(space, address, region.machine_protection());
            return Ok(());
        }
        let Some(entry) = found else {
            let end = page + ((region.end() - address) / PAGE_BYTES) as u32;
            return Err(self.request_page(object, page, end));
        };
        self.cache.set_flags(entry, 0, flag::REFERENCED);
        if access & WRITE == 0 {
            if mapped.is_none() {
                self.map_entry(team, address, region, entry)?;
                self.map_run(space, address + PAGE_BYTES, region, (object, page + 1), None);
            }
            return Ok(());
        }
        if !shared {
            return self.copy_entry(team, address, region, entry);
        }
        if mapped.is_none() {
            self.map_entry(team, address, region, entry)?;
        }
        let flags = self.cache.get(entry).flags;
        if flags & flag::LENT == 0 {
            self.cache.set_flags(entry, 0, flag::DIRTY);
        } else if flags & flag::WRITABLE == 0 {
            return Err(Error::NoWriteAccess);
        }
        self.machine.protect(space, address, region.machine_protection());
        Ok(())
    }

    /// Maps an entry's frame.
    fn map_entry(&mut self, team: TeamIndex, address: u64, region: &Region, entry: EntryIndex) -> Result<()> {
        let entry = self.cache.get(entry);
        let (frame, protection) = (entry.frame, protection_of(region, entry));
        self.map_page(team, address, frame, protection)
    }

    /// Gives a team a frame of its own with what an entry holds.
    fn copy_entry(
        &mut self,
        team: TeamIndex,
        address: u64,
        region: &Region,
        entry: EntryIndex,
    ) -> Result<()> {
        // The entry stays, whatever is taken for the new frame.
        let busy = self.cache.get(entry).flags & flag::BUSY;
        self.cache.set_flags(entry, 0, flag::BUSY);
        let own = self.take_own_frame(team);
        self.cache.set_flags(entry, flag::BUSY, busy);
        let own = own?;
        self.machine.copy_frame(self.cache.get(entry).frame, own);
        self.machine.unmap(self.team(team).space, address);
        self.map_own(team, address, own, region.machine_protection())
    }

    /// Maps a frame that was just taken for a team.
    #[inline]
    pub(crate) fn map_own(
        &mut self,
        team: TeamIndex,
        address: u64,
        frame: Frame,
        protection: Protection,
    ) -> Result<()> {
        self.map_page(team, address, frame, protection).inspect_err(|_| {
            self.frames.release(frame);
            self.team_mut(team).pages.give_back(1);
        })
    }

    /// Maps a frame that the kernel can read where none is.
    #[inline]
    pub(crate) fn map_page(
        &mut self,
        team: TeamIndex,
        address: u64,
        frame: Frame,
        protection: Protection,
    ) -> Result<()> {
        let space = self.team(team).space;
        // Mostly its table is there.
        if self.machine.map_run(space, address, 1, |_| Some((frame, protection))) == 1 {
            return Ok(());
        }
        self.map_as(team, address, frame, protection, Caching::Cached)
    }

    /// Maps a page where there are tables for it, and of what follows it what is in the cache: it is likely to be touched
    /// next, and this costs less than a fault. `entry` is the page's if it was found. Returns how many.
    fn map_run(
        &mut self,
        space: M::Space,
        address: u64,
        region: &Region,
        (object, page): (ObjectIndex, u32),
        mut entry: Option<EntryIndex>,
    ) -> u32 {
        let most = ((region.end() - address) / PAGE_BYTES).min(MOST_MAPPED) as u32;
        let cache = &self.cache;
        self.machine.map_run(space, address, most, |ahead| {
            let entry = cache.get(entry.take().or_else(|| cache.find(object, page + ahead))?);
            Some((entry.frame, protection_of(region, entry)))
        })
    }

    /// The current process touched a page that was asked for.
    pub(crate) fn await_touched(&mut self, address: u64, access: Protection, code: u32) {
        let index = self.forget_current();
        let extra = &mut self.processes[index].extra;
        (extra.count, extra.value) = (address, code & CODE_MASK | access << ACCESS_SHIFT);
        self.await_page(index, Wait::Fault);
    }

    /// A process that is in no list and does not run waits for the page that was asked for last.
    pub(crate) fn await_page(&mut self, index: ProcessIndex, wait: Wait) {
        let request = self.missing;
        let now = self.coarse_now_ns;
        let pager = self.processes[request].partner;
        let process = &mut self.processes[index];
        process.wait = wait;
        process.waits_for_room = self.missing_room;
        process.state = State::Sending;
        process.partner = request;
        process.since_ns = now;
        self.processes.enqueue(index);
        self.begin_waiting(index, request);
        if pager == index {
            // It would wait for itself.
            self.end_page_wait(index, Err(Error::BadAddress));
        }
    }

    /// What a process waited for has come, or will not. Returns the process if it is ready but in no list yet, or nobody.
    pub(crate) fn end_page_wait(&mut self, index: ProcessIndex, outcome: Result<()>) -> ProcessIndex {
        let request = self.processes[index].partner;
        self.processes.dequeue(index);
        self.end_waiting(index, request);
        let process = &mut self.processes[index];
        process.state = State::Idle;
        let (team, count, value) = (process.team, process.extra.count, process.extra.value);
        let is_copy = matches!(process.registers.number, MoveTo::NUMBER | MoveFrom::NUMBER);
        match (core::mem::take(&mut process.wait), outcome) {
            (Wait::Fault, Ok(())) => {
                // Mapped at once it costs no second fault; if that fails, the second fault says why.
                let _ = self.touch(team, count, value >> ACCESS_SHIFT);
                let process = &mut self.processes[index];
                process.resume = Resume::Full;
                process.state = State::Ready;
                return index;
            }
            (Wait::Fault, Err(error)) => self.page_exception(index, count, value & CODE_MASK, error),
            (Wait::Send, Ok(())) => match self.find_receiver(Pid::from_bits(count)) {
                Ok(receiver) => self.post(index, receiver),
                Err(_) if self.processes[index].flags.has(Flags::REMOTE) => {
                    self.fail_sender(index, Error::NoNetwork);
                }
                Err(error) => self.fail_sender(index, error),
            },
            (Wait::Send, Err(_)) => self.fail_sender(index, Error::BadAddress),
            (Wait::Call, Ok(())) => {
                self.processes[index].wait = Wait::Call;
                self.go_on_working(index);
            }
            (Wait::Call, Err(_)) => self.fail(index, Error::BadAddress),
            (Wait::Work, Err(_)) if is_copy => {
                self.fail(index, Error::BadAddress);
                self.processes[index].registers.extra[0] = count;
            }
            (Wait::Work, _) => self.go_on_working(index),
            (Wait::None, _) => debug_assert!(false, "slot {index} waited for no page"),
        }
        NOBODY
    }
}

/// How an entry's frame is mapped in a region: for writing only if that needs no further fault.
#[inline]
fn protection_of(region: &Region, entry: &Entry) -> Protection {
    let shared = matches!(region.backing, Backing::Bound { shared: true, .. });
    if !shared || entry.flags & (flag::DIRTY | flag::WRITABLE) == 0 || entry.flags & flag::BUSY != 0 {
        region.machine_protection() & !WRITE
    } else {
        region.machine_protection()
    }
}
