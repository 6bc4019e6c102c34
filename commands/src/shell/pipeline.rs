//! Pipelines, background commands and command substitution.
//!
//! Every stage that is a program is started as one. Of the others, a pipeline that is waited for runs the last
//! here, in a subshell of this process, while the programs around it run; the rest run in shells of their own.
//! A substitution reads what comes out, so none of its stages runs here, except a single built-in, whose
//! output goes to a buffer.

use alloc::format;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::mem::replace;
use core::slice;

use abi::Error;

use super::ast::{AndOr, Command, Item, Kind, List, Position, Simple, Text, Word};
use super::builtins;
use super::elsewhere::{Destination, Runner, quoted};
use super::execute::{Flow, INTERRUPTED, Leave, Shell};
use super::jobs::Running;
use super::print::{print_and_or, print_command, print_list};
use super::redirect::{Sink, Streams};
use super::system::{Program, Start, System, Waited};

/// How often what a shell remembers lies in memory while another shell is started with it: quoting may make four
/// bytes of one, in a script that grows, which is then packed.
const SHELL_COPIES: usize = 16;

/// A pipeline's programs as they were started; the status of a stage that could not be.
struct Started<S: System> {
    children: Vec<S::Child>,
    /// The status if the last stage has no program.
    last_status: Option<i32>,
    /// The stage to run in this process, with its streams, and whether it is the last.
    here: Option<(usize, Streams<S::Stream>)>,
}

impl<S: System> Shell<S> {
    /// Runs a pipeline of several stages and waits for it.
    pub(super) fn foreground(&mut self, stages: &[Command]) -> Flow {
        let here = stages.iter().rposition(|stage| !self.may_be_program(stage));
        self.may_stop = self.state.is_interactive && here.is_none();
        let started = self.start_stages(stages, &self.streams.clone(), here);
        self.may_stop = false;
        let mut started = started?;
        let mut status = started.last_status;
        let mut flow = Ok(());
        if let Some((index, streams)) = started.here.take() {
            flow = self.subshell(|shell| {
                shell.streams = streams;
                shell.command(&stages[index])
            });
            if index + 1 == stages.len() {
                status = Some(self.state.status);
            }
        }
        if flow.is_err() {
            self.kill_all(&mut started.children);
        }
        let waited = self.wait_for(started.children);
        let flow = flow.and(waited);
        if flow == Err(Leave::Interrupted) {
            self.state.status = INTERRUPTED;
        } else if let Some(status) = status {
            self.state.status = status;
        }
        flow
    }

    /// Runs pipelines without waiting.
    pub(super) fn background(&mut self, and_or: &AndOr) -> Flow {
        let null = match self.system.null() {
            Ok(stream) => stream,
            Err(error) => {
                self.report(self.at, &format!("no input for a background command: {error}"));
                self.state.status = 1;
                return Ok(());
            }
        };
        let streams = self.streams.clone().with(0, null);
        let text = print_and_or(and_or);
        let is_foreground = replace(&mut self.is_foreground, false);
        let job = self.system.new_job();
        let outer_job = self.job.replace(job);
        let children = if and_or.rest.is_empty() && !and_or.first.negated {
            let started = self.start_stages(&and_or.first.stages, &streams, None);
            started.map(|started| started.children)
        } else {
            Ok(self.start_shell(&text, &streams, &Destination::Here).into_iter().collect())
        };
        self.is_foreground = is_foreground;
        self.job = outer_job;
        let children = children?;
        self.state.status = 0;
        let Some(last) = children.last() else {
            return Ok(());
        };
        let identity = self.system.identity(last);
        self.state.last_background = Some(identity.clone());
        let number = self.jobs.add(job, children, identity.clone(), text);
        if self.state.is_interactive {
            let line = format!("[{number}] {}\n", alloc::string::String::from_utf8_lossy(&identity));
            self.write_error(line.as_bytes());
        }
        Ok(())
    }

