//! What stands before a word that is to be completed.

use alloc::vec::Vec;
use core::mem::take;

use crate::shell::ast::Text;

/// Words behind which a command begins, as behind `;`.
const RESERVED: [&[u8]; 11] =
    [b"!", b"{", b"}", b"if", b"then", b"elif", b"else", b"do", b"while", b"until", b"done"];

/// What stands before a word that is to be completed.
#[derive(Default, PartialEq, Eq, Debug)]
pub(super) struct Before {
    /// The words of its command, quotes removed; none if it is to be the first.
    pub(super) words: Vec<Text>,
    /// What it is joined to: an assignment, an option with `=`, `$`.
    pub(super) joined: Text,
    /// It is behind `<` or `>`.
    pub(super) is_redirection: bool,
    /// The quote that is open.
    pub(super) quote: Option<u8>,
}

impl Before {
    /// Reads a line up to the word. Whatever is no command yet is taken as it would go on.
    pub(super) fn of(line: &[u8]) -> Before {
        let mut before = Before::default();
        // Commands around the one that is read.
        let mut outer = Vec::new();
        let mut bytes = line.iter().copied().peekable();
        let mut previous = b' ';
        while let Some(byte) = bytes.next() {
            match (before.quote, byte) {
                (Some(quote), _) if byte == quote => before.quote = None,
                (None, b'\'' | b'"') => before.quote = Some(byte),
                (None | Some(b'"'), b'\\') => before.joined.extend(bytes.next()),
                (None, b' ' | b'\t') => before.end_word(),
                (None, b'&') if matches!(previous, b'<' | b'>') => {}
                (None, b'(') => outer.push(take(&mut before)),
                (None, b')') => before = outer.pop().unwrap_or_default(),
                (None, b';' | b'|' | b'&' | b'\n' | b'`') => before = Before::default(),
                (None, b'<' | b'>') => {
                    // The number of a stream is no word.
                    if before.joined.iter().all(u8::is_ascii_digit) {
                        before.joined.clear();
                    }
                    before.end_word();
                    before.is_redirection = true;
                }
                _ => before.joined.push(byte),
            }
            previous = byte;
        }
        before
    }

    fn end_word(&mut self) {
        let word = take(&mut self.joined);
        if word.is_empty() {
            return;
        }
        let is_target = take(&mut self.is_redirection);
        let is_prelude = RESERVED.contains(&word.as_slice()) || word.contains(&b'=');
        let is_word = !self.words.is_empty() || !is_prelude;
        if is_word && !is_target {
            self.words.push(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<std::string::String> {
        let words = Before::of(line.as_bytes()).words;
        words.iter().map(|word| std::string::String::from_utf8_lossy(word).into_owned()).collect()
    }

    #[test]
    fn the_words_of_the_command_are_found() {
        for (line, expected) in [
            ("", &[][..]),
            ("ls -l ", &["ls", "-l"]),
            ("ls; cat a | sort -n ", &["sort", "-n"]),
            ("if ! A=b cd ", &["cd"]),
            ("echo 'a b' \"c;d\" e\\ f ", &["echo", "a b", "c;d", "e f"]),
            ("cat < in > out x ", &["cat", "x"]),
            ("cat 2>&1 x ", &["cat", "x"]),
            ("make && run ", &["run"]),
            ("echo $(cat ", &["cat"]),
            ("echo $(cat f) ", &["echo", "$"]),
            ("a) ) ' ", &[]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn what_the_word_is_joined_to_is_told() {
        assert_eq!(Before::of(b"ps --node=").joined, b"--node=");
        assert_eq!(Before::of(b"echo $").joined, b"$");
        assert_eq!(Before::of(b"cat \"").quote, Some(b'"'));
        assert!(Before::of(b"cat < ").is_redirection);
        assert!(Before::of(b"cat 2>").is_redirection);
        assert!(!Before::of(b"cat <a ").is_redirection);
        assert!(Before::of(b"cat >>").is_redirection);
    }

    #[test]
    fn no_line_is_too_odd() {
        for byte in 0..=u8::MAX {
            for line in [[byte, byte, b' '], [b'\\', byte, b'\\'], [b'$', b'(', byte]] {
                Before::of(&line);
            }
        }
    }
}
