//! Pipes: what is written to one end is read from the other.
//!
//! ```no_run
//! use v::io::{Read, Write};
//! use v::process::Command;
//! let (mut reader, writer) = v::pipe::pipe()?;
//! let mut child = Command::new("echo").arg("hello").stdout(&writer).start()?;
//! drop(writer);
//! let mut text = String::new();
//! reader.read_to_string(&mut text)?;
//! assert_eq!(text, "hello\n");
//! child.wait()?;
//! # Ok::<(), v::Error>(())
//! ```
//!
//! An end closes when no owner is left: reading is at its end when nobody can write any more, writing fails with
//! [`BrokenPipe`](abi::Error::BrokenPipe) when nobody can read.

use abi::Pid;
use protocols::io::attribute;
use protocols::pipe::pipe as protocol;

use crate::file::File;
use crate::io::{Instance, Read, Result, Write};
use crate::message::{Segment, call};
use crate::name::with_place;
use crate::process::Stream;

/// The end of a pipe that is read.
#[derive(Debug)]
pub struct Reader(File);

/// The end of a pipe that is written.
#[derive(Debug)]
pub struct Writer(File);

/// Makes a pipe.
pub fn pipe() -> Result<(Reader, Writer)> {
    with_place("[pipe]", true, |place| {
        let request = protocol::CreatePipe { owner: crate::process::owner() };
        let created = call(place.server, &request, Segment::None)?;
        Ok((
            Reader(end(place.server, created.reader, attribute::READABLE)),
            Writer(end(place.server, created.writer, attribute::WRITABLE)),
        ))
    })
}

fn end(server: Pid, number: u32, attributes: u32) -> File {
    File::from_instance(Instance { server, number, attributes: attributes | attribute::STREAM })
}

impl Reader {
    /// The instance; it stays this end's.
    pub fn instance(&self) -> Instance {
        self.0.instance()
    }

    /// As a file.
    pub fn into_file(self) -> File {
        self.0
    }
}

impl Writer {
    /// The instance; it stays this end's.
    pub fn instance(&self) -> Instance {
        self.0.instance()
    }

    /// As a file.
    pub fn into_file(self) -> File {
        self.0
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Writer {
    fn write(&mut self, data: &[u8]) -> Result<usize> {
        self.0.write(data)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl From<&Reader> for Stream {
    fn from(reader: &Reader) -> Stream {
        Stream::Instance(reader.instance())
    }
}

impl From<&Writer> for Stream {
    fn from(writer: &Writer) -> Stream {
        Stream::Instance(writer.instance())
    }
}
