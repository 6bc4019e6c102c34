//! What the network server does with the kernel: see [`abi::remote`].
//!
//! A [`NetworkServer`] has the buffers that the kernel writes to on its own, so that nobody else can touch them until
//! the kernel does not any more.
//!
//! A reply that wakes someone without data, and the sending of an alien, are *put off* until the next call, which most
//! often receives: then it is one call for both. Nobody gets what is put off later for that than when the network server
//! would have stopped running.

use alloc_crate::vec::Vec;

use abi::call::Deadline;
use abi::kernel::record::{AlienRecord, ProcessRecord};
use abi::kernel::{self, PROCESS, process};
pub use abi::remote::{Alien, Arrival, Received};
use abi::{Error, Grant, Message, Pid, UserId};

use crate::message::{Segment, call, kernel as kernel_call};
use crate::syscall;

/// Room for a team's state that is tried first.
const FIRST_STATE_BYTES: usize = 16 * 1024;

/// An alien, and its buffer.
#[derive(Debug, Default)]
struct Sender {
    /// None until there is one.
    alien: Option<Pid>,
    /// The kernel has the buffer: the alien is not back.
    is_away: bool,
    buffer: Vec<u8>,
}

/// A reply that is put off, if there is one: it is made where it is, and never moved.
#[derive(Debug)]
struct PutOff {
    /// Whom to; none if there is no such reply.
    to: Pid,
    message: Message,
    /// To an alien: its number. The record is what it is sent for.
    alien: Option<u64>,
    record: [u8; AlienRecord::BYTES],
}

impl PutOff {
    const NOTHING: PutOff = PutOff {
        to: Pid::NONE,
        message: Message { words: [0; 8] },
        alien: None,
        record: [0; AlienRecord::BYTES],
    };

    fn data(&self) -> &[u8] {
        if self.alien.is_some() { &self.record } else { &[] }
    }
}

/// The calls of the process that is the network server.
#[derive(Debug)]
pub struct NetworkServer {
    /// By the numbers that are their cookies.
    senders: Vec<Sender>,
    put_off: PutOff,
    /// Aliens that could not be sent, which is still to be told.
    failed: Vec<(u64, Error)>,
    former: u32,
}

impl NetworkServer {
    /// Makes the caller the network server. Needs the right, and there must be no other.
    pub fn new() -> Result<NetworkServer, Error> {
        let former = kernel_call(PROCESS, &process::BecomeNetworkServer {})?.former;
        Ok(NetworkServer { senders: Vec::new(), put_off: PutOff::NOTHING, failed: Vec::new(), former })
    }

    /// How many there were before, since the node's boot.
    pub fn former(&self) -> u32 {
        self.former
    }

