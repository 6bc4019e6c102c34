//! The log: what servers say, with time and level. To read it, open any name at the log server.

use abi::protocol;

/// How important an entry is.
pub mod level {
    /// Something is broken.
    pub const ERROR: u32 = 1;
    /// Something is odd.
    pub const WARNING: u32 = 2;
    /// Something happened.
    pub const NOTICE: u32 = 3;
    /// For whoever looks for a fault.
    pub const DEBUG: u32 = 4;

    /// The level's word.
    pub fn name(level: u32) -> &'static str {
        match level {
            ERROR => "error",
            WARNING => "warning",
            NOTICE => "notice",
            _ => "debug",
        }
    }
}

/// Longest entry, in bytes.
pub const MAX_ENTRY_BYTES: usize = 1024;

protocol! {
    /// The log.
    pub mod log = 0x16, enum Log {
        /// Appends the read segment as one entry of the calling program.
        Append = 1 { level: u32 } => Appended {};
    }
}
