//! The client's side (RFC 1045, chapter 4): a request goes out, a response comes back, exactly one outcome results.
//!
//! ```text
//!  send ──> Awaiting ──first packet──> Receiving ──last packet──> Ended ──> free
//!              │   └─────────────single packet──────────────────────^
//!              └──failure, time over, taken back────────────────────^
//! ```
//! Whether a failed request may have been executed follows from two things: whether a packet of it ever left, and
//! whether the server's host said that it was not.

mod export;
mod members;
mod notice;
mod record;
mod response;
mod run;

pub(crate) use export::ImportedSend;
pub(crate) use members::MemberRecord;
use record::Ending;
pub(crate) use record::{ClientRecord, ClientState, SendKind};
pub(crate) use run::RunWindow;

use crate::action::{Action, Buffer, Destination, Segment, SendId};
use crate::engine::Engine;
use crate::host::NO_HOST;
use crate::outcome::{Failure, SendError};
use crate::packet::header::{Control, Function};
use crate::packet::message::Message;
use crate::packet::{GROUP_BYTES, MESSAGE_GROUPS, SEGMENT_BYTES, message};
use crate::table::NEVER;
use crate::transfer::{Outgoing, Piece, group_bytes};
use crate::{EntityId, LogicalHost};

/// Transactions that a message may use: what [`Control::SKIP_TRANSACTIONS`] sets aside.
pub(crate) const SKIPPED_TRANSACTIONS: u32 = MESSAGE_GROUPS as u32;

/// How much larger than this one a client's next transaction number must be at least.
///
/// A message longer than a packet group uses a number for each group, in either direction.
pub const fn transaction_step(request_bytes: u32, response_capacity: u32) -> u32 {
    if request_bytes > GROUP_BYTES as u32 || response_capacity > GROUP_BYTES as u32 {
        SKIPPED_TRANSACTIONS
    } else {
        1
    }
}

/// What [`Engine::send`] takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Send {
    /// Who sends: an individual of a local logical host, with no other transaction under way but those of one run.
    pub client: EntityId,
    /// The client's number for this transaction; see [`transaction_step`].
    pub transaction: u32,
    /// Whom to: an individual of another logical host, remote or local, or a group.
    pub server: EntityId,
    /// The message. Of its flags, [`message::SEGMENT`] and word 7 follow from `segment`.
    pub message: Message,
    /// The request's segment.
    pub segment: Option<Segment>,
    /// Where the response's segment goes and how long it may be; 0 bytes if none will do.
    pub response: Segment,
    /// [`Control::NO_RETRANSMISSION`], [`Control::DELAY_RESPONSE`]; and of a run of transactions to an individual, all
    /// but the first have [`Control::NOT_START_OF_RUN`], all but the last [`Control::NOT_END_OF_RUN`]. Their numbers
    /// differ by just [`transaction_step`]. Other bits are dropped.
    pub flags: u32,
    /// VMTP's priority, 4 bits: 12 urgent, 8 important, 0 normal, 4 background; the low two bits are gradations.
    pub priority: u8,
    /// When the transaction ends at the latest. Needed where several responses are wanted
    /// ([`message::MULTIPLE_RESPONSES`] to a group).
    pub deadline_ns: Option<u64>,
    /// Of a request with a segment: its server answers as soon as it has that. Else it is given
    /// [`service_time_ns`](crate::Configuration::service_time_ns) before the engine asks what has become of the request.
    pub is_prompt: bool,
    /// When the client began to wait, if an earlier engine sent this transaction already and then lost its state.
    pub resumed_since_ns: Option<u64>,
}

impl Send {
    /// The bits of [`Send::flags`] that count.
    const FLAGS: u32 = Control::NO_RETRANSMISSION | Control::DELAY_RESPONSE | Control::PLACE_IN_RUN;

    /// Whether it is one of a run.
    pub(crate) const fn is_in_run(&self) -> bool {
        self.flags & Control::PLACE_IN_RUN != 0
    }
}

impl Default for Send {
    /// From nobody, to nobody, without segments or deadline.
    #[inline]
    fn default() -> Send {
        Send {
            client: EntityId::NONE,
            transaction: 0,
            server: EntityId::NONE,
            message: Message::default(),
            segment: None,
            response: Segment { buffer: Buffer(0), bytes: 0 },
            flags: 0,
            priority: 0,
            deadline_ns: None,
            is_prompt: false,
            resumed_since_ns: None,
        }
    }
}

