//! Aliens: processes of other nodes in the queues of this one.
//!
//! An alien is a pseudo-sender of the network server's, which awaits its reply. That reply sends it for a client
//! elsewhere: from then on it is known by the client's pid, which stays in `registers.pid`; its segment is the *buffer*,
//! a piece of the network server's memory that holds the head of the client's segment and takes a reply's data. So
//! whoever receives it reads, writes and answers it like any client. When it is answered, forwarded to another node, or
//! bound to remain without an answer, it is *back* (`REMOTE` is set): it sends that to the network server, whose next
//! reply sends it for another client. Nobody ever waits for the network.
//!
//! Aliens have no rights. They are slots of the network server's team, and end with the network server.
//!
//! | register | what it holds |
//! |---|---|
//! | `extra[0]`, `extra[1]` | the buffer's address; the grant |
//! | `extra[2]` | the network server's cookie |
//! | `extra[3]` | bytes of the segment in the buffer; once back, to whom it was forwarded |
//! | `number` | once back: the error, if it was not answered |

use alloc::boxed::Box;

use abi::kernel::record::AlienRecord;
use abi::kernel::{FROM_ELSEWHERE, priority};
use abi::protocol::refusal;
use abi::remote::Arrival;
use abi::segment::HEAD_BYTES;
use abi::trace::Event;
use abi::{Access, Error, Grant, LogicalHost, Message, Pid, USER_ADDRESS_END, UserId};

use crate::ipc::delivered;
use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::process::{Flags, Kind, NOBODY, Process, State};
use crate::{Result, ensure};

/// All aliens that are not back, by their clients' pids: rows of slots that are linked by `copy`.
#[derive(Debug)]
pub struct Aliens {
    /// The first slot of each row.
    pub rows: Box<[ProcessIndex]>,
}

impl Aliens {
    /// No aliens, with rows enough for as many as there are slots.
    pub fn new(process_slots: u16) -> Aliens {
        let rows = usize::from(process_slots).next_power_of_two() / 4;
        Aliens { rows: (0..rows.max(1)).map(|_| NOBODY).collect() }
    }

    fn row(&self, client: Pid) -> usize {
        let bits = client.to_bits();
        // Generation and index differ among one host's clients, the host among hosts.
        (bits ^ bits >> 16 ^ bits >> 32) as usize % self.rows.len()
    }

    /// The first slot in the row of a client.
    pub fn first(&self, client: Pid) -> ProcessIndex {
        self.rows[self.row(client)]
    }
}

impl<M: Machine> Kernel<M> {
    /// Who a sender is to others: an alien's client, or the slot's own pid.
    pub fn sender_pid(&self, index: ProcessIndex) -> Pid {
        let process = &self.processes[index];
        if process.kind == Kind::Alien { Pid::from_bits(process.registers.pid) } else { process.pid }
    }

    /// The alien of `client` of which `wanted` holds. The latest comes first.
    fn alien_where(&self, client: Pid, wanted: impl Fn(&Process<M::Space>) -> bool) -> Option<ProcessIndex> {
        let mut alien = self.aliens.first(client);
        while alien != NOBODY {
            let process = &self.processes[alien];
            if process.registers.pid == client.to_bits() && wanted(process) {
                return Some(alien);
            }
            alien = process.copy;
        }
        None
    }

    /// The alien of `client`, a process of another logical host, that awaits the reply of `receiver`; `error` is what is
    /// known of such a pid otherwise.
    #[cold]
    pub(crate) fn find_alien(
        &self,
        receiver: ProcessIndex,
        client: Pid,
        error: Error,
    ) -> Result<ProcessIndex> {
        ensure(client.is_elsewhere(self.processes[receiver].pid.host()), error)?;
        self.alien_where(client, |alien| alien.awaits_reply_of(receiver)).ok_or(Error::NotAwaitingReply)
    }

    /// The error if `receiver` has a message of `client`: one is enough for each, since a reply must belong to the last.
    pub(crate) fn need_no_alien(&self, client: Pid, receiver: ProcessIndex) -> Result<()> {
        let last = self.alien_where(client, |alien| alien.partner == receiver);
        ensure(last.is_none(), Error::Busy)
    }

    /// Makes an alien, which is back: the network server's reply sends it.
    pub(crate) fn create_alien(&mut self, caller: ProcessIndex) -> Result<Pid> {
        self.need_network_server(caller)?;
        let server = &self.processes[caller];
        let (team, space, priority) = (server.team, server.space, server.own_priority);
        let slot = self.create_slot(team, Kind::Alien, priority)?;
        let alien = &mut self.processes[slot];
        alien.space = space;
        alien.owner = caller;
        alien.flags.set(Flags::REMOTE);
        alien.state = State::AwaitingReply;
        alien.partner = caller;
        self.begin_waiting(slot, caller);
        Ok(self.processes[slot].pid)
    }

