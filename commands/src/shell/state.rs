//! What a shell remembers: variables, functions, options, arguments, statuses.
//!
//! A subshell gets a copy. One that runs as a program of its own gets it as a script that sets it all again,
//! with what is exported in its environment.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::arithmetic::Variables;
use super::ast::{Command, Position, Text};
use super::lexer::shorten;
use super::print::{print_function, quote};
use super::room::ENTRY_BYTES;
use super::word::is_name;

/// A variable. It may be exported or read-only before it is set.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Variable {
    pub(super) value: Option<Text>,
    pub(super) exported: bool,
    pub(super) read_only: bool,
}

/// The options of `set`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(super) struct Options {
    /// `-a`: every variable assigned is exported.
    pub(super) export_all: bool,
    /// `-C`: `>` does not empty a file that exists.
    pub(super) no_clobber: bool,
    /// `-e`: a command that fails ends the shell.
    pub(super) exit_on_error: bool,
    /// `-f`: patterns are not matched with names.
    pub(super) no_names: bool,
    /// `-n`: commands are read, not run.
    pub(super) no_run: bool,
    /// `-u`: the value of a variable that is not set is an error.
    pub(super) no_unset: bool,
    /// `-v`: lines are shown as they are read.
    pub(super) verbose: bool,
    /// `-x`: commands are shown as they run.
    pub(super) trace: bool,
}

impl Options {
    /// The options by their letters and names.
    pub(super) const ALL: [(u8, &'static str); 8] = [
        (b'a', "allexport"),
        (b'C', "noclobber"),
        (b'e', "errexit"),
        (b'f', "noglob"),
        (b'n', "noexec"),
        (b'u', "nounset"),
        (b'v', "verbose"),
        (b'x', "xtrace"),
    ];

    /// The option with this letter.
    pub(super) fn by_letter(&mut self, letter: u8) -> Option<&mut bool> {
        Some(match letter {
            b'a' => &mut self.export_all,
            b'C' => &mut self.no_clobber,
            b'e' => &mut self.exit_on_error,
            b'f' => &mut self.no_names,
            b'n' => &mut self.no_run,
            b'u' => &mut self.no_unset,
            b'v' => &mut self.verbose,
            b'x' => &mut self.trace,
            _ => return None,
        })
    }

    /// The letters of the options that are on.
    pub(super) fn letters(mut self) -> Text {
        let is_on = |letter: &u8| self.by_letter(*letter).is_some_and(|on| *on);
        Options::ALL.iter().map(|(letter, _)| *letter).filter(is_on).collect()
    }
}

/// How a message says where in the commands the mistake is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Place {
    /// By line and column of the text that runs.
    #[default]
    InText,
    /// A person has just typed the commands and sees them: only mistakes of grammar are pointed at.
    Typed,
    /// This shell runs a part of another's commands, printed anew: where that part stands there.
    Part(Position),
}

impl Place {
    /// The words of `subshell-state` for a shell that runs the part at `at`.
    fn words(self, at: Position) -> String {
        match self {
            Place::Typed => String::from("0 0"),
            Place::Part(outer) => format!("{} {}", outer.line, outer.column),
            Place::InText => format!("{} {}", at.line, at.column),
        }
    }

    /// What such words say.
    pub(super) fn from_words(line: u32, column: u32) -> Place {
        if line == 0 { Place::Typed } else { Place::Part(Position { line, column }) }
    }

    /// What stands before a message about something at `at`.
    pub(super) fn prefix(self, at: Position, is_grammar: bool) -> String {
        match self {
            Place::Part(at) => format!("{at}: "),
            Place::Typed if !is_grammar => String::new(),
            Place::Typed if at.line == 1 => format!("column {}: ", at.column),
            Place::InText | Place::Typed => format!("{at}: "),
        }
    }
}

/// What a shell remembers.
#[derive(Clone, Default)]
pub(super) struct State {
    /// How messages say where a mistake is.
    pub(super) place: Place,
    pub(super) variables: BTreeMap<Text, Variable>,
    pub(super) functions: BTreeMap<Text, Rc<Command>>,
    pub(super) options: Options,
    /// `$0`.
    pub(super) name: Text,
    /// `$1` and on.
    pub(super) arguments: Vec<Text>,
    /// `$?`.
    pub(super) status: i32,
    /// `$$`.
    pub(super) identity: Text,
    /// `$!`.
    pub(super) last_background: Option<Text>,
    /// Commands of the `EXIT` trap.
    pub(super) exit_trap: Option<Text>,
    /// Commands of the `INT` trap; empty ones let interruptions pass.
    pub(super) interrupt_trap: Option<Text>,
    /// Loops around the current command, in its function.
    pub(super) loops: u32,
    /// Functions and sourced files around the current command.
    pub(super) calls: u32,
    /// Above zero where `set -e` does not count, such as in conditions.
    pub(super) tolerant: u32,
    /// In a subshell.
    pub(super) is_subshell: bool,
    /// A person types the commands.
    pub(super) is_interactive: bool,
    /// For each function around the current command, what its `local` variables hid.
    pub(super) hidden: Vec<BTreeMap<Text, Option<Variable>>>,
}

