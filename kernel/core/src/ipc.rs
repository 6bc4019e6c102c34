//! Messages: Send, Receive, Reply, ReplyReceive, Forward.
//!
//! A message is moved once, from its sender's registers to the receiver's, and a reply the same way back. In between
//! it stays where the sender left it. Send to a waiting receiver, and ReplyReceive to a waiting client, switch straight
//! over: these two are the path that everything in the system takes, so what is rare is kept out of it and in
//! functions marked `cold`.
//!
//! | who is in the way | error | who gets it |
//! |---|---|---|
//! | sender's segment is not mapped | `BadAddress` | the sender; the receiver waits on |
//! | receiver's buffer is not mapped | `BadAddress` | the receiver; the message stays in its queue |
//! | replier's data is not mapped | `BadAddress` | the replier; the client waits on |
//! | client's segment is not mapped | `BadAddressOfOther` | the replier; the client waits on |

use abi::call::{FOREVER, NOW, Receive};
use abi::message::CODE_MASK;
use abi::trace::Event;
use abi::{Access, Error, Grant, LogicalHost, Pid, Rights, USER_ADDRESS_END};

use crate::kernel::Kernel;
use crate::machine::{Machine, Next, ProcessIndex, Resume, Side};
use crate::paging::{PAGE_MISSING, Wait};
use crate::process::{Flags, Kind, NOBODY, State};
use crate::transfer::{HEAD_BYTES, Stop};
use crate::{Result, ensure};

/// The first register of a message without the bits that are the kernel's.
const FIRST_REGISTER_MASK: u64 = 0xffff_ffff_0000_0000 | CODE_MASK as u64;
/// The last register without word 7, which is the kernel's.
const LAST_REGISTER_MASK: u64 = 0x0000_0000_ffff_ffff;

/// A message as it is delivered: the kernel's bits dropped, the length of the data set.
#[inline]
pub(crate) const fn delivered(message: [u64; 4], segment_bytes: u64) -> [u64; 4] {
    [
        message[0] & FIRST_REGISTER_MASK,
        message[1],
        message[2],
        message[3] & LAST_REGISTER_MASK | segment_bytes << 32,
    ]
}

impl<M: Machine> Kernel<M> {
    /// System call Send, where the receiver is not simply waiting for it.
    #[inline(never)]
    pub(crate) fn send(&mut self, caller: ProcessIndex) -> Result<Next<M::Space>> {
        let to = Pid::from_bits(self.processes[caller].registers.pid);
        if to.is_group() {
            return self.send_to_group(caller, to);
        }
        let found = self.find_receiver_anywhere(self.processes[caller].pid.host(), to)?;
        let receiver = if found == NOBODY { self.network_server } else { found };
        if self.processes[receiver].state == State::KernelServer {
            return self.kernel_request(caller, receiver);
        }
        // It would wait for itself for ever.
        ensure(receiver != caller, Error::BadArgument)?;
        self.accept_send(caller)?;
        self.counters.sends += 1;
        self.processes[caller].usage.sent += 1;
        if found == NOBODY {
            let process = &mut self.processes[caller];
            process.begin_transaction();
            let (message, from) = (process.registers.message, process.pid);
            self.trace_words(Event::Send, message, from, to);
        } else {
            self.trace_message(Event::Send, caller, receiver);
        }
        Ok(self.send_on(caller, receiver))
    }

    /// The current process sends what is in its registers, and waits.
    pub(crate) fn send_on(&mut self, caller: ProcessIndex, receiver: ProcessIndex) -> Next<M::Space> {
        self.block_current(State::Sending);
        match self.hand_over(caller, receiver) {
            NOBODY => self.choose(),
            woken => self.switch_to(woken),
        }
    }

    /// A process of this node, of whatever logical host, that may be sent to; `ProcessElsewhere` for another node's.
    pub(crate) fn find_receiver(&self, to: Pid) -> Result<ProcessIndex> {
        let index = self.processes.find(to)?;
        let flags = self.processes[index].flags;
        ensure(!flags.has(Flags::ENDED), Error::StaleProcess)?;
        ensure(!flags.has(Flags::PSEUDO), Error::NonexistentProcess)?;
        Ok(index)
    }

