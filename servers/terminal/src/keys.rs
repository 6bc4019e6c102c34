//! From the bytes that a terminal sends to the keys that were pressed.
//!
//! Characters come in UTF-8, special keys as escape sequences (ECMA-48, and xterm's for what that lacks). Garbage gives
//! replacement characters or nothing, and never more than one sequence is lost.

/// A key, or what else a terminal has to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// A character.
    Character(char),
    /// The return key.
    Enter,
    /// The tabulator key.
    Tab,
    /// Deletes before the cursor.
    Backspace,
    /// Deletes at the cursor.
    Delete,
    /// Cursor key.
    Left,
    /// Cursor key.
    Right,
    /// Cursor key.
    Up,
    /// Cursor key.
    Down,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// A word to the left.
    WordLeft,
    /// A word to the right.
    WordRight,
    /// A letter with the control key, as a capital.
    Control(u8),
    /// What follows is not typed but pasted, up to `PasteEnd`.
    PasteBegin,
    /// See `PasteBegin`.
    PasteEnd,
    /// The answer to the question where the cursor is.
    Position {
        /// From 1.
        row: u16,
        /// From 1.
        column: u16,
    },
}

const ESCAPE: u8 = 0x1b;
/// More bytes than any sequence that means something has.
const MAX_SEQUENCE_BYTES: u8 = 24;
const PARAMETERS: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Ground,
    /// After ESC.
    Escape,
    /// After ESC [.
    Sequence { parameters: [u16; PARAMETERS], at: usize, length: u8 },
    /// After ESC O.
    Shifted,
    /// Within a character.
    Utf8 { bytes: [u8; 4], length: usize },
}

/// Finds the keys in what comes from a terminal.
#[derive(Clone, Debug, Default)]
pub struct KeyDecoder {
    state: State,
    /// The last byte was a carriage return: a line feed right behind it belongs to it.
    after_return: bool,
}

impl KeyDecoder {
    /// A decoder that has seen nothing.
    pub fn new() -> KeyDecoder {
        KeyDecoder::default()
    }

    /// Takes the next byte. A byte that breaks off a character or sequence is taken as what it is by itself.
    pub fn push(&mut self, byte: u8) -> Option<Key> {
        let after_return = core::mem::take(&mut self.after_return);
        match core::mem::take(&mut self.state) {
            State::Ground if byte == b'\n' && after_return => None,
            State::Ground => self.ground(byte),
            State::Escape => self.escape(byte),
            State::Shifted => match byte {
                0..0x20 | 0x80.. => self.ground(byte),
                b'H' => Some(Key::Home),
                b'F' => Some(Key::End),
                _ => arrow(byte, 1),
            },
            State::Sequence { parameters, at, length } => self.sequence(byte, parameters, at, length),
            State::Utf8 { bytes, length } => self.continuation(byte, bytes, length),
        }
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        Some(match byte {
            b'\r' => {
                self.after_return = true;
                Key::Enter
            }
            b'\n' => Key::Enter,
            b'\t' => Key::Tab,
            0x08 | 0x7f => Key::Backspace,
            ESCAPE => {
                self.state = State::Escape;
                return None;
            }
            0..0x20 => Key::Control(byte | 0x40),
            0x20..0x7f => Key::Character(char::from(byte)),
            0xc2..=0xf4 => {
                self.state = State::Utf8 { bytes: [byte, 0, 0, 0], length: 1 };
                return None;
            }
            _ => Key::Character(char::REPLACEMENT_CHARACTER),
        })
    }

    fn escape(&mut self, byte: u8) -> Option<Key> {
        match byte {
            b'[' => {
                self.state = State::Sequence { parameters: [0; PARAMETERS], at: 0, length: 0 };
                None
            }
            b'O' => {
                self.state = State::Shifted;
                None
            }
            b'b' => Some(Key::WordLeft),
            b'f' => Some(Key::WordRight),
            0x7f => Some(Key::Control(b'W')),
            0..0x20 | 0x80.. => self.ground(byte),
            _ => None,
        }
    }

    fn sequence(
        &mut self,
        byte: u8,
        mut parameters: [u16; PARAMETERS],
        mut at: usize,
        length: u8,
    ) -> Option<Key> {
        match byte {
            b'0'..=b'9' => {
                if let Some(parameter) = parameters.get_mut(at) {
                    *parameter = parameter.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                }
            }
            b';' => at += 1,
            0x20..0x40 => {}
            0x40..0x7f => return meaning(byte, parameters),
            _ => return self.ground(byte),
        }
        if length < MAX_SEQUENCE_BYTES {
            self.state = State::Sequence { parameters, at, length: length + 1 };
        }
        None
    }

