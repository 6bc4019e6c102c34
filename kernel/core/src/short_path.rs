//! The short path: Send to a process that simply waits, ReplyReceive to a client that simply waits, and Receive where
//! nothing waits.
//!
//! Everything in the system takes these, so they are written for the fewest instructions: first every condition
//! is checked, then nothing can go wrong and the message is moved. Where a condition does not hold nothing has been
//! changed, and the general path in `ipc` does the whole call. It would do the same here, only slower: the
//! property tests run every scenario on both. While anything is traced, the general path does all.

use abi::call::{FOREVER, Receive, Registers, ReplyReceive, Send};
use abi::kernel::STATISTICS;
use abi::kernel::statistics::{Nothing, Null};
use abi::message::CODE_MASK;
use abi::protocol::{Reply as _, Request as _};
use abi::segment::HEAD_BYTES;
use abi::{Access, Grant, Pid, USER_ADDRESS_END};

use crate::ipc::delivered;
use crate::kernel::Kernel;
use crate::machine::{Machine, Place, ProcessIndex};
use crate::process::{Flags, NOBODY, State};

/// What a system call came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShortCall<Space> {
    /// This process is to run, by its results.
    Run {
        /// Which.
        process: ProcessIndex,
        /// Its address space.
        space: Space,
        /// Where its results are.
        registers: *mut Registers,
    },
    /// The caller goes on, by its results.
    Stay,
    /// The caller waits: [`Kernel::choose`] says who is to run.
    Choose,
    /// Nothing was changed; a segment is to be copied: see [`Kernel::short_call_with_segment`].
    Segment,
    /// Nothing was changed; the general path must be taken.
    General,
}

impl<M: Machine> Kernel<M> {
    /// The current process made a system call: does it if it is one of the short ones.
    #[inline]
    pub fn short_call(&mut self) -> ShortCall<M::Space> {
        let caller = self.cpu().current;
        let registers = &self.processes[caller].registers;
        let other = Pid::from_bits(registers.pid).index();
        let [segment_address, grant_or_bytes, ..] = registers.extra;
        match registers.number {
            Send::NUMBER if grant_or_bytes != 0 && !is_for_writing(segment_address, grant_or_bytes) => {
                ShortCall::Segment
            }
            Send::NUMBER => self.short_send::<false>(caller, other),
            ReplyReceive::NUMBER if grant_or_bytes >> 62 != 0 => ShortCall::General,
            ReplyReceive::NUMBER if grant_or_bytes != 0 => ShortCall::Segment,
            ReplyReceive::NUMBER => self.short_reply_receive::<false, false>(caller, other),
            _ => self.short_receive(caller),
        }
    }

    /// If it is a Receive from anyone, for as long as it takes, and no message is there.
    #[inline(never)]
    fn short_receive(&mut self, caller: ProcessIndex) -> ShortCall<M::Space> {
        let process = &self.processes[caller];
        let [_, _, deadline, ..] = process.registers.extra;
        if process.registers.number != Receive::NUMBER
            || process.registers.pid != Pid::NONE.to_bits()
            || deadline != FOREVER
            || !process.queue.is_empty()
            || !self.trace.is_off()
        {
            return ShortCall::General;
        }
        self.block_current(State::Receiving);
        self.processes[caller].partner = NOBODY;
        ShortCall::Choose
    }

    /// The same where the head of a segment goes along with a Send, or data with a reply. Not part of the former, so
    /// that a call without is not burdened with what copying needs.
    #[inline]
    pub fn short_call_with_segment(&mut self) -> ShortCall<M::Space> {
        let caller = self.cpu().current;
        let registers = &self.processes[caller].registers;
        let other = Pid::from_bits(registers.pid).index();
        match registers.number {
            Send::NUMBER => self.short_send::<true>(caller, other),
            _ => self.short_reply_receive::<true, false>(caller, other),
        }
    }

    /// Send to slot `index`, if that waits for anyone's message.
    #[inline]
    fn short_send<const SEGMENT: bool>(
        &mut self,
        caller: ProcessIndex,
        index: ProcessIndex,
    ) -> ShortCall<M::Space> {
        let found = self.processes.two(caller, index);
        let Some((client, server)) =
            found.filter(|(client, server)| server.pid.to_bits() == client.registers.pid)
        else {
            return if SEGMENT { ShortCall::General } else { self.short_send_elsewhere(caller) };
        };
        let [segment_address, grant, deadline, ..] = client.registers.extra;
        if deadline != FOREVER || !self.trace.is_off() {
            return ShortCall::General;
        }
        if !server.simply_is(State::Receiving) || client.priority < server.priority {
            // Of the kernel's own servers only the request for nothing is this short.
            if index == STATISTICS
                && grant == 0
                && client.registers.message[0] as u32 & CODE_MASK == Null::CODE
            {
                client.registers.number = 0;
                client.registers.message = (Nothing {}).to_message().to_registers();
                client.registers.extra = [0; 5];
                client.usage.sent += 1;
                self.counters.kernel_requests += 1;
                return ShortCall::Stay;
            }
            return ShortCall::General;
        }
        let mut head_bytes = 0;
        if SEGMENT {
            // The head of what may be read goes along.
            let [buffer_address, buffer_bytes, ..] = server.registers.extra;
            let (raw, grant) = (grant, Grant::from_bits(grant));
            head_bytes = grant.bytes().min(buffer_bytes).min(HEAD_BYTES);
            let source = Place { space: client.space, address: segment_address };
            let destination = Place { space: server.space, address: buffer_address };
            if grant.access() != Access::READ
                || grant.bytes() == 0
                || grant.to_bits() != raw
                || !is_within_reach(segment_address, grant.bytes())
                || !short_copy(&mut self.machine, source, destination, head_bytes)
            {
                return ShortCall::General;
            }
            self.counters.bytes_moved += head_bytes;
        }
        let message = delivered(client.registers.message, head_bytes);
        server.hear(client.pid.to_bits(), message, [grant, u64::from(client.user.0), 0, 0, 0]);
        server.state = State::Ready;
        server.waiters.join(client.priority);
        client.state = State::AwaitingReply;
        client.partner = index;
        client.since_ns = self.coarse_now_ns;
        client.usage.sent += 1;
        self.short_calls.sends += 1;
        // Whoever is ready is no more urgent than the caller was, nor the caller than the receiver.
        let (space, registers) = (server.space, &raw mut server.registers);
        self.cpu_mut().current = index;
        ShortCall::Run { process: index, space, registers }
    }

