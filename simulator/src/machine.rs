//! A machine of host memory.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use abi::kernel::message_line;
use abi::kernel::protection::{READ, WRITE};
use abi::kernel::record::RegisterRecord;
use abi::{Error, PAGE_BYTES};
use kernel_core::frame::{Frame, Frames};
use kernel_core::machine::{Caching, CopyFault, Machine, Place, ProcessIndex, Protection, Side};

/// An address space's number; never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Space(u32);

/// Where simulated devices write to interrupt.
const MESSAGE_ADDRESS: u64 = 0xfee0_0000;

/// Bytes that one page table maps.
const TABLE_BYTES: u64 = 512 * PAGE_BYTES;

#[derive(Default)]
struct Pages {
    mapped: BTreeMap<u64, (Frame, Protection, Caching)>,
    /// Those that were written since they were last asked for.
    written: BTreeSet<u64>,
    /// Page tables by the address that they begin at; the top one at the address beyond all.
    tables: BTreeMap<u64, Frame>,
}

/// Host memory that looks like a machine.
#[derive(Default)]
pub struct SimulatedMachine {
    /// The clock; tests move it.
    pub now_ns: u64,
    /// For when the timer is set.
    pub timer_ns: Option<u64>,
    /// Interrupt lines let through.
    pub unmasked: BTreeSet<u32>,
    /// What was written to ports: port, width, value.
    pub port_writes: Vec<(u16, u32, u32)>,
    /// What the machine logged.
    pub log: String,
    /// Why it was to restart, when it last was.
    pub restart: Option<String>,
    /// Nanoseconds from 1970 to boot, when that was changed.
    pub real_base_ns: Option<u64>,
    /// How often the kernel had 2 MiB made one page that could be.
    pub large: u32,
    spaces: HashMap<Space, Pages>,
    space_count: u32,
    memory: HashMap<Frame, Box<[u8]>>,
    full_registers: HashMap<ProcessIndex, RegisterRecord>,
    vector_states: HashMap<ProcessIndex, [u8; VECTOR_BYTES]>,
}

/// Bytes of a simulated vector state; the first is 0.
const VECTOR_BYTES: usize = 64;

impl SimulatedMachine {
    /// A machine whose clock says this.
    pub fn booted(now_ns: u64) -> SimulatedMachine {
        SimulatedMachine { now_ns, ..SimulatedMachine::default() }
    }

    /// How many address spaces there are.
    pub fn space_count(&self) -> usize {
        self.spaces.len()
    }

    fn frame(&mut self, frame: Frame) -> &mut [u8] {
        self.memory.entry(frame).or_insert_with(|| vec![0xaa; PAGE_BYTES as usize].into())
    }

    /// The same, of a page that is about to be written.
    fn changed_piece(&mut self, place: Place<Space>, bytes: u64) -> Option<(Frame, usize, usize)> {
        let piece = self.piece(place, bytes, WRITE)?;
        let page = place.address - place.address % PAGE_BYTES;
        self.spaces.get_mut(&place.space).expect("a live space").written.insert(page);
        Some(piece)
    }

    /// How many of `bytes` from `place` on lie in its page, and where in memory they are.
    fn piece(
        &self,
        place: Place<Space>,
        bytes: u64,
        protection: Protection,
    ) -> Option<(Frame, usize, usize)> {
        let offset = place.address % PAGE_BYTES;
        let frame = self.translate(place.space, place.address - offset, protection)?;
        let count = bytes.min(PAGE_BYTES - offset);
        Some((frame, offset as usize, count as usize))
    }
}

fn advance(place: Place<Space>, bytes: u64) -> Place<Space> {
    Place { space: place.space, address: place.address.wrapping_add(bytes) }
}

impl Machine for SimulatedMachine {
    type Space = Space;

    fn now_ns(&mut self) -> u64 {
        self.now_ns
    }

    fn set_timer(&mut self, at_ns: u64) {
        self.timer_ns = (at_ns != u64::MAX).then_some(at_ns);
    }

