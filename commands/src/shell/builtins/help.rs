//! `help` and `clear`, and what a mistyped name may have meant.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Builtin;
use crate::PROFILES;
use crate::shell::ast::Text;
use crate::shell::builtins;
use crate::shell::elsewhere::Destination;
use crate::shell::execute::{Flow, Shell};
use crate::shell::lexer::shorten;
use crate::shell::node::Node;
use crate::shell::system::{ObjectKind, System};

/// The cursor to the upper left corner, then the screen and what was scrolled off it erased.
const CLEAR: &[u8] = b"\x1b[H\x1b[2J\x1b[3J";
/// Columns for names.
const NAME_COLUMNS: usize = 12;
/// What `help` says of other nodes.
const ELSEWHERE: &str = "\
On other nodes:
  COMMAND @NODE          runs a program, function or ( ... ) on that node; those whose help says [@NODE] ask it instead
  COMMAND @ *            on the node that is idle most; @ '* mem>64M idle>50' on one that has what is needed
";
/// Names are not compared with longer ones than this.
const LONGEST_NAME_BYTES: usize = 32;

impl<S: System> Shell<S> {
    /// `clear`
    pub(super) fn clear(&mut self, _words: &[Text]) -> Flow {
        self.output(CLEAR)
    }

    /// `help [name…]`: one line for each command; for a name all that there is to say.
    pub(super) fn help(&mut self, words: &[Text]) -> Flow {
        if words.len() == 1 {
            let text = self.list_of_commands();
            return self.output(text.as_bytes());
        }
        let mut status = 0;
        for name in &words[1..] {
            // The shell's kill leaves most to the program, which also knows more of it.
            let builtin = builtins::find::<S>(name).filter(|builtin| builtin.name != "kill");
            if let Some(builtin) = builtin.filter(|builtin| builtin.is_for_people()) {
                self.output(builtin.help().as_bytes())?;
            } else if self.state.functions.contains_key(name) {
                self.describe_names(&[words[0].clone(), name.clone()])?;
            } else {
                let streams = self.streams.clone();
                if let Some(child) =
                    self.launch(&[name.clone(), b"--help".to_vec()], &streams, &Destination::Here)
                {
                    self.wait_for([child].into())?;
                }
            }
            status = if status == 0 { self.state.status } else { status };
        }
        self.state.status = status;
        Ok(())
    }

    fn list_of_commands(&mut self) -> String {
        let mut text = String::from("In the shell (help NAME tells more):\n");
        for builtin in Self::BUILTINS.iter().filter(|builtin| builtin.is_for_people()) {
            text += &line(builtin.name, builtin.summary);
        }
        text += "Programs (help NAME, or NAME --help, tells more):\n";
        let mut others = Vec::new();
        for name in self.programs() {
            let name = String::from_utf8_lossy(&name).into_owned();
            match PROFILES.iter().find(|known| known.name == name) {
                _ if builtins::find::<S>(name.as_bytes()).is_some() => {}
                Some(known) => text += &line(known.name, known.summary),
                None => others.push(name),
            }
        }
        if !others.is_empty() {
            text = text + "Services, and programs of your own:\n  " + &others.join(" ") + "\n";
        }
        text + ELSEWHERE
    }

    /// The names of the programs there are.
    pub(in crate::shell) fn programs(&mut self) -> BTreeSet<Text> {
        let mut names = BTreeSet::new();
        for directory in self.program_directories() {
            let files = self.system.list(&directory).unwrap_or_default();
            names.extend(
                files.into_iter().filter(|(_, kind)| *kind == ObjectKind::File).map(|(name, _)| name),
            );
        }
        names
    }

    /// What to say of a command that there is not: a name that is nearly the same, if there is one.
    pub(in crate::shell) fn no_such_command(&mut self, name: &[u8]) -> String {
        let builtins = Self::BUILTINS.iter().filter(|builtin| builtin.is_for_people());
        let mut known = self.programs();
        known.extend(builtins.map(|builtin| builtin.name.as_bytes().to_vec()));
        known.extend(self.state.functions.keys().cloned());
        if known.contains(name) {
            return String::from(
                "it is there, but the working directory is not any more; cd leads to one that is",
            );
        }
        match nearest(name, known.iter().map(Vec::as_slice)) {
            Some(other) => format!("no such command; is '{}' meant?", shorten(other)),
            None => String::from("no such command; 'help' lists them"),
        }
    }
}

