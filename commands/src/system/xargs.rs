//! `xargs`: words of standard input as arguments of a command.
//!
//! [`Words`] and [`Plan`] say which words go to which command line, and are pure; [`xargs`] runs them.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use v::io::BufRead;

use crate::Command;
use crate::context::{Context, Failure, Outcome, failed, not_run};
use crate::file::{self, Input};
use crate::usage::{Arguments, Choice, Misuse, PROGRAM, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "xargs",
        synopsis: "[-0rt] [-n COUNT | -L LINES | -I TEXT] [COMMAND [ARGUMENT...]]",
        summary: "Runs a command with words of standard input as further arguments.",
        details: "Words are separated by blanks and newlines; quotation marks and backslashes keep these. Without COMMAND\n\
                  it is echo. COMMAND's standard input is empty. Options of COMMAND follow it.\n\
                  The status is 123 if a command failed, 124 if one ended with 255, which ends xargs, 126 if it cannot\n\
                  be run, and 127 if there is none.",
        choices: &[
            Choice { letter: '0', long: "null", value: None, help: "Words end with a zero byte." },
            Choice {
                letter: 'n',
                long: "arguments",
                value: Some("COUNT"),
                help: "So many words at most each.",
            },
            Choice { letter: 'L', long: "each", value: Some("LINES"), help: "So many lines each." },
            Choice {
                letter: 'I',
                long: "replace",
                value: Some("TEXT"),
                help: "A line each, which replaces TEXT in the arguments.",
            },
            Choice {
                letter: 'r',
                long: "no-run-if-empty",
                value: None,
                help: "Nothing at all without words.",
            },
            Choice { letter: 't', long: "trace", value: None, help: "Say each command on standard error." },
        ],
        operands: (0, PROGRAM),
    },
    body: xargs,
};

/// Statuses; see the details above.
const A_COMMAND_FAILED: i32 = 123;
const A_COMMAND_GAVE_UP: i32 = 124;
/// The status of a command that wants no further ones.
const GIVES_UP: i32 = 255;

/// The most that a command line has, in bytes; what a program can be given is more, but its environment counts there.
pub const MOST_BYTES: usize = 64 * 1024;

/// How input is divided.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Division {
    /// Blanks and newlines, with quoting.
    Words,
    /// Newlines, with quoting; blanks at the beginning do not count.
    Lines,
    /// Zero bytes.
    Zeros,
}

/// Words, one after the other.
struct Words<'a> {
    input: &'a mut dyn BufRead,
    division: Division,
}

/// A word, and whether a line ended behind it.
type Word = (String, bool);

impl Words<'_> {
    fn byte(&mut self) -> Result<Option<u8>, Failure> {
        let available = self.input.fill_buf().map_err(|error| failed("standard input", error))?;
        let byte = available.first().copied();
        if byte.is_some() {
            self.input.consume(1);
        }
        Ok(byte)
    }

    fn next(&mut self) -> Result<Option<Word>, Failure> {
        let mut word = Vec::new();
        let mut begun = false;
        let mut ends_line = false;
        while let Some(byte) = self.byte()? {
            match (self.division, byte) {
                (Division::Zeros, 0) | (Division::Lines, b'\n') => {
                    begun |= self.division == Division::Zeros || !word.is_empty();
                    if begun {
                        ends_line = true;
                        break;
                    }
                }
                (Division::Lines, b' ' | b'\t') if word.is_empty() => {}
                (Division::Words, b'\n') => {
                    if begun {
                        ends_line = true;
                        break;
                    }
                }
                (Division::Words, b' ' | b'\t') => {
                    if begun {
                        break;
                    }
                }
                (Division::Words | Division::Lines, quote @ (b'\'' | b'"')) => {
                    begun = true;
                    self.quoted(quote, &mut word)?;
                }
                (Division::Words | Division::Lines, b'\\') => {
                    begun = true;
                    word.extend(self.byte()?);
                }
                (_, byte) => {
                    begun = true;
                    word.push(byte);
                }
            }
            if word.len() > MOST_BYTES {
                return Err(Failure::Failed("a word is longer than a command line may be".into()));
            }
        }
        if !begun && word.is_empty() {
            return Ok(None);
        }
        let word = String::from_utf8(word)
            .map_err(|_| Failure::Failed("a word of standard input is no UTF-8, as names are".into()))?;
        Ok(Some((word, ends_line)))
    }

    fn quoted(&mut self, quote: u8, word: &mut Vec<u8>) -> Result<(), Failure> {
        loop {
            match self.byte()? {
                Some(byte) if byte == quote => return Ok(()),
                Some(byte) if byte != b'\n' => word.push(byte),
                _ => {
                    let shown = char::from(quote);
                    return Err(Failure::Failed(format!(
                        "a {shown} has no partner on its line; -0 quotes nothing"
                    )));
                }
            }
        }
    }
}

