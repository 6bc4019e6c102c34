//! A text that is being edited, and how it came to be what it is: every change can be undone, and done again.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// A place in a text: a line, and a byte of it that begins a character or is its end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Place {
    /// From 0 on.
    pub line: usize,
    /// From 0 on.
    pub byte: usize,
}

/// A change, and its opposite.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Change {
    /// This text was put there.
    Inserted(Place, String),
    /// This text was taken from there.
    Deleted(Place, String),
}

/// Lines of text. There is one at least.
#[derive(Debug)]
pub struct Buffer {
    lines: Vec<String>,
    /// What was done; a group of changes is undone at once.
    done: Vec<Vec<Change>>,
    undone: Vec<Vec<Change>>,
    /// Whether the next change belongs to the last group.
    continues: bool,
    /// How many groups were done when the text was saved; none if that is no longer to be reached.
    saved: Option<usize>,
}

impl Buffer {
    /// A text.
    pub fn new(text: &str) -> Buffer {
        let lines = text.split('\n').map(str::to_owned).collect();
        Buffer { lines, done: Vec::new(), undone: Vec::new(), continues: false, saved: Some(0) }
    }

    /// The whole.
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// The lines; the last one is empty if the text ends with a newline.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// A line.
    pub fn line(&self, line: usize) -> &str {
        self.lines.get(line).map_or("", String::as_str)
    }

    /// Whether it is not what was saved.
    pub fn is_changed(&self) -> bool {
        self.saved != Some(self.done.len())
    }

    /// It has been saved.
    pub fn note_saved(&mut self) {
        self.saved = Some(self.done.len());
        self.continues = false;
    }

    /// What follows is undone by itself.
    pub fn end_group(&mut self) {
        self.continues = false;
    }

    /// The place nearest to one that may not be there.
    pub fn nearest(&self, place: Place) -> Place {
        let line = place.line.min(self.lines.len() - 1);
        Place { line, byte: self.lines[line].floor_char_boundary(place.byte) }
    }

    /// The place of the character before; at the beginning, that.
    pub fn before(&self, place: Place) -> Place {
        match self.line(place.line)[..place.byte].chars().next_back() {
            Some(character) => Place { byte: place.byte - character.len_utf8(), ..place },
            None if place.line > 0 => Place { line: place.line - 1, byte: self.line(place.line - 1).len() },
            None => place,
        }
    }

    /// The place of the character behind; at the end, that.
    pub fn behind(&self, place: Place) -> Place {
        match self.line(place.line)[place.byte..].chars().next() {
            Some(character) => Place { byte: place.byte + character.len_utf8(), ..place },
            None if place.line + 1 < self.lines.len() => Place { line: place.line + 1, byte: 0 },
            None => place,
        }
    }

    /// Puts text somewhere; the place behind it.
    pub fn insert(&mut self, place: Place, text: &str) -> Place {
        let end = self.put(place, text);
        self.note(Change::Inserted(place, text.to_owned()));
        end
    }

    /// Takes the text between two places out.
    pub fn delete(&mut self, from: Place, to: Place) -> String {
        let text = self.take(from, to);
        self.note(Change::Deleted(from, text.clone()));
        text
    }

    fn note(&mut self, change: Change) {
        if self.saved.is_some_and(|saved| saved > self.done.len()) {
            self.saved = None;
        }
        self.undone.clear();
        match self.done.last_mut().filter(|_| self.continues) {
            Some(group) => group.push(change),
            None => self.done.push(Vec::from([change])),
        }
        self.continues = true;
    }

    /// Undoes the last group of changes; where that was.
    pub fn undo(&mut self) -> Option<Place> {
        let group = self.done.pop()?;
        let mut place = Place::default();
        for change in group.iter().rev() {
            place = match change {
                Change::Inserted(at, text) => {
                    self.take(*at, end_of(*at, text));
                    *at
                }
                Change::Deleted(at, text) => self.put(*at, text),
            };
        }
        self.undone.push(group);
        self.continues = false;
        Some(place)
    }

    /// Does again what was undone last; where that was.
    pub fn redo(&mut self) -> Option<Place> {
        let group = self.undone.pop()?;
        let mut place = Place::default();
        for change in &group {
            place = match change {
                Change::Inserted(at, text) => self.put(*at, text),
                Change::Deleted(at, text) => {
                    self.take(*at, end_of(*at, text));
                    *at
                }
            };
        }
        self.done.push(group);
        self.continues = false;
        Some(place)
    }

