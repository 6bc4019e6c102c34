//! Copies between programs, and between a program and the kernel, by the direct map.
//!
//! Each side walks its page tables once for 2 MiB and then from entry to entry. No user address is ever touched, so a
//! page that is missing or protected is an ordinary result.

use core::arch::asm;

use abi::PAGE_BYTES;
use kernel_core::machine::{CopyFault, Place, Side};

use crate::features;
use crate::paging::{
    ADDRESS, DIRECTORY_SHIFT, ENTRIES, PAGE_SHIFT, PRESENT, SPECIAL, USER, WRITABLE, entry, index,
};
use crate::physical;
use crate::space::Space;

const _: () = assert!(DIRECTORY_SHIFT - PAGE_SHIFT == ENTRIES.trailing_zeros());

/// What a page's entry must have to be read, and to be written.
const READABLE: u64 = PRESENT | USER;
const CHANGEABLE: u64 = PRESENT | USER | WRITABLE;

/// One side of a copy.
struct Cursor {
    space: Space,
    required: u64,
    /// The next byte, in the direct map, and how many are left of its page.
    pointer: *mut u8,
    room: u64,
    /// The page after that; its entry, and how many entries are left of its table.
    next_page: u64,
    slot: *mut u64,
    slots: usize,
}

impl Cursor {
    /// At a place, whose page must be entered.
    #[inline]
    fn new(place: Place<Space>, required: u64) -> Cursor {
        Cursor {
            space: place.space,
            required,
            pointer: core::ptr::null_mut(),
            room: 0,
            next_page: place.address & !(PAGE_BYTES - 1),
            slot: core::ptr::null_mut(),
            slots: 0,
        }
    }

    /// Goes to the first byte of the next page; false if the page allows no such access or is a device's.
    #[inline]
    fn enter(&mut self) -> bool {
        if self.slots == 0 {
            let Some(table) = self.space.page_table(self.next_page) else {
                return false;
            };
            let first = index(self.next_page, PAGE_SHIFT);
            self.slot = entry(table, first);
            self.slots = ENTRIES - first;
        }
        // SAFETY: `slots` entries from `slot` on are in a table of this space's, and nothing is unmapped during a copy.
        let found = unsafe { *self.slot };
        if found & (self.required | SPECIAL) != self.required {
            return false;
        }
        self.pointer = physical::pointer(found & ADDRESS);
        self.room = PAGE_BYTES;
        self.next_page += PAGE_BYTES;
        self.pass(1);
        true
    }

    /// Passes over entries.
    #[inline]
    fn pass(&mut self, pages: usize) {
        self.slot = self.slot.wrapping_add(pages);
        self.slots -= pages;
    }

    /// Passes over bytes of the page.
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
    if end(source).max(end(destination)) > PAGE_BYTES {
        return between_pages(source, destination, bytes);
    }
    // Within one page on either side, as most copies are. What is odd is left to the general path.
    let entries =
        (source.space.known_entry(source.address), destination.space.known_entry(destination.address));
    let (Some(from), Some(to)) = entries else {
        return between_pages(source, destination, bytes);
    };
    if from & (READABLE | SPECIAL) != READABLE || to & (CHANGEABLE | SPECIAL) != CHANGEABLE {
        return between_pages(source, destination, bytes);
    }
    let within = |entry: u64, address: u64| physical::pointer::<u8>((entry & ADDRESS) + address % PAGE_BYTES);
    // SAFETY: both are in usable memory in the direct map with `bytes` bytes left of their pages, which belong to
    // programs, so no reference of the kernel's is to them.
    unsafe {
        move_bytes(within(from, source.address), within(to, destination.address), bytes);
    };
    Ok(())
}

