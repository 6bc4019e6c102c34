//! Consoles against another terminal emulator, and the driver with a frame in memory.

extern crate std;
use alloc::rc::Rc;
use core::cell::RefCell;
use std::string::String;
use std::vec;
use std::vec::Vec;

use abi::{Access, Error, Pid, Request as _, UserId};
use io_server::testing::TestSystem;
use io_server::{IoServer, Limits};
use proptest::prelude::*;
use protocols::io::{io, mode};
use protocols::keyboard::{key, keyboard, light};

use crate::DisplayServer;
use crate::console::Console;
use crate::keyboard::{Keyboard, Typed};
use crate::screen::{CHARACTER_HEIGHT, CHARACTER_WIDTH, Surface};

fn text(console: &Console) -> Vec<String> {
    (0..console.grid().rows())
        .map(|row| {
            let row = console.grid().row_cells(row);
            let text: String = row.iter().map(|cell| cell.character).filter(|one| *one != '\0').collect();
            text.trim_end().into()
        })
        .collect()
}

#[track_caller]
fn expect(written: &str, rows: [&str; 3], cursor: (usize, usize)) {
    let mut console = Console::new(8, 3);
    console.write(written.as_bytes());
    assert_eq!(
        (text(&console), console.cursor()),
        (rows.map(String::from).to_vec(), Some(cursor)),
        "{written:?}"
    );
}

#[test]
fn text_and_sequences_do_what_terminals_do() {
    expect("ab\r\ncd", ["ab", "cd", ""], (1, 2));
    expect("0123456789", ["01234567", "89", ""], (1, 2));
    expect("01234567", ["01234567", "", ""], (0, 7));
    expect("1\r\n2\r\n3\r\n4", ["2", "3", "4"], (2, 1));
    expect("abcdef\x1b[3D\x1b[K", ["abc", "", ""], (0, 3));
    expect("a\tb\x08c", ["a     cb", "", ""], (0, 7));
    expect("abc\x1b[1;2H\x1b[2@x", ["ax bc", "", ""], (0, 2));
    expect("ä→\u{301}世x", ["ä→世x", "", ""], (0, 5));
    expect("1\r\n2\r\n3\x1b[2;3r\x1b[3;1H\n4", ["1", "3", "4"], (2, 1));
    expect("main\x1b[?1049h\x1b[Hother\x1b[?1049l!", ["main!", "", ""], (0, 5));
    expect("\x1b]0;title\x07\x1bPq#1\x1b\\x\x1b[>4;1m", ["x", "", ""], (0, 1));
}

#[test]
fn questions_are_answered() {
    let mut console = Console::new(80, 24);
    // As the terminal server asks for the window's size.
    console.write(b"ab\x1b7\x1b[999;999H\x1b[6n\x1b8c");
    assert_eq!(console.take_answers(), b"\x1b[24;80R");
    assert_eq!(text(&console)[0], "abc");
    for _ in 0..1000 {
        console.write(b"\x1b[5n");
    }
    assert!(console.take_answers().len() <= 256);
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,30}",
        "[äö→│]{1,3}",
        Just("\r\n".into()),
        Just("\n".into()),
        Just("\r".into()),
        Just("\x08".into()),
        Just("\t".into()),
        Just("\x1bM".into()),
        "\x1b\\[[0-9]{0,2}[ABCDGdLMPX@STK]",
        "\x1b\\[[0-9];[0-9]{1,2}H",
        "\x1b\\[[0-2]J",
        "\x1b\\[(0|1|4|7|31|42|97|38;5;99)m",
        Just("\x1b7".into()),
        Just("\x1b8".into()),
    ]
}

proptest! {
    /// The crate `vt100` is what the tool and the terminal's tests read screens with.
    #[test]
    fn screens_are_those_of_another_emulator(pieces in prop::collection::vec(piece(), 0..60)) {
        let mut written = String::new();
        let mut console = Console::new(12, 6);
        let mut other = vt100::Parser::new(6, 12, 0);
        for piece in pieces {
            // On what follows a character in the last column, no two emulators agree.
            let end = if console.grid().is_full { "\r\n" } else { "" };
            for text in [end, &piece] {
                console.write(text.as_bytes());
                other.process(text.as_bytes());
                written += text;
            }
        }
        let expected: Vec<String> = other.screen().rows(0, 12).map(|row| row.trim_end().into()).collect();
        prop_assert_eq!(text(&console), expected, "{:?}", written);
    }

    #[test]
    fn garbage_is_shown_somehow(bytes in prop::collection::vec(any::<u8>(), 0..3000), columns in 0_usize..20, rows in 0_usize..9) {
        let mut console = Console::new(columns, rows);
        console.write(&bytes);
        let (row, column) = console.cursor().unwrap_or_default();
        prop_assert!(row < console.grid().rows() && column < console.grid().columns());
    }
}