    fn put(&mut self, place: Place, text: &str) -> Place {
        let rest = self.lines[place.line].split_off(place.byte);
        let mut pieces = text.split('\n');
        self.lines[place.line] += pieces.next().unwrap_or_default();
        let more: Vec<String> = pieces.map(str::to_owned).collect();
        let (end, behind) = (place.line + more.len(), place.line + 1);
        self.lines.splice(behind..behind, more);
        let byte = self.lines[end].len();
        self.lines[end] += &rest;
        Place { line: end, byte }
    }

    fn take(&mut self, from: Place, to: Place) -> String {
        if from.line == to.line {
            return self.lines[from.line].drain(from.byte..to.byte).collect();
        }
        let rest = self.lines[to.line].split_off(to.byte);
        let mut text = self.lines[from.line].split_off(from.byte);
        for line in self.lines.drain(from.line + 1..=to.line) {
            text.push('\n');
            text += &line;
        }
        self.lines[from.line] += &rest;
        text
    }

    /// The next place behind one where a text stands, going on at the beginning.
    pub fn find(&self, text: &str, behind: Place) -> Option<Place> {
        let count = self.lines.len();
        (0..=count).find_map(|step| {
            let line = (behind.line + step) % count;
            let from = if step == 0 { self.behind(behind) } else { Place { line, byte: 0 } };
            let begin = if from.line == line { from.byte } else { self.line(line).len() };
            let at = self.line(line).get(begin..)?.find(text)?;
            Some(Place { line, byte: begin + at })
        })
    }
}

fn end_of(place: Place, text: &str) -> Place {
    match text.rsplit_once('\n') {
        None => Place { byte: place.byte + text.len(), ..place },
        Some((before, last)) => {
            Place { line: place.line + before.matches('\n').count() + 1, byte: last.len() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn changes_are_undone_and_done_again() {
        let mut buffer = Buffer::new("one\ntwo\n");
        let end = buffer.insert(Place { line: 1, byte: 1 }, "x\ny");
        assert_eq!((buffer.text().as_str(), end), ("one\ntx\nywo\n", Place { line: 2, byte: 1 }));
        buffer.end_group();
        assert_eq!(buffer.delete(Place { line: 0, byte: 2 }, Place { line: 2, byte: 1 }), "e\ntx\ny");
        assert_eq!(buffer.text(), "onwo\n");
        assert_eq!(buffer.undo(), Some(Place { line: 2, byte: 1 }));
        assert_eq!(buffer.undo(), Some(Place { line: 1, byte: 1 }));
        assert!(!buffer.is_changed() && buffer.text() == "one\ntwo\n" && buffer.undo().is_none());
        buffer.redo();
        buffer.redo();
        assert_eq!(buffer.text(), "onwo\n");
    }

    #[test]
    fn what_was_saved_is_known_again() {
        let mut buffer = Buffer::new("a");
        buffer.insert(Place::default(), "b");
        buffer.note_saved();
        assert!(!buffer.is_changed());
        buffer.undo();
        assert!(buffer.is_changed());
        buffer.insert(Place::default(), "c");
        assert!(buffer.is_changed(), "as many changes, but others");
    }

    #[test]
    fn a_search_goes_round() {
        let buffer = Buffer::new("ab ab\nx\nab");
        let find = |line, byte| buffer.find("ab", Place { line, byte }).map(|place| (place.line, place.byte));
        assert_eq!((find(0, 0), find(0, 3), find(2, 0)), (Some((0, 3)), Some((2, 0)), Some((0, 0))));
        assert_eq!(buffer.find("none", Place::default()), None);
    }

    proptest! {
        #[test]
        fn everything_can_be_undone(
            text in "[aä\n]{0,30}",
            changes in prop::collection::vec((any::<bool>(), 0_usize..9, 0_usize..9, 0_usize..4, "[bö\n]{0,5}", any::<bool>()), 0..30),
        ) {
            let mut buffer = Buffer::new(&text);
            for (inserts, line, byte, more, new, ends) in changes {
                let place = buffer.nearest(Place { line, byte });
                if inserts {
                    let end = buffer.insert(place, &new);
                    prop_assert_eq!(buffer.nearest(end), end);
                } else {
                    let to = (0..more).fold(place, |to, _| buffer.behind(to));
                    buffer.delete(place, to);
                }
                if ends {
                    buffer.end_group();
                }
            }
            let changed = buffer.text();
            while buffer.undo().is_some() {}
            prop_assert_eq!(buffer.text(), text);
            prop_assert!(!buffer.is_changed());
            while buffer.redo().is_some() {}
            prop_assert_eq!(buffer.text(), changed);
        }
    }
}
