//! What the kernel's logic needs of a machine, and no more.
//!
//! Two implementations keep this honest: `kernel/x86_64` and the simulator. A method never waits. Addresses that
//! come from programs are allegations: the machine checks them by walking the address space's tables, and never
//! touches a user address itself.

use core::fmt;

use abi::kernel::record::RegisterRecord;

use crate::Result;
use crate::frame::{Frame, Frames};

/// Index of a process's slot, the only name by which the machine knows a process.
pub type ProcessIndex = u16;

/// How a page may be used: bits of [`abi::kernel::protection`] (`READ`, `WRITE`, `EXECUTE`).
pub type Protection = u32;

/// Ordinary memory, or device registers that must not be cached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caching {
    /// Memory, which the kernel can read.
    Cached,
    /// Device registers.
    Uncached,
}

/// A place in an address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place<Space> {
    /// Which space.
    pub space: Space,
    /// Where in it; any 64 bits.
    pub address: u64,
}

/// Which side of a copy met a page that is not there or not for this access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Where the bytes come from.
    Source,
    /// Where they go.
    Destination,
}

/// A copy that stopped early. Everything before `done` was copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CopyFault {
    /// Bytes copied.
    pub done: u64,
    /// Whose page was missing: the one that holds byte `done`.
    pub side: Side,
}

/// How a process goes on when it is run next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Resume {
    /// From a system call: results are in its `Registers`, every other register is cleared.
    #[default]
    Results,
    /// From an interrupt or exception: every register as the machine saved it.
    Full,
}

/// What the processor does when the kernel's logic is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next<Space> {
    /// Run this process in this space.
    Run {
        /// Which.
        process: ProcessIndex,
        /// Its team's address space; the machine loads it only if it is not loaded.
        space: Space,
        /// How it goes on.
        resume: Resume,
    },
    /// Wait for an interrupt, then call the kernel's `step`.
    Idle,
    /// Long work is under way: take pending interrupts, then call the kernel's `step` again.
    Work,
}

/// The machine under the kernel's logic.
pub trait Machine {
    /// An address space; cheap to copy and compare.
    type Space: Copy + Eq + core::fmt::Debug;

    /// Nanoseconds since boot, never backwards.
    fn now_ns(&mut self) -> u64;

    /// Asks for one timer interrupt at or after this time; `u64::MAX` for none. Replaces the last.
    fn set_timer(&mut self, at_ns: u64);

    /// A new address space that holds only the kernel and the information page. `None` if there is no frame.
    fn create_space(&mut self, frames: &mut Frames) -> Option<Self::Space>;

    /// Frees at most `limit` page tables of a space whose pages have all been unmapped. Returns how many were
    /// freed, and whether the space is gone.
    fn destroy_space(&mut self, space: Self::Space, limit: u32, frames: &mut Frames) -> (u32, bool);

    /// Maps one page. Returns how many page tables had to be added, whose frames came from `frames`; they stay
    /// until the space is destroyed. `NoMemory` if there is no frame for one, `BadAddress` if something is mapped there.
    fn map(
        &mut self,
        space: Self::Space,
        address: u64,
        frame: Frame,
        protection: Protection,
        caching: Caching,
        frames: &mut Frames,
    ) -> Result<u32>;

    /// Maps pages from `address` on, `most` at most, where that takes no more tables, up to one that is mapped, or for which
    /// `each` has nothing. It is told the page's number from the first on, and tells a frame, which the kernel can read,
    /// and the protection. Returns how many.
    fn map_run(
        &mut self,
        space: Self::Space,
        address: u64,
        most: u32,
        each: impl FnMut(u32) -> Option<(Frame, Protection)>,
    ) -> u32;

    /// Has the 2 MiB from `address` on mapped as one page, if all of their pages are mapped and are 2 MiB of memory, at a
    /// multiple of that. Nothing else here shows that they are.
    fn make_large(&mut self, _space: Self::Space, _address: u64) {}

    /// Unmaps pages from `from` on, `most` at most, and gives their frames to `each`. Returns the address to go on with,
    /// `end` or more when no page is left before that, and how many there were. For a bounded time, as `next_mapped`.
    fn unmap_run(
        &mut self,
        space: Self::Space,
        from: u64,
        end: u64,
        most: u32,
        each: impl FnMut(Frame),
    ) -> (u64, u32);

