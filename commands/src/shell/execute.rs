//! Running syntax trees: lists, conditions, loops, groups, subshells.
//!
//! A command's status goes to `$?` (`State::status`); what leaves a command early, such as `break` or an
//! error, is a [`Leave`]. Subshells run in this process where they can, on a copy of the state.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::{replace, take};

use super::ast::{AndOr, Command, Connector, Kind, List, Pipeline, Position, Text, Word};
use super::cursor::ParseError;
use super::history::History;
use super::jobs::{Jobs, Running};
use super::print::{print_list, print_pipeline};
use super::redirect::Streams;
use super::room::ENTRY_BYTES;
use super::stack::Stack;
use super::state::State;
use super::system::System;

/// Why a command was left before its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leave {
    /// `break` out of this many loops.
    Break(u32),
    /// `continue` with the loop that many out.
    Continue(u32),
    /// `return`.
    Return,
    /// `exit`, or `set -e`.
    Exit,
    /// An error after which a script can't go on; a person types the next command.
    Abandon,
    /// The user interrupted.
    Interrupted,
    /// The user stopped the job that ran in the foreground.
    Stopped,
}

/// What running a command yields, besides its status.
pub(super) type Flow = Result<(), Leave>;

/// The status of what the user interrupted.
pub(super) const INTERRUPTED: i32 = 130;
/// The status of what the user stopped.
const STOPPED: i32 = 148;
/// The status of wrong syntax and usage.
pub(super) const USAGE: i32 = 2;

/// A shell: a language over a [`System`].
pub struct Shell<S: System> {
    pub(super) system: S,
    pub(super) state: State,
    pub(super) streams: Streams<S::Stream>,
    pub(super) jobs: Jobs<S>,
    pub(super) stack: Stack,
    /// The current command, for messages.
    pub(super) at: Position,
    /// The user waits for what this shell runs.
    pub(super) is_foreground: bool,
    /// The job that is being started.
    pub(super) job: Option<S::Job>,
    /// The user may stop what is being started, since this shell waits for nothing else.
    pub(super) may_stop: bool,
    /// Programs are waited for as soon as they are started.
    pub(super) is_awaited: bool,
    /// The programs of a pipeline that the user stopped, on their way to the table of jobs.
    pub(super) stopped: Vec<Running<S::Child>>,
    /// The status of the last command substitution, for commands that are only assignments.
    pub(super) substituted: Option<i32>,
    /// What was typed.
    pub(super) history: History,
    /// What was allocated since the system was last asked whether there is room.
    pub(super) unasked_bytes: usize,
}

impl<S: System> Shell<S> {
    /// A shell with these standard streams and arguments (the first is `$0`).
    pub fn new(
        system: S,
        streams: [Option<S::Stream>; 3],
        arguments: Vec<Text>,
        environment: Vec<(Text, Text)>,
    ) -> Shell<S> {
        let mut arguments = arguments;
        let name = if arguments.is_empty() { b"exec".to_vec() } else { arguments.remove(0) };
        let stack = Stack::here(system.stack_bytes());
        let mut state = State { name, arguments, identity: system.own_identity(), ..State::default() };
        state.import(environment);
        state.set_defaults();
        Shell {
            system,
            state,
            streams: Streams::new(streams),
            jobs: Jobs::default(),
            stack,
            at: Position { line: 1, column: 1 },
            is_foreground: true,
            job: None,
            may_stop: false,
            is_awaited: false,
            stopped: Vec::new(),
            substituted: None,
            history: History::default(),
            unasked_bytes: 0,
        }
    }

    /// Runs what it runs in the background, so that the user's interruption does not mean it.
    pub fn set_background(&mut self) {
        self.is_foreground = false;
    }

    /// The system, for its own settings.
    pub fn system(&mut self) -> &mut S {
        &mut self.system
    }

