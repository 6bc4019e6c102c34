//! Reading and writing, as in `std::io`, with V's errors.
//!
//! | part | what it has |
//! |---|---|
//! | this file | the traits [`Read`], [`Write`], [`BufRead`], [`Seek`] |
//! | `buffer` | [`BufReader`], [`BufWriter`] |
//! | `memory` | reading and writing bytes in memory: slices, vectors, [`Cursor`] |
//! | `instance` | [`Instance`]: the I/O protocol's client |
//! | `streams` | the program's standard input, output and error |
//!
//! ```no_run
//! use v::io::{self, BufRead, Write};
//! let mut longest = 0;
//! for line in io::stdin().lines() {
//!     longest = longest.max(line?.len());
//! }
//! writeln!(io::stdout(), "{longest}")?;
//! # Ok::<(), v::Error>(())
//! ```

mod buffer;
mod instance;
mod memory;
mod streams;

use alloc_crate::boxed::Box;
use alloc_crate::string::String;
use alloc_crate::vec::Vec;
use core::fmt;

use abi::Error;

pub use buffer::{BufReader, BufWriter};
pub use instance::Instance;
pub use memory::{Cursor, Empty, empty};
pub use streams::{
    Stderr, Stdin, StdinLock, Stdout, flush_standard_output, standard_position, standard_stream, stderr,
    stdin, stdout, write_fatal,
};
pub(crate) use streams::{current_position, release_pipes};

/// What reading and writing give.
pub type Result<T> = core::result::Result<T, Error>;

/// Most bytes that one request reads or writes, and the size of buffers: what a reply can carry, and large enough that
/// the request's own cost is small beside the copy's.
pub const TRANSFER_BYTES: usize = abi::segment::HEAD_BYTES as usize;

/// How much is read at once where the end is not known.
const PROBE_BYTES: usize = 4096;

/// What can be read.
pub trait Read {
    /// Reads some bytes, at most as many as fit, and says how many; none means the end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;

    /// Reads until `buffer` is full; [`EndOfFile`](Error::EndOfFile) if the end comes first.
    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => return Err(Error::EndOfFile),
                count => filled += count,
            }
        }
        Ok(())
    }

    /// Appends everything up to the end, and says how much it was.
    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> Result<usize> {
        let before = bytes.len();
        loop {
            let filled = bytes.len();
            // Each request is as large as what was read so far, so that few are needed.
            let room = (filled - before).clamp(PROBE_BYTES, TRANSFER_BYTES);
            bytes.resize(filled + room, 0);
            let outcome = self.read(&mut bytes[filled..]);
            bytes.truncate(filled + outcome.unwrap_or(0));
            if outcome? == 0 {
                return Ok(filled - before);
            }
        }
    }

    /// As [`read_to_end`](Read::read_to_end), for text; [`BadArgument`](Error::BadArgument) if it is not UTF-8.
    fn read_to_string(&mut self, text: &mut String) -> Result<usize> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        append_text(&bytes, text)
    }

    /// This reader, by reference.
    fn by_ref(&mut self) -> &mut Self
    where
        Self: Sized,
    {
        self
    }

    /// The first `limit` bytes of this reader.
    fn take(self, limit: u64) -> Take<Self>
    where
        Self: Sized,
    {
        Take { inner: self, limit }
    }
}

/// What can be written.
pub trait Write {
    /// Writes some of the bytes, from the beginning, and says how many.
    fn write(&mut self, data: &[u8]) -> Result<usize>;

    /// Passes on what is buffered.
    fn flush(&mut self) -> Result<()>;

    /// Writes all of the bytes.
    fn write_all(&mut self, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            match self.write(data)? {
                0 => return Err(Error::NoSpace),
                count => data = &data[count.min(data.len())..],
            }
        }
        Ok(())
    }

    /// Writes formatted text; what `write!` calls.
    fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> Result<()> {
        if let Some(text) = arguments.as_str() {
            return self.write_all(text.as_bytes());
        }
        let mut adapter = Adapter { writer: self, outcome: Ok(()) };
        match fmt::write(&mut adapter, arguments) {
            Ok(()) => Ok(()),
            // Either the writer failed, or a `Display` did, which has no error of its own.
            Err(fmt::Error) => adapter.outcome.and(Err(Error::BadArgument)),
        }
    }

    /// This writer, by reference.
    fn by_ref(&mut self) -> &mut Self
    where
        Self: Sized,
    {
        self
    }
}

/// Lets formatting write to a [`Write`], keeping the error that formatting cannot carry.
struct Adapter<'a, W: Write + ?Sized> {
    writer: &'a mut W,
    outcome: Result<()>,
}

