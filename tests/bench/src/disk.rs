//! Files on a disk: written and made safe, read again, and read here and there. Linux does the same in `host/peer/disk.c`.
//!
//! Between the parts, which are runs of their own, the storage server forgets what it has in memory.

use alloc::boxed::Box;
use alloc::vec;

use abi::{Error, PAGE_BYTES};
use protocols::counting::{BEGIN, COUNTED, END, FIGURE};
use protocols::io::mode;
use v::entry::mark;
use v::file::File;
use v::prelude::*;
use v::time;

use crate::Page;

const FILE: &str = "[home]bench-file";
const FILE_MIB: u64 = 64;
const FILE_BYTES: u64 = FILE_MIB << 20;
const PIECE_BYTES: usize = 64 * 1024;
const RANDOM_READS: u64 = 1000;
const WARM_READS: u64 = 200;

/// Does one part, counted or timed.
pub fn measure(is_counted: bool, part: &str) -> Result<(), Error> {
    let phase = Phase { is_counted };
    match part {
        "write" => phase.run("disk-write", FILE_MIB, write),
        "read" => phase.run("disk-read", FILE_MIB, read),
        "random" => {
            phase.run("disk-read-random", RANDOM_READS, read_anywhere)?;
            read_again()?;
            phase.run("disk-read-warm", WARM_READS, read_again)
        }
        _ => Err(Error::BadArgument),
    }
}

struct Phase {
    is_counted: bool,
}

impl Phase {
    /// Has something counted, or timed: what one of its operations takes.
    fn run(
        &self,
        name: &str,
        operations: u64,
        work: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.is_counted {
            mark::<BEGIN>();
            work()?;
            mark::<END>();
            mark::<FIGURE>();
            println!("{name}\t{COUNTED}\t{operations}");
        } else {
            let start_ns = time::now_ns();
            work()?;
            let each_ns = (time::now_ns() - start_ns) / operations;
            println!("{name}-time\tus\t{}.{:03}", each_ns / 1000, each_ns % 1000);
        }
        Ok(())
    }
}

fn write() -> Result<(), Error> {
    let file = File::open_with(FILE, mode::WRITE | mode::CREATE | mode::TRUNCATE)?;
    let piece = vec![7; PIECE_BYTES];
    let mut at = 0;
    while at < FILE_BYTES {
        at += file.write_at(at, &piece)? as u64;
    }
    file.synchronize()
}

fn read() -> Result<(), Error> {
    let file = File::open(FILE)?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = 0;
    while at < FILE_BYTES {
        match file.read_at(at, &mut piece)? {
            0 => return Err(Error::EndOfFile),
            count => at += count as u64,
        }
    }
    if piece.iter().all(|byte| *byte == 7) { Ok(()) } else { Err(Error::Damaged) }
}

/// Pages in an order that is the same everywhere.
fn read_anywhere() -> Result<(), Error> {
    let file = File::open(FILE)?;
    let mut page = Box::new(Page([0; PAGE_BYTES as usize]));
    let mut state: u64 = 1;
    for _ in 0..RANDOM_READS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (state >> 33) % (FILE_BYTES / PAGE_BYTES) * PAGE_BYTES;
        whole(file.read_at(at, &mut page.0)?)?;
    }
    Ok(())
}

fn read_again() -> Result<(), Error> {
    let file = File::open(FILE)?;
    let mut page = Box::new(Page([0; PAGE_BYTES as usize]));
    for _ in 0..WARM_READS {
        whole(file.read_at(PAGE_BYTES, &mut page.0)?)?;
    }
    Ok(())
}

fn whole(count: usize) -> Result<(), Error> {
    if count as u64 == PAGE_BYTES { Ok(()) } else { Err(Error::EndOfFile) }
}
