//! Pipes: what is written to one instance is read from the other.
//!
//! A pipe holds [`PIPE_BYTES`]. Who reads an empty one waits, until something is written or no owner is left for
//! writing, which is the end; who writes a full one waits, until something is read or no owner is left for reading,
//! which is [`BrokenPipe`](abi::Error::BrokenPipe). A write gives the number of bytes taken, at least one. That owners
//! have ended without a word is found out while someone waits for it.

#![no_std]
#![forbid(unsafe_code)]

use abi::protocol::{Reply as _, refusal};
use abi::{Error, Pid, UserId};
use io_server::listing::{Flat, flat_root};
use io_server::service::{Content, OpenInstance};
use io_server::{
    Client, Incoming, Instances, Listing, Opening, Outcome, Reading, Request, Ring, Service, System, Table,
    Waiter, Waiters, Writing, waiting,
};
use protocols::io::{attribute, io, mode};
use protocols::names::{Descriptor, kind};
use protocols::pipe::pipe;

#[cfg(test)]
mod tests;

/// Bytes that a pipe holds.
pub const PIPE_BYTES: usize = 64 * 1024;
/// Most pipes of one user; the system's own servers have no limit of their own.
pub const PIPES_BY_USER: usize = 64;
/// Most pipes in all.
pub const PIPES: usize = 1024;

/// An end of a pipe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// What is read from.
    Reader(u32),
    /// What is written to.
    Writer(u32),
}

impl End {
    /// The number by which those who wait know the instance.
    fn key(self) -> u64 {
        match self {
            End::Reader(pipe) => u64::from(pipe) << 1,
            End::Writer(pipe) => u64::from(pipe) << 1 | 1,
        }
    }
}

/// A pipe. An end is open as long as its instance has owners.
#[derive(Debug)]
struct Pipe {
    user: UserId,
    ring: Ring,
    reader_is_open: bool,
    writer_is_open: bool,
    readers: Waiters,
    writers: Waiters,
}

impl Pipe {
    /// Moves what can be moved between the ring and those who wait.
    fn pump(&mut self, system: &mut dyn System) {
        loop {
            let before = self.ring.len();
            self.readers.read_from(&mut self.ring, system);
            self.writers.write_to(&mut self.ring, system);
            if self.ring.len() == before {
                return;
            }
        }
    }
}

/// The server.
#[derive(Debug)]
pub struct PipeServer {
    pipes: Table<Pipe>,
}

impl PipeServer {
    /// A server without pipes.
    pub fn new() -> PipeServer {
        PipeServer { pipes: Table::new(PIPES) }
    }

    fn pipe(&mut self, number: u32) -> Result<&mut Pipe, Error> {
        self.pipes.get_mut(number).ok_or(Error::BadInstance)
    }

    fn create(
        &mut self,
        create: pipe::CreatePipe,
        client: &Client,
        instances: &mut Instances<OpenInstance<End>>,
        system: &mut dyn System,
    ) -> Result<pipe::PipeCreated, Error> {
        let (owner, user) = io_server::server::owner(create.owner, client, system)?;
        let theirs = self.pipes.iter().filter(|(_, pipe)| pipe.user == user).count();
        if theirs >= PIPES_BY_USER && !user.is_system() {
            return Err(Error::NoQuota);
        }
        instances.check_room(user, 2)?;
        let pipe = Pipe {
            user,
            ring: Ring::new(PIPE_BYTES),
            reader_is_open: true,
            writer_is_open: true,
            readers: Waiters::new(),
            writers: Waiters::new(),
        };
        let number = self.pipes.insert(pipe).map_err(|_| Error::NoResources)?;
        let reader = open_end(End::Reader(number), owner, user, instances)?;
        let writer = open_end(End::Writer(number), owner, user, instances)?;
        Ok(pipe::PipeCreated { reader, writer })
    }
}

fn open_end(
    end: End,
    owner: Pid,
    user: UserId,
    instances: &mut Instances<OpenInstance<End>>,
) -> Result<u32, Error> {
    let access = match end {
        End::Reader(_) => attribute::READABLE,
        End::Writer(_) => attribute::WRITABLE,
    };
    let instance = OpenInstance::new(Content::Object(end), attribute::STREAM | access, PIPE_BYTES as u32);
    instances.insert(owner, user, instance)
}

impl Default for PipeServer {
    fn default() -> PipeServer {
        PipeServer::new()
    }
}

