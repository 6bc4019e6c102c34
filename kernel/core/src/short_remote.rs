//! The short path between nodes: what a message to another one, and its answer, take on either side.
//!
//! | call | of whom | to whom |
//! |---|---|---|
//! | Send | a client here, to elsewhere | the network server |
//! | `ReplyReceive` | the network server | that client, or a server here, for a client elsewhere |
//! | `ReplyReceive` | that server | the network server |
//! | none: the card's interrupt | | the network server, if nobody runs |
//!
//! As in `short_path`: every condition is checked first; where one does not hold, nothing has been changed.

use abi::call::{FOREVER, Send};
use abi::kernel::record::AlienRecord;
use abi::notice::notice;
use abi::protocol::Request as _;
use abi::remote::Arrival;
use abi::{Access, Pid};

use crate::ipc::delivered;
use crate::kernel::Kernel;
use crate::machine::{Machine, Next, Place, ProcessIndex, Resume};
use crate::process::{Flags, Kind, NOBODY, Process, State};
use crate::short_path::ShortCall;

impl<Space> Process<Space> {
    /// Whether it awaits the reply to a Send to another node. What came of its last one to a group is no matter.
    pub(crate) fn awaits_elsewhere(&self) -> bool {
        let mut flags = self.flags;
        flags.clear(Flags::GROUP);
        self.state == State::AwaitingReply
            && flags == Flags::REMOTE
            && self.kind == Kind::Program
            && self.registers.number == Send::NUMBER
    }
}

impl<M: Machine> Kernel<M> {
    /// Send to what is no process here, and grants at most to be written: to the network server, if that waits.
    #[cold]
    #[inline(never)]
    pub(crate) fn short_send_elsewhere(&mut self, caller: ProcessIndex) -> ShortCall<M::Space> {
        let (index, host) = (self.network_server, self.processes.host());
        let Some((client, server)) = self.processes.two(caller, index) else {
            return ShortCall::General;
        };
        let to = Pid::from_bits(client.registers.pid);
        let [_, grant, deadline, ..] = client.registers.extra;
        // A kernel server's may be a guest's.
        if !to.is_elsewhere(host)
            || to.is_kernel_server()
            || deadline != FOREVER
            || !server.simply_is(State::Receiving)
            || client.priority < server.priority
            || !self.trace.is_off()
        {
            return ShortCall::General;
        }
        client.usage.sent += 1;
        client.begin_transaction();
        client.state = State::AwaitingReply;
        client.partner = index;
        client.since_ns = self.coarse_now_ns;
        let message = delivered(client.registers.message, 0);
        server.hear(client.pid.to_bits(), message, [grant, u64::from(client.user.0), 0, 0, 0]);
        Arrival::Elsewhere { to, transaction: client.transaction }.encode(&mut server.registers);
        server.state = State::Ready;
        server.waiters.join(client.priority);
        self.short_calls.sends += 1;
        self.run_short(index)
    }

    /// The network server's `ReplyReceive` to slot `index`, which does not simply await it.
    #[cold]
    #[inline(never)]
    pub(crate) fn short_reply_of_network_server<const SEGMENT: bool>(
        &mut self,
        caller: ProcessIndex,
        index: ProcessIndex,
    ) -> ShortCall<M::Space> {
        match self.processes[index].kind {
            _ if caller != self.network_server => ShortCall::General,
            Kind::Alien if SEGMENT => self.short_send_alien(caller, index),
            _ => self.short_reply_receive::<SEGMENT, true>(caller, index),
        }
    }

    /// Sends an alien that is back to a server that simply waits, and is told nothing of the segment's content.
    fn short_send_alien(&mut self, caller: ProcessIndex, slot: ProcessIndex) -> ShortCall<M::Space> {
        let Some((server, alien)) = self.processes.two(caller, slot) else {
            return ShortCall::General;
        };
        let [address, bytes, deadline, buffer_address, buffer_bytes] = server.registers.extra;
        let mut record = [0; AlienRecord::BYTES];
        if !alien.awaits_reply_of(caller)
            || alien.flags != Flags(Flags::PSEUDO.0 | Flags::REMOTE.0)
            || bytes != record.len() as u64
            || deadline != FOREVER
            || !server.queue.is_empty()
            || server.priority != server.own_priority
            || !self.trace.is_off()
            || self.machine.read(Place { space: server.space, address }, &mut record).is_err()
        {
            return ShortCall::General;
        }
        let record = AlienRecord::from_bytes(&record);
        let Ok((receiver, grant)) = self.check_alien(&record) else {
            return ShortCall::General;
        };
        let process = &self.processes[receiver];
        let has_head = grant.access().contains(Access::READ) && process.registers.extra[1] != 0;
        let waits = process.simply_is(State::Receiving)
            && process.priority <= self.alien_priority(caller, &record).min(self.ready.most_urgent());
        if !waits || has_head || process.pid.is_guest() {
            return ShortCall::General;
        }
        self.begin_alien(caller, slot, &record, grant);
        let (alien, process) = self.processes.pair(slot, receiver);
        alien.state = State::AwaitingReply;
        alien.partner = receiver;
        let told = [grant.to_bits(), u64::from(alien.user.0), alien.forwarder.to_bits(), 0, 0];
        process.hear(alien.registers.pid, delivered(alien.registers.message, 0), told);
        process.state = State::Ready;
        process.waiters.join(alien.priority);
        let server = &mut self.processes[caller];
        server.registers.extra[0] = buffer_address;
        server.registers.extra[1] = buffer_bytes;
        server.state = State::Receiving;
        self.short_calls.sends += 1;
        self.run_short(receiver)
    }

