//! Faults and exceptions of programs.

use crate::kernel::Kernel;
use crate::machine::{Machine, Next, Protection};

impl<M: Machine> Kernel<M> {
    /// The current process touched a page that is not there, or not for this `access` (one of `READ`, `WRITE`,
    /// `EXECUTE`). `code` is the processor's error code, for the report.
    pub fn page_fault(&mut self, address: u64, access: Protection, code: u32) -> Next<M::Space> {
        let _ = access;
        self.exception(14, code, address)
    }

    /// The current process met an exception. `address` is what it touched, for a page fault.
    pub fn exception(&mut self, vector: u32, code: u32, address: u64) -> Next<M::Space> {
        self.interrupt_current();
        let _ = (vector, code, address);
        self.leave()
    }
}
