//! Buffers before readers and writers, so that small reads and writes don't each cost a request. The memory of a
//! buffer is taken when it is first used.

use alloc_crate::vec::Vec;

use super::{BufRead, Read, Result, Seek, SeekFrom, TRANSFER_BYTES, Write};

/// With so many bytes a writer's buffer begins.
const FIRST_BYTES: usize = 1024;

/// Reads ahead.
///
/// ```
/// use v::io::{BufRead, BufReader, Cursor};
/// let mut reader = BufReader::new(Cursor::new("two\nlines\n"));
/// let mut line = String::new();
/// reader.read_line(&mut line)?;
/// assert_eq!(line, "two\n");
/// # Ok::<(), v::Error>(())
/// ```
#[derive(Debug)]
pub struct BufReader<R> {
    inner: R,
    capacity: usize,
    /// Empty, or as long as the capacity.
    buffer: Vec<u8>,
    /// Where in the buffer the bytes begin that were not yet taken,
    start: usize,
    /// and where they end.
    end: usize,
}

impl<R> BufReader<R> {
    /// With a buffer of [`TRANSFER_BYTES`].
    pub const fn new(inner: R) -> BufReader<R> {
        BufReader::with_capacity(TRANSFER_BYTES, inner)
    }

    /// With a buffer of `capacity` bytes.
    pub const fn with_capacity(capacity: usize, inner: R) -> BufReader<R> {
        BufReader { inner, capacity, buffer: Vec::new(), start: 0, end: 0 }
    }

    /// What it reads from.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// What it reads from. What is buffered comes before what is read here.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// What it reads from; what is buffered is lost.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// What is buffered.
    pub fn buffer(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }
}

impl<R: Read> Read for BufReader<R> {
    fn read(&mut self, place: &mut [u8]) -> Result<usize> {
        // A large read of nothing buffered goes to its place directly.
        if self.start == self.end && place.len() >= self.capacity {
            return self.inner.read(place);
        }
        let available = self.fill_buf()?;
        let count = available.len().min(place.len());
        place[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }

    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> Result<usize> {
        let buffered = self.end - self.start;
        bytes.extend_from_slice(self.buffer());
        self.consume(buffered);
        Ok(buffered + self.inner.read_to_end(bytes)?)
    }
}

impl<R: Read> BufRead for BufReader<R> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        if self.start == self.end {
            self.buffer.resize(self.capacity, 0);
            self.start = 0;
            // Nothing is buffered if this fails.
            self.end = 0;
            self.end = self.inner.read(&mut self.buffer)?.min(self.capacity);
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }
}

impl<R: Seek> Seek for BufReader<R> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let ahead = i64::try_from(self.end - self.start).unwrap_or(i64::MAX);
        self.start = self.end;
        match to {
            SeekFrom::Current(offset) => self.inner.seek(SeekFrom::Current(offset.saturating_sub(ahead))),
            other => self.inner.seek(other),
        }
    }
}

/// Collects what is written and passes it on in large pieces, at the latest when dropped; only
/// [`flush`](Write::flush) tells whether that went well.
#[derive(Debug)]
pub struct BufWriter<W: Write> {
    inner: W,
    capacity: usize,
    buffer: Vec<u8>,
}

impl<W: Write> BufWriter<W> {
    /// With a buffer of [`TRANSFER_BYTES`].
    pub const fn new(inner: W) -> BufWriter<W> {
        BufWriter::with_capacity(TRANSFER_BYTES, inner)
    }

    /// With a buffer of `capacity` bytes.
    pub const fn with_capacity(capacity: usize, inner: W) -> BufWriter<W> {
        BufWriter { inner, capacity, buffer: Vec::new() }
    }

    /// What it writes to.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// What it writes to. What is buffered comes after what is written here.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// Bytes that wait to be passed on.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Passes on what is buffered, without flushing what lies behind. What could not be written stays; but after an error that
    /// says that it may have been written, it does not: whoever hears of that decides, and it is not written twice unasked.
    pub(super) fn pass_on(&mut self) -> Result<()> {
        let mut written = 0;
        let mut outcome = Ok(());
        while written < self.buffer.len() && outcome.is_ok() {
            match self.inner.write(&self.buffer[written..]) {
                Ok(0) => outcome = Err(abi::Error::NoSpace),
                Ok(count) => written += count,
                Err(error) => {
                    outcome = Err(error);
                    if error.may_have_been_executed() {
                        written = self.buffer.len();
                    }
                }
            }
        }
        self.buffer.drain(..written.min(self.buffer.len()));
        outcome
    }

    /// Whether the last byte that was written is this one, and is still here.
    pub(super) fn ends_with(&self, byte: u8) -> bool {
        self.buffer.last() == Some(&byte)
    }
}

impl<W: Write> Write for BufWriter<W> {
    fn write(&mut self, data: &[u8]) -> Result<usize> {
        if self.buffer.len() + data.len() > self.capacity {
            self.pass_on()?;
        }
        // A large write goes on directly.
        if data.len() >= self.capacity {
            return self.inner.write(data);
        }
        if self.buffer.capacity() == 0 {
            // Grows where it is, up to the capacity: a program that writes little touches little memory.
            self.buffer.reserve(self.capacity.min(FIRST_BYTES));
        }
        self.buffer.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.pass_on()?;
        self.inner.flush()
    }
}

impl<W: Write + Seek> Seek for BufWriter<W> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        self.pass_on()?;
        self.inner.seek(to)
    }
}

