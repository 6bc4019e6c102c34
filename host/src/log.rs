//! What the node says besides its console: the kernel's log, and what QEMU complains about. It is kept so that a
//! failure can be shown, written to a file where one is asked for, and watched for a kernel panic.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use crate::symbols::Symbols;

/// How the kernel's report on its own failure begins.
pub const PANIC: &str = "kernel panic";

/// Lines kept in memory; enough for any report and what led to it.
const LINES_KEPT: usize = 2000;
/// A line is cut here, so that a stream without line ends stays bounded.
const LINE_BYTES: usize = 4096;

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The kernel and, through it, servers.
    Kernel,
    /// The node's console, where no terminal shows it.
    Console,
    /// QEMU.
    Qemu,
    /// This tool.
    Tool,
}

/// The log of one node. All methods may be called from any thread.
#[derive(Debug)]
pub struct Log(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    file: Option<File>,
    lines: VecDeque<String>,
    /// The begun line of each source.
    begun: [Vec<u8>; 4],
    panicked: bool,
    kernel: PathBuf,
    symbols: Option<Symbols>,
}

impl Log {
    /// A log of a node that runs `kernel`, written to `file` as well.
    pub fn new(kernel: &Path, file: Option<&Path>) -> Result<Log> {
        let create =
            |path: &Path| File::create(path).with_context(|| format!("cannot write {}", path.display()));
        let file = file.map(create).transpose()?;
        let kernel = kernel.to_owned();
        Ok(Log(Mutex::new(Inner {
            file,
            lines: VecDeque::new(),
            begun: Default::default(),
            panicked: false,
            kernel,
            symbols: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A log that a failing thread left is still worth reading.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes bytes from `source`. Whether they complete the first line of a kernel panic.
    pub fn take(&self, source: Source, bytes: &[u8]) -> bool {
        let mut inner = self.lock();
        let before = inner.panicked;
        for &byte in bytes {
            if byte == b'\n' || inner.begun[source as usize].len() >= LINE_BYTES {
                inner.end_line(source);
            }
            if byte != b'\n' && byte != b'\r' {
                inner.begun[source as usize].push(byte);
            }
        }
        inner.panicked && !before
    }

    /// A line of the tool's own.
    pub fn note(&self, text: &str) {
        self.take(Source::Tool, format!("{text}\n").as_bytes());
    }

    /// Whether the kernel has panicked.
    pub fn panicked(&self) -> bool {
        self.lock().panicked
    }

    /// All that is kept, lines begun included.
    pub fn text(&self) -> String {
        let mut inner = self.lock();
        for source in [Source::Kernel, Source::Console, Source::Qemu, Source::Tool] {
            if !inner.begun[source as usize].is_empty() {
                inner.end_line(source);
            }
        }
        inner.lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }

    /// Prints all that is kept.
    pub fn print(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(self.text().as_bytes())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end_lines();
    }
}

impl Inner {
    fn end_lines(&mut self) {
        for source in [Source::Kernel, Source::Console, Source::Qemu, Source::Tool] {
            if !self.begun[source as usize].is_empty() {
                self.end_line(source);
            }
        }
    }

    fn end_line(&mut self, source: Source) {
        let bytes = std::mem::take(&mut self.begun[source as usize]);
        let text = String::from_utf8_lossy(&bytes);
        let line = match source {
            Source::Kernel => {
                self.panicked |= text.starts_with(PANIC);
                self.named(&text).unwrap_or_else(|| text.into_owned())
            }
            Source::Console => format!("console: {text}"),
            Source::Qemu => format!("qemu: {text}"),
            Source::Tool => format!("v: {text}"),
        };
        if let Some(file) = &mut self.file {
            // A full disk must not end the node; what is kept in memory remains.
            let _ = writeln!(file, "{line}");
        }
        if self.lines.len() == LINES_KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// A line of a backtrace with the function's name. The symbols are read when the first comes.
    fn named(&mut self, line: &str) -> Option<String> {
        if !line.starts_with("  at 0x") {
            return None;
        }
        let kernel = &self.kernel;
        self.symbols.get_or_insert_with(|| Symbols::of(kernel).unwrap_or_default()).name_line(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_and_say_who_said_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = Log::new(Path::new("/none"), Some(&path)).unwrap();
        log.take(Source::Kernel, b"one\r\ntw");
        log.take(Source::Qemu, b"odd\n");
        log.take(Source::Kernel, b"o\n  at 0x1\n\nrest");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\nqemu: odd\ntwo\n  at 0x1\n\n");
        assert_eq!(log.text(), "one\nqemu: odd\ntwo\n  at 0x1\n\nrest\n");
    }

    #[test]
    fn a_panic_is_noticed_once_and_only_from_the_kernel() {
        let log = Log::new(Path::new("/none"), None).unwrap();
        assert!(!log.take(Source::Console, b"kernel panic: so a program says\n"));
        assert!(!log.take(Source::Kernel, b"not a kernel panic\nkernel pa"));
        assert!(!log.panicked());
        assert!(log.take(Source::Kernel, b"nic: really\n"));
        assert!(!log.take(Source::Kernel, b"kernel panic: again\n"));
        assert!(log.panicked());
    }

    #[test]
    fn memory_stays_bounded() {
        let log = Log::new(Path::new("/none"), None).unwrap();
        log.take(Source::Kernel, &b"x".repeat(10 * LINE_BYTES));
        log.take(Source::Kernel, &b"\n".repeat(LINES_KEPT + 10));
        log.take(Source::Kernel, b"last\n");
        assert_eq!(log.lock().lines.len(), LINES_KEPT);
        assert!(log.text().ends_with("\nlast\n"));
    }
}
