//! What the boot loader left: the memory map, the boot archive, the command line, the screen and where ACPI begins.
//!
//! A PVH loader leaves Xen's `hvm_start_info` (version 1 or later), a Multiboot2 loader a list of tags.

use abi::information::FirmwareScreen;
use formats::{Fields, Memory};

use crate::ranges::{Range, Ranges};

/// Longest command line read.
pub const COMMAND_LINE_BYTES: usize = abi::information::COMMAND_LINE_BYTES;

/// The loader's word, checked for form.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Usable memory, in whole pages. What the loader put there itself is not taken out.
    pub memory: Ranges,
    /// The first module: the boot archive.
    pub archive: Option<Range>,
    command_line: [u8; COMMAND_LINE_BYTES],
    command_line_bytes: usize,
    /// ACPI's root pointer, where the loader says.
    pub root_pointer: Option<u64>,
    /// What the firmware shows.
    pub screen: FirmwareScreen,
}

/// Type of usable memory in both loaders' maps.
const USABLE: u32 = 1;

const PVH_MAGIC: u32 = 0x336e_c578;
const PVH_BYTES: usize = 56;
const PVH_MODULE_BYTES: usize = 32;
const PVH_RANGE_BYTES: usize = 24;

const TAG_COMMAND_LINE: u32 = 1;
const TAG_MODULE: u32 = 3;
const TAG_MEMORY_MAP: u32 = 6;
const TAG_SCREEN: u32 = 8;
const TAG_ACPI_OLD: u32 = 14;
const TAG_ACPI_NEW: u32 = 15;

/// Bits of a pixel, and that it is made of red, green and blue.
const PIXELS: [u8; 2] = [32, 1];

impl Loaded {
    fn new() -> Loaded {
        Loaded {
            memory: Ranges::default(),
            archive: None,
            command_line: [0; COMMAND_LINE_BYTES],
            command_line_bytes: 0,
            root_pointer: None,
            screen: FirmwareScreen::default(),
        }
    }

    /// Reads what a PVH loader left at `address`; none if it is not that, or lacks a memory map.
    pub fn from_pvh(memory: impl Memory, address: u64) -> Option<Loaded> {
        let start = memory.bytes(address, PVH_BYTES)?;
        if start.word(0)? != PVH_MAGIC || start.word(4)? < 1 {
            return None;
        }
        let mut loaded = Loaded::new();
        if start.word(12)? > 0 {
            let module = memory.bytes(start.double(16)?, PVH_MODULE_BYTES)?;
            loaded.archive = Some(Range::new(module.double(0)?, module.double(8)?));
        }
        let command_line = start.double(24)?;
        if command_line != 0 {
            loaded.set_command_line(
                (0..COMMAND_LINE_BYTES as u64)
                    .map_while(|at| memory.bytes(command_line.checked_add(at)?, 1)?.byte(0)),
            );
        }
        loaded.root_pointer = Some(start.double(32)?).filter(|address| *address != 0);
        let mut at = start.double(40)?;
        for _ in 0..start.word(48)? {
            let range = memory.bytes(at, PVH_RANGE_BYTES)?;
            loaded.add_memory(range.double(0)?, range.double(8)?, range.word(16)?);
            at += PVH_RANGE_BYTES as u64;
        }
        Some(loaded)
    }

    /// Reads what a Multiboot2 loader left at `address`; none if it makes no sense, or lacks a memory map.
    pub fn from_multiboot2(memory: impl Memory, address: u64) -> Option<Loaded> {
        let bytes = memory.bytes(address, 8)?.word(0)? as usize;
        let information = memory.bytes(address, bytes)?;
        let information = information.as_ref();
        let mut loaded = Loaded::new();
        let mut at = 8;
        while let (Some(kind), Some(length)) = (information.word(at), information.word(at + 4)) {
            let length = length as usize;
            if kind == 0 || length < 8 {
                break;
            }
            let tag = information.get(at..at.checked_add(length)?)?;
            match kind {
                TAG_COMMAND_LINE => loaded.set_command_line(tag[8..].iter().copied()),
                TAG_MODULE if loaded.archive.is_none() => {
                    loaded.archive = Some(Range { start: tag.word(8)?.into(), end: tag.word(12)?.into() });
                }
                TAG_MEMORY_MAP => {
                    let entry_bytes = tag.word(8)? as usize;
                    for entry in tag.get(16..)?.chunks_exact(entry_bytes.max(PVH_RANGE_BYTES)) {
                        loaded.add_memory(entry.double(0)?, entry.double(8)?, entry.word(16)?);
                    }
                }
                TAG_SCREEN if tag.get(28..30) == Some(&PIXELS) => {
                    let [pitch, width, height, low, high] =
                        [16, 20, 24, 32, 34].map(|at| u64::from(tag.word(at).unwrap_or(0)));
                    let colours = low | high >> 16 << 32;
                    loaded.screen = FirmwareScreen { address: tag.double(8)?, pitch, width, height, colours };
                }
                TAG_ACPI_NEW | TAG_ACPI_OLD if kind == TAG_ACPI_NEW || loaded.root_pointer.is_none() => {
                    loaded.root_pointer = Some(address + at as u64 + 8);
                }
                _ => {}
            }
            at += length.checked_next_multiple_of(8)?;
        }
        Some(loaded).filter(|loaded| !loaded.memory.as_slice().is_empty())
    }