impl Service for PipeServer {
    type Open = End;

    /// Pipes have no names; the directory is empty.
    fn open(
        &mut self,
        _client: &Client,
        context: u32,
        path: &[u8],
        mode: u32,
        _system: &mut dyn System,
    ) -> Result<Opening<End>, Error> {
        match Flat::resolve(context, path, core::iter::empty())? {
            Flat::Root if mode & mode::DIRECTORY != 0 => Ok(Opening::Directory(Listing::new())),
            _ => Err(Error::IsADirectory),
        }
    }

    fn close(&mut self, end: End, system: &mut dyn System) {
        let (End::Reader(number) | End::Writer(number)) = end;
        let Ok(pipe) = self.pipe(number) else { return };
        pipe.readers.close(end.key(), system);
        pipe.writers.close(end.key(), system);
        match end {
            End::Reader(_) => {
                pipe.reader_is_open = false;
                pipe.ring.clear();
                pipe.writers.answer_all(&refusal(Error::BrokenPipe), system);
            }
            End::Writer(_) => {
                pipe.writer_is_open = false;
                // They wait, so there is nothing left to read.
                pipe.readers.answer_all(&io::ReadDone { count: 0 }.to_message(), system);
            }
        }
        if !pipe.reader_is_open && !pipe.writer_is_open {
            self.pipes.remove(number);
        }
    }

    fn size(&mut self, end: &End) -> u64 {
        let (End::Reader(number) | End::Writer(number)) = end;
        self.pipes.get(*number).map_or(0, |pipe| pipe.ring.len() as u64)
    }

    fn read<'a>(
        &'a mut self,
        client: &Client,
        end: &'a mut End,
        _position: u64,
        room: usize,
        system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        let End::Reader(number) = *end else {
            return Err(Error::NotReadable);
        };
        let pipe = self.pipe(number)?;
        if !pipe.ring.is_empty() {
            // It replies itself; a client that has gone needs no other answer.
            let _ = waiting::reply_read(client.pid, &mut pipe.ring, room, system);
            pipe.pump(system);
            return Ok(Reading::Later);
        }
        if !pipe.writer_is_open {
            return Ok(Reading::Moved(0));
        }
        pipe.readers.push(Waiter { client: client.pid, instance: end.key(), bytes: room });
        Ok(Reading::Later)
    }

    fn write(
        &mut self,
        client: &Client,
        end: &mut End,
        _position: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<Writing, Error> {
        let End::Writer(number) = *end else {
            return Err(Error::NotWritable);
        };
        let pipe = self.pipe(number)?;
        if !pipe.reader_is_open {
            return Err(Error::BrokenPipe);
        }
        if pipe.ring.room() == 0 {
            pipe.writers.push(Waiter { client: client.pid, instance: end.key(), bytes: data.bytes() });
            return Ok(Writing::Later);
        }
        let count = pipe.ring.push_incoming(data, system)?;
        pipe.pump(system);
        Ok(Writing::Done(count as u32))
    }

    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        match Flat::resolve(context, path, core::iter::empty())? {
            Flat::Root => Ok(flat_root(0)),
            Flat::Object(_) => Err(Error::NotFound),
        }
    }

    fn describe_open<'a>(&'a mut self, end: &'a End) -> Result<Descriptor<'a>, Error> {
        let (End::Reader(number) | End::Writer(number)) = *end;
        let pipe = self.pipes.get(number).ok_or(Error::BadInstance)?;
        Ok(Descriptor {
            kind: kind::STREAM,
            attributes: attribute::READABLE | attribute::WRITABLE | attribute::STREAM,
            owner: pipe.user.0,
            size: pipe.ring.len() as u64,
            modified_ns: 0,
            created_ns: 0,
            object: u64::from(number),
            name: "",
        })
    }

    fn other<'a>(
        &'a mut self,
        request: &Request<'_>,
        instances: &mut Instances<OpenInstance<End>>,
        system: &mut dyn System,
    ) -> Outcome<'a> {
        match pipe::Pipe::from_message(request.message) {
            Some(pipe::Pipe::CreatePipe(create)) => {
                Outcome::from(self.create(create, request.client, instances, system))
            }
            None => Outcome::refuse(Error::BadRequest),
        }
    }

    fn is_waited_on(&self) -> bool {
        self.pipes.iter().any(|(_, pipe)| !pipe.readers.is_empty() || !pipe.writers.is_empty())
    }
}
