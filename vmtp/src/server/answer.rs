//! What becomes of an answered request: its response is sent, repeated, acknowledged, forgotten.

use super::{Answer, ServerState};
use crate::action::Buffer;
use crate::configuration::Configuration;
use crate::encapsulation::Address;
use crate::engine::Engine;
use crate::manager::{Notice, code};
use crate::packet::header::Control;
use crate::packet::message;
use crate::packet::message::Message;

impl Engine {
    /// Until when the record of a request is kept that is answered now, or came again. One to a group hardly longer than it
    /// must be: its client is rarely heard again, since the first answer of any host ends its repeating the request.
    #[inline(always)]
    pub(crate) fn keep_ns(&self, index: usize) -> u64 {
        let Configuration { retention_ns, maximum_packet_lifetime_ns, .. } = self.configuration;
        let is_of_group = self.servers[index].server.is_group();
        let of_group_ns = (2 * maximum_packet_lifetime_ns).min(retention_ns);
        self.now_ns + if is_of_group { of_group_ns } else { retention_ns }
    }

    /// From now on the record only keeps the request from being executed again.
    pub(super) fn close_request(&mut self, index: usize) {
        let keep_ns = self.keep_ns(index);
        self.servers[index].close(keep_ns);
        self.timers.set(self.server_node(index), keep_ns);
        if self.servers[index].is_linked {
            self.go_on_with_requests(self.servers[index].header.client);
        }
    }

    pub(super) fn repeat_answer(&mut self, index: usize) {
        let record = &mut self.servers[index];
        match record.answer {
            Answer::Nothing => self.repeat_members(index),
            Answer::Forwarded => self.forward_again(index),
            Answer::Batched => self.repeat_batched(index),
            Answer::Response => {
                if record.outgoing.is_idle() {
                    if record.response.is_some() {
                        record.header.control = record.header.control.and(Control::ACKNOWLEDGE);
                    }
                    record.outgoing.send_bare();
                }
                self.ready.insert(self.server_node(index));
            }
            Answer::Notice(code) => {
                let (transaction, host) = (record.header.transaction, record.server.host());
                // Of one that moved, came back, and is not known any more, nothing is to be found elsewhere.
                let is_back = code == code::ENTITY_MIGRATED && self.is_local(host);
                let code = if is_back { code::RESPONSE_DISCARDED } else { code };
                self.notify_request(index, transaction, 0, code);
            }
        }
    }

    /// Everything that was to be sent of a response has been given out.
    pub(crate) fn response_transmitted(&mut self, index: usize) {
        let node = self.server_node(index);
        let record = &mut self.servers[index];
        if record.header.message.has(message::DATAGRAM) {
            record.released = record.response.take().map(|segment| segment.buffer);
        }
        if record.response.is_some() || record.state == ServerState::Forwarding {
            // It is kept until the client, or whom it was forwarded to, says that it is there; who is asked after a
            // while (TS5).
            let (host, attempts) = (record.target.unwrap_or(record.host), record.attempts);
            let wait_ns = self.answer_time_ns(host, attempts) + self.configuration.group_gap_ns;
            self.timers.set(node, self.now_ns + wait_ns);
        } else {
            // The timer may have been used for the gaps between packets.
            let keep_ns = record.keep_ns;
            self.timers.set(node, keep_ns);
        }
        if self.servers[index].released.is_none() {
            self.ready.remove(node);
        }
    }

    pub(super) fn answered_timeout(&mut self, index: usize) {
        let node = self.server_node(index);
        let record = &mut self.servers[index];
        if core::mem::take(&mut record.delayed) {
            self.ready.insert(node);
            let keep_ns = record.keep_ns;
            self.timers.set(node, keep_ns);
            return;
        }
        if record.response.is_some() {
            record.attempts = record.attempts.saturating_add(1);
            let (host, attempts) = (record.host, record.attempts);
            // A client whose host lives says in the end that it has the response, or that it does not want it.
            if self.is_stalled(attempts) || self.is_silent(host, attempts) {
                self.discard_response(index);
            } else {
                let record = &mut self.servers[index];
                record.header.control = record.header.control.and(Control::ACKNOWLEDGE);
                record.outgoing.send_bare();
                self.counters.retransmissions += 1;
                self.ready.insert(node);
            }
            return;
        }
        if record.is_linked && record.keep_ns == 0 {
            self.free_member(index);
            return;
        }
        if record.is_linked {
            // It goes with the one that leads to it.
            return;
        }
        let keep_ns = self.run_keep_ns(index);
        let record = &self.servers[index];
        if keep_ns > self.now_ns {
            self.timers.set(node, keep_ns);
            return;
        }
        if self.has_members_to_be_heard(index) {
            self.timers.set(node, self.keep_ns(index));
            return;
        }
        let (host, arrived_ns, is_of_group) =
            (record.host as usize, record.arrived_ns, record.server.is_group());
        let host = &mut self.hosts[host];
        let forgotten_ns = if is_of_group { &mut host.group_forgotten_ns } else { &mut host.forgotten_ns };
        *forgotten_ns = arrived_ns.max(*forgotten_ns).max(1);
        self.free_server(index);
    }

