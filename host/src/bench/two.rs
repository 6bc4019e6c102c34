//! What is measured between two nodes on a network of their own.
//!
//! The nodes are counted; and timed some times without what counts, which would lengthen times: without and with the loss
//! of one packet in a hundred, and Linux if it is there, by turns. What a loss leaves of the throughput is the median of
//! what it leaves in each turn, in which as many copies are made without it as with it, one right after the other; each
//! turn loses others.

use anyhow::Result;

use super::figure::{Figure, median, medians, medians_beside};
use super::linux::{Figures, Linux};
use super::nodes::{Bench, value};
use super::rows::{LEASED, LOSS_THROUGHPUT, TIME_RATIO};
use crate::progress::Progress;
use ethernet::impairment::Impairments;

/// How often times are taken, V's and Linux's by turns.
const ROUNDS: u64 = 3;
/// What node 2 runs.
const SERVE: &str = "bench serve";

/// All figures of two nodes, and Linux's if it is there.
pub fn measure(
    bench: &Bench<'_>,
    linux: Option<&Linux>,
    progress: &Progress,
) -> Result<(Vec<Figure>, Option<Figures>)> {
    progress.show("counting two nodes' instructions");
    let mut figures = bench.count(&["bench count", SERVE])?;
    let leased = 100.0 * value(&figures, "leased-read-4-kib")? / value(&figures, "here-read-4-kib")?;
    figures.push(Figure::new(LEASED, "per cent", leased));
    let mut beside = linux.map(Linux::count_two).transpose()?;

    progress.show("timing two nodes");
    let loss = "1%".parse().map_err(anyhow::Error::msg)?;
    let (mut rounds, mut left, mut rounds_beside) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 0..ROUNDS {
        let round = bench.times(&["bench time", SERVE], Impairments::default())?;
        let impairments = Impairments { seed, loss, ..Impairments::default() };
        let lossy = bench.times(&["bench throughput", SERVE], impairments)?;
        left.push(100.0 * slowness(&round)? / slowness(&lossy)?);
        rounds.push(round);
        rounds_beside.extend(linux.map(Linux::time_two).transpose()?);
    }
    let timed = medians(&rounds);
    if let Some(beside) = &mut beside {
        beside.extend(medians_beside(&rounds_beside));
    }
    let ratio = value(&timed, "remote-send-receive-reply-time")? / value(&timed, "loopback-time")?;
    figures.push(Figure::new(TIME_RATIO, "times", ratio));
    figures.push(Figure::new(LOSS_THROUGHPUT, "per cent", median(left.into_iter())));
    figures.extend(timed);
    Ok((figures, beside))
}

/// How long copies take, both ways together: what is lost is lost by chance.
fn slowness(figures: &[Figure]) -> Result<f64> {
    let of = |name| value(figures, name);
    Ok(1.0 / of("remote-move-to-throughput")? + 1.0 / of("remote-move-from-throughput")?)
}
