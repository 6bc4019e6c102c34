//! What the terminal completes when Tab is pressed: commands, names, prefixes, nodes.

use alloc::collections::BTreeSet;

use abi::Error;

use super::ast::Text;
use super::execute::Shell;
use super::system::{ObjectKind, System};

/// The most that a terminal is told, in bytes.
const LONGEST_BYTES: usize = 64 << 10;

impl<S: System> Shell<S> {
    /// Answers a terminal that was just read 0 bytes from, if it wants a word completed; false if it was the end.
    pub(super) fn complete_word(&mut self, terminal: &S::Stream) -> Result<bool, Error> {
        let Some(word) = self.system.word_to_complete(terminal) else {
            return Ok(false);
        };
        let mut lines = Text::new();
        for candidate in self.completions(&word).into_iter().filter(|candidate| candidate.starts_with(&word))
        {
            if lines.len() + candidate.len() < LONGEST_BYTES && !candidate.contains(&b'\n') {
                lines.extend_from_slice(&candidate);
                lines.push(b'\n');
            }
        }
        self.system.set_completions(terminal, &lines)?;
        // Whoever interrupts meanwhile means the line.
        if self.system.interrupted() { Err(Error::Aborted) } else { Ok(true) }
    }

    /// What may stand where this word does.
    pub(super) fn completions(&mut self, word: &[u8]) -> BTreeSet<Text> {
        let mut words = BTreeSet::new();
        if word.starts_with(b"@") {
            words.extend(self.system.nodes().into_iter().map(|node| [b"@", &*node].concat()));
            return words;
        }
        if word.starts_with(b"[") && !word.contains(&b']') {
            words.extend(self.system.nodes().into_iter().map(|node| [b"[", &*node, b"]"].concat()));
        }
        let directory_end = word.iter().rposition(|byte| matches!(byte, b'/' | b']')).map_or(0, |at| at + 1);
        let directory = &word[..directory_end];
        for (name, kind) in self.system.list(directory).unwrap_or_default() {
            let end: &[u8] = if kind == ObjectKind::Directory { b"/" } else { b"" };
            words.insert([directory, &*name, end].concat());
        }
        if directory.is_empty() {
            let builtins = Self::BUILTINS.iter().filter(|builtin| builtin.is_for_people());
            words.extend(builtins.map(|builtin| builtin.name.as_bytes().to_vec()));
            words.extend(self.state.functions.keys().cloned());
            words.extend(self.programs());
            words.extend(
                self.system.prefixes().into_iter().map(|(prefix, _)| [b"[", &*prefix, b"]"].concat()),
            );
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::shell::tests::host::Host;

    #[test]
    fn words_may_be_commands_or_names_in_a_directory() {
        let root = std::env::temp_dir().join(std::format!("v-shell-completion-{}", std::process::id()));
        fs::create_dir_all(root.join("d/inner")).unwrap();
        fs::write(root.join("d/file"), "").unwrap();
        let mut shell = Shell::new(Host::new(root.clone()), [None, None, None], [].into(), [].into());
        let general = shell.completions(b"c");
        assert!([&b"cd"[..], b"d/"].iter().all(|word| general.contains(*word)));
        let inner: alloc::vec::Vec<Text> = shell.completions(b"d/f").into_iter().collect();
        assert_eq!(inner, [&b"d/file"[..], b"d/inner/"]);
        assert!(shell.completions(b"nowhere/x").is_empty());
        let nodes: alloc::vec::Vec<Text> = shell.completions(b"@n").into_iter().collect();
        assert_eq!(nodes, [b"@node2"]);
        assert!(shell.completions(b"[no").contains(&b"[node2]"[..]));
        assert!(!shell.completions(b"[node2]").contains(&b"[node2]"[..]));
        fs::remove_dir_all(root).unwrap();
    }
}
