//! The server's side (RFC 1045, chapter 5): one record for each remote client, by which a request that comes twice is
//! executed once.
//!
//! ```text
//!           ┌─(may be old)─> Validating ─(current and new)─┐
//!  request ─┤                                              ├──> Receiving ──whole──> Processing ──reply──> Answered
//!           └─(surely new)─────────────────────────────────┘                                                  │
//!                                                                                 free <──retention over──────┘
//! ```
//! A record's transaction only grows. A request without a record is surely new if it says that it was never sent
//! before and this engine has been up for a packet's lifetime: had it been executed here, the record would still be
//! kept. Any other is current and new if its client's manager says that the client waits for it and began to after the
//! last time for which this engine may have forgotten something. A record may have come along with a server: it says nothing of
//! what its client asked of others here, so until this engine has been up for a packet's lifetime it does not make one new.

mod answer;
mod export;
mod forward;
mod members;
mod record;
mod request;
mod run;
mod validate;

use crate::EntityId;
use crate::action::{Action, Destination, RequestId, Segment};
use crate::client::with_segment;
use crate::engine::Engine;
use crate::manager::{Notice, code};
use crate::outcome::{Refusal, Stale};
use crate::packet::header::Control;
use crate::packet::message;
use crate::packet::message::Message;
use crate::table::NEVER;
use crate::transfer::{Outgoing, Piece, group_bytes};

pub(crate) use export::ImportedRequest;
pub use forward::Forward;
use record::{Answer, Handed, response_control};
pub(crate) use record::{ServerRecord, ServerState};

/// What a clock may run faster than another: 1 in so many.
const CLOCK_DRIFT: u64 = 1000;

/// What [`Engine::reply`] takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply {
    /// Who responds: the server that was asked, or the member of the group.
    pub server: EntityId,
    /// The message. Of its flags, [`message::SEGMENT`] and word 7 follow from `segment`. With [`message::DATAGRAM`]
    /// the request is idempotent: a response of one packet is not kept, and the request is delivered again if need be.
    /// A longer response is kept like any other, so that its parts can be sent again.
    pub message: Message,
    /// The response's segment, which must stay as it is until [`Action::Release`].
    pub segment: Option<Segment>,
}

impl Reply {
    /// Of the message's code, what the protocol takes from the user.
    const KEPT: u32 = message::CONDITIONAL | message::DATAGRAM | message::DELIVERY_MASK | message::CODE_MASK;
}

impl Engine {
    /// Answers a delivered request. Its id is void from then on, unless the response is idempotent and the request is
    /// delivered again. A request to a group may be answered once by each member, until [`Engine::finish`], unless
    /// [one is expected](Engine::expect_one).
    ///
    /// # Errors
    ///
    /// Nothing was sent and the segment is the caller's: the client gave up, or the group's members have more to say
    /// than there are records for.
    pub fn reply(&mut self, now_ns: u64, id: RequestId, reply: &Reply) -> Result<Option<Action>, Stale> {
        self.advance(now_ns);
        let index = self.processing(id)?;
        if let Some(address) = self.takes_short_reply(index, reply) {
            self.reply_short(index, reply);
            // Made last, it is made where the caller wants it.
            return Ok(Some(self.small_packet(address, &self.servers[index].header)));
        }
        if let Some(packet) = self.reply_in_group(index, reply) {
            return Ok(Some(packet));
        }
        self.reply_any(index, reply).map(|()| None)
    }

