//! Measures what the system's operations cost, in ticks of the time-stamp counter. Under the deterministic clock of
//! `cargo v bench` a tick is one instruction of the guest.
//!
//! Each figure is the smallest of several batches, each the mean of many operations: an interrupt in a batch can only
//! make it dearer. Output: one line per operation, name, unit and value with tabs between. `bench ROW` measures one.
//!
//! Between two nodes, of which the second runs `bench serve`: `bench count` passes the marks between which the tool
//! counts both nodes' instructions, `bench time` takes times, `bench throughput` only those of copies ([`remote`]). Among
//! three, of which the others run `bench serve`: `bench domain-count` and `bench domain-time` ([`domain`]).

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod disk;
mod domain;
mod echo;
mod measure;
mod mover;
mod paging;
mod peer;
mod protocol;
mod remote;

use alloc::boxed::Box;
use alloc::string::String;
use core::sync::atomic::{AtomicU8, Ordering};

use abi::kernel::{STATISTICS, server, statistics};
use abi::{Error, PAGE_BYTES};
use v::message::{Segment, call};
use v::prelude::*;
use v::process::Command;
use v::time::Duration;

use measure::{Bench, measure, report, ticks};
use peer::peer as request;

v_start::program!(main);

const FILE: &str = "[tmp]bench-file";
const BULK_BYTES: usize = 64 * 1024;

fn main() -> i32 {
    let only = v::env::arguments().nth(1).map(String::from);
    let outcome = match only.as_deref() {
        Some("peer") => return peer::serve(),
        Some("serve") => remote::serve(),
        Some("count") => remote::count(),
        Some("time") => remote::time(),
        Some("throughput") => remote::throughput(),
        Some(how @ ("disk-count" | "disk-time")) => {
            disk::measure(how == "disk-count", v::env::arguments().nth(2).unwrap_or_default())
        }
        Some("domain-count") => domain::count(),
        Some("domain-time") => domain::time(),
        Some(mover::WRITER) => mover::write(),
        _ => measure_all(&Bench { only }),
    };
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("bench: {error}");
            1
        }
    }
}

fn measure_all(bench: &Bench) -> Result<(), Error> {
    if bench.wants("boot-to-here") {
        report("boot-to-here", ticks());
    }
    messages(bench)?;
    files(bench)?;
    memory_and_processes(bench)?;
    programs(bench)?;
    paging::paging(bench)?;
    protocol::protocol(bench)
}

/// A page that begins where a page begins.
#[repr(align(4096))]
struct Page([u8; PAGE_BYTES as usize]);

/// Sixteen of them.
#[repr(align(4096))]
struct Bulk([u8; BULK_BYTES]);

/// Messages between two teams, and to the kernel.
#[expect(clippy::large_stack_arrays, reason = "the pages are aligned, and the stack has room for them")]
fn messages(bench: &Bench) -> Result<(), Error> {
    let mut child = Command::new("bench").arg("peer").start()?;
    let peer = child.pid();
    bench.row("send-receive-reply", 200, || call(peer, &request::Nothing {}, Segment::None).map(|_| ()))?;
    bench.row("null-kernel-request", 200, || {
        call(server(STATISTICS), &statistics::Null {}, Segment::None).map(|_| ())
    })?;
    let mut page = Box::new(Page([0; PAGE_BYTES as usize]));
    bench.row("reply-4-kib-segment", 50, || {
        call(peer, &request::Page {}, Segment::Write(&mut page.0)).map(|_| ())
    })?;
    if bench.wants("move-to-64-kib") {
        // What these two differ by is one MoveTo of 64 KiB.
        let mut bulk = Box::new(Bulk([0; BULK_BYTES]));
        let mut moves = |times| {
            measure(20, || call(peer, &request::Bulk { times }, Segment::Write(&mut bulk.0)).map(|_| ()))
        };
        report("move-to-64-kib", moves(2)? - moves(1)?);
    }
    call(peer, &request::End {}, Segment::None)?;
    child.wait()?;
    Ok(())
}

/// A cached file.
fn files(bench: &Bench) -> Result<(), Error> {
    v::file::write(FILE, [7; 2 * PAGE_BYTES as usize])?;
    let file = v::file::File::open(FILE)?;
    let mut page = Box::new(Page([0; PAGE_BYTES as usize]));
    bench.row("read-4-kib-of-cached-file", 50, || file.read_at(PAGE_BYTES, &mut page.0).map(|_| ()))?;
    bench.row("open-and-close-file", 50, || v::file::File::open(FILE).map(drop))?;
    v::file::remove(FILE)
}

/// Pages of zeros that nothing has touched before: the program's own, since it was loaded.
static UNTOUCHED: [AtomicU8; FAULTS * PAGE_BYTES as usize] =
    [const { AtomicU8::new(0) }; FAULTS * PAGE_BYTES as usize];
const FAULTS: usize = 400;
/// More than the kernel fills with zeros beforehand.
const ZEROED: usize = 80;

/// Zero pages and processes of this team.
fn memory_and_processes(bench: &Bench) -> Result<(), Error> {
    // Nobody reads the pages, which the compiler need not know.
    let mut pages = core::hint::black_box(&UNTOUCHED).chunks_exact(PAGE_BYTES as usize);
    let mut touch = || {
        pages.next().ok_or(Error::TooLong)?[0].store(1, Ordering::Relaxed);
        Ok(())
    };
    // The kernel fills frames with zeros while nobody runs.
    v::time::sleep(Duration::from_millis(100))?;
    bench.row("zero-page-fault-zeroed", 20, &mut touch)?;
    (0..ZEROED).try_for_each(|_| touch())?;
    bench.row("zero-page-fault", 20, touch)?;
    large_region(bench)?;
    bench.row("process-create-start-end", 10, || v::process::spawn_thread(4096, || {})?.join())
}

/// Much memory of zeros, mapped, touched from its beginning to its end, and unmapped: what that costs for each page.
fn large_region(bench: &Bench) -> Result<(), Error> {
    const PAGES: u64 = (16 << 20) / PAGE_BYTES;
    if bench.wants("large-zero-region-page") {
        let all = measure(1, || {
            let mut pages = v::memory::Pages::new((PAGES * PAGE_BYTES) as usize)?;
            pages.iter_mut().step_by(PAGE_BYTES as usize).for_each(|byte| *byte = 1);
            Ok(())
        })?;
        report("large-zero-region-page", all.div_ceil(PAGES));
    }
    Ok(())
}

/// A tiny program, from its start to the news of its end.
fn programs(bench: &Bench) -> Result<(), Error> {
    let run = || Command::new("true").start()?.wait().map(|_| ());
    if bench.wants("program-first-load-run-end") {
        let start = ticks();
        run()?;
        report("program-first-load-run-end", ticks() - start);
    }
    bench.row("program-load-run-end", 5, run)
}
