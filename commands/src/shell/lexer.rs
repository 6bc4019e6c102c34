//! Tokens: operators, line ends and words.
//!
//! Words are parsed where they are met (`word`), command substitutions in them included, so one `Parser`
//! holds the state of all three files: this one, `word` and `parser`. Here-document bodies are read when the
//! lexer passes the end of the line that announced them.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::{Cell, OnceCell};

use abi::Error;

use super::ast::{Position, Text, Word};
use super::cursor::{Cursor, ParseError};
use super::stack::Stack;

/// A unit of the grammar.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token {
    Word(Word),
    /// Digits right before `<` or `>`.
    Descriptor(u8),
    Operator(Operator),
    Newline,
    End,
}

macro_rules! operators {
    ($($Name:ident = $text:literal,)*) => {
        /// The operators; of those that begin alike the longest is meant.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(super) enum Operator { $($Name,)* }

        impl Operator {
            /// How it is written.
            pub(super) fn text(self) -> &'static str {
                match self { $(Operator::$Name => $text,)* }
            }

            fn from_text(text: &[u8]) -> Option<Operator> {
                $(if text == $text.as_bytes() { return Some(Operator::$Name); })*
                None
            }
        }
    };
}

operators! {
    Semicolon = ";",
    DoubleSemicolon = ";;",
    Ampersand = "&",
    And = "&&",
    Pipe = "|",
    Or = "||",
    Open = "(",
    Close = ")",
    Less = "<",
    Greater = ">",
    Append = ">>",
    Here = "<<",
    HereStripped = "<<-",
    LessSame = "<&",
    GreaterSame = ">&",
    ReadWrite = "<>",
    Clobber = ">|",
}

/// A here-document whose body is still to come.
#[derive(Clone)]
pub(super) struct Pending {
    pub(super) delimiter: Text,
    pub(super) is_literal: bool,
    pub(super) strip_tabs: bool,
    pub(super) body: Rc<OnceCell<Word>>,
    pub(super) at: Position,
}

/// A parser over one text; see the module `parser` for its face to the world.
pub struct Parser<'a> {
    pub(super) cursor: Cursor<'a>,
    pub(super) stack: Stack,
    pub(super) peeked: Option<(Token, Position)>,
    pub(super) pending: Vec<Pending>,
    /// How many `$((` turned out to be `$( (`, here and in the texts inside this one. Each is read twice, so
    /// nesting them would take time without bound.
    pub(super) fallbacks: Rc<Cell<u32>>,
    /// How much memory the tree may take yet, the trees of texts inside this one included.
    pub(super) room_bytes: Rc<Cell<usize>>,
    /// How much each line's tree may take.
    pub(super) line_bytes: usize,
}

/// What parsing yields.
pub(super) type Parsed<T> = Result<T, ParseError>;

/// Whether an unquoted `byte` ends a word.
pub(super) fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')')
}

