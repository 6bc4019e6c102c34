//! Send to a group, and the replies.
//!
//! Each member gets a *copy*: a pseudo-sender in its queue that belongs to the sender and carries the message. The
//! first page of a readable segment is kept in a frame when the Send is made, so the members see what was there then.
//! A member's reply stays in its copy, its data in a frame, until the sender takes it: the first with the Send itself,
//! the others with GetReply. The next Send to a group discards what is left.
//!
//! Slots and frames are charged to the sender's team. The sender itself gets no copy.

use abi::call::{self, FOREVER, NOW};
use abi::message::CODE_MASK;
use abi::trace::Event;
use abi::{Access, Error, Grant, PAGE_BYTES, Pid};

use crate::frame::Frame;
use crate::ipc::delivered;
use crate::kernel::Kernel;
use crate::machine::{Machine, Next, ProcessIndex, Side};
use crate::process::{Flags, Kind, NOBODY, State};

/// Most bytes that a message to a group, or a reply to one, carries.
pub const GROUP_SEGMENT_BYTES: u64 = PAGE_BYTES;

/// Bytes that go through the kernel's stack at a time.
const PIECE_BYTES: usize = 512;

impl<M: Machine> Kernel<M> {
    /// System call Send, to a group.
    pub(crate) fn send_to_group(&mut self, caller: ProcessIndex, to: Pid) -> Next<M::Space> {
        self.counters.sends += 1;
        let registers = &self.processes[caller].registers;
        let (number, deadline) = (registers.number, registers.extra[2]);
        debug_assert_eq!(number, call::Send::NUMBER);
        match self.make_copies(caller, to, deadline) {
            Ok(()) => {}
            Err(error) => {
                self.discard_group(caller);
                return self.refuse(caller, error);
            }
        }
        let process = &self.processes[caller];
        let (from, code) = (process.pid, process.registers.message[0] as u32 & CODE_MASK);
        self.trace(Event::Send, code, from, to);
        self.block_current(State::AwaitingGroup);
        self.set_deadline(caller, deadline);
        let mut copy = self.processes[caller].copy;
        while copy != NOBODY {
            let next = self.processes[copy].copy;
            let member = self.processes[copy].partner;
            self.post(copy, member);
            copy = next;
        }
        self.choose()
    }

    fn make_copies(&mut self, caller: ProcessIndex, to: Pid, deadline: u64) -> Result<(), Error> {
        let group = self.local_group(to)?;
        if deadline == FOREVER {
            return Err(Error::BadArgument);
        }
        self.groups.member(group, 0)?;
        self.discard_group(caller);
        self.processes[caller].flags.set(Flags::GROUP);

        let process = &self.processes[caller];
        let (team, priority) = (process.team, process.priority);
        let (message, address, grant) =
            (process.registers.message, process.segment_address(), process.grant());
        let bytes = grant.bytes().min(GROUP_SEGMENT_BYTES);
        if grant.access().contains(Access::READ) {
            let frame = self.keep(caller, caller, address, bytes)?;
            self.processes[caller].extra.frame = Some(frame);
        }
        let mut last = NOBODY;
        let mut row = 0;
        while let Some((member, next)) = self.groups.next_member(group, row) {
            row = next;
            if member == caller {
                continue;
            }
            let copy = self.create_slot(team, Kind::Copy, priority)?;
            let slot = &mut self.processes[copy];
            slot.owner = caller;
            slot.partner = member;
            slot.registers.message = message;
            slot.registers.extra[1] = match grant.access() {
                Access::NONE => 0,
                access => Grant::new(bytes, access).to_bits(),
            };
            if last == NOBODY {
                self.processes[caller].copy = copy;
            } else {
                self.processes[last].copy = copy;
            }
            last = copy;
        }
        if last == NOBODY {
            return Err(Error::EmptyGroup);
        }
        Ok(())
    }

    /// Copies memory of `from` into a frame that is charged to the team of `owner`.
    fn keep(
        &mut self,
        owner: ProcessIndex,
        from: ProcessIndex,
        address: u64,
        bytes: u64,
    ) -> Result<Frame, Error> {
        let team = self.processes[owner].team;
        self.team_mut(team).pages.take(1)?;
        let Some(frame) = self.frames.allocate() else {
            self.team_mut(team).pages.give_back(1);
            return Err(Error::NoMemory);
        };
        let mut piece = [0; PIECE_BYTES];
        let mut done = 0;
        while done < bytes as usize {
            let count = PIECE_BYTES.min(bytes as usize - done);
            let place = address.checked_add(done as u64).ok_or(Error::BadAddress);
            let read = place.and_then(|place| self.read_from(from, place, &mut piece[..count]));
            if let Err(error) = read {
                self.release_kept(owner, frame);
                return Err(error);
            }
            self.machine.write_frame(frame, done, &piece[..count]);
            done += count;
        }
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
    ) -> Result<(), Error> {
        let mut piece = [0; PIECE_BYTES];
        let mut done = 0;
        while done < bytes as usize {
            let count = PIECE_BYTES.min(bytes as usize - done);
            self.machine.read_frame(frame, offset as usize + done, &mut piece[..count]);
            let place = address.checked_add(done as u64).ok_or(Error::BadAddress)?;
            self.write_to(to, place, &piece[..count])?;
            done += count;
        }
        Ok(())
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
    ) -> Result<u64, Side> {
        let owner = self.processes[copy].owner;
        let Some(frame) = self.processes[owner].extra.frame else {
            return Ok(0);
        };
        let [address, buffer_bytes, ..] = self.processes[receiver].registers.extra;
        let bytes = bytes.min(buffer_bytes);
        self.unpack(frame, 0, receiver, address, bytes).map_err(|_| Side::Destination)?;
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
    ) -> Result<(), Error> {
        let owner = self.processes[copy].owner;
        match self.processes[owner].extra.frame {
            Some(frame) => self.unpack(frame, offset, to, address, bytes),
            None => Err(Error::NoReadAccess),
        }
    }

