//! The I/O and naming protocols in terms of a FAT volume.
//!
//! FAT knows no owners: everyone may read, the operator and the system may change. A context is a directory's path, by its place
//! in a table. An instance is a path too, so a file that is removed while it is open is gone, and one that is renamed is not
//! found by those who have it open.

use abi::{Error, UserId};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use io_server::path::{self, Step};
use io_server::{Client, Completion, Incoming, Listing, Opening, Reading, Service, System, Writing};
use protocols::io::{attribute, mode};
use protocols::names::{Descriptor, MAX_PATH_BYTES, kind, names::SpaceQueried};

use crate::disk::Storage;
use crate::volume::{Entry, Volume};

/// How long a change may be in memory only.
pub const COMMIT_AFTER_NS: u64 = 5_000_000_000;
/// How long to wait after a commit that failed.
const COMMIT_AGAIN_NS: u64 = 1_000_000_000;
/// Most bytes of one read, and as many are written at once.
const TRANSFER_BYTES: usize = 64 * 1024;
/// Most directories that are contexts.
const MOST_CONTEXTS: usize = 4096;

/// An open file.
#[derive(Debug)]
pub struct OpenFile {
    path: String,
    /// Bits of [`mode`].
    mode: u32,
}

/// The server.
#[derive(Debug)]
pub struct FatServer<S: Storage> {
    volume: Volume<S>,
    /// The paths of directories that are contexts, the root first.
    contexts: Vec<String>,
    /// When the next commit is due.
    commit_at_ns: Option<u64>,
    /// What is being read or written.
    buffer: Vec<u8>,
    /// What was described last.
    described: Entry,
}

impl<S: Storage> FatServer<S> {
    /// A server of a volume.
    pub fn new(volume: Volume<S>) -> FatServer<S> {
        FatServer {
            volume,
            contexts: vec![String::new()],
            commit_at_ns: None,
            buffer: vec![0; TRANSFER_BYTES],
            described: Entry::default(),
        }
    }

    /// The path from the root, without `.` and `..`.
    fn path(&self, context: u32, path: &[u8]) -> Result<String, Error> {
        let directory = self.contexts.get(context as usize).ok_or(Error::BadContext)?;
        let mut names: Vec<&str> = directory.split('/').filter(|name| !name.is_empty()).collect();
        for step in path::steps(path) {
            match step {
                Step::Up => drop(names.pop()),
                // Names here are text.
                Step::Down(name) => names.push(str::from_utf8(name).map_err(|_| Error::NotFound)?),
            }
        }
        let path = names.join("/");
        if path.len() > MAX_PATH_BYTES { Err(Error::TooLong) } else { Ok(path) }
    }

    /// The path of what is there, and what is known of it.
    fn find(&mut self, context: u32, path: &[u8]) -> Result<(String, Entry), Error> {
        let full = self.path(context, path)?;
        let entry = self.volume.entry(&full)?;
        if path::wants_directory(path) && !entry.is_directory {
            return Err(Error::NotADirectory);
        }
        Ok((full, entry))
    }

    /// Something is to be changed.
    fn begin(&mut self, user: UserId, system: &mut dyn System) -> Result<(), Error> {
        self.volume.set_now(system.real_ns());
        if user.may_operate() { Ok(()) } else { Err(Error::NoPermission) }
    }

    /// Something was changed.
    fn note_change(&mut self, system: &mut dyn System) {
        if self.commit_at_ns.is_none() && self.volume.has_changes() {
            self.commit_at_ns = Some(system.monotonic_ns() + COMMIT_AFTER_NS);
        }
    }

    fn commit(&mut self, system: &mut dyn System) -> Result<(), Error> {
        let outcome = self.volume.commit();
        self.commit_at_ns = outcome.err().map(|_| system.monotonic_ns() + COMMIT_AGAIN_NS);
        outcome
    }

