//! Commands that say where they run: `@NODE`, `@ *`, `@ '* mem>64M'`.
//!
//! Programs run there as they are. But a command that is *about* a node, and one that has *workers* to send there, run here and
//! are told the place by an option. Functions, and built-ins for which there is no program, run in a shell of their own
//! there, as they would in a stage of a pipe: it begins as a copy of this one, and what it changes in itself ends with it.
//! Built-ins that do nothing but change the shell, or ask it, are refused.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::Error;

use super::ast::{Text, Where};
use super::builtins::{self, Builtin};
use super::execute::{Leave, Shell};
use super::lexer::shorten;
use super::print::quote;
use super::system::{Constraints, Placement, System};
use crate::PROFILES;
use crate::usage::{NODE, ON};

/// Built-ins that are nothing outside this shell.
const OF_THE_SHELL: [&str; 20] = [
    "bg",
    "break",
    "cd",
    "clear",
    "continue",
    "exit",
    "export",
    "fg",
    "getopts",
    "jobs",
    "local",
    "read",
    "readonly",
    "return",
    "set",
    "shift",
    "subshell-state",
    "trap",
    "unset",
    "wait",
];

/// Where a command is to run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Destination {
    /// On this node.
    Here,
    /// On the node with this name.
    Node(Text),
    /// On the one that is idle most of those that meet the constraints, which are also as they were written.
    Anywhere(Constraints, Text),
}

impl Destination {
    /// As the system takes it.
    pub(super) fn placement(&self) -> Placement<'_> {
        match self {
            Destination::Here => Placement::Here,
            Destination::Node(name) => Placement::Node(name),
            Destination::Anywhere(constraints, _) => Placement::Anywhere(*constraints),
        }
    }

    /// What to say of an error with which the place was the matter.
    pub(super) fn explain(&self, error: Error) -> String {
        match (self, error) {
            (Destination::Node(name), Error::NoSuchNode) => {
                format!("no node answers to the name {}; 'hosts' lists those that do", shorten(name))
            }
            (Destination::Anywhere(_, wanted), Error::NoOffer) if !wanted.is_empty() => {
                format!("no node that answers has {}; 'hosts' shows what each has", shorten(wanted))
            }
            (Destination::Node(_) | Destination::Anywhere(..), Error::NoNetwork) => {
                "this node has no network, so there is no other to run it".to_string()
            }
            (_, error) => error.to_string(),
        }
    }
}

/// What runs a command elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Runner {
    /// Its program.
    Program,
    /// A shell.
    Shell,
}

impl<S: System> Shell<S> {
    /// Where a command asks to run.
    pub(super) fn destination(&mut self, placement: Option<&Where>) -> Result<Destination, Leave> {
        let Some(Where::Node(word) | Where::Anywhere(word)) = placement else {
            return Ok(Destination::Here);
        };
        let text = self.expand_text(word)?;
        let Some(constraints) = text.strip_prefix(b"*") else {
            return Ok(Destination::Node(text));
        };
        let wanted = constraints.trim_ascii();
        match parse(wanted) {
            Ok(constraints) => Ok(Destination::Anywhere(constraints, wanted.to_vec())),
            Err(message) => Err(self.fail(word.at, &format!("@ {}: {message}", shorten(&text)))),
        }
    }

    /// What runs a command that asks to run elsewhere. `None` if nothing can, which is then reported.
    pub(super) fn runner(&mut self, name: &[u8]) -> Option<Runner> {
        let builtin = builtins::find::<S>(name);
        let is_special = builtin.is_some_and(|builtin| builtin.is_special);
        if self.state.functions.contains_key(name) && !is_special {
            return Some(Runner::Shell);
        }
        // The shell itself is a program, which is what is meant elsewhere.
        let is_program = name == b"exec" || PROFILES.iter().any(|known| known.name.as_bytes() == name);
        match builtin {
            Some(Builtin { name, .. }) if OF_THE_SHELL.contains(name) => {
                self.state.status = super::execute::USAGE;
                self.report(self.at, &format!("{name}: it is about this shell, so it cannot run elsewhere"));
                None
            }
            Some(_) if !is_program => Some(Runner::Shell),
            _ => Some(Runner::Program),
        }
    }
}

/// A command's words as a line for another shell.
pub(super) fn quoted(words: &[Text]) -> Text {
    let quoted: Vec<Text> = words.iter().map(|word| quote(word)).collect();
    quoted.join(&b' ')
}

