//! The line on the screen: prompt and text from some row on, over as many rows as they need.
//!
//! A terminal that was told to print in its last column keeps the cursor there until the next character. The view
//! never leaves it in that state, and so knows at any time on which of its rows the cursor is. Characters that control
//! something are shown as `^X`, a line's end as `⏎`.

use alloc::vec::Vec;
use core::fmt::Write;

use unicode_width::UnicodeWidthChar;

use crate::line::Line;

/// A place on the screen, from the view's beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Place {
    row: usize,
    column: usize,
}

impl Place {
    /// Behind a character, as it is shown.
    fn past(self, character: char, columns: usize) -> Place {
        let (first, second) = shown(character);
        let place = first.map_or(self, |_| self.past_width(1, columns));
        place.past_width(second.width().unwrap_or(0), columns)
    }

    fn past_width(self, width: usize, columns: usize) -> Place {
        let Place { row, column } = self.fitting(width, columns);
        Place { row, column: column + width }
    }

    /// Where something of that width will be: on the next row if it doesn't fit this one.
    fn fitting(self, width: usize, columns: usize) -> Place {
        if self.column + width > columns { Place { row: self.row + 1, column: 0 } } else { self }
    }

    /// Where a character's first part will be.
    fn of(self, character: char, columns: usize) -> Place {
        let (first, second) = shown(character);
        let width = first.map_or_else(|| second.width().unwrap_or(0), |_| 1);
        self.fitting(width, columns)
    }
}

/// What is on the screen.
#[derive(Clone, Debug)]
pub struct View {
    columns: usize,
    /// The row of the cursor, from the view's first; none while nothing is shown.
    cursor_row: Option<usize>,
}

/// To the beginning of the row, and nothing is left from there on.
pub const CLEAR_FROM_ROW_START: &[u8] = b"\r\x1b[J";

/// Bytes on their way to the screen.
pub type Screen = Vec<u8>;

impl View {
    /// Nothing on a screen of so many columns.
    pub const fn new(columns: usize) -> View {
        View { columns, cursor_row: None }
    }

    /// Whether something is shown.
    pub const fn is_shown(&self) -> bool {
        self.cursor_row.is_some()
    }

    /// The window has another width. What is shown is drawn anew the next time.
    pub fn set_columns(&mut self, columns: usize) {
        self.columns = columns.max(2);
    }

    /// Columns of the screen.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// Takes the view off the screen; the cursor is where it began.
    pub fn hide(&mut self, screen: &mut Screen) {
        if let Some(row) = self.cursor_row.take() {
            move_up(row, screen);
            screen.extend_from_slice(CLEAR_FROM_ROW_START);
        }
    }

    /// Draws everything, in place of what is shown.
    pub fn draw(&mut self, prompt: &str, line: &Line, screen: &mut Screen) {
        self.hide(screen);
        let mut place = self.draw_prompt(prompt, screen);
        let (before, behind) = line.parts();
        for character in before.chars() {
            show(character, screen);
            place = place.past(character, self.columns);
        }
        let cursor = place.of(behind.chars().next().unwrap_or(' '), self.columns);
        for character in behind.chars() {
            show(character, screen);
            place = place.past(character, self.columns);
        }
        if place.column == self.columns {
            screen.extend_from_slice(b"\r\n");
            place = place.fitting(1, self.columns);
        }
        move_up(place.row - cursor.row, screen);
        if (cursor.row, cursor.column) != (place.row, place.column) {
            screen.push(b'\r');
            move_right(cursor.column, screen);
        }
        self.cursor_row = Some(cursor.row);
    }

    /// Draws a character that was just inserted at the line's end, if that needs no more than printing it; else
    /// everything.
    pub fn draw_inserted(&mut self, inserted: char, prompt: &str, line: &Line, screen: &mut Screen) {
        let mut place = self.draw_prompt(prompt, &mut Screen::new());
        let (before, _) = line.parts();
        let old = &before[..before.len() - inserted.len_utf8()];
        for character in old.chars() {
            place = place.past(character, self.columns);
        }
        let begin = place.of(inserted, self.columns);
        let end = place.past(inserted, self.columns);
        let is_simple = line.is_at_end() && begin.row == end.row && end.column < self.columns;
        // The cursor stands where the character goes, unless that begins a row.
        if is_simple && self.cursor_row == Some(begin.row) && inserted.width() != Some(0) {
            show(inserted, screen);
        } else {
            self.draw(prompt, line, screen);
        }
    }

    /// Puts the cursor behind everything and begins a new row: the line is done.
    pub fn finish(&mut self, prompt: &str, line: &Line, screen: &mut Screen) {
        let mut end = line.clone();
        end.end();
        if !line.is_at_end() || !self.is_shown() {
            self.draw(prompt, &end, screen);
        }
        self.cursor_row = None;
        screen.extend_from_slice(b"\r\n");
    }

    /// Escape sequences in a prompt (colours) take no room.
    fn draw_prompt(&self, prompt: &str, screen: &mut Screen) -> Place {
        let mut place = Place::default();
        let mut characters = prompt.chars();
        while let Some(character) = characters.next() {
            match character {
                '\n' => {
                    screen.extend_from_slice(b"\r\n");
                    place = Place { row: place.row + 1, column: 0 };
                }
                '\x1b' => {
                    push(character, screen);
                    for part in characters.by_ref() {
                        push(part, screen);
                        if part.is_ascii_alphabetic() {
                            break;
                        }
                    }
                }
                _ => {
                    show(character, screen);
                    place = place.past(character, self.columns);
                }
            }
        }
        place
    }
}

/// The two characters, or the one, that show a character.
fn shown(character: char) -> (Option<char>, char) {
    match character {
        '\n' => (None, '⏎'),
        '\0'..' ' | '\x7f' => (Some('^'), char::from(character as u8 ^ 0x40)),
        '\u{80}'..'\u{a0}' => (None, char::REPLACEMENT_CHARACTER),
        _ => (None, character),
    }
}

fn show(character: char, screen: &mut Screen) {
    let (first, second) = shown(character);
    if let Some(first) = first {
        push(first, screen);
    }
    push(second, screen);
}

fn push(character: char, screen: &mut Screen) {
    screen.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

fn move_up(rows: usize, screen: &mut Screen) {
    if rows > 0 {
        control(rows, 'A', screen);
    }
}

fn move_right(columns: usize, screen: &mut Screen) {
    if columns > 0 {
        control(columns, 'C', screen);
    }
}

fn control(count: usize, what: char, screen: &mut Screen) {
    let mut text = alloc::string::String::new();
    // Writing to a string does not fail.
    let _ = write!(text, "\x1b[{count}{what}");
    screen.extend_from_slice(text.as_bytes());
}
