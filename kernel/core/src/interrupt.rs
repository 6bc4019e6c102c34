//! Device interrupts as messages.

use crate::kernel::Kernel;
use crate::machine::{Machine, Next};

impl<M: Machine> Kernel<M> {
    /// A device interrupt on `line`, which the machine has acknowledged.
    pub fn interrupt(&mut self, line: u32) -> Next<M::Space> {
        self.interrupt_current();
        self.counters.interrupts += 1;
        self.machine.mask_interrupt(line);
        self.leave()
    }
}
