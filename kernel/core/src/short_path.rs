//! The short path: Send to a process that simply waits, and ReplyReceive to a client that simply waits.
//!
//! Everything in the system takes these two, so they are written for the fewest instructions: first every condition
//! is checked, then nothing can go wrong and the message is moved. Where a condition does not hold nothing has been
//! changed, and the general path in `ipc` does the whole call. It would do the same here, only slower: the
//! property tests run every scenario on both. While anything is traced, the general path does all.

use abi::call::FOREVER;
use abi::{Access, Grant, Pid, USER_ADDRESS_END};

use crate::ipc::delivered;
use crate::kernel::Kernel;
use crate::machine::{Machine, Next, ProcessIndex, Resume};
use crate::process::State;

/// What became of an attempt to take the short path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ShortPath {
    /// It was taken: the other process runs.
    Taken,
    /// The message is for the kernel itself.
    Kernel,
    /// Nothing was changed; the general path must be taken.
    No,
}

impl<M: Machine> Kernel<M> {
    /// Send to slot `index`, if that waits for anyone's message and nothing but the message is to be moved.
    #[inline]
    pub(crate) fn short_send(&mut self, caller: ProcessIndex, index: ProcessIndex) -> ShortPath {
        let Some((client, server)) = self.processes.two(caller, index) else {
            return ShortPath::No;
        };
        let [segment_address, grant, deadline, ..] = client.registers.extra;
        if server.pid.to_bits() != client.registers.pid {
            return ShortPath::No;
        }
        if !server.simply_is(State::Receiving)
            || client.priority < server.priority
            || deadline != FOREVER
            || !self.trace.is_off()
            || (grant != 0 && !is_for_writing(segment_address, grant))
        {
            return match server.state {
                State::KernelServer => ShortPath::Kernel,
                _ => ShortPath::No,
            };
        }
        server.registers.number = 0;
        server.registers.pid = client.pid.to_bits();
        server.registers.message = delivered(client.registers.message, 0);
        server.registers.extra = [grant, u64::from(client.user.0), 0, 0, 0];
        server.state = State::Ready;
        server.received += 1;
        server.waiters.join(client.priority);
        client.state = State::AwaitingReply;
        client.partner = index;
        client.since_ns = self.coarse_now_ns;
        client.transaction = client.transaction.wrapping_add(1);
        self.counters.short_sends += 1;
        ShortPath::Taken
    }

    /// `ReplyReceive` to slot `index`, if that awaits just a message, and no other one is waiting. True if it was done.
    #[inline]
    pub(crate) fn short_reply_receive(&mut self, caller: ProcessIndex, index: ProcessIndex) -> bool {
        let Some((server, client)) = self.processes.two(caller, index) else {
            return false;
        };
        let [_, segment_bytes, deadline, buffer_address, buffer_bytes] = server.registers.extra;
        if client.pid.to_bits() != server.registers.pid
            || !client.simply_is(State::AwaitingReply)
            || client.partner != caller
            || client.priority > self.ready.most_urgent()
            || segment_bytes != 0
            || deadline != FOREVER
            || !server.queue.is_empty()
            || server.priority != server.own_priority
            || !self.trace.is_off()
        {
            return false;
        }
        client.registers.number = 0;
        client.registers.pid = server.pid.to_bits();
        client.registers.message = delivered(server.registers.message, 0);
        client.registers.extra = [0; 5];
        client.forwarder = Pid::NONE;
        client.state = State::Ready;
        server.waiters.leave(client.priority);
        server.registers.extra[0] = buffer_address;
        server.registers.extra[1] = buffer_bytes;
        server.state = State::Receiving;
        self.counters.short_replies += 1;
        true
    }

    /// Runs a process that has just become ready and that nobody ready is more urgent than.
    ///
    /// After a Send that is so because whoever is ready is no more urgent than the caller was, nor the caller than
    /// the receiver.
    #[inline]
    pub(crate) fn run_directly(&mut self, index: ProcessIndex) -> Next<M::Space> {
        self.cpu_mut().current = index;
        Next::Run {
            process: index,
            space: self.processes[index].space,
            resume: Resume::Results,
        }
    }
}

/// Whether a grant is just for writing, and sound: then there is nothing to copy yet.
#[inline]
fn is_for_writing(address: u64, grant: u64) -> bool {
    // The length alone, if the access is this one; far too large if it is another.
    let bytes = grant ^ Grant::new(0, Access::WRITE).to_bits();
    bytes.wrapping_sub(1) < USER_ADDRESS_END && address <= USER_ADDRESS_END - bytes
}
