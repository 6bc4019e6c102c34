//! Memory for what is made once, at boot: the kernel's tables and its page tables.
//!
//! One piece of physical memory, given out from its beginning, never taken back. [`seal`] ends it: what is left goes to
//! the frame allocator, and from then on an allocation is a bug that ends the kernel.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicU64, Ordering};

use firmware::ranges::Range;

use crate::{copy, physical};

/// Physical addresses of what is left; empty before [`open`] and after [`seal`].
static NEXT: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

// SAFETY: each allocation is a piece of the range of its own, aligned as asked, and in the direct map as `open`'s
// caller said.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size() as u64, layout.align() as u64).map_or(core::ptr::null_mut(), physical::pointer)
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

/// Begins with `range`.
///
/// # Safety
/// The range is usable memory that nothing else has or will get, and is and stays in the direct map.
pub unsafe fn open(range: Range) {
    NEXT.store(range.start, Ordering::Relaxed);
    END.store(range.end, Ordering::Relaxed);
}

/// Ends it. Returns what was not given out.
pub fn seal() -> Range {
    Range { start: NEXT.swap(0, Ordering::Relaxed), end: END.swap(0, Ordering::Relaxed) }
}

/// A zeroed page: its physical address.
///
/// # Panics
/// If there is none.
pub fn zeroed_page() -> u64 {
    let page = take(abi::PAGE_BYTES, abi::PAGE_BYTES).expect("memory for the kernel's tables");
    // SAFETY: the page was just taken, so nobody else has it, and it is in the direct map.
    unsafe { copy::zero_page(page) };
    page
}

/// One processor, no interrupts: loads and stores need not be one operation.
fn take(bytes: u64, align: u64) -> Option<u64> {
    let start = NEXT.load(Ordering::Relaxed).checked_next_multiple_of(align)?;
    let end = start.checked_add(bytes)?;
    if end > END.load(Ordering::Relaxed) {
        return None;
    }
    NEXT.store(end, Ordering::Relaxed);
    Some(start)
}
