//! A worker: takes tasks from its master, does them, and delivers the results, until it is dismissed.

use alloc_crate::vec;
use alloc_crate::vec::Vec;
use core::convert::Infallible;

use abi::protocol::Request;
use abi::{Error, Pid};

use super::work::{Attend, Begin, Begun, Deliver, Take};
use super::{MOST_BYTES, WORKER_WORD};
use crate::message::{Segment, again, call};
use crate::process;

/// What is done with a task: what all tasks have in common, the task, its result.
pub type Work = fn(shared: &[u8], task: &[u8]) -> Vec<u8>;

/// Room for a task at first.
const FIRST_BYTES: usize = 4096;
/// The stack of the process that waits to be dismissed.
const STACK_BYTES: usize = 16 * 1024;

/// If this program was started as a worker, works until all is over and gives the exit status; else none.
///
/// To be called first: a worker's arguments mean nothing else.
pub fn worker(work: Work) -> Option<i32> {
    let mut arguments = crate::env::arguments().skip(1);
    let master = arguments.next()?.strip_prefix(WORKER_WORD)?;
    if arguments.next().is_some() {
        return None;
    }
    let Err(error) = master.parse().map_err(|()| Error::BadArgument).and_then(|master| serve(master, work));
    Some(match error {
        // The master has ended, and with it the reason to work.
        Error::StaleProcess | Error::NonexistentProcess | Error::DiedBeforeReply => 0,
        // So it has, or its node has, or the way there: who reads this node's messages is not concerned.
        Error::HostUnreachable | Error::HostNotFound | Error::NoNetwork => 1,
        error => {
            crate::eprintln!("{}: a worker of {master}: {error}", crate::env::program_name());
            1
        }
    })
}

fn serve(master: Pid, work: Work) -> Result<Infallible, Error> {
    process::spawn_thread(STACK_BYTES, move || {
        let dismissed = again(true, || call(master, &Attend {}, Segment::None));
        process::abort(i32::from(dismissed.is_err()));
    })?;
    let mut buffer = vec![0; FIRST_BYTES];
    let Begun { bytes } = ask(master, &Begin {}, &mut buffer, |begun| begun.bytes)?;
    let shared = buffer[..bytes as usize].to_vec();
    let host = crate::node::host().to_bits();
    loop {
        let taken = ask(master, &Take { host }, &mut buffer, |taken| taken.bytes)?;
        let result = work(&shared, &buffer[..taken.bytes as usize]);
        if result.len() > MOST_BYTES {
            return Err(Error::TooLong);
        }
        let busy_ns = process::query(Pid::NONE)?.run_ns;
        let deliver = Deliver { task: taken.task, busy_ns };
        again(true, || call(master, &deliver, Segment::Read(&result)))?;
    }
}

/// Asks for something of which the answer says how long it is; with a longer buffer if it does not fit.
fn ask<R: Request>(
    master: Pid,
    request: &R,
    buffer: &mut Vec<u8>,
    bytes_of: impl Fn(&R::Reply) -> u32,
) -> Result<R::Reply, Error> {
    loop {
        let answer = again(true, || call(master, request, Segment::Write(buffer)))?;
        let bytes = bytes_of(&answer) as usize;
        if bytes <= buffer.len() {
            return Ok(answer);
        }
        if bytes > MOST_BYTES {
            return Err(Error::TooLong);
        }
        buffer.resize(bytes, 0);
    }
}