    /// The output of commands, and their status in `$?`.
    pub(super) fn substitute(&mut self, list: &List, at: Position) -> Result<Text, Leave> {
        let pipeline = match list.items.as_slice() {
            [] => {
                self.substituted = Some(0);
                return Ok(Text::new());
            }
            [Item { and_or, background: false }] if and_or.rest.is_empty() && !and_or.first.negated => {
                Some(&and_or.first)
            }
            _ => None,
        };
        if let Some([command]) = pipeline.map(|pipeline| pipeline.stages.as_slice())
            && is_harmless_builtin(command)
            && !self.names_function(command)
        {
            return self.capture(command);
        }
        let (reader, writer) = match self.system.pipe() {
            Ok(ends) => ends,
            Err(error) => return Err(self.fail(at, &format!("no pipe: {error}"))),
        };
        let streams = self.streams.clone().with(1, writer);
        let mut started = if let Some(pipeline) = pipeline {
            self.start_stages(&pipeline.stages, &streams, None)?
        } else {
            let child = self.start_shell(&print_list(list), &streams, &Destination::Here);
            let last_status = child.is_none().then_some(self.state.status);
            Started { children: child.into_iter().collect(), last_status, here: None }
        };
        drop(streams);
        let text = self.read_all(&reader);
        drop(reader);
        if text.is_err() {
            self.kill_all(&mut started.children);
        }
        self.wait_for(started.children)?;
        if let Some(status) = started.last_status {
            self.state.status = status;
        }
        self.substituted = Some(self.state.status);
        text.map_err(|error| match error {
            Error::Aborted => self.interrupt().err().unwrap_or(Leave::Abandon),
            error => self.fail(at, &format!("the output of a command substitution: {error}")),
        })
    }

    /// Runs a built-in in this process, its output to a buffer.
    fn capture(&mut self, command: &Command) -> Result<Text, Leave> {
        let buffer = Rc::new(RefCell::new(Text::new()));
        let sink = Sink::Buffer(Rc::clone(&buffer));
        self.subshell(|shell| {
            shell.streams.set(1, Some(sink));
            shell.command(command)
        })?;
        self.substituted = Some(self.state.status);
        Ok(buffer.take())
    }

    fn read_all(&mut self, reader: &S::Stream) -> Result<Text, Error> {
        let mut text = Text::new();
        let mut buffer = vec![0_u8; 4096];
        loop {
            let count = self.system.read(reader, &mut buffer)?;
            if count == 0 {
                return Ok(text);
            }
            self.append(&mut text, &buffer[..count])?;
        }
    }

    /// Starts the stages of a pipeline, joined by pipes, except the one that shall run here.
    fn start_stages(
        &mut self,
        stages: &[Command],
        streams: &Streams<S::Stream>,
        here: Option<usize>,
    ) -> Result<Started<S>, Leave> {
        let mut started = Started { children: Vec::new(), last_status: None, here: None };
        let mut input = None;
        for (index, stage) in stages.iter().enumerate() {
            let mut own = streams.clone();
            if let Some(input) = input.take() {
                own = own.with(0, input);
            }
            let is_last = index + 1 == stages.len();
            if !is_last {
                match self.system.pipe() {
                    Ok((reader, writer)) => {
                        own = own.with(1, writer);
                        input = Some(reader);
                    }
                    Err(error) => {
                        self.abandon(&mut started.children);
                        return Err(self.fail(stage.at, &format!("no pipe: {error}")));
                    }
                }
            }
            if here == Some(index) {
                started.here = Some((index, own));
                continue;
            }
            match self.start_stage(stage, own) {
                Ok(Some(child)) => started.children.push(child),
                Ok(None) if is_last => started.last_status = Some(self.state.status),
                Ok(None) => {}
                Err(leave) => {
                    self.abandon(&mut started.children);
                    return Err(leave);
                }
            }
        }
        Ok(started)
    }