impl<S: System> Builtin<S> {
    /// The text of its `--help`.
    pub(in crate::shell) fn help(&self) -> String {
        self.words().help()
    }

    const fn words(&self) -> Words {
        Words { name: self.name, synopsis: self.synopsis, summary: self.summary }
    }
}

/// What there is to say of a built-in.
#[derive(Clone, Copy)]
struct Words {
    name: &'static str,
    synopsis: &'static str,
    summary: &'static str,
}

impl Words {
    fn help(&self) -> String {
        let gap = if self.synopsis.is_empty() { "" } else { " " };
        format!("Usage: {}{gap}{}\n{}\n", self.name, self.synopsis, self.summary)
    }
}

/// How many built-ins there are.
const BUILTINS: usize = Shell::<Node>::BUILTINS.len();

/// What there is to say of each, made at compile time: who reads this does not have the shell linked to it.
const ALL_WORDS: [Words; BUILTINS] = {
    let mut all = [Words { name: "", synopsis: "", summary: "" }; BUILTINS];
    let mut at = 0;
    while at < BUILTINS {
        all[at] = Shell::<Node>::BUILTINS[at].words();
        at += 1;
    }
    all
};

/// The name, the summary and the text of `--help` of each built-in that people type.
pub fn builtin_help() -> impl Iterator<Item = (&'static str, &'static str, String)> {
    let people = ALL_WORDS.iter().filter(|words| !words.summary.is_empty());
    people.map(|words| (words.name, words.summary, words.help()))
}

/// The name that a mistyped one is nearly the same as, if there is one.
pub fn nearest<'a>(name: &[u8], known: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    let (mistakes, other) = known.map(|other| (distance(name, other), other)).min()?;
    (mistakes <= name.len().div_ceil(4).min(2) && name.len() > 1).then_some(other)
}

fn line(name: &str, summary: &str) -> String {
    format!("  {name:<NAME_COLUMNS$}  {summary}\n")
}

/// How many mistakes in typing make `other` of `name`: a byte left out, added or wrong, or two in the wrong order
/// (the optimal string alignment distance). Long names are far from everything.
fn distance(name: &[u8], other: &[u8]) -> usize {
    if name.len().max(other.len()) > LONGEST_NAME_BYTES {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (row, byte) in name.iter().enumerate() {
        let mut current = Vec::from([row + 1]);
        for (column, against) in other.iter().enumerate() {
            let replaced = above[column] + usize::from(byte != against);
            let mut least = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            let is_swapped = row > 0 && column > 0 && name[row - 1] == *against && *byte == other[column - 1];
            if is_swapped {
                least = least.min(before[column - 1] + 1);
            }
            current.push(least);
        }
        before = core::mem::replace(&mut above, current);
    }
    above[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::tests::host::Host;

    #[test]
    fn built_ins_are_in_order_and_say_what_they_do() {
        let builtins = Shell::<Host>::BUILTINS;
        assert!(builtins.is_sorted_by_key(|builtin| builtin.name.as_bytes()));
        for builtin in builtins.iter().filter(|builtin| builtin.is_for_people()) {
            assert!(builtin.summary.ends_with('.'), "{}", builtin.name);
        }
    }

    #[test]
    fn distances_count_mistakes() {
        for (name, other, mistakes) in [
            ("", "", 0),
            ("ls", "ls", 0),
            ("sl", "ls", 1),
            ("gerp", "grep", 1),
            ("ct", "cat", 1),
            ("", "cat", 3),
        ] {
            assert_eq!(distance(name.as_bytes(), other.as_bytes()), mistakes, "{name}");
        }
        assert_eq!(distance(&[b'a'; 100], b"a"), usize::MAX);
    }
}