    /// A process that may be sent to: of the logical host `own`; or nobody for another's, which the network server
    /// reaches. That itself, and the kernel servers, are everyone's who is here.
    pub(crate) fn find_receiver_anywhere(&self, own: LogicalHost, to: Pid) -> Result<ProcessIndex> {
        let found = self.find_receiver(to);
        let is_everyones =
            |index| index == self.network_server || self.processes[index].state == State::KernelServer;
        if !to.is_elsewhere(own) || found.is_ok_and(is_everyones) {
            return found;
        }
        ensure(self.network_server != NOBODY, Error::NoNetwork)?;
        Ok(NOBODY)
    }

    /// Checks a Send to one receiver: without a deadline, and the segment that it grants is within what programs may
    /// address. Drops meaningless bits of the grant.
    pub(crate) fn accept_send(&mut self, caller: ProcessIndex) -> Result<()> {
        let registers = &mut self.processes[caller].registers;
        ensure(registers.extra[2] == FOREVER, Error::BadArgument)?;
        let grant = Grant::from_bits(registers.extra[1]);
        if grant.access() == Access::NONE || grant.bytes() == 0 {
            registers.extra[1] = 0;
            return Ok(());
        }
        registers.extra[1] = grant.to_bits();
        let address = registers.extra[0];
        // The length has 48 bits, so this cannot overflow where it matters.
        ensure(address <= USER_ADDRESS_END && address + grant.bytes() <= USER_ADDRESS_END, Error::BadAddress)
    }

    /// Sends the message in the registers of `sender`, which is in no list and does not run, to `receiver`: delivers it
    /// if the receiver waits for it, else puts it into its queue.
    pub(crate) fn post(&mut self, sender: ProcessIndex, receiver: ProcessIndex) {
        let woken = self.hand_over(sender, receiver);
        if woken != NOBODY {
            self.make_ready(woken);
        }
    }

    /// As `post`; but the receiver, if the message was delivered, is returned to be run, and is in no list yet.
    pub(crate) fn hand_over(&mut self, sender: ProcessIndex, receiver: ProcessIndex) -> ProcessIndex {
        let now = self.coarse_now_ns;
        let process = &mut self.processes[sender];
        process.partner = receiver;
        // It is in no queue, should its priority change because its page is asked for.
        process.state = State::Idle;
        process.since_ns = now;
        if self.accepts(receiver, sender) {
            match self.deliver(sender, receiver) {
                Ok(()) => {
                    self.end_receiving(receiver);
                    self.begin_waiting(sender, receiver);
                    self.received(sender, receiver);
                    self.processes[receiver].state = State::Ready;
                    return receiver;
                }
                Err(Stop { side: Side::Source, error, .. }) => {
                    self.cannot_send(sender, receiver, error);
                    return NOBODY;
                }
                Err(Stop { error, .. }) => self.cannot_receive(receiver, error),
            }
        }
        self.processes[sender].state = State::Sending;
        self.processes.enqueue(sender);
        self.begin_waiting(sender, receiver);
        NOBODY
    }

    /// The segment of a sender, which is in no list, cannot be read: if its page comes it sends its message on.
    #[cold]
    fn cannot_send(&mut self, sender: ProcessIndex, receiver: ProcessIndex, error: Error) {
        let receiver = self.processes[receiver].pid;
        let process = &mut self.processes[sender];
        process.state = State::Idle;
        if error == PAGE_MISSING && process.kind == Kind::Program && !process.is_moving() {
            process.extra.count = receiver.to_bits();
            self.await_page(sender, Wait::Send);
        } else {
            self.fail_sender(sender, Error::BadAddress);
        }
    }

    /// The buffer of a process that waits in Receive cannot be written: if its page comes it receives anew.
    #[cold]
    fn cannot_receive(&mut self, receiver: ProcessIndex, error: Error) {
        let process = &self.processes[receiver];
        if !matches!(process.state, State::Receiving | State::ReceivingFrom) {
            // The request for its page was the message that it got.
            return;
        }
        let from_anyone = process.state == State::Receiving;
        self.end_receiving(receiver);
        if error != PAGE_MISSING {
            return self.fail(receiver, Error::BadAddress);
        }
        let process = &mut self.processes[receiver];
        process.registers.number = Receive::NUMBER;
        if from_anyone {
            process.registers.pid = 0;
        }
        self.await_page(receiver, Wait::Call);
    }

