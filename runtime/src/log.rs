//! The log: [`error!`](crate::log_error), [`warning!`](crate::log_warning), [`notice!`](crate::log_notice) and
//! [`debug!`](crate::log_debug) append an entry, with formatting as in `println!`.
//!
//! ```no_run
//! use v::log;
//! log::notice!("{} files", 3);
//! ```
//!
//! Entries go to the log server. Services that the log server itself depends on say [`use_kernel_log`] first: theirs
//! go to the kernel's log, which the log server reads. So does whatever the log server does not take.

use alloc_crate::string::String;
use core::fmt::{Arguments, Write};
use core::sync::atomic::{AtomicBool, Ordering};

use abi::kernel::{self, statistics};
use protocols::log::{Heading, MAX_ENTRY_BYTES, level, log};

use crate::message::{Segment, call};

pub use crate::{log_debug as debug, log_error as error, log_notice as notice, log_warning as warning};

/// The most that the kernel's log takes at once.
const MAX_KERNEL_ENTRY_BYTES: usize = 256;

static KERNEL_LOG: AtomicBool = AtomicBool::new(false);

/// How important an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Level {
    /// Something is broken.
    Error = level::ERROR,
    /// Something is odd.
    Warning = level::WARNING,
    /// Something happened.
    Notice = level::NOTICE,
    /// For whoever looks for a fault.
    Debug = level::DEBUG,
}

/// From now on this program's entries go to the kernel's log. For services that the log server needs.
pub fn use_kernel_log() {
    KERNEL_LOG.store(true, Ordering::Relaxed);
}

/// Appends an entry; what the macros call. Logging never fails: what nobody takes is lost.
pub fn write(level: Level, text: Arguments<'_>) {
    if let Some(text) = text.as_str() {
        return write_text(level, text);
    }
    let mut entry = String::new();
    // Writing to a string fails only if a `Display` does; what it wrote before is still worth logging.
    let _ = entry.write_fmt(text);
    write_text(level, &entry);
}

/// Appends an entry.
pub fn write_text(level: Level, text: &str) {
    if KERNEL_LOG.load(Ordering::Relaxed) || append(level, text).is_err() {
        write_to_kernel(level, text);
    }
}

fn append(level: Level, text: &str) -> Result<(), abi::Error> {
    let text = cut(text, MAX_ENTRY_BYTES);
    crate::name::with_place("[log]", false, |place| {
        let request = log::Append { level: level as u32 };
        call(place.server, &request, Segment::Read(text.as_bytes()))
    })?;
    Ok(())
}

/// Appends a line to the kernel's log, without needing the heap or another server. Lost without the right.
pub(crate) fn write_to_kernel(level: Level, text: &str) {
    let heading =
        Heading { time_ns: crate::time::now_ns(), level: level as u32, program: crate::env::program_name() };
    let mut line = Line { bytes: [0; MAX_KERNEL_ENTRY_BYTES], length: 0 };
    // A line takes what has room and never fails.
    let _ = write!(line, "{heading}{text}");
    line.bytes[line.length] = b'\n';
    // Where even this is refused there is nobody left to tell.
    let _ = call(
        kernel::server(kernel::STATISTICS),
        &statistics::WriteLog {},
        Segment::Read(&line.bytes[..=line.length]),
    );
}

/// A line that is cut where its room ends, one byte before its end, for the newline.
struct Line {
    bytes: [u8; MAX_KERNEL_ENTRY_BYTES],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let text = cut(text, MAX_KERNEL_ENTRY_BYTES - 1 - self.length);
        self.bytes[self.length..][..text.len()].copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

/// The beginning of `text`, at most so many bytes, whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Logs an error.
#[macro_export]
macro_rules! log_error {
    ($($text:tt)*) => { $crate::log::write($crate::log::Level::Error, ::core::format_args!($($text)*)) };
}

/// Logs a warning.
#[macro_export]
macro_rules! log_warning {
    ($($text:tt)*) => { $crate::log::write($crate::log::Level::Warning, ::core::format_args!($($text)*)) };
}

/// Logs a notice.
#[macro_export]
macro_rules! log_notice {
    ($($text:tt)*) => { $crate::log::write($crate::log::Level::Notice, ::core::format_args!($($text)*)) };
}

/// Logs what helps to find a fault.
#[macro_export]
macro_rules! log_debug {
    ($($text:tt)*) => { $crate::log::write($crate::log::Level::Debug, ::core::format_args!($($text)*)) };
}

#[cfg(test)]
mod tests {
    #[test]
    fn text_is_cut_at_a_character() {
        assert_eq!(super::cut("aä", 2), "a");
        assert_eq!(super::cut("aä", 3), "aä");
        assert_eq!(super::cut("aä", 99), "aä");
    }
}
