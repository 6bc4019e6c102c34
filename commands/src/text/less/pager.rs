//! What a pager shows, and what keys do to it.
//!
//! Lines are read as far as they are needed, and kept. Invariant: `top` is a line that is there, or 0.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;

use abi::Error;
use unicode_width::UnicodeWidthChar as _;
use v::io::BufRead;

use super::keys::Key;
use crate::text::characters::characters;
use crate::text::pattern::Pattern;
use crate::usage::Misuse;

/// Columns from one tabulator to the next.
const TAB_COLUMNS: usize = 8;
/// How far the arrows go to the side.
const SIDE_COLUMNS: usize = 8;
const INVERSE: &str = "\x1b[7m";
const PLAIN: &str = "\x1b[m";
/// To the upper left corner; erases the rest of the line; erases all below.
const HOME: &str = "\x1b[H";
const ERASE_LINE: &str = "\x1b[K";
const HELP: &str = "space/b screen, d/u half, j/k line, g/G ends, /? search, n/N again, arrows, q ends";

/// A text that is shown.
pub struct Pager {
    file: Box<dyn BufRead>,
    title: String,
    has_numbers: bool,
    lines: Vec<Vec<u8>>,
    is_whole: bool,
    error: Option<Error>,
    top: usize,
    left: usize,
    rows: usize,
    columns: usize,
    search: Option<Search>,
    /// Behind `/` or `?`: what was typed so far.
    typed: Option<(char, String)>,
    /// Digits before a command.
    count: String,
    message: String,
}

/// What was looked for last.
struct Search {
    pattern: Pattern,
    is_forward: bool,
}

impl Pager {
    /// At the beginning of a file.
    pub fn new(file: Box<dyn BufRead>, title: &str, has_numbers: bool) -> Pager {
        Pager {
            file,
            title: title.into(),
            has_numbers,
            lines: Vec::new(),
            is_whole: false,
            error: None,
            top: 0,
            left: 0,
            rows: 24,
            columns: 80,
            search: None,
            typed: None,
            count: String::new(),
            message: String::new(),
        }
    }

    /// Tells it the size of its screen.
    pub fn resize(&mut self, rows: usize, columns: usize) {
        (self.rows, self.columns) = (rows.max(2), columns.max(2));
    }

    /// What went wrong with the file.
    pub fn error(&self) -> Option<Error> {
        self.error
    }

    /// Lines on a screen.
    fn page(&self) -> usize {
        self.rows - 1
    }

    /// Reads until there are so many lines; whether there are.
    fn read(&mut self, count: usize) -> bool {
        while !self.is_whole && self.lines.len() < count {
            let mut line = Vec::new();
            match self.file.read_until(b'\n', &mut line) {
                Ok(0) => self.is_whole = true,
                Ok(_) => {
                    line.truncate(crate::context::without_newline(&line).len());
                    self.lines.push(line);
                }
                Err(error) => (self.error, self.is_whole) = (Some(error), true),
            }
        }
        self.lines.len() >= count
    }

    /// Shows from a line on, counted from 0; the last screen is full where there are lines enough.
    pub fn go_to(&mut self, line: usize) {
        let page = self.page();
        self.read(line.saturating_add(page));
        self.top = line.min(self.lines.len().saturating_sub(page));
    }

    /// Does what a key says; false if that is to end.
    pub fn press(&mut self, key: Key) -> bool {
        self.message.clear();
        if self.typed.is_some() {
            self.press_typing(key);
            return true;
        }
        if let Key::Character(digit @ '0'..='9') = key {
            self.count.push(digit);
            self.message = format!(":{}", self.count);
            return true;
        }
        let count: Option<usize> = core::mem::take(&mut self.count).parse().ok();
        let (times, page) = (count.unwrap_or(1), self.page());
        match key {
            Key::Character('q' | 'Q') | Key::Cancel => return false,
            Key::Character('j' | 'e') | Key::Enter | Key::Down => self.go_to(self.top.saturating_add(times)),
            Key::Character('k' | 'y') | Key::Up => self.go_to(self.top.saturating_sub(times)),
            Key::Character(' ' | 'f') | Key::PageDown => {
                self.go_to(self.top.saturating_add(page.saturating_mul(times)));
            }
            Key::Character('b') | Key::PageUp => {
                self.go_to(self.top.saturating_sub(page.saturating_mul(times)));
            }
            Key::Character('d') => self.go_to(self.top + page / 2),
            Key::Character('u') => self.go_to(self.top.saturating_sub(page / 2)),
            Key::Character('g' | '<') | Key::Home => self.go_to(times - times.min(1)),
            Key::Character('G' | '>') | Key::End => {
                self.go_to(count.map_or(usize::MAX, |line| line.saturating_sub(1)));
            }
            Key::Left => self.left = self.left.saturating_sub(SIDE_COLUMNS),
            Key::Right => self.left += SIDE_COLUMNS,
            Key::Character(mark @ ('/' | '?')) => self.typed = Some((mark, String::new())),
            Key::Character('n') => self.search_again(true),
            Key::Character('N') => self.search_again(false),
            Key::Character('h') => self.message = HELP.into(),
            Key::Character(_) | Key::Backspace => {}
        }
        true
    }

