//! The segments of a program's ELF image, and where it begins.
//!
//! A file is hostile until its layout is checked: afterwards every segment lies in the space for images, no two touch
//! one page, none is writable and executable, and all their bytes are in the file.

use core::fmt;
use core::ops::Range;

use abi::PAGE_BYTES;
use abi::kernel::protection;
use elf::abi::{EM_X86_64, ET_EXEC, PF_R, PF_W, PF_X, PT_INTERP, PT_LOAD};
use elf::endian::LittleEndian;
use elf::file::{Class, ELF64_EHDR_TAILSIZE, FileHeader, parse_ident};
use elf::segment::{ProgramHeader, SegmentTable};

/// So much of the beginning of a file holds all that [`Layout::parse`] looks at.
pub const HEAD_BYTES: usize = 4096;
/// First address that an image may use. Below it a null pointer's neighbourhood stays unmapped.
pub const IMAGE_BEGIN: u64 = 0x1_0000;
/// First address beyond those that an image may use.
pub const IMAGE_END: u64 = abi::boot::ARCHIVE_ADDRESS;

/// Most segments that an image may have. The linker makes four.
const MAX_SEGMENTS: usize = 8;
const IDENT_BYTES: usize = 16;
const PROGRAM_HEADER_BYTES: u16 = 56;

/// A run of pages of a program, with the same use.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Segment {
    /// Where the first page begins.
    pub address: u64,
    /// How many pages.
    pub pages: u32,
    /// Bits of [`protection`].
    pub protection: u32,
    /// The bytes of the file that go there; all else is zero.
    pub file: Range<u64>,
    /// How far behind `address` the file's first byte goes: as far as it is behind the beginning of a page of the file.
    pub offset: u64,
    /// The first of its pages, which are pages of the file as they are. Zeros in those behind would be none in the file.
    pub file_pages: u32,
}

impl Segment {
    /// Where in the file its first page is.
    pub fn file_position(&self) -> u64 {
        self.file.start.saturating_sub(self.offset)
    }

    /// The bytes of the file that go to pages behind the [`file_pages`](Segment::file_pages): less than a page.
    pub fn copied(&self) -> Range<u64> {
        let begin = self.file_position() + u64::from(self.file_pages) * PAGE_BYTES;
        begin.clamp(self.file.start, self.file.end)..self.file.end
    }

    /// First address beyond its pages.
    pub fn end(&self) -> u64 {
        self.address + u64::from(self.pages) * PAGE_BYTES
    }
}

/// What a checked image asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Layout {
    /// Where the program begins.
    pub entry: u64,
    segments: [Segment; MAX_SEGMENTS],
    count: usize,
}

/// Why a file is not a program that can be run here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadImage {
    /// Not ELF at all, or cut short.
    NotElf,
    /// For another processor, or not a static executable.
    WrongKind,
    /// It asks for an interpreter, which V has none of.
    NeedsInterpreter,
    /// No segments, or more than any linker makes.
    SegmentCount,
    /// A segment whose bytes are not in the file, or that is smaller in memory than in the file.
    SegmentSize,
    /// A segment outside of the space for images.
    SegmentPlace,
    /// A segment whose pages are not pages of the file.
    SegmentOffset,
    /// Two segments share a page.
    Overlap,
    /// A segment that is writable and executable.
    WritableCode,
    /// The entry is in no executable segment.
    Entry,
}

impl fmt::Display for BadImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadImage::NotElf => "not an ELF file",
            BadImage::WrongKind => "not a static executable for x86-64",
            BadImage::NeedsInterpreter => "it needs a dynamic linker",
            BadImage::SegmentCount => "no segments, or too many",
            BadImage::SegmentSize => "a segment is larger than its file",
            BadImage::SegmentPlace => "a segment lies where no program may",
            BadImage::SegmentOffset => "the pages of a segment are no pages of its file",
            BadImage::Overlap => "two segments share a page",
            BadImage::WritableCode => "a segment is writable and executable",
            BadImage::Entry => "its entry is not in its code",
        })
    }
}

impl From<BadImage> for abi::Error {
    fn from(_: BadImage) -> abi::Error {
        abi::Error::BadImage
    }
}

impl core::error::Error for BadImage {}

