//! The shell's streams, and redirections of them.

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;

use abi::Error;

use super::ast::{Mode, Redirection, Target, Text};
use super::execute::{Flow, Leave, Shell};
use super::lexer::{shorten, shown};
use super::system::{ObjectKind, System};

/// The streams 0 to 9. Copies share the streams.
#[derive(Clone)]
pub(super) struct Streams<Stream> {
    open: Vec<Option<Sink<Stream>>>,
}

/// Where a stream leads.
#[derive(Clone)]
pub(super) enum Sink<Stream> {
    /// To the system.
    System(Stream),
    /// To a text of this shell: the output of a built-in that is substituted.
    Buffer(Rc<RefCell<Text>>),
}

/// How many streams a shell has.
const STREAMS: usize = 10;

impl<Stream: Clone> Streams<Stream> {
    /// The standard streams; all others are closed.
    pub(super) fn new(standard: [Option<Stream>; 3]) -> Streams<Stream> {
        let mut open: Vec<_> = standard.into_iter().map(|stream| stream.map(Sink::System)).collect();
        open.resize(STREAMS, None);
        Streams { open }
    }

    /// An open stream.
    pub(super) fn get(&self, descriptor: u8) -> Option<&Sink<Stream>> {
        self.open.get(usize::from(descriptor))?.as_ref()
    }

    /// An open stream of the system.
    pub(super) fn system(&self, descriptor: u8) -> Option<Stream> {
        match self.get(descriptor)? {
            Sink::System(stream) => Some(stream.clone()),
            Sink::Buffer(_) => None,
        }
    }

    /// What a program gets of the streams.
    pub(super) fn standard(&self) -> [Option<Stream>; 3] {
        [self.system(0), self.system(1), self.system(2)]
    }

    /// Changes or closes a stream.
    pub(super) fn set(&mut self, descriptor: u8, sink: Option<Sink<Stream>>) {
        if let Some(slot) = self.open.get_mut(usize::from(descriptor)) {
            *slot = sink;
        }
    }

    /// The same streams, but this one.
    pub(super) fn with(mut self, descriptor: u8, stream: Stream) -> Streams<Stream> {
        self.set(descriptor, Some(Sink::System(stream)));
        self
    }
}

impl<S: System> Shell<S> {
    /// Runs something with streams redirected. If one can't be, it is not run, and the status is 1.
    pub(super) fn redirected(
        &mut self,
        redirections: &[Redirection],
        run: impl FnOnce(&mut Self) -> Flow,
    ) -> Flow {
        let Some(streams) = self.redirect(self.streams.clone(), redirections)? else {
            return Ok(());
        };
        let outer = core::mem::replace(&mut self.streams, streams);
        let flow = run(self);
        self.streams = outer;
        flow
    }

    /// Streams as redirections change them. `None` if one failed; then it is reported and the status is 1.
    pub(super) fn redirect(
        &mut self,
        mut streams: Streams<S::Stream>,
        redirections: &[Redirection],
    ) -> Result<Option<Streams<S::Stream>>, Leave> {
        for redirection in redirections {
            let sink = match &redirection.target {
                Target::File(mode, word) => {
                    let name = self.expand_text(word)?;
                    match self.open(&name, *mode) {
                        Ok(stream) => Some(Sink::System(stream)),
                        Err(error) => {
                            self.report(redirection.at, &format!("{}: {error}", shown(&name)));
                            self.state.status = 1;
                            return Ok(None);
                        }
                    }
                }
                Target::Same(word) => {
                    let text = self.expand_text(word)?;
                    match text.as_slice() {
                        b"-" => None,
                        [digit @ b'0'..=b'9'] if streams.get(digit - b'0').is_some() => {
                            streams.get(digit - b'0').cloned()
                        }
                        _ => {
                            let message = format!("`{}` is not an open stream's number", shorten(&text));
                            self.report(redirection.at, &message);
                            self.state.status = 1;
                            return Ok(None);
                        }
                    }
                }
                Target::Here(here) => {
                    let Some(body) = here.body.get() else { continue };
                    let text = self.expand_text(body)?;
                    match self.system.stream_of(&text) {
                        Ok(stream) => Some(Sink::System(stream)),
                        Err(error) => {
                            self.report(redirection.at, &format!("here-document: {error}"));
                            self.state.status = 1;
                            return Ok(None);
                        }
                    }
                }
            };
            streams.set(redirection.descriptor, sink);
        }
        Ok(Some(streams))
    }

    fn open(&mut self, name: &[u8], mode: Mode) -> Result<S::Stream, Error> {
        if mode == Mode::Write && self.state.options.no_clobber {
            let existing = self.system.look_up(name);
            if existing.is_ok_and(|object| object.kind == ObjectKind::File) {
                return Err(Error::AlreadyExists);
            }
        }
        self.system.open(name, mode)
    }

    /// Writes to standard error; if that fails there is nowhere to say so.
    pub(super) fn write_error(&mut self, bytes: &[u8]) {
        let _ = self.write(2, bytes);
    }

    /// Writes to a stream.
    pub(super) fn write(&mut self, descriptor: u8, bytes: &[u8]) -> Result<(), Error> {
        match self.streams.get(descriptor) {
            None => Err(Error::NotWritable),
            Some(Sink::System(stream)) => self.system.write(stream, bytes),
            Some(Sink::Buffer(buffer)) => {
                let buffer = Rc::clone(buffer);
                self.append(&mut buffer.borrow_mut(), bytes)
            }
        }
    }

    /// A built-in's output: its status is whether all could be written. A subshell whose reader has gone
    /// ends, as a program would.
    pub(super) fn output(&mut self, bytes: &[u8]) -> Flow {
        self.state.status = 0;
        match self.write(1, bytes) {
            Ok(()) => {}
            Err(Error::BrokenPipe) if self.state.is_subshell => {
                self.state.status = 1;
                return Err(Leave::Exit);
            }
            Err(Error::Aborted) => return self.interrupt(),
            Err(error) => {
                self.report(self.at, &format!("standard output: {error}"));
                self.state.status = 1;
            }
        }
        Ok(())
    }

    /// Reads a line with its end from a stream, and nothing beyond; `None` at the stream's end.
    pub(super) fn read_line(&mut self, descriptor: u8) -> Result<Option<Text>, Error> {
        let Some(stream) = self.streams.system(descriptor) else {
            return Err(Error::NotReadable);
        };
        let mut buffer = [0_u8; 512];
        let mut line = Text::new();
        loop {
            let count = self.system.read_within_line(&stream, &mut buffer)?;
            if count == 0 && self.state.is_interactive && self.complete_word(&stream)? {
                continue;
            }
            if count == 0 {
                return Ok((!line.is_empty()).then_some(line));
            }
            self.append(&mut line, &buffer[..count])?;
            if line.last() == Some(&b'\n') {
                return Ok(Some(line));
            }
        }
    }

    /// Reads a whole file.
    pub(super) fn read_file(&mut self, name: &[u8]) -> Result<Text, Error> {
        let stream = self.system.open(name, Mode::Read)?;
        let mut text = Text::new();
        let mut buffer = alloc::vec![0_u8; 4096];
        loop {
            let count = self.system.read(&stream, &mut buffer)?;
            if count == 0 {
                return Ok(text);
            }
            self.append(&mut text, &buffer[..count])?;
        }
    }
}
