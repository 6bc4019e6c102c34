//! What firmware and boot loaders tell the kernel, read by safe code and tested on the host.
//!
//! Everything here works on physical memory through [`Memory`]. Tables are allegations like any other input: lengths
//! and checksums are checked, and what makes no sense is left out.

#![no_std]
#![forbid(unsafe_code)]

pub mod acpi;
pub mod loader;
pub mod ranges;

/// Physical memory that can be read.
pub trait Memory {
    /// `length` bytes from physical address `address` on, or none if they are out of reach.
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]>;
}

/// Little-endian numbers out of bytes; none where the bytes end.
pub(crate) trait Fields {
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]>;

    fn byte(&self, at: usize) -> Option<u8> {
        self.array::<1>(at).map(|[byte]| byte)
    }
    fn half(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }
    fn word(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }
    fn double(&self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }
}

impl Fields for [u8] {
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.get(at..)?.first_chunk().copied()
    }
}
