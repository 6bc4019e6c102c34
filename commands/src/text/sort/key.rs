//! What of a line `sort` compares, and how: POSIX's keys, `FIELD[.CHARACTER][nrfb][,FIELD[.CHARACTER][nrfb]]`.

use alloc::format;
use core::cmp::Ordering;

use super::compare_numbers;
use crate::usage::Misuse;

/// How texts are compared.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Manner {
    /// By the numbers at their beginning.
    pub numeric: bool,
    /// The other way round.
    pub reverse: bool,
    /// `a` as `A`.
    pub ignore_case: bool,
    /// The key begins behind blanks.
    pub ignore_blanks: bool,
}

/// A place in a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    /// Counted from 1.
    field: usize,
    /// Counted from 1; at the end of a key 0 is the field's last.
    character: usize,
    /// Characters are counted behind the field's blanks.
    ignore_blanks: bool,
}

/// A part of lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    first: Place,
    /// The end of the line without one.
    last: Option<Place>,
    manner: Manner,
}

impl Key {
    /// The whole line.
    pub fn line(manner: Manner) -> Key {
        let first = Place { field: 1, character: 1, ignore_blanks: manner.ignore_blanks };
        Key { first, last: None, manner }
    }

    /// A key as it is typed; without letters of its own it is compared in the manner of the line.
    pub fn parse(text: &str, of_line: Manner) -> Result<Key, Misuse> {
        let bad = || Misuse(format!("'{text}' is no key, such as 2, 2,3 or 1.2nr"));
        let (first, last) = match text.split_once(',') {
            Some((first, last)) => (first, Some(last)),
            None => (text, None),
        };
        let mut manner = Manner::default();
        let mut place = |text: &str, least_character| {
            let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
            let (numbers, letters) = text.split_at(digits_end);
            let mut ignore_blanks = false;
            for letter in letters.chars() {
                match letter {
                    'n' => manner.numeric = true,
                    'r' => manner.reverse = true,
                    'f' => manner.ignore_case = true,
                    'b' => ignore_blanks = true,
                    _ => return None,
                }
            }
            manner.ignore_blanks |= ignore_blanks;
            let (field, character) = match numbers.split_once('.') {
                Some((field, character)) => (field, character.parse().ok()?),
                None => (numbers, least_character),
            };
            let field = field.parse().ok()?;
            (field > 0 && character >= least_character).then_some(Place { field, character, ignore_blanks })
        };
        let mut first = place(first, 1).ok_or_else(bad)?;
        let mut last = last.map(|last| place(last, 0).ok_or_else(bad)).transpose()?;
        if manner == Manner::default() {
            manner = of_line;
            first.ignore_blanks = of_line.ignore_blanks;
            last = last.map(|last| Place { ignore_blanks: of_line.ignore_blanks, ..last });
        }
        Ok(Key { first, last, manner })
    }

    /// The part of a line.
    fn part<'a>(&self, line: &'a [u8], separator: Option<u8>) -> &'a [u8] {
        let at = |place: Place| {
            let begin = field_begin(line, place.field, separator);
            begin + if place.ignore_blanks { blanks(&line[begin..]) } else { 0 }
        };
        let begin = line.len().min(at(self.first).saturating_add(self.first.character - 1));
        let end = match self.last {
            None => line.len(),
            Some(last) if last.character == 0 => field_end(line, last.field, separator),
            Some(last) => line.len().min(at(last).saturating_add(last.character)),
        };
        &line[begin..end.max(begin)]
    }

    /// How two lines compare.
    pub fn compare(&self, left: &[u8], right: &[u8], separator: Option<u8>) -> Ordering {
        let (left, right) = (self.part(left, separator), self.part(right, separator));
        let order = if self.manner.numeric {
            compare_numbers(left, right)
        } else if self.manner.ignore_case {
            left.iter().map(u8::to_ascii_uppercase).cmp(right.iter().map(u8::to_ascii_uppercase))
        } else {
            left.cmp(right)
        };
        if self.manner.reverse { order.reverse() } else { order }
    }
}

/// How many blanks a text begins with.
fn blanks(text: &[u8]) -> usize {
    text.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(text.len())
}

/// How long the field at the beginning of a text is: up to the separator; or, without one, its blanks and what follows up to
/// the next blank.
fn field_bytes(text: &[u8], separator: Option<u8>) -> usize {
    let from = if separator.is_some() { 0 } else { blanks(text) };
    let ends = |byte: &u8| separator.map_or(matches!(byte, b' ' | b'\t'), |separator| *byte == separator);
    text[from..].iter().position(ends).map_or(text.len(), |at| from + at)
}

fn field_begin(line: &[u8], field: usize, separator: Option<u8>) -> usize {
    let mut begin = 0;
    for _ in 1..field {
        begin += field_bytes(&line[begin..], separator);
        if begin == line.len() {
            break;
        }
        begin += usize::from(separator.is_some());
    }
    begin
}

fn field_end(line: &[u8], field: usize, separator: Option<u8>) -> usize {
    let begin = field_begin(line, field, separator);
    begin + field_bytes(&line[begin..], separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_parts_of_lines() {
        for (key, separator, line, part) in [
            ("2", None, "a  b c", "  b c"),
            ("2b", None, "a  b c", "b c"),
            ("2,2", None, "a  b c", "  b"),
            ("2b,2", None, "a  b c", "b"),
            ("1.2", None, "abc d", "bc d"),
            ("1.2,1.2", None, "abc d", "b"),
            ("2.2b,2.3b", None, "x  abcd", "bc"),
            ("3", None, "a b", ""),
            ("2,2", Some(b':'), "a::c", ""),
            ("2", Some(b':'), "a:b:c", "b:c"),
            ("2,3", Some(b':'), "a:b:c:d", "b:c"),
            ("4", Some(b':'), "a:b:", ""),
            ("3,2", None, "a b c", ""),
            ("1.9", None, "abc", ""),
            ("1,1.18446744073709551615", None, "abc", "abc"),
        ] {
            let parsed = Key::parse(key, Manner::default()).unwrap();
            assert_eq!(parsed.part(line.as_bytes(), separator), part.as_bytes(), "{key} of {line}");
        }
    }

    #[test]
    fn letters_replace_the_lines_manner() {
        let of_line = Manner { reverse: true, ..Manner::default() };
        assert_eq!(Key::parse("2", of_line).unwrap().manner, of_line);
        let numeric = Manner { numeric: true, ..Manner::default() };
        assert_eq!(Key::parse("2n", of_line).unwrap().manner, numeric);
        assert_eq!(Key::parse("2,2n", of_line).unwrap().manner, numeric);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for key in
            ["", "0", "x", "1,", "1,0", "1.0", "1.", ".1", "-1", "1z", "1,2,3", "1 ", "99999999999999999999"]
        {
            assert!(Key::parse(key, Manner::default()).is_err(), "{key}");
        }
    }
}
