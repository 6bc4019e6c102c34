//! `od`: bytes as numbers and characters.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::Command;
use crate::context::{Context, Failure, FileFailure, Outcome};
use crate::usage::{Arguments, Choice, MANY, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "od",
        synopsis: "[-bcdovx] [-A d|o|x|n] [-t TYPES]... [-j BYTES] [-N BYTES] [FILE...]",
        summary: "Shows bytes as numbers or characters.",
        details: "TYPES are letters, each with how many bytes a number has: d and u are decimal, with and without a sign,\n\
                  o octal, x hexadecimal, c characters: -t x1, -t u2c. Without it is -t o2. Lines like the one before are shown\n\
                  as *.",
        choices: &[
            Choice {
                letter: 'A',
                long: "address",
                value: Some("d|o|x|n"),
                help: "Places in this radix, or none; o.",
            },
            Choice { letter: 't', long: "format", value: Some("TYPES"), help: "How bytes are shown." },
            Choice { letter: 'b', long: "octal-bytes", value: None, help: "As -t o1." },
            Choice { letter: 'c', long: "characters", value: None, help: "As -t c." },
            Choice { letter: 'd', long: "decimal", value: None, help: "As -t u2." },
            Choice { letter: 'o', long: "octal", value: None, help: "As -t o2." },
            Choice { letter: 'x', long: "hexadecimal", value: None, help: "As -t x2." },
            Choice { letter: 'j', long: "skip", value: Some("BYTES"), help: "Begin after so many bytes." },
            Choice { letter: 'N', long: "count", value: Some("BYTES"), help: "Show so many bytes." },
            Choice { letter: 'v', long: "verbose", value: None, help: "Show every line." },
        ],
        operands: (0, MANY),
    },
    body: od,
};

const LINE_BYTES: usize = 16;

/// How bytes are shown: a letter, how many make a number, and how wide that is.
#[derive(Clone, Copy)]
struct Form {
    letter: char,
    bytes: usize,
    width: usize,
}

impl Form {
    fn new(letter: char, bytes: usize) -> Option<Form> {
        let size = [1, 2, 4, 8].iter().position(|known| *known == bytes)?;
        let widths = match letter {
            'o' => [3, 6, 11, 22],
            'd' => [4, 6, 11, 20],
            'u' => [3, 5, 10, 20],
            'x' => [2, 4, 8, 16],
            'c' if bytes == 1 => [3; 4],
            _ => return None,
        };
        Some(Form { letter, bytes, width: widths[size] })
    }

    /// Reads what `-t` takes.
    fn all(text: &str) -> Result<Vec<Form>, Misuse> {
        let misuse = || Misuse(format!("--format: '{text}' is none, such as x1, d4 or c"));
        let mut forms = Vec::new();
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            rest = &rest[letter.len_utf8()..];
            let digits = rest.len() - rest.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
            let (number, after) = rest.split_at(digits);
            let named = match after.chars().next() {
                Some('C') => Some(1),
                Some('S') => Some(2),
                Some('I') => Some(4),
                Some('L') => Some(8),
                _ => None,
            };
            let bytes = match (number, named) {
                ("", Some(bytes)) if letter != 'c' => {
                    rest = &after[1..];
                    bytes
                }
                ("", _) => {
                    rest = after;
                    if letter == 'c' { 1 } else { 4 }
                }
                (number, _) => {
                    rest = after;
                    number.parse().map_err(|_| misuse())?
                }
            };
            forms.push(Form::new(letter, bytes).ok_or_else(misuse)?);
        }
        if forms.is_empty() { Err(misuse()) } else { Ok(forms) }
    }

    /// A number, or a character, of these bytes, the lowest first.
    fn show(self, bytes: &[u8]) -> String {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        let number = u64::from_le_bytes(whole);
        let digits = self.width;
        match self.letter {
            'o' => format!("{number:0digits$o}"),
            'x' => format!("{number:0digits$x}"),
            'u' => format!("{number}"),
            'd' => {
                let unused = 64 - 8 * self.bytes as u32;
                format!("{}", (number << unused).cast_signed() >> unused)
            }
            _ => match whole[0] {
                0 => "\\0".into(),
                7 => "\\a".into(),
                8 => "\\b".into(),
                b'\t' => "\\t".into(),
                b'\n' => "\\n".into(),
                11 => "\\v".into(),
                12 => "\\f".into(),
                b'\r' => "\\r".into(),
                byte @ b' '..=b'~' => char::from(byte).into(),
                byte => format!("{byte:03o}"),
            },
        }
    }
}

