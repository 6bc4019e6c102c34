//! `read` and `getopts`.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use abi::Error;

use crate::shell::arithmetic::parse_integer;
use crate::shell::ast::Text;
use crate::shell::execute::{Flow, Shell, USAGE};
use crate::shell::lexer::shorten;
use crate::shell::system::System;
use crate::shell::word::is_name;

/// How often a line lies in memory while it is split: twice with its quoting, in a vector that grows, and in parts.
const LINE_COPIES: usize = 8;

impl<S: System> Shell<S> {
    /// `read [-r] [-p prompt] name…`: a line of standard input, split; the last name gets the rest.
    pub(super) fn read(&mut self, words: &[Text]) -> Flow {
        let mut raw = false;
        let mut operands = &words[1..];
        loop {
            operands = match operands {
                [option, rest @ ..] if option == b"-r" => {
                    raw = true;
                    rest
                }
                [option, prompt, rest @ ..] if option == b"-p" => {
                    self.write_error(prompt);
                    rest
                }
                [option, rest @ ..] if option == b"--" => {
                    operands = rest;
                    break;
                }
                _ => break,
            };
        }
        if let Some(wrong) = operands.iter().find(|name| !is_name(name)) {
            self.complain(words, &format!("{}: not a variable's name", shorten(wrong)));
            self.state.status = USAGE;
            return Ok(());
        }
        let Some(first) = operands.first() else {
            self.complain(words, "expected a variable's name");
            self.state.status = USAGE;
            return Ok(());
        };
        let (line, is_whole) = match self.logical_line(raw) {
            Ok(line) => line,
            Err(Error::Aborted) => return self.interrupt(),
            Err(error) => {
                self.complain(words, &format!("{error}"));
                return Ok(());
            }
        };
        let mut values = split_line(&line, &self.state.separators(), operands.len()).into_iter();
        self.assign(first, values.next().unwrap_or_default(), self.at)?;
        for name in &operands[1..] {
            self.assign(name, values.next().unwrap_or_default(), self.at)?;
        }
        self.state.status = i32::from(!is_whole);
        Ok(())
    }

    /// A line, each byte with whether a backslash quoted it, and whether the line had an end. Backslashes
    /// join lines, unless they are to be taken as they are.
    fn logical_line(&mut self, raw: bool) -> Result<(Vec<(u8, bool)>, bool), Error> {
        let mut whole = Vec::new();
        loop {
            let Some(line) = self.read_line(0)? else {
                return Ok((whole, false));
            };
            self.need(LINE_COPIES * line.len())?;
            let mut bytes = line.into_iter();
            loop {
                match bytes.next() {
                    None => return Ok((whole, false)),
                    Some(b'\n') => return Ok((whole, true)),
                    Some(b'\\') if !raw => match bytes.next() {
                        Some(b'\n') => break,
                        Some(byte) => whole.push((byte, true)),
                        None => return Ok((whole, false)),
                    },
                    Some(byte) => whole.push((byte, false)),
                }
            }
        }
    }

