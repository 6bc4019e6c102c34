//! Notices about requests of local clients.

use super::{ClientState, next_retransmit_count};
use crate::encapsulation::Address;
use crate::engine::Engine;
use crate::host::NO_HOST;
use crate::manager::{Notice, code};
use crate::outcome::Failure;
use crate::packet::header::Control;
use crate::packet::message::Message;

/// Whether what a notice with this code asks for concerns a whole run of transactions.
const fn concerns_run(code: u32) -> bool {
    matches!(
        code,
        code::RETRY_ALL
            | code::BUSY
            | code::ENTITY_MIGRATED
            | code::MSGTRANS_OVERFLOW
            | code::STREAMING_NOT_SUPPORTED
            | code::NO_RUN_RECORD
    )
}

impl Engine {
    /// A notice about a request of a local client.
    pub(crate) fn client_notified(&mut self, from: Address, message: &Message) {
        let client = message.entity(1);
        let notice = Notice::of(message);
        let Some(first) = self.client_map.get(client.to_bits()) else { return };
        let host = self.clients[first].host;
        if host != NO_HOST && !self.may_be_of_host(&from, host as usize) {
            // From before the server moved.
            return;
        }
        if self.clients[first].run.in_run && concerns_run(notice.code) {
            self.run_notified(client, from, Control(message.words[3]), notice);
            return;
        }
        let Some((index, group)) = self.open_transaction(client, notice.transaction) else {
            if notice.code == code::RETRY {
                self.run_lacks(client, notice.transaction);
            }
            return;
        };
        if self.clients[index].state == ClientState::Receiving && notice.code == code::RESPONSE_DISCARDED {
            let bytes = self.clients[index].incoming.contiguous_bytes();
            self.fail_client(index, Failure::Withdrawn { bytes });
            return;
        }
        if self.clients[index].state != ClientState::Awaiting {
            return;
        }
        let host = self.clients[index].host;
        if host != NO_HOST && notice.code != code::ENTITY_MIGRATED {
            let count = Control(message.words[3]).retransmit_count();
            let record = &self.clients[index];
            if count == record.header.control.retransmit_count() && record.outgoing.is_idle() {
                self.measure_host(host as usize, self.now_ns - record.transmitted_ns);
            }
            self.hear_host(host as usize, from);
        }
        if host == NO_HOST && !matches!(notice.code, code::OK | code::RETRY) {
            return;
        }
        let failure = match notice.code {
            code::OK => return self.request_acknowledged(index, group),
            code::RETRY | code::RETRY_ALL => return self.request_misses(index, group, notice.delivery),
            code::BUSY => return self.request_must_wait(index),
            code::NO_RUN_RECORD => return self.restart_request(index),
            code::ENTITY_MIGRATED => return self.server_moved(index),
            code::NONEXISTENT_ENTITY => Failure::NonexistentEntity,
            code::NO_PERMISSION => Failure::NoPermission,
            code::NOT_AWAITING_MSG => Failure::NotAwaiting,
            code::RESPONSE_DISCARDED | code::BAD_TRANSACTION_ID => Failure::Forgotten,
            _ => Failure::Protocol,
        };
        self.fail_client(index, failure);
    }

    /// The request is there, or its groups up to `group`, and the server at work.
    pub(super) fn request_acknowledged(&mut self, index: usize, group: u16) {
        let record = &mut self.clients[index];
        record.outgoing.acknowledge(group + 1);
        record.attempts = 0;
        let host = record.host;
        if !record.outgoing.is_idle() {
            self.ready.insert(index);
            return;
        }
        if record.outgoing.more_after(group) {
            // The rest is on its way, or the server will say what is missing.
            let wait_ns = self.answer_time_ns(host, 0);
            self.set_client_timer(index, self.now_ns + wait_ns);
            return;
        }
        record.polls = record.polls.saturating_add(1);
        let polls = record.polls;
        let wait_ns = self.answer_time_ns(host, 0) + self.configuration.service_time_ns;
        let wait_ns = (wait_ns << polls.min(8)).min(self.configuration.longest_poll_ns());
        self.set_client_timer(index, self.now_ns + wait_ns);
    }

    pub(super) fn request_misses(&mut self, index: usize, group: u16, received: u32) {
        let record = &mut self.clients[index];
        record.outgoing.reopen(group);
        // A group of which nothing is there may simply not have been sent.
        let lost = record.outgoing.resend(group, received) != 0 && received != 0;
        let host = record.host;
        if lost && host != NO_HOST && self.clients[index].outgoing.is_lossy() {
            self.widen_gap(host as usize);
        }
        let record = &mut self.clients[index];
        record.attempts = 0;
        if !record.outgoing.is_idle() {
            self.counters.retransmissions += 1;
            self.ready.insert(index);
        }
    }

    /// The server's host has no room: the whole request goes out again after a while.
    pub(super) fn request_must_wait(&mut self, index: usize) {
        let record = &mut self.clients[index];
        record.attempts = 0;
        record.polls = record.polls.saturating_add(1);
        record.outgoing.pause();
        let wait_ns = self.configuration.service_time_ns << record.polls.min(4);
        self.set_client_timer(index, self.now_ns + wait_ns.min(self.configuration.longest_poll_ns()));
    }

    /// The server's host knows nothing of the message's beginning.
    pub(super) fn restart_request(&mut self, index: usize) {
        let record = &mut self.clients[index];
        let count = next_retransmit_count(record.header.control.retransmit_count());
        record.header.control = record.header.control.with_retransmit_count(count);
        record.outgoing.restart();
        self.ready.insert(index);
    }

    /// The server is not where the request went: looks for it and sends the request again.
    pub(super) fn server_moved(&mut self, index: usize) {
        let host = self.clients[index].host;
        if host == NO_HOST {
            return;
        }
        self.restart_request(index);
        self.look_for_host(host as usize);
    }
}
