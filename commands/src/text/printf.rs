//! `printf`: words in a format. The shell has it built in; the program is for those who start programs, as xargs.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::Error;

use crate::Command;
use crate::context::{Context, Outcome};
use crate::shell::arithmetic::parse_integer;
use crate::shell::lexer::shorten;
use crate::usage::{Arguments, PROGRAM, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "printf",
        synopsis: "FORMAT [WORD...]",
        summary: "Writes words in a format.",
        details: "FORMAT is used again until the words are used up. %s is a word, %b one with escapes as \\n in it, %c its\n\
                  first byte, %d %i %u %o %x %X numbers, %% a percent sign, each with flags, width and precision as in C.\n\
                  Where FORMAT may begin with -, -- comes before it.",
        choices: &[],
        operands: (1, PROGRAM),
    },
    body: printf,
};

/// Numbers of 64 bits are not longer.
const LONGEST_NUMBER_BYTES: usize = 24;
/// The most that the program prints.
const MOST_BYTES: usize = 1 << 20;

fn printf(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let words: Vec<Vec<u8>> = arguments.operands.iter().map(|word| word.clone().into_bytes()).collect();
    let printed = print(&words[0], &words[1..], MOST_BYTES);
    context.output.write_all(&printed.output)?;
    for problem in &printed.problems {
        context.complain(&arguments.operands[0], problem);
    }
    Ok(())
}

/// What a format and its arguments give.
pub struct Printed {
    /// The text.
    pub output: Vec<u8>,
    /// What was wrong with the format or the arguments.
    pub problems: Vec<String>,
}

/// Prints by `format`, again and again until the arguments are used up. So long the output may become, give or take one
/// conversion: `most_bytes`.
pub fn print(format: &[u8], arguments: &[Vec<u8>], most_bytes: usize) -> Printed {
    let mut printing = Printing { arguments, most_bytes, ..Printing::default() };
    loop {
        let before = printing.arguments.len();
        if let Err(message) = printing.format(format) {
            printing.problems.push(message);
            break;
        }
        if printing.is_over || printing.arguments.is_empty() || printing.arguments.len() == before {
            break;
        }
    }
    Printed { output: printing.output, problems: printing.problems }
}

#[derive(Default)]
struct Printing<'a> {
    arguments: &'a [Vec<u8>],
    output: Vec<u8>,
    /// So long the output may become, give or take one conversion.
    most_bytes: usize,
    /// `\c` was met.
    is_over: bool,
    problems: Vec<String>,
}

/// What stands between `%` and the letter.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct Conversion {
    left: bool,
    zero: bool,
    plus: bool,
    blank: bool,
    alternative: bool,
    width: usize,
    precision: Option<usize>,
}

