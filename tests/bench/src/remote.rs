//! What operations between two nodes cost. `serve` runs on node 2, each of the others on node 1 beside it.

use abi::kernel::record::StatisticsRecord;
use abi::kernel::statistics::QueryStatistics;
use abi::{Error, PAGE_BYTES, Pid};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;
use v::memory::{Mapping, map_file};
use v::message::{Segment, call};
use v::prelude::*;
use v::process::{Command, Place, spawn_thread};
use v::time::sleep;

use crate::echo::{Frames, Loopback};
use crate::measure::{Durations, counted};
use crate::peer::{self, MOST_MOVED_BYTES, peer as request};

/// Where another node leaves its server's pid.
const PLACE: &str = "[tmp]bench-server";
/// A file of node 2's.
const FILE: &str = "[tmp]bench-file";
const THERE: &str = "node2";
const FILE_THERE: &str = "[node2]tmp/bench-file";
const FILE_PAGES: usize = 1024;
/// How often node 1 looks whether node 2 is ready, and at what intervals.
const LOOKS: u32 = 600;
const LOOK: Duration = Duration::from_millis(100);

/// Operations of a batch.
pub const MESSAGES: u32 = 64;
const READS: u32 = 32;
/// Of files that are leased, or of this node: a batch has to outweigh what both nodes do anyway.
const NEAR_READS: u32 = 1024;
const TOUCHES: u32 = 128;
const MOVES: u32 = 2;
pub const PROGRAMS: u32 = 4;
/// How much more memory another node must have free than node 1, which has twice that taken.
const LEFT_BYTES: u64 = 8 << 20;
/// Batches of what is timed, by turns, and operations of each.
const TURNS: u32 = 20;
const TIMED_MESSAGES: u32 = 25;
/// Copies each way that are timed: of their thousands of packets, one in a hundred is some hundred.
const TIMED_MOVES: u32 = 60;

/// Answers the requests of node 1, and frames.
pub fn serve() -> Result<(), Error> {
    v::file::write(FILE, alloc::vec![7; FILE_PAGES * PAGE_BYTES as usize])?;
    // Frames are for the process that has registered them. This one ends with the program, unless it fails.
    spawn_thread(4096, || {
        if let Err(error) = Frames::register().and_then(|mut frames| frames.answer()) {
            eprintln!("bench: frames: {error}");
        }
    })?;
    let own = v::process::own_pid()?.to_bits();
    v::file::write(PLACE, format!("{own:x}"))?;
    match peer::serve() {
        0 => Ok(()),
        _ => Err(Error::DiedBeforeReply),
    }
}

/// Another node, from node 1.
pub struct There {
    server: Pid,
    page: Box<super::Page>,
    bulk: Vec<u8>,
}

impl There {
    /// Waits until the node is ready.
    fn find(node: &str) -> Result<There, Error> {
        // Where node 1 finds what the other has left.
        let place = format!("[{node}]tmp/bench-server");
        let mut last = Error::NotFound;
        for _ in 0..LOOKS {
            match v::file::read_to_string(&place) {
                Ok(text) if let Ok(bits) = u64::from_str_radix(&text, 16) => {
                    let page = Box::new(super::Page([0; PAGE_BYTES as usize]));
                    let bulk = alloc::vec![0; MOST_MOVED_BYTES];
                    return Ok(There { server: Pid::from_bits(bits), page, bulk });
                }
                Ok(_) => {}
                Err(error) => last = error,
            }
            sleep(LOOK)?;
        }
        Err(last)
    }

    /// A message, and its answer.
    pub fn message(&self) -> Result<(), Error> {
        call(self.server, &request::Nothing {}, Segment::None).map(|_| ())
    }

    /// The node moves a MiB here.
    fn move_to(&mut self) -> Result<(), Error> {
        self.copy_here(MOST_MOVED_BYTES as u32)
    }

    /// The node moves so many bytes here.
    pub fn copy_here(&mut self, bytes: u32) -> Result<(), Error> {
        call(self.server, &request::MoveTo { bytes }, Segment::Write(&mut self.bulk)).map(|_| ())
    }

    /// The node moves a MiB from here.
    fn move_from(&mut self) -> Result<(), Error> {
        let bytes = MOST_MOVED_BYTES as u32;
        call(self.server, &request::MoveFrom { bytes }, Segment::Read(&self.bulk)).map(|_| ())
    }
}

/// Does something with node 2, and tells it when that is over, however it went.
fn with_node_2(body: impl FnOnce(&mut There) -> Result<(), Error>) -> Result<(), Error> {
    with_nodes([THERE], |[there]| body(there))
}

