//! Servers: the loop that receives requests and answers them.
//!
//! ```no_run
//! use v::prelude::*;
//! use v::server::{self, Client, Options, Outcome, Server};
//!
//! v::abi::protocol! {
//!     /// Counts.
//!     pub mod counter = 0x70, enum Counter {
//!         /// Adds to the count.
//!         Add = 1 { amount: u32 } => Count { count: u64 };
//!     }
//! }
//!
//! struct Counting {
//!     count: u64,
//! }
//!
//! impl Server for Counting {
//!     fn request(&mut self, _client: &Client<'_>, message: &Message) -> Outcome<'_> {
//!         match counter::Counter::from_message(message) {
//!             Some(counter::Counter::Add(add)) => {
//!                 self.count += u64::from(add.amount);
//!                 Outcome::from(Ok(counter::Count { count: self.count }))
//!             }
//!             None => Outcome::refuse(Error::BadRequest),
//!         }
//!     }
//! }
//!
//! fn main() -> Result<core::convert::Infallible, Error> {
//!     server::register_prefix("counter", 0)?;
//!     server::ready();
//!     server::serve(&mut Counting { count: 0 }, Options::default())
//! }
//! ```
//!
//! A request is answered and the next one received in one system call. What a client sent is an allegation, all but
//! the pid and the user id, which the kernel stamped.

use alloc_crate::vec::Vec;
use alloc_crate::{string::String, vec};
use core::ops::Deref;

use abi::call::FOREVER;
use abi::notice::notice;
use abi::protocol::{Reply, Request as _, refusal};
use abi::segment::HEAD_BYTES;
use abi::{Access, Error, Message, Pid, kernel};
use protocols::naming::naming;

use crate::message::{self, Received, Segment, Sender};
use crate::time;

/// A server: what it does with a request.
pub trait Server {
    /// Does what `message` asks. Notices from the kernel come here as well: an interrupt, an alarm, a team's end.
    fn request(&mut self, client: &Client<'_>, message: &Message) -> Outcome<'_>;

    /// Does what is due from time to time: see [`Options::tick_ns`] and [`next_tick_ns`](Server::next_tick_ns).
    fn tick(&mut self) {}

    /// When [`tick`](Server::tick) wants to be called next, in nanoseconds since boot, for a server that has no steady
    /// rhythm. Asked before each wait, except after a reply with data: such an answer must not bring the time forward.
    fn next_tick_ns(&self) -> Option<u64> {
        None
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// This is the reply.
    Reply(Message),
    /// This is the reply, and these bytes go to the beginning of the client's segment.
    ReplyData(Message, &'a [u8]),
    /// As `ReplyData`; a page request is lent the pages that the bytes lie in, for such access. They begin with a page.
    Lend(Message, &'a [u8], Access),
    /// The server will reply some other time, by [`message::reply`]; or it has already.
    Later,
}

impl<'a> Outcome<'a> {
    /// A reply that says no.
    pub fn refuse(error: Error) -> Outcome<'a> {
        Outcome::Reply(refusal(error))
    }

    /// A reply with data, a slice of the server's.
    #[inline]
    pub fn data(reply: impl Reply, data: &'a [u8]) -> Outcome<'a> {
        Outcome::ReplyData(reply.to_message(), data)
    }
}

/// The reply, or the refusal.
impl<R: Reply> From<Result<R, Error>> for Outcome<'_> {
    fn from(result: Result<R, Error>) -> Self {
        Outcome::Reply(match result {
            Ok(reply) => reply.to_message(),
            Err(error) => refusal(error),
        })
    }
}

/// Who sent a request, and what came with it.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Who.
    pub sender: &'a Sender,
    /// The beginning of its segment, where that is readable: as much as the server's buffer holds.
    pub head: &'a [u8],
}

impl Deref for Client<'_> {
    type Target = Sender;

    #[inline]
    fn deref(&self) -> &Sender {
        self.sender
    }
}

impl<'a> Client<'a> {
    #[inline]
    fn new(received: &'a Received, buffer: &'a [u8]) -> Client<'a> {
        Client { sender: &received.sender, head: &buffer[..received.segment_bytes().min(buffer.len())] }
    }

