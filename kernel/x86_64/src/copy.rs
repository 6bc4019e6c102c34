//! Copies between programs, and between a program and the kernel, by the direct map.
//!
//! Each side is walked page by page with the table of the last 2 MiB at hand. No user address is ever touched, so a
//! page that is missing or protected is an ordinary result.

use abi::PAGE_BYTES;
use abi::kernel::protection;
use kernel_core::machine::{CopyFault, Place, Side};

use crate::paging::{ADDRESS, DIRECTORY_SHIFT, PAGE_SHIFT, SPECIAL, entry, index};
use crate::physical;
use crate::space::{Space, allows, required_bits};

/// One side of a copy: the next byte, and the page table it is in.
struct Cursor {
    place: Place<Space>,
    required: u64,
    side: Side,
    /// The 2 MiB that `table` maps, as the address's high bits; none at first.
    region: u64,
    table: u64,
}

impl Cursor {
    #[inline]
    fn new(place: Place<Space>, side: Side) -> Cursor {
        let access = match side {
            Side::Source => protection::READ,
            Side::Destination => protection::WRITE,
        };
        Cursor {
            place,
            required: required_bits(access),
            side,
            region: u64::MAX,
            table: 0,
        }
    }

    /// Where the next byte is in the direct map; none if its page allows no such access or is a device's.
    #[inline]
    fn pointer(&mut self) -> Option<*mut u8> {
        let address = self.place.address;
        if address >> DIRECTORY_SHIFT != self.region {
            self.table = self.place.space.page_table(address)?;
            self.region = address >> DIRECTORY_SHIFT;
        }
        // SAFETY: `page_table` gave a table of pages in this space, and nothing is unmapped during a copy.
        let found = unsafe { *entry(self.table, index(address, PAGE_SHIFT)) };
        (allows(found, self.required) && found & SPECIAL == 0)
            .then(|| physical::pointer((found & ADDRESS) + address % PAGE_BYTES))
    }

    /// Bytes to the end of the page.
    #[inline]
    fn room(&self) -> u64 {
        PAGE_BYTES - self.place.address % PAGE_BYTES
    }

    /// What to say when the next byte, number `done`, cannot be reached.
    #[cold]
    fn fault(&self, done: u64) -> CopyFault {
        CopyFault {
            done,
            side: self.side,
        }
    }
}

/// Copies `bytes` bytes between programs.
#[inline]
pub fn between(from: Place<Space>, to: Place<Space>, bytes: u64) -> Result<(), CopyFault> {
    let mut from = Cursor::new(from, Side::Source);
    let mut to = Cursor::new(to, Side::Destination);
    let mut done = 0;
    while done < bytes {
        let source = from.pointer().ok_or_else(|| from.fault(done))?;
        let destination = to.pointer().ok_or_else(|| to.fault(done))?;
        let count = from.room().min(to.room()).min(bytes - done);
        // SAFETY: both pointers are to usable memory in the direct map with `count` bytes left in their pages, which
        // belong to programs, so no reference of the kernel's is to them. They overlap only if they are one place.
        unsafe { core::ptr::copy(source, destination, count as usize) };
        from.place.address += count;
        to.place.address += count;
        done += count;
    }
    Ok(())
}

/// Copies the kernel's bytes to a program.
pub fn write(to: Place<Space>, bytes: &[u8]) -> Result<(), CopyFault> {
    let mut to = Cursor::new(to, Side::Destination);
    let mut done = 0;
    while done < bytes.len() {
        let destination = to.pointer().ok_or_else(|| to.fault(done as u64))?;
        let count = (to.room() as usize).min(bytes.len() - done);
        // SAFETY: as in `between`; the source is a slice of the kernel's, not a program's memory.
        unsafe { core::ptr::copy_nonoverlapping(bytes[done..].as_ptr(), destination, count) };
        to.place.address += count as u64;
        done += count;
    }
    Ok(())
}

/// Copies a program's bytes to the kernel.
pub fn read(from: Place<Space>, bytes: &mut [u8]) -> Result<(), CopyFault> {
    let mut from = Cursor::new(from, Side::Source);
    let mut done = 0;
    while done < bytes.len() {
        let source = from.pointer().ok_or_else(|| from.fault(done as u64))?;
        let count = (from.room() as usize).min(bytes.len() - done);
        // SAFETY: as in `write`, the other way.
        unsafe { core::ptr::copy_nonoverlapping(source, bytes[done..].as_mut_ptr(), count) };
        from.place.address += count as u64;
        done += count;
    }
    Ok(())
}
