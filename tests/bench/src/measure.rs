//! Batches of one operation, and the line that reports them.

use abi::Error;
use v::prelude::*;

const BATCHES: usize = 5;

/// The processor's counter.
pub fn ticks() -> u64 {
    v::entry::time_stamp_counter()
}

/// An operation to measure.
pub struct Row {
    name: &'static str,
    operations: u32,
}

impl Row {
    /// So many operations in a batch.
    pub fn new(name: &'static str, operations: u32) -> Row {
        Row { name, operations }
    }

    /// Ticks of one operation, in the cheapest of the batches.
    pub fn measure(&self, mut operation: impl FnMut() -> Result<(), Error>) -> Result<u64, Error> {
        let mut best = u64::MAX;
        for batch in 0..=BATCHES {
            // The first batch warms up: pages become resident, tables grow.
            let operations = if batch == 0 {
                self.operations.min(4)
            } else {
                self.operations / BATCHES as u32
            };
            let start = ticks();
            for _ in 0..operations {
                operation()?;
            }
            let mean = (ticks() - start).div_ceil(u64::from(operations));
            if batch > 0 {
                best = best.min(mean);
            }
        }
        Ok(best)
    }

    /// Measures and prints.
    pub fn report(&self, operation: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
        let ticks = self.measure(operation)?;
        println!("{}\tinstructions\t{ticks}", self.name);
        Ok(())
    }
}