    /// Sets an option of `set` by its letter; false if there is none.
    pub fn set_option(&mut self, letter: u8) -> bool {
        let option = self.state.options.by_letter(letter);
        option.map(|option| *option = true).is_some()
    }

    /// Writes a message about the current command to standard error.
    pub(super) fn report(&mut self, at: Position, message: &str) {
        self.report_at(&self.state.place.prefix(at, false), message);
    }

    fn report_at(&mut self, place: &str, message: &str) {
        let name = String::from_utf8_lossy(&self.state.name).into_owned();
        self.write_error(format!("{name}: {place}{message}\n").as_bytes());
    }

    /// Reports a mistake of grammar, after which a script can't go on.
    pub(super) fn fail_to_parse(&mut self, error: &ParseError) -> Leave {
        self.report_at(&self.state.place.prefix(error.at, true), &error.message);
        self.state.status = USAGE;
        Leave::Abandon
    }

    /// Reports an error after which a script can't go on.
    pub(super) fn fail(&mut self, at: Position, message: &str) -> Leave {
        self.report(at, message);
        self.state.status = USAGE;
        Leave::Abandon
    }

    /// An error if recursion has to stop.
    pub(super) fn check_depth(&mut self, at: Position) -> Flow {
        if self.stack.is_exhausted() {
            return Err(self.fail(at, "nested too deeply"));
        }
        Ok(())
    }

    /// Assigns a variable.
    pub(super) fn assign(&mut self, name: &[u8], value: Text, at: Position) -> Flow {
        self.need_at(ENTRY_BYTES + name.len() + value.len(), at)?;
        self.state.assign(name, value).map_err(|message| self.fail(at, &message))
    }

    /// Runs the commands of a text, one complete line after the other.
    pub(super) fn run_text(&mut self, text: &[u8]) -> Flow {
        let mut parser = self.parser(text);
        loop {
            match parser.next_line() {
                Ok(None) => return Ok(()),
                Ok(Some(list)) => {
                    self.need_at(parser.taken_bytes(), self.at)?;
                    self.list(&list)?;
                }
                Err(error) => return Err(self.fail_to_parse(&error)),
            }
        }
    }

    pub(super) fn list(&mut self, list: &List) -> Flow {
        for item in &list.items {
            if self.state.options.no_run && !self.state.is_interactive {
                return Ok(());
            }
            if item.background {
                self.background(&item.and_or)?;
            } else {
                self.and_or(&item.and_or)?;
            }
        }
        Ok(())
    }

    pub(super) fn and_or(&mut self, and_or: &AndOr) -> Flow {
        let mut rest = and_or.rest.iter();
        let mut pipeline = &and_or.first;
        let mut runs = true;
        loop {
            let next = rest.next();
            if runs && next.is_some() {
                self.tolerate(|shell| shell.pipeline(pipeline))?;
            } else if runs {
                self.pipeline(pipeline)?;
            }
            let Some((connector, following)) = next else {
                return Ok(());
            };
            runs = (self.state.status == 0) == (*connector == Connector::And);
            pipeline = following;
        }
    }

    /// Runs something whose failure does not count for `set -e`.
    fn tolerate(&mut self, run: impl FnOnce(&mut Self) -> Flow) -> Flow {
        self.state.tolerant += 1;
        let flow = run(self);
        self.state.tolerant -= 1;
        flow
    }

    /// Runs a pipeline; of a person's session the outermost is a job, which may be stopped.
    fn pipeline(&mut self, pipeline: &Pipeline) -> Flow {
        if self.system.interrupted() {
            self.interrupt()?;
        }
        if !self.state.is_interactive || self.job.is_some() {
            return self.inner_pipeline(pipeline);
        }
        let job = self.system.new_job();
        self.job = Some(job);
        self.system.allow_stop(Some(job));
        let flow = self.inner_pipeline(pipeline);
        self.system.allow_stop(None);
        self.job = None;
        if flow == Err(Leave::Stopped) {
            self.state.status = STOPPED;
            // Otherwise it was one that `fg` waited for.
            if !self.stopped.is_empty() {
                self.keep_stopped_job(job, print_pipeline(pipeline));
            }
        }
        flow
    }

