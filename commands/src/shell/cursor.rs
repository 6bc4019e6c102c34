//! Reading a script byte by byte, with the position kept along the way, and the one error parsing has.

use alloc::format;
use alloc::string::String;
use core::fmt;

use super::ast::Position;

/// Why a text is not a script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// Where.
    pub at: Position,
    /// What was found and what was expected.
    pub message: String,
    /// The text ended too early: more lines may make it right.
    pub incomplete: bool,
}

impl ParseError {
    /// The text is wrong whatever follows.
    pub fn wrong(at: Position, message: impl Into<String>) -> ParseError {
        ParseError { at, message: message.into(), incomplete: false }
    }

    /// The text ended while `expected` was still to come.
    pub fn incomplete(at: Position, expected: &str) -> ParseError {
        ParseError { at, message: format!("the text ends here, expected {expected}"), incomplete: true }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

impl core::error::Error for ParseError {}

/// A place in a source text. Small, so that a parser can come back to one.
#[derive(Clone, Copy)]
pub struct Cursor<'a> {
    source: &'a [u8],
    offset: usize,
    at: Position,
    continued: bool,
}

impl<'a> Cursor<'a> {
    /// At the start of `source`, whose first line and column are at `at`.
    pub fn new(source: &'a [u8], at: Position) -> Cursor<'a> {
        Cursor { source, offset: 0, at, continued: false }
    }

    /// The current line and column.
    pub fn position(&self) -> Position {
        self.at
    }

    /// Whether the text ended right after a backslash that continues the line.
    pub fn is_continued(&self) -> bool {
        self.continued
    }

    /// The next byte, whatever it is.
    pub fn peek_raw(&self) -> Option<u8> {
        self.source.get(self.offset).copied()
    }

    /// The byte after the next one, whatever both are.
    pub fn second_raw(&self) -> Option<u8> {
        self.source.get(self.offset + 1).copied()
    }

    /// Takes the next byte, whatever it is.
    pub fn take_raw(&mut self) -> Option<u8> {
        let byte = self.peek_raw()?;
        self.offset += 1;
        if byte == b'\n' {
            self.at = Position { line: self.at.line.saturating_add(1), column: 1 };
        } else if byte & 0xC0 != 0x80 {
            self.at.column = self.at.column.saturating_add(1);
        }
        Some(byte)
    }

    /// The next byte once backslashes that continue a line are passed.
    pub fn peek(&mut self) -> Option<u8> {
        while self.peek_raw() == Some(b'\\') && self.second_raw() == Some(b'\n') {
            self.take_raw();
            self.take_raw();
            self.continued = self.offset == self.source.len();
        }
        self.peek_raw()
    }

    /// The byte after `peek`.
    pub fn second(&mut self) -> Option<u8> {
        self.peek()?;
        let mut ahead = *self;
        ahead.take_raw();
        ahead.peek()
    }

    /// Takes the next byte, line continuations passed.
    pub fn take(&mut self) -> Option<u8> {
        self.peek()?;
        self.take_raw()
    }

    /// Takes the next byte if it is `byte`.
    pub fn take_if(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.take_raw();
        }
        found
    }

    /// The rest of the current line, without its end, which is passed. `None` at the end of the text.
    pub fn take_line(&mut self) -> Option<&'a [u8]> {
        let rest = self.source.get(self.offset..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        while self.offset < self.source.len() && self.take_raw() != Some(b'\n') {}
        Some(&rest[..length])
    }
}