/// The count after `count`, which never comes back to 0: that one says "sent for the first time".
pub(crate) const fn next_retransmit_count(count: u8) -> u8 {
    if count == 7 { 1 } else { count + 1 }
}

/// The message with segment flag and size as they are, and the blocks of its first packet group to send.
pub(crate) fn with_segment(mut message: Message, segment: Option<Segment>) -> (Message, u32, u32) {
    let bytes = segment.map_or(0, |segment| segment.bytes);
    message.words[0] &= !message::SEGMENT;
    if bytes != 0 {
        message.words[0] |= message::SEGMENT;
        message.words[7] = bytes;
    }
    let wanted = if message.has(message::DELIVERY_MASK) { message.words[6] } else { u32::MAX };
    (message, bytes, wanted)
}

/// The one host that a send goes to: its server's, or that of the individual with whom the servers must live.
fn target_host(send: &Send) -> Option<LogicalHost> {
    if !send.server.is_group() {
        return Some(send.server.host());
    }
    send.message.co_resident().filter(|entity| !entity.is_group()).map(EntityId::host)
}

impl Engine {
    /// Begins a transaction. It ends with one [`Action::Complete`].
    pub fn send(&mut self, now_ns: u64, send: &Send) -> Result<(SendId, Option<Action>), SendError> {
        self.advance(now_ns);
        if let Some((host, vacancy, address)) = self.takes_short_send(send)
            && let Some(id) = self.send_short(send, host, vacancy)
        {
            // Made last, it is made where the caller wants it.
            let packet = self.small_packet(address, &self.clients[id.index as usize].header);
            return Ok((id, Some(packet)));
        }
        self.send_any(send).map(|id| (id, None))
    }

    #[inline(never)]
    pub(crate) fn send_any(&mut self, send: &Send) -> Result<SendId, SendError> {
        self.check_send(send)?;
        let place = self.place_in_run(send)?;
        let target = target_host(send);
        if target == Some(send.client.host()) {
            return Err(SendError::SameHost);
        }
        if self.clients.used() == self.clients.len() {
            return Err(SendError::TooManyTransactions);
        }
        let host = match target {
            Some(number) => self.host_of(number).ok_or(SendError::TooManyHosts)? as u32,
            None => NO_HOST,
        };
        let (message, bytes, wanted) = with_segment(send.message, send.segment);
        let resumed = send.resumed_since_ns.is_some();
        let mut control = Control::new(Function::Request)
            .with_priority(send.priority)
            .with_retransmit_count(u8::from(resumed))
            .and(send.flags & Send::FLAGS);
        if host != NO_HOST {
            control = control.with_gap_or_group_count(self.hosts[host as usize].wanted_gap);
            if self.hosts[host as usize].run_window.is_refused() {
                control = control.without(Control::PLACE_IN_RUN);
            }
        }
        if transaction_step(bytes, send.response.bytes) != 1 {
            control = control.and(Control::SKIP_TRANSACTIONS);
        }
        if send.server.is_group() && self.is_joined(send.server) {
            control = control.and(Control::MEMBER_OF_GROUP);
        }
        let began_ns = send.resumed_since_ns.unwrap_or(self.now_ns).min(self.now_ns);
        let deadline_ns = send.deadline_ns.unwrap_or(NEVER);
        let (index, record) = self.clients.take_any().ok_or(SendError::TooManyTransactions)?;
        *record = ClientRecord::default();
        record.state = ClientState::Awaiting;
        record.header.client = send.client;
        record.header.control = control;
        record.header.transaction = send.transaction;
        record.header.server = send.server;
        record.header.message = message;
        record.host = host;
        record.began_ns = began_ns;
        record.deadline_ns = deadline_ns;
        record.request = send.segment;
        record.outgoing = Outgoing::start(bytes, wanted);
        record.sent = resumed;
        record.kind = match SendKind::of(send.server, send.is_in_run(), bytes) {
            SendKind::Large if send.is_prompt => SendKind::Prompt,
            kind => kind,
        };
        record.run = place;
        record.response = send.response;
        self.enter_run(index);
        self.ready.set_priority(index, send.priority);
        self.counters.sends += 1;
        if host != NO_HOST {
            self.hold_host(host as usize);
        }
        if self.client_destination(index).is_some() {
            self.ready.insert(index);
        } else {
            self.locate_host(host as usize);
        }
        self.timers.set(index, deadline_ns);
        Ok(SendId { index: index as u32, client: send.client, transaction: send.transaction })
    }