/// A line for each form, in columns that lie below each other.
fn lines(place: &str, forms: &[Form], bytes: &[u8]) -> String {
    let columns = |form: &Form| LINE_BYTES / form.bytes * (form.width + 1);
    let widest = forms.iter().map(columns).max().unwrap_or(0);
    let mut text = String::new();
    for (at, form) in forms.iter().enumerate() {
        // Each form's lines begin where the first one's do.
        text += &if at == 0 { place.into() } else { " ".repeat(place.len()) };
        let fields = LINE_BYTES / form.bytes;
        let padding = widest - columns(form);
        let mut left = padding;
        for (field, piece) in bytes.chunks(form.bytes).enumerate() {
            let after = padding * (fields - field - 1) / fields;
            let width = left - after + form.width + 1;
            left = after;
            // A string takes whatever is written to it.
            let _ = write!(text, "{:>width$}", form.show(piece));
        }
        text.push('\n');
    }
    text
}

fn od(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let mut forms = Vec::new();
    for (long, text) in [
        ("octal-bytes", "o1"),
        ("characters", "c"),
        ("decimal", "u2"),
        ("octal", "o2"),
        ("hexadecimal", "x2"),
    ] {
        if arguments.has(long) {
            forms.append(&mut Form::all(text)?);
        }
    }
    for text in arguments.values("format") {
        forms.append(&mut Form::all(text)?);
    }
    if forms.is_empty() {
        forms = Form::all("o2")?;
    }
    let place: fn(u64) -> String = match arguments.value("address").unwrap_or("o") {
        "o" => |at| format!("{at:07o}"),
        "d" => |at| format!("{at:07}"),
        "x" => |at| format!("{at:06x}"),
        "n" => |_| String::new(),
        other => return Err(Misuse(format!("--address: '{other}' is none of d, o, x and n")).into()),
    };
    let mut to_skip: u64 = arguments.number("skip")?.unwrap_or(0);
    let mut left: u64 = arguments.number("count")?.unwrap_or(u64::MAX);
    let mut at = to_skip;
    let mut line: Vec<u8> = Vec::new();
    let (mut previous, mut is_starred) = (Vec::new(), false);
    context.each_file(&arguments.operands, |context, _, file| {
        while left > 0 {
            let available = file.fill_buf().map_err(FileFailure::Input)?;
            if available.is_empty() {
                break;
            }
            let skipped = available.len().min(usize::try_from(to_skip).unwrap_or(usize::MAX));
            to_skip -= skipped as u64;
            let room = (LINE_BYTES - line.len()).min(usize::try_from(left).unwrap_or(usize::MAX));
            let taken = (available.len() - skipped).min(room);
            line.extend_from_slice(&available[skipped..skipped + taken]);
            file.consume(skipped + taken);
            left -= taken as u64;
            if line.len() < LINE_BYTES {
                continue;
            }
            let is_same = line == previous && !arguments.has("verbose");
            if !is_same {
                context.output.write_all(lines(&place(at), &forms, &line).as_bytes())?;
            } else if !is_starred {
                context.output.write_all(b"*\n")?;
            }
            is_starred = is_same;
            core::mem::swap(&mut previous, &mut line);
            line.clear();
            at += LINE_BYTES as u64;
        }
        Ok(())
    })?;
    if to_skip > 0 {
        return Err(Failure::Failed("there are fewer bytes than --skip says".into()));
    }
    if !line.is_empty() {
        context.output.write_all(lines(&place(at), &forms, &line).as_bytes())?;
        at += line.len() as u64;
    }
    let end = place(at);
    if !end.is_empty() {
        context.output.write_all((end + "\n").as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::try_command;

    #[test]
    fn what_is_no_form_is_refused() {
        for line in ["-t x3", "-t q", "-t ''", "-t c2", "-t x99999999999999999999", "-A q", "-N x", "-t é"] {
            assert_eq!(try_command(&COMMAND, line, &[("-", b"")]).0, 2, "{line}");
        }
        assert_eq!(try_command(&COMMAND, "-j 5", &[("-", b"abc")]).0, 1);
    }
}
