//! Measures what the system's operations cost, in ticks of the time-stamp counter. Under the deterministic clock of
//! `cargo v bench` a tick is one instruction of the guest.
//!
//! Each figure is the smallest of several batches, each the mean of many operations: an interrupt in a batch can only
//! make it dearer. Output: one line per operation, name, unit and value with tabs between.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod measure;
mod peer;

use alloc::string::String;
use core::sync::atomic::{AtomicU8, Ordering};

use abi::kernel::{STATISTICS, server, statistics};
use abi::{Error, PAGE_BYTES};
use protocols::io::{io, mode};
use v::message::{Segment, call};
use v::prelude::*;
use v::process::Command;

use measure::{Row, ticks};
use peer::peer as request;

v_start::program!(main);

const FILE: &str = "[tmp]bench-file";
const BULK_BYTES: usize = 64 * 1024;

fn main() -> i32 {
    let words: alloc::vec::Vec<String> = v::env::arguments().map(String::from).collect();
    match words.get(1).map(String::as_str) {
        None => match measure_all() {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("bench: {error}");
                1
            }
        },
        Some("peer") => peer::serve(),
        Some("nothing") => 0,
        Some(other) => {
            eprintln!("bench: '{other}' is not for you to say; it takes no words");
            2
        }
    }
}

fn measure_all() -> Result<(), Error> {
    println!("boot-to-here\tinstructions\t{}", v::time::now_ns());
    messages()?;
    files()?;
    memory_and_processes()?;
    programs()
}

/// Messages between two teams, and to the kernel.
fn messages() -> Result<(), Error> {
    let mut child = Command::new("bench").arg("peer").start()?;
    let peer = child.pid();
    Row::new("send-receive-reply", 1000)
        .report(|| call(peer, &request::Nothing {}, Segment::None).map(|_| ()))?;
    Row::new("null-kernel-request", 1000)
        .report(|| call(server(STATISTICS), &statistics::Null {}, Segment::None).map(|_| ()))?;
    let mut page = [0; PAGE_BYTES as usize];
    Row::new("reply-4-kib-segment", 200)
        .report(|| call(peer, &request::Page {}, Segment::Write(&mut page)).map(|_| ()))?;
    // What the two MoveTo requests differ by is one MoveTo of 64 KiB.
    let mut bulk = alloc::vec![0; BULK_BYTES];
    let one = Row::new("", 50)
        .measure(|| call(peer, &request::Bulk { times: 1 }, Segment::Write(&mut bulk)).map(|_| ()))?;
    let two = Row::new("", 50)
        .measure(|| call(peer, &request::Bulk { times: 2 }, Segment::Write(&mut bulk)).map(|_| ()))?;
    println!("move-to-64-kib\tinstructions\t{}", two - one);
    call(peer, &request::End {}, Segment::None)?;
    child.wait()?;
    Ok(())
}

/// A cached file.
fn files() -> Result<(), Error> {
    v::file::write(FILE, &alloc::vec![7; 2 * PAGE_BYTES as usize])?;
    let place = v::name::resolve(FILE)?;
    let opened = call(
        place.server,
        &io::Open {
            context: place.context,
            mode: mode::READ,
            owner: v::process::team(),
        },
        Segment::Read(place.rest.as_bytes()),
    )?;
    let instance = opened.instance;
    let mut page = [0; PAGE_BYTES as usize];
    Row::new("read-4-kib-of-cached-file", 200).report(|| {
        call(
            place.server,
            &io::Read {
                instance,
                position: PAGE_BYTES,
            },
            Segment::Write(&mut page),
        )
        .map(|_| ())
    })?;
    Row::new("open-and-close-file", 200).report(|| v::file::File::open(FILE).map(drop))?;
    v::file::remove(FILE)
}

/// Pages of zeros that nothing has touched before: the program's own, since it was loaded.
static UNTOUCHED: [AtomicU8; FAULTS * PAGE_BYTES as usize] =
    [const { AtomicU8::new(0) }; FAULTS * PAGE_BYTES as usize];
const FAULTS: usize = 128;

/// Zero pages and processes of this team.
fn memory_and_processes() -> Result<(), Error> {
    let mut pages = UNTOUCHED.chunks_exact(PAGE_BYTES as usize);
    Row::new("zero-page-fault", 100).report(|| {
        pages.next().ok_or(Error::TooLong)?[0].store(1, Ordering::Relaxed);
        Ok(())
    })?;
    Row::new("process-create-start-end", 50).report(|| v::process::spawn_thread(4096, || {})?.join())
}

/// A tiny program, from its start to the news of its end.
fn programs() -> Result<(), Error> {
    let start = ticks();
    Command::new("true").start()?.wait()?;
    println!("program-first-load-run-end\tinstructions\t{}", ticks() - start);
    Row::new("program-load-run-end", 10).report(|| Command::new("true").start()?.wait().map(|_| ()))
}
