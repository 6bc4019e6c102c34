//! The terminal server: `terminal PREFIX LINE`, a terminal of that name at that line.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use io_server::{IoServer, Limits};
use terminal_server::TerminalServer;
use terminal_server::channel::{CHANNEL_BYTES, channel};
use v::file::File;
use v::log;
use v::prelude::*;
use v::protocols::io::mode;
use v::time::Duration;

const STACK_BYTES: usize = 32 * 1024;
/// How long to wait for a driver that has been lost.
const RETRY: Duration = Duration::from_millis(200);

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    let mut words = v::env::arguments().skip(1);
    let (Some(prefix), Some(name)) = (words.next(), words.next()) else {
        return Err(Error::BadArgument);
    };
    let terminal = v::process::own_pid()?;
    let bringer = v::process::spawn_thread(STACK_BYTES, move || {
        keep_connected(name, mode::READ, |line| bring(line, terminal));
    })?;
    let taker = v::process::spawn_thread(STACK_BYTES, move || {
        let mut piece = Vec::new();
        keep_connected(name, mode::WRITE, |line| take(line, terminal, &mut piece));
    })?;
    let server = TerminalServer::new(vec![bringer.pid(), taker.pid()]);
    io_server::serve_prefixes(IoServer::new(server, Limits::default()), &[(prefix, 0)])
}

/// Opens the line and uses it; again, when that has failed, since the driver will be restarted.
fn keep_connected(name: &str, mode: u32, mut use_line: impl FnMut(&mut File) -> Result<Infallible, Error>) {
    let mut was_told = false;
    loop {
        let error = match File::open_with(name, mode) {
            Ok(mut line) => {
                was_told = false;
                use_line(&mut line).unwrap_err()
            }
            Err(error) => error,
        };
        if !was_told {
            was_told = true;
            log::warning!("{name}: {error}; trying again");
        }
        // Nobody wakes this process; if the delay fails, the next attempt comes sooner.
        let _ = v::time::sleep(RETRY);
    }
}

/// Brings what is typed to the terminal.
fn bring(line: &mut File, terminal: Pid) -> Result<Infallible, Error> {
    let mut buffer = [0; CHANNEL_BYTES];
    loop {
        let count = line.read(&mut buffer)?;
        call(terminal, &channel::Typed {}, Segment::Read(&buffer[..count]))?;
    }
}

/// Takes what is to be shown from the terminal, over a line that may not be the first. A piece is forgotten when it has
/// left the line: what a lost driver had of it is sent again, so that of a text some may stand there twice, but all does.
fn take(line: &mut File, terminal: Pid, piece: &mut Vec<u8>) -> Result<Infallible, Error> {
    call(terminal, &channel::Reconnected {}, Segment::None)?;
    loop {
        line.write_all(piece)?;
        line.synchronize()?;
        piece.resize(CHANNEL_BYTES, 0);
        let taken = call(terminal, &channel::TakeOutput {}, Segment::Write(piece));
        piece.truncate(taken.as_ref().map_or(0, |taken| taken.count as usize));
        taken?;
    }
}
