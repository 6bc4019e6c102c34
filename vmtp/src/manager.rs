//! The management module (RFC 1045, II, III): requests to the managers, which the engines answer themselves.
//!
//! A procedure's parameters follow its code word by word. Notices are datagrams with the parties' identifiers, a
//! transaction, a mask and one of the [`code`]s.

use crate::EntityId;
use crate::action::Destination;
use crate::encapsulation::Address;
use crate::engine::Engine;
use crate::packet::header::{Control, Function, Header, MULTICAST};
use crate::packet::{Message, message};

/// Below this are the numbers that a probe's transaction can hold.
pub(crate) const NODES_MAX: usize = 1 << NODE_BITS;
const NODE_BITS: u32 = 22;

/// A probe's transaction: which record asks, and which of its probes this is.
pub(crate) fn probe_transaction(node: usize, count: u32) -> u32 {
    count << NODE_BITS | node as u32
}

/// The record that asked.
pub(crate) fn probing_node(transaction: u32) -> usize {
    transaction as usize & (NODES_MAX - 1)
}

/// Request codes of the managers' procedures, flags included.
pub mod procedure {
    /// (co-resident entity, entity, authentication domain) → (code, transaction, process, principal, effective
    /// principal). In our domain the last two words are the transaction's [`state`](super::probe_state).
    pub const PROBE_ENTITY: u32 = 0x0500_0101;
    /// (entity) → (code, entity). Asks whether the entity's whole logical host is in use.
    pub const PROBE_ENTITY_BLOCK: u32 = 0x0500_0103;
    /// (entity) → (code, MTU, flags, authentication domain, 0, 0).
    pub const QUERY_NODE: u32 = 0x0500_0104;
    /// (client, control, receive sequence, transaction, delivery, code), a datagram.
    pub const NOTIFY_CLIENT: u32 = 0x4500_010f;
    /// (server, client, transaction, delivery, code), a datagram.
    pub const NOTIFY_SERVER: u32 = 0x4500_0110;
    /// As [`NOTIFY_CLIENT`], to the host that forwarded the client's request.
    pub const NOTIFY_REMOTE_CLIENT: u32 = 0x4100_0111;
}

/// What the last word but one of a probe's answer says.
pub mod probe_state {
    /// The entity has no transaction under way.
    pub const IDLE: u32 = 0;
    /// It waits for a response to the transaction told, since as many microseconds as the last word says.
    pub const WAITING: u32 = 1;
}

/// Codes of notices and of the managers' responses (RFC 1045, I).
pub mod code {
    /// All is well: go on waiting.
    pub const OK: u32 = 0;
    /// Blocks are missing: send them.
    pub const RETRY: u32 = 1;
    /// As RETRY, and whatever follows in the run.
    pub const RETRY_ALL: u32 = 2;
    /// No room now: try later.
    pub const BUSY: u32 = 3;
    /// There is no such entity.
    pub const NONEXISTENT_ENTITY: u32 = 4;
    /// The entity is not on this host.
    pub const ENTITY_MIGRATED: u32 = 5;
    /// The server does not serve this client.
    pub const NO_PERMISSION: u32 = 6;
    /// The request was conditional, the server not waiting.
    pub const NOT_AWAITING_MSG: u32 = 7;
    /// The packet breaks the protocol.
    pub const VMTP_ERROR: u32 = 8;
    /// Too many transactions in a run.
    pub const MSGTRANS_OVERFLOW: u32 = 9;
    /// The transaction is not the one under way.
    pub const BAD_TRANSACTION_ID: u32 = 10;
    /// Runs of transactions are not served here.
    pub const STREAMING_NOT_SUPPORTED: u32 = 11;
    /// What this run continues is not known.
    pub const NO_RUN_RECORD: u32 = 12;
    /// The response is gone; the request may have been executed.
    pub const RESPONSE_DISCARDED: u32 = 15;
}

/// A notice about one packet group, to the client or to the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Notice {
    /// Of the packet group's transaction.
    pub transaction: u32,
    /// The blocks received.
    pub delivery: u32,
    /// A [`code`].
    pub code: u32,
}

impl Notice {
    /// The message of a notice to the client; `control` is what a response's would be.
    pub fn to_client(self, client: EntityId, control: u32) -> Message {
        let mut message = Message::default();
        message.words[0] = procedure::NOTIFY_CLIENT;
        message.set_entity(1, client);
        message.words[3] = control;
        message.words[5] = self.transaction;
        message.words[6] = self.delivery;
        message.words[7] = self.code;
        message
    }

    /// The message of a notice to the server.
    pub fn to_server(self, server: EntityId, client: EntityId) -> Message {
        let mut message = Message::default();
        message.words[0] = procedure::NOTIFY_SERVER;
        message.set_entity(1, server);
        message.set_entity(3, client);
        message.words[5] = self.transaction;
        message.words[6] = self.delivery;
        message.words[7] = self.code;
        message
    }

    /// The last three words of either.
    pub fn of(message: &Message) -> Notice {
        Notice { transaction: message.words[5], delivery: message.words[6], code: message.words[7] }
    }
}