    /// The command line, up to its first byte that is not printable ASCII.
    pub fn command_line(&self) -> &str {
        core::str::from_utf8(&self.command_line[..self.command_line_bytes]).unwrap_or_default()
    }

    fn set_command_line(&mut self, bytes: impl Iterator<Item = u8>) {
        self.command_line_bytes = 0;
        for (place, byte) in
            self.command_line.iter_mut().zip(bytes.take_while(|byte| (b' '..=b'~').contains(byte)))
        {
            *place = byte;
            self.command_line_bytes += 1;
        }
    }

    fn add_memory(&mut self, start: u64, length: u64, kind: u32) {
        if kind == USABLE {
            self.memory.add(Range::new(start, length).whole_pages());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    struct Bytes(Vec<u8>);

    impl<'a> Memory for &'a Bytes {
        type Bytes = &'a [u8];

        fn bytes(self, address: u64, length: usize) -> Option<&'a [u8]> {
            self.0.get(usize::try_from(address).ok()?..)?.get(..length)
        }
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn pvh() -> Bytes {
        let mut bytes = words(&[PVH_MAGIC, 1, 0, 1, 64, 0, 160, 0, 0xf0000, 0, 96, 0, 2, 0, 0, 0]);
        bytes.extend(words(&[0x20_0000, 0, 5000, 0, 0, 0, 0, 0]));
        bytes.extend(words(&[0, 0, 0x9_fc00, 0, 1, 0]));
        bytes.extend(words(&[0x10_0000, 0, 0, 1, 2, 0, 0, 0, 0, 0]));
        bytes.extend(b"panic=exit\0beyond");
        Bytes(bytes)
    }

    #[test]
    fn a_pvh_loader_is_read() {
        let loaded = Loaded::from_pvh(&pvh(), 0).unwrap();
        assert_eq!(loaded.archive, Some(Range::new(0x20_0000, 5000)));
        assert_eq!(loaded.command_line(), "panic=exit");
        assert_eq!(loaded.root_pointer, Some(0xf0000));
        assert_eq!(loaded.memory.as_slice(), [Range { start: 0, end: 0x9_f000 }]);
    }

    #[test]
    fn a_multiboot2_loader_is_read() {
        let mut bytes = words(&[0, 0, TAG_COMMAND_LINE, 12]);
        bytes.extend(b"a b\0\xff\xff\xff\xff");
        bytes.extend(words(&[TAG_MODULE, 17, 0x20_0000, 0x20_1388, 0, 0]));
        bytes.extend(words(&[TAG_MEMORY_MAP, 40, 24, 0, 0x10_0000, 0, 0x10_0000, 0, 1, 0]));
        bytes.extend(words(&[TAG_ACPI_OLD, 16, 0, 0, TAG_ACPI_NEW, 16, 0, 0, TAG_ACPI_OLD, 16, 0, 0]));
        let new = bytes.len() - 24;
        bytes.extend(words(&[0, 8]));
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        let loaded = Loaded::from_multiboot2(&Bytes(bytes), 0).unwrap();
        assert_eq!(loaded.archive, Some(Range::new(0x20_0000, 5000)));
        assert_eq!(loaded.command_line(), "a b");
        assert_eq!(loaded.root_pointer, Some(new as u64));
        assert_eq!(loaded.memory.as_slice(), [Range::new(0x10_0000, 0x10_0000)]);
    }

    #[test]
    fn a_screen_has_so_many_bits_and_no_palette() {
        let memory_map = [TAG_MEMORY_MAP, 40, 24, 0, 0x10_0000, 0, 0x10_0000, 0, 1, 0];
        let read = |length: u32, kind: u32| {
            let screen = [TAG_SCREEN, length, 0xc000_0000, 1, 8192, 1920, 1080, kind, 0x0808_0810, 0x0800];
            let mut bytes = words(&[0, 0]);
            bytes.extend(words(&memory_map));
            bytes.extend(words(&screen[..screen.len().min(length.div_ceil(8) as usize * 2)]));
            bytes.extend(words(&[0, 8]));
            let total = bytes.len() as u32;
            bytes[..4].copy_from_slice(&total.to_le_bytes());
            Loaded::from_multiboot2(&Bytes(bytes), 0).map(|loaded| loaded.screen)
        };
        let expected = FirmwareScreen {
            address: 0x1_c000_0000,
            pitch: 8192,
            width: 1920,
            height: 1080,
            colours: 0x0800_0808_0810,
        };
        assert_eq!(read(38, 0x0120), Some(expected));
        let [of_24_bits, text, with_palette] = [0x0118, 0x0220, 0x0020];
        for kind in [of_24_bits, text, with_palette] {
            assert_eq!(read(38, kind), Some(FirmwareScreen::default()), "{kind:#x}");
        }
        for length in [8, 16, 24, 28, 29] {
            assert_eq!(read(length, 0x0120), Some(FirmwareScreen::default()), "{length}");
        }
        for length in [1000, u32::MAX] {
            assert_eq!(read(length, 0x0120), None, "{length}");
        }
    }

    #[test]
    fn no_damage_makes_either_reader_fail_badly() {
        let intact = pvh().0;
        for at in 0..intact.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = intact.clone();
                bytes[at] = value;
                let _ = Loaded::from_pvh(&Bytes(bytes.clone()), 0);
                let _ = Loaded::from_multiboot2(&Bytes(bytes), 0);
            }
        }
        for length in 0..intact.len() {
            let _ = Loaded::from_pvh(&Bytes(intact[..length].to_vec()), 0);
        }
    }
}