    fn press_typing(&mut self, key: Key) {
        let Some((mark, text)) = &mut self.typed else { return };
        match key {
            Key::Character(character) => text.push(character),
            Key::Backspace if text.is_empty() => self.typed = None,
            Key::Backspace => drop(text.pop()),
            Key::Enter => {
                let is_forward = *mark == '/';
                let text = core::mem::take(text);
                self.typed = None;
                self.search_for(&text, is_forward);
            }
            Key::Cancel => self.typed = None,
            _ => {}
        }
    }

    fn search_for(&mut self, text: &str, is_forward: bool) {
        if !text.is_empty() {
            match Pattern::compile(text, false, text) {
                Ok(pattern) => self.search = Some(Search { pattern, is_forward }),
                Err(Misuse(reason)) => {
                    self.message = reason;
                    return;
                }
            }
        } else if let Some(search) = &mut self.search {
            search.is_forward = is_forward;
        }
        self.search_again(true);
    }

    /// Goes to the next line that matches, in the direction of the search or against it.
    fn search_again(&mut self, is_same_way: bool) {
        let Some(mut search) = self.search.take() else {
            self.message = "nothing was looked for yet".into();
            return;
        };
        let mut at = self.top;
        let found = loop {
            if search.is_forward == is_same_way {
                at += 1;
                if !self.read(at + 1) {
                    break None;
                }
            } else if at == 0 {
                break None;
            } else {
                at -= 1;
            }
            if search.pattern.matches(&self.lines[at]) {
                break Some(at);
            }
        };
        self.search = Some(search);
        match found {
            // It stands at the top, even if the screen is not full then.
            Some(at) => {
                self.read(at + self.page());
                self.top = at;
            }
            None => self.message = "not found".into(),
        }
    }

    /// What the terminal is to be told for the screen to show what it shall.
    pub fn screen(&mut self) -> Vec<u8> {
        let page = self.page();
        self.read(self.top + page + 1);
        let mut text = String::from(HOME);
        for row in 0..page {
            let at = self.top + row;
            match self.lines.get(at) {
                None => text.push('~'),
                Some(line) => {
                    let found = match &mut self.search {
                        Some(search) => ranges(&mut search.pattern, line),
                        None => Vec::new(),
                    };
                    let number = if self.has_numbers { format!("{:>7} ", at + 1) } else { String::new() };
                    text += &number;
                    let columns = self.columns.saturating_sub(number.len());
                    show(line, &found, self.left..self.left + columns, &mut text);
                }
            }
            text += ERASE_LINE;
            text += "\r\n";
        }
        let status = self.status();
        let end = status.char_indices().nth(self.columns - 1).map_or(status.len(), |(at, _)| at);
        match &self.typed {
            Some(_) => text += &status[..end],
            None => text += &[INVERSE, &status[..end], PLAIN].concat(),
        }
        text += ERASE_LINE;
        text.into_bytes()
    }

    fn status(&self) -> String {
        if let Some((mark, typed)) = &self.typed {
            return format!("{mark}{typed}");
        }
        if !self.message.is_empty() {
            return self.message.clone();
        }
        let last = (self.top + self.page()).min(self.lines.len());
        let of = if self.is_whole { format!(" of {}", self.lines.len()) } else { String::new() };
        let end = if self.is_whole && last == self.lines.len() { " (end)" } else { "" };
        let first = if last == 0 { 0 } else { self.top + 1 };
        format!("{} {first}-{last}{of}{end}", self.title)
    }
}

/// Where a pattern matches in a line.
fn ranges(pattern: &mut Pattern, line: &[u8]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    while let Some(range) = pattern.find_from(line, from) {
        from = if range.is_empty() { range.end + 1 } else { range.end };
        found.push(range);
        if from > line.len() {
            break;
        }
    }
    found
}

