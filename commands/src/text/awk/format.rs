//! `printf`, with numbers that have fractions.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::value::Value;
use crate::text::characters::characters;

/// The widest that anything is written.
const MOST_COLUMNS: usize = 65_535;
/// The most digits behind a point; no number has more.
const MOST_DIGITS: usize = 1_100;

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct Conversion {
    left: bool,
    plus: bool,
    blank: bool,
    alternative: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// Values in a format. What lacks a value gets none.
pub fn formatted(format: &[u8], values: &[Value], convfmt: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    let mut values = values.iter();
    let mut rest = format;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            output.push(*byte);
            continue;
        }
        let begin = after;
        let mut conversion = Conversion::default();
        while let Some((flag, after)) = rest.split_first() {
            match flag {
                b'-' => conversion.left = true,
                b'+' => conversion.plus = true,
                b' ' => conversion.blank = true,
                b'#' => conversion.alternative = true,
                b'0' => conversion.zero = true,
                _ => break,
            }
            rest = after;
        }
        let mut size = |rest: &mut &[u8]| -> i64 {
            if let Some(after) = rest.strip_prefix(b"*") {
                *rest = after;
                return values.next().map_or(0, |value| value.number() as i64);
            }
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let number = core::str::from_utf8(&rest[..digits]).unwrap_or_default().parse().unwrap_or(0);
            *rest = &rest[digits..];
            number
        };
        let width = size(&mut rest);
        conversion.left |= width < 0;
        conversion.width = usize::try_from(width.unsigned_abs()).unwrap_or(MOST_COLUMNS).min(MOST_COLUMNS);
        if let Some(after) = rest.strip_prefix(b".") {
            rest = after;
            conversion.precision = usize::try_from(size(&mut rest)).ok();
        }
        while let [b'h' | b'l' | b'L' | b'q', after @ ..] = rest {
            rest = after;
        }
        let Some((letter, after)) = rest.split_first() else {
            output.push(b'%');
            output.extend_from_slice(begin);
            break;
        };
        rest = after;
        if *letter == b'%' {
            output.push(b'%');
            continue;
        }
        let value = values.next().unwrap_or(&Value::Unset);
        match letter {
            b'c' => conversion.text(&character(value), &mut output),
            b's' => conversion.text(&value.bytes(convfmt), &mut output),
            letter => {
                if let Some((sign, digits)) = conversion.number(*letter, value.number()) {
                    conversion.pad_number(sign, &digits, &mut output);
                } else {
                    output.push(b'%');
                    output.extend_from_slice(&begin[..begin.len() - rest.len()]);
                }
            }
        }
    }
    output
}

/// A number by a format with one conversion in it.
pub fn formatted_number(format: &[u8], number: f64) -> Vec<u8> {
    formatted(format, &[Value::Number(number)], b"%.6g")
}

/// What `%c` makes of a value: a number's character, or a text's first.
fn character(value: &Value) -> Vec<u8> {
    match value {
        Value::Text(text) | Value::Numeric(text, _) => characters(text).next().unwrap_or_default().to_vec(),
        value => {
            let code = value.number() as u32;
            let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            character.to_string().into_bytes()
        }
    }
}

impl Conversion {
    fn text(&self, text: &[u8], output: &mut Vec<u8>) {
        let shown: Vec<&[u8]> = characters(text).take(self.precision.unwrap_or(usize::MAX)).collect();
        let missing = self.width.saturating_sub(shown.len());
        let text = shown.concat();
        if self.left {
            output.extend_from_slice(&text);
        }
        output.extend(core::iter::repeat_n(b' ', missing));
        if !self.left {
            output.extend_from_slice(&text);
        }
    }

    fn pad_number(&self, sign: &str, digits: &str, output: &mut Vec<u8>) {
        let missing = self.width.saturating_sub(sign.len() + digits.len());
        let zeros = if self.zero && !self.left { missing } else { 0 };
        let blanks = missing - zeros;
        if !self.left {
            output.extend(core::iter::repeat_n(b' ', blanks));
        }
        output.extend_from_slice(sign.as_bytes());
        output.extend(core::iter::repeat_n(b'0', zeros));
        output.extend_from_slice(digits.as_bytes());
        if self.left {
            output.extend(core::iter::repeat_n(b' ', blanks));
        }
    }

