//! gzip's form (RFC 1952) as something to write to and to read from, so that neither end needs a whole file in memory.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::Error;
use crc::{Digest, Table};
use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};
use v::io::{BufRead, Read, Result, Write};

use crate::text::checksum::CRC32_TABLE;

/// Magic number and method, no flags, no time, nothing special, an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// Flags of a header: what it has behind its ten bytes.
mod flag {
    pub const CHECKSUM: u8 = 2;
    pub const EXTRA: u8 = 4;
    pub const NAME: u8 = 8;
    pub const COMMENT: u8 = 16;
    pub const UNKNOWN: u8 = 0xe0;
}
/// Of the window, negative since no zlib header is wanted.
const WINDOW_BITS: i32 = -15;
const CHUNK_BYTES: usize = 32 * 1024;

/// Why something that should be gzip's cannot be read.
pub fn reason(error: Error) -> String {
    match error {
        Error::BadArgument => "it is not in gzip's form, or it is damaged".to_owned(),
        Error::EndOfFile => "it ends too early".to_owned(),
        other => other.to_string(),
    }
}

/// Writes what is written to it compressed. [`finish`](Compressor::finish) ends it.
pub struct Compressor<'a> {
    to: &'a mut dyn Write,
    state: Box<CompressorOxide>,
    place: Vec<u8>,
    digest: Digest<'static, u32, Table<1>>,
    /// Bytes so far, as the form counts them: modulo 2^32.
    bytes: u32,
    has_begun: bool,
}

impl<'a> Compressor<'a> {
    /// `level` is from 1, in a hurry, to 9, as short as can be.
    pub fn new(to: &'a mut dyn Write, level: u8) -> Compressor<'a> {
        let flags = create_comp_flags_from_zip_params(level.into(), WINDOW_BITS, 0);
        Compressor {
            to,
            state: Box::new(CompressorOxide::new(flags)),
            place: alloc::vec![0; CHUNK_BYTES],
            digest: CRC32_TABLE.digest(),
            bytes: 0,
            has_begun: false,
        }
    }

    fn begin(&mut self) -> Result<()> {
        if core::mem::replace(&mut self.has_begun, true) { Ok(()) } else { self.to.write_all(&HEADER) }
    }

    /// Writes what is left, and the checksum.
    pub fn finish(mut self) -> Result<()> {
        self.begin()?;
        loop {
            let step = deflate(&mut self.state, &[], &mut self.place, MZFlush::Finish);
            self.to.write_all(&self.place[..step.bytes_written])?;
            match step.status {
                Ok(MZStatus::StreamEnd) => break,
                Ok(_) => {}
                Err(_) => return Err(Error::BadArgument),
            }
        }
        self.to.write_all(&self.digest.finalize().to_le_bytes())?;
        self.to.write_all(&self.bytes.to_le_bytes())
    }
}

impl Write for Compressor<'_> {
    fn write(&mut self, data: &[u8]) -> Result<usize> {
        self.begin()?;
        self.digest.update(data);
        self.bytes = self.bytes.wrapping_add(data.len() as u32);
        let mut rest = data;
        while !rest.is_empty() {
            let step = deflate(&mut self.state, rest, &mut self.place, MZFlush::None);
            if step.bytes_consumed == 0 && step.bytes_written == 0 {
                return Err(Error::BadArgument);
            }
            self.to.write_all(&self.place[..step.bytes_written])?;
            rest = &rest[step.bytes_consumed..];
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Reads what was compressed: one member after the other. [`BadArgument`](Error::BadArgument) if it is not in gzip's form
/// or a checksum is wrong, [`EndOfFile`](Error::EndOfFile) if it ends within a member.
pub struct Decompressor<'a, R: BufRead + ?Sized> {
    from: &'a mut R,
    state: Box<InflateState>,
    digest: Digest<'static, u32, Table<1>>,
    bytes: u32,
    in_member: bool,
    has_member: bool,
}

impl<'a, R: BufRead + ?Sized> Decompressor<'a, R> {
    /// At the beginning.
    pub fn new(from: &'a mut R) -> Decompressor<'a, R> {
        Decompressor {
            from,
            state: InflateState::new_boxed(DataFormat::Raw),
            digest: CRC32_TABLE.digest(),
            bytes: 0,
            in_member: false,
            has_member: false,
        }
    }

    fn bytes<const COUNT: usize>(&mut self) -> Result<[u8; COUNT]> {
        let mut bytes = [0; COUNT];
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn skip_text(&mut self) -> Result<()> {
        while self.bytes::<1>()? != [0] {}
        Ok(())
    }

    /// Reads a member's header; false if there is no further member.
    fn begin_member(&mut self) -> Result<bool> {
        if self.has_member && !self.has_more()? {
            return Ok(false);
        }
        let header = self.bytes::<10>().map_err(|error| match error {
            // Behind a member is another or nothing.
            Error::EndOfFile if self.has_member => Error::BadArgument,
            other => other,
        })?;
        let flags = header[3];
        if header[..3] != HEADER[..3] || flags & flag::UNKNOWN != 0 {
            return Err(Error::BadArgument);
        }
        if flags & flag::EXTRA != 0 {
            for _ in 0..u16::from_le_bytes(self.bytes()?) {
                self.bytes::<1>()?;
            }
        }
        for text in [flag::NAME, flag::COMMENT] {
            if flags & text != 0 {
                self.skip_text()?;
            }
        }
        if flags & flag::CHECKSUM != 0 {
            self.bytes::<2>()?;
        }
        self.state.reset(DataFormat::Raw);
        (self.digest, self.bytes) = (CRC32_TABLE.digest(), 0);
        (self.in_member, self.has_member) = (true, true);
        Ok(true)
    }

    /// Whether anything but zeros is behind a member. Some fill up a tape's or disk's last block with them.
    fn has_more(&mut self) -> Result<bool> {
        let mut any_zeros = false;
        loop {
            let input = self.from.fill_buf()?;
            let zeros = input.iter().take_while(|byte| **byte == 0).count();
            match (zeros == input.len(), any_zeros || zeros > 0) {
                _ if input.is_empty() => return Ok(false),
                (true, _) => self.from.consume(zeros),
                (false, true) => return Err(Error::BadArgument),
                (false, false) => return Ok(true),
            }
            any_zeros = true;
        }
    }

    fn end_member(&mut self) -> Result<()> {
        self.in_member = false;
        let (checksum, bytes) = (u32::from_le_bytes(self.bytes()?), u32::from_le_bytes(self.bytes()?));
        let is_right = checksum == self.digest.clone().finalize() && bytes == self.bytes;
        if is_right { Ok(()) } else { Err(Error::BadArgument) }
    }
}

impl<R: BufRead + ?Sized> Read for Decompressor<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while !buffer.is_empty() {
            if !self.in_member && !self.begin_member()? {
                return Ok(0);
            }
            let input = self.from.fill_buf()?;
            let is_end = input.is_empty();
            let step = inflate(&mut self.state, input, buffer, MZFlush::None);
            self.from.consume(step.bytes_consumed);
            self.digest.update(&buffer[..step.bytes_written]);
            self.bytes = self.bytes.wrapping_add(step.bytes_written as u32);
            match step.status {
                Ok(MZStatus::StreamEnd) => self.end_member()?,
                Ok(_) | Err(MZError::Buf) if is_end && step.bytes_written == 0 => {
                    return Err(Error::EndOfFile);
                }
                Ok(_) | Err(MZError::Buf) => {}
                Err(_) => return Err(Error::BadArgument),
            }
            if step.bytes_written > 0 {
                return Ok(step.bytes_written);
            }
        }
        Ok(0)
    }
}
