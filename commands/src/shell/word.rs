//! Words: quoting, parameters, substitutions and the bodies of here-documents.
//!
//! Neighbours: `lexer` calls `word` where a word starts; `$(…)` goes back into `parser`.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::mem::take;

use super::ast::{Name, Operation, Otherwise, Parameter, Piece, Position, Text, Word};
use super::cursor::ParseError;
use super::lexer::{Operator, Parsed, Parser, ends_word, shorten};

/// How often in a script `$((` may turn out to be a subshell in a substitution.
const MOST_FALLBACKS: u32 = 1000;

/// What a word takes in a tree, or another run of pieces, with its first pieces.
const WORD_BYTES: usize = 384;
/// What a piece takes at most besides its text.
const PIECE_BYTES: usize = 256;

/// What ends a run of pieces, and with it which quoting rules hold inside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// A blank or an operator.
    Blank,
    /// The `}` of an unquoted expansion.
    Brace,
    /// The closing `"`.
    Quote,
    /// The `}` of an expansion between quotes.
    QuotedBrace,
    /// The `))` of an arithmetic expansion.
    Arithmetic,
    /// The end of a here-document.
    End,
}

impl Until {
    /// Whether single quotes and blanks mean themselves here.
    fn is_quoted(self) -> bool {
        !matches!(self, Until::Blank | Until::Brace)
    }

    /// Whether a backslash takes the meaning from `byte` between quotes.
    fn escapes(self, byte: u8) -> bool {
        match byte {
            b'$' | b'`' | b'\\' => true,
            b'"' => self != Until::End,
            b'}' => self == Until::QuotedBrace,
            _ => false,
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Until::Brace | Until::QuotedBrace => "`}`",
            Until::Quote => "`\"`",
            Until::Arithmetic => "`))`",
            Until::Blank | Until::End => "more",
        }
    }
}

/// Gathers pieces; neighbouring literal bytes become one piece.
#[derive(Default)]
struct Pieces {
    done: Vec<Piece>,
    literal: Text,
}

impl Pieces {
    fn push(&mut self, piece: Piece) {
        self.flush();
        self.done.push(piece);
    }

    fn flush(&mut self) {
        if !self.literal.is_empty() {
            self.done.push(Piece::Literal(take(&mut self.literal)));
        }
    }

    fn is_empty(&self) -> bool {
        self.done.is_empty() && self.literal.is_empty()
    }
}

