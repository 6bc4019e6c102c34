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
/// Rounds of which one must leave everything as it was.
const ROUNDS: u32 = 3;

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

/// Whether a round of `count` teams leaves everything exactly as it was before that round.
///
/// A server whose heap or stack reaches a new height keeps the page, once; that is why a further round may settle what
/// an earlier one did not. What is lost with each team is lost in every round, and shows in the last.
fn compare(count: usize) -> Result<bool, Error> {
    start(WARM_UP)?;
    let mut before = settled()?;
    for round in 1..=ROUNDS {
        start(count)?;
        let after = settled()?;
        if before == after {
            let [frames, processes, teams, regions] = after;
            println!(
                "{count} teams came and went; {frames} frames free, {processes} processes, {teams} teams, {regions} regions as before"
            );
            return Ok(true);
        }
        eprintln!(
            "many-teams: round {round}: before [frames, processes, teams, regions] {before:?}, after {after:?}"
        );
        before = after;
    }
    Ok(false)
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
