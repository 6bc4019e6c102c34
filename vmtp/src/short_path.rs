//! The short path: a packet without data between two hosts that know each other, while nothing else is to be done. It
//! is a request of an individual's to an individual, or the response to it.
//!
//! Nearly every message takes these steps, so they are written for the fewest instructions: first every condition is
//! checked, then the record is changed in its place, and what comes of it is returned at once. Where a condition does
//! not hold nothing has been changed, and the plain path does it all. That would do the same here, only slower, and
//! give the action when it is asked for the next one; the tests below compare the two.

use crate::EntityId;
use crate::action::{Action, Destination, Received, Response, SendId, Transmit};
use crate::client::{ClientState, Send, SendKind};
use crate::encapsulation::Address;
use crate::engine::Engine;
use crate::outcome::Outcome;
use crate::packet::header::{Control, Header};
use crate::packet::{Function, GROUP_BYTES, Message, message};
use crate::server::Reply;
use crate::table::NEVER;

/// All that a packet on this path may have in its control word: no other packets of its message, no wish to be
/// acknowledged, no past.
pub(crate) const USUAL: u32 = Control::FUNCTION
    | Control::NO_RETRANSMISSION
    | Control::MEMBER_OF_GROUP
    | Control::GAP_OR_GROUP_COUNT
    | Control::PRIORITY;
/// What its message has not, beside a segment.
pub(crate) const SPECIAL: u32 = message::DELIVERY_MASK | message::CO_RESIDENT | message::DATAGRAM;

/// Whom a packet that takes the short path is for.
#[derive(Clone, Copy)]
pub(crate) enum ShortReceiver {
    /// It must go the plain way.
    Unknown,
    /// The client's record of this number, by [`Engine::take_short_request`].
    Server(usize),
    /// The client's record of this number, to which this entry of the map leads, by [`Engine::take_short_response`].
    Client { entry: usize, index: usize },
}

impl Engine {
    /// Whether nothing is to be given out: what comes of a call is the next action.
    #[inline(always)]
    pub(crate) fn is_idle(&self) -> bool {
        self.control.is_empty() && self.ready.is_empty()
    }

    /// Whether a message may pass between these two, the first of which is to be here.
    #[inline(always)]
    fn is_between_individuals(&self, here: EntityId, other: EntityId) -> bool {
        !here.is_group()
            && !other.is_group()
            && self.local_hosts.contains(here.host())
            && here.host() != other.host()
    }

    /// The packet of a message without data.
    #[inline(always)]
    pub(crate) fn small_packet(&self, to: Address, header: &Header) -> Action {
        let destination = Destination::Host(to);
        Action::Transmit(Transmit {
            destination,
            header: Header {
                domain: self.configuration.domain,
                flags: self.packet_flags(destination, false),
                length_words: 0,
                delivery: 0,
                ..*header
            },
            buffer: None,
            segment_offset: 0,
            group_bytes: 0,
        })
    }

    /// Whether a transaction begins the short way: without a request segment, with a server on a host that is known.
    /// That host, where in the map the client goes, and the host's address.
    #[inline(always)]
    pub(crate) fn takes_short_send(&self, send: &Send) -> Option<(usize, usize, Address)> {
        if send.message.words[0] & SPECIAL != 0
            || send.segment.is_some()
            || send.deadline_ns.is_some()
            || send.resumed_since_ns.is_some()
            || send.response.bytes > GROUP_BYTES as u32
            || send.is_in_run()
            || !self.is_between_individuals(send.client, send.server)
            || !self.is_idle()
        {
            return None;
        }
        let host = self.host_map.get(u64::from(send.server.host().to_bits()))?;
        let vacancy = self.client_map.vacancy(send.client.to_bits())?;
        Some((host, vacancy, self.hosts.at(host)?.address?))
    }

    /// Begins it. None if all records are taken.
    #[inline(always)]
    pub(crate) fn send_short(&mut self, send: &Send, host: usize, vacancy: usize) -> Option<SendId> {
        let wait_ns = self.answer_time_ns(host as u32, 0) + self.configuration.service_time_ns;
        let (index, record) = self.clients.take_any()?;
        let known = &mut self.hosts[host];
        known.users += 1;
        record.begin(send, host as u32, known.wanted_gap, self.now_ns);
        self.client_map.fill(vacancy, send.client.to_bits(), index);
        if send.priority != 0 {
            self.ready.set_priority(index, send.priority);
        }
        self.timers.set(index, self.now_ns + wait_ns);
        self.counters.sends += 1;
        self.counters.packets_sent += 1;
        Some(SendId { index: index as u32, client: send.client, transaction: send.transaction })
    }

