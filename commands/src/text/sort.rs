//! `sort`: lines in order.

mod key;

use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::Command;
use crate::context::{Context, FileFailure, Outcome, read_all, without_newline};
use crate::usage::{Arguments, Choice, MANY, Misuse, Usage};
use key::{Key, Manner};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "sort",
        synopsis: "[-nrufb] [-k KEY]... [-t CHARACTER] [FILE...]",
        summary: "Writes the lines of all files in order.",
        details: "A KEY is FIELD[.CHARACTER][,FIELD[.CHARACTER]], from here to there or to the line's end, counted from 1, with\n\
                  letters of n, r, f and b behind that are for it alone: -k 2,2n -k 1. Without -t a field has the blanks before\n\
                  it. Of several keys the first that differs counts. Lines that compare as equal are ordered by their bytes.",
        choices: &[
            Choice {
                letter: 'n',
                long: "numeric",
                value: None,
                help: "Compare the numbers at the beginning.",
            },
            Choice { letter: 'r', long: "reverse", value: None, help: "The other way round." },
            Choice {
                letter: 'u',
                long: "unique",
                value: None,
                help: "Of lines that compare as equal only the first.",
            },
            Choice { letter: 'f', long: "ignore-case", value: None, help: "Take A and a for equal." },
            Choice { letter: 'b', long: "ignore-blanks", value: None, help: "Skip blanks at the beginning." },
            Choice { letter: 'k', long: "key", value: Some("KEY"), help: "Compare this part of the lines." },
            Choice {
                letter: 't',
                long: "separator",
                value: Some("CHARACTER"),
                help: "Between fields, instead of blanks.",
            },
        ],
        operands: (0, MANY),
    },
    body: sort,
};

struct Order {
    /// What is compared, until it is not equal.
    keys: Vec<Key>,
    /// The lines themselves are compared the other way round.
    reverse: bool,
    separator: Option<u8>,
}

impl Order {
    fn from(arguments: &Arguments) -> Result<Order, Misuse> {
        let separator = match arguments.value("separator").map(str::as_bytes) {
            None => None,
            Some([byte]) => Some(*byte),
            Some(_) => return Err(Misuse("--separator takes one character".into())),
        };
        let manner = Manner {
            numeric: arguments.has("numeric"),
            reverse: arguments.has("reverse"),
            ignore_case: arguments.has("ignore-case"),
            ignore_blanks: arguments.has("ignore-blanks"),
        };
        let keys = arguments.values("key").map(|key| Key::parse(key, manner));
        let mut keys = keys.collect::<Result<Vec<Key>, Misuse>>()?;
        if keys.is_empty() {
            keys.push(Key::line(manner));
        }
        Ok(Order { keys, reverse: manner.reverse, separator })
    }

    /// How two lines compare, before ties are broken.
    fn compare(&self, left: &[u8], right: &[u8]) -> Ordering {
        let orders = self.keys.iter().map(|key| key.compare(left, right, self.separator));
        orders.fold(Ordering::Equal, Ordering::then)
    }

    fn compare_wholly(&self, left: &[u8], right: &[u8]) -> Ordering {
        self.compare(left, right).then_with(|| if self.reverse { right.cmp(left) } else { left.cmp(right) })
    }
}

/// A decimal number of any length: whether negative, the digits before the point without leading zeros, those after
/// it without trailing zeros.
fn parse_number(text: &[u8]) -> (bool, &[u8], &[u8]) {
    let text = text.trim_ascii_start();
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let digits = |text: &[u8]| text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (whole, rest) = text.split_at(digits(text));
    let fraction = rest.strip_prefix(b".").map_or(&rest[..0], |rest| &rest[..digits(rest)]);
    let leading_zeros = whole.iter().position(|byte| *byte != b'0').unwrap_or(whole.len());
    let fraction_end = fraction.iter().rposition(|byte| *byte != b'0').map_or(0, |at| at + 1);
    let (whole, fraction) = (&whole[leading_zeros..], &fraction[..fraction_end]);
    (negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction)
}

fn compare_numbers(left: &[u8], right: &[u8]) -> Ordering {
    let (left_negative, left_whole, left_fraction) = parse_number(left);
    let (right_negative, right_whole, right_fraction) = parse_number(right);
    let size = (left_whole.len().cmp(&right_whole.len()))
        .then_with(|| left_whole.cmp(right_whole))
        .then_with(|| left_fraction.cmp(right_fraction));
    match (left_negative, right_negative) {
        (false, false) => size,
        (true, true) => size.reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

fn sort(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let order = Order::from(arguments)?;
    let mut texts = Vec::new();
    context.each_file(&arguments.operands, |_, _, file| {
        texts.push(read_all(file)?);
        Ok::<(), FileFailure>(())
    })?;
    let mut lines: Vec<&[u8]> = texts
        .iter()
        .flat_map(|text| text.split_inclusive(|byte| *byte == b'\n'))
        .map(without_newline)
        .collect();
    if arguments.has("unique") {
        lines.sort_by(|left, right| order.compare(left, right));
        lines.dedup_by(|later, earlier| order.compare(later, earlier).is_eq());
    } else {
        lines.sort_unstable_by(|left, right| order.compare_wholly(left, right));
    }
    for line in lines {
        context.output.write_all(line)?;
        context.output.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    #[test]
    fn orders() {
        expect(&COMMAND, "", "b\na\nc", "a\nb\nc\n");
        expect(&COMMAND, "-r", "b\na\nc\n", "c\nb\na\n");
        expect(&COMMAND, "-n", "10\n9\n-1\nx\n2.5\n2.25\n", "-1\nx\n2.25\n2.5\n9\n10\n");
        expect(&COMMAND, "-n -r", "1\n100000\n99999\n", "100000\n99999\n1\n");
        expect(&COMMAND, "-u", "b\na\nb\n", "a\nb\n");
        expect(&COMMAND, "-uf", "b\nA\na\n", "A\nb\n");
        expect(&COMMAND, "-k 2", "1 b\n2 a\n", "2 a\n1 b\n");
        expect(&COMMAND, "-t: -n -k2", "a:10\nb:9\n", "b:9\na:10\n");
        expect(
            &COMMAND,
            "-n",
            "123456789012345678901234567890\n99\n",
            "99\n123456789012345678901234567890\n",
        );
    }

    #[test]
    fn bad_words_are_refused() {
        for line in ["-k 0", "-k x", "-t ab"] {
            assert_eq!(try_command(&COMMAND, line, &[("-", b"")]).0, 2, "{line}");
        }
    }

    #[test]
    fn all_files_are_one() {
        let (status, output, errors) = try_command(&COMMAND, "x gone y", &[("x", b"2\n"), ("y", b"1")]);
        assert_eq!((status, output.as_str(), errors.as_str()), (1, "1\n2\n", "sort: gone: not found\n"));
    }
}
