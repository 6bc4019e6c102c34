//! Touches pages of its own and ends: the program that `bench` makes a large one of, since what a large program's start reads
//! is to be measured, and not how large `bench` itself is.
//!
//! Usage: `touch-pages ADDRESS COUNT`, both decimal.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use v::prelude::*;

v_start::program!(main);

fn main() -> i32 {
    let mut numbers = v::env::arguments().skip(1).map(str::parse::<u64>);
    let (Some(Ok(address)), Some(Ok(count)), None) = (numbers.next(), numbers.next(), numbers.next()) else {
        eprintln!("touch-pages: usage: touch-pages ADDRESS COUNT");
        return 2;
    };
    match v::memory::fetch(v::Pid::NONE, address, u32::try_from(count).unwrap_or(u32::MAX)) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("touch-pages: {error}");
            1
        }
    }
}
