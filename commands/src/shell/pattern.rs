//! Patterns of `case`, `${name#pattern}` and file names: `*`, `?`, `[…]`.
//!
//! Matching follows every way through the pattern at once, so its time is bounded by the lengths of pattern
//! and text multiplied, whatever both are. A character is a UTF-8 sequence, or a byte that is in none.

use alloc::vec;
use alloc::vec::Vec;

use super::ast::Text;

/// A text with, for each byte, whether it was quoted (and so means itself).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Masked {
    /// The bytes.
    pub text: Text,
    /// As long as `text`.
    pub quoted: Vec<bool>,
}

impl Masked {
    /// Whether an unquoted byte makes this a pattern rather than a name.
    pub fn is_pattern(&self) -> bool {
        self.text.iter().zip(&self.quoted).any(|(byte, quoted)| !quoted && matches!(byte, b'*' | b'?' | b'['))
    }
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    elements: Vec<Element>,
}

#[derive(Clone, Debug)]
enum Element {
    Character(u32),
    AnyCharacter,
    AnyText,
    Class { negated: bool, ranges: Vec<(u32, u32)> },
}

/// Beyond every Unicode scalar value: bytes that are in no character.
const STRAY_BYTE: u32 = 0x0011_0000;

/// The first character of `text` and its length in bytes.
fn first_character(text: &[u8]) -> Option<(u32, usize)> {
    let first = *text.first()?;
    let length = match first {
        0..0x80 => return Some((u32::from(first), 1)),
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 0,
    };
    let character = text.get(..length).and_then(|bytes| core::str::from_utf8(bytes).ok()?.chars().next());
    Some(character.map_or((STRAY_BYTE + u32::from(first), 1), |character| (u32::from(character), length)))
}

/// The characters of `text`, with the offset after each.
fn characters(text: &[u8]) -> impl Iterator<Item = (u32, usize)> {
    let mut offset = 0;
    core::iter::from_fn(move || {
        let (character, length) = first_character(&text[offset..])?;
        offset += length;
        Some((character, offset))
    })
}

/// How many characters `text` has.
pub fn count_characters(text: &[u8]) -> usize {
    characters(text).count()
}

impl Pattern {
    /// Compiles; every text is a pattern.
    pub fn new(masked: &Masked) -> Pattern {
        let mut elements = Vec::new();
        let mut offset = 0;
        while let Some((mut character, mut length)) = first_character(&masked.text[offset..]) {
            let mut quoted = masked.quoted.get(offset).copied().unwrap_or(true);
            // One that is not quoted itself came from an expansion, and quotes what follows.
            if masked.text[offset] == b'\\'
                && !quoted
                && let Some(next) = first_character(&masked.text[offset + 1..])
            {
                (offset, quoted) = (offset + 1, true);
                (character, length) = next;
            }
            let element = match masked.text[offset] {
                b'*' if !quoted => Element::AnyText,
                b'?' if !quoted => Element::AnyCharacter,
                b'[' if !quoted => match class(masked, offset + 1) {
                    Some((element, end)) => {
                        elements.push(element);
                        offset = end;
                        continue;
                    }
                    None => Element::Character(character),
                },
                _ => Element::Character(character),
            };
            if !matches!((&element, elements.last()), (Element::AnyText, Some(Element::AnyText))) {
                elements.push(element);
            }
            offset += length;
        }
        Pattern { elements }
    }

    /// How much memory the pattern of a text takes at most, and matching with it.
    pub(super) fn most_bytes(masked: &Masked) -> usize {
        4 * size_of::<Element>() * masked.text.len()
    }

    /// How much memory matching the start or the end of a text takes at most.
    pub(super) fn matching_bytes(&self, text: &[u8]) -> usize {
        size_of::<(u32, usize)>() * text.len() + (size_of::<Element>() + 1) * self.elements.len()
    }