    /// The network server, `caller`, replies to an alien that is back: sends it for a client elsewhere, with the
    /// message in the registers, as the record at an address says. Returns whom to run because of it, or nobody.
    pub(crate) fn send_alien(
        &mut self,
        caller: ProcessIndex,
        slot: ProcessIndex,
        address: u64,
        bytes: u64,
    ) -> Result<ProcessIndex> {
        let mut record = [0; AlienRecord::BYTES];
        ensure(bytes == record.len() as u64, Error::BadArgument)?;
        self.read_from(caller, address, &mut record)?;
        let mut record = AlienRecord::from_bytes(&record);
        let was_received = record.priority & AlienRecord::RECEIVED_BIT != 0;
        record.priority &= !AlienRecord::RECEIVED_BIT;
        let (receiver, grant) = self.check_alien(&record)?;
        let may_have =
            self.processes[receiver].is_program() && self.team(self.processes[receiver].team).frozen;
        ensure(!was_received || may_have, Error::BadArgument)?;
        self.begin_alien(caller, slot, &record, grant);
        self.counters.sends += 1;
        let message = self.processes[slot].registers.message;
        self.trace_words(Event::Send, message, Pid::from_bits(record.client), Pid::from_bits(record.to));
        if was_received {
            let alien = &mut self.processes[slot];
            alien.state = State::AwaitingReply;
            alien.partner = receiver;
            self.begin_waiting(slot, receiver);
            return Ok(NOBODY);
        }
        if self.processes[receiver].state == State::KernelServer {
            self.ask_kernel_server(slot, receiver, record.buffer_capacity);
            return Ok(NOBODY);
        }
        Ok(self.hand_over(slot, receiver))
    }

    /// Checks what an alien is to be sent for: to whom, and with what grant.
    pub(crate) fn check_alien(&self, record: &AlienRecord) -> Result<(ProcessIndex, Grant)> {
        let client = Pid::from_bits(record.client);
        let is_process = client == Pid::process(client.host(), client.generation(), client.index());
        let to = Pid::from_bits(record.to);
        // Guests of this node are clients of its processes, and the other way round; and for a moment, while a guest comes
        // back, of the kernel servers relative to it.
        let is_guests = to.is_guest() || to.is_kernel_server() && to.host() != LogicalHost::OWN;
        let host = if is_guests { to.host() } else { self.processes.host() };
        ensure(
            is_process
                && client.generation() != 0
                && client.is_elsewhere(host)
                && record.priority < u64::from(priority::COUNT),
            Error::BadArgument,
        )?;
        let grant = check_buffer(record)?;
        let receiver = self.find_receiver(to)?;
        // Its reply to one that is here would be taken for the outcome of a Send.
        ensure(receiver != self.network_server || self.processes.find(client).is_err(), Error::Busy)?;
        self.need_no_alien(client, receiver)?;
        Ok((receiver, grant))
    }

    /// The priority with which an alien of the network server, `caller`, waits for a client.
    pub(crate) fn alien_priority(&self, caller: ProcessIndex, record: &AlienRecord) -> u8 {
        (record.priority as u8).max(self.processes[caller].own_priority)
    }

    /// An alien that was back has the message in the registers of `caller`, the network server, for a client.
    pub(crate) fn begin_alien(
        &mut self,
        caller: ProcessIndex,
        slot: ProcessIndex,
        record: &AlienRecord,
        grant: Grant,
    ) {
        self.end_waiting(slot, caller);
        let priority = self.alien_priority(caller, record);
        let (server, alien) = self.processes.pair(caller, slot);
        alien.priority = priority;
        alien.own_priority = priority;
        alien.flags.clear(Flags::REMOTE);
        alien.user = UserId(record.user_and_transaction as u32);
        alien.transaction = (record.user_and_transaction >> 32) as u32;
        alien.forwarder = Pid::from_bits(record.forwarder);
        alien.registers.number = 0;
        alien.registers.pid = record.client;
        alien.registers.message = server.registers.message;
        alien.registers.extra =
            [record.buffer_address, grant.to_bits(), record.cookie, record.buffer_bytes, 0];
        alien.extra.count = 0;
        let row = self.aliens.row(Pid::from_bits(record.client));
        alien.copy = core::mem::replace(&mut self.aliens.rows[row], slot);
    }

    /// An alien's message is for a kernel server, which answers at once.
    fn ask_kernel_server(&mut self, alien: ProcessIndex, server: ProcessIndex, capacity: u64) {
        self.counters.kernel_requests += 1;
        let process = &mut self.processes[alien];
        let (grant, message) = (process.grant(), Message::from_registers(process.registers.message));
        process.registers.extra[1] = Grant::new(grant.bytes().min(capacity), grant.access()).to_bits();
        let answer = if FROM_ELSEWHERE.contains(&message.code()) {
            self.answer_request(alien, server, &message)
        } else {
            Ok(None)
        };
        // It may have asked for the end of the network server.
        if self.processes[alien].state == State::Free {
            return;
        }
        let reply = match answer {
            Ok(reply) => reply.unwrap_or(refusal(Error::NotSupported)),
            // Of a page that was asked for.
            Err(_) => refusal(Error::NotResident),
        };
        let replier = Pid::kernel_server(self.processes.host(), server);
        let process = &mut self.processes[alien];
        process.extra.count = u64::from(reply.segment_bytes());
        process.registers.message = delivered(reply.to_registers(), 0);
        self.tell_network_server(alien, Pid::NONE, replier);
    }

