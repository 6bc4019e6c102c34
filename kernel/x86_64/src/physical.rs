//! Physical memory through the direct map: all of it lies, in order, from [`DIRECT_MAP`] on.
//!
//! At first the boot tables map the lowest 4 GiB there; later [`crate::paging`]'s map usable memory and nothing else.
//! The kernel's image is not in the latter, so that it has no writable alias.

/// Where physical address 0 is mapped.
pub const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;

/// How much the boot tables map.
pub const BOOT_MAP_END: u64 = 4 << 30;

/// A pointer to physical memory. Whether anything may be done with it is the caller's to know.
#[inline]
pub fn pointer<T>(address: u64) -> *mut T {
    core::ptr::with_exposed_provenance_mut((DIRECT_MAP + address) as usize)
}

/// All memory that the boot tables map, for reading what firmware and loader left in it.
pub struct BootMemory(());

impl BootMemory {
    /// # Safety
    /// The boot tables are in use and nothing that is read is written while a reference to it lives.
    pub unsafe fn new() -> BootMemory {
        BootMemory(())
    }
}

impl<'a> formats::Memory for &'a BootMemory {
    type Bytes = &'a [u8];

    fn bytes(self, address: u64, length: usize) -> Option<&'a [u8]> {
        let end = address.checked_add(length as u64)?;
        if end > BOOT_MAP_END {
            return None;
        }
        // SAFETY: the range is below BOOT_MAP_END, so mapped, as `new`'s caller said; bytes have no invalid value.
        Some(unsafe { core::slice::from_raw_parts(pointer(address), length) })
    }
}
