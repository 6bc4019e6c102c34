//! Expansion of words: parameters, substitutions, arithmetic, then splitting and the matching of names.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::arithmetic;
use super::ast::{Name, Operation, Otherwise, Parameter, Piece, Position, Text, Word};
use super::execute::{Leave, Shell};
use super::fields::Fields;
use super::lexer::shorten;
use super::pattern::{Masked, Pattern, count_characters};
use super::system::System;

/// How the text around a piece counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Written in the script, unquoted: is not split, its patterns count.
    Plain,
    /// In the word of an unquoted `${name:-word}`: is split as well.
    Expansion,
    /// Between double quotes.
    Quoted,
}

impl<S: System> Shell<S> {
    /// The fields that words expand to.
    pub(super) fn expand_words(&mut self, words: &[Word]) -> Result<Vec<Text>, Leave> {
        let mut all = Vec::new();
        for word in words {
            all.extend(self.expand_word(word)?);
        }
        Ok(all)
    }

    /// The fields that a word expands to, names matched.
    pub(super) fn expand_word(&mut self, word: &Word) -> Result<Vec<Text>, Leave> {
        if let Some(text) = word.literal()
            && !text.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
        {
            return Ok(Vec::from([text.to_vec()]));
        }
        let mut fields = Fields::split_at(self.state.separators());
        self.pieces(&word.pieces, Mode::Plain, &mut fields, word.at)?;
        let mut all = Vec::new();
        for field in fields.finish() {
            if field.is_pattern() && !self.state.options.no_names {
                all.extend(self.match_names(field, word.at)?);
            } else {
                all.push(field.text);
            }
        }
        Ok(all)
    }

    /// The text of a word that is not split, as in an assignment.
    pub(super) fn expand_text(&mut self, word: &Word) -> Result<Text, Leave> {
        Ok(self.expand_pattern(word)?.text)
    }

    /// The text of a word that is not split, with what was quoted, as in `case`.
    pub(super) fn expand_pattern(&mut self, word: &Word) -> Result<Masked, Leave> {
        let mut fields = Fields::whole();
        self.pieces(&word.pieces, Mode::Plain, &mut fields, word.at)?;
        Ok(fields.finish_whole())
    }

    /// The pattern that a word expands to, compiled.
    pub(super) fn compile(&mut self, word: &Word) -> Result<Pattern, Leave> {
        let masked = self.expand_pattern(word)?;
        self.need_at(Pattern::most_bytes(&masked), word.at)?;
        Ok(Pattern::new(&masked))
    }

    fn pieces(
        &mut self,
        pieces: &[Piece],
        mode: Mode,
        fields: &mut Fields,
        at: Position,
    ) -> Result<(), Leave> {
        for piece in pieces {
            self.piece(piece, mode, fields, at)?;
        }
        Ok(())
    }

    fn piece(&mut self, piece: &Piece, mode: Mode, fields: &mut Fields, at: Position) -> Result<(), Leave> {
        match piece {
            Piece::Literal(text) if mode == Mode::Plain => {
                self.need_at(fields.cost(text, true), at)?;
                fields.push(text, false);
                Ok(())
            }
            Piece::Literal(text) => self.push_value(text, mode, fields, at),
            Piece::Quoted(text) => {
                fields.open();
                self.push_value(text, Mode::Quoted, fields, at)
            }
            Piece::Double(pieces) => {
                // Quotes make a field even if it is empty; but `"$@"` makes none where there is no argument.
                if !self.state.arguments.is_empty() || !pieces.iter().any(is_all_arguments) {
                    fields.open();
                }
                self.pieces(pieces, Mode::Quoted, fields, at)
            }
            Piece::Home => {
                let home = self.state.value(b"HOME").cloned().unwrap_or_else(|| b"~".to_vec());
                self.push_value(&home, Mode::Quoted, fields, at)
            }
            Piece::Parameter(parameter) => self.parameter(parameter, mode, fields),
            Piece::Command(list, at) => {
                self.check_depth(*at)?;
                let mut text = self.substitute(list, *at)?;
                text.retain(|byte| *byte != 0);
                while text.last() == Some(&b'\n') {
                    text.pop();
                }
                self.push_value(&text, mode, fields, *at)
            }
            Piece::Arithmetic(pieces, at) => {
                let mut text = Fields::whole();
                self.check_depth(*at)?;
                self.pieces(pieces, Mode::Quoted, &mut text, *at)?;
                let text = text.finish_whole().text;
                let value = arithmetic::evaluate(&text, &mut self.state, self.stack)
                    .map_err(|message| self.fail(*at, &message))?;
                self.push_value(value.to_string().as_bytes(), mode, fields, *at)
            }
        }
    }

    /// Adds the result of an expansion.
    fn push_value(
        &mut self,
        text: &[u8],
        mode: Mode,
        fields: &mut Fields,
        at: Position,
    ) -> Result<(), Leave> {
        self.need_at(fields.cost(text, mode == Mode::Quoted), at)?;
        match mode {
            Mode::Quoted => fields.push(text, true),
            Mode::Plain | Mode::Expansion => fields.push_expansion(text),
        }
        Ok(())
    }

