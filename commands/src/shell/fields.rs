//! Field splitting: pieces of expanded words in, fields out.
//!
//! What comes from an unquoted expansion is split where `IFS` says; what was quoted or written in the script
//! is not. Every byte keeps whether it was quoted, for the matching of names that comes after.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::mem::take;

use super::ast::Text;
use super::pattern::Masked;

/// The most bytes that one expansion may grow to; so that a doubling loop ends with an error.
pub(super) const LONGEST_BYTES: usize = 16 << 20;

/// Appends, unless the text would grow too long or memory lacks.
pub(super) fn append(text: &mut Text, more: &[u8]) -> Result<(), String> {
    if text.len() + more.len() > LONGEST_BYTES {
        return Err("a text grew past 16 MiB".to_string());
    }
    text.try_reserve(more.len()).map_err(|_| "out of memory".to_string())?;
    text.extend_from_slice(more);
    Ok(())
}

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
    total_bytes: usize,
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
            total_bytes: 0,
        }
    }

    /// The current field exists from here on.
    pub(super) fn open(&mut self) {
        self.is_open = true;
        self.after_blank = false;
    }

    /// Text that is not split.
    pub(super) fn push(&mut self, text: &[u8], quoted: bool) -> Result<(), String> {
        if text.is_empty() {
            return Ok(());
        }
        self.open();
        self.append(text, quoted)
    }

    fn append(&mut self, text: &[u8], quoted: bool) -> Result<(), String> {
        self.total_bytes += text.len();
        if self.total_bytes > LONGEST_BYTES {
            return Err("an expansion grew past 16 MiB".to_string());
        }
        append(&mut self.current.text, text)?;
        self.current.quoted.try_reserve(text.len()).map_err(|_| "out of memory".to_string())?;
        self.current.quoted.resize(self.current.text.len(), quoted);
        Ok(())
    }

    /// Text from an unquoted expansion.
    pub(super) fn push_expansion(&mut self, text: &[u8]) -> Result<(), String> {
        let Some(separators) = take(&mut self.separators) else {
            return self.push(text, false);
        };
        let result = self.split(text, &separators);
        self.separators = Some(separators);
        result
    }

    fn split(&mut self, mut text: &[u8], separators: &[u8]) -> Result<(), String> {
        while let Some(first) = text.first() {
            let length = text.iter().position(|byte| separators.contains(byte)).unwrap_or(text.len());
            if length > 0 {
                self.push(&text[..length], false)?;
                text = &text[length..];
                continue;
            }
            text = &text[1..];
            if matches!(first, b' ' | b'\t' | b'\n') {
                if self.is_open {
                    self.end_field()?;
                    self.after_blank = true;
                }
            } else if self.after_blank {
                self.after_blank = false;
            } else {
                self.end_field()?;
            }
        }
        Ok(())
    }

    fn end_field(&mut self) -> Result<(), String> {
        self.done.try_reserve(1).map_err(|_| "out of memory".to_string())?;
        self.done.push(take(&mut self.current));
        self.is_open = false;
        self.total_bytes += size_of::<Masked>();
        Ok(())
    }

    /// The boundary between two arguments in `$@`.
    pub(super) fn boundary(&mut self) -> Result<(), String> {
        if self.separators.is_none() {
            return self.push(b" ", false);
        }
        if self.is_open {
            self.end_field()?;
        }
        self.after_blank = false;
        Ok(())
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
