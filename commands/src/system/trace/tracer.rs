//! Setting and reading the trace ring of a node's kernel.

use alloc::vec::Vec;

use abi::kernel::{STATISTICS, server, statistics};
use abi::trace::TraceRecord;
use abi::{Error, Pid};
use protocols::supervisor::{MOST_TRACE_RECORDS, supervisor};
use v::message::{Segment, call};

use crate::context::Failure;
use crate::system::node::Node;

/// What was read of a ring.
#[derive(Debug, Default)]
pub struct Found {
    /// The records.
    pub records: Vec<TraceRecord>,
    /// How many were overwritten before they could be read.
    pub lost: u64,
    /// Where the next one will be.
    next: u64,
}

/// Who sets and reads a kernel's trace: this node's for itself; another node's supervisor, since rights never travel.
pub enum Tracer {
    /// This node's kernel.
    Kernel,
    /// Another node's supervisor.
    Supervisor(Pid),
}

impl Tracer {
    /// Whoever it is for that node.
    pub fn of(node: &Node) -> Result<Tracer, Failure> {
        if node.is_named() { node.server("supervisor").map(Tracer::Supervisor) } else { Ok(Tracer::Kernel) }
    }

    /// Chooses the events that are kept.
    pub fn set(&self, events: u32) -> Result<(), Error> {
        match self {
            Tracer::Kernel => {
                call(server(STATISTICS), &statistics::SetTrace { events }, Segment::None).map(|_| ())
            }
            Tracer::Supervisor(supervisor) => {
                call(*supervisor, &supervisor::SetTrace { events }, Segment::None).map(|_| ())
            }
        }
    }

    /// Where the next record will be.
    pub fn end(&self) -> Result<u64, Error> {
        Ok(self.read(u64::MAX)?.next)
    }

    /// Every record from a place on, as far as they are still there.
    pub fn read(&self, mut from: u64) -> Result<Found, Error> {
        let mut found = Found::default();
        let mut buffer = alloc::vec![0; MOST_TRACE_RECORDS * TraceRecord::BYTES];
        loop {
            let segment = Segment::Write(&mut buffer);
            let (count, next) = match self {
                Tracer::Kernel => {
                    let read = call(server(STATISTICS), &statistics::ReadTrace { from }, segment)?;
                    (read.count, read.next)
                }
                Tracer::Supervisor(supervisor) => {
                    let read = call(*supervisor, &supervisor::ReadTrace { from }, segment)?;
                    (read.count, read.next)
                }
            };
            let (records, _) = buffer.as_chunks::<{ TraceRecord::BYTES }>();
            found.records.extend(records.iter().take(count as usize).map(TraceRecord::from_bytes));
            found.next = next;
            if count == 0 {
                return Ok(found);
            }
            // The ring goes on while it is read, and what is not read in time is overwritten.
            found.lost += next.saturating_sub(u64::from(count)).saturating_sub(from);
            from = next;
        }
    }
}
