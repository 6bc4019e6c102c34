//! How far a shell may grow: no further than memory allows, with an error that says so.
//!
//! Pages get their frames when they are first touched, so it is not the allocation that fails where memory lacks: the
//! program dies at the touch. Therefore whatever grows with what a script computes or reads asks here first, for about
//! as many bytes as the allocator will take for it. Small needs add up until they are worth asking about, so growth by
//! small steps is noticed as well. Parsers are told how large their trees may become.

use abi::Error;

use super::ast::{Position, Text};
use super::execute::{Flow, Shell};
use super::parser::Parser;
use super::system::System;

/// Needs that add up to less are granted unasked.
const UNASKED_BYTES: usize = 64 << 10;
/// A shell takes no more than one part in so many of what is free, since others grow at the same time.
const SHARE: usize = 2;
/// A text so short makes no tree that is worth asking about.
const SHORT_TEXT_BYTES: usize = 1024;
/// What a text takes while it is appended to: itself, the larger one that it is moved to, and what lies between.
const GROWING: usize = 3;
/// What the tables of a variable, function or argument take besides its text.
pub(super) const ENTRY_BYTES: usize = 128;

impl<S: System> Shell<S> {
    /// How much one text may still take while it grows.
    pub(super) fn text_room_bytes(&mut self) -> usize {
        self.system.free_bytes() / SHARE / GROWING
    }

    /// Asks for so many bytes that are about to be allocated.
    pub(super) fn need(&mut self, bytes: usize) -> Result<(), Error> {
        let wanted = self.unasked_bytes.saturating_add(bytes);
        if wanted >= UNASKED_BYTES {
            if wanted > self.system.free_bytes() / SHARE {
                return Err(Error::NoMemory);
            }
            self.unasked_bytes = 0;
        } else {
            self.unasked_bytes = wanted;
        }
        Ok(())
    }

    /// Asks for so many bytes; if there are none, a script can't go on.
    pub(super) fn need_at(&mut self, bytes: usize, at: Position) -> Flow {
        self.need(bytes).map_err(|error| self.fail(at, &alloc::format!("{error}")))
    }

    /// Appends to a text that may grow without end.
    pub(super) fn append(&mut self, text: &mut Text, more: &[u8]) -> Result<(), Error> {
        if text.capacity() - text.len() < more.len() {
            self.need(GROWING * (text.len() + more.len()))?;
        }
        text.extend_from_slice(more);
        Ok(())
    }

    /// A parser of a text, whose tree for each line is as large as memory allows.
    pub(super) fn parser<'a>(&mut self, text: &'a [u8]) -> Parser<'a> {
        let parser = Parser::new(text, self.stack);
        if text.len() <= SHORT_TEXT_BYTES { parser } else { parser.within(self.system.free_bytes() / SHARE) }
    }
}
