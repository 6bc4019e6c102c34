//! Physical memory that holds facts: the boot archive, the firmware's tables.
//!
//! What is mapped here is read only, by everyone: the kernel maps it read-only, grants none of it to a team that
//! would write it, and gives none of it to anyone as ordinary memory.

use core::ptr::with_exposed_provenance;

use v::abi::kernel::{self, device, protection};
use v::abi::{Error, PAGE_BYTES, Pid};
use v::protocols::supervisor::{ARCHIVE_VARIABLE, ArchivePlace};
use v::{Segment, memory};

/// Maps memory that never changes, for good. It must have been granted.
pub fn map(physical: u64, bytes: usize) -> Result<&'static [u8], Error> {
    if bytes == 0 {
        return Ok(&[]);
    }
    let (address, _) = map_pages(physical, bytes)?;
    let first = with_exposed_provenance::<u8>(address as usize);
    // SAFETY: the kernel has just mapped the pages that hold these bytes, and nobody unmaps or changes them.
    Ok(unsafe { core::slice::from_raw_parts(first, bytes) })
}

/// Maps the boot archive, for good, in a service that may: the supervisor tells it where that is.
pub fn map_boot_archive() -> Result<&'static [u8], Error> {
    let place = v::env::variable(ARCHIVE_VARIABLE).ok_or(Error::NotFound)?;
    let place: ArchivePlace = place.parse()?;
    map(place.physical, usize::try_from(place.bytes).map_err(|_| Error::TooLong)?)
}

/// Copies from memory that may change meanwhile. It must have been granted.
pub fn read(physical: u64, buffer: &mut [u8]) -> Result<(), Error> {
    if buffer.is_empty() {
        return Ok(());
    }
    let (address, pages) = map_pages(physical, buffer.len())?;
    for (offset, byte) in buffer.iter_mut().enumerate() {
        let source = with_exposed_provenance::<u8>(address as usize + offset);
        // SAFETY: within the pages that the kernel has just mapped; volatile because others may write there.
        *byte = unsafe { source.read_volatile() };
    }
    memory::unmap(Pid::NONE, address & !(PAGE_BYTES - 1), pages)
}

/// Maps the pages that hold a range; where it begins, and how many pages.
fn map_pages(physical: u64, bytes: usize) -> Result<(u64, u32), Error> {
    let offset = physical % PAGE_BYTES;
    let end = offset.checked_add(bytes as u64).ok_or(Error::BadArgument)?;
    let pages = u32::try_from(end.div_ceil(PAGE_BYTES)).map_err(|_| Error::TooLong)?;
    let request =
        device::MapPhysical { physical: physical - offset, pages, protection: protection::READ, address: 0 };
    let mapped = v::call(kernel::server(kernel::DEVICE), &request, Segment::None)?;
    Ok((mapped.address + offset, pages))
}
