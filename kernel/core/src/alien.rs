//! Aliens: processes of other nodes in the queues of this one.
//!
//! An alien is a pseudo-sender that the network server makes for a client elsewhere. It is known by the client's pid,
//! which stays in `registers.pid`; its segment is the *buffer*, a piece of the network server's memory that holds the
//! head of the client's segment and takes a reply's data. So whoever receives it reads, writes and answers it like any
//! client. When it is answered, forwarded to another node, or bound to remain without an answer, it sends that to the
//! network server (`REMOTE` is set), and ends when that is received. Nobody ever waits for the network.
//!
//! Aliens have no rights. They are slots of the network server's team, and end with the network server.
//!
//! | register | what it holds |
//! |---|---|
//! | `extra[0]`, `extra[1]` | the buffer's address; the grant |
//! | `extra[2]` | the network server's cookie |
//! | `extra[3]` | bytes of the segment in the buffer; once `REMOTE`, to whom it was forwarded |
//! | `number` | once `REMOTE`: the error, if it was not answered |

use alloc::boxed::Box;

use abi::kernel::record::AlienRecord;
use abi::kernel::{group, memory, priority, process, statistics, time};
use abi::protocol::{Request as _, refusal};
use abi::remote::Arrival;
use abi::segment::HEAD_BYTES;
use abi::trace::Event;
use abi::{Access, Error, Grant, LogicalHost, Message, Pid, USER_ADDRESS_END, UserId};

use crate::ipc::delivered;
use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::process::{Flags, Kind, NOBODY, Process, State};
use crate::request::Answer;
use crate::{Result, ensure};

/// What a client elsewhere may ask of the kernel servers: what names its object and is done at once. No part of the
/// network server's own team is within its reach by the words "the caller's own".
const REQUESTS_FROM_ELSEWHERE: [u32; 14] = [
    process::Destroy::CODE,
    process::QueryProcesses::CODE,
    process::QueryProcess::CODE,
    process::Suspend::CODE,
    process::Resume::CODE,
    process::SetPriority::CODE,
    process::SetName::CODE,
    process::Identify::CODE,
    memory::QueryTeam::CODE,
    time::Now::CODE,
    time::Wake::CODE,
    group::QueryGroup::CODE,
    statistics::Null::CODE,
    statistics::QueryStatistics::CODE,
];

/// All aliens by their clients' pids: rows of slots that are linked by `copy`.
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