impl<W: Write> Drop for BufWriter<W> {
    fn drop(&mut self) {
        // Whoever wants to know flushes.
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Cursor;
    use abi::Error;
    use alloc_crate::string::String;
    use alloc_crate::vec;

    /// Gives its bytes in pieces of three, then an error once, then the end.
    struct Slow(Cursor<&'static [u8]>, bool);

    impl Read for Slow {
        fn read(&mut self, place: &mut [u8]) -> Result<usize> {
            let room = place.len().min(3);
            match self.0.read(&mut place[..room])? {
                0 if core::mem::take(&mut self.1) => Err(Error::Aborted),
                count => Ok(count),
            }
        }
    }

    #[test]
    fn lines_come_whole_from_pieces() {
        let mut reader = BufReader::with_capacity(4, Slow(Cursor::new(b"ab\n\ncdefghij\nend"), false));
        let mut bytes = Vec::new();
        let mut lengths = vec![];
        loop {
            match reader.read_until(b'\n', &mut bytes).unwrap() {
                0 => break,
                count => lengths.push(count),
            }
        }
        assert_eq!(lengths, [3, 1, 9, 3]);
        assert_eq!(bytes, b"ab\n\ncdefghij\nend");
    }

    #[test]
    fn lines_lose_their_newlines_and_must_be_text() {
        let lines: Result<Vec<String>> = BufReader::new(Cursor::new("a\n\nb")).lines().collect();
        assert_eq!(lines.unwrap(), ["a", "", "b"]);
        let mut bad = BufReader::new(Cursor::new(b"\xff\nfine\n")).lines();
        assert_eq!(bad.next(), Some(Err(Error::BadArgument)));
        assert_eq!(bad.next(), Some(Ok(String::from("fine"))));
        assert_eq!(bad.next(), None);
    }

    #[test]
    fn an_error_is_not_the_end() {
        let mut reader = BufReader::new(Slow(Cursor::new(b"abcd"), true));
        let mut bytes = Vec::new();
        assert_eq!(reader.read_to_end(&mut bytes), Err(Error::Aborted));
        assert_eq!(bytes, b"abcd");
        assert_eq!(reader.read_to_end(&mut bytes), Ok(0));
    }

    #[test]
    fn reading_to_the_end_takes_the_buffer_first() {
        let mut reader = BufReader::with_capacity(4, Cursor::new(b"abcdefgh"));
        let mut first = [0; 1];
        reader.read_exact(&mut first).unwrap();
        assert_eq!(reader.buffer(), b"bcd");
        let mut rest = Vec::new();
        assert_eq!(reader.read_to_end(&mut rest), Ok(7));
        assert_eq!(rest, b"bcdefgh");
        assert_eq!(reader.read_exact(&mut first), Err(Error::EndOfFile));
    }

    #[test]
    fn seeking_counts_what_was_read_ahead() {
        let mut reader = BufReader::with_capacity(4, Cursor::new(b"abcdefgh"));
        let mut one = [0; 1];
        reader.read_exact(&mut one).unwrap();
        assert_eq!(reader.seek(SeekFrom::Current(1)), Ok(2));
        reader.read_exact(&mut one).unwrap();
        assert_eq!(&one, b"c");
        assert_eq!(reader.seek(SeekFrom::End(-1)), Ok(7));
        assert_eq!(reader.seek(SeekFrom::Current(-9)), Err(Error::BadArgument));
    }

    /// Takes two bytes at a time, and fails when full.
    #[derive(Debug)]
    struct Small(Vec<u8>, usize);

    impl Write for &mut Small {
        fn write(&mut self, data: &[u8]) -> Result<usize> {
            let room = self.1 - self.0.len();
            if room == 0 {
                return Err(Error::BrokenPipe);
            }
            let count = data.len().min(2).min(room);
            self.0.extend_from_slice(&data[..count]);
            Ok(count)
        }
        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_written_arrives_once_and_in_order() {
        let mut small = Small(Vec::new(), 1000);
        let mut writer = BufWriter::with_capacity(5, &mut small);
        writer.write_all(b"abc").unwrap();
        assert_eq!(writer.buffered(), 3);
        writer.write_all(b"defg").unwrap();
        writer.write_all(b"a long piece").unwrap();
        write!(writer, "{}", 12).unwrap();
        drop(writer);
        assert_eq!(small.0, b"abcdefga long piece12");
    }

    /// Takes everything, and says that nobody knows whether it did.
    #[derive(Debug)]
    struct Unsure(Vec<u8>);

    impl Write for &mut Unsure {
        fn write(&mut self, data: &[u8]) -> Result<usize> {
            self.0.extend_from_slice(data);
            Err(Error::HostUnreachable)
        }
        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_may_have_been_written_is_not_written_again() {
        let mut unsure = Unsure(Vec::new());
        let mut writer = BufWriter::with_capacity(8, &mut unsure);
        writer.write_all(b"abcde").unwrap();
        assert_eq!(writer.flush(), Err(Error::HostUnreachable));
        assert_eq!((writer.buffered(), writer.flush()), (0, Ok(())));
        drop(writer);
        assert_eq!(unsure.0, b"abcde");
    }

    #[test]
    fn what_could_not_be_written_stays() {
        let mut small = Small(Vec::new(), 3);
        let mut writer = BufWriter::with_capacity(8, &mut small);
        writer.write_all(b"abcde").unwrap();
        assert_eq!(writer.flush(), Err(Error::BrokenPipe));
        assert_eq!(writer.buffered(), 2);
        drop(writer);
        assert_eq!(small.0, b"abc");
    }
}
