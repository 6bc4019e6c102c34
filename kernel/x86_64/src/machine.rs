//! The trait `Machine`: what the kernel's logic asks of this machine, handed to the modules that do it.

use core::fmt;

use abi::Error;
use abi::information::{self, Information};
use abi::kernel::record::RegisterRecord;
use kernel_core::frame::{Frame, Frames};
use kernel_core::machine::{Caching, CopyFault, Machine, Place, ProcessIndex, Protection};

use crate::apic::LocalApic;
use crate::clock::Clock;
use crate::copy;
use crate::cpu::Cpu;
use crate::instructions::{invalidate_page, read_port, set_root_table, write_port};
use crate::interrupt_table::vector;
use crate::ioapic::IoApics;
use crate::log;
use crate::panic;
use crate::physical;
use crate::saved::{Saved, VectorState};
use crate::space::{Common, Space};

/// An x86-64 PC.
pub struct X86 {
    /// The clock and the timer's speed.
    pub clock: Clock,
    /// This processor's interrupt controller.
    pub apic: LocalApic,
    /// The devices'.
    pub io_apics: IoApics,
    /// What all address spaces share.
    pub common: Common,
    /// Physical address of the information page.
    pub information: u64,
    /// A save area for each process slot; they never move.
    pub saved: SavedAreas,
}

/// The save areas, which the entry code fills behind the compiler's back: only pointers to them are kept.
pub struct SavedAreas {
    first: *mut Saved,
    count: usize,
}

impl SavedAreas {
    /// Areas for `count` processes.
    pub fn allocate(count: u16) -> SavedAreas {
        let mut areas = alloc::vec::Vec::with_capacity(count.into());
        areas.resize_with(count.into(), Saved::empty);
        let areas = alloc::boxed::Box::leak(areas.into_boxed_slice());
        SavedAreas { first: areas.as_mut_ptr(), count: areas.len() }
    }

    /// The first one.
    pub fn first(&self) -> *mut Saved {
        self.first
    }

    fn pointer(&self, process: ProcessIndex) -> *mut Saved {
        assert!(usize::from(process) < self.count);
        self.first.wrapping_add(process.into())
    }

    fn get(&self, process: ProcessIndex) -> &Saved {
        // SAFETY: the area exists, and only the entry code writes to it, which does not run during a call from here.
        unsafe { &*self.pointer(process) }
    }

    /// A process's, for changing.
    pub fn get_mut(&mut self, process: ProcessIndex) -> &mut Saved {
        // SAFETY: as in `get`, and `self` is borrowed as long as the reference lives.
        unsafe { &mut *self.pointer(process) }
    }
}

/// Makes a space the one in use, unless it is.
#[inline]
pub fn load(root_table: u64) {
    // SAFETY: nobody else holds the processor's state: references to it live for one statement.
    let cpu = unsafe { Cpu::this() };
    if cpu.root_table != root_table {
        cpu.root_table = root_table;
        // SAFETY: every space's root, and the kernel's own, has the kernel's half.
        unsafe { set_root_table(root_table) };
    }
}

/// Whether a space is the one in use.
#[inline]
fn is_loaded(space: Space) -> bool {
    // SAFETY: as in `load`.
    unsafe { Cpu::this() }.root_table == space.root()
}

impl X86 {
    fn information(&mut self) -> &mut Information {
        // SAFETY: the page is the kernel's for good, in the direct map, and holds the struct from its beginning, as
        // boot made it; programs only read it.
        unsafe { &mut *physical::pointer(self.information) }
    }
}

/// Makes the information page. Returns its physical address.
pub fn make_information(facts: &Information, command_line: &str) -> u64 {
    let page = crate::heap::zeroed_page();
    let bytes = command_line.as_bytes();
    let bytes = &bytes[..bytes.len().min(information::COMMAND_LINE_BYTES)];
    // SAFETY: the page was just allocated, in the direct map; the struct and the command line fit in it, one before
    // the other.
    unsafe {
        physical::pointer::<Information>(page).write(*facts);
        let text = physical::pointer::<u8>(page).wrapping_add(information::COMMAND_LINE_OFFSET);
        text.cast::<[u8; 2]>().write((bytes.len() as u16).to_le_bytes());
        text.wrapping_add(2).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
    }
    page
}

impl Machine for X86 {
    type Space = Space;

    #[inline]
    fn now_ns(&mut self) -> u64 {
        self.clock.now_ns()
    }

    fn set_timer(&mut self, at_ns: u64) {
        self.apic.set_timer(&self.clock, at_ns);
    }

    fn create_space(&mut self, frames: &mut Frames) -> Option<Space> {
        Space::create(&self.common, frames)
    }

    fn destroy_space(&mut self, space: Space, limit: u32, frames: &mut Frames) -> (u32, bool) {
        if is_loaded(space) {
            load(self.common.root);
        }
        // SAFETY: it is not loaded now, and the kernel's logic forgets it when all is freed.
        unsafe { space.destroy(limit, frames) }
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
        space.map(address, frame, protection, caching, frames)
    }

