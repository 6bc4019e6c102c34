//! The interrupt descriptor table: each vector leads to its entry in [`crate::entry`], on an exception stack.

use core::cell::UnsafeCell;

use crate::cpu::{ExceptionStack, KERNEL_CODE, TablePointer};
use crate::entry::{TRAP_ENTRY_BYTES, trap_entries};

/// Vectors of exceptions with a meaning here.
pub mod vector {
    /// Non-maskable interrupt: the hardware failed.
    pub const NON_MASKABLE: u8 = 2;
    /// `int3`: the one vector that a program may call.
    pub const BREAKPOINT: u8 = 3;
    /// An exception while another was delivered.
    pub const DOUBLE_FAULT: u8 = 8;
    /// Anything forbidden that has no exception of its own.
    pub const GENERAL_PROTECTION: u8 = 13;
    /// A page that is not there, or not for this.
    pub const PAGE_FAULT: u8 = 14;
    /// The processor found itself broken.
    pub const MACHINE_CHECK: u8 = 18;
    /// The first device interrupt line's.
    pub const FIRST_LINE: u8 = 0x30;
    /// Beyond the last line's.
    pub const LINES_END: u8 = 0xf0;
    /// The local timer's.
    pub const TIMER: u8 = 0xf0;
    /// What the local controller delivers when an interrupt went away.
    pub const SPURIOUS: u8 = 0xff;
}

const ENTRIES: usize = 256;
/// An interrupt gate: present, interrupts off on entry.
const GATE: u64 = 0x8e << 40;
/// May be called by programs.
const GATE_FOR_ALL: u64 = 3 << 45;

struct Table(UnsafeCell<[[u64; 2]; ENTRIES]>);

// SAFETY: written once, at boot, by one processor.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new([[0; 2]; ENTRIES]));

/// Fills and loads the table.
pub fn initialize() {
    let first = (&raw const trap_entries).addr() as u64;
    // SAFETY: boot calls this once; nobody else has a reference.
    let table = unsafe { &mut *TABLE.0.get() };
    for (number, gate) in (0u64..).zip(table.iter_mut()) {
        let entry = first + number * TRAP_ENTRY_BYTES as u64;
        let stack = match number as u8 {
            vector::NON_MASKABLE | vector::DOUBLE_FAULT | vector::MACHINE_CHECK => ExceptionStack::Urgent,
            _ => ExceptionStack::Common,
        };
        let kind = if number as u8 == vector::BREAKPOINT { GATE | GATE_FOR_ALL } else { GATE };
        gate[0] = entry & 0xffff
            | u64::from(KERNEL_CODE) << 16
            | (stack as u64) << 32
            | kind
            | (entry >> 16 & 0xffff) << 48;
        gate[1] = entry >> 32;
    }
    let pointer = TablePointer::new(table);
    // SAFETY: every gate leads to an entry of its vector; the table is static.
    unsafe { core::arch::asm!("lidt [{}]", in(reg) &raw const pointer, options(nostack, preserves_flags)) };
}