    /// Takes the most urgent waiting message, whatever it is about.
    #[inline]
    pub fn receive(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<Received, Error> {
        if !self.put_off.to.is_none() {
            let to = core::mem::replace(&mut self.put_off.to, Pid::NONE);
            let (message, data) = (&self.put_off.message, self.put_off.data());
            match syscall::reply_receive_remote(to, message, data, buffer, deadline) {
                Ok(received) => return Ok(self.look_at(received)),
                Err(error) => self.failed(error),
            }
        }
        if let Some((cookie, error)) = self.failed.pop() {
            return Ok(not_sent(cookie, error));
        }
        let received = syscall::receive_remote(buffer, deadline)?;
        Ok(self.look_at(received))
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
        self.flush();
        let received = syscall::reply_receive_remote(to, message, &[], buffer, deadline)?;
        Ok(self.look_at(received))
    }

    /// Notes when an alien is back.
    #[inline]
    fn look_at(&mut self, received: Received) -> Received {
        if let Arrival::Answered { cookie, .. } | Arrival::Forwarded { cookie, .. } = received.arrival
            && let Some(sender) = self.senders.get_mut(cookie as usize)
        {
            sender.is_away = false;
        }
        received
    }

    /// Does what was put off.
    #[inline]
    fn flush(&mut self) {
        if self.put_off.to.is_none() {
            return;
        }
        let to = core::mem::replace(&mut self.put_off.to, Pid::NONE);
        if let Err(error) = syscall::reply(to, &self.put_off.message, self.put_off.data()) {
            self.failed(error);
        }
    }

    /// A client that has gone meanwhile needs no reply. For an alien that is not sent, that is the answer.
    #[cold]
    fn failed(&mut self, error: Error) {
        if let Some(cookie) = self.put_off.alien {
            self.senders[cookie as usize].is_away = false;
            self.failed.push((cookie, error));
        }
    }

    /// Replies to a process that sent to another machine, in the name of `replier`, or of whom it addressed. Where no
    /// data can be in its way, the reply is put off.
    pub fn reply(&mut self, client: Pid, message: &Message, data: &[u8], replier: Pid) -> Result<(), Error> {
        if data.is_empty() && replier.is_none() {
            self.flush();
            self.put_off.to = client;
            self.put_off.message = *message;
            self.put_off.alien = None;
            return Ok(());
        }
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

    /// Sends for a client on another machine, by the alien whose number is the cookie. The buffer is the kernel's until
    /// [`NetworkServer::take_back`]: from `start` on it holds the segment's head, and then the reply's data. Also where
    /// this succeeds, an answer with an error may say that nothing was sent. [`Busy`](Error::Busy) if the alien is not
    /// back.
    pub fn send_alien(&mut self, alien: &Alien, buffer: Vec<u8>, start: usize) -> Result<(), Error> {
        let number = alien.cookie as usize;
        if self.senders.len() <= number {
            self.senders.resize_with(number + 1, Sender::default);
        }
        let sender = &mut self.senders[number];
        if sender.is_away {
            return Err(Error::Busy);
        }
        sender.buffer = buffer;
        let to = match sender.alien {
            Some(alien) => alien,
            None => *sender.alien.insert(kernel_call(PROCESS, &process::CreateAlien {})?.alien),
        };
        let place = sender.buffer.get_mut(start..).unwrap_or_default();
        let record = alien.record(place.as_mut_ptr().expose_provenance() as u64, place.len() as u64);
        sender.is_away = true;
        self.flush();
        self.put_off.to = to;
        self.put_off.message = alien.message;
        self.put_off.alien = Some(alien.cookie);
        self.put_off.record = record.to_bytes();
        Ok(())
    }

    /// As [`NetworkServer::send_alien`], for an alien whose message its server has received already, on the machine where
    /// that was before.
    pub fn restore_alien(&mut self, alien: &Alien, buffer: Vec<u8>, start: usize) -> Result<(), Error> {
        self.send_alien(alien, buffer, start)?;
        let mut record = AlienRecord::from_bytes(&self.put_off.record);
        record.priority |= AlienRecord::RECEIVED_BIT;
        self.put_off.record = record.to_bytes();
        self.flush();
        Ok(())
    }

    /// What the kernel knows of an alien that was sent.
    pub fn look_at_alien(&mut self, cookie: u64) -> Result<ProcessRecord, Error> {
        self.flush();
        let sender = self.senders.get(cookie as usize).filter(|sender| sender.is_away);
        crate::process::query(sender.and_then(|sender| sender.alien).ok_or(Error::Busy)?)
    }

    /// The state of the processes of a frozen guest, in at most so many bytes; [`TooLong`](Error::TooLong), and nothing is
    /// done, if it takes more. See [`abi::kernel::team_state`].
    pub fn read_team(&mut self, team: Pid, most_bytes: usize) -> Result<Vec<u8>, Error> {
        self.flush();
        let (mut state, mut wanted) = (Vec::new(), FIRST_STATE_BYTES);
        loop {
            wanted = wanted.min(most_bytes);
            state.try_reserve_exact(wanted).map_err(|_| Error::NoMemory)?;
            state.resize(wanted, 0);
            let request = process::ReadTeam { team };
            let bytes = call(kernel::server(PROCESS), &request, Segment::Write(&mut state))?.bytes as usize;
            if bytes <= wanted {
                state.truncate(bytes);
                return Ok(state);
            }
            if bytes > most_bytes {
                return Err(Error::TooLong);
            }
            wanted = bytes;
        }
    }

    /// Makes a newborn team the guest whose processes' state this is.
    pub fn write_team(&self, team: Pid, state: &[u8]) -> Result<(), Error> {
        call(kernel::server(PROCESS), &process::WriteTeam { team }, Segment::Read(state)).map(|_| ())
    }

    /// Takes the buffer of an alien back, which is ended if it is not back. Empty if it has none.
    pub fn take_back(&mut self, cookie: u64) -> Vec<u8> {
        if self.senders.get(cookie as usize).is_some_and(|sender| sender.is_away) {
            self.flush();
            self.failed.retain(|(other, _)| *other != cookie);
        }
        let Some(sender) = self.senders.get_mut(cookie as usize) else { return Vec::new() };
        if sender.is_away {
            sender.end();
        }
        core::mem::take(&mut sender.buffer)
    }

    /// Ends the aliens that are back.
    pub fn end_aliens(&mut self) {
        self.senders.iter_mut().filter(|sender| !sender.is_away).for_each(Sender::end);
    }
}

impl Sender {
    /// Ends the alien, if there is one: the kernel does not have the buffer any more.
    fn end(&mut self) {
        if let Some(alien) = self.alien.take() {
            let destroyed = kernel_call(PROCESS, &process::DestroyAlien { alien });
            destroyed.expect("an alien can be ended at any time");
        }
        self.is_away = false;
    }
}

impl Drop for NetworkServer {
    fn drop(&mut self) {
        self.put_off.to = Pid::NONE;
        self.senders.iter_mut().for_each(Sender::end);
    }
}

/// What there is to receive of an alien that could not be sent.
fn not_sent(cookie: u64, error: Error) -> Received {
    Received {
        sender: Pid::NONE,
        message: Message::default(),
        grant: Grant::NONE,
        user: UserId::default(),
        forwarder: Pid::NONE,
        arrival: Arrival::Answered { cookie, replier: Pid::NONE, outcome: Err(error) },
    }
}
