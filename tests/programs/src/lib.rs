//! What the test programs share: checks with names and a report of them, and the order of servers.
//!
//! A check is a function that fails with a text. Each line of the report is `ok NAME` or `FAILED NAME: why`, the last
//! one says how many there were.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod order;

use alloc::string::String;

/// A check: all is well, or this is wrong.
pub type Check = fn() -> Result<(), String>;

/// Fails the check unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr) => {
        if !$condition {
            return Err(v::prelude::format!("line {}: not {}", line!(), stringify!($condition)));
        }
    };
}

/// Fails the check unless both values are equal.
#[macro_export]
macro_rules! ensure_equal {
    ($left:expr, $right:expr) => {
        match (&$left, &$right) {
            (left, right) if left == right => {}
            (left, right) => {
                return Err(v::prelude::format!(
                    "line {}: {} is {left:?}, not {right:?}",
                    line!(),
                    stringify!($left)
                ));
            }
        }
    };
}

/// The value, or the check fails and says what was attempted.
pub fn must<T, E: core::fmt::Display>(what: &str, outcome: Result<T, E>) -> Result<T, String> {
    outcome.map_err(|error| alloc::format!("{what}: {error}"))
}

/// Runs the checks whose names begin with one of `wanted`, all of them if that is empty; the exit status.
pub fn run(checks: &[(&str, Check)], wanted: &[&str]) -> i32 {
    let (mut good, mut bad) = (0, 0);
    for (name, check) in checks {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| name.starts_with(wanted)) {
            continue;
        }
        match check() {
            Ok(()) => {
                v::println!("ok {name}");
                good += 1;
            }
            Err(why) => {
                v::println!("FAILED {name}: {why}");
                bad += 1;
            }
        }
    }
    v::println!("{good} passed, {bad} failed");
    i32::from(bad > 0 || good == 0)
}

/// A small generator of numbers that look random; the same seed gives the same numbers.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() % end as u64) as usize
    }
}
