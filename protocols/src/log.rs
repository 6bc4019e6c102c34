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

impl<'a> Heading<'a> {
    /// A line's heading, and what follows it; none of a line of the kernel's own.
    pub fn parse(line: &'a str) -> Option<(Heading<'a>, &'a str)> {
        let (time, rest) = line.trim_start().split_once(' ')?;
        let (seconds, microseconds) = time.split_once('.')?;
        let (seconds, microseconds): (u64, u64) = (seconds.parse().ok()?, microseconds.parse().ok()?);
        let time_ns = seconds.checked_mul(1_000_000)?.checked_add(microseconds)?.checked_mul(1000)?;
        let (word, rest) = rest.split_once(' ')?;
        let level = (level::ERROR..=level::DEBUG).find(|level| level::name(*level) == word)?;
        let (program, text) = rest.trim_start().split_once(": ")?;
        Some((Heading { time_ns, level, program }, text))
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::format;

    #[test]
    fn headings_come_back() {
        for level in [level::ERROR, level::WARNING, level::NOTICE, level::DEBUG] {
            let heading = Heading { time_ns: 12_345_678_000, level, program: "log-server" };
            assert_eq!(Heading::parse(&format!("{heading}a: b")), Some((heading, "a: b")));
        }
        for line in ["", "V: 219 MiB, 1 processors", "  0.1 notice", "0.x notice a: b", "0.1 loud a: b"] {
            assert_eq!(Heading::parse(line), None, "{line}");
        }
    }
}
