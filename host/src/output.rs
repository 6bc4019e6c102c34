//! Places for what commands write, besides the tool's own standard output and error.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result};

/// A line is cut here, so that a stream without line ends stays bounded.
const LINE_BYTES: usize = 64 << 10;

/// Complains if nothing can be written to the file `path`; what is there already stays.
pub fn ensure_writable(path: &Path) -> Result<()> {
    let opened = File::options().append(true).create(true).open(path);
    opened.map(drop).with_context(|| format!("cannot write {}", path.display()))
}

/// Keeps what is written to it. Clones are the same record.
#[derive(Clone, Debug, Default)]
pub struct Record(Rc<RefCell<Vec<u8>>>);

impl Record {
    /// What has been written so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.borrow().clone()
    }
}

impl Write for Record {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes whole lines on, each with something before it.
#[derive(Debug)]
pub struct Prefixed<W: Write> {
    to: W,
    prefix: String,
    begun: Vec<u8>,
}

impl<W: Write> Prefixed<W> {
    /// Writes to `to`, `prefix` before each line.
    pub fn new(to: W, prefix: String) -> Prefixed<W> {
        Prefixed { to, prefix, begun: Vec::new() }
    }

    fn end_line(&mut self) -> io::Result<()> {
        let line = [self.prefix.as_bytes(), &std::mem::take(&mut self.begun), b"\n"].concat();
        self.to.write_all(&line)
    }
}

impl<W: Write> Write for Prefixed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            if byte != b'\n' {
                self.begun.push(byte);
            }
            if byte == b'\n' || self.begun.len() >= LINE_BYTES {
                self.end_line()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<W: Write> Drop for Prefixed<W> {
    fn drop(&mut self) {
        if !self.begun.is_empty() {
            // Whoever does not read any more misses nothing.
            let _ = self.end_line();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_get_their_prefix_however_they_are_cut() {
        let record = Record::default();
        let mut prefixed = Prefixed::new(record.clone(), "node2: ".to_owned());
        for piece in ["on", "e\n\ntw", "o\nrest"] {
            prefixed.write_all(piece.as_bytes()).unwrap();
        }
        assert_eq!(record.bytes(), b"node2: one\nnode2: \nnode2: two\n");
        drop(prefixed);
        assert!(record.bytes().ends_with(b"node2: rest\n"));
    }
}
