//! What a terminal sends, as keys of an editor. A key may come in pieces; pasted text comes whole.

use alloc::string::String;
use alloc::vec::Vec;

/// A key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Key {
    /// A character, or a tabulator.
    Character(char),
    /// A letter pressed with Control.
    Control(char),
    /// Text that was pasted.
    Paste(String),
    /// Others.
    Enter,
    /// As the names say.
    Backspace,
    /// As the names say.
    Delete,
    /// As the names say.
    Up,
    /// As the names say.
    Down,
    /// As the names say.
    Left,
    /// As the names say.
    Right,
    /// As the names say.
    Home,
    /// As the names say.
    End,
    /// As the names say.
    PageUp,
    /// As the names say.
    PageDown,
    /// As the names say.
    Escape,
}

const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";
/// The longest sequence of a key that is waited for.
const MOST_BYTES: usize = 16;

/// Collects bytes until they are keys.
#[derive(Debug, Default)]
pub struct Keys(Vec<u8>);

impl Keys {
    /// Takes bytes that came together; the keys that are complete.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.0.extend_from_slice(bytes);
        let mut keys = Vec::new();
        let mut at = 0;
        while let Some((length, key)) = next(&self.0[at..]) {
            at += length;
            keys.extend(key);
        }
        self.0.drain(..at);
        keys
    }
}

/// The first key and its length; no key if it means nothing; none if there is not all of it.
fn next(bytes: &[u8]) -> Option<(usize, Option<Key>)> {
    let key = match *bytes.first()? {
        b'\r' | b'\n' => Key::Enter,
        b'\t' => Key::Character('\t'),
        0x7f | 0x08 => Key::Backspace,
        0x1b => return sequence(bytes),
        control @ 1..0x20 => Key::Control(char::from(control + b'`')),
        0 => return Some((1, None)),
        _ => return character(bytes),
    };
    Some((1, Some(key)))
}

fn character(bytes: &[u8]) -> Option<(usize, Option<Key>)> {
    let chunk = bytes.utf8_chunks().next()?;
    match chunk.valid().chars().next() {
        Some(character) => Some((character.len_utf8(), Some(Key::Character(character)))),
        // The beginning of a character, as far as it has come; or what is none.
        None if core::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none()) => None,
        None => Some((chunk.invalid().len(), None)),
    }
}

fn sequence(bytes: &[u8]) -> Option<(usize, Option<Key>)> {
    if let Some(rest) = bytes.strip_prefix(PASTE_BEGINS) {
        let end = rest.windows(PASTE_ENDS.len()).position(|window| window == PASTE_ENDS)?;
        let text = String::from_utf8_lossy(&rest[..end]).replace("\r\n", "\n").replace('\r', "\n");
        return Some((PASTE_BEGINS.len() + end + PASTE_ENDS.len(), Some(Key::Paste(text))));
    }
    let (introducer, rest) = match bytes {
        // A key that came alone.
        [_] => return Some((1, Some(Key::Escape))),
        [_, introducer @ (b'[' | b'O'), rest @ ..] => (*introducer, rest),
        [_, ..] => return Some((2, None)),
        [] => return None,
    };
    let is_final = |byte: &u8| (0x40..=0x7e).contains(byte);
    let Some(end) = rest.iter().position(is_final) else {
        return (rest.len() > MOST_BYTES).then_some((2, None));
    };
    let key = match (introducer, &rest[..end], rest[end]) {
        (_, _, b'A') => Some(Key::Up),
        (_, _, b'B') => Some(Key::Down),
        (_, _, b'C') => Some(Key::Right),
        (_, _, b'D') => Some(Key::Left),
        (_, _, b'H') | (_, b"1" | b"7", b'~') => Some(Key::Home),
        (_, _, b'F') | (_, b"4" | b"8", b'~') => Some(Key::End),
        (_, b"3", b'~') => Some(Key::Delete),
        (_, b"5", b'~') => Some(Key::PageUp),
        (_, b"6", b'~') => Some(Key::PageDown),
        _ => None,
    };
    Some((2 + end + 1, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn keys_are_read_from_pieces() {
        let mut keys = Keys::default();
        assert_eq!(
            keys.take("a\x13\rä".as_bytes()),
            [Key::Character('a'), Key::Control('s'), Key::Enter, Key::Character('ä')]
        );
        assert_eq!(keys.take(&"→".as_bytes()[..1]), []);
        assert_eq!(keys.take(&"→".as_bytes()[1..]), [Key::Character('→')]);
        assert_eq!(keys.take(b"\x1b["), []);
        assert_eq!(
            keys.take(b"3~\x1b[1;5C\x1bOH\x1b[99~x"),
            vec![Key::Delete, Key::Right, Key::Home, Key::Character('x')]
        );
        assert_eq!(keys.take(b"\x1b"), [Key::Escape]);
        assert_eq!(keys.take(b"\x1b[200~a\r\nb"), []);
        assert_eq!(keys.take(b"\rc\x1b[201~"), [Key::Paste("a\nb\nc".into())]);
    }

    proptest! {
        #[test]
        fn garbage_is_survived(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..20)) {
            let mut keys = Keys::default();
            for piece in pieces {
                keys.take(&piece);
            }
        }
    }
}
