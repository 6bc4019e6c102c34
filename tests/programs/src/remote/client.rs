//! The client: what it was told became of each message is compared with what the server has counted.

extern crate alloc;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use test_programs::must;
use v::prelude::*;
use v::process::spawn_thread;
use v::time::Duration;
use v::{Pid, Segment, time};

use crate::segment;
use crate::tally::{Count, Counted, Read};

/// After an error, before the next message.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the counts are asked for.
const ASKS: u32 = 20;

/// What the client was told of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Executed,
    Perhaps,
    NotExecuted,
}

/// What an error says of a message; none if it is no error of a network.
const fn fate(error: Error) -> Option<Fate> {
    match error {
        Error::HostNotFound | Error::NoResources | Error::NoNetwork => Some(Fate::NotExecuted),
        Error::HostUnreachable => Some(Fate::Perhaps),
        Error::ReplyLost => Some(Fate::Executed),
        _ => None,
    }
}

/// Sends a message, with a segment of `bytes` bytes whose access changes with the number.
fn count(server: Pid, client: u32, number: u32, bytes: usize) -> Result<Fate, String> {
    let request = Count { client, number };
    let mut place = segment(client, number, false, bytes);
    let granted = match number % 4 {
        _ if bytes == 0 => Segment::None,
        0 => Segment::None,
        1 => Segment::Read(&place),
        2 => Segment::Write(&mut place),
        _ => Segment::ReadWrite(&mut place),
    };
    match call(server, &request, granted) {
        Ok(Counted { times: 1 }) if number % 4 < 2 || place == segment(client, number, true, bytes) => {
            Ok(Fate::Executed)
        }
        Ok(Counted { times: 1 }) => Err(format!("message {number}: the answer's {bytes} bytes are wrong")),
        Ok(Counted { times }) => Err(format!("message {number} has been executed {times} times")),
        Err(error) => fate(error).ok_or_else(|| format!("message {number}: {error}")),
    }
}

/// How often each of `count` messages has been executed.
fn counts(server: Pid, client: u32, count: u32) -> Result<Vec<u8>, String> {
    let mut counts = vec![0; count as usize];
    let mut last = Error::HostUnreachable;
    for _ in 0..ASKS {
        match call(server, &Read { client }, Segment::Write(&mut counts)) {
            Ok(told) if told.wrong == 0 => return Ok(counts),
            Ok(told) => return Err(format!("{} messages arrived with a wrong segment", told.wrong)),
            Err(error) => last = error,
        }
        // A sleep that is cut short is a question more.
        let _ = time::sleep(PAUSE);
    }
    Err(format!("the counts: {last}"))
}

pub fn send(server: Pid, client: u32, messages: u32, sizes: &[usize]) -> Result<(), String> {
    let started_ns = time::now_ns();
    let mut fates = Vec::with_capacity(messages as usize);
    let mut longest = (0, 0);
    for number in 0..messages {
        let bytes = size(number, sizes);
        let sent_ns = time::now_ns();
        let fate = count(server, client, number, bytes)?;
        longest = longest.max((time::now_ns() - sent_ns, number));
        if fate != Fate::Executed {
            let _ = time::sleep(PAUSE);
        }
        fates.push(fate);
    }
    let milliseconds = (time::now_ns() - started_ns) / 1_000_000;
    compare(server, client, &fates)?;
    let of = |wanted: Fate| fates.iter().filter(|fate| **fate == wanted).count();
    let [executed, perhaps, not] = [Fate::Executed, Fate::Perhaps, Fate::NotExecuted].map(of);
    let (longest_ms, number) = (longest.0 / 1_000_000, longest.1);
    println!(
        "client {client}: {executed} executed, {perhaps} perhaps, {not} not; {milliseconds} ms, of which {longest_ms} for \
         message {number}"
    );
    Ok(())
}

/// Compares what was told of a client's messages with how often each has been executed.
fn compare(server: Pid, client: u32, fates: &[Fate]) -> Result<(), String> {
    let counts = counts(server, client, fates.len() as u32)?;
    for (number, (fate, times)) in fates.iter().zip(&counts).enumerate() {
        let is_right = match fate {
            Fate::Executed => *times == 1,
            Fate::Perhaps => *times <= 1,
            Fate::NotExecuted => *times == 0,
        };
        if !is_right {
            let told = match fate {
                Fate::Executed => "executed",
                Fate::Perhaps => "perhaps executed",
                Fate::NotExecuted => "not executed",
            };
            return Err(format!("message {number} was said to be {told}, and was {times} times"));
        }
    }
    Ok(())
}

/// A process's stack.
const STACK_BYTES: usize = 16 * 1024;

/// All at the same time: the server's node has not room for all of them, and none may fail for that.
pub fn crowd(server: Pid, client: u32, messages: u32, bytes: usize) -> Result<(), String> {
    let started_ns = time::now_ns();
    let failed = Arc::new(AtomicU32::new(0));
    let mut threads = Vec::new();
    for number in 0..messages {
        let failed = Arc::clone(&failed);
        let body = move || {
            let outcome = count(server, client, number, bytes);
            if !matches!(outcome, Ok(Fate::Executed)) {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        };
        threads.push(must("a process", spawn_thread(STACK_BYTES, body))?);
    }
    for thread in threads {
        must("a process's end", thread.join())?;
    }
    let failed = failed.load(Ordering::Relaxed);
    if failed > 0 {
        return Err(format!("{failed} of {messages} messages failed"));
    }
    compare(server, client, &vec![Fate::Executed; messages as usize])?;
    println!(
        "client {client}: {messages} executed at a time, {} ms",
        (time::now_ns() - started_ns) / 1_000_000
    );
    Ok(())
}

/// The size of a message's segment: they are taken by turns.
fn size(number: u32, sizes: &[usize]) -> usize {
    if sizes.is_empty() { 0 } else { sizes[number as usize % sizes.len()] }
}

pub fn until(server: Pid, client: u32, sizes: &[usize]) -> Result<(), String> {
    for number in 0.. {
        let sent_ns = time::now_ns();
        let fate = count(server, client, number, size(number, sizes))?;
        if fate != Fate::Executed {
            let word = if fate == Fate::Perhaps { "perhaps executed" } else { "not executed" };
            let seconds = (time::now_ns() - sent_ns) / 1_000_000_000;
            println!("client {client}: message {number} was {word}, as it learnt after {seconds} s");
            break;
        }
    }
    Ok(())
}

pub fn ask(server: Pid) {
    match call(server, &Count { client: 0, number: 0 }, Segment::None) {
        Ok(Counted { times }) => println!("it answers: {times}"),
        Err(error) => println!("it does not answer: {error}"),
    }
}
