//! Device registers in memory.

/// A page of 32-bit registers.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    base: *mut u32,
}

impl Registers {
    /// # Safety
    /// `address` is where a device's registers are mapped, uncached, for good, and the device touches no memory of
    /// Rust's, whatever is written to those registers that the caller writes.
    pub const unsafe fn new(address: u64) -> Registers {
        Registers { base: core::ptr::with_exposed_provenance_mut(address as usize) }
    }

    /// Reads the register at a byte offset.
    #[inline]
    pub fn read(self, offset: usize) -> u32 {
        debug_assert!(offset < abi::PAGE_BYTES as usize);
        // SAFETY: the offset is within the page that `new`'s caller spoke of.
        unsafe { self.base.wrapping_byte_add(offset).read_volatile() }
    }

    /// Writes the register at a byte offset.
    #[inline]
    pub fn write(self, offset: usize, value: u32) {
        debug_assert!(offset < abi::PAGE_BYTES as usize);
        // SAFETY: as in `read`.
        unsafe { self.base.wrapping_byte_add(offset).write_volatile(value) }
    }
}
