//! The supervisor's image: the first file of the boot archive, checked.
//!
//! The archive is a tar file; only its first header is read here, the rest is the supervisor's business. The file is
//! an ELF executable. Every field that is used is checked first, and what is wrong is said in a sentence, since at
//! this point all that can be done about it is to stop and say so.

use abi::PAGE_BYTES;
use abi::kernel::protection::{EXECUTE, READ, WRITE};
use elf::abi::{EM_X86_64, ET_EXEC, PF_W, PF_X, PT_INTERP, PT_LOAD};
use elf::endian::LittleEndian;
use elf::file::{Class, ELF64_EHDR_TAILSIZE, FileHeader, parse_ident};
use elf::segment::{ProgramHeader, SegmentTable};

use crate::machine::Protection;
use crate::region::PageRange;

/// The first entry's name.
const SUPERVISOR: &str = "bin/supervisor";

const BLOCK_BYTES: usize = 512;
const IDENT_BYTES: usize = 16;
const PROGRAM_HEADER_BYTES: u16 = 56;
/// An image begins at or above this, so that null and what is near it stays unmapped.
const IMAGE_START: u64 = 0x1_0000;
/// And ends at or below this.
const IMAGE_END: u64 = abi::boot::ARCHIVE_ADDRESS;

/// The content of the archive's first entry, which must be the supervisor.
pub fn first_file(archive: &[u8]) -> Result<&[u8], &'static str> {
    let header = archive.first_chunk::<BLOCK_BYTES>().ok_or("the boot archive is empty")?;
    if !header[257..].starts_with(b"ustar") {
        return Err("the boot archive is not a tar file");
    }
    // The checksum counts its own field as blanks.
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, byte)| u64::from(if (148..156).contains(&at) { b' ' } else { *byte }))
        .sum();
    if octal(&header[148..156]) != Some(sum) {
        return Err("the boot archive's first header has a wrong checksum");
    }
    let name = header[..100].split(|byte| *byte == 0).next().unwrap_or_default();
    let name = name.strip_prefix(b"./").unwrap_or(name);
    if name != SUPERVISOR.as_bytes() || !matches!(header[156], b'0' | 0) {
        return Err("the boot archive's first entry is not the file bin/supervisor");
    }
    octal(&header[124..136])
        .and_then(|bytes| usize::try_from(bytes).ok())
        .and_then(|bytes| archive[BLOCK_BYTES..].get(..bytes))
        .ok_or("the boot archive is cut short")
}

/// A number in a tar header: octal digits with blanks or zero bytes around them.
fn octal(field: &[u8]) -> Option<u64> {
    let text = core::str::from_utf8(field).ok()?;
    let digits = text.trim_matches([' ', '\0']);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    u64::from_str_radix(digits, 8).ok()
}

/// A checked image.
#[derive(Debug)]
pub struct Image<'a> {
    file: &'a [u8],
    program_headers: &'a [u8],
    /// Where the program begins.
    pub entry: u64,
}

/// Pages of an image with one protection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment<'a> {
    /// The pages.
    pub range: PageRange,
    /// How they may be used.
    pub protection: Protection,
    /// Where in the range the content goes; around it are zeros.
    pub offset: u64,
    /// Bytes of the file.
    pub content: &'a [u8],
}

impl<'a> Image<'a> {
    /// Checks an ELF file.
    pub fn parse(file: &'a [u8]) -> Result<Image<'a>, &'static str> {
        let header = file_header(file).ok_or("the supervisor is not an ELF file")?;
        if header.class != Class::ELF64 || header.e_machine != EM_X86_64 || header.e_type != ET_EXEC {
            return Err("the supervisor is not a static executable for x86-64");
        }
        if header.e_phentsize != PROGRAM_HEADER_BYTES {
            return Err("the supervisor's program headers have a strange size");
        }
        let bytes = usize::from(header.e_phnum) * usize::from(PROGRAM_HEADER_BYTES);
        let program_headers = usize::try_from(header.e_phoff)
            .ok()
            .and_then(|start| file.get(start..)?.get(..bytes))
            .ok_or("the supervisor's program headers are not in its file")?;
        let image = Image { file, program_headers, entry: header.e_entry };
        image.check()?;
        Ok(image)
    }

    fn check(&self) -> Result<(), &'static str> {
        let mut end = IMAGE_START;
        let mut entry_is_code = false;
        for header in self.headers() {
            if header.p_type == PT_INTERP {
                return Err("the supervisor needs a dynamic linker");
            }
            if header.p_type != PT_LOAD || header.p_memsz == 0 {
                continue;
            }
            let segment = self.segment(&header)?;
            if segment.range.start < end {
                return Err("the supervisor's segments overlap, are out of order, or begin too low");
            }
            end = segment.range.end;
            entry_is_code |= segment.protection & EXECUTE != 0
                && (segment.range.start..segment.range.end).contains(&self.entry);
        }
        if end > IMAGE_END {
            return Err("the supervisor's segments end too high");
        }
        if entry_is_code { Ok(()) } else { Err("the supervisor's entry is not in its code") }
    }

    fn headers(&self) -> impl Iterator<Item = ProgramHeader> + use<'a> {
        SegmentTable::new(LittleEndian, Class::ELF64, self.program_headers).iter()
    }

    /// What is to be mapped, in ascending order.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> + '_ {
        self.headers()
            .filter(|header| header.p_type == PT_LOAD && header.p_memsz > 0)
            .filter_map(|header| self.segment(&header).ok())
    }

    fn segment(&self, header: &ProgramHeader) -> Result<Segment<'a>, &'static str> {
        let content = usize::try_from(header.p_offset)
            .ok()
            .zip(usize::try_from(header.p_filesz).ok())
            .and_then(|(start, bytes)| self.file.get(start..)?.get(..bytes))
            .ok_or("a segment of the supervisor is not in its file")?;
        if header.p_filesz > header.p_memsz {
            return Err("a segment of the supervisor is larger in its file than in memory");
        }
        let start = header.p_vaddr & !(PAGE_BYTES - 1);
        let range = header
            .p_vaddr
            .checked_add(header.p_memsz)
            .and_then(|end| u32::try_from((end - start).div_ceil(PAGE_BYTES)).ok())
            .and_then(|pages| PageRange::new(start, pages).ok())
            .ok_or("a segment of the supervisor lies where no program may")?;
        let protection = [(PF_W, WRITE), (PF_X, EXECUTE)]
            .iter()
            .filter(|(flag, _)| header.p_flags & flag != 0)
            .fold(READ, |set, (_, bit)| set | bit);
        if protection & WRITE != 0 && protection & EXECUTE != 0 {
            return Err("a segment of the supervisor is writable and executable");
        }
        Ok(Segment { range, protection, offset: header.p_vaddr - start, content })
    }
}

fn file_header(file: &[u8]) -> Option<FileHeader<LittleEndian>> {
    let ident = parse_ident::<LittleEndian>(file.get(..IDENT_BYTES)?).ok()?;
    if ident.1 != Class::ELF64 {
        return None;
    }
    let tail = file.get(IDENT_BYTES..IDENT_BYTES + ELF64_EHDR_TAILSIZE)?;
    FileHeader::parse_tail(ident, tail).ok()
}

#[cfg(test)]
#[path = "tests/image.rs"]
mod tests;
