//! A client's transaction in an exported state.
//!
//! ```text
//! header as the request's; place in its run u8: 0 none, 1 the last, 2 before others; its number in it u32; the next one's
//! transaction u32 and number u32, if none before that is in the state; age u64 ns, time left u64 ns (all ones: no deadline), request's segment, packet groups
//! acknowledged u16, whether any of it left u8; the response's segment's room, whether some of it has come u8, and if so
//! responder u64, control u32, message, packet groups that are whole u16, blocks of the next eight u32 each
//! ```

use alloc::vec::Vec;

use super::run::{Next, Place};
use super::{ClientRecord, ClientState, SKIPPED_TRANSACTIONS, SendKind};
use crate::action::{Buffer, Segment};
use crate::engine::Engine;
use crate::export::{ImportError, Imported, Reader, Writer};
use crate::host::NO_HOST;
use crate::packet::header::{Control, Function};
use crate::packet::message;
use crate::packet::{GROUP_BYTES, Header};
use crate::table::NEVER;
use crate::transfer::{Incoming, Outgoing};
use crate::{EntityId, LogicalHost};

/// A transaction, checked. Its times are still relative.
pub(crate) struct ImportedSend {
    record: ClientRecord,
    age_ns: u64,
    left_ns: u64,
}

/// The blocks of a message's first packet group that are sent.
fn wanted(message: &message::Message) -> u32 {
    if message.has(message::DELIVERY_MASK) { message.words[6] } else { u32::MAX }
}

impl ImportedSend {
    pub fn client(&self) -> EntityId {
        self.record.header.client
    }

    /// Whether it comes after `former`, of the same client, in its run.
    pub fn continues_run_of(&self, former: &ImportedSend) -> bool {
        let (header, before) = (&self.record.header, &former.record.header);
        let step = if before.control.has(Control::SKIP_TRANSACTIONS) { SKIPPED_TRANSACTIONS } else { 1 };
        let ahead = header.transaction.wrapping_sub(before.transaction);
        let number = self.record.run.sequence.wrapping_sub(former.record.run.sequence);
        self.record.run.in_run
            && former.record.run.next.may_follow
            && header.server == before.server
            && (step..=i32::MAX as u32).contains(&ahead)
            && (1..=ahead).contains(&number)
    }

    /// The host that it is with.
    pub fn host(&self) -> Option<LogicalHost> {
        let header = &self.record.header;
        if !header.server.is_group() {
            return Some(header.server.host());
        }
        header.message.co_resident().filter(|entity| !entity.is_group()).map(EntityId::host)
    }

    pub fn read(from: &mut Reader<'_>, host: LogicalHost) -> Result<ImportedSend, ImportError> {
        let header = from.header()?;
        let (place, sequence) = (from.u8()?, from.u32()?);
        let next = Next { transaction: from.u32()?, sequence: from.u32()?, may_follow: place == 2 };
        let (age_ns, left_ns) = (from.u64()?, from.u64()?);
        let request = from.segment()?;
        let (acknowledged, sent) = (from.u16()?, from.flag()?);
        let response = from.segment()?.unwrap_or(Segment { buffer: Buffer(0), bytes: 0 });
        let bytes = request.map_or(0, |segment| segment.bytes);
        let outgoing = Outgoing::resume(bytes, wanted(&header.message), acknowledged);
        // What was acknowledged had left before.
        let is_odd = header.client.host() != host
            || acknowledged != 0 && !sent
            || place > 2
            || place == 0 && (header.control.has_any(Control::PLACE_IN_RUN) || next != Next::default())
            || place != 0 && next.transaction.wrapping_sub(header.transaction).cast_signed() <= 0
            || place != 0 && next.sequence.wrapping_sub(sequence).cast_signed() <= 0
            || place != 0 && header.server.is_group()
            || header.control.function() != Function::Request
            || bytes != header.message.segment_bytes()
            || header.server.is_group()
                && (bytes as usize > GROUP_BYTES || header.message.has(message::MULTIPLE_RESPONSES));
        let Some(outgoing) = outgoing.filter(|_| !is_odd) else { return Err(ImportError::Malformed) };
        let mut record = ClientRecord {
            state: ClientState::Awaiting,
            header,
            request,
            outgoing,
            sent,
            response,
            kind: SendKind::of(header.server, place != 0, bytes),
            run: Place { in_run: place != 0, sequence, next, ..Place::default() },
            ..ClientRecord::default()
        };
        if from.flag()? {
            record.state = ClientState::Receiving;
            record.responder = EntityId::from_bits(from.u64()?);
            record.response_control = Control(from.u32()?);
            record.response_message = from.message()?;
            let whole = from.u16()?;
            let mut received = [0; _];
            for blocks in &mut received {
                *blocks = from.u32()?;
            }
            let bytes = record.response_message.segment_bytes();
            let incoming = Incoming::resume(bytes, wanted(&record.response_message), whole, received);
            let Some(incoming) = incoming.filter(|_| bytes <= record.response.bytes) else {
                return Err(ImportError::Malformed);
            };
            record.incoming = incoming;
            record.outgoing.pause();
        }
        let send = ImportedSend { record, age_ns, left_ns };
        if send.host() == Some(host) { Err(ImportError::Malformed) } else { Ok(send) }
    }
}

