//! The memory server: what regions a team has.
//!
//! A team is changed by its own processes, or by its creator until that replies to its root for the first time.
//! Looking is also for whoever may control it.
//!
//! What touches many pages goes in steps, as long work of the caller. The request stays in the caller's registers
//! and is carried out from its beginning each time, with permission checked anew; `extra.count` holds the address at
//! which to go on, 0 at first.

use abi::kernel::MOST_FETCHED;
use abi::kernel::memory::{
    Bind, Bound, Discard, Discarded, Fetch, Fetched, Flushed, Map, Mapped, Memory, Peek, Peeked, Protect,
    Protected, QueryRegion, RegionQueried, Revoked, TeamQueried, Unmap, Unmapped,
};
use abi::kernel::protection::{DEVICE, EXECUTE, READ, SHARED, WIRED, WRITE};
use abi::kernel::record::BindingRecord;
use abi::{Access, Error, Message, PAGE_BYTES, Pid, Request, USER_ADDRESS_END};

use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::memory::ZEROED_PAGES_PER_STEP;
use crate::paging::PAGE_MISSING;
use crate::process::{NOBODY, State};
use crate::region::{Backing, NO_REGION, PageRange, check_protection};
use crate::request::Answer;
use crate::team::TeamIndex;
use crate::{Result, ensure};

impl<M: Machine> Kernel<M> {
    /// Carries out a request, or the next step of it.
    #[inline(never)]
    pub(crate) fn memory_request(&mut self, caller: ProcessIndex, message: &Message) -> Result<Answer> {
        match Memory::from_message(message).ok_or(Error::BadRequest)? {
            Memory::Map(request) => self.map_memory(caller, &request),
            Memory::Unmap(request) => self.unmap_memory(caller, &request),
            Memory::Protect(request) => self.protect_memory(caller, &request),
            Memory::QueryRegion(request) => self.query_region(caller, &request),
            Memory::Bind(request) => self.bind_memory(caller, &request),
            Memory::Flush(request) => {
                let team = self.find_own_team(caller, request.team)?;
                let range = PageRange::new(request.address, request.pages)?;
                ensure(self.is_mapped(team, range), Error::NotMapped)?;
                self.flush_regions(team, range)?;
                Ok(Answer::reply(&Flushed {}))
            }
            Memory::Revoke(request) => {
                ensure(request.position.is_multiple_of(PAGE_BYTES), Error::BadArgument)?;
                let first = u32::try_from(request.position / PAGE_BYTES).map_err(|_| Error::BadArgument)?;
                let count = self.revoke(caller, request.instance, first, request.pages);
                Ok(Answer::reply(&Revoked { count }))
            }
            Memory::Fetch(request) => self.fetch_memory(caller, &request),
            Memory::Discard(request) => self.discard_memory(caller, &request),
            Memory::TakeWritten(request) => self.take_written(caller, &request),
            Memory::ReadMemory(request) => self.read_memory(caller, &request),
            Memory::WriteMemory(request) => self.write_memory(caller, &request),
            Memory::Peek(request) => self.peek(caller, &request),
            Memory::QueryTeam(request) => {
                let team = self.find_visible_team(caller, request.team)?;
                let team = self.team(team);
                Ok(Answer::reply(&TeamQueried {
                    quota_pages: team.pages.limit,
                    used_pages: team.pages.used,
                    quota_processes: team.processes.limit,
                    used_processes: team.processes.used,
                }))
            }
        }
    }

    /// A team whose address space the caller may change.
    pub(crate) fn find_own_team(&self, caller: ProcessIndex, pid: Pid) -> Result<TeamIndex> {
        let team = self.find_team(caller, pid)?;
        let is_own = team == self.processes[caller].team || self.is_newborn_of(caller, team);
        ensure(is_own, Error::NoPermission)?;
        Ok(team)
    }

    /// A team that the caller may look at.
    fn find_visible_team(&self, caller: ProcessIndex, pid: Pid) -> Result<TeamIndex> {
        let team = self.find_team(caller, pid)?;
        if team != self.processes[caller].team || self.own(caller).is_err() {
            self.may_control(caller, self.team(team).root)?;
        }
        Ok(team)
    }

