//! Keys, from the bytes that a terminal in raw mode gives.

use alloc::vec::Vec;

use crate::text::characters::characters;

/// A key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// A character.
    Character(char),
    /// Enter.
    Enter,
    /// Backspace.
    Backspace,
    /// Escape alone, ^C.
    Cancel,
    /// The arrows, and those beside them.
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
}

/// The keys that the bytes of one read are. What is none of them is left out.
pub fn keys(bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (key, length) = first(rest);
        keys.extend(key);
        rest = &rest[length.min(rest.len())..];
    }
    keys
}

fn first(bytes: &[u8]) -> (Option<Key>, usize) {
    match bytes {
        [0x1b, b'[' | b'O', rest @ ..] => {
            let end = rest.iter().position(|byte| (0x40..=0x7e).contains(byte));
            let sequence = end.map_or(rest, |end| &rest[..=end]);
            let key = match sequence {
                b"A" => Some(Key::Up),
                b"B" => Some(Key::Down),
                b"C" => Some(Key::Right),
                b"D" => Some(Key::Left),
                b"H" | b"1~" | b"7~" => Some(Key::Home),
                b"F" | b"4~" | b"8~" => Some(Key::End),
                b"5~" => Some(Key::PageUp),
                b"6~" => Some(Key::PageDown),
                _ => None,
            };
            (key, 2 + sequence.len())
        }
        [0x1b | 3, ..] => (Some(Key::Cancel), 1),
        [b'\r' | b'\n', ..] => (Some(Key::Enter), 1),
        [8 | 0x7f, ..] => (Some(Key::Backspace), 1),
        _ => {
            let character = characters(bytes).next().unwrap_or_default();
            let text = core::str::from_utf8(character).unwrap_or_default();
            let key = text.chars().next().filter(|character| !character.is_control()).map(Key::Character);
            (key, character.len().max(1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_keys() {
        use Key::{Backspace, Cancel, Character, Down, End, Enter, PageDown, Up};
        assert_eq!(keys(b"a\r\x7f\x03"), [Character('a'), Enter, Backspace, Cancel]);
        assert_eq!(keys(b"\x1b[A\x1bOB\x1b[6~\x1b[F"), [Up, Down, PageDown, End]);
        assert_eq!(keys("ä\u{1}\u{1b}".as_bytes()), [Character('ä'), Cancel]);
        assert_eq!(keys(b"\x1b[200~x\x1b["), [Character('x')]);
        assert_eq!(keys(b"\xff"), []);
    }
}
