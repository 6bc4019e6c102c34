//! The content of a file that can be written: chunks of a page each, found by position without a search.
//!
//! A chunk that was never written is not there and reads as zeros, so growth costs nothing and no byte is ever moved
//! to make room. Invariant: what lies beyond the size is zero or not there, so that a file which grows again shows
//! zeros. No allocation happens on a read, and none may fail by ending the server.
//!
//! A chunk is a page of the [pool](crate::pool), and the kernel may map it as it is: a change here is seen there, and one
//! there here. What it wrote there beyond the size goes when the file grows. What the kernel has for an instance that is no
//! longer so, because a chunk came where none was or went, is revoked.

use alloc::vec::Vec;

use abi::Error;
use abi::page::MOST_LENT;
use io_server::{Incoming, System};

use crate::pool::{PAGE_BYTES, PageNumber, Pool};

/// Bytes of a chunk.
pub const CHUNK_BYTES: usize = PAGE_BYTES;
/// Largest size of a file; far beyond what fits memory, since holes cost nothing.
pub const MAX_SIZE: u64 = 1 << 46;

static ZEROS: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];

/// A file's bytes.
#[derive(Debug, Default)]
pub struct Content {
    /// Pages of the pool, as far as the last chunk that is there.
    chunks: Vec<Option<PageNumber>>,
    /// How many of them are there.
    present: usize,
    size: u64,
    /// Instances of whose pages the kernel may have some.
    paged: Vec<u32>,
    /// Whether it ever had some.
    lent: bool,
}

impl Content {
    /// No bytes.
    pub const fn new() -> Content {
        Content { chunks: Vec::new(), present: 0, size: 0, paged: Vec::new(), lent: false }
    }

    /// How long it is.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of memory that it takes.
    pub fn cost(&self) -> u64 {
        cost(self.present, self.chunks.len())
    }

    /// What lies at `position`, at most `room` bytes: as far as one chunk reaches. None at the end and beyond.
    #[inline]
    pub fn piece<'a>(&'a self, pool: &'a Pool, position: u64, room: usize) -> &'a [u8] {
        if position >= self.size {
            return &[];
        }
        let (index, begin) = place(position);
        let chunk = match self.chunks.get(index) {
            Some(Some(page)) => pool.pages(*page, 1),
            _ => &ZEROS,
        };
        let rest = usize::try_from(self.size - position).unwrap_or(usize::MAX);
        let end = begin.saturating_add(room.min(rest)).min(CHUNK_BYTES);
        &chunk[begin..end]
    }

    /// What [`cost`](Content::cost) will be when `bytes` bytes have been written at `position`.
    pub fn cost_after_write(&self, position: u64, bytes: usize) -> Result<u64, Error> {
        let end = position.checked_add(bytes as u64).filter(|end| *end <= MAX_SIZE);
        let end = end.ok_or(Error::NoSpace)?;
        let (first, last) = (place(position).0, place(end - 1).0);
        let there = self.chunks.get(first..).unwrap_or_default().iter().take(last - first + 1);
        let missing = last - first + 1 - there.filter(|chunk| chunk.is_some()).count();
        Ok(cost(self.present + missing, self.chunks.len().max(last + 1)))
    }

