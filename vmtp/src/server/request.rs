//! Requests for local servers, packet by packet: old or new, whole or not.

use super::{Answer, Handed, ServerRecord, ServerState};
use crate::EntityId;
use crate::action::Store;
use crate::encapsulation::Address;
use crate::engine::Engine;
use crate::manager::code;
use crate::packet::header::{Control, Header};
use crate::packet::{GROUP_BYTES, message};
use crate::transfer::{Incoming, group_bytes};

/// Whether a packet is the one of its message that may be answered with an error: one error is enough.
pub(super) fn is_first(header: &Header) -> bool {
    header.delivery == 0 || header.delivery & 1 == 1
}

impl Engine {
    /// Whether `entity` is local, or a group with local members.
    pub(super) fn lives_here(&self, entity: EntityId) -> bool {
        if entity.is_group() { self.is_joined(entity) } else { self.is_local(entity.host()) }
    }

    pub(crate) fn receive_request(&mut self, from: Address, header: &Header) -> Option<Store> {
        if header.control.forward_count() == 0 {
            self.watch_for_conflict(&from, header, header.client);
        }
        if header.server == EntityId::MANAGER_GROUP {
            self.receive_management(from, header);
            return None;
        }
        let is_away =
            header.message.co_resident().is_some_and(|entity| !entity.is_none() && !self.lives_here(entity));
        let is_odd =
            header.client.is_group() || header.client.is_none() || !self.may_come_from(&from, header.client);
        let is_here = self.lives_here(header.server);
        if !is_here || is_away || is_odd {
            self.counters.packets_ignored += 1;
            if !header.server.is_group() && !is_odd {
                // Where the server is but not whom it is to live with, there is nowhere else to look.
                let code = if is_here { code::NONEXISTENT_ENTITY } else { code::ENTITY_MIGRATED };
                self.notify_sender(from, header, code);
            }
            return None;
        }
        let is_run = header.control.has(Control::NOT_END_OF_RUN) && !header.control.has(Control::CONTINUED);
        let can_run = self.configuration.run_length != 0
            && !header.server.is_group()
            && header.control.forward_count() == 0;
        if is_run && !can_run {
            self.notify_sender(from, header, code::STREAMING_NOT_SUPPORTED);
            return None;
        }
        match self.server_map.get(header.client.to_bits()) {
            Some(index) => self.receive_known(index, from, header),
            None => self.receive_unknown(from, header),
        }
    }

    /// A request of a client that has no record.
    pub(super) fn receive_unknown(&mut self, from: Address, header: &Header) -> Option<Store> {
        if header.control.has(Control::NOT_START_OF_RUN) {
            self.miss_start_of_run(from, header);
            return None;
        }
        let Some(host) = self.host_of(header.client.host()) else {
            self.turn_away(from, header);
            return None;
        };
        if header.control.forward_count() == 0 {
            self.hear_host(host, from);
        }
        if !self.may_be_served(host) {
            self.turn_away(from, header);
            return None;
        }
        let record = ServerRecord {
            state: ServerState::Validating,
            header: *header,
            host: host as u32,
            arrived_ns: self.now_ns,
            server: header.server,
            forward_count: header.control.forward_count(),
            forwarder: (header.control.forward_count() != 0).then_some(from),
            ..ServerRecord::default()
        };
        let Some(index) = self.servers.take(record) else {
            self.turn_away(from, header);
            return None;
        };
        self.server_map.insert(header.client.to_bits(), index);
        self.hold_host(host);
        self.hosts[host].served += 1;
        if self.never_came_before(header) {
            self.begin_request(index, 0, header)
        } else {
            self.probe_client(index);
            None
        }
    }

    /// The start of this message is not here. Perhaps it was only overtaken: the client is told when it asks.
    pub(super) fn miss_start_of_run(&mut self, from: Address, header: &Header) {
        if header.delivery == 0 {
            self.notify_sender(from, header, code::NO_RUN_RECORD);
        }
    }

    fn turn_away(&mut self, from: Address, header: &Header) {
        self.counters.overflows += 1;
        if is_first(header) {
            self.notify_sender(from, header, code::BUSY);
        }
    }