/// Which words a command line gets.
struct Plan {
    /// The command and its first arguments.
    fixed: Vec<String>,
    most_words: usize,
    most_lines: usize,
    /// What a line replaces.
    replaced: Option<String>,
}

impl Plan {
    fn of(arguments: &Arguments) -> Result<Plan, Misuse> {
        let limits = ["arguments", "each"].map(|option| arguments.number::<usize>(option));
        let [words, lines] = limits;
        let (words, lines) = (words?, lines?);
        let replaced = arguments.value("replace").map(ToOwned::to_owned);
        if words == Some(0) || lines == Some(0) || replaced.as_deref() == Some("") {
            return Err(Misuse("no words at all make no command".into()));
        }
        if [words.is_some(), lines.is_some(), replaced.is_some()].into_iter().filter(|given| *given).count()
            > 1
        {
            return Err(Misuse("only one of -n, -L and -I can be given".into()));
        }
        let fixed = if arguments.operands.is_empty() {
            Vec::from(["echo".to_owned()])
        } else {
            arguments.operands.clone()
        };
        Ok(Plan {
            fixed,
            most_words: words.unwrap_or(usize::MAX),
            most_lines: lines.unwrap_or(usize::MAX),
            replaced,
        })
    }

    /// The next command line; none when the words are used up. `waiting` is a word that had no room before.
    fn next(
        &self,
        words: &mut Words<'_>,
        waiting: &mut Option<Word>,
    ) -> Result<Option<Vec<String>>, Failure> {
        let mut line = self.fixed.clone();
        if let Some(replaced) = &self.replaced {
            let Some((word, _)) = words.next()? else { return Ok(None) };
            line.iter_mut().skip(1).for_each(|argument| *argument = argument.replace(replaced, &word));
            return Ok(Some(line));
        }
        let mut room = MOST_BYTES.saturating_sub(line.iter().map(|word| word.len() + 1).sum());
        let (mut count, mut lines) = (0, 0);
        while count < self.most_words && lines < self.most_lines {
            let taken = match waiting.take() {
                None => words.next()?,
                word => word,
            };
            let Some((word, ends_line)) = taken else { break };
            if word.len() + 1 > room {
                if count == 0 {
                    return Err(Failure::Failed("a word is longer than a command line may be".into()));
                }
                *waiting = Some((word, ends_line));
                break;
            }
            room -= word.len() + 1;
            count += 1;
            lines += usize::from(ends_line);
            line.push(word);
        }
        Ok((count > 0).then_some(line))
    }
}

