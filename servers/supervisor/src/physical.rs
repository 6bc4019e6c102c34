//! Physical memory through the kernel, for the firmware's tables.

use alloc::vec;
use alloc::vec::Vec;

/// This machine's.
#[derive(Clone, Copy, Debug)]
pub struct Physical;

impl formats::Memory for Physical {
    type Bytes = Vec<u8>;

    fn bytes(self, address: u64, length: usize) -> Option<Vec<u8>> {
        let mut buffer = vec![0; length];
        hardware::physical::read(address, &mut buffer).ok()?;
        Some(buffer)
    }
}
