//! The pages that files consist of: each one of the machine's, so that the kernel can map it as it lies here.
//!
//! Pages come in slabs, since one that stood alone would waste as much again for its alignment; the lowest that is free is
//! taken, so that a file that grows gets pages in a row, and slabs at the end become empty. A page that was lent may be
//! mapped by others for as long as they like: before it is used for anything else it is *discarded*, which leaves them the
//! one that it was. Invariant: memory that was lent and not discarded goes back to nobody.
//!
//! Frames come beyond the reserve or not at all. So do, by and large, those for what is small (names, nodes): whether there are
//! any is tried with a page kept for that. What is allocated between two tries comes out of the reserve at worst.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::num::NonZeroU32;

use abi::Error;
use io_server::System;

/// Bytes of a page.
pub const PAGE_BYTES: usize = abi::PAGE_BYTES as usize;

/// Which page of the pool, from 1 on: where there may be none, that takes no more room, and is looked at as fast.
pub type PageNumber = NonZeroU32;

/// Pages that are allocated at once.
const SLAB_PAGES: usize = 16;

/// So often is something small made before it is tried again whether there is memory: some kilobytes.
const MADE_UNTRIED: u32 = 64;

/// Pages in a row.
#[repr(align(4096))]
struct Pages([u8; SLAB_PAGES * PAGE_BYTES]);

const _: () = assert!(align_of::<Pages>() == PAGE_BYTES);

#[derive(Debug)]
struct Slab {
    /// One. A vector can say that there is no memory.
    pages: Vec<Pages>,
    used: usize,
    /// By page, a bit: it has only zeros.
    clean: u16,
    /// Likewise: it may have no frame, since it was discarded.
    absent: u16,
}

/// All pages.
#[derive(Debug, Default)]
pub struct Pool {
    slabs: Vec<Option<Slab>>,
    free: BinaryHeap<Reverse<PageNumber>>,
    /// Pages that were lent when their file had no more use for them.
    lent: Vec<PageNumber>,
    /// The one by which it is tried whether there are frames.
    tried: Option<PageNumber>,
    /// How often something small may be made before that is tried again.
    untried: u32,
}

impl Pool {
    /// No pages.
    pub const fn new() -> Pool {
        Pool { slabs: Vec::new(), free: BinaryHeap::new(), lent: Vec::new(), tried: None, untried: 0 }
    }

    /// A page of zeros.
    pub fn take(&mut self, system: &mut dyn System) -> Result<PageNumber, Error> {
        if self.free.is_empty() {
            self.discard_lent(system);
        }
        if self.free.is_empty() {
            self.grow(system)?;
        }
        let &Reverse(number) = self.free.peek().ok_or(Error::NoSpace)?;
        let (slab, bit) = self.slab_of(number).ok_or(Error::NoSpace)?;
        if slab.absent & bit != 0 {
            let address = slab.page_mut(number).as_ptr().addr();
            system.make_present(address, 1).map_err(|_| Error::NoSpace)?;
            slab.absent &= !bit;
        }
        slab.used += 1;
        if slab.clean & bit == 0 {
            slab.page_mut(number).fill(0);
        }
        slab.clean &= !bit;
        self.free.pop();
        Ok(number)
    }

    /// Refuses where there is no memory for something small more.
    pub fn check_memory(&mut self, system: &mut dyn System) -> Result<(), Error> {
        if self.untried == 0 {
            let number = self.tried.map_or_else(|| self.take(system), Ok)?;
            self.tried = Some(number);
            let page = self.page_mut(number);
            // Without a frame now, it gets one as anything new does.
            system.discard(page).map_err(|_| Error::NoSpace)?;
            system.make_present(page.as_ptr().addr(), 1).map_err(|_| Error::NoSpace)?;
            self.untried = MADE_UNTRIED;
        }
        self.untried -= 1;
        Ok(())
    }

    /// Takes a page back.
    pub fn give_back(&mut self, number: PageNumber, was_lent: bool) {
        if let Some((slab, _)) = self.slab_of(number) {
            slab.used -= 1;
            if was_lent {
                self.lent.push(number);
            } else {
                self.free.push(Reverse(number));
            }
        }
    }

