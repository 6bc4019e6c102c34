//! Memory from the kernel: the program's heap, and whole pages.
//!
//! The heap is the crate `talc`'s allocator over one stretch of address space that begins at [`HEAP_ADDRESS`] and
//! grows and shrinks at its end. Mapped pages get a frame when first touched, so the heap grows by much at a time and
//! costs what is used. Other processes of the team that find the allocator at work sleep, see [`crate::sync`].
//!
//! `v-start` makes [`Heap`] the program's allocator. On the host nothing here is used.

use core::alloc::Layout;
use core::ops::{Deref, DerefMut};
use core::ptr::{NonNull, with_exposed_provenance_mut};

use abi::kernel::protection;
use abi::{Error, PAGE_BYTES, Pid};
use talc::base::Talc;
use talc::base::binning::Binning;

use crate::memory;
use crate::sync::Mutex;

/// Where the heap begins.
pub const HEAP_ADDRESS: u64 = 0x0000_2000_0000_0000;

/// The heap grows at least by so much, or by its own size, whichever is more,
const LEAST_GROWTH_BYTES: usize = 256 * 1024;
/// but not by more than this, unless one piece needs it.
const MOST_GROWTH_BYTES: usize = 16 * 1024 * 1024;
/// So much free memory at the end of the heap goes back to the kernel,
const SURPLUS_BYTES: usize = 1024 * 1024;
/// except for this.
const KEPT_BYTES: usize = 128 * 1024;

/// The allocator's type.
pub type Heap = talc::TalcLock<Mutex<()>, KernelMemory>;

/// An empty heap.
pub const fn heap() -> Heap {
    Heap::new(KernelMemory { end_address: HEAP_ADDRESS })
}

/// Where the heap gets its memory from.
#[derive(Debug)]
pub struct KernelMemory {
    /// The end of what is mapped.
    end_address: u64,
}

// SAFETY: only asks the kernel, and allocates nothing itself.
unsafe impl talc::source::Source for KernelMemory {
    const TRACK_HEAP_END: bool = true;

    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let end_address = talc.source.end_address;
        // Room for the piece itself, its alignment, and the allocator's own tables in a new heap.
        let needed = layout.size().checked_add(layout.align()).ok_or(())?;
        let needed = needed.checked_add(LEAST_GROWTH_BYTES / 4).ok_or(())?;
        let heap_bytes = (end_address - HEAP_ADDRESS) as usize;
        let wanted = needed.max(heap_bytes.clamp(LEAST_GROWTH_BYTES, MOST_GROWTH_BYTES));
        let bytes = map_at(end_address, wanted).or_else(|()| map_at(end_address, needed))?;

        let base = NonNull::new(with_exposed_provenance_mut::<u8>(end_address as usize)).ok_or(())?;
        let end = if heap_bytes == 0 {
            // SAFETY: the kernel has just mapped `bytes` bytes from the heap's beginning on; nobody else knows of them.
            unsafe { talc.claim(base.as_ptr(), bytes) }.ok_or(())?
        } else {
            // SAFETY: as above, from the old end on.
            unsafe { talc.extend(base, base.as_ptr().add(bytes)) }
        };
        talc.source.end_address = end.expose_provenance().get() as u64;
        Ok(())
    }

    unsafe fn resize(&mut self, chunk_base: *mut u8, heap_end: *mut u8, _is_heap_base: bool) -> *mut u8 {
        let free = heap_end.addr() - chunk_base.addr();
        if free < SURPLUS_BYTES {
            return heap_end;
        }
        let kept_address = (chunk_base.addr() + KEPT_BYTES).next_multiple_of(PAGE_BYTES as usize);
        let pages = ((heap_end.addr() - kept_address) as u64 / PAGE_BYTES) as u32;
        if memory::unmap(Pid::NONE, kept_address as u64, pages).is_err() {
            return heap_end;
        }
        self.end_address = kept_address as u64;
        heap_end.with_addr(kept_address)
    }
}

/// Maps `bytes` bytes, in whole pages; says how many it were.
fn map_at(address: u64, bytes: usize) -> Result<usize, ()> {
    let pages = (bytes as u64).div_ceil(PAGE_BYTES);
    let count = u32::try_from(pages).map_err(|_| ())?;
    memory::map(Pid::NONE, address, count, protection::READ | protection::WRITE).map_err(|_| ())?;
    Ok((pages * PAGE_BYTES) as usize)
}

/// Whole pages of memory, zeroed at first, which go back to the kernel when dropped. For large buffers whose memory
/// should not stay with the heap.
///
/// ```no_run
/// let mut pages = v::memory::Pages::new(100_000)?;
/// assert_eq!(pages.len(), 102_400);
/// pages[0] = 1;
/// # Ok::<(), v::Error>(())
/// ```
#[derive(Debug)]
pub struct Pages {
    memory: NonNull<[u8]>,
}

// SAFETY: the memory belongs to this value alone, whichever process of the team holds it.
unsafe impl Send for Pages {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Pages {}

impl Pages {
    /// At least `bytes` bytes.
    pub fn new(bytes: usize) -> Result<Pages, Error> {
        let count = u32::try_from((bytes.max(1) as u64).div_ceil(PAGE_BYTES)).map_err(|_| Error::TooLong)?;
        let address = memory::map(Pid::NONE, 0, count, protection::READ | protection::WRITE)?;
        let first = with_exposed_provenance_mut(address as usize);
        let memory = NonNull::slice_from_raw_parts(
            NonNull::new(first).ok_or(Error::BadReply)?,
            count as usize * PAGE_BYTES as usize,
        );
        Ok(Pages { memory })
    }

    /// Their address.
    pub fn address(&self) -> u64 {
        self.memory.cast::<u8>().as_ptr().expose_provenance() as u64
    }
}

impl Deref for Pages {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: mapped and zeroed by the kernel, and this value's alone until it is dropped.
        unsafe { self.memory.as_ref() }
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { self.memory.as_mut() }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let pages = (self.len() as u64 / PAGE_BYTES) as u32;
        // It was mapped as a whole; if the kernel refuses, the pages stay until the team ends.
        let _ = memory::unmap(Pid::NONE, self.address(), pages);
    }
}
