//! `test` and `[`: conditions on files, texts and numbers.
//!
//! With up to four operands the meaning follows from their number, as POSIX has it, so that operands which
//! look like operators do no harm; with more, `-o` binds less than `-a`, and that less than `!`.

use alloc::format;
use alloc::string::{String, ToString};

use super::arithmetic::parse_integer;
use super::ast::Text;
use super::execute::Shell;
use super::lexer::shorten;
use super::stack::Stack;
use super::system::{Object, ObjectKind, System};

/// What conditions are about.
pub(super) trait Facts {
    /// What has this name.
    fn object(&mut self, name: &[u8]) -> Option<Object>;
    /// Whether the stream of this number leads to a terminal.
    fn is_terminal(&mut self, descriptor: u8) -> bool;
}

impl<S: System> Facts for Shell<S> {
    fn object(&mut self, name: &[u8]) -> Option<Object> {
        if name.is_empty() { None } else { self.system.look_up(name).ok() }
    }

    fn is_terminal(&mut self, descriptor: u8) -> bool {
        self.streams.system(descriptor).is_some_and(|stream| self.system.is_terminal(&stream))
    }
}

/// Whether the condition that the operands make holds.
pub(super) fn evaluate<F: Facts>(operands: &[Text], facts: &mut F, stack: Stack) -> Result<bool, String> {
    let mut test = Test { facts, stack };
    test.by_count(operands)
}

struct Test<'a, F> {
    facts: &'a mut F,
    stack: Stack,
}

impl<F: Facts> Test<'_, F> {
    fn by_count(&mut self, operands: &[Text]) -> Result<bool, String> {
        match operands {
            [] => Ok(false),
            [text] => Ok(!text.is_empty()),
            [not, text] if not == b"!" => Ok(text.is_empty()),
            [operator, operand] if is_unary(operator) => self.unary(operator, operand),
            [left, operator, right] if is_binary(operator) => self.binary(left, operator, right),
            [not, rest @ ..] if not == b"!" && operands.len() <= 4 => Ok(!self.by_count(rest)?),
            [open, inner @ .., close] if open == b"(" && close == b")" && operands.len() <= 4 => {
                self.by_count(inner)
            }
            _ => {
                let mut rest = operands;
                let holds = self.either(&mut rest)?;
                match rest.first() {
                    None => Ok(holds),
                    Some(extra) => Err(format!("found `{}`, expected an operator", shorten(extra))),
                }
            }
        }
    }

    fn either(&mut self, rest: &mut &[Text]) -> Result<bool, String> {
        let mut holds = self.both(rest)?;
        while take(rest, b"-o") {
            holds |= self.both(rest)?;
        }
        Ok(holds)
    }

    fn both(&mut self, rest: &mut &[Text]) -> Result<bool, String> {
        let mut holds = self.negated(rest)?;
        while take(rest, b"-a") {
            holds &= self.negated(rest)?;
        }
        Ok(holds)
    }

    fn negated(&mut self, rest: &mut &[Text]) -> Result<bool, String> {
        let mut negative = false;
        while rest.len() > 1 && take(rest, b"!") {
            negative = !negative;
        }
        Ok(self.primary(rest)? != negative)
    }

    fn primary(&mut self, rest: &mut &[Text]) -> Result<bool, String> {
        if self.stack.is_exhausted() {
            return Err("nested too deeply".to_string());
        }
        match *rest {
            [left, operator, right, after @ ..] if is_binary(operator) => {
                *rest = after;
                self.binary(left, operator, right)
            }
            [open, after @ ..] if open == b"(" && !after.is_empty() => {
                *rest = after;
                let holds = self.either(rest)?;
                if !take(rest, b")") {
                    return Err("expected `)`".to_string());
                }
                Ok(holds)
            }
            [operator, operand, after @ ..] if is_unary(operator) => {
                *rest = after;
                self.unary(operator, operand)
            }
            [text, after @ ..] => {
                *rest = after;
                Ok(!text.is_empty())
            }
            [] => Err("expected an operand at the end".to_string()),
        }
    }

    fn unary(&mut self, operator: &[u8], operand: &[u8]) -> Result<bool, String> {
        match operator {
            b"-n" => return Ok(!operand.is_empty()),
            b"-z" => return Ok(operand.is_empty()),
            b"-t" => {
                let descriptor = integer(operand)?;
                return Ok(
                    u8::try_from(descriptor).is_ok_and(|descriptor| self.facts.is_terminal(descriptor))
                );
            }
            _ => {}
        }
        let Some(object) = self.facts.object(operand) else {
            return Ok(false);
        };
        Ok(match operator {
            b"-e" => true,
            b"-f" => object.kind == ObjectKind::File,
            b"-d" => object.kind == ObjectKind::Directory,
            b"-p" | b"-c" => object.kind == ObjectKind::Stream,
            b"-s" => object.size_bytes > 0,
            b"-r" => object.is_readable,
            b"-w" => object.is_writable,
            b"-x" => object.is_executable,
            // There are no links, block devices, sockets or set-user-id files.
            _ => false,
        })
    }

    fn binary(&mut self, left: &[u8], operator: &[u8], right: &[u8]) -> Result<bool, String> {
        Ok(match operator {
            b"=" | b"==" => left == right,
            b"!=" => left != right,
            b"<" => left < right,
            b">" => left > right,
            b"-eq" => integer(left)? == integer(right)?,
            b"-ne" => integer(left)? != integer(right)?,
            b"-lt" => integer(left)? < integer(right)?,
            b"-le" => integer(left)? <= integer(right)?,
            b"-gt" => integer(left)? > integer(right)?,
            b"-ge" => integer(left)? >= integer(right)?,
            b"-nt" => self.modified(left) > self.modified(right),
            _ => self.modified(left) < self.modified(right),
        })
    }

    /// When a file was changed; `None`, which is before all else, if there is none.
    fn modified(&mut self, name: &[u8]) -> Option<u64> {
        self.facts.object(name).map(|object| object.modified)
    }
}

fn take(rest: &mut &[Text], word: &[u8]) -> bool {
    let found = rest.first().is_some_and(|first| first == word);
    if found {
        *rest = &rest[1..];
    }
    found
}

fn integer(text: &[u8]) -> Result<i64, String> {
    // `test` knows decimal numbers only; a leading 0 means nothing.
    let trimmed = text.trim_ascii();
    let (sign, digits) = match trimmed {
        [b'-', digits @ ..] => (-1_i64, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    let significant =
        digits.iter().position(|digit| *digit != b'0').map_or(&b"0"[..], |start| &digits[start..]);
    let is_decimal = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) && significant.len() <= 18;
    parse_integer(significant)
        .filter(|_| is_decimal)
        .map(|value| sign * value)
        .ok_or_else(|| format!("`{}` is not a number", shorten(text)))
}

fn is_unary(word: &[u8]) -> bool {
    matches!(word, [b'-', letter] if b"bcdefghknprstuwxzLOGS".contains(letter))
}

fn is_binary(word: &[u8]) -> bool {
    matches!(
        word,
        b"=" | b"=="
            | b"!="
            | b"<"
            | b">"
            | b"-eq"
            | b"-ne"
            | b"-lt"
            | b"-le"
            | b"-gt"
            | b"-ge"
            | b"-nt"
            | b"-ot"
    )
}
