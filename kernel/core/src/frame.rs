//! Frames of physical memory: who has which, and which are free.
//!
//! A bitmap, one bit a frame, set where free. It covers the machine's memory from frame 0 to the last usable one
//! and is allocated once at boot. Contiguous runs, for DMA, are found by a scan; single frames by a hint.
//!
//! Memory for large pages is found in *blocks*, from the highest on, while single frames are taken from the lowest: nothing is
//! kept for a block that has been begun, and mostly the rest of it is still free.
//!
//! Some free frames are filled with zeros while nobody else needs the processor. They are set aside for who needs zeros,
//! and given to others when there are no more.

use alloc::vec::Vec;

/// A frame number: physical address divided by the page size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct Frame(pub u32);

impl Frame {
    /// Its physical address.
    pub const fn address(self) -> u64 {
        (self.0 as u64) * abi::PAGE_BYTES
    }

    /// The frame that holds a physical address below 2^44.
    pub const fn containing(address: u64) -> Frame {
        Frame((address / abi::PAGE_BYTES) as u32)
    }
}

/// Frames of a block, 2 MiB that may be one page.
pub const BLOCK_FRAMES: u32 = 512;
/// Blocks that are looked at for one that is free.
const BLOCKS_LOOKED_AT: usize = 64;
const WORDS_PER_BLOCK: usize = BLOCK_FRAMES as usize / 64;

/// Most frames that are filled with zeros beforehand.
const MOST_ZEROED: usize = 64;

/// The free frames.
pub struct Frames {
    free: Vec<u64>,
    /// Free frames that are filled with zeros, and so not in the bitmap.
    zeroed: Vec<Frame>,
    /// No word before this one has a free frame.
    first_word: usize,
    /// The block that is looked at next.
    block: usize,
    free_count: u32,
    total_count: u32,
}

impl Frames {
    /// Memory of `frame_count` frames, none of them free yet.
    pub fn new(frame_count: u32) -> Frames {
        Frames {
            free: alloc::vec![0; (frame_count as usize).div_ceil(64)],
            zeroed: Vec::with_capacity(MOST_ZEROED),
            first_word: 0,
            block: 0,
            free_count: 0,
            total_count: 0,
        }
    }

    /// Adds usable memory: frames `first` to `end - 1`, as far as the bitmap reaches.
    ///
    /// # Panics
    /// If one of them is free already.
    pub fn add(&mut self, first: Frame, end: Frame) {
        for number in first.0..end.0.min(self.end()) {
            self.release(Frame(number));
            self.total_count += 1;
        }
    }

    /// Behind the last frame that can be given.
    pub fn end(&self) -> u32 {
        self.free.len() as u32 * 64
    }

    /// How many are free.
    pub fn free_count(&self) -> u32 {
        self.free_count
    }

    /// How many were added.
    pub fn total_count(&self) -> u32 {
        self.total_count
    }

    /// Takes a free frame. Its content is whatever was there.
    #[inline]
    pub fn allocate(&mut self) -> Option<Frame> {
        self.allocate_listed().or_else(|| self.allocate_zeroed())
    }

    /// The same, if more than `kept` are free.
    #[inline]
    pub fn allocate_beyond(&mut self, kept: u32) -> Option<Frame> {
        if self.free_count > kept { self.allocate() } else { None }
    }

    /// Takes a free frame that is filled with zeros, if there is one.
    #[inline]
    pub fn allocate_zeroed(&mut self) -> Option<Frame> {
        let frame = self.zeroed.pop()?;
        self.free_count -= 1;
        Some(frame)
    }

    /// Takes a frame that is to be filled with zeros and set aside, if more are wanted. It remains free.
    #[inline]
    pub fn begin_zeroing(&mut self) -> Option<Frame> {
        if self.zeroed.len() == MOST_ZEROED {
            return None;
        }
        let frame = self.allocate_listed()?;
        self.free_count += 1;
        self.zeroed.push(frame);
        Some(frame)
    }