    fn inner_pipeline(&mut self, pipeline: &Pipeline) -> Flow {
        if pipeline.negated {
            self.tolerate(|shell| shell.stages(&pipeline.stages))?;
            self.state.status = i32::from(self.state.status == 0);
            return Ok(());
        }
        self.stages(&pipeline.stages)?;
        if self.state.status != 0 && self.state.options.exit_on_error && self.state.tolerant == 0 {
            return Err(Leave::Exit);
        }
        Ok(())
    }

    fn stages(&mut self, stages: &[Command]) -> Flow {
        match stages {
            [command] => self.command(command),
            stages => self.foreground(stages),
        }
    }

    /// The user interrupted: a trap's commands run, and what comes next goes on; without one all is left.
    pub(super) fn interrupt(&mut self) -> Flow {
        self.state.status = INTERRUPTED;
        let Some(commands) = self.state.interrupt_trap.clone() else {
            return Err(Leave::Interrupted);
        };
        self.check_depth(self.at)?;
        let flow = self.run_text(&commands);
        if flow.is_ok() {
            self.state.status = INTERRUPTED;
        }
        flow
    }

    pub(super) fn command(&mut self, command: &Command) -> Flow {
        self.check_depth(command.at)?;
        self.at = command.at;
        match &command.kind {
            Kind::Simple(simple) => self.simple(simple, &command.redirections),
            kind if command.redirections.is_empty() => self.compound(kind),
            kind => self.redirected(&command.redirections, |shell| shell.compound(kind)),
        }
    }

    fn compound(&mut self, kind: &Kind) -> Flow {
        match kind {
            Kind::Simple(simple) => self.simple(simple, &[]),
            Kind::Group(list) => self.list(list),
            Kind::Subshell(list, None) => self.subshell(|shell| shell.list(list)),
            Kind::Subshell(list, Some(placement)) => {
                let destination = self.destination(Some(placement))?;
                self.shell_elsewhere(&print_list(list), &destination)
            }
            Kind::If(branches, otherwise) => self.if_command(branches, otherwise.as_ref()),
            Kind::While { until, condition, body } => self.while_command(*until, condition, body),
            Kind::For { name, words, body } => self.for_command(name, words.as_deref(), body),
            Kind::Case { subject, arms } => self.case_command(subject, arms),
            Kind::Function { name, body } => {
                self.state.functions.insert(name.clone(), Rc::clone(body));
                self.state.status = 0;
                Ok(())
            }
        }
    }

    fn if_command(&mut self, branches: &[(List, List)], otherwise: Option<&List>) -> Flow {
        for (condition, body) in branches {
            self.tolerate(|shell| shell.list(condition))?;
            if self.state.status == 0 {
                return self.list(body);
            }
        }
        if let Some(otherwise) = otherwise {
            return self.list(otherwise);
        }
        self.state.status = 0;
        Ok(())
    }

    fn while_command(&mut self, until: bool, condition: &List, body: &List) -> Flow {
        let mut status = 0;
        self.in_loop(|shell| {
            loop {
                match shell.tolerate(|shell| shell.list(condition)) {
                    Err(Leave::Continue(1)) => continue,
                    flow => flow?,
                }
                if (shell.state.status == 0) == until {
                    break;
                }
                match shell.list(body) {
                    Ok(()) | Err(Leave::Continue(1)) => status = shell.state.status,
                    leave => return leave,
                }
            }
            shell.state.status = status;
            Ok(())
        })
    }