    #[inline(never)]
    pub(crate) fn reply_any(&mut self, index: usize, reply: &Reply) -> Result<(), Stale> {
        let mut message = reply.message;
        message.words[0] &= Reply::KEPT;
        let is_long = reply.segment.is_some_and(|segment| segment.bytes > self.room_bytes);
        if is_long || self.servers[index].header.control.has_any(Control::PLACE_IN_RUN) {
            // A run's order is not to be broken by executing one of its requests again; and of a response that nobody keeps no part can be sent again: over a bad network it would never arrive.
            message.words[0] &= !message::DATAGRAM;
        }
        let (message, bytes, wanted) = with_segment(message, reply.segment);
        let index = self.responding(index)?;
        let batched = self.batched_before(index);
        let record = &mut self.servers[index];
        let request = record.header.control;
        record.wanted_gap = request.gap_or_group_count();
        record.header.control = response_control(request).with_gap_or_group_count(batched);
        record.header.server = reply.server;
        record.header.message = message;
        record.outgoing = Outgoing::start(bytes, wanted);
        record.response = reply.segment;
        record.answer = Answer::Response;
        self.close_request(index);
        let node = self.server_node(index);
        if request.has(Control::DELAY_RESPONSE) {
            // So that the members of a group do not all answer at once.
            let delay_ns = self.random() % self.configuration.group_gap_ns.max(1);
            self.servers[index].delayed = true;
            self.timers.set(node, self.now_ns + delay_ns);
        } else {
            self.ready.insert(node);
        }
        Ok(())
    }

    /// Ends a delivered request without a response, or of a request to a group, without a further one. Its id is void
    /// from then on.
    pub fn finish(&mut self, now_ns: u64, id: RequestId) -> Result<(), Stale> {
        self.advance(now_ns);
        let index = self.processing(id)?;
        self.close_request(index);
        Ok(())
    }

    /// Refuses a delivered request. Its id is void from then on.
    pub fn refuse(&mut self, now_ns: u64, id: RequestId, refusal: Refusal) -> Result<(), Stale> {
        self.advance(now_ns);
        let index = self.processing(id)?;
        let code = match refusal {
            Refusal::NonexistentEntity => code::NONEXISTENT_ENTITY,
            Refusal::NoPermission => code::NO_PERMISSION,
            Refusal::NotAwaiting => code::NOT_AWAITING_MSG,
            Refusal::Died => code::RESPONSE_DISCARDED,
            Refusal::Busy => {
                self.counters.overflows += 1;
                self.refuse_run_from(index);
                return Ok(());
            }
        };
        self.servers[index].answer = Answer::Notice(code);
        self.close_request(index);
        self.repeat_answer(index);
        Ok(())
    }

    /// The record of a request that the user has.
    #[inline(always)]
    pub(crate) fn processing(&self, id: RequestId) -> Result<usize, Stale> {
        let index = id.index as usize;
        let record = self.servers.at(index).ok_or(Stale)?;
        let is_it = record.handed == Handed::Over
            && record.state == ServerState::Processing
            && record.id(index) == id;
        if is_it { Ok(index) } else { Err(Stale) }
    }

    /// Gives up what the record holds of its transaction.
    fn drop_request(&mut self, index: usize) {
        let node = self.server_node(index);
        let record = &mut self.servers[index];
        if record.state == ServerState::Processing && record.handed == Handed::Over {
            record.abandoned = Some(record.header.transaction);
            self.counters.requests_abandoned += 1;
        }
        record.release_response();
        let target = record.target.take();
        record.handed = Handed::No;
        record.outgoing.clear();
        if record.abandoned.is_some() || record.released.is_some() {
            self.ready.insert(node);
        } else {
            self.ready.remove(node);
        }
        let buffer = record.buffer.take();
        if let Some(target) = target {
            self.let_go_of_host(target as usize);
        }
        if let Some(buffer) = buffer {
            self.release_buffer(buffer);
        }
    }

    fn set_orphan_timer(&mut self, index: usize) {
        self.servers[index].attempts = 0;
        self.timers.set(self.server_node(index), self.now_ns + self.configuration.orphan_ns);
    }

    /// A notice to the client of record `index`.
    fn notify_request(&mut self, index: usize, transaction: u32, delivery: u32, code: u32) {
        let record = &self.servers[index];
        // Of many that a multicast reaches, none can say that it fails.
        let fails = !matches!(code, code::OK | code::RETRY);
        if fails && record.server.is_group() {
            return;
        }
        let address = record.forwarder.or(self.hosts[record.host as usize].address);
        let Some(address) = address else { return };
        let (client, server) = (record.header.client, record.server);
        // A forwarder is told as such, a client as such.
        let count = if record.forwarder.is_some() { record.forward_count } else { 0 };
        let control = record.header.control.with_forward_count(count);
        self.notify_client(
            Destination::Host(address),
            server,
            client,
            control,
            Notice { transaction, delivery, code },
        );
    }

