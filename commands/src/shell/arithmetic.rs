//! `$((…))`: C's operators on 64-bit integers. Overflow wraps; dividing by zero is an error.
//!
//! The text has been expanded already. Variables are read and assigned through [`Variables`].

use alloc::format;
use alloc::string::{String, ToString};

use super::ast::Text;
use super::lexer::shorten;
use super::stack::Stack;
use super::word::{is_name, starts_name};

/// The variables that an expression reads and assigns.
pub trait Variables {
    /// A variable's value, if it is set.
    fn value(&self, name: &[u8]) -> Option<Text>;
    /// Gives a variable a value; or why not.
    fn assign(&mut self, name: &[u8], value: Text) -> Result<(), String>;
}

/// The operators of two operands, the longest of those that begin alike first, with how tightly they bind.
const BINARY: [(&[u8], u8); 18] = [
    (b"||", 1),
    (b"&&", 2),
    (b"==", 6),
    (b"!=", 6),
    (b"<=", 7),
    (b">=", 7),
    (b"<<", 8),
    (b">>", 8),
    (b"|", 3),
    (b"^", 4),
    (b"&", 5),
    (b"<", 7),
    (b">", 7),
    (b"+", 9),
    (b"-", 9),
    (b"*", 10),
    (b"/", 10),
    (b"%", 10),
];

const ASSIGNING: [&[u8]; 11] = [b"<<=", b">>=", b"+=", b"-=", b"*=", b"/=", b"%=", b"&=", b"|=", b"^=", b"="];

/// The value of an expression; the error says what is wrong and where.
pub fn evaluate<V: Variables>(text: &[u8], variables: &mut V, stack: Stack) -> Result<i64, String> {
    let mut evaluator = Evaluator { text, offset: 0, variables, stack, idle: 0 };
    evaluator.skip_blanks();
    if evaluator.offset == text.len() {
        return Ok(0);
    }
    let value = evaluator.comma()?;
    if evaluator.offset < text.len() {
        return Err(evaluator.error("an operator"));
    }
    Ok(value)
}

/// The value of a constant, or of a variable's text.
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii();
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let value = parse_constant(digits)?;
    Some(if negative { value.wrapping_neg() } else { value })
}

/// Digits as C writes them: decimal, `0x` hexadecimal, `0` octal. Up to 64 bits.
fn parse_constant(digits: &[u8]) -> Option<i64> {
    let (radix, digits) = match digits {
        [b'0', b'x' | b'X', rest @ ..] => (16, rest),
        [b'0', rest @ ..] if !rest.is_empty() => (8, rest),
        all => (10, all),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let text = core::str::from_utf8(digits).ok()?;
    u64::from_str_radix(text, radix).ok().map(u64::cast_signed)
}

struct Evaluator<'a, V> {
    text: &'a [u8],
    offset: usize,
    variables: &'a mut V,
    stack: Stack,
    /// Above zero in what is read but not evaluated, such as what follows `0 &&`.
    idle: u32,
}