/// The columns `shown` of a line, what was found in inverse. Control characters are shown as ^A, other bytes as <ff>.
fn show(line: &[u8], found: &[Range<usize>], shown: Range<usize>, text: &mut String) {
    let (mut column, mut offset, mut is_inverse) = (0, 0, false);
    for bytes in characters(line) {
        let character = core::str::from_utf8(bytes).ok().and_then(|text| text.chars().next());
        let (piece, width) = match character {
            Some('\t') => {
                let width = TAB_COLUMNS - column % TAB_COLUMNS;
                (" ".repeat(width), width)
            }
            Some(control @ ('\0'..=' ' | '\u{7f}')) if control != ' ' => {
                (format!("^{}", char::from(control as u8 ^ 0x40)), 2)
            }
            Some(character) => match character.width() {
                Some(width) => (character.to_string(), width),
                None => (character.escape_unicode().to_string(), character.escape_unicode().count()),
            },
            None => (format!("<{:02x}>", bytes[0]), 4),
        };
        let is_match = found.iter().any(|range| range.contains(&offset));
        offset += bytes.len();
        if column + width > shown.end {
            break;
        }
        if column >= shown.start {
            if is_match != is_inverse {
                *text += if is_match { INVERSE } else { PLAIN };
                is_inverse = is_match;
            }
            *text += &piece;
        }
        column += width;
    }
    if is_inverse {
        *text += PLAIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use v::io::{BufReader, Cursor};

    fn pager(text: &str) -> Pager {
        let file = Box::new(BufReader::new(Cursor::new(text.as_bytes().to_vec())));
        let mut pager = Pager::new(file, "t", false);
        pager.resize(5, 20);
        pager
    }

    /// The screen's rows without what moves and erases.
    fn rows(pager: &mut Pager) -> Vec<String> {
        let text = String::from_utf8(pager.screen()).unwrap();
        let text = text.replace(HOME, "").replace(ERASE_LINE, "").replace(INVERSE, "<").replace(PLAIN, ">");
        text.split("\r\n").map(String::from).collect()
    }

    fn type_keys(pager: &mut Pager, text: &str) {
        for character in text.chars() {
            let key = if character == '\r' { Key::Enter } else { Key::Character(character) };
            assert!(pager.press(key));
        }
    }

    #[test]
    fn keys_move_through_the_text() {
        let lines: Vec<String> = (1..=20).map(|number| format!("line {number}\n")).collect();
        let text = lines.concat();
        let mut pager = pager(&text);
        assert_eq!(rows(&mut pager), ["line 1", "line 2", "line 3", "line 4", "<t 1-4>"]);
        assert_eq!(pager.lines.len(), 5, "no more is read than is shown");
        for (keys, first, status) in [
            (" ", "line 5", "<t 5-8>"),
            ("j", "line 6", "<t 6-9>"),
            ("3k", "line 3", "<t 3-6>"),
            ("G", "line 17", "<t 17-20 of 20 (end)>"),
            ("j", "line 17", "<t 17-20 of 20 (end)>"),
            ("b", "line 13", "<t 13-16 of 20>"),
            ("g", "line 1", "<t 1-4 of 20>"),
            ("7g", "line 7", "<t 7-10 of 20>"),
            ("du", "line 7", "<t 7-10 of 20>"),
        ] {
            type_keys(&mut pager, keys);
            let rows = rows(&mut pager);
            let shown: String = rows[4].chars().take(22).collect();
            let wanted: String = status.chars().take(20).collect();
            assert_eq!((&*rows[0], shown.starts_with(&wanted)), (first, true), "{keys}: {rows:?}");
        }
        assert!(!pager.press(Key::Character('q')));
    }

    #[test]
    fn patterns_are_looked_for() {
        let mut pager = pager("a1\nb\na2\nb\na3\nb\nb\nb\n");
        type_keys(&mut pager, "/a[0-9]\r");
        assert_eq!(rows(&mut pager)[0], "<a2>");
        type_keys(&mut pager, "n");
        assert_eq!(rows(&mut pager)[0], "<a3>");
        type_keys(&mut pager, "n");
        assert_eq!(rows(&mut pager)[4], "<not found>");
        type_keys(&mut pager, "NN");
        assert_eq!(rows(&mut pager)[0], "<a1>");
        type_keys(&mut pager, "/(\r");
        assert!(rows(&mut pager)[4].starts_with("<bad pattern"));
        type_keys(&mut pager, "/x");
        assert_eq!(rows(&mut pager)[4], "/x");
        pager.press(Key::Backspace);
        pager.press(Key::Backspace);
        assert_eq!(rows(&mut pager)[4], "<t 1-4 of 8>");
        type_keys(&mut pager, "G?a\r");
        assert_eq!(rows(&mut pager)[0], "<a>2");
    }

    #[test]
    fn every_byte_has_a_place() {
        let shown = |line: &[u8], columns: Range<usize>| {
            let mut text = String::new();
            show(line, &[], columns, &mut text);
            text
        };
        assert_eq!(shown(b"a\tb\x01\xff\xc3\xa4", 0..40), "a       b^A<ff>ä");
        assert_eq!(shown("日本".as_bytes(), 0..3), "日");
        assert_eq!(shown(b"0123456789", 4..7), "456");
        assert_eq!(rows(&mut pager("")), ["~", "~", "~", "~", "<t 0-0 of 0 (end)>"]);
    }
}
