//! Files and directories, by name, as in `std::fs`.
//!
//! ```no_run
//! use v::file;
//! use v::io::{BufRead, BufReader};
//!
//! file::write("[tmp]greeting", "hello\n")?;
//! for line in BufReader::new(file::File::open("[tmp]greeting")?).lines() {
//!     assert_eq!(line?, "hello");
//! }
//! for entry in file::read_directory("[tmp]")? {
//!     v::println!("{:>10} {}", entry.metadata.size, entry.name);
//! }
//! # Ok::<(), v::Error>(())
//! ```

mod directory;
mod names;
mod near;

use alloc_crate::string::String;
use alloc_crate::vec::Vec;

use abi::Error;
use protocols::io::{io, mode};
use smol_str::SmolStr;

pub use directory::{DirectoryEntry, read_directory};
pub use names::{
    Kind, Metadata, create_directories, create_directory, exists, metadata, remove, rename, set_modified_ns,
    set_owner, set_permissions, space,
};

use crate::io::{Instance, Read, Result, Seek, SeekFrom, Write};
use crate::message::{Segment, call};
use crate::name::{forget, is_server_gone, reason_of, with_place};
use crate::sync::Mutex;
use near::Near;

/// An open file, or stream. Dropping it closes it.
///
/// A file remembers its name: when its server was restarted meanwhile, the file is opened again by its name, and a
/// read or write at a position goes on as if nothing had happened, provided that the file is still there. A stream
/// gives the error.
#[derive(Debug)]
pub struct File {
    instance: Mutex<Instance>,
    block_bytes: u32,
    position: u64,
    /// A short one lies here itself: opening a file allocates nothing.
    name: SmolStr,
    /// How to open it again.
    mode: u32,
    /// Whether it is another node's, and read by way of this node's cache.
    near: Near,
}

impl File {
    /// Opens a file for reading.
    pub fn open(name: &str) -> Result<File> {
        File::open_with(name, mode::READ)
    }

    /// Opens a file for writing; makes it if there is none, and empties it if there is.
    pub fn create(name: &str) -> Result<File> {
        File::open_with(name, mode::WRITE | mode::CREATE | mode::TRUNCATE)
    }

    /// Opens a file for writing at its end; makes it if there is none.
    pub fn append(name: &str) -> Result<File> {
        File::open_with(name, mode::WRITE | mode::CREATE | mode::APPEND)
    }

    /// Opens a file as the bits of [`mode`](protocols::io::mode) say.
    pub fn open_with(name: &str, mode: u32) -> Result<File> {
        let idempotent = mode & mode::NEW == 0;
        with_place(name, idempotent, |place| {
            let request = io::Open { context: place.context, mode, owner: crate::process::owner() };
            let opened = call(place.server, &request, Segment::Read(place.rest.as_bytes()))?;
            let instance =
                Instance { server: place.server, number: opened.instance, attributes: opened.attributes };
            Ok(File {
                near: Near::new(&instance, mode),
                instance: Mutex::new(instance),
                block_bytes: opened.block_bytes,
                position: 0,
                name: SmolStr::new(name),
                mode: mode & !(mode::CREATE | mode::NEW | mode::TRUNCATE),
            })
        })
    }

    /// An instance that this program owns, and which has no name. It is released with the file.
    pub fn from_instance(instance: Instance) -> File {
        File {
            instance: Mutex::new(instance),
            block_bytes: abi::PAGE_BYTES as u32,
            position: 0,
            name: SmolStr::default(),
            mode: 0,
            near: Near::never(),
        }
    }

    /// The name that it was opened by; empty for one without.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is open; it stays this file's.
    pub fn instance(&self) -> Instance {
        *self.instance.lock()
    }

    /// The instance; the caller releases it.
    pub fn into_instance(mut self) -> Instance {
        let instance = self.instance();
        drop(core::mem::take(&mut self.name));
        self.near.release();
        core::mem::forget(self);
        instance
    }