    /// The message of `sender`, which waits for `receiver`, was delivered.
    fn received(&mut self, sender: ProcessIndex, receiver: ProcessIndex) {
        let process = &mut self.processes[sender];
        process.state = State::AwaitingReply;
        if process.wants_no_reply() {
            process.state = State::Idle;
            self.end_waiting(sender, receiver);
        }
    }

    /// Whether `receiver` waits for a message that `sender` may be the one to send.
    fn accepts(&self, receiver: ProcessIndex, sender: ProcessIndex) -> bool {
        let process = &self.processes[receiver];
        let waits = match process.state {
            State::Receiving => true,
            State::ReceivingFrom => process.partner == sender,
            _ => false,
        };
        waits && !process.flags.has(Flags::SUSPENDED)
    }

    /// Moves the message, the head of a readable segment, and what the receiver is told of the sender.
    #[inline]
    fn deliver(&mut self, sender: ProcessIndex, receiver: ProcessIndex) -> Result<(), Stop> {
        let (from, to) = self.processes.pair(sender, receiver);
        let grant = from.registers.extra[1];
        let segment_bytes =
            if grant != 0 && to.registers.extra[1] != 0 { self.copy_head(sender, receiver)? } else { 0 };
        let (from, to) = self.processes.pair(sender, receiver);
        let told = [grant, u64::from(from.user.0), from.forwarder.to_bits(), 0, 0];
        to.hear(from.pid.to_bits(), delivered(from.registers.message, segment_bytes), told);
        if from.flags.has(Flags(Flags::PSEUDO.0 | Flags::REMOTE.0)) {
            self.tell_more(sender, receiver);
        }
        self.trace_message(Event::Receive, sender, receiver);
        Ok(())
    }

    /// Notes that the message of `from` goes to `to`.
    #[inline]
    pub(crate) fn trace_message(&mut self, event: Event, from: ProcessIndex, to: ProcessIndex) {
        if self.trace.wants(event) {
            let message = self.processes[from].registers.message;
            let (from, to) = (self.sender_pid(from), self.sender_pid(to));
            self.trace_words(event, message, from, to);
        }
    }

    /// Copies the head of the sender's segment to the receiver's buffer, if it was granted for reading.
    fn copy_head(&mut self, sender: ProcessIndex, receiver: ProcessIndex) -> Result<u64, Stop> {
        let process = &self.processes[sender];
        let grant = process.grant();
        // An exception grants the whole address space, which has no head; what is moved far is read as it is sent.
        if !grant.access().contains(Access::READ)
            || process.flags.has(Flags::EXCEPTION)
            || process.is_moving()
        {
            return Ok(0);
        }
        if process.kind == Kind::Copy {
            return self.copy_kept_head(sender, receiver, grant.bytes());
        }
        let [buffer_address, buffer_bytes, ..] = self.processes[receiver].registers.extra;
        let mut bytes = grant.bytes().min(buffer_bytes).min(HEAD_BYTES);
        if process.kind == Kind::Alien {
            bytes = bytes.min(process.bytes_here());
        }
        let address = self.processes[sender].segment_address();
        self.copy(sender, address, receiver, buffer_address, bytes)?;
        Ok(bytes)
    }

    /// System call Receive.
    #[inline(never)]
    pub(crate) fn receive(&mut self, caller: ProcessIndex) -> Result<Next<M::Space>> {
        let registers = &self.processes[caller].registers;
        let deadline = registers.extra[2];
        let from = self.find_source(caller, Pid::from_bits(registers.pid))?;
        if self.take_message(caller, from)? {
            return Ok(self.leave());
        }
        ensure(deadline != NOW, Error::NothingWaiting)?;
        if from == NOBODY {
            self.block_current(State::Receiving);
        } else {
            self.block_current(State::ReceivingFrom);
            self.processes[from].expected_by += 1;
        }
        self.processes[caller].partner = from;
        if deadline != FOREVER {
            self.set_own_deadline(caller, deadline);
        }
        Ok(self.choose())
    }