fn xargs(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let plan = Plan::of(arguments)?;
    let mut input = (context.open)("-").map_err(|error| failed("standard input", error))?;
    let division = match (arguments.has("null"), arguments.has("replace")) {
        (true, _) => Division::Zeros,
        (_, true) => Division::Lines,
        _ => Division::Words,
    };
    let mut words = Words { input: &mut *input, division };
    let (mut waiting, mut is_first) = (None, true);
    loop {
        let next = plan.next(&mut words, &mut waiting)?;
        let runs_anyway = is_first && plan.replaced.is_none() && !arguments.has("no-run-if-empty");
        let line = match next {
            Some(line) => line,
            None if runs_anyway => plan.fixed.clone(),
            None => return Ok(()),
        };
        is_first = false;
        if arguments.has("trace") {
            // A trace that cannot be written is no reason to do less.
            let _ = context.errors.write_all((line.join(" ") + "\n").as_bytes());
        }
        context.output.flush()?;
        match file::run(&line, Input::Empty, context.output) {
            Ok(0) => {}
            Ok(GIVES_UP) => {
                context.complain(&line[0], "ended with status 255");
                context.status = A_COMMAND_GAVE_UP;
                return Ok(());
            }
            Ok(_) => context.status = A_COMMAND_FAILED,
            Err(error) => {
                context.complain(&line[0], error);
                context.status = not_run(error);
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::try_command;
    use crate::usage::Wish;
    use v::io::{BufReader, Cursor};

    /// The command lines that these options and this input make, as one text.
    fn plan(options: &str, input: &str) -> Result<String, String> {
        let words: Vec<String> = options.split_whitespace().map(ToOwned::to_owned).collect();
        let Ok(Wish::Run(arguments)) = COMMAND.usage.parse(&words) else { panic!("{options}") };
        let plan = Plan::of(&arguments).map_err(|Misuse(reason)| reason)?;
        let division = match (arguments.has("null"), arguments.has("replace")) {
            (true, _) => Division::Zeros,
            (_, true) => Division::Lines,
            _ => Division::Words,
        };
        let mut input = BufReader::new(Cursor::new(input.as_bytes().to_vec()));
        let mut words = Words { input: &mut input, division };
        let (mut waiting, mut lines) = (None, Vec::new());
        loop {
            match plan.next(&mut words, &mut waiting) {
                Ok(Some(line)) => lines.push(line.join("_")),
                Ok(None) => return Ok(lines.join("|")),
                Err(Failure::Failed(reason)) => return Err(reason),
                Err(other) => return Err(format!("{other:?}")),
            }
        }
    }

    #[test]
    fn words_are_dealt_out() {
        for (options, input, lines) in [
            ("", "a b\n\n c\t'd e' \"f'\" g\\ h\n", "echo_a_b_c_d e_f'_g h"),
            ("-n 2 ls", "a b c", "ls_a_b|ls_c"),
            ("-L 1 ls", "a b\n\nc d\ne", "ls_a_b|ls_c_d|ls_e"),
            ("-I {} cp {} to/{}x", " a b\nc\n", "cp_a b_to/a bx|cp_c_to/cx"),
            ("-0 ls", "a b\0c\nd\0", "ls_a b_c\nd"),
            ("", "''", "echo_"),
            ("", " \n ", ""),
        ] {
            assert_eq!(plan(options, input), Ok(lines.into()), "{options}");
        }
        let many = "12345678 ".repeat(20_000);
        let lines = plan("x", &many).unwrap_or_default();
        assert!(lines.split('|').count() == 3 && lines.split('|').all(|line| line.len() <= MOST_BYTES));
    }

    #[test]
    fn what_cannot_be_dealt_out_is_said() {
        for (options, input, reason) in [
            ("", "a 'b\nc'", "has no partner"),
            ("-n 0", "", "make no command"),
            ("-n 1 -L 1", "", "only one of"),
        ] {
            let found = plan(options, input).unwrap_err();
            assert!(found.contains(reason), "{options}: {found}");
        }
        assert!(plan("", &"x".repeat(MOST_BYTES + 1)).unwrap_err().contains("longer"));
        assert_eq!(try_command(&COMMAND, "-n x", &[("-", b"")]).0, 2);
    }
}
