//! The device server: interrupts, ports, device memory and DMA memory, for teams that were granted them.
//!
//! A grant is a range of one kind of resource, kept in the team. The first team gets what the machine has; from there
//! a team with the right hands on what lies within one of its own grants, and keeps it. For DMA memory a grant is
//! how much a team may have at once.
//!
//! DMA memory of a team that has ended is held back, since its device may still write there, until someone with the
//! right says that the device was reset.

use abi::kernel::device::{
    AllocateDma, Device, DmaAllocated, DmaReleased, InterruptClaimed, InterruptReleased, MapPhysical,
    PhysicalMapped, PortBytesRead, PortBytesWritten, PortRead, PortWritten,
};
use abi::kernel::process::{DeviceGranted, GrantDevice};
use abi::kernel::protection::{READ, WRITE};
use abi::kernel::resource;
use abi::{Error, Message, PAGE_BYTES, Pid, Rights};

use crate::frame::Frame;
use crate::kernel::Kernel;
use crate::machine::{Caching, Machine, ProcessIndex};
use crate::region::{Backing, Region, check_protection};
use crate::request::Answer;
use crate::team::{DeviceGrant, Team};
use crate::{Result, ensure};

/// Most pages of DMA memory in one piece: they are zeroed at once.
pub const DMA_PAGES_AT_ONCE: u32 = 512;

/// DMA memory lies below 4 GiB, where every device can reach it.
const DMA_LIMIT: Frame = Frame(1 << 20);

/// Most bytes that one request writes to a port.
const PORT_BYTES_AT_ONCE: usize = 256;

/// Most bytes that one request reads from a port: what fits the reply.
const PORT_BYTES_IN_REPLY: u32 = 16;

const PORT_COUNT: u64 = 1 << 16;

impl<M: Machine> Kernel<M> {
    /// Carries out a request.
    #[inline(never)]
    pub(crate) fn device_request(&mut self, caller: ProcessIndex, message: &Message) -> Result<Answer> {
        match Device::from_message(message).ok_or(Error::BadRequest)? {
            Device::ClaimInterrupt(claim) => {
                self.need_grant(caller, resource::INTERRUPTS, u64::from(claim.line), 1)?;
                let interrupt = self.claim_interrupt(caller, claim.line)?;
                let (address, data) = self.machine.interrupt_message(claim.line).unwrap_or_default();
                Ok(Answer::reply(&InterruptClaimed { interrupt, address, data }))
            }
            Device::ReleaseInterrupt(release) => {
                self.release_interrupt(caller, release.interrupt)?;
                Ok(Answer::reply(&InterruptReleased {}))
            }
            Device::MapPhysical(map) => self.map_physical(caller, &map),
            Device::AllocateDma(allocate) => self.allocate_dma(caller, &allocate),
            Device::ReadPort(read) => {
                let port = self.need_port(caller, read.port, read.width)?;
                let value = self.machine.read_port(port, read.width);
                Ok(Answer::reply(&PortRead { value }))
            }
            Device::WritePort(write) => {
                let port = self.need_port(caller, write.port, write.width)?;
                self.machine.write_port(port, write.width, write.value);
                Ok(Answer::reply(&PortWritten {}))
            }
            Device::WritePortBytes(write) => self.write_port_bytes(caller, write.port),
            Device::ReadPortBytes(read) => self.read_port_bytes(caller, read.port, read.count),
            Device::ReleaseDma(release) => {
                self.need_right(caller, Rights::DEVICES)?;
                let pages = self.release_dma(release.team);
                Ok(Answer::reply(&DmaReleased { pages }))
            }
        }
    }

    fn need_grant(&self, caller: ProcessIndex, kind: u32, start: u64, count: u32) -> Result<DeviceGrant> {
        let team = self.team(self.processes[caller].team);
        find_grant(team, kind, start, count).ok_or(Error::NoPermission)
    }

    /// The process server's request to hand a resource to a team.
    pub(crate) fn grant_device(&mut self, caller: ProcessIndex, request: &GrantDevice) -> Result<Answer> {
        self.need_right(caller, Rights::DEVICES)?;
        let team = self.find_team(caller, request.team)?;
        self.may_control(caller, self.team(team).root)?;
        let known =
            matches!(request.kind, resource::PORTS | resource::INTERRUPTS | resource::MEMORY | resource::DMA);
        ensure(known && request.count != 0, Error::BadArgument)?;
        let own = self.need_grant(caller, request.kind, request.start, request.count)?;
        let grant = DeviceGrant { start: request.start, count: request.count, ..own };
        add_grant(self.team_mut(team), grant)?;
        Ok(Answer::reply(&DeviceGranted {}))
    }

