//! Field splitting: pieces of expanded words in, fields out.
//!
//! What comes from an unquoted expansion is split where `IFS` says; what was quoted or written in the script
//! is not. Every byte keeps whether it was quoted, for the matching of names that comes after. Whoever adds a text
//! has asked for the memory that it takes ([`Fields::cost`]).

use alloc::vec::Vec;
use core::mem::take;

use super::ast::Text;
use super::pattern::Masked;

/// What a byte takes at most while its field grows: itself and whether it was quoted, in vectors that are moved to
/// larger ones.
const BYTES_PER_BYTE: usize = 6;
/// What a field takes besides its bytes, here and as a word of a command.
const FIELD_BYTES: usize = 256;

/// Gathers fields.
pub(super) struct Fields {
    done: Vec<Masked>,
    current: Masked,
    /// The current field exists, even if it is empty.
    is_open: bool,
    /// The last field was ended by a blank, which joins with a separator that is none.
    after_blank: bool,
    /// `None`: nothing is split, there is one field.
    separators: Option<Text>,
}

impl Fields {
    /// Splits at these bytes.
    pub(super) fn split_at(separators: Text) -> Fields {
        Fields { separators: Some(separators), ..Fields::whole() }
    }

    /// Never splits.
    pub(super) fn whole() -> Fields {
        Fields {
            done: Vec::new(),
            current: Masked::default(),
            is_open: false,
            after_blank: false,
            separators: None,
        }
    }

    /// The current field exists from here on.
    pub(super) fn open(&mut self) {
        self.is_open = true;
        self.after_blank = false;
    }

    /// How much memory a text takes if it is added, at most.
    pub(super) fn cost(&self, text: &[u8], quoted: bool) -> usize {
        let separators = self.separators.as_deref().filter(|_| !quoted).unwrap_or_default();
        let ends = text.iter().filter(|byte| separators.contains(byte)).count();
        BYTES_PER_BYTE * text.len() + FIELD_BYTES * (ends + 1)
    }

    /// Text that is not split.
    pub(super) fn push(&mut self, text: &[u8], quoted: bool) {
        if text.is_empty() {
            return;
        }
        self.open();
        self.current.text.extend_from_slice(text);
        self.current.quoted.resize(self.current.text.len(), quoted);
    }

    /// Text from an unquoted expansion.
    pub(super) fn push_expansion(&mut self, text: &[u8]) {
        let Some(separators) = take(&mut self.separators) else {
            return self.push(text, false);
        };
        self.split(text, &separators);
        self.separators = Some(separators);
    }

    fn split(&mut self, mut text: &[u8], separators: &[u8]) {
        while let Some(first) = text.first() {
            let length = text.iter().position(|byte| separators.contains(byte)).unwrap_or(text.len());
            if length > 0 {
                self.push(&text[..length], false);
                text = &text[length..];
                continue;
            }
            text = &text[1..];
            if matches!(first, b' ' | b'\t' | b'\n') {
                if self.is_open {
                    self.end_field();
                    self.after_blank = true;
                }
            } else if self.after_blank {
                self.after_blank = false;
            } else {
                self.end_field();
            }
        }
    }

    fn end_field(&mut self) {
        self.done.push(take(&mut self.current));
        self.is_open = false;
    }

    /// The boundary between two arguments in `$@`.
    pub(super) fn boundary(&mut self) {
        if self.separators.is_none() {
            return self.push(b" ", false);
        }
        if self.is_open {
            self.end_field();
        }
        self.after_blank = false;
    }

    /// The fields.
    pub(super) fn finish(mut self) -> Vec<Masked> {
        if self.is_open {
            self.done.push(self.current);
        }
        self.done
    }

    /// The one field of what was not split.
    pub(super) fn finish_whole(self) -> Masked {
        self.current
    }
}
