//! Single processor instructions that Rust has no word for, each as a function.
//!
//! Those that can break the machine's promises (control registers, model-specific registers) are `unsafe` and say
//! what the caller must see to. Ports are safe to name but not to touch: a device may do anything.

use core::arch::asm;
use core::arch::x86_64::{_rdrand64_step, _rdtsc};

/// Reads a byte from an I/O port.
///
/// # Safety
/// Reading this port has no effect on memory that Rust owns.
#[inline]
pub unsafe fn read_port_u8(port: u16) -> u8 {
    // SAFETY: the caller vouches for the port.
    unsafe { read_port(port, 1) as u8 }
}

/// Writes a byte to an I/O port.
///
/// # Safety
/// Writing this value to this port has no effect on memory that Rust owns.
#[inline]
pub unsafe fn write_port_u8(port: u16, value: u8) {
    // SAFETY: the caller vouches for the port.
    unsafe { write_port(port, 1, value.into()) };
}

/// Reads 1, 2 or 4 bytes from an I/O port.
///
/// # Safety
/// As [`read_port_u8`].
#[inline]
pub unsafe fn read_port(port: u16, width: u32) -> u32 {
    let mut value = 0;
    // SAFETY: the caller vouches for the port.
    unsafe {
        match width {
            1 => asm!("in al, dx", in("dx") port, inout("eax") value, options(nostack, preserves_flags)),
            2 => asm!("in ax, dx", in("dx") port, inout("eax") value, options(nostack, preserves_flags)),
            _ => asm!("in eax, dx", in("dx") port, inout("eax") value, options(nostack, preserves_flags)),
        }
    }
    value
}

/// Writes 1, 2 or 4 bytes to an I/O port.
///
/// # Safety
/// As [`write_port_u8`].
#[inline]
pub unsafe fn write_port(port: u16, width: u32, value: u32) {
    // SAFETY: the caller vouches for the port.
    unsafe {
        match width {
            1 => asm!("out dx, al", in("dx") port, in("eax") value, options(nostack, preserves_flags)),
            2 => asm!("out dx, ax", in("dx") port, in("eax") value, options(nostack, preserves_flags)),
            _ => asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack, preserves_flags)),
        }
    }
}

/// Stops for good.
pub fn halt() -> ! {
    loop {
        // SAFETY: with interrupts off, hlt only waits.
        unsafe { asm!("cli; hlt", options(nomem, nostack)) };
    }
}

/// Resets the machine: a processor that has nowhere to go with an exception shuts down, and a PC's board answers that
/// with a reset.
pub fn reset() -> ! {
    let no_table = [0_u8; 10];
    // SAFETY: what follows is an exception without a table: nothing of this machine's state is used again.
    unsafe { asm!("lidt [{}]", "ud2", in(reg) &raw const no_table, options(noreturn)) }
}

/// The address of the last page fault.
pub fn fault_address() -> u64 {
    let value;
    // SAFETY: reading cr2 changes nothing.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Physical address of the root page table in use.
pub fn root_table() -> u64 {
    let value: u64;
    // SAFETY: reading cr3 changes nothing.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value & 0x000f_ffff_ffff_f000
}

/// Changes the address space.
///
/// # Safety
/// `root` is the physical address of a root page table that maps everything that the kernel uses, as now.
#[inline]
pub unsafe fn set_root_table(root: u64) {
    // SAFETY: the caller vouches for the table; no `nomem`, since what memory holds at user addresses changes.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}

/// Drops what the processor remembers of how `address` is mapped.
#[inline]
pub fn invalidate_page(address: u64) {
    // SAFETY: forgetting a translation is always allowed; the tables still say it.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

/// Adds bits to control register 4.
///
/// # Safety
/// The processor has these features, and the kernel is ready for them.
pub unsafe fn enable_in_cr4(bits: u64) {
    // SAFETY: the caller vouches for the bits.
    unsafe {
        asm!("mov {0}, cr4", "or {0}, {1}", "mov cr4, {0}", out(reg) _, in(reg) bits, options(nostack));
    }
}

/// Chooses the vector state that XSAVE manages.
///
/// # Safety
/// The processor has XSAVE, it is enabled, and `components` are ones that it has.
pub unsafe fn set_vector_components(components: u64) {
    // SAFETY: the caller vouches for it.
    unsafe {
        asm!("xsetbv", in("ecx") 0, in("eax") components as u32, in("edx") (components >> 32) as u32,
            options(nomem, nostack, preserves_flags));
    }
}

/// Reads a model-specific register.
///
/// # Safety
/// The processor has it.
#[inline]
pub unsafe fn read_register(number: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller says that the register exists; reading those that the kernel names has no effect.
    unsafe {
        asm!("rdmsr", in("ecx") number, out("eax") low, out("edx") high, options(nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The processor has it, and the value keeps every promise of the machine.
#[inline]
pub unsafe fn write_register(number: u32, value: u64) {
    // SAFETY: the caller vouches for it.
    unsafe {
        asm!("wrmsr", in("ecx") number, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags));
    }
}

/// A random number of the processor's; none if it has none to give now.
///
/// # Safety
/// The processor has RDRAND.
#[target_feature(enable = "rdrand")]
pub unsafe fn random() -> Option<u64> {
    let mut value = 0;
    (_rdrand64_step(&mut value) == 1).then_some(value)
}

/// The time-stamp counter.
#[inline]
pub fn counter() -> u64 {
    // SAFETY: every x86-64 processor has it, and reading it changes nothing.
    unsafe { _rdtsc() }
}
