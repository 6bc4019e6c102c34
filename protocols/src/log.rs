//! The log: what servers say, with time and level. To read it, open `[log]`.
//!
//! Every line of it that a program wrote begins with a [`Heading`]; the kernel's own lines have none.

use core::fmt;

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

/// What a line begins with: seconds since boot, level, program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heading<'a> {
    /// Nanoseconds since boot.
    pub time_ns: u64,
    /// One of [`level`].
    pub level: u32,
    /// Who says it.
    pub program: &'a str,
}

impl fmt::Display for Heading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let microseconds = self.time_ns / 1000;
        write!(
            f,
            "{:5}.{:06} {:<7} {}: ",
            microseconds / 1_000_000,
            microseconds % 1_000_000,
            level::name(self.level),
            self.program
        )
    }
}

protocol! {
    /// The log.
    pub mod log = 0x16, enum Log {
        /// Appends the read segment as one entry of the calling program.
        Append = 1 { level: u32 } => Appended {};
    }
}