impl<V: Variables> Evaluator<'_, V> {
    fn error(&self, expected: &str) -> String {
        let rest = self.text.get(self.offset..).unwrap_or_default();
        let text = shorten(self.text);
        if rest.is_empty() {
            format!("arithmetic `{text}` ends, expected {expected}")
        } else {
            format!("arithmetic `{text}`: found `{}`, expected {expected}", shorten(rest))
        }
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.offset..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        while self.rest().first().is_some_and(u8::is_ascii_whitespace) {
            self.offset += 1;
        }
    }

    fn take(&mut self, operator: &[u8]) -> bool {
        let found = self.rest().starts_with(operator);
        if found {
            self.offset += operator.len();
            self.skip_blanks();
        }
        found
    }

    fn comma(&mut self) -> Result<i64, String> {
        let mut value = self.assignment()?;
        while self.take(b",") {
            value = self.assignment()?;
        }
        Ok(value)
    }

    /// Takes a variable's name, if one stands here.
    fn name(&mut self) -> Option<Text> {
        let rest = self.rest();
        rest.first().copied().filter(|byte| starts_name(*byte))?;
        let length = rest.iter().take_while(|byte| is_name(&[b'_', **byte])).count();
        let name = rest[..length].to_vec();
        self.offset += length;
        self.skip_blanks();
        Some(name)
    }

    fn assignment(&mut self) -> Result<i64, String> {
        if self.stack.is_exhausted() {
            return Err("arithmetic nested too deeply".to_string());
        }
        let start = self.offset;
        if let Some(name) = self.name() {
            let is_comparison = self.rest().starts_with(b"==");
            let operator = ASSIGNING.into_iter().find(|operator| self.rest().starts_with(operator));
            if let Some(operator) = operator.filter(|_| !is_comparison) {
                self.take(operator);
                let right = self.assignment()?;
                let binary = &operator[..operator.len() - 1];
                let value = if binary.is_empty() {
                    right
                } else {
                    let left = self.variable(&name)?;
                    self.apply(binary, left, right)?
                };
                return self.assign(&name, value);
            }
            self.offset = start;
        }
        self.conditional()
    }

    fn assign(&mut self, name: &[u8], value: i64) -> Result<i64, String> {
        if self.idle == 0 {
            self.variables.assign(name, value.to_string().into_bytes())?;
        }
        Ok(value)
    }

    fn variable(&self, name: &[u8]) -> Result<i64, String> {
        if self.idle > 0 {
            return Ok(0);
        }
        let value = self.variables.value(name).unwrap_or_default();
        if value.trim_ascii().is_empty() {
            return Ok(0);
        }
        parse_integer(&value).ok_or_else(|| {
            format!("arithmetic: `{}` in `{}` is not a number", shorten(&value), shorten(name))
        })
    }

    fn conditional(&mut self) -> Result<i64, String> {
        let condition = self.binary(1)?;
        if !self.take(b"?") {
            return Ok(condition);
        }
        let first = self.idle_if(condition == 0, Self::comma)?;
        if !self.take(b":") {
            return Err(self.error("`:`"));
        }
        let second = self.idle_if(condition != 0, Self::assignment)?;
        Ok(if condition == 0 { second } else { first })
    }

    fn idle_if(
        &mut self,
        idle: bool,
        read: impl FnOnce(&mut Self) -> Result<i64, String>,
    ) -> Result<i64, String> {
        self.idle += u32::from(idle);
        let value = read(self);
        self.idle -= u32::from(idle);
        value
    }

    /// Operators that bind at least as tightly as `least`.
    fn binary(&mut self, least: u8) -> Result<i64, String> {
        let mut left = self.unary()?;
        loop {
            let found = BINARY.into_iter().find(|(operator, _)| self.rest().starts_with(operator));
            let Some((operator, strength)) = found.filter(|(_, strength)| *strength >= least) else {
                return Ok(left);
            };
            let assigns = operator.len() == 1 || matches!(operator, b"<<" | b">>");
            if assigns && self.rest().get(operator.len()) == Some(&b'=') && !matches!(operator, b"<" | b">") {
                return Err(self.error("an operator, or a variable before an assignment"));
            }
            self.take(operator);
            let decided = match operator {
                b"||" => left != 0,
                b"&&" => left == 0,
                _ => false,
            };
            let right = self.idle_if(decided, |evaluator| evaluator.binary(strength + 1))?;
            left = self.apply(operator, left, right)?;
        }
    }

    fn apply(&self, operator: &[u8], left: i64, right: i64) -> Result<i64, String> {
        let shift = right.cast_unsigned() as u32 & 63;
        Ok(match operator {
            b"||" => i64::from(left != 0 || right != 0),
            b"&&" => i64::from(left != 0 && right != 0),
            b"|" => left | right,
            b"^" => left ^ right,
            b"&" => left & right,
            b"==" => i64::from(left == right),
            b"!=" => i64::from(left != right),
            b"<=" => i64::from(left <= right),
            b">=" => i64::from(left >= right),
            b"<" => i64::from(left < right),
            b">" => i64::from(left > right),
            b"<<" => left.wrapping_shl(shift),
            b">>" => left.wrapping_shr(shift),
            b"+" => left.wrapping_add(right),
            b"-" => left.wrapping_sub(right),
            b"*" => left.wrapping_mul(right),
            _ if right == 0 && self.idle > 0 => 0,
            _ if right == 0 => return Err(format!("arithmetic `{}`: division by zero", shorten(self.text))),
            b"/" => left.wrapping_div(right),
            _ => left.wrapping_rem(right),
        })
    }

    fn unary(&mut self) -> Result<i64, String> {
        if self.stack.is_exhausted() {
            return Err("arithmetic nested too deeply".to_string());
        }
        for (operator, change) in [(b"++", 1_i64), (b"--", -1)] {
            if self.rest().starts_with(operator) {
                let start = self.offset;
                self.take(operator);
                if let Some(name) = self.name() {
                    let value = self.variable(&name)?.wrapping_add(change);
                    return self.assign(&name, value);
                }
                // Not before a variable: two signs.
                self.offset = start;
            }
        }
        if self.take(b"+") {
            self.unary()
        } else if self.take(b"-") {
            Ok(self.unary()?.wrapping_neg())
        } else if self.take(b"!") {
            Ok(i64::from(self.unary()? == 0))
        } else if self.take(b"~") {
            Ok(!self.unary()?)
        } else {
            self.primary()
        }
    }

    fn primary(&mut self) -> Result<i64, String> {
        if self.take(b"(") {
            let value = self.comma()?;
            if !self.take(b")") {
                return Err(self.error("`)`"));
            }
            return Ok(value);
        }
        if let Some(name) = self.name() {
            let value = self.variable(&name)?;
            for (operator, change) in [(b"++", 1_i64), (b"--", -1)] {
                if self.take(operator) {
                    self.assign(&name, value.wrapping_add(change))?;
                    break;
                }
            }
            return Ok(value);
        }
        let rest = self.rest();
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let Some(value) = parse_constant(&rest[..length]) else {
            return Err(self.error("a number, a variable or `(`"));
        };
        self.offset += length;
        self.skip_blanks();
        Ok(value)
    }
}
