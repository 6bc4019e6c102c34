//! Memory of guests that move: which pages were written, what is in them, and putting it where they go.
//!
//! What moves is what no one else has: frames of the team's own, in regions of zeros and in private bound ones. All
//! else is read again where it comes from. A page counts as written when it is mapped, and from then on whenever its
//! program or a copy of the kernel's writes it (`Machine::take_written`).

use abi::kernel::memory::{MemoryRead, MemoryWritten, ReadMemory, TakeWritten, WriteMemory, WrittenTaken};
use abi::kernel::record::PagesRecord;
use abi::{Access, Error, LogicalHost, PAGE_BYTES, Pid, Rights, USER_ADDRESS_END};

use crate::frame::Frame;
use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::memory::PAGES_PER_STEP;
use crate::region::{Backing, PageRange, Region};
use crate::request::Answer;
use crate::team::TeamIndex;
use crate::{Result, ensure};

/// Pages that one step copies.
const COPIED_PAGES_PER_STEP: u64 = 8;

impl<M: Machine> Kernel<M> {
    /// A guest that the caller may move: by right, or as the network server.
    pub(crate) fn find_guest(&self, caller: ProcessIndex, pid: Pid) -> Result<TeamIndex> {
        if caller != self.network_server {
            self.need_right(caller, Rights::CREATE_FOR_OTHERS)?;
        }
        let team = self.find_team(caller, pid)?;
        ensure(self.team(team).host != LogicalHost::OWN, Error::NotMovable)?;
        Ok(team)
    }

    /// The frame of a page if it is the team's own, whatever may be done with it.
    fn own_frame(&self, team: TeamIndex, region: &Region, address: u64) -> Option<Frame> {
        let frame = self.machine.translate(self.team(team).space, address, 0)?;
        match region.backing {
            Backing::Zero => Some(frame),
            Backing::Bound { shared: false, .. } if !self.cache.holds(frame) => Some(frame),
            _ => None,
        }
    }

    /// Tells runs of own pages, and takes note that they were told.
    pub(crate) fn take_written(&mut self, caller: ProcessIndex, request: &TakeWritten) -> Result<Answer> {
        const RECORD: u64 = PagesRecord::BYTES as u64;
        let team = self.find_guest(caller, request.team)?;
        let space = self.team(team).space;
        let extra = &mut self.processes[caller].extra;
        if extra.count == 0 {
            (extra.count, extra.value) = (request.address.max(PAGE_BYTES) & !(PAGE_BYTES - 1), 0);
        }
        let (mut address, told) = (extra.count, extra.value);
        let at = u64::from(told) * RECORD;
        let room = (self.processes[caller].grant().bytes().saturating_sub(at) / RECORD).min(16) as usize;
        ensure(room > 0 || told > 0, Error::TooLong)?;
        let mut runs = [PagesRecord::default(); 16];
        // What is told now must arrive: its place is touched before.
        self.write_reply_segment(caller, at, &[0; 16 * PagesRecord::BYTES][..room * PagesRecord::BYTES])?;
        let (mut count, mut is_done) = (0, room == 0);
        let next = if request.all != 0 { M::next_mapped } else { M::next_written };
        for _ in 0..PAGES_PER_STEP {
            let Some(region) = self.first_region_ending_after(team, address).filter(|_| !is_done) else {
                is_done = true;
                address = if room == 0 { address } else { 0 };
                break;
            };
            address = next(&self.machine, space, address.max(region.start), region.end());
            if address >= region.end() || self.own_frame(team, &region, address).is_none() {
                address = region.end().min(address + PAGE_BYTES);
                continue;
            }
            let follows =
                count > 0 && runs[count - 1].address + runs[count - 1].pages * PAGE_BYTES == address;
            if count == room && !follows {
                is_done = true;
                break;
            }
            if request.all != 0 || self.machine.take_written(space, address) {
                if !follows {
                    runs[count] = PagesRecord { address, pages: 0 };
                    count += 1;
                }
                runs[count - 1].pages += 1;
            }
            address += PAGE_BYTES;
        }
        for (place, run) in (at..).step_by(PagesRecord::BYTES).zip(&runs[..count]) {
            self.write_reply_segment(caller, place, &run.to_bytes())?;
        }
        let told = told + count as u32;
        let extra = &mut self.processes[caller].extra;
        (extra.count, extra.value) = (address, told);
        if is_done {
            let reply = WrittenTaken { count: told, next: address };
            return Ok(Answer::with_segment(&reply, u64::from(told) * RECORD));
        }
        Ok(Answer::InSteps)
    }

