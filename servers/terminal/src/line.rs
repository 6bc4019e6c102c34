//! The line being edited: text and a cursor, which is always between two characters.

use alloc::string::String;

use unicode_width::UnicodeWidthChar;

/// Longest line in bytes, its end not counted.
pub const MAX_LINE_BYTES: usize = 4096;

/// Text and cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    text: String,
    /// In bytes.
    cursor: usize,
}

impl Line {
    /// An empty line.
    pub const fn new() -> Line {
        Line { text: String::new(), cursor: 0 }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is before the cursor, and what behind it.
    pub fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.cursor)
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether the cursor is behind everything.
    pub fn is_at_end(&self) -> bool {
        self.cursor == self.text.len()
    }

    /// Puts text in at the cursor, which goes behind it. False if the line would be too long.
    pub fn insert(&mut self, text: &str) -> bool {
        if self.text.len() + text.len() > MAX_LINE_BYTES {
            return false;
        }
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
        true
    }

    /// Replaces everything; the cursor goes to the end.
    pub fn set(&mut self, text: &str) {
        self.text.clear();
        self.cursor = 0;
        self.insert(text);
    }

    /// Takes everything out.
    pub fn take(&mut self) -> String {
        self.cursor = 0;
        core::mem::take(&mut self.text)
    }

    /// Puts the cursor at a place in the text, in bytes.
    pub fn go_to(&mut self, at: usize) {
        if self.text.is_char_boundary(at) {
            self.cursor = at;
        }
    }

    /// One character to the left, with what is written over it.
    pub fn left(&mut self) {
        self.cursor = self.before();
    }

    /// One character to the right, with what is written over it.
    pub fn right(&mut self) {
        self.cursor = self.behind();
    }

    /// To the beginning.
    pub fn home(&mut self) {
        self.cursor = 0;
    }

    /// To the end.
    pub fn end(&mut self) {
        self.cursor = self.text.len();
    }

    /// To the beginning of the word before the cursor.
    pub fn word_left(&mut self) {
        let (before, _) = self.parts();
        let trimmed = before.trim_end_matches(|c: char| !c.is_alphanumeric());
        self.cursor = trimmed.trim_end_matches(char::is_alphanumeric).len();
    }

    /// Behind the word that follows the cursor.
    pub fn word_right(&mut self) {
        let (_, behind) = self.parts();
        let rest = behind.trim_start_matches(|c: char| !c.is_alphanumeric());
        self.cursor = self.text.len() - rest.trim_start_matches(char::is_alphanumeric).len();
    }

    /// Deletes the character before the cursor.
    pub fn backspace(&mut self) -> String {
        let from = self.before();
        self.cut(from, self.cursor)
    }

    /// Deletes the character at the cursor.
    pub fn delete(&mut self) -> String {
        let to = self.behind();
        self.cut(self.cursor, to)
    }

    /// Deletes what is behind the cursor.
    pub fn cut_to_end(&mut self) -> String {
        self.cut(self.cursor, self.text.len())
    }

    /// Deletes what is before the cursor.
    pub fn cut_to_beginning(&mut self) -> String {
        self.cut(0, self.cursor)
    }

    /// Deletes the word before the cursor, up to the blank before it.
    pub fn cut_word(&mut self) -> String {
        let (before, _) = self.parts();
        let from = before.trim_end().trim_end_matches(|c: char| !c.is_whitespace()).len();
        self.cut(from, self.cursor)
    }

    fn cut(&mut self, from: usize, to: usize) -> String {
        self.cursor = from;
        self.text.drain(from..to).collect()
    }

    /// Where the character before the cursor begins.
    fn before(&self) -> usize {
        let (before, _) = self.parts();
        before.char_indices().rev().find(|(_, c)| c.width() != Some(0)).map_or(0, |(at, _)| at)
    }

    /// Where the one at the cursor ends.
    fn behind(&self) -> usize {
        let (_, behind) = self.parts();
        behind
            .char_indices()
            .skip(1)
            .find(|(_, c)| c.width() != Some(0))
            .map_or(self.text.len(), |(at, _)| self.cursor + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(before: &str, behind: &str) -> Line {
        let mut line = Line::new();
        line.insert(before);
        line.insert(behind);
        line.go_to(before.len());
        line
    }

    #[test]
    fn words_and_characters() {
        let mut line = line("ls -l [boot]bin", " | wc");
        line.word_left();
        assert_eq!(line.parts(), ("ls -l [boot]", "bin | wc"));
        line.word_left();
        assert_eq!(line.parts().0, "ls -l [");
        line.word_right();
        assert_eq!(line.parts().0, "ls -l [boot");
        assert_eq!(line.cut_word(), "[boot");
        assert_eq!(line.parts(), ("ls -l ", "]bin | wc"));
        assert_eq!(line.cut_to_beginning(), "ls -l ");
        line.end();
        line.word_right();
        assert_eq!(line.backspace(), "c");
        line.home();
        line.word_left();
        assert_eq!(line.delete(), "]");
        line.right();
        assert_eq!(line.cut_to_end(), "in | w");
        assert_eq!(line.take(), "b");
    }

    #[test]
    fn a_character_is_moved_over_with_its_accent() {
        let mut line = line("ae\u{301}€", "");
        line.left();
        line.left();
        assert_eq!(line.parts(), ("a", "e\u{301}€"));
        line.right();
        assert_eq!(line.backspace(), "e\u{301}");
        assert_eq!(line.delete(), "€");
        assert_eq!(line.delete(), "");
        assert_eq!(line.text(), "a");
        line.left();
        line.left();
        assert_eq!(line.backspace(), "");
    }

    #[test]
    fn lines_are_bounded() {
        let mut line = line(&"x".repeat(MAX_LINE_BYTES), "");
        assert!(!line.insert("y"));
        assert_eq!(line.text().len(), MAX_LINE_BYTES);
    }
}
