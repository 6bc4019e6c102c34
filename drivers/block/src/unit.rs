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
/// Most transfers that are, or have been, made before they are asked for: what comes next, and what leads to what comes then,
/// of two clients.
const MOST_EXPECTED: usize = 4;
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
    /// Bytes to write.
    Write {
        /// Who has them in its segment.
        client: Pid,
        /// Where they begin on the disk.
        position: u64,
        /// How many; no more than one transfer has.
        bytes: usize,
    },
    /// The same, but the first block or the last is written in part: they are being read to be written as a whole.
    Patch {
        /// Who has the bytes in its segment.
        client: Pid,
        /// Where they begin on the disk.
        position: u64,
        /// How many; with what surrounds them no more than one transfer has.
        bytes: usize,
    },
    /// Bytes that somebody will read, as it has said.
    Expected {
        /// Where they begin on the disk.
        position: u64,
        /// How many; no more than one transfer has.
        bytes: usize,
        /// Who awaits some of them by now.
        reader: Option<Wanted>,
        /// Some have been written meanwhile, so that they are of no more use.
        is_stale: bool,
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

/// What a reader wants of bytes that were expected to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    client: Pid,
    position: u64,
    bytes: usize,
}

/// Bytes that are in a slot's buffer before they are asked for.
#[derive(Clone, Copy, Debug)]
struct Ready {
    slot: usize,
    position: u64,
    bytes: usize,
}

/// Whether bytes from `position` on have all that is wanted.
const fn has(position: u64, bytes: usize, wanted: &Wanted) -> bool {
    position <= wanted.position && wanted.position + wanted.bytes as u64 <= position + bytes as u64
}

impl Job {
    fn client(&self) -> Option<Pid> {
        match *self {
            Job::Expected { reader, .. } => reader.map(|wanted| wanted.client),
            Job::Read { client, .. }
            | Job::Write { client, .. }
            | Job::Patch { client, .. }
            | Job::Flush { client }
            | Job::Discard { client, .. } => Some(client),
            Job::Look { .. } => None,
        }
    }

    /// The blocks that it changes.
    fn changed(&self, block_bytes: u64) -> Option<Range<u64>> {
        match *self {
            Job::Write { position, bytes, .. } | Job::Patch { position, bytes, .. } => {
                Some(blocks(position, bytes, block_bytes))
            }
            Job::Discard { first, end, .. } => Some(first..end),
            _ => None,
        }
    }

    /// Whether a block that it changes keeps a part of what it was.
    const fn is_in_part(&self, block_bytes: u64) -> bool {
        match *self {
            Job::Write { position, bytes, .. } | Job::Patch { position, bytes, .. } => {
                !position.is_multiple_of(block_bytes) || !(bytes as u64).is_multiple_of(block_bytes)
            }
            _ => false,
        }
    }
}

