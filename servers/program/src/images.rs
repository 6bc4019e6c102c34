//! Images out of files, and those that are kept.
//!
//! Files are read from servers of the system that have registered a prefix: a process of a user's, or one that serves
//! nobody, could let the reader wait for ever. The manager and its [loader](crate::loader) share what is here; neither
//! keeps a lock while it waits for a server.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Error, Pid, UserId};
use program_image::{HEAD_BYTES, Layout};
use protocols::io::io;
use protocols::names::{Descriptor, kind, names};
use v::Segment;
use v::sync::Mutex;

use crate::cache::{Cache, Image, Source};

/// Most bytes of a file that are loaded.
const MOST_IMAGE_BYTES: u64 = 64 * 1024 * 1024;
/// Most servers that are remembered.
const MOST_TRUSTED: usize = 16;

/// Images, and the servers that they may come from.
#[derive(Debug)]
pub struct Images {
    cache: Mutex<Cache>,
    /// Servers that are known to be so.
    trusted: Mutex<Vec<Pid>>,
}

impl Images {
    /// None yet, and room to keep so many bytes of them.
    pub const fn new(limit_bytes: usize) -> Images {
        Images { cache: Mutex::new(Cache::new(limit_bytes)), trusted: Mutex::new(Vec::new()) }
    }

    /// The image in a file that `user` has open, from the cache if it is there.
    pub fn load(&self, server: Pid, instance: u32, user: UserId) -> Result<Arc<Image>, Error> {
        self.check_trusted(server)?;
        let mut bytes = [0; Descriptor::MAX_BYTES];
        let describe = names::DescribeInstance { instance, user };
        let described = v::call(server, &describe, Segment::Write(&mut bytes))?;
        let (descriptor, _) =
            bytes.get(..described.count as usize).and_then(Descriptor::decode).ok_or(Error::BadReply)?;
        match descriptor.kind {
            kind::FILE => {}
            kind::DIRECTORY => return Err(Error::IsADirectory),
            _ => return Err(Error::BadImage),
        }
        let source = Source {
            server,
            object: descriptor.object,
            bytes: descriptor.size,
            modified_ns: descriptor.modified_ns,
        };
        if let Some(image) = self.cache.lock().find(&source) {
            return Ok(image);
        }
        let image = Arc::new(read_image(server, instance, source.bytes)?);
        self.cache.lock().insert(source, Arc::clone(&image));
        Ok(image)
    }

    /// Refuses what is no registered server of the system.
    fn check_trusted(&self, server: Pid) -> Result<(), Error> {
        if self.trusted.lock().contains(&server) {
            return Ok(());
        }
        if server.is_group() || server.is_kernel_server() {
            return Err(Error::BadArgument);
        }
        let found = v::process::identify_anywhere(server)?;
        let is_others = found.user.is_system() && found.team != v::process::team();
        if !is_others || !v::name::is_registered(server)? {
            return Err(Error::NoPermission);
        }
        let mut trusted = self.trusted.lock();
        if trusted.len() == MOST_TRUSTED {
            trusted.remove(0);
        }
        trusted.push(server);
        Ok(())
    }
}

/// Reads and checks an image of `bytes` bytes.
fn read_image(server: Pid, instance: u32, bytes: u64) -> Result<Image, Error> {
    let mut head = [0; HEAD_BYTES];
    let head = &mut head[..bytes.min(HEAD_BYTES as u64) as usize];
    read_exact(server, instance, 0, head)?;
    let layout = Layout::parse(head, bytes)?;
    let file = layout.file();
    let wanted = file.end - file.start;
    if wanted > MOST_IMAGE_BYTES {
        return Err(Error::TooLong);
    }
    let mut content = Vec::new();
    content.try_reserve_exact(wanted as usize).map_err(|_| Error::NoMemory)?;
    content.resize(wanted as usize, 0);
    read_exact(server, instance, file.start, &mut content)?;
    Ok(Image { layout, content })
}

/// Fills the buffer; a file that has become shorter meanwhile is no image.
fn read_exact(server: Pid, instance: u32, mut position: u64, mut buffer: &mut [u8]) -> Result<(), Error> {
    while !buffer.is_empty() {
        let read = io::Read { instance, position };
        let count = v::call(server, &read, Segment::Write(buffer))?.count as usize;
        if count == 0 || count > buffer.len() {
            return Err(Error::BadImage);
        }
        position += count as u64;
        buffer = &mut buffer[count..];
    }
    Ok(())
}