    /// Writes all of `data` at `position`. If that fails the size is as it was; what lies below it may have changed.
    pub fn write(
        &mut self,
        pool: &mut Pool,
        position: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<(), Error> {
        let old_size = self.size;
        if position + data.bytes() as u64 > old_size {
            self.clear_end(pool, system);
        }
        let mut done = 0;
        while done < data.bytes() {
            let at = position + done as u64;
            let (index, begin) = place(at);
            let count = (data.bytes() - done).min(CHUNK_BYTES - begin);
            let copied = self
                .chunk(pool, index, system)
                .and_then(|page| data.copy_to(done, &mut pool.page_mut(page)[begin..begin + count], system));
            if let Err(error) = copied {
                self.size = old_size;
                self.clear_beyond(pool, old_size, system);
                return Err(error);
            }
            done += count;
            self.size = self.size.max(at + count as u64);
        }
        Ok(())
    }

    /// Cuts, or extends with zeros; `size` is at most [`MAX_SIZE`].
    pub fn set_size(&mut self, pool: &mut Pool, size: u64, system: &mut dyn System) {
        if size < self.size {
            self.clear_beyond(pool, size, system);
        } else {
            self.clear_end(pool, system);
        }
        self.size = size;
    }

    /// Whether there is a chunk at `position`.
    pub fn is_present(&self, position: u64) -> bool {
        matches!(self.chunks.get(place(position).0), Some(Some(_)))
    }

    /// Makes the chunk at `position`.
    pub fn make_present(
        &mut self,
        pool: &mut Pool,
        position: u64,
        system: &mut dyn System,
    ) -> Result<(), Error> {
        self.chunk(pool, place(position).0, system).map(|_| ())
    }

    /// Takes note that the kernel gets pages of the content as those of an instance.
    pub fn note_instance(&mut self, instance: u32) -> Result<(), Error> {
        self.lent = true;
        self.paged.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.paged.push(instance);
        Ok(())
    }

    /// The chunk at `position` and those that follow in memory, if there are any, for the kernel.
    #[inline]
    pub fn lend<'a>(&self, pool: &'a Pool, position: u64) -> &'a [u8] {
        let (index, _) = place(position);
        let chunks = self.chunks.get(index..).unwrap_or_default();
        let Some(Some(first)) = chunks.first().copied() else { return &[] };
        let pages = pool.pages(first, MOST_LENT as usize);
        let chunks = &chunks[..chunks.len().min(pages.len() / CHUNK_BYTES)];
        let mut count = 1;
        while count < chunks.len() && chunks[count].map_or(0, PageNumber::get) == first.get() + count as u32 {
            count += 1;
        }
        &pages[..count * CHUNK_BYTES]
    }

    /// The instance is open no more.
    pub fn forget_instance(&mut self, instance: u32) {
        self.paged.retain(|other| *other != instance);
    }

    /// Gives all chunks back.
    pub fn clear(&mut self, pool: &mut Pool) {
        for page in self.chunks.drain(..).flatten() {
            pool.give_back(page, self.lent);
        }
    }

    /// Clears what the kernel may have written beyond the size, which is about to grow; and takes back the pages there, zeros
    /// that are nothing of the file's, so that what is written in them from now on is.
    fn clear_end(&mut self, pool: &mut Pool, system: &mut dyn System) {
        let (index, begin) = place(self.size);
        if let Some(Some(page)) = self.chunks.get(index)
            && self.lent
        {
            pool.page_mut(*page)[begin..].fill(0);
        }
        self.revoke(if begin == 0 { index } else { index + 1 }, u32::MAX, system);
    }

    /// Takes away every chunk beyond `size` and clears the rest of the one in which it lies.
    fn clear_beyond(&mut self, pool: &mut Pool, size: u64, system: &mut dyn System) {
        let (index, begin) = place(size);
        if let Some(Some(page)) = self.chunks.get(index) {
            pool.page_mut(*page)[begin..].fill(0);
        }
        let kept = if begin == 0 { index } else { index + 1 };
        self.revoke(kept, u32::MAX, system);
        for page in self.chunks.drain(kept.min(self.chunks.len())..).flatten() {
            pool.give_back(page, self.lent);
            self.present -= 1;
        }
        while let Some(None) = self.chunks.last() {
            self.chunks.pop();
        }
        if self.chunks.capacity() > 4 * self.chunks.len() {
            self.chunks.shrink_to_fit();
        }
    }

    /// What the kernel has of chunks, for whatever instance, is out of date.
    fn revoke(&self, first: usize, count: u32, system: &mut dyn System) {
        for instance in &self.paged {
            // It is an error only if there can be no such page.
            let _ = system.revoke(*instance, (first * CHUNK_BYTES) as u64, count);
        }
    }

    /// The chunk at `index`, made if it is not there.
    fn chunk(&mut self, pool: &mut Pool, index: usize, system: &mut dyn System) -> Result<PageNumber, Error> {
        if index >= self.chunks.len() {
            let more = index + 1 - self.chunks.len();
            self.chunks.try_reserve(more).map_err(|_| Error::NoMemory)?;
            self.chunks.resize(index + 1, None);
        }
        if let Some(page) = self.chunks[index] {
            return Ok(page);
        }
        let page = pool.take(system)?;
        self.chunks[index] = Some(page);
        self.present += 1;
        self.revoke(index, 1, system);
        Ok(page)
    }
}

/// Chunk and place in it of a position.
#[inline]
const fn place(position: u64) -> (usize, usize) {
    let chunk_bytes = CHUNK_BYTES as u64;
    ((position / chunk_bytes) as usize, (position % chunk_bytes) as usize)
}

const fn cost(present: usize, slots: usize) -> u64 {
    (present * CHUNK_BYTES + slots * size_of::<Option<PageNumber>>()) as u64
}
