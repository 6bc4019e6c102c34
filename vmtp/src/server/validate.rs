//! Whether a client still waits: before its request is executed, where that could be for the second time, and while
//! it is, where the client may have died.

use super::{Answer, CLOCK_DRIFT, ServerState};
use crate::EntityId;
use crate::action::Destination;
use crate::encapsulation::Address;
use crate::engine::Engine;
use crate::manager::{code, probe_state, probe_transaction};
use crate::packet::header::{Control, Header};

impl Engine {
    /// Asks the client's manager whether the client waits for record `index`.
    pub(super) fn probe_client(&mut self, index: usize) {
        let node = self.server_node(index);
        let (host, attempts) = (self.servers[index].host, self.servers[index].attempts);
        self.timers.set(node, self.now_ns + self.answer_time_ns(host, attempts));
        let transaction = probe_transaction(node, self.random() as u32);
        let record = &mut self.servers[index];
        record.probe = transaction;
        record.probe_sent_ns = self.now_ns;
        let (client, host) = (record.header.client, record.host as usize);
        let destination = match self.hosts[host].address {
            Some(address) => Destination::Host(address),
            None => Destination::Group(EntityId::MANAGER_GROUP),
        };
        let header = self.probe_header(client, transaction, destination);
        self.transmit_control(destination, header);
    }

    /// It is not known whether request `index` is new. What was before it is not forgotten with it.
    pub(super) fn give_up_validating(&mut self, index: usize) {
        self.servers[index].answer = Answer::Notice(code::RESPONSE_DISCARDED);
        self.close_request(index);
        self.repeat_answer(index);
    }

    /// The client's manager has answered.
    pub(crate) fn client_probed(&mut self, index: usize, from: Address, header: &Header) {
        let Some(record) = self.servers.get(index) else { return };
        if record.probe != header.transaction || record.probe == 0 {
            return;
        }
        let (host, probe_sent_ns) = (record.host as usize, record.probe_sent_ns);
        self.hear_host(host, from);
        self.measure_host(host, self.now_ns - probe_sent_ns);
        let answer = header.message;
        let record = &mut self.servers[index];
        record.probe = 0;
        let ahead = record.header.transaction.wrapping_sub(answer.words[1]).cast_signed();
        // Of a run, the client's manager tells the first: those after it wait, too.
        let is_behind = ahead > 0 && record.header.control.has(Control::NOT_START_OF_RUN);
        let waits = answer.code() == code::OK
            && answer.words[6] == probe_state::WAITING
            && (ahead == 0 || is_behind && record.state == ServerState::Processing);
        match record.state {
            ServerState::Validating => {
                let age_ns = u64::from(answer.words[7]) * 1000;
                // The earliest that the client can have begun, by our clock.
                let began_ns = probe_sent_ns.saturating_sub(age_ns + age_ns / CLOCK_DRIFT);
                let host = &self.hosts[host];
                let is_of_group = record.server.is_group();
                let of_host_ns = if is_of_group { host.group_forgotten_ns } else { host.forgotten_ns };
                let forgotten_ns = of_host_ns.max(self.forgotten_ns);
                let is_new = answer.words[7] != u32::MAX && (began_ns > forgotten_ns || forgotten_ns == 0);
                if waits && is_new {
                    let header = record.header;
                    record.attempts = 0;
                    self.begin_request(index, 0, &Header { delivery: 0, ..header });
                    if self.servers.get(index).is_some_and(|record| record.state == ServerState::Receiving) {
                        self.report_request_gaps(index, None);
                    }
                } else {
                    if waits {
                        self.counters.requests_forgotten += 1;
                    }
                    let header = Header { delivery: 0, ..record.header };
                    if record.follows {
                        self.give_up_validating(index);
                    } else {
                        self.reject(index, &header, code::RESPONSE_DISCARDED);
                    }
                }
            }
            ServerState::Processing if waits => self.set_orphan_timer(index),
            ServerState::Processing => self.abandon(index),
            _ => {}
        }
    }
}
