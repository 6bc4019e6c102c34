//! A disk with its partitions, and the requests that wait for it or are at it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use abi::protocol::{Reply, refusal};
use abi::segment::HEAD_BYTES;
use abi::{Error, Pid};
use io_server::{Incoming, System};
use protocols::block::block;
use protocols::io::io;

use crate::partitions::{Partition, Search, Table};
use crate::{Disk, Facts, Finished, Operation};

/// Most requests that wait for a slot.
const MOST_WAITING: usize = 1024;
/// How long a device may take for a request. Longer than a disk that repairs a block, or wakes up, needs.
pub const PATIENCE_NS: u64 = 30_000_000_000;
/// How often what has ended is looked for again without a pause. A device may say without end that there is more.
const MOST_LOOKS: usize = 1024;

/// A request, of a client or of the driver's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Job {
    /// Bytes of the disk, all within what the client may read.
    Read {
        /// Who awaits them.
        client: Pid,
        /// Where they begin on the disk.
        position: u64,
        /// How many; no more than one transfer has.
        bytes: usize,
    },
    /// Blocks to write.
    Write {
        /// Who has them in its segment.
        client: Pid,
        /// The first block.
        first: u64,
        /// How many; no more than one transfer has.
        count: u32,
    },
    /// What was written is to be safe.
    Flush {
        /// Who awaits that.
        client: Pid,
    },
    /// Blocks that nobody needs.
    Discard {
        /// Who says so.
        client: Pid,
        /// The first of those that are left.
        first: u64,
        /// The end.
        end: u64,
    },
    /// Blocks that the search for partitions wants.
    Look {
        /// The first.
        first: u64,
        /// How many.
        count: u32,
    },
}

impl Job {
    fn client(&self) -> Option<Pid> {
        match *self {
            Job::Read { client, .. }
            | Job::Write { client, .. }
            | Job::Flush { client }
            | Job::Discard { client, .. } => Some(client),
            Job::Look { .. } => None,
        }
    }
}

/// What has an instance open that could write, until it is closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Writer(Range<u64>);

/// A disk.
pub struct Unit {
    /// Its prefix's number.
    pub number: u32,
    disk: Box<dyn Disk>,
    /// What is at the device in each slot, and since when.
    running: Vec<Option<(Job, u64)>>,
    free: Vec<usize>,
    waiting: VecDeque<Job>,
    table: Table,
    search: Option<Search>,
    /// What is being read for a search was wanted by one that has been begun anew.
    is_look_stale: bool,
    /// The blocks that are open for writing.
    writers: Vec<Range<u64>>,
}

impl Unit {
    /// A disk, whose partitions are being looked for.
    pub fn new(disk: Box<dyn Disk>, number: u32, system: &mut dyn System) -> Unit {
        let slots = disk.facts().slots;
        let mut unit = Unit {
            number,
            disk,
            running: vec![None; slots],
            free: (0..slots).rev().collect(),
            waiting: VecDeque::new(),
            table: Table::default(),
            search: None,
            is_look_stale: false,
            writers: Vec::new(),
        };
        unit.look_for_partitions(system);
        unit
    }

    /// What the disk is.
    pub fn facts(&self) -> &Facts {
        self.disk.facts()
    }

    /// Which partitions it has.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The partition with that number.
    pub fn partition(&self, number: u32) -> Option<&Partition> {
        self.table.partitions.iter().find(|partition| partition.number == number)
    }

    /// Who sends its interrupts.
    pub fn interrupt(&self) -> Option<Pid> {
        self.disk.interrupt()
    }

    /// Whether its partitions are still being looked for.
    pub fn is_searching(&self) -> bool {
        self.search.is_some()
    }

    /// Whether the device is at work on something.
    pub fn is_working(&self) -> bool {
        self.free.len() < self.running.len()
    }

    /// Whether somebody has some of these blocks open for writing.
    pub fn is_being_written(&self, blocks: &Range<u64>) -> bool {
        self.writers.iter().any(|others| others.start < blocks.end && blocks.start < others.end)
    }

