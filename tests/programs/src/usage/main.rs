//! A program that does what is counted: `test-usage SENDS PAGES` sends so many requests to its kernel, and touches so many
//! pages that it has never touched. It compares with that what its kernel says of it.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering};

use v::abi::Pid;
use v::abi::kernel::record::UsageRecord;
use v::abi::kernel::{STATISTICS, server, statistics};
use v::prelude::*;
use v::{Segment, call, env, process};

/// Fewer than are given more than one at a time.
const MOST_PAGES: usize = 100;

/// A page of its own.
#[repr(C, align(4096))]
struct Page(AtomicU64, [u64; 511]);

static PAGES: [Page; MOST_PAGES] = [const { Page(AtomicU64::new(0), [0; 511]) }; MOST_PAGES];

v_start::program!(main);

fn main() -> i32 {
    match run() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("test-usage: {error}");
            1
        }
    }
}

fn run() -> Result<(), String> {
    let mut numbers = env::arguments().skip(1).map(str::parse::<usize>);
    let (Some(Ok(sends)), Some(Ok(pages))) = (numbers.next(), numbers.next()) else {
        return Err("SENDS PAGES".into());
    };
    // The last page is touched beforehand, and once is sent: so all code that is needed is there.
    work(1, &PAGES[MOST_PAGES - 1..])?;
    let before = usage()?;
    work(sends, PAGES[..MOST_PAGES - 1].get(..pages).ok_or("too many pages")?)?;
    let after = usage()?;
    let did = (after.sent - before.sent, after.page_faults - before.page_faults);
    // One more asked for that.
    if did != (sends as u64 + 1, pages as u64) {
        return Err(format!("{did:?}, not {sends} and {pages}"));
    }
    Ok(())
}

fn work(sends: usize, pages: &[Page]) -> Result<(), String> {
    for _ in 0..sends {
        call(server(STATISTICS), &statistics::Null {}, Segment::None).map_err(|error| format!("{error}"))?;
    }
    for page in pages {
        page.0.store(1, Ordering::Relaxed);
    }
    Ok(())
}

fn usage() -> Result<UsageRecord, String> {
    process::query(Pid::NONE).map(|record| record.usage()).map_err(|error| format!("{error}"))
}
