//! Keys: what the drivers of keyboards tell the display server of, each as it goes down and up.
//!
//! Keys have the numbers that Linux's evdev and virtio's input devices give them, by where they are, whatever stands on them. Up to
//! [`LAST_OF_SET_1`](key::LAST_OF_SET_1) these are the codes of the first set, which PC keyboards have sent since 1981.

use abi::protocol;

/// Numbers of keys that the first set has behind its prefix, or elsewhere.
pub mod key {
    /// The last number that is a code of the first set as well.
    pub const LAST_OF_SET_1: u32 = 0x58;
    /// A key that only Japanese keyboards have, as the next four.
    pub const RO: u32 = 89;
    /// Henkan.
    pub const HENKAN: u32 = 92;
    /// Hiragana and Katakana.
    pub const KANA: u32 = 93;
    /// Muhenkan.
    pub const MUHENKAN: u32 = 94;
    /// On the keypad.
    pub const NUMPAD_ENTER: u32 = 96;
    /// The right one.
    pub const RIGHT_CONTROL: u32 = 97;
    /// On the keypad.
    pub const NUMPAD_DIVIDE: u32 = 98;
    /// Print Screen.
    pub const PRINT: u32 = 99;
    /// The right one, which is `AltGr` in most layouts.
    pub const RIGHT_ALT: u32 = 100;
    /// Home.
    pub const HOME: u32 = 102;
    /// An arrow.
    pub const UP: u32 = 103;
    /// Page Up.
    pub const PAGE_UP: u32 = 104;
    /// An arrow.
    pub const LEFT: u32 = 105;
    /// An arrow.
    pub const RIGHT: u32 = 106;
    /// End.
    pub const END: u32 = 107;
    /// An arrow.
    pub const DOWN: u32 = 108;
    /// Page Down.
    pub const PAGE_DOWN: u32 = 109;
    /// Insert.
    pub const INSERT: u32 = 110;
    /// Delete.
    pub const DELETE: u32 = 111;
    /// Yen.
    pub const YEN: u32 = 124;
    /// The key with a window on it, left of the space bar.
    pub const LEFT_LOGO: u32 = 125;
    /// As it, right of the space bar.
    pub const RIGHT_LOGO: u32 = 126;
    /// The key with a menu on it.
    pub const MENU: u32 = 127;
}

/// Bits of the lights that are to be on.
pub mod light {
    /// The keypad gives numbers.
    pub const NUMBERS: u32 = 1;
    /// Letters are capitals.
    pub const CAPITALS: u32 = 2;
}

protocol! {
    /// Keys.
    pub mod keyboard = 0x1f, enum Keyboard {
        /// A key has gone down, or has been down so long that it repeats, or has gone up. For whoever may open consoles, as
        /// the next.
        PressKey = 1 {
            /// Its number.
            key: u32,
            /// 1 if it is down, 0 if it is up.
            is_down: u32,
        } => KeyPressed {
            /// Bits of [`light`](crate::keyboard::light).
            lights: u32,
        };
        /// Nothing is held down: a keyboard begins, and what an earlier driver of it has told of is no more.
        ReleaseKeys = 2 {} => KeysReleased { lights: u32 };
    }
}
