//! What each key does to the line, the history and the screen.
//!
//! With a prompt, the line is one of many of the same kind: it has a history, a search in it, and completion. Without
//! one, a program reads lines of text: a tabulator is a character then, and nothing is remembered.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use unicode_width::UnicodeWidthStr;

use crate::history::History;
use crate::keys::Key;
use crate::line::Line;
use crate::view::{Screen, View};

/// What a key has led to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entered {
    /// Nothing yet.
    Nothing,
    /// This line, without its end.
    Line(String),
    /// ^D behind text that was typed without a prompt: the text, as it is.
    Part(String),
    /// ^D on an empty line.
    End,
    /// ^C.
    Interrupt,
    /// Tab behind a word.
    Complete {
        /// The line up to the end of the word.
        line: String,
        /// Where the word begins, in bytes.
        word: usize,
    },
}

/// How lines are edited.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Manner {
    /// What is typed is not shown.
    pub is_hidden: bool,
    /// Lines are not remembered.
    pub is_forgetful: bool,
}

/// A search through the history.
#[derive(Clone, Debug)]
struct Search {
    text: String,
    /// How many newer matches were passed over.
    skip: usize,
    /// The line as it was before.
    before: String,
}

/// The editor.
#[derive(Debug)]
pub struct Editor {
    line: Line,
    history: History,
    view: View,
    /// What is shown before the line; none for a reader that gave none.
    prompt: Option<String>,
    search: Option<Search>,
    /// What was deleted last by ^K, ^U or ^W.
    cut: String,
    is_pasting: bool,
    manner: Manner,
}

/// Rings the bell.
pub const BELL: u8 = 7;
/// More candidates than this are not shown.
const MAX_SHOWN: usize = 200;

impl Editor {
    /// An editor with nothing on a screen of so many columns.
    pub fn new(columns: usize) -> Editor {
        Editor {
            line: Line::new(),
            history: History::new(),
            view: View::new(columns),
            prompt: None,
            search: None,
            cut: String::new(),
            is_pasting: false,
            manner: Manner::default(),
        }
    }

    /// Whether a line is on the screen.
    pub const fn is_active(&self) -> bool {
        self.view.is_shown()
    }

    /// Whether any line is remembered.
    pub fn has_history(&self) -> bool {
        !self.history.is_empty()
    }

    /// Remembers a line that was not entered here.
    pub fn remember(&mut self, line: &str) {
        self.history.add(line);
    }

    /// Begins a line, or goes on with the one that was begun.
    pub fn begin(&mut self, prompt: Option<String>, manner: Manner, screen: &mut Screen) {
        if prompt.is_some() || !self.is_active() {
            self.prompt = prompt;
        }
        self.manner = manner;
        self.draw(screen);
    }

    /// Takes the line off the screen, so that something else can be written there.
    pub fn hide(&mut self, screen: &mut Screen) {
        self.view.hide(screen);
    }

    /// Draws the line anew.
    pub fn draw(&mut self, screen: &mut Screen) {
        let (prompt, line) = (self.shown_prompt(), self.shown_line());
        self.view.draw(&prompt, &line, screen);
    }

    /// Ends the line without an answer; what was typed of it is dropped. `mark` is left on the screen.
    pub fn abandon(&mut self, mark: &str, screen: &mut Screen) {
        self.search = None;
        self.is_pasting = false;
        if self.is_active() {
            self.line.end();
            self.draw(screen);
            screen.extend_from_slice(mark.as_bytes());
            screen.extend_from_slice(b"\r\n");
            self.view = View::new(self.view.columns());
        }
        self.line.take();
        self.history.stop();
        self.prompt = None;
    }

    /// The window has another width.
    pub fn set_columns(&mut self, columns: usize, screen: &mut Screen) {
        if columns == self.view.columns() {
            return;
        }
        let was_active = self.is_active();
        self.view.hide(screen);
        self.view.set_columns(columns);
        if was_active {
            self.draw(screen);
        }
    }

