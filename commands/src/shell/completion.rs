//! What the terminal completes when Tab is pressed.
//!
//! | module | what it has |
//! |---|---|
//! | `before` | the words of the command that stand before the one that is completed |
//! | `subject` | what that command takes, by the lines of its `--help` |
//!
//! What there is of a kind is asked of the commands that list it: pages of `man`, pids of `ps`, services of `services`.

mod before;
mod subject;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use abi::Error;

use super::ast::Text;
use super::execute::Shell;
use super::system::{ObjectKind, System};
use before::Before;
use subject::{Expected, Subject};

/// The most that a terminal is told, in bytes.
const LONGEST_BYTES: usize = 64 << 10;
/// What stands for itself only behind a backslash.
const SPECIAL: &[u8] = b" \t\\'\"`$&|;<>()*?[#~!";

impl<S: System> Shell<S> {
    /// Answers a terminal that was just read 0 bytes from, if it wants a word completed; false if it was the end.
    pub(super) fn complete_word(&mut self, terminal: &S::Stream) -> Result<bool, Error> {
        let Some((line, word_begin)) = self.system.line_to_complete(terminal) else {
            return Ok(false);
        };
        let (before, word) = line.split_at(word_begin.min(line.len()));
        let mut lines = Text::new();
        for candidate in self.completions(before, word) {
            if lines.len() + candidate.len() < LONGEST_BYTES && !candidate.contains(&b'\n') {
                lines.extend_from_slice(&candidate);
                lines.push(b'\n');
            }
        }
        self.system.set_completions(terminal, &lines)?;
        // Whoever interrupts meanwhile means the line.
        if self.system.interrupted() { Err(Error::Aborted) } else { Ok(true) }
    }

    /// What this word, with what stands before it, may be the beginning of.
    pub(super) fn completions(&mut self, line: &[u8], word: &[u8]) -> BTreeSet<Text> {
        let before = Before::of(line);
        let mut words = BTreeSet::new();
        for expected in self.expected(&before, word, &mut words) {
            match expected {
                Expected::Commands => self.add_commands(&mut words),
                Expected::Names => self.add_names(word, &before, false, &mut words),
                Expected::Directories => self.add_names(word, &before, true, &mut words),
                Expected::Places => {
                    words.extend(self.system.nodes().into_iter().map(|node| [b"@", &*node].concat()));
                }
                Expected::Nodes => words.extend(self.system.nodes()),
                Expected::Jobs => words.extend(self.jobs.names()),
                Expected::Pages => words.extend(self.first_words(b"$(man)")),
                Expected::Services => words.extend(self.first_words(b"$(services)").into_iter().skip(1)),
                Expected::Processes => words.extend(self.first_words(b"$(ps)").into_iter().skip(1)),
                Expected::Variables => words.extend(self.state.variables.keys().cloned()),
            }
        }
        words.retain(|candidate| candidate.starts_with(word));
        words
    }

    /// What kinds of word may stand there. Options are added at once.
    fn expected(&mut self, before: &Before, word: &[u8], words: &mut BTreeSet<Text>) -> Vec<Expected> {
        if before.joined.ends_with(b"$") && before.quote != Some(b'\'') {
            let names = self.state.variables.keys();
            words.extend(names.map(|name| {
                if word.starts_with(b"{") { [b"{", &**name, b"}"].concat() } else { name.clone() }
            }));
            return Vec::new();
        }
        if before.is_redirection {
            return [Expected::Names].into();
        }
        if word.starts_with(b"@") {
            return [Expected::Places].into();
        }
        let mut command = before.words.as_slice();
        let mut subject = None;
        while let Some(name) = command.first() {
            let found = Subject::find::<S>(name);
            let program = found.as_ref().and_then(|found| found.program(command));
            subject = found;
            let Some(program) = program else { break };
            command = program;
        }
        if command.is_empty() && before.joined.is_empty() {
            return [Expected::Commands, Expected::Names].into();
        }
        let Some(subject) = subject else { return [Expected::Names].into() };
        if let Some(option) = before.joined.strip_suffix(b"=") {
            return subject.value_behind(option).map_or_else(|| [Expected::Names].into(), Subject::value);
        }
        if let [_, .., last] = command
            && let Some(value) = subject.value_behind(last)
        {
            return Subject::value(value);
        }
        if word.starts_with(b"-") && !command.iter().any(|word| word == b"--") {
            words.extend(subject.options(word));
            return Vec::new();
        }
        subject.operands()
    }

    fn add_commands(&mut self, words: &mut BTreeSet<Text>) {
        let builtins = Self::BUILTINS.iter().filter(|builtin| builtin.is_for_people());
        words.extend(builtins.map(|builtin| builtin.name.as_bytes().to_vec()));
        words.extend(self.state.functions.keys().cloned());
        words.extend(self.programs());
    }

    /// The names in the directory that the word has; and the prefixes, if it has none.
    fn add_names(
        &mut self,
        word: &[u8],
        before: &Before,
        only_directories: bool,
        words: &mut BTreeSet<Text>,
    ) {
        let directory_end = word.iter().rposition(|byte| matches!(byte, b'/' | b']')).map_or(0, |at| at + 1);
        let directory = &word[..directory_end];
        for (name, kind) in self.system.list(&unescaped(directory, before.quote)).unwrap_or_default() {
            let end: &[u8] = if kind == ObjectKind::Directory { b"/" } else { b"" };
            if kind == ObjectKind::Directory || !only_directories {
                words.insert([directory, &*escaped(&name, before.quote), end].concat());
            }
        }
        if directory.is_empty() {
            let prefixes = self.system.prefixes().into_iter().map(|(prefix, _)| prefix);
            words.extend(prefixes.map(|prefix| [b"[", &*prefix, b"]"].concat()));
            // The others have to be asked whether they are there.
            if word.starts_with(b"[") {
                words.extend(self.system.nodes().into_iter().map(|node| [b"[", &*node, b"]"].concat()));
            }
        }
    }