/// Does something with other nodes, and tells them when that is over, however it went.
pub fn with_nodes<const N: usize>(
    names: [&str; N],
    body: impl FnOnce(&mut [There; N]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut found = Vec::new();
    for name in names {
        found.push(There::find(name)?);
    }
    let mut nodes = found.try_into().map_err(|_| Error::BadArgument)?;
    let outcome = body(&mut nodes);
    for node in &nodes {
        call(node.server, &request::End {}, Segment::None)?;
    }
    outcome
}

/// Instructions of both nodes.
pub fn count() -> Result<(), Error> {
    with_node_2(count_all)
}

fn count_all(there: &mut There) -> Result<(), Error> {
    counted("remote-send-receive-reply", MESSAGES, || there.message())?;
    let file = v::file::File::open(FILE_THERE)?;
    let instance = file.instance();
    counted("remote-read-4-kib", READS, || instance.read(PAGE_BYTES, &mut there.page.0).map(|_| ()))?;
    counted("leased-read-4-kib", NEAR_READS, || file.read_at(PAGE_BYTES, &mut there.page.0).map(|_| ()))?;
    drop(file);
    v::file::write(FILE, alloc::vec![7; 2 * PAGE_BYTES as usize])?;
    let file = v::file::File::open(FILE)?;
    counted("here-read-4-kib", NEAR_READS, || file.read_at(PAGE_BYTES, &mut there.page.0).map(|_| ()))?;
    drop(file);
    // Each page is touched once, the last for every warming and every batch.
    let mapped = map_file(FILE_THERE, Mapping::ReadOnly)?;
    let mut page = 0;
    counted("remote-page-touch", TOUCHES, || {
        page += 1;
        mapped.read_at((page - 1) * PAGE_BYTES as usize, &mut [0])
    })?;
    drop(mapped);
    counted("remote-move-to-1-mib", MOVES, || there.move_to())?;
    counted("remote-move-from-1-mib", MOVES, || there.move_from())?;
    let mut frames = Frames::register()?;
    counted("frame-echo", MESSAGES, || frames.ask())?;
    let mut loopback = Loopback::to(THERE)?;
    counted("loopback", MESSAGES, || loopback.ask())?;
    programs()
}

/// A tiny program on node 2, from its start to the news of its end: by the node's name, and as the only node with so much
/// free memory. The first one leaves its image there.
fn programs() -> Result<(), Error> {
    let named = Place::Node(THERE.into());
    run(&named)?;
    counted("remote-program", PROGRAMS, || run(&named))?;
    with_less_memory(|selected| counted("remote-program-selected", PROGRAMS, || run(selected)))
}

/// A tiny program, from its start to the news of its end.
pub fn run(place: &Place) -> Result<(), Error> {
    Command::new("true").on(place.clone()).awaited().start()?.wait().map(|_| ())
}

/// Does something while this node has less memory than the others, told the place that therefore is any of these.
pub fn with_less_memory(body: impl FnOnce(&Place) -> Result<(), Error>) -> Result<(), Error> {
    // No page of it is left out: it is all ones.
    let taken = core::hint::black_box(alloc::vec![1_u8; 2 * LEFT_BYTES as usize]);
    let mut statistics = [0; StatisticsRecord::BYTES];
    let server = abi::kernel::server(abi::kernel::STATISTICS);
    call(server, &QueryStatistics {}, Segment::Write(&mut statistics))?;
    let here = StatisticsRecord::from_bytes(&statistics);
    let least_memory_bytes = (here.free_frames + here.cached_frames) * PAGE_BYTES + LEFT_BYTES;
    let outcome = body(&Place::Any { least_memory_bytes, least_idle_percent: 0 });
    drop(taken);
    outcome
}

/// Times: of messages and both kinds of frames by turns, then of copies.
pub fn time() -> Result<(), Error> {
    with_node_2(time_all)
}

fn time_all(there: &mut There) -> Result<(), Error> {
    let mut frames = Frames::register()?;
    let mut loopback = Loopback::to(THERE)?;
    let [mut of_messages, mut of_frames, mut of_loopback] = <[Durations; 3]>::default();
    for _ in 0..TURNS {
        of_messages.take(TIMED_MESSAGES, || there.message())?;
        of_frames.take(TIMED_MESSAGES, || frames.ask())?;
        of_loopback.take(TIMED_MESSAGES, || loopback.ask())?;
    }
    for (name, durations) in [
        ("remote-send-receive-reply-time", &mut of_messages),
        ("frame-echo-time", &mut of_frames),
        ("loopback-time", &mut of_loopback),
    ] {
        println!("{name}\tus\t{}", tenths(durations.median_ns(), 1000));
    }
    let mapped = map_file(FILE_THERE, Mapping::ReadOnly)?;
    let start_ns = v::time::now_ns();
    for page in 0..FILE_PAGES {
        mapped.read_at(page * PAGE_BYTES as usize, &mut [0])?;
    }
    let bytes = FILE_PAGES as u64 * PAGE_BYTES;
    println!("remote-page-throughput\tMB/s\t{}", tenths(bytes * 1000, v::time::now_ns() - start_ns));
    copies(there)
}

/// Times of copies alone.
pub fn throughput() -> Result<(), Error> {
    with_node_2(copies)
}

/// How fast copies are: of all their times together, since what is lost costs some copies more than others.
fn copies(there: &mut There) -> Result<(), Error> {
    there.move_to()?;
    there.move_from()?;
    let (mut to_ns, mut from_ns) = (0, 0);
    for _ in 0..TIMED_MOVES {
        let start_ns = v::time::now_ns();
        there.move_to()?;
        let middle_ns = v::time::now_ns();
        there.move_from()?;
        to_ns += middle_ns - start_ns;
        from_ns += v::time::now_ns() - middle_ns;
    }
    let bytes = u64::from(TIMED_MOVES) * MOST_MOVED_BYTES as u64;
    for (name, total_ns) in [("remote-move-to-throughput", to_ns), ("remote-move-from-throughput", from_ns)] {
        // Bytes in a microsecond are megabytes in a second.
        println!("{name}\tMB/s\t{}", tenths(bytes * 1000, total_ns));
    }
    Ok(())
}

/// A quotient with one decimal.
pub fn tenths(dividend: u64, divisor: u64) -> alloc::string::String {
    let tenths = dividend * 10 / divisor.max(1);
    format!("{}.{}", tenths / 10, tenths % 10)
}
