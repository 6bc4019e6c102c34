//! Page tables: their entries, and the kernel's own half of every address space.
//!
//! The upper half is the same in all spaces: the direct map of usable memory, the kernel's image (text read-only and
//! executable, the rest not executable, a hole below the stack), and device registers. Its tables are made at boot and
//! never change afterwards, except that a device's registers may be added.

use core::sync::atomic::{AtomicU64, Ordering};

use abi::PAGE_BYTES;
use abi::kernel::protection;
use firmware::ranges::{Range, Ranges};
use kernel_core::machine::Protection;

use crate::boot::KERNEL_BASE;
use crate::heap;
use crate::instructions::set_root_table;
use crate::physical::{self, DIRECT_MAP};

/// The page is there.
pub const PRESENT: u64 = 1 << 0;
/// It may be written.
pub const WRITABLE: u64 = 1 << 1;
/// Programs may use it.
pub const USER: u64 = 1 << 2;
/// Not cached: a device's registers, which the kernel must not touch for a program.
pub const UNCACHED: u64 = 1 << 4 | 1 << 3;
/// It was used, says the processor.
pub const ACCESSED: u64 = 1 << 5;
/// It was written. The processor sets it, and so must the kernel's copies; it is set when a page is mapped.
pub const DIRTY: u64 = 1 << 6;
/// The entry maps 2 MiB.
pub const LARGE: u64 = 1 << 7;
/// In every space; stays when another is loaded.
const GLOBAL: u64 = 1 << 8;
/// Not executable.
pub const NO_EXECUTE: u64 = 1 << 63;
/// The frame's address.
pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Entries in a table.
pub const ENTRIES: usize = 512;
/// Bytes that an entry of each level maps: page, directory, pointers, root.
pub const PAGE_SHIFT: u32 = 12;
/// A directory's entry: one table.
pub const DIRECTORY_SHIFT: u32 = 21;
/// A pointer table's entry: one directory.
pub const POINTERS_SHIFT: u32 = 30;
/// A root's entry: one table of pointers.
pub const ROOT_SHIFT: u32 = 39;

/// What a large page has.
pub const LARGE_PAGE_BYTES: u64 = 1 << DIRECTORY_SHIFT;

/// Device registers of the kernel's own are mapped from here on, a page each.
const DEVICES: u64 = 0xffff_ffff_c000_0000;
static NEXT_DEVICE: AtomicU64 = AtomicU64::new(DEVICES);

/// Where an address's entry is in the table of a level.
#[inline]
pub const fn index(address: u64, shift: u32) -> usize {
    (address >> shift) as usize & (ENTRIES - 1)
}

/// The entry `index` of the table at physical address `table`.
#[inline]
pub fn entry(table: u64, index: usize) -> *mut u64 {
    physical::pointer::<u64>(table).wrapping_add(index)
}

/// What a page's entry must have for an access.
#[inline]
pub const fn required_bits(protection: Protection) -> u64 {
    let mut bits = if protection == 0 { USER } else { PRESENT | USER };
    if protection & protection::WRITE != 0 {
        bits |= WRITABLE;
    }
    if protection & protection::EXECUTE != 0 {
        // Compared with the bit inverted: see `allows`.
        bits |= NO_EXECUTE;
    }
    bits
}

/// Whether a page's entry has all of `required`.
#[inline]
pub const fn allows(entry: u64, required: u64) -> bool {
    (entry ^ NO_EXECUTE) & required == required
}

/// The bits of a page's entry for a protection. Whatever is allowed, reading is: the processor knows no page that can
/// be written or executed and not read.
pub const fn protection_bits(bits: Protection) -> u64 {
    let mut entry = USER;
    if bits & (protection::READ | protection::WRITE | protection::EXECUTE) != 0 {
        entry |= PRESENT;
    }
    if bits & protection::WRITE != 0 {
        entry |= WRITABLE;
    }
    if bits & protection::EXECUTE == 0 {
        entry |= NO_EXECUTE;
    }
    entry
}

/// The parts of the kernel's image.
pub struct Image {
    /// All of it, physical; the boot section first.
    pub physical: Range,
    /// The boot section, free once these tables are in use.
    pub boot: Range,
    text: Range,
    read_only: Range,
    data: Range,
    stack_guard: u64,
}

