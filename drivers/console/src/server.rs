//! The lines as instances of the I/O protocol. They are devices: only the system and the operator open them; everyone else has
//! a terminal, for which such a line is as good as a serial port.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::notice::notice;
use abi::protocol::Request as _;
use abi::{Error, UserId};
use hardware::interrupt::InterruptLine;
use io_server::listing::{Flat, flat_root};
use io_server::service::OpenInstance;
use io_server::{
    Client, Completion, Incoming, Instances, Listing, Opening, Outcome, Reading, Request, Service, System,
    Writing,
};
use protocols::io::{attribute, mode};
use protocols::names::{Descriptor, kind};

use crate::RECEIVE_BYTES;
use crate::line::{Line, Wire};

/// The prefix.
pub const PREFIX: &str = "port";

/// An open line.
#[derive(Clone, Copy, Debug)]
pub struct OpenLine {
    line: usize,
    /// Tells this instance from others to those who wait.
    instance: u64,
}

/// The server.
#[derive(Debug)]
pub struct LineServer<W> {
    lines: Vec<(String, Line<W>)>,
    next_instance: u64,
}

impl<W: Wire> LineServer<W> {
    /// A server of lines, which are called `0`, `1` and so on.
    pub fn new(lines: Vec<Line<W>>) -> LineServer<W> {
        let lines = lines.into_iter().enumerate().map(|(number, line)| (format!("{number}"), line));
        LineServer { lines: lines.collect(), next_instance: 0 }
    }

    fn resolve(&self, context: u32, path: &[u8]) -> Result<Flat, Error> {
        Flat::resolve(context, path, self.lines.iter().map(|(name, _)| name.as_str()))
    }

    fn descriptor(&self, at: usize) -> Descriptor<'_> {
        let (name, line) = &self.lines[at];
        Descriptor {
            kind: kind::DEVICE,
            attributes: attribute::READABLE | attribute::WRITABLE | attribute::STREAM,
            owner: UserId::OPERATOR.0,
            size: line.received_bytes() as u64,
            modified_ns: 0,
            created_ns: 0,
            object: 1 + at as u64,
            name,
        }
    }
}

impl<W: Wire> Service for LineServer<W> {
    type Open = OpenLine;

    fn open(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        mode: u32,
        _system: &mut dyn System,
    ) -> Result<Opening<OpenLine>, Error> {
        let line = match (self.resolve(context, path)?, mode & mode::DIRECTORY != 0) {
            (Flat::Root, true) => {
                let mut listing = Listing::new();
                (0..self.lines.len()).for_each(|at| listing.push(&self.descriptor(at)));
                return Ok(Opening::Directory(listing));
            }
            (Flat::Root, false) => return Err(Error::IsADirectory),
            (Flat::Object(_), true) => return Err(Error::NotADirectory),
            (Flat::Object(line), false) => line,
        };
        if !client.user.may_operate() {
            return Err(Error::NoPermission);
        }
        self.next_instance += 1;
        Ok(Opening::Object {
            open: OpenLine { line, instance: self.next_instance },
            attributes: attribute::STREAM | attribute::of_mode(mode),
            block_bytes: RECEIVE_BYTES as u32,
            size: 0,
        })
    }

    fn close(&mut self, open: OpenLine, system: &mut dyn System) {
        self.lines[open.line].1.close(open.instance, system);
    }

    fn read<'a>(
        &'a mut self,
        client: &Client,
        open: &'a mut OpenLine,
        _position: u64,
        room: usize,
        system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        self.lines[open.line].1.read(client, open.instance, room, system);
        Ok(Reading::Later)
    }

    fn write(
        &mut self,
        client: &Client,
        open: &mut OpenLine,
        _position: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<Writing, Error> {
        let taken = self.lines[open.line].1.write(client, open.instance, data, system)?;
        Ok(taken.map_or(Writing::Later, |count| Writing::Done(count as u32)))
    }

    fn synchronize(
        &mut self,
        client: &Client,
        open: &mut OpenLine,
        _system: &mut dyn System,
    ) -> Result<Completion, Error> {
        let is_done = self.lines[open.line].1.synchronize(client, open.instance);
        Ok(if is_done { Completion::Now } else { Completion::Later })
    }

    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        Ok(match self.resolve(context, path)? {
            Flat::Root => flat_root(self.lines.len()),
            Flat::Object(at) => self.descriptor(at),
        })
    }

    fn describe_open<'a>(&'a mut self, open: &'a OpenLine) -> Result<Descriptor<'a>, Error> {
        Ok(self.descriptor(open.line))
    }

    /// An interrupt is believed from its own sender only, whom nobody can imitate.
    fn other<'a>(
        &'a mut self,
        request: &Request<'_>,
        _instances: &mut Instances<OpenInstance<OpenLine>>,
        system: &mut dyn System,
    ) -> Outcome<'a> {
        let is_interrupt = request.message.code() == notice::Interrupt::CODE;
        let mut lines = self.lines.iter_mut().map(|(_, line)| line);
        match lines.find(|line| is_interrupt && line.interrupt() == request.client.pid) {
            Some(line) => {
                line.attend(system);
                InterruptLine::attended(request.message)
            }
            None => Outcome::refuse(Error::BadRequest),
        }
    }

    /// An interrupt that a device forgot is made up for.
    fn tick(&mut self, system: &mut dyn System) {
        self.lines.iter_mut().for_each(|(_, line)| line.attend(system));
    }
}

#[cfg(test)]
mod tests;
