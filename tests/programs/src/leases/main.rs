//! A number in a file of one node, read on another one by way of its cache, while it is written.
//!
//! | `test-leases` | what it does |
//! |---|---|
//! | `read FILE` | on another node: reads the number again and again, first as often as need be to see that this takes no messages |
//! | `write FILE COUNT` | on the file's node: writes ever larger numbers, tells the reader of each when it is written, and how that went |
//! | `open FILE` | opens the file for writing, and says how long that took |
//!
//! The reader is told of a number by a message, when the write has returned. What it begins to read from then on is no smaller;
//! and no read gives less than the one before. With one writer of growing numbers, that is what linearizable means.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use test_programs::must;
use v::abi::call::FOREVER;
use v::abi::protocol::Reply;
use v::file::File;
use v::message::receive;
use v::prelude::*;
use v::protocols::io::mode;
use v::protocols::network::{CounterRecord, network};
use v::time::{Duration, Instant, sleep};

v::abi::protocol! {
    /// Between writer and reader.
    pub mod telling = 0x71, enum Telling {
        /// So much is written.
        Written = 1 { number: u64 } => Noted {};
        /// How often was it read, and how often less than had been written?
        Ask = 2 {} => Told { reads: u64, stale: u32 };
    }
}

v_start::program!(main);

/// Reads in a row that take hardly a frame.
const WARM_READS: u64 = 500;
const PAUSE: Duration = Duration::from_millis(2);
/// How long a writer waits for a reader's node that is off, five seconds, and some time for a slow machine.
const PATIENCE: Duration = Duration::from_secs(9);
const DIGITS: usize = 8;

static WRITTEN: AtomicU64 = AtomicU64::new(0);
static READS: AtomicU64 = AtomicU64::new(0);
static STALE: AtomicU64 = AtomicU64::new(0);

fn main() -> i32 {
    let words: Vec<&str> = v::env::arguments().skip(1).collect();
    let outcome = match words.as_slice() {
        ["read", file] => read(file),
        ["write", file, count] => must(count, count.parse()).and_then(|count| write(file, count)),
        ["open", file] => open(file),
        _ => Err("usage: test-leases read FILE | write FILE COUNT | open FILE".into()),
    };
    match outcome {
        Ok(()) => 0,
        Err(why) => {
            eprintln!("test-leases: {why}");
            1
        }
    }
}

fn number(file: &File) -> Result<u64, String> {
    let mut digits = [0; DIGITS];
    let count = must("read", file.read_at(0, &mut digits))?;
    let text = must("read", str::from_utf8(&digits[..count]))?;
    must(text, text.trim().parse())
}

/// Frames that the first card has sent.
fn frames() -> Result<u64, String> {
    let mut bytes = [0; CounterRecord::BYTES];
    let ask = |place: &v::name::Place<'_>| {
        call(place.server, &network::QueryCounters { card: 0 }, Segment::Write(&mut bytes))
    };
    must("[network]", v::name::with_place("[network]", true, ask))?;
    Ok(CounterRecord::from_bytes(&bytes).sent_frames)
}

fn read(name: &str) -> Result<(), String> {
    let file = must(name, File::open(name))?;
    loop {
        number(&file)?;
        let before = frames()?;
        for _ in 0..WARM_READS {
            number(&file)?;
        }
        let sent = frames()? - before;
        // A lease may just have ended, and others talk as well.
        if sent < WARM_READS / 10 {
            println!("{WARM_READS} reads, {sent} frames");
            break;
        }
    }
    let own = must("the own pid", v::process::own_pid())?.to_bits();
    must("the pid", v::file::write(&reader_of(name), format!("{own:x}")))?;
    must(
        "a process",
        v::process::spawn_thread(32 * 1024, move || {
            if let Err(why) = read_on(&file) {
                println!("reading ended: {why}");
            }
        }),
    )?;
    loop {
        let received = must("receive", receive(None, &mut [], FOREVER))?;
        let reply = match telling::Telling::from_message(&received.message) {
            Some(telling::Telling::Written(written)) => {
                WRITTEN.store(written.number, SeqCst);
                telling::Noted {}.to_message()
            }
            _ => telling::Told { reads: READS.load(SeqCst), stale: STALE.load(SeqCst) as u32 }.to_message(),
        };
        must("reply", v::message::reply(received.sender.pid, &reply, &[]))?;
    }
}

fn read_on(file: &File) -> Result<(), String> {
    let mut last = 0;
    loop {
        let least = WRITTEN.load(SeqCst).max(last);
        last = number(file)?;
        if last < least {
            println!("stale: {last} where {least} was written");
            STALE.fetch_add(1, SeqCst);
        }
        if READS.fetch_add(1, SeqCst).is_multiple_of(100) {
            must("sleep", sleep(PAUSE))?;
        }
    }
}

/// Where the reader of a file leaves its pid.
fn reader_of(name: &str) -> String {
    format!("{name}-reader")
}

fn write(name: &str, count: u64) -> Result<(), String> {
    let text = must("the reader", v::file::read_to_string(&reader_of(name)))?;
    let reader = Pid::from_bits(must(&text, u64::from_str_radix(&text, 16))?);
    for number in 1..=count {
        let file = must(name, File::open_with(name, mode::WRITE))?;
        must("write", file.write_at(0, format!("{number:0DIGITS$}").as_bytes()))?;
        drop(file);
        must("the reader", call(reader, &telling::Written { number }, Segment::None))?;
        must("sleep", sleep(PAUSE))?;
    }
    let told = must("the reader", call(reader, &telling::Ask {}, Segment::None))?;
    println!("{count} writes, {} reads, {} stale", told.reads, told.stale);
    Ok(())
}

fn open(name: &str) -> Result<(), String> {
    let start = Instant::now();
    must(name, File::open_with(name, mode::WRITE))?;
    let taken = start.elapsed();
    if taken > PATIENCE {
        return Err(format!("opened after {} ms", taken.as_millis()));
    }
    println!("opened after {} ms", taken.as_millis());
    Ok(())
}
