//! What a server says of itself: the trait [`Service`], the requests it is asked and what becomes of them.

use abi::segment::HEAD_BYTES;
use abi::{Access, Error, Message, Pid, UserId};
use alloc::string::String;
use protocols::names::Descriptor;
use protocols::names::names::SpaceQueried;
use protocols::permissions::Permissions;
use v::server::Outcome;

use crate::instances::Instances;
use crate::listing::Listing;
use crate::system::System;

/// The most bytes that one write carries, so that no client keeps a server for long. Clients ask again. One read carries
/// [what the service says](Service::MOST_READ_BYTES).
pub const MAX_TRANSFER_BYTES: u64 = 1 << 20;

/// Who asks. A page that is asked for by a [page request](abi::page) may be lent.
pub use v::message::Sender as Client;

/// What is to be set of who may do what with an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccessChange {
    /// Who may read and write it.
    Permissions(Permissions),
    /// Whose it is.
    Owner(UserId),
}

/// A request as it was received.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who asks.
    pub client: &'a Client,
    /// What for.
    pub message: &'a Message,
    /// The beginning of its segment, where that is readable: as much as the server's buffer holds.
    pub head: &'a [u8],
}

impl<'a> Request<'a> {
    /// The client's segment as data to write.
    pub fn incoming(&self) -> Result<Incoming<'a>, Error> {
        Ok(Incoming { client: self.client.pid, head: self.head, bytes: self.client.readable_bytes()? })
    }

    /// The whole segment, which must not be longer than the server's buffer.
    pub fn whole(&self) -> Result<&'a [u8], Error> {
        if self.client.grant.bytes() == self.head.len() as u64 {
            return Ok(self.head);
        }
        Err(self.client.readable_bytes().err().unwrap_or(Error::TooLong))
    }
}

/// The data of a write: the head came along, the rest is fetched.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    client: Pid,
    head: &'a [u8],
    bytes: u64,
}

impl Incoming<'_> {
    /// How long it is; never more than [`MAX_TRANSFER_BYTES`].
    pub fn bytes(&self) -> usize {
        self.bytes.min(MAX_TRANSFER_BYTES) as usize
    }

    /// Copies what begins `offset` bytes into the data to `place`, which must not reach beyond the data's end.
    pub fn copy_to(&self, offset: usize, place: &mut [u8], system: &mut dyn System) -> Result<(), Error> {
        let here = self.head.get(offset..).unwrap_or_default();
        let here = &here[..here.len().min(place.len())];
        let (first, rest) = place.split_at_mut(here.len());
        first.copy_from_slice(here);
        if rest.is_empty() {
            return Ok(());
        }
        system.move_from(self.client, (offset + first.len()) as u64, rest)
    }
}

/// What was opened.
#[derive(Debug)]
pub enum Opening<T> {
    /// An object of the service's.
    Object {
        /// What the service keeps for the instance.
        open: T,
        /// Bits of [`attribute`](protocols::io::attribute).
        attributes: u32,
        /// The size of read that suits it best.
        block_bytes: u32,
        /// Bytes, for what has a size.
        size: u64,
    },
    /// A directory, which needs the service no more.
    Directory(Listing),
}

/// What a read gives.
#[derive(Debug)]
pub enum Reading<'a> {
    /// These bytes, at most as many as there was room for.
    Data(&'a [u8]),
    /// Of a page request: these bytes, which begin with a page of the service's memory, and as many more pages as the
    /// service likes; for such access. The kernel maps them, and so they stay what they are until they are
    /// [revoked](System::revoke) or [discarded](System::discard).
    Lent(&'a [u8], Access),
    /// So many bytes, which the service has moved to the client already.
    Moved(u32),
    /// The service will reply.
    Later,
}

/// What became of a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Writing {
    /// So many bytes were taken.
    Done(u32),
    /// The service will reply.
    Later,
}

/// Whether something is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Completion {
    /// It is.
    Now,
    /// The service will reply.
    Later,
}

/// A server of the I/O protocol. What it leaves out is refused as not supported, or read-only for names.
///
/// Where a method gets `context` and `path`, the path's lengths are checked (see [`path`](crate::path)), and the context
/// is whatever the client said.
#[allow(unused_variables)]
pub trait Service {
    /// What it keeps for an open instance.
    type Open;

    /// Whether its objects can be [told apart](Service::identity), and so be leased to caches.
    const LEASES: bool = false;

    /// Most bytes of one read. What is beyond a reply's share is moved ahead of it.
    const MOST_READ_BYTES: u64 = HEAD_BYTES;

    /// Opens an object. `mode` has no unknown bits; `client.user` is the user of the team that will own it.
    fn open(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        mode: u32,
        system: &mut dyn System,
    ) -> Result<Opening<Self::Open>, Error>;

    /// The last owner is gone. Whoever still waits for this instance is to be answered.
    fn close(&mut self, open: Self::Open, system: &mut dyn System) {}

    /// Bytes, for what has a size.
    fn size(&mut self, open: &Self::Open) -> u64 {
        0
    }

    /// By which number an object is known, for [leases](protocols::leases): as in its descriptor, and no other's for as long as
    /// the service lives.
    fn identity(&mut self, open: &Self::Open) -> Result<u64, Error> {
        Err(Error::NotSupported)
    }

