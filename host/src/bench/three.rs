//! What is measured among three nodes on a network of their own: programs that select a node, move, and work in parallel.
//!
//! Starts and the parallel search are counted. What a move takes is a time, and so is what it may take: that of messages and
//! of copies of 64 KiB, made between the moves. So of times only a ratio counts, of medians of the same minute.

use anyhow::Result;

use super::figure::Figure;
use super::nodes::{Bench, value};
use super::rows::{FREEZE_MESSAGES, SPEED_UP, START_MESSAGES};
use crate::progress::Progress;
use ethernet::impairment::Impairments;

/// What the other nodes run.
const SERVE: &str = "bench serve";

/// All figures of three nodes.
pub fn measure(bench: &Bench<'_>, progress: &Progress) -> Result<Vec<Figure>> {
    progress.show("counting three nodes' instructions");
    let mut figures = bench.count(&["bench domain-count", SERVE, SERVE])?;
    let of = |name| value(&figures, name);
    let more = of("domain-program-selected")? - of("domain-program-here")?;
    let start_messages = more / of("domain-message")?;
    let speed_up = of("queens-alone")? / of("queens-busiest-node")?;
    progress.show("timing three nodes");
    let timed = bench.times(&["bench domain-time", SERVE, SERVE], Impairments::default())?;
    let of = |name| value(&timed, name);
    let freeze_messages = (of("move-freeze-time")? - of("domain-copy-time")?) / of("domain-message-time")?;
    figures.extend(timed);
    figures.push(Figure::new(START_MESSAGES, "messages", start_messages));
    figures.push(Figure::new(FREEZE_MESSAGES, "messages", freeze_messages));
    figures.push(Figure::new(SPEED_UP, "times", speed_up));
    Ok(figures)
}
