//! Device registers in memory: mapped uncached, each access exactly one load or store.

use core::ptr::{NonNull, with_exposed_provenance_mut};

use v::abi::kernel::{self, device, protection};
use v::abi::{PAGE_BYTES, Pid};
use v::{Error, Segment, call, memory};

/// Something a register can hold.
pub trait Width: Copy + sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! widths {
    ($($Type:ty),*) => { $(impl sealed::Sealed for $Type {} impl Width for $Type {})* };
}
widths!(u8, u16, u32, u64);

/// A device's registers, mapped as long as this value lives.
#[derive(Debug)]
pub struct Registers {
    /// The first register, not below the first page.
    first: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping belongs to this value alone, whichever process of the team holds it.
unsafe impl Send for Registers {}

impl Registers {
    /// Maps `bytes` bytes of registers at a physical address. They must have been granted.
    pub fn map(physical: u64, bytes: usize) -> Result<Registers, Error> {
        let offset = physical % PAGE_BYTES;
        let end = offset.checked_add(bytes as u64).filter(|_| bytes > 0).ok_or(Error::BadArgument)?;
        let request = device::MapPhysical {
            physical: physical - offset,
            pages: u32::try_from(end.div_ceil(PAGE_BYTES)).map_err(|_| Error::TooLong)?,
            protection: protection::READ | protection::WRITE,
            address: 0,
        };
        let address = call(kernel::server(kernel::DEVICE), &request, Segment::None)?.address + offset;
        let first = NonNull::new(with_exposed_provenance_mut(address as usize)).ok_or(Error::BadAddress)?;
        Ok(Registers { first, bytes })
    }

    /// Reads the register at a byte offset.
    ///
    /// # Panics
    /// If it lies beyond the mapping, or is not aligned to its width.
    #[inline]
    pub fn read<T: Width>(&self, offset: usize) -> T {
        // SAFETY: within the mapping and aligned; any bits are a value of these types; volatile as registers need.
        unsafe { self.at::<T>(offset).read_volatile() }
    }

    /// Writes the register at a byte offset.
    ///
    /// # Panics
    /// As [`read`](Registers::read).
    #[inline]
    pub fn write<T: Width>(&self, offset: usize, value: T) {
        // SAFETY: within the mapping, which is writable, and aligned; no Rust value lies there.
        unsafe { self.at::<T>(offset).write_volatile(value) }
    }

    #[inline]
    fn at<T>(&self, offset: usize) -> *mut T {
        let place = self.first.as_ptr().wrapping_add(offset).cast::<T>();
        let end = offset.checked_add(size_of::<T>()).filter(|end| *end <= self.bytes);
        if end.is_none() || !place.is_aligned() {
            no_register(offset, self.bytes);
        }
        place
    }
}

#[cold]
#[inline(never)]
fn no_register(offset: usize, bytes: usize) -> ! {
    panic!("register {offset:#x} is not aligned, or beyond the device's {bytes:#x} bytes")
}

impl Drop for Registers {
    fn drop(&mut self) {
        let first = self.first.as_ptr().expose_provenance() as u64;
        let base = first - first % PAGE_BYTES;
        let pages = (first + self.bytes as u64 - base).div_ceil(PAGE_BYTES) as u32;
        // It was mapped as a whole; if the kernel refuses, it stays until the team ends.
        let _ = memory::unmap(Pid::NONE, base, pages);
    }
}
