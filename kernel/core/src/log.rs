//! The kernel's log: the last 64 KiB of what the kernel said itself and what servers said through it.
//!
//! All that is logged also goes to the machine's log device, as text: what is not UTF-8 is replaced there.

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
        for chunk in bytes.utf8_chunks() {
            self.machine.log(chunk.valid());
            if !chunk.invalid().is_empty() {
                self.machine.log("\u{fffd}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_no_text_is_replaced_on_the_device() {
        let mut kernel = crate::test_machine::kernel(2048);
        kernel.log(b"good \xff\xfe bad\n");
        assert_eq!(kernel.machine.logged, "good \u{fffd}\u{fffd} bad\n");
        assert_eq!(kernel.log.row_from(0, 100), b"good \xff\xfe bad\n");
    }
}
