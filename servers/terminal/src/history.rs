//! The lines that were entered, the newest last.

use alloc::collections::VecDeque;
use alloc::string::String;

/// Most lines that are remembered.
pub const MAX_LINES: usize = 500;

/// Lines, and where in them someone is looking.
#[derive(Clone, Debug, Default)]
pub struct History {
    lines: VecDeque<String>,
    /// The line that is looked at; none while a new one is being written.
    at: Option<usize>,
    /// The new line, as it was when looking began.
    new_line: String,
}

impl History {
    /// Nothing.
    pub fn new() -> History {
        History::default()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Remembers a line, unless it is blank or the same as the last. Looking ends.
    pub fn add(&mut self, line: &str) {
        self.stop();
        if line.trim().is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() >= MAX_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.into());
    }

    /// The line before the one that is looked at; `current` is what is on the screen.
    pub fn previous(&mut self, current: &str) -> Option<&str> {
        let at = if let Some(at) = self.at {
            at.checked_sub(1)?
        } else {
            self.new_line = current.into();
            self.lines.len().checked_sub(1)?
        };
        self.at = Some(at);
        self.lines.get(at).map(String::as_str)
    }

    /// The line after it; behind the last comes the new one.
    pub fn following(&mut self) -> Option<&str> {
        let at = self.at? + 1;
        if at < self.lines.len() {
            self.at = Some(at);
            return self.lines.get(at).map(String::as_str);
        }
        self.at = None;
        Some(&self.new_line)
    }

    /// Looking ends.
    pub fn stop(&mut self) {
        self.at = None;
        self.new_line.clear();
    }

    /// The newest line with `text` in it, older than the `skip` newest that have it; and where it is in the line.
    pub fn find(&self, text: &str, skip: usize) -> Option<(&str, usize)> {
        if text.is_empty() {
            return None;
        }
        self.lines.iter().rev().filter_map(|line| line.find(text).map(|at| (line.as_str(), at))).nth(skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_goes_both_ways_and_keeps_the_new_line() {
        let mut history = History::new();
        for line in ["one", "two", "two", "  ", "three"] {
            history.add(line);
        }
        assert_eq!(history.previous("ne"), Some("three"));
        assert_eq!(history.previous("three"), Some("two"));
        assert_eq!(history.previous("two"), Some("one"));
        assert_eq!(history.previous("one"), None);
        assert_eq!(history.following(), Some("two"));
        assert_eq!(history.following(), Some("three"));
        assert_eq!(history.following(), Some("ne"));
        assert_eq!(history.following(), None);
        assert_eq!(history.find("e", 0), Some(("three", 3)));
        assert_eq!(history.find("e", 1), Some(("one", 2)));
        assert_eq!(history.find("e", 2), None);
        assert_eq!(History::new().previous("x"), None);
    }

    #[test]
    fn it_is_bounded() {
        let mut history = History::new();
        for number in 0..=MAX_LINES {
            history.add(&alloc::format!("{number}."));
        }
        assert_eq!(history.lines.len(), MAX_LINES);
        assert_eq!(history.find("0.", MAX_LINES / 10), None);
    }
}
