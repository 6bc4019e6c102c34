//! Messages to processes of other nodes, and the kernel's partner for them: the network server.
//!
//! A Send to another logical host's pid, with its grant, is queued to the network server as if it were for that, marked
//! `REMOTE`; the server learns from Receive whom the sender addressed (`abi::remote`), reads and writes the segment of
//! a client that awaits its reply, and says in its Reply who replied or with what error the Send ends.
//!
//! MoveTo and MoveFrom on a client elsewhere become such Sends of their caller, one for each piece, to the *remote
//! server* of the client's node (`abi::kernel::remote`), with the caller's own memory granted, which the
//! network server reads and writes piece by piece.
//!
//! When the network server ends, what was sent through it is not lost: the next one sends it again, as the same transaction.

use abi::call::{MoveTo, Reply, Send};
use abi::kernel::{MOST_MOVED_BYTES, REMOTE, remote};
use abi::protocol::{Reply as _, Request as _};
use abi::remote::{AGAIN, Arrival, TRANSACTION_STEP};
use abi::trace::Event;
use abi::{Access, Error, Grant, Message, Pid, Rights, USER_ADDRESS_END};

use crate::kernel::Kernel;
use crate::machine::{Machine, Next, ProcessIndex};
use crate::page_request::Answer;
use crate::process::{Flags, Kind, NOBODY, Process, State};
use crate::{Result, ensure};

/// So long a Send to another node waits for the next network server.
pub(crate) const STRANDED_NS: u64 = 10_000_000_000;

impl<Space> Process<Space> {
    /// What it sends now goes to another node.
    pub(crate) fn begin_transaction(&mut self) {
        self.transaction = (self.transaction | AGAIN).wrapping_add(TRANSACTION_STEP - AGAIN);
        self.flags.set(Flags::REMOTE);
        self.usage.sent_elsewhere += 1;
    }

    /// Whether what it has sent to another node waits for the next network server.
    fn is_stranded(&self) -> bool {
        self.kind == Kind::Program && self.state == State::Idle && self.flags.has(Flags::TIMED)
    }

    /// Whether it waits in a MoveTo or MoveFrom for another node.
    pub(crate) fn is_moving(&self) -> bool {
        self.flags.has(Flags::REMOTE)
            && self.kind == Kind::Program
            && self.registers.number != Send::NUMBER
            && !self.is_joining()
    }
}

impl<M: Machine> Kernel<M> {
    /// Makes a process the network server.
    pub(crate) fn become_network_server(&mut self, caller: ProcessIndex) -> Result<()> {
        self.need_right(caller, Rights::NETWORK_SERVER)?;
        ensure(self.network_server == NOBODY || self.network_server == caller, Error::Busy)?;
        self.network_server = caller;
        self.send_stranded();
        for sender in 0..self.processes.count() {
            let process = &self.processes[sender];
            // What has moved sends there.
            if process.is_stranded() && !self.processes.is_away(process.pid.host()) {
                self.clear_deadline(sender);
                self.trace_message(Event::Send, sender, caller);
                self.post(sender, caller);
            }
        }
        Ok(())
    }

    /// The error unless `caller` is the network server.
    pub(crate) fn need_network_server(&self, caller: ProcessIndex) -> Result<()> {
        ensure(caller == self.network_server, Error::NoPermission)
    }

    /// If `index` is the network server, it is no more; its aliens end.
    pub(crate) fn end_network_server(&mut self, index: ProcessIndex) {
        if self.network_server == index {
            self.release_aliens();
            self.network_server = NOBODY;
            self.former_network_servers += 1;
        }
    }

    /// What the receiver of a pseudo-sender's or `REMOTE` message is told beside what is told of every sender.
    #[cold]
    pub(crate) fn tell_more(&mut self, sender: ProcessIndex, receiver: ProcessIndex) {
        if self.processes[sender].kind == Kind::Alien {
            return self.tell_of_alien(sender, receiver);
        }
        // The network server would take it for something of another node's.
        let is_page_request = self.processes[sender].kind == Kind::Page && receiver != self.network_server;
        let (from, to) = self.processes.pair(sender, receiver);
        if from.flags.has(Flags::REMOTE) {
            let addressed = Pid::from_bits(from.registers.pid);
            let addressed =
                if from.is_moving() { Pid::kernel_server(addressed.host(), REMOTE) } else { addressed };
            let arrival = Arrival::Elsewhere { to: addressed, transaction: from.transaction };
            arrival.encode(&mut to.registers);
        } else if is_page_request {
            to.registers.extra[3] = 1;
        }
    }

    /// A client, which waits for nobody, is forwarded to another node.
    pub(crate) fn forward_elsewhere(&mut self, client: ProcessIndex, to: Pid) {
        let process = &mut self.processes[client];
        if process.kind == Kind::Alien {
            let forwarder = process.forwarder;
            return self.tell_network_server(client, to, forwarder);
        }
        process.registers.pid = to.to_bits();
        process.begin_transaction();
        let server = self.network_server;
        self.post(client, server);
    }

    /// In whose name the network server replies, or with what error. A ReplyReceive can't say.
    pub(crate) fn reply_for(&self, caller: ProcessIndex) -> (Pid, Result<()>) {
        let registers = &self.processes[caller].registers;
        if registers.number != Reply::NUMBER {
            return (Pid::NONE, Ok(()));
        }
        let [.., replier, error, _] = registers.extra;
        (Pid::from_bits(replier), Error::check(error as u32))
    }

