//! What an editor shows and what its keys do, without a terminal or a file.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use unicode_width::UnicodeWidthChar;

use super::buffer::{Buffer, Place};
use super::colour::{self, Kind, Language};
use super::keys::Key;

/// Columns between tabulators.
const TAB: usize = 8;
/// What the last row says when there is nothing else to say.
const HELP: &str = "^S save  ^Q quit  ^Z undo  ^Y redo  ^F find  ^N again  ^G line  ^K cut  ^U put";

/// What is to be done after a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Nothing more.
    Nothing,
    /// Save the text.
    Save,
    /// End.
    Quit,
}

/// What the last row asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Question {
    Find,
    Line,
}

/// An editor.
#[derive(Debug)]
pub struct Editor {
    buffer: Buffer,
    title: String,
    language: Option<&'static Language>,
    cursor: Place,
    /// The column that the cursor wants to be in, where lines are long enough.
    wanted: Option<usize>,
    /// The first row and column that are shown.
    top: usize,
    left: usize,
    rows: usize,
    columns: usize,
    message: Option<String>,
    question: Option<(Question, String)>,
    /// What was looked for last.
    sought: String,
    /// Lines that were cut.
    cut: String,
    /// The last key cut a line, so that the next adds to it.
    was_cut: bool,
    /// The user was told that the text is not saved.
    was_warned: bool,
}

impl Editor {
    /// Of a text with a name.
    pub fn new(text: &str, title: &str) -> Editor {
        Editor {
            buffer: Buffer::new(text),
            title: title.to_string(),
            language: colour::language(title),
            cursor: Place::default(),
            wanted: None,
            top: 0,
            left: 0,
            rows: 24,
            columns: 80,
            message: None,
            question: None,
            sought: String::new(),
            cut: String::new(),
            was_cut: false,
            was_warned: false,
        }
    }

    /// The text.
    pub fn text(&self) -> String {
        self.buffer.text()
    }

    /// The text has been saved.
    pub fn note_saved(&mut self) {
        self.buffer.note_saved();
        self.say(format!("saved: {} lines", self.text().lines().count()));
    }

    /// Says something in the last row, until the next key.
    pub fn say(&mut self, text: String) {
        self.message = Some(text);
    }

    /// The window's size.
    pub fn resize(&mut self, rows: usize, columns: usize) {
        (self.rows, self.columns) = (rows.max(2), columns.max(2));
    }

    /// Does what a key is for.
    pub fn press(&mut self, key: Key) -> Wish {
        self.message = None;
        if let Some((question, answer)) = self.question.take() {
            self.answer(question, answer, &key);
            return Wish::Nothing;
        }
        let was_cut = core::mem::take(&mut self.was_cut);
        let was_warned = core::mem::take(&mut self.was_warned);
        if !matches!(key, Key::Character(_)) {
            self.buffer.end_group();
        }
        match key {
            Key::Character(character) => {
                let mut text = [0; 4];
                self.insert(character.encode_utf8(&mut text));
                // A word at a time is undone.
                if character.is_whitespace() {
                    self.buffer.end_group();
                }
            }
            Key::Paste(text) => self.insert(&text),
            Key::Enter => self.new_line(),
            Key::Backspace => self.delete(self.buffer.before(self.cursor), self.cursor),
            Key::Delete => self.delete(self.cursor, self.buffer.behind(self.cursor)),
            Key::Control('k') => self.cut_line(was_cut),
            Key::Control('u') => self.insert(&self.cut.clone()),
            Key::Control('z') => match self.buffer.undo() {
                Some(place) => self.go_to(place),
                None => self.say("there is nothing to undo".into()),
            },
            Key::Control('y') => match self.buffer.redo() {
                Some(place) => self.go_to(place),
                None => self.say("there is nothing to do again".into()),
            },
            Key::Control('f') => self.question = Some((Question::Find, String::new())),
            Key::Control('n') => self.find(),
            Key::Control('g') => self.question = Some((Question::Line, String::new())),
            Key::Control('s') => return Wish::Save,
            Key::Control('q') if !self.buffer.is_changed() || was_warned => return Wish::Quit,
            Key::Control('q') => {
                self.was_warned = true;
                self.say("not saved: ^S saves, ^Q once more drops the changes".into());
            }
            key => self.move_by(&key),
        }
        Wish::Nothing
    }

    fn insert(&mut self, text: &str) {
        let end = self.buffer.insert(self.cursor, text);
        self.go_to(end);
    }

    /// A new line begins under the beginning of the one before.
    fn new_line(&mut self) {
        let line = &self.buffer.line(self.cursor.line)[..self.cursor.byte];
        let indent: String = line.chars().take_while(|character| matches!(character, ' ' | '\t')).collect();
        self.insert(&format!("\n{indent}"));
    }

    fn delete(&mut self, from: Place, to: Place) {
        if from != to {
            self.buffer.delete(from, to);
            self.go_to(from);
        }
    }

    fn cut_line(&mut self, adds: bool) {
        let from = Place { line: self.cursor.line, byte: 0 };
        let is_last = from.line + 1 == self.buffer.lines().len();
        let end = Place { line: from.line, byte: self.buffer.line(from.line).len() };
        let to = if is_last { end } else { self.buffer.behind(end) };
        if from == to {
            return;
        }
        let text = self.buffer.delete(from, to);
        if !adds {
            self.cut.clear();
        }
        self.cut += &text;
        self.was_cut = true;
        self.go_to(from);
    }

    fn go_to(&mut self, place: Place) {
        self.cursor = self.buffer.nearest(place);
        self.wanted = None;
    }

