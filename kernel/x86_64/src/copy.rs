//! Copies between programs, and between a program and the kernel, by the direct map.
//!
//! Each side looks up its page's entry by the walks that are remembered, page for page. No user address is ever touched, so a
//! page that is missing or protected is an ordinary result.

use core::arch::asm;

use abi::PAGE_BYTES;
use kernel_core::machine::{CopyFault, Place, Side};

use crate::features;
use crate::paging::{ADDRESS, DIRTY, PRESENT, UNCACHED, USER, WRITABLE};
use crate::physical;
use crate::space::Space;

/// What a page's entry must have to be read, and to be written: a page that is not dirty is made so first.
const READABLE: u64 = PRESENT | USER;
const CHANGEABLE: u64 = PRESENT | USER | WRITABLE | DIRTY;

/// One side of a copy.
struct Cursor {
    /// The next byte, and how many are at hand: the rest of its page, or all of the kernel's.
    pointer: *mut u8,
    room: u64,
    /// What comes after that of a program's memory, and what a page's entry there must have.
    rest: Option<(Place<Space>, u64)>,
}

impl Cursor {
    /// At a place in a program's memory, whose page must be entered.
    const fn new(place: Place<Space>, required: u64) -> Cursor {
        Cursor { pointer: core::ptr::null_mut(), room: 0, rest: Some((place, required)) }
    }

    /// Goes on with the next page; false if it allows no such access or is a device's.
    #[inline]
    fn enter(&mut self) -> bool {
        let Some((place, required)) = &mut self.rest else {
            return false;
        };
        let found = place.space.page_entry(place.address).unwrap_or(0);
        if found & (*required | UNCACHED) != *required {
            return false;
        }
        let offset = place.address % PAGE_BYTES;
        self.pointer = physical::pointer((found & ADDRESS) + offset);
        self.room = PAGE_BYTES - offset;
        place.address += self.room;
        true
    }

    /// Passes over bytes at hand.
    #[inline]
    fn skip(&mut self, count: u64) {
        self.pointer = self.pointer.wrapping_add(count as usize);
        self.room -= count;
    }
}

/// Copies `bytes` bytes between programs.
#[inline]
pub fn between(source: Place<Space>, destination: Place<Space>, bytes: u64) -> Result<(), CopyFault> {
    let end = |place: Place<Space>| place.address % PAGE_BYTES + bytes;
    // Most copies lie within one page on either side. What is odd is left to the general path.
    if end(source).max(end(destination)) <= PAGE_BYTES
        && let Some(from) = known_place(source, READABLE)
        && let Some(to) = known_place(destination, CHANGEABLE)
    {
        // SAFETY: both are in usable memory in the direct map with `bytes` bytes left of their pages, which belong to
        // programs, so no reference of the kernel's is to them.
        unsafe { move_bytes(from, to, bytes) };
        return Ok(());
    }
    between_pages(source, destination, bytes)
}

/// Where a place is in the direct map, if that is known, and its page's entry has what it must.
#[inline]
fn known_place(place: Place<Space>, required: u64) -> Option<*mut u8> {
    let entry = place.space.known_entry(place.address)?;
    let allowed = entry & (required | UNCACHED) == required;
    allowed.then(|| physical::pointer((entry & ADDRESS) + place.address % PAGE_BYTES))
}

/// The same where a page's end is in the way.
#[inline(never)]
fn between_pages(source: Place<Space>, destination: Place<Space>, bytes: u64) -> Result<(), CopyFault> {
    noting(destination, |done| {
        let source = Place { address: source.address + done, ..source };
        by_pages(Cursor::new(source, READABLE), changing(destination, done), bytes - done)
    })
}

/// The cursor of a destination, behind `done` bytes.
fn changing(destination: Place<Space>, done: u64) -> Cursor {
    Cursor::new(Place { address: destination.address + done, ..destination }, CHANGEABLE)
}

/// A copy to a program, which goes on behind so many bytes when it stopped at a page that only lacked being dirty.
#[inline]
fn noting(
    destination: Place<Space>,
    mut copy: impl FnMut(u64) -> Result<(), CopyFault>,
) -> Result<(), CopyFault> {
    let mut done = 0;
    loop {
        match copy(done) {
            Err(fault)
                if fault.side == Side::Destination
                    && destination
                        .space
                        .note_written(destination.address + done + fault.done, CHANGEABLE) =>
            {
                done += fault.done;
            }
            outcome => return outcome.map_err(|fault| CopyFault { done: done + fault.done, ..fault }),
        }
    }
}

/// Copies `bytes` bytes, of which a side that is the kernel's has as many.
#[inline]
fn by_pages(mut from: Cursor, mut to: Cursor, bytes: u64) -> Result<(), CopyFault> {
    let mut done = 0;
    while done < bytes {
        for (cursor, side) in [(&mut from, Side::Source), (&mut to, Side::Destination)] {
            if cursor.room == 0 && !cursor.enter() {
                return Err(CopyFault { done, side });
            }
        }
        let count = from.room.min(to.room).min(bytes - done);
        // SAFETY: both cursors have `count` bytes at hand: of programs' pages in the direct map, to which no reference
        // of the kernel's is, or of the slice that `read` or `write` was given.
        unsafe { move_bytes(from.pointer, to.pointer, count) };
        from.skip(count);
        to.skip(count);
        done += count;
    }
    Ok(())
}