/// Whether `byte` may start a variable's name.
pub(super) fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// Whether `text` is the name of a variable.
pub(super) fn is_name(text: &[u8]) -> bool {
    text.first().copied().is_some_and(starts_name)
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

impl Parser<'_> {
    /// Takes a word; the cursor is at its first byte.
    pub(super) fn word(&mut self) -> Parsed<Word> {
        let at = self.cursor.position();
        Ok(Word { pieces: self.pieces(Until::Blank)?, at })
    }

    /// All that is left, read as the body of a here-document.
    pub(super) fn document(&mut self) -> Parsed<Vec<Piece>> {
        self.pieces(Until::End)
    }

    fn pieces(&mut self, until: Until) -> Parsed<Vec<Piece>> {
        self.check_depth()?;
        let start = self.cursor.position();
        let mut pieces = Pieces::default();
        let mut open_parentheses = 0_usize;
        let mut counted = 0;
        self.take_room(WORD_BYTES)?;
        loop {
            self.take_room((pieces.done.len() - counted) * PIECE_BYTES)?;
            counted = pieces.done.len();
            let Some(byte) = self.cursor.peek() else {
                if matches!(until, Until::Blank | Until::End) {
                    break;
                }
                return Err(ParseError::incomplete(start, until.expected()));
            };
            match (byte, until) {
                (byte, Until::Blank) if ends_word(byte) => break,
                (b'}', Until::Brace | Until::QuotedBrace) | (b'"', Until::Quote) => {
                    self.cursor.take();
                    break;
                }
                (b')', Until::Arithmetic) if open_parentheses == 0 => {
                    self.cursor.take();
                    if self.cursor.take_if(b')') {
                        break;
                    }
                    return Err(ParseError::wrong(start, "found `)`, expected `))`"));
                }
                (b'(', Until::Arithmetic) => {
                    open_parentheses += 1;
                    self.literal(&mut pieces);
                }
                (b')', Until::Arithmetic) => {
                    open_parentheses -= 1;
                    self.literal(&mut pieces);
                }
                (b'"', Until::End) => self.literal(&mut pieces),
                (b'\'', _) if !until.is_quoted() => {
                    let text = self.single_quoted()?;
                    pieces.push(Piece::Quoted(text));
                }
                (b'"', _) => {
                    self.cursor.take();
                    pieces.push(Piece::Double(self.pieces(Until::Quote)?));
                }
                (b'\\', _) => self.backslash(until, &mut pieces),
                (b'$', _) => self.dollar(until, &mut pieces)?,
                (b'`', _) => pieces.push(self.backquoted(until)?),
                (b'~', Until::Blank) if pieces.is_empty() && self.is_home() => {
                    self.cursor.take();
                    pieces.push(Piece::Home);
                }
                _ => self.literal(&mut pieces),
            }
        }
        pieces.flush();
        Ok(pieces.done)
    }

    fn literal(&mut self, pieces: &mut Pieces) {
        pieces.literal.extend(self.cursor.take());
    }

    /// Whether the `~` at the cursor stands alone or before a slash.
    fn is_home(&mut self) -> bool {
        self.cursor.second().is_none_or(|byte| byte == b'/' || ends_word(byte))
    }

    fn single_quoted(&mut self) -> Parsed<Text> {
        let start = self.cursor.position();
        self.cursor.take();
        let mut text = Text::new();
        loop {
            match self.cursor.take_raw() {
                None => return Err(ParseError::incomplete(start, "`'`")),
                Some(b'\'') => return Ok(text),
                Some(byte) => text.push(byte),
            }
        }
    }

    fn backslash(&mut self, until: Until, pieces: &mut Pieces) {
        self.cursor.take();
        let next = self.cursor.peek_raw();
        if !until.is_quoted() {
            // At the very end there is nothing to quote but the backslash.
            let quoted = self.cursor.take_raw().unwrap_or(b'\\');
            pieces.push(Piece::Quoted(Vec::from([quoted])));
        } else if let Some(next) = next.filter(|next| until.escapes(*next)) {
            self.cursor.take_raw();
            pieces.literal.push(next);
        } else {
            pieces.literal.push(b'\\');
        }
    }

    /// `` `…` ``: its text, one level of backslashes removed, is a script of its own.
    fn backquoted(&mut self, until: Until) -> Parsed<Piece> {
        let at = self.cursor.position();
        self.cursor.take();
        let mut text = Text::new();
        loop {
            match self.cursor.take_raw() {
                None => return Err(ParseError::incomplete(at, "`` ` ``")),
                Some(b'`') => break,
                Some(b'\\') => match self.cursor.take_raw() {
                    Some(byte @ (b'$' | b'`' | b'\\')) => text.push(byte),
                    Some(b'"') if until.is_quoted() => text.push(b'"'),
                    Some(byte) => text.extend([b'\\', byte]),
                    None => return Err(ParseError::incomplete(at, "`` ` ``")),
                },
                Some(byte) => text.push(byte),
            }
        }
        let mut inner = self.inside(&text, at);
        let list = inner.program().map_err(|error| ParseError { incomplete: false, ..error })?;
        Ok(Piece::Command(Rc::new(list), at))
    }

    fn dollar(&mut self, until: Until, pieces: &mut Pieces) -> Parsed<()> {
        let at = self.cursor.position();
        self.cursor.take();
        let name = match self.cursor.peek() {
            Some(b'(') => {
                self.cursor.take();
                pieces.push(self.parenthesis(at)?);
                return Ok(());
            }
            Some(b'{') => {
                self.cursor.take();
                let parameter = self.braces(until, at)?;
                pieces.push(Piece::Parameter(Box::new(parameter)));
                return Ok(());
            }
            Some(byte) if byte.is_ascii_digit() => {
                self.cursor.take();
                Name::Positional(u32::from(byte - b'0'))
            }
            _ => {
                let Some(name) = self.name() else {
                    pieces.literal.push(b'$');
                    return Ok(());
                };
                name
            }
        };
        pieces.push(Piece::Parameter(Box::new(Parameter { name, operation: Operation::Value, at })));
        Ok(())
    }

    /// A variable's name or a special parameter.
    fn name(&mut self) -> Option<Name> {
        match self.cursor.peek()? {
            byte if starts_name(byte) => {
                let mut name = Text::new();
                while let Some(byte) = self.cursor.peek().filter(|byte| is_name(&[b'_', *byte])) {
                    self.cursor.take();
                    name.push(byte);
                }
                Some(Name::Variable(name))
            }
            byte @ (b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!') => {
                self.cursor.take();
                Some(Name::Special(byte))
            }
            _ => None,
        }
    }

    /// After `$(`: arithmetic if it can be read so, else commands.
    fn parenthesis(&mut self, at: Position) -> Parsed<Piece> {
        if self.cursor.peek() != Some(b'(') {
            return self.substitution(at);
        }
        let (cursor, pending) = (self.cursor, self.pending.clone());
        self.cursor.take();
        let error = match self.pieces(Until::Arithmetic) {
            Ok(pieces) => return Ok(Piece::Arithmetic(pieces, at)),
            Err(error) => error,
        };
        let fallbacks = self.fallbacks.get() + 1;
        if self.stack.is_exhausted() || fallbacks > MOST_FALLBACKS {
            return Err(error);
        }
        self.fallbacks.set(fallbacks);
        self.cursor = cursor;
        self.pending = pending;
        self.peeked = None;
        self.substitution(at).map_err(|as_commands| if as_commands.incomplete { as_commands } else { error })
    }

    /// After `$(`: commands.
    fn substitution(&mut self, at: Position) -> Parsed<Piece> {
        let list = self.compound_list()?;
        if !self.take_operator(Operator::Close)? {
            return Err(self.unexpected("a command or `)`"));
        }
        Ok(Piece::Command(Rc::new(list), at))
    }

    /// After `${`.
    fn braces(&mut self, until: Until, at: Position) -> Parsed<Parameter> {
        let is_length = self.cursor.peek() == Some(b'#') && self.is_length();
        if is_length {
            self.cursor.take();
        }
        let Some(name) = self.braced_name() else {
            return Err(self.bad_braces(at, "a parameter's name"));
        };
        let operation = if is_length {
            if !self.cursor.take_if(b'}') {
                return Err(self.bad_braces(at, "`}`"));
            }
            Operation::Length
        } else {
            self.operation(until, at)?
        };
        Ok(Parameter { name, operation, at })
    }

    /// The error for something in `${` that does not fit.
    fn bad_braces(&self, at: Position, expected: &str) -> ParseError {
        let Some(byte) = self.cursor.peek_raw() else {
            return ParseError::incomplete(at, expected);
        };
        let found = shorten(&[byte]);
        ParseError::wrong(self.cursor.position(), format!("found `{found}` in `${{`, expected {expected}"))
    }

    /// What follows the name in `${name…}`.
    fn operation(&mut self, until: Until, at: Position) -> Parsed<Operation> {
        let empty_too = self.cursor.take_if(b':');
        let sign = self.cursor.peek();
        let action = match sign {
            Some(b'}') if !empty_too => {
                self.cursor.take();
                return Ok(Operation::Value);
            }
            Some(sign @ (b'#' | b'%')) if !empty_too => {
                self.cursor.take();
                let longest = self.cursor.take_if(sign);
                let pattern = self.inner_word(Until::Brace)?;
                return Ok(Operation::Trim { suffix: sign == b'%', longest, pattern });
            }
            Some(b'-') => Otherwise::Use,
            Some(b'=') => Otherwise::Assign,
            Some(b'?') => Otherwise::Fail,
            Some(b'+') => Otherwise::Alternative,
            _ => return Err(self.bad_braces(at, "one of `}` `-` `=` `?` `+` `#` `%`")),
        };
        self.cursor.take();
        let word = self.inner_word(if until.is_quoted() { Until::QuotedBrace } else { Until::Brace })?;
        Ok(Operation::Otherwise { action, empty_too, word })
    }

    fn inner_word(&mut self, until: Until) -> Parsed<Word> {
        let at = self.cursor.position();
        Ok(Word { pieces: self.pieces(until)?, at })
    }

    /// At the `#` after `${`: whether it asks for a length, rather than being the parameter `$#`.
    fn is_length(&mut self) -> bool {
        let mut ahead = self.cursor;
        ahead.take();
        match ahead.take() {
            Some(byte) if starts_name(byte) || byte.is_ascii_digit() => true,
            Some(b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!') => ahead.peek() == Some(b'}'),
            _ => false,
        }
    }

    /// A name between braces, where a positional parameter may have several digits.
    fn braced_name(&mut self) -> Option<Name> {
        if !self.cursor.peek()?.is_ascii_digit() {
            return self.name();
        }
        let mut number = 0_u32;
        while let Some(byte) = self.cursor.peek().filter(u8::is_ascii_digit) {
            self.cursor.take();
            number = number.saturating_mul(10).saturating_add(u32::from(byte - b'0'));
        }
        Some(Name::Positional(number))
    }

    /// At the start of a line: takes the bodies of the here-documents announced on the line before.
    pub(super) fn read_here_documents(&mut self) -> Parsed<()> {
        for document in take(&mut self.pending) {
            let at = self.cursor.position();
            let mut text = Text::new();
            // A line that begins as the rest of the one before, behind a backslash, is no end.
            let mut is_continued = false;
            loop {
                let Some(line) = self.cursor.take_line() else {
                    let expected = format!("a line `{}`", shorten(&document.delimiter));
                    return Err(ParseError::incomplete(document.at, &expected));
                };
                let strips = document.strip_tabs && !is_continued;
                let tabs = line.iter().take_while(|byte| strips && **byte == b'\t').count();
                let line = &line[tabs..];
                if line == document.delimiter && !is_continued {
                    break;
                }
                let backslashes = line.iter().rev().take_while(|byte| **byte == b'\\').count();
                is_continued = !document.is_literal && backslashes % 2 == 1;
                text.extend_from_slice(line);
                text.push(b'\n');
            }
            let pieces = if document.is_literal {
                Vec::from([Piece::Quoted(text)])
            } else {
                let mut body = self.inside(&text, at);
                body.document().map_err(|error| ParseError { incomplete: false, ..error })?
            };
            // Set already if the lexer comes by again after trying `$((`; the text is the same then.
            let _ = document.body.set(Word { pieces, at });
        }
        Ok(())
    }
}
