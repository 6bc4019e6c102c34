//! Single processor instructions that Rust has no word for, each as a function.
//!
//! Those that can break the machine's promises (control registers, model-specific registers) are `unsafe` and say
//! what the caller must see to. Ports are safe to name but not to touch: a device may do anything.

use core::arch::asm;

/// Reads a byte from an I/O port.
///
/// # Safety
/// Reading this port has no effect on memory that Rust owns.
#[inline]
pub unsafe fn read_port_u8(port: u16) -> u8 {
    let value;
    // SAFETY: the caller vouches for the port.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack, preserves_flags)) };
    value
}

/// Writes a byte to an I/O port.
///
/// # Safety
/// Writing this value to this port has no effect on memory that Rust owns.
#[inline]
pub unsafe fn write_port_u8(port: u16, value: u8) {
    // SAFETY: the caller vouches for the port.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) };
}

/// Reads two bytes from an I/O port.
///
/// # Safety
/// As [`read_port_u8`].
#[inline]
pub unsafe fn read_port_u16(port: u16) -> u16 {
    let value;
    // SAFETY: the caller vouches for the port.
    unsafe { asm!("in ax, dx", in("dx") port, out("ax") value, options(nostack, preserves_flags)) };
    value
}

/// Writes two bytes to an I/O port.
///
/// # Safety
/// As [`write_port_u8`].
#[inline]
pub unsafe fn write_port_u16(port: u16, value: u16) {
    // SAFETY: the caller vouches for the port.
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nostack, preserves_flags)) };
}

/// Reads four bytes from an I/O port.
///
/// # Safety
/// As [`read_port_u8`].
#[inline]
pub unsafe fn read_port_u32(port: u16) -> u32 {
    let value;
    // SAFETY: the caller vouches for the port.
    unsafe { asm!("in eax, dx", in("dx") port, out("eax") value, options(nostack, preserves_flags)) };
    value
}

/// Writes four bytes to an I/O port.
///
/// # Safety
/// As [`write_port_u8`].
#[inline]
pub unsafe fn write_port_u32(port: u16, value: u32) {
    // SAFETY: the caller vouches for the port.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack, preserves_flags)) };
}

/// Stops for good.
pub fn halt() -> ! {
    loop {
        // SAFETY: with interrupts off, hlt only waits.
        unsafe { asm!("cli; hlt", options(nomem, nostack)) };
    }
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