    /// A number's sign and digits; none if there is no such conversion.
    fn number(&self, letter: u8, number: f64) -> Option<(&'static str, String)> {
        let precision = self.precision.unwrap_or(6).min(MOST_DIGITS);
        let size = number.abs();
        let digits = match letter {
            _ if !number.is_finite() && b"difeEgGF".contains(&letter) => {
                String::from(if number.is_nan() { "nan" } else { "inf" })
            }
            b'd' | b'i' => {
                let digits = if size < 1e18 {
                    format!("{}", size as u64)
                } else {
                    format!("{:.0}", libm::trunc(size))
                };
                format!("{digits:0>least$}", least = self.precision.unwrap_or(1).min(MOST_DIGITS))
            }
            b'u' => format!("{}", number as u64),
            b'o' => format!("{:o}", number as i64),
            b'x' => format!("{:x}", number as i64),
            b'X' => format!("{:X}", number as i64),
            b'f' | b'F' => format!("{size:.precision$}"),
            b'e' | b'E' => exponential(size, precision),
            b'g' | b'G' => self.general(size, precision.max(1)),
            _ => return None,
        };
        let digits = if letter.is_ascii_uppercase() { digits.to_ascii_uppercase() } else { digits };
        let is_signed = !matches!(letter, b'o' | b'x' | b'X' | b'u');
        let is_negative = is_signed
            && number.is_sign_negative()
            && (size > 0.0 && digits != "0" || !matches!(letter, b'd' | b'i'));
        let sign = match (is_negative, is_signed && self.plus, is_signed && self.blank) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (.., true) => " ",
            _ => "",
        };
        Some((sign, digits))
    }

    /// The shorter of `%f` and `%e`, without zeros at the end.
    fn general(&self, size: f64, precision: usize) -> String {
        let text = exponential(size, precision - 1);
        let exponent: i32 =
            text.rsplit_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
        let is_fixed = (-4..precision as i32).contains(&exponent);
        let text = if is_fixed {
            format!("{size:.decimals$}", decimals = (precision as i32 - 1 - exponent) as usize)
        } else {
            text
        };
        if self.alternative || !text.contains('.') {
            return text;
        }
        match text.split_once('e') {
            Some((mantissa, exponent)) => {
                format!("{}e{exponent}", mantissa.trim_end_matches('0').trim_end_matches('.'))
            }
            None => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        }
    }
}

/// As C writes it: an exponent with a sign and two digits at least.
fn exponential(size: f64, precision: usize) -> String {
    let text = format!("{size:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::super::value::number_text;
    use super::*;

    #[test]
    fn numbers_are_written_as_c_does() {
        for (format, number, text) in [
            ("%g", 0.0, "0"),
            ("%g", 123_456.0, "123456"),
            ("%g", 1_234_567.0, "1.23457e+06"),
            ("%g", 0.000_012_34, "1.234e-05"),
            ("%.3g", 2.0 / 3.0, "0.667"),
            ("%#.3g", 1.0, "1.00"),
            ("%e", 0.0, "0.000000e+00"),
            ("%.2E", 1e-100, "1.00E-100"),
            ("%+d", 5.9, "+5"),
            ("%d", -0.5, "0"),
            ("%5.1f|", -2.25, " -2.2|"),
            ("%-8.3e|", 1.5, "1.500e+00|"),
            ("%08.2f", -3.5, "-0003.50"),
            ("%d", 1e20, "100000000000000000000"),
            ("%o %z", 8.0, "10 %z"),
            ("%", 1.0, "%"),
            ("%i", f64::NAN, "nan"),
            ("%f", f64::NEG_INFINITY, "-inf"),
        ] {
            let found = String::from_utf8(formatted_number(format.as_bytes(), number)).unwrap();
            assert_eq!(found, text, "{format} {number}");
        }
        assert_eq!(
            formatted(
                b"%*s|%-*s|%.*s",
                &[
                    Value::Number(3.0),
                    Value::text(b"a"),
                    Value::Number(3.0),
                    Value::text("ä".as_bytes()),
                    Value::Number(1.0),
                    Value::text(b"xyz")
                ],
                b""
            ),
            "  a|ä  |x".as_bytes()
        );
        assert_eq!(number_text(1e15, b"%.6g"), b"1000000000000000");
        assert_eq!(number_text(0.1, b"%.6g"), b"0.1");
    }
}