/// The blocks that have these bytes.
const fn blocks(position: u64, bytes: usize, block_bytes: u64) -> Range<u64> {
    position / block_bytes..(position + bytes as u64).div_ceil(block_bytes)
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
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
    /// What was read before it was asked for, oldest first. It goes when its slot is needed.
    ready: VecDeque<Ready>,
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
            ready: VecDeque::new(),
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
        self.running.iter().any(Option::is_some)
    }

    /// Whether somebody has some of these blocks open for writing.
    pub fn is_being_written(&self, blocks: &Range<u64>) -> bool {
        self.writers.iter().any(|others| overlap(others, blocks))
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
        if let Job::Read { client, position, bytes } = job
            && self.is_read(Wanted { client, position, bytes }, system)
        {
            return Ok(());
        }
        self.forget_expected(&job);
        if self.waiting.is_empty()
            && !self.must_wait(&job)
            && let Some(slot) = self.free_slot()
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

    /// Somebody will read these bytes, no more than one transfer has: they are read if there is nothing else to do.
    pub fn expect(&mut self, position: u64, bytes: usize, system: &mut dyn System) {
        let block_bytes = u64::from(self.disk.facts().block_bytes);
        // What is being written could be read as it was before, and be handed out after.
        let mut jobs = self.running.iter().flatten().map(|(job, _)| job).chain(&self.waiting);
        if jobs.any(|job| job.changed(block_bytes).is_some()) || !self.waiting.is_empty() {
            return;
        }
        let (mut begun, mut is_known) = (0, self.ready.iter().any(|ready| ready.position == position));
        for (job, _) in self.running.iter().flatten() {
            if let Job::Expected { position: other, .. } = job {
                begun += 1;
                is_known |= *other == position;
            }
        }
        if is_known {
            return;
        }
        if begun + self.ready.len() >= MOST_EXPECTED
            && let Some(oldest) = self.ready.pop_front()
        {
            self.free.push(oldest.slot);
        }
        // One slot is left to who asks for something.
        if begun >= MOST_EXPECTED || self.free.len() < 2 {
            return;
        }
        let Some(slot) = self.free.pop() else { return };
        let job = Job::Expected { position, bytes, reader: None, is_stale: false };
        match self.start(slot, job, None, system) {
            Ok(()) => self.disk.show(),
            Err(_) => self.free.push(slot),
        }
    }

    /// Answers a read with what was expected, now or when the device has it. False if it was not.
    fn is_read(&mut self, wanted: Wanted, system: &mut dyn System) -> bool {
        if let Some(at) = self.ready.iter().position(|ready| has(ready.position, ready.bytes, &wanted)) {
            let ready = self.ready[at];
            if self.answer_read(&ready, &wanted, system) {
                self.ready.remove(at);
                self.free.push(ready.slot);
            }
            return true;
        }
        for (job, _) in self.running.iter_mut().flatten() {
            if let Job::Expected { position, bytes, reader: reader @ None, is_stale: false } = job
                && has(*position, *bytes, &wanted)
            {
                *reader = Some(wanted);
                return true;
            }
        }
        false
    }

    /// Answers a read with bytes that a slot's buffer has. True if they were the last of it.
    fn answer_read(&mut self, ready: &Ready, wanted: &Wanted, system: &mut dyn System) -> bool {
        let offset =
            ready.position % u64::from(self.disk.facts().block_bytes) + wanted.position - ready.position;
        let data = &self.disk.buffer(ready.slot)[offset as usize..][..wanted.bytes];
        answer(wanted.client, io::ReadDone { count: wanted.bytes as u32 }, data, system);
        wanted.position + wanted.bytes as u64 == ready.position + ready.bytes as u64
    }

    /// What was read ahead of blocks that a request changes is no more what they are.
    fn forget_expected(&mut self, change: &Job) {
        let block_bytes = u64::from(self.disk.facts().block_bytes);
        let Some(changed) = change.changed(block_bytes) else { return };
        let is_changed =
            |position: u64, bytes: usize| overlap(&changed, &blocks(position, bytes, block_bytes));
        self.ready.retain(|ready| {
            let is_stale = is_changed(ready.position, ready.bytes);
            if is_stale {
                self.free.push(ready.slot);
            }
            !is_stale
        });
        for (job, _) in self.running.iter_mut().flatten() {
            if let Job::Expected { position, bytes, is_stale, .. } = job {
                *is_stale |= is_changed(*position, *bytes);
            }
        }
    }

    /// Whether a request must not be at the device together with one that is: both change the same block, and one keeps a
    /// part of what the block was.
    fn must_wait(&self, job: &Job) -> bool {
        let block_bytes = u64::from(self.disk.facts().block_bytes);
        let Some(changed) = job.changed(block_bytes) else { return false };
        let meets = |other: &Job| {
            (job.is_in_part(block_bytes) || other.is_in_part(block_bytes))
                && other.changed(block_bytes).is_some_and(|blocks| overlap(&blocks, &changed))
        };
        self.running.iter().flatten().any(|(other, _)| meets(other))
    }

    /// A slot for a request.
    fn free_slot(&mut self) -> Option<usize> {
        self.free.pop().or_else(|| self.ready.pop_front().map(|ready| ready.slot))
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
            Job::Read { position, bytes, .. }
            | Job::Patch { position, bytes, .. }
            | Job::Expected { position, bytes, .. } => {
                let Range { start: first, end } = blocks(position, bytes, block_bytes);
                Operation::Read { first, count: (end - first) as u32 }
            }
            Job::Write { client, position, bytes } => {
                let place = &mut self.disk.buffer(slot)[..bytes];
                match incoming {
                    Some(data) => data.copy_to(0, place, system)?,
                    None => system.move_from(client, 0, place)?,
                }
                Operation::Write { first: position / block_bytes, count: (bytes as u64 / block_bytes) as u32 }
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
        while let Some(job) = self.waiting.front().copied().filter(|job| !self.must_wait(job)) {
            let Some(slot) = self.free_slot() else { break };
            self.waiting.pop_front();
            if let Err(error) = self.start(slot, job, None, system) {
                self.free.push(slot);
                if let Some(client) = job.client() {
                    // Who has gone needs no answer.
                    let _ = system.reply(client, &refusal(error), &[]);
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
                let (ready, wanted) = (Ready { slot, position, bytes }, Wanted { client, position, bytes });
                self.answer_read(&ready, &wanted, system);
            }
            (Job::Expected { position, bytes, reader, is_stale }, Ok(())) => {
                let ready = Ready { slot, position, bytes };
                let is_done = reader.is_some_and(|wanted| self.answer_read(&ready, &wanted, system));
                if !is_done && !is_stale {
                    self.ready.push_back(ready);
                    return;
                }
            }
            (Job::Patch { client, position, bytes }, Ok(())) => {
                match self.patch(slot, (client, position, bytes), system) {
                    Ok(()) => return,
                    Err(error) => {
                        let _ = system.reply(client, &refusal(error), &[]);
                    }
                }
            }
            (Job::Write { client, bytes, .. }, Ok(())) => {
                answer(client, io::Written { count: bytes as u32 }, &[], system);
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

    /// Puts what is to be written where it belongs among what the blocks were, and has them written.
    fn patch(
        &mut self,
        slot: usize,
        (client, position, bytes): (Pid, u64, usize),
        system: &mut dyn System,
    ) -> Result<(), Error> {
        let block_bytes = u64::from(self.disk.facts().block_bytes);
        let offset = (position % block_bytes) as usize;
        system.move_from(client, 0, &mut self.disk.buffer(slot)[offset..][..bytes])?;
        let Range { start: first, end } = blocks(position, bytes, block_bytes);
        self.disk.start(slot, &Operation::Write { first, count: (end - first) as u32 });
        self.disk.show();
        self.running[slot] = Some((Job::Write { client, position, bytes }, system.monotonic_ns()));
        Ok(())
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
