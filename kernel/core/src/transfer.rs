//! Copies between the address spaces of two processes.

use abi::{Access, Error};

use crate::kernel::Kernel;
use crate::machine::{CopyFault, Machine, Place, ProcessIndex};

/// Most bytes that come along with a message or a reply, and one step of a longer copy.
pub const HEAD_BYTES: u64 = 64 * 1024;

impl<M: Machine> Kernel<M> {
    /// Copies at most [`HEAD_BYTES`] from one process's memory to another's, touching pages in as needed.
    pub(crate) fn copy(
        &mut self,
        from: ProcessIndex,
        from_address: u64,
        to: ProcessIndex,
        to_address: u64,
        bytes: u64,
    ) -> Result<(), CopyFault> {
        let from = Place {
            space: self.processes[from].space,
            address: from_address,
        };
        let to = Place {
            space: self.processes[to].space,
            address: to_address,
        };
        let result = self.machine.copy(from, to, bytes);
        self.counters.bytes_moved += match result {
            Ok(()) => bytes,
            Err(fault) => fault.done,
        };
        result
    }

    /// Writes into the segment that the sender of a request to a kernel server granted.
    pub(crate) fn write_reply_segment(
        &mut self,
        caller: ProcessIndex,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let process = &self.processes[caller];
        let grant = process.grant();
        if !grant.access().contains(Access::WRITE) {
            return Err(Error::NoWriteAccess);
        }
        if offset + bytes.len() as u64 > grant.bytes() {
            return Err(Error::TooLong);
        }
        let to = Place {
            space: process.space,
            address: process.segment_address() + offset,
        };
        self.machine.write(to, bytes).map_err(|_| Error::BadAddress)
    }

    /// Reads the beginning of that segment.
    pub(crate) fn read_request_segment(
        &mut self,
        caller: ProcessIndex,
        bytes: &mut [u8],
    ) -> Result<(), Error> {
        let process = &self.processes[caller];
        let grant = process.grant();
        if !grant.access().contains(Access::READ) {
            return Err(Error::NoReadAccess);
        }
        if bytes.len() as u64 > grant.bytes() {
            return Err(Error::BadArgument);
        }
        let from = Place {
            space: process.space,
            address: process.segment_address(),
        };
        self.machine.read(from, bytes).map_err(|_| Error::BadAddress)
    }
}
