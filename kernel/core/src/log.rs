//! The kernel's log: the last 64 KiB of what the kernel said itself and what servers said through it.
//!
//! All that is logged also goes to the machine's log device, as it is.

use crate::kernel::Kernel;
use crate::machine::Machine;

/// Bytes that are kept.
pub const LOG_BYTES: u32 = 64 * 1024;

impl<M: Machine> Kernel<M> {
    /// Says something, for whoever reads the log.
    pub fn log(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.log.add([*byte]);
        }
        self.machine.log(bytes);
    }
}
