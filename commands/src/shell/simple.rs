//! Simple commands: assignments, built-ins, functions and programs.

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;

use abi::Error;

use super::ast::{Piece, Redirection, Simple, Text, Word};
use super::builtins::{self, Builtin};
use super::elsewhere::{Destination, Runner, told};
use super::execute::{Flow, Leave, Shell};
use super::lexer::shown;
use super::redirect::Streams;
use super::room::ENTRY_BYTES;
use super::state::Variable;
use super::system::{ObjectKind, Placement, Program, Start, System};

/// How often words and environment lie in memory while a program is started with them: copied, and packed.
const START_COPIES: usize = 4;
/// A program is missing.
const NOT_FOUND: i32 = 127;
/// A program is there, but can't be run.
const NOT_RUN: i32 = 126;

impl<S: System> Shell<S> {
    pub(super) fn simple(&mut self, simple: &Simple, redirections: &[Redirection]) -> Flow {
        self.substituted = None;
        let words = self.command_words(simple)?;
        self.trace(&words);
        let Some(name) = words.first() else {
            return self.only_assignments(simple, redirections);
        };
        if simple.placement.is_none() {
            let builtin = builtins::find::<S>(name);
            let is_special = builtin.as_ref().is_some_and(|builtin| builtin.is_special);
            if let Some(body) = self.state.functions.get(name).filter(|_| !is_special).map(Rc::clone) {
                let arguments = words[1..].to_vec();
                return self.with_assignments(simple, |shell| {
                    shell.redirected(redirections, |shell| shell.call(&body, arguments))
                });
            }
            if let Some(builtin) = builtin {
                return self.builtin(simple, redirections, builtin, &words);
            }
        }
        self.program(simple, redirections, &words)
    }

    /// The fields of a simple command. What `export` and its like are given is not split.
    pub(super) fn command_words(&mut self, simple: &Simple) -> Result<Vec<Text>, Leave> {
        let declares = matches!(
            simple.words.first().and_then(Word::literal),
            Some(b"export" | b"readonly" | b"local" | b"prefix")
        );
        let mut all = Vec::new();
        for word in &simple.words {
            let is_assignment =
                matches!(word.pieces.first(), Some(Piece::Literal(text)) if text.contains(&b'='));
            if declares && is_assignment {
                all.push(self.expand_text(word)?);
            } else {
                all.extend(self.expand_word(word)?);
            }
        }
        Ok(all)
    }

    fn only_assignments(&mut self, simple: &Simple, redirections: &[Redirection]) -> Flow {
        let at = self.at;
        if self.redirect(self.streams.clone(), redirections)?.is_none() {
            return Ok(());
        }
        for (name, word) in &simple.assignments {
            let value = self.expand_text(word)?;
            self.trace(&[[&**name, b"=", &value].concat()]);
            self.assign(name, value, at)?;
        }
        self.state.status = self.substituted.unwrap_or(0);
        Ok(())
    }

    /// Runs something with a command's assignments, which end with it.
    fn with_assignments(&mut self, simple: &Simple, run: impl FnOnce(&mut Self) -> Flow) -> Flow {
        if simple.assignments.is_empty() {
            return run(self);
        }
        let mut outer: Vec<(&Text, Option<Variable>)> = Vec::new();
        let mut flow = Ok(());
        for (name, word) in &simple.assignments {
            outer.push((name, self.state.variables.get(name).cloned()));
            flow = self.assign_exported(name, word);
            if flow.is_err() {
                break;
            }
        }
        let flow = flow.and_then(|()| run(self));
        for (name, variable) in outer.into_iter().rev() {
            match variable {
                Some(variable) => self.state.variables.insert(name.clone(), variable),
                None => self.state.variables.remove(name),
            };
        }
        flow
    }

    fn assign_exported(&mut self, name: &Text, word: &Word) -> Flow {
        let at = self.at;
        let value = self.expand_text(word)?;
        self.assign(name, value, at)?;
        if let Some(variable) = self.state.variables.get_mut(name) {
            variable.exported = true;
        }
        Ok(())
    }

    fn builtin(
        &mut self,
        simple: &Simple,
        redirections: &[Redirection],
        builtin: &Builtin<S>,
        words: &[Text],
    ) -> Flow {
        let at = self.at;
        if !builtin.is_special {
            return self.with_assignments(simple, |shell| {
                shell.redirected(redirections, |shell| {
                    shell.at = at;
                    shell.run_builtin(builtin, words)
                })
            });
        }
        // The assignments before a special built-in stay, and so do the redirections of `exec`. An error in
        // either is the end of a script.
        for (name, word) in &simple.assignments {
            let value = self.expand_text(word)?;
            self.assign(name, value, at)?;
        }
        let Some(streams) = self.redirect(self.streams.clone(), redirections)? else {
            return Err(Leave::Abandon);
        };
        let outer = core::mem::replace(&mut self.streams, streams);
        self.at = at;
        let flow = self.run_builtin(builtin, words);
        if words != [b"exec"] {
            self.streams = outer;
        }
        flow
    }

