//! What a command takes: one table each, from which its parser, its `--help` and its page in the manual come.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::time::Duration;

use getargs::{Arg, Options};

/// An option of a command.
#[derive(Clone, Copy)]
pub struct Choice {
    /// Its letter, or `'\0'` if it has only a long name.
    pub letter: char,
    /// Its long name.
    pub long: &'static str,
    /// What its value is called, if it takes one.
    pub value: Option<&'static str>,
    /// What it does.
    pub help: &'static str,
}

/// The option of commands that can be about another node. The shell turns a last word `@NODE` into it.
pub const NODE: Choice = Choice {
    letter: '\0',
    long: "node", // Usage::takes_node knows it by this.
    value: Some("NODE"),
    help: "Of that node; a last word @NODE says the same.",
};

/// The option of commands whose workers may run elsewhere. The shell turns last words `@ PLACE` into it.
pub const ON: Choice = Choice {
    letter: '\0',
    long: "on", // Usage::takes_place knows it by this.
    value: Some("PLACE"),
    help: "Where the workers run; last words @ PLACE say the same.",
};

/// A command's name and what it takes.
#[derive(Clone, Copy)]
pub struct Usage {
    /// As it is typed.
    pub name: &'static str,
    /// What follows the name.
    pub synopsis: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// More, for `--help`; may be empty.
    pub details: &'static str,
    /// Its options.
    pub choices: &'static [Choice],
    /// Fewest and most operands.
    pub operands: (usize, usize),
}

/// As many operands as one likes.
pub const MANY: usize = usize::MAX;

/// The same, where the operands are a program with its words: what follows the first is no option of this command.
pub const PROGRAM: usize = usize::MAX - 1;

/// The same, where the words are an expression that the command reads by itself; of options there is only `--help` as the first.
pub const WORDS: usize = usize::MAX - 2;

/// What was typed, checked against a [`Usage`].
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Arguments {
    options: Vec<(&'static str, String)>,
    /// What is not an option.
    pub operands: Vec<String>,
}

impl Arguments {
    /// Whether the option with this long name was given.
    pub fn has(&self, long: &str) -> bool {
        self.options.iter().any(|(name, _)| *name == long)
    }

    /// The value of the option, the last if it was given more than once.
    pub fn value(&self, long: &str) -> Option<&str> {
        self.options.iter().rev().find(|(name, _)| *name == long).map(|(_, value)| value.as_str())
    }

    /// All values of the option, as they were given.
    pub fn values(&self, long: &str) -> impl Iterator<Item = &str> {
        self.options.iter().filter(move |(name, _)| *name == long).map(|(_, value)| value.as_str())
    }

    /// The option's value as a number.
    pub fn number<T: Whole>(&self, long: &str) -> Result<Option<T>, Misuse> {
        self.value(long).map(|text| option_number(text, long)).transpose()
    }
}

/// The kinds of whole number that commands take.
pub trait Whole: core::str::FromStr + core::fmt::Display {
    /// The least and the most.
    const RANGE: (Self, Self);
}

macro_rules! whole {
    ($($Kind:ty)*) => {$(
        impl Whole for $Kind {
            const RANGE: (Self, Self) = (<$Kind>::MIN, <$Kind>::MAX);
        }
    )*};
}

whole!(u32 u64 usize i64);

/// A number that was typed.
pub fn number<T: Whole>(text: &str) -> Result<T, Misuse> {
    let (least, most) = T::RANGE;
    text.parse().map_err(|_| Misuse(format!("'{text}' is not a whole number from {least} to {most}")))
}

/// A number that was typed as the value of an option.
pub fn option_number<T: Whole>(text: &str, long: &str) -> Result<T, Misuse> {
    number(text).map_err(|Misuse(reason)| Misuse(format!("--{long}: {reason}")))
}

/// A time that was typed: seconds, with a fraction if need be, or milliseconds as in `20ms`.
pub fn duration(text: &str) -> Result<Duration, Misuse> {
    let misuse = || {
        Misuse(format!(
            "'{text}' is not a number of seconds up to 4294967295, such as 2 or 0.5, or of ms, as in 20ms"
        ))
    };
    let (number, whole_digits) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 6),
        (None, Some(number)) => (number, 9),
        (None, None) => (text, 9),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_none = whole.is_empty() && fraction.is_empty();
    if is_none || !digits(whole) || !digits(fraction) || fraction.len() > whole_digits {
        return Err(misuse());
    }
    let units: u32 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| misuse())? };
    let nanoseconds: u32 = format!("{fraction:0<whole_digits$}").parse().map_err(|_| misuse())?;
    let unit = if whole_digits == 9 { Duration::from_secs(1) } else { Duration::from_millis(1) };
    Ok(unit * units + Duration::from_nanos(nanoseconds.into()))
}