impl<'a> Parser<'a> {
    /// A parser of `source`, whose first byte stands at `at`.
    pub(super) fn at(source: &'a [u8], at: Position, stack: Stack) -> Parser<'a> {
        Parser {
            cursor: Cursor::new(source, at),
            stack,
            peeked: None,
            pending: Vec::new(),
            fallbacks: Rc::default(),
            room_bytes: Rc::new(Cell::new(usize::MAX)),
            line_bytes: usize::MAX,
        }
    }

    /// A parser of a text that stands inside this one's.
    pub(super) fn inside<'b>(&self, source: &'b [u8], at: Position) -> Parser<'b> {
        Parser {
            fallbacks: Rc::clone(&self.fallbacks),
            room_bytes: Rc::clone(&self.room_bytes),
            ..Parser::at(source, at, self.stack)
        }
    }

    /// Counts what is about to be added to the tree; an error at the current place if memory lacks for it.
    pub(super) fn take_room(&self, bytes: usize) -> Parsed<()> {
        let Some(left) = self.room_bytes.get().checked_sub(bytes) else {
            return Err(ParseError::wrong(self.cursor.position(), Error::NoMemory.to_string()));
        };
        self.room_bytes.set(left);
        Ok(())
    }

    /// An error at the current place if recursion has to stop.
    pub(super) fn check_depth(&self) -> Parsed<()> {
        if self.stack.is_exhausted() {
            return Err(ParseError::wrong(self.cursor.position(), "nested too deeply"));
        }
        Ok(())
    }

    /// The next token, which stays.
    pub(super) fn peek(&mut self) -> Parsed<&Token> {
        if self.peeked.is_none() {
            let (token, at) = self.read_token()?;
            self.peeked = Some((token, at));
        }
        Ok(self.peeked.as_ref().map_or(&Token::End, |(token, _)| token))
    }

    /// Where the next token starts.
    pub(super) fn position(&mut self) -> Parsed<Position> {
        self.peek()?;
        Ok(self.peeked.as_ref().map_or(self.cursor.position(), |(_, at)| *at))
    }

    /// The next token, taken.
    pub(super) fn next(&mut self) -> Parsed<Token> {
        match self.peeked.take() {
            Some((token, _)) => Ok(token),
            None => self.read_token().map(|(token, _)| token),
        }
    }

    /// Takes the next token if it is this operator.
    pub(super) fn take_operator(&mut self, operator: Operator) -> Parsed<bool> {
        let found = *self.peek()? == Token::Operator(operator);
        if found {
            self.peeked = None;
        }
        Ok(found)
    }

    /// The error for a next token that does not fit.
    pub(super) fn unexpected(&mut self, expected: &str) -> ParseError {
        let at = match self.position() {
            Ok(at) => at,
            Err(error) => return error,
        };
        match self.peeked.as_ref().map(|(token, _)| token) {
            None | Some(Token::End) => ParseError::incomplete(at, expected),
            Some(token) => ParseError::wrong(at, format!("found {}, expected {expected}", describe(token))),
        }
    }

    fn read_token(&mut self) -> Parsed<(Token, Position)> {
        self.skip_blanks();
        let at = self.cursor.position();
        let token = match self.cursor.peek() {
            None => {
                if let Some(document) = self.pending.first() {
                    return Err(ParseError::incomplete(document.at, "the lines of this here-document"));
                }
                Token::End
            }
            Some(b'\n') => {
                self.cursor.take_raw();
                self.read_here_documents()?;
                Token::Newline
            }
            Some(byte) if byte.is_ascii_digit() => match self.descriptor() {
                Some(number) => Token::Descriptor(number),
                None => Token::Word(self.word()?),
            },
            Some(byte) if ends_word(byte) => Token::Operator(self.operator(byte)),
            Some(_) => Token::Word(self.word()?),
        };
        Ok((token, at))
    }

    /// Passes blanks and a comment.
    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t') = self.cursor.peek() {
            self.cursor.take_raw();
        }
        if self.cursor.peek() == Some(b'#') {
            while self.cursor.peek_raw().is_some_and(|byte| byte != b'\n') {
                self.cursor.take_raw();
            }
        }
    }

    /// Takes the longest operator that starts here; `first`, its first byte, is one.
    fn operator(&mut self, first: u8) -> Operator {
        self.cursor.take();
        let mut text = Vec::from([first]);
        let mut operator = Operator::from_text(&text).unwrap_or(Operator::Semicolon);
        while let Some(byte) = self.cursor.peek() {
            text.push(byte);
            let Some(longer) = Operator::from_text(&text) else {
                break;
            };
            operator = longer;
            self.cursor.take();
        }
        operator
    }

    /// Takes digits that are directly followed by `<` or `>`.
    fn descriptor(&mut self) -> Option<u8> {
        let mut ahead = self.cursor;
        let mut number = 0_u8;
        while let Some(byte) = ahead.peek().filter(u8::is_ascii_digit) {
            number = number.saturating_mul(10).saturating_add(byte - b'0');
            ahead.take();
        }
        matches!(ahead.peek(), Some(b'<' | b'>')).then(|| {
            self.cursor = ahead;
            number
        })
    }
}

/// A token as an error message shows it.
fn describe(token: &Token) -> String {
    match token {
        Token::Word(word) => match word.literal() {
            Some(text) => format!("`{}`", shorten(text)),
            None => "a word".to_owned(),
        },
        Token::Descriptor(number) => format!("`{number}`"),
        Token::Operator(operator) => format!("`{}`", operator.text()),
        Token::Newline => "the end of the line".to_owned(),
        Token::End => "the end of the text".to_owned(),
    }
}

/// A name as people can see it, even if it is empty.
pub(crate) fn shown(name: &[u8]) -> String {
    if name.is_empty() { "''".to_owned() } else { shorten(name) }
}

/// At most 40 characters of a text, for messages.
pub(crate) fn shorten(text: &[u8]) -> String {
    let all = String::from_utf8_lossy(text);
    let mut short: String = all.chars().take(40).collect();
    if short.len() < all.len() {
        short.push('…');
    }
    short
}
