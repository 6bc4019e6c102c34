//! The pieces of files that are in memory.
//!
//! They belong to a *content*: of a server, what a file's bytes are by a number that no other content of it has. So a piece
//! never changes, and whether it may still be shown is not asked here. Each is in a *frame*, which begins with a page, so that
//! no copy of a page touches two. When all frames are used a hand goes round them: a piece that was used since it last came
//! by stays. Frames come beyond the system's reserve of memory or not at all.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use abi::{PAGE_BYTES, Pid};
use io_server::{System, Table};
use protocols::cache::PIECE_BYTES;

/// Contents of which anything is kept.
const MOST_CONTENTS: usize = 4096;
/// Frames that are allocated at once.
const SLAB_FRAMES: usize = 4;
const SLAB_BYTES: usize = SLAB_FRAMES * PIECE_BYTES;

/// Which content of which server.
pub type ContentName = (Pid, u32);
/// Which frame.
pub type FrameNumber = u32;

/// Frames in a row.
#[repr(align(4096))]
struct Frames([u8; SLAB_BYTES]);

const _: () = assert!(align_of::<Frames>() == PAGE_BYTES as usize);

/// What is in a frame.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Of which content, and the how-manieth of it.
    content: u32,
    at: u64,
    bytes: usize,
    was_used: bool,
}

#[derive(Debug)]
struct Content {
    name: ContentName,
    size: u64,
    pieces: BTreeMap<u64, FrameNumber>,
}

/// See the module.
pub struct Store {
    contents: Table<Content>,
    numbers: BTreeMap<ContentName, u32>,
    /// By frame.
    pieces: Vec<Option<Piece>>,
    /// Each a vector of one: that can say that there is no memory.
    slabs: Vec<Vec<Frames>>,
    most_frames: usize,
    hand: usize,
}

impl Store {
    /// Empty, for so many bytes.
    pub fn new(most_bytes: usize) -> Store {
        Store {
            contents: Table::new(MOST_CONTENTS),
            numbers: BTreeMap::new(),
            pieces: Vec::new(),
            slabs: Vec::new(),
            most_frames: most_bytes / PIECE_BYTES,
            hand: 0,
        }
    }

    /// The number here of a content, which is entered with its size if it is not known. None if there are too many.
    pub fn enter(&mut self, name: ContentName, size: u64) -> Option<u32> {
        if let Some(number) = self.numbers.get(&name) {
            return Some(*number);
        }
        if self.contents.room() == 0 {
            self.remove_empty();
        }
        let content = Content { name, size, pieces: BTreeMap::new() };
        let number = self.contents.insert(content).ok()?;
        self.numbers.insert(name, number);
        Some(number)
    }

    /// In which frame a position of a content is, and how many bytes of it from there on, at most `room`: none behind the
    /// end. Nothing if that is not in memory. `likely` is the frame of the read before.
    #[inline]
    pub fn find(
        &mut self,
        number: u32,
        position: u64,
        room: usize,
        likely: FrameNumber,
    ) -> Option<(FrameNumber, usize)> {
        let (at, offset) = (position / PIECE_BYTES as u64, (position % PIECE_BYTES as u64) as usize);
        let is_it = |piece: &Piece| piece.content == number && piece.at == at;
        let frame = match self.pieces.get(likely as usize) {
            Some(Some(piece)) if is_it(piece) => likely,
            _ => {
                let content = self.contents.get(number)?;
                if position >= content.size {
                    return Some((0, 0));
                }
                *content.pieces.get(&at)?
            }
        };
        let piece = self.pieces.get_mut(frame as usize)?.as_mut()?;
        piece.was_used = true;
        Some((frame, piece.bytes.saturating_sub(offset).min(room)))
    }

    /// So many bytes of a frame, from where a position is in it.
    #[inline]
    pub fn bytes(&self, frame: FrameNumber, position: u64, count: usize) -> &[u8] {
        let (slab, begin) = place(frame);
        let begin = begin + (position % PIECE_BYTES as u64) as usize;
        self.slabs.get(slab).and_then(|slab| slab[0].0.get(begin..begin + count)).unwrap_or_default()
    }

    /// How many bytes the piece has that a position is in; none if the content is not known.
    pub fn piece_bytes(&self, number: u32, position: u64) -> Option<usize> {
        let start = position / PIECE_BYTES as u64 * PIECE_BYTES as u64;
        let size = self.contents.get(number)?.size;
        Some(size.saturating_sub(start).min(PIECE_BYTES as u64) as usize)
    }

