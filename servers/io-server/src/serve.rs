//! The serve loop, and the real kernel as a [`System`].
//!
//! A reply and the next receive are one system call. A read's data goes from the server's memory to the client's in
//! that call, so nothing is copied or allocated here.

use abi::call::{FOREVER, NOW};
use abi::{Error, Message, Pid, UserId, kernel};
use v::message;

use crate::server::IoServer;
use crate::service::{Answer, Client, Request, Service};
use crate::system::System;

/// How much of a client's segment comes along with a request: two paths at least, for a rename.
pub const HEAD_BYTES: usize = 4096;
/// While requests come one after the other, the clock is looked at once in so many.
const REQUESTS_PER_LOOK: u32 = 64;

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
        Ok(v::process::identify(process)?.user)
    }

    fn end(&mut self, process: Pid, status: u32) -> Result<(), Error> {
        let request = kernel::process::Destroy { process, status };
        v::call(kernel::server(kernel::PROCESS), &request, v::Segment::None)?;
        Ok(())
    }

    fn monotonic_ns(&self) -> u64 {
        v::time::now_ns()
    }

    fn real_ns(&self) -> u64 {
        v::time::real_ns()
    }
}

/// Serves, for ever.
pub fn serve<S: Service>(server: &mut IoServer<S>) -> ! {
    let mut buffer = [0; HEAD_BYTES];
    let mut until_look = REQUESTS_PER_LOOK;
    let mut received = Err(Error::NothingWaiting);
    loop {
        until_look -= 1;
        if until_look == 0 {
            until_look = REQUESTS_PER_LOOK;
            tick_when_due(server);
        }
        received = match received {
            Ok(received) => answer(server, received, &mut buffer),
            Err(_) => message::receive(None, &mut buffer, deadline(server)),
        };
        if received.is_err() {
            tick_when_due(server);
        }
    }
}

/// Answers one request and receives the next.
fn answer<S: Service>(
    server: &mut IoServer<S>,
    received: message::Received,
    buffer: &mut [u8],
) -> Result<message::Received, Error> {
    let request = Request {
        client: Client {
            pid: received.sender,
            user: received.user,
            grant: received.grant,
        },
        message: &received.message,
        head: buffer.get(..received.segment_bytes()).unwrap_or_default(),
    };
    // For data, which the server lends: a read changes nothing about when it wants to be called.
    let old_deadline = deadline(server);
    match server.request(&request, &mut Kernel) {
        Answer::Reply(reply) => {
            message::reply_receive(received.sender, &reply, &[], buffer, deadline(server))
        }
        Answer::Data(reply, data) => {
            message::reply_receive(received.sender, &reply, data, buffer, old_deadline)
        }
        Answer::Later => Err(Error::NothingWaiting),
    }
}

fn deadline<S: Service>(server: &IoServer<S>) -> u64 {
    match server.next_tick_ns() {
        Some(at_ns) => at_ns.max(NOW + 1),
        None => FOREVER,
    }
}

fn tick_when_due<S: Service>(server: &mut IoServer<S>) {
    if server
        .next_tick_ns()
        .is_some_and(|at_ns| v::time::now_ns() >= at_ns)
    {
        server.tick(&mut Kernel);
    }
}
