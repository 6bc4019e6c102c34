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

/// Carries out a request, or the next step of it.
#[inline(never)]
pub(crate) fn request<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: ProcessIndex,
    message: &Message,
) -> Result<Answer, Error> {
    match Memory::from_message(message).ok_or(Error::BadRequest)? {
        Memory::Map(request) => map(kernel, caller, &request),
        Memory::Unmap(request) => unmap(kernel, caller, &request),
        Memory::Protect(request) => protect(kernel, caller, &request),
        Memory::QueryRegion(request) => query_region(kernel, caller, &request),
        Memory::QueryTeam(request) => {
            let team = find_visible_team(kernel, caller, request.team)?;
            let team = kernel.team(team);
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
fn find_own_team<M: Machine>(kernel: &Kernel<M>, caller: ProcessIndex, pid: Pid) -> Result<TeamIndex, Error> {
    let team = kernel.find_team(caller, pid)?;
    if team == kernel.processes[caller].team || kernel.is_newborn_of(caller, team) {
        Ok(team)
    } else {
        Err(Error::NoPermission)
    }
}

/// A team that the caller may look at.
fn find_visible_team<M: Machine>(
    kernel: &Kernel<M>,
    caller: ProcessIndex,
    pid: Pid,
) -> Result<TeamIndex, Error> {
    let team = kernel.find_team(caller, pid)?;
    if team != kernel.processes[caller].team {
        kernel.may_control(caller, kernel.team(team).root)?;
    }
    Ok(team)
}

fn map<M: Machine>(kernel: &mut Kernel<M>, caller: ProcessIndex, request: &Map) -> Result<Answer, Error> {
    let team = find_own_team(kernel, caller, request.team)?;
    let cursor = kernel.processes[caller].extra.count;
    let range = if cursor == 0 {
        check_protection(request.protection, READ | WRITE | EXECUTE | WIRED)?;
        if request.protection & WIRED != 0 {
            kernel.may_wire(team, request.pages)?;
        }
        let range =
            kernel.add_region(team, request.address, request.pages, request.protection, Backing::Zero)?;
        if request.protection & WIRED == 0 {
            return Ok(Answer::reply(&Mapped { address: range.start }));
        }
        // From now on the request says which address was chosen.
        let chosen = Map { address: range.start, ..*request };
        let process = &mut kernel.processes[caller];
        process.registers.message = chosen.to_message().to_registers();
        process.extra.value = 0;
        range
    } else {
        let range = PageRange::new(request.address, request.pages)?;
        PageRange { start: cursor, ..range }
    };
    if kernel.processes[caller].extra.value != 0 {
        return unmap_failed(kernel, caller, team, range);
    }
    match kernel.populate_some(team, range) {
        Ok(next) if next == range.end => {
            let message = Message::from_registers(kernel.processes[caller].registers.message);
            let address = Map::from_message(&message).address;
            Ok(Answer::reply(&Mapped { address }))
        }
        Ok(next) => Ok(go_on_at(kernel, caller, next)),
        Err(error) => {
            let message = Message::from_registers(kernel.processes[caller].registers.message);
            let start = Map::from_message(&message).address;
            kernel.processes[caller].extra.value = error.code();
            Ok(go_on_at(kernel, caller, start))
        }
    }
}

/// A wired region could not be filled: takes it away again, then says why.
fn unmap_failed<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: ProcessIndex,
    team: TeamIndex,
    range: PageRange,
) -> Result<Answer, Error> {
    let next = kernel.unmap_some(team, range)?;
    if next == range.end {
        Err(Error::from_code(kernel.processes[caller].extra.value))
    } else {
        Ok(go_on_at(kernel, caller, next))
    }
}

fn unmap<M: Machine>(kernel: &mut Kernel<M>, caller: ProcessIndex, request: &Unmap) -> Result<Answer, Error> {
    let team = find_own_team(kernel, caller, request.team)?;
    let mut range = PageRange::new(request.address, request.pages)?;
    match kernel.processes[caller].extra.count {
        0 if !kernel.is_mapped(team, range) => return Err(Error::NotMapped),
        0 => {}
        cursor => range.start = cursor,
    }
    let next = kernel.unmap_some(team, range)?;
    if next == range.end { Ok(Answer::reply(&Unmapped {})) } else { Ok(go_on_at(kernel, caller, next)) }
}

fn protect<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: ProcessIndex,
    request: &Protect,
) -> Result<Answer, Error> {
    let team = find_own_team(kernel, caller, request.team)?;
    let mut range = PageRange::new(request.address, request.pages)?;
    match kernel.processes[caller].extra.count {
        0 => {
            // No access at all makes a guard page.
            if request.protection != 0 {
                check_protection(request.protection, READ | WRITE | EXECUTE)?;
            }
            kernel.protect_regions(team, range, request.protection)?;
        }
        cursor => range.start = cursor,
    }
    let next = kernel.protect_some(team, range);
    if next == range.end { Ok(Answer::reply(&Protected {})) } else { Ok(go_on_at(kernel, caller, next)) }
}

fn query_region<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: ProcessIndex,
    request: &QueryRegion,
) -> Result<Answer, Error> {
    let team = find_visible_team(kernel, caller, request.team)?;
    let region = kernel.first_region_ending_after(team, request.address).ok_or(Error::NotMapped)?;
    let (protection, resident) = match region.backing {
        Backing::Physical { .. } => (region.protection | DEVICE, region.pages),
        Backing::Dma { .. } | Backing::Held { .. } => (region.protection, region.pages),
        Backing::Zero => {
            let extra = &mut kernel.processes[caller].extra;
            if extra.count == 0 {
                extra.value = 0;
            }
            let mut resident = extra.value;
            let rest = PageRange { start: extra.count.max(region.start), end: region.end() };
            let next = kernel.count_some(team, rest, &mut resident);
            if next < rest.end {
                kernel.processes[caller].extra.value = resident;
                return Ok(go_on_at(kernel, caller, next));
            }
            (region.protection, resident)
        }
    };
    Ok(Answer::reply(&RegionQueried { address: region.start, pages: region.pages, protection, resident }))
}

fn go_on_at<M: Machine>(kernel: &mut Kernel<M>, caller: ProcessIndex, address: u64) -> Answer {
    kernel.processes[caller].extra.count = address;
    Answer::InSteps
}

#[cfg(test)]
#[path = "tests/memory_server.rs"]
mod tests;
