//! A program that is to be moved while it does all kinds of things, and its client, which stays.
//!
//! | `test-moving` | what it does |
//! |---|---|
//! | `work PLACE FILE [ROUNDS]` | takes so many lines from standard input, or as many as come until it is told that it is over; serves clients meanwhile. `PLACE` gets the pid that these send to |
//! | `ask PLACE` | sends one request after the other, until it is told that it is over, and says how many they were |
//! | `stop PLACE` | tells the program that it is over |
//!
//! In each round a line is read, appended to `FILE` and read back from there, a page of memory is written and another one
//! looked at, the clock is looked at, and a line is written. What is written depends on the number of rounds alone, so a
//! program that never moved writes the same.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use protocols::io::mode;
use test_programs::{ensure, ensure_equal, must};
use v::abi::call::FOREVER;
use v::abi::protocol::Reply as _;
use v::file::{self, File};
use v::prelude::*;
use v::process::spawn_thread;
use v::time::{self, Duration};
use v::{Pid, Segment, env, message};

v::abi::protocol! {
    /// What the program is asked.
    pub mod work = 0x72, enum Work {
        /// The next request of the client: by odd numbers the segment is to be read, by even ones to be written.
        Ask = 1 { number: u32 } => Asked { number: u32, is_over: u32 };
        /// It is over.
        Stop = 2 {} => Stopped {};
    }
}

use work::{Ask, Asked, Stop, Stopped, Work};

const STACK_BYTES: usize = 64 * 1024;
/// What is written and looked at in turn.
const PAGES: usize = 64;
const PAGE_BYTES: usize = 4096;
/// Longest segment of a request.
const MOST_BYTES: usize = 3000;
const ROUND_PAUSE: Duration = Duration::from_millis(4);
const CLIENT_PAUSE: Duration = Duration::from_millis(3);
/// How long a request is kept before it is answered: most moves meet one.
const KEPT: Duration = Duration::from_millis(12);

v_start::program!(main);

fn main() -> i32 {
    let words: Vec<&str> = env::arguments().skip(1).collect();
    let outcome = match words.as_slice() {
        ["work", place, file] => work(place, file, u64::MAX),
        ["work", place, file, rounds] => {
            must(rounds, rounds.parse()).and_then(|rounds| work(place, file, rounds))
        }
        ["ask", place] => ask(place),
        ["stop", place] => stop(place),
        _ => Err("usage: test-moving work|ask|stop ...; see its source".into()),
    };
    match outcome {
        Ok(()) => 0,
        Err(why) => {
            eprintln!("test-moving: {why}");
            1
        }
    }
}

/// What both processes of the program know.
#[derive(Default)]
struct Known {
    is_over: AtomicBool,
    /// The latest that the clock has said to either.
    clock_ns: AtomicU64,
}

impl Known {
    fn look_at_clock(&self) -> Result<u64, String> {
        let before_ns = self.clock_ns.load(Ordering::SeqCst);
        let now_ns = time::now_ns();
        ensure!(now_ns >= before_ns);
        self.clock_ns.fetch_max(now_ns, Ordering::SeqCst);
        Ok(now_ns)
    }
}

fn work(place: &str, name: &str, rounds: u64) -> Result<(), String> {
    let known = Arc::new(Known::default());
    let served = Arc::clone(&known);
    let body = move || {
        if let Err(why) = serve(&served) {
            eprintln!("test-moving: {why}");
            v::process::exit(2);
        }
    };
    let server = must("a process", spawn_thread(STACK_BYTES, body))?;
    must(name, file::write(name, ""))?;
    let file = must(name, File::open_with(name, mode::READ | mode::WRITE))?;
    must(place, file::write(place, format!("{}\n", server.pid())))?;
    let mut memory = vec![0_u64; PAGES * PAGE_BYTES / 8];
    let (mut line, mut size) = (String::new(), 0);
    for round in 1..=rounds {
        if known.is_over.load(Ordering::SeqCst) {
            break;
        }
        line.clear();
        if must("standard input", v::io::stdin().read_line(&mut line))? == 0 {
            break;
        }
        let back = through_file(&file, &line, &mut size)?;
        let seen = through_memory(&mut memory, round)?;
        println!("{round}: {} {back} {seen}", line.trim());
        must("standard output", v::io::flush_standard_output())?;
        let before_ns = known.look_at_clock()?;
        must("sleep", time::sleep(ROUND_PAUSE))?;
        ensure!(known.look_at_clock()? >= before_ns + ROUND_PAUSE.as_nanos() as u64);
    }
    println!("{size} bytes");
    if rounds == u64::MAX { must("the other process", server.join()) } else { Ok(()) }
}