    fn check_send(&self, send: &Send) -> Result<(), SendError> {
        if send.client.is_group() || !self.is_local(send.client.host()) {
            return Err(SendError::NotLocal);
        }
        let bytes = send.segment.map_or(0, |segment| segment.bytes);
        let is_empty = send.segment.is_some_and(|segment| segment.bytes == 0);
        let too_long = |bytes: u32| bytes as usize > SEGMENT_BYTES;
        if send.server.is_none() || is_empty || too_long(bytes) || too_long(send.response.bytes) {
            return Err(SendError::BadMessage);
        }
        // A delivery mask has a bit for each block of one packet group.
        if send.message.has(message::DELIVERY_MASK) && bytes as usize > GROUP_BYTES {
            return Err(SendError::BadMessage);
        }
        let collects = send.message.has(message::MULTIPLE_RESPONSES);
        if send.server.is_group() && (bytes as usize > GROUP_BYTES || collects && send.deadline_ns.is_none())
        {
            return Err(SendError::BadMessage);
        }
        Ok(())
    }

    /// Takes a transaction back: it ends with [`Failure::Cancelled`], unless it has ended already.
    pub fn cancel(&mut self, now_ns: u64, id: SendId) {
        self.advance(now_ns);
        let index = id.index as usize;
        if self.clients.get(index).is_some_and(|record| record.id(index) == id) {
            self.fail_client(index, Failure::Cancelled);
        }
    }

    fn client_destination(&self, index: usize) -> Option<Destination> {
        let record = &self.clients[index];
        match record.host {
            NO_HOST => Some(Destination::Group(record.header.server)),
            host => self.hosts[host as usize].address.map(Destination::Host),
        }
    }

    /// Sets the timer of a transaction, which is never later than its deadline.
    fn set_client_timer(&mut self, index: usize, at_ns: u64) {
        self.timers.set(index, at_ns.min(self.clients[index].deadline_ns));
    }

    /// What transaction `index`, which is ready, has to give out.
    pub(crate) fn client_action(&mut self, index: usize) -> Option<Action> {
        if self.clients[index].state == ClientState::Ended {
            return Some(self.complete_client(index));
        }
        let (piece, destination) = self.client_piece(index)?;
        Some(self.client_packet(index, piece, destination))
    }

    /// What goes into the next packet of a request, if one is to be sent now, and where to.
    fn client_piece(&mut self, index: usize) -> Option<(Piece, Destination)> {
        if !self.may_go(index) {
            self.timers.set(index, self.clients[index].deadline_ns);
            return None;
        }
        let Some(destination) = self.client_destination(index) else {
            self.locate_host(self.clients[index].host as usize);
            return None;
        };
        let room_bytes = self.room_bytes;
        let record = &mut self.clients[index];
        if record.outgoing.has_pending() && record.host != NO_HOST {
            let host = record.host as usize;
            if let Some(at_ns) = self.pace(host, 0) {
                self.set_client_timer(index, at_ns);
                return None;
            }
        }
        Some((self.clients[index].outgoing.next(room_bytes)?, destination))
    }

    /// That packet.
    fn client_packet(&mut self, index: usize, piece: Piece, destination: Destination) -> Action {
        let record = &mut self.clients[index];
        record.sent = true;
        let data_bytes = group_bytes(record.outgoing.bytes(), piece.group);
        let buffer = record.request.filter(|_| piece.delivery != 0).map(|segment| segment.buffer);
        if record.outgoing.is_idle() {
            self.request_transmitted(index);
        } else if piece.delivery != 0 && record.host != NO_HOST && self.hosts[record.host as usize].gap == 0 {
            let rest = record.outgoing.pending(piece.group);
            self.depart(index, piece, data_bytes, rest);
        }
        let header = piece.header(&self.clients[index].header, data_bytes);
        self.packet(header, piece, destination, buffer, data_bytes)
    }

    /// Everything that was to be sent of a request has been given out.
    pub(crate) fn request_transmitted(&mut self, index: usize) {
        self.ready.remove(index);
        let record = &mut self.clients[index];
        record.transmitted_ns = self.now_ns;
        if record.header.message.has(message::DATAGRAM) {
            self.end_client(index, Ending::Sent);
            return;
        }
        self.await_answer(index);
        self.go_on_with_run(index);
    }

