//! Tables of descriptors for buffers of several parts: one descriptor of the queue leads to a table, and all its parts are
//! handed over as one. So a request takes one place in the queue, however many parts it has.

use hardware::dma::DmaMemory;

use crate::queue::{DESCRIPTOR_BYTES, DESCRIPTOR_FLAGS, DESCRIPTOR_LENGTH, DEVICE_WRITES};

/// Another descriptor follows, and where that is told.
const HAS_NEXT: u16 = 1;
const DESCRIPTOR_NEXT: usize = 14;

/// A part of a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// Where it is, for the device.
    pub physical: u64,
    /// Its length.
    pub bytes: u32,
    /// Whether the device writes it. Such parts come behind those that it reads.
    pub device_writes: bool,
}

/// Bytes of a table of so many parts.
pub const fn table_bytes(parts: usize) -> usize {
    DESCRIPTOR_BYTES * parts
}

/// Writes the table of these parts at `offset` in `memory`.
///
/// # Panics
/// If it lies beyond the memory, or is not aligned to 8 bytes.
pub fn write(memory: &DmaMemory, offset: usize, parts: &[Part]) {
    for (number, part) in parts.iter().enumerate() {
        let at = offset + DESCRIPTOR_BYTES * number;
        let has_next = number + 1 < parts.len();
        let flags = if part.device_writes { DEVICE_WRITES } else { 0 } | if has_next { HAS_NEXT } else { 0 };
        memory.set(at, part.physical);
        memory.set(at + DESCRIPTOR_LENGTH, part.bytes);
        memory.set(at + DESCRIPTOR_FLAGS, flags);
        memory.set(at + DESCRIPTOR_NEXT, number as u16 + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_a_chain() {
        let memory = DmaMemory::imitate(4096);
        let part = |physical, bytes, device_writes| Part { physical, bytes, device_writes };
        write(&memory, 64, &[part(1 << 40, 16, false), part(7, 1, true)]);
        let at = |offset: usize| {
            let (length, flags, next) = (
                memory.get::<u32>(offset + 8),
                memory.get::<u16>(offset + 12),
                memory.get::<u16>(offset + 14),
            );
            (memory.get::<u64>(offset), length, flags, next)
        };
        assert_eq!(at(64), (1 << 40, 16, 1, 1));
        assert_eq!(at(80), (7, 1, 2, 2));
        assert_eq!(table_bytes(2), 32);
    }
}
