//! The bytes of a disk, as `lamfat` wants them, through a cache of pages: it reads and writes a few bytes at a time.
//!
//! What is written stays in memory until the [`flush`](Cache::flush), or until there is no room; then all of it is written, in
//! the order of the disk. A volume of others may have a chain of clusters that is a circle, so what one request may read is
//! bounded.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec;
use core::cell::RefCell;

use abi::{Error, PAGE_BYTES};
use lamfat::{IoBase, IoError, Read, Seek, SeekFrom, Write};

const PAGE: usize = PAGE_BYTES as usize;
/// Pages that are kept.
const MOST_PAGES: usize = 512;
/// Pages that are read at once.
const AHEAD_PAGES: u64 = 16;
/// Reads that one request may make, beside one for each so many bytes of the disk.
const LEAST_READS: u64 = 1 << 20;
const BYTES_OF_A_READ: u64 = 512;

/// A disk or a partition, by bytes. Reads and writes are of whole blocks of the device.
pub trait Storage {
    /// Bytes that it has.
    fn bytes(&self) -> u64;
    /// Reads bytes from `position` on until `place` is full.
    fn read(&mut self, position: u64, place: &mut [u8]) -> Result<(), Error>;
    /// Writes all bytes.
    fn write(&mut self, position: u64, bytes: &[u8]) -> Result<(), Error>;
    /// Returns when what was written is safe.
    fn flush(&mut self) -> Result<(), Error>;
}

#[derive(Debug)]
struct Page {
    bytes: Box<[u8]>,
    is_dirty: bool,
}

/// A disk with pages of it in memory.
#[derive(Debug)]
pub struct Cache<S> {
    storage: S,
    pages: BTreeMap<u64, Page>,
    /// Reads that the request may still make.
    reads_left: u64,
}

impl<S: Storage> Cache<S> {
    /// With nothing in memory.
    pub fn new(storage: S) -> Cache<S> {
        Cache { storage, pages: BTreeMap::new(), reads_left: 0 }
    }

    /// A request begins.
    pub fn begin(&mut self) {
        self.reads_left = LEAST_READS + self.storage.bytes() / BYTES_OF_A_READ;
    }

    /// Whether anything is in memory that is not on the disk.
    pub fn is_dirty(&self) -> bool {
        self.pages.values().any(|page| page.is_dirty)
    }

    /// Writes what was changed, and returns when it is safe.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.write_out()?;
        self.storage.flush()
    }

    fn write_out(&mut self) -> Result<(), Error> {
        for (number, page) in self.pages.iter_mut().filter(|(_, page)| page.is_dirty) {
            self.storage.write(number * PAGE_BYTES, &page.bytes)?;
            page.is_dirty = false;
        }
        Ok(())
    }

    /// The page with that number, which the disk has at least a byte of.
    fn page(&mut self, number: u64) -> Result<&mut Page, Error> {
        if !self.pages.contains_key(&number) {
            self.read_from(number)?;
        }
        self.pages.get_mut(&number).ok_or(Error::NoMemory)
    }

    /// Reads a page and some behind it.
    fn read_from(&mut self, number: u64) -> Result<(), Error> {
        if self.pages.len() + AHEAD_PAGES as usize > MOST_PAGES {
            self.write_out()?;
            self.pages.clear();
        }
        let begin = number * PAGE_BYTES;
        let end = self.storage.bytes().min(begin + AHEAD_PAGES * PAGE_BYTES);
        let mut bytes = vec![0; (end - begin) as usize];
        self.storage.read(begin, &mut bytes)?;
        for (page, number) in bytes.chunks(PAGE).zip(number..) {
            self.pages.entry(number).or_insert_with(|| Page { bytes: page.into(), is_dirty: false });
        }
        Ok(())
    }

    fn read(&mut self, position: u64, place: &mut [u8]) -> Result<usize, Error> {
        self.reads_left = self.reads_left.checked_sub(1).ok_or(Error::Damaged)?;
        if position >= self.storage.bytes() {
            return Ok(0);
        }
        let page = self.page(position / PAGE_BYTES)?;
        let begin = (position % PAGE_BYTES) as usize;
        let count = place.len().min(page.bytes.len() - begin);
        place[..count].copy_from_slice(&page.bytes[begin..begin + count]);
        Ok(count)
    }

    fn write(&mut self, position: u64, bytes: &[u8]) -> Result<usize, Error> {
        if position >= self.storage.bytes() {
            return Ok(0);
        }
        let page = self.page(position / PAGE_BYTES)?;
        let begin = (position % PAGE_BYTES) as usize;
        let count = bytes.len().min(page.bytes.len() - begin);
        page.bytes[begin..begin + count].copy_from_slice(&bytes[..count]);
        page.is_dirty = true;
        Ok(count)
    }
}

/// A position in a disk that is used by several.
#[derive(Debug)]
pub struct Cursor<S> {
    /// The disk.
    pub cache: Rc<RefCell<Cache<S>>>,
    position: u64,
}

impl<S> Cursor<S> {
    /// At the beginning.
    pub fn new(cache: Rc<RefCell<Cache<S>>>) -> Cursor<S> {
        Cursor { cache, position: 0 }
    }
}

/// An error on the way to the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskError(pub Error);

impl IoError for DiskError {
    fn is_interrupted(&self) -> bool {
        false
    }

    fn new_unexpected_eof_error() -> DiskError {
        DiskError(Error::Damaged)
    }

    fn new_write_zero_error() -> DiskError {
        DiskError(Error::Damaged)
    }
}

impl<S> IoBase for Cursor<S> {
    type Error = DiskError;
}

impl<S: Storage> Read for Cursor<S> {
    fn read(&mut self, place: &mut [u8]) -> Result<usize, DiskError> {
        let count = self.cache.borrow_mut().read(self.position, place).map_err(DiskError)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl<S: Storage> Write for Cursor<S> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, DiskError> {
        let count = self.cache.borrow_mut().write(self.position, bytes).map_err(DiskError)?;
        self.position += count as u64;
        Ok(count)
    }

    /// What is written is flushed when the server says so.
    fn flush(&mut self) -> Result<(), DiskError> {
        Ok(())
    }
}

impl<S: Storage> Seek for Cursor<S> {
    fn seek(&mut self, to: SeekFrom) -> Result<u64, DiskError> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.cache.borrow().storage.bytes().checked_add_signed(by),
        };
        self.position = position.ok_or(DiskError(Error::BadArgument))?;
        Ok(self.position)
    }
}
