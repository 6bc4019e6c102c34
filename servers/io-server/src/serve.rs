//! The serve loop over the real kernel.
//!
//! A read's data goes from the server's memory to the client's in the system call that also receives the next
//! request, so nothing is copied or allocated here.

use abi::kernel::record::ProcessState;
use abi::{Error, Message, Pid, UserId, kernel};
use v::message;
use v::server::{Client, Options, Outcome, Server};

use crate::elsewhere;
use crate::server::IoServer;
use crate::service::{Request, Service};
use crate::system::System;

/// The kernel itself.
#[derive(Clone, Copy, Debug)]
pub struct Kernel;

impl System for Kernel {
    fn reply(&mut self, client: Pid, message: &Message, data: &[u8]) -> Result<(), Error> {
        message::reply(client, message, data)
    }

    fn move_to(&mut self, client: Pid, offset: u64, data: &[u8]) -> Result<(), Error> {
        message::move_to(client, offset, data)
    }

    fn move_from(&mut self, client: Pid, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        message::move_from(client, offset, buffer)
    }

    fn user_of(&mut self, process: Pid) -> Result<UserId, Error> {
        let record = v::process::query(process)?;
        match ProcessState::from_number(record.state) {
            // It only waits for its owner to take note.
            Some(ProcessState::Ended) => Err(Error::StaleProcess),
            _ => Ok(record.user()),
        }
    }

    fn has_ended(&mut self, process: Pid) -> bool {
        elsewhere::has_ended(process)
    }

    fn revoke(&mut self, instance: u32, position: u64, pages: u32) -> Result<(), Error> {
        v::memory::revoke(instance, position, pages)?;
        Ok(())
    }

    fn discard(&mut self, page: &mut [u8]) -> Result<(), Error> {
        v::memory::discard(Pid::NONE, page.as_mut_ptr().expose_provenance() as u64, 1)
    }

    fn make_present(&mut self, address: usize, pages: u32) -> Result<(), Error> {
        v::memory::fetch(Pid::NONE, address as u64, pages)
    }

    fn end(&mut self, program: Pid, user: UserId, status: u32) -> Result<(), Error> {
        let request = kernel::process::Destroy { process: program, status };
        match v::call(kernel::server(kernel::PROCESS), &request, v::Segment::None) {
            Err(Error::ProcessElsewhere) => elsewhere::end(program, user, status),
            outcome => outcome.map(|_| ()),
        }
    }

    fn monotonic_ns(&self) -> u64 {
        v::time::now_ns()
    }

    fn real_ns(&self) -> u64 {
        v::time::real_ns()
    }
}

/// A request as the serve loop of the runtime gives it.
#[inline]
pub fn request<'a>(client: &Client<'a>, message: &'a Message) -> Request<'a> {
    Request { client: client.sender, message, head: client.head }
}

struct Serving<S: Service>(IoServer<S>);

impl<S: Service> Server for Serving<S> {
    #[inline]
    fn request(&mut self, client: &Client<'_>, message: &Message) -> Outcome<'_> {
        self.0.request(&request(client, message), &mut Kernel)
    }

    fn tick(&mut self) {
        self.0.tick(&mut Kernel);
    }

    fn next_tick_ns(&self) -> Option<u64> {
        self.0.next_tick_ns()
    }
}

/// Serves, for ever.
pub fn serve<S: Service>(server: IoServer<S>) -> ! {
    v::server::serve(&mut Serving(server), Options::default())
}

/// Registers each prefix with its context, tells the supervisor that the service is ready, and serves.
pub fn serve_prefixes<S: Service>(
    server: IoServer<S>,
    prefixes: &[(&str, u32)],
) -> Result<core::convert::Infallible, Error> {
    for (prefix, context) in prefixes {
        v::server::register_prefix(prefix, *context)?;
    }
    v::server::ready();
    serve(server)
}
