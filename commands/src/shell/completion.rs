//! What the terminal may complete: commands, names in the current context, prefixes.

use alloc::collections::BTreeSet;

use super::ast::Text;
use super::execute::Shell;
use super::system::{ObjectKind, System};

/// The most that a terminal is told, in bytes.
const LONGEST_BYTES: usize = 64 << 10;

impl<S: System> Shell<S> {
    /// Tells a terminal what may be completed.
    pub(super) fn offer_completions(&mut self, terminal: &S::Stream) {
        let mut lines = Text::new();
        for word in self.completions() {
            if lines.len() + word.len() < LONGEST_BYTES && !word.contains(&b'\n') {
                lines.extend_from_slice(&word);
                lines.push(b'\n');
            }
        }
        // Whoever types does without, if this fails.
        let _ = self.system.set_completions(terminal, &lines);
    }

    fn completions(&mut self) -> BTreeSet<Text> {
        let builtins = Self::BUILTINS.iter().filter(|builtin| builtin.is_for_people());
        let mut words: BTreeSet<Text> = builtins.map(|builtin| builtin.name.as_bytes().to_vec()).collect();
        words.extend(self.state.functions.keys().cloned());
        words.extend(self.programs());
        for (mut name, kind) in self.system.list(b"").unwrap_or_default() {
            if kind == ObjectKind::Directory {
                name.push(b'/');
            }
            words.insert(name);
        }
        for (prefix, _) in self.system.prefixes() {
            words.insert([b"[", &*prefix, b"]"].concat());
        }
        words
    }
}
