//! Copies between the address spaces of two processes.

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
}
