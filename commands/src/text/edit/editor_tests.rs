//! Keys, and what becomes of the text and the screen.

use super::*;
use crate::text::edit::keys::Keys;
use alloc::vec;
use proptest::prelude::*;

fn press(editor: &mut Editor, keys: &str) -> Vec<Wish> {
    let keys = Keys::default().take(keys.as_bytes());
    keys.into_iter().map(|key| editor.press(key)).filter(|wish| *wish != Wish::Nothing).collect()
}

#[track_caller]
fn expect(text: &str, keys: &str, becomes: &str) {
    let mut editor = Editor::new(text, "a.rs");
    editor.resize(6, 20);
    press(&mut editor, keys);
    assert_eq!(editor.text(), becomes, "{keys:?}");
}

/// The rows of a screen, without what gives colours and places.
fn rows(editor: &mut Editor) -> Vec<String> {
    let screen = String::from_utf8(editor.screen()).unwrap();
    let mut text = String::new();
    let mut rest = screen.chars();
    while let Some(character) = rest.next() {
        match character {
            '\x1b' => drop(rest.by_ref().find(char::is_ascii_alphabetic)),
            '\r' => {}
            character => text.push(character),
        }
    }
    text.split('\n').map(String::from).collect()
}

#[test]
fn keys_change_the_text() {
    expect("", "hi\rthere", "hi\nthere");
    expect("ab\ncd", "\x1b[B\x7f", "abcd");
    expect("ab\ncd", "\x1b[F\x1b[3~", "abcd");
    expect("", "  a\rb", "  a\n  b");
    expect("1\n2\n3\n", "\x0b\x0b\x1b[B\x15", "3\n1\n2\n");
    expect("x", "\x1b[200~a\n  b\n\x1b[201~", "a\n  b\nx");
    expect("", "one two\x1a", "one ");
    expect("", "one two\x1a\x1a\x19", "one ");
    expect("a b\nb\n", "\x06b\r!\x0e?", "a !b\n?b\n");
    expect("1\n2\n3\n", "\x07\x32\rx", "1\nx2\n3\n");
    expect("äö", "\x1b[C\x7f", "ö");
    expect("long line\nx\nlong line", "\x1b[F\x1b[B\x1b[B!", "long line\nx\nlong line!");
}

#[test]
fn changes_are_not_dropped_unasked() {
    let mut editor = Editor::new("a", "a");
    assert_eq!(press(&mut editor, "\x11"), [Wish::Quit]);
    assert_eq!(press(&mut editor, "b\x11"), []);
    assert!(rows(&mut editor).last().unwrap().starts_with("not saved"));
    assert_eq!(press(&mut editor, "\x1b[C\x11"), [], "another key was between");
    assert_eq!(press(&mut editor, "\x11"), [Wish::Quit]);
    assert_eq!(press(&mut editor, "\x13"), [Wish::Save]);
    editor.note_saved();
    assert_eq!(press(&mut editor, "\x11"), [Wish::Quit]);
}

#[test]
fn the_window_follows_the_cursor() {
    let text: Vec<String> = (1..=30).map(|line| format!("line {line}\tend of it")).collect();
    let mut editor = Editor::new(&text.join("\n"), "a");
    editor.resize(4, 10);
    assert_eq!(rows(&mut editor)[..3], ["line 1  en", "line 2  en", "line 3  en"]);
    press(&mut editor, "\x07\x32\x30\r\x1b[F");
    let shown = rows(&mut editor);
    assert!(shown[2].ends_with("of it"), "{shown:?}");
    assert!(editor.screen().ends_with(b"H\x1b[?25h"));
    press(&mut editor, "\x1b[H\x06none\r");
    assert_eq!(rows(&mut editor)[3], "'none' is");
    let mut editor = Editor::new("a\x1b[2Jb", "t");
    assert_eq!(rows(&mut editor)[..2], ["a?[2Jb", "~"]);
}

proptest! {
    #[test]
    fn the_cursor_is_always_somewhere(
        text in "[aä世\t\n]{0,40}",
        keys in prop::collection::vec(prop::sample::select(vec![
            "a", "ä", "世", "\t", "\r", "\x7f", "\x1b[3~", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[H", "\x1b[F", "\x1b[5~",
            "\x1b[6~", "\x0b", "\x15", "\x1a", "\x19", "\x06a\r", "\x07\x35\r", "\x0e", "\x1b[200~b\nc\x1b[201~",
        ]), 0..60),
        (rows, columns) in (0_usize..9, 0_usize..30),
    ) {
        let mut editor = Editor::new(&text, "x.rs");
        editor.resize(rows, columns);
        for key in keys {
            press(&mut editor, key);
            editor.screen();
        }
        while press(&mut editor, "\x1a").is_empty() && editor.message.is_none() {}
        prop_assert_eq!(editor.text(), text);
    }
}
