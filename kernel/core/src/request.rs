//! Requests to the kernel servers: a Send that the kernel answers itself, at once or when a time has come.

use core::ops::Range;

use abi::protocol::{Reply, refusal};
use abi::trace::Event;
use abi::{Error, Message, Pid, Rights};

use crate::kernel::Kernel;
use crate::machine::{Machine, Next, ProcessIndex};
use crate::paging::PAGE_MISSING;
use crate::process::{Flags, Kind, NOBODY, State};
use crate::team::TeamIndex;
use crate::{Result, ensure};

/// Records written in one go, so that a request stays short.
const RECORDS_PER_REQUEST: u64 = 64;

/// What becomes of a request that is not refused.
pub enum Answer {
    /// Its sender goes on with this, unless it has ended or waits for a time.
    Now(Message),
    /// A step of it is done; the rest goes on as long work of its sender, whose registers keep the request.
    InSteps,
}

impl Answer {
    /// A typed reply.
    #[inline]
    pub fn reply(reply: &impl Reply) -> Answer {
        Answer::Now(reply.to_message())
    }

    /// A typed reply to which `bytes` bytes belong that were written into the sender's segment.
    pub fn with_segment(reply: &impl Reply, bytes: u64) -> Answer {
        let mut message = reply.to_message();
        message.words[7] = bytes as u32;
        Answer::Now(message)
    }
}

impl<M: Machine> Kernel<M> {
    /// The current process sends to a kernel server.
    #[inline(never)]
    pub(crate) fn kernel_request(
        &mut self,
        caller: ProcessIndex,
        server: ProcessIndex,
    ) -> Result<Next<M::Space>> {
        self.accept_send(caller)?;
        self.trace_message(Event::Send, caller, server);
        let message = Message::from_registers(self.processes[caller].registers.message);
        let process = &mut self.processes[caller];
        process.extra.count = 0;
        process.usage.sent += 1;
        // It is made anew if it lacks a page.
        let answer = self.answer_request(caller, server, &message);
        let answer = answer.inspect_err(|_| self.processes[caller].usage.sent -= 1)?;
        self.counters.kernel_requests += 1;
        let Some(reply) = answer else {
            self.begin_work(caller);
            return Ok(Next::Work);
        };
        if self.processes[caller].state == State::Ready {
            self.set_reply(caller, server, &reply);
        }
        Ok(self.leave())
    }

    /// Has a kernel server do what `caller`, the current process or an alien, asks. Its reply; none if more is to be done;
    /// or `PAGE_MISSING`.
    pub(crate) fn answer_request(
        &mut self,
        caller: ProcessIndex,
        server: ProcessIndex,
        message: &Message,
    ) -> Result<Option<Message>> {
        let answer = match server {
            abi::kernel::PROCESS => self.process_request(caller, message),
            abi::kernel::TIME => self.time_request(caller, message),
            abi::kernel::GROUP => self.group_request(caller, message),
            abi::kernel::MEMORY => self.memory_request(caller, message),
            abi::kernel::DEVICE => self.device_request(caller, message),
            abi::kernel::STATISTICS => self.statistics_request(caller, message),
            _ => Err(Error::BadRequest),
        };
        match answer {
            Ok(Answer::Now(reply)) => Ok(Some(reply)),
            Ok(Answer::InSteps) => Ok(None),
            Err(PAGE_MISSING) => Err(PAGE_MISSING),
            Err(error) => Ok(Some(refusal(error))),
        }
    }

    /// The next step of a request, for a process that is `Working`. Only the memory server's take more than one.
    pub(crate) fn continue_request(&mut self, index: ProcessIndex) {
        let message = Message::from_registers(self.processes[index].registers.message);
        match self.answer_request(index, abi::kernel::MEMORY, &message) {
            Ok(Some(reply)) => {
                self.set_reply(index, abi::kernel::MEMORY, &reply);
                self.end_work(index);
            }
            Ok(None) => {}
            Err(_) => self.pause_work(index),
        }
    }

    /// Puts a kernel server's reply into a process's registers.
    #[inline]
    pub(crate) fn set_reply(&mut self, index: ProcessIndex, server: ProcessIndex, reply: &Message) {
        let pid = self.processes[server].pid;
        let registers = &mut self.processes[index].registers;
        registers.number = 0;
        registers.pid = pid.to_bits();
        registers.message = reply.to_registers();
        registers.extra = [0; 5];
        if self.trace.wants(Event::Reply) {
            self.trace_words(Event::Reply, reply.to_registers(), pid, self.sender_pid(index));
        }
    }