    /// Whether a content has that piece, the how-manieth of it, and it is not in memory.
    pub fn lacks(&self, number: u32, at: u64) -> bool {
        let Some(content) = self.contents.get(number) else { return false };
        at < content.size.div_ceil(PIECE_BYTES as u64) && !content.pieces.contains_key(&at)
    }

    /// Takes in a piece, as long as it has to be. False if it cannot.
    pub fn put(&mut self, number: u32, position: u64, bytes: &[u8], system: &mut dyn System) -> bool {
        if Some(bytes.len()) != self.piece_bytes(number, position) || bytes.is_empty() {
            return false;
        }
        let at = position / PIECE_BYTES as u64;
        let known = self.contents.get(number).and_then(|content| content.pieces.get(&at).copied());
        let Some(frame) = known.or_else(|| self.free_frame(system)) else { return false };
        let Some(content) = self.contents.get_mut(number) else { return false };
        content.pieces.insert(at, frame);
        self.pieces[frame as usize] =
            Some(Piece { content: number, at, bytes: bytes.len(), was_used: false });
        let (slab, begin) = place(frame);
        self.slabs[slab][0].0[begin..begin + bytes.len()].copy_from_slice(bytes);
        true
    }

    /// A frame with nothing in it: a new one, or one of which a piece was given up.
    fn free_frame(&mut self, system: &mut dyn System) -> Option<FrameNumber> {
        if let Some(free) = self.pieces.iter().position(Option::is_none) {
            return Some(free as FrameNumber);
        }
        let first = self.pieces.len();
        if first < self.most_frames && self.grow(system).is_some() {
            return Some(first as FrameNumber);
        }
        // After one round nothing was used.
        for _ in 0..2 * first {
            let frame = self.hand;
            self.hand = (frame + 1) % first;
            match &mut self.pieces[frame] {
                Some(piece) if piece.was_used => piece.was_used = false,
                _ => {
                    self.empty(frame);
                    return Some(frame as FrameNumber);
                }
            }
        }
        None
    }

    #[expect(clippy::large_stack_arrays, reason = "the stack has room for a slab")]
    fn grow(&mut self, system: &mut dyn System) -> Option<()> {
        let mut frames: Vec<Frames> = Vec::new();
        frames.try_reserve_exact(1).ok()?;
        // Only then may it be written.
        let pages = SLAB_BYTES as u64 / PAGE_BYTES;
        system.make_present(frames.as_ptr().addr(), pages as u32).ok()?;
        frames.push(Frames([0; SLAB_BYTES]));
        self.slabs.push(frames);
        self.pieces.resize(self.pieces.len() + SLAB_FRAMES, None);
        Some(())
    }

    /// Gives up what is in a frame.
    fn empty(&mut self, frame: usize) {
        if let Some(piece) = self.pieces[frame].take()
            && let Some(content) = self.contents.get_mut(piece.content)
        {
            content.pieces.remove(&piece.at);
        }
    }

    /// Forgets contents of which nothing is in memory.
    fn remove_empty(&mut self) {
        let contents = &mut self.contents;
        self.numbers.retain(|_, number| {
            let is_empty = contents.get(*number).is_none_or(|content| content.pieces.is_empty());
            if is_empty {
                contents.remove(*number);
            }
            !is_empty
        });
    }

    /// Forgets all contents of a server. Memory goes when nothing is in it any more.
    pub fn remove_server(&mut self, server: Pid) {
        for frame in 0..self.pieces.len() {
            let content = self.pieces[frame].and_then(|piece| self.contents.get(piece.content));
            if content.is_some_and(|content| content.name.0 == server) {
                self.empty(frame);
            }
        }
        self.remove_empty();
        if self.pieces.iter().all(Option::is_none) {
            self.pieces = Vec::new();
            self.slabs = Vec::new();
            self.hand = 0;
        }
    }
}

impl core::fmt::Debug for Store {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Store")
            .field("contents", &self.contents)
            .field("pieces", &self.pieces)
            .finish_non_exhaustive()
    }
}

/// Slab, and where in it a frame begins.
const fn place(frame: FrameNumber) -> (usize, usize) {
    (frame as usize / SLAB_FRAMES, frame as usize % SLAB_FRAMES * PIECE_BYTES)
}
