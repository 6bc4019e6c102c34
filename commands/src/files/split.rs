//! `split`: a file in pieces.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use v::io::{BufWriter, Write as _};

use super::size;
use crate::Command;
use crate::context::{Context, FileFailure, Outcome, failed};
use crate::file::File;
use crate::usage::{Arguments, Choice, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "split",
        synopsis: "[-d] [-a LETTERS] [-l LINES | -b SIZE] [FILE [PREFIX]]",
        summary: "Writes a file in pieces, PREFIXaa, PREFIXab and so on.",
        details: "PREFIX is x unless told. SIZE may end in K, M or G.",
        choices: &[
            Choice { letter: 'l', long: "lines", value: Some("LINES"), help: "So many lines each; 1000." },
            Choice { letter: 'b', long: "bytes", value: Some("SIZE"), help: "So many bytes each." },
            Choice {
                letter: 'a',
                long: "suffix",
                value: Some("LETTERS"),
                help: "So many letters behind PREFIX; 2.",
            },
            Choice { letter: 'd', long: "digits", value: None, help: "Digits, not letters." },
        ],
        operands: (0, 2),
    },
    body: split,
};

/// The ending of a piece; none if there are no more.
fn ending(number: u64, letters: usize, of_digits: bool) -> Option<String> {
    let (first, base) = if of_digits { (b'0', 10) } else { (b'a', 26) };
    let mut rest = number;
    let mut backwards = Vec::new();
    for _ in 0..letters {
        backwards.push(char::from(first + (rest % base) as u8));
        rest /= base;
    }
    (rest == 0).then(|| backwards.iter().rev().collect())
}

fn split(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let letters: usize = arguments.number("suffix")?.unwrap_or(2);
    if !(1..=16).contains(&letters) {
        return Err(Misuse("--suffix: from 1 to 16 letters".into()).into());
    }
    let lines: u64 = arguments.number("lines")?.unwrap_or(1000);
    let bytes = arguments.value("bytes").map(|text| size::parse(text, "bytes")).transpose()?;
    if bytes.is_some() && arguments.has("lines") || bytes == Some(0) || lines == 0 {
        return Err(Misuse("expected one of -l and -b, and no empty pieces".into()).into());
    }
    let prefix = arguments.operands.get(1).map_or("x", String::as_str);
    let of_digits = arguments.has("digits");
    let (mut pieces, mut piece): (u64, Option<(String, BufWriter<File>)>) = (0, None);
    // Bytes or lines that the present piece still takes.
    let mut left = 0;
    context.each_file(&arguments.operands[..arguments.operands.len().min(1)], |_, _, input| {
        loop {
            let available = input.fill_buf().map_err(FileFailure::Input)?;
            if available.is_empty() {
                break;
            }
            if left == 0 {
                let ending = ending(pieces, letters, of_digits)
                    .ok_or_else(|| Misuse(format!("{letters} letters are too few for all pieces; see -a")))?;
                let name = format!("{prefix}{ending}");
                let file = File::create(&name).map_err(|error| failed(&name, error))?;
                if let Some((name, mut file)) = piece.replace((name, BufWriter::new(file))) {
                    file.flush().map_err(|error| failed(&name, error))?;
                }
                pieces += 1;
                left = bytes.unwrap_or(lines);
            }
            let newline = available.iter().position(|byte| *byte == b'\n');
            let taken = match (bytes, newline) {
                (Some(_), _) => available.len().min(usize::try_from(left).unwrap_or(usize::MAX)),
                (None, Some(at)) => at + 1,
                (None, None) => available.len(),
            };
            if let Some((name, file)) = &mut piece {
                file.write_all(&available[..taken]).map_err(|error| failed(name, error))?;
            }
            input.consume(taken);
            left -= if bytes.is_some() { taken as u64 } else { u64::from(newline.is_some()) };
        }
        Ok(())
    })?;
    if let Some((name, mut file)) = piece {
        file.flush().map_err(|error| failed(&name, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_named_in_order() {
        for (number, letters, of_digits, expected) in [
            (0, 2, false, Some("aa")),
            (27, 2, false, Some("bb")),
            (675, 2, false, Some("zz")),
            (676, 2, false, None),
            (7, 3, true, Some("007")),
            (10, 1, true, None),
        ] {
            assert_eq!(ending(number, letters, of_digits).as_deref(), expected);
        }
    }
}