impl Layout {
    /// Checks an image by the `head` of its file ([`HEAD_BYTES`], or all of a shorter file) and the file's length.
    pub fn parse(head: &[u8], file_bytes: u64) -> Result<Layout, BadImage> {
        let header = file_header(head)?;
        let mut layout = Layout { entry: header.e_entry, ..Layout::default() };
        for program_header in program_headers(head, &header)? {
            match program_header.p_type {
                PT_INTERP => return Err(BadImage::NeedsInterpreter),
                PT_LOAD if program_header.p_memsz > 0 => {
                    let place = layout.segments.get_mut(layout.count).ok_or(BadImage::SegmentCount)?;
                    *place = segment(&program_header, file_bytes)?;
                    layout.count += 1;
                }
                _ => {}
            }
        }
        let segments = &mut layout.segments[..layout.count];
        segments.sort_unstable_by_key(|segment| segment.address);
        if segments.is_empty() {
            return Err(BadImage::SegmentCount);
        }
        if segments.windows(2).any(|pair| pair[0].end() > pair[1].address) {
            return Err(BadImage::Overlap);
        }
        let entry = layout.entry;
        let is_code = |segment: &Segment| {
            segment.protection & protection::EXECUTE != 0 && (segment.address..segment.end()).contains(&entry)
        };
        if !segments.iter().any(is_code) {
            return Err(BadImage::Entry);
        }
        Ok(layout)
    }

    /// Its segments, by ascending address.
    pub fn segments(&self) -> &[Segment] {
        &self.segments[..self.count]
    }

    /// Pages that all segments take.
    pub fn pages(&self) -> u64 {
        self.segments().iter().map(|segment| u64::from(segment.pages)).sum()
    }

    /// The part of the file that holds all segments: what has to be read to load the program.
    pub fn file(&self) -> Range<u64> {
        let used = || self.segments().iter().map(|segment| &segment.file).filter(|file| !file.is_empty());
        let begin = used().map(|file| file.start).min().unwrap_or(0);
        let end = used().map(|file| file.end).max().unwrap_or(0);
        begin..end
    }
}

fn file_header(head: &[u8]) -> Result<FileHeader<LittleEndian>, BadImage> {
    let ident = head.get(..IDENT_BYTES).ok_or(BadImage::NotElf)?;
    let tail = head.get(IDENT_BYTES..IDENT_BYTES + ELF64_EHDR_TAILSIZE).ok_or(BadImage::NotElf)?;
    let ident = parse_ident::<LittleEndian>(ident).map_err(|_| BadImage::NotElf)?;
    if ident.1 != Class::ELF64 {
        return Err(BadImage::WrongKind);
    }
    let header = FileHeader::parse_tail(ident, tail).map_err(|_| BadImage::NotElf)?;
    if header.e_machine != EM_X86_64 || header.e_type != ET_EXEC {
        return Err(BadImage::WrongKind);
    }
    Ok(header)
}

fn program_headers(
    head: &[u8],
    header: &FileHeader<LittleEndian>,
) -> Result<impl Iterator<Item = ProgramHeader>, BadImage> {
    if header.e_phnum == 0 {
        return Err(BadImage::SegmentCount);
    }
    if header.e_phentsize != PROGRAM_HEADER_BYTES {
        return Err(BadImage::NotElf);
    }
    let bytes = usize::from(header.e_phnum) * usize::from(header.e_phentsize);
    let table = usize::try_from(header.e_phoff)
        .ok()
        .and_then(|begin| head.get(begin..)?.get(..bytes))
        .ok_or(BadImage::NotElf)?;
    Ok(SegmentTable::new(LittleEndian, Class::ELF64, table).iter())
}

fn segment(header: &ProgramHeader, file_bytes: u64) -> Result<Segment, BadImage> {
    let file_end = header
        .p_offset
        .checked_add(header.p_filesz)
        .filter(|end| *end <= file_bytes && header.p_filesz <= header.p_memsz)
        .ok_or(BadImage::SegmentSize)?;
    let end = header
        .p_vaddr
        .checked_add(header.p_memsz)
        .filter(|end| *end <= IMAGE_END && header.p_vaddr >= IMAGE_BEGIN)
        .ok_or(BadImage::SegmentPlace)?;
    let address = header.p_vaddr & !(PAGE_BYTES - 1);
    let offset = header.p_vaddr - address;
    if header.p_filesz > 0 && header.p_offset % PAGE_BYTES != offset {
        return Err(BadImage::SegmentOffset);
    }
    let file_pages = match header.p_filesz {
        0 => 0,
        bytes if bytes == header.p_memsz => (offset + bytes).div_ceil(PAGE_BYTES),
        bytes => (offset + bytes) / PAGE_BYTES,
    };
    let uses = [(PF_R, protection::READ), (PF_W, protection::WRITE), (PF_X, protection::EXECUTE)];
    let protection =
        uses.iter().filter(|(flag, _)| header.p_flags & flag != 0).fold(0, |set, (_, bit)| set | bit);
    if protection & protection::WRITE != 0 && protection & protection::EXECUTE != 0 {
        return Err(BadImage::WritableCode);
    }
    Ok(Segment {
        address,
        pages: u32::try_from((end - address).div_ceil(PAGE_BYTES)).map_err(|_| BadImage::SegmentPlace)?,
        protection,
        file: header.p_offset..file_end,
        offset,
        file_pages: u32::try_from(file_pages).map_err(|_| BadImage::SegmentPlace)?,
    })
}

#[cfg(test)]
#[path = "tests/image.rs"]
mod tests;
