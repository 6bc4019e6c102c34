//! Files as memory: their pages come when they are first touched, and are shared by all who have them mapped.

use core::sync::atomic::AtomicU64;

use abi::kernel::protection::{READ, SHARED, WRITE};
use abi::{Error, PAGE_BYTES};
use protocols::io::{attribute, mode};

use crate::alloc::BoundPages;
use crate::file::File;

/// What may be done with a mapped file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mapping {
    /// It can be read.
    ReadOnly,
    /// What is written is a copy of this program's own, which nobody else sees.
    PrivateCopy,
    /// What is written goes to the file.
    Shared,
}

/// A file, or a piece of one, in memory.
///
/// Others may change the file meanwhile, by a mapping of theirs or otherwise, so no slice of its bytes can be had: bytes
/// are copied in and out. Where two copy at the same place at the same time, each byte is the one's or the other's.
/// Programs that agree on more do so by [`atomics`](MappedFile::atomics).
///
/// A page is read from the file's server when it is first touched, and the mapping is as large as the file was then. If
/// a page cannot be had (the server refuses it, has ended, or does not answer for 30 seconds) the program ends with a
/// page fault that says why. Unlike an open file, a mapping does not come back when its server is restarted.
///
/// **Who sees what is written.** All mappings of one open file on a node have the same pages: a program that was given
/// it, as its standard input for example, shares memory with who gave it. Where programs open a file each for themselves,
/// or on several nodes, others see what is written when it has been written back: by [`flush`](MappedFile::flush), when
/// the mapping is dropped, or when memory runs low; and a page that they have already only after it has gone. A server
/// that lends its own pages, as that of `[tmp]` does on its node, makes all who map a file see all. A program that is killed may leave changes
/// that are lost.
///
/// ```no_run
/// use v::file::{self, File};
/// use v::memory::{MappedFile, Mapping, map_file};
///
/// // Two programs count together: this one, and one that finds the file as its standard input.
/// # fn parent() -> Result<(), v::Error> {
/// use core::sync::atomic::Ordering;
/// use v::process::Command;
/// use v::protocols::io::mode;
/// file::write("[tmp]counter", [0; 8])?;
/// let file = File::open_with("[tmp]counter", mode::READ | mode::WRITE)?;
/// let mut child = Command::new("count").stdin(&file).start()?;
/// let counter = MappedFile::new(file, 0, 8, Mapping::Shared)?;
/// counter.atomics()?[0].fetch_add(1, Ordering::Relaxed);
/// child.wait()?;
/// # Ok(()) }
/// # fn child() -> Result<(), v::Error> {
/// # use core::sync::atomic::Ordering;
///
/// // The other one:
/// let input = v::io::standard_stream(0).ok_or(v::Error::NotReadable)?;
/// let counter = MappedFile::new(File::from_instance(input), 0, 8, Mapping::Shared)?;
/// counter.atomics()?[0].fetch_add(1, Ordering::Relaxed);
/// # Ok(()) }
/// # fn whole() -> Result<(), v::Error> {
///
/// // A whole file.
/// let text = map_file("[boot]configuration/services", Mapping::ReadOnly)?;
/// let mut first = [0; 1];
/// text.read_at(0, &mut first)?;
/// # Ok(()) }
/// # fn piece() -> Result<(), v::Error> {
///
/// // The second page of a file, and changes that nobody sees.
/// let piece = MappedFile::new(File::open("[tmp]data")?, 4096, 4096, Mapping::PrivateCopy)?;
/// let mut word = [0; 4];
/// piece.read_at(100, &mut word)?;
/// piece.write_at(100, b"mine")?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct MappedFile {
    // Unmapped before the file is closed.
    pages: BoundPages,
    bytes: usize,
    mapping: Mapping,
    file: File,
}

/// Maps a whole file; see [`MappedFile`]. [`EndOfFile`](Error::EndOfFile) if it is empty.
pub fn map_file(name: &str, mapping: Mapping) -> Result<MappedFile, Error> {
    let writes = if mapping == Mapping::Shared { mode::WRITE } else { 0 };
    let file = File::open_with(name, mode::READ | writes)?;
    check(&file, mapping)?;
    let bytes = usize::try_from(file.size()?).map_err(|_| Error::TooLong)?;
    MappedFile::new(file, 0, bytes, mapping)
}

