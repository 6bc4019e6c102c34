//! Batches of one operation, and the line that reports them.

use abi::Error;
use alloc::string::String;
use alloc::vec::Vec;
use protocols::counting::{BEGIN, COUNTED, END, FIGURE};
use v::entry::mark;
use v::prelude::*;
use v::time;

const BATCHES: usize = 5;
/// Operations before the first that counts: pages become resident, tables grow.
const WARMING: usize = 4;

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
    for _ in 0..WARMING {
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

/// Has an operation counted, so many in a batch, by whoever counts the instructions of all machines, and prints how
/// many there are in a batch.
pub fn counted(
    name: &str,
    operations: u32,
    mut operation: impl FnMut() -> Result<(), Error>,
) -> Result<(), Error> {
    for _ in 0..WARMING {
        operation()?;
    }
    count_batches(name, COUNTED, [BATCHES, operations as usize], operation)
}

/// Has batches of an operation counted, so many operations in each; what counts of a batch, `unit` says.
pub fn count_batches(
    name: &str,
    unit: &str,
    [batches, operations]: [usize; 2],
    mut operation: impl FnMut() -> Result<(), Error>,
) -> Result<(), Error> {
    for _ in 0..batches {
        mark::<BEGIN>();
        for _ in 0..operations {
            operation()?;
        }
        mark::<END>();
    }
    mark::<FIGURE>();
    println!("{name}\t{unit}\t{operations}");
    Ok(())
}

/// Durations of one operation, in nanoseconds.
#[derive(Default)]
pub struct Durations(Vec<u64>);

impl Durations {
    /// Takes the time of operations.
    pub fn take(
        &mut self,
        operations: u32,
        mut operation: impl FnMut() -> Result<(), Error>,
    ) -> Result<(), Error> {
        for _ in 0..operations {
            let start_ns = time::now_ns();
            operation()?;
            self.0.push(time::now_ns() - start_ns);
        }
        Ok(())
    }

    /// Adds one that was taken elsewhere.
    pub fn add_ns(&mut self, duration_ns: u64) {
        self.0.push(duration_ns);
    }

    /// The median.
    pub fn median_ns(&mut self) -> u64 {
        self.0.sort_unstable();
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }
}
