//! Memory from the kernel: the program's heap, whole pages, and pages bound to files.
//!
//! The heap is the crate `talc`'s allocator over one stretch of address space that begins at [`HEAP_ADDRESS`] and
//! grows and shrinks at its end. Mapped pages get a frame when first touched, so the heap grows by much at a time and
//! costs what is used. Other processes of the team that find the allocator at work sleep, see [`crate::sync`].
//!
//! `v-start` makes [`Heap`] the program's allocator. On the host nothing here is used.

use core::alloc::Layout;
use core::arch::asm;
use core::ops::{Deref, DerefMut};
use core::ptr::{NonNull, with_exposed_provenance_mut};
use core::sync::atomic::AtomicU64;

use abi::kernel::protection;
use abi::{Error, PAGE_BYTES, Pid};
use talc::base::Talc;
use talc::base::binning::Binning;

use crate::io::Instance;
use crate::memory;
use crate::sync::Mutex;

/// Where the heap begins: behind the stack and a page that is not mapped.
pub const HEAP_ADDRESS: u64 = abi::boot::STACK_TOP + PAGE_BYTES;

/// A heap begins with one page, for a program that needs no more, if the first piece has at most this.
const SMALL_BYTES: usize = 512;
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
        let wanted = if heap_bytes == 0 && layout.size() <= SMALL_BYTES && layout.align() <= SMALL_BYTES {
            PAGE_BYTES as usize
        } else {
            needed.max(heap_bytes.clamp(LEAST_GROWTH_BYTES, MOST_GROWTH_BYTES))
        };
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

/// Pages bound to an instance, which others may change at any time; unbound when dropped.
///
/// So there is no slice of their bytes, only copies in and out, by instructions of which the compiler assumes nothing.
#[derive(Debug)]
pub(crate) struct BoundPages {
    memory: NonNull<[u8]>,
    is_writable: bool,
}

// SAFETY: the memory belongs to this value, whichever process of the team holds it.
unsafe impl Send for BoundPages {}
// SAFETY: as above; it is made for being changed by several at once.
unsafe impl Sync for BoundPages {}

impl BoundPages {
    /// Whole pages of an instance, from `position` on, for at least `bytes` bytes. The instance must stay open as long
    /// as they are there.
    pub(crate) fn new(
        instance: &Instance,
        position: u64,
        bytes: usize,
        protection: u32,
    ) -> Result<BoundPages, Error> {
        let count = u32::try_from((bytes as u64).div_ceil(PAGE_BYTES)).map_err(|_| Error::TooLong)?;
        let binding = (instance.server, instance.number, position);
        let address = memory::bind(Pid::NONE, 0, count, protection, binding)?;
        let first = with_exposed_provenance_mut(address as usize);
        let memory = NonNull::slice_from_raw_parts(
            NonNull::new(first).ok_or(Error::BadReply)?,
            count as usize * PAGE_BYTES as usize,
        );
        Ok(BoundPages { memory, is_writable: protection & protection::WRITE != 0 })
    }

    /// Their address.
    pub(crate) fn address(&self) -> u64 {
        self.start().expose_provenance() as u64
    }

    fn start(&self) -> *mut u8 {
        self.memory.cast().as_ptr()
    }

    fn pages(&self) -> u32 {
        (self.memory.len() as u64 / PAGE_BYTES) as u32
    }

    /// Copies bytes from `at` on.
    ///
    /// # Panics
    /// If not all of them are there.
    pub(crate) fn read(&self, at: usize, buffer: &mut [u8]) {
        assert!(at <= self.memory.len() && buffer.len() <= self.memory.len() - at);
        // SAFETY: the source is inside the mapping, which may be read and lasts as long as `self`; `buffer` is borrowed
        // exclusively, so they do not overlap.
        unsafe { copy(self.start().add(at), buffer.as_mut_ptr(), buffer.len()) }
    }

    /// Copies bytes to `at`.
    ///
    /// # Panics
    /// If not all of that is there, or may be written.
    pub(crate) fn write(&self, at: usize, data: &[u8]) {
        assert!(self.is_writable && at <= self.memory.len() && data.len() <= self.memory.len() - at);
        // SAFETY: the destination is inside the mapping, which may be written and lasts as long as `self`, and of which
        // there are no references but to atomics, so it does not overlap with `data`.
        unsafe { copy(data.as_ptr(), self.start().add(at), data.len()) }
    }

    /// All of it as words, where it may be written: an atomic may not lie where that is forbidden.
    pub(crate) fn words(&self) -> Option<&[AtomicU64]> {
        if !self.is_writable {
            return None;
        }
        let words = NonNull::slice_from_raw_parts(self.memory.cast(), self.memory.len() / size_of::<u64>());
        // SAFETY: whole pages, so aligned and of that length, mapped for writing as long as `self`; every bit pattern is a
        // word, and what others change is what atomics are for.
        Some(unsafe { words.as_ref() })
    }

    /// Writes back what was changed in shared ones.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        memory::flush(Pid::NONE, self.address(), self.pages())
    }
}

impl Drop for BoundPages {
    fn drop(&mut self) {
        // As for `Pages`. What was changed is written back; who wants to know how that went flushes before.
        let _ = memory::unmap(Pid::NONE, self.address(), self.pages());
    }
}

/// Copies bytes that others may be changing.
///
/// # Safety
/// All of `from` can be read and all of `to` written, and they do not overlap.
unsafe fn copy(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: as above. The direction flag is clear, as the calling convention has it.
    unsafe {
        asm!(
            "rep movsq",
            "mov rcx, {rest}",
            "rep movsb",
            rest = in(reg) bytes % 8,
            inout("rcx") bytes / 8 => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags),
        );
    }
}