    /// The first word of each line that a command writes.
    fn first_words(&mut self, substitution: &[u8]) -> Vec<Text> {
        let text = self.expand_setting(substitution.to_vec());
        let words =
            |line: &[u8]| line.split(|byte| *byte == b' ').find(|word| !word.is_empty()).map(<[u8]>::to_vec);
        text.split(|byte| *byte == b'\n').filter_map(words).collect()
    }
}

/// A name as it has to be typed.
fn escaped(name: &[u8], quote: Option<u8>) -> Text {
    let mut text = Text::new();
    for byte in name {
        let is_special = match quote {
            None => SPECIAL.contains(byte),
            Some(b'"') => b"\"\\$`".contains(byte),
            Some(_) => false,
        };
        text.extend_from_slice(if is_special { b"\\" } else { b"" });
        text.push(*byte);
    }
    text
}

/// What was typed, without the backslashes that keep bytes from being special.
fn unescaped(word: &[u8], quote: Option<u8>) -> Text {
    let mut text = Text::new();
    let mut bytes = word.iter();
    while let Some(byte) = bytes.next() {
        let meant = if *byte == b'\\' && quote != Some(b'\'') { bytes.next().unwrap_or(byte) } else { byte };
        text.push(*meant);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::shell::tests::host::Host;

    /// What a line that ends in a word is completed to, in a directory with a few files and commands that list.
    fn complete(line: &str) -> Vec<std::string::String> {
        let root = std::env::temp_dir().join(std::format!(
            "v-shell-completion-{}-{}",
            std::process::id(),
            line.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
        ));
        fs::create_dir_all(root.join("d/inner")).unwrap();
        fs::write(root.join("d/file"), "").unwrap();
        fs::write(root.join("two words"), "").unwrap();
        fs::write(root.join("it's"), "").unwrap();
        let mut shell = Shell::new(Host::new(root.clone()), [None, None, None], [].into(), [].into());
        shell.run_commands(
            b"man() { echo 'servers/terminal  terminals'; echo 'cat   shows'; }\n\
              ps() { echo 'PID NAME'; echo ' 1.2 sleep'; }\n\
              services() { echo SERVICE; echo 'ramfs running'; }\nHOME=x HUGE=y",
        );
        let begin = line.rfind([' ', '=', '$', '"', '<']).map_or(0, |at| at + 1);
        let (before, word) = line.split_at(begin);
        let found = shell.completions(before.as_bytes(), word.as_bytes());
        fs::remove_dir_all(root).unwrap();
        found.iter().map(|word| std::string::String::from_utf8_lossy(word).into_owned()).collect()
    }

    #[test]
    fn commands_come_first_and_names_behind_them() {
        let first = complete("c");
        assert!(["cd", "command"].iter().all(|word| first.iter().any(|found| found == word)), "{first:?}");
        assert_eq!(complete("d/f"), ["d/file"]);
        assert_eq!(complete("ls d/"), ["d/file", "d/inner/"]);
        assert_eq!(complete("cd d"), ["d/"]);
        assert_eq!(complete("cd d/"), ["d/inner/"]);
        assert!(complete("cat nowhere/x").is_empty());
        assert_eq!(complete("sort | cat < d"), ["d/"]);
        assert!(complete("time c").contains(&"cd".into()));
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(complete("cat t"), ["two\\ words"]);
        assert_eq!(complete("cat \"t"), ["two words"]);
        assert_eq!(complete("cat i"), ["it\\'s"]);
    }

    #[test]
    fn options_are_those_of_the_help() {
        assert_eq!(complete("sort --r"), ["--reverse"]);
        assert_eq!(complete("ls | time sort --r"), ["--reverse"]);
        assert_eq!(complete("watch -n 1 sort --r"), ["--reverse"]);
        assert_eq!(complete("tac -"), ["--help"]);
        assert!(complete("ls -").contains(&"-l".into()));
        assert!(complete("jobs -").contains(&"-p".into()));
        assert!(complete("cat -- --n").is_empty());
        assert!(complete("no-such-command -").is_empty());
    }

    #[test]
    fn what_is_expected_is_listed() {
        assert_eq!(complete("ps @n"), ["@node2"]);
        assert_eq!(complete("ps "), ["@node2"]);
        assert_eq!(complete("ping n"), ["node2"]);
        assert_eq!(complete("ps --node n"), ["node2"]);
        assert_eq!(complete("ps --node=n"), ["node2"]);
        assert!(complete("cat [no").contains(&"[node2]".into()));
        assert_eq!(complete("man s"), ["servers/terminal"]);
        assert_eq!(complete("kill 1"), ["1.2"]);
        assert_eq!(complete("kill -s r"), ["ramfs"]);
        assert_eq!(complete("echo $H"), ["HOME", "HUGE"]);
        assert_eq!(complete("echo ${HO"), ["{HOME}"]);
        assert!(complete("unset H").contains(&"HOME".into()));
        assert!(complete("fg %").is_empty());
    }
}