    /// Sends the request for a page, in slot `slot`, to its server, if that waits for anyone's message; false if it does not.
    #[inline]
    pub(crate) fn short_request(&mut self, slot: ProcessIndex, pager: Pid) -> bool {
        let index = pager.index();
        let Some((request, server)) = self.processes.two(slot, index) else { return false };
        let [_, grant, ..] = request.registers.extra;
        if server.pid != pager
            || !server.simply_is(State::Receiving)
            || request.priority < server.priority
            || index == self.network_server
            || Grant::from_bits(grant).access() != Access::WRITE
            || !self.trace.is_off()
        {
            return false;
        }
        let message = delivered(request.registers.message, 0);
        server.hear(request.pid.to_bits(), message, [grant, u64::from(request.user.0), 0, 1, 0]);
        server.waiters.join(request.priority);
        request.state = State::AwaitingReply;
        request.partner = index;
        request.since_ns = self.coarse_now_ns;
        if self.page_requests.may_switch {
            server.state = State::Ready;
            self.page_requests.woken = index;
        } else {
            self.make_ready(index);
        }
        true
    }

    /// `ReplyReceive` to slot `index`, if that awaits the reply, and no message is waiting. What was sent elsewhere awaits
    /// the network server's.
    #[inline]
    pub(crate) fn short_reply_receive<const SEGMENT: bool, const ELSEWHERE: bool>(
        &mut self,
        caller: ProcessIndex,
        index: ProcessIndex,
    ) -> ShortCall<M::Space> {
        let found = self.processes.two(caller, index);
        let Some((server, client)) =
            found.filter(|(server, client)| client.pid.to_bits() == server.registers.pid)
        else {
            return if SEGMENT { ShortCall::General } else { self.short_reply_to_alien(caller) };
        };
        if !ELSEWHERE && !client.simply_is(State::AwaitingReply) {
            return self.short_reply_of_network_server::<SEGMENT>(caller, index);
        }
        let [data_address, data_bytes, deadline, buffer_address, buffer_bytes] = server.registers.extra;
        if ELSEWHERE && !client.awaits_elsewhere()
            || client.partner != caller
            || client.priority > self.ready.most_urgent()
            || deadline != FOREVER
            || !server.queue.is_empty()
            || server.priority != server.own_priority
            || !self.trace.is_off()
        {
            return ShortCall::General;
        }
        if SEGMENT {
            let [segment_address, grant, ..] = client.registers.extra;
            let grant = Grant::from_bits(grant);
            let source = Place { space: server.space, address: data_address };
            let destination = Place { space: client.space, address: segment_address };
            if !grant.access().contains(Access::WRITE)
                || data_bytes > grant.bytes().min(HEAD_BYTES)
                || !short_copy(&mut self.machine, source, destination, data_bytes)
            {
                return ShortCall::General;
            }
            self.counters.bytes_moved += data_bytes;
        }
        client.registers.number = 0;
        if ELSEWHERE {
            // In the name of whom it addressed, whose pid is there.
            client.flags.clear(Flags::REMOTE);
        } else {
            client.registers.pid = server.pid.to_bits();
        }
        client.registers.message = delivered(server.registers.message, if SEGMENT { data_bytes } else { 0 });
        client.registers.extra = [0; 5];
        client.forwarder = Pid::NONE;
        client.state = State::Ready;
        server.waiters.leave(client.priority);
        server.registers.extra[0] = buffer_address;
        server.registers.extra[1] = buffer_bytes;
        server.state = State::Receiving;
        self.short_calls.replies += 1;
        let (space, registers) = (client.space, &raw mut client.registers);
        self.cpu_mut().current = index;
        ShortCall::Run { process: index, space, registers }
    }
}

/// Copies between two teams if nothing is in the way; the machine checks the addresses. What was copied before
/// something was does no harm: the general path copies it again, or refuses.
#[inline]
fn short_copy<M: Machine>(
    machine: &mut M,
    source: Place<M::Space>,
    destination: Place<M::Space>,
    bytes: u64,
) -> bool {
    bytes == 0 || source.space != destination.space && machine.copy(source, destination, bytes).is_ok()
}

/// Whether an area, shorter than 2^48, is where programs' memory may be.
#[inline]
fn is_within_reach(address: u64, bytes: u64) -> bool {
    address <= USER_ADDRESS_END && bytes <= USER_ADDRESS_END - address
}

/// Whether a grant is just for writing, and sound: then there is nothing to copy yet.
#[inline]
fn is_for_writing(address: u64, grant: u64) -> bool {
    // The length alone, if the access is this one; far too large if it is another.
    let bytes = grant ^ Grant::new(0, Access::WRITE).to_bits();
    bytes.wrapping_sub(1) < USER_ADDRESS_END && address <= USER_ADDRESS_END - bytes
}