impl Image {
    /// As the linker laid it out.
    pub fn get() -> Image {
        unsafe extern "C" {
            static image_boot_start: u8;
            static image_boot_end: u8;
            static image_text_start: u8;
            static image_text_end: u8;
            static image_read_only_end: u8;
            static image_end: u8;
            static kernel_stack: u8;
        }
        let address = |symbol: *const u8| symbol.addr() as u64;
        let boot =
            Range { start: address(&raw const image_boot_start), end: address(&raw const image_boot_end) };
        let text_end = address(&raw const image_text_end);
        let read_only_end = address(&raw const image_read_only_end);
        let end = address(&raw const image_end);
        Image {
            physical: Range { start: boot.start, end: end - KERNEL_BASE },
            boot,
            text: Range { start: address(&raw const image_text_start), end: text_end },
            read_only: Range { start: text_end, end: read_only_end },
            data: Range { start: read_only_end, end },
            stack_guard: address(&raw const kernel_stack),
        }
    }
}

/// Makes the kernel's tables and loads them. Returns the root's physical address.
///
/// `memory` is all usable memory; the kernel's image is left out of its map, but for the boot section.
pub fn initialize(image: &Image, memory: &Ranges) -> u64 {
    let root = heap::zeroed_page();
    let mut mapped = memory.clone();
    mapped.remove(Range { start: image.boot.end, end: image.physical.end });
    for range in mapped.as_slice() {
        map_direct(root, *range);
    }
    for (range, bits) in [(image.text, 0), (image.read_only, NO_EXECUTE), (image.data, NO_EXECUTE | WRITABLE)]
    {
        for address in (range.start..range.end).step_by(PAGE_BYTES as usize) {
            if address != image.stack_guard {
                let frame = address - KERNEL_BASE;
                set_entry(root, address, PAGE_SHIFT, frame | bits | PRESENT | GLOBAL);
            }
        }
    }
    // The table for device registers is there from the start, so that all spaces share it.
    set_entry(root, DEVICES, PAGE_SHIFT, 0);
    // SAFETY: the new tables map the image where it runs, its stack included, and the direct map.
    unsafe { set_root_table(root) };
    root
}

/// Maps usable memory into the direct map, in large pages where they hold nothing else.
fn map_direct(root: u64, range: Range) {
    let bits = PRESENT | WRITABLE | NO_EXECUTE | GLOBAL;
    let mut address = range.start;
    while address < range.end {
        if address.is_multiple_of(LARGE_PAGE_BYTES) && address + LARGE_PAGE_BYTES <= range.end {
            set_entry(root, DIRECT_MAP + address, DIRECTORY_SHIFT, address | bits | LARGE);
            address += LARGE_PAGE_BYTES;
        } else {
            set_entry(root, DIRECT_MAP + address, PAGE_SHIFT, address | bits);
            address += PAGE_BYTES;
        }
    }
}

/// Writes the entry of `address` at a level, adding the tables above it.
fn set_entry(root: u64, address: u64, shift: u32, value: u64) {
    let mut table = root;
    let mut level = ROOT_SHIFT;
    while level > shift {
        let slot = entry(table, index(address, level));
        // SAFETY: `table` is one of the kernel's own tables, made below or by `initialize`, in the direct map; the
        // kernel's one processor is here and nowhere else.
        unsafe {
            if *slot == 0 {
                *slot = heap::zeroed_page() | PRESENT | WRITABLE;
            }
            table = *slot & ADDRESS;
        }
        level -= 9;
    }
    // SAFETY: as above.
    unsafe { *entry(table, index(address, shift)) = value };
}

/// Maps the page of device registers at `address` for the kernel. Returns where it is.
///
/// Only at boot: it may take memory for a table.
pub fn map_device(root: u64, address: u64) -> u64 {
    let page = NEXT_DEVICE.fetch_add(PAGE_BYTES, Ordering::Relaxed);
    let frame = address & !(PAGE_BYTES - 1);
    set_entry(root, page, PAGE_SHIFT, frame | PRESENT | WRITABLE | NO_EXECUTE | UNCACHED | GLOBAL);
    page + address % PAGE_BYTES
}

/// Puts the kernel's half of the root table into another.
///
/// # Safety
/// `to` is the physical address of a page that is the caller's alone, in the direct map.
pub unsafe fn share_kernel_half(root: u64, to: u64) {
    const HALF: usize = ENTRIES / 2;
    // SAFETY: both are tables in the direct map; `to` is the caller's.
    unsafe { entry(to, HALF).copy_from_nonoverlapping(entry(root, HALF), HALF) };
}