/// The same where a page's end is in the way.
#[inline(never)]
fn between_pages(source: Place<Space>, destination: Place<Space>, bytes: u64) -> Result<(), CopyFault> {
    let mut from = Cursor::new(source, READABLE);
    let mut to = Cursor::new(destination, CHANGEABLE);
    let mut left = bytes;
    let (mut source_skip, mut destination_skip) =
        (source.address % PAGE_BYTES, destination.address % PAGE_BYTES);
    while left > 0 {
        if from.room == 0 {
            if to.room == 0 && source_skip | destination_skip == 0 {
                left -= whole_pages(&mut from, &mut to, left / PAGE_BYTES) * PAGE_BYTES;
                if left == 0 {
                    break;
                }
            }
            if !from.enter() {
                return fault(bytes - left, Side::Source);
            }
            from.skip(core::mem::take(&mut source_skip));
        }
        if to.room == 0 {
            if !to.enter() {
                return fault(bytes - left, Side::Destination);
            }
            to.skip(core::mem::take(&mut destination_skip));
        }
        let count = from.room.min(to.room).min(left);
        // SAFETY: both cursors are in usable memory in the direct map with `count` bytes left of their pages, which
        // belong to programs, so no reference of the kernel's is to them.
        unsafe { move_bytes(from.pointer, to.pointer, count) };
        from.skip(count);
        to.skip(count);
        left -= count;
    }
    Ok(())
}

/// Copies up to `limit` whole pages, as far as both tables at hand reach and allow. Returns how many.
#[inline]
fn whole_pages(from: &mut Cursor, to: &mut Cursor, limit: u64) -> u64 {
    let limit = from.slots.min(to.slots).min(limit as usize);
    let mut count = 0;
    while count < limit {
        // SAFETY: `limit` is within both cursors' tables; as in `enter`.
        let (source, destination) = unsafe { (*from.slot.wrapping_add(count), *to.slot.wrapping_add(count)) };
        if source & (READABLE | SPECIAL) != READABLE || destination & (CHANGEABLE | SPECIAL) != CHANGEABLE {
            break;
        }
        let (from, to) = (physical::pointer(source & ADDRESS), physical::pointer(destination & ADDRESS));
        // SAFETY: both are whole pages of programs, in the direct map; no reference is to them.
        unsafe { move_bytes(from, to, PAGE_BYTES) };
        count += 1;
    }
    for cursor in [from, to] {
        cursor.next_page += count as u64 * PAGE_BYTES;
        cursor.pass(count);
    }
    count as u64
}

#[cold]
fn fault(done: u64, side: Side) -> Result<(), CopyFault> {
    Err(CopyFault { done, side })
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
    let total = bytes.len() as u64;
    pieces(destination, CHANGEABLE, total, Side::Destination, |place, done, count| {
        // SAFETY: `place` has `count` bytes of a program's page, to which no reference is, and the slice has
        // `done + count`, since `pieces` adds up to its length.
        unsafe { move_bytes(bytes.as_ptr().wrapping_add(done as usize), place, count) };
    })
}

/// Copies a program's bytes to the kernel.
pub fn read(source: Place<Space>, bytes: &mut [u8]) -> Result<(), CopyFault> {
    let total = bytes.len() as u64;
    pieces(source, READABLE, total, Side::Source, |place, done, count| {
        // SAFETY: as in `write`, the other way.
        unsafe { move_bytes(place, bytes.as_mut_ptr().wrapping_add(done as usize), count) };
    })
}

/// Calls `each` with every piece of a program's `bytes` bytes: where it is, what came before it, and its length.
#[inline]
fn pieces(
    place: Place<Space>,
    required: u64,
    bytes: u64,
    side: Side,
    mut each: impl FnMut(*mut u8, u64, u64),
) -> Result<(), CopyFault> {
    let mut cursor = Cursor::new(place, required);
    let mut skip = place.address % PAGE_BYTES;
    let mut done = 0;
    while done < bytes {
        if !cursor.enter() {
            return fault(done, side);
        }
        cursor.skip(core::mem::take(&mut skip));
        let count = cursor.room.min(bytes - done);
        each(cursor.pointer, done, count);
        done += count;
    }
    Ok(())
}