impl Engine {
    /// Moves the transactions of the clients of `host` to `out`, but for those that want several responses and those that
    /// are over; says how many.
    pub(crate) fn export_sends(&mut self, host: LogicalHost, out: &mut Writer) -> u32 {
        let firsts = (0..self.clients.len()).filter_map(|index| {
            let client = self.clients.get(index)?.header.client;
            (client.host() == host && self.open_run_of(client).next() == Some(index)).then_some(client)
        });
        let all: Vec<usize> = firsts.flat_map(|client| self.open_run_of(client)).collect();
        let mut count = 0;
        for index in all {
            if self.collects(index) {
                continue;
            }
            let record = &self.clients[index];
            out.header(&Header { delivery: 0, ..record.header });
            let Place { in_run, sequence, next, .. } = record.run;
            out.u8(u8::from(in_run) + u8::from(next.may_follow));
            for number in [sequence, next.transaction, next.sequence] {
                out.u32(number);
            }
            out.u64(self.now_ns - record.began_ns);
            let left_ns = record.deadline_ns.saturating_sub(self.now_ns);
            out.u64(if record.deadline_ns == NEVER { NEVER } else { left_ns });
            out.segment(record.request);
            out.u16(record.outgoing.acknowledged());
            out.u8(u8::from(record.sent));
            out.segment(Some(record.response));
            let has_begun = record.state == ClientState::Receiving;
            out.u8(u8::from(has_begun));
            if has_begun {
                out.u64(record.responder.to_bits());
                out.u32(record.response_control.0);
                out.message(&record.response_message);
                let (whole, received) = record.incoming.parts();
                out.u16(whole);
                for blocks in received {
                    out.u32(blocks);
                }
            }
            self.forget_send(index);
            count += 1;
        }
        count
    }

    /// Frees the record of a transaction that has no outcome here.
    fn forget_send(&mut self, index: usize) {
        let host = self.clients[index].host;
        self.leave_run(index);
        if host != NO_HOST {
            self.let_go_of_host(host as usize);
        }
        self.clients.release(index);
        self.arriving.0 = None;
        self.timers.set(index, NEVER);
        self.ready.remove(index);
        self.ready.set_priority(index, 0);
    }

    /// Goes on with a transaction, for which [`Engine::import`] has seen to room.
    pub(crate) fn import_send(&mut self, send: ImportedSend, imported: &mut Imported) {
        let target = send.host();
        let mut record = send.record;
        record.began_ns = self.now_ns.saturating_sub(send.age_ns);
        record.deadline_ns = self.now_ns.saturating_add(send.left_ns);
        let peer = target.and_then(|host| self.host_of(host));
        record.host = peer.map_or(NO_HOST, |host| host as u32);
        let priority = record.header.control.priority();
        let Some(index) = self.clients.take(record) else { return };
        self.enter_run(index);
        self.ready.set_priority(index, priority);
        self.counters.sends += 1;
        imported.sends.push(self.clients[index].id(index));
        if let Some(host) = peer {
            self.hold_host(host);
        }
        let record = &self.clients[index];
        if record.state == ClientState::Receiving {
            if let Some(responder) = self.host_of(self.clients[index].responder.host())
                && self.hosts[responder].address.is_none()
            {
                self.locate_host(responder);
            }
            self.set_client_timer(index, self.now_ns);
            return;
        }
        if record.sent && self.is_first_open(index) {
            let acknowledged = record.outgoing.acknowledged();
            if acknowledged != 0 || !record.outgoing.has_data() {
                self.clients[index].outgoing.pause();
            }
            self.retransmit_request(index);
        }
        if self.client_destination(index).is_some() {
            self.ready.insert(index);
        } else if let Some(host) = peer {
            self.ready.remove(index);
            self.locate_host(host);
        }
        self.timers.set(index, self.clients[index].deadline_ns);
    }
}