    /// The network server replies to a client whose message was for another node; the reply's data has been copied.
    /// Returns the client if it goes on.
    pub(crate) fn answer_remote(
        &mut self,
        caller: ProcessIndex,
        client: ProcessIndex,
        bytes: u64,
    ) -> ProcessIndex {
        let (replier, outcome) = self.reply_for(caller);
        if self.processes[client].is_moving() {
            self.end_waiting(client, caller);
            return self.piece_moved(caller, client, outcome);
        }
        if self.processes[client].is_joining() {
            return self.join_answered(caller, client, outcome);
        }
        let process = &mut self.processes[client];
        process.flags.clear(Flags::REMOTE);
        let addressed = process.registers.pid;
        self.finish_answer(caller, client, bytes);
        let process = &mut self.processes[client];
        process.registers.pid = if replier.is_none() { addressed } else { replier.to_bits() };
        if let Err(error) = outcome {
            process.set_error(error);
        }
        client
    }

    /// MoveTo or MoveFrom on an alien of which that is not here. The arguments are in the caller's registers and have
    /// been checked.
    pub(crate) fn begin_move(&mut self, caller: ProcessIndex, alien: ProcessIndex) -> Result<Next<M::Space>> {
        let [offset, address, total, ..] = self.processes[caller].registers.extra;
        // What the network server received itself it must move itself.
        ensure(caller != self.network_server, Error::NotSupported)?;
        ensure(address <= USER_ADDRESS_END && total <= USER_ADDRESS_END - address, Error::BadAddress)?;
        self.processes[caller].registers.extra = [address, 0, total, offset, 0];
        self.prepare_piece(caller, alien);
        Ok(self.send_on(caller, self.network_server))
    }

    /// Makes the caller's registers the Send of the next piece: `[its address, its grant, bytes after it, its offset
    /// in the client's segment]`.
    fn prepare_piece(&mut self, caller: ProcessIndex, alien: ProcessIndex) {
        let transaction = self.processes[alien].transaction;
        let client = Pid::from_bits(self.processes[alien].registers.pid);
        let process = &mut self.processes[caller];
        let [address, _, rest, offset, _] = process.registers.extra;
        let bytes = rest.min(MOST_MOVED_BYTES);
        let (access, message) = if process.registers.number == MoveTo::NUMBER {
            (Access::READ, remote::MoveTo { client, transaction, offset }.to_message())
        } else {
            (Access::WRITE, remote::MoveFrom { client, transaction, offset }.to_message())
        };
        process.registers.pid = client.to_bits();
        process.registers.message = message.to_registers();
        process.registers.extra = [address, Grant::new(bytes, access).to_bits(), rest - bytes, offset, 0];
        process.forwarder = Pid::NONE;
        process.begin_transaction();
    }

    /// A piece has been moved, or not: sends the next, or ends the call. `mover` waits for nobody.
    fn piece_moved(
        &mut self,
        server: ProcessIndex,
        mover: ProcessIndex,
        outcome: Result<()>,
    ) -> ProcessIndex {
        let reply = Message::from_registers(self.processes[server].registers.message);
        let outcome = outcome.and_then(|()| Error::check(reply.code()));
        let process = &mut self.processes[mover];
        let piece = process.grant().bytes();
        // The reply to a MoveFrom tells it alike.
        let count = u64::from(remote::Moved::from_message(&reply).count).min(piece);
        process.extra.count += count;
        let [address, _, rest, offset, _] = process.registers.extra;
        process.registers.extra = [address + count, 0, rest, offset + count, 0];
        let client = Pid::from_bits(process.registers.pid);
        let outcome = match outcome {
            Ok(()) if count == piece && rest > 0 => {
                match self.find_alien(mover, client, Error::NotAwaitingReply) {
                    Ok(alien) => {
                        self.prepare_piece(mover, alien);
                        self.post(mover, server);
                        return NOBODY;
                    }
                    Err(error) => Err(error),
                }
            }
            outcome => outcome,
        };
        self.end_move(mover, outcome);
        self.processes[mover].state = State::Ready;
        mover
    }

    /// The results of a MoveTo or MoveFrom for another node.
    fn end_move(&mut self, mover: ProcessIndex, outcome: Result<()>) {
        let process = &mut self.processes[mover];
        process.flags.clear(Flags::REMOTE);
        match outcome {
            Ok(()) => process.clear_results(),
            Err(error) => process.set_error(error),
        }
        process.registers.extra[0] = process.extra.count;
    }

    /// What a sender, which waits for nobody, has sent cannot be received.
    #[cold]
    pub(crate) fn fail_sender(&mut self, sender: ProcessIndex, error: Error) {
        let process = &mut self.processes[sender];
        match process.kind {
            Kind::Alien => return self.fail_alien(sender, error),
            Kind::Page => return self.end_request(sender, Err(error), Answer::None),
            _ => {}
        }
        if process.is_moving() {
            self.end_move(sender, Err(error));
            return self.make_ready(sender);
        }
        process.flags.clear(Flags::REMOTE);
        self.fail(sender, error);
    }
}
