//! The heap and whole pages.

use test_programs::{Random, ensure, ensure_equal, must};
use v::file::{self, File};
use v::memory::{self, PAGE_BYTES, Pages, protection};
use v::prelude::*;
use v::protocols::io::mode;
use v::time;

/// Many pieces of many sizes, each full of its own number.
pub fn heap() -> Result<(), String> {
    let mut random = Random(7);
    let mut pieces: Vec<(u8, Vec<u8>)> = Vec::new();
    for round in 0..4000u32 {
        if pieces.len() < 64 || random.below(2) == 0 {
            let bits = random.below(15);
            let mark = round as u8;
            pieces.push((mark, vec![mark; random.below(1 << bits) + 1]));
        } else {
            let at = random.below(pieces.len());
            let (mark, mut piece) = pieces.swap_remove(at);
            ensure!(piece.iter().all(|byte| *byte == mark));
            if random.below(2) == 0 {
                // Grows, perhaps where it is.
                piece.resize(piece.len() * 2, mark);
                pieces.push((mark, piece));
            }
        }
    }
    ensure!(pieces.iter().all(|(mark, piece)| piece.iter().all(|byte| byte == mark)));
    Ok(())
}

fn used_pages() -> Result<u32, String> {
    Ok(must("query", memory::query_team(Pid::NONE))?.used_pages)
}

pub fn gives_back() -> Result<(), String> {
    const BYTES: usize = 8 << 20;
    let before = used_pages()?;
    let large = core::hint::black_box(vec![1u8; BYTES]);
    let during = used_pages()?;
    // Some of it may have lain in the heap already.
    ensure!(u64::from(during) + 256 >= u64::from(before) + BYTES as u64 / PAGE_BYTES);
    drop(large);
    // Less than a mebibyte stays.
    ensure!(used_pages()? < before + 256);
    Ok(())
}

pub fn pages() -> Result<(), String> {
    let before = used_pages()?;
    let mut pages = must("new", Pages::new(3 * PAGE_BYTES as usize - 1))?;
    ensure!(pages.len() == 3 * PAGE_BYTES as usize);
    ensure!(pages.iter().all(|byte| *byte == 0));
    pages.fill(9);
    let (region, _) = must("query", memory::query_region(Pid::NONE, pages.address()))?;
    ensure!((region.address, region.pages, region.resident) == (pages.address(), 3, 3));
    drop(pages);
    // Page tables may stay.
    ensure!(used_pages()? <= before + 3);
    ensure!(Pages::new(usize::MAX / 2).is_err());
    Ok(())
}

/// How soon a guest is moved that waits for it.
const MOVED_WITHIN_NS: u64 = 60_000_000_000;

/// Megabytes that are filled from their beginning to their end, so that the kernel may use large pages, and of which pieces are
/// then given back, closed to writing, sent, and written by a server. A guest goes on with it until it has been moved.
pub fn large() -> Result<(), String> {
    const PAGE: usize = PAGE_BYTES as usize;
    const PAGES: usize = 7 << 20 >> 12;
    const NAME: &str = "[tmp]test-runtime-large";
    let mut pages = must("new", Pages::new(PAGES * PAGE))?;
    let begin = pages.address();
    let address = |page: usize| begin + (page * PAGE) as u64;
    let file = must("open", File::open_with(NAME, mode::READ | mode::WRITE | mode::CREATE))?;
    let mut expected = vec![0u64; PAGES];
    let mut random = Random(3);
    let is_guest = must("own pid", v::process::own_pid())?.is_guest();
    // What the name lies in is the other node's, later.
    let (node, deadline_ns) = (v::node::name().to_string(), time::now_ns() + MOVED_WITHIN_NS);
    let has_moved = || !is_guest || v::node::name() != node;
    let mut round = 0_u64;
    while round < 1500 || !has_moved() {
        ensure!(round < 1500 || time::now_ns() < deadline_ns);
        let (first, some) = (random.below(PAGES), random.below(15) + 1);
        let end = (first + some).min(PAGES);
        match random.below(8) {
            // All of it, or much.
            _ if round.is_multiple_of(500) => set(&mut pages, &mut expected, 0..PAGES, round + 1),
            0 => set(&mut pages, &mut expected, first..PAGES, round),
            1 | 2 => set(&mut pages, &mut expected, first..end, round),
            3 => {
                let end = if random.below(4) == 0 { PAGES.min(first + 700) } else { end };
                must("discard", memory::discard(Pid::NONE, address(first), (end - first) as u32))?;
                expected[first..end].fill(0);
            }
            4 => {
                let protect =
                    |protection| memory::protect(Pid::NONE, address(first), (end - first) as u32, protection);
                must("protect", protect(protection::READ))?;
                check(&pages, &expected, first..end)?;
                must("protect", protect(protection::READ | protection::WRITE))?;
            }
            5 => {
                let to = random.below(PAGES - 16);
                let count = end - first;
                ensure_equal!(file.write_at(0, &pages[first * PAGE..end * PAGE]), Ok(count * PAGE));
                ensure_equal!(file.read_at(0, &mut pages[to * PAGE..(to + count) * PAGE]), Ok(count * PAGE));
                expected.copy_within(first..end, to);
            }
            _ => check(&pages, &expected, first..end)?,
        }
        round += 1;
    }
    check(&pages, &expected, 0..PAGES)?;
    must("remove", file::remove(NAME))
}

/// Has pages begin with a number, and end with it.
fn set(pages: &mut Pages, expected: &mut [u64], range: core::ops::Range<usize>, number: u64) {
    const PAGE: usize = PAGE_BYTES as usize;
    for page in range {
        for at in [page * PAGE, (page + 1) * PAGE - 8] {
            pages[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        expected[page] = number;
    }
}

fn check(pages: &Pages, expected: &[u64], range: core::ops::Range<usize>) -> Result<(), String> {
    const PAGE: usize = PAGE_BYTES as usize;
    for page in range {
        for at in [page * PAGE, (page + 1) * PAGE - 8] {
            ensure_equal!((page, &pages[at..at + 8]), (page, &expected[page].to_le_bytes()[..]));
        }
        ensure_equal!((page, pages[page * PAGE + 2000]), (page, 0));
    }
    Ok(())
}
