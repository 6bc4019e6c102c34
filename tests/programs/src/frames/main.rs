//! Frames between two nodes: `test-frames echo SECONDS` sends every frame back until none has come for so long;
//! `test-frames send COUNT BYTES…` sends frames of those sizes by turns, some at a time, and checks what comes back.
//!
//! A frame that is lost is sent again, and a network server that has started again is looked up again, so every frame
//! must come back in the end, with every byte as it was.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::time::Duration;

use protocols::network::{HEAD_BYTES, MAX_FRAME_BYTES, network};
use test_programs::must;
use v::prelude::*;
use v::{Pid, Segment, call, env, name, time};

/// For experiments, by the standard.
const TYPE: u32 = 0x88b5;
const BROADCAST: [u8; 6] = [0xff; 6];
/// Where in a frame its number and its length are, and where the pattern begins.
const KIND: usize = HEAD_BYTES;
const NUMBER: usize = HEAD_BYTES + 1;
const LENGTH: usize = HEAD_BYTES + 5;
const PATTERN: usize = HEAD_BYTES + 7;
const ASKS: u8 = 1;
const ANSWERS: u8 = 2;
/// Frames that are on their way at a time.
const WINDOW: usize = 16;
/// Frames whose answer takes longer are sent again.
const PATIENCE_NS: u64 = 100_000_000;
/// A server that is gone is looked up so often, at these intervals.
const LOOKS: u32 = 100;
const LOOK: Duration = Duration::from_millis(50);
/// In which a card that has as much as it can take will have sent some.
const MOMENT: Duration = Duration::from_millis(1);

v_start::program!(main);

fn main() -> i32 {
    let words: Vec<&str> = env::arguments().skip(1).collect();
    let outcome = match words.as_slice() {
        ["echo", seconds] => must(seconds, seconds.parse()).and_then(echo),
        ["send", count, sizes @ ..] if !sizes.is_empty() => must(count, count.parse()).and_then(|count| {
            let sizes = sizes.iter().map(|size| must(size, size.parse())).collect::<Result<Vec<_>, _>>()?;
            send(count, &sizes)
        }),
        _ => Err("usage: test-frames echo SECONDS, or test-frames send COUNT BYTES...".into()),
    };
    match outcome {
        Ok(()) => 0,
        Err(why) => {
            eprintln!("test-frames: {why}");
            1
        }
    }
}

/// The network server, which may start again.
struct Network {
    server: Pid,
    lives: u32,
}

impl Network {
    fn find() -> Result<Network, String> {
        let mut network = Network { server: Pid::NONE, lives: 0 };
        network.find_again()?;
        Ok(network)
    }

    /// Looks the server up and registers the type with it.
    fn find_again(&mut self) -> Result<(), String> {
        let mut last = Error::NotFound;
        for _ in 0..LOOKS {
            let registered = name::with_place("[network]", true, |found| {
                self.server = found.server;
                call(self.server, &network::Register { ethertype: TYPE }, Segment::None)
            });
            match registered {
                Ok(_) => {
                    self.lives += 1;
                    return Ok(());
                }
                Err(error) => last = error,
            }
            // A sleep that is cut short is one look more.
            let _ = time::sleep(LOOK);
        }
        Err(format!("[network]: {last}"))
    }

    /// The next frame's length; none if none comes in time, or the server has started again.
    fn receive(&mut self, buffer: &mut [u8], until_ns: u64) -> Result<Option<usize>, String> {
        let request = network::ReceiveFrame { ethertype: TYPE, until_ns };
        match call(self.server, &request, Segment::Write(buffer)) {
            Ok(received) => Ok(Some(received.count as usize)),
            Err(Error::DeadlinePassed) => Ok(None),
            Err(error) => self.after(error),
        }
    }

    /// Sends a frame. One that is lost is not missed here.
    fn send(&mut self, frame: &[u8]) -> Result<(), String> {
        match call(self.server, &network::SendFrame { card: 0 }, Segment::Read(frame)) {
            Ok(_) => Ok(()),
            Err(Error::Busy) => {
                let _ = time::sleep(MOMENT);
                Ok(())
            }
            Err(error) => self.after(error).map(|_| ()),
        }
    }

    fn after(&mut self, error: Error) -> Result<Option<usize>, String> {
        match error {
            Error::DiedBeforeReply | Error::NonexistentProcess | Error::StaleProcess | Error::NotFound => {
                self.find_again().map(|()| None)
            }
            error => Err(format!("[network]: {error}")),
        }
    }
}

