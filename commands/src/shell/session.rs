//! How a shell is run: on a text, on a script, on a stream of lines, or with a person at a terminal.

use alloc::format;
use alloc::vec::Vec;

use abi::Error;

use super::ast::{List, Position, Text, Word};
use super::execute::{Flow, Leave, Shell};
use super::lexer::shorten;
use super::stack::Stack;
use super::state::Place;
use super::system::System;

/// The prompt where `PS1` is not set.
const PROMPT: &[u8] = b"$NODE $PWD v$ ";
/// The file in `$HOME` that a session begins with where `ENV` names none.
const STARTUP_FILE: &[u8] = b".shrc";
/// The prompt for the rest of a command where `PS2` is not set.
const MORE_PROMPT: &[u8] = b"> ";
/// The status of a script that can't be read.
const NOT_FOUND: i32 = 127;
/// The status of a script that is none.
const NOT_RUN: i32 = 126;

/// What reading the next command yields.
enum Input {
    Commands(List),
    Nothing,
    End,
}

impl<S: System> Shell<S> {
    /// Runs a text to its end and returns the status.
    pub fn run_commands(&mut self, text: &[u8]) -> i32 {
        self.start();
        let flow = self.run_text(text);
        self.finish(flow)
    }

    /// Runs a script file and returns the status.
    pub fn run_script(&mut self, file: &[u8]) -> i32 {
        self.start();
        let text = match self.read_file(file) {
            Ok(text) => text,
            Err(error) => {
                self.write_error(format!("exec: {}: {error}\n", shorten(file)).as_bytes());
                return if error == Error::NotFound { NOT_FOUND } else { NOT_RUN };
            }
        };
        let first_line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if first_line.contains(&0) {
            self.write_error(format!("exec: {}: not a script\n", shorten(file)).as_bytes());
            return NOT_RUN;
        }
        let flow = self.run_text(&text);
        self.finish(flow)
    }

    /// Runs the lines of standard input to its end and returns the status.
    pub fn run_input(&mut self) -> i32 {
        self.start();
        let flow = self.run_lines();
        self.finish(flow)
    }

    /// Runs what a person types at standard input until its end or `exit`, and returns the status.
    pub fn run_interactively(&mut self) -> i32 {
        self.start();
        self.state.is_interactive = true;
        self.state.place = Place::Typed;
        if self.run_startup_file() == Err(Leave::Exit) {
            return self.finish(Err(Leave::Exit));
        }
        self.return_to_prompt();
        loop {
            // An interruption that came too late for the last command is not meant for the next.
            self.system.interrupted();
            self.notify_of_jobs();
            let flow = match self.read_commands(true) {
                Ok(Input::Commands(list)) => self.list(&list),
                Ok(Input::Nothing) => Ok(()),
                Ok(Input::End) => {
                    self.write_error(b"\n");
                    return self.finish(Ok(()));
                }
                Err(leave) => Err(leave),
            };
            if flow == Err(Leave::Exit) {
                return self.finish(flow);
            }
            self.return_to_prompt();
        }
    }

    /// Runs the commands of the startup file in this shell: the one that `ENV` names, or `.shrc` in the home.
    fn run_startup_file(&mut self) -> Flow {
        let file = if let Some(named) = self.state.value(b"ENV").cloned() {
            self.expand_setting(named)
        } else {
            let home = self.state.value(b"HOME").cloned().unwrap_or_default();
            let separator: &[u8] = if matches!(home.last(), Some(b'/' | b']')) { b"" } else { b"/" };
            [&*home, separator, STARTUP_FILE].concat()
        };
        let text = match self.read_file(&file) {
            Ok(text) => text,
            Err(Error::NotFound) => return Ok(()),
            Err(error) => {
                self.write_error(format!("exec: {}: {error}\n", shorten(&file)).as_bytes());
                return Ok(());
            }
        };
        self.state.place = Place::InText;
        let flow = self.returning(|shell| shell.run_text(&text));
        self.state.place = Place::Typed;
        flow
    }