    fn parameter(&mut self, parameter: &Parameter, mode: Mode, fields: &mut Fields) -> Result<(), Leave> {
        self.check_depth(parameter.at)?;
        let at = parameter.at;
        let value = self.value_of(&parameter.name, at)?;
        let value = match &parameter.operation {
            Operation::Otherwise { action, empty_too, word } => {
                let counts = value.as_ref().is_some_and(|value| !*empty_too || !value.is_empty());
                match (action, counts) {
                    (Otherwise::Alternative, false) => return Ok(()),
                    (Otherwise::Alternative, true) | (Otherwise::Use, false) => {
                        let mode = if mode == Mode::Plain { Mode::Expansion } else { mode };
                        return self.pieces(&word.pieces, mode, fields, word.at);
                    }
                    (Otherwise::Assign, false) => {
                        let text = self.expand_text(word)?;
                        let Name::Variable(name) = &parameter.name else {
                            return Err(self.fail(at, "only variables can be assigned"));
                        };
                        self.assign(name, text.clone(), at)?;
                        Some(text)
                    }
                    (Otherwise::Fail, false) => return Err(self.missing(parameter, word)?),
                    (_, true) => value,
                }
            }
            _ => value,
        };
        let is_all = matches!(parameter.name, Name::Special(b'@' | b'*'));
        if value.is_none() && self.state.options.no_unset && !is_all {
            let name = describe(&parameter.name);
            return Err(self.fail(at, &format!("{name}: not set")));
        }
        match &parameter.operation {
            Operation::Length => {
                let length = match &parameter.name {
                    Name::Special(b'@' | b'*') => self.state.arguments.len(),
                    _ => value.as_deref().map_or(0, count_characters),
                };
                self.push_value(length.to_string().as_bytes(), mode, fields, at)
            }
            Operation::Trim { suffix, longest, pattern } => {
                let pattern = self.compile(pattern)?;
                let value = value.unwrap_or_default();
                self.need_at(pattern.matching_bytes(&value), at)?;
                let rest = if *suffix {
                    pattern.match_suffix(&value, *longest).map_or(&value[..], |start| &value[..start])
                } else {
                    pattern.match_prefix(&value, *longest).map_or(&value[..], |end| &value[end..])
                };
                self.push_value(rest, mode, fields, at)
            }
            _ if is_all && (mode != Mode::Quoted || parameter.name == Name::Special(b'@')) => {
                self.all_arguments(mode, fields, at)
            }
            _ => self.push_value(value.as_deref().unwrap_or_default(), mode, fields, at),
        }
    }

    /// `$@`, and `$*` outside quotes: every argument in fields of its own.
    fn all_arguments(&mut self, mode: Mode, fields: &mut Fields, at: Position) -> Result<(), Leave> {
        for index in 0..self.state.arguments.len() {
            if index > 0 {
                fields.boundary();
            }
            if mode == Mode::Quoted {
                fields.open();
            }
            let argument = self.state.arguments[index].clone();
            self.push_value(&argument, mode, fields, at)?;
        }
        Ok(())
    }

    /// Reports that a parameter is missing, in the script's own words if it has any.
    fn missing(&mut self, parameter: &Parameter, word: &Word) -> Result<Leave, Leave> {
        let text = self.expand_text(word)?;
        let name = describe(&parameter.name);
        let message =
            if text.is_empty() { "not set".into() } else { alloc::string::String::from_utf8_lossy(&text) };
        Ok(self.fail(parameter.at, &format!("{name}: {message}")))
    }

    /// A parameter's value, if it is set.
    fn value_of(&mut self, name: &Name, at: Position) -> Result<Option<Text>, Leave> {
        if matches!(name, Name::Special(b'@' | b'*')) {
            let bytes = self.state.arguments.iter().map(|argument| argument.len() + 1).sum();
            self.need_at(bytes, at)?;
        }
        let state = &self.state;
        Ok(match name {
            Name::Variable(name) if name == b"LINENO" => Some(self.at.line.to_string().into_bytes()),
            Name::Variable(name) => state.value(name).cloned(),
            Name::Positional(0) => Some(state.name.clone()),
            Name::Positional(number) => state.arguments.get(*number as usize - 1).cloned(),
            Name::Special(b'?') => Some(state.status.to_string().into_bytes()),
            Name::Special(b'#') => Some(state.arguments.len().to_string().into_bytes()),
            Name::Special(b'$') => Some(state.identity.clone()),
            Name::Special(b'!') => state.last_background.clone(),
            Name::Special(b'-') => {
                let mut letters = state.options.letters();
                if state.is_interactive {
                    letters.push(b'i');
                }
                Some(letters)
            }
            Name::Special(byte) => {
                // `$*` has the first separator between arguments; `$@` where it can't be split, a blank.
                let separators = state.separators();
                let separator = if *byte == b'*' { separators.get(..1).unwrap_or_default() } else { b" " };
                (!state.arguments.is_empty()).then(|| state.arguments.join(separator))
            }
        })
    }
}

fn is_all_arguments(piece: &Piece) -> bool {
    matches!(piece, Piece::Parameter(parameter) if parameter.name == Name::Special(b'@'))
}

fn describe(name: &Name) -> alloc::string::String {
    match name {
        Name::Variable(name) => shorten(name),
        Name::Positional(number) => number.to_string(),
        Name::Special(byte) => char::from(*byte).to_string(),
    }
}
