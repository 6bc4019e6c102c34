//! What is measured between two nodes on a network of their own.
//!
//! The nodes are booted with a plugin in each QEMU that counts instructions ([`crate::counting`]); and some times for times,
//! which the plugin would lengthen: without and with the loss of one packet in a hundred, and Linux if it is there, by
//! turns. What a loss leaves of the throughput is the median of what it leaves in each turn, in which as many copies are
//! made without it as with it, one right after the other; each turn loses others.
//!
//! What is counted is all that both processors execute between two marks of node 1's program, by which a batch of
//! operations begins and ends: programs, servers, kernels, drivers, and the interrupts of both nodes. A node that waits
//! halts, and executes nothing. The figure is the median of the batches.

use std::io::empty;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use protocols::counting::{BEGIN, END, FIGURE};
use tempfile::TempDir;

use super::figure::Figure;
use super::linux::{Figures, Linux};
use super::rows::{LOSS_THROUGHPUT, TIME_RATIO};
use super::{MEMORY_MIB, options, run};
use crate::counting::{Mark, Plugin, costs};
use crate::exec::Exec;
use crate::guest::Guest;
use crate::log::Log;
use crate::network::impairment::Impairments;
use crate::output::Record;
use crate::progress::Progress;
use crate::run::{Prepared, connect};
use crate::session::Session;
use crate::wiring::Wiring;

/// How often times are taken, V's and Linux's by turns.
const ROUNDS: u64 = 3;
/// What node 2 runs.
const SERVE: &str = "bench serve";

/// All figures of two nodes, and Linux's if it is there.
pub fn measure(
    guest: &Guest,
    qemu: &Path,
    log: Option<&Path>,
    linux: Option<&Linux>,
    progress: &Progress,
) -> Result<(Vec<Figure>, Option<Figures>)> {
    progress.show("counting two nodes' instructions");
    let folder = counting_folder()?;
    let counting = Plugin::build(folder.path())?.pair(folder.path());
    let mut nodes = prepare(guest, qemu, "bench count")?;
    for (node, counting) in nodes.iter_mut().zip(&counting) {
        node.machine.counting = Some(counting.clone());
    }
    let log = Log::new(&guest.kernel, log)?;
    let said = watch(nodes, Impairments::default(), &log)?;
    let mut figures = counted(said.lines(), &counting[0].marks()?)?;

    let mut beside = linux.map(Linux::count_two).transpose()?;

    progress.show("timing two nodes");
    let loss = "1%".parse().map_err(anyhow::Error::msg)?;
    let (mut rounds, mut left, mut rounds_beside) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 0..ROUNDS {
        let round = times(guest, qemu, "bench time", Impairments::default(), &log)?;
        let impairments = Impairments { seed, loss, ..Impairments::default() };
        let lossy = times(guest, qemu, "bench throughput", impairments, &log)?;
        left.push(100.0 * slowness(&round)? / slowness(&lossy)?);
        rounds.push(round);
        rounds_beside.extend(linux.map(Linux::time_two).transpose()?);
    }
    let timed = medians(&rounds);
    if let (Some(beside), Some(first)) = (&mut beside, rounds_beside.first()) {
        for name in first.keys() {
            let values = rounds_beside.iter().filter_map(|round| round.get(name).copied());
            beside.insert(name.clone(), median(values));
        }
    }
    let ratio = value(&timed, "remote-send-receive-reply-time")? / value(&timed, "loopback-time")?;
    figures.push(Figure::new(TIME_RATIO, "times", ratio));
    figures.push(Figure::new(LOSS_THROUGHPUT, "per cent", median(left.into_iter())));
    figures.extend(timed);
    Ok((figures, beside))
}

/// The value of a figure that must have been measured.
fn value(figures: &[Figure], name: &str) -> Result<f64> {
    let figure = figures.iter().find(|figure| figure.name == name);
    figure.map(|figure| figure.value).with_context(|| format!("{name} was not measured"))
}

/// How long copies take, both ways together: what is lost is lost by chance.
fn slowness(figures: &[Figure]) -> Result<f64> {
    let of = |name| value(figures, name);
    Ok(1.0 / of("remote-move-to-throughput")? + 1.0 / of("remote-move-from-throughput")?)
}