    /// From whom to receive: nobody in particular, or one slot.
    fn find_source(&self, caller: ProcessIndex, from: Pid) -> Result<ProcessIndex> {
        if from.is_none() {
            return Ok(NOBODY);
        }
        let index = self.processes.find(from)?;
        let process = &self.processes[index];
        ensure(index != caller && process.state != State::KernelServer, Error::BadArgument)?;
        // What another logical host's sends would come from an alien; but the owner hears of its team's end from itself.
        let own = self.processes[caller].pid;
        let is_elsewhere = process.kind == Kind::Program
            && from.is_elsewhere(own.host())
            && self.team(process.team).owner != own;
        ensure(!is_elsewhere, Error::ProcessElsewhere)?;
        Ok(index)
    }

    /// Receives the first message in the queue, or the one of `from`; false if there is none.
    fn take_message(&mut self, receiver: ProcessIndex, from: ProcessIndex) -> Result<bool> {
        loop {
            let sender = if from == NOBODY {
                self.processes[receiver].queue.head
            } else {
                let process = &self.processes[from];
                if process.state == State::Sending && process.partner == receiver { from } else { NOBODY }
            };
            if sender == NOBODY {
                return Ok(false);
            }
            match self.deliver(sender, receiver) {
                Ok(()) => {
                    self.processes.dequeue(sender);
                    let now = self.coarse_now_ns;
                    let process = &mut self.processes[sender];
                    process.since_ns = now;
                    self.received(sender, receiver);
                    return Ok(true);
                }
                Err(Stop { side: Side::Source, error, .. }) => {
                    self.processes.dequeue(sender);
                    self.end_waiting(sender, receiver);
                    self.cannot_send(sender, receiver, error);
                }
                Err(Stop { error: PAGE_MISSING, .. }) => return Err(PAGE_MISSING),
                Err(_) => return Err(Error::BadAddress),
            }
        }
    }

    /// A process no longer waits in Receive; the caller gives it its results.
    pub(crate) fn end_receiving(&mut self, index: ProcessIndex) {
        self.clear_deadline(index);
        let process = &self.processes[index];
        if process.state == State::ReceivingFrom {
            let from = process.partner;
            self.processes[from].expected_by -= 1;
        }
    }

    /// A process that was suspended in Receive looks at what has come in the meantime.
    pub(crate) fn receive_again(&mut self, index: ProcessIndex) {
        let process = &self.processes[index];
        let from = match process.state {
            State::Receiving => NOBODY,
            State::ReceivingFrom => process.partner,
            _ => return,
        };
        match self.take_message(index, from) {
            Ok(false) => {}
            Ok(true) => {
                self.end_receiving(index);
                self.make_ready(index);
            }
            Err(error) => {
                self.end_receiving(index);
                self.fail(index, error);
            }
        }
    }

    /// System call Reply.
    #[inline(never)]
    pub(crate) fn reply(&mut self, caller: ProcessIndex) -> Result<Next<M::Space>> {
        let registers = &self.processes[caller].registers;
        let [address, bytes, ..] = registers.extra;
        let client = self.answer(caller, Pid::from_bits(registers.pid), address, bytes)?;
        self.processes[caller].clear_results();
        if client != NOBODY {
            self.make_ready(client);
        }
        Ok(self.leave())
    }

