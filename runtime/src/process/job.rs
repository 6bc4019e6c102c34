//! Jobs: programs that are ended, stopped and let go on together, on whatever nodes they are.
//!
//! A program of a job starts all others in it as well, so who ends the job needs to know none of them. Each program
//! manager knows which of its programs are of a job; they are told as a group.

use core::sync::atomic::{AtomicU32, Ordering};

use abi::kernel::well_known_group;
use abi::{Error, LogicalHost, Pid, Request};
use alloc_crate::vec::Vec;
use protocols::program::{Entry, entries_of, entry_kind, program};

use crate::message::{self, Segment, again, call};
use crate::node;
use crate::time;

/// How often the managers of other nodes are told, since none of them is asked whether it heard.
const TIMES: u32 = 2;
/// How long the first of them has to answer.
const ANSWER_NS: u64 = 500_000_000;

/// A job of this program's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Job {
    shell: Pid,
    number: u32,
}

impl Job {
    /// A job of nobody yet: see [`Command::in_job`](super::Command::in_job).
    pub fn new() -> Job {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        Job { shell: super::team(), number: NUMBER.fetch_add(1, Ordering::Relaxed) }
    }

    /// Ends its programs: on this node for sure, and on each that hears of it.
    pub fn end(self, status: u32) -> Result<(), Error> {
        let Job { shell, number } = self;
        tell(&program::EndJob { shell, number, status })
    }

    /// Stops its programs: none of their processes runs until they are [let go on](Job::let_go_on).
    pub fn stop(self) -> Result<(), Error> {
        let Job { shell, number } = self;
        tell(&program::StopJob { shell, number })
    }

    /// Lets its programs go on.
    pub fn let_go_on(self) -> Result<(), Error> {
        let Job { shell, number } = self;
        tell(&program::ContinueJob { shell, number })
    }

    pub(super) fn append(self, block: &mut Vec<u8>) {
        Entry::Job { shell: self.shell, number: self.number }.append(block);
    }
}

/// Tells all program managers something of a job: that of this node for sure.
fn tell<R: Request>(request: &R) -> Result<(), Error> {
    let manager = node::member_on(LogicalHost::OWN, well_known_group::PROGRAM_MANAGERS)?;
    again(true, || call(manager, request, Segment::None))?;
    for _ in 0..TIMES {
        let all = well_known_group::ALL_PROGRAM_MANAGERS;
        let deadline = time::now_ns() + ANSWER_NS;
        // Without a network there are no others.
        let _ = message::call_group(all, request, Segment::None, deadline);
    }
    Ok(())
}

impl Default for Job {
    fn default() -> Job {
        Job::new()
    }
}

/// Appends the jobs that this program is of to the start block of another.
pub(super) fn append_own(block: &mut Vec<u8>) {
    for entry in entries_of(crate::entry::start_block(), entry_kind::JOB) {
        entry.append(block);
    }
}
