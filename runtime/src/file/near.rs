//! Files of other nodes, read by way of this node's cache (`protocols::cache`).
//!
//! The first read of a file goes to its server: many files are read once. With the second the cache is asked to read it from
//! then on, and as long as it has the file leased, what it has read before costs no message to another node. Where there is
//! no cache, or it cannot help, the file is read from its server as ever.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use abi::{Error, Pid};
use protocols::cache::{CACHE, cache};
use protocols::io::{attribute, io, mode};
use protocols::naming::naming;

use crate::io::{Instance, Result, TRANSFER_BYTES};
use crate::message::{Segment, call};
use crate::name::is_server_gone;
use crate::node::host;
use crate::sync::Mutex;

static CACHE_SERVER: Mutex<Known> = Mutex::new(Known { turn: 0, server: Server::Unknown });

/// What is known of this node's cache.
struct Known {
    /// How often that was forgotten: what a cache before had is not this one's.
    turn: u32,
    server: Server,
}

#[derive(Clone, Copy)]
enum Server {
    Unknown,
    Absent,
    Is(Pid),
}

/// From its server, since it is on this node, or no file that can be cached, or the cache would not have it.
const NEVER: u64 = 0;
/// It has not been read yet.
const UNREAD: u64 = 1;
/// It has been read once.
const READ_ONCE: u64 = 2;

/// How a file is read: one of these, or by an instance of the cache's, which has a larger number, below the cache's turn. One
/// word, since every file that is opened has it.
#[derive(Debug)]
pub(super) struct Near(AtomicU64);

impl Near {
    /// For what has just been opened.
    #[inline]
    pub(super) fn new(instance: &Instance, mode: u32) -> Near {
        let is_far = mode == mode::READ && !instance.is_stream() && instance.server.host() != host();
        Near(AtomicU64::new(if is_far { UNREAD } else { NEVER }))
    }

    /// For what is never read so.
    pub(super) const fn never() -> Near {
        Near(AtomicU64::new(NEVER))
    }

    /// The cache's instance by which the next read goes, if it does.
    #[inline]
    pub(super) fn next(&self, of: impl FnOnce() -> Instance) -> Option<Instance> {
        match self.0.load(Relaxed) {
            NEVER => None,
            UNREAD => {
                self.0.store(READ_ONCE, Relaxed);
                None
            }
            READ_ONCE => self.attach(&of()),
            // Another cache, or the program has moved to another node: what the one before has ends with the program.
            by => instance(by).or_else(|| self.attach(&of())),
        }
    }

    /// Has the cache read an instance.
    #[cold]
    fn attach(&self, of: &Instance) -> Option<Instance> {
        let (server, turn) = cache_server()?;
        let owner = crate::process::owner();
        let request = cache::Attach { server: of.server, instance: of.number, owner };
        let attached = call(server, &request, Segment::None).inspect_err(|error| note(*error, server));
        let by = attached.map_or(NEVER, |attached| u64::from(turn) << 32 | u64::from(attached.instance));
        self.0.store(by, Relaxed);
        instance(by)
    }

    /// The file is closed, or the cache does not answer.
    #[inline]
    pub(super) fn release(&self) {
        if self.0.load(Relaxed) != NEVER {
            self.end();
        }
    }

    #[cold]
    fn end(&self) {
        let by = self.0.swap(NEVER, Relaxed);
        if by > READ_ONCE
            && let Some(by) = instance(by)
        {
            // The cache notices the owner's end at the latest.
            let _ = by.release(crate::process::owner());
        }
    }

    /// The file is opened anew.
    pub(super) fn begin_again(&self) {
        self.release();
        self.0.store(UNREAD, Relaxed);
    }
}

/// The cache's instance, if that is still the node's cache.
#[inline]
fn instance(by: u64) -> Option<Instance> {
    let known = CACHE_SERVER.lock();
    match known.server {
        Server::Is(server) if u64::from(known.turn) == by >> 32 && server.host() == host() => {
            Some(Instance { server, number: by as u32, attributes: attribute::READABLE })
        }
        _ => None,
    }
}

/// Reads by way of the cache.
pub(super) fn read(by: &Instance, position: u64, buffer: &mut [u8]) -> Result<usize> {
    let room = buffer.len().min(TRANSFER_BYTES);
    let request = io::Read { instance: by.number, position };
    let done = call(by.server, &request, Segment::Write(&mut buffer[..room]))?;
    Ok((done.count as usize).min(room))
}

/// What the cache was asked has failed: if it has gone, there may be another one next time.
pub(super) fn note(error: Error, server: Pid) {
    let mut known = CACHE_SERVER.lock();
    if is_server_gone(error, true) && matches!(known.server, Server::Is(known) if known == server) {
        *known = Known { turn: known.turn + 1, server: Server::Unknown };
    }
}

/// This node's cache, and its turn.
fn cache_server() -> Option<(Pid, u32)> {
    let known = CACHE_SERVER.lock();
    let (server, turn) = (known.server, known.turn);
    drop(known);
    match server {
        Server::Absent => None,
        Server::Is(server) if server.host() == host() => Some((server, turn)),
        _ => {
            let resolve = Segment::Read(CACHE.as_bytes());
            let found = crate::name::ask_naming(&naming::Resolve {}, resolve).ok().map(|found| found.server);
            let mut known = CACHE_SERVER.lock();
            *known = Known { turn: known.turn + 1, server: found.map_or(Server::Absent, Server::Is) };
            found.map(|server| (server, known.turn))
        }
    }
}
