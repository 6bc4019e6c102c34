//! What the command takes whose word is to be completed: read from the lines that its `--help` begins with.

use alloc::vec::Vec;

use crate::PROFILES;
use crate::shell::ast::Text;
use crate::shell::builtins;
use crate::shell::system::System;
use crate::usage::{Choice, HELP};

/// What a word may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expected {
    /// Programs, built-ins, functions.
    Commands,
    /// Files and whatever else has a name.
    Names,
    /// Directories, and the prefixes that lead to one.
    Directories,
    /// Nodes, as `@NODE`.
    Places,
    /// Nodes by their bare names.
    Nodes,
    /// Jobs of this shell.
    Jobs,
    /// Pages of the manual.
    Pages,
    /// Process identifiers.
    Processes,
    /// Services.
    Services,
    /// Variables.
    Variables,
}

impl Expected {
    /// What a word of a synopsis stands for.
    fn of(placeholder: &str) -> Option<Expected> {
        Some(match placeholder {
            "COMMAND" | "PROGRAM" => Expected::Commands,
            "DIRECTORY" => Expected::Directories,
            "@NODE" => Expected::Places,
            "NODE" => Expected::Nodes,
            "%JOB" => Expected::Jobs,
            "PAGE" => Expected::Pages,
            "PID" => Expected::Processes,
            "SERVICE" => Expected::Services,
            "VARIABLE" => Expected::Variables,
            // Numbers and such nobody completes; a word may be a name.
            "FILE" | "FILE1" | "FILE2" | "FILE.gz" | "NAME" | "FROM" | "TO" | "WORD" | "ARGUMENT"
            | "ARCHIVE" | "DISK" | "LINE" | "EXPRESSION" | "TARGET" => Expected::Names,
            _ => return None,
        })
    }
}

/// A command, as far as its words are to be completed.
pub(super) struct Subject {
    /// What follows its name; the shell's `kill` is also the program's.
    synopses: Vec<&'static str>,
    choices: &'static [Choice],
}

impl Subject {
    /// The command of this name, if its usage is known.
    pub(super) fn find<S: System>(name: &[u8]) -> Option<Subject> {
        let builtin = builtins::find::<S>(name).filter(|builtin| builtin.is_for_people());
        let profile = PROFILES.iter().find(|known| known.name.as_bytes() == name);
        let synopses: Vec<&str> = builtin
            .map(|builtin| builtin.synopsis)
            .into_iter()
            .chain(profile.map(|profile| profile.synopsis))
            .collect();
        (!synopses.is_empty())
            .then(|| Subject { synopses, choices: profile.map_or(&[], |profile| profile.choices) })
    }

    /// The words of the program that it runs, if it does that and they have begun.
    pub(super) fn program<'a>(&self, words: &'a [Text]) -> Option<&'a [Text]> {
        let runs = |synopsis: &&str| ["PROGRAM [", "COMMAND ["].iter().any(|sign| synopsis.contains(sign));
        if !self.synopses.iter().any(runs) {
            return None;
        }
        let mut at = 1;
        while let Some(word) = words.get(at) {
            if !word.starts_with(b"-") && !word.contains(&b'=') {
                return Some(&words[at..]);
            }
            at += if self.value_behind(word).is_some() { 2 } else { 1 };
        }
        None
    }

    /// What the value of an option is called that ends with this word.
    pub(super) fn value_behind(&self, word: &[u8]) -> Option<&'static str> {
        let text = core::str::from_utf8(word).ok()?;
        if let Some(long) = text.strip_prefix("--") {
            return self.choices.iter().find(|choice| choice.long == long)?.value;
        }
        let letter = text.strip_prefix('-')?.chars().last()?;
        self.choices.iter().find(|choice| choice.letter == letter)?.value
    }

    /// Its options as they are typed; the letters only behind a single hyphen.
    pub(super) fn options(&self, word: &[u8]) -> Vec<Text> {
        let mut options: Vec<Text> = self
            .choices
            .iter()
            .chain(&[HELP])
            .map(|choice| [b"--", choice.long.as_bytes()].concat())
            .collect();
        if word == b"-" {
            let mut buffer = [0; 4];
            for letter in self.choices.iter().map(|choice| choice.letter).filter(|letter| *letter != '\0') {
                options.push([b"-", letter.encode_utf8(&mut buffer).as_bytes()].concat());
            }
            // Those of built-ins are nowhere but in the line.
            let lines = self.synopses.iter().filter(|_| self.choices.is_empty());
            let words = lines.flat_map(|line| line.split([' ', '[', ']', '|']));
            for letters in words.filter_map(|word| word.strip_prefix('-')) {
                options.extend(letters.bytes().map(|letter| Text::from([b'-', letter])));
            }
        }
        options
    }

    /// What it takes beside options.
    pub(super) fn operands(&self) -> Vec<Expected> {
        let mut expected = Vec::new();
        for synopsis in &self.synopses {
            let mut is_value = false;
            for word in synopsis.split(' ') {
                let placeholders = word.split(['|', '[']).map(|part| part.trim_matches([']', '.']));
                expected.extend(placeholders.filter(|_| !is_value).filter_map(Expected::of));
                let option = word.trim_start_matches('[');
                is_value = option.starts_with('-') && !option.ends_with(']') && self.takes_value(option);
            }
        }
        expected
    }

    /// Whether what follows an option in a synopsis is its value.
    fn takes_value(&self, option: &str) -> bool {
        self.choices.is_empty() || self.value_behind(option.as_bytes()).is_some()
    }

    /// What an option's value may be.
    pub(super) fn value(placeholder: &str) -> Vec<Expected> {
        Expected::of(placeholder).into_iter().collect()
    }
}
