//! Responses to local clients, packet by packet, and what is said about them to their servers.

use super::{ClientState, Ending};
use crate::EntityId;
use crate::action::{Destination, Store};
use crate::encapsulation::Address;
use crate::engine::Engine;
use crate::group::Arriving;
use crate::host::NO_HOST;
use crate::manager::{Notice, code};
use crate::outcome::Failure;
use crate::packet::header::{Control, Header};
use crate::packet::mask::is_run;
use crate::packet::{BLOCK_BYTES, GROUP_BYTES, message};
use crate::transfer::{Incoming, group_bytes};

impl Engine {
    /// The response has stopped coming: says what is missing.
    pub(super) fn ask_for_gaps(&mut self, index: usize) {
        self.counters.groups_with_gaps += 1;
        let record = &mut self.clients[index];
        record.attempts = record.attempts.saturating_add(1);
        let (host, attempts) = (record.host, record.attempts);
        if record.response_message.has(message::DATAGRAM) {
            // Nobody kept the response: the request is carried out again, from its first block on.
            record.state = ClientState::Awaiting;
            record.outgoing.restart();
            record.outgoing.pause();
            self.retransmit_request(index);
            return;
        }
        // A host that lives may have lost the response all the same, with its engine's state.
        if self.is_stalled(attempts) || self.is_silent(host, attempts) {
            self.end_partial(index);
            return;
        }
        self.report_gaps(index, Some(attempts));
        let wait_ns = self.configuration.group_gap_ns.max(self.answer_time_ns(host, attempts));
        self.set_client_timer(index, self.now_ns + wait_ns);
    }

    pub(super) fn end_partial(&mut self, index: usize) {
        let record = &mut self.clients[index];
        if record.response_message.has(message::DELIVERY_MASK) {
            record.response_message.words[6] = record.incoming.first_received();
            self.end_with_response(index);
        } else {
            let bytes = record.incoming.contiguous_bytes();
            self.fail_client(index, Failure::BadReplySegment { bytes });
        }
    }

    /// Tells the server which groups of the response are not whole: all of them, or those that are missed after so many
    /// silences.
    pub(super) fn report_gaps(&mut self, index: usize, silences: Option<u8>) {
        let record = &self.clients[index];
        let (client, server) = (record.header.client, record.responder);
        let first = record.header.transaction;
        let movable = record.incoming.movable();
        let Some(destination) = self.server_destination(index) else { return };
        if let Some(group) = movable {
            let transaction = first.wrapping_add(u32::from(group));
            let notice = Notice { transaction, delivery: u32::MAX, code: code::OK };
            self.notify_server(destination, server, client, notice);
        }
        let incoming = self.clients[index].incoming;
        match silences {
            None => self.ask_for(index, incoming.gaps()),
            Some(silences) => self.ask_for(index, incoming.gaps_after(silences)),
        }
    }

    /// Tells the server what has come of groups that are not whole.
    #[inline(never)]
    fn ask_for(&mut self, index: usize, gaps: impl Iterator<Item = (u16, u32)>) {
        let record = &self.clients[index];
        let (client, server, first) = (record.header.client, record.responder, record.header.transaction);
        let Some(destination) = self.server_destination(index) else { return };
        for (group, delivery) in gaps {
            self.clients[index].incoming.count_loss();
            let transaction = first.wrapping_add(u32::from(group));
            let notice = Notice { transaction, delivery, code: code::RETRY };
            self.notify_server(destination, server, client, notice);
        }
    }

    /// Where the responder is.
    pub(super) fn server_destination(&self, index: usize) -> Option<Destination> {
        let responder = u64::from(self.clients[index].responder.host().to_bits());
        let host = self.host_map.get(responder)?;
        self.hosts[host].address.map(Destination::Host)
    }

    pub(crate) fn receive_response(&mut self, from: Address, header: &Header) -> Option<Store> {
        self.watch_for_conflict(&from, header, header.server);
        if header.client == EntityId::DEFAULT_CLIENT {
            self.claim_answered(header);
            return None;
        }
        if !self.may_come_from(&from, header.server) {
            self.counters.packets_ignored += 1;
            return None;
        }
        if header.client.is_manager() {
            self.receive_probe_answer(from, header);
            return None;
        }
        let Some((index, group)) = self.open_transaction(header.client, header.transaction) else {
            self.refuse_response(from, header);
            return None;
        };
        self.hear_responder(index, from, header);
        if self.is_collecting(index) {
            return self.receive_member(index, group, from, header);
        }
        let record = &self.clients[index];
        let is_first = record.state == ClientState::Awaiting;
        // Of an idempotent response the request may be carried out again: pieces of two responses do not mix.
        let is_redone = record.response_message.has(message::DATAGRAM)
            && record.response_control.retransmit_count() != header.control.retransmit_count();
        if !is_first && record.responder != header.server {
            return None;
        }
        if (is_first || is_redone) && !self.begin_response(index, header) {
            return None;
        }
        self.take_response_packet(index, group, header, from)
    }