    fn map_memory(&mut self, caller: ProcessIndex, request: &Map) -> Result<Answer> {
        let team = self.find_own_team(caller, request.team)?;
        let wired = request.protection & WIRED != 0;
        let cursor = self.processes[caller].extra.count;
        if cursor == 0 {
            check_protection(request.protection, READ | WRITE | EXECUTE | WIRED)?;
            if wired {
                self.may_wire(team, request.pages)?;
            }
            let range =
                self.add_region(team, request.address, request.pages, request.protection, Backing::Zero)?;
            if !wired {
                return Ok(Answer::reply(&Mapped { address: range.start }));
            }
            // From now on the request says which address was chosen.
            let chosen = Map { address: range.start, ..*request };
            let process = &mut self.processes[caller];
            process.registers.message = chosen.to_message().to_registers();
            process.extra.value = 0;
            return Ok(self.go_on_at(caller, range.start));
        }
        let range = PageRange::new(request.address, request.pages)?;
        let rest = PageRange { start: cursor, ..range };
        let failure = self.processes[caller].extra.value;
        if failure != 0 {
            // It could not be filled: it is taken away again, and then it is said why.
            let next = self.unmap_some(team, rest)?;
            ensure(next != range.end, Error::from_code(failure))?;
            return Ok(self.go_on_at(caller, next));
        }
        match self.populate_some(team, rest) {
            Ok(next) if next == range.end => Ok(Answer::reply(&Mapped { address: range.start })),
            Ok(next) => Ok(self.go_on_at(caller, next)),
            Err(error) => {
                self.processes[caller].extra.value = error.code();
                Ok(self.go_on_at(caller, range.start))
            }
        }
    }

    fn bind_memory(&mut self, caller: ProcessIndex, request: &Bind) -> Result<Answer> {
        let team = self.find_own_team(caller, request.team)?;
        check_protection(request.protection & !SHARED, READ | WRITE | EXECUTE)?;
        let shared = request.protection & SHARED != 0;
        ensure(!shared || request.protection & EXECUTE == 0, Error::BadArgument)?;
        let mut bytes = [0; BindingRecord::BYTES];
        self.read_request_segment(caller, &mut bytes)?;
        let binding = BindingRecord::from_bytes(&bytes);
        let (pager, first) = (Pid::from_bits(binding.pager), binding.position / PAGE_BYTES);
        let instance = u32::try_from(binding.instance).map_err(|_| Error::BadArgument)?;
        let fits = u32::try_from(first + u64::from(request.pages)).is_ok();
        ensure(binding.position.is_multiple_of(PAGE_BYTES) && fits, Error::BadArgument)?;
        ensure(!pager.is_none() && !pager.is_group() && !pager.is_kernel_server(), Error::BadArgument)?;
        let found = self.find_receiver_anywhere(self.processes.host(), pager)?;
        ensure(found == NOBODY || self.processes[found].state != State::KernelServer, Error::BadArgument)?;
        let user = self.processes[caller].user;
        let mut object = self.regions.objects.find_or_allocate(pager, instance, user);
        while object.is_err() && self.release_unbound_step() {
            object = self.regions.objects.find_or_allocate(pager, instance, user);
        }
        let object = object?;
        let backing = Backing::Bound { object, page: first as u32, shared };
        let added = self.add_region(team, request.address, request.pages, request.protection, backing);
        if added.is_err() && self.regions.objects.get(object).regions == NO_REGION {
            self.regions.objects.unbound += 1;
        }
        Ok(Answer::reply(&Bound { address: added?.start }))
    }

    /// Writes back what is dirty in the shared regions of a range.
    fn flush_regions(&mut self, team: TeamIndex, range: PageRange) -> Result<()> {
        let mut address = range.start;
        let mut missing = NOBODY;
        while let Some(region) = self.first_region_ending_after(team, address).filter(|_| address < range.end)
        {
            let end = region.end().min(range.end);
            if let Backing::Bound { object, page, shared: true } = region.backing {
                let page_at = |address: u64| page + ((address - region.start) / PAGE_BYTES) as u32;
                match self.flush(object, page_at(address), page_at(end)) {
                    Err(PAGE_MISSING) => missing = self.missing,
                    flushed => flushed?,
                }
            }
            address = end;
        }
        (self.missing, self.missing_room) = (missing, true);
        ensure(missing == NOBODY, PAGE_MISSING)
    }

    fn unmap_memory(&mut self, caller: ProcessIndex, request: &Unmap) -> Result<Answer> {
        let team = self.find_own_team(caller, request.team)?;
        let mut range = PageRange::new(request.address, request.pages)?;
        match self.processes[caller].extra.count {
            0 if !self.is_mapped(team, range) => return Err(Error::NotMapped),
            0 => {}
            cursor => range.start = cursor,
        }
        let next = self.unmap_some(team, range)?;
        if next == range.end { Ok(Answer::reply(&Unmapped {})) } else { Ok(self.go_on_at(caller, next)) }
    }