/// Fills the page at physical address `page` with zeros.
///
/// # Safety
/// The page is in the direct map, the caller's to write, and no reference is to it.
#[inline]
pub unsafe fn zero_page(page: u64) {
    let start = physical::pointer::<u8>(page);
    if !features::has_vectors() {
        // SAFETY: the caller's.
        unsafe { start.write_bytes(0, PAGE_BYTES as usize) };
        return;
    }
    // SAFETY: the caller's; rounds are a page together. The processor has the register, and no program's state is in it
    // while the kernel runs.
    unsafe {
        asm!(
            "vpxor xmm0, xmm0, xmm0",
            "2:",
            ".irp at, 0, 1, 2, 3, 4, 5, 6, 7",
            "vmovdqa [rdi + 32 * \\at], ymm0",
            ".endr",
            "add rdi, {round}",
            "sub ecx, {round}",
            "jnz 2b",
            round = const ROUND_BYTES,
            inout("rcx") PAGE_BYTES => _,
            inout("rdi") start => _,
            out("xmm0") _,
            options(nostack)
        );
    }
}

/// Copies a page: both by their physical addresses.
///
/// # Safety
/// Both pages are in the direct map, `to` is the caller's to write, and no reference is to either.
pub unsafe fn copy_page(from: u64, to: u64) {
    // SAFETY: the caller's.
    unsafe { move_bytes(physical::pointer(from), physical::pointer(to), PAGE_BYTES) };
}

/// Bytes that one round of the vector loop moves.
const ROUND_BYTES: u64 = 256;

/// Copies within two pages, from the lowest byte up, whether they overlap or not.
///
/// # Safety
/// Both areas are valid for `count` bytes, and no reference is to them.
#[inline]
unsafe fn move_bytes(source: *const u8, destination: *mut u8, count: u64) {
    if count < ROUND_BYTES || !features::has_vectors() {
        // SAFETY: the caller's.
        return unsafe { move_plainly(source, destination, count) };
    }
    let moved = count & !(ROUND_BYTES - 1);
    // SAFETY: the caller's; rounds are `moved` bytes together. The processor has the registers, and no program's state
    // is in them while the kernel runs.
    unsafe {
        asm!(
            "2:",
            ".irp at, 0, 1, 2, 3, 4, 5, 6, 7",
            "vmovdqu ymm\\at, [rsi + 32 * \\at]",
            ".endr",
            ".irp at, 0, 1, 2, 3, 4, 5, 6, 7",
            "vmovdqu [rdi + 32 * \\at], ymm\\at",
            ".endr",
            "add rsi, {round}",
            "add rdi, {round}",
            "sub rcx, {round}",
            "jnz 2b",
            round = const ROUND_BYTES,
            inout("rcx") moved => _,
            inout("rdi") destination => _,
            inout("rsi") source => _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            options(nostack)
        );
        if moved != count {
            let skip = moved as usize;
            move_plainly(source.wrapping_add(skip), destination.wrapping_add(skip), count - moved);
        }
    }
}

/// The same on any processor.
///
/// # Safety
/// As for `move_bytes`.
#[inline]
unsafe fn move_plainly(source: *const u8, destination: *mut u8, count: u64) {
    // SAFETY: the caller's; words and tail together are `count` bytes.
    unsafe {
        asm!(
            "rep movsq",
            "mov ecx, {tail:e}",
            "rep movsb",
            tail = in(reg) count & 7,
            inout("rcx") count / 8 => _,
            inout("rdi") destination => _,
            inout("rsi") source => _,
            options(nostack, preserves_flags)
        );
    }
}

/// Copies the kernel's bytes to a program.
pub fn write(destination: Place<Space>, bytes: &[u8]) -> Result<(), CopyFault> {
    let count = bytes.len() as u64;
    noting(destination, |done| {
        let rest = &bytes[done as usize..];
        let source = Cursor { pointer: rest.as_ptr().cast_mut(), room: count - done, rest: None };
        by_pages(source, changing(destination, done), count - done)
    })
}

/// Copies a program's bytes to the kernel.
pub fn read(source: Place<Space>, bytes: &mut [u8]) -> Result<(), CopyFault> {
    let count = bytes.len() as u64;
    if source.address % PAGE_BYTES + count <= PAGE_BYTES
        && let Some(from) = known_place(source, READABLE)
    {
        // SAFETY: as in `between`; and `bytes` has as many.
        unsafe { move_bytes(from, bytes.as_mut_ptr(), count) };
        return Ok(());
    }
    let destination = Cursor { pointer: bytes.as_mut_ptr(), room: count, rest: None };
    by_pages(Cursor::new(source, READABLE), destination, count)
}
