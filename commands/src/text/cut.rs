//! `cut`: some bytes, characters or fields of each line.

use alloc::format;
use alloc::vec::Vec;

use super::characters::characters;
use crate::Command;
use crate::context::{Context, FileFailure, Outcome, next_line, without_newline};
use crate::usage::{Arguments, Choice, MANY, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "cut",
        synopsis: "-b LIST | -c LIST | -f LIST [-s] [-d CHARACTER] [-o TEXT] [FILE...]",
        summary: "Writes some bytes, characters or fields of each line.",
        details: "A LIST is numbers and ranges, counted from 1, with commas between: 1,3-5,7- or -2. What it names comes\n\
                  once and in the order of the line.",
        choices: &[
            Choice { letter: 'b', long: "bytes", value: Some("LIST"), help: "These bytes." },
            Choice { letter: 'c', long: "characters", value: Some("LIST"), help: "These characters." },
            Choice { letter: 'f', long: "fields", value: Some("LIST"), help: "These fields." },
            Choice {
                letter: 'd',
                long: "delimiter",
                value: Some("CHARACTER"),
                help: "Between fields, instead of a tabulator.",
            },
            Choice { letter: 's', long: "only-delimited", value: None, help: "No lines without delimiter." },
            Choice {
                letter: 'o',
                long: "output-delimiter",
                value: Some("TEXT"),
                help: "Between fields that are written.",
            },
        ],
        operands: (0, MANY),
    },
    body: cut,
};

/// Ranges of positions from 1 on, both ends included.
struct List(Vec<(usize, usize)>);

impl List {
    fn parse(text: &str) -> Result<List, Misuse> {
        let bad = || Misuse(format!("'{text}' is no list of numbers from 1 on and ranges, as 1,3-5,7-"));
        let number = |digits: &str, otherwise| match digits {
            "" => Ok(otherwise),
            _ => digits.parse().ok().filter(|number| *number > 0).ok_or_else(bad),
        };
        let mut ranges = Vec::new();
        for part in text.split([',', ' ', '\t']) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            if first.is_empty() && last.is_empty() {
                return Err(bad());
            }
            let range = (number(first, 1)?, number(last, usize::MAX)?);
            if range.0 > range.1 {
                return Err(bad());
            }
            ranges.push(range);
        }
        Ok(List(ranges))
    }

    fn has(&self, position: usize) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&position))
    }

    /// Those of these pieces that it names.
    fn pick<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
        pieces.enumerate().filter(|(at, _)| self.has(at + 1)).map(|(_, piece)| piece)
    }
}

fn cut(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let lists = ["bytes", "characters", "fields"].map(|kind| arguments.value(kind));
    let [bytes, characters_list, fields] = lists;
    let (list, kind) = match (bytes, characters_list, fields) {
        (Some(list), None, None) => (List::parse(list)?, 'b'),
        (None, Some(list), None) => (List::parse(list)?, 'c'),
        (None, None, Some(list)) => (List::parse(list)?, 'f'),
        _ => return Err(Misuse("expected one of -b, -c and -f".into()).into()),
    };
    let delimiter = arguments.value("delimiter").unwrap_or("\t");
    if delimiter.chars().count() != 1 {
        return Err(Misuse("--delimiter takes one character".into()).into());
    }
    if kind != 'f' && (arguments.has("delimiter") || arguments.has("only-delimited")) {
        return Err(Misuse("-d and -s go with -f".into()).into());
    }
    let between = arguments.value("output-delimiter").unwrap_or(if kind == 'f' { delimiter } else { "" });
    context.each_file(&arguments.operands, |context, _, file| {
        let mut line = Vec::new();
        while next_line(file, &mut line)? {
            let text = without_newline(&line);
            let picked: Vec<&[u8]> = match kind {
                'b' => list.pick(text.chunks(1)).collect(),
                'c' => list.pick(characters(text)).collect(),
                _ => {
                    let fields: Vec<&[u8]> = split(text, delimiter.as_bytes()).collect();
                    match (fields.len(), arguments.has("only-delimited")) {
                        (1, true) => continue,
                        (1, false) => fields,
                        _ => list.pick(fields.into_iter()).collect(),
                    }
                }
            };
            context.output.write_all(&picked.join(between.as_bytes()))?;
            context.output.write_all(b"\n")?;
        }
        Ok::<(), FileFailure>(())
    })
}

/// The pieces of a line between delimiters.
fn split<'a>(text: &'a [u8], delimiter: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest?;
        let end = text.windows(delimiter.len()).position(|window| window == delimiter);
        rest = end.map(|at| &text[at + delimiter.len()..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    #[test]
    fn parts_of_lines() {
        for (line, input, output) in [
            ("-b 1,3-4", "abcde\nx\n", "acd\nx\n"),
            ("-c 2", "aäb\n", "ä\n"),
            ("-b 2-", "äb", "\u{fffd}b\n"),
            ("-f 2", "a\tb\tc\nplain\n", "b\nplain\n"),
            ("-d: -f 1,3-", "a:b:c:d\n", "a:c:d\n"),
            ("-d: -f 3,1", "a:b:c\n", "a:c\n"),
            ("-d: -s -f 2", "plain\na:b\n", "b\n"),
            ("-d: -f 5", "a:b\n", "\n"),
            ("-d: -f -2 -o ' - '", "a:b:c\n", "a - b\n"),
            ("-d ä -f 2", "aäbäc\n", "b\n"),
        ] {
            expect(&COMMAND, line, input, output);
        }
    }

    #[test]
    fn lists_that_make_no_sense_are_refused() {
        for line in ["", "-b 0", "-b 3-1", "-b x", "-b -", "-b 1 -f 1", "-f 1 -d ab", "-b 1 -d:"] {
            let (status, _, errors) = try_command(&COMMAND, line, &[("-", b"")]);
            assert!(status == 2 && !errors.is_empty(), "{line}");
        }
    }
}