    /// The whole segment, copied; [`TooLong`](Error::TooLong) if it has more than `limit` bytes.
    pub fn read_segment(&self, limit: usize) -> Result<Vec<u8>, Error> {
        let bytes = self.readable_bytes()?;
        if bytes > limit as u64 {
            return Err(Error::TooLong);
        }
        let mut whole = vec![0; bytes as usize];
        let (head, rest) = whole.split_at_mut(self.head.len().min(bytes as usize));
        head.copy_from_slice(&self.head[..head.len()]);
        if !rest.is_empty() {
            message::move_from(self.pid, head.len() as u64, rest)?;
        }
        Ok(whole)
    }

    /// The whole segment as text; [`BadName`](Error::BadName) if it is not UTF-8.
    pub fn read_text(&self, limit: usize) -> Result<String, Error> {
        String::from_utf8(self.read_segment(limit)?).map_err(|_| Error::BadName)
    }

    /// Copies part of its segment, from `offset` on, until `buffer` is full.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        message::move_from(self.pid, offset, buffer)
    }

    /// Copies `data` into its segment.
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        message::move_to(self.pid, offset, data)
    }
}

/// How [`serve`] serves.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes of a client's segment that come with its request at most.
    pub buffer_bytes: usize,
    /// How often [`Server::tick`] is called; 0: not regularly.
    pub tick_ns: u64,
}

impl Default for Options {
    /// A page for the head of a segment, no ticks.
    fn default() -> Options {
        Options { buffer_bytes: abi::PAGE_BYTES as usize, tick_ns: 0 }
    }
}

/// Serves for ever. A server ends by being destroyed, by a panic, or by [`process::exit`](crate::process::exit).
///
/// Ticks come by the process's one alarm, which a server therefore leaves alone; so no request pays for the timer.
pub fn serve(server: &mut impl Server, options: Options) -> ! {
    let mut buffer = vec![0; options.buffer_bytes];
    let mut ticks = Ticks::new(options.tick_ns);
    ticks.arm(server);
    let mut received = receive(&mut buffer);
    loop {
        let outcome = if received.message.code() == notice::Alarm::CODE {
            ticks.run(server);
            Outcome::Reply(notice::AlarmHandled {}.to_message())
        } else {
            server.request(&Client::new(&received, &buffer), &received.message)
        };
        let client = received.sender.pid;
        // The next request is written where it stays: copied there from the match's value it costs 25 instructions more.
        let answered = match outcome {
            Outcome::Reply(reply) => {
                ticks.arm(server);
                message::reply_receive(client, &reply, &[], &mut buffer, FOREVER).map(|next| received = next)
            }
            Outcome::ReplyData(reply, data) => move_ahead(client, data).and_then(|head| {
                message::reply_receive(client, &reply, head, &mut buffer, FOREVER).map(|next| received = next)
            }),
            // What is lent is not carried.
            Outcome::Lend(reply, data, access) => {
                message::reply_receive_lending(client, &reply, data, access, &mut buffer, FOREVER)
                    .map(|next| received = next)
            }
            Outcome::Later => {
                ticks.arm(server);
                received = receive(&mut buffer);
                Ok(())
            }
        };
        if let Err(error) = answered {
            // The reply could not be given, and nothing was received.
            refuse_after(error, client);
            received = receive(&mut buffer);
        }
    }
}

/// The next request, whoever sends it.
fn receive(buffer: &mut [u8]) -> Received {
    loop {
        // There is nothing that a receive from anyone could fail for.
        if let Ok(received) = message::receive(None, buffer, FOREVER) {
            return received;
        }
    }
}

/// Moves what a reply does not carry of its data, which is what lies behind so many bytes; the rest is for the reply.
#[inline]
fn move_ahead(client: Pid, data: &[u8]) -> Result<&[u8], Error> {
    let (head, rest) = data.split_at(data.len().min(HEAD_BYTES as usize));
    if !rest.is_empty() {
        message::move_to(client, HEAD_BYTES, rest)?;
    }
    Ok(head)
}