    /// Gives memory that is not needed back.
    pub fn trim(&mut self, system: &mut dyn System) {
        self.discard_lent(system);
        let mut emptied = false;
        for (index, slot) in self.slabs.iter_mut().enumerate() {
            let has_lent = || self.lent.iter().any(|number| place(*number).0 == index);
            if slot.as_ref().is_some_and(|slab| slab.used == 0) && !has_lent() {
                *slot = None;
                emptied = true;
            }
        }
        if emptied {
            self.free.retain(|Reverse(number)| self.slabs[place(*number).0].is_some());
            while let Some(None) = self.slabs.last() {
                self.slabs.pop();
            }
        }
    }

    /// A page.
    #[inline]
    pub fn page(&self, number: PageNumber) -> &[u8] {
        self.pages(number, 1)
    }

    /// A page, to be changed.
    pub fn page_mut(&mut self, number: PageNumber) -> &mut [u8] {
        match self.slab_of(number) {
            Some((slab, _)) => slab.page_mut(number),
            None => &mut [],
        }
    }

    /// As many of `count` pages in a row, from `number` on, as are in its slab.
    #[inline]
    pub fn pages(&self, number: PageNumber, count: usize) -> &[u8] {
        let (slab, first) = place(number);
        let end = (first + count).min(SLAB_PAGES);
        match self.slabs.get(slab) {
            Some(Some(slab)) => &slab.pages[0].0[first * PAGE_BYTES..end * PAGE_BYTES],
            _ => &[],
        }
    }

    #[expect(clippy::large_stack_arrays, reason = "the stack has room for a slab")]
    fn grow(&mut self, system: &mut dyn System) -> Result<(), Error> {
        let mut pages: Vec<Pages> = Vec::new();
        pages.try_reserve_exact(1).map_err(|_| Error::NoSpace)?;
        // Only then may it be written.
        system.make_present(pages.as_ptr().addr(), SLAB_PAGES as u32).map_err(|_| Error::NoSpace)?;
        pages.push(Pages([0; SLAB_PAGES * PAGE_BYTES]));
        let slab = Slab { pages, used: 0, clean: u16::MAX, absent: 0 };
        let index = self.slabs.iter().position(Option::is_none).unwrap_or(self.slabs.len());
        self.free.try_reserve(SLAB_PAGES).map_err(|_| Error::NoSpace)?;
        if index == self.slabs.len() {
            self.slabs.try_reserve(1).map_err(|_| Error::NoSpace)?;
            self.slabs.push(None);
        }
        self.slabs[index] = Some(slab);
        self.free.extend((0..SLAB_PAGES).filter_map(|page| number(index, page)).map(Reverse));
        Ok(())
    }

    /// Makes free pages of those that were lent. One for which that fails stays what it is.
    fn discard_lent(&mut self, system: &mut dyn System) {
        let mut lent = core::mem::take(&mut self.lent);
        lent.retain(|number| {
            let Some((slab, bit)) = self.slab_of(*number) else { return false };
            if system.discard(slab.page_mut(*number)).is_err() {
                return true;
            }
            slab.clean |= bit;
            slab.absent |= bit;
            self.free.push(Reverse(*number));
            false
        });
        self.lent = lent;
    }

    fn slab_of(&mut self, number: PageNumber) -> Option<(&mut Slab, u16)> {
        let (slab, page) = place(number);
        Some((self.slabs.get_mut(slab)?.as_mut()?, 1 << page))
    }

    /// The page at an address, if a file has it.
    #[cfg(test)]
    pub fn find(&self, address: usize) -> Option<PageNumber> {
        let is_unused =
            |number| self.lent.contains(&number) || self.free.iter().any(|Reverse(free)| *free == number);
        (0..self.slabs.len() * SLAB_PAGES).filter_map(|page| number(0, page)).find(|number| {
            !is_unused(*number) && self.pages(*number, 1).as_ptr_range().start.addr() == address
        })
    }