/// Appends a line to a file of so many bytes, and reads it back with what is before it. What that was.
fn through_file(file: &File, line: &str, size: &mut u64) -> Result<u32, String> {
    ensure_equal!(must("write", file.write_at(*size, line.as_bytes()))?, line.len());
    *size += line.len() as u64;
    ensure_equal!(must("size", file.size())?, *size);
    let mut end = [0; 64];
    let from = size.saturating_sub(end.len() as u64);
    let count = must("read", file.read_at(from, &mut end))?;
    ensure!(end[..count].ends_with(line.as_bytes()));
    Ok(end[..count].iter().fold(0, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte))))
}

/// Writes a page, and says what is in the one that was written longest ago.
fn through_memory(memory: &mut [u64], round: u64) -> Result<u64, String> {
    let at = |round: u64| round as usize % PAGES * (PAGE_BYTES / 8);
    memory[at(round)..][..PAGE_BYTES / 8].fill(round);
    let oldest = (round + 1).saturating_sub(PAGES as u64);
    let page = &memory[at(round + 1)..][..PAGE_BYTES / 8];
    ensure!(page.iter().all(|word| *word == oldest));
    Ok(page[0])
}

/// Byte `at` of the segment of a request.
fn byte(number: u32, at: usize) -> u8 {
    (number as usize * 31 + at * 7 + (at >> 8)) as u8
}

fn segment(number: u32) -> Vec<u8> {
    (0..number as usize * 37 % MOST_BYTES).map(|at| byte(number, at)).collect()
}

/// Answers one client, each of whose requests comes once, in order.
fn serve(known: &Known) -> Result<(), String> {
    let mut buffer = [0; MOST_BYTES];
    let mut last = 0;
    loop {
        let received = must("receive", message::receive(None, &mut buffer, FOREVER))?;
        known.look_at_clock()?;
        let is_over = known.is_over.load(Ordering::SeqCst);
        let mut data = Vec::new();
        let reply = match Work::from_message(&received.message) {
            Some(Work::Ask(Ask { number })) => {
                ensure_equal!(number, last + 1);
                last = number;
                if number % 2 == 1 {
                    ensure!(buffer[..received.segment_bytes()] == segment(number));
                } else {
                    data = segment(number);
                }
                Asked { number, is_over: is_over.into() }.to_message()
            }
            Some(Work::Stop(_)) => {
                known.is_over.store(true, Ordering::SeqCst);
                Stopped {}.to_message()
            }
            // The first process waits for the end of this one.
            None => continue,
        };
        must("sleep", time::sleep(KEPT))?;
        must("reply", message::reply(received.sender.pid, &reply, &data))?;
        if is_over {
            return Ok(());
        }
    }
}

/// The pid that a file has, as soon as it has one.
fn server_at(place: &str) -> Result<Pid, String> {
    loop {
        let text = file::read_to_string(place).unwrap_or_default();
        if text.ends_with('\n') {
            return text.trim().parse().map_err(|()| format!("{text}: no process"));
        }
        must("sleep", time::sleep(ROUND_PAUSE))?;
    }
}

fn ask(place: &str) -> Result<(), String> {
    let server = server_at(place)?;
    for number in 1.. {
        let mut bytes = segment(number);
        let mut written = vec![0; bytes.len()];
        let granted = if number % 2 == 1 { Segment::Read(&bytes) } else { Segment::Write(&mut written) };
        let asked = must("ask", message::call(server, &Ask { number }, granted))
            .map_err(|why| format!("request {number}: {why}"))?;
        ensure_equal!(asked.number, number);
        if number % 2 == 1 {
            bytes.fill(0);
        }
        ensure!(written == bytes);
        if asked.is_over != 0 {
            println!("{number} requests, all is well");
            return Ok(());
        }
        must("sleep", time::sleep(CLIENT_PAUSE))?;
    }
    Ok(())
}

fn stop(place: &str) -> Result<(), String> {
    must("stop", message::call(server_at(place)?, &Stop {}, Segment::None))?;
    Ok(())
}