    /// System call ReplyReceive.
    #[inline(never)]
    pub(crate) fn reply_receive(&mut self, caller: ProcessIndex) -> Result<Next<M::Space>> {
        let registers = &self.processes[caller].registers;
        let [address, bytes, deadline, buffer_address, buffer_bytes] = registers.extra;
        let client = self.answer(caller, Pid::from_bits(registers.pid), address, bytes)?;
        if self.cpu().current != caller {
            // It has sent for a client elsewhere, who had it ended; or a page that it refused ended its own team.
            if client != NOBODY {
                self.make_ready(client);
            }
            return Ok(self.leave());
        }
        let server = &mut self.processes[caller];
        server.registers.extra[0] = buffer_address;
        server.registers.extra[1] = buffer_bytes;
        if server.queue.is_empty() && deadline == FOREVER && client != NOBODY {
            self.block_current(State::Receiving);
            return Ok(self.switch_to(client));
        }
        // What remains is a Receive from anyone.
        server.registers.pid = 0;
        server.registers.extra[2] = deadline;
        if client != NOBODY {
            self.make_ready(client);
        }
        self.receive(caller)
    }

    /// Gives the reply in the caller's registers, with `bytes` of data from `address`, to a client that awaits it.
    ///
    /// Returns the client, ready but in no list yet; or nobody, if there is no one to run because of it.
    #[inline]
    fn answer(&mut self, caller: ProcessIndex, pid: Pid, address: u64, bytes: u64) -> Result<ProcessIndex> {
        let client = self.find_client(caller, pid)?;
        let process = &self.processes[client];
        if !process.flags.only(Flags::SUSPENDED) {
            return self.answer_specially(caller, client, address, bytes);
        }
        let bytes = Grant::from_bits(bytes).bytes();
        if bytes != 0 {
            self.copy_reply(caller, client, address, bytes)?;
        }
        self.finish_answer(caller, client, bytes);
        Ok(client)
    }

    /// The process, or pseudo-sender, that is known as `pid` and awaits the reply of `caller`.
    #[inline]
    pub fn find_client(&self, caller: ProcessIndex, pid: Pid) -> Result<ProcessIndex> {
        match self.processes.find(pid) {
            Ok(client) if self.processes[client].awaits_reply_of(caller) => Ok(client),
            found => self.find_alien(caller, pid, found.err().unwrap_or(Error::NotAwaitingReply)),
        }
    }

    #[inline]
    pub(crate) fn finish_answer(&mut self, caller: ProcessIndex, client: ProcessIndex, bytes: u64) {
        let now = self.coarse_now_ns;
        self.counters.replies += 1;
        self.trace_message(Event::Reply, caller, client);
        let (from, to) = self.processes.pair(caller, client);
        to.registers.number = 0;
        to.registers.pid = from.pid.to_bits();
        to.registers.message = delivered(from.registers.message, bytes);
        to.registers.extra = [0; 5];
        to.forwarder = Pid::NONE;
        to.state = State::Ready;
        to.since_ns = now;
        self.end_waiting(client, caller);
    }

    /// Copies a reply's data into the client's segment.
    pub(crate) fn copy_reply(
        &mut self,
        caller: ProcessIndex,
        client: ProcessIndex,
        address: u64,
        bytes: u64,
    ) -> Result<()> {
        let process = &self.processes[client];
        let grant = process.grant();
        ensure(grant.access().contains(Access::WRITE), Error::NoWriteAccess)?;
        ensure(bytes <= grant.bytes() && bytes <= HEAD_BYTES, Error::TooLong)?;
        let segment_address = process.segment_address();
        self.copy(caller, address, client, segment_address, bytes).map_err(|stop| stop.blame(Side::Source))
    }

