//! From keys to the bytes that a terminal sends, and to the choice of a console.

use alloc::vec::Vec;

use pc_keyboard::layouts::{
    AnyLayout, Azerty, Colemak, DVP104Key, De105Key, Dvorak104Key, FiSe105Key, Jis109Key, No105Key, Uk105Key,
    Us104Key,
};
use pc_keyboard::{
    DecodedKey, HandleControl, KeyCode, KeyEvent, KeyState, PS2Keyboard, ScancodeSet as _, ScancodeSet1,
};
use protocols::keyboard::{key, light};

/// What stands on the keys, by the names that people choose it by; the first where nobody has chosen.
pub const LAYOUTS: [(&str, AnyLayout); 10] = [
    ("us", AnyLayout::Us104Key(Us104Key)),
    ("uk", AnyLayout::Uk105Key(Uk105Key)),
    ("de", AnyLayout::De105Key(De105Key)),
    ("fr", AnyLayout::Azerty(Azerty)),
    ("no", AnyLayout::No105Key(No105Key)),
    ("fi", AnyLayout::FiSe105Key(FiSe105Key)),
    ("jp", AnyLayout::Jis109Key(Jis109Key)),
    ("dvorak", AnyLayout::Dvorak104Key(Dvorak104Key)),
    ("programmer-dvorak", AnyLayout::DVP104Key(DVP104Key)),
    ("colemak", AnyLayout::Colemak(Colemak)),
];

/// A keyboard, with what is held down on it.
pub struct Keyboard {
    /// It is given keys, never codes.
    keys: PS2Keyboard<AnyLayout, ScancodeSet1>,
    layout: &'static str,
}

/// What has been typed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Typed {
    /// Bytes, as a terminal sends them.
    Bytes(Vec<u8>),
    /// Alt and a function key: the console of that number is to be shown, from 0 on.
    Console(usize),
}

impl Keyboard {
    /// One with the layout of that name, if there is such a layout. Nothing is held down on it.
    pub fn new(layout: &str) -> Option<Keyboard> {
        let (layout, keys) = LAYOUTS.into_iter().find(|(name, _)| *name == layout)?;
        let keys = PS2Keyboard::new(ScancodeSet1::new(), keys, HandleControl::MapLettersToUnicode);
        Some(Keyboard { keys, layout })
    }

    /// The layout's name.
    pub const fn layout(&self) -> &'static str {
        self.layout
    }

    /// The lights that are to be on.
    pub const fn lights(&self) -> u32 {
        let modifiers = self.keys.get_modifiers();
        (if modifiers.numlock { light::NUMBERS } else { 0 })
            | (if modifiers.capslock { light::CAPITALS } else { 0 })
    }

    /// Nothing is held down any more.
    pub fn release(&mut self) {
        for key in HELD {
            self.keys.process_keyevent(KeyEvent::new(key, KeyState::Up));
        }
    }

    /// Takes a key by its number: it is down, maybe since long ago, or up.
    pub fn take(&mut self, number: u32, is_down: bool) -> Option<Typed> {
        let key = key_of(number)?;
        let state = if is_down { KeyState::Down } else { KeyState::Up };
        let decoded = self.keys.process_keyevent(KeyEvent::new(key, state))?;
        let modifiers = self.keys.get_modifiers();
        let (has_alt, has_control) = (modifiers.lalt, modifiers.is_ctrl());
        let has_shift = modifiers.is_shifted();
        if let (true, true, Some(place)) =
            (is_down, has_alt, FUNCTION_KEYS.iter().position(|known| *known == key))
        {
            return Some(Typed::Console(place));
        }
        let mut bytes = if has_alt { Vec::from([0x1b]) } else { Vec::new() };
        match decoded {
            _ if key == KeyCode::Delete => bytes.extend(b"\x1b[3~"),
            _ if key == KeyCode::Backspace => bytes.push(0x7f),
            _ if key == KeyCode::Tab && has_shift => bytes.extend(b"\x1b[Z"),
            DecodedKey::Unicode('\n') => bytes.push(b'\r'),
            DecodedKey::Unicode(character) => {
                // Of control with other keys than letters, those that mean something.
                let control = match character {
                    '[' | '\\' | ']' | '^' | '_' if has_control => Some((character as u8 - b'@') as char),
                    ' ' | '@' | '2' if has_control => Some('\0'),
                    _ => None,
                };
                let mut buffer = [0; 4];
                bytes.extend(control.unwrap_or(character).encode_utf8(&mut buffer).bytes());
            }
            DecodedKey::RawKey(key) => bytes.extend(sequence(key, has_control)?),
        }
        Some(Typed::Bytes(bytes))
    }
}

/// Keys that change what others do as long as they are held down.
const HELD: [KeyCode; 6] =
    [KeyCode::LShift, KeyCode::RShift, KeyCode::LControl, KeyCode::RControl, KeyCode::LAlt, KeyCode::RAltGr];

/// The key of a number, if there is one that any layout knows.
fn key_of(number: u32) -> Option<KeyCode> {
    Some(match number {
        1..=key::LAST_OF_SET_1 => ScancodeSet1::new().advance_state(number as u8).ok()??.code,
        key::RO => KeyCode::Oem12,
        key::HENKAN => KeyCode::Oem10,
        key::KANA => KeyCode::Oem11,
        key::MUHENKAN => KeyCode::Oem9,
        key::YEN => KeyCode::Oem13,
        key::NUMPAD_ENTER => KeyCode::NumpadEnter,
        key::RIGHT_CONTROL => KeyCode::RControl,
        key::NUMPAD_DIVIDE => KeyCode::NumpadDivide,
        key::RIGHT_ALT => KeyCode::RAltGr,
        key::HOME => KeyCode::Home,
        key::UP => KeyCode::ArrowUp,
        key::PAGE_UP => KeyCode::PageUp,
        key::LEFT => KeyCode::ArrowLeft,
        key::RIGHT => KeyCode::ArrowRight,
        key::END => KeyCode::End,
        key::DOWN => KeyCode::ArrowDown,
        key::PAGE_DOWN => KeyCode::PageDown,
        key::INSERT => KeyCode::Insert,
        key::DELETE => KeyCode::Delete,
        _ => return None,
    })
}

const FUNCTION_KEYS: [KeyCode; 12] = [
    KeyCode::F1,
    KeyCode::F2,
    KeyCode::F3,
    KeyCode::F4,
    KeyCode::F5,
    KeyCode::F6,
    KeyCode::F7,
    KeyCode::F8,
    KeyCode::F9,
    KeyCode::F10,
    KeyCode::F11,
    KeyCode::F12,
];

/// What a key sends that is no character.
fn sequence(key: KeyCode, has_control: bool) -> Option<&'static [u8]> {
    Some(match key {
        KeyCode::ArrowRight if has_control => b"\x1b[1;5C",
        KeyCode::ArrowLeft if has_control => b"\x1b[1;5D",
        KeyCode::ArrowUp => b"\x1b[A",
        KeyCode::ArrowDown => b"\x1b[B",
        KeyCode::ArrowRight => b"\x1b[C",
        KeyCode::ArrowLeft => b"\x1b[D",
        KeyCode::Home => b"\x1b[H",
        KeyCode::End => b"\x1b[F",
        KeyCode::Insert => b"\x1b[2~",
        KeyCode::PageUp => b"\x1b[5~",
        KeyCode::PageDown => b"\x1b[6~",
        KeyCode::NumpadEnter => b"\r",
        _ => return None,
    })
}
