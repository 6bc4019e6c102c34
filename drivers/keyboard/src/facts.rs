//! What a virtio input device says of itself (virtio 1.2, 5.8.4): registers in which the driver selects a question, and the device
//! answers with at most 128 bytes, of which the length is told.

use alloc::string::String;
use alloc::vec::Vec;

use virtio::Transport;

/// Offsets of the registers, and the longest answer.
const SELECT: usize = 0;
const SUBSELECT: usize = 1;
const LENGTH: usize = 2;
const ANSWER: usize = 8;
const MOST_BYTES: usize = 128;

/// Questions: the name; which events of a kind the device has, as bits.
const NAME: u8 = 1;
const EVENT_BITS: u8 = 0x11;

/// Keys that whatever is called a keyboard has: Enter and the letter A.
const ENTER: u32 = 28;
const LETTER_A: u32 = 30;

/// Kinds of event.
pub mod kind {
    /// A key.
    pub const KEY: u16 = 1;
    /// A light.
    pub const LIGHT: u16 = 0x11;
}

/// The registers.
pub trait Registers {
    /// Reads one; none beyond their end.
    fn read(&self, offset: usize) -> Option<u8>;

    /// Writes one; beyond their end nothing.
    fn write(&self, offset: usize, value: u8);
}

impl Registers for Transport {
    fn read(&self, offset: usize) -> Option<u8> {
        self.own_u8(offset)
    }

    fn write(&self, offset: usize, value: u8) {
        self.set_own_u8(offset, value);
    }
}

/// What is known of a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Its name, as far as that can be printed.
    pub name: String,
    keys: Vec<u8>,
    lights: Vec<u8>,
}

impl Facts {
    /// Asks a device.
    pub fn of(device: &impl Registers) -> Facts {
        let name = answer(device, NAME, 0);
        let is_printable = |byte: &u8| (b' '..=b'~').contains(byte);
        Facts {
            name: name.into_iter().filter(is_printable).map(char::from).collect(),
            keys: answer(device, EVENT_BITS, kind::KEY as u8),
            lights: answer(device, EVENT_BITS, kind::LIGHT as u8),
        }
    }

    /// Whether it is a keyboard: mice and tablets have keys, too, which they call buttons.
    pub fn is_keyboard(&self) -> bool {
        has(&self.keys, ENTER) && has(&self.keys, LETTER_A)
    }

    /// Whether it has a light, by that one's number.
    pub fn has_light(&self, number: u32) -> bool {
        has(&self.lights, number)
    }
}

/// Whether a bit is set, those beyond the end being 0.
fn has(bits: &[u8], number: u32) -> bool {
    bits.get(number as usize / 8).is_some_and(|byte| byte & 1 << (number % 8) != 0)
}

/// The answer to a question; nothing if the device has none.
fn answer(device: &impl Registers, select: u8, subselect: u8) -> Vec<u8> {
    device.write(SELECT, select);
    device.write(SUBSELECT, subselect);
    let length = usize::from(device.read(LENGTH).unwrap_or(0)).min(MOST_BYTES);
    (ANSWER..ANSWER + length).map_while(|offset| device.read(offset)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use core::cell::Cell;
    use proptest::prelude::*;

    /// Registers that answer these questions, and have so many bytes.
    struct Device {
        answers: Vec<(u8, u8, Vec<u8>)>,
        select: Cell<u8>,
        subselect: Cell<u8>,
        length: Option<u8>,
        bytes: usize,
    }

    impl Device {
        fn new(answers: &[(u8, u8, &[u8])]) -> Device {
            let answers =
                answers.iter().map(|(select, sub, bytes)| (*select, *sub, bytes.to_vec())).collect();
            Device { answers, select: Cell::new(0), subselect: Cell::new(0), length: None, bytes: 136 }
        }
    }

    impl Registers for Device {
        fn read(&self, offset: usize) -> Option<u8> {
            let asked = (self.select.get(), self.subselect.get());
            let answer = self.answers.iter().find(|(select, sub, _)| (*select, *sub) == asked);
            let answer = answer.map_or(&[][..], |(_, _, bytes)| bytes);
            let value = match offset {
                LENGTH => self.length.unwrap_or(answer.len() as u8),
                _ => offset.checked_sub(ANSWER).and_then(|at| answer.get(at)).copied().unwrap_or(0),
            };
            (offset < self.bytes).then_some(value)
        }

        fn write(&self, offset: usize, value: u8) {
            match offset {
                SELECT => self.select.set(value),
                SUBSELECT => self.subselect.set(value),
                _ => panic!("register {offset} is not the driver's"),
            }
        }
    }

    #[test]
    fn a_keyboard_is_told_by_its_keys() {
        let keys = [(NAME, 0, &b"a\x1bb\xff"[..]), (0x11, 1, &[0, 0, 0, 0x50]), (0x11, 0x11, &[3])];
        let facts = Facts::of(&Device::new(&keys));
        assert_eq!((facts.name.as_str(), facts.is_keyboard()), ("ab", true));
        assert_eq!([0, 1, 2, 1000].map(|number| facts.has_light(number)), [true, true, false, false]);
        // A mouse has buttons from 0x110 on.
        let mouse = Facts::of(&Device::new(&[(0x11, 1, &[[0; 34].as_slice(), &[7]].concat())]));
        assert_eq!((mouse.name.as_str(), mouse.is_keyboard()), ("", false));
    }

    proptest! {
        #[test]
        fn no_answer_is_longer_than_its_registers(length: u8, bytes in 0_usize..200, answer: [u8; 32]) {
            let mut device = Device::new(&[(NAME, 0, &answer), (0x11, 1, &answer), (0x11, 0x11, &answer)]);
            (device.length, device.bytes) = (Some(length), bytes);
            let facts = Facts::of(&device);
            let most = usize::from(length).min(MOST_BYTES).min(bytes.saturating_sub(ANSWER));
            prop_assert!(facts.name.len() <= most && facts.keys.len() <= most);
            let expected = (0..8 * most as u32).any(|number| number == ENTER && has(&facts.keys, ENTER));
            prop_assert!(!facts.is_keyboard() || expected);
        }
    }

    #[test]
    fn questions_without_answers_are_no_facts() {
        let facts = Facts::of(&Device::new(&[]));
        assert_eq!(facts, Facts { name: String::new(), keys: vec![], lights: vec![] });
    }
}
