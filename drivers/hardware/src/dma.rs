//! Memory that a device reads and writes by itself: contiguous, wired, at a known physical address.
//!
//! A device may change it at any moment, so it is never lent as a Rust slice: values are read and written, and bytes
//! copied in and out, with volatile accesses. What driver and device have by turns is in [`Buffers`](crate::buffers). It
//! is not unmapped when dropped, because a device may still be told of it: it stays the team's until the team ends, and
//! the kernel holds it back until the device has been reset.

use alloc::boxed::Box;
use alloc::vec;
use core::marker::PhantomData;
use core::ptr::{NonNull, with_exposed_provenance_mut};
use core::sync::atomic::{Ordering, fence};

use v::abi::PAGE_BYTES;
use v::abi::kernel::{self, device};
use v::{Error, Segment, call};

use crate::register::Width;

/// What was written before is seen by devices before anything behind this is read.
///
/// That takes more than a fence: QEMU's emulator with one processor leaves fences out, though its devices run beside the
/// processor (up to version 8 at least), and of what it does for an instruction, what it does to read the time-stamp
/// counter holds a lock. On a real processor that is a few dozen cycles more.
#[inline]
pub fn barrier() {
    fence(Ordering::SeqCst);
    v::entry::time_stamp_counter();
}

/// For alignment: what the kernel gives is whole pages.
#[derive(Clone)]
#[repr(align(4096))]
struct Page(#[allow(dead_code)] [u8; PAGE_BYTES as usize]);

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

    /// Memory that no device knows, for tests on the host. Its "physical" address is where it is.
    pub fn imitate(bytes: usize) -> DmaMemory {
        let pages = vec![Page([0; PAGE_BYTES as usize]); bytes.max(1).div_ceil(PAGE_BYTES as usize)];
        let bytes = pages.len() * PAGE_BYTES as usize;
        let first = NonNull::from(Box::leak(pages.into_boxed_slice())).cast::<u8>();
        DmaMemory { first, bytes, physical: first.as_ptr().expose_provenance() as u64 }
    }

    /// The same memory once more, as a device has it. For tests on the host, of memory that was [imitated](Self::imitate).
    #[must_use]
    pub const fn seen_by_device(&self) -> DmaMemory {
        DmaMemory { first: self.first, bytes: self.bytes, physical: self.physical }
    }

    /// Its physical address, for the device.
    pub const fn physical(&self) -> u64 {
        self.physical
    }

    /// Its length in bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reads what the device or the driver has written at `offset`.
    ///
    /// # Panics
    /// If it lies beyond the memory, or is not aligned.
    #[inline]
    pub fn get<T: Width>(&self, offset: usize) -> T {
        // SAFETY: within the memory and aligned, by `place`; any bits are a value of these types.
        unsafe { self.place::<T>(offset).read_volatile() }
    }

    /// Writes a value, for the device to see from now on: not before what was written earlier.
    ///
    /// # Panics
    /// As [`get`](DmaMemory::get).
    #[inline]
    pub fn set<T: Width>(&self, offset: usize, value: T) {
        fence(Ordering::Release);
        // SAFETY: within the memory and aligned, by `place`; no Rust value lies there.
        unsafe { self.place::<T>(offset).write_volatile(value) }
    }

    #[inline]
    fn place<T>(&self, offset: usize) -> *mut T {
        let place = self.range(offset, size_of::<T>()).cast::<T>();
        if !place.is_aligned() {
            not_aligned(offset);
        }
        place
    }

    /// The place of a value that is read or written often.
    ///
    /// # Panics
    /// As [`get`](DmaMemory::get).
    pub fn cell<T: Width>(&self, offset: usize) -> DmaCell<T> {
        self.table(offset, 1, size_of::<T>()).cell(0)
    }

    /// The places of `count` values, `step` bytes apart.
    ///
    /// # Panics
    /// As [`get`](DmaMemory::get), if that holds of one of them.
    pub fn table<T: Width>(&self, offset: usize, count: usize, step: usize) -> DmaTable<T> {
        for index in 0..count {
            self.place::<T>(offset + step * index);
        }
        let first = self.first.as_ptr().wrapping_add(offset);
        DmaTable { first: NonNull::new(first).expect("it is in the memory"), count, step, kind: PhantomData }
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

    /// Where `bytes` bytes from `offset` on lie; they are within the memory.
    #[inline]
    pub(crate) fn range(&self, offset: usize, bytes: usize) -> *mut u8 {
        if offset > self.bytes || bytes > self.bytes - offset {
            beyond(bytes, offset, self.bytes);
        }
        self.first.as_ptr().wrapping_add(offset)
    }
}

/// The place of a value in DMA memory, which stays the team's: nothing is left to check.
#[derive(Clone, Copy, Debug)]
pub struct DmaCell<T>(NonNull<T>);

// SAFETY: as of the memory that it is in.
unsafe impl<T> Send for DmaCell<T> {}

impl<T: Width> DmaCell<T> {
    /// Reads what the device or the driver has written.
    #[inline]
    pub fn get(&self) -> T {
        // SAFETY: within the memory and aligned, checked when it was made; any bits are a value of these types.
        unsafe { self.0.as_ptr().read_volatile() }
    }

    /// Writes a value, for the device to see from now on: not before what was written earlier.
    #[inline]
    pub fn set(&self, value: T) {
        fence(Ordering::Release);
        // SAFETY: as in `get`; no Rust value lies there.
        unsafe { self.0.as_ptr().write_volatile(value) }
    }
}

/// The places of values at equal distances.
#[derive(Clone, Copy, Debug)]
pub struct DmaTable<T> {
    first: NonNull<u8>,
    count: usize,
    step: usize,
    kind: PhantomData<T>,
}

// SAFETY: as of the memory that it is in.
unsafe impl<T> Send for DmaTable<T> {}

impl<T: Width> DmaTable<T> {
    /// One of them.
    ///
    /// # Panics
    /// If there are not as many.
    #[inline]
    pub fn cell(&self, index: usize) -> DmaCell<T> {
        if index >= self.count {
            beyond(self.step, index * self.step, self.count * self.step);
        }
        // SAFETY: it lies in the memory, checked when the table was made, so not at address 0.
        DmaCell(unsafe { NonNull::new_unchecked(self.first.as_ptr().wrapping_add(index * self.step)) }.cast())
    }
}

// Apart from what is done for each value, so that this is a comparison and a jump.

#[cold]
#[inline(never)]
fn not_aligned(offset: usize) -> ! {
    panic!("offset {offset:#x} of DMA memory is not aligned")
}

#[cold]
#[inline(never)]
fn beyond(bytes: usize, offset: usize, all: usize) -> ! {
    panic!("{bytes} bytes at {offset} of {all} of DMA memory")
}
