//! Images made for tests: those of this crate's reader, and of the kernel that loads one.

extern crate std;
use std::vec::Vec;

/// A program header.
#[derive(Clone)]
pub struct Header {
    pub kind: u32,
    pub flags: u32,
    pub offset: u64,
    pub address: u64,
    pub file_bytes: u64,
    pub memory_bytes: u64,
}

/// A file of 12 KiB with these headers, and zeros behind them.
pub fn image(entry: u64, headers: &[Header]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01");
    file.resize(16, 0);
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for number in [entry, 64, 0] {
        file.extend(number.to_le_bytes());
    }
    file.extend([0, 0, 0, 0, 64, 0, 56, 0]);
    file.extend((headers.len() as u16).to_le_bytes());
    file.resize(64, 0);
    for header in headers {
        file.extend(header.kind.to_le_bytes());
        file.extend(header.flags.to_le_bytes());
        for number in
            [header.offset, header.address, header.address, header.file_bytes, header.memory_bytes, 4096]
        {
            file.extend(number.to_le_bytes());
        }
    }
    file.resize(0x3000, 0);
    file
}
