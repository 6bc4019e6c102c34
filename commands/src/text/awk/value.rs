//! Values: numbers and texts, and what is made of one for the other.

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::format::formatted_number;

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// Of a variable that was never set: 0, and an empty text.
    Unset,
    /// A number.
    Number(f64),
    /// A text.
    Text(Rc<[u8]>),
    /// A text of the input that looks like a number, and compares as one.
    Numeric(Rc<[u8]>, f64),
}

/// Beyond this, not every whole number is one.
const MOST_EXACT: f64 = 1e16;

impl Value {
    /// A truth.
    pub fn truth(holds: bool) -> Value {
        Value::Number(if holds { 1.0 } else { 0.0 })
    }

    /// A text of the program's.
    pub fn text(text: &[u8]) -> Value {
        Value::Text(text.into())
    }

    /// A text of the input.
    pub fn input(text: &[u8]) -> Value {
        let trimmed = text.trim_ascii();
        let (number, length) = number_prefix(trimmed);
        if length > 0 && length == trimmed.len() {
            Value::Numeric(text.into(), number)
        } else {
            Value::text(text)
        }
    }

    /// As a number; of a text, the number that it begins with.
    pub fn number(&self) -> f64 {
        match self {
            Value::Unset => 0.0,
            Value::Number(number) | Value::Numeric(_, number) => *number,
            Value::Text(text) => number_prefix(text.trim_ascii_start()).0,
        }
    }

    /// As a text. `format` is how numbers are written that are not whole.
    pub fn bytes(&self, format: &[u8]) -> Rc<[u8]> {
        match self {
            Value::Unset => Rc::from(&b""[..]),
            Value::Text(text) | Value::Numeric(text, _) => text.clone(),
            Value::Number(number) => number_text(*number, format).into(),
        }
    }

    /// Whether it holds.
    pub fn holds(&self) -> bool {
        match self {
            Value::Unset => false,
            Value::Number(number) | Value::Numeric(_, number) => *number != 0.0,
            Value::Text(text) => !text.is_empty(),
        }
    }

    /// Compares as numbers if both are, else as texts; none if a number is none.
    pub fn compare(&self, other: &Value, format: &[u8]) -> Option<Ordering> {
        match (self, other) {
            (Value::Text(_), _) | (_, Value::Text(_)) => Some(self.bytes(format).cmp(&other.bytes(format))),
            _ => self.number().partial_cmp(&other.number()),
        }
    }
}

/// A number as a text.
pub fn number_text(number: f64, format: &[u8]) -> Vec<u8> {
    #[expect(clippy::float_cmp, reason = "whole numbers are exactly that")]
    let is_whole = number == libm::trunc(number);
    if number.is_finite() && number.abs() < MOST_EXACT && is_whole {
        return format!("{}", number as i64).into_bytes();
    }
    formatted_number(format, number)
}

/// The number that a text begins with, and its length; 0 if there is none.
pub fn number_prefix(text: &[u8]) -> (f64, usize) {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let whole = digits(end);
    end += whole;
    let mut fraction = 0;
    if text.get(end) == Some(&b'.') {
        fraction = digits(end + 1);
        if whole + fraction > 0 {
            end += 1 + fraction;
        }
    }
    if whole + fraction == 0 {
        return (0.0, 0);
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits((end + 1 + sign).min(text.len()));
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    let number = core::str::from_utf8(&text[..end]).ok().and_then(|text| text.parse().ok());
    (number.unwrap_or(0.0), end)
}
