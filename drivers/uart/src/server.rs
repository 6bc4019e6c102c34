//! The ports as instances of the I/O protocol. They are devices: only the system and the operator open them; everyone
//! else has the terminal.

use alloc::vec::Vec;

use abi::notice::notice;
use abi::protocol::{Reply as _, Request as _};
use abi::{Error, Pid, UserId};
use io_server::listing::{Flat, flat_root};
use io_server::service::OpenInstance;
use io_server::{
    Client, Completion, Incoming, Instances, Listing, Opening, Outcome, Reading, Request, Service, System,
    Writing,
};
use protocols::io::{attribute, mode};
use protocols::names::{Descriptor, kind};

use crate::port::{RECEIVE_BYTES, SerialPort};
use crate::registers::Registers;

/// An open port.
#[derive(Clone, Copy, Debug)]
pub struct OpenPort {
    port: usize,
    /// Tells this instance from others to those who wait.
    instance: u64,
}

#[derive(Debug)]
struct NamedPort<R> {
    name: &'static str,
    interrupt: Pid,
    port: SerialPort<R>,
}

/// The server.
#[derive(Debug)]
pub struct UartServer<R> {
    ports: Vec<NamedPort<R>>,
    next_instance: u64,
}

impl<R: Registers> UartServer<R> {
    /// A server without ports.
    pub const fn new() -> UartServer<R> {
        UartServer { ports: Vec::new(), next_instance: 0 }
    }

    /// Adds a port whose interrupts `interrupt` sends.
    pub fn add(&mut self, name: &'static str, interrupt: Pid, port: SerialPort<R>) {
        self.ports.push(NamedPort { name, interrupt, port });
    }

    fn resolve(&self, context: u32, path: &[u8]) -> Result<Flat, Error> {
        Flat::resolve(context, path, self.ports.iter().map(|port| port.name))
    }

    fn descriptor(&self, at: usize) -> Descriptor<'_> {
        let port = &self.ports[at];
        Descriptor {
            kind: kind::DEVICE,
            attributes: attribute::READABLE | attribute::WRITABLE | attribute::STREAM,
            owner: UserId::SYSTEM.0,
            size: port.port.received_bytes() as u64,
            modified_ns: 0,
            created_ns: 0,
            object: 1 + at as u64,
            name: port.name,
        }
    }
}

impl<R: Registers> Default for UartServer<R> {
    fn default() -> UartServer<R> {
        UartServer::new()
    }
}

impl<R: Registers> Service for UartServer<R> {
    type Open = OpenPort;

    fn open(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        mode: u32,
        _system: &mut dyn System,
    ) -> Result<Opening<OpenPort>, Error> {
        let port = match (self.resolve(context, path)?, mode & mode::DIRECTORY != 0) {
            (Flat::Root, true) => {
                let mut listing = Listing::new();
                for at in 0..self.ports.len() {
                    listing.push(&self.descriptor(at));
                }
                return Ok(Opening::Directory(listing));
            }
            (Flat::Root, false) => return Err(Error::IsADirectory),
            (Flat::Object(_), true) => return Err(Error::NotADirectory),
            (Flat::Object(port), false) => port,
        };
        if !client.user.may_operate() {
            return Err(Error::NoPermission);
        }
        let attributes = attribute::STREAM | attribute::of_mode(mode);
        self.next_instance += 1;
        Ok(Opening::Object {
            open: OpenPort { port, instance: self.next_instance },
            attributes,
            block_bytes: RECEIVE_BYTES as u32,
            size: 0,
        })
    }

    fn close(&mut self, open: OpenPort, system: &mut dyn System) {
        self.ports[open.port].port.close(open.instance, system);
    }

    fn read<'a>(
        &'a mut self,
        client: &Client,
        open: &'a mut OpenPort,
        _position: u64,
        room: usize,
        system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        self.ports[open.port].port.read(client, open.instance, room, system);
        Ok(Reading::Later)
    }

    fn write(
        &mut self,
        client: &Client,
        open: &mut OpenPort,
        _position: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<Writing, Error> {
        let taken = self.ports[open.port].port.write(client, open.instance, data, system)?;
        Ok(taken.map_or(Writing::Later, |count| Writing::Done(count as u32)))
    }

    fn synchronize(
        &mut self,
        client: &Client,
        open: &mut OpenPort,
        _system: &mut dyn System,
    ) -> Result<Completion, Error> {
        let is_done = self.ports[open.port].port.synchronize(client, open.instance);
        Ok(if is_done { Completion::Now } else { Completion::Later })
    }

    fn is_waited_on(&self) -> bool {
        self.ports.iter().any(|port| port.port.is_synchronizing())
    }

    fn tick(&mut self, system: &mut dyn System) {
        for port in &mut self.ports {
            port.port.answer_synchronizers(system);
        }
    }

    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        Ok(match self.resolve(context, path)? {
            Flat::Root => flat_root(self.ports.len()),
            Flat::Object(at) => self.descriptor(at),
        })
    }

    fn describe_open<'a>(&'a mut self, open: &'a OpenPort) -> Result<Descriptor<'a>, Error> {
        Ok(self.descriptor(open.port))
    }

    /// An interrupt is believed from its own sender only, whom nobody can imitate.
    fn other<'a>(
        &'a mut self,
        request: &Request<'_>,
        _instances: &mut Instances<OpenInstance<OpenPort>>,
        system: &mut dyn System,
    ) -> Outcome<'a> {
        let port = self.ports.iter_mut().find(|port| {
            port.interrupt == request.client.pid && request.message.code() == notice::Interrupt::CODE
        });
        match port {
            Some(port) => {
                port.port.attend(system);
                Outcome::Reply(notice::InterruptHandled {}.to_message())
            }
            None => Outcome::refuse(Error::BadRequest),
        }
    }
}