/// The words make no sense; says why.
#[derive(Debug, PartialEq, Eq)]
pub struct Misuse(pub String);

/// What the words ask for.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    /// To run.
    Run(Arguments),
    /// To be told how.
    Help,
}

impl Usage {
    /// Whether the command can be about another node. Known at compile time, for [`crate::PROFILES`].
    pub const fn takes_node(&self) -> bool {
        let mut at = 0;
        while at < self.choices.len() {
            if matches!(self.choices[at].long.as_bytes(), b"node") {
                return true;
            }
            at += 1;
        }
        false
    }

    /// Whether the command has workers that may run elsewhere, while it runs at home. Known at compile time as well.
    pub const fn takes_place(&self) -> bool {
        let mut at = 0;
        while at < self.choices.len() {
            if matches!(self.choices[at].long.as_bytes(), b"on") {
                return true;
            }
            at += 1;
        }
        false
    }

    /// Reads the words after the command's name.
    pub fn parse(&self, words: &[String]) -> Result<Wish, Misuse> {
        let mut arguments = Arguments::default();
        if self.operands.1 == WORDS {
            if words.first().is_some_and(|word| word == "--help") {
                return Ok(Wish::Help);
            }
            arguments.operands = words.to_vec();
            return Ok(Wish::Run(arguments));
        }
        // `-5` for `-n 5`, as head has long had it, where it is not the value of the word before.
        let is_program = self.operands.1 == PROGRAM;
        let takes_lines = self.choices.iter().any(|choice| choice.long == "lines" && choice.value.is_some());
        let lines = |at: usize, word: &str| {
            let digits = word.strip_prefix('-').filter(|_| takes_lines)?;
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let is_value = at > 0 && words[at - 1].starts_with('-') && words[at - 1].len() > 1;
            (is_number && !is_value).then(|| format!("--lines={digits}"))
        };
        let first_word = if is_program { Some(0) } else { words.iter().position(|word| word == "--") };
        let only_operands_from = first_word.unwrap_or(words.len());
        let words: Vec<String> = words
            .iter()
            .enumerate()
            .map(|(at, word)| {
                let other = lines(at, word).filter(|_| at < only_operands_from);
                other.unwrap_or_else(|| word.clone())
            })
            .collect();
        let mut options = Options::new(words.iter().map(String::as_str));
        let malformed = |error: getargs::Error<&str>| Misuse(format!("{error}"));
        while let Some(word) = options.next_arg().map_err(malformed)? {
            let choice = match word {
                Arg::Positional(operand) => {
                    arguments.operands.push(operand.to_owned());
                    if is_program {
                        arguments.operands.extend(options.positionals().map(ToOwned::to_owned));
                    }
                    continue;
                }
                Arg::Long("help") => return Ok(Wish::Help),
                Arg::Long(long) => self
                    .choices
                    .iter()
                    .find(|choice| choice.long == long)
                    .ok_or_else(|| Misuse(format!("there is no option --{long}")))?,
                Arg::Short(letter) => {
                    let choice = self.choices.iter().find(|choice| choice.letter == letter && letter != '\0');
                    match choice {
                        Some(choice) => choice,
                        // A negative number is none where no option is a digit.
                        None if letter.is_ascii_digit() || letter == '.' => {
                            let number = format!("-{letter}{}", options.value_opt().unwrap_or_default());
                            if !words.contains(&number) {
                                return Err(Misuse(format!("there is no option -{letter}")));
                            }
                            if is_program {
                                let rest = words.iter().skip_while(|word| **word != number);
                                arguments.operands.extend(rest.cloned());
                                break;
                            }
                            arguments.operands.push(number);
                            continue;
                        }
                        None => return Err(Misuse(format!("there is no option -{letter}"))),
                    }
                }
            };
            let value = match choice.value {
                Some(_) => options.value().map_err(malformed)?.to_owned(),
                None => String::new(),
            };
            arguments.options.push((choice.long, value));
        }
        let (fewest, most) = self.operands;
        if arguments.operands.len() < fewest {
            return Err(Misuse(format!("expected more words, as in '{}'", self.line())));
        }
        if let Some(extra) = arguments.operands.get(most) {
            return Err(Misuse(format!("'{extra}' is one word too many for '{}'", self.line())));
        }
        Ok(Wish::Run(arguments))
    }

    /// The name and what follows it.
    fn line(&self) -> String {
        let gap = if self.synopsis.is_empty() { "" } else { " " };
        [self.name, gap, self.synopsis].concat()
    }