    fn map_physical(&mut self, caller: ProcessIndex, request: &MapPhysical) -> Result<Answer> {
        check_protection(request.protection, READ | WRITE)?;
        let page = request.physical / PAGE_BYTES;
        let first = u32::try_from(page).map_err(|_| Error::BadArgument)?;
        let is_sound =
            request.physical.is_multiple_of(PAGE_BYTES) && first.checked_add(request.pages).is_some();
        ensure(is_sound, Error::BadArgument)?;
        let grant = self.need_grant(caller, resource::MEMORY, page, request.pages)?;
        let backing = Backing::Physical {
            first: Frame(first),
            caching: if grant.cached { Caching::Cached } else { Caching::Uncached },
        };
        let team = self.processes[caller].team;
        let range = self.add_region(team, request.address, request.pages, request.protection, backing)?;
        Ok(Answer::reply(&PhysicalMapped { address: range.start }))
    }

    fn allocate_dma(&mut self, caller: ProcessIndex, request: &AllocateDma) -> Result<Answer> {
        let pages = request.pages;
        ensure(pages != 0, Error::BadArgument)?;
        ensure(pages <= DMA_PAGES_AT_ONCE, Error::TooLong)?;
        let index = self.processes[caller].team;
        let wanted = self.team(index).dma_pages + pages;
        self.need_grant(caller, resource::DMA, 0, wanted)?;
        self.team_mut(index).pages.take(pages)?;
        let result = match self.frames.allocate_contiguous(pages, DMA_LIMIT) {
            None => Err(Error::NoMemory),
            Some(first) => self
                .add_region(index, request.address, pages, READ | WRITE, Backing::Dma { first })
                .map(|range| (range, first))
                .inspect_err(|_| self.release_frames(first, pages)),
        };
        let (range, first) = result.inspect_err(|_| self.team_mut(index).pages.give_back(pages))?;
        self.team_mut(index).dma_pages = wanted;
        for page in 0..pages {
            self.machine.zero_frame(Frame(first.0 + page));
        }
        Ok(Answer::reply(&DmaAllocated { address: range.start, physical: first.address() }))
    }

    fn release_frames(&mut self, first: Frame, pages: u32) {
        for page in 0..pages {
            self.frames.release(Frame(first.0 + page));
        }
    }

    /// Frees what is held back of an ended team; returns how many pages that were.
    fn release_dma(&mut self, team: Pid) -> u32 {
        let of_team =
            |region: &Region| matches!(region.backing, Backing::Held { team: of, .. } if of == team);
        let mut pages = 0;
        while let Some(region) = self.regions.take_first(&mut self.held, of_team) {
            if let Backing::Held { first, .. } = region.backing {
                self.release_frames(first, region.pages);
                pages += region.pages;
            }
        }
        pages
    }

    /// Checks a port and the width of an access to it.
    fn need_port(&self, caller: ProcessIndex, port: u32, width: u32) -> Result<u16> {
        ensure(
            matches!(width, 1 | 2 | 4) && u64::from(port) + u64::from(width) <= PORT_COUNT,
            Error::BadArgument,
        )?;
        self.need_grant(caller, resource::PORTS, u64::from(port), width)?;
        Ok(port as u16)
    }

    fn read_port_bytes(&mut self, caller: ProcessIndex, port: u32, count: u32) -> Result<Answer> {
        let port = self.need_port(caller, port, 1)?;
        ensure(count <= PORT_BYTES_IN_REPLY, Error::TooLong)?;
        let mut bytes = 0_u128;
        for at in 0..count {
            bytes |= u128::from(self.machine.read_port(port, 1) & 0xff) << (8 * at);
        }
        Ok(Answer::reply(&PortBytesRead { first_bytes: bytes as u64, last_bytes: (bytes >> 64) as u64 }))
    }

    fn write_port_bytes(&mut self, caller: ProcessIndex, port: u32) -> Result<Answer> {
        let port = self.need_port(caller, port, 1)?;
        let mut buffer = [0; PORT_BYTES_AT_ONCE];
        let bytes = self.read_whole_segment(caller, &mut buffer)?;
        for byte in bytes {
            self.machine.write_port(port, 1, u32::from(*byte));
        }
        Ok(Answer::reply(&PortBytesWritten { count: bytes.len() as u32 }))
    }
}

/// The grant of a team within which a range lies.
fn find_grant<Space>(team: &Team<Space>, kind: u32, start: u64, count: u32) -> Option<DeviceGrant> {
    team.grants.iter().copied().find(|grant| {
        grant.kind == kind
            && grant.count >= count
            && start >= grant.start
            && start - grant.start <= u64::from(grant.count - count)
    })
}

/// Gives a grant to a team, unless it has it already.
pub(crate) fn add_grant<Space>(team: &mut Team<Space>, grant: DeviceGrant) -> Result<()> {
    if find_grant(team, grant.kind, grant.start, grant.count).is_some() {
        return Ok(());
    }
    // Of DMA memory there is one grant, which grows: two would not mean twice as much.
    let same = |old: &&mut DeviceGrant| old.kind == resource::DMA && grant.kind == resource::DMA;
    let place = match team.grants.iter_mut().find(same) {
        Some(old) => Some(old),
        None => team.grants.iter_mut().find(|old| old.count == 0),
    };
    *place.ok_or(Error::NoResources)? = grant;
    Ok(())
}

#[cfg(test)]
#[path = "tests/device_server.rs"]
mod tests;