impl State {
    /// A variable's value, if it is set.
    pub(super) fn value(&self, name: &[u8]) -> Option<&Text> {
        self.variables.get(name)?.value.as_ref()
    }

    /// Assigns; or why not.
    pub(super) fn assign(&mut self, name: &[u8], value: Text) -> Result<(), String> {
        let export = self.options.export_all;
        let variable = self.changeable(name)?;
        variable.value = Some(value);
        variable.exported |= export;
        Ok(())
    }

    /// A variable for changing, made if need be; or why not.
    pub(super) fn changeable(&mut self, name: &[u8]) -> Result<&mut Variable, String> {
        let variable = self.variables.entry(name.to_vec()).or_default();
        if variable.read_only {
            return Err(format!("{}: read-only", shorten(name)));
        }
        Ok(variable)
    }

    /// How much memory the arguments take.
    pub(super) fn argument_bytes(&self) -> usize {
        self.arguments.iter().map(|argument| ENTRY_BYTES + argument.len()).sum()
    }

    /// How much memory a copy takes; that of functions, which copies share, is not counted.
    pub(super) fn bytes(&self) -> usize {
        let value = |variable: &Variable| variable.value.as_ref().map_or(0, Vec::len);
        let entry = |(name, variable): (&Text, &Variable)| ENTRY_BYTES + name.len() + value(variable);
        let hidden = self.hidden.iter().flatten();
        let hidden = hidden.map(|(name, was)| ENTRY_BYTES + name.len() + was.as_ref().map_or(0, value));
        let functions = self.functions.keys().map(|name| ENTRY_BYTES + name.len());
        self.variables.iter().map(entry).chain(hidden).chain(functions).sum::<usize>() + self.argument_bytes()
    }

    /// The bytes that separate fields.
    pub(super) fn separators(&self) -> Text {
        self.value(b"IFS").cloned().unwrap_or_else(|| b" \t\n".to_vec())
    }

    /// What programs get of the variables.
    pub(super) fn environment(&self) -> Vec<(Text, Text)> {
        let exported = self.variables.iter().filter(|(_, variable)| variable.exported);
        exported.filter_map(|(name, variable)| Some((name.clone(), variable.value.clone()?))).collect()
    }

    /// Takes variables from an environment; what has no variable's name is left out.
    pub(super) fn import(&mut self, environment: Vec<(Text, Text)>) {
        for (name, value) in environment {
            if is_name(&name) {
                self.variables
                    .insert(name, Variable { value: Some(value), exported: true, read_only: false });
            }
        }
    }

    /// Sets what POSIX says that scripts find, whatever the environment has.
    pub(super) fn set_defaults(&mut self) {
        for (name, value) in [(b"IFS".as_slice(), b" \t\n".as_slice()), (b"OPTIND", b"1")] {
            let variable = Variable { value: Some(value.to_vec()), ..Variable::default() };
            self.variables.insert(name.to_vec(), variable);
        }
    }

    /// A script that makes a new shell, with this one's environment, name and arguments, like this one, and
    /// then runs `command`, which stands at `at`.
    pub(super) fn script(&self, command: &[u8], at: Position) -> Text {
        let last = self.last_background.as_deref().unwrap_or_default();
        let mut script = format!("subshell-state {} {} ", self.status, self.place.words(at)).into_bytes();
        script.extend(quote(&self.identity));
        script.push(b' ');
        script.extend(quote(last));
        script.push(b'\n');
        for (name, variable) in &self.variables {
            if let Some(value) = variable.value.as_ref().filter(|_| !variable.exported) {
                script.extend_from_slice(name);
                script.push(b'=');
                script.extend(quote(value));
                script.push(b'\n');
            } else if variable.exported && variable.value.is_none() {
                script.extend_from_slice(b"export ");
                script.extend_from_slice(name);
                script.push(b'\n');
            }
            if variable.read_only {
                script.extend_from_slice(b"readonly ");
                script.extend_from_slice(name);
                script.push(b'\n');
            }
        }
        for (name, body) in &self.functions {
            script.extend(print_function(name, body));
        }
        let mut options = self.options;
        options.exit_on_error &= self.tolerant == 0;
        let letters = options.letters();
        if !letters.is_empty() {
            script.extend_from_slice(b"set -");
            script.extend(letters);
            script.push(b'\n');
        }
        script.extend_from_slice(command);
        script
    }
}

impl Variables for State {
    fn value(&self, name: &[u8]) -> Option<Text> {
        State::value(self, name).cloned()
    }

    fn assign(&mut self, name: &[u8], value: Text) -> Result<(), String> {
        State::assign(self, name, value)
    }
}