    /// A request of a client that has a record: `latest` is of its last transaction.
    pub(super) fn receive_known(&mut self, latest: usize, from: Address, header: &Header) -> Option<Store> {
        if header.control.forward_count() == 0 {
            self.hear_host(self.servers[latest].host as usize, from);
        }
        let Some((index, group)) = self.transaction_of(latest, header.transaction) else {
            let record = &self.servers[latest];
            if header.transaction.wrapping_sub(record.header.transaction).cast_signed() < 0 {
                self.refuse_late(latest, from, header);
                return None;
            }
            if header.control.has(Control::NOT_START_OF_RUN) {
                return self.continue_run(latest, from, header);
            }
            if record.state == ServerState::Validating && !record.follows {
                // That one may be old: what it would take the place of says nothing about this one.
                self.free_server(latest);
                return self.receive_unknown(from, header);
            }
            if record.state == ServerState::Validating || self.may_be_forgotten(latest, header) {
                self.validate_after(latest, from, header);
                return None;
            }
            return self.supersede(latest, from, header);
        };
        let record = &mut self.servers[index];
        let (new_count, count) = (header.control.forward_count(), record.forward_count);
        if new_count < count || new_count > count && index != latest {
            self.counters.duplicates += 1;
            return None;
        }
        if new_count > count {
            return self.supersede(index, from, header);
        }
        match record.state {
            ServerState::Receiving => self.take_request_packet(index, group, header),
            ServerState::Processing => {
                self.counters.duplicates += 1;
                if header.control.has(Control::ACKNOWLEDGE) {
                    record.header.control =
                        record.header.control.with_retransmit_count(header.control.retransmit_count());
                    self.set_orphan_timer(index);
                    self.notify_request(index, header.transaction, u32::MAX, code::OK);
                    self.repeat_members(index);
                }
                None
            }
            ServerState::Answered | ServerState::Forwarding => self.receive_answered(index, group, header),
            ServerState::Validating | ServerState::Free => None,
        }
    }

    /// Whether a request was never sent before, and is no late packet of an earlier engine's time.
    const fn never_came_before(&self, header: &Header) -> bool {
        header.control.retransmit_count() == 0 && self.now_ns >= self.trusted_from_ns
    }

    /// Whether a request, newer than record `latest` of its client, may have been executed by a server that was elsewhere then
    /// and came here when nobody knew of it any more, or here before this engine was, whose record came along with a server. What
    /// began after something else had come here was not.
    fn may_be_forgotten(&self, latest: usize, header: &Header) -> bool {
        let lifetime_ns = self.configuration.maximum_packet_lifetime_ns;
        !self.never_came_before(header)
            && self.forgotten_ns != 0
            && self.servers[latest].arrived_ns <= self.forgotten_ns + lifetime_ns
    }

    /// The request of `header` takes the place of the one in record `index`, if it is new: its client is asked.
    fn validate_after(&mut self, index: usize, from: Address, header: &Header) {
        self.drop_request(index);
        self.free_members(index);
        let record = &mut self.servers[index];
        record.has_told_gap = false;
        record.begin(header, self.now_ns);
        record.state = ServerState::Validating;
        record.follows = true;
        record.forwarder = (record.forward_count != 0).then_some(from);
        self.probe_client(index);
    }

    /// An answered request has come again.
    pub(super) fn receive_answered(&mut self, index: usize, group: u16, header: &Header) -> Option<Store> {
        self.counters.duplicates += 1;
        let keep_ns = self.keep_ns(index);
        let record = &mut self.servers[index];
        let count = header.control.retransmit_count();
        record.keep_ns = keep_ns;
        if record.answer == Answer::Forwarded {
            self.forward_again(index);
            return None;
        }
        if record.answer == Answer::Response && record.header.message.has(message::DATAGRAM) {
            if record.header.control.retransmit_count() == count {
                return None;
            }
            self.counters.requests_redone += 1;
            record.outgoing.clear();
            record.attempts = 0;
            record.answer = Answer::Nothing;
            record.header = Header { transaction: record.header.transaction, ..*header };
            record.header.control = header.control.without(Control::RUN);
            return self.begin_request(index, group, header);
        }
        record.header.control = record.header.control.with_retransmit_count(count);
        self.repeat_answer(index);
        None
    }

    /// A newer request takes the place of the client's last one.
    pub(super) fn supersede(&mut self, index: usize, from: Address, header: &Header) -> Option<Store> {
        if header.control.has(Control::NOT_START_OF_RUN) {
            // Forwarded once more, and its start is not here.
            self.miss_start_of_run(from, header);
            return None;
        }
        self.replace_request(index, from, header)
    }

    /// The request of `header` takes the place of the one in record `index`.
    pub(super) fn replace_request(&mut self, index: usize, from: Address, header: &Header) -> Option<Store> {
        self.drop_request(index);
        self.free_members(index);
        let record = &mut self.servers[index];
        record.has_told_gap = false;
        record.begin(header, self.now_ns);
        record.forwarder = (record.forward_count != 0).then_some(from);
        self.begin_request(index, 0, header)
    }

    /// A request that is to be executed, with its first packet.
    pub(super) fn begin_request(&mut self, index: usize, group: u16, header: &Header) -> Option<Store> {
        let bytes = header.message.segment_bytes();
        let wanted =
            if header.message.has(message::DELIVERY_MASK) { header.message.words[6] } else { u32::MAX };
        let record = &mut self.servers[index];
        record.state = ServerState::Receiving;
        record.is_for_one = false;
        record.header.control = record.header.control.without(Control::CONTINUED);
        record.incoming = Incoming::start(bytes, wanted);
        if bytes != 0 {
            if bytes > self.configuration.buffer_bytes {
                return self.reject(index, header, code::VMTP_ERROR);
            }
            let Some(buffer) = self.take_buffer(header.client.host()) else {
                self.counters.overflows += 1;
                return self.reject(index, header, code::BUSY);
            };
            self.servers[index].buffer = Some(buffer);
        }
        self.take_request_packet(index, group, header)
    }

