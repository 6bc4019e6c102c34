//! Batches of one operation, and the line that reports them.

use abi::Error;
use alloc::string::String;
use v::prelude::*;

const BATCHES: usize = 5;

/// The processor's counter.
pub fn ticks() -> u64 {
    v::entry::time_stamp_counter()
}

/// Which rows are wanted, and their measuring.
pub struct Bench {
    /// One row, or all.
    pub only: Option<String>,
}

impl Bench {
    /// Whether a row is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == name)
    }

    /// Measures an operation, so many in a batch, and prints the row.
    pub fn row(
        &self,
        name: &str,
        operations: u32,
        operation: impl FnMut() -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.wants(name) {
            report(name, measure(operations, operation)?);
        }
        Ok(())
    }
}

/// Prints a row.
pub fn report(name: &str, instructions: u64) {
    println!("{name}\tinstructions\t{instructions}");
}

/// Ticks of one operation, in the cheapest of the batches.
pub fn measure(operations: u32, mut operation: impl FnMut() -> Result<(), Error>) -> Result<u64, Error> {
    // Warm up: pages become resident, tables grow.
    for _ in 0..4 {
        operation()?;
    }
    let mut best = u64::MAX;
    for _ in 0..BATCHES {
        let start = ticks();
        for _ in 0..operations {
            operation()?;
        }
        best = best.min((ticks() - start).div_ceil(u64::from(operations)));
    }
    Ok(best)
}
