//! Large pages of zeros: blocks of 2 MiB in a program's memory that are blocks of the machine's.
//!
//! Where a region of zeros has all of an aligned block, and that is touched from its beginning on, its pages get frames that
//! follow one another in a free block of memory. Who comes to the end of what is there gets some pages at once: it touches
//! these, too, most likely, and each that is touched by itself would be a fault. When the last is there the machine is told,
//! which may map the block as one page. A page that is touched without the one before it is given as any other is; what
//! others took meanwhile out of the block in memory ends it. So no frames are kept, none are given far ahead, and what is
//! done at a time is bounded, as everywhere.

use abi::PAGE_BYTES;
use abi::kernel::protection::{EXECUTE, WIRED};

use crate::frame::{BLOCK_FRAMES, Frame};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::memory::ZEROED_PAGES_PER_STEP;
use crate::region::Region;
use crate::team::TeamIndex;

const BLOCK_BYTES: u64 = BLOCK_FRAMES as u64 * PAGE_BYTES;

/// Of all frames, one in so many must be free for pages that nobody has asked for yet.
const FREE_PART: u32 = 8;

impl<M: Machine> Kernel<M> {
    /// Gives a page of a region of zeros, and some behind it, frames that may become a large page. False if it is to be given
    /// by itself.
    #[inline(never)]
    pub(crate) fn give_in_block(&mut self, team: TeamIndex, address: u64, region: &Region) -> bool {
        let block = address & !(BLOCK_BYTES - 1);
        let number = ((address - block) / PAGE_BYTES) as u32;
        let space = self.team(team).space;
        if block < region.start
            || region.end() - block < BLOCK_BYTES
            || region.protection & (WIRED | EXECUTE) != 0
            || self.frames.free_count() < self.frames.total_count() / FREE_PART
        {
            return false;
        }
        let before = self.machine.translate(space, address.wrapping_sub(PAGE_BYTES), 0);
        let first = match before {
            Some(Frame(before)) if number != 0 && (before + 1) % BLOCK_FRAMES == number => Some(before + 1),
            None if number != 0 => None,
            // Where a block is not large any more, the rest of it comes some pages at a time all the same.
            _ => self.frames.find_block().map(|Frame(first)| first + number),
        };
        let Some(first) = first else { return false };
        let group = ZEROED_PAGES_PER_STEP - number % ZEROED_PAGES_PER_STEP;
        let end = address + if before.is_some() { u64::from(group) * PAGE_BYTES } else { PAGE_BYTES };
        let pages = ((self.machine.next_mapped(space, address, end) - address) / PAGE_BYTES) as u32;
        let quota = self.team(team).pages;
        if pages == 0
            || quota.limit.saturating_sub(quota.used) < pages
            || !self.frames.take_row(Frame(first), pages)
        {
            return false;
        }
        (first..first + pages).for_each(|frame| self.machine.zero_frame(Frame(frame)));
        let protection = region.machine_protection();
        if self.map_page(team, address, Frame(first), protection).is_err() {
            (first..first + pages).for_each(|frame| self.frames.release(Frame(frame)));
            return false;
        }
        self.team_mut(team).pages.used += pages;
        let frame = |ahead| Some((Frame(first + 1 + ahead), protection));
        let ahead = self.machine.map_run(space, address + PAGE_BYTES, pages - 1, frame);
        debug_assert_eq!(ahead, pages - 1, "they were not there");
        if number + pages == BLOCK_FRAMES {
            self.machine.make_large(space, block);
        }
        true
    }
}
