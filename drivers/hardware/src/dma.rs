//! Memory that a device reads and writes by itself: contiguous, wired, at a known physical address.
//!
//! A device may change it at any moment, so it is never lent as a Rust slice: bytes are copied in and out with
//! volatile accesses. It is not unmapped when dropped, because a device may still be told of it: it stays the team's
//! until the team ends, and the kernel holds it back until the device has been reset.

use core::ptr::{NonNull, with_exposed_provenance_mut};
use core::sync::atomic::{Ordering, fence};

use v::abi::PAGE_BYTES;
use v::abi::kernel::{self, device};
use v::{Error, Segment, call};

/// DMA memory.
#[derive(Debug)]
pub struct DmaMemory {
    first: NonNull<u8>,
    bytes: usize,
    physical: u64,
}

// SAFETY: all accesses are volatile copies; which process of the team makes them doesn't matter.
unsafe impl Send for DmaMemory {}

impl DmaMemory {
    /// At least `bytes` zeroed bytes, in whole pages. They must have been granted.
    pub fn allocate(bytes: usize) -> Result<DmaMemory, Error> {
        let pages = (bytes.max(1) as u64).div_ceil(PAGE_BYTES);
        let request =
            device::AllocateDma { pages: u32::try_from(pages).map_err(|_| Error::TooLong)?, address: 0 };
        let allocated = call(kernel::server(kernel::DEVICE), &request, Segment::None)?;
        let first = with_exposed_provenance_mut(allocated.address as usize);
        Ok(DmaMemory {
            first: NonNull::new(first).ok_or(Error::BadAddress)?,
            bytes: (pages * PAGE_BYTES) as usize,
            physical: allocated.physical,
        })
    }

    /// Its physical address, for the device.
    pub const fn physical(&self) -> u64 {
        self.physical
    }

    /// Its length in bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Copies bytes in, for the device to see from now on.
    ///
    /// # Panics
    /// If they do not fit.
    pub fn write(&self, offset: usize, data: &[u8]) {
        let place = self.range(offset, data.len());
        for (at, byte) in data.iter().enumerate() {
            // SAFETY: within the memory, by `range`; volatile because the device looks at it.
            unsafe { place.wrapping_add(at).write_volatile(*byte) };
        }
        fence(Ordering::SeqCst);
    }

    /// Copies bytes out, as the device left them.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn read(&self, offset: usize, buffer: &mut [u8]) {
        fence(Ordering::SeqCst);
        let place = self.range(offset, buffer.len());
        for (at, byte) in buffer.iter_mut().enumerate() {
            // SAFETY: within the memory, by `range`; volatile because the device may write it.
            *byte = unsafe { place.wrapping_add(at).read_volatile() };
        }
    }

    fn range(&self, offset: usize, bytes: usize) -> *mut u8 {
        let end = offset.checked_add(bytes).filter(|end| *end <= self.bytes);
        assert!(end.is_some(), "{bytes} bytes at {offset} of {} of DMA memory", self.bytes);
        self.first.as_ptr().wrapping_add(offset)
    }
}