/// The median of each figure over all rounds, which have the same figures.
fn medians(rounds: &[Vec<Figure>]) -> Vec<Figure> {
    let figures = rounds.first().into_iter().flatten().enumerate();
    let median_of = |(row, figure): (usize, &Figure)| {
        let values = rounds.iter().filter_map(|round| Some(round.get(row)?.value));
        Figure::new(&figure.name, &figure.unit, median(values))
    };
    figures.map(median_of).collect()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A folder for the counters, in memory where there is such.
pub fn counting_folder() -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("v-counting-");
    let in_memory = builder.tempdir_in("/dev/shm");
    in_memory.or_else(|_| builder.tempdir()).context("cannot make a temporary folder")
}

/// Two nodes, of which the first runs `lines` and the second serves it.
fn prepare(guest: &Guest, qemu: &Path, lines: &str) -> Result<Vec<Prepared>> {
    let mut nodes = Prepared::new(guest, qemu, &options(MEMORY_MIB, false), 2)?;
    for (node, lines) in nodes.iter_mut().zip([lines, SERVE]) {
        node.run_lines(lines)?;
    }
    Ok(nodes)
}

/// Runs nodes on a network, and returns what the first one's lines wrote.
fn watch(nodes: Vec<Prepared>, impairments: Impairments, log: &Log) -> Result<String> {
    let mut domain = connect(nodes, &Wiring::default(), impairments, None, log)?;
    let logs = [domain.log(0), domain.log(1)];
    let session = |node: usize| {
        let log = logs[node].clone();
        move |output: &Record, error: &Record| -> Box<dyn Session> {
            Box::new(Exec::new(log.clone(), empty(), output.clone(), error.clone()))
        }
    };
    run(&mut domain, log, &[&session(0), &session(1)])
}

fn times(
    guest: &Guest,
    qemu: &Path,
    lines: &str,
    impairments: Impairments,
    log: &Log,
) -> Result<Vec<Figure>> {
    let said = watch(prepare(guest, qemu, lines)?, impairments, log)?;
    said.lines().map(Figure::read).collect()
}

/// The figures of what was counted: a line for each tells how many operations its batches have.
pub fn counted<'a>(lines: impl Iterator<Item = &'a str>, marks: &[Mark]) -> Result<Vec<Figure>> {
    let mut rows = marks.split(|mark| mark.number == FIGURE);
    let mut figures = Vec::new();
    for line in lines {
        let read = Figure::read(line)?;
        ensure!(read.unit == "counted" && read.value >= 1.0, "`{line}` is nothing that was counted");
        let marks = rows.next().unwrap_or_default();
        let mut costs = costs(marks, BEGIN, END);
        costs.sort_unstable();
        let Some(&median) = costs.get(costs.len() / 2) else {
            bail!("{}: the guest has passed no marks", read.name);
        };
        figures.push(Figure::new(&read.name, "instructions", float(median) / read.value));
    }
    ensure!(!figures.is_empty(), "nothing was counted");
    Ok(figures)
}

#[expect(clippy::cast_precision_loss, reason = "nothing that takes so long is measured")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_medians_of_batches_of_both_machines() {
        let mark = |number, own, other| Mark { number, own, other };
        let marks = [
            mark(BEGIN, 100, 100),
            mark(END, 200, 150),
            mark(BEGIN, 200, 150),
            mark(END, 201, 151),
            mark(BEGIN, 300, 300),
            mark(END, 500, 400),
            mark(FIGURE, 501, 401),
            mark(BEGIN, 600, 600),
            mark(END, 610, 600),
            mark(FIGURE, 620, 600),
        ];
        let figures = counted(["a\tcounted\t10", "b\tcounted\t1"].into_iter(), &marks).unwrap();
        let values = figures.iter().map(|figure| (&*figure.name, figure.value));
        assert_eq!(values.collect::<Vec<_>>(), [("a", 15.0), ("b", 10.0)]);
        assert!(counted(["a\tcounted\t1"].into_iter(), &[]).is_err());
        assert!(counted(["a\tus\t1"].into_iter(), &marks).is_err());
    }
}
