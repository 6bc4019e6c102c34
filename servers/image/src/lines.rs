//! Lines of source files for addresses, from the table that an image has of them.

use alloc::vec::Vec;

use elf::ElfBytes;
use elf::endian::LittleEndian;
use formats::lines::{Line, SECTION, Table};
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

/// Most bytes of a table. That of the largest program, with 0.8 MiB of code, has 100 KB.
const MOST_BYTES: usize = 1024 * 1024;

/// The table of a file that is in memory whole.
#[derive(Debug)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// The file's table; none if it has none that can be read.
    pub fn parse(file: &[u8]) -> Option<Lines> {
        let image = ElfBytes::<LittleEndian>::minimal_parse(file).ok()?;
        let header = image.section_header_by_name(SECTION).ok()??;
        let (packed, _) = image.section_data(&header).ok()?;
        Some(Lines(decompress_to_vec_zlib_with_limit(packed, MOST_BYTES).ok()?))
    }

    /// The line that the instruction at `address` comes from.
    pub fn line_at(&self, address: u64) -> Option<Line<'_>> {
        Table::parse(&self.0)?.line_at(address)
    }
}