    /// Somebody opens blocks for writing; [`Busy`](Error::Busy) if others have some of them.
    pub fn add_writer(&mut self, blocks: Range<u64>) -> Result<Writer, Error> {
        if self.is_being_written(&blocks) {
            return Err(Error::Busy);
        }
        self.writers.push(blocks.clone());
        Ok(Writer(blocks))
    }

    /// Somebody has closed what was open for writing. Whoever could write the tables of partitions may have.
    pub fn remove_writer(&mut self, Writer(blocks): Writer, system: &mut dyn System) {
        if let Some(at) = self.writers.iter().position(|others| *others == blocks) {
            self.writers.swap_remove(at);
        }
        if blocks.start == 0 {
            self.look_for_partitions(system);
        }
    }

    fn look_for_partitions(&mut self, system: &mut dyn System) {
        let facts = self.disk.facts();
        self.search = Some(Search::new(facts.block_bytes, facts.block_count, facts.largest_transfer_bytes));
        let is_looking = |job: &Job| matches!(job, Job::Look { .. });
        let mut jobs = self.running.iter().flatten().map(|(job, _)| job).chain(&self.waiting);
        // What is being read may be the tables as they were.
        self.is_look_stale = jobs.any(is_looking);
        if !self.is_look_stale {
            self.look_further(system);
        }
    }

    /// Reads what the search wants next, or ends it.
    fn look_further(&mut self, system: &mut dyn System) {
        let Some(search) = self.search.take() else { return };
        match search.wants() {
            Some((first, count)) => {
                self.search = Some(search);
                // It comes first: who waits for a partition could wait for long else.
                self.waiting.push_front(Job::Look { first, count });
                self.start_waiting(system);
            }
            None => self.table = search.into_table(),
        }
    }

    /// Takes a request on: it is at the device afterwards, or waits, or is answered. `incoming` is what a write writes.
    /// An error is the answer.
    pub fn submit(
        &mut self,
        job: Job,
        incoming: Option<&Incoming<'_>>,
        system: &mut dyn System,
    ) -> Result<(), Error> {
        if self.waiting.is_empty()
            && let Some(slot) = self.free.pop()
        {
            if let Err(error) = self.start(slot, job, incoming, system) {
                self.free.push(slot);
                return Err(error);
            }
            self.disk.show();
            return Ok(());
        }
        if self.waiting.len() >= MOST_WAITING {
            return Err(Error::NoResources);
        }
        self.waiting.push_back(job);
        Ok(())
    }

    /// Hands a request to the device.
    fn start(
        &mut self,
        slot: usize,
        job: Job,
        incoming: Option<&Incoming<'_>>,
        system: &mut dyn System,
    ) -> Result<(), Error> {
        let facts = self.disk.facts();
        let block_bytes = u64::from(facts.block_bytes);
        let operation = match job {
            Job::Read { position, bytes, .. } => {
                let first = position / block_bytes;
                let end = (position + bytes as u64).div_ceil(block_bytes);
                Operation::Read { first, count: (end - first) as u32 }
            }
            Job::Write { client, first, count } => {
                let bytes = count as usize * block_bytes as usize;
                let place = &mut self.disk.buffer(slot)[..bytes];
                match incoming {
                    Some(data) => data.copy_to(0, place, system)?,
                    None => system.move_from(client, 0, place)?,
                }
                Operation::Write { first, count }
            }
            Job::Flush { .. } => Operation::Flush,
            Job::Discard { first, end, .. } => {
                let count = (end - first).min(facts.largest_discard_blocks.into()) as u32;
                Operation::Discard { first, count }
            }
            Job::Look { first, count } => Operation::Read { first, count },
        };
        self.disk.start(slot, &operation);
        self.running[slot] = Some((job, system.monotonic_ns()));
        Ok(())
    }