    /// Runs a built-in, or explains it.
    fn run_builtin(&mut self, builtin: &Builtin<S>, words: &[Text]) -> Flow {
        if words.len() == 2 && words[1] == b"--help" && builtin.has_help() {
            return self.output(builtin.help().as_bytes());
        }
        (builtin.run)(self, words)
    }

    fn program(&mut self, simple: &Simple, redirections: &[Redirection], words: &[Text]) -> Flow {
        self.with_assignments(simple, |shell| {
            let Some(streams) = shell.redirect(shell.streams.clone(), redirections)? else {
                return Ok(());
            };
            let destination = shell.destination(simple.placement.as_ref())?;
            let runner = if destination == Destination::Here {
                Some(Runner::Program)
            } else {
                shell.runner(&words[0])
            };
            shell.may_stop = shell.state.is_interactive;
            shell.is_awaited = true;
            let child = shell.start_by(runner, words, &streams, &destination);
            shell.is_awaited = false;
            shell.may_stop = false;
            shell.wait_for_started(child, streams)
        })
    }

    /// Starts a program. `None` if that failed; then it is reported and the status is set.
    pub(super) fn launch(
        &mut self,
        words: &[Text],
        streams: &Streams<S::Stream>,
        destination: &Destination,
    ) -> Option<S::Child> {
        let name = words.first()?;
        let told = told(words, destination);
        let words = told.as_deref().unwrap_or(words);
        let placement = if told.is_some() { Placement::Here } else { destination.placement() };
        let words_bytes: usize = words.iter().map(|word| ENTRY_BYTES + word.len()).sum();
        let room = self.need(START_COPIES * (words_bytes + self.state.bytes()));
        let mut error = room.err().unwrap_or(Error::NotFound);
        let environment = if room.is_ok() { self.state.environment() } else { Vec::new() };
        let files = if room.is_ok() { self.program_files(name) } else { Vec::new() };
        for file in files {
            let mut start = Start {
                program: Program::File(&file),
                arguments: words,
                environment: &environment,
                streams: streams.standard(),
                placement,
                job: self.job,
                is_foreground: self.is_foreground,
                may_stop: self.may_stop,
                is_awaited: self.is_awaited,
            };
            let mut result = self.system.start(&start);
            let script;
            if matches!(result, Err(Error::BadImage)) {
                // Then it may be a script.
                script = [&[b"exec".to_vec(), file.clone()], &words[1..]].concat();
                start.program = Program::Shell;
                start.arguments = &script;
                result = self.system.start(&start);
            }
            match result {
                Ok(child) => return Some(child),
                Err(Error::NotFound | Error::NotADirectory | Error::NoSuchPrefix | Error::HostNotFound) => {}
                Err(other) => {
                    error = other;
                    break;
                }
            }
        }
        self.state.status = if error == Error::NotFound { NOT_FOUND } else { NOT_RUN };
        let outer = core::mem::replace(&mut self.streams, streams.clone());
        let message = match error {
            Error::NotFound if !is_path(name) => self.no_such_command(name),
            Error::BadArgument if words.iter().any(|word| core::str::from_utf8(word).is_err()) => {
                "its words are not all UTF-8, which a program's have to be".into()
            }
            error => destination.explain(error),
        };
        self.report(self.at, &format!("{}: {message}", shown(name)));
        self.streams = outer;
        None
    }

    /// The files that a program's name may mean: the name itself if it says where, else those along `PATH`.
    fn program_files(&self, name: &[u8]) -> Vec<Text> {
        if is_path(name) {
            return Vec::from([name.to_vec()]);
        }
        let directories = self.program_directories().into_iter().filter(|_| !name.is_empty());
        let file = |directory: Text| {
            let separator: &[u8] = if matches!(directory.last(), Some(b'/' | b']')) { b"" } else { b"/" };
            [&*directory, separator, name].concat()
        };
        directories.map(file).collect()
    }

    /// The directories where programs are looked for.
    pub(super) fn program_directories(&self) -> Vec<Text> {
        let path = self.state.value(b"PATH").cloned().unwrap_or_else(|| self.system.default_path());
        let directories = path.split(|byte| matches!(byte, b':' | b' ' | b'\t' | b'\n'));
        directories.filter(|directory| !directory.is_empty()).map(<[u8]>::to_vec).collect()
    }

    /// The file that a program's name means, if there is one.
    pub(super) fn find_program(&mut self, name: &[u8]) -> Option<Text> {
        self.program_files(name).into_iter().find(|file| {
            let found = self.system.look_up(file);
            found.is_ok_and(|object| object.kind == ObjectKind::File)
        })
    }

    /// Shows a command about to run, or an assignment made, for `set -x`.
    fn trace(&mut self, words: &[Text]) {
        if !self.state.options.trace || words.is_empty() {
            return;
        }
        let sign = self.state.value(b"PS4").cloned().unwrap_or_else(|| b"+ ".to_vec());
        self.write_error(&[&*sign, &words.join(&b' '), b"\n"].concat());
    }
}

/// Whether a program's name says where its file is.
pub(super) fn is_path(name: &[u8]) -> bool {
    name.contains(&b'/') || name.first() == Some(&b'[')
}