    /// The size of read that suits the server best.
    pub fn block_bytes(&self) -> u32 {
        self.block_bytes
    }

    /// Reads at a position, some bytes at least unless the file ends there.
    pub fn read_at(&self, position: u64, buffer: &mut [u8]) -> Result<usize> {
        if let Some(by) = self.near.next(|| self.instance())
            && let Some(outcome) = self.read_near(&by, position, buffer)
        {
            return outcome;
        }
        self.on_use(true, |instance| instance.read(position, buffer))
    }

    /// Reads as much as the buffer takes; [`EndOfFile`](Error::EndOfFile) if the file ends before.
    pub fn read_exact_at(&self, position: u64, buffer: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(position + done as u64, &mut buffer[done..])? {
                0 => return Err(Error::EndOfFile),
                count => done += count,
            }
        }
        Ok(())
    }

    /// Reads by way of the cache. None where its own server is to be asked, also of what is wrong.
    fn read_near(&self, by: &Instance, position: u64, buffer: &mut [u8]) -> Option<Result<usize>> {
        match near::read(by, position, buffer) {
            Err(Error::Busy | Error::NotResident) => None,
            Err(error) if error != Error::HostUnreachable => {
                near::note(error, by.server);
                self.near.release();
                None
            }
            // The cache has waited for the other node as long as this program would.
            outcome => Some(outcome),
        }
    }

    /// Writes at a position, one byte at least.
    pub fn write_at(&self, position: u64, data: &[u8]) -> Result<usize> {
        let idempotent = self.mode & mode::APPEND == 0;
        self.on_use(idempotent, |instance| instance.write(position, data))
    }

    /// Its size in bytes now.
    pub fn size(&self) -> Result<u64> {
        Ok(self.on_use(true, Instance::query)?.size)
    }

    /// Cuts or extends it.
    pub fn set_size(&self, size: u64) -> Result<()> {
        self.on_use(true, |instance| instance.set_size(size))
    }

    /// What the server says of it.
    pub fn metadata(&self) -> Result<Metadata> {
        self.on_use(true, |instance| Ok(names::describe_instance(instance)?.metadata))
    }

    /// Waits until what was written will survive what the server survives.
    pub fn synchronize(&self) -> Result<()> {
        self.on_use(true, Instance::synchronize)
    }

    fn can_open_again(&self, instance: &Instance) -> bool {
        !instance.is_stream() && !self.name.is_empty()
    }

    /// Does an operation; if the server has gone, and the file can be opened anew, once more.
    fn on_use<T>(&self, idempotent: bool, mut operation: impl FnMut(&Instance) -> Result<T>) -> Result<T> {
        let instance = self.instance();
        match operation(&instance) {
            Err(error) if is_server_gone(error, idempotent) && self.can_open_again(&instance) => {
                let opened = forget(instance.server).and_then(|()| File::open_with(&self.name, self.mode));
                let again = opened.map_err(|again| reason_of(error, again))?.into_instance();
                *self.instance.lock() = again;
                self.near.begin_again();
                operation(&again)
            }
            outcome => outcome,
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.near.release();
        // Nothing depends on it: the server notices the owner's end at the latest.
        let _ = self.instance.get_mut().release(crate::process::owner());
    }
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let count = self.read_at(self.position, buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for File {
    fn write(&mut self, data: &[u8]) -> Result<usize> {
        let count = self.write_at(self.position, data)?;
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        if self.instance().is_stream() {
            return Err(Error::NotSupported);
        }
        self.position = to.position(self.position, || self.size())?;
        Ok(self.position)
    }
}

/// A whole file.
pub fn read(name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(name)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A whole file, as text; [`BadArgument`](Error::BadArgument) if it is not UTF-8.
pub fn read_to_string(name: &str) -> Result<String> {
    String::from_utf8(read(name)?).map_err(|_| Error::BadArgument)
}

/// Makes a file with this content, or replaces its content.
pub fn write(name: &str, content: impl AsRef<[u8]>) -> Result<()> {
    File::create(name)?.write_all(content.as_ref())
}
