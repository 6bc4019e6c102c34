//! What was typed, kept in the file that the variable `HISTFILE` names, for this shell and for later ones.
//!
//! A line is there, and safe, before it is run, so whatever the line does, at most itself is lost. Each is put at the
//! file's end by one write, so shells that use the same file find each other's lines there. A file that has become longer than
//! [`LONGEST_BYTES`] becomes `FILE.old`, in place of the one of that name: two such files are all that there ever is.

use alloc::format;

use abi::Error;

use super::ast::Text;
use super::execute::Shell;
use super::system::System;

/// How long a file is when the next is begun.
const LONGEST_BYTES: u64 = 32 << 10;
/// A file that is so long is somebody else's, and is not read.
const STRANGE_BYTES: u64 = 8 * LONGEST_BYTES;

/// What a shell knows of what it has kept.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The line that was kept last.
    last: Text,
    /// It was told that lines cannot be kept.
    is_told: bool,
}

impl<S: System> Shell<S> {
    /// Keeps a line that was typed, unless it is blank or the same as the last.
    pub(super) fn remember(&mut self, line: &[u8]) {
        let Some(file) = self.history_file() else { return };
        if line.trim_ascii().is_empty() || line == self.history.last || line.last() != Some(&b'\n') {
            return;
        }
        let kept = match self.system.append(&file, line) {
            Ok(bytes) if bytes > LONGEST_BYTES => self.begin_next(&file),
            kept => kept.map(drop),
        };
        self.history.last = line.to_vec();
        if let Err(error) = kept
            && !core::mem::replace(&mut self.history.is_told, true)
        {
            self.write_error(format!("exec: what is typed is not kept: {error}\n").as_bytes());
        }
    }

    /// Gives a terminal the lines that were kept.
    pub(super) fn tell_history(&mut self, terminal: &S::Stream) {
        let lines = self.kept();
        if !lines.is_empty() {
            // A terminal that cannot remember them does without.
            let _ = self.system.add_history(terminal, &lines);
        }
    }

    /// All lines that were kept, the oldest first.
    pub(super) fn kept(&mut self) -> Text {
        let Some(file) = self.history_file() else { return Text::new() };
        let mut lines = Text::new();
        for name in [old(&file), file] {
            let is_read = self.system.look_up(&name).is_ok_and(|object| object.size_bytes <= STRANGE_BYTES);
            if is_read && let Ok(text) = self.read_file(&name) {
                lines.extend_from_slice(alloc::string::String::from_utf8_lossy(&text).as_bytes());
            }
        }
        lines
    }

    fn history_file(&self) -> Option<Text> {
        self.state.value(b"HISTFILE").filter(|file| !file.is_empty()).cloned()
    }

    /// The file becomes the old one. Where another shell does the same at that moment, the file is not the long one any more,
    /// and its lines go to the end of the one that is used now.
    fn begin_next(&mut self, file: &[u8]) -> Result<(), Error> {
        let own = [file, b".", &self.system.own_identity()].concat();
        match self.system.rename(file, &own) {
            Err(Error::NotFound) => return Ok(()),
            renamed => renamed?,
        }
        if self.system.look_up(&own)?.size_bytes > LONGEST_BYTES {
            return self.system.rename(&own, &old(file));
        }
        let lines = self.read_file(&own)?;
        self.system.append(file, &lines)?;
        self.system.remove(&own)
    }
}

fn old(file: &[u8]) -> Text {
    [file, b".old"].concat()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::shell::tests::host::Host;

    fn shell(folder: &Path) -> Shell<Host> {
        let variables = [(b"HISTFILE".to_vec(), b"typed".to_vec())];
        Shell::new(Host::new(folder.to_path_buf()), [None, None, None], [].into(), variables.into())
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("v-shell-history-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn lines_are_kept_for_all_shells() {
        let folder = folder("kept");
        let (mut one, mut other) = (shell(&folder), shell(&folder));
        assert!(one.kept().is_empty());
        for line in [&b"echo a\n"[..], b"echo a\n", b"  \n", b"no end"] {
            one.remember(line);
        }
        other.remember(b"echo b\n");
        one.remember(b"echo \xff\n");
        assert_eq!(other.kept(), "echo a\necho b\necho \u{fffd}\n".as_bytes());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn two_shells_lose_nothing_and_the_files_are_bounded() {
        let folder = folder("bounded");
        let (mut one, mut other) = (shell(&folder), shell(&folder));
        let line = |number: usize| format!("echo {number:0100}\n").into_bytes();
        for number in 0..2_000 {
            let typist = if number % 3 == 0 { &mut one } else { &mut other };
            typist.remember(&line(number));
            let kept = one.kept();
            assert!(kept.len() as u64 <= 2 * (LONGEST_BYTES + 200));
            // As many as fit into one file are there, the newest among them.
            let first = (number + 1).saturating_sub(300);
            let newest: Text = (first..=number).flat_map(line).collect();
            assert!(kept.ends_with(&newest), "{number}");
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_file_of_a_moment_ago_is_not_thrown_away() {
        let folder = folder("raced");
        let mut shell = shell(&folder);
        fs::write(folder.join("typed.old"), "long ago\n").unwrap();
        fs::write(folder.join("typed"), "just now\n").unwrap();
        // As if another shell had just put the long file aside.
        shell.begin_next(b"typed").unwrap();
        assert_eq!(shell.kept(), b"long ago\njust now\n");
        fs::remove_file(folder.join("typed")).unwrap();
        shell.begin_next(b"typed").unwrap();
        assert_eq!(shell.kept(), b"long ago\n");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_cannot_be_kept_is_told_once_and_a_strange_file_is_left_alone() {
        let folder = folder("strange");
        let mut shell = shell(&folder);
        fs::create_dir(folder.join("typed")).unwrap();
        shell.remember(b"echo a\n");
        assert!(shell.history.is_told && shell.kept().is_empty());
        fs::remove_dir(folder.join("typed")).unwrap();
        fs::write(folder.join("typed"), std::vec![b'x'; STRANGE_BYTES as usize + 1]).unwrap();
        assert!(shell.kept().is_empty());
        fs::remove_dir_all(folder).unwrap();
    }
}