    fn descriptor<'a>(entry: &'a Entry, path: &str) -> Descriptor<'a> {
        let directory = if entry.is_directory { attribute::DIRECTORY } else { 0 };
        Descriptor {
            kind: if entry.is_directory { kind::DIRECTORY } else { kind::FILE },
            attributes: attribute::READABLE | attribute::WRITABLE | directory,
            owner: UserId::OPERATOR.0,
            size: entry.size,
            modified_ns: entry.modified_ns,
            created_ns: entry.created_ns,
            object: number_of(path),
            name: &entry.name,
        }
    }

    fn listing(&mut self, path: &str) -> Result<Listing, Error> {
        let mut listing = Listing::new();
        for entry in self.volume.entries(path)? {
            let below = [path, &entry.name].join("/");
            listing.push(&FatServer::<S>::descriptor(&entry, below.trim_start_matches('/')));
        }
        Ok(listing)
    }
}

/// A number for a path, the same for the same path: FAT has none for files.
fn number_of(path: &str) -> u64 {
    // Of the kind that Fowler, Noll and Vo gave.
    path.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

impl<S: Storage> Service for FatServer<S> {
    type Open = OpenFile;

    const MOST_READ_BYTES: u64 = TRANSFER_BYTES as u64;

    fn open(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        mode: u32,
        system: &mut dyn System,
    ) -> Result<Opening<OpenFile>, Error> {
        let writes = mode & (mode::WRITE | mode::APPEND | mode::TRUNCATE | mode::CREATE) != 0;
        if writes {
            self.begin(client.user, system)?;
        }
        let found = match self.find(context, path) {
            Err(Error::NotFound) if mode & mode::CREATE != 0 && !path::wants_directory(path) => {
                let full = self.path(context, path)?;
                self.volume.create(&full)?;
                self.find(context, path)
            }
            Ok(_) if mode & (mode::CREATE | mode::NEW) == mode::CREATE | mode::NEW => {
                Err(Error::AlreadyExists)
            }
            found => found,
        };
        let (path, entry) = found?;
        if mode & mode::DIRECTORY != 0 {
            return if entry.is_directory {
                Ok(Opening::Directory(self.listing(&path)?))
            } else {
                Err(Error::NotADirectory)
            };
        }
        if entry.is_directory {
            return Err(Error::IsADirectory);
        }
        let mut size = entry.size;
        if mode & mode::TRUNCATE != 0 && size > 0 {
            self.volume.set_size(&path, 0)?;
            size = 0;
        }
        self.note_change(system);
        let append_only = if mode & mode::APPEND != 0 { attribute::APPEND_ONLY } else { 0 };
        let attributes = attribute::of_mode(mode) | append_only;
        let block_bytes = TRANSFER_BYTES as u32;
        Ok(Opening::Object { open: OpenFile { path, mode }, attributes, block_bytes, size })
    }

    fn size(&mut self, open: &OpenFile) -> u64 {
        self.volume.entry(&open.path).map_or(0, |entry| entry.size)
    }

    fn read<'a>(
        &'a mut self,
        _client: &Client,
        open: &'a mut OpenFile,
        position: u64,
        room: usize,
        _system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        let room = room.min(TRANSFER_BYTES);
        let count = self.volume.read(&open.path, position, &mut self.buffer[..room])?;
        Ok(Reading::Data(&self.buffer[..count]))
    }

    fn write(
        &mut self,
        _client: &Client,
        open: &mut OpenFile,
        position: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<Writing, Error> {
        self.volume.set_now(system.real_ns());
        let position =
            if open.mode & mode::APPEND != 0 { self.volume.entry(&open.path)?.size } else { position };
        let count = data.bytes().min(TRANSFER_BYTES);
        data.copy_to(0, &mut self.buffer[..count], system)?;
        let outcome = self.volume.write(&open.path, position, &self.buffer[..count]);
        self.note_change(system);
        outcome.map(|()| Writing::Done(count as u32))
    }

    fn set_size(&mut self, open: &mut OpenFile, size: u64, system: &mut dyn System) -> Result<(), Error> {
        self.volume.set_now(system.real_ns());
        let outcome = self.volume.set_size(&open.path, size);
        self.note_change(system);
        outcome
    }

    fn synchronize(
        &mut self,
        _client: &Client,
        _open: &mut OpenFile,
        system: &mut dyn System,
    ) -> Result<Completion, Error> {
        self.commit(system)?;
        Ok(Completion::Now)
    }

    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        let (path, entry) = self.find(context, path)?;
        self.described = entry;
        Ok(FatServer::<S>::descriptor(&self.described, &path))
    }

    fn describe_open<'a>(&'a mut self, open: &'a OpenFile) -> Result<Descriptor<'a>, Error> {
        self.described = self.volume.entry(&open.path)?;
        Ok(FatServer::<S>::descriptor(&self.described, &open.path))
    }

    fn context(&mut self, context: u32, path: &[u8]) -> Result<u32, Error> {
        let (path, entry) = self.find(context, path)?;
        if !entry.is_directory {
            return Err(Error::NotADirectory);
        }
        let known = self.contexts.iter().position(|other| *other == path);
        let place = match known {
            Some(place) => place,
            None if self.contexts.len() == MOST_CONTEXTS => return Err(Error::NoResources),
            None => {
                self.contexts.push(path);
                self.contexts.len() - 1
            }
        };
        Ok(place as u32)
    }

    fn context_name(&mut self, context: u32) -> Result<String, Error> {
        self.contexts.get(context as usize).cloned().ok_or(Error::BadContext)
    }

    fn remove(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        system: &mut dyn System,
    ) -> Result<(), Error> {
        self.begin(client.user, system)?;
        let (path, _) = self.find(context, path)?;
        if path.is_empty() {
            return Err(Error::BadName);
        }
        let outcome = self.volume.remove(&path);
        self.note_change(system);
        outcome
    }

    /// A file of the new name is removed before: FAT cannot do both at once.
    fn rename(
        &mut self,
        client: &Client,
        old: (u32, &[u8]),
        new: (u32, &[u8]),
        system: &mut dyn System,
    ) -> Result<(), Error> {
        self.begin(client.user, system)?;
        let (from, entry) = self.find(old.0, old.1)?;
        let to = self.path(new.0, new.1)?;
        if from.is_empty() || to.is_empty() {
            return Err(Error::BadName);
        }
        // No directory goes into itself.
        if to.strip_prefix(&*from).is_some_and(|rest| rest.starts_with('/')) {
            return Err(Error::BadArgument);
        }
        if path::wants_directory(new.1) && !entry.is_directory {
            return Err(Error::NotADirectory);
        }
        if from == to {
            return Ok(());
        }
        match self.volume.entry(&to) {
            // The same name in other letters is the file itself.
            Ok(_) if from.to_lowercase() == to.to_lowercase() => {}
            Ok(other) => match (entry.is_directory, other.is_directory) {
                (false, false) => self.volume.remove(&to)?,
                (true, false) => return Err(Error::NotADirectory),
                (false, true) => return Err(Error::IsADirectory),
                (true, true) => return Err(Error::AlreadyExists),
            },
            Err(Error::NotFound) => {}
            Err(error) => return Err(error),
        }
        let outcome = self.volume.rename(&from, &to);
        self.note_change(system);
        outcome
    }

    fn create_directory(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        system: &mut dyn System,
    ) -> Result<(), Error> {
        self.begin(client.user, system)?;
        let path = self.path(context, path)?;
        match self.volume.entry(&path) {
            Ok(_) => return Err(Error::AlreadyExists),
            Err(Error::NotFound) => {}
            Err(error) => return Err(error),
        }
        let outcome = self.volume.create_directory(&path);
        self.note_change(system);
        outcome
    }

    fn set_modified(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        modified_ns: u64,
    ) -> Result<(), Error> {
        if !client.user.may_operate() {
            return Err(Error::NoPermission);
        }
        let (path, entry) = self.find(context, path)?;
        if entry.is_directory {
            // FAT's directories keep the time at which they were made.
            return Err(Error::NotSupported);
        }
        self.volume.set_modified(&path, modified_ns)
    }

    fn space(&mut self, _client: &Client, _context: u32) -> Result<SpaceQueried, Error> {
        self.volume.space()
    }

    fn next_tick_ns(&self) -> Option<u64> {
        self.commit_at_ns
    }

    fn tick(&mut self, system: &mut dyn System) {
        if self.commit_at_ns.is_some_and(|at_ns| at_ns <= system.monotonic_ns()) {
            // What could not be written is tried again.
            let _ = self.commit(system);
        }
    }
}