/// Whether what is open can be mapped.
fn check(file: &File, mapping: Mapping) -> Result<(), Error> {
    let instance = file.instance();
    if instance.is(attribute::DIRECTORY) {
        return Err(Error::IsADirectory);
    }
    if instance.is_stream() {
        return Err(Error::NotSupported);
    }
    if !instance.is(attribute::READABLE) {
        return Err(Error::NotReadable);
    }
    if mapping == Mapping::Shared {
        if !instance.is(attribute::WRITABLE) {
            return Err(Error::NotWritable);
        }
        if instance.is(attribute::APPEND_ONLY) {
            return Err(Error::NotSupported);
        }
    }
    Ok(())
}

impl MappedFile {
    /// Maps `bytes` bytes of an open file from `position` on, a multiple of the page size. Errors:
    /// [`BadArgument`](Error::BadArgument) for another position; [`EndOfFile`](Error::EndOfFile) for no bytes, or more than
    /// the file has; [`NotSupported`](Error::NotSupported) for streams and files to which one can only add;
    /// [`IsADirectory`](Error::IsADirectory); [`NotReadable`](Error::NotReadable); for a shared mapping
    /// [`NotWritable`](Error::NotWritable).
    pub fn new(file: File, position: u64, bytes: usize, mapping: Mapping) -> Result<MappedFile, Error> {
        check(&file, mapping)?;
        if !position.is_multiple_of(PAGE_BYTES) {
            return Err(Error::BadArgument);
        }
        let end = position.checked_add(bytes as u64).ok_or(Error::EndOfFile)?;
        if bytes == 0 || end > file.size()? {
            return Err(Error::EndOfFile);
        }
        let protection = match mapping {
            Mapping::ReadOnly => READ,
            Mapping::PrivateCopy => READ | WRITE,
            Mapping::Shared => READ | WRITE | SHARED,
        };
        let pages = BoundPages::new(&file.instance(), position, bytes, protection)?;
        Ok(MappedFile { pages, bytes, mapping, file })
    }

    /// How many bytes are mapped: at least one.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub const fn len(&self) -> usize {
        self.bytes
    }

    /// The file; it stays this value's.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// The address of its first byte, for listings and for system calls.
    pub fn address(&self) -> u64 {
        self.pages.address()
    }

    /// Copies the bytes from `at` on into `buffer`. [`EndOfFile`](Error::EndOfFile) if not all of them are mapped.
    pub fn read_at(&self, at: usize, buffer: &mut [u8]) -> Result<(), Error> {
        self.check_range(at, buffer.len())?;
        self.pages.read(at, buffer);
        Ok(())
    }

    /// Copies `data` to `at`. [`EndOfFile`](Error::EndOfFile) if not all of that is mapped,
    /// [`ReadOnly`](Error::ReadOnly) for a mapping that is.
    pub fn write_at(&self, at: usize, data: &[u8]) -> Result<(), Error> {
        if self.mapping == Mapping::ReadOnly {
            return Err(Error::ReadOnly);
        }
        self.check_range(at, data.len())?;
        self.pages.write(at, data);
        Ok(())
    }

    /// The bytes as words that programs change together, as many whole ones as there are.
    /// [`ReadOnly`](Error::ReadOnly) for a mapping that cannot be written.
    pub fn atomics(&self) -> Result<&[AtomicU64], Error> {
        let words = self.pages.words().ok_or(Error::ReadOnly)?;
        Ok(&words[..self.bytes / size_of::<AtomicU64>()])
    }

    /// Writes back what was changed, and returns when the file's server has it. Of private copies there is nothing to
    /// write.
    pub fn flush(&self) -> Result<(), Error> {
        self.pages.flush()
    }

    /// Writes back what was changed and unmaps the file. Dropping the mapping does the same, but tells of no failure.
    pub fn close(self) -> Result<File, Error> {
        self.flush()?;
        Ok(self.file)
    }

    fn check_range(&self, at: usize, bytes: usize) -> Result<(), Error> {
        let is_inside = at.checked_add(bytes).is_some_and(|end| end <= self.bytes);
        if is_inside { Ok(()) } else { Err(Error::EndOfFile) }
    }
}
