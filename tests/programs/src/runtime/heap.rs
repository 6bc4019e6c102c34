//! The heap and whole pages.

use test_programs::{Random, ensure, must};
use v::memory::{self, PAGE_BYTES, Pages};
use v::prelude::*;

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
