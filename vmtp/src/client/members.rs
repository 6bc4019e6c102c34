//! The responses of a group's members to one request, where the client wants more than one.
//!
//! Each member has a record while the client's transaction lasts, so that none answers twice. Their segments go to the
//! engine's own buffers, which become the user's with [`Action::Collect`].

use super::ClientState;
use crate::EntityId;
use crate::action::{Action, Buffer, Destination, Response, Segment, Store};
use crate::encapsulation::Address;
use crate::engine::Engine;
use crate::manager::{Notice, code};
use crate::packet::GROUP_BYTES;
use crate::packet::header::{Control, Header};
use crate::packet::message::{self, Message};
use crate::table::NEVER;
use crate::transfer::{Incoming, group_bytes};

/// A member's response.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct MemberRecord {
    client: usize,
    /// Of the same client: the one that began to come before it.
    next: Option<u32>,
    server: EntityId,
    from: Option<Address>,
    message: Message,
    incoming: Incoming,
    buffer: Option<Buffer>,
    attempts: u8,
    /// To be given out.
    deliver: bool,
    /// It was, or was given up.
    done: bool,
}

impl Engine {
    pub(super) fn collects(&self, index: usize) -> bool {
        let header = &self.clients[index].header;
        header.server.is_group() && header.message.has(message::MULTIPLE_RESPONSES)
    }

    /// A packet of a response to a request that wants several.
    pub(super) fn receive_member(
        &mut self,
        index: usize,
        group: u16,
        from: Address,
        header: &Header,
    ) -> Option<Store> {
        let member = match self.find_member(index, header.server) {
            Some(member) => member,
            None => self.begin_member(index, from, header)?,
        };
        let record = &mut self.members[member];
        let bytes = record.message.segment_bytes();
        if record.done || !header.holds(group_bytes(bytes, group)) {
            self.counters.duplicates += 1;
            self.acknowledge_member(member, from, header);
            return None;
        }
        let is_first = !record.incoming.has_some();
        let new = record.incoming.accept(group, header.delivery).unwrap_or(0);
        let store = record.buffer.filter(|_| new != 0).map(|buffer| Store {
            buffer,
            segment_offset: u32::from(group) * GROUP_BYTES as u32,
            group_bytes: group_bytes(bytes, group),
            delivery: header.delivery,
            is_first,
        });
        let record = &self.members[member];
        let node = self.member_node(member);
        if record.incoming.is_complete() {
            let record = &mut self.members[member];
            self.counters.groups_received += 1;
            record.deliver = true;
            record.done = true;
            self.timers.set(node, NEVER);
            self.ready.insert(node);
            self.acknowledge_member(member, from, header);
        } else {
            if new != 0 {
                self.members[member].attempts = 0;
            }
            self.timers.set(node, self.now_ns + self.configuration.group_gap_ns);
        }
        store
    }

    fn find_member(&self, index: usize, server: EntityId) -> Option<usize> {
        let first = self.clients[index].members;
        let mut members = core::iter::successors(first, |member| self.members[*member as usize].next);
        members.find(|member| self.members[*member as usize].server == server).map(|member| member as usize)
    }

    fn begin_member(&mut self, index: usize, from: Address, header: &Header) -> Option<usize> {
        let client = &mut self.clients[index];
        let bytes = header.message.segment_bytes();
        if bytes > client.response.bytes || bytes > self.configuration.buffer_bytes {
            self.counters.packets_malformed += 1;
            return None;
        }
        let wanted =
            if header.message.has(message::DELIVERY_MASK) { header.message.words[6] } else { u32::MAX };
        let record = MemberRecord {
            client: index,
            next: client.members,
            server: header.server,
            from: Some(from),
            message: header.message,
            incoming: Incoming::start(bytes, wanted),
            ..MemberRecord::default()
        };
        let Some(member) = self.members.take(record) else {
            self.counters.overflows += 1;
            return None;
        };
        if bytes != 0 {
            let Some(buffer) = self.take_buffer(header.server.host()) else {
                self.counters.overflows += 1;
                self.members.release(member);
                return None;
            };
            self.members[member].buffer = Some(buffer);
        }
        // One has answered: the request need not be repeated.
        let client = &mut self.clients[index];
        client.members = Some(member as u32);
        client.outgoing.pause();
        client.attempts = 0;
        let deadline_ns = client.deadline_ns;
        self.timers.set(index, deadline_ns);
        self.ready.remove(index);
        Some(member)
    }

    fn acknowledge_member(&mut self, member: usize, from: Address, header: &Header) {
        if header.control.has(Control::ACKNOWLEDGE) {
            let notice = Notice {
                transaction: header.transaction,
                delivery: u32::MAX,
                code: code::BAD_TRANSACTION_ID,
            };
            let server = self.members[member].server;
            self.notify_server(Destination::Host(from), server, header.client, notice);
        }
    }

    pub(crate) fn member_action(&mut self, member: usize) -> Option<Action> {
        let node = self.member_node(member);
        self.ready.remove(node);
        let record = &mut self.members[member];
        if !record.deliver {
            return None;
        }
        record.deliver = false;
        let bytes = record.message.segment_bytes();
        let segment = record.buffer.take().map(|buffer| Segment { buffer, bytes });
        let response = Response { server: record.server, message: record.message, segment_bytes: bytes };
        let client = record.client;
        self.clients[client].collected += 1;
        Some(Action::Collect { id: self.clients[client].id(client), response, segment })
    }

    pub(crate) fn member_timeout(&mut self, member: usize) {
        let record = &mut self.members[member];
        record.attempts += 1;
        self.counters.groups_with_gaps += 1;
        if record.attempts > self.configuration.retries || record.message.has(message::DATAGRAM) {
            record.done = true;
            if let Some(buffer) = record.buffer.take() {
                self.release_buffer(buffer);
            }
            return;
        }
        let header = &self.clients[record.client].header;
        let (client, first, server) = (header.client, header.transaction, record.server);
        let (from, gaps, attempts) = (record.from, record.incoming.gaps(), record.attempts);
        if let Some(from) = from {
            for (group, delivery) in gaps {
                let transaction = first.wrapping_add(u32::from(group));
                let notice = Notice { transaction, delivery, code: code::RETRY };
                self.notify_server(Destination::Host(from), server, client, notice);
            }
        }
        let node = self.member_node(member);
        self.timers.set(node, self.now_ns + (self.configuration.group_gap_ns << attempts.min(6)));
    }

    /// The client's transaction is over: so are the responses to it.
    pub(super) fn free_client_members(&mut self, index: usize) {
        let mut next = self.clients[index].members.take();
        while let Some(member) = next {
            let member = member as usize;
            next = self.members[member].next;
            if let Some(buffer) = self.members[member].buffer.take() {
                self.release_buffer(buffer);
            }
            let node = self.member_node(member);
            self.timers.set(node, NEVER);
            self.ready.remove(node);
            self.members.release(member);
        }
    }

    /// Whether responses are still coming to a client that waits for several.
    pub(super) fn is_collecting(&self, index: usize) -> bool {
        self.clients[index].state != ClientState::Ended && self.collects(index)
    }
}