    /// Sets the timer of a transaction that was transmitted.
    fn await_answer(&mut self, index: usize) {
        if !self.is_first_open(index) {
            // The timer of the one before drives both.
            self.timers.set(index, self.clients[index].deadline_ns);
            return;
        }
        // Of a retransmission an acknowledgement should come at once; of the first request, the response.
        let record = &self.clients[index];
        let (host, attempts, kind) = (record.host, record.attempts, record.kind);
        let mut wait_ns = self.answer_time_ns(host, attempts);
        if attempts == 0 && kind != SendKind::Prompt {
            wait_ns += self.configuration.service_time_ns;
        }
        self.set_client_timer(index, self.now_ns + wait_ns);
    }

    fn complete_client(&mut self, index: usize) -> Action {
        self.ready.remove(index);
        let record = &self.clients[index];
        let id = record.id(index);
        let outcome = record.outcome();
        self.leave_run(index);
        if self.collects(index) {
            self.free_client_members(index);
        }
        let record = &self.clients[index];
        if record.host != NO_HOST {
            self.let_go_of_host(record.host as usize);
        }
        self.clients.release(index);
        self.ready.set_priority(index, 0);
        Action::Complete { id, outcome }
    }

    fn end_client(&mut self, index: usize, ending: Ending) {
        let record = &mut self.clients[index];
        if record.state == ClientState::Ended {
            return;
        }
        record.state = ClientState::Ended;
        self.arriving.0 = None;
        record.ending = ending;
        record.outgoing.clear();
        self.timers.set(index, NEVER);
        self.ready.insert(index);
        match ending {
            Ending::Failed { .. } => self.counters.failures += 1,
            Ending::Response | Ending::Collected | Ending::Batched { .. } => self.counters.responses += 1,
            Ending::Sent => {}
        }
        self.go_on_with_run(index);
    }

    pub(crate) fn fail_client(&mut self, index: usize, failure: Failure) {
        let record = &self.clients[index];
        if record.collected != 0 {
            self.end_client(index, Ending::Collected);
            return;
        }
        let refused =
            matches!(failure, Failure::NonexistentEntity | Failure::NoPermission | Failure::NotAwaiting);
        let may_have_been_executed = self.clients[index].sent && !refused;
        self.end_client(index, Ending::Failed { failure, may_have_been_executed });
    }

    /// Host `host` is dead: so are the transactions with it.
    pub(crate) fn end_clients_of_host(&mut self, host: usize) {
        for index in 0..self.clients.len() {
            let record = &self.clients[index];
            if record.host as usize == host && record.state != ClientState::Free {
                let failure = if record.sent { Failure::HostSilent } else { Failure::HostUnreachable };
                self.fail_client(index, failure);
            }
        }
    }

    pub(crate) fn client_timeout(&mut self, index: usize) {
        let record = &mut self.clients[index];
        if record.deadline_ns <= self.now_ns {
            self.fail_client(index, Failure::Timeout);
            return;
        }
        if !record.outgoing.is_idle() && self.client_destination(index).is_some() {
            // The packet's time has come.
            self.ready.insert(index);
            return;
        }
        let is_first = self.is_first_open(index);
        let record = &mut self.clients[index];
        match record.state {
            ClientState::Awaiting if !is_first => {
                let deadline_ns = record.deadline_ns;
                self.timers.set(index, deadline_ns);
            }
            ClientState::Awaiting => {
                record.attempts = record.attempts.saturating_add(1);
                record.polls = 0;
                let (host, attempts) = (record.host, record.attempts);
                if self.is_silent(host, attempts) {
                    match host {
                        NO_HOST => self.fail_client(index, Failure::HostSilent),
                        host => self.declare_dead(host as usize),
                    }
                    return;
                }
                if host != NO_HOST && attempts > self.configuration.retries / 2 {
                    // It may have moved.
                    self.locate_host(host as usize);
                }
                self.retransmit_request(index);
            }
            ClientState::Receiving => self.ask_for_gaps(index),
            ClientState::Free | ClientState::Ended => {}
        }
    }

    /// Sends the request's header again and asks for an acknowledgement, or for what is missing.
    fn retransmit_request(&mut self, index: usize) {
        self.counters.retransmissions += 1;
        let record = &mut self.clients[index];
        let count = next_retransmit_count(record.header.control.retransmit_count());
        record.header.control = record.header.control.with_retransmit_count(count).and(Control::ACKNOWLEDGE);
        record.outgoing.send_bare();
        self.ready.insert(index);
    }
}