    fn create_space(&mut self, frames: &mut Frames) -> Option<Space> {
        let top = frames.allocate()?;
        let space = Space(self.space_count);
        self.space_count += 1;
        let pages = Pages { tables: BTreeMap::from([(u64::MAX, top)]), ..Pages::default() };
        self.spaces.insert(space, pages);
        Some(space)
    }

    fn destroy_space(&mut self, space: Space, limit: u32, frames: &mut Frames) -> (u32, bool) {
        let pages = self.spaces.get_mut(&space).expect("a space is destroyed once");
        assert!(pages.mapped.is_empty(), "a space is destroyed with pages in it");
        let mut freed = 0;
        while freed < limit
            && let Some((_, frame)) = pages.tables.pop_first()
        {
            frames.release(frame);
            freed += 1;
        }
        let gone = pages.tables.is_empty();
        if gone {
            self.spaces.remove(&space);
        }
        (freed, gone)
    }

    fn map(
        &mut self,
        space: Space,
        address: u64,
        frame: Frame,
        protection: Protection,
        caching: Caching,
        frames: &mut Frames,
    ) -> Result<u32, Error> {
        assert_eq!(address % PAGE_BYTES, 0, "pages are mapped at multiples of their size");
        let pages = self.spaces.get_mut(&space).expect("a live space");
        if pages.mapped.contains_key(&address) {
            return Err(Error::BadAddress);
        }
        let mut added = 0;
        if let Entry::Vacant(table) = pages.tables.entry(address / TABLE_BYTES) {
            table.insert(frames.allocate().ok_or(Error::NoMemory)?);
            added = 1;
        }
        pages.mapped.insert(address, (frame, protection, caching));
        pages.written.insert(address);
        Ok(added)
    }

    fn map_run(
        &mut self,
        space: Space,
        address: u64,
        most: u32,
        mut each: impl FnMut(u32) -> Option<(Frame, Protection)>,
    ) -> u32 {
        let pages = self.spaces.get_mut(&space).expect("a live space");
        for count in 0..most {
            let address = address + u64::from(count) * PAGE_BYTES;
            if !pages.tables.contains_key(&(address / TABLE_BYTES)) || pages.mapped.contains_key(&address) {
                return count;
            }
            let Some((frame, protection)) = each(count) else { return count };
            pages.mapped.insert(address, (frame, protection, Caching::Cached));
            pages.written.insert(address);
        }
        most
    }

    fn make_large(&mut self, space: Space, address: u64) {
        let page = |number: u64| self.spaces[&space].mapped.get(&(address + number * PAGE_BYTES)).copied();
        let Some((first, protection, caching)) = page(0) else { return };
        let follows = |number| page(number) == Some((Frame(first.0 + number as u32), protection, caching));
        self.large += u32::from(first.0 % 512 == 0 && (1..512).all(follows));
    }

    fn unmap_run(
        &mut self,
        space: Space,
        from: u64,
        end: u64,
        most: u32,
        mut each: impl FnMut(Frame),
    ) -> (u64, u32) {
        let pages = self.spaces.get_mut(&space).expect("a live space");
        let (mut next, mut count) = (from, 0);
        while count < most
            && let Some((&address, &(frame, ..))) = pages.mapped.range(next..end.max(next)).next()
        {
            pages.written.remove(&address);
            pages.mapped.remove(&address);
            each(frame);
            (next, count) = (address + PAGE_BYTES, count + 1);
        }
        (if count < most { end } else { next }, count)
    }

    fn next_mapped(&self, space: Space, from: u64, end: u64) -> u64 {
        let mapped = self.spaces[&space].mapped.range(from..from.max(end)).next();
        mapped.map_or(end, |(address, _)| *address)
    }

    fn protect(&mut self, space: Space, address: u64, protection: Protection) -> bool {
        let pages = self.spaces.get_mut(&space).expect("a live space");
        match pages.mapped.get_mut(&address) {
            Some(page) => {
                page.1 = protection;
                true
            }
            None => false,
        }
    }

