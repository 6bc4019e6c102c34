//! What the network server does with the kernel: see [`abi::remote`].
//!
//! A [`NetworkServer`] has the buffers that the kernel writes to on its own, so that nobody else can touch them until
//! the kernel does not any more.

use alloc_crate::collections::BTreeMap;
use alloc_crate::vec::Vec;

use abi::call::Deadline;
use abi::kernel::{PROCESS, process, server};
pub use abi::remote::{Alien, Arrival, Received};
use abi::{Error, Message, Pid};

use crate::message::{Segment, call, kernel};
use crate::syscall;

/// A buffer that the kernel has, or had.
#[derive(Debug)]
struct Lent {
    client: Pid,
    buffer: Vec<u8>,
    /// Its alien is no more.
    ended: bool,
}

/// The calls of the process that is the network server.
#[derive(Debug)]
pub struct NetworkServer {
    lent: BTreeMap<u64, Lent>,
    former: u32,
}

impl NetworkServer {
    /// Makes the caller the network server. Needs the right, and there must be no other.
    pub fn new() -> Result<NetworkServer, Error> {
        let former = kernel(PROCESS, &process::BecomeNetworkServer {})?.former;
        Ok(NetworkServer { lent: BTreeMap::new(), former })
    }

    /// How many there were before, since the node's boot.
    pub fn former(&self) -> u32 {
        self.former
    }

    /// Takes the most urgent waiting message, whatever it is about.
    pub fn receive(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<Received, Error> {
        let received = syscall::receive_remote(buffer, deadline)?;
        self.look_at(&received);
        Ok(received)
    }

    /// Replies to one that sent to this process itself, without data, and takes the next message. If the reply fails,
    /// nothing is taken.
    pub fn reply_receive(
        &mut self,
        to: Pid,
        message: &Message,
        buffer: &mut [u8],
        deadline: Deadline,
    ) -> Result<Received, Error> {
        let received = syscall::reply_receive_remote(to, message, buffer, deadline)?;
        self.look_at(&received);
        Ok(received)
    }

    /// Notes when an alien is no more.
    fn look_at(&mut self, received: &Received) {
        if let Arrival::Answered { cookie, .. } | Arrival::Forwarded { cookie, .. } = received.arrival
            && let Some(lent) = self.lent.get_mut(&cookie)
        {
            lent.ended = true;
        }
    }

    /// Replies to a process that sent to another machine, in the name of `replier`.
    pub fn reply(&self, client: Pid, message: &Message, data: &[u8], replier: Pid) -> Result<(), Error> {
        syscall::reply_remote(client, message, data, replier, None)
    }

    /// Ends the Send of such a process with an error.
    pub fn fail(&self, client: Pid, error: Error) -> Result<(), Error> {
        syscall::reply_remote(client, &Message::default(), &[], Pid::NONE, Some(error))
    }

    /// Forwards such a process to another one, of any machine, in the name of `forwarder`.
    pub fn forward(&self, client: Pid, to: Pid, message: &Message, forwarder: Pid) -> Result<(), Error> {
        syscall::forward_remote(client, to, message, forwarder)
    }

    /// Copies into such a process's segment; says how much, also where it fails midway.
    pub fn move_to(&self, client: Pid, offset: u64, data: &[u8]) -> (u64, Result<(), Error>) {
        syscall::move_to_counted(client, offset, data)
    }

    /// Copies out of it.
    pub fn move_from(&self, client: Pid, offset: u64, buffer: &mut [u8]) -> (u64, Result<(), Error>) {
        syscall::move_from_counted(client, offset, buffer)
    }

    /// Sends for a client on another machine. The buffer is the kernel's until [`NetworkServer::take_back`]: from
    /// `start` on it holds the segment's head, and then the reply's data.
    pub fn send_alien(&mut self, alien: &Alien, mut buffer: Vec<u8>, start: usize) -> Result<(), Error> {
        let place = buffer.get_mut(start..).unwrap_or_default();
        let record = alien.record(place.as_mut_ptr().expose_provenance() as u64, place.len() as u64);
        let bytes = record.to_bytes();
        let sent = call(server(PROCESS), &process::SendAlien {}, Segment::Read(&bytes));
        let lent = Lent { client: alien.client, buffer, ended: sent.is_err() };
        if let Some(former) = self.lent.insert(alien.cookie, lent) {
            // A cookie that is used twice: the kernel has the former buffer for ever.
            core::mem::forget(former);
        }
        sent.map(|_| ())
    }

    /// Takes the buffer of an alien back, which ends if it is still there. None if there was no such.
    pub fn take_back(&mut self, cookie: u64) -> Option<Vec<u8>> {
        let lent = self.lent.remove(&cookie)?;
        end(cookie, &lent);
        Some(lent.buffer)
    }
}

impl Drop for NetworkServer {
    fn drop(&mut self) {
        for (cookie, lent) in &self.lent {
            end(*cookie, lent);
        }
    }
}

/// Sees to it that the kernel does not have a buffer any more.
fn end(cookie: u64, lent: &Lent) {
    if !lent.ended {
        // It may have ended by itself, and not have been received.
        let _ = kernel(PROCESS, &process::DestroyAlien { client: lent.client, cookie });
    }
}
