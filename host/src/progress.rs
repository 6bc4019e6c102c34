//! One line on standard error that says what long work is doing, where standard error is a terminal. Elsewhere
//! nothing is written: with `--exec`, standard error belongs to the commands.

use std::io::{IsTerminal, Write, stderr};

use rustix::termios::tcgetwinsize;

/// A line that is on the terminal until it is dropped.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
}

impl Progress {
    /// Shows `text`.
    pub fn new(text: &str) -> Progress {
        let progress = Progress { terminal: stderr().is_terminal() };
        progress.show(text);
        progress
    }

    /// Shows another text in place of the last.
    pub fn show(&self, text: &str) {
        if self.terminal {
            // A line that wraps could not be taken away again.
            let columns = tcgetwinsize(stderr()).map_or(80, |size| usize::from(size.ws_col));
            let text: String = text.chars().take(columns.saturating_sub(1)).collect();
            // A terminal that cannot be written to is no reason to stop.
            let _ = write!(stderr(), "\r\x1b[K{text}");
            let _ = stderr().flush();
        }
    }

    /// Takes the line away, so that something else can be printed.
    pub fn hide(&self) {
        self.show("");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.hide();
    }
}