    /// A member replies to its copy.
    pub(crate) fn answer_copy(
        &mut self,
        member: ProcessIndex,
        copy: ProcessIndex,
        address: u64,
        bytes: u64,
    ) -> Result<(), Error> {
        let process = &self.processes[copy];
        let (owner, grant) = (process.owner, process.grant());
        if bytes != 0 {
            if !grant.access().contains(Access::WRITE) {
                return Err(Error::NoWriteAccess);
            }
            if bytes > grant.bytes() {
                return Err(Error::TooLong);
            }
            let frame = self.keep(owner, member, address, bytes)?;
            self.processes[copy].extra.frame = Some(frame);
        }
        self.counters.replies += 1;
        self.end_waiting(copy, member);
        let (from, to) = self.processes.pair(member, copy);
        to.state = State::Idle;
        to.partner = NOBODY;
        to.extra.count = bytes;
        to.registers.pid = from.pid.to_bits();
        to.registers.message = delivered(from.registers.message, 0);
        if self.processes[owner].state == State::AwaitingGroup {
            self.clear_deadline(owner);
            self.take_reply(owner, copy);
            self.make_ready(owner);
        }
        Ok(())
    }

    /// System call GetReply.
    #[inline(never)]
    pub(crate) fn get_reply(&mut self, caller: ProcessIndex) -> Next<M::Space> {
        let process = &self.processes[caller];
        let deadline = process.registers.extra[2];
        if deadline == FOREVER {
            return self.refuse(caller, Error::BadArgument);
        }
        if !process.flags.has(Flags::GROUP) {
            return self.refuse(caller, Error::NothingWaiting);
        }
        let mut copy = process.copy;
        while copy != NOBODY && self.processes[copy].state != State::Idle {
            copy = self.processes[copy].copy;
        }
        if copy != NOBODY {
            self.take_reply(caller, copy);
            return self.leave();
        }
        if deadline == NOW {
            return self.refuse(caller, Error::DeadlinePassed);
        }
        self.block_current(State::AwaitingGroup);
        self.set_deadline(caller, deadline);
        self.choose()
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
        let kept = self.processes[copy].extra;
        let bytes = kept.count.min(capacity);
        let (member, message) = {
            let registers = &self.processes[copy].registers;
            (registers.pid, registers.message)
        };
        let moved = match kept.frame {
            Some(frame) => self.unpack(frame, 0, sender, address, bytes),
            None => Ok(()),
        };
        let process = &mut self.processes[sender];
        if let Err(error) = moved {
            process.set_error(error);
        } else {
            process.clear_results();
            process.registers.pid = member;
            process.registers.message = delivered(message, bytes);
        }
        self.free_copy(copy);
    }

    /// The time has come for a sender that waits for a reply. Later ones can still be taken.
    pub(crate) fn group_deadline(&mut self, sender: ProcessIndex) {
        self.fail(sender, Error::DeadlinePassed);
    }

    /// A copy's member has ended without answering.
    pub(crate) fn copy_abandoned(&mut self, copy: ProcessIndex) {
        let sender = self.processes[copy].owner;
        self.free_copy(copy);
        let process = &self.processes[sender];
        if process.state == State::AwaitingGroup && process.copy == NOBODY {
            let error = if process.registers.number == call::GetReply::NUMBER {
                Error::NothingWaiting
            } else {
                Error::DiedBeforeReply
            };
            self.clear_deadline(sender);
            self.fail(sender, error);
        }
    }

    /// Frees a copy; with the last one, what was kept for all.
    fn free_copy(&mut self, copy: ProcessIndex) {
        let (sender, next) = (self.processes[copy].owner, self.processes[copy].copy);
        if self.processes[sender].copy == copy {
            self.processes[sender].copy = next;
        } else {
            let mut before = self.processes[sender].copy;
            while self.processes[before].copy != copy {
                before = self.processes[before].copy;
            }
            self.processes[before].copy = next;
        }
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
        while let copy = self.processes[sender].copy
            && copy != NOBODY
        {
            self.processes[sender].copy = self.processes[copy].copy;
            if let Some(frame) = self.processes[copy].extra.frame.take() {
                self.release_kept(sender, frame);
            }
            self.release_pseudo(copy);
        }
        if let Some(frame) = self.processes[sender].extra.frame.take() {
            self.release_kept(sender, frame);
        }
        self.processes[sender].flags.clear(Flags::GROUP);
    }
}
