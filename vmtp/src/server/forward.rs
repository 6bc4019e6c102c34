//! Forwarding (RFC 1045, 2.9, 5.6.3): a server hands a request on, and another one responds to the client.
//!
//! The request goes out under the client's transaction with its count of forwardings one higher, and is repeated until
//! the other host says that it has it. From then on this record only sends the client's repetitions the same way.

use super::{Answer, ServerState};
use crate::EntityId;
use crate::action::{RequestId, Segment};
use crate::client::{next_retransmit_count, with_segment};
use crate::encapsulation::Address;
use crate::engine::Engine;
use crate::manager::{Notice, code};
use crate::outcome::ForwardError;
use crate::packet::header::Control;
use crate::packet::message::{self, Message};
use crate::transfer::Outgoing;

/// How often a request may be forwarded.
const FORWARD_MAX: u8 = 15;

/// What [`Engine::forward`] takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forward {
    /// Whom to.
    pub server: EntityId,
    /// The message as the other server gets it. Of its flags, the segment's and word 7 follow from `segment`.
    pub message: Message,
    /// The request's segment, which must stay as it is until [`Action::Release`](crate::Action::Release).
    pub segment: Option<Segment>,
}

impl Engine {
    /// Forwards a delivered request to a server on another host. Its id is void from then on.
    ///
    /// # Errors
    ///
    /// Nothing was sent. Where forwarding cannot be ([`ForwardError::Nested`]), the caller can send a request of its
    /// own and reply with its response.
    pub fn forward(&mut self, now_ns: u64, id: RequestId, forward: &Forward) -> Result<(), ForwardError> {
        self.advance(now_ns);
        let index = self.processing(id).map_err(|_| ForwardError::Stale)?;
        let record = &self.servers[index];
        let count = record.header.control.forward_count();
        let number = forward.server.host();
        let nested = record.server.is_group()
            || forward.server.is_group()
            || count == FORWARD_MAX
            || record.header.control.has(Control::NOT_END_OF_RUN)
            || number == record.header.client.host();
        if nested {
            return Err(ForwardError::Nested);
        }
        if self.is_local(number) {
            return Err(ForwardError::ServerLocal);
        }
        let target = self.host_of(number).ok_or(ForwardError::TooManyHosts)?;
        self.hold_host(target);
        let (mut message, bytes, wanted) = with_segment(forward.message, forward.segment);
        // The client waits for a response, whatever the forwarder says.
        message.words[0] &= !message::DATAGRAM;
        let record = &mut self.servers[index];
        record.header.control = record
            .header
            .control
            .without(Control::RUN)
            .and(Control::ACKNOWLEDGE)
            .with_forward_count(count + 1)
            .with_retransmit_count(0);
        record.header.server = forward.server;
        record.header.message = message;
        record.outgoing = Outgoing::start(bytes, wanted);
        record.response = forward.segment;
        record.answer = Answer::Forwarded;
        record.target = Some(target as u32);
        self.close_request(index);
        self.servers[index].state = ServerState::Forwarding;
        self.ready.insert(self.server_node(index));
        Ok(())
    }

    pub(super) fn forwarding_timeout(&mut self, index: usize) {
        let record = &mut self.servers[index];
        record.attempts = record.attempts.saturating_add(1);
        let (Some(target), attempts) = (record.target, record.attempts) else { return };
        if self.is_silent(target, attempts) {
            self.declare_dead(target as usize);
        } else {
            self.counters.retransmissions += 1;
            self.send_forwarded(index);
        }
    }

    fn send_forwarded(&mut self, index: usize) {
        let record = &mut self.servers[index];
        let count = next_retransmit_count(record.header.control.retransmit_count());
        record.header.control = record.header.control.with_retransmit_count(count);
        record.outgoing.send_bare();
        self.ready.insert(self.server_node(index));
    }

    /// The client repeats a request that was forwarded: all is well here, and the other server may repeat its
    /// response.
    pub(super) fn forward_again(&mut self, index: usize) {
        let record = &self.servers[index];
        let transaction = record.header.transaction;
        self.tell_client(index, Notice { transaction, delivery: u32::MAX, code: code::OK });
        if self.servers[index].target.is_some() {
            self.send_forwarded(index);
        }
    }

    /// Tells the client, whoever forwarded the request to us.
    fn tell_client(&mut self, index: usize, notice: Notice) {
        let forwarder = self.servers[index].forwarder.take();
        self.notify_request(index, notice.transaction, notice.delivery, notice.code);
        self.servers[index].forwarder = forwarder;
    }

    /// The other host will not serve the request.
    pub(super) fn forwarding_failed(&mut self, index: usize, code: u32) {
        let abandoned = self.servers[index].abandoned.take();
        self.drop_request(index);
        self.servers[index].abandoned = abandoned;
        self.servers[index].answer = Answer::Notice(code);
        self.close_request(index);
        let transaction = self.servers[index].header.transaction;
        self.tell_client(index, Notice { transaction, delivery: 0, code });
    }

    /// The host that a request was forwarded to has said something about it.
    pub(crate) fn forwarding_notified(&mut self, from: Address, message: &Message) {
        let client = message.entity(1);
        let notice = Notice::of(message);
        let Some(latest) = self.server_map.get(client.to_bits()) else { return };
        let Some((index, group)) = self.transaction_of(latest, notice.transaction) else { return };
        let Some(target) = self.servers[index].target else { return };
        if !self.may_be_of_host(&from, target as usize) {
            return;
        }
        if notice.code != code::ENTITY_MIGRATED {
            self.hear_host(target as usize, from);
        }
        let node = self.server_node(index);
        let record = &mut self.servers[index];
        match notice.code {
            code::RETRY | code::RETRY_ALL if record.response.is_none() && record.outgoing.has_data() => {
                // It had everything: if this is not older, it has lost it.
                let lifetime_ns = self.configuration.maximum_packet_lifetime_ns;
                let had_ns = record.keep_ns.saturating_sub(self.configuration.retention_ns);
                if self.now_ns > had_ns.saturating_add(lifetime_ns) {
                    self.forwarding_failed(index, code::RESPONSE_DISCARDED);
                }
            }
            code::RETRY | code::RETRY_ALL => {
                record.attempts = 0;
                record.outgoing.resend(group, notice.delivery);
                self.ready.insert(node);
            }
            code::OK if record.outgoing.more_after(group) => {
                record.attempts = 0;
                record.outgoing.acknowledge(group + 1);
                self.ready.insert(node);
            }
            code::OK => {
                if let Some(segment) = record.response.take() {
                    record.released = Some(segment.buffer);
                    self.ready.insert(node);
                }
                if record.state == ServerState::Forwarding {
                    self.close_request(index);
                }
            }
            code::BUSY => record.attempts = 0,
            code::ENTITY_MIGRATED | code::NO_RUN_RECORD => {
                record.outgoing.restart();
                self.ready.insert(node);
                if notice.code == code::ENTITY_MIGRATED {
                    self.look_for_host(target as usize);
                }
            }
            code => self.forwarding_failed(index, code),
        }
    }
}
