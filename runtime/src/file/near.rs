//! Files of other nodes, read by way of this node's cache (`protocols::cache`).
//!
//! The first read of a file goes to its server: many files are read once. With the second the cache is asked to read it from
//! then on, and as long as it has the file leased, what it has read before costs no message to another node. Where there is
//! no cache, or it cannot help, the file is read from its server as ever.

use abi::Pid;
use protocols::cache::{CACHE, cache};
use protocols::io::{io, mode};
use protocols::naming::naming;

use crate::io::{Instance, Result, TRANSFER_BYTES};
use crate::message::{Segment, call};
use crate::node::host;
use crate::sync::Mutex;

static CACHE_SERVER: Mutex<Known> = Mutex::new(Known::Nothing);

/// What is known of this node's cache.
enum Known {
    Nothing,
    Absent,
    Is(Pid),
}

/// How a file of another node is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Near {
    /// From its server: the cache would not have it.
    Never,
    /// It has not been read yet.
    Unread,
    /// It has been read once.
    ReadOnce,
    /// By this instance of the cache's.
    By(Instance),
}

/// Whether what was opened may be read by way of the cache.
pub(super) fn is_far(instance: &Instance, mode: u32) -> bool {
    mode == mode::READ && !instance.is_stream() && instance.server.host() != host()
}

impl Near {
    /// The cache's instance by which the next read goes, if it does.
    #[inline]
    pub(super) fn next(&mut self, of: impl FnOnce() -> Instance) -> Option<Instance> {
        match self {
            Near::By(by) if by.server.host() == host() => Some(*by),
            Near::Never => None,
            _ => self.find(&of()),
        }
    }

    #[cold]
    fn find(&mut self, of: &Instance) -> Option<Instance> {
        match self {
            Near::Never => {}
            Near::Unread => *self = Near::ReadOnce,
            Near::ReadOnce => *self = attach(of).map_or(Near::Never, Near::By),
            Near::By(_) => {
                // The program has moved to another node, which has a cache of its own.
                self.release();
                *self = Near::ReadOnce;
            }
        }
        if let Near::By(by) = self { Some(*by) } else { None }
    }

    /// The file is closed, or opened anew, or the cache does not answer.
    pub(super) fn release(&mut self) {
        if let Near::By(by) = core::mem::replace(self, Near::Never) {
            // The cache notices the owner's end at the latest.
            let _ = by.release(crate::process::owner());
        }
    }
}

/// Reads by way of the cache.
pub(super) fn read(by: &Instance, position: u64, buffer: &mut [u8]) -> Result<usize> {
    let room = buffer.len().min(TRANSFER_BYTES);
    let request = io::Read { instance: by.number, position };
    let done = call(by.server, &request, Segment::Write(&mut buffer[..room]))?;
    Ok((done.count as usize).min(room))
}

/// Has the cache read an instance.
fn attach(of: &Instance) -> Option<Instance> {
    let server = cache_server()?;
    let request = cache::Attach { server: of.server, instance: of.number, owner: crate::process::owner() };
    // If it has gone, there may be another one next time.
    let attached =
        call(server, &request, Segment::None).inspect_err(|_| *CACHE_SERVER.lock() = Known::Nothing);
    Some(Instance { server, number: attached.ok()?.instance, attributes: of.attributes })
}

fn cache_server() -> Option<Pid> {
    let mut known = CACHE_SERVER.lock();
    match *known {
        Known::Absent => None,
        Known::Is(server) if server.host() == host() => Some(server),
        _ => {
            let resolve = Segment::Read(CACHE.as_bytes());
            let found = crate::name::ask_naming(&naming::Resolve {}, resolve).ok().map(|found| found.server);
            *known = found.map_or(Known::Absent, Known::Is);
            found
        }
    }
}