    /// How many pages files have.
    #[cfg(test)]
    pub fn used(&self) -> usize {
        self.slabs.iter().flatten().map(|slab| slab.used).sum::<usize>() - usize::from(self.tried.is_some())
    }
}

impl Slab {
    fn page_mut(&mut self, number: PageNumber) -> &mut [u8] {
        let begin = place(number).1 * PAGE_BYTES;
        &mut self.pages[0].0[begin..begin + PAGE_BYTES]
    }
}

impl core::fmt::Debug for Pages {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("pages")
    }
}

/// Slab, and place in it.
const fn place(number: PageNumber) -> (usize, usize) {
    let index = number.get() as usize - 1;
    (index / SLAB_PAGES, index % SLAB_PAGES)
}

/// The page at a place that is counted from a slab's beginning.
fn number(slab: usize, page: usize) -> Option<PageNumber> {
    NonZeroU32::new((slab * SLAB_PAGES + page + 1) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use io_server::testing::{KernelPage, TestSystem};

    /// The page at a place that is counted from the first slab's beginning.
    fn at(page: usize) -> PageNumber {
        number(0, page).unwrap()
    }

    #[test]
    fn what_was_lent_is_used_again_only_when_it_was_discarded() {
        let mut system = TestSystem::new();
        let mut pool = Pool::new();
        let numbers: Vec<_> = (0..SLAB_PAGES).map(|_| pool.take(&mut system).unwrap()).collect();
        assert!(numbers.iter().copied().eq((0..SLAB_PAGES).map(at)));
        pool.page_mut(at(3))[7] = 9;
        let address = pool.page(at(3)).as_ptr().addr();
        let lent = KernelPage::Lent { address, access: abi::Access::READ };
        system.pages.insert((1, 0), lent.clone());
        pool.give_back(at(3), true);
        assert_eq!(system.pages[&(1, 0)], lent);
        assert_eq!(pool.take(&mut system), Ok(at(3)));
        assert!(pool.page(at(3)).iter().all(|byte| *byte == 0));
        assert!(matches!(&system.pages[&(1, 0)], KernelPage::Kept(page) if page[7] == 9));
    }

    #[test]
    fn without_frames_there_is_no_space_and_then_there_is_again() {
        let mut system = TestSystem::new();
        let mut pool = Pool::new();
        for exhausted in [true, false] {
            system.is_exhausted = exhausted;
            assert_eq!(pool.take(&mut system), if exhausted { Err(Error::NoSpace) } else { Ok(at(0)) });
        }
        system.is_exhausted = true;
        let numbers: Vec<_> = (1..SLAB_PAGES).map(|_| pool.take(&mut system).unwrap()).collect();
        assert!(numbers.iter().copied().eq((1..SLAB_PAGES).map(at)), "their frames are there");
        assert_eq!(pool.take(&mut system), Err(Error::NoSpace));
        // One that was discarded has none until it is taken.
        pool.give_back(at(3), true);
        assert_eq!(pool.take(&mut system), Err(Error::NoSpace));
        system.is_exhausted = false;
        assert_eq!((pool.take(&mut system), pool.used()), (Ok(at(3)), SLAB_PAGES));
    }

    #[test]
    fn pages_come_in_rows_and_slabs_go() {
        let mut system = TestSystem::new();
        let mut pool = Pool::new();
        for page in 0..2 * SLAB_PAGES {
            assert_eq!(pool.take(&mut system), Ok(at(page)));
        }
        assert_eq!(pool.pages(at(14), 9).len(), 2 * PAGE_BYTES);
        pool.page_mut(at(5)).fill(1);
        for page in 0..SLAB_PAGES {
            pool.give_back(at(page), page == 5);
        }
        pool.trim(&mut system);
        assert!(pool.slabs[0].is_none() && pool.free.is_empty() && pool.page(at(5)).is_empty());
        assert_eq!(pool.take(&mut system), Ok(at(0)));
        assert_eq!(pool.used(), SLAB_PAGES + 1);
    }
}
