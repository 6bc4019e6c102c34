//! A machine for the unit tests of this crate: spaces are maps of pages, tables are counted as x86-64 would have them.

extern crate std;

use std::collections::{BTreeMap, BTreeSet};
use std::string::String;
use std::vec::Vec;

use abi::kernel::message_line;
use abi::kernel::protection::{READ, WRITE};
use abi::kernel::record::RegisterRecord;
use abi::protocol::Reply;
use abi::{Error, LogicalHost, Message, PAGE_BYTES, Request, Rights, UserId};

use crate::frame::{Frame, Frames};
use crate::kernel::{Configuration, Kernel};
use crate::machine::{Caching, CopyFault, Machine, Place, ProcessIndex, Protection, Side};
use crate::process::{Flags, NOBODY};
use crate::request::Answer;
use crate::team::{Quota, Team, TeamIndex};

/// Names a space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FakeSpace(u32);

/// A space's tables and pages.
#[derive(Default)]
struct Tables {
    pages: BTreeMap<u64, (Frame, Protection, Caching)>,
    /// By level and the address bits that lead there.
    tables: BTreeMap<(u32, u64), Frame>,
}

/// A machine of memory alone, and devices that remember what was done to them.
#[derive(Default)]
pub struct FakeMachine {
    spaces: BTreeMap<FakeSpace, Tables>,
    next_space: u32,
    memory: BTreeMap<Frame, Vec<u8>>,
    /// The time.
    pub now_ns: u64,
    /// Lines that are let through.
    pub unmasked: BTreeSet<u32>,
    /// Ports written: port, width, value.
    pub written: Vec<(u16, u32, u32)>,
    /// What was logged.
    pub logged: String,
}

/// Lines of the fake interrupt controller.
pub const LINES: u32 = 24;
/// Where devices write to interrupt.
pub const MESSAGE_ADDRESS: u64 = 0xfee0_0000;

impl FakeMachine {
    /// Pages mapped in a space.
    pub fn page_count(&self, space: FakeSpace) -> usize {
        self.spaces[&space].pages.len()
    }

    /// What is mapped at a page.
    pub fn page(&self, space: FakeSpace, address: u64) -> Option<(Frame, Protection, Caching)> {
        self.spaces[&space].pages.get(&address).copied()
    }

    fn bytes(&mut self, frame: Frame) -> &mut Vec<u8> {
        // What a frame holds before it is zeroed must never be seen.
        self.memory.entry(frame).or_insert_with(|| std::vec![0xaa; PAGE_BYTES as usize])
    }

    fn byte(&mut self, place: Place<FakeSpace>, access: Protection) -> Option<&mut u8> {
        let frame = self.translate(place.space, place.address, access)?;
        self.bytes(frame).get_mut((place.address % PAGE_BYTES) as usize)
    }
}

impl Machine for FakeMachine {
    type Space = FakeSpace;

    fn now_ns(&mut self) -> u64 {
        self.now_ns += 1;
        self.now_ns
    }

    fn set_timer(&mut self, _: u64) {}

    fn create_space(&mut self, frames: &mut Frames) -> Option<FakeSpace> {
        if frames.free_count() < 2 {
            return None;
        }
        let space = FakeSpace(self.next_space);
        self.next_space += 1;
        let tables = self.spaces.entry(space).or_default();
        tables.tables.insert((0, 0), frames.allocate()?);
        tables.tables.insert((1, abi::information::ADDRESS >> 39), frames.allocate()?);
        Some(space)
    }

    fn destroy_space(&mut self, space: FakeSpace, limit: u32, frames: &mut Frames) -> (u32, bool) {
        let tables = self.spaces.get_mut(&space).expect("a space that exists");
        assert!(tables.pages.is_empty(), "pages were left in a space");
        let mut freed = 0;
        while freed < limit {
            let Some((_, frame)) = tables.tables.pop_last() else {
                self.spaces.remove(&space);
                return (freed, true);
            };
            frames.release(frame);
            freed += 1;
        }
        (freed, false)
    }

