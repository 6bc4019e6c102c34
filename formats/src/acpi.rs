//! ACPI's static tables: where they begin, and the tables that the root table lists, each with its length and checksum
//! right. What a table says is its reader's business.

use crate::{Fields, Memory};

/// Bytes of every table's header: signature, length, checksum, and who made it.
pub const HEADER_BYTES: usize = 36;

/// Longest table read.
const TABLE_BYTES_LIMIT: usize = 4 << 20;
/// Bytes of the root pointer's first version, which every version begins with.
const ROOT_POINTER_BYTES: usize = 20;
/// Where a PC's firmware leaves the root pointer: in the first KiB of the area that the BIOS data names, or here.
const ROOT_AREA: (u64, usize) = (0xe_0000, 0x2_0000);
const BIOS_DATA_EXTENDED_AREA: u64 = 0x40e;
const EXTENDED_AREA_BYTES: usize = 1024;

/// The address of the root table, to which the root pointer at `root_pointer` leads; of the one that a search of the
/// firmware's areas finds, where the loader names none.
pub fn root_table(memory: impl Memory, root_pointer: Option<u64>) -> Option<u64> {
    if let Some(address) = root_pointer {
        let first = memory.bytes(address, ROOT_POINTER_BYTES)?;
        let length = if first.byte(15)? < 2 { ROOT_POINTER_BYTES } else { HEADER_BYTES };
        return pointed_at(memory.bytes(address, length)?.as_ref());
    }
    let extended = u64::from(memory.bytes(BIOS_DATA_EXTENDED_AREA, 2)?.half(0)?) << 4;
    [(extended, EXTENDED_AREA_BYTES), ROOT_AREA].into_iter().find_map(|(address, length)| {
        let area = memory.bytes(address, length)?;
        let area = area.as_ref();
        (0..area.len()).step_by(16).find_map(|at| pointed_at(&area[at..]))
    })
}

/// The root table's address, if a root pointer is at the beginning of `bytes`.
fn pointed_at(bytes: &[u8]) -> Option<u64> {
    if !bytes.starts_with(b"RSD PTR ") || !sums_to_zero(bytes.get(..ROOT_POINTER_BYTES)?) {
        return None;
    }
    let extended = || {
        let whole = bytes.get(..bytes.word(20)? as usize)?;
        sums_to_zero(whole).then(|| whole.double(24)).flatten().filter(|address| *address != 0)
    };
    (bytes[15] >= 2).then(extended).flatten().or_else(|| bytes.word(16).map(u64::from))
}

/// The tables that the root table at `root_table` lists; those that are not right are left out.
pub fn tables<M: Memory>(memory: M, root_table: u64) -> impl Iterator<Item = M::Bytes> {
    let root = table(memory, root_table);
    let mut at = HEADER_BYTES;
    core::iter::from_fn(move || {
        let root = root.as_ref()?.as_ref();
        let address = match &root[..4] {
            b"XSDT" => root.double(at),
            b"RSDT" => root.word(at).map(u64::from),
            _ => None,
        };
        at += if root.starts_with(b"X") { 8 } else { 4 };
        Some(table(memory, address?))
    })
    .flatten()
}

/// The table at `address`, if its length and checksum are right.
pub fn table<M: Memory>(memory: M, address: u64) -> Option<M::Bytes> {
    let length = memory.bytes(address, HEADER_BYTES)?.word(4)? as usize;
    if !(HEADER_BYTES..=TABLE_BYTES_LIMIT).contains(&length) {
        return None;
    }
    memory
        .bytes(address, length)
        .filter(|bytes| bytes.as_ref().len() == length && sums_to_zero(bytes.as_ref()))
}

fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

#[cfg(test)]
#[path = "tests/acpi.rs"]
mod tests;