    /// Does what a key does.
    pub fn key(&mut self, key: Key, screen: &mut Screen) -> Entered {
        if self.is_pasting {
            return self.pasted(key, screen);
        }
        if self.search.is_some() && self.search_key(key, screen) {
            return Entered::Nothing;
        }
        match key {
            Key::Enter | Key::Control(b'J') => return self.enter(screen),
            Key::Control(b'C') => return Entered::Interrupt,
            Key::Control(b'D') if self.prompt.is_none() && self.line.is_at_end() && !self.line.is_empty() => {
                return match self.enter(screen) {
                    Entered::Line(line) => Entered::Part(line),
                    other => other,
                };
            }
            Key::Control(b'D') if self.line.is_empty() => {
                self.view.hide(screen);
                self.prompt = None;
                return Entered::End;
            }
            Key::Character(character) => {
                self.insert(character, screen);
                return Entered::Nothing;
            }
            Key::Tab if self.prompt.is_some() => {
                let (before, _) = self.line.parts();
                return Entered::Complete { line: before.into(), word: word_begin(before).0 };
            }
            Key::Tab => {
                self.insert('\t', screen);
                return Entered::Nothing;
            }
            Key::PasteBegin => self.is_pasting = true,
            Key::Control(b'R') if self.prompt.is_some() => {
                self.search = Some(Search { text: String::new(), skip: 0, before: self.line.text().into() });
            }
            Key::Control(b'L') => {
                self.view = View::new(self.view.columns());
                screen.extend_from_slice(b"\x1b[H\x1b[2J");
            }
            Key::Up | Key::Control(b'P') if self.prompt.is_some() => {
                match self.history.previous(self.line.text()) {
                    Some(line) => self.line.set(line),
                    None => screen.push(BELL),
                }
            }
            Key::Down | Key::Control(b'N') if self.prompt.is_some() => match self.history.following() {
                Some(line) => self.line.set(line),
                None => screen.push(BELL),
            },
            _ if self.edit(key) => {}
            _ => return Entered::Nothing,
        }
        self.draw(screen);
        Entered::Nothing
    }

    /// The keys that change the line or the cursor and nothing else; whether it is one of them.
    fn edit(&mut self, key: Key) -> bool {
        let line = &mut self.line;
        match key {
            Key::Left | Key::Control(b'B') => line.left(),
            Key::Right | Key::Control(b'F') => line.right(),
            Key::WordLeft => line.word_left(),
            Key::WordRight => line.word_right(),
            Key::Home | Key::Control(b'A') => line.home(),
            Key::End | Key::Control(b'E') => line.end(),
            Key::Backspace => drop(line.backspace()),
            Key::Delete | Key::Control(b'D') => drop(line.delete()),
            Key::Control(b'K') => self.cut = line.cut_to_end(),
            Key::Control(b'U') => self.cut = line.cut_to_beginning(),
            Key::Control(b'W') => self.cut = line.cut_word(),
            Key::Control(b'Y') => drop(line.insert(&self.cut)),
            _ => return false,
        }
        true
    }

    fn insert(&mut self, character: char, screen: &mut Screen) {
        if !self.line.insert(character.encode_utf8(&mut [0; 4])) {
            screen.push(BELL);
        } else if !self.manner.is_hidden {
            let prompt = self.shown_prompt();
            self.view.draw_inserted(character, &prompt, &self.line, screen);
        }
    }

    fn enter(&mut self, screen: &mut Screen) -> Entered {
        self.search = None;
        let (prompt, line) = (self.shown_prompt(), self.shown_line());
        self.view.finish(&prompt, &line, screen);
        let line = self.line.take();
        if self.prompt.take().is_some() && !self.manner.is_hidden && !self.manner.is_forgetful {
            self.history.add(&line);
        }
        self.history.stop();
        Entered::Line(line)
    }

    /// What is pasted is text, line ends included: nothing is carried out until the return key is pressed. It is
    /// drawn when it is complete.
    fn pasted(&mut self, key: Key, screen: &mut Screen) -> Entered {
        let inserted = match key {
            Key::PasteEnd => {
                self.is_pasting = false;
                self.draw(screen);
                return Entered::Nothing;
            }
            Key::Control(b'C') => return Entered::Interrupt,
            Key::Character(character) => self.line.insert(character.encode_utf8(&mut [0; 4])),
            Key::Enter => self.line.insert("\n"),
            Key::Tab => self.line.insert("\t"),
            _ => true,
        };
        if !inserted {
            screen.push(BELL);
        }
        Entered::Nothing
    }

