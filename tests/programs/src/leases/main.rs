//! A number in a file of one node, read on another one by way of its cache, while it is written.
//!
//! | `test-leases` | what it does |
//! |---|---|
//! | `read FILE` | on another node: reads the number again and again, first as often as need be to see that this takes no messages; says of which number it has a lease |
//! | `write FILE COUNT` | on the file's node: writes ever larger numbers, tells the reader of each when it is written, and how that went |
//! | `parted FILE` | while the reader cannot be reached: writes one more number, says how long opening the file took, and when the reader can be reached again, whether it read the number before after that |
//!
//! The reader is told of a number by a message, when the write has returned. What it begins to read from then on is no smaller;
//! and no read gives less than the one before. With one writer of growing numbers, that is what linearizable means. While nobody
//! can tell the reader, the clocks of the two nodes are compared, which agree far better than the second that is allowed.

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
        /// What was read last, and when began the last read that gave less?
        Look = 3 {} => Seen { number: u64, less_ns: u64 };
    }
}

v_start::program!(main);

/// Reads in a row that take hardly a frame.
const WARM_READS: u64 = 500;
const PAUSE: Duration = Duration::from_millis(2);
/// How long a writer waits for a reader's node that is off, five seconds, and some time for a slow machine.
const PATIENCE: Duration = Duration::from_secs(9);
/// By how much the clocks of two nodes may differ, at the worst, on a machine that has much else to do.
const CLOCKS_DIFFER_NS: u64 = 1_000_000_000;
/// How long a reader may take to be there again.
const HEALING: Duration = Duration::from_mins(1);
const DIGITS: usize = 8;

static WRITTEN: AtomicU64 = AtomicU64::new(0);
static READS: AtomicU64 = AtomicU64::new(0);
static STALE: AtomicU64 = AtomicU64::new(0);
/// What was read last.
static NUMBER: AtomicU64 = AtomicU64::new(0);
/// When the last read began that gave less, in nanoseconds of real time.
static LESS_NS: AtomicU64 = AtomicU64::new(0);

fn main() -> i32 {
    let words: Vec<&str> = v::env::arguments().skip(1).collect();
    let outcome = match words.as_slice() {
        ["read", file] => read(file),
        ["write", file, count] => must(count, count.parse()).and_then(|count| write(file, count)),
        ["parted", file] => parted(file),
        _ => Err("usage: test-leases read FILE | write FILE COUNT | parted FILE".into()),
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

/// Whether so few frames were sent while [`WARM_READS`] were read. A lease may just have ended, and others talk as well.
fn is_leased(sent: u64) -> bool {
    sent < WARM_READS / 10
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
        if is_leased(sent) {
            println!("{WARM_READS} reads, {sent} frames");
            break;
        }
    }
    let own = must("the own pid", v::process::own_pid())?.to_bits();
    must("the pid", v::file::write(&reader_of(name), format!("{own:x}")))?;
    let name = name.to_string();
    must(
        "a process",
        v::process::spawn_thread(32 * 1024, move || {
            if let Err(why) = read_on(&name, file) {
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
            Some(telling::Telling::Look(_)) => {
                telling::Seen { number: NUMBER.load(SeqCst), less_ns: LESS_NS.load(SeqCst) }.to_message()
            }
            _ => telling::Told { reads: READS.load(SeqCst), stale: STALE.load(SeqCst) as u32 }.to_message(),
        };
        must("reply", v::message::reply(received.sender.pid, &reply, &[]))?;
    }
}

fn read_on(name: &str, mut file: File) -> Result<(), String> {
    let (mut last, mut last_ns) = (0, 0);
    let (mut since, mut frames_before, mut leased) = (0, frames()?, 0);
    loop {
        since += 1;
        if since == WARM_READS {
            let sent = frames()? - frames_before;
            if is_leased(sent) && last != leased {
                println!("leased: {last}");
                leased = last;
            }
            (since, frames_before) = (0, frames()?);
        }
        let least = WRITTEN.load(SeqCst).max(last);
        let begun_ns = v::time::real_ns();
        let Ok(found) = number(&file) else {
            // The file's node cannot be reached, and will take this one for gone.
            must("sleep", sleep(PAUSE))?;
            if let Ok(again) = File::open(name) {
                file = again;
            }
            continue;
        };
        if found < least {
            println!("stale: {found} where {least} was written");
            STALE.fetch_add(1, SeqCst);
        }
        if found > last {
            LESS_NS.store(last_ns, SeqCst);
            NUMBER.store(found, SeqCst);
        }
        (last, last_ns) = (found, begun_ns);
        if READS.fetch_add(1, SeqCst).is_multiple_of(100) {
            must("sleep", sleep(PAUSE))?;
        }
    }
}

/// Where the reader of a file leaves its pid.
fn reader_of(name: &str) -> String {
    format!("{name}-reader")
}

fn reader(name: &str) -> Result<Pid, String> {
    let text = must("the reader", v::file::read_to_string(&reader_of(name)))?;
    Ok(Pid::from_bits(must(&text, u64::from_str_radix(&text, 16))?))
}

fn write(name: &str, count: u64) -> Result<(), String> {
    let reader = reader(name)?;
    for number in 1..=count {
        write_number(name, number)?;
        must("the reader", call(reader, &telling::Written { number }, Segment::None))?;
        must("sleep", sleep(PAUSE))?;
    }
    let told = must("the reader", call(reader, &telling::Ask {}, Segment::None))?;
    println!("{count} writes, {} reads, {} stale", told.reads, told.stale);
    Ok(())
}

/// Writes a number; how long opening the file for that took.
fn write_number(name: &str, number: u64) -> Result<Duration, String> {
    let start = Instant::now();
    let file = must(name, File::open_with(name, mode::WRITE))?;
    let taken = start.elapsed();
    must("write", file.write_at(0, format!("{number:0DIGITS$}").as_bytes()))?;
    Ok(taken)
}

fn parted(name: &str) -> Result<(), String> {
    let reader = reader(name)?;
    let written = number(&must(name, File::open(name))?)? + 1;
    let taken = write_number(name, written)?;
    let written_ns = v::time::real_ns();
    if taken > PATIENCE {
        return Err(format!("opened after {} ms", taken.as_millis()));
    }
    println!("opened after {} ms", taken.as_millis());
    let start = Instant::now();
    let seen = loop {
        match call(reader, &telling::Look {}, Segment::None) {
            Ok(seen) if seen.number >= written => break seen,
            _ if start.elapsed() > HEALING => return Err("the reader has not read it".into()),
            _ => must("sleep", sleep(PAUSE))?,
        }
    };
    if seen.less_ns > written_ns + CLOCKS_DIFFER_NS {
        return Err(format!("read less {} ms after it was written", (seen.less_ns - written_ns) / 1_000_000));
    }
    let told = must("the reader", call(reader, &telling::Ask {}, Segment::None))?;
    println!("parted: {} stale", told.stale);
    Ok(())
}