    fn map_run(
        &mut self,
        space: Space,
        address: u64,
        most: u32,
        each: impl FnMut(u32) -> Option<(Frame, Protection)>,
    ) -> u32 {
        space.map_run(address, most, each)
    }

    fn make_large(&mut self, space: Space, address: u64) {
        space.make_large(address);
    }

    fn unmap_run(
        &mut self,
        space: Space,
        from: u64,
        end: u64,
        most: u32,
        mut each: impl FnMut(Frame),
    ) -> (u64, u32) {
        let loaded = is_loaded(space);
        space.unmap_run(from, end, most, |address, frame| {
            if loaded {
                invalidate_page(address);
            }
            each(frame);
        })
    }

    fn next_mapped(&self, space: Space, from: u64, end: u64) -> u64 {
        space.next_mapped(from, end)
    }

    fn next_written(&self, space: Space, from: u64, end: u64) -> u64 {
        space.next_written(from, end)
    }

    fn protect(&mut self, space: Space, address: u64, protection: Protection) -> bool {
        let found = space.protect(address, protection);
        if found && is_loaded(space) {
            invalidate_page(address);
        }
        found
    }

    fn take_written(&mut self, space: Space, address: u64) -> bool {
        let written = space.take_written(address);
        if written && is_loaded(space) {
            invalidate_page(address);
        }
        written
    }

    fn translate(&self, space: Space, address: u64, protection: Protection) -> Option<Frame> {
        space.translate(address, protection)
    }

    fn copy(&mut self, from: Place<Space>, to: Place<Space>, bytes: u64) -> Result<(), CopyFault> {
        copy::between(from, to, bytes)
    }

    fn write(&mut self, to: Place<Space>, bytes: &[u8]) -> Result<(), CopyFault> {
        copy::write(to, bytes)
    }

    fn read(&mut self, from: Place<Space>, bytes: &mut [u8]) -> Result<(), CopyFault> {
        copy::read(from, bytes)
    }

    fn zero_frame(&mut self, frame: Frame) {
        // SAFETY: the kernel's logic owns the frame, usable memory in the direct map, and has no reference to it.
        unsafe { copy::zero_page(frame.address()) };
    }

    fn copy_frame(&mut self, from: Frame, to: Frame) {
        // SAFETY: both frames are usable memory in the direct map; the kernel's logic owns `to`, has no reference to either,
        // and copies no frame to itself.
        unsafe { copy::copy_page(from.address(), to.address()) };
    }

    fn write_frame(&mut self, frame: Frame, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= abi::PAGE_BYTES as usize);
        // SAFETY: as in `zero_frame`; the bytes stay within the frame.
        unsafe {
            physical::pointer::<u8>(frame.address())
                .wrapping_add(offset)
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
    }

    fn read_frame(&mut self, frame: Frame, offset: usize, bytes: &mut [u8]) {
        assert!(offset + bytes.len() <= abi::PAGE_BYTES as usize);
        // SAFETY: as in `write_frame`.
        unsafe {
            physical::pointer::<u8>(frame.address())
                .wrapping_add(offset)
                .copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len());
        }
    }

    fn unmask_interrupt(&mut self, line: u32) -> bool {
        let Some((line, pending)) = self.io_apics.unmask(line) else {
            return false;
        };
        if pending {
            self.apic.send_to_self(vector::FIRST_LINE + line as u8);
        }
        true
    }

    fn mask_interrupt(&mut self, line: u32) {
        self.io_apics.mask(line);
    }

    fn interrupt_message(&self, line: u32) -> Option<(u64, u32)> {
        self.io_apics.message(line)
    }

    fn read_port(&mut self, port: u16, width: u32) -> u32 {
        // SAFETY: the port was granted to the program that reads it: a device that touches memory is trusted with it.
        unsafe { read_port(port, width) }
    }

    fn write_port(&mut self, port: u16, width: u32, value: u32) {
        // SAFETY: as in `read_port`.
        unsafe { write_port(port, width, value) };
    }

    fn full_registers(&self, process: ProcessIndex) -> RegisterRecord {
        self.saved.get(process).registers
    }

    fn set_full_registers(&mut self, process: ProcessIndex, registers: &RegisterRecord) {
        self.saved.get_mut(process).set(registers);
    }

    fn vector_state(&self, process: ProcessIndex) -> &[u8] {
        self.saved.get(process).vector.bytes()
    }

    fn set_vector_state(&mut self, process: ProcessIndex, state: &[u8]) -> bool {
        let checked = VectorState::checked(state);
        checked.map(|state| self.saved.get_mut(process).vector = state).is_some()
    }

    fn set_real_base(&mut self, real_base_ns: u64) {
        self.information().real_base_ns = real_base_ns;
    }

    fn log(&mut self, bytes: &[u8]) {
        log::write_bytes(bytes);
    }

    fn restart(&mut self, why: fmt::Arguments) {
        panic::restart(why)
    }
}