    /// A key while searching; whether that was all. Other keys take the line that was found and do what they do.
    fn search_key(&mut self, key: Key, screen: &mut Screen) -> bool {
        let Some(search) = &mut self.search else {
            return false;
        };
        let before = (search.text.clone(), search.skip);
        match key {
            Key::Character(character) => search.text.push(character),
            Key::Backspace => {
                search.text.pop();
                search.skip = 0;
            }
            Key::Control(b'R') => search.skip += 1,
            Key::Control(b'G') => {
                self.line.set(&search.before);
                self.search = None;
                self.draw(screen);
                return true;
            }
            _ => {
                self.search = None;
                return false;
            }
        }
        match self.history.find(&search.text, search.skip) {
            Some((line, at)) => {
                self.line.set(line);
                self.line.go_to(at);
            }
            None if search.text.is_empty() => self.line.set(&search.before),
            None => {
                (search.text, search.skip) = before;
                screen.push(BELL);
            }
        }
        self.draw(screen);
        true
    }

    /// The word before the cursor.
    fn word(&self) -> &str {
        let (before, _) = self.line.parts();
        &before[word_begin(before).0..]
    }

    /// Completes the word before the cursor as far as all candidates agree; if they don't, shows them.
    pub fn complete(&mut self, mut words: Vec<String>, screen: &mut Screen) {
        words.sort_unstable();
        words.dedup();
        let word = self.word();
        let candidates: Vec<&str> =
            words.iter().map(String::as_str).filter(|candidate| candidate.starts_with(word)).collect();
        let Some((first, others)) = candidates.split_first() else {
            screen.push(BELL);
            return;
        };
        let agreed = others.iter().fold(*first, |agreed, other| common_beginning(agreed, other));
        let rest = &agreed[word.len()..];
        if others.is_empty() {
            let end = if first.ends_with(['/', ']']) { "" } else { " " };
            let quote = word_begin(self.line.parts().0).1.filter(|_| !end.is_empty());
            let rest = [rest, quote.map_or("", |quote| if quote == '"' { "\"" } else { "'" }), end].concat();
            self.line.insert(&rest);
        } else if !rest.is_empty() {
            let rest = String::from(rest);
            self.line.insert(&rest);
        } else {
            let list = in_columns(&candidates, self.view.columns());
            let (prompt, line) = (self.shown_prompt(), self.shown_line());
            self.view.finish(&prompt, &line, screen);
            screen.extend_from_slice(list.as_bytes());
        }
        self.draw(screen);
    }

    fn shown_prompt(&self) -> String {
        match &self.search {
            Some(search) => alloc::format!("(search '{}'): ", search.text),
            None => self.prompt.clone().unwrap_or_default(),
        }
    }

    fn shown_line(&self) -> Line {
        if self.manner.is_hidden { Line::new() } else { self.line.clone() }
    }
}

/// Where the last word of a line begins: behind the last character that separates words, or behind the quote that is open;
/// and that quote.
fn word_begin(line: &str) -> (usize, Option<char>) {
    let (mut begin, mut quote, mut is_escaped) = (0, None, false);
    for (at, character) in line.char_indices() {
        let is_separator = match quote {
            _ if is_escaped => false,
            Some(open) => character == open,
            None => character.is_whitespace() || "|&;<>()$`\"'=".contains(character),
        };
        if is_separator {
            begin = at + character.len_utf8();
            quote = matches!(character, '"' | '\'').then_some(character).filter(|_| quote.is_none());
        }
        is_escaped = character == '\\' && !is_escaped && quote != Some('\'');
    }
    (begin, quote)
}

fn common_beginning<'a>(one: &'a str, other: &str) -> &'a str {
    let differs = one.char_indices().zip(other.chars()).find(|((_, left), right)| left != right);
    let end = differs.map_or(one.len().min(other.len()), |((at, _), _)| at);
    &one[..end]
}

/// A list of words in columns, each row ended.
fn in_columns(words: &[&str], columns: usize) -> String {
    let shown = &words[..words.len().min(MAX_SHOWN)];
    let widest = shown.iter().map(|word| word.width()).max().unwrap_or(0) + 2;
    let across = (columns / widest).max(1);
    let rows = shown.len().div_ceil(across);
    let mut text = String::new();
    for row in 0..rows {
        for (position, word) in shown.iter().skip(row).step_by(rows).enumerate() {
            if position > 0 {
                text.push_str("  ");
            }
            text.push_str(word);
            if row + (position + 1) * rows < shown.len() {
                text.extend(core::iter::repeat_n(' ', widest - 2 - word.width()));
            }
        }
        text.push_str("\r\n");
    }
    if shown.len() < words.len() {
        // Writing to a string does not fail.
        let _ = write!(text, "and {} more\r\n", words.len() - shown.len());
    }
    text
}