/// Keys that go down and up, those behind the first while it is down.
fn chord(keys: &[u32]) -> Vec<(u32, bool)> {
    let [held, pressed @ ..] = keys else { return Vec::new() };
    let pressed = pressed.iter().flat_map(|key| [(*key, true), (*key, false)]);
    [(*held, true)].into_iter().chain(pressed).chain([(*held, false)]).collect()
}

const SHIFT: u32 = 0x2a;
const CONTROL: u32 = 0x1d;
const ALT: u32 = 0x38;
const CAPS_LOCK: u32 = 0x3a;
const F2: u32 = 0x3c;
const A: u32 = 0x1e;
const B: u32 = 0x30;
const C: u32 = 0x2e;
const Z: u32 = 0x2c;

#[test]
fn keys_send_what_terminals_send() {
    let mut keyboard = Keyboard::new("us").unwrap();
    let mut typed = |keys: &[&[u32]]| {
        let mut bytes = Vec::new();
        for (key, is_down) in keys.iter().flat_map(|keys| chord(keys)) {
            match keyboard.take(key, is_down) {
                Some(Typed::Bytes(more)) => bytes.extend(more),
                Some(Typed::Console(place)) => bytes.extend([b'#', b'1' + place as u8]),
                None => {}
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(typed(&[&[A], &[SHIFT, A], &[A]]), "aAa");
    assert_eq!(typed(&[&[0x1c], &[0x0e], &[0x0f], &[0x01]]), "\r\x7f\t\x1b");
    // Control and c, and with z; the right one too.
    assert_eq!(typed(&[&[CONTROL, C, Z], &[key::RIGHT_CONTROL, C]]), "\x03\x1a\x03");
    assert_eq!(typed(&[&[key::UP], &[key::DELETE], &[key::HOME]]), "\x1b[A\x1b[3~\x1b[H");
    assert_eq!(typed(&[&[key::NUMPAD_ENTER], &[key::NUMPAD_DIVIDE]]), "\r/");
    // Alt with F2, and with b.
    assert_eq!(typed(&[&[ALT, F2, B], &[B]]), "#2\x1bbb");
    assert_eq!(typed(&[&[CAPS_LOCK], &[A], &[CAPS_LOCK], &[A]]), "Aa");
    // Buttons, and numbers of nothing.
    assert_eq!(typed(&[&[0], &[85], &[key::PRINT], &[0x110], &[u32::MAX]]), "");
}

#[test]
fn keys_that_only_some_keyboards_have_are_known() {
    let mut keyboard = Keyboard::new("jp").unwrap();
    let typed = [key::YEN, key::RO].map(|number| keyboard.take(number, true));
    assert_eq!(typed, ["¥", "\\"].map(|text| Some(Typed::Bytes(text.into()))));
    // The one beside the left Shift, which American keyboards lack.
    assert_eq!(Keyboard::new("uk").unwrap().take(0x56, true), Some(Typed::Bytes(b"\\".into())));
}

#[test]
fn a_key_that_stays_down_repeats_and_is_released_with_its_keyboard() {
    let mut keyboard = Keyboard::new("us").unwrap();
    let mut take = |number| keyboard.take(number, true);
    assert_eq!((take(A), take(A)), (Some(Typed::Bytes(b"a".into())), Some(Typed::Bytes(b"a".into()))));
    assert_eq!((take(CONTROL), take(ALT), take(SHIFT)), (None, None, None));
    assert_eq!((take(CAPS_LOCK), keyboard.lights()), (None, light::NUMBERS | light::CAPITALS));
    keyboard.release();
    assert_eq!(keyboard.take(A, true), Some(Typed::Bytes(b"A".into())), "what is locked stays so");
}

const WIDTH: usize = 12 * CHARACTER_WIDTH;

#[derive(Clone)]
struct Pixels(Rc<RefCell<Vec<u32>>>);

impl Surface for Pixels {
    fn put(&mut self, x: usize, y: usize, pixels: [u32; CHARACTER_WIDTH]) {
        self.0.borrow_mut()[y * WIDTH + x..][..CHARACTER_WIDTH].copy_from_slice(&pixels);
    }
}

/// Has the keyboards' driver tell of keys; the lights that are to be on in the end.
fn press(
    system: &mut TestSystem,
    server: &mut IoServer<DisplayServer<Pixels>>,
    driver: Pid,
    keys: &[(u32, bool)],
) -> u32 {
    let tell = |(key, is_down): &(u32, bool)| {
        let request = keyboard::PressKey { key: *key, is_down: u32::from(*is_down) };
        system.say(server, driver, &request, b"").unwrap().lights
    };
    keys.iter().map(tell).last().unwrap()
}

#[test]
fn a_console_is_shown_and_typed_at_when_it_is_chosen() {
    let mut system = TestSystem::new();
    let (driver, client) = (system.process(UserId::SYSTEM), system.process(UserId::SYSTEM));
    let pixels = Pixels(Rc::new(RefCell::new(vec![0; WIDTH * 4 * CHARACTER_HEIGHT])));
    let display = DisplayServer::new(pixels.clone(), 12, 4, Keyboard::new("us").unwrap());
    let mut server = IoServer::new(display, Limits::default());
    let open = io::Open { context: 0, mode: mode::READ | mode::WRITE, owner: Pid::NONE };
    let [first, second] =
        [b"1", b"2"].map(|name| system.say(&mut server, client, &open, name).unwrap().instance);
    let stranger = system.process(UserId(77));
    assert!(system.say(&mut server, stranger, &open, b"1").is_err());

    let write = |instance| io::Write { instance, position: 0 };
    system.say(&mut server, client, &write(second), b"M").unwrap();
    let ink = || pixels.0.borrow().iter().filter(|pixel| **pixel != 0).count();
    let cursor = CHARACTER_WIDTH * CHARACTER_HEIGHT;
    assert_eq!(ink(), cursor, "the other console is not on the screen");

    let read = io::Read { instance: second, position: 0 };
    system.send(&mut server, client, &read.to_message(), vec![0; 9], Access::WRITE);
    // A letter for the first, Alt and F2, and a letter for the second.
    let keys = [chord(&[A]), chord(&[ALT, F2]), chord(&[B])].concat();
    assert_eq!(press(&mut system, &mut server, driver, &keys), light::NUMBERS);
    let (reply, segment) = system.take_reply(client).unwrap();
    assert_eq!((reply.words[1], segment[0]), (1, b'b'));
    assert!(ink() > cursor + 20, "a letter and the cursor");
    let read = io::Read { instance: first, position: 0 };
    system.send(&mut server, client, &read.to_message(), vec![0; 9], Access::WRITE);
    let (reply, segment) = system.take_reply(client).unwrap();
    assert_eq!((reply.words[1], segment[0]), (1, b'a'));
    // Who may not open consoles may not type at them.
    let request = keyboard::PressKey { key: A, is_down: 1 };
    assert_eq!(system.say(&mut server, stranger, &request, b"").unwrap_err(), Error::NoPermission);
    assert!(system.say(&mut server, stranger, &keyboard::ReleaseKeys {}, b"").is_err());
}

#[test]
fn a_layout_is_chosen_by_writing_its_name() {
    let mut system = TestSystem::new();
    let [driver, client] = [(); 2].map(|()| system.process(UserId::SYSTEM));
    let pixels = Pixels(Rc::new(RefCell::new(vec![0; WIDTH * 4 * CHARACTER_HEIGHT])));
    let keyboard = Keyboard::new("us").unwrap();
    let display = DisplayServer::new(pixels, 12, 4, keyboard);
    let mut server = IoServer::new(display, Limits::default());
    let open = io::Open { context: 0, mode: mode::READ | mode::WRITE, owner: Pid::NONE };
    let [console, layout] = [b"1".as_slice(), b"keyboard"]
        .map(|name| system.say(&mut server, client, &open, name).unwrap().instance);
    // The keys of y, of the digit 8 with AltGr, and of what is beside L.
    let typed = |system: &mut TestSystem, server: &mut IoServer<DisplayServer<Pixels>>| {
        let keys = [chord(&[0x15]), chord(&[key::RIGHT_ALT, 0x09]), chord(&[0x27])].concat();
        press(system, server, driver, &keys);
        let read = io::Read { instance: console, position: 0 };
        system.send(server, client, &read.to_message(), vec![0; 9], Access::WRITE);
        let (reply, segment) = system.take_reply(client).unwrap();
        String::from_utf8(segment[..reply.words[1] as usize].to_vec()).unwrap()
    };
    assert_eq!(typed(&mut system, &mut server), "y8;");
    let write = io::Write { instance: layout, position: 0 };
    system.say(&mut server, client, &write, b"de\n").unwrap();
    assert_eq!(typed(&mut system, &mut server), "z[ö");
    assert!(system.say(&mut server, client, &write, b"qwerty\n").is_err());
    assert!(system.say(&mut server, client, &write, b"\xff").is_err());
    let read = io::Read { instance: layout, position: 0 };
    system.send(&mut server, client, &read.to_message(), vec![0; 9], Access::WRITE);
    let (reply, segment) = system.take_reply(client).unwrap();
    assert_eq!(&segment[..reply.words[1] as usize], b"de\n");
}