    /// A Reply to what is not simply a program's Send.
    #[cold]
    fn answer_specially(
        &mut self,
        caller: ProcessIndex,
        client: ProcessIndex,
        address: u64,
        bytes: u64,
    ) -> Result<ProcessIndex> {
        let process = &self.processes[client];
        let (flags, kind) = (process.flags, process.kind);
        if kind == Kind::Page {
            return self.page_answered(caller, client, address, Grant::from_bits(bytes));
        }
        let bytes = Grant::from_bits(bytes).bytes();
        if kind == Kind::Copy {
            self.answer_copy(caller, client, address, bytes)?;
            return Ok(NOBODY);
        }
        if kind == Kind::Alien && flags.has(Flags::REMOTE) {
            return self.send_alien(caller, client, address, bytes);
        }
        if bytes != 0 {
            self.copy_reply(caller, client, address, bytes)?;
        }
        if flags.has(Flags::REMOTE) {
            return Ok(self.answer_remote(caller, client, bytes));
        }
        if kind == Kind::Program && !flags.has(Flags(Flags::ENDED.0 | Flags::EXCEPTION.0)) {
            self.processes[client].flags.clear(Flags::NEWBORN);
            self.finish_answer(caller, client, bytes);
            return Ok(client);
        }
        self.counters.replies += 1;
        self.trace_message(Event::Reply, caller, client);
        self.end_waiting(client, caller);
        self.processes[client].state = State::Idle;
        match kind {
            Kind::Alien => self.alien_answered(client, caller, bytes),
            Kind::Interrupt => self.interrupt_answered(client),
            Kind::Alarm => self.alarm_answered(client),
            Kind::Program | Kind::Copy | Kind::Page if flags.has(Flags::ENDED) => self.forget_team(client),
            Kind::Program | Kind::Copy | Kind::Page => {
                let process = &mut self.processes[client];
                process.flags.clear(Flags::EXCEPTION);
                process.forwarder = Pid::NONE;
                process.resume = Resume::Full;
                // Not switched to directly: it resumes in full.
                self.make_ready(client);
            }
        }
        Ok(NOBODY)
    }

    /// System call Forward.
    #[inline(never)]
    pub(crate) fn forward(&mut self, caller: ProcessIndex) -> Result<Next<M::Space>> {
        let registers = &self.processes[caller].registers;
        let client = Pid::from_bits(registers.pid);
        let to = Pid::from_bits(registers.extra[0]);
        let (client, receiver) = self.find_forward(caller, client, to)?;
        self.end_waiting(client, caller);
        let from_pid = self.sender_pid(client);
        let code = self.processes[caller].registers.message[0] as u32 & CODE_MASK;
        self.trace(Event::Forward, code, from_pid, to);
        let (from, process) = self.processes.pair(caller, client);
        process.registers.message = delivered(from.registers.message, 0);
        process.forwarder = from.pid;
        let told = Pid::from_bits(from.registers.extra[1]);
        from.clear_results();
        if process.flags.has(Flags::REMOTE) {
            // It was the network server's client, which knows who forwards it.
            process.forwarder = told;
            process.flags.clear(Flags::REMOTE);
        }
        if receiver == NOBODY {
            self.forward_elsewhere(client, to);
        } else {
            self.post(client, receiver);
        }
        Ok(self.leave())
    }

    /// Checks a Forward: only a program's Send may be handed on, here or elsewhere, to another process. The receiver is
    /// nobody if that is another node's.
    fn find_forward(
        &self,
        caller: ProcessIndex,
        client: Pid,
        to: Pid,
    ) -> Result<(ProcessIndex, ProcessIndex)> {
        let client = self.find_client(caller, client)?;
        let process = &self.processes[client];
        let own = &self.processes[caller];
        let special = Flags(Flags::NEWBORN.0 | Flags::ENDED.0);
        let may = own.user == process.user
            || process.flags.has(Flags::REMOTE)
            || self.has_right(caller, Rights::FORWARD);
        let is_send = match process.kind {
            Kind::Program => !process.flags.has(special) && !process.is_moving() && !process.is_joining(),
            Kind::Alien => !process.flags.has(Flags::REMOTE),
            _ => false,
        };
        ensure(may && is_send, Error::NotForwardable)?;
        ensure(!to.is_group(), Error::BadArgument)?;
        // What was sent elsewhere is forwarded as by its sender.
        let by =
            if process.kind == Kind::Program && process.flags.has(Flags::REMOTE) { process } else { own };
        let receiver = self.find_receiver_anywhere(by.pid.host(), to)?;
        if receiver == NOBODY {
            ensure(!process.flags.has(Flags::EXCEPTION), Error::NotForwardable)?;
        } else {
            let to_itself_or_kernel =
                receiver == client || self.processes[receiver].state == State::KernelServer;
            ensure(!to_itself_or_kernel, Error::BadArgument)?;
            if process.kind == Kind::Alien && receiver != caller {
                self.need_no_alien(self.sender_pid(client), receiver)?;
            }
        }
        Ok((client, receiver))
    }
}
