//! What is left in the kernel's tables after something was done: whether all of it was given back.

use core::fmt;

use abi::Error;
use abi::kernel::record::StatisticsRecord;
use abi::kernel::{STATISTICS, server, statistics};
use v::eprintln;
use v::message::{Segment, call};
use v::time::{Duration, sleep};

/// Rounds of which one must leave everything as it was.
const ROUNDS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(300);

/// What is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remains {
    /// Frames that nobody has.
    pub free_frames: u64,
    /// Processes, the kernel's own descriptors included.
    pub processes: u64,
    /// Teams.
    pub teams: u64,
    /// Regions of their address spaces.
    pub regions: u64,
}

impl fmt::Display for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Remains { free_frames, processes, teams, regions } = self;
        write!(f, "{free_frames} frames free, {processes} processes, {teams} teams, {regions} regions")
    }
}

impl Remains {
    /// Whether nothing is in use that was not before. A server may have given a page back that it had no use for.
    fn holds_no_more_than(&self, before: &Remains) -> bool {
        self.free_frames >= before.free_frames
            && self.processes <= before.processes
            && self.teams <= before.teams
            && self.regions <= before.regions
    }
}

/// Repeats `round` until one leaves nothing behind: what there was. None if every round does.
///
/// A server whose heap or stack reaches a new height keeps the page, once; that is why a further round may settle what
/// an earlier one did not. What is lost each time is lost in every round, and shows in the last.
pub fn unchanged(mut round: impl FnMut() -> Result<(), Error>) -> Result<Option<Remains>, Error> {
    let mut before = settled()?;
    for number in 1..=ROUNDS {
        round()?;
        let after = settled()?;
        if after.holds_no_more_than(&before) {
            return Ok(Some(after));
        }
        eprintln!("round {number}: before it {before}; after it {after}");
        before = after;
    }
    Ok(None)
}

/// What there is once nothing is being torn down any more.
fn settled() -> Result<Remains, Error> {
    let mut last = None;
    loop {
        sleep(PAUSE)?;
        let mut buffer = [0; StatisticsRecord::BYTES];
        call(server(STATISTICS), &statistics::QueryStatistics {}, Segment::Write(&mut buffer))?;
        let record = StatisticsRecord::from_bytes(&buffer);
        let now = Remains {
            free_frames: record.free_frames,
            processes: record.processes,
            teams: record.teams,
            regions: record.regions,
        };
        if last == Some(now) {
            return Ok(now);
        }
        last = Some(now);
    }
}
