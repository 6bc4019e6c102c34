//! Processes and programs: this one and its end; starting others; threads.

mod command;
mod job;
mod migrate;
mod place;
mod thread;

use alloc_crate::vec::Vec;

use abi::kernel::record::{ProcessRecord, ProcessState};
use abi::{Error, LogicalHost, Pid, kernel};

use crate::message::{Segment, call};

pub use command::{Child, Command, DEFAULT_PATH, Status, Stream, program_files};
pub use job::Job;
pub use migrate::migrate;
pub use place::{Place, Programs, manager_of, programs_of};
pub use thread::{Thread, spawn_thread};

/// What a program's `main` may return.
pub trait Termination {
    /// The program's exit status.
    fn status(self) -> i32;
}

impl Termination for () {
    fn status(self) -> i32 {
        0
    }
}

impl Termination for i32 {
    fn status(self) -> i32 {
        self
    }
}

impl Termination for core::convert::Infallible {
    fn status(self) -> i32 {
        match self {}
    }
}

impl<T: Termination, E: core::fmt::Display> Termination for Result<T, E> {
    /// An error is told on standard error, and makes the status 1.
    fn status(self) -> i32 {
        match self {
            Ok(value) => value.status(),
            Err(error) => {
                crate::eprintln!("{}: {error}", crate::env::program_name());
                1
            }
        }
    }
}

/// Ends the program, which is to say this team, with `status`. What is buffered of standard output is written first;
/// if that fails, for another reason than that nobody reads it, a program that would have ended well says so and ends with
/// status 1. One that would not has said why.
pub fn exit(status: i32) -> ! {
    let status = match crate::io::flush_standard_output() {
        Ok(()) | Err(Error::BrokenPipe) => status,
        Err(error) if status == 0 => {
            crate::eprintln!("{}: standard output: {error}", crate::env::program_name());
            1
        }
        Err(_) => status,
    };
    crate::io::release_pipes();
    abort(status)
}

/// As [`exit`], but nothing that is buffered is written.
pub fn abort(status: i32) -> ! {
    // The root of the team, whose end is the team's.
    let request = kernel::process::Destroy { process: owner(), status: status.cast_unsigned() };
    loop {
        // The kernel does not refuse this; and there is nothing else to be done.
        let _ = crate::message::kernel(kernel::PROCESS, &request);
    }
}

/// Ends the calling process, which is not the team's root.
pub(crate) fn end_thread() -> ! {
    let request = kernel::process::Destroy { process: Pid::NONE, status: 0 };
    loop {
        // As above.
        let _ = crate::message::kernel(kernel::PROCESS, &request);
    }
}

/// The calling process.
pub fn own_pid() -> Result<Pid, Error> {
    Ok(query(Pid::NONE)?.process())
}

/// What the kernel knows of a process of this node; [`Pid::NONE`]: the caller.
pub fn query(process: Pid) -> Result<ProcessRecord, Error> {
    query_by(LogicalHost::OWN, process)
}

fn query_by(host: LogicalHost, process: Pid) -> Result<ProcessRecord, Error> {
    let mut bytes = [0; ProcessRecord::BYTES];
    let request = kernel::process::QueryProcess { process };
    call(Pid::kernel_server(host, kernel::PROCESS), &request, Segment::Write(&mut bytes))?;
    Ok(ProcessRecord::from_bytes(&bytes))
}

/// What the kernel knows of every process of this node, in the order of its table.
pub fn all() -> Result<Vec<ProcessRecord>, Error> {
    all_of(LogicalHost::OWN)
}

/// As [`all`], of the node with a logical host.
pub fn all_of(host: LogicalHost) -> Result<Vec<ProcessRecord>, Error> {
    const AT_ONCE: usize = 32;
    let mut records = Vec::new();
    let mut bytes = [0; AT_ONCE * ProcessRecord::BYTES];
    let mut index = 0;
    loop {
        let request = kernel::process::QueryProcesses { index };
        let server = Pid::kernel_server(host, kernel::PROCESS);
        let reply = call(server, &request, Segment::Write(&mut bytes))?;
        let (found, _) = bytes.as_chunks();
        records.extend(found.iter().take(reply.count as usize).map(ProcessRecord::from_bytes));
        if reply.next <= index {
            return Ok(records);
        }
        index = reply.next;
    }
}

/// The team's root, for requests: none, which means the calling process itself, while that is the only one; so a
/// program with one process need not ask who it is. The team owns what its processes open.
pub(crate) fn owner() -> Pid {
    if thread::are_several() { team() } else { Pid::NONE }
}

/// Whether a process of this node has ended.
pub fn has_ended(process: Pid) -> Result<bool, Error> {
    is_end(query(process))
}

/// As [`has_ended`], of a process of any node, whose kernel is asked. So this may wait for another node.
pub fn has_ended_anywhere(process: Pid) -> Result<bool, Error> {
    match query_by(process.host(), process) {
        // A guest's logical host ends with it, and the kernel that had it knows it no more.
        Err(Error::ProcessElsewhere) => Ok(true),
        queried => is_end(queried),
    }
}

fn is_end(queried: Result<ProcessRecord, Error>) -> Result<bool, Error> {
    match queried {
        Ok(record) => Ok(ProcessState::from_number(record.state) == Some(ProcessState::Ended)),
        Err(Error::StaleProcess | Error::NonexistentProcess) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Names the calling process for listings and reports; 16 bytes are kept.
pub fn set_name(name: &str) -> Result<(), Error> {
    let (first_bytes, last_bytes) = kernel::record::name_words(name);
    let request = kernel::process::SetName { process: Pid::NONE, first_bytes, last_bytes };
    crate::message::kernel(kernel::PROCESS, &request)?;
    Ok(())
}

/// The root process of this team.
pub fn team() -> Pid {
    static TEAM: crate::sync::Once<Pid> = crate::sync::Once::new();
    TEAM.try_call_once(|| Ok::<_, Error>(identify(Pid::NONE)?.team)).copied().unwrap_or(Pid::NONE)
}

/// The team, owner, user and rights of a process of this node; [`Pid::NONE`]: the caller.
pub fn identify(process: Pid) -> Result<kernel::process::Identified, Error> {
    crate::message::kernel(kernel::PROCESS, &kernel::process::Identify { process })
}

/// As [`identify`], of a process of any node, whose kernel is asked. So this may wait for another node.
pub fn identify_anywhere(process: Pid) -> Result<kernel::process::Identified, Error> {
    let server = Pid::kernel_server(process.host(), kernel::PROCESS);
    call(server, &kernel::process::Identify { process }, Segment::None)
}
