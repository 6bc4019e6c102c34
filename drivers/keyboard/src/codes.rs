//! The codes that come from a PC's controller: the first set, as keys.

use protocols::keyboard::key;

use crate::server::Change;

/// One of a second page of keys follows.
const EXTENDED: u8 = 0xe0;
/// Two codes follow, both of Pause, which goes down and up at once.
const PAUSE: u8 = 0xe1;
const PAUSE_CODES: u8 = 2;
/// In a code: the key goes up.
const IS_UP: u8 = 0x80;

/// What has come of a code that is not whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Begun {
    #[default]
    Nothing,
    Extended,
    /// So many codes to pass over.
    Pause(u8),
}

/// Makes keys of codes.
#[derive(Debug, Default)]
pub struct Codes {
    begun: Begun,
}

impl Codes {
    /// Takes a code. What stands for no key, such as an answer to a command, is passed over.
    pub fn take(&mut self, code: u8) -> Option<Change> {
        let begun = core::mem::take(&mut self.begun);
        let key = match (begun, code) {
            (_, EXTENDED) => {
                self.begun = Begun::Extended;
                return None;
            }
            (_, PAUSE) => {
                self.begun = Begun::Pause(PAUSE_CODES);
                return None;
            }
            (Begun::Pause(left), _) => {
                self.begun = if left > 1 { Begun::Pause(left - 1) } else { Begun::Nothing };
                return None;
            }
            (Begun::Extended, _) => extended(code & !IS_UP)?,
            (Begun::Nothing, _) => plain(code & !IS_UP)?,
        };
        Some(Change { key, is_down: code & IS_UP == 0 })
    }
}

fn plain(code: u8) -> Option<u32> {
    Some(match code {
        0x70 => key::KANA,
        0x73 => key::RO,
        0x79 => key::HENKAN,
        0x7b => key::MUHENKAN,
        0x7d => key::YEN,
        _ => Some(u32::from(code)).filter(|code| (1..=key::LAST_OF_SET_1).contains(code))?,
    })
}

fn extended(code: u8) -> Option<u32> {
    Some(match code {
        0x1c => key::NUMPAD_ENTER,
        0x1d => key::RIGHT_CONTROL,
        0x35 => key::NUMPAD_DIVIDE,
        0x37 => key::PRINT,
        0x38 => key::RIGHT_ALT,
        0x47 => key::HOME,
        0x48 => key::UP,
        0x49 => key::PAGE_UP,
        0x4b => key::LEFT,
        0x4d => key::RIGHT,
        0x4f => key::END,
        0x50 => key::DOWN,
        0x51 => key::PAGE_DOWN,
        0x52 => key::INSERT,
        0x53 => key::DELETE,
        0x5b => key::LEFT_LOGO,
        0x5c => key::RIGHT_LOGO,
        0x5d => key::MENU,
        // Among others a shift that the keyboard makes up around some keys.
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn keys(codes: &[u8]) -> Vec<(u32, bool)> {
        let mut taking = Codes::default();
        let changes = codes.iter().filter_map(|code| taking.take(*code));
        changes.map(|change| (change.key, change.is_down)).collect()
    }

    #[test]
    fn codes_are_keys_that_go_down_and_up() {
        assert_eq!(keys(&[0x1e, 0x9e, 0x58, 0xd8]), [(30, true), (30, false), (88, true), (88, false)]);
        assert_eq!(keys(&[0xe0, 0x48, 0xe0, 0xc8, 0x48]), [(key::UP, true), (key::UP, false), (72, true)]);
        assert_eq!(keys(&[0x7d, 0xfd]), [(key::YEN, true), (key::YEN, false)]);
    }

    #[test]
    fn what_is_no_key_is_passed_over() {
        // Shifts around an arrow; Pause, whose second code is that of Num Lock; answers to commands.
        assert_eq!(keys(&[0xe0, 0x2a, 0xe0, 0x4b, 0xe0, 0xaa]), [(key::LEFT, true)]);
        assert_eq!(keys(&[0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5, 0x1e]), [(30, true)]);
        assert_eq!(keys(&[0xfa, 0, 0xff, 0xe0, 0, 0x80]), []);
    }

    proptest! {
        #[test]
        fn no_codes_hide_the_key_behind_them(codes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut taking = Codes::default();
            for code in codes {
                taking.take(code);
            }
            // However they break off, two are enough to be back at the beginning.
            taking.take(0);
            taking.take(0);
            prop_assert_eq!(taking.take(0x1e), Some(Change { key: 30, is_down: true }));
        }
    }
}
