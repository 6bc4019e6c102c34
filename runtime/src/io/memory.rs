//! Bytes in memory as readers and writers.

use alloc_crate::vec::Vec;

use super::{BufRead, Read, Result, Seek, SeekFrom, Write};

/// Where `byte` is first in `bytes`. Looks at whole blocks, which the compiler turns into vector compares.
pub(super) fn position(byte: u8, bytes: &[u8]) -> Option<usize> {
    const BLOCK_BYTES: usize = 64;
    let is_in = |block: &[u8]| {
        let hits: u8 = block.iter().map(|candidate| u8::from(*candidate == byte)).sum();
        hits > 0
    };
    let before = bytes.chunks_exact(BLOCK_BYTES).take_while(|block| !is_in(block)).count() * BLOCK_BYTES;
    let at = bytes[before..].iter().position(|candidate| *candidate == byte)?;
    Some(before + at)
}

/// A position in bytes that lie in memory.
#[derive(Clone, Debug, Default)]
pub struct Cursor<T> {
    bytes: T,
    position: u64,
}

impl<T> Cursor<T> {
    /// At the beginning.
    pub const fn new(bytes: T) -> Cursor<T> {
        Cursor { bytes, position: 0 }
    }

    /// The bytes.
    pub fn into_inner(self) -> T {
        self.bytes
    }

    /// Where it is.
    pub const fn position(&self) -> u64 {
        self.position
    }
}

impl<T: AsRef<[u8]>> Cursor<T> {
    fn rest(&self) -> &[u8] {
        let start = usize::try_from(self.position).unwrap_or(usize::MAX);
        self.bytes.as_ref().get(start..).unwrap_or_default()
    }
}

impl<T: AsRef<[u8]>> Read for Cursor<T> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.rest().read(buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl<T: AsRef<[u8]>> BufRead for Cursor<T> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        Ok(self.rest())
    }

    fn consume(&mut self, count: usize) {
        self.position += count.min(self.rest().len()) as u64;
    }
}

impl<T: AsRef<[u8]>> Seek for Cursor<T> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let end = self.bytes.as_ref().len() as u64;
        self.position = to.position(self.position, || Ok(end))?;
        Ok(self.position)
    }
}

impl Read for &[u8] {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.len().min(buffer.len());
        let (taken, rest) = self.split_at(count);
        buffer[..count].copy_from_slice(taken);
        *self = rest;
        Ok(count)
    }
}

impl BufRead for &[u8] {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        Ok(self)
    }

    fn consume(&mut self, count: usize) {
        *self = &self[count.min(self.len())..];
    }
}

impl Write for Vec<u8> {
    fn write(&mut self, data: &[u8]) -> Result<usize> {
        self.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Has nothing to read, and takes whatever is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Empty;

/// What has nothing to read, and takes whatever is written.
pub const fn empty() -> Empty {
    Empty
}

impl Read for Empty {
    fn read(&mut self, _buffer: &mut [u8]) -> Result<usize> {
        Ok(0)
    }
}

impl BufRead for Empty {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        Ok(&[])
    }

    fn consume(&mut self, _count: usize) {}
}

impl Write for Empty {
    fn write(&mut self, data: &[u8]) -> Result<usize> {
        Ok(data.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_beyond_the_end_reads_nothing() {
        let mut cursor = Cursor::new([1, 2, 3]);
        assert_eq!(cursor.seek(SeekFrom::Start(u64::MAX)), Ok(u64::MAX));
        assert_eq!(cursor.read(&mut [0; 4]), Ok(0));
        assert_eq!(cursor.seek(SeekFrom::Current(1)), Err(abi::Error::BadArgument));
        assert_eq!(cursor.seek(SeekFrom::End(-2)), Ok(1));
        let mut rest = Vec::new();
        assert_eq!(cursor.read_to_end(&mut rest), Ok(2));
        assert_eq!(rest, [2, 3]);
        assert_eq!(cursor.position(), 3);
    }

    #[test]
    fn a_byte_is_found_wherever_it_is() {
        for length in 0..200 {
            let mut bytes = alloc_crate::vec![0; length];
            assert_eq!(position(1, &bytes), None);
            for at in (0..length).rev() {
                bytes[at] = 1;
                assert_eq!(position(1, &bytes), Some(at));
            }
        }
    }

    #[test]
    fn taking_stops_at_the_limit() {
        let mut rest = Vec::new();
        let mut bytes = &b"abcdef"[..];
        assert_eq!(bytes.by_ref().take(4).read_to_end(&mut rest), Ok(4));
        assert_eq!((rest.as_slice(), bytes), (&b"abcd"[..], &b"ef"[..]));
    }

    #[test]
    fn formatting_reports_the_writers_error() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _data: &[u8]) -> Result<usize> {
                Err(abi::Error::NoQuota)
            }
            fn flush(&mut self) -> Result<()> {
                Ok(())
            }
        }
        assert_eq!(write!(Full, "{}{}", 1, "two"), Err(abi::Error::NoQuota));
        let mut text = Vec::new();
        write!(text, "{:>4}", 7).unwrap();
        assert_eq!(text, b"   7");
    }
}