    /// `ReplyReceive`, without data, to what is no process here: to an alien, which takes it to the network server, if
    /// that simply waits.
    #[cold]
    #[inline(never)]
    pub(crate) fn short_reply_to_alien(&mut self, caller: ProcessIndex) -> ShortCall<M::Space> {
        let index = self.network_server;
        let Some((server, network)) = self.processes.two(caller, index) else {
            return ShortCall::General;
        };
        let pid = server.registers.pid;
        let [_, _, deadline, buffer_address, buffer_bytes] = server.registers.extra;
        if deadline != FOREVER
            || !server.queue.is_empty()
            || server.priority != server.own_priority
            || !network.simply_is(State::Receiving)
            || network.priority >= self.ready.most_urgent()
            || !self.trace.is_off()
        {
            return ShortCall::General;
        }
        let slot = self.aliens.first(Pid::from_bits(pid));
        let network_priority = network.priority;
        if slot == NOBODY {
            return ShortCall::General;
        }
        let alien = &self.processes[slot];
        if alien.registers.pid != pid
            || !alien.awaits_reply_of(caller)
            || alien.flags != Flags::PSEUDO
            || alien.priority < network_priority
        {
            return ShortCall::General;
        }
        self.forget_client(slot);
        let (server, alien) = self.processes.pair(caller, slot);
        alien.registers.message = delivered(server.registers.message, 0);
        alien.registers.extra[1] = 0;
        alien.registers.extra[3] = 0;
        alien.forwarder = server.pid;
        alien.flags.set(Flags::REMOTE);
        alien.partner = index;
        server.waiters.leave(alien.priority);
        server.registers.extra[0] = buffer_address;
        server.registers.extra[1] = buffer_bytes;
        server.state = State::Receiving;
        let (alien, network) = self.processes.pair(slot, index);
        network.hear(alien.pid.to_bits(), alien.registers.message, [0, u64::from(alien.user.0), 0, 0, 0]);
        let cookie = alien.registers.extra[2];
        Arrival::Answered { cookie, replier: alien.forwarder, outcome: Ok(()) }
            .encode(&mut network.registers);
        network.state = State::Ready;
        network.waiters.join(alien.priority);
        self.short_calls.replies += 1;
        self.run_short(index)
    }

    /// An interrupt that wants no reply, while nobody runs and its owner simply waits: that is to run.
    pub(crate) fn short_interrupt(&mut self, slot: ProcessIndex) -> Option<Next<M::Space>> {
        let index = self.processes[slot].owner;
        let (interrupt, owner) = self.processes.pair(slot, index);
        if !interrupt.wants_no_reply()
            || owner.pid.is_guest()
            || !owner.simply_is(State::Receiving)
            || !self.cpus[0].idle
            || self.ready.first() != NOBODY
            || !self.trace.is_off()
        {
            return None;
        }
        let count = core::mem::take(&mut interrupt.extra.count) as u32;
        let notice = notice::Interrupt { line: interrupt.extra.value, count };
        let message = notice.to_message().to_registers();
        owner.hear(interrupt.pid.to_bits(), message, [0, u64::from(interrupt.user.0), 0, 0, 0]);
        owner.state = State::Ready;
        let space = owner.space;
        self.end_idle();
        self.counters.switches += 1;
        self.cpu_mut().current = index;
        Some(Next::Run { process: index, space, resume: Resume::Results })
    }

    /// The processor goes to slot `index`, whose results are in its registers.
    #[inline]
    fn run_short(&mut self, index: ProcessIndex) -> ShortCall<M::Space> {
        self.cpu_mut().current = index;
        let process = &mut self.processes[index];
        ShortCall::Run { process: index, space: process.space, registers: &raw mut process.registers }
    }
}