    /// A file is about to be leased. Whether the service knows, should it come to life again with the same files, that it
    /// may have been.
    fn may_lease(&mut self, system: &mut dyn System) -> bool {
        true
    }

    /// Reads at `position` what fits `room` bytes, more than none. The instance is readable.
    fn read<'a>(
        &'a mut self,
        client: &Client,
        open: &'a mut Self::Open,
        position: u64,
        room: usize,
        system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        Err(Error::NotSupported)
    }

    /// Writes. The instance is writable, the data not empty.
    fn write(
        &mut self,
        client: &Client,
        open: &mut Self::Open,
        position: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<Writing, Error> {
        Err(Error::NotSupported)
    }

    /// Cuts or extends. The instance is writable.
    fn set_size(&mut self, open: &mut Self::Open, size: u64, system: &mut dyn System) -> Result<(), Error> {
        Err(Error::NotSupported)
    }

    /// Sees to it that what was written survives what the server survives; here, that all of it has gone where it goes.
    fn synchronize(
        &mut self,
        client: &Client,
        open: &mut Self::Open,
        system: &mut dyn System,
    ) -> Result<Completion, Error> {
        Ok(Completion::Now)
    }

    /// The descriptor of what a path names.
    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error>;

    /// The descriptor of what an instance is.
    fn describe_open<'a>(&'a mut self, open: &'a Self::Open) -> Result<Descriptor<'a>, Error> {
        Err(Error::NotSupported)
    }

    /// The context of a directory.
    fn context(&mut self, context: u32, path: &[u8]) -> Result<u32, Error> {
        if context == 0 && crate::path::steps(path).all(|step| step == crate::path::Step::Up) {
            Ok(0)
        } else {
            Err(Error::NotADirectory)
        }
    }

    /// The path of a context from the root.
    fn context_name(&mut self, context: u32) -> Result<String, Error> {
        match context {
            0 => Ok(String::new()),
            _ => Err(Error::NotFound),
        }
    }

    /// Removes a file or an empty directory.
    fn remove(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        system: &mut dyn System,
    ) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }

    /// Renames, replacing what has the new name.
    fn rename(
        &mut self,
        client: &Client,
        old: (u32, &[u8]),
        new: (u32, &[u8]),
        system: &mut dyn System,
    ) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }

    /// Makes a directory.
    fn create_directory(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        system: &mut dyn System,
    ) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }

    /// Sets the time of last change.
    fn set_modified(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        modified_ns: u64,
    ) -> Result<(), Error> {
        Err(Error::ReadOnly)
    }

    /// Sets who may read and write an object, for its owner and the system, or whose it is, for which only the system asks.
    fn set_access(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        change: AccessChange,
        system: &mut dyn System,
    ) -> Result<(), Error> {
        Err(Error::NotSupported)
    }

    /// How much room there is where files of a directory go.
    fn space(&mut self, client: &Client, context: u32) -> Result<SpaceQueried, Error> {
        Err(Error::NotSupported)
    }

    /// A request of another protocol.
    fn other<'a>(
        &'a mut self,
        request: &Request<'_>,
        instances: &mut Instances<OpenInstance<Self::Open>>,
        system: &mut dyn System,
    ) -> Outcome<'a> {
        Outcome::refuse(Error::BadRequest)
    }

    /// Whether someone waits whom the end of another team would free: owners are then looked after more often.
    fn is_waited_on(&self) -> bool {
        false
    }

    /// When [`tick`](Service::tick) is to be called at the latest, in nanoseconds since boot, whatever is open.
    fn next_tick_ns(&self) -> Option<u64> {
        None
    }

    /// Called after owners have been looked after.
    fn tick(&mut self, system: &mut dyn System) {}
}

/// An instance of a server.
#[derive(Debug)]
pub struct OpenInstance<T> {
    /// What the service keeps, or a directory.
    pub content: Content<T>,
    /// Bits of [`attribute`](protocols::io::attribute).
    pub attributes: u32,
    /// The size of read that suits it best.
    pub block_bytes: u32,
}

/// Beside the bits of `attributes`, for the server itself: the kernel has had pages of the instance that can be written. A field
/// of its own would make what is moved about at each open larger than what is copied in place.
pub(crate) const HAS_WRITTEN_PAGES: u32 = 1 << 31;

/// What is behind an instance.
#[derive(Debug)]
pub enum Content<T> {
    /// The service's.
    Object(T),
    /// A directory.
    Directory {
        /// Its descriptors.
        listing: Listing,
        /// Against whom their memory counts.
        user: UserId,
    },
}

impl<T> OpenInstance<T> {
    /// One that has just been opened.
    pub const fn new(content: Content<T>, attributes: u32, block_bytes: u32) -> OpenInstance<T> {
        OpenInstance { content, attributes, block_bytes }
    }

    /// What the service keeps; a directory is [`NotSupported`](Error::NotSupported).
    pub fn object(&mut self) -> Result<&mut T, Error> {
        match &mut self.content {
            Content::Object(open) => Ok(open),
            Content::Directory { .. } => Err(Error::NotSupported),
        }
    }
}