    fn take_written(&mut self, space: Space, address: u64) -> bool {
        self.spaces.get_mut(&space).expect("a live space").written.remove(&address)
    }

    fn translate(&self, space: Space, address: u64, protection: Protection) -> Option<Frame> {
        let pages = self.spaces.get(&space).expect("a live space");
        let (frame, allowed, _) = pages.mapped.get(&(address - address % PAGE_BYTES))?;
        (allowed & protection == protection).then_some(*frame)
    }

    fn copy(&mut self, from: Place<Space>, to: Place<Space>, bytes: u64) -> Result<(), CopyFault> {
        let mut done = 0;
        while done < bytes {
            let fault = |side| CopyFault { done, side };
            let (source, offset, count) =
                self.piece(advance(from, done), bytes - done, READ).ok_or(fault(Side::Source))?;
            let (destination, to_offset, count) =
                self.changed_piece(advance(to, done), count as u64).ok_or(fault(Side::Destination))?;
            let piece = self.frame(source)[offset..offset + count].to_vec();
            self.frame(destination)[to_offset..to_offset + count].copy_from_slice(&piece);
            done += count as u64;
        }
        Ok(())
    }

    fn write(&mut self, to: Place<Space>, bytes: &[u8]) -> Result<(), CopyFault> {
        let mut done = 0;
        while done < bytes.len() {
            let place = advance(to, done as u64);
            let (frame, offset, count) = self
                .changed_piece(place, (bytes.len() - done) as u64)
                .ok_or(CopyFault { done: done as u64, side: Side::Destination })?;
            self.frame(frame)[offset..offset + count].copy_from_slice(&bytes[done..done + count]);
            done += count;
        }
        Ok(())
    }

    fn read(&mut self, from: Place<Space>, bytes: &mut [u8]) -> Result<(), CopyFault> {
        let mut done = 0;
        while done < bytes.len() {
            let place = advance(from, done as u64);
            let (frame, offset, count) = self
                .piece(place, (bytes.len() - done) as u64, READ)
                .ok_or(CopyFault { done: done as u64, side: Side::Source })?;
            bytes[done..done + count].copy_from_slice(&self.frame(frame)[offset..offset + count]);
            done += count;
        }
        Ok(())
    }

    fn zero_frame(&mut self, frame: Frame) {
        self.frame(frame).fill(0);
    }

    fn copy_frame(&mut self, from: Frame, to: Frame) {
        let bytes = self.frame(from).to_vec();
        self.frame(to).copy_from_slice(&bytes);
    }

    fn write_frame(&mut self, frame: Frame, offset: usize, bytes: &[u8]) {
        self.frame(frame)[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn read_frame(&mut self, frame: Frame, offset: usize, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.frame(frame)[offset..offset + bytes.len()]);
    }

    fn unmask_interrupt(&mut self, line: u32) -> bool {
        !(24..message_line::FIRST).contains(&line) && {
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
        self.port_writes.push((port, width, value));
    }

    fn full_registers(&self, process: ProcessIndex) -> RegisterRecord {
        self.full_registers.get(&process).copied().unwrap_or_default()
    }

    fn set_full_registers(&mut self, process: ProcessIndex, registers: &RegisterRecord) {
        self.full_registers.insert(process, *registers);
    }

    fn vector_state(&self, process: ProcessIndex) -> &[u8] {
        self.vector_states.get(&process).unwrap_or(&[0; VECTOR_BYTES])
    }

    fn set_vector_state(&mut self, process: ProcessIndex, state: &[u8]) -> bool {
        let state = state.try_into().ok().filter(|state: &[u8; VECTOR_BYTES]| state[0] == 0);
        state.map(|state| self.vector_states.insert(process, state)).is_some()
    }

    fn set_real_base(&mut self, real_base_ns: u64) {
        self.real_base_ns = Some(real_base_ns);
    }

    fn log(&mut self, bytes: &[u8]) {
        self.log.push_str(&String::from_utf8_lossy(bytes));
    }

    fn restart(&mut self, why: fmt::Arguments) {
        self.restart = Some(why.to_string());
    }
}
