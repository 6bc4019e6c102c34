//! Send to a group, and the replies.
//!
//! Each member gets a *copy*: a pseudo-sender in its queue that belongs to the sender and carries the message. The
//! first page of a readable segment is kept in a frame when the Send is made, so the members see what was there then.
//! A member's reply stays in its copy, its data in a frame, until the sender takes it: the first with the Send itself,
//! the others with GetReply. One that has nothing to say is left out. The next Send to a group discards what is left.
//!
//! Slots and frames are charged to the sender's team. The sender itself gets no copy.
//!
//! If the group may have members on other nodes, the network server gets a copy too, `REMOTE`, which stays for as long
//! as it takes replies: each lies in a further copy, and the last thing is an error, of which the sender learns nothing.

use abi::call::{self, FOREVER, NOW};
use abi::trace::Event;
use abi::{Access, Error, Grant, LogicalHost, Message, PAGE_BYTES, Pid};

use crate::frame::Frame;
use crate::ipc::delivered;
use crate::kernel::Kernel;
use crate::machine::{Machine, Next, ProcessIndex, Side};
use crate::process::{Flags, Kind, NOBODY, State};
use crate::transfer::Stop;
use crate::{Result, ensure};

/// Most bytes that a message to a group, or a reply to one, carries.
pub const GROUP_SEGMENT_BYTES: u64 = PAGE_BYTES;

impl<M: Machine> Kernel<M> {
    /// System call Send, to a group.
    pub(crate) fn send_to_group(&mut self, caller: ProcessIndex, to: Pid) -> Result<Next<M::Space>> {
        let registers = &self.processes[caller].registers;
        let (message, deadline) = (registers.message, registers.extra[2]);
        self.make_copies(caller, to, deadline).inspect_err(|_| self.discard_group(caller))?;
        self.counters.sends += 1;
        self.processes[caller].usage.sent += 1;
        let from = self.processes[caller].pid;
        self.trace_words(Event::Send, message, from, to);
        self.block_current(State::AwaitingGroup);
        self.set_own_deadline(caller, deadline);
        let mut copy = self.processes[caller].copy;
        while copy != NOBODY {
            let next = self.processes[copy].copy;
            let member = self.processes[copy].partner;
            self.post(copy, member);
            copy = next;
        }
        Ok(self.choose())
    }

    fn make_copies(&mut self, caller: ProcessIndex, to: Pid, deadline: u64) -> Result<()> {
        let group = self.known_group(to)?;
        ensure(deadline != FOREVER, Error::BadArgument)?;
        let has_network = self.network_server != NOBODY && self.network_server != caller;
        let spans = has_network && group.host() != LogicalHost::OWN;
        if !spans {
            self.groups.member(group, 0)?;
        }
        self.discard_group(caller);
        self.processes[caller].flags.set(Flags::GROUP);

        let process = &self.processes[caller];
        let (message, address, grant) =
            (process.registers.message, process.segment_address(), process.grant());
        let bytes = grant.bytes().min(GROUP_SEGMENT_BYTES);
        if grant.access().contains(Access::READ) {
            let frame = self.keep(caller, caller, address, bytes)?;
            self.processes[caller].extra.frame = Some(frame);
        }
        let grant = match grant.access() {
            Access::NONE => 0,
            access => Grant::new(bytes, access).to_bits(),
        };
        let mut last = caller;
        let mut row = 0;
        while let Some((member, next)) = self.groups.next_member(group, row) {
            row = next;
            if member != caller {
                last = self.add_copy(caller, last, member, message, grant)?;
            }
        }
        if spans {
            last = self.add_copy(caller, last, self.network_server, message, grant)?;
            self.processes[last].flags.set(Flags::REMOTE);
            self.processes[last].registers.pid = group.to_bits();
        }
        ensure(last != caller, Error::EmptyGroup)
    }

    /// Makes a copy for a member, behind another one or the sender itself in the sender's list.
    fn add_copy(
        &mut self,
        sender: ProcessIndex,
        before: ProcessIndex,
        member: ProcessIndex,
        message: [u64; 4],
        grant: u64,
    ) -> Result<ProcessIndex> {
        let (team, priority) = (self.processes[sender].team, self.processes[sender].priority);
        let copy = self.create_slot(team, Kind::Copy, priority)?;
        let following = core::mem::replace(&mut self.processes[before].copy, copy);
        let slot = &mut self.processes[copy];
        slot.owner = sender;
        slot.partner = member;
        slot.copy = following;
        slot.registers.message = message;
        slot.registers.extra[1] = grant;
        Ok(copy)
    }

