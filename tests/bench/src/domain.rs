//! What three nodes do together. `serve` runs on nodes 2 and 3, each of the others on node 1 beside it.

use abi::kernel::well_known_group::ALL_PROGRAM_MANAGERS;
use abi::{Error, PAGE_BYTES};
use alloc::string::{String, ToString};
use core::time::Duration;
use protocols::counting::{COUNTED, COUNTED_MOST};
use protocols::program::program::Bid;
use v::file::{self, File};
use v::message::{Segment, call_group};
use v::prelude::*;
use v::process::{Command, Place, migrate};
use v::time::{now_ns, sleep};

use crate::measure::{Durations, count_batches, counted};
use crate::mover::{self, RESIDENT_PAGES};
use crate::remote::{MESSAGES, PROGRAMS, There, run, tenths, with_less_memory, with_nodes};

const OTHERS: [&str; 2] = ["node2", "node3"];
/// Where a program moves to by turns.
const ROUND: [&str; 3] = ["node3", "node1", "node2"];
/// The first batches are of programs that are not there yet.
const SEARCHES: usize = 3;
/// The search, and what comes out.
const QUEENS: &str = "14";
const WAYS: &str = "365596\n";
const WORKERS: &str = "6";
/// How long it takes until a node counts as idle that was busy.
const COOLING: Duration = Duration::from_secs(5);

/// Starts that are timed, and moves; and messages and copies between two moves.
const STARTS: u32 = 25;
const MOVES: usize = 12;
const MESSAGES_BETWEEN: u32 = 50;
const COPIES_BETWEEN: u32 = 10;
const COPY_BYTES: u32 = 64 * 1024;
/// How long a program that has moved runs before it moves again: it writes half a MiB meanwhile, and more while it moves.
const STAY: Duration = Duration::from_millis(500);
/// How long nodes have to say that they can run a program.
const BID_NS: u64 = 2_000_000_000;

/// Instructions of all nodes.
pub fn count() -> Result<(), Error> {
    with_nodes(OTHERS, |[there, _]| {
        counted("domain-message", MESSAGES, || there.message())?;
        counted("domain-program-here", PROGRAMS, || run(&Place::Here))?;
        // The first ones leave their images there.
        OTHERS.iter().try_for_each(|node| run(&Place::Node(node.to_string())))?;
        with_less_memory(|selected| counted("domain-program-selected", PROGRAMS, || run(selected)))?;
        queens("8", &["--workers", WORKERS, "--on", "*"])?;
        count_batches("queens-alone", COUNTED, [SEARCHES, 1], || search(&["--workers", "1"]))?;
        sleep(COOLING)?;
        let everywhere = ["--workers", WORKERS, "--on", "*"];
        count_batches("queens-busiest-node", COUNTED_MOST, [SEARCHES, 1], || search(&everywhere))
    })
}

/// A search whose outcome is known.
fn search(options: &[&str]) -> Result<(), Error> {
    if queens(QUEENS, options)? == WAYS { Ok(()) } else { Err(Error::BadReply) }
}

/// What `queens` says.
fn queens(count: &str, options: &[&str]) -> Result<String, Error> {
    const SAID: &str = "[tmp]bench-queens";
    let said = File::create(SAID)?;
    let status = Command::new("queens").arg(count).args(options).stdout(&said).start()?.wait()?;
    drop(said);
    if status.is_success() { file::read_to_string(SAID) } else { Err(Error::DiedBeforeReply) }
}

/// Times, and how much is copied.
pub fn time() -> Result<(), Error> {
    with_nodes(OTHERS, |[there, _]| {
        starts()?;
        moves(there)
    })
}

fn starts() -> Result<(), Error> {
    sleep(COOLING)?;
    let (mut of_selections, mut of_programs) = (Durations::default(), Durations::default());
    with_less_memory(|selected| {
        let Place::Any { least_memory_bytes, .. } = selected else { return Err(Error::BadArgument) };
        let bid = Bid { least_free_pages: (least_memory_bytes / PAGE_BYTES) as u32, least_idle_percent: 0 };
        let select = || call_group(ALL_PROGRAM_MANAGERS, &bid, Segment::None, now_ns() + BID_NS).map(|_| ());
        of_selections.take(STARTS, select)?;
        // The first ones leave their images there.
        OTHERS.iter().try_for_each(|node| run(&Place::Node(node.to_string())))?;
        of_programs.take(STARTS, || run(selected))
    })?;
    print("domain-selection-time", "ms", of_selections.median_ns(), 1_000_000);
    print("domain-program-time", "ms", of_programs.median_ns(), 1_000_000);
    Ok(())
}

/// A program that writes goes round; between its moves the times are taken that its own are compared with.
fn moves(there: &mut There) -> Result<(), Error> {
    let mut program = mover::start("node2")?;
    let [mut of_messages, mut of_copies, mut of_freezes, mut of_moves] = <[Durations; 4]>::default();
    let mut most_copied = 0;
    for to in ROUND.iter().cycle().take(MOVES) {
        of_messages.take(MESSAGES_BETWEEN, || there.message())?;
        of_copies.take(COPIES_BETWEEN, || there.copy_here(COPY_BYTES))?;
        sleep(STAY)?;
        let start_ns = now_ns();
        let (_, moved) = migrate(program.pid(), &Place::Node(to.to_string()))?;
        of_moves.add_ns(now_ns() - start_ns);
        of_freezes.add_ns(u64::from(moved.frozen_us) * 1000);
        let pages = u64::from(moved.running_pages + moved.frozen_pages);
        most_copied = most_copied.max(pages * PAGE_BYTES + u64::from(moved.state_bytes));
    }
    mover::end(&mut program)?;
    let resident_bytes = RESIDENT_PAGES as u64 * PAGE_BYTES;
    print("domain-message-time", "us", of_messages.median_ns(), 1000);
    print("domain-copy-time", "us", of_copies.median_ns(), 1000);
    print("move-freeze-time", "us", of_freezes.median_ns(), 1000);
    // Bytes in a microsecond are megabytes in a second.
    print("move-throughput", "MB/s", resident_bytes * 1000, of_moves.median_ns());
    println!(
        "move-copied\ttimes\t{}.{:03}",
        most_copied / resident_bytes,
        most_copied % resident_bytes * 1000 / resident_bytes
    );
    Ok(())
}

fn print(name: &str, unit: &str, dividend: u64, divisor: u64) {
    println!("{name}\t{unit}\t{}", tenths(dividend, divisor));
}