    /// What record `index`, which is ready, has to give out.
    pub(crate) fn server_action(&mut self, index: usize) -> Option<Action> {
        let record = &mut self.servers[index];
        if let Some(transaction) = record.abandoned.take() {
            let id = RequestId { transaction, ..record.id(index) };
            if record.is_linked {
                self.go_on_with_requests(id.client);
            }
            return Some(Action::Abandon(id));
        }
        if let Some(buffer) = record.released.take() {
            return Some(Action::Release(buffer));
        }
        if record.handed == Handed::Due {
            return Some(self.deliver(index));
        }
        let (piece, destination) = self.server_piece(index)?;
        Some(self.server_packet(index, piece, destination))
    }

    /// What goes into the next packet that record `index` has to send, if one is to be sent now, and where to.
    fn server_piece(&mut self, index: usize) -> Option<(Piece, Destination)> {
        let record = &self.servers[index];
        if record.outgoing.is_idle() {
            return None;
        }
        let host = record.target.unwrap_or(record.host) as usize;
        let Some(address) = self.hosts[host].address else {
            self.locate_host(host);
            return None;
        };
        if record.outgoing.has_pending() {
            let wanted = record.wanted_gap;
            if let Some(at_ns) = self.pace(host, wanted) {
                self.timers.set(self.server_node(index), at_ns);
                return None;
            }
        }
        let piece = self.servers[index].outgoing.next(self.room_bytes)?;
        Some((piece, Destination::Host(address)))
    }

    /// That packet.
    fn server_packet(&mut self, index: usize, piece: Piece, destination: Destination) -> Action {
        let record = &self.servers[index];
        let data_bytes = group_bytes(record.outgoing.bytes(), piece.group);
        let buffer = record.response.filter(|_| piece.delivery != 0).map(|segment| segment.buffer);
        let host = record.target.unwrap_or(record.host) as usize;
        if record.outgoing.is_idle() {
            self.response_transmitted(index);
        } else if piece.delivery != 0 && record.wanted_gap == 0 && self.hosts[host].gap == 0 {
            let rest = record.outgoing.pending(piece.group);
            self.depart(self.server_node(index), piece, data_bytes, rest);
        }
        let header = piece.header(&self.servers[index].header, data_bytes);
        self.packet(header, piece, destination, buffer, data_bytes)
    }

    fn deliver(&mut self, index: usize) -> Action {
        let node = self.server_node(index);
        let record = &mut self.servers[index];
        self.ready.remove(node);
        self.ready.set_priority(node, record.header.control.priority());
        record.handed = Handed::Over;
        let buffer = record.buffer.take();
        if record.header.message.has(message::DATAGRAM) {
            record.answer = Answer::Nothing;
            self.close_request(index);
        }
        self.counters.requests += 1;
        let record = &self.servers[index];
        let bytes = record.header.message.segment_bytes();
        Action::Deliver(record.request(index, buffer.map(|buffer| Segment { buffer, bytes })))
    }

    pub(crate) fn server_timeout(&mut self, index: usize) {
        let record = &self.servers[index];
        let host = record.target.unwrap_or(record.host) as usize;
        if record.outgoing.has_pending() && self.hosts[host].address.is_some() {
            // The packet's time has come.
            self.servers[index].delayed = false;
            self.ready.insert(self.server_node(index));
            return;
        }
        let record = &mut self.servers[index];
        match record.state {
            ServerState::Free => {}
            ServerState::Validating => {
                record.attempts += 1;
                let (is_over, follows) = (record.attempts > self.configuration.retries, record.follows);
                if is_over && follows {
                    self.give_up_validating(index);
                } else if is_over {
                    self.free_server(index);
                } else {
                    self.probe_client(index);
                }
            }
            ServerState::Receiving => {
                self.counters.groups_with_gaps += 1;
                record.attempts = record.attempts.saturating_add(1);
                let (host, attempts) = (record.host, record.attempts);
                let no_retransmission = record.header.control.has(Control::NO_RETRANSMISSION)
                    || record.header.message.has(message::DATAGRAM);
                // A client that lives may have given up without a word.
                if no_retransmission || self.is_stalled(attempts) || self.is_silent(host, attempts) {
                    self.give_up_receiving(index);
                    return;
                }
                self.report_request_gaps(index, Some(attempts));
                let wait_ns = self.configuration.group_gap_ns.max(self.answer_time_ns(host, attempts));
                self.timers.set(self.server_node(index), self.now_ns + wait_ns);
            }
            ServerState::Processing => {
                record.attempts = record.attempts.saturating_add(1);
                let (host, attempts) = (record.host, record.attempts);
                if self.is_silent(host, attempts) {
                    self.abandon(index);
                } else {
                    self.probe_client(index);
                }
            }
            ServerState::Forwarding => self.forwarding_timeout(index),
            ServerState::Answered => self.answered_timeout(index),
        }
    }