    /// Unmaps the page at `address`; returns its frame if one was mapped.
    fn unmap(&mut self, space: Self::Space, address: u64) -> Option<Frame> {
        let mut found = None;
        self.unmap_run(space, address, address + abi::PAGE_BYTES, 1, |frame| found = Some(frame));
        found
    }

    /// An address from `from` on, a page's, before which no page is mapped; `end` or more if there is none before
    /// that. What lets large regions that are hardly used be taken apart quickly. A machine passes over what is empty
    /// for a bounded time, so a page need not be mapped where it stops.
    fn next_mapped(&self, space: Self::Space, from: u64, end: u64) -> u64;

    /// As [`next_mapped`](Machine::next_mapped), but a machine may also pass over pages of which
    /// [`take_written`](Machine::take_written) would say that they were not written.
    fn next_written(&self, space: Self::Space, from: u64, end: u64) -> u64 {
        self.next_mapped(space, from, end)
    }

    /// Changes the protection of a mapped page; false if none is mapped there.
    fn protect(&mut self, space: Self::Space, address: u64, protection: Protection) -> bool;

    /// Whether the page at `address` was written, by its program or a copy, since it was mapped or this was last asked; a
    /// page counts as written when it is mapped. False if none is.
    fn take_written(&mut self, space: Self::Space, address: u64) -> bool;

    /// The frame at `address` if it is mapped with at least `protection`, which may be none.
    fn translate(&self, space: Self::Space, address: u64, protection: Protection) -> Option<Frame>;

    /// Copies between two places, of one space or two, that may overlap only if they are one place.
    ///
    /// The caller bounds `bytes` so that interrupts are not held off for long.
    fn copy(&mut self, from: Place<Self::Space>, to: Place<Self::Space>, bytes: u64)
    -> Result<(), CopyFault>;

    /// Copies the kernel's bytes to a program.
    fn write(&mut self, to: Place<Self::Space>, bytes: &[u8]) -> Result<(), CopyFault>;

    /// Copies a program's bytes to the kernel.
    fn read(&mut self, from: Place<Self::Space>, bytes: &mut [u8]) -> Result<(), CopyFault>;

    /// Fills a frame with zeros.
    fn zero_frame(&mut self, frame: Frame);

    /// Copies a frame to another.
    fn copy_frame(&mut self, from: Frame, to: Frame);

    /// Writes bytes into a frame, from `offset` on, within the page.
    fn write_frame(&mut self, frame: Frame, offset: usize, bytes: &[u8]);

    /// Reads bytes of a frame.
    fn read_frame(&mut self, frame: Frame, offset: usize, bytes: &mut [u8]);

    /// Lets a device interrupt line through; false if the machine has no such line.
    fn unmask_interrupt(&mut self, line: u32) -> bool;

    /// Holds a device interrupt line back.
    fn mask_interrupt(&mut self, line: u32);

    /// The address and the data by which a device interrupts on a [message line](abi::kernel::message_line); none for
    /// any other line.
    fn interrupt_message(&self, line: u32) -> Option<(u64, u32)>;

    /// Reads an I/O port of 1, 2 or 4 bytes.
    fn read_port(&mut self, port: u16, width: u32) -> u32;

    /// Writes an I/O port.
    fn write_port(&mut self, port: u16, width: u32, value: u32);

    /// The saved registers of a process that resumes in full.
    fn full_registers(&self, process: ProcessIndex) -> RegisterRecord;

    /// Changes them; the machine drops what a program may not set (flags, non-canonical addresses are its business).
    fn set_full_registers(&mut self, process: ProcessIndex, registers: &RegisterRecord);

    /// The vector state of a process that resumes in full.
    fn vector_state(&self, process: ProcessIndex) -> &[u8];

    /// Changes it; false, and nothing done, if the processor cannot have it: it is from another machine, or made up.
    fn set_vector_state(&mut self, process: ProcessIndex, state: &[u8]) -> bool;

    /// The real-time clock changed: nanoseconds from 1970 to boot, for the information page.
    fn set_real_base(&mut self, real_base_ns: u64);

    /// Appends to the machine's log device.
    fn log(&mut self, bytes: &[u8]);

    /// Says why, and starts over from reset. Only a simulated machine returns.
    fn restart(&mut self, why: fmt::Arguments);
}