    fn map(
        &mut self,
        space: FakeSpace,
        address: u64,
        frame: Frame,
        protection: Protection,
        caching: Caching,
        frames: &mut Frames,
    ) -> Result<u32, Error> {
        assert!(address.is_multiple_of(PAGE_BYTES) && address < abi::USER_ADDRESS_END);
        let tables = self.spaces.get_mut(&space).expect("a space that exists");
        if tables.pages.contains_key(&address) {
            return Err(Error::BadAddress);
        }
        let missing: Vec<_> = [(1, address >> 39), (2, address >> 30), (3, address >> 21)]
            .into_iter()
            .filter(|key| !tables.tables.contains_key(key))
            .collect();
        if frames.free_count() < missing.len() as u32 {
            return Err(Error::NoMemory);
        }
        for key in &missing {
            let table = frames.allocate().expect("counted above");
            tables.tables.insert(*key, table);
        }
        tables.pages.insert(address, (frame, protection, caching));
        Ok(missing.len() as u32)
    }

    fn map_run(
        &mut self,
        space: FakeSpace,
        address: u64,
        most: u32,
        mut each: impl FnMut(u32) -> Option<(Frame, Protection)>,
    ) -> u32 {
        let tables = self.spaces.get_mut(&space).expect("a space that exists");
        for count in 0..most {
            let address = address + u64::from(count) * PAGE_BYTES;
            if !tables.tables.contains_key(&(3, address >> 21)) || tables.pages.contains_key(&address) {
                return count;
            }
            let Some((frame, protection)) = each(count) else { return count };
            tables.pages.insert(address, (frame, protection, Caching::Cached));
        }
        most
    }

    fn unmap_run(
        &mut self,
        space: FakeSpace,
        from: u64,
        end: u64,
        most: u32,
        mut each: impl FnMut(Frame),
    ) -> (u64, u32) {
        let pages = &mut self.spaces.get_mut(&space).expect("a space that exists").pages;
        let (mut next, mut count) = (from, 0);
        while count < most
            && let Some((&address, &(frame, ..))) = pages.range(next..end.max(next)).next()
        {
            pages.remove(&address);
            each(frame);
            (next, count) = (address + PAGE_BYTES, count + 1);
        }
        (if count < most { end } else { next }, count)
    }

    fn next_mapped(&self, space: FakeSpace, from: u64, end: u64) -> u64 {
        self.spaces[&space].pages.range(from..end.max(from)).next().map_or(end, |(address, _)| *address)
    }

    fn protect(&mut self, space: FakeSpace, address: u64, protection: Protection) -> bool {
        let tables = self.spaces.get_mut(&space).expect("a space that exists");
        tables.pages.get_mut(&address).map(|page| page.1 = protection).is_some()
    }

    fn take_written(&mut self, _: FakeSpace, _: u64) -> bool {
        true
    }

    fn translate(&self, space: FakeSpace, address: u64, protection: Protection) -> Option<Frame> {
        let page = address & !(PAGE_BYTES - 1);
        let (frame, allowed, _) = self.spaces.get(&space)?.pages.get(&page)?;
        (allowed & protection == protection).then_some(*frame)
    }

    fn copy(&mut self, from: Place<FakeSpace>, to: Place<FakeSpace>, bytes: u64) -> Result<(), CopyFault> {
        for done in 0..bytes {
            let at = |place: Place<FakeSpace>| Place { address: place.address + done, ..place };
            let fault = |side| CopyFault { done, side };
            let byte = *self.byte(at(from), READ).ok_or(fault(Side::Source))?;
            *self.byte(at(to), WRITE).ok_or(fault(Side::Destination))? = byte;
        }
        Ok(())
    }

    fn write(&mut self, to: Place<FakeSpace>, bytes: &[u8]) -> Result<(), CopyFault> {
        for (done, byte) in (0..).zip(bytes) {
            let address = to.address + done;
            let fault = CopyFault { done, side: Side::Destination };
            *self.byte(Place { address, ..to }, WRITE).ok_or(fault)? = *byte;
        }
        Ok(())
    }

    fn read(&mut self, from: Place<FakeSpace>, bytes: &mut [u8]) -> Result<(), CopyFault> {
        for (done, byte) in (0..).zip(bytes) {
            let address = from.address + done;
            let fault = CopyFault { done, side: Side::Source };
            *byte = *self.byte(Place { address, ..from }, READ).ok_or(fault)?;
        }
        Ok(())
    }

    fn zero_frame(&mut self, frame: Frame) {
        self.bytes(frame).fill(0);
    }

    fn copy_frame(&mut self, from: Frame, to: Frame) {
        let bytes = self.bytes(from).clone();
        *self.bytes(to) = bytes;
    }

