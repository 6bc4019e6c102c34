//! Tokens. Whether a slash divides or begins a pattern only the parser knows, which asks for [`Lexer::pattern`] then.

use alloc::string::String;
use alloc::vec::Vec;

/// A token.
#[derive(Clone, PartialEq, Debug)]
pub enum Token {
    Number(f64),
    Text(Vec<u8>),
    /// A name, of a variable, a function or a word of the language.
    Name(String),
    /// A name with a parenthesis right behind it, which is passed too.
    Call(String),
    /// An operator or a mark.
    Mark(&'static str),
    Newline,
    End,
}

/// Marks, longer ones before those that they begin with.
const MARKS: [&str; 42] = [
    "**=", "**", "*=", "*", "&&", "||", "|", "++", "+=", "+", "--", "-=", "-", "==", "=", "!=", "!~", "!",
    ">>", ">=", ">", "<=", "<", "^=", "^", "%=", "%", "/=", "/", "~", "?", ":", ",", ";", "(", ")", "[", "]",
    "{", "}", "$", "&",
];

/// Whether a text is a name.
pub fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A program's text, token by token.
pub struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    /// Of the next token.
    pub line: usize,
}

impl<'a> Lexer<'a> {
    /// At the beginning.
    pub fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text: text.as_bytes(), at: 0, line: 1 }
    }

    /// A place to come back to.
    pub fn mark(&self) -> (usize, usize) {
        (self.at, self.line)
    }

    /// Goes back to a place.
    pub fn reset(&mut self, (at, line): (usize, usize)) {
        (self.at, self.line) = (at, line);
    }

    /// Gives the parenthesis back that was passed with a name.
    pub fn step_back(&mut self) {
        self.at -= 1;
    }

    fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    fn skip(&mut self) {
        loop {
            match self.rest() {
                [b' ' | b'\t' | b'\r', ..] => self.at += 1,
                [b'\\', b'\n', ..] => {
                    self.at += 2;
                    self.line += 1;
                }
                [b'#', rest @ ..] => {
                    self.at += 1 + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }

    /// The next token, or what is wrong with it.
    pub fn next(&mut self) -> Result<Token, String> {
        self.skip();
        let rest = self.rest();
        let Some(first) = rest.first() else { return Ok(Token::End) };
        match first {
            b'\n' => {
                self.at += 1;
                self.line += 1;
                Ok(Token::Newline)
            }
            b'"' => self.string().map(Token::Text),
            b'0'..=b'9' | b'.' => {
                let (number, length) = super::value::number_prefix(rest);
                if length == 0 {
                    return Err("a dot is no number".into());
                }
                self.at += length;
                Ok(Token::Number(number))
            }
            byte if byte.is_ascii_alphabetic() || *byte == b'_' => {
                let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
                let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
                let name = String::from_utf8_lossy(&rest[..length]).into_owned();
                self.at += length;
                if self.rest().first() == Some(&b'(') {
                    self.at += 1;
                    return Ok(Token::Call(name));
                }
                Ok(Token::Name(name))
            }
            other => {
                let mark = MARKS.into_iter().find(|mark| rest.starts_with(mark.as_bytes()));
                let mark = mark.ok_or_else(|| {
                    alloc::format!("'{}' has no meaning here", String::from_utf8_lossy(&[*other]))
                })?;
                self.at += mark.len();
                Ok(Token::Mark(mark))
            }
        }
    }

    fn string(&mut self) -> Result<Vec<u8>, String> {
        let body = &self.rest()[1..];
        let mut end = 0;
        loop {
            match body.get(end) {
                None | Some(b'\n') => return Err("a string does not end on its line".into()),
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(_) => end += 1,
            }
        }
        self.at += end + 2;
        Ok(unescape(&body[..end]))
    }

    /// A pattern, of which the slash, and what else there is in `begun`, was passed.
    pub fn pattern(&mut self, begun: &str) -> Result<String, String> {
        let rest = self.rest();
        let (mut end, mut in_bracket) = (0, false);
        loop {
            match rest.get(end) {
                None | Some(b'\n') => return Err("a pattern does not end on its line".into()),
                Some(b'/') if !in_bracket => break,
                Some(b'\\') => end += 1,
                Some(b'[') if !in_bracket => {
                    in_bracket = true;
                    end += usize::from(rest.get(end + 1) == Some(&b'^'));
                    end += usize::from(rest.get(end + 1) == Some(&b']'));
                }
                Some(b']') => in_bracket = false,
                Some(_) => {}
            }
            end += 1;
        }
        self.at += end + 1;
        let text = String::from_utf8_lossy(&rest[..end]).replace("\\/", "/");
        Ok([begun, &text].concat())
    }
}

/// A string's bytes without its escapes. One that has no meaning keeps its backslash, for patterns.
pub fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let ([letter, behind @ ..], b'\\') = (after, byte) else {
            bytes.push(*byte);
            continue;
        };
        rest = behind;
        let meant = match letter {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            b'"' | b'\\' | b'/' => *letter,
            b'0'..=b'7' => {
                let count = after.iter().take(3).take_while(|digit| (b'0'..=b'7').contains(*digit)).count();
                rest = &after[count..];
                after[..count].iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0')) as u8
            }
            other => {
                bytes.push(b'\\');
                *other
            }
        };
        bytes.push(meant);
    }
    bytes
}
