//! What nodes say besides their consoles: their kernels' logs, and what QEMU complains about. It is kept so that a
//! failure can be shown, written to a file where one is asked for, and watched for a kernel panic. Where there are
//! several nodes, each line begins with its node's name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use crate::symbols::Symbols;

/// How the kernel's report on its own failure begins.
pub const PANIC: &str = "kernel panic";

/// Lines kept in memory; enough for any report and what led to it.
const LINES_KEPT: usize = 2000;
/// A line is cut here, so that a stream without line ends stays bounded.
const LINE_BYTES: usize = 4096;

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// The log of a node, or of a whole domain. Clones are the same log. All methods may be called from any thread.
#[derive(Clone, Debug)]
pub struct Log {
    shared: Arc<Mutex<Shared>>,
    /// What its lines begin with.
    prefix: String,
}

#[derive(Debug)]
struct Shared {
    file: Option<File>,
    lines: VecDeque<String>,
    /// The begun line of each source, by the prefix of its node.
    begun: BTreeMap<(String, Source), Vec<u8>>,
    /// The prefixes of nodes whose kernel has panicked, and not been started again.
    panicked: BTreeSet<String>,
    any_panicked: bool,
    kernel: PathBuf,
    symbols: Option<Symbols>,
}

impl Log {
    /// A log of nodes that run `kernel`, written to `file` as well.
    pub fn new(kernel: &Path, file: Option<&Path>) -> Result<Log> {
        let create =
            |path: &Path| File::create(path).with_context(|| format!("cannot write {}", path.display()));
        let shared = Shared {
            file: file.map(create).transpose()?,
            lines: VecDeque::new(),
            begun: BTreeMap::new(),
            panicked: BTreeSet::new(),
            any_panicked: false,
            kernel: kernel.to_owned(),
            symbols: None,
        };
        Ok(Log { shared: Arc::new(Mutex::new(shared)), prefix: String::new() })
    }

    /// The same log, for what the node of that name says, which its lines then tell.
    #[must_use]
    pub fn of_node(&self, name: &str) -> Log {
        Log { shared: Arc::clone(&self.shared), prefix: format!("{name}: ") }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A log that a failing thread left is still worth reading.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes bytes from `source`. Whether they complete the first line of a kernel panic.
    pub fn take(&self, source: Source, bytes: &[u8]) -> bool {
        let mut shared = self.lock();
        let before = shared.panicked.contains(&self.prefix);
        let mut begun = shared.begun.remove(&(self.prefix.clone(), source)).unwrap_or_default();
        for &byte in bytes {
            if byte == b'\n' || begun.len() >= LINE_BYTES {
                shared.line(&self.prefix, source, &begun);
                begun.clear();
            }
            if byte != b'\n' && byte != b'\r' {
                begun.push(byte);
            }
        }
        if !begun.is_empty() {
            shared.begun.insert((self.prefix.clone(), source), begun);
        }
        !before && shared.panicked.contains(&self.prefix)
    }

    /// A line of the tool's own.
    pub fn note(&self, text: &str) {
        self.take(Source::Tool, format!("{text}\n").as_bytes());
    }

    /// Whether the kernel has panicked.
    pub fn panicked(&self) -> bool {
        self.lock().panicked.contains(&self.prefix)
    }

    /// Whether any node's kernel ever has.
    pub fn any_panicked(&self) -> bool {
        self.lock().any_panicked
    }

    /// Ends lines that have begun: the node starts again.
    pub fn restart(&self) {
        let mut shared = self.lock();
        shared.end_lines();
        shared.panicked.remove(&self.prefix);
    }

    /// All that is kept, of all nodes, lines begun included.
    pub fn text(&self) -> String {
        let mut shared = self.lock();
        shared.end_lines();
        shared.lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }

    /// Prints all that is kept.
    pub fn print(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(self.text().as_bytes())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.end_lines();
    }
}

impl Shared {
    fn end_lines(&mut self) {
        for ((prefix, source), bytes) in std::mem::take(&mut self.begun) {
            self.line(&prefix, source, &bytes);
        }
    }

    fn line(&mut self, prefix: &str, source: Source, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let line = match source {
            Source::Kernel => {
                if text.starts_with(PANIC) {
                    self.panicked.insert(prefix.to_owned());
                    self.any_panicked = true;
                }
                self.named(&text).unwrap_or_else(|| text.into_owned())
            }
            Source::Console => format!("console: {text}"),
            Source::Qemu => format!("qemu: {text}"),
            Source::Tool => format!("v: {text}"),
        };
        let line = format!("{prefix}{line}");
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
    fn lines_of_several_nodes_say_whose_they_are() {
        let log = Log::new(Path::new("/none"), None).unwrap();
        let (one, two) = (log.of_node("node1"), log.of_node("node2"));
        one.take(Source::Kernel, b"be");
        assert!(two.take(Source::Kernel, b"kernel panic: so\nmore"));
        one.take(Source::Kernel, b"gun\n");
        log.note("at the end");
        assert!(two.panicked() && !one.panicked() && !log.panicked());
        let text = "node2: kernel panic: so\nnode1: begun\nv: at the end\nnode2: more\n";
        assert_eq!(log.text(), text);
        two.restart();
        assert!(!two.panicked() && log.any_panicked());
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