impl Engine {
    /// A request to the managers.
    pub(crate) fn receive_management(&mut self, from: Address, header: &Header) {
        let message = &header.message;
        let code = message.code() | message::PUBLIC;
        let is = |procedure: u32| code == procedure & message::CODE_MASK | message::PUBLIC;
        let is_for_us = message.co_resident().is_none_or(|entity| {
            entity.is_none()
                || if entity.is_group() { self.is_joined(entity) } else { self.is_local(entity.host()) }
        });
        if is(procedure::NOTIFY_SERVER) && is_for_us {
            self.counters.notices_received += 1;
            self.server_notified(from, message);
        } else if is(procedure::NOTIFY_REMOTE_CLIENT) {
            self.counters.notices_received += 1;
            self.forwarding_notified(from, message);
        } else if is(procedure::NOTIFY_CLIENT) && is_for_us {
            self.counters.notices_received += 1;
            self.client_notified(from, message);
        } else if is(procedure::PROBE_ENTITY_BLOCK) {
            self.claim_probed(from, header);
        } else if !is_for_us {
            self.counters.packets_ignored += 1;
        } else if is(procedure::PROBE_ENTITY) {
            self.answer_probe(from, header);
        } else if is(procedure::QUERY_NODE) {
            let answer = [code::OK, self.configuration.mtu_bytes, 0, 0, 0, 0, 0, 0];
            self.answer_management(from, header, answer);
        } else if !message.has(message::DATAGRAM) && header.flags & MULTICAST == 0 {
            // Entities and groups are made by sending to the kernel's servers, not to its VMTP.
            self.answer_management(from, header, [code::NO_PERMISSION, 0, 0, 0, 0, 0, 0, 0]);
        }
    }

    fn answer_probe(&mut self, from: Address, header: &Header) {
        let entity = header.message.entity(3);
        let mut answer = [code::OK, 0, 0, 0, 0, 0, probe_state::IDLE, 0];
        if !self.is_local(entity.host()) {
            answer[0] = code::NONEXISTENT_ENTITY;
        }
        // Of a run, the first that it waits for.
        if let Some(index) = self.open_run_of(entity).next() {
            let record = &self.clients[index];
            let age_us = (self.now_ns - record.began_ns).div_ceil(1000);
            answer[1] = record.header.transaction;
            answer[6] = probe_state::WAITING;
            answer[7] = u32::try_from(age_us).unwrap_or(u32::MAX);
        }
        let mut message = Message { words: answer };
        message.set_entity(2, entity);
        self.counters.probes_answered += 1;
        self.answer_management(from, header, message.words);
    }

    /// Answers a manager's request. The answer may be asked for again: nothing is kept.
    fn answer_management(&mut self, from: Address, header: &Header, mut words: [u32; 8]) {
        words[0] |= message::DATAGRAM;
        let control = Control::new(Function::Response)
            .with_retransmit_count(header.control.retransmit_count())
            .with_priority(header.control.priority());
        let co_resident = header.message.co_resident();
        let server = match co_resident {
            Some(entity) if !entity.is_group() && !entity.is_none() => EntityId::manager_of(entity.host()),
            _ => self.own_manager(),
        };
        let answer = Header {
            client: header.client,
            control,
            transaction: header.transaction,
            server,
            message: Message { words },
            ..Header::default()
        };
        self.transmit_control(Destination::Host(from), answer);
    }

    /// A response to one of our managers: the answer to a probe.
    pub(crate) fn receive_probe_answer(&mut self, from: Address, header: &Header) {
        let node = probing_node(header.transaction);
        let (clients, servers) = (self.clients.len(), self.servers.len());
        if node < clients {
            self.counters.packets_ignored += 1;
        } else if node < clients + servers {
            self.client_probed(node - clients, from, header);
        } else {
            self.host_probed(node - clients - servers, from, header);
        }
    }

    /// Tells a client about its request. `control` is that of its last packet.
    pub(crate) fn notify_client(
        &mut self,
        destination: Destination,
        server: EntityId,
        client: EntityId,
        control: Control,
        notice: Notice,
    ) {
        let told = Control::new(Function::Response)
            .with_retransmit_count(control.retransmit_count())
            .with_forward_count(control.forward_count())
            .with_priority(control.priority());
        let mut message = notice.to_client(client, told.0);
        if control.forward_count() != 0 {
            message.words[0] = procedure::NOTIFY_REMOTE_CLIENT;
        }
        self.notify(destination, server, told, notice, message);
    }

    /// Tells a server about its response.
    pub(crate) fn notify_server(
        &mut self,
        destination: Destination,
        server: EntityId,
        client: EntityId,
        notice: Notice,
    ) {
        let control = Control::new(Function::Request);
        self.notify(destination, client, control, notice, notice.to_server(server, client));
    }

    /// Tells the sender of a request that has no record what became of it.
    pub(crate) fn notify_sender(&mut self, from: Address, header: &Header, code: u32) {
        if header.flags & MULTICAST != 0 {
            // Of many that a multicast reaches, none can say that it fails.
            return;
        }
        let notice = Notice { transaction: header.transaction, delivery: 0, code };
        self.notify_client(Destination::Host(from), header.server, header.client, header.control, notice);
    }

    fn notify(
        &mut self,
        destination: Destination,
        speaker: EntityId,
        control: Control,
        notice: Notice,
        message: Message,
    ) {
        self.counters.notices_sent += 1;
        let own = !speaker.is_group() && self.is_local(speaker.host());
        let client = if own { EntityId::manager_of(speaker.host()) } else { self.own_manager() };
        let header = Header {
            client,
            control: Control::new(Function::Request).with_priority(control.priority()),
            transaction: notice.transaction,
            server: EntityId::MANAGER_GROUP,
            message,
            ..Header::default()
        };
        self.transmit_control(destination, header);
    }
}
