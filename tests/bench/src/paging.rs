//! Pages of files: what a fault costs whose page a file server has, and how much of a large program is read.
//!
//! The large program is `touch-pages` with a segment more, of 10 MiB, behind its file's end.

use abi::kernel::record::StatisticsRecord;
use abi::kernel::{STATISTICS, server, statistics};
use abi::{Error, PAGE_BYTES};
use alloc::vec;
use v::file::{self, File};
use v::memory::{Mapping, map_file};
use v::message::{Segment, call};
use v::prelude::*;
use v::process::Command;

use crate::measure::Bench;

const SMALL: &str = "[tmp]bench-pages";
const SMALL_PAGES: usize = 160;
const LARGE: &str = "[tmp]bench-large";
/// The segment, and how much of it the program touches.
const SEGMENT_ADDRESS: u64 = 0x1000_0000;
const SEGMENT_BYTES: u64 = 10 << 20;
const TOUCHED_PAGES: u64 = 256;
const PIECE_BYTES: usize = 64 * 1024;

/// The rows about pages.
pub fn paging(bench: &Bench) -> Result<(), Error> {
    if bench.wants("page-touch-cached-file") {
        file::write(SMALL, vec![7; SMALL_PAGES * PAGE_BYTES as usize])?;
        let mapped = map_file(SMALL, Mapping::ReadOnly)?;
        let mut page = 0;
        bench.row("page-touch-cached-file", 30, || {
            page += 1;
            mapped.read_at((page - 1) * PAGE_BYTES as usize, &mut [0])
        })?;
        drop(mapped);
        file::remove(SMALL)?;
    }
    if bench.wants("page-fault-cached-file") {
        file::write(SMALL, vec![7; SMALL_PAGES * PAGE_BYTES as usize])?;
        let mapped = map_file(SMALL, Mapping::ReadOnly)?;
        // From the last on: what the server lends with a page is there already.
        let mut page = SMALL_PAGES;
        bench.row("page-fault-cached-file", 20, || {
            page -= 1;
            mapped.read_at(page * PAGE_BYTES as usize, &mut [0])
        })?;
        drop(mapped);
        file::remove(SMALL)?;
    }
    if bench.wants("program-10-mib-bytes-read") || bench.wants("program-10-mib-second-bytes-read") {
        make_large()?;
        for name in ["program-10-mib-bytes-read", "program-10-mib-second-bytes-read"] {
            let before = cached_bytes()?;
            let status = Command::new(LARGE)
                .args([SEGMENT_ADDRESS, TOUCHED_PAGES].map(|number| number.to_string()))
                .start()?
                .wait()?;
            let bytes = cached_bytes()?.saturating_sub(before);
            if !status.is_success() {
                return Err(Error::BadImage);
            }
            if bench.wants(name) {
                println!("{name}\tbytes\t{bytes}");
            }
        }
        file::remove(LARGE)?;
    }
    Ok(())
}

/// What the kernel has of files.
fn cached_bytes() -> Result<u64, Error> {
    let mut bytes = [0; StatisticsRecord::BYTES];
    call(server(STATISTICS), &statistics::QueryStatistics {}, Segment::Write(&mut bytes))?;
    Ok(StatisticsRecord::from_bytes(&bytes).cached_frames * PAGE_BYTES)
}

/// Writes the large program.
fn make_large() -> Result<(), Error> {
    const COUNT: usize = 56;
    const FIRST_HEADER: usize = 64;
    const HEADER_BYTES: usize = 56;
    const LOADED: u32 = 1;
    const READABLE: u32 = 4;
    let mut image = file::read("[bin]touch-pages")?;
    image.resize(image.len().next_multiple_of(PAGE_BYTES as usize), 0);
    let count = u16::from_le_bytes([image[COUNT], image[COUNT + 1]]);
    let at = FIRST_HEADER + usize::from(count) * HEADER_BYTES;
    let offset = image.len() as u64;
    let header = image.get_mut(at..at + HEADER_BYTES).ok_or(Error::BadImage)?;
    if header.iter().any(|byte| *byte != 0) {
        return Err(Error::BadImage);
    }
    header[..4].copy_from_slice(&LOADED.to_le_bytes());
    header[4..8].copy_from_slice(&READABLE.to_le_bytes());
    let numbers = [offset, SEGMENT_ADDRESS, SEGMENT_ADDRESS, SEGMENT_BYTES, SEGMENT_BYTES, PAGE_BYTES];
    for (place, number) in header[8..].chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    image[COUNT..COUNT + 2].copy_from_slice(&(count + 1).to_le_bytes());
    let large = File::create(LARGE)?;
    let mut position = 0;
    let piece = vec![1; PIECE_BYTES];
    while position < offset + SEGMENT_BYTES {
        let data = match image.get(position as usize..) {
            Some(rest @ [_, ..]) => rest,
            _ => &piece[..],
        };
        let rest = offset + SEGMENT_BYTES - position;
        position += large.write_at(position, &data[..data.len().min(rest as usize)])? as u64;
    }
    Ok(())
}