    /// Reads all of the segment that the caller granted, which must fit into the buffer.
    pub(crate) fn read_whole_segment<'buffer>(
        &mut self,
        caller: ProcessIndex,
        buffer: &'buffer mut [u8],
    ) -> Result<&'buffer [u8]> {
        let granted = self.processes[caller].grant().bytes();
        let bytes = buffer.get_mut(..granted as usize).ok_or(Error::TooLong)?;
        self.read_request_segment(caller, bytes)?;
        Ok(bytes)
    }

    /// A reply with a record in the caller's segment.
    pub(crate) fn reply_with(
        &mut self,
        caller: ProcessIndex,
        reply: &impl Reply,
        record: &[u8],
    ) -> Result<Answer> {
        self.write_reply_segment(caller, 0, record)?;
        Ok(Answer::with_segment(reply, record.len() as u64))
    }

    /// Writes the records of rows that have one into the caller's segment. How many there are, and the row to go on with,
    /// or 0.
    pub(crate) fn write_records<const BYTES: usize>(
        &mut self,
        caller: ProcessIndex,
        rows: Range<u32>,
        record: impl Fn(&Kernel<M>, u32) -> Option<[u8; BYTES]>,
    ) -> Result<(u32, u32)> {
        let capacity = self.processes[caller].grant().bytes() / BYTES as u64;
        let capacity = capacity.min(RECORDS_PER_REQUEST) as u32;
        ensure(capacity != 0, Error::TooLong)?;
        let mut count = 0;
        for row in rows {
            if count == capacity {
                return Ok((count, row));
            }
            if let Some(record) = record(self, row) {
                self.write_reply_segment(caller, u64::from(count) * BYTES as u64, &record)?;
                count += 1;
            }
        }
        Ok((count, 0))
    }

    /// A program's process on this node; the caller's own if `pid` is none.
    pub(crate) fn find_process(&self, caller: ProcessIndex, pid: Pid) -> Result<ProcessIndex> {
        if pid.is_none() {
            return self.own(caller);
        }
        let index = self.find_receiver(pid)?;
        ensure(self.processes[index].state != State::KernelServer, Error::NonexistentProcess)?;
        Ok(index)
    }

    /// What a request means by "the caller's own": nothing here, if it comes from elsewhere.
    pub(crate) fn own(&self, caller: ProcessIndex) -> Result<ProcessIndex> {
        ensure(caller == NOBODY || self.processes[caller].kind != Kind::Alien, Error::NonexistentProcess)?;
        Ok(caller)
    }

    /// As `find_process`, for a process that the caller may act on.
    pub(crate) fn find_controlled(&self, caller: ProcessIndex, pid: Pid) -> Result<ProcessIndex> {
        let index = self.find_process(caller, pid)?;
        self.may_control(caller, index)?;
        Ok(index)
    }

    /// The team with the root `pid`; the caller's own if that is none.
    pub fn find_team(&self, caller: ProcessIndex, pid: Pid) -> Result<TeamIndex> {
        let index = self.find_process(caller, pid)?;
        let team = self.processes[index].team;
        ensure(pid.is_none() || self.team(team).root == index, Error::BadArgument)?;
        Ok(team)
    }

    /// Whether the caller may act on a process: the same user's, or by right.
    pub(crate) fn may_control(&self, caller: ProcessIndex, index: ProcessIndex) -> Result<()> {
        let same_user = self.processes[caller].user == self.processes[index].user;
        ensure(same_user || self.has_right(caller, Rights::CONTROL_OTHERS), Error::NoPermission)
    }

    /// Whether the caller's team has a right. Rights never travel: an alien has none.
    pub fn has_right(&self, caller: ProcessIndex, right: Rights) -> bool {
        let process = &self.processes[caller];
        process.kind != Kind::Alien && self.team(process.team).rights.contains(right)
    }

    /// The error if it hasn't.
    pub fn need_right(&self, caller: ProcessIndex, right: Rights) -> Result<()> {
        ensure(self.has_right(caller, right), Error::NoPermission)
    }

    /// Whether a team's root awaits its first reply from `caller`, who may fill its address space until then.
    pub fn is_newborn_of(&self, caller: ProcessIndex, team: TeamIndex) -> bool {
        let root = self.team(team).root;
        let process = &self.processes[root];
        process.flags.has(Flags::NEWBORN) && process.partner == caller
    }
}
