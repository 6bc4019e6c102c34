//! Which line of which source file a program's instructions come from: a table that the tool makes of the compiler's tables,
//! and that the exception server reads.
//!
//! This one is ours. An image has it, compressed by zlib, in the section [`SECTION`], which is not loaded. All is numbers as
//! LEB128 has them, and text as a length and so many bytes of UTF-8:
//!
//! | what | how often |
//! |---|---|
//! | how many files there are | once |
//! | a file's name | for each file |
//! | address, as the distance from the row's before; line, see below; file, if it is another than the row's before | for each row |
//!
//! A row is of the instructions from its address to the next row's. Its line is told as the distance from the row's before, which
//! takes a sign ([`folded`]), with one bit below it for whether a file follows. Files count from 1; 0 is where nothing is known.

use core::{fmt, str};

use unsigned_varint::{decode, encode};

/// The section of an image.
pub const SECTION: &str = ".lines";

/// A line of a source file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line<'a> {
    /// The file's name: from the root of the checkout, or of a crate's folder.
    pub file: &'a str,
    /// Counts from 1.
    pub line: u32,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A table that is read.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// How many files there are, and their names.
    files: u64,
    names: Reader<'a>,
    rows: Reader<'a>,
}

impl<'a> Table<'a> {
    /// The table in `bytes`; none if its names are none. Rows are checked when they are read.
    pub fn parse(bytes: &'a [u8]) -> Option<Table<'a>> {
        let mut rest = Reader(bytes);
        let files = rest.number()?;
        let names = rest;
        for _ in 0..files {
            rest.text()?;
        }
        Some(Table { files, names, rows: rest })
    }

    /// The line that the instruction at `address` comes from.
    pub fn line_at(&self, address: u64) -> Option<Line<'a>> {
        let mut rows = self.rows;
        let (mut begin, mut line, mut file) = (0_u64, 0_u32, 0);
        let mut found = None;
        while let Some(distance) = rows.number() {
            begin = begin.checked_add(distance)?;
            if begin > address {
                break;
            }
            let change = rows.number()?;
            line = line.checked_add_signed(i32::try_from(unfolded(change >> 1)).ok()?)?;
            if change & 1 != 0 {
                file = rows.number()?;
            }
            found = Some((file, line));
        }
        let (file, line) = found.filter(|(file, _)| (1..=self.files).contains(file))?;
        let mut names = self.names;
        for _ in 1..file {
            names.text()?;
        }
        Some(Line { file: names.text()?, line })
    }
}

/// A table in the making: the bytes go to `out`.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    address: u64,
    line: u32,
    file: u64,
}

impl<W: Extend<u8>> Writer<W> {
    /// A table with these files.
    pub fn new<'a>(out: W, files: impl ExactSizeIterator<Item = &'a str>) -> Writer<W> {
        let mut writer = Writer { out, address: 0, line: 0, file: 0 };
        writer.number(files.len() as u64);
        for name in files {
            writer.number(name.len() as u64);
            writer.out.extend(name.bytes());
        }
        writer
    }

    /// The row of the instructions from `address` on, which must be none before the last row's; `file` counts from 1, and is
    /// 0 where nothing is known.
    pub fn row(&mut self, address: u64, file: u64, line: u32) {
        self.number(address - self.address);
        let change = folded(i64::from(line) - i64::from(self.line)) << 1;
        self.number(change | u64::from(file != self.file));
        if file != self.file {
            self.number(file);
        }
        (self.address, self.line, self.file) = (address, line, file);
    }

    /// The bytes of all rows.
    pub fn finish(self) -> W {
        self.out
    }

    fn number(&mut self, number: u64) {
        self.out.extend(encode::u64(number, &mut encode::u64_buffer()).iter().copied());
    }
}

/// A number with its sign as its lowest bit, so that small ones stay small.
const fn folded(number: i64) -> u64 {
    (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned()
}

const fn unfolded(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// What is left to read.
#[derive(Clone, Copy, Debug)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Option<u64> {
        let (number, rest) = decode::u64(self.0).ok()?;
        self.0 = rest;
        Some(number)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    const FILES: [&str; 3] = ["a/main.rs", "b.rs", "ü"];

    fn table(rows: &[(u64, u64, u32)]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), FILES.into_iter());
        for (address, file, line) in rows {
            writer.row(*address, *file, *line);
        }
        writer.finish()
    }

    #[test]
    fn an_address_has_the_line_of_the_row_before_it() {
        let bytes = table(&[(0x40_0000, 1, 12), (0x40_0004, 2, 7), (0x40_0009, 2, 900), (0x40_0010, 0, 0)]);
        let table = Table::parse(&bytes).unwrap();
        let at = |address| table.line_at(address).map(|found| (found.file, found.line));
        assert_eq!(at(0x3f_ffff), None);
        assert_eq!((at(0x40_0000), at(0x40_0003)), (Some(("a/main.rs", 12)), Some(("a/main.rs", 12))));
        assert_eq!((at(0x40_0008), at(0x40_000f)), (Some(("b.rs", 7)), Some(("b.rs", 900))));
        assert_eq!((at(0x40_0010), at(u64::MAX)), (None, None));
        // Names of three files, the first row with its file, and three bytes for a near one in another file.
        assert_eq!(bytes.len(), 1 + (10 + 5 + 3) + 6 + 3 + 3 + 4);
    }

    #[test]
    fn what_is_no_table_tells_no_line() {
        assert!(Table::parse(&[]).is_none());
        assert!(Table::parse(&[1, 5, b'a']).is_none());
        assert!(Table::parse(&[1, 1, 0xff]).is_none());
        let beyond = table(&[(1, 9, 1)]);
        assert_eq!(Table::parse(&beyond).unwrap().line_at(1), None);
    }

    proptest! {
        #[test]
        fn rows_are_read_as_they_were_written(
            rows in prop::collection::vec((0..1_u64 << 40, 0..=3_u64, 0..=i32::MAX as u32), 1..40),
            address in 0..1_u64 << 40,
        ) {
            let mut rows = rows;
            rows.sort_by_key(|row| row.0);
            let bytes = table(&rows);
            let found = Table::parse(&bytes).unwrap().line_at(address);
            let row = rows.iter().rfind(|row| row.0 <= address).filter(|row| row.1 != 0);
            let expected = row.map(|(_, file, line)| Line { file: FILES[*file as usize - 1], line: *line });
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn garbage_ends(bytes in prop::collection::vec(any::<u8>(), 0..200), address in any::<u64>()) {
            let _ = Table::parse(&bytes).and_then(|table| table.line_at(address).map(|found| found.line));
        }
    }
}
