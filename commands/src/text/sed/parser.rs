//! From text to a script.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::iter::Peekable;
use core::str::Chars;

use super::script::{Action, Address, PatternIndex, Piece, Script, Step, Substitution};
use crate::text::pattern::{Pattern, from_posix};
use crate::usage::Misuse;

/// Reads a script.
pub fn parse(text: &str, is_extended: bool) -> Result<Script, Misuse> {
    let mut parser = Parser {
        rest: text.chars().peekable(),
        is_extended,
        script: Script { steps: Vec::new(), patterns: Vec::new() },
        blocks: Vec::new(),
        labels: BTreeMap::new(),
        branches: Vec::new(),
    };
    while parser.step()? {}
    if !parser.blocks.is_empty() {
        return Err(Misuse("a { has no }".into()));
    }
    let end = parser.script.steps.len();
    for (at, label) in parser.branches {
        let to = match &*label {
            "" => end,
            label => {
                *parser.labels.get(label).ok_or_else(|| Misuse(format!("there is no label '{label}'")))?
            }
        };
        if let Action::Branch { to: place, .. } = &mut parser.script.steps[at].action {
            *place = to;
        }
    }
    Ok(parser.script)
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    is_extended: bool,
    script: Script,
    /// Places of `{` without their `}`.
    blocks: Vec<usize>,
    labels: BTreeMap<String, usize>,
    /// Commands that branch, with their labels.
    branches: Vec<(usize, String)>,
}