    fn write_frame(&mut self, frame: Frame, offset: usize, bytes: &[u8]) {
        self.bytes(frame)[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn read_frame(&mut self, frame: Frame, offset: usize, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.bytes(frame)[offset..offset + bytes.len()]);
    }

    fn unmask_interrupt(&mut self, line: u32) -> bool {
        !(LINES..message_line::FIRST).contains(&line) && {
            self.unmasked.insert(line);
            true
        }
    }

    fn mask_interrupt(&mut self, line: u32) {
        self.unmasked.remove(&line);
    }

    fn interrupt_message(&self, line: u32) -> Option<(u64, u32)> {
        line.checked_sub(message_line::FIRST).map(|at| (MESSAGE_ADDRESS, at))
    }

    fn read_port(&mut self, port: u16, width: u32) -> u32 {
        u32::from(port) << 8 | width
    }

    fn write_port(&mut self, port: u16, width: u32, value: u32) {
        self.written.push((port, width, value));
    }

    fn full_registers(&self, _: ProcessIndex) -> RegisterRecord {
        RegisterRecord::default()
    }

    fn set_full_registers(&mut self, _: ProcessIndex, _: &RegisterRecord) {}

    fn vector_state(&self, _: ProcessIndex) -> &[u8] {
        &[]
    }

    fn set_vector_state(&mut self, _: ProcessIndex, state: &[u8]) -> bool {
        state.is_empty()
    }

    fn set_real_base(&mut self, _: u64) {}

    fn log(&mut self, bytes: &[u8]) {
        self.logged.push_str(&String::from_utf8_lossy(bytes));
    }

    fn restart(&mut self, _: core::fmt::Arguments) {}
}

/// A kernel on such a machine with `frame_count` frames of memory.
pub fn kernel(frame_count: u32) -> Kernel<FakeMachine> {
    let mut frames = Frames::new(frame_count);
    frames.add(Frame(0), Frame(frame_count));
    let configuration = Configuration::for_memory(frame_count, LogicalHost::from_bits(7));
    Kernel::new(FakeMachine::default(), frames, &configuration)
}

/// A team of a user without rights, and the slot of its root.
pub fn team(kernel: &mut Kernel<FakeMachine>, quota_pages: u32) -> (TeamIndex, ProcessIndex) {
    let team = Team {
        user: UserId::FIRST_ORDINARY,
        rights: Rights::NONE,
        priority: abi::kernel::priority::FOREGROUND,
        pages: Quota::new(quota_pages),
        processes: Quota::new(10),
        ..Team::free(kernel.nowhere)
    };
    let team = kernel.create_team(NOBODY, team).expect("room for a team");
    let root = kernel.team(team).root;
    // What it was born awaiting is none of these tests' business.
    kernel.processes[root].flags.clear(Flags::NEWBORN);
    kernel.processes[root].registers.extra[1] = 0;
    (team, root)
}

/// Gives back all memory of a team; panics if it had not everything back afterwards.
pub fn release(kernel: &mut Kernel<FakeMachine>, team: TeamIndex) {
    while !kernel.release_regions_step(team).expect("nothing to write back") {}
    let nowhere = kernel.nowhere;
    let space = core::mem::replace(&mut kernel.team_mut(team).space, nowhere);
    let (freed, _) = kernel.machine.destroy_space(space, u32::MAX, &mut kernel.frames);
    kernel.team_mut(team).pages.give_back(freed);
    let team = kernel.team(team);
    assert_eq!((team.pages.used, team.wired_pages, team.dma_pages), (0, 0, 0));
}

/// A kernel server's request function.
type Server = fn(&mut Kernel<FakeMachine>, ProcessIndex, &Message) -> Result<Answer, Error>;

/// Asks a kernel server, and goes on until it answers. The segment is the one in the caller's registers.
pub fn ask<R: Request>(
    kernel: &mut Kernel<FakeMachine>,
    server: Server,
    caller: ProcessIndex,
    request: &R,
) -> Result<R::Reply, Error> {
    let process = &mut kernel.processes[caller];
    process.registers.message = request.to_message().to_registers();
    process.extra.count = 0;
    loop {
        let message = Message::from_registers(kernel.processes[caller].registers.message);
        match server(kernel, caller, &message)? {
            Answer::Now(reply) => return Ok(R::Reply::from_message(&reply)),
            Answer::InSteps => {}
        }
    }
}