    /// Copies memory of `from` into a frame that is charged to the team of `owner`.
    fn keep(&mut self, owner: ProcessIndex, from: ProcessIndex, address: u64, bytes: u64) -> Result<Frame> {
        let team = self.processes[owner].team;
        self.team_mut(team).pages.take(1)?;
        let Some(frame) = self.frames.allocate() else {
            self.team_mut(team).pages.give_back(1);
            return Err(Error::NoMemory);
        };
        let mut page = [0; PAGE_BYTES as usize];
        let kept = &mut page[..bytes as usize];
        self.read_from(from, address, kept).inspect_err(|_| self.release_kept(owner, frame))?;
        self.machine.write_frame(frame, 0, kept);
        Ok(frame)
    }

    /// Copies from a kept frame to memory of `to`.
    fn unpack(
        &mut self,
        frame: Frame,
        offset: u64,
        to: ProcessIndex,
        address: u64,
        bytes: u64,
    ) -> Result<()> {
        let mut page = [0; PAGE_BYTES as usize];
        let kept = &mut page[..bytes as usize];
        self.machine.read_frame(frame, offset as usize, kept);
        self.write_to(to, address, kept)
    }

    fn release_kept(&mut self, owner: ProcessIndex, frame: Frame) {
        let team = self.processes[owner].team;
        self.frames.release(frame);
        self.team_mut(team).pages.give_back(1);
    }

    /// Copies the head of a copy's segment to the member that receives it.
    pub(crate) fn copy_kept_head(
        &mut self,
        copy: ProcessIndex,
        receiver: ProcessIndex,
        bytes: u64,
    ) -> Result<u64, Stop> {
        let owner = self.processes[copy].owner;
        let Some(frame) = self.processes[owner].extra.frame else {
            return Ok(0);
        };
        let [address, buffer_bytes, ..] = self.processes[receiver].registers.extra;
        let bytes = bytes.min(buffer_bytes);
        self.unpack(frame, 0, receiver, address, bytes).map_err(|error| Stop {
            done: 0,
            side: Side::Destination,
            error,
        })?;
        Ok(bytes)
    }

    /// MoveFrom on a copy, whose grant has been checked.
    pub(crate) fn move_from_copy(
        &mut self,
        copy: ProcessIndex,
        offset: u64,
        to: ProcessIndex,
        address: u64,
        bytes: u64,
    ) -> Result<()> {
        let owner = self.processes[copy].owner;
        match self.processes[owner].extra.frame {
            Some(frame) => self.unpack(frame, offset, to, address, bytes),
            None => Err(Error::NoReadAccess),
        }
    }

    /// A member replies to its copy; the network server in the name of one elsewhere, or to say that there is no more.
    pub(crate) fn answer_copy(
        &mut self,
        member: ProcessIndex,
        copy: ProcessIndex,
        address: u64,
        bytes: u64,
    ) -> Result<()> {
        let process = &self.processes[copy];
        let (owner, grant) = (process.owner, process.grant());
        let is_remote = process.flags.has(Flags::REMOTE);
        let (replier, outcome) = self.reply_for(member);
        let code = Message::from_registers(self.processes[member].registers.message).code();
        if code == Error::NothingToSay.code() {
            self.copy_abandoned(copy, Error::EmptyGroup);
            return Ok(());
        }
        if is_remote && let Err(error) = outcome {
            self.copy_abandoned(copy, error);
            return Ok(());
        }
        if bytes != 0 {
            ensure(grant.access().contains(Access::WRITE), Error::NoWriteAccess)?;
            ensure(bytes <= grant.bytes(), Error::TooLong)?;
        }
        let place = if is_remote { self.add_copy(owner, copy, NOBODY, [0; 4], 0)? } else { copy };
        if bytes != 0 {
            let kept = self.keep(owner, member, address, bytes);
            let frame = kept.inspect_err(|_| {
                if is_remote {
                    self.free_copy(place);
                }
            })?;
            self.processes[place].extra.frame = Some(frame);
        }
        self.counters.replies += 1;
        if !is_remote {
            self.end_waiting(copy, member);
        }
        let (from, to) = self.processes.pair(member, place);
        to.state = State::Idle;
        to.partner = NOBODY;
        to.extra.count = bytes;
        to.registers.pid = if is_remote { replier.to_bits() } else { from.pid.to_bits() };
        to.registers.message = delivered(from.registers.message, 0);
        if self.processes[owner].state == State::AwaitingGroup {
            self.clear_deadline(owner);
            self.take_reply(owner, place);
            self.make_ready(owner);
        }
        Ok(())
    }