    /// Whether all of `text` matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        let mut states = self.start();
        for (character, _) in characters(text) {
            if !self.step(&mut states, character) {
                return false;
            }
        }
        states.last() == Some(&true)
    }

    /// Whether a leading dot of `text` would be matched by a dot in the pattern.
    pub fn starts_with_dot(&self) -> bool {
        matches!(self.elements.first(), Some(Element::Character(character)) if *character == u32::from(b'.'))
    }

    /// The length in bytes of the shortest or longest start of `text` that matches.
    pub fn match_prefix(&self, text: &[u8], longest: bool) -> Option<usize> {
        self.match_end(characters(text), longest)
    }

    /// Where the shortest or longest end of `text` that matches begins.
    pub fn match_suffix(&self, text: &[u8], longest: bool) -> Option<usize> {
        let mut backwards = Vec::with_capacity(text.len());
        let mut start = 0;
        for (character, end) in characters(text) {
            backwards.push((character, text.len() - start));
            start = end;
        }
        let reversed = Pattern { elements: self.elements.iter().rev().cloned().collect() };
        let length = reversed.match_end(backwards.into_iter().rev(), longest)?;
        Some(text.len() - length)
    }

    fn match_end(&self, text: impl Iterator<Item = (u32, usize)>, longest: bool) -> Option<usize> {
        let mut states = self.start();
        let mut found = (states.last() == Some(&true)).then_some(0);
        for (character, end) in text {
            if found.is_some() && !longest || !self.step(&mut states, character) {
                break;
            }
            if states.last() == Some(&true) {
                found = Some(end);
            }
        }
        found
    }

    /// The state set before the first character: state n means that n elements have matched.
    fn start(&self) -> Vec<bool> {
        let mut states = vec![false; self.elements.len() + 1];
        states[0] = true;
        self.pass_over_any_text(&mut states);
        states
    }

    fn pass_over_any_text(&self, states: &mut [bool]) {
        for (index, element) in self.elements.iter().enumerate() {
            if states[index] && matches!(element, Element::AnyText) {
                states[index + 1] = true;
            }
        }
    }

    /// Advances every state over one character; false when none is left.
    fn step(&self, states: &mut [bool], character: u32) -> bool {
        let mut any = false;
        for index in (0..states.len()).rev() {
            let stays = states[index] && matches!(self.elements.get(index), Some(Element::AnyText));
            let advances = index > 0 && states[index - 1] && self.elements[index - 1].takes(character);
            states[index] = stays || advances;
            any |= states[index];
        }
        self.pass_over_any_text(states);
        any
    }
}

impl Element {
    fn takes(&self, character: u32) -> bool {
        match self {
            Element::Character(own) => *own == character,
            Element::AnyCharacter => true,
            Element::AnyText => false,
            Element::Class { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&character)) != *negated
            }
        }
    }
}

/// A bracket expression whose inside starts at `offset`; with the offset after its `]`. `None` if it has none.
fn class(masked: &Masked, mut offset: usize) -> Option<(Element, usize)> {
    let byte_at = |offset: usize| {
        let byte = *masked.text.get(offset)?;
        Some((byte, masked.quoted.get(offset).copied().unwrap_or(true)))
    };
    let negated = matches!(byte_at(offset)?, (b'!' | b'^', false));
    offset += usize::from(negated);
    let mut ranges = Vec::new();
    let mut is_first = true;
    loop {
        match byte_at(offset)? {
            (b']', false) if !is_first => return Some((Element::Class { negated, ranges }, offset + 1)),
            (b'[', false) if byte_at(offset + 1) == Some((b':', false)) => {
                if let Some((found, end)) = named_class(&masked.text[offset + 2..]) {
                    ranges.extend_from_slice(found);
                    offset += 2 + end;
                    is_first = false;
                    continue;
                }
            }
            (b'\\', false) if byte_at(offset + 1).is_some() => offset += 1,
            _ => {}
        }
        is_first = false;
        let (first, length) = first_character(&masked.text[offset..])?;
        offset += length;
        let is_range = byte_at(offset)? == (b'-', false) && byte_at(offset + 1)? != (b']', false);
        if is_range {
            let (last, length) = first_character(&masked.text[offset + 1..])?;
            offset += 1 + length;
            ranges.push((first, last));
        } else {
            ranges.push((first, first));
        }
    }
}

/// What stands after `[:`: the class's ranges and the offset after its `:]`.
fn named_class(text: &[u8]) -> Option<(&'static [(u32, u32)], usize)> {
    const DIGIT: (u32, u32) = (0x30, 0x39);
    const UPPER: (u32, u32) = (0x41, 0x5A);
    const LOWER: (u32, u32) = (0x61, 0x7A);
    let end = text.windows(2).position(|pair| pair == b":]")?;
    let ranges: &'static [(u32, u32)] = match &text[..end] {
        b"digit" => &[DIGIT],
        b"upper" => &[UPPER],
        b"lower" => &[LOWER],
        b"alpha" => &[UPPER, LOWER],
        b"alnum" => &[DIGIT, UPPER, LOWER],
        b"xdigit" => &[DIGIT, (0x41, 0x46), (0x61, 0x66)],
        b"space" => &[(0x09, 0x0D), (0x20, 0x20)],
        b"blank" => &[(0x09, 0x09), (0x20, 0x20)],
        b"cntrl" => &[(0x00, 0x1F), (0x7F, 0x7F)],
        b"print" => &[(0x20, 0x7E)],
        b"graph" => &[(0x21, 0x7E)],
        b"punct" => &[(0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)],
        _ => return None,
    };
    Some((ranges, end + 2))
}
