//! The memory server: what regions a team has.
//!
//! A team is changed by its own processes, or by its creator until that replies to its root for the first time.
//! Looking is also for whoever may control it.
//!
//! What touches many pages goes in steps, as long work of the caller. The request stays in the caller's registers
//! and is carried out from its beginning each time, with permission checked anew; `extra.count` holds the address at
//! which to go on, 0 at first.

use abi::kernel::memory::{
    Map, Mapped, Memory, Protect, Protected, QueryRegion, RegionQueried, TeamQueried, Unmap, Unmapped,
};
use abi::kernel::protection::{DEVICE, EXECUTE, READ, WIRED, WRITE};
use abi::{Error, Message, Pid, Request};

use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::region::{Backing, PageRange, check_protection};
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
    fn find_own_team(&self, caller: ProcessIndex, pid: Pid) -> Result<TeamIndex> {
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
            Backing::Zero => {
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
        Ok(Answer::reply(&RegionQueried { address: region.start, pages: region.pages, protection, resident }))
    }

    fn go_on_at(&mut self, caller: ProcessIndex, address: u64) -> Answer {
        self.processes[caller].extra.count = address;
        Answer::InSteps
    }
}

#[cfg(test)]
#[path = "tests/memory_server.rs"]
mod tests;