    /// `getopts letters name [argument…]`: the next option of the arguments into a variable.
    pub(super) fn next_option(&mut self, words: &[Text]) -> Flow {
        let [_, letters, name, rest @ ..] = words else {
            self.complain(words, "expected the options' letters and a variable's name");
            self.state.status = USAGE;
            return Ok(());
        };
        if !is_name(name) {
            self.complain(words, &format!("{}: not a variable's name", shorten(name)));
            self.state.status = USAGE;
            return Ok(());
        }
        self.need_at(self.state.argument_bytes(), self.at)?;
        let arguments = if rest.is_empty() { self.state.arguments.clone() } else { rest.to_vec() };
        let number = |shell: &Self, name: &[u8]| {
            let value = shell.state.value(name).and_then(|value| parse_integer(value));
            value.and_then(|value| usize::try_from(value).ok()).unwrap_or(1).max(1)
        };
        // OPTIND is POSIX's; the place within an argument such as `-abc` is kept beside it.
        let mut index = number(self, b"OPTIND");
        let mut offset = number(self, b"OPTOFFSET");
        let at = self.at;
        let current = arguments.get(index - 1).cloned().unwrap_or_default();
        let (option, is_end) = match current.get(offset) {
            Some(letter) if current.first() == Some(&b'-') && current != b"--" => (*letter, false),
            _ => (b'?', true),
        };
        if is_end {
            if current == b"--" {
                index += 1;
            }
            self.assign(name, b"?".to_vec(), at)?;
            self.assign(b"OPTIND", index.to_string().into_bytes(), at)?;
            self.state.variables.remove(&b"OPTOFFSET"[..]);
            self.state.status = 1;
            return Ok(());
        }
        let is_silent = letters.first() == Some(&b':');
        let known = letters.iter().position(|letter| *letter == option && option != b':');
        let takes_argument = known.is_some_and(|place| letters.get(place + 1) == Some(&b':'));
        let mut result = option;
        let mut argument = None;
        offset += 1;
        if known.is_none() || takes_argument || offset >= current.len() {
            let rest = current.get(offset..).unwrap_or_default();
            if known.is_none() {
                result = b'?';
                argument = is_silent.then(|| Vec::from([option]));
                if !is_silent {
                    self.complain(words, &format!("-{}: no such option", char::from(option)));
                }
            } else if takes_argument && !rest.is_empty() {
                argument = Some(rest.to_vec());
            } else if takes_argument {
                index += 1;
                argument = arguments.get(index - 1).cloned();
                if argument.is_none() {
                    result = if is_silent { b':' } else { b'?' };
                    argument = is_silent.then(|| Vec::from([option]));
                    if !is_silent {
                        self.complain(words, &format!("-{}: expected an argument", char::from(option)));
                    }
                }
            }
            if takes_argument || offset >= current.len() {
                index += 1;
                offset = 1;
            }
        }
        self.assign(name, Vec::from([result]), at)?;
        self.assign(b"OPTIND", index.to_string().into_bytes(), at)?;
        self.assign(b"OPTOFFSET", offset.to_string().into_bytes(), at)?;
        match argument {
            Some(argument) => self.assign(b"OPTARG", argument, at)?,
            None => {
                self.state.variables.remove(&b"OPTARG"[..]);
            }
        }
        self.state.status = 0;
        Ok(())
    }
}

/// Splits a line for `read`: at most `most` parts, the last with all that is left.
fn split_line(line: &[(u8, bool)], separators: &[u8], most: usize) -> Vec<Text> {
    let is_separator = |(byte, quoted): &(u8, bool)| !quoted && separators.contains(byte);
    let is_blank = |entry: &(u8, bool)| is_separator(entry) && matches!(entry.0, b' ' | b'\t' | b'\n');
    let skip_blanks = |line: &mut &[(u8, bool)]| {
        while line.first().is_some_and(is_blank) {
            *line = &line[1..];
        }
    };
    let bytes = |part: &[(u8, bool)]| -> Text { part.iter().map(|(byte, _)| *byte).collect() };
    let mut rest = line;
    let mut parts = Vec::new();
    skip_blanks(&mut rest);
    while parts.len() + 1 < most && !rest.is_empty() {
        let length = rest.iter().position(is_separator).unwrap_or(rest.len());
        parts.push(bytes(&rest[..length]));
        rest = &rest[length..];
        skip_blanks(&mut rest);
        if rest.first().is_some_and(is_separator) {
            rest = &rest[1..];
            skip_blanks(&mut rest);
        }
    }
    while rest.last().is_some_and(is_blank) {
        rest = &rest[..rest.len() - 1];
    }
    // One separator that ends the only field left is no part of it.
    if let [field @ .., last] = rest
        && is_separator(last)
        && !field.iter().any(is_separator)
    {
        rest = field;
    }
    parts.push(bytes(rest));
    parts
}