    /// The client no longer waits: the user is told, and the request is kept from being executed again.
    fn abandon(&mut self, index: usize) {
        self.drop_request(index);
        self.servers[index].answer = Answer::Notice(code::RESPONSE_DISCARDED);
        self.close_request(index);
    }

    /// Frees a record, or, if it has still something to tell the user or to keep from being executed again, lets it
    /// stand for the transaction before.
    fn free_server(&mut self, index: usize) {
        if self.servers[index].state == ServerState::Receiving && self.is_in_run(index) {
            self.unlink(index);
            return;
        }
        let node = self.server_node(index);
        let record = &mut self.servers[index];
        let is_open = matches!(record.state, ServerState::Receiving | ServerState::Validating);
        let follows = is_open && record.follows;
        if record.state == ServerState::Validating {
            // It tells nothing of what its client did when.
            record.arrived_ns = 0;
        }
        if follows || record.abandoned.is_some() || record.released.is_some() {
            self.stand_for_former(index);
            self.ready.insert(node);
            return;
        }
        let (client, host) = (record.header.client, record.host as usize);
        let target = record.target;
        self.free_members(index);
        self.server_map.remove(client.to_bits());
        self.let_go_of_host(host);
        self.hosts[host].served -= 1;
        if let Some(target) = target {
            self.let_go_of_host(target as usize);
        }
        self.servers.release(index);
        self.timers.set(node, NEVER);
        self.ready.remove(node);
        self.ready.set_priority(node, 0);
    }

    /// It is as if the record's request had not come: the record keeps the transaction before it from being executed
    /// again, and the same request is a new one.
    fn stand_for_former(&mut self, index: usize) {
        let record = &mut self.servers[index];
        record.header.transaction = record.header.transaction.wrapping_sub(1);
        let control = record.header.control.without(Control::SKIP_TRANSACTIONS);
        record.header.control = control.without(Control::PLACE_IN_RUN);
        record.has_told_gap = false;
        record.answer = Answer::Nothing;
        if control.has(Control::NOT_START_OF_RUN) {
            // The run goes on from here, and its client may still ask for what is not remembered.
            record.header.control = record.header.control.and(Control::PLACE_IN_RUN);
            record.answer = Answer::Notice(code::RESPONSE_DISCARDED);
        }
        self.close_request(index);
    }

    /// Host `host` is dead: its clients wait for nothing any more.
    pub(crate) fn end_servers_of_host(&mut self, host: usize) {
        for index in 0..self.servers.len() {
            let record = &self.servers[index];
            if record.state == ServerState::Forwarding && record.target == Some(host as u32) {
                self.forwarding_failed(index, code::RESPONSE_DISCARDED);
                continue;
            }
            if record.host as usize != host {
                continue;
            }
            match record.state {
                ServerState::Free => {}
                ServerState::Validating => self.free_server(index),
                ServerState::Receiving => {
                    self.drop_request(index);
                    self.free_server(index);
                }
                ServerState::Processing | ServerState::Forwarding => self.abandon(index),
                ServerState::Answered => {
                    if record.response.is_some() {
                        self.discard_response(index);
                    }
                }
            }
        }
    }
}
