//! Copies between the address spaces of two processes, and between a program and the kernel.
//!
//! A copy that meets a page which its team may have, but has not touched yet, gives it the page and goes on. What
//! remains is a [`Stop`]: how far it came, whose page was in the way, and why. A copy is a sequence of bytes in
//! ascending order; where source and destination overlap in one space it is refused, since no order would be right.

use abi::kernel::protection::{READ, WRITE};
use abi::{Access, Error, USER_ADDRESS_END};

use crate::kernel::Kernel;
use crate::machine::{CopyFault, Machine, Place, ProcessIndex, Side};
use crate::paging::PAGE_MISSING;
use crate::{Result, ensure};

pub use abi::segment::HEAD_BYTES;

/// A copy that ended early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stop {
    /// Bytes copied.
    pub done: u64,
    /// On whose side the next byte could not be had.
    pub side: Side,
    /// Why: `BadAddress`, or `NoQuota` or `NoMemory` for a page that could not be given, or `PAGE_MISSING`.
    pub error: Error,
}

impl Stop {
    /// The error for a caller whose own memory is on the side `own`.
    pub fn blame(&self, own: Side) -> Error {
        match self.error {
            error if self.side == own => error,
            PAGE_MISSING => Error::NotResident,
            _ => Error::BadAddressOfOther,
        }
    }
}

impl<M: Machine> Kernel<M> {
    /// Copies at most [`HEAD_BYTES`] from one process's memory to another's.
    #[inline]
    pub(crate) fn copy(
        &mut self,
        from: ProcessIndex,
        from_address: u64,
        to: ProcessIndex,
        to_address: u64,
        bytes: u64,
    ) -> Result<(), Stop> {
        debug_assert!(bytes <= HEAD_BYTES);
        let source = self.place(from, from_address);
        let destination = self.place(to, to_address);
        let ends = [(from_address, Side::Source), (to_address, Side::Destination)];
        for (address, side) in ends {
            if address >= USER_ADDRESS_END {
                return Err(Stop { done: 0, side, error: Error::BadAddress });
            }
        }
        if source.space == destination.space && from_address.abs_diff(to_address) < bytes {
            return Err(Stop { done: 0, side: Side::Destination, error: Error::BadAddress });
        }
        let result = match self.machine.copy(source, destination, bytes) {
            Ok(()) => Ok(()),
            Err(fault) => self.go_on(fault, (from, from_address), (to, to_address), |machine, done| {
                machine.copy(beyond(source, done), beyond(destination, done), bytes - done)
            }),
        };
        self.counters.bytes_moved += match result {
            Ok(()) => bytes,
            Err(stop) => stop.done,
        };
        result
    }

    /// Goes on with a copy between two processes' memory that met a missing page, page by page: `copy` copies what is
    /// left behind so many bytes.
    #[cold]
    fn go_on(
        &mut self,
        mut fault: CopyFault,
        source: (ProcessIndex, u64),
        destination: (ProcessIndex, u64),
        mut copy: impl FnMut(&mut M, u64) -> Result<(), CopyFault>,
    ) -> Result<(), Stop> {
        let mut done = fault.done;
        loop {
            let side = fault.side;
            let ((process, start), access) = match side {
                Side::Source => (source, READ),
                Side::Destination => (destination, WRITE),
            };
            let team = self.processes[process].team;
            self.touch(team, start + done, access).map_err(|error| Stop { done, side, error })?;
            match copy(&mut self.machine, done) {
                Ok(()) => return Ok(()),
                // The page was given just now: it would be given for ever.
                Err(again) if again.done == 0 && again.side == side => {
                    return Err(Stop { done, side, error: Error::BadAddress });
                }
                Err(again) => {
                    done += again.done;
                    fault = again;
                }
            }
        }
    }

    /// Copies the kernel's bytes to a process's memory. For pieces of a page or so.
    pub(crate) fn write_to(&mut self, to: ProcessIndex, address: u64, bytes: &[u8]) -> Result<()> {
        let place = self.place(to, address);
        let write = |machine: &mut M, done| machine.write(beyond(place, done), &bytes[done as usize..]);
        match write(&mut self.machine, 0) {
            Ok(()) => Ok(()),
            Err(fault) => self.go_on(fault, (to, address), (to, address), write).map_err(|stop| stop.error),
        }
    }

    /// Copies a process's bytes to the kernel. For pieces of a page or so.
    pub(crate) fn read_from(&mut self, from: ProcessIndex, address: u64, bytes: &mut [u8]) -> Result<()> {
        let place = self.place(from, address);
        let mut read = |machine: &mut M, done| machine.read(beyond(place, done), &mut bytes[done as usize..]);
        match read(&mut self.machine, 0) {
            Ok(()) => Ok(()),
            Err(fault) => {
                self.go_on(fault, (from, address), (from, address), read).map_err(|stop| stop.error)
            }
        }
    }

    /// Writes into the segment that the caller of a kernel server granted, `at` bytes from its beginning.
    pub(crate) fn write_reply_segment(&mut self, caller: ProcessIndex, at: u64, bytes: &[u8]) -> Result<()> {
        let address = self.segment_place(caller, at, bytes.len() as u64, Access::WRITE)?;
        self.write_to(caller, address, bytes)
    }

    /// Reads the beginning of the segment that the caller of a kernel server granted.
    pub(crate) fn read_request_segment(&mut self, caller: ProcessIndex, bytes: &mut [u8]) -> Result<()> {
        self.read_segment_at(caller, 0, bytes)
    }

    /// Reads of that segment, `at` bytes from its beginning.
    pub(crate) fn read_segment_at(&mut self, caller: ProcessIndex, at: u64, bytes: &mut [u8]) -> Result<()> {
        let address = self.segment_place(caller, at, bytes.len() as u64, Access::READ)?;
        self.read_from(caller, address, bytes)
    }

    fn segment_place(&self, caller: ProcessIndex, at: u64, bytes: u64, access: Access) -> Result<u64> {
        let process = &self.processes[caller];
        let grant = process.grant();
        if !grant.access().contains(access) {
            return Err(if access == Access::READ { Error::NoReadAccess } else { Error::NoWriteAccess });
        }
        ensure(at.checked_add(bytes).is_some_and(|end| end <= grant.bytes()), Error::TooLong)?;
        // Within what programs may address: checked when the grant was made.
        Ok(process.segment_address() + at)
    }

    fn place(&self, process: ProcessIndex, address: u64) -> Place<M::Space> {
        Place { space: self.processes[process].space, address }
    }
}

fn beyond<Space>(place: Place<Space>, bytes: u64) -> Place<Space> {
    Place { address: place.address + bytes, ..place }
}

#[cfg(test)]
#[path = "tests/transfer.rs"]
mod tests;