    /// Tells the client why its request was not taken, and forgets it.
    pub(super) fn reject(&mut self, index: usize, header: &Header, code: u32) -> Option<Store> {
        match self.servers[index].linked {
            Some(former) if code == code::BUSY && self.is_in_run(index) => {
                self.refuse_next(former as usize, header);
            }
            _ if is_first(header) => self.notify_request(index, header.transaction, 0, code),
            _ => {}
        }
        self.free_server(index);
        None
    }

    pub(super) fn take_request_packet(&mut self, index: usize, group: u16, header: &Header) -> Option<Store> {
        let record = &mut self.servers[index];
        let bytes = record.header.message.segment_bytes();
        if record.header.message != header.message || record.header.server != header.server {
            // Two packets of one group that differ in more than they may.
            self.counters.packets_ignored += 1;
            return None;
        }
        if !header.holds(group_bytes(bytes, group)) {
            self.counters.packets_malformed += 1;
            return None;
        }
        let is_first = !record.incoming.has_some();
        let before = record.incoming.whole_groups();
        if !header.control.has(Control::CONTINUED) {
            // Only the message's last packet group says whether its run goes on.
            let control = record.header.control.without(Control::NOT_END_OF_RUN);
            record.header.control = control.and(header.control.0 & Control::NOT_END_OF_RUN);
        }
        let new = record.incoming.accept(group, header.delivery).unwrap_or(0);
        let store = match record.buffer {
            Some(buffer) if new != 0 => Some(Store {
                buffer,
                segment_offset: u32::from(group) * GROUP_BYTES as u32,
                group_bytes: group_bytes(bytes, group),
                delivery: header.delivery,
                is_first,
            }),
            _ => None,
        };
        if new != 0 {
            record.attempts = 0;
        }
        let acknowledge = header.control.has(Control::ACKNOWLEDGE);
        if acknowledge {
            record.header.control =
                record.header.control.with_retransmit_count(header.control.retransmit_count());
        }
        if record.incoming.is_complete() {
            self.request_received(index, acknowledge);
            return store;
        }
        let whole = record.incoming.whole_groups();
        if acknowledge && header.delivery == 0 {
            self.report_request_gaps(index, None);
        } else if record.incoming.moves_window(group, before, acknowledge) {
            let transaction = record.header.transaction.wrapping_add(u32::from(whole - 1));
            self.notify_request(index, transaction, u32::MAX, code::OK);
        }
        if self.servers[index].incoming.is_overtaken_by(group) {
            let overtaken = self.servers[index].incoming.overtaken(group);
            self.ask_for_blocks(index, overtaken);
        }
        let node = self.server_node(index);
        self.timers.set(node, self.now_ns + self.configuration.group_gap_ns);
        store
    }

    /// All of a request has come.
    pub(super) fn request_received(&mut self, index: usize, acknowledge: bool) {
        let node = self.server_node(index);
        let record = &mut self.servers[index];
        let whole = record.incoming.whole_groups();
        self.counters.groups_received += u64::from(whole.max(1));
        record.state = ServerState::Processing;
        let (client, transaction) = (record.header.client, record.header.transaction);
        let transaction = transaction.wrapping_add(u32::from(whole.saturating_sub(1)));
        if record.linked.is_some() && !record.server.is_group() {
            record.handed = Handed::Waiting;
            self.go_on_with_requests(client);
        } else {
            record.handed = Handed::Due;
            self.ready.insert(node);
        }
        self.set_orphan_timer(index);
        if acknowledge {
            self.notify_request(index, transaction, u32::MAX, code::OK);
        }
    }

    /// Tells the client which groups of its request are not whole: all of them, or those that are missed after so many
    /// silences.
    pub(super) fn report_request_gaps(&mut self, index: usize, silences: Option<u8>) {
        let record = &self.servers[index];
        let (first, incoming) = (record.header.transaction, record.incoming);
        if let Some(group) = incoming.movable() {
            self.notify_request(index, first.wrapping_add(u32::from(group)), u32::MAX, code::OK);
        }
        match silences {
            None => self.ask_for_blocks(index, incoming.gaps()),
            Some(silences) => self.ask_for_blocks(index, incoming.gaps_after(silences)),
        }
    }

    /// Tells the client what has come of groups that are not whole.
    fn ask_for_blocks(&mut self, index: usize, gaps: impl Iterator<Item = (u16, u32)>) {
        let first = self.servers[index].header.transaction;
        for (group, delivery) in gaps {
            self.notify_request(index, first.wrapping_add(u32::from(group)), delivery, code::RETRY);
        }
    }

    /// The rest of a request will not come.
    pub(super) fn give_up_receiving(&mut self, index: usize) {
        let record = &mut self.servers[index];
        if record.header.message.has(message::DELIVERY_MASK) {
            record.header.message.words[6] = record.incoming.first_received();
            self.request_received(index, false);
        } else {
            self.drop_request(index);
            self.free_server(index);
        }
    }
}
