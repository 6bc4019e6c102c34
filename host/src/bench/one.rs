//! What is measured on one node, by itself.

use std::io::{Cursor, sink};
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::figure::Figure;
use super::rows::{KERNEL_SIZE, SMALLEST_MEMORY};
use super::{MEMORY_MIB, options, run, size};
use crate::arguments::NodeOptions;
use crate::domain::Domain;
use crate::domain::plan::NoPlan;
use crate::exec::Exec;
use crate::guest::{Guest, checkout};
use crate::log::Log;
use crate::output::Record;
use crate::progress::Progress;
use crate::run::Prepared;
use crate::session::{End, Session};

/// How long a node may take that has too little memory, in real time.
const SMALL_PATIENCE: Duration = Duration::from_secs(20);

/// All figures of one node.
pub fn measure(guest: &Guest, qemu: &Path, log: Option<&Path>, progress: &Progress) -> Result<Vec<Figure>> {
    progress.show("measuring");
    let mut figures = operations(guest, qemu, log)?;
    progress.show("looking for the smallest memory");
    let memory = smallest_memory(|mib| comes_up(guest, qemu, mib))?;
    figures.push(Figure::new(SMALLEST_MEMORY, "MiB", f64::from(memory)));
    let lines = size::lines_of_code(&checkout().join("kernel"))?;
    figures.push(Figure::new(KERNEL_SIZE, "lines", f64::from(lines)));
    Ok(figures)
}

/// Runs the guest's program `bench`, with nothing that reaches the node from outside.
fn operations(guest: &Guest, qemu: &Path, log: Option<&Path>) -> Result<Vec<Figure>> {
    let mut prepared = Prepared::single(guest, qemu, &options(MEMORY_MIB, true))?;
    prepared.run_lines("bench")?;
    let log = Log::new(&guest.kernel, log)?;
    let mut domain = Domain::new(vec![prepared], None, &log);
    let session = |output: &Record, error: &Record| -> Box<dyn Session> {
        Box::new(Exec::silent(log.clone(), output.clone(), error.clone()))
    };
    run(&mut domain, &log, &[&session])?.lines().map(Figure::read).collect()
}

/// The least memory, in MiB, with which something comes up.
pub fn smallest_memory(comes_up: impl Fn(u32) -> Result<bool>) -> Result<u32> {
    let (mut too_little, mut enough) = (3, MEMORY_MIB);
    ensure!(comes_up(enough)?, "the system does not come up with {enough} MiB");
    while enough - too_little > 1 {
        let middle = too_little.midpoint(enough);
        if comes_up(middle)? {
            enough = middle;
        } else {
            too_little = middle;
        }
    }
    Ok(enough)
}

/// Whether a system with that much memory runs a command.
fn comes_up(guest: &Guest, qemu: &Path, memory: u32) -> Result<bool> {
    // An archive that does not even fit counts as too little memory.
    let options = NodeOptions { test_programs: false, ..options(memory, false) };
    let Ok(mut prepared) = Prepared::single(guest, qemu, &options) else {
        return Ok(false);
    };
    prepared.run_lines("true")?;
    let log = Log::new(&guest.kernel, None)?;
    let session = Exec::new(log.clone(), Cursor::new([]), sink(), sink());
    let mut domain = Domain::new(vec![prepared], None, &log);
    // QEMU itself refuses an archive that does not fit, which is no failure of the tool either.
    let outcome = domain.watch(&mut [Box::new(session)], &mut NoPlan, Some(SMALL_PATIENCE));
    Ok(outcome.is_ok_and(|outcome| outcome.end == End::Exit(0)))
}
