//! The programs in the boot archive, by the names that their processes have.
//!
//! A process may have another program's name, so an image is believed to be a process's only if the code at one of
//! its addresses is the same in both.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::kernel::protection;
use formats::archive::{Archive, Kind};
use program_image::{HEAD_BYTES, Layout, Lines, Symbols};

/// Bytes of code that are compared.
const COMPARED_BYTES: usize = 16;

/// The archive.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    archive: Archive<'a>,
}

impl<'a> Images<'a> {
    /// The images in the archive in `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Images<'a> {
        Images { archive: Archive::new(bytes) }
    }

    /// The file of the program `name`, whose code the process has too; `read` reads the process.
    pub fn find(
        &self,
        name: &str,
        addresses: &[u64],
        mut read: impl FnMut(u64, &mut [u8]) -> bool,
    ) -> Option<&'a [u8]> {
        let path = format!("bin/{name}");
        let file = self
            .archive
            .entries()
            .filter_map(Result::ok)
            .find(|entry| entry.kind == Kind::File && entry.is_at(&path))?
            .content;
        let layout = Layout::parse(&file[..file.len().min(HEAD_BYTES)], file.len() as u64).ok()?;
        let (address, expected) =
            addresses.iter().find_map(|address| Some((*address, code_at(file, &layout, *address)?)))?;
        let mut found = [0; COMPARED_BYTES];
        let found = &mut found[..expected.len()];
        (read(address, found) && found == expected).then_some(file)
    }
}

/// The file's code that lies at an address of the program, at most [`COMPARED_BYTES`].
fn code_at<'a>(file: &'a [u8], layout: &Layout, address: u64) -> Option<&'a [u8]> {
    let segment = layout.segments().iter().find(|segment| {
        segment.protection & protection::EXECUTE != 0 && (segment.address..segment.end()).contains(&address)
    })?;
    let offset = address.checked_sub(segment.address + segment.offset)?;
    let begin = segment.file.start.checked_add(offset)?;
    let end = segment.file.end.min(begin.checked_add(COMPARED_BYTES as u64)?);
    file.get(usize::try_from(begin).ok()?..usize::try_from(end).ok()?).filter(|code| !code.is_empty())
}

/// Addresses with the functions and lines that they lie in, as far as the file knows them. A return address belongs to
/// the call before it.
pub fn name_all(file: Option<&[u8]>, addresses: &[u64]) -> Vec<String> {
    let symbols = file.and_then(Symbols::parse);
    let lines = file.and_then(Lines::parse);
    let name = |position: usize, address: u64| {
        let inside = address - u64::from(position > 0 && address > 0);
        let (function, offset) = symbols.as_ref()?.function_at(inside)?;
        let offset = offset + (address - inside);
        let place = lines.as_ref().and_then(|lines| lines.line_at(inside));
        let place = place.map(|place| format!(" at {place}")).unwrap_or_default();
        Some(format!("{address:#014x} {:#}+{offset:#x}{place}", rustc_demangle::demangle(function)))
    };
    addresses
        .iter()
        .enumerate()
        .map(|(position, address)| name(position, *address).unwrap_or_else(|| format!("{address:#014x}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;

    /// A tar file with one program: one page of code at 0x400000 that counts up.
    fn archive() -> Vec<u8> {
        let mut program = Vec::new();
        program.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        program.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        for number in [0x40_0000_u64, 64, 0] {
            program.extend(number.to_le_bytes());
        }
        program.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        program.extend([1, 0, 0, 0, 5, 0, 0, 0]);
        for number in [4096_u64, 0x40_0000, 0x40_0000, 100, 100, 4096] {
            program.extend(number.to_le_bytes());
        }
        program.resize(4096, 0);
        program.extend(0..100);

        let mut header = [0; 512];
        header[..8].copy_from_slice(b"bin/test");
        header[124..135].copy_from_slice(format!("{:011o}", program.len()).as_bytes());
        header[156] = b'0';
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
        let mut archive = header.to_vec();
        archive.extend(program);
        archive.resize(archive.len().next_multiple_of(512), 0);
        archive
    }

    #[test]
    fn an_image_is_believed_if_its_code_is_the_processs() {
        let archive = archive();
        let images = Images::new(&archive);
        let same = |address: u64, buffer: &mut [u8]| {
            for (at, byte) in buffer.iter_mut().enumerate() {
                *byte = (address - 0x40_0000) as u8 + at as u8;
            }
            true
        };
        assert!(images.find("test", &[0, 0x40_0005], same).is_some());
        assert!(
            images
                .find("test", &[0x40_0063], |address, buffer| same(address, buffer) && buffer.len() == 1)
                .is_some()
        );
        assert!(images.find("other", &[0x40_0005], same).is_none());
        assert!(images.find("test", &[0, 0x40_0064, u64::MAX], same).is_none());
        assert!(images.find("test", &[0x40_0005], |_, _| false).is_none());
        assert!(images.find("test", &[0x40_0005], |_, _| true).is_none());
    }

    #[test]
    fn addresses_are_told_without_names_too() {
        assert_eq!(name_all(None, &[0, 0x40_0005]), ["0x000000000000", "0x000000400005"]);
    }

    #[test]
    fn this_tests_own_functions_are_named() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let image = elf::ElfBytes::<elf::endian::LittleEndian>::minimal_parse(&file).unwrap();
        let (symbols, names) = image.symbol_table().unwrap().unwrap();
        let main =
            symbols.iter().find(|symbol| names.get(symbol.st_name as usize).ok() == Some("main")).unwrap();
        let lines = name_all(Some(&file), &[main.st_value, main.st_value + main.st_size]);
        assert!(lines[0].ends_with(" main+0x0"), "{lines:?}");
        // A return address just behind a function's end belongs to the call that ends it.
        let end = format!(" main+{:#x}", main.st_size);
        assert!(lines[1].ends_with(&end), "{lines:?}");
    }
}
