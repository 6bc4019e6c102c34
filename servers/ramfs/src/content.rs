//! The content of a file that can be written: chunks of a page each, found by position without a search.
//!
//! A chunk that was never written is not there and reads as zeros, so growth costs nothing and no byte is ever moved
//! to make room. Invariant: what lies beyond the size is zero or not there, so that a file which grows again shows
//! zeros. No allocation happens on a read, and none may fail by ending the server.

use alloc::boxed::Box;
use alloc::vec::Vec;

use abi::Error;
use io_server::{Incoming, System};

/// Bytes of a chunk.
pub const CHUNK_BYTES: usize = 4096;
/// Largest size of a file; far beyond what fits memory, since holes cost nothing.
pub const MAX_SIZE: u64 = 1 << 46;

type Chunk = Box<[u8; CHUNK_BYTES]>;

static ZEROS: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];

/// A file's bytes.
#[derive(Debug, Default)]
pub struct Content {
    /// As far as the last chunk that is there.
    chunks: Vec<Option<Chunk>>,
    /// How many of them are there.
    present: usize,
    size: u64,
}

impl Content {
    /// No bytes.
    pub const fn new() -> Content {
        Content { chunks: Vec::new(), present: 0, size: 0 }
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
    pub fn piece(&self, position: u64, room: usize) -> &[u8] {
        if position >= self.size {
            return &[];
        }
        let (index, begin) = place(position);
        let chunk: &[u8; CHUNK_BYTES] = match self.chunks.get(index) {
            Some(Some(chunk)) => chunk,
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
        position: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<(), Error> {
        let old_size = self.size;
        let mut done = 0;
        while done < data.bytes() {
            let at = position + done as u64;
            let (index, begin) = place(at);
            let count = (data.bytes() - done).min(CHUNK_BYTES - begin);
            let copied = self
                .chunk(index)
                .and_then(|chunk| data.copy_to(done, &mut chunk[begin..begin + count], system));
            if let Err(error) = copied {
                self.size = old_size;
                self.clear_beyond(old_size);
                return Err(error);
            }
            done += count;
            self.size = self.size.max(at + count as u64);
        }
        Ok(())
    }

    /// Cuts, or extends with zeros; `size` is at most [`MAX_SIZE`].
    pub fn set_size(&mut self, size: u64) {
        if size < self.size {
            self.clear_beyond(size);
        }
        self.size = size;
    }

    /// Takes away every chunk beyond `size` and clears the rest of the one in which it lies.
    fn clear_beyond(&mut self, size: u64) {
        let (index, begin) = place(size);
        if let Some(Some(chunk)) = self.chunks.get_mut(index) {
            chunk[begin..].fill(0);
        }
        let kept = if begin == 0 { index } else { index + 1 };
        let gone = self.chunks.drain(kept.min(self.chunks.len())..);
        self.present -= gone.flatten().count();
        while let Some(None) = self.chunks.last() {
            self.chunks.pop();
        }
        if self.chunks.capacity() > 4 * self.chunks.len() {
            self.chunks.shrink_to_fit();
        }
    }

    /// The chunk at `index`, made if it is not there.
    fn chunk(&mut self, index: usize) -> Result<&mut [u8; CHUNK_BYTES], Error> {
        if index >= self.chunks.len() {
            let more = index + 1 - self.chunks.len();
            self.chunks.try_reserve(more).map_err(|_| Error::NoMemory)?;
            self.chunks.resize_with(index + 1, || None);
        }
        let slot = &mut self.chunks[index];
        if slot.is_none() {
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(CHUNK_BYTES).map_err(|_| Error::NoMemory)?;
            bytes.resize(CHUNK_BYTES, 0);
            *slot = Some(Chunk::try_from(bytes).map_err(|_| Error::NoMemory)?);
            self.present += 1;
        }
        slot.as_deref_mut().ok_or(Error::NoMemory)
    }
}

/// Chunk and place in it of a position.
#[inline]
const fn place(position: u64) -> (usize, usize) {
    let chunk_bytes = CHUNK_BYTES as u64;
    ((position / chunk_bytes) as usize, (position % chunk_bytes) as usize)
}

const fn cost(present: usize, slots: usize) -> u64 {
    (present * CHUNK_BYTES + slots * size_of::<Option<Chunk>>()) as u64
}