    fn for_command(&mut self, name: &[u8], words: Option<&[Word]>, body: &List) -> Flow {
        let at = self.at;
        let values = if let Some(words) = words {
            self.expand_words(words)?
        } else {
            self.need_at(self.state.argument_bytes(), at)?;
            self.state.arguments.clone()
        };
        self.state.status = 0;
        self.in_loop(|shell| {
            for value in values {
                shell.assign(name, value, at)?;
                match shell.list(body) {
                    Ok(()) | Err(Leave::Continue(1)) => {}
                    leave => return leave,
                }
            }
            Ok(())
        })
    }

    /// Runs a loop; `break` and `continue` that mean an outer one go on to it.
    fn in_loop(&mut self, run: impl FnOnce(&mut Self) -> Flow) -> Flow {
        self.state.loops += 1;
        let flow = run(self);
        self.state.loops -= 1;
        match flow {
            Err(Leave::Break(1)) => Ok(()),
            Err(Leave::Break(levels)) => Err(Leave::Break(levels - 1)),
            Err(Leave::Continue(levels)) => Err(Leave::Continue(levels - 1)),
            flow => flow,
        }
    }

    fn case_command(&mut self, subject: &Word, arms: &[(Vec<Word>, List)]) -> Flow {
        let subject = self.expand_text(subject)?;
        for (patterns, body) in arms {
            for pattern in patterns {
                let pattern = self.compile(pattern)?;
                if pattern.matches(&subject) {
                    self.state.status = 0;
                    return self.list(body);
                }
            }
        }
        self.state.status = 0;
        Ok(())
    }

    /// Runs something on a copy of the state, of which only the status remains.
    pub(super) fn subshell(&mut self, run: impl FnOnce(&mut Self) -> Flow) -> Flow {
        self.need_at(self.state.bytes(), self.at)?;
        let state = Box::new(self.state.clone());
        let names = self.system.names();
        let streams = self.streams.clone();
        let jobs = take(&mut self.jobs);
        let at = self.at;
        self.enter_subshell();
        let flow = run(self);
        let flow = self.end(flow);
        let status = self.state.status;
        self.state = *state;
        self.state.status = status;
        self.system.restore_names(names);
        self.streams = streams;
        self.take_back_jobs(jobs);
        self.at = at;
        if flow == Err(Leave::Interrupted) { self.interrupt() } else { Ok(()) }
    }

    /// Makes this shell a subshell.
    pub(super) fn enter_subshell(&mut self) {
        self.state.is_subshell = true;
        self.state.is_interactive = false;
        self.state.loops = 0;
        self.state.exit_trap = None;
        // What is ignored stays so.
        self.state.interrupt_trap.take_if(|commands| !commands.is_empty());
    }

    /// Ends a shell or subshell that came to its end in this way: runs the `EXIT` trap.
    pub(super) fn end(&mut self, flow: Flow) -> Flow {
        let Some(commands) = self.state.exit_trap.take() else {
            return flow;
        };
        let status = self.state.status;
        match self.run_text(&commands) {
            Err(Leave::Exit) => {}
            _ => self.state.status = status,
        }
        flow
    }

    /// Calls a function.
    pub(super) fn call(&mut self, body: &Command, arguments: Vec<Text>) -> Flow {
        let outer_arguments = replace(&mut self.state.arguments, arguments);
        let outer_loops = take(&mut self.state.loops);
        self.state.hidden.push(alloc::collections::BTreeMap::new());
        let flow = self.returning(|shell| shell.command(body));
        for (name, variable) in self.state.hidden.pop().unwrap_or_default() {
            match variable {
                Some(variable) => self.state.variables.insert(name, variable),
                None => self.state.variables.remove(&name),
            };
        }
        self.state.arguments = outer_arguments;
        self.state.loops = outer_loops;
        flow
    }

    /// Runs something that `return` leaves.
    pub(super) fn returning(&mut self, run: impl FnOnce(&mut Self) -> Flow) -> Flow {
        self.state.calls += 1;
        let flow = run(self);
        self.state.calls -= 1;
        if flow == Err(Leave::Return) { Ok(()) } else { flow }
    }
}
