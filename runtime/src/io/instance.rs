//! The I/O protocol's client: an open instance of some server, as a value that can be copied and handed on.

use core::hint::black_box;

use abi::{Error, PAGE_BYTES, Pid};
use protocols::io::{attribute, io};

use super::{Result, TRANSFER_BYTES};
use crate::message::{Segment, again, call};

/// An open instance in a server. Copying it does not open it again: who gives it away shares it first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instance {
    /// The server.
    pub server: Pid,
    /// The instance's number there.
    pub number: u32,
    /// Bits of [`attribute`]: what it can do.
    pub attributes: u32,
}

impl Instance {
    /// Whether it has every bit of `attributes`.
    pub const fn is(&self, attributes: u32) -> bool {
        self.attributes & attributes == attributes
    }

    /// Whether it has no positions.
    pub const fn is_stream(&self) -> bool {
        self.is(attribute::STREAM)
    }

    /// Whether a write done twice is there twice.
    const fn adds(&self) -> bool {
        self.attributes & (attribute::STREAM | attribute::APPEND_ONLY) != 0
    }

    /// Reads at a position, at most as much as fits, and at most [`TRANSFER_BYTES`].
    #[inline]
    pub fn read(&self, position: u64, buffer: &mut [u8]) -> Result<usize> {
        let room = buffer.len().min(TRANSFER_BYTES);
        let buffer = &mut buffer[..room];
        let request = io::Read { instance: self.number, position };
        if self.is_stream() {
            // What it gave is gone if it could not be put there.
            make_resident(buffer);
        }
        let mut done = again(!self.is_stream(), || call(self.server, &request, Segment::Write(buffer)));
        if let Err(Error::NotResident) = done {
            make_resident(buffer);
            done = again(true, || call(self.server, &request, Segment::Write(buffer)));
        }
        // A server may not claim more than it can have written.
        Ok((done?.count as usize).min(room))
    }

    /// Writes at a position, at most [`TRANSFER_BYTES`].
    #[inline]
    pub fn write(&self, position: u64, data: &[u8]) -> Result<usize> {
        let data = &data[..data.len().min(TRANSFER_BYTES)];
        let request = io::Write { instance: self.number, position };
        let written = again(!self.adds(), || call(self.server, &request, Segment::Read(data)))?;
        Ok((written.count as usize).min(data.len()))
    }

    /// What it is now.
    pub fn query(&self) -> Result<io::InstanceQueried> {
        let request = io::QueryInstance { instance: self.number };
        again(true, || call(self.server, &request, Segment::None))
    }

    /// Cuts or extends it.
    pub fn set_size(&self, size: u64) -> Result<()> {
        let request = io::SetSize { instance: self.number, size };
        again(true, || call(self.server, &request, Segment::None))?;
        Ok(())
    }

    /// Waits until what was written will survive what the server survives.
    pub fn synchronize(&self) -> Result<()> {
        let request = io::Synchronize { instance: self.number };
        again(true, || call(self.server, &request, Segment::None))?;
        Ok(())
    }

    /// Adds an owner: the team `owner`.
    pub fn share(&self, owner: Pid) -> Result<()> {
        let request = io::Share { instance: self.number, owner };
        again(false, || call(self.server, &request, Segment::None))?;
        Ok(())
    }

    /// Takes this program away as an owner of standard streams, all of one server; 0 is none.
    pub(crate) fn release_streams(server: Pid, [input, output, error]: [u32; 3]) -> Result<()> {
        let request = io::ReleaseStreams { owner: crate::process::owner(), input, output, error };
        again(false, || call(server, &request, Segment::None))?;
        Ok(())
    }

    /// Takes an owner away: the team `owner`. The last one gone closes the instance.
    pub fn release(&self, owner: Pid) -> Result<()> {
        let request = io::Release { instance: self.number, owner };
        again(false, || call(self.server, &request, Segment::None))?;
        Ok(())
    }
}

/// Touches every page of a buffer, in its owner's time: a reply does not wait for the page of a file that the buffer may
/// lie in.
fn make_resident(buffer: &mut [u8]) {
    let last = buffer.len().saturating_sub(1);
    for at in (0..buffer.len()).step_by(PAGE_BYTES as usize).chain([last]) {
        if let Some(byte) = buffer.get_mut(at) {
            // Nothing is known of what is read, so that it is written again.
            *byte = black_box(*byte);
        }
    }
}