    /// A response's first packet. False if its segment is too long to receive.
    pub(super) fn begin_response(&mut self, index: usize, header: &Header) -> bool {
        let record = &mut self.clients[index];
        let bytes = header.message.segment_bytes();
        if bytes > record.response.bytes {
            self.fail_client(index, Failure::Protocol);
            return false;
        }
        let wanted =
            if header.message.has(message::DELIVERY_MASK) { header.message.words[6] } else { u32::MAX };
        record.state = ClientState::Receiving;
        record.incoming = Incoming::start(bytes, wanted);
        record.responder = header.server;
        record.response_control = header.control;
        record.response_message = header.message;
        record.attempts = 0;
        record.outgoing.pause();
        let (host, had_data) = (record.host, record.outgoing.has_data());
        self.ready.remove(index);
        if had_data && host != NO_HOST {
            self.narrow_gap(host as usize);
        }
        true
    }

    pub(super) fn take_response_packet(
        &mut self,
        index: usize,
        group: u16,
        header: &Header,
        from: Address,
    ) -> Option<Store> {
        self.arriving.0 = None;
        let record = &mut self.clients[index];
        let bytes = record.response_message.segment_bytes();
        let in_group_bytes = group_bytes(bytes, group);
        if !header.holds(in_group_bytes) {
            self.counters.packets_malformed += 1;
            return None;
        }
        let before = record.incoming.whole_groups();
        let new = record.incoming.accept(group, header.delivery).unwrap_or(0);
        let store = (new != 0).then_some(Store {
            buffer: record.response.buffer,
            segment_offset: u32::from(group) * GROUP_BYTES as u32,
            group_bytes: in_group_bytes,
            delivery: header.delivery,
            is_first: false,
        });
        let acknowledge = header.control.has(Control::ACKNOWLEDGE);
        if new != 0 {
            record.attempts = 0;
        } else if bytes != 0 && !acknowledge {
            self.counters.duplicates += 1;
        }
        let (client, first, whole) =
            (record.header.client, record.header.transaction, record.incoming.whole_groups());
        if record.incoming.is_complete() {
            self.counters.groups_received += u64::from(whole.max(1));
            let (host, is_lossy) = (record.host, record.incoming.is_lossy());
            if is_lossy && host != NO_HOST {
                self.widen_wanted_gap(host as usize);
            } else if bytes != 0 && host != NO_HOST {
                self.narrow_wanted_gap(host as usize);
            }
            if acknowledge {
                let transaction = first.wrapping_add(u32::from(whole.saturating_sub(1)));
                let notice = Notice { transaction, delivery: u32::MAX, code: code::OK };
                self.notify_server(Destination::Host(from), header.server, client, notice);
            }
            self.end_with_response(index);
            return store;
        }
        if acknowledge && header.delivery == 0 {
            self.report_gaps(index, None);
        } else if record.incoming.moves_window(group, before, acknowledge) {
            let transaction = first.wrapping_add(u32::from(whole - 1));
            let notice = Notice { transaction, delivery: u32::MAX, code: code::OK };
            self.notify_server(Destination::Host(from), header.server, client, notice);
        }
        if self.clients[index].incoming.is_overtaken_by(group) {
            let overtaken = self.clients[index].incoming.overtaken(group);
            self.ask_for(index, overtaken);
        }
        let wait_ns = self.configuration.group_gap_ns;
        self.set_client_timer(index, self.now_ns + wait_ns);
        if let Some(store) = store.filter(|_| !acknowledge) {
            self.expect_more(index, group, store, header);
        }
        store
    }

    /// The packet of `header`, whose data `store` says what to do with, is not the last of `group`: those that follow
    /// it without a gap may take the short way.
    pub(crate) fn expect_more(&mut self, index: usize, group: u16, store: Store, header: &Header) {
        let record = &self.clients[index];
        let Some(blocks) = record.incoming.unfinished(group) else { return };
        let is_by_asked =
            record.host != NO_HOST && self.hosts[record.host as usize].number == header.server.host();
        let packet_blocks = header.delivery.count_ones();
        let is_whole = u32::from(header.length_words) * 4 == packet_blocks * BLOCK_BYTES as u32;
        let is_same = record.response_control.retransmit_count() == header.control.retransmit_count();
        if is_by_asked && is_whole && is_run(header.delivery) && is_same {
            let delivery = header.delivery.unbounded_shl(packet_blocks);
            self.arriving.0 = Some(Arriving {
                index,
                host: record.host as usize,
                header: Header { delivery, ..*header },
                packet_blocks,
                blocks,
                group,
                store,
                noted_ns: None,
            });
        }
    }

    fn end_with_response(&mut self, index: usize) {
        self.answered_in_run(index);
        self.end_client(index, Ending::Response);
    }

    /// The responder's host has been heard from, by a transaction that waited for it or another.
    pub(super) fn hear_responder(&mut self, index: usize, from: Address, header: &Header) {
        let host = self.clients[index].host;
        let number = header.server.host();
        if host != NO_HOST && self.hosts[host as usize].number == number {
            self.hear_host(host as usize, from);
        } else if let Some(host) = self.host_of(number) {
            self.hear_host(host, from);
        }
    }

    /// A response that nobody waits for: where it asks for an acknowledgement, its server must be told to stop.
    pub(super) fn refuse_response(&mut self, from: Address, header: &Header) {
        self.counters.duplicates += 1;
        let asks = header.control.has(Control::ACKNOWLEDGE);
        if asks && self.is_local(header.client.host()) && !header.client.is_group() {
            let notice = Notice {
                transaction: header.transaction,
                delivery: u32::MAX,
                code: code::BAD_TRANSACTION_ID,
            };
            self.notify_server(Destination::Host(from), header.server, header.client, notice);
        }
    }
}