impl Parser<'_> {
    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) {
        while self.rest.next_if(|next| is_skipped(*next)).is_some() {}
    }

    fn skip_blanks(&mut self) {
        self.skip(|next| matches!(next, ' ' | '\t'));
    }

    /// Reads a command; false at the end.
    fn step(&mut self) -> Result<bool, Misuse> {
        self.skip(|next| next.is_ascii_whitespace() || next == ';');
        if self.rest.peek().is_none() {
            return Ok(false);
        }
        let first = self.address()?;
        self.skip_blanks();
        let mut second = None;
        if first.is_some() && self.rest.next_if_eq(&',').is_some() {
            self.skip_blanks();
            second = match self.rest.next_if_eq(&'+') {
                Some(_) => Some(Address::More(self.number()?.unwrap_or(0))),
                None => self.address()?,
            };
            if second.is_none() {
                return Err(Misuse("expected an address behind ','".into()));
            }
        }
        self.skip_blanks();
        let mut is_negated = false;
        while self.rest.next_if(|next| matches!(next, '!' | ' ' | '\t')).is_some() {
            is_negated = true;
        }
        let letter =
            self.rest.next().ok_or_else(|| Misuse("a command is missing behind an address".into()))?;
        if matches!(letter, '#' | ':' | '}') && first.is_some() {
            return Err(Misuse(format!("the command {letter} takes no address")));
        }
        if letter == '#' {
            self.skip(|next| next != '\n');
            return Ok(true);
        }
        if letter == 'q' && second.is_some() {
            return Err(Misuse("the command q takes one address".into()));
        }
        let action = self.action(letter)?;
        self.script.steps.push(Step { addresses: [first, second], is_negated, action });
        Ok(true)
    }

    fn number(&mut self) -> Result<Option<u64>, Misuse> {
        let mut digits = String::new();
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        if digits.is_empty() {
            return Ok(None);
        }
        digits.parse().map(Some).map_err(|_| Misuse(format!("{digits} is too large a number")))
    }

    fn address(&mut self) -> Result<Option<Address>, Misuse> {
        let delimiter = match self.rest.peek() {
            Some('$') => {
                self.rest.next();
                return Ok(Some(Address::Last));
            }
            Some('/') => '/',
            Some('\\') => {
                self.rest.next();
                *self.rest.peek().ok_or_else(|| Misuse("a pattern is missing behind \\".into()))?
            }
            _ => {
                return match self.number()? {
                    Some(0) => Err(Misuse("lines are counted from 1".into())),
                    number => Ok(number.map(Address::Line)),
                };
            }
        };
        self.rest.next();
        let text = self.until(delimiter, true)?;
        let ignores_case = self.rest.next_if(|next| matches!(next, 'I')).is_some();
        Ok(Some(Address::Match(self.pattern(&text, ignores_case)?)))
    }

    /// The text up to the delimiter, which is passed. A backslash before the delimiter makes it text.
    fn until(&mut self, delimiter: char, is_pattern: bool) -> Result<String, Misuse> {
        let mut text = String::new();
        let mut in_bracket = false;
        let missing = || Misuse(format!("expected another '{delimiter}'"));
        loop {
            let next = self.rest.next().ok_or_else(missing)?;
            match next {
                '\\' => match self.rest.next().ok_or_else(missing)? {
                    escaped if escaped == delimiter => text.push(delimiter),
                    other => text.extend(['\\', other]),
                },
                '[' if is_pattern && !in_bracket => {
                    in_bracket = true;
                    text.push('[');
                    text.extend(self.rest.next_if_eq(&'^'));
                    text.extend(self.rest.next_if_eq(&']'));
                }
                ']' if in_bracket => {
                    in_bracket = false;
                    text.push(']');
                }
                next if next == delimiter && !in_bracket => return Ok(text),
                '\n' if is_pattern => return Err(missing()),
                other => text.push(other),
            }
        }
    }

    fn pattern(&mut self, text: &str, ignores_case: bool) -> Result<PatternIndex, Misuse> {
        if text.is_empty() {
            let is_first = self.script.patterns.is_empty();
            return if is_first { Err(Misuse("no pattern was used before".into())) } else { Ok(None) };
        }
        let expression = from_posix(text, self.is_extended);
        self.script.patterns.push(Pattern::compile(&expression, ignores_case, text)?);
        Ok(Some(self.script.patterns.len() - 1))
    }

    fn action(&mut self, letter: char) -> Result<Action, Misuse> {
        let here = self.script.steps.len();
        let action = match letter {
            '{' => {
                self.blocks.push(here);
                return Ok(Action::Block(0));
            }
            '}' => {
                let begin = self.blocks.pop().ok_or_else(|| Misuse("a } has no {".into()))?;
                self.script.steps[begin].action = Action::Block(here);
                Action::Nothing
            }
            ':' => {
                let label = self.label();
                self.labels.insert(label, here);
                Action::Nothing
            }
            'b' | 't' => {
                let label = self.label();
                self.branches.push((here, label));
                Action::Branch { to: 0, if_replaced: letter == 't' }
            }
            'a' => return Ok(Action::Append(self.text())),
            'i' => return Ok(Action::Insert(self.text())),
            'c' => return Ok(Action::Change(self.text())),
            's' => self.substitute()?,
            'y' => self.map()?,
            'q' => {
                self.skip_blanks();
                Action::Quit(self.number()?.map_or(0, |status| status as i32 & 0xff))
            }
            'd' | 'D' | 'p' | 'P' | 'n' | 'N' | 'g' | 'G' | 'h' | 'H' | 'x' | '=' => {
                Action::Letter(letter as u8)
            }
            other => return Err(Misuse(format!("there is no command '{other}'"))),
        };
        self.skip_blanks();
        match self.rest.peek() {
            None | Some('\n' | ';' | '}' | '#') => Ok(action),
            Some(other) => Err(Misuse(format!("expected a newline or ';' behind {letter}, not '{other}'"))),
        }
    }

    fn label(&mut self) -> String {
        self.skip_blanks();
        let mut label = String::new();
        while let Some(next) = self.rest.next_if(|next| !matches!(next, '\n' | ';' | '}')) {
            label.push(next);
        }
        label.trim_end().to_owned()
    }

    /// The text of `a`, `i` and `c`: behind a backslash and a newline or in the same line; a backslash before a newline
    /// keeps it.
    fn text(&mut self) -> String {
        self.skip_blanks();
        if self.rest.next_if_eq(&'\\').is_some() {
            self.skip_blanks();
            self.rest.next_if_eq(&'\n');
        }
        let mut text = String::new();
        while let Some(next) = self.rest.next() {
            match next {
                '\n' => break,
                '\\' => text.extend(self.rest.next()),
                other => text.push(other),
            }
        }
        text.push('\n');
        text
    }

    fn substitute(&mut self) -> Result<Action, Misuse> {
        let delimiter = self.delimiter('s')?;
        let text = self.until(delimiter, true)?;
        let replacement = self.until(delimiter, false)?;
        let (mut is_global, mut prints, mut ignores_case, mut from) = (false, false, false, 1);
        loop {
            match self.rest.peek() {
                Some('g') => is_global = true,
                Some('p') => prints = true,
                Some('i' | 'I') => ignores_case = true,
                Some('0'..='9') => {
                    from = self.number()?.unwrap_or(1).max(1);
                    continue;
                }
                Some(other) if other.is_alphabetic() => {
                    return Err(Misuse(format!(
                        "there is no flag '{other}' of s; there are g, p, i and a number"
                    )));
                }
                _ => break,
            }
            self.rest.next();
        }
        let pattern = self.pattern(&text, ignores_case)?;
        let replacement = pieces(&replacement);
        let groups = pattern.map_or(usize::MAX, |at| self.script.patterns[at].groups());
        for piece in &replacement {
            if let Piece::Group(number) = piece
                && *number >= groups
            {
                return Err(Misuse(format!("the pattern has no group {number}")));
            }
        }
        Ok(Action::Substitute(Substitution { pattern, replacement, from, is_global, prints }))
    }

    fn delimiter(&mut self, letter: char) -> Result<char, Misuse> {
        let usable = self.rest.next().filter(|delimiter| !matches!(delimiter, '\n' | '\\'));
        usable.ok_or_else(|| Misuse(format!("expected '/' behind {letter}")))
    }

    fn map(&mut self) -> Result<Action, Misuse> {
        let delimiter = self.delimiter('y')?;
        let mut half = || {
            let text = self.until(delimiter, false)?;
            let mut characters = Vec::new();
            let mut rest = text.chars();
            while let Some(character) = rest.next() {
                characters.push(match character {
                    '\\' => match rest.next() {
                        Some('n') => '\n',
                        other => other.unwrap_or('\\'),
                    },
                    character => character,
                });
            }
            Ok::<_, Misuse>(characters)
        };
        let (from, to) = (half()?, half()?);
        if from.len() != to.len() {
            return Err(Misuse("y takes as many characters before as behind the middle".into()));
        }
        Ok(Action::Map(from.into_iter().zip(to).collect()))
    }
}

/// A replacement's text and groups.
fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = Vec::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let group = match character {
            '&' => 0,
            '\\' => match rest.next() {
                Some(digit @ '0'..='9') => digit as usize - '0' as usize,
                Some('n') => {
                    plain.push(b'\n');
                    continue;
                }
                Some('t') => {
                    plain.push(b'\t');
                    continue;
                }
                other => {
                    plain.extend_from_slice(other.unwrap_or('\\').encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
            },
            other => {
                plain.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(core::mem::take(&mut plain)));
        }
        pieces.push(Piece::Group(group));
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    pieces
}