    /// Starts what waits, as long as there are slots.
    fn start_waiting(&mut self, system: &mut dyn System) {
        while let (Some(slot), Some(job)) = (self.free.last().copied(), self.waiting.front().copied()) {
            self.waiting.pop_front();
            match self.start(slot, job, None, system) {
                Ok(()) => {
                    self.free.pop();
                }
                Err(error) => {
                    if let Some(client) = job.client() {
                        // Who has gone needs no answer.
                        let _ = system.reply(client, &refusal(error), &[]);
                    }
                }
            }
        }
        self.disk.show();
    }

    /// Sees what the device has ended, answers those who waited for it, and starts what there is room for now.
    pub fn attend(&mut self, system: &mut dyn System) {
        for _ in 0..MOST_LOOKS {
            let mut has_ended = false;
            while let Some(finished) = self.disk.take() {
                has_ended = true;
                self.finish(finished, system);
            }
            if has_ended {
                self.start_waiting(system);
            }
            if !self.disk.rearm() {
                return;
            }
        }
    }

    /// # Panics
    /// If the device has kept a request for too long. What it has of the driver's memory can be had back only by the reset
    /// that the driver's next life begins with.
    pub fn check_patience(&self, now_ns: u64) {
        let oldest = self.running.iter().flatten().map(|(_, since_ns)| *since_ns).min();
        let is_late = oldest.is_some_and(|since_ns| since_ns + PATIENCE_NS < now_ns);
        assert!(
            !is_late,
            "disk{}: the device has not answered for {} s",
            self.number,
            PATIENCE_NS / 1_000_000_000
        );
    }

    fn finish(&mut self, finished: Finished, system: &mut dyn System) {
        let Finished { slot, outcome } = finished;
        let Some((job, _)) = self.running.get_mut(slot).and_then(Option::take) else { return };
        match (job, outcome) {
            (Job::Look { count, .. }, outcome) => {
                let bytes = count as usize * self.disk.facts().block_bytes as usize;
                if let Some(search) = &mut self.search
                    && !core::mem::take(&mut self.is_look_stale)
                {
                    search.take(outcome.is_ok().then(|| &self.disk.buffer(slot)[..bytes]));
                }
                self.free.push(slot);
                self.look_further(system);
                return;
            }
            (Job::Read { client, position, bytes }, Ok(())) => {
                let offset = (position % u64::from(self.disk.facts().block_bytes)) as usize;
                let data = &self.disk.buffer(slot)[offset..][..bytes];
                answer(client, io::ReadDone { count: bytes as u32 }, data, system);
            }
            (Job::Write { client, count, .. }, Ok(())) => {
                let count = count * self.disk.facts().block_bytes;
                answer(client, io::Written { count }, &[], system);
            }
            (Job::Flush { client }, Ok(())) => answer(client, io::Synchronized {}, &[], system),
            (Job::Discard { client, first, end }, Ok(())) => {
                let done = first + u64::from(self.disk.facts().largest_discard_blocks);
                if done < end {
                    let rest = Job::Discard { client, first: done, end };
                    // A discard brings no data, so nothing can go wrong before the device has it.
                    if self.start(slot, rest, None, system).is_ok() {
                        return;
                    }
                }
                answer(client, block::Discarded {}, &[], system);
            }
            (job, Err(error)) => {
                if let Some(client) = job.client() {
                    let _ = system.reply(client, &refusal(error), &[]);
                }
            }
        }
        self.free.push(slot);
    }
}

/// Replies to a client. One that has gone needs no answer; one whose segment is not as it said is told so.
fn answer(client: Pid, reply: impl Reply, data: &[u8], system: &mut dyn System) {
    // A reply carries so much; what is beyond goes ahead of it.
    let (head, rest) = data.split_at(data.len().min(HEAD_BYTES as usize));
    let moved = if rest.is_empty() { Ok(()) } else { system.move_to(client, HEAD_BYTES, rest) };
    if let Err(error) = moved.and_then(|()| system.reply(client, &reply.to_message(), head)) {
        let _ = system.reply(client, &refusal(error), &[]);
    }
}