    /// The segment of a response, which the client may have a part of, can be had no longer. It is given back, and the
    /// client told: its send ends with [`Failure::Withdrawn`](crate::Failure::Withdrawn) if it has begun to receive.
    pub fn withdraw(&mut self, now_ns: u64, buffer: Buffer) {
        self.advance(now_ns);
        let is_it = |index: &usize| self.servers[*index].response.is_some_and(|kept| kept.buffer == buffer);
        if let Some(index) = (0..self.servers.len()).find(is_it) {
            self.discard_response(index);
            self.repeat_answer(index);
        }
    }

    /// Nobody says that the response is there: its segment is given back.
    pub(super) fn discard_response(&mut self, index: usize) {
        let node = self.server_node(index);
        let keep_ns = self.keep_ns(index);
        let record = &mut self.servers[index];
        record.release_response();
        record.answer = Answer::Notice(code::RESPONSE_DISCARDED);
        record.outgoing.clear();
        record.keep_ns = keep_ns;
        self.timers.set(node, keep_ns);
        self.ready.insert(node);
    }

    /// A notice about a response of a local server.
    pub(crate) fn server_notified(&mut self, from: Address, message: &Message) {
        let client = message.entity(3);
        let notice = Notice::of(message);
        let Some(index) = self.server_map.get(client.to_bits()) else { return };
        let found = self.responder_of(index, notice.transaction, message.entity(1));
        if found.is_none() && notice.code == code::RETRY {
            self.refuse_late_notice(index, notice.transaction);
        }
        let Some(index) = found else { return };
        let record = &self.servers[index];
        let Some(group) = record.group_of(notice.transaction) else { return };
        if record.state != ServerState::Answered {
            return;
        }
        if record.answer == Answer::Notice(code::RESPONSE_DISCARDED) && notice.code == code::RETRY {
            // What it misses can be had no longer.
            self.repeat_answer(index);
        }
        let record = &self.servers[index];
        if record.answer != Answer::Response {
            return;
        }
        let host = record.host as usize;
        if !self.may_be_of_host(&from, host) {
            // From before the client moved.
            return;
        }
        self.hear_host(host, from);
        let node = self.server_node(index);
        let record = &mut self.servers[index];
        match notice.code {
            code::RETRY | code::RETRY_ALL => {
                if record.header.message.has(message::DATAGRAM) || record.response.is_none() {
                    return;
                }
                if record.outgoing.resend(group, notice.delivery) != 0 {
                    record.attempts = 0;
                    let is_lossy = record.outgoing.is_lossy();
                    self.counters.retransmissions += 1;
                    self.ready.insert(node);
                    if notice.delivery != 0 && is_lossy {
                        self.widen_gap(host);
                    }
                }
            }
            code::BUSY => {}
            code::ENTITY_MIGRATED => {
                record.outgoing.restart();
                self.ready.insert(node);
                self.look_for_host(host);
            }
            code::OK if !record.outgoing.is_idle() || record.outgoing.more_after(group) => {
                record.outgoing.acknowledge(group + 1);
                self.ready.insert(node);
            }
            _ => {
                // The client has it, or does not want it.
                record.outgoing.clear();
                if let Some(segment) = record.response.take() {
                    record.released = Some(segment.buffer);
                    record.answer = Answer::Notice(code::RESPONSE_DISCARDED);
                    self.ready.insert(node);
                    self.narrow_gap(host);
                }
                let keep_ns = self.servers[index].keep_ns;
                self.timers.set(node, keep_ns);
            }
        }
    }
}
