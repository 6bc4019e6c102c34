//! Formats that the kernel, programs and the tool read alike, each read in one place: the boot archive, a program's image
//! and its table of lines, ACPI's tables, the console's font. All but the table of lines are others'.
//!
//! Whatever is read here is hostile until checked. Nothing is allocated, and nothing is copied but what a caller's
//! [`Memory`] copies.

#![no_std]
#![forbid(unsafe_code)]

pub mod acpi;
pub mod archive;
pub mod image;
pub mod lines;
pub mod psf;

/// Physical memory that can be read.
pub trait Memory: Copy {
    /// Bytes of it.
    type Bytes: AsRef<[u8]>;

    /// `length` bytes from physical address `address` on, or none if they are out of reach.
    fn bytes(self, address: u64, length: usize) -> Option<Self::Bytes>;
}

/// Little-endian numbers out of bytes; none where the bytes end.
pub trait Fields {
    /// `N` bytes from offset `at` on.
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]>;

    /// Eight bits.
    fn byte(&self, at: usize) -> Option<u8> {
        self.array::<1>(at).map(|[byte]| byte)
    }
    /// Sixteen bits.
    fn half(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }
    /// Thirty-two bits.
    fn word(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }
    /// Sixty-four bits.
    fn double(&self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }
}

impl<T: AsRef<[u8]> + ?Sized> Fields for T {
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.as_ref().get(at..)?.first_chunk().copied()
    }
}
