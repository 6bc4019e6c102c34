//! What a real terminal shows: the editor's bytes go to an emulator, and its screen is looked at.

extern crate std;
use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use crate::editor::{Editor, Entered, Manner};
use crate::keys::{Key, KeyDecoder};
use crate::view::Screen;

const ROWS: u16 = 12;

/// An editor before an emulated screen.
struct Desk {
    editor: Editor,
    decoder: KeyDecoder,
    screen: vt100::Parser,
    columns: u16,
}

impl Desk {
    fn new(columns: u16) -> Desk {
        Desk {
            editor: Editor::new(usize::from(columns)),
            decoder: KeyDecoder::new(),
            screen: vt100::Parser::new(ROWS, columns, 0),
            columns,
        }
    }

    fn begin(&mut self, prompt: &str) {
        let mut bytes = Screen::new();
        self.editor.begin(Some(prompt.into()), Manner::default(), &mut bytes);
        self.screen.process(&bytes);
    }

    fn press(&mut self, key: Key) -> Entered {
        let mut bytes = Screen::new();
        let entered = self.editor.key(key, &mut bytes);
        self.screen.process(&bytes);
        entered
    }

    /// Types bytes, and answers when words are asked for; what the last byte led to.
    fn type_bytes(&mut self, bytes: &[u8]) -> Entered {
        let mut entered = Entered::Nothing;
        for byte in bytes {
            if let Some(key) = self.decoder.push(*byte) {
                entered = self.press(key);
            }
            if let Entered::Complete { .. } = entered {
                let words = ["cat", "cmp", "[boot]bin/", "seq", "sequence", "two\\ words", "three words"]
                    .map(String::from)
                    .to_vec();
                let mut bytes = Screen::new();
                self.editor.complete(words, &mut bytes);
                self.screen.process(&bytes);
                entered = Entered::Nothing;
            }
        }
        entered
    }

    fn contents(&self) -> String {
        contents(self.screen.screen())
    }

    fn cursor(&self) -> (u16, u16) {
        self.screen.screen().cursor_position()
    }
}

/// The screen's rows, without the blanks at their ends and the empty ones below.
fn contents(screen: &vt100::Screen) -> String {
    let rows: Vec<String> = screen.rows(0, screen.size().1).map(|row| row.trim_end().into()).collect();
    rows.join("\n").trim_end().into()
}

#[test]
fn a_line_is_edited_in_place() {
    let mut desk = Desk::new(40);
    desk.begin("> ");
    desk.type_bytes(b"helo\x1b[Dl\x01say \x05!");
    assert_eq!(desk.contents(), "> say hello!");
    assert_eq!(desk.cursor(), (0, 12));
    desk.type_bytes(b"\x17\x17\x19\x19");
    assert_eq!(desk.contents(), "> say say");
    assert_eq!(desk.type_bytes(b"\r"), Entered::Line("say say ".into()));
    assert_eq!(desk.cursor(), (1, 0));
}

#[test]
fn long_lines_wrap_and_come_back() {
    let mut desk = Desk::new(10);
    desk.begin("$ ");
    desk.type_bytes(b"abcdefgh");
    assert_eq!(desk.cursor(), (1, 0), "never in the last column's limbo");
    desk.type_bytes(b"ijklmnopqrst");
    assert_eq!(desk.contents(), "$ abcdefgh\nijklmnopqr\nst");
    desk.type_bytes(b"\x01X");
    assert_eq!(desk.contents(), "$ Xabcdefg\nhijklmnopq\nrst");
    assert_eq!(desk.cursor(), (0, 3));
    desk.type_bytes(b"\x0b");
    assert_eq!(desk.contents(), "$ X");
    desk.type_bytes(b"\x19\r");
    assert_eq!(desk.cursor(), (3, 0));
}

#[test]
fn wide_and_combining_characters_have_their_width() {
    let mut desk = Desk::new(10);
    desk.begin("");
    desk.type_bytes("日本語日本".as_bytes());
    assert_eq!(desk.cursor(), (1, 0));
    desk.type_bytes("x".as_bytes());
    desk.type_bytes(b"\x1b[D\x1b[D\x1b[D");
    assert_eq!(desk.cursor(), (0, 6));
    let mut desk = Desk::new(10);
    desk.begin("");
    desk.type_bytes("123456789日".as_bytes());
    assert_eq!(desk.cursor(), (1, 2));
    desk.type_bytes(b"\x1b[D");
    assert_eq!(desk.cursor(), (1, 0));
    let mut desk = Desk::new(20);
    desk.begin("");
    desk.type_bytes("e\u{301}a".as_bytes());
    desk.type_bytes(b"\x1b[D\x7f");
    assert_eq!((desk.contents().as_str(), desk.cursor()), ("a", (0, 0)));
}