fn echo(seconds: u64) -> Result<(), String> {
    let mut network = Network::find()?;
    let mut buffer = vec![0; MAX_FRAME_BYTES];
    let mut count = 0_u64;
    let mut last_ns = time::now_ns();
    loop {
        let until_ns = last_ns + seconds * 1_000_000_000;
        match network.receive(&mut buffer, until_ns)? {
            Some(bytes) if bytes > PATTERN && buffer[KIND] == ASKS => {
                buffer.copy_within(6..12, 0);
                buffer[KIND] = ANSWERS;
                network.send(&buffer[..bytes])?;
                count += 1;
                last_ns = time::now_ns();
            }
            None if time::now_ns() >= until_ns => break,
            _ => {}
        }
    }
    println!("{count} frames sent back, by {} lives of the server", network.lives);
    Ok(())
}

/// The frame with this number.
fn write(frame: &mut [u8], station: [u8; 6], number: u32) {
    frame[..6].copy_from_slice(&station);
    frame[12..14].copy_from_slice(&(TYPE as u16).to_be_bytes());
    frame[KIND] = ASKS;
    frame[NUMBER..][..4].copy_from_slice(&number.to_le_bytes());
    let bytes = frame.len() as u16;
    frame[LENGTH..][..2].copy_from_slice(&bytes.to_le_bytes());
    for (at, byte) in frame[PATTERN..].iter_mut().enumerate() {
        *byte = pattern(number, at);
    }
}

fn pattern(number: u32, at: usize) -> u8 {
    (number as usize).wrapping_mul(31).wrapping_add(at).wrapping_add(at >> 8) as u8
}

/// The number of an answer that is right in every byte; none if it is no answer.
fn check(frame: &[u8]) -> Result<Option<u32>, String> {
    if frame.len() <= PATTERN || frame[KIND] != ANSWERS {
        return Ok(None);
    }
    let number = u32::from_le_bytes([0, 1, 2, 3].map(|at| frame[NUMBER + at]));
    let bytes = usize::from(u16::from_le_bytes([frame[LENGTH], frame[LENGTH + 1]]));
    // Short frames are filled up on their way.
    if bytes > frame.len() || bytes != frame.len() && frame.len() > 60 {
        return Err(format!("frame {number} came back with {} bytes, not {bytes}", frame.len()));
    }
    for (at, byte) in frame[PATTERN..bytes].iter().enumerate() {
        if *byte != pattern(number, at) {
            return Err(format!("frame {number} of {bytes} bytes came back wrong at {}", PATTERN + at));
        }
    }
    Ok(Some(number))
}

/// Frames on their way: number, and when it was sent.
type Outstanding = Vec<(u32, u64)>;

fn send(count: u32, sizes: &[usize]) -> Result<(), String> {
    if let Some(size) = sizes.iter().find(|size| !(PATTERN..=MAX_FRAME_BYTES).contains(*size)) {
        return Err(format!("a frame cannot have {size} bytes"));
    }
    let mut network = Network::find()?;
    let mut station = BROADCAST;
    let mut frame = vec![0; MAX_FRAME_BYTES];
    let mut outstanding = Outstanding::new();
    let (mut next, mut again, mut bytes) = (0, 0, 0_u64);
    let size = |number: u32| sizes[number as usize % sizes.len()];
    let started_ns = time::now_ns();
    while next < count || !outstanding.is_empty() {
        // Until it is known who answers, one at a time: everyone hears it.
        let window = if station == BROADCAST { 1 } else { WINDOW };
        while next < count && outstanding.len() < window {
            write(&mut frame[..size(next)], station, next);
            network.send(&frame[..size(next)])?;
            outstanding.push((next, time::now_ns()));
            next += 1;
        }
        if let Some(received) = network.receive(&mut frame, time::now_ns() + PATIENCE_NS)?
            && let Some(number) = check(&frame[..received])?
            && let Some(at) = outstanding.iter().position(|(sent, _)| *sent == number)
        {
            outstanding.swap_remove(at);
            station.copy_from_slice(&frame[6..12]);
            bytes += received as u64;
        }
        let now_ns = time::now_ns();
        for (number, sent_ns) in &mut outstanding {
            if now_ns - *sent_ns >= PATIENCE_NS {
                *sent_ns = now_ns;
                again += 1;
                write(&mut frame[..size(*number)], station, *number);
                network.send(&frame[..size(*number)])?;
            }
        }
    }
    let milliseconds = (time::now_ns() - started_ns) / 1_000_000;
    println!("{count} frames came back right, {bytes} bytes");
    println!("{again} were sent again; {} lives of the server; {milliseconds} ms", network.lives);
    Ok(())
}