    /// Asks for one page after the other; each that comes begins the request anew.
    fn fetch_memory(&mut self, caller: ProcessIndex, request: &Fetch) -> Result<Answer> {
        let team = self.find_own_team(caller, request.team)?;
        ensure(request.pages <= MOST_FETCHED, Error::TooLong)?;
        let range = PageRange::new(request.address, request.pages)?;
        let mut address = range.start.max(self.processes[caller].extra.count);
        let mut given = 0;
        while address < range.end {
            let region = self.first_region_ending_after(team, address).ok_or(Error::NotMapped)?;
            ensure(region.start <= address, Error::NotMapped)?;
            match region.backing {
                Backing::Bound { object, page, .. } => {
                    let page = page + ((address - region.start) / PAGE_BYTES) as u32;
                    if self.cache.find(object, page).is_none() {
                        let end = page + ((range.end.min(region.end()) - address) / PAGE_BYTES) as u32;
                        return Err(self.request_page(object, page, end));
                    }
                }
                Backing::Zero if given == ZEROED_PAGES_PER_STEP => return Ok(self.go_on_at(caller, address)),
                Backing::Zero => {
                    given += 1;
                    self.give_beyond_reserve(team, address)?;
                }
                _ => return Err(Error::BadArgument),
            }
            address += PAGE_BYTES;
        }
        Ok(Answer::reply(&Fetched {}))
    }

    fn discard_memory(&mut self, caller: ProcessIndex, request: &Discard) -> Result<Answer> {
        let team = self.find_own_team(caller, request.team)?;
        let mut range = PageRange::new(request.address, request.pages)?;
        range.start = range.start.max(self.processes[caller].extra.count);
        let next = self.discard_some(team, range)?;
        if next == range.end { Ok(Answer::reply(&Discarded {})) } else { Ok(self.go_on_at(caller, next)) }
    }

    fn protect_memory(&mut self, caller: ProcessIndex, request: &Protect) -> Result<Answer> {
        let team = self.find_own_team(caller, request.team)?;
        let mut range = PageRange::new(request.address, request.pages)?;
        match self.processes[caller].extra.count {
            0 => {
                // No access at all makes a guard page.
                if request.protection != 0 {
                    check_protection(request.protection, READ | WRITE | EXECUTE)?;
                }
                self.protect_regions(team, range, request.protection)?;
            }
            cursor => range.start = cursor,
        }
        let next = self.protect_some(team, range);
        if next == range.end { Ok(Answer::reply(&Protected {})) } else { Ok(self.go_on_at(caller, next)) }
    }

    fn query_region(&mut self, caller: ProcessIndex, request: &QueryRegion) -> Result<Answer> {
        let team = self.find_visible_team(caller, request.team)?;
        let region = self.first_region_ending_after(team, request.address).ok_or(Error::NotMapped)?;
        let (protection, resident) = match region.backing {
            Backing::Physical { .. } => (region.protection | DEVICE, region.pages),
            Backing::Dma { .. } | Backing::Held { .. } => (region.protection, region.pages),
            Backing::Zero | Backing::Bound { .. } => {
                let extra = &mut self.processes[caller].extra;
                if extra.count == 0 {
                    extra.value = 0;
                }
                let mut resident = extra.value;
                let rest = PageRange { start: extra.count.max(region.start), end: region.end() };
                let next = self.count_some(team, rest, &mut resident);
                if next < rest.end {
                    self.processes[caller].extra.value = resident;
                    return Ok(self.go_on_at(caller, next));
                }
                (region.protection, resident)
            }
        };
        let (mut dirty, mut binding) = (0, BindingRecord::default());
        if let Backing::Bound { object, page, shared } = region.backing {
            let bound = self.regions.objects.get(object);
            binding = BindingRecord {
                pager: bound.pager.to_bits(),
                instance: bound.instance.into(),
                position: u64::from(page) * PAGE_BYTES,
            };
            if shared {
                dirty = self.count_dirty(object, page, page + region.pages);
            }
        }
        let queried =
            RegionQueried { address: region.start, pages: region.pages, protection, resident, dirty };
        if self.processes[caller].grant().access().contains(Access::WRITE) {
            return self.reply_with(caller, &queried, &binding.to_bytes());
        }
        Ok(Answer::reply(&queried))
    }

    /// Reads of a page of a team as one of its processes would.
    fn peek(&mut self, caller: ProcessIndex, request: &Peek) -> Result<Answer> {
        let team = self.find_visible_team(caller, request.team)?;
        ensure(request.address < USER_ADDRESS_END, Error::BadAddress)?;
        let mut page = [0; PAGE_BYTES as usize];
        let bytes = self.processes[caller].grant().bytes();
        let bytes = bytes.min(PAGE_BYTES - request.address % PAGE_BYTES) as usize;
        self.read_from(self.team(team).root, request.address, &mut page[..bytes])?;
        self.reply_with(caller, &Peeked {}, &page[..bytes])
    }

    pub(crate) fn go_on_at(&mut self, caller: ProcessIndex, address: u64) -> Answer {
        self.processes[caller].extra.count = address;
        Answer::InSteps
    }
}

#[cfg(test)]
#[path = "tests/memory_server.rs"]
mod tests;