#[test]
fn history_and_search() {
    let mut desk = Desk::new(60);
    for line in ["echo one", "ls", "echo two"] {
        desk.begin("$ ");
        desk.type_bytes(line.as_bytes());
        desk.type_bytes(b"\r");
    }
    desk.begin("$ ");
    desk.type_bytes(b"new\x1b[A\x1b[A");
    assert!(desk.contents().ends_with("$ ls"));
    desk.type_bytes(b"\x1b[B\x1b[B");
    assert!(desk.contents().ends_with("$ new"));
    desk.type_bytes(b"\x12ech");
    assert!(desk.contents().ends_with("(search 'ech'): echo two"));
    desk.type_bytes(b"\x12");
    assert!(desk.contents().ends_with("(search 'ech'): echo one"));
    desk.type_bytes(b"zz");
    assert!(desk.contents().ends_with("(search 'ech'): echo one"), "what finds nothing is not taken");
    assert_eq!(desk.type_bytes(b"\r"), Entered::Line("echo one".into()));
    desk.begin("$ ");
    desk.type_bytes(b"keep\x12two\x07");
    assert!(desk.contents().ends_with("$ keep"));
    assert_eq!(desk.type_bytes(b"\x12two\x05!\r"), Entered::Line("echo two!".into()));
}

#[test]
fn words_are_completed() {
    let mut desk = Desk::new(40);
    desk.begin("$ ");
    desk.type_bytes(b"se\t");
    assert_eq!(desk.contents(), "$ seq");
    desk.type_bytes(b"\t");
    assert_eq!(desk.contents(), "$ seq\nseq       sequence\n$ seq");
    desk.type_bytes(b"u\t|ca\t[b\tx\t");
    assert!(desk.contents().ends_with("\n$ sequence |cat [boot]bin/x"));
    assert_eq!(desk.type_bytes(b"\r"), Entered::Line("sequence |cat [boot]bin/x".into()));
    desk.begin("$ ");
    let line = "cat two\\ words \"three words\" ".into();
    assert_eq!(desk.type_bytes(b"cat tw\t\x7f\t\"three w\t\r"), Entered::Line(line));
}

#[test]
fn what_is_pasted_is_not_carried_out() {
    let mut desk = Desk::new(40);
    desk.begin("$ ");
    let entered = desk.type_bytes(b"\x1b[200~a\tb\rc\x04\x1b[A\x1b[201~");
    assert_eq!(entered, Entered::Nothing);
    assert_eq!(desk.contents(), "$ a^Ib⏎c");
    assert_eq!(desk.type_bytes(b"\r"), Entered::Line("a\tb\nc".into()));
}

#[test]
fn prompts_may_have_colours_and_several_rows() {
    let mut desk = Desk::new(10);
    desk.begin("top\n\x1b[1;32m$\x1b[m ");
    desk.type_bytes(b"12345678");
    assert_eq!(desk.contents(), "top\n$ 12345678");
    assert_eq!(desk.cursor(), (2, 0));
    desk.type_bytes(b"\x15");
    assert_eq!((desk.contents().as_str(), desk.cursor()), ("top\n$", (1, 2)));
}

#[test]
fn clearing_the_screen_keeps_the_line() {
    let mut desk = Desk::new(20);
    desk.begin("$ ");
    desk.type_bytes(b"old\r");
    desk.begin("$ ");
    desk.type_bytes(b"new\x0c");
    assert_eq!((desk.contents().as_str(), desk.cursor()), ("$ new", (0, 5)));
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        6 => prop::sample::select("abc xyzä日本e\u{301}\u{1}".chars().collect::<Vec<_>>()).prop_map(Key::Character),
        4 => prop::sample::select(&[
            Key::Left, Key::Right, Key::Home, Key::End, Key::WordLeft, Key::WordRight, Key::Backspace, Key::Delete,
            Key::Control(b'K'), Key::Control(b'U'), Key::Control(b'W'), Key::Control(b'Y'), Key::PasteBegin,
            Key::PasteEnd, Key::Enter, Key::Tab,
        ][..]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// After any keys the screen shows what a fresh drawing of the same line shows, the cursor at the same place.
    #[test]
    fn the_screen_is_as_if_drawn_anew(keys in prop::collection::vec(key(), 0..60), columns in 4..30u16) {
        let mut desk = Desk::new(columns);
        desk.begin("$> ");
        for key in keys {
            if desk.press(key) != Entered::Nothing {
                desk = Desk::new(columns);
                desk.begin("$> ");
            }
        }
        desk.press(Key::PasteEnd);
        let mut bytes = Screen::new();
        desk.editor.draw(&mut bytes);
        let mut fresh = vt100::Parser::new(ROWS, desk.columns, 0);
        fresh.process(&bytes);
        prop_assert_eq!(desk.contents(), contents(fresh.screen()));
        prop_assert_eq!(desk.cursor(), fresh.screen().cursor_position());
    }
}
