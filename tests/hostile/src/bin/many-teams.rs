//! Starts and ends many teams and compares the free memory and the kernel's tables before and after.
//!
//! `many-teams [COUNT]`, 1,000 unless told; `many-teams nothing` is what it starts.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use abi::Error;
use alloc::string::String;
use alloc::vec::Vec;
use hostile::remains;
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
        Some(word) => {
            if let Ok(count) = word.parse() {
                count
            } else {
                eprintln!("many-teams: '{word}' is not a number");
                return 2;
            }
        }
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

/// Whether `count` teams leave nothing behind.
fn compare(count: usize) -> Result<bool, Error> {
    start(WARM_UP)?;
    let Some(remains) = remains::unchanged(|| start(count))? else {
        return Ok(false);
    };
    println!("{count} teams came and went; {remains} as before");
    Ok(true)
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
