//! The terminal of a command that has the whole screen: keys as they come, on a screen of its own, which leaves the other as it
//! was.

use abi::Error;
use protocols::io::attribute;
use protocols::terminal::{mode, terminal};
use v::io::Instance;
use v::message::{Segment, call};

/// Shown while it runs on a screen of its own.
pub const ENTER: &[u8] = b"\x1b[?1049h";
/// Shown when it ends.
pub const LEAVE: &[u8] = b"\x1b[?1049l";

/// A terminal in raw mode, until it is [restored](RawTerminal::restore).
pub struct RawTerminal {
    keyboard: Instance,
    previous: u32,
}

impl RawTerminal {
    /// The terminal among the standard streams that keys can be read from.
    pub fn find() -> Option<Instance> {
        let streams = [0, 1, 2].into_iter().filter_map(v::io::standard_stream);
        let mut terminals = streams.filter(|stream| stream.is(attribute::INTERACTIVE | attribute::READABLE));
        terminals.next()
    }

    /// Whether what is written to standard output is seen by somebody.
    pub fn is_watched() -> bool {
        v::io::standard_stream(1).is_some_and(|output| output.is(attribute::INTERACTIVE))
    }

    /// Takes a terminal's keys as they come.
    pub fn new(keyboard: Instance) -> Result<RawTerminal, Error> {
        let raw = terminal::SetMode { instance: keyboard.number, mode: mode::RAW };
        let previous = call(keyboard.server, &raw, Segment::None)?.previous;
        Ok(RawTerminal { keyboard, previous })
    }

    /// Rows and columns of its window, if it says.
    pub fn window(&self) -> Option<(usize, usize)> {
        let query = terminal::QueryWindow { instance: self.keyboard.number };
        let window = call(self.keyboard.server, &query, Segment::None).ok()?;
        Some((window.rows as usize, window.columns as usize))
    }

    /// Waits for keys; none come any more after 0 bytes.
    pub fn read(&self, bytes: &mut [u8]) -> Result<usize, Error> {
        self.keyboard.read(0, bytes)
    }

    /// Has the terminal do as before.
    pub fn restore(self) -> Result<(), Error> {
        let restore = terminal::SetMode { instance: self.keyboard.number, mode: self.previous };
        call(self.keyboard.server, &restore, Segment::None).map(drop)
    }
}
