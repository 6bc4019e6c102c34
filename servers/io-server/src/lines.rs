//! Servers of lines of bytes, such as serial ports: a directory of them, each a device that only the system and the operator
//! open; everyone else has a terminal.
//!
//! A driver has a [`Line`] of its own for each device, with [`Queues`] for what has come and was not read, what was written and
//! has not left, and who waits for which. [`LineServer`] has them as instances of the I/O protocol.

use alloc::string::String;
use alloc::vec::Vec;

use abi::notice::notice;
use abi::protocol::{Reply as _, Request as _};
use abi::{Error, Message, Pid, UserId};
use protocols::io::{attribute, io, mode};
use protocols::names::{Descriptor, kind};
use v::server::Outcome;

use crate::instances::Instances;
use crate::listing::{Flat, Listing, flat_root};
use crate::ring::Ring;
use crate::service::{
    Client, Completion, Incoming, OpenInstance, Opening, Reading, Request, Service, Writing,
};
use crate::system::System;
use crate::waiting::{Waiter, Waiters};

/// A device with a line, as its driver has it.
pub trait Line {
    /// Bytes that one read best asks for.
    const BLOCK_BYTES: usize;

    /// What has come, what is to leave, and who waits.
    fn queues(&mut self) -> &mut Queues;

    /// Bytes that wait to be read.
    fn received_bytes(&self) -> usize;

    /// Who sends its interrupts.
    fn interrupt(&self) -> Pid;

    /// Does what the device interrupts for with that message, and says what becomes of the message.
    fn interrupted(&mut self, message: &Message, system: &mut dyn System) -> Outcome<'static>;

    /// Does what may have become possible: somebody wants to read, or time has passed.
    fn move_on(&mut self, system: &mut dyn System);

    /// Has the device send what it takes of what is written.
    fn send(&mut self);

    /// Whether all that was written has left.
    fn is_idle(&mut self) -> bool;

    /// Whether somebody waits for what no interrupt tells, so that time has to pass soon.
    fn is_waited_on(&self) -> bool {
        false
    }
}

/// The bytes of a line and who waits for them.
///
/// Invariants, once a line has [moved on](Line::move_on): nobody waits to read while there are bytes, unless the driver holds
/// them back for more, nor to write while there is room.
#[derive(Debug)]
pub struct Queues {
    /// What has come and was not read.
    pub received: Ring,
    /// What was written and has not left.
    pub written: Ring,
    /// Who waits to read.
    pub readers: Waiters,
    /// Who waits to write.
    pub writers: Waiters,
    /// Who waits until all has left.
    pub synchronizers: Waiters,
}

impl Queues {
    /// Empty ones, for so many bytes each.
    pub const fn new(received_bytes: usize, written_bytes: usize) -> Queues {
        Queues {
            received: Ring::new(received_bytes),
            written: Ring::new(written_bytes),
            readers: Waiters::new(),
            writers: Waiters::new(),
            synchronizers: Waiters::new(),
        }
    }

    /// Answers those who wait until all has left, which it has.
    pub fn answer_synchronizers(&mut self, system: &mut dyn System) {
        self.synchronizers.answer_all(&io::Synchronized {}.to_message(), system);
    }
}

/// An open line.
#[derive(Clone, Copy, Debug)]
pub struct OpenLine {
    line: usize,
    /// Tells this instance from others to those who wait.
    instance: u64,
}

/// The server.
#[derive(Debug)]
pub struct LineServer<L> {
    lines: Vec<(String, L)>,
    next_instance: u64,
}

impl<L: Line> LineServer<L> {
    /// A server without lines.
    pub const fn new() -> LineServer<L> {
        LineServer { lines: Vec::new(), next_instance: 0 }
    }

    /// Adds a line.
    pub fn add(&mut self, name: String, line: L) {
        self.lines.push((name, line));
    }

    fn resolve(&self, context: u32, path: &[u8]) -> Result<Flat, Error> {
        Flat::resolve(context, path, self.lines.iter().map(|(name, _)| name.as_str()))
    }

    fn descriptor(&self, at: usize) -> Descriptor<'_> {
        let (name, line) = &self.lines[at];
        Descriptor {
            kind: kind::DEVICE,
            attributes: attribute::READABLE | attribute::WRITABLE | attribute::STREAM,
            owner: UserId::SYSTEM.0,
            size: line.received_bytes() as u64,
            modified_ns: 0,
            created_ns: 0,
            object: 1 + at as u64,
            name,
        }
    }
}

impl<L: Line> Default for LineServer<L> {
    fn default() -> LineServer<L> {
        LineServer::new()
    }
}

impl<L: Line> Service for LineServer<L> {
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
            block_bytes: L::BLOCK_BYTES as u32,
            size: 0,
        })
    }

    /// Refuses those who wait through the instance.
    fn close(&mut self, open: OpenLine, system: &mut dyn System) {
        let queues = self.lines[open.line].1.queues();
        for waiters in [&mut queues.readers, &mut queues.writers, &mut queues.synchronizers] {
            waiters.close(open.instance, system);
        }
    }

    /// Answers now, or when something has come.
    fn read<'a>(
        &'a mut self,
        client: &Client,
        open: &'a mut OpenLine,
        _position: u64,
        room: usize,
        system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        let line = &mut self.lines[open.line].1;
        line.queues().readers.push(Waiter { client: client.pid, instance: open.instance, bytes: room });
        line.move_on(system);
        Ok(Reading::Later)
    }

    /// Takes what there is room for; without any the client is answered when there is.
    fn write(
        &mut self,
        client: &Client,
        open: &mut OpenLine,
        _position: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<Writing, Error> {
        let line = &mut self.lines[open.line].1;
        let queues = line.queues();
        if queues.written.room() == 0 {
            let writer = Waiter { client: client.pid, instance: open.instance, bytes: data.bytes() };
            queues.writers.push(writer);
            return Ok(Writing::Later);
        }
        let count = queues.written.push_incoming(data, system)?;
        line.send();
        Ok(Writing::Done(count as u32))
    }

    fn synchronize(
        &mut self,
        client: &Client,
        open: &mut OpenLine,
        _system: &mut dyn System,
    ) -> Result<Completion, Error> {
        let line = &mut self.lines[open.line].1;
        if line.is_idle() {
            return Ok(Completion::Now);
        }
        let waiter = Waiter { client: client.pid, instance: open.instance, bytes: 0 };
        line.queues().synchronizers.push(waiter);
        Ok(Completion::Later)
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
            Some(line) => line.interrupted(request.message, system),
            None => Outcome::refuse(Error::BadRequest),
        }
    }

    fn is_waited_on(&self) -> bool {
        self.lines.iter().any(|(_, line)| line.is_waited_on())
    }

    /// What an interrupt did not tell is looked for.
    fn tick(&mut self, system: &mut dyn System) {
        self.lines.iter_mut().for_each(|(_, line)| line.move_on(system));
    }
}
