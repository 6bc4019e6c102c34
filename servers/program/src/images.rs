//! Images out of files, and those that are kept.
//!
//! Of an image the manager reads the head alone. Its pages are the file's, which the kernel asks the file's server for when
//! a program touches them. If the image is small they are all read as well, at once if it is here and else soon after the
//! program's start: then the program needs its file no more, nor the node that has it.
//!
//! Files are read from servers of the system that have registered a prefix: a process of a user's, or one that serves
//! nobody, could let the reader wait for ever. The manager and its [loader](crate::loader) share what is here; neither
//! keeps a lock while it waits for a server.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::{Error, Pid, UserId};
use program_image::{HEAD_BYTES, Layout};
use protocols::io::{attribute, io};
use protocols::names::{Descriptor, kind, names};
use v::Segment;
use v::sync::Mutex;

use crate::cache::{Cache, Source};
use crate::file::{Errands, HeldFile, is_elsewhere};

/// Most bytes of a file that are made pages of a program.
const MOST_IMAGE_BYTES: u64 = 64 * 1024 * 1024;
/// Most bytes of an image that is read as a whole.
const MOST_WHOLE_BYTES: u64 = 2 * 1024 * 1024;
/// Most servers that are remembered.
const MOST_TRUSTED: usize = 16;

/// A checked image.
#[derive(Debug)]
pub struct Image {
    /// What it asks for.
    pub layout: Layout,
    /// The bytes of it that cannot be had as pages of the file.
    pub copied: Vec<u8>,
    /// Where its pages are.
    pub file: HeldFile,
    /// Whether the kernel has them all.
    is_whole: AtomicBool,
}

impl Image {
    /// Whether the kernel has all its pages.
    pub fn is_whole(&self) -> bool {
        self.is_whole.load(Ordering::Relaxed)
    }

    /// Has them all read.
    fn fetch(&self) {
        let is_whole = self.file.fetch().is_ok();
        self.is_whole.store(is_whole, Ordering::Relaxed);
    }
}

/// Images, and the servers that they may come from.
#[derive(Debug)]
pub struct Images {
    cache: Mutex<Cache<Image>>,
    /// Servers that are known to be so.
    trusted: Mutex<Vec<Pid>>,
    errands: Arc<Errands>,
    /// Those of other nodes that are to be read as a whole.
    unread: Mutex<Vec<Arc<Image>>>,
}

impl Images {
    /// None yet, and so many bytes of files that others may want to remove.
    pub fn new(limit_bytes: u64) -> Images {
        Images {
            cache: Mutex::new(Cache::new(limit_bytes)),
            trusted: Mutex::new(Vec::new()),
            errands: Arc::new(Errands::default()),
            unread: Mutex::new(Vec::new()),
        }
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
            is_changeable: descriptor.attributes & attribute::WRITABLE != 0,
        };
        if let Some(image) = self.cache.lock().find(&source, user) {
            return Ok(image);
        }
        let image = Arc::new(self.hold_image(server, instance, source.bytes)?);
        if source.bytes <= MOST_WHOLE_BYTES {
            if is_elsewhere(server) {
                self.unread.lock().push(Arc::clone(&image));
            } else {
                image.fetch();
            }
        }
        let forgotten = self.cache.lock().insert(source, Arc::clone(&image), user);
        drop(forgotten);
        Ok(image)
    }

    /// The image in an object which, as `user` says, cannot be changed: if that is known of it, if the user had it open before,
    /// and if the kernel has all its pages. Then its server need not be asked, nor told anything.
    pub fn known(&self, server: Pid, object: u64, user: UserId) -> Option<Arc<Image>> {
        self.cache.lock().find_fixed(server, object, user).filter(|image| image.is_whole())
    }

    /// Checks an image in a file of `bytes` bytes, and holds on to the file.
    fn hold_image(&self, server: Pid, instance: u32, bytes: u64) -> Result<Image, Error> {
        let mut head = [0; HEAD_BYTES];
        let head = &mut head[..bytes.min(HEAD_BYTES as u64) as usize];
        read_exact(server, instance, 0, head)?;
        let layout = Layout::parse(head, bytes)?;
        let range = layout.file();
        if range.end - range.start > MOST_IMAGE_BYTES {
            return Err(Error::TooLong);
        }
        let mut copied = Vec::new();
        for segment in layout.segments() {
            let part = segment.copied();
            let begin = copied.len();
            copied.resize(begin + (part.end - part.start) as usize, 0);
            read_exact(server, instance, part.start, &mut copied[begin..])?;
        }
        let file = HeldFile::hold(server, instance, &range, &self.errands)?;
        Ok(Image { layout, copied, file, is_whole: AtomicBool::new(false) })
    }

    /// Lets go what nobody starts any more, or can.
    pub fn forget_idle(&self) {
        let has_ended = |server| !is_elsewhere(server) && v::process::has_ended(server) == Ok(true);
        let forgotten = self.cache.lock().forget_idle(has_ended);
        drop(forgotten);
    }

    /// A program is no owner of an instance any more.
    pub fn release(&self, server: Pid, instance: u32, program: Pid) {
        self.errands.release(server, instance, program);
    }

    /// Says to servers of other nodes what they are to be told, and reads of them what is to be read.
    pub fn run_errands(&self) {
        self.errands.run();
        let unread = core::mem::take(&mut *self.unread.lock());
        for image in unread {
            image.fetch();
        }
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