    #[inline]
    fn allocate_listed(&mut self) -> Option<Frame> {
        while let Some(word) = self.free.get_mut(self.first_word) {
            if *word != 0 {
                let bit = word.trailing_zeros();
                *word &= *word - 1;
                self.free_count -= 1;
                return Some(Frame(self.first_word as u32 * 64 + bit));
            }
            self.first_word += 1;
        }
        None
    }

    /// Takes `count` frames in a row below frame `limit`.
    pub fn allocate_contiguous(&mut self, count: u32, limit: Frame) -> Option<Frame> {
        // Those with zeros may be what is missing in a row.
        while let Some(frame) = self.allocate_zeroed() {
            self.release(frame);
        }
        let end = limit.0.min(self.free.len() as u32 * 64);
        let mut number = self.first_word as u32 * 64;
        let mut run = 0;
        while number < end && count > 0 {
            let word = self.free[number as usize / 64] >> (number % 64);
            if word & 1 == 0 {
                run = 0;
                number += word.trailing_zeros().min(64 - number % 64);
                continue;
            }
            let free = word.trailing_ones().min(end - number);
            run += free;
            number += free;
            if run >= count {
                let first = number - run;
                for taken in first..first + count {
                    self.free[taken as usize / 64] &= !(1 << (taken % 64));
                }
                self.free_count -= count;
                return Some(Frame(first));
            }
        }
        None
    }

    /// The first frame of a block that is all free, if one is soon found.
    pub fn find_block(&mut self) -> Option<Frame> {
        let (blocks, _) = self.free.as_chunks::<WORDS_PER_BLOCK>();
        for _ in 0..BLOCKS_LOOKED_AT.min(blocks.len()) {
            if blocks[self.block] == [u64::MAX; WORDS_PER_BLOCK] {
                return Some(Frame(self.block as u32 * BLOCK_FRAMES));
            }
            self.block = self.block.checked_sub(1).unwrap_or(blocks.len() - 1);
        }
        None
    }

    /// Takes `count` frames from `first` on, of one word of the bitmap. False if one of them is not free, or set aside.
    pub fn take_row(&mut self, first: Frame, count: u32) -> bool {
        let bits = ((1 << count) - 1) << (first.0 % 64);
        match self.free.get_mut(first.0 as usize / 64) {
            Some(word) if *word & bits == bits => *word &= !bits,
            _ => return false,
        }
        self.free_count -= count;
        true
    }