    /// At the bottom of the stack: recursion is counted from here. Scripts know the context and the node.
    fn start(&mut self) {
        self.stack = Stack::here(self.system.stack_bytes());
        let node = self.system.node();
        for (name, value) in [(&b"PWD"[..], self.system.context().ok()), (b"NODE", Some(node))] {
            // One that is read-only stays.
            value.map(|value| self.state.assign(name, value));
        }
    }

    /// Back at the prompt, whatever was left.
    fn return_to_prompt(&mut self) {
        self.state.loops = 0;
        self.state.calls = 0;
        self.state.tolerant = 0;
        self.state.hidden.clear();
    }

    /// The status of a shell that comes to its end in this way.
    fn finish(&mut self, flow: Flow) -> i32 {
        let _ = self.end(flow);
        self.end_stopped_jobs();
        self.state.status
    }

    fn run_lines(&mut self) -> Flow {
        loop {
            match self.read_commands(false)? {
                Input::Commands(list) => self.list(&list)?,
                Input::Nothing => {}
                Input::End => return Ok(()),
            }
        }
    }

    /// Reads lines until they make complete commands, or can't any more.
    fn read_commands(&mut self, prompts: bool) -> Result<Input, Leave> {
        let mut text = Text::new();
        loop {
            if prompts {
                self.show_prompt(!text.is_empty());
            }
            let line = match self.read_line(0) {
                Ok(line) => line,
                Err(Error::Aborted) => return self.interrupt().map(|()| Input::Nothing),
                Err(error) => {
                    self.write_error(format!("exec: standard input: {error}\n").as_bytes());
                    self.state.status = 1;
                    return Err(Leave::Exit);
                }
            };
            if prompts && let Some(line) = &line {
                self.remember(line);
            }
            let is_end = line.is_none();
            if is_end && text.is_empty() {
                return Ok(Input::End);
            }
            let line = line.unwrap_or_default();
            if self.state.options.verbose {
                self.write_error(&line);
            }
            if let Err(error) = self.append(&mut text, &line) {
                return Err(self.fail(Position { line: 1, column: 1 }, &format!("{error}")));
            }
            let mut parser = self.parser(&text);
            let mut items = Vec::new();
            let result = loop {
                match parser.next_line() {
                    Ok(Some(list)) => {
                        self.need_at(parser.taken_bytes(), Position { line: 1, column: 1 })?;
                        items.extend(list.items);
                    }
                    Ok(None) => break Ok(parser.is_continued()),
                    Err(error) => break Err(error),
                }
            };
            match result {
                Ok(true) if !is_end => {}
                Ok(_) if items.is_empty() => return Ok(Input::Nothing),
                Ok(_) => return Ok(Input::Commands(List { items })),
                Err(error) if error.incomplete && !is_end => {}
                Err(error) => return Err(self.fail_to_parse(&error)),
            }
        }
    }

    /// Prompts for a command, or for the rest of one.
    fn show_prompt(&mut self, is_more: bool) {
        let prompt = self.prompt(is_more);
        let terminal = self.streams.system(0).filter(|stream| self.system.is_terminal(stream));
        let shown = terminal.as_ref().map(|terminal| self.system.set_prompt(terminal, &prompt));
        match (shown, terminal) {
            (Some(Ok(true)), Some(terminal)) => self.tell_history(&terminal),
            (Some(Ok(false)), _) => {}
            _ => self.write_error(&prompt),
        }
    }

    /// `PS1` or `PS2`, with what it names expanded.
    fn prompt(&mut self, is_more: bool) -> Text {
        let (name, default): (&[u8], _) = if is_more { (b"PS2", MORE_PROMPT) } else { (b"PS1", PROMPT) };
        let text = self.state.value(name).cloned().unwrap_or_else(|| default.to_vec());
        self.expand_setting(text)
    }

    /// What a variable's value names, expanded.
    pub(super) fn expand_setting(&mut self, text: Text) -> Text {
        let status = self.state.status;
        let at = Position { line: 1, column: 1 };
        let pieces = self.parser(&text).document();
        let expanded = match pieces {
            Ok(pieces) => self.expand_text(&Word { pieces, at }).unwrap_or(text),
            Err(_) => text,
        };
        self.state.status = status;
        expanded
    }
}
