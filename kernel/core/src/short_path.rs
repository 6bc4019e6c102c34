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

impl<M: Machine> Kernel<M> {
    /// Send, if the receiver waits for anyone's message and nothing but the message is to be moved.
    #[inline]
    pub(crate) fn short_send(&mut self, caller: ProcessIndex) -> Option<Next<M::Space>> {
        let to = self.processes[caller].registers.pid;
        let index = Pid::from_bits(to).index();
        let (client, server) = self.processes.two(caller, index)?;
        let [segment_address, grant, deadline, ..] = client.registers.extra;
        if server.pid.to_bits() != to
            || !server.simply_is(State::Receiving)
            || client.priority < server.priority
            || deadline != FOREVER
            || !self.trace.is_off()
        {
            return None;
        }
        if grant != 0 && !is_for_writing(segment_address, grant) {
            return None;
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
        let space = server.space;
        self.counters.short_sends += 1;
        // Whoever is ready is no more urgent than the caller, nor is the caller more urgent than the receiver.
        self.cpus[0].current = index;
        Some(Next::Run {
            process: index,
            space,
            resume: Resume::Results,
        })
    }

    /// ReplyReceive, if the client awaits just a message, and no other one is waiting.
    #[inline]
    pub(crate) fn short_reply_receive(&mut self, caller: ProcessIndex) -> Option<Next<M::Space>> {
        let to = self.processes[caller].registers.pid;
        let index = Pid::from_bits(to).index();
        let (server, client) = self.processes.two(caller, index)?;
        let [_, segment_bytes, deadline, buffer_address, buffer_bytes] = server.registers.extra;
        if client.pid.to_bits() != to
            || !client.simply_is(State::AwaitingReply)
            || client.partner != caller
            || client.priority > self.ready.most_urgent()
            || segment_bytes != 0
            || deadline != FOREVER
            || !server.queue.is_empty()
            || server.priority != server.own_priority
            || !self.trace.is_off()
        {
            return None;
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
        let space = client.space;
        self.counters.short_replies += 1;
        self.cpus[0].current = index;
        Some(Next::Run {
            process: index,
            space,
            resume: Resume::Results,
        })
    }
}

/// Whether a grant is just for writing, and sound: then there is nothing to copy yet.
#[inline]
fn is_for_writing(address: u64, grant: u64) -> bool {
    // The length alone, if the access is this one; far too large if it is another.
    let bytes = grant ^ Grant::new(0, Access::WRITE).to_bits();
    bytes.wrapping_sub(1) < USER_ADDRESS_END && address <= USER_ADDRESS_END - bytes
}