    /// The text of `--help`.
    pub fn help(&self) -> String {
        let mut text = format!("Usage: {}\n{}\n", self.line(), self.summary);
        if !self.details.is_empty() {
            let _ = write!(text, "\n{}\n", self.details);
        }
        text.push('\n');
        for choice in self.choices.iter().chain(&[HELP]) {
            let letter =
                if choice.letter == '\0' { "   ".to_owned() } else { format!("-{},", choice.letter) };
            let value = choice.value.map(|value| format!(" {value}")).unwrap_or_default();
            let left = format!("  {letter} --{}{value}", choice.long);
            let _ = writeln!(text, "{left:<28}{}", choice.help);
        }
        text
    }
}

/// The option of every command.
pub const HELP: Choice = Choice { letter: '\0', long: "help", value: None, help: "Show this." };

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const USAGE: Usage = Usage {
        name: "demo",
        synopsis: "[-an COUNT] FILE",
        summary: "Shows.",
        details: "",
        choices: &[
            Choice { letter: 'a', long: "all", value: None, help: "Everything." },
            Choice { letter: 'n', long: "lines", value: Some("COUNT"), help: "So many." },
            Choice { letter: '\0', long: "json", value: None, help: "For programs." },
        ],
        operands: (1, 2),
    };

    fn parse(line: &str) -> Result<Wish, Misuse> {
        USAGE.parse(&line.split(' ').map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn options_come_in_every_shape() {
        for line in
            ["-an3 file", "-a -n 3 file", "file -n 3 --all", "--lines=3 -a -- file", "--lines 3 -a file"]
        {
            let Ok(Wish::Run(arguments)) = parse(line) else { panic!("{line}") };
            assert!(arguments.has("all"));
            assert_eq!(arguments.number("lines"), Ok(Some(3_u32)), "{line}");
            assert_eq!(arguments.operands, ["file"]);
        }
        assert_eq!(parse("x --help"), Ok(Wish::Help));
    }

    #[test]
    fn misuse_says_what_is_wrong() {
        for (line, word) in [
            ("-z f", "-z"),
            ("--zoo f", "--zoo"),
            ("-a", "as in 'demo [-an COUNT] FILE'"),
            ("a b c", "'c'"),
            ("f -n", "n"),
        ] {
            let Err(Misuse(text)) = parse(line) else { panic!("{line}") };
            assert!(text.contains(word), "{line}: {text}");
        }
        let Err(Misuse(text)) = parse("-3 a b c") else { panic!() };
        assert!(text.contains("'c'"), "{text}");
        let Ok(Wish::Run(arguments)) = parse("-n -3 f") else { panic!() };
        assert_eq!(arguments.value("lines"), Some("-3"));
        let usage = Usage { choices: &[], ..USAGE };
        let words = ["-7", "-2.5"].map(ToString::to_string);
        let Ok(Wish::Run(arguments)) = usage.parse(&words) else { panic!() };
        assert_eq!(arguments.operands, words);
        assert!(usage.parse(&["-x7".to_string()]).is_err());
        let Ok(Wish::Run(arguments)) = parse("-n x f") else { panic!() };
        let Err(Misuse(text)) = arguments.number::<u32>("lines") else { panic!() };
        assert_eq!(text, "--lines: 'x' is not a whole number from 0 to 4294967295");
    }

    #[test]
    fn a_programs_options_are_its_own() {
        let usage = Usage { operands: (1, PROGRAM), ..USAGE };
        let words = ["-a", "grep", "-n", "3", "--", "--all", "-5"].map(ToString::to_string);
        let Ok(Wish::Run(arguments)) = usage.parse(&words) else { panic!() };
        assert!(arguments.has("all") && !arguments.has("lines"));
        assert_eq!(arguments.operands, words[1..]);
        let Ok(Wish::Run(arguments)) = usage.parse(&words[1..]) else { panic!() };
        assert!(!arguments.has("all") && arguments.operands == words[1..]);
    }

    #[test]
    fn times_are_read_exactly() {
        for (text, milliseconds) in
            [("2", 2000), ("0.25", 250), (".5", 500), ("1s", 1000), ("20ms", 20), ("1.5s", 1500)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        assert_eq!(duration("0.5ms"), Ok(Duration::from_micros(500)));
        for text in
            ["", ".", "-1", "1e3", "x", "1.2.3", "99999999999", "+1", "ms", "s", "1m", "1 s", "1.1234567ms"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn help_names_every_option() {
        let help = USAGE.help();
        for word in ["Usage: demo [-an COUNT] FILE", "-n, --lines COUNT", "--json", "--help"] {
            assert!(help.contains(word), "{help}");
        }
    }
}