/// A command's words with the option that tells it its destination, if it is one that runs here nevertheless.
pub(super) fn told(words: &[Text], destination: &Destination) -> Option<Vec<Text>> {
    let program = words.first()?;
    let name = program.rsplit(|byte| matches!(byte, b'/' | b']')).next().unwrap_or(program);
    let profile = PROFILES.iter().find(|known| known.name.as_bytes() == name)?;
    let (option, place) = match destination {
        Destination::Node(node) if profile.takes_node => (NODE, node.clone()),
        Destination::Node(node) if profile.takes_place => (ON, node.clone()),
        Destination::Anywhere(_, wanted) if profile.takes_place => (ON, [b"* ", &**wanted].concat()),
        Destination::Here | Destination::Node(_) | Destination::Anywhere(..) => return None,
    };
    let option = [b"--", option.long.as_bytes(), b"=", place.trim_ascii()].concat();
    let mut all = words.to_vec();
    all.insert(1, option);
    Some(all)
}

/// The constraints of `@ '* mem>64M idle>50'`, behind the star.
pub(crate) fn parse(text: &[u8]) -> Result<Constraints, String> {
    let mut constraints = Constraints::default();
    for word in text.split(|byte| byte.is_ascii_whitespace() || *byte == b',').filter(|word| !word.is_empty())
    {
        let shown = shorten(word);
        let (name, value) = word.split_at(word.iter().position(|byte| *byte == b'>').unwrap_or(word.len()));
        let (value, beyond) = match value {
            [b'>', b'=', value @ ..] => (value, 0),
            [b'>', value @ ..] => (value, 1),
            _ => {
                return Err(format!("'{shown}' is no constraint; there are mem>SIZE and idle>PERCENT"));
            }
        };
        match name {
            b"mem" => {
                let bytes = size(value).ok_or_else(|| {
                    format!("'{shown}': expected a number of bytes, with K, M or G for more, as in mem>64M")
                })?;
                constraints.least_memory_bytes = bytes.saturating_add(beyond);
            }
            b"idle" => {
                let percent = number(value.strip_suffix(b"%").unwrap_or(value));
                let percent = percent.map(|percent| percent.saturating_add(beyond));
                constraints.least_idle_percent = percent
                    .and_then(|percent| u32::try_from(percent).ok())
                    .filter(|percent| *percent <= 100)
                    .ok_or_else(|| format!("'{shown}': expected a number of percent, as in idle>50"))?;
            }
            _ => {
                return Err(format!(
                    "'{shown}': nodes have no '{}'; there are mem>SIZE and idle>PERCENT",
                    shorten(name)
                ));
            }
        }
    }
    Ok(constraints)
}

fn size(text: &[u8]) -> Option<u64> {
    let (digits, shift) = match text {
        [digits @ .., b'K' | b'k'] => (digits, 10),
        [digits @ .., b'M' | b'm'] => (digits, 20),
        [digits @ .., b'G' | b'g'] => (digits, 30),
        digits => (digits, 0),
    };
    number(digits)?.checked_mul(1 << shift)
}

fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    core::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_are_read() {
        let read = |text: &str| {
            let constraints = parse(text.as_bytes()).expect(text);
            (constraints.least_memory_bytes, constraints.least_idle_percent)
        };
        assert_eq!(read(""), (0, 0));
        assert_eq!(read("mem>=64M"), (64 << 20, 0));
        assert_eq!(read("mem>64M"), ((64 << 20) + 1, 0));
        assert_eq!(read(" mem>2g, idle>50% "), ((2 << 30) + 1, 51));
        assert_eq!(read("idle>=100 mem>7"), (8, 100));
    }

    #[test]
    fn what_is_no_constraint_is_told() {
        for (text, hint) in [
            ("mem", "'mem' is no constraint"),
            ("mem=3", "'mem=3' is no constraint"),
            ("memory>3", "nodes have no 'memory'"),
            ("mem>", "expected a number of bytes"),
            ("mem>-3M", "expected a number of bytes"),
            ("mem>3T", "expected a number of bytes"),
            ("mem>99999999999999999999", "expected a number of bytes"),
            ("mem>18446744073709551615G", "expected a number of bytes"),
            ("idle>100", "expected a number of percent"),
            ("idle>half", "expected a number of percent"),
            ("mem>1M cpu>3", "nodes have no 'cpu'"),
        ] {
            let message = parse(text.as_bytes()).expect_err(text);
            assert!(message.contains(hint), "{text}: {message}");
        }
    }
}