impl<W: Write + ?Sized> fmt::Write for Adapter<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.outcome = self.writer.write_all(text.as_bytes());
        self.outcome.map_err(|_| fmt::Error)
    }
}

/// A reader with a buffer, which can be read by lines.
pub trait BufRead: Read {
    /// What is in the buffer, filled if it was empty; an empty slice means the end.
    fn fill_buf(&mut self) -> Result<&[u8]>;

    /// Drops so many bytes from the beginning of the buffer.
    fn consume(&mut self, count: usize);

    /// Appends everything up to and with the next `delimiter`, or up to the end, and says how much it was.
    fn read_until(&mut self, delimiter: u8, bytes: &mut Vec<u8>) -> Result<usize> {
        let mut total = 0;
        loop {
            let available = self.fill_buf()?;
            let (taken, done) = match memory::position(delimiter, available) {
                Some(at) => (at + 1, true),
                None => (available.len(), available.is_empty()),
            };
            bytes.extend_from_slice(&available[..taken]);
            self.consume(taken);
            total += taken;
            if done {
                return Ok(total);
            }
        }
    }

    /// Appends a line with its newline; 0 means the end. [`BadArgument`](Error::BadArgument) if it is not UTF-8.
    fn read_line(&mut self, line: &mut String) -> Result<usize> {
        let mut bytes = Vec::new();
        self.read_until(b'\n', &mut bytes)?;
        append_text(&bytes, line)
    }

    /// The lines, without their newlines.
    fn lines(self) -> Lines<Self>
    where
        Self: Sized,
    {
        Lines { reader: self }
    }
}

fn append_text(bytes: &[u8], text: &mut String) -> Result<usize> {
    text.push_str(core::str::from_utf8(bytes).map_err(|_| Error::BadArgument)?);
    Ok(bytes.len())
}

/// Iterates over lines; see [`BufRead::lines`].
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Result<String>> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => {
                if line.ends_with('\n') {
                    line.pop();
                }
                Some(Ok(line))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// Reads at most so many bytes; see [`Read::take`].
#[derive(Debug)]
pub struct Take<R> {
    inner: R,
    limit: u64,
}

impl<R: Read> Read for Take<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let room = buffer.len().min(usize::try_from(self.limit).unwrap_or(usize::MAX));
        if room == 0 {
            return Ok(0);
        }
        let count = self.inner.read(&mut buffer[..room])?.min(room);
        self.limit -= count as u64;
        Ok(count)
    }
}

/// Where to seek to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SeekFrom {
    /// So many bytes from the beginning.
    Start(u64),
    /// So many bytes from the end.
    End(i64),
    /// So many bytes from where it is.
    Current(i64),
}

impl SeekFrom {
    /// The position meant, from the beginning; [`BadArgument`](Error::BadArgument) if there is none.
    pub(crate) fn position(self, current: u64, end: impl FnOnce() -> Result<u64>) -> Result<u64> {
        match self {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => end()?.checked_add_signed(offset),
            SeekFrom::Current(offset) => current.checked_add_signed(offset),
        }
        .ok_or(Error::BadArgument)
    }
}

/// What has a position.
pub trait Seek {
    /// Moves the position and says where it is then.
    fn seek(&mut self, to: SeekFrom) -> Result<u64>;
}

macro_rules! by_reference {
    ($($Reference:ty),*) => {$(
        impl<T: Read + ?Sized> Read for $Reference {
            fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
                (**self).read(buffer)
            }
        }
        impl<T: Write + ?Sized> Write for $Reference {
            fn write(&mut self, data: &[u8]) -> Result<usize> {
                (**self).write(data)
            }
            fn flush(&mut self) -> Result<()> {
                (**self).flush()
            }
        }
        impl<T: BufRead + ?Sized> BufRead for $Reference {
            fn fill_buf(&mut self) -> Result<&[u8]> {
                (**self).fill_buf()
            }
            fn consume(&mut self, count: usize) {
                (**self).consume(count);
            }
        }
        impl<T: Seek + ?Sized> Seek for $Reference {
            fn seek(&mut self, to: SeekFrom) -> Result<u64> {
                (**self).seek(to)
            }
        }
    )*};
}

by_reference!(&mut T, Box<T>);

/// Copies everything from a reader to a writer, and says how much it was.
pub fn copy(reader: &mut (impl Read + ?Sized), writer: &mut (impl Write + ?Sized)) -> Result<u64> {
    let mut buffer = alloc_crate::vec![0; TRANSFER_BYTES];
    let mut total = 0;
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(total),
            count => {
                writer.write_all(&buffer[..count])?;
                total += count as u64;
            }
        }
    }
}