impl<'a> Printing<'a> {
    fn next_argument(&mut self) -> &'a [u8] {
        let Some((first, rest)) = self.arguments.split_first() else {
            return b"";
        };
        self.arguments = rest;
        first
    }

    fn format(&mut self, format: &[u8]) -> Result<(), String> {
        let mut rest = format;
        while let Some((byte, after)) = rest.split_first() {
            rest = after;
            match byte {
                b'\\' => rest = self.escape(rest, false),
                b'%' => rest = self.conversion(rest)?,
                byte => self.output.push(*byte),
            }
            if self.output.len() > self.most_bytes {
                return Err(Error::NoMemory.to_string());
            }
            if self.is_over {
                break;
            }
        }
        Ok(())
    }

    /// What follows a backslash; in `%b` octal numbers start with a 0. Returns what follows.
    fn escape<'b>(&mut self, text: &'b [u8], in_argument: bool) -> &'b [u8] {
        let Some((byte, rest)) = text.split_first() else {
            self.output.push(b'\\');
            return text;
        };
        let meant = match byte {
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0B,
            b'\\' => b'\\',
            b'c' if in_argument => {
                self.is_over = true;
                return rest;
            }
            b'0'..=b'7' => {
                let digits = if in_argument && *byte == b'0' { rest } else { text };
                let count = digits.iter().take(3).take_while(|digit| (b'0'..=b'7').contains(*digit)).count();
                let value =
                    digits[..count].iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
                self.output.push(value as u8);
                return &digits[count..];
            }
            byte => {
                self.output.extend([b'\\', *byte]);
                return rest;
            }
        };
        self.output.push(meant);
        rest
    }

    /// What follows a `%`. Returns what follows the conversion.
    fn conversion<'b>(&mut self, text: &'b [u8]) -> Result<&'b [u8], String> {
        let mut conversion = Conversion::default();
        let mut rest = text;
        while let Some((flag, after)) = rest.split_first() {
            match flag {
                b'-' => conversion.left = true,
                b'0' => conversion.zero = true,
                b'+' => conversion.plus = true,
                b' ' => conversion.blank = true,
                b'#' => conversion.alternative = true,
                _ => break,
            }
            rest = after;
        }
        let (width, after) = self.size(rest)?;
        if width < 0 {
            conversion.left = true;
        }
        conversion.width = bounded(width.unsigned_abs())?;
        rest = after;
        if let Some(after) = rest.strip_prefix(b".") {
            let (precision, after) = self.size(after)?;
            conversion.precision = usize::try_from(precision).ok();
            bounded(precision.unsigned_abs())?;
            rest = after;
        }
        let Some((letter, rest)) = rest.split_first() else {
            return Err("the format ends within a conversion".to_string());
        };
        match letter {
            b'%' => self.output.push(b'%'),
            b's' => {
                let argument = self.next_argument();
                self.text(&conversion, argument);
            }
            b'b' => {
                let argument = self.next_argument();
                let before = core::mem::take(&mut self.output);
                let mut text = argument;
                while let Some((byte, after)) = text.split_first() {
                    text = after;
                    match byte {
                        b'\\' => text = self.escape(text, true),
                        byte => self.output.push(*byte),
                    }
                    if self.is_over {
                        break;
                    }
                }
                let meant = core::mem::replace(&mut self.output, before);
                self.text(&conversion, &meant);
            }
            b'c' => {
                let argument = self.next_argument();
                self.text(&conversion, argument.get(..1).unwrap_or_default());
            }
            b'd' | b'i' | b'u' | b'o' | b'x' | b'X' => {
                let value = self.integer();
                self.number(&conversion, *letter, value);
            }
            letter => {
                let shown = shorten(&[*letter]);
                return Err(format!("%{shown}: no such conversion"));
            }
        }
        Ok(rest)
    }

    /// A width or precision: digits, or `*` for an argument.
    fn size<'b>(&mut self, text: &'b [u8]) -> Result<(i64, &'b [u8]), String> {
        if let Some(rest) = text.strip_prefix(b"*") {
            return Ok((self.integer(), rest));
        }
        let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = core::str::from_utf8(&text[..count]).unwrap_or_default();
        let value = if digits.is_empty() { Some(0) } else { digits.parse().ok() };
        Ok((value.ok_or("a width is too large")?, &text[count..]))
    }

    /// The next argument as a number; a quote before a character means its code.
    fn integer(&mut self) -> i64 {
        let argument = self.next_argument();
        if let [b'\'' | b'"', rest @ ..] = argument {
            let text = String::from_utf8_lossy(rest);
            return text.chars().next().map_or(0, |character| i64::from(u32::from(character)));
        }
        if argument.is_empty() {
            return 0;
        }
        parse_integer(argument).unwrap_or_else(|| {
            self.problems.push(format!("{}: not a number", shorten(argument)));
            // What there is of one before the mistake counts, as everywhere.
            let longest = argument.len().min(LONGEST_NUMBER_BYTES);
            (1..longest).rev().find_map(|length| parse_integer(&argument[..length])).unwrap_or(0)
        })
    }

    fn text(&mut self, conversion: &Conversion, text: &[u8]) {
        let text = conversion.precision.and_then(|most| text.get(..most)).unwrap_or(text);
        self.pad(conversion, text, b' ');
    }

    fn number(&mut self, conversion: &Conversion, letter: u8, value: i64) {
        let is_signed = matches!(letter, b'd' | b'i');
        let mut digits = match letter {
            b'o' => format!("{value:o}"),
            b'x' => format!("{value:x}"),
            b'X' => format!("{value:X}"),
            b'u' => value.cast_unsigned().to_string(),
            _ => value.unsigned_abs().to_string(),
        };
        if let Some(least) = conversion.precision {
            digits = if least == 0 && value == 0 { String::new() } else { format!("{digits:0>least$}") };
        }
        let sign = match letter {
            _ if is_signed && value < 0 => "-",
            _ if is_signed && conversion.plus => "+",
            _ if is_signed && conversion.blank => " ",
            b'o' if conversion.alternative && !digits.starts_with('0') => "0",
            b'x' if conversion.alternative && value != 0 => "0x",
            b'X' if conversion.alternative && value != 0 => "0X",
            _ => "",
        };
        if conversion.zero && !conversion.left && conversion.precision.is_none() {
            let width = conversion.width.saturating_sub(sign.len());
            digits = format!("{digits:0>width$}");
        }
        self.pad(conversion, format!("{sign}{digits}").as_bytes(), b' ');
    }

    fn pad(&mut self, conversion: &Conversion, text: &[u8], filler: u8) {
        let missing = conversion.width.saturating_sub(text.len());
        if !conversion.left {
            self.output.extend(core::iter::repeat_n(filler, missing));
        }
        self.output.extend_from_slice(text);
        if conversion.left {
            self.output.extend(core::iter::repeat_n(filler, missing));
        }
    }
}

/// A width or precision that is no attack on memory; beyond 65535 the formatting of numbers ends as well.
fn bounded(size: u64) -> Result<usize, String> {
    if size > u64::from(u16::MAX) {
        return Err("a width is too large".to_string());
    }
    Ok(size as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    #[test]
    fn formats_are_filled_in() {
        for (line, output) in [
            ("'%s-%s\\n' a b c", "a-b\nc-\n"),
            ("'%5d|%-5d|%05d' 42 42 42", "   42|42   |00042"),
            ("%x%o%X 255 8 255", "ff10FF"),
            ("-- -%s- x", "-x-"),
            ("'%b' 'a\\tb'", "a\tb"),
            ("%.2s abc", "ab"),
            ("%c abc", "a"),
            ("100%%", "100%"),
            ("%x%05d -1 -42", "ffffffffffffffff-0042"),
            ("%.0d. 0", "."),
        ] {
            expect(&COMMAND, line, "", output);
        }
        let (status, output, errors) = try_command(&COMMAND, "%d x", &[]);
        assert_eq!((status, &*output, &*errors), (1, "0", "printf: %d: x: not a number\n"));
        assert_eq!(try_command(&COMMAND, "%z", &[]).0, 1);
        assert_eq!(try_command(&COMMAND, "", &[]).0, 2);
    }
}
