//! The bytes of a disk, as `lamfat` wants them, through a cache of pages: it reads and writes a few bytes at a time.
//!
//! What is written stays in memory until the [`flush`](Cache::flush), or until there is no room; then all of it is written, in
//! the order of the disk. A volume of others may have a chain of clusters that is a circle, so what one request may read is
//! bounded.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use abi::{Error, PAGE_BYTES};
use lamfat::{IoBase, IoError, Read, Seek, SeekFrom, Write};

const PAGE: usize = PAGE_BYTES as usize;
/// Pages that are kept.
const MOST_PAGES: usize = 512;
/// Pages that are read at once, and how many of them for who has read as many in a row.
const LEAST_AHEAD_PAGES: u64 = 16;
const MOST_AHEAD_PAGES: u64 = 128;
/// Pages that are written at once.
const WRITTEN_PAGES: usize = 64;
/// Reads that one request may make, beside one for each so many bytes of the disk.
const LEAST_READS: u64 = 1 << 20;
const BYTES_OF_A_READ: u64 = 512;

/// A disk or a partition, by bytes. Reads and writes are of whole blocks of the device.
pub trait Storage {
    /// Bytes that it has.
    fn bytes(&self) -> u64;
    /// Reads bytes from `position` on until `place` is full.
    fn read(&mut self, position: u64, place: &mut [u8]) -> Result<(), Error>;
    /// These bytes will be read soon. Who can do its part of that meanwhile may.
    fn expect(&mut self, position: u64, bytes: u64) {
        let _ = (position, bytes);
    }
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
    /// Where the pages ended that were read last, and how many were read in a row.
    read_end: u64,
    read_row: u64,
    /// Reads that the request may still make.
    reads_left: u64,
}

impl<S: Storage> Cache<S> {
    /// With nothing in memory.
    pub fn new(storage: S) -> Cache<S> {
        Cache { storage, pages: BTreeMap::new(), read_end: 0, read_row: 0, reads_left: 0 }
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

    /// Writes what was changed, in one piece what lies in a row.
    fn write_out(&mut self) -> Result<(), Error> {
        let dirty = |(number, page): (&u64, &Page)| page.is_dirty.then_some(*number);
        while let Some(first) = self.pages.iter().find_map(dirty) {
            let behind = (first..).zip(self.pages.range(first..)).take(WRITTEN_PAGES);
            let row: Vec<&[u8]> = behind
                .take_while(|(expected, (number, page))| expected == *number && page.is_dirty)
                .map(|(_, (_, page))| &*page.bytes)
                .collect();
            let end = first + row.len() as u64;
            self.storage.write(first * PAGE_BYTES, &row.concat())?;
            for (_, page) in self.pages.range_mut(first..end) {
                page.is_dirty = false;
            }
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

    /// Reads a page and some behind it: for who reads on, as many as were read so far.
    fn read_from(&mut self, number: u64) -> Result<(), Error> {
        if number != self.read_end {
            self.read_row = 0;
        }
        let count = self.read_row.clamp(LEAST_AHEAD_PAGES, MOST_AHEAD_PAGES);
        if self.pages.len() + count as usize > MOST_PAGES {
            self.write_out()?;
            self.pages.clear();
        }
        let begin = number * PAGE_BYTES;
        let end = self.storage.bytes().min(begin + count * PAGE_BYTES);
        if self.read_row > 0 && end < self.storage.bytes() {
            let next = (self.read_row + count).min(MOST_AHEAD_PAGES) * PAGE_BYTES;
            self.storage.expect(end, next.min(self.storage.bytes() - end));
        }
        let mut bytes = vec![0; (end - begin) as usize];
        self.storage.read(begin, &mut bytes)?;
        for (page, number) in bytes.chunks(PAGE).zip(number..) {
            self.pages.entry(number).or_insert_with(|| Page { bytes: page.into(), is_dirty: false });
        }
        (self.read_end, self.read_row) = (number + count, self.read_row + count);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Its bytes, and what it was asked for: positions and lengths in pages.
    #[derive(Default)]
    struct Recorder {
        bytes: Vec<u8>,
        reads: Vec<(u64, usize)>,
        writes: Vec<(u64, usize)>,
        expected: Vec<(u64, u64)>,
    }

    impl Storage for Recorder {
        fn bytes(&self) -> u64 {
            self.bytes.len() as u64
        }

        fn read(&mut self, position: u64, place: &mut [u8]) -> Result<(), Error> {
            self.reads.push((position / PAGE_BYTES, place.len() / PAGE));
            place.copy_from_slice(&self.bytes[position as usize..][..place.len()]);
            Ok(())
        }

        fn expect(&mut self, position: u64, bytes: u64) {
            self.expected.push((position / PAGE_BYTES, bytes / PAGE_BYTES));
        }

        fn write(&mut self, position: u64, bytes: &[u8]) -> Result<(), Error> {
            self.writes.push((position / PAGE_BYTES, bytes.len() / PAGE));
            self.bytes[position as usize..][..bytes.len()].copy_from_slice(bytes);
            Ok(())
        }

        fn flush(&mut self) -> Result<(), Error> {
            Ok(())
        }
    }

    fn cache(pages: usize) -> Cache<Recorder> {
        let mut cache = Cache::new(Recorder { bytes: vec![0; pages * PAGE], ..Recorder::default() });
        cache.begin();
        cache
    }

    #[test]
    fn what_lies_in_a_row_is_written_at_once() {
        let mut cache = cache(400);
        let changed = || (0..3).chain(5..6).chain(100..200);
        for page in changed() {
            cache.write(page * PAGE_BYTES + 7, &[page as u8]).unwrap();
        }
        cache.flush().unwrap();
        assert_eq!(cache.storage.writes, [(0, 3), (5, 1), (100, 64), (164, 36)]);
        assert!(!cache.is_dirty() && cache.storage.bytes[400 * PAGE - 1] == 0);
        assert!(changed().all(|page| cache.storage.bytes[page as usize * PAGE + 7] == page as u8));
        cache.flush().unwrap();
        assert_eq!(cache.storage.writes.len(), 4, "nothing was changed since");
    }

    #[test]
    fn who_reads_on_gets_more_and_more_at_once() {
        let mut cache = cache(300);
        let mut byte = [0];
        for page in 0..300 {
            assert_eq!(cache.read(page * PAGE_BYTES, &mut byte), Ok(1));
        }
        assert_eq!(cache.storage.reads, [(0, 16), (16, 16), (32, 32), (64, 64), (128, 128), (256, 44)]);
        assert_eq!(cache.storage.expected, [(32, 32), (64, 64), (128, 128), (256, 44)]);
        assert_eq!(cache.read(300 * PAGE_BYTES, &mut byte), Ok(0));
    }
}
