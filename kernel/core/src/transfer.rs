//! Copies between the address spaces of two processes, and between a program and the kernel.
//!
//! A copy that meets a page which its team may have, but has not touched yet, gives it the page and goes on. What
//! remains is a [`Stop`]: how far it came, whose page was in the way, and why. A copy is a sequence of bytes in
//! ascending order; where source and destination overlap in one space it is refused, since no order would be right.

use abi::kernel::protection::{READ, WRITE};
use abi::{Access, Error, USER_ADDRESS_END};

use crate::kernel::Kernel;
use crate::machine::{CopyFault, Machine, Place, ProcessIndex, Side};

pub use abi::segment::HEAD_BYTES;

/// A copy that ended early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stop {
    /// Bytes copied.
    pub done: u64,
    /// On whose side the next byte could not be had.
    pub side: Side,
    /// Why: `BadAddress`, or `NoQuota` or `NoMemory` for a page that could not be given.
    pub error: Error,
}

impl Stop {
    /// The error for a caller whose own memory is on the side `own`.
    pub fn blame(&self, own: Side) -> Error {
        if self.side == own { self.error } else { Error::BadAddressOfOther }
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
            Err(fault) => self.copy_on(from, source, to, destination, bytes, fault),
        };
        self.counters.bytes_moved += match result {
            Ok(()) => bytes,
            Err(stop) => stop.done,
        };
        result
    }

    /// Goes on with a copy that met a missing page, page by page.
    #[cold]
    fn copy_on(
        &mut self,
        from: ProcessIndex,
        source: Place<M::Space>,
        to: ProcessIndex,
        destination: Place<M::Space>,
        bytes: u64,
        mut fault: CopyFault,
    ) -> Result<(), Stop> {
        let mut done = fault.done;
        loop {
            let (process, start, access) = match fault.side {
                Side::Source => (from, source.address, READ),
                Side::Destination => (to, destination.address, WRITE),
            };
            self.touch_for(process, start + done, access).map_err(|error| Stop {
                done,
                side: fault.side,
                error,
            })?;
            match self.machine.copy(beyond(source, done), beyond(destination, done), bytes - done) {
                Ok(()) => return Ok(()),
                // The page was given just now: it would be given for ever.
                Err(again) if again.done == 0 && again.side == fault.side => {
                    return Err(Stop { done, side: fault.side, error: Error::BadAddress });
                }
                Err(again) => {
                    done += again.done;
                    fault = again;
                }
            }
        }
    }

    /// Copies the kernel's bytes to a process's memory. For pieces of a page or so.
    pub(crate) fn write_to(&mut self, to: ProcessIndex, address: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut at = 0;
        let mut given = None;
        while let Err(fault) = self.machine.write(self.place(to, offset(address, at)?), &bytes[at..]) {
            at += fault.done as usize;
            self.touch_once(to, offset(address, at)?, WRITE, &mut given)?;
        }
        Ok(())
    }

    /// Copies a process's bytes to the kernel. For pieces of a page or so.
    pub(crate) fn read_from(
        &mut self,
        from: ProcessIndex,
        address: u64,
        bytes: &mut [u8],
    ) -> Result<(), Error> {
        let mut at = 0;
        let mut given = None;
        while let Err(fault) = self.machine.read(self.place(from, offset(address, at)?), &mut bytes[at..]) {
            at += fault.done as usize;
            self.touch_once(from, offset(address, at)?, READ, &mut given)?;
        }
        Ok(())
    }

    /// Writes into the segment that the caller of a kernel server granted, `at` bytes from its beginning.
    pub(crate) fn write_reply_segment(
        &mut self,
        caller: ProcessIndex,
        at: u64,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let address = self.segment_place(caller, at, bytes.len() as u64, Access::WRITE)?;
        self.write_to(caller, address, bytes)
    }

    /// Reads the beginning of the segment that the caller of a kernel server granted.
    pub(crate) fn read_request_segment(
        &mut self,
        caller: ProcessIndex,
        bytes: &mut [u8],
    ) -> Result<(), Error> {
        let address = self.segment_place(caller, 0, bytes.len() as u64, Access::READ)?;
        self.read_from(caller, address, bytes)
    }

    fn segment_place(&self, caller: ProcessIndex, at: u64, bytes: u64, access: Access) -> Result<u64, Error> {
        let process = &self.processes[caller];
        let grant = process.grant();
        if !grant.access().contains(access) {
            return Err(if access == Access::READ { Error::NoReadAccess } else { Error::NoWriteAccess });
        }
        if at.checked_add(bytes).is_none_or(|end| end > grant.bytes()) {
            return Err(Error::TooLong);
        }
        // Within what programs may address: checked when the grant was made.
        offset(process.segment_address(), at as usize)
    }

    fn place(&self, process: ProcessIndex, address: u64) -> Place<M::Space> {
        Place { space: self.processes[process].space, address }
    }

    fn touch_for(&mut self, process: ProcessIndex, address: u64, access: u32) -> Result<(), Error> {
        let team = self.processes[process].team;
        self.touch(team, address, access)
    }

    /// As `touch_for`; but where it was just done for the same address, and did not help, that is a bad address.
    fn touch_once(
        &mut self,
        process: ProcessIndex,
        address: u64,
        access: u32,
        given: &mut Option<u64>,
    ) -> Result<(), Error> {
        if given.replace(address) == Some(address) {
            return Err(Error::BadAddress);
        }
        self.touch_for(process, address, access)
    }
}

fn beyond<Space>(place: Place<Space>, bytes: u64) -> Place<Space> {
    Place { address: place.address + bytes, ..place }
}

fn offset(address: u64, bytes: usize) -> Result<u64, Error> {
    address.checked_add(bytes as u64).ok_or(Error::BadAddress)
}

#[cfg(test)]
#[path = "tests/transfer.rs"]
mod tests;