    fn move_by(&mut self, key: &Key) {
        let Place { line, .. } = self.cursor;
        let page = self.rows - 1;
        match key {
            Key::Left => self.go_to(self.buffer.before(self.cursor)),
            Key::Right => self.go_to(self.buffer.behind(self.cursor)),
            Key::Home | Key::Control('a') => self.go_to(Place { line, byte: 0 }),
            Key::End | Key::Control('e') => self.go_to(Place { line, byte: usize::MAX }),
            Key::Up => self.go_to_line(line.saturating_sub(1)),
            Key::Down => self.go_to_line(line + 1),
            Key::PageUp => self.go_to_line(line.saturating_sub(page)),
            Key::PageDown => self.go_to_line(line + page),
            _ => self.say(HELP.into()),
        }
    }

    /// To a line, in the column that the cursor came from.
    fn go_to_line(&mut self, line: usize) {
        let wanted = self.wanted.unwrap_or_else(|| self.column());
        let line = line.min(self.buffer.lines().len() - 1);
        let mut column = 0;
        let text = self.buffer.line(line);
        let fits = text.char_indices().find(|(_, character)| {
            column += width(*character, column);
            column > wanted
        });
        self.cursor = Place { line, byte: fits.map_or(text.len(), |(byte, _)| byte) };
        self.wanted = Some(wanted);
    }

    /// The cursor's column in its line.
    fn column(&self) -> usize {
        let before = &self.buffer.line(self.cursor.line)[..self.cursor.byte];
        before.chars().fold(0, |column, character| column + width(character, column))
    }

    fn answer(&mut self, question: Question, mut answer: String, key: &Key) {
        match key {
            Key::Character(character) => answer.push(*character),
            Key::Paste(text) => answer += text.lines().next().unwrap_or_default(),
            Key::Backspace => drop(answer.pop()),
            Key::Enter if question == Question::Find => {
                if !answer.is_empty() {
                    self.sought = answer;
                }
                return self.find();
            }
            Key::Enter => {
                return match answer.trim().parse::<usize>() {
                    Ok(line) => self.go_to(Place { line: line.saturating_sub(1), byte: 0 }),
                    Err(_) => self.say(format!("'{answer}' is no line's number")),
                };
            }
            Key::Escape | Key::Control(_) => return,
            _ => {}
        }
        self.question = Some((question, answer));
    }

    fn find(&mut self) {
        match self.buffer.find(&self.sought, self.cursor).filter(|_| !self.sought.is_empty()) {
            Some(place) => self.go_to(place),
            None => self.say(format!("'{}' is not there", self.sought)),
        }
    }

    /// What is to be written to the terminal to show it.
    pub fn screen(&mut self) -> Vec<u8> {
        let height = self.rows - 1;
        let column = self.column();
        self.top = self.top.clamp((self.cursor.line + 1).saturating_sub(height), self.cursor.line);
        if column < self.left || column + 2 > self.left + self.columns {
            self.left = column.saturating_sub(self.columns / 2);
        }
        let mut screen = String::from("\x1b[?25l\x1b[H\x1b[m");
        for row in 0..height {
            match self.buffer.lines().get(self.top + row) {
                Some(line) => self.append_line(line, &mut screen),
                None => screen.push('~'),
            }
            screen += "\x1b[m\x1b[K\r\n";
        }
        let row = self.cursor.line - self.top;
        let (last, mut place) = match (&self.question, &self.message) {
            (Some((question, answer)), _) => {
                let asked = if *question == Question::Find { "find: " } else { "line: " };
                (format!("{asked}{answer}"), Some(asked.len() + columns(answer)))
            }
            (None, Some(message)) => (message.clone(), None),
            (None, None) => {
                let changed = if self.buffer.is_changed() { " *" } else { "" };
                let line = self.cursor.line + 1;
                (format!("{}{changed}  {line}:{}  {HELP}", self.title, column + 1), None)
            }
        };
        screen += "\x1b[7m";
        let mut used = 0;
        for character in last.chars() {
            used += width(character, used);
            if used >= self.columns {
                break;
            }
            screen.push(if character.is_control() { '?' } else { character });
        }
        screen += "\x1b[m\x1b[K";
        let (row, column) = match place.take() {
            Some(column) => (height, column.min(self.columns - 1)),
            None => (row, column - self.left),
        };
        // A string takes all that is written.
        let _ = write!(screen, "\x1b[{};{}H\x1b[?25h", row + 1, column + 1);
        screen.into_bytes()
    }

    /// What of a line is within the window, in its colours.
    fn append_line(&self, line: &str, screen: &mut String) {
        let characters: Vec<char> = line.chars().collect();
        let kinds = colour::kinds(&characters, self.language);
        let mut column = 0;
        let mut last = Kind::Plain;
        for (character, kind) in characters.into_iter().zip(kinds) {
            let end = column + width(character, column);
            if column >= self.left && end <= self.left + self.columns {
                if kind != last {
                    *screen += kind.sequence();
                    last = kind;
                }
                match character {
                    '\t' => screen.extend(core::iter::repeat_n(' ', end - column)),
                    character if character.is_control() => screen.push('?'),
                    character => screen.push(character),
                }
            } else if end > self.left && column < self.left + self.columns {
                // Half of it is outside.
                let shown = end.min(self.left + self.columns) - column.max(self.left);
                screen.extend(core::iter::repeat_n(' ', shown));
            }
            column = end;
        }
    }
}

/// Columns that a character takes in a column.
fn width(character: char, column: usize) -> usize {
    match character {
        '\t' => TAB - column % TAB,
        character => character.width().unwrap_or(1),
    }
}

fn columns(text: &str) -> usize {
    text.chars().fold(0, |column, character| column + width(character, column))
}

#[cfg(test)]
#[path = "editor_tests.rs"]
mod tests;