/// Tells a client whose segment is not as it said, or as the server's reply needs it. One that has gone is not answered.
#[cold]
fn refuse_after(error: Error, client: Pid) {
    if let Error::NoWriteAccess
    | Error::TooLong
    | Error::BadAddressOfOther
    | Error::BadAddress
    | Error::NotResident = error
    {
        // If even this fails, the client has gone meanwhile.
        let _ = message::reply(client, &refusal(error), &[]);
    }
}

/// The process's one alarm, for a server with a loop of its own. It comes as the message
/// [`Alarm`](notice::Alarm), which is to be replied to.
#[derive(Debug)]
pub struct Alarm {
    /// For when it is set; `u64::MAX` if it is not.
    armed_ns: u64,
}

impl Default for Alarm {
    fn default() -> Alarm {
        Alarm::new()
    }
}

impl Alarm {
    /// It is not set.
    pub const fn new() -> Alarm {
        Alarm { armed_ns: u64::MAX }
    }

    /// Sees to it that it comes at that time, in nanoseconds since boot, or before. One that would come too early is
    /// left as it is: it costs one look.
    #[inline]
    pub fn arm(&mut self, at_ns: u64) {
        if at_ns < self.armed_ns {
            self.set(at_ns);
        }
    }

    #[cold]
    fn set(&mut self, at_ns: u64) {
        // A moment long past is as good as now; 0 would mean no alarm.
        let request = kernel::time::SetAlarm { at_ns: at_ns.max(1), tag: 0 };
        if message::kernel(kernel::TIME, &request).is_ok() {
            self.armed_ns = at_ns;
        }
    }

    /// It has come, or a client pretends so, which brings about a look at the clock and no more.
    pub fn has_come(&mut self) {
        self.armed_ns = u64::MAX;
    }
}

/// When to tick.
struct Ticks {
    interval_ns: u64,
    /// The next regular tick; without an interval, none.
    regular_ns: u64,
    alarm: Alarm,
}

impl Ticks {
    fn new(interval_ns: u64) -> Ticks {
        let regular_ns = match interval_ns {
            0 => u64::MAX,
            _ => time::now_ns().saturating_add(interval_ns),
        };
        Ticks { interval_ns, regular_ns, alarm: Alarm::new() }
    }

    /// Sees to it that the alarm comes in time.
    #[inline]
    fn arm(&mut self, server: &impl Server) {
        self.alarm.arm(self.regular_ns.min(server.next_tick_ns().unwrap_or(u64::MAX)));
    }

    /// The alarm came: ticks if it is time to.
    fn run(&mut self, server: &mut impl Server) {
        self.alarm.has_come();
        let now_ns = time::now_ns();
        if now_ns >= self.regular_ns.min(server.next_tick_ns().unwrap_or(u64::MAX)) {
            if now_ns >= self.regular_ns {
                self.regular_ns = now_ns.saturating_add(self.interval_ns);
            }
            server.tick();
        }
        self.arm(server);
    }
}

/// Tells the supervisor that this service answers requests from now on. To a program that was started otherwise it
/// does nothing.
pub fn ready() {
    // A creator that does not know the request is no supervisor, and waits for nothing.
    let _ =
        message::call(crate::entry::creator(), &protocols::supervisor::supervisor::Ready {}, Segment::None);
}

/// Makes the calling process the server of `[name]`, its directory `context` being what the bare prefix means. Needs
/// the right.
pub fn register_prefix(name: &str, context: u32) -> Result<(), Error> {
    register(name, context, false)
}

/// As [`register_prefix`], for all nodes: the prefix must be one that no other node registers.
pub fn register_global_prefix(name: &str, context: u32) -> Result<(), Error> {
    register(name, context, true)
}

fn register(name: &str, context: u32, is_global: bool) -> Result<(), Error> {
    let server = crate::process::own_pid()?;
    let request = naming::Register { server, context, is_global: u32::from(is_global) };
    crate::name::ask_naming(&request, Segment::Read(name.as_bytes()))?;
    Ok(())
}
