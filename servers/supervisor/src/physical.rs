//! Physical memory through the kernel, for the firmware's tables.

use alloc::vec;
use alloc::vec::Vec;

use crate::acpi::PhysicalMemory;

/// This machine's.
#[derive(Clone, Copy, Debug)]
pub struct Physical;

impl PhysicalMemory for Physical {
    fn read(&mut self, address: u64, bytes: usize) -> Option<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        hardware::physical::read(address, &mut buffer).ok()?;
        Some(buffer)
    }
}