    /// Starts one stage. `None` if that failed; then it is reported and the status is set.
    fn start_stage(
        &mut self,
        stage: &Command,
        streams: Streams<S::Stream>,
    ) -> Result<Option<S::Child>, Leave> {
        self.check_depth(stage.at)?;
        self.at = stage.at;
        self.need_at(self.state.bytes(), stage.at)?;
        let before = self.state.clone();
        let outer = core::mem::replace(&mut self.streams, streams);
        self.state.is_subshell = true;
        let result = self.start_redirected(stage);
        self.streams = outer;
        let status = self.state.status;
        self.state = before;
        self.state.status = status;
        match result {
            // An error in a stage is that stage's failure, not the pipeline's.
            Err(Leave::Abandon | Leave::Exit) => Ok(None),
            result => result,
        }
    }

    fn start_redirected(&mut self, stage: &Command) -> Result<Option<S::Child>, Leave> {
        let simple = match &stage.kind {
            Kind::Simple(simple) if self.may_be_program(stage) => simple,
            Kind::Subshell(list, Some(placement)) => {
                let destination = self.destination(Some(placement))?;
                let Some(streams) = self.redirect(self.streams.clone(), &stage.redirections)? else {
                    return Ok(None);
                };
                return Ok(self.start_shell(&print_list(list), &streams, &destination));
            }
            _ => {
                let Some(streams) = self.redirect(self.streams.clone(), &stage.redirections)? else {
                    return Ok(None);
                };
                let bare = Command { redirections: Vec::new(), ..stage.clone() };
                let text = match &stage.kind {
                    Kind::Simple(Simple { assignments, words, .. })
                        if assignments.is_empty() && words.is_empty() =>
                    {
                        b":".to_vec()
                    }
                    _ => print_command(&bare),
                };
                return Ok(self.start_shell(&text, &streams, &Destination::Here));
            }
        };
        let words = self.command_words(simple)?;
        let Some(name) = words.first() else {
            return Ok(self.start_shell(b":", &self.streams.clone(), &Destination::Here));
        };
        for (name, word) in &simple.assignments {
            let value = self.expand_text(word)?;
            self.assign(name, value, stage.at)?;
            if let Some(variable) = self.state.variables.get_mut(name) {
                variable.exported = true;
            }
        }
        let Some(streams) = self.redirect(self.streams.clone(), &stage.redirections)? else {
            return Ok(None);
        };
        let destination = self.destination(simple.placement.as_ref())?;
        let runner = if destination != Destination::Here {
            self.runner(name)
        } else if builtins::find::<S>(name).is_some() || self.state.functions.contains_key(name) {
            // Only its expansion told that it is no program.
            Some(Runner::Shell)
        } else {
            Some(Runner::Program)
        };
        Ok(self.start_by(runner, &words, &streams, &destination))
    }

    /// Starts a command by what runs it, if anything does.
    pub(super) fn start_by(
        &mut self,
        runner: Option<Runner>,
        words: &[Text],
        streams: &Streams<S::Stream>,
        destination: &Destination,
    ) -> Option<S::Child> {
        match runner? {
            Runner::Shell => self.start_shell(&quoted(words), streams, destination),
            Runner::Program => self.launch(words, streams, destination),
        }
    }

    /// Waits for a command, if it was started, and keeps none of its streams open.
    pub(super) fn wait_for_started(&mut self, child: Option<S::Child>, streams: Streams<S::Stream>) -> Flow {
        drop(streams);
        child.map_or(Ok(()), |child| self.wait_for(Vec::from([child])))
    }

    /// Runs a text in a shell like this one, elsewhere, and waits for it.
    pub(super) fn shell_elsewhere(&mut self, text: &[u8], destination: &Destination) -> Flow {
        let streams = self.streams.clone();
        self.may_stop = self.state.is_interactive;
        let child = self.start_shell(text, &streams, destination);
        self.may_stop = false;
        self.wait_for_started(child, streams)
    }