    /// Whether request `index`, which the user has, is answered the short way: without a segment. Where its client is.
    #[inline(always)]
    pub(crate) fn takes_short_reply(&self, index: usize, reply: &Reply) -> Option<Address> {
        let record = self.servers.at(index)?;
        let fits = self.is_idle() && record.takes_short(reply);
        self.hosts.at(record.host as usize)?.address.filter(|_| fits)
    }

    /// Answers it.
    #[inline(always)]
    pub(crate) fn reply_short(&mut self, index: usize, reply: &Reply) {
        let keep_ns = self.keep_ns(index);
        self.timers.set(self.server_node(index), keep_ns);
        self.counters.packets_sent += 1;
        self.servers[index].answer(reply, keep_ns);
    }

    /// Whom a packet in our domain with nothing but [`USUAL`] in its control word is for, if it takes the short path.
    #[inline(always)]
    pub(crate) fn short_receiver(&self, from: Address, header: &Header) -> ShortReceiver {
        if header.message.words[0] & (SPECIAL | message::SEGMENT) != 0
            || header.delivery != 0
            || !self.is_idle()
        {
            return ShortReceiver::Unknown;
        }
        let found = match header.control.function() {
            Function::Request => self.short_server(from, header),
            Function::Response => self.short_client(from, header),
        };
        found.unwrap_or(ShortReceiver::Unknown)
    }

    #[inline(always)]
    fn short_server(&self, from: Address, header: &Header) -> Option<ShortReceiver> {
        if !self.is_between_individuals(header.server, header.client) {
            return None;
        }
        let index = self.server_map.get(header.client.to_bits())?;
        let record = self.servers.at(index)?;
        let fits = record.is_over_before(header.transaction)
            && self.now_ns >= self.trusted_from_ns
            && self.hosts.at(record.host as usize)?.is_at(&from);
        fits.then_some(ShortReceiver::Server(index))
    }

    #[inline(always)]
    fn short_client(&self, from: Address, header: &Header) -> Option<ShortReceiver> {
        let responder = header.server.host();
        if header.client.is_manager() {
            return None;
        }
        let (entry, index) = self.client_map.entry(header.client.to_bits())?;
        let record = self.clients.at(index)?;
        let host = self.hosts.at(record.host as usize)?;
        let fits = record.state == ClientState::Awaiting
            && record.header.transaction == header.transaction
            && record.kind == SendKind::Small
            && host.number == responder
            && host.is_at(&from);
        fits.then_some(ShortReceiver::Client { entry, index })
    }

    /// The request of a client whose last one is answered is given to the user; first, if that answer has a segment, it
    /// is given back.
    #[inline(never)]
    pub(crate) fn take_short_request(&mut self, index: usize, header: &Header) -> Received {
        let node = self.server_node(index);
        self.timers.set(node, self.now_ns + self.configuration.orphan_ns);
        self.counters.packets_received += 1;
        self.counters.groups_received += 1;
        let record = &mut self.servers[index];
        let host = &mut self.hosts[record.host as usize];
        host.heard_ns = self.now_ns;
        host.heard = true;
        if let Some(segment) = record.response {
            record.begin(header, self.now_ns);
            record.set_received();
            self.ready.insert(node);
            return Received { store: None, action: Some(Action::Release(segment.buffer)) };
        }
        self.ready.set_priority(node, header.control.priority());
        self.counters.requests += 1;
        record.begin(header, self.now_ns);
        Received { store: None, action: Some(Action::Deliver(record.take_whole(index))) }
    }

    /// The response ends the transaction of record `index`, to which `entry` of the map leads.
    #[inline(never)]
    pub(crate) fn take_short_response(&mut self, entry: usize, index: usize, header: &Header) -> Received {
        self.end_short(entry, index, header, header.message)
    }

    /// The packet of `header` completes the response `message` to the transaction of record `index`, to which `entry` of
    /// the map leads.
    #[inline(always)]
    pub(crate) fn end_short(
        &mut self,
        entry: usize,
        index: usize,
        header: &Header,
        message: Message,
    ) -> Received {
        let record = &mut self.clients[index];
        let host = &mut self.hosts[record.host as usize];
        host.heard_ns = self.now_ns;
        host.heard = true;
        host.users -= 1;
        self.client_map.remove_entry(entry);
        if record.header.control.priority() != 0 {
            self.ready.set_priority(index, 0);
        }
        record.end();
        self.clients.release_as_is(index);
        self.timers.set(index, NEVER);
        self.arriving.0 = None;
        self.counters.packets_received += 1;
        self.counters.groups_received += 1;
        self.counters.responses += 1;
        let id = SendId { index: index as u32, client: header.client, transaction: header.transaction };
        let response = Response { server: header.server, message, segment_bytes: message.segment_bytes() };
        Received { store: None, action: Some(Action::Complete { id, outcome: Outcome::Response(response) }) }
    }
}

#[cfg(test)]
pub mod agree;

#[cfg(test)]
mod tests;