    /// Who received an alien's message has replied; its data is in the buffer.
    pub(crate) fn alien_answered(&mut self, alien: ProcessIndex, caller: ProcessIndex, bytes: u64) {
        let (from, to) = self.processes.pair(caller, alien);
        let replier = from.pid;
        to.extra.count = bytes;
        to.registers.message = delivered(from.registers.message, 0);
        self.tell_network_server(alien, Pid::NONE, replier);
    }

    /// An alien that waits for nobody takes to the network server what its registers say: that `by` replied, or that
    /// it was forwarded `to` another node.
    pub(crate) fn tell_network_server(&mut self, alien: ProcessIndex, to: Pid, by: Pid) {
        self.forget_client(alien);
        let process = &mut self.processes[alien];
        process.flags.set(Flags::REMOTE);
        process.forwarder = by;
        process.registers.extra[1] = 0;
        process.registers.extra[3] = to.to_bits();
        let server = process.owner;
        self.post(alien, server);
    }

    /// An alien, which waits for nobody, will have no answer.
    pub(crate) fn fail_alien(&mut self, alien: ProcessIndex, error: Error) {
        let process = &mut self.processes[alien];
        process.registers.number = u64::from(error.code());
        process.registers.message = [0; 4];
        self.tell_network_server(alien, Pid::NONE, Pid::NONE);
    }

    /// What the receiver of an alien's message is told, beside what is told of every sender.
    pub(crate) fn tell_of_alien(&mut self, alien: ProcessIndex, receiver: ProcessIndex) {
        let (from, to) = self.processes.pair(alien, receiver);
        if !from.flags.has(Flags::REMOTE) {
            to.registers.pid = from.registers.pid;
            return;
        }
        let (cookie, elsewhere) = (from.registers.extra[2], Pid::from_bits(from.registers.extra[3]));
        let arrival = if elsewhere.is_none() {
            let outcome = Error::check(from.registers.number as u32);
            Arrival::Answered { cookie, replier: from.forwarder, outcome }
        } else {
            Arrival::Forwarded { cookie, forwarder: from.forwarder, to: elsewhere }
        };
        to.registers.message = delivered(from.registers.message, from.extra.count);
        arrival.encode(&mut to.registers);
    }

    /// Ends an alien, whatever it does.
    pub(crate) fn destroy_alien(&mut self, caller: ProcessIndex, alien: Pid) -> Result<()> {
        self.need_network_server(caller)?;
        let slot = self.processes.find(alien)?;
        let process = &self.processes[slot];
        ensure(process.kind == Kind::Alien, Error::NonexistentProcess)?;
        if !process.flags.has(Flags::REMOTE) {
            self.forget_client(slot);
        }
        self.release_pseudo(slot);
        Ok(())
    }

    /// An alien is no longer known by its client's pid.
    pub(crate) fn forget_client(&mut self, alien: ProcessIndex) {
        let client = Pid::from_bits(self.processes[alien].registers.pid);
        let (row, next) = (self.aliens.row(client), self.processes[alien].copy);
        if self.aliens.rows[row] == alien {
            self.aliens.rows[row] = next;
            return;
        }
        let mut before = self.aliens.rows[row];
        while self.processes[before].copy != alien {
            before = self.processes[before].copy;
        }
        self.processes[before].copy = next;
    }

    /// Ends all aliens.
    pub(crate) fn release_aliens(&mut self) {
        self.aliens.rows.fill(NOBODY);
        for slot in 0..self.processes.count() {
            if self.processes[slot].kind == Kind::Alien && self.processes[slot].state != State::Free {
                self.release_pseudo(slot);
            }
        }
    }
}

/// The grant that a record tells, if the buffer is sound for it.
fn check_buffer(record: &AlienRecord) -> Result<Grant> {
    let grant = Grant::from_bits(record.grant);
    let (readable, writable) =
        (grant.access().contains(Access::READ), grant.access().contains(Access::WRITE));
    let wanted = if writable { grant.bytes().min(HEAD_BYTES) } else { 0 };
    let capacity = record.buffer_capacity;
    if capacity < wanted || record.buffer_bytes > if readable { capacity.min(grant.bytes()) } else { 0 } {
        return Err(Error::BadArgument);
    }
    ensure(
        capacity <= USER_ADDRESS_END && record.buffer_address <= USER_ADDRESS_END - capacity,
        Error::BadAddress,
    )?;
    Ok(if grant.bytes() == 0 || grant.access() == Access::NONE { Grant::NONE } else { grant })
}