    /// System call GetReply.
    #[inline(never)]
    pub(crate) fn get_reply(&mut self, caller: ProcessIndex) -> Result<Next<M::Space>> {
        let process = &self.processes[caller];
        let deadline = process.registers.extra[2];
        ensure(deadline != FOREVER, Error::BadArgument)?;
        ensure(process.flags.has(Flags::GROUP), Error::NothingWaiting)?;
        let mut copy = process.copy;
        while copy != NOBODY && self.processes[copy].state != State::Idle {
            copy = self.processes[copy].copy;
        }
        if copy != NOBODY {
            self.take_reply(caller, copy);
            return Ok(self.leave());
        }
        ensure(deadline != NOW, Error::DeadlinePassed)?;
        self.block_current(State::AwaitingGroup);
        self.set_own_deadline(caller, deadline);
        Ok(self.choose())
    }

    /// Gives the reply in a copy to the sender, as result of its Send or GetReply.
    fn take_reply(&mut self, sender: ProcessIndex, copy: ProcessIndex) {
        let process = &self.processes[sender];
        let capacity = if process.registers.number == call::GetReply::NUMBER {
            process.registers.extra[1]
        } else if process.grant().access().contains(Access::WRITE) {
            process.grant().bytes()
        } else {
            0
        };
        let address = process.registers.extra[0];
        let answered = &self.processes[copy];
        let (member, message, kept) = (answered.registers.pid, answered.registers.message, answered.extra);
        let bytes = kept.count.min(capacity);
        let moved = match kept.frame {
            Some(frame) => self.unpack(frame, 0, sender, address, bytes),
            None => Ok(()),
        };
        let process = &mut self.processes[sender];
        match moved {
            Ok(()) => {
                process.clear_results();
                process.registers.pid = member;
                process.registers.message = delivered(message, bytes);
            }
            Err(error) => process.set_error(error),
        }
        self.free_copy(copy);
    }

    /// A copy will not be answered, for instance because its member has ended.
    pub(crate) fn copy_abandoned(&mut self, copy: ProcessIndex, error: Error) {
        let sender = self.processes[copy].owner;
        self.free_copy(copy);
        let process = &self.processes[sender];
        if process.state == State::AwaitingGroup && process.copy == NOBODY {
            let error = if process.registers.number == call::GetReply::NUMBER {
                Error::NothingWaiting
            } else {
                error
            };
            self.clear_deadline(sender);
            self.fail(sender, error);
        }
    }

    /// Frees a copy; with the last one, what was kept for all.
    fn free_copy(&mut self, copy: ProcessIndex) {
        let (sender, next) = (self.processes[copy].owner, self.processes[copy].copy);
        let mut before = sender;
        while self.processes[before].copy != copy {
            before = self.processes[before].copy;
        }
        self.processes[before].copy = next;
        if let Some(frame) = self.processes[copy].extra.frame.take() {
            self.release_kept(sender, frame);
        }
        self.release_pseudo(copy);
        if self.processes[sender].copy == NOBODY {
            self.discard_group(sender);
        }
    }

    /// Forgets a process's last Send to a group, with all replies not taken.
    pub(crate) fn discard_group(&mut self, sender: ProcessIndex) {
        self.processes[sender].flags.clear(Flags::GROUP);
        if let Some(frame) = self.processes[sender].extra.frame.take() {
            self.release_kept(sender, frame);
        }
        while let copy = self.processes[sender].copy
            && copy != NOBODY
        {
            self.free_copy(copy);
        }
    }
}