    /// Copies own pages into the caller's segment, up to the first that is not.
    pub(crate) fn read_memory(&mut self, caller: ProcessIndex, request: &ReadMemory) -> Result<Answer> {
        let team = self.find_guest(caller, request.team)?;
        let (range, step) = self.copied_step(caller, request.address, Access::WRITE)?;
        for address in step.clone().step_by(PAGE_BYTES as usize) {
            let region =
                self.first_region_ending_after(team, address).filter(|region| region.start <= address);
            let Some(frame) = region.and_then(|region| self.own_frame(team, &region, address)) else {
                let bytes = address - range.start;
                let pages = (bytes / PAGE_BYTES) as u32;
                return Ok(Answer::with_segment(&MemoryRead { pages }, bytes));
            };
            let mut page = [0; PAGE_BYTES as usize];
            self.machine.read_frame(frame, 0, &mut page);
            self.write_reply_segment(caller, address - range.start, &page)?;
        }
        if step.end < range.end {
            return Ok(self.go_on_at(caller, step.end));
        }
        let reply = MemoryRead { pages: range.pages() };
        Ok(Answer::with_segment(&reply, range.end - range.start))
    }

    /// Makes pages of the caller's segment own pages of a team that awaits its first reply from the caller, or that the
    /// caller debugs.
    pub(crate) fn write_memory(&mut self, caller: ProcessIndex, request: &WriteMemory) -> Result<Answer> {
        let team = self.find_team(caller, request.team)?;
        let is_debugger = self.team(team).exception_server == self.processes[caller].pid;
        if !is_debugger {
            self.find_own_team(caller, request.team)?;
        }
        let (range, step) = self.copied_step(caller, request.address, Access::READ)?;
        for address in step.clone().step_by(PAGE_BYTES as usize) {
            let mut page = [0; PAGE_BYTES as usize];
            let place = self.processes[caller].segment_address() + (address - range.start);
            self.read_from(caller, place, &mut page)?;
            let region = self.first_region_ending_after(team, address).ok_or(Error::NotMapped)?;
            ensure(region.start <= address, Error::NotMapped)?;
            let is_private = matches!(region.backing, Backing::Zero | Backing::Bound { shared: false, .. });
            ensure(is_private, Error::BadArgument)?;
            let frame = match self.own_frame(team, &region, address) {
                Some(frame) => frame,
                None => self.give_own(team, address, &region)?,
            };
            self.machine.write_frame(frame, 0, &page);
        }
        if step.end < range.end {
            return Ok(self.go_on_at(caller, step.end));
        }
        Ok(Answer::reply(&MemoryWritten {}))
    }

    /// All pages that a request is for, which its segment holds, and the addresses of those that the next step copies.
    fn copied_step(
        &self,
        caller: ProcessIndex,
        address: u64,
        access: Access,
    ) -> Result<(PageRange, core::ops::Range<u64>)> {
        let process = &self.processes[caller];
        let grant = process.grant();
        ensure(
            grant.access().contains(access) && grant.bytes().is_multiple_of(PAGE_BYTES),
            Error::BadArgument,
        )?;
        let pages = grant.bytes().min(USER_ADDRESS_END) / PAGE_BYTES;
        let range = PageRange::new(address, u32::try_from(pages).map_err(|_| Error::TooLong)?)?;
        let start = process.extra.count.max(address);
        Ok((range, start..range.end.min(start + COPIED_PAGES_PER_STEP * PAGE_BYTES)))
    }

    /// Gives a team a frame of its own for a page, whatever the page's server has.
    fn give_own(&mut self, team: TeamIndex, address: u64, region: &Region) -> Result<Frame> {
        let frame = self.take_own_frame(team)?;
        self.machine.unmap(self.team(team).space, address);
        self.map_own(team, address, frame, region.machine_protection())?;
        Ok(frame)
    }
}