    fn continuation(&mut self, byte: u8, mut bytes: [u8; 4], length: usize) -> Option<Key> {
        bytes[length] = byte;
        let length = length + 1;
        match str::from_utf8(&bytes[..length]) {
            Ok(text) => text.chars().next().map(Key::Character),
            Err(error) if error.error_len().is_none() => {
                self.state = State::Utf8 { bytes, length };
                None
            }
            // The character was broken off; if that is more than a stray byte, it is not lost.
            Err(_) if byte < 0x80 => self.ground(byte),
            Err(_) => Some(Key::Character(char::REPLACEMENT_CHARACTER)),
        }
    }
}

fn meaning(last: u8, parameters: [u16; PARAMETERS]) -> Option<Key> {
    match (last, parameters[0]) {
        (b'H', _) | (b'~', 1 | 7) => Some(Key::Home),
        (b'F', _) | (b'~', 4 | 8) => Some(Key::End),
        (b'~', 3) => Some(Key::Delete),
        (b'~', 200) => Some(Key::PasteBegin),
        (b'~', 201) => Some(Key::PasteEnd),
        (b'R', row) => Some(Key::Position { row, column: parameters[1] }),
        _ => arrow(last, parameters[1]),
    }
}

/// The cursor keys; with the control or alt key left and right go by words.
fn arrow(last: u8, modifier: u16) -> Option<Key> {
    let by_word = matches!(modifier, 3 | 5);
    match last {
        b'A' => Some(Key::Up),
        b'B' => Some(Key::Down),
        b'C' if by_word => Some(Key::WordRight),
        b'C' => Some(Key::Right),
        b'D' if by_word => Some(Key::WordLeft),
        b'D' => Some(Key::Left),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = KeyDecoder::new();
        bytes.iter().filter_map(|byte| decoder.push(*byte)).collect()
    }

    #[test]
    fn keys_are_recognised() {
        use Key::{
            Character, Control, Delete, Down, End, Enter, Home, Left, Right, Tab, Up, WordLeft, WordRight,
        };
        assert_eq!(keys("aä€😀".as_bytes()), ['a', 'ä', '€', '😀'].map(Character));
        assert_eq!(keys(b"\r\n\n\r\r\t"), [Enter, Enter, Enter, Enter, Tab]);
        assert_eq!(keys(b"\x03\x1b[3~\x7f"), [Control(b'C'), Delete, Key::Backspace]);
        assert_eq!(keys(b"\x1b[A\x1bOB\x1b[C\x1b[D"), [Up, Down, Right, Left]);
        assert_eq!(keys(b"\x1b[H\x1b[1~\x1bOF\x1b[8~"), [Home, Home, End, End]);
        assert_eq!(keys(b"\x1b[1;5D\x1bf"), [WordLeft, WordRight]);
        assert_eq!(keys(b"\x1b[200~x\x1b[201~"), [Key::PasteBegin, Character('x'), Key::PasteEnd]);
        let position = Key::Position { row: 24, column: 80 };
        assert_eq!(keys(b"\x1b[24;80R"), [position]);
    }

    #[test]
    fn garbage_costs_no_more_than_itself() {
        const BAD: Key = Key::Character(char::REPLACEMENT_CHARACTER);
        assert_eq!(keys(b"\xff\x80a"), [BAD, BAD, Key::Character('a')]);
        assert_eq!(keys(b"\xe2\x82a"), [Key::Character('a')]);
        assert_eq!(keys(b"\x1b[12\x03"), [Key::Control(b'C')]);
        assert_eq!(keys(b"\x1b[99999999;1;2;3;4;5R").len(), 1);
        let mut endless = b"\x1b[".to_vec();
        endless.extend([b'1'; 100]);
        endless.push(b'x');
        assert!(keys(&endless).ends_with(&[Key::Character('x')]));
    }

    proptest! {
        #[test]
        fn any_text_comes_through(text in "\\PC*") {
            let typed: Vec<Key> = text.chars().map(Key::Character).collect();
            prop_assert_eq!(keys(text.as_bytes()), typed);
        }

        #[test]
        fn after_any_bytes_keys_are_still_recognised(mut bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            bytes.extend(b"\x03\x03x");
            prop_assert!(keys(&bytes).ends_with(&[Key::Control(b'C'), Key::Character('x')]));
        }
    }
}