impl<Space> Process<Space> {
    /// An alien: how many bytes of its client's segment, from the beginning, are here.
    pub(crate) fn bytes_here(&self) -> u64 {
        self.registers.extra[3]
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

    /// The alien of `client` that awaits the reply of `receiver`; `error` is what is known of such a pid otherwise.
    #[cold]
    pub(crate) fn find_alien(
        &self,
        receiver: ProcessIndex,
        client: Pid,
        error: Error,
    ) -> Result<ProcessIndex> {
        if error != Error::ProcessElsewhere {
            return Err(error);
        }
        self.alien_where(client, |alien| alien.awaits_reply_of(receiver)).ok_or(Error::NotAwaitingReply)
    }

    /// The error if `receiver` has a message of `client`: one is enough for each, since a reply must belong to the last.
    pub(crate) fn need_no_alien(&self, client: Pid, receiver: ProcessIndex) -> Result<()> {
        let last = self.alien_where(client, |alien| alien.partner == receiver && !alien.is_told());
        ensure(last.is_none(), Error::Busy)
    }

    /// Sends for a client elsewhere.
    pub(crate) fn send_alien(&mut self, caller: ProcessIndex, record: &AlienRecord) -> Result<()> {
        self.need_network_server(caller)?;
        let client = Pid::from_bits(record.client);
        let is_process = client == Pid::process(client.host(), client.generation(), client.index());
        let host = client.host();
        ensure(
            is_process
                && client.generation() != 0
                && host != self.processes.host()
                && host != LogicalHost::OWN
                && record.priority < u64::from(priority::COUNT),
            Error::BadArgument,
        )?;
        let grant = check_buffer(record)?;
        let to = Pid::from_bits(record.to);
        let receiver = self.find_receiver(to)?;
        self.need_no_alien(client, receiver)?;
        let server = &self.processes[caller];
        let (team, space) = (server.team, server.space);
        let priority = (record.priority as u8).max(server.own_priority);
        let slot = self.create_slot(team, Kind::Alien, priority)?;
        let alien = &mut self.processes[slot];
        alien.space = space;
        alien.owner = caller;
        alien.user = UserId(record.user_and_transaction as u32);
        alien.transaction = (record.user_and_transaction >> 32) as u32;
        alien.forwarder = Pid::from_bits(record.forwarder);
        alien.registers.pid = record.client;
        alien.registers.message = [record.message_0, record.message_1, record.message_2, record.message_3];
        alien.registers.extra =
            [record.buffer_address, grant.to_bits(), record.cookie, record.buffer_bytes, 0];
        let row = self.aliens.row(client);
        alien.copy = core::mem::replace(&mut self.aliens.rows[row], slot);

        self.counters.sends += 1;
        self.trace(Event::Send, record.message_0 as u32, client, to);
        if self.processes[receiver].state == State::KernelServer {
            self.ask_kernel_server(slot, receiver, record.buffer_capacity);
        } else {
            self.post(slot, receiver);
        }
        Ok(())
    }

    /// An alien's message is for a kernel server, which answers at once.
    fn ask_kernel_server(&mut self, alien: ProcessIndex, server: ProcessIndex, capacity: u64) {
        self.counters.kernel_requests += 1;
        let process = &mut self.processes[alien];
        let (grant, message) = (process.grant(), Message::from_registers(process.registers.message));
        process.registers.extra[1] = Grant::new(grant.bytes().min(capacity), grant.access()).to_bits();
        let answer = if REQUESTS_FROM_ELSEWHERE.contains(&message.code()) {
            self.answer_request(alien, server, &message)
        } else {
            Err(Error::NotSupported)
        };
        // It may have asked for the end of the network server.
        if self.processes[alien].state == State::Free {
            return;
        }
        let reply = match answer {
            Ok(Answer::Now(reply)) => reply,
            Ok(Answer::InSteps) => refusal(Error::NotSupported),
            Err(error) => refusal(error),
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
        to.registers.pid = from.registers.pid;
        if !from.is_told() {
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

    /// A sender's message was received. That was all that an alien was still there for, if it told what became of it.
    #[inline]
    pub(crate) fn end_if_alien_told(&mut self, sender: ProcessIndex) {
        if self.processes[sender].is_told() {
            self.release_alien(sender);
        }
    }

    /// The network server has no use for an alien any more.
    pub(crate) fn destroy_alien(&mut self, caller: ProcessIndex, client: Pid, cookie: u64) -> Result<()> {
        self.need_network_server(caller)?;
        let alien = self.alien_where(client, |alien| alien.registers.extra[2] == cookie);
        self.release_alien(alien.ok_or(Error::NonexistentProcess)?);
        Ok(())
    }

    /// Ends an alien, whatever it does.
    #[cold]
    fn release_alien(&mut self, alien: ProcessIndex) {
        let client = Pid::from_bits(self.processes[alien].registers.pid);
        let (row, next) = (self.aliens.row(client), self.processes[alien].copy);
        if self.aliens.rows[row] == alien {
            self.aliens.rows[row] = next;
        } else {
            let mut before = self.aliens.rows[row];
            while self.processes[before].copy != alien {
                before = self.processes[before].copy;
            }
            self.processes[before].copy = next;
        }
        self.release_pseudo(alien);
    }

    /// Ends all aliens.
    pub(crate) fn release_aliens(&mut self) {
        for row in 0..self.aliens.rows.len() {
            while let alien = self.aliens.rows[row]
                && alien != NOBODY
            {
                self.release_alien(alien);
            }
        }
    }
}

impl<Space> Process<Space> {
    /// Whether this is an alien on the way to the network server.
    #[inline]
    fn is_told(&self) -> bool {
        self.flags.has(Flags::REMOTE) && self.kind == Kind::Alien
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
