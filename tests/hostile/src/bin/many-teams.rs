//! Starts and ends many teams and compares the free memory and the kernel's tables before and after.
//!
//! `many-teams [COUNT]`, 1,000 unless told; `many-teams nothing` is what it starts.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use abi::Error;
use abi::kernel::record::StatisticsRecord;
use abi::kernel::{STATISTICS, server, statistics};
use alloc::string::String;
use alloc::vec::Vec;
use v::message::{Segment, call};
use v::prelude::*;
use v::process::Command;

v_start::program!(main);

/// Teams that are alive at once.
const TOGETHER: usize = 8;
/// Teams after which the servers have what they need.
const WARM_UP: usize = 300;

fn main() -> i32 {
    let words: Vec<String> = v::env::arguments().map(String::from).collect();
    let count = match words.get(1).map(String::as_str) {
        Some("nothing") => return 0,
        None => 1000,
        Some(word) => match word.parse() {
            Ok(count) => count,
            Err(_) => {
                eprintln!("many-teams: '{word}' is not a number");
                return 2;
            }
        },
    };
    match compare(count) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            eprintln!("many-teams: {error}");
            1
        }
    }
}

fn compare(count: usize) -> Result<bool, Error> {
    // The first ones make the servers' tables and caches grow to what they need.
    start(WARM_UP)?;
    let before = settled()?;
    start(count)?;
    let after = settled()?;
    let same = before == after;
    let [frames, processes, teams, regions] = before;
    if same {
        println!(
            "{count} teams came and went; {frames} frames free, {processes} processes, {teams} teams, {regions} regions as before"
        );
    } else {
        eprintln!("many-teams: before [frames, processes, teams, regions] {before:?}, after {after:?}");
    }
    Ok(same)
}

fn start(count: usize) -> Result<(), Error> {
    let mut left = count;
    while left > 0 {
        let now = left.min(TOGETHER);
        let mut children = Vec::new();
        for _ in 0..now {
            children.push(Command::new("many-teams").arg("nothing").start()?);
        }
        for mut child in children {
            if !child.wait()?.is_success() {
                return Err(Error::DiedBeforeReply);
            }
        }
        left -= now;
    }
    Ok(())
}

/// Free frames, processes, teams and regions once nothing is being torn down any more.
fn settled() -> Result<[u64; 4], Error> {
    let mut last = [0; 4];
    loop {
        v::time::sleep(core::time::Duration::from_millis(300))?;
        let mut buffer = [0; StatisticsRecord::BYTES];
        call(server(STATISTICS), &statistics::QueryStatistics {}, Segment::Write(&mut buffer))?;
        let record = StatisticsRecord::from_bytes(&buffer);
        let now = [record.free_frames, record.processes, record.teams, record.regions];
        if now == last {
            return Ok(now);
        }
        last = now;
    }
}