    /// Starts a shell like this one on a text.
    pub(super) fn start_shell(
        &mut self,
        text: &[u8],
        streams: &Streams<S::Stream>,
        destination: &Destination,
    ) -> Option<S::Child> {
        let room = self.need(SHELL_COPIES * (self.state.bytes() + text.len()));
        let started = room.and_then(|()| {
            let script = self.state.script(text, self.at);
            let mut arguments = vec![b"exec".to_vec(), b"-c".to_vec(), script, self.state.name.clone()];
            arguments.extend_from_slice(&self.state.arguments);
            let environment = self.state.environment();
            self.system.start(&Start {
                program: Program::Shell,
                arguments: &arguments,
                environment: &environment,
                streams: streams.standard(),
                placement: destination.placement(),
                job: self.job,
                is_foreground: self.is_foreground,
                may_stop: self.may_stop,
                is_awaited: self.is_awaited,
            })
        });
        match started {
            Ok(child) => Some(child),
            Err(error) => {
                self.report(self.at, &format!("no shell for this command: {}", destination.explain(error)));
                self.state.status = 126;
                None
            }
        }
    }

    /// Waits for the children of a command that runs in the foreground; the status is the last one's.
    pub(super) fn wait_for(&mut self, children: Vec<S::Child>) -> Flow {
        let mut interrupted = false;
        let mut stopped = Vec::new();
        for mut child in children {
            // Once one has been stopped, the others have been, too.
            let waited = if stopped.is_empty() { self.system.wait(&mut child) } else { Ok(Waited::Stopped) };
            match waited {
                Ok(Waited::Ended(ended)) => {
                    self.state.status = ended.status;
                    if let Some(reason) = ended.reason {
                        self.write_error(format!("{reason}\n").as_bytes());
                    }
                }
                Ok(Waited::Stopped) => stopped.push(Running::new(child)),
                Err(Error::Aborted) => {
                    interrupted = true;
                    self.abandon(slice::from_mut(&mut child));
                }
                Err(error) => {
                    self.report(self.at, &format!("waiting for a program: {error}"));
                    self.state.status = 1;
                }
            }
        }
        if !stopped.is_empty() {
            self.stopped = stopped;
            return Err(Leave::Stopped);
        }
        if self.system.interrupted() || interrupted {
            return self.interrupt();
        }
        Ok(())
    }

    /// Ends programs and forgets them.
    fn abandon(&mut self, children: &mut [S::Child]) {
        self.kill_all(children);
        for child in children {
            // They end in any case; how is of no interest.
            let _ = self.system.wait(child);
        }
    }

    /// Ends programs; those that have ended already don't mind.
    pub(super) fn kill_all(&mut self, children: &mut [S::Child]) {
        for child in children {
            let _ = self.system.kill(child);
        }
    }

    /// Whether a stage may be a program, as far as can be told before it is expanded.
    fn may_be_program(&self, stage: &Command) -> bool {
        let simple = match &stage.kind {
            Kind::Simple(simple) => simple,
            kind => return matches!(kind, Kind::Subshell(_, Some(_))),
        };
        let Some(word) = simple.words.first() else {
            return false;
        };
        if simple.placement.is_some() {
            return true;
        }
        word.literal().is_none_or(|name| {
            builtins::find::<S>(name).is_none() && !self.state.functions.contains_key(name)
        })
    }

    fn names_function(&self, command: &Command) -> bool {
        let Kind::Simple(simple) = &command.kind else {
            return false;
        };
        simple
            .words
            .first()
            .and_then(Word::literal)
            .is_some_and(|name| self.state.functions.contains_key(name))
    }
}

/// Whether a command is a built-in that only computes and writes, so that it can run in this process while
/// nobody reads its output.
fn is_harmless_builtin(command: &Command) -> bool {
    let Kind::Simple(simple) = &command.kind else {
        return false;
    };
    let name = simple.words.first().and_then(Word::literal).unwrap_or_default();
    simple.placement.is_none()
        && matches!(
            name,
            b":" | b"["
                | b"echo"
                | b"false"
                | b"jobs"
                | b"prefix"
                | b"printf"
                | b"pwd"
                | b"test"
                | b"true"
                | b"type"
        )
}