    /// Gives a frame back.
    ///
    /// # Panics
    /// If it is free already: a bug in the kernel, which must not go on.
    #[inline]
    pub fn release(&mut self, frame: Frame) {
        let word = frame.0 as usize / 64;
        let bit = 1 << (frame.0 % 64);
        assert!(self.free[word] & bit == 0, "frame {frame:?} released twice");
        self.free[word] |= bit;
        self.first_word = self.first_word.min(word);
        self.free_count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_is_given_once_and_comes_back() {
        let mut frames = Frames::new(200);
        frames.add(Frame(3), Frame(130));
        let taken: Vec<Frame> = core::iter::from_fn(|| frames.allocate()).collect();
        assert_eq!(taken, (3..130).map(Frame).collect::<Vec<_>>());
        assert_eq!(frames.free_count(), 0);
        for frame in taken {
            frames.release(frame);
        }
        assert_eq!((frames.free_count(), frames.total_count()), (127, 127));
    }

    #[test]
    fn frames_with_zeros_are_free_all_the_same() {
        let mut frames = Frames::new(200);
        frames.add(Frame(0), Frame(200));
        let mut zeroed = Vec::new();
        while let Some(frame) = frames.begin_zeroing() {
            zeroed.push(frame);
        }
        assert_eq!((zeroed.len(), frames.free_count()), (MOST_ZEROED, 200));
        let first = frames.allocate_zeroed().unwrap();
        assert!(zeroed.contains(&first));
        // All are given in the end, each once.
        let mut taken: Vec<Frame> = core::iter::from_fn(|| frames.allocate()).collect();
        taken.sort_unstable();
        taken.dedup();
        assert_eq!((taken.len(), frames.free_count()), (199, 0));
        for frame in taken.into_iter().chain([first]) {
            frames.release(frame);
        }
        frames.begin_zeroing().unwrap();
        assert!(frames.allocate_contiguous(200, Frame(200)).is_some(), "also in a row");
    }

    #[test]
    fn runs_skip_holes_and_respect_the_limit() {
        let mut frames = Frames::new(256);
        frames.add(Frame(0), Frame(62));
        frames.add(Frame(63), Frame(256));
        assert_eq!(frames.allocate_contiguous(100, Frame(120)), None);
        assert_eq!(frames.allocate_contiguous(100, Frame(256)), Some(Frame(63)));
        assert_eq!(frames.allocate_contiguous(0, Frame(256)), None);
        assert_eq!(frames.free_count(), 62 + 93);
    }

    #[test]
    fn runs_are_found_wherever_they_lie() {
        for first in 0..130 {
            for count in [1, 2, 63, 64, 65, 128] {
                let mut frames = Frames::new(320);
                // A run that is one frame too short comes first.
                frames.add(Frame(first.max(count) - count), Frame(first.max(1) - 1));
                frames.add(Frame(first), Frame(first + count));
                let enough = first + count;
                let found = frames.allocate_contiguous(count, Frame(enough)).expect("a run");
                assert!(found.0 + count <= enough, "{first} {count}");
                assert_eq!(frames.allocate_contiguous(count, Frame(enough)), None);
                for frame in found.0..found.0 + count {
                    frames.release(Frame(frame));
                }
                assert_eq!(frames.free_count(), frames.total_count());
            }
        }
    }

    #[test]
    fn blocks_are_free_altogether_and_are_taken_row_by_row() {
        let mut frames = Frames::new(3 * BLOCK_FRAMES + 100);
        frames.add(Frame(1), Frame(3 * BLOCK_FRAMES + 100));
        assert_eq!(frames.find_block(), Some(Frame(2 * BLOCK_FRAMES)));
        assert!(frames.take_row(Frame(2 * BLOCK_FRAMES + 16), 16));
        assert!(!frames.take_row(Frame(2 * BLOCK_FRAMES + 31), 2), "one of them is not free");
        assert!(frames.take_row(Frame(2 * BLOCK_FRAMES + 32), 1));
        assert_eq!(frames.free_count() + 17, frames.total_count());
        assert_eq!(frames.find_block(), Some(Frame(BLOCK_FRAMES)));
        // What is filled with zeros is set aside.
        frames.release(Frame(2 * BLOCK_FRAMES + 32));
        while frames.begin_zeroing().is_some() {}
        assert!(!frames.take_row(Frame(16), 16));
        assert!(frames.take_row(Frame(BLOCK_FRAMES + 496), 16));
        assert_eq!(frames.find_block(), None, "the first has no frame 0");
        for frame in
            (16..32).map(|frame| 2 * BLOCK_FRAMES + frame).chain(BLOCK_FRAMES + 496..2 * BLOCK_FRAMES)
        {
            frames.release(Frame(frame));
        }
        assert!(frames.find_block().is_some());
        assert_eq!(frames.free_count(), frames.total_count());
        assert!(!frames.take_row(Frame(1 << 20), 1), "beyond all");
        assert_eq!(Frames::new(100).find_block(), None);
    }

    #[test]
    #[should_panic(expected = "released twice")]
    fn a_second_release_is_a_bug() {
        let mut frames = Frames::new(64);
        frames.add(Frame(0), Frame(1));
        frames.release(Frame(0));
    }
}
