//! The kernel's log: the last 64 KiB of what the kernel said itself and what servers said through it.
//!
//! Bytes are numbered from 0 on, so a reader who comes late sees what was lost. All that is logged also goes to the
//! machine's log device, as text: what is not UTF-8 is replaced there.

use alloc::boxed::Box;

use crate::kernel::Kernel;
use crate::machine::Machine;

/// Bytes that are kept.
pub const LOG_BYTES: usize = 64 * 1024;

/// The ring of bytes.
pub struct Log {
    bytes: Box<[u8]>,
    /// The number of the next byte.
    next: u64,
}

impl Log {
    /// An empty log.
    #[allow(clippy::new_without_default)] // It takes memory, so it should be seen.
    pub fn new() -> Log {
        Log { bytes: alloc::vec![0; LOG_BYTES].into(), next: 0 }
    }

    /// Appends bytes.
    pub fn append(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.bytes[self.next as usize % LOG_BYTES] = *byte;
            self.next += 1;
        }
    }

    /// The number of the oldest byte from `from` on that is still there; the next one's if there is none.
    pub fn first_from(&self, from: u64) -> u64 {
        from.clamp(self.next.saturating_sub(LOG_BYTES as u64), self.next)
    }

    /// Bytes from number `from` on, at most `limit`, as many as lie in a row; empty at the end.
    pub fn bytes_from(&self, from: u64, limit: u64) -> &[u8] {
        let from = self.first_from(from);
        let start = from as usize % LOG_BYTES;
        let count = (self.next - from).min(limit).min((LOG_BYTES - start) as u64);
        &self.bytes[start..start + count as usize]
    }
}

impl<M: Machine> Kernel<M> {
    /// Says something, for whoever reads the log.
    pub fn log(&mut self, bytes: &[u8]) {
        self.log.append(bytes);
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
    use super::*;

    #[test]
    fn the_log_keeps_the_last_bytes() {
        let mut log = Log::new();
        assert_eq!(log.bytes_from(0, 10), b"");
        log.append(b"hello");
        assert_eq!(log.bytes_from(0, 10), b"hello");
        assert_eq!(log.bytes_from(1, 3), b"ell");
        assert_eq!(log.bytes_from(u64::MAX, 3), b"");
        for _ in 0..LOG_BYTES / 4 {
            log.append(b"abcd");
        }
        let first = log.first_from(0);
        assert_eq!(first, 5);
        let row = log.bytes_from(first, u64::MAX);
        assert_eq!((row.len(), &row[..4]), (LOG_BYTES - 5, &b"abcd"[..]));
        assert_eq!(log.bytes_from(LOG_BYTES as u64, u64::MAX), b"dabcd");
    }

    #[test]
    fn what_is_no_text_is_replaced_on_the_device() {
        let mut kernel = crate::test_machine::kernel(2048);
        kernel.log(b"good \xff\xfe bad\n");
        assert_eq!(kernel.machine.logged, "good \u{fffd}\u{fffd} bad\n");
        assert_eq!(kernel.log.bytes_from(0, 100), b"good \xff\xfe bad\n");
    }
}
