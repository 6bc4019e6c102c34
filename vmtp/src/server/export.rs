//! A remote client's transaction with a local server, in an exported state.
//!
//! ```text
//! header as the request's, or the response's or forwarded request's if there is one (no message else);
//! state u8: 1 being served, 2 being forwarded, 3 answered; server asked u64, count of forwardings u8, gap wanted u8
//! age u64 ns, time that it is kept u64 ns
//! answer u8: 0 nothing, 1 the response, 2 a notice, 3 forwarded, 4 a later one's of its run; notice's code u32; segment to send again
//! packet groups acknowledged u16, whether some of it was not sent yet u8, whether a host follows u8, that host u32
//! ```

use alloc::vec::Vec;

use super::{Answer, Handed, ServerRecord, ServerState};
use crate::engine::Engine;
use crate::export::{ImportError, Imported, Reader, Writer};
use crate::manager::code;
use crate::packet::header::{Control, Function};
use crate::packet::{Header, Message, message};
use crate::transfer::Outgoing;
use crate::{EntityId, LogicalHost};

/// A transaction, checked. Its times are still relative, its host numbered as on the network.
pub(crate) struct ImportedRequest {
    record: ServerRecord,
    age_ns: u64,
    left_ns: u64,
    target: Option<LogicalHost>,
    unsent: bool,
}

impl ImportedRequest {
    /// Whose it is.
    pub fn client(&self) -> EntityId {
        self.record.header.client
    }

    /// The hosts that it is with.
    pub fn hosts(&self) -> impl Iterator<Item = LogicalHost> {
        [Some(self.record.header.client.host()), self.target].into_iter().flatten()
    }

    pub fn read(from: &mut Reader<'_>, host: LogicalHost) -> Result<ImportedRequest, ImportError> {
        let header = from.header()?;
        let state = from.u8()?;
        let server = EntityId::from_bits(from.u64()?);
        let (forward_count, wanted_gap) = (from.u8()?, from.u8()?);
        let (age_ns, left_ns) = (from.u64()?, from.u64()?);
        let (answer, notice) = (from.u8()?, from.u32()?);
        let response = from.segment()?;
        let (acknowledged, unsent) = (from.u16()?, from.flag()?);
        let (has_target, number) = (from.flag()?, from.u32()?);
        let target = has_target.then_some(LogicalHost::from_bits(number));
        let (state, answer) = match (state, answer) {
            (1, 0) if response.is_none() => (ServerState::Processing, Answer::Nothing),
            (2, 3) if has_target => (ServerState::Forwarding, Answer::Forwarded),
            (3, 0) if response.is_none() => (ServerState::Answered, Answer::Nothing),
            (3, 1) => (ServerState::Answered, Answer::Response),
            (3, 2) if response.is_none() => (ServerState::Answered, Answer::Notice(notice)),
            (3, 3) => (ServerState::Answered, Answer::Forwarded),
            (3, 4) if response.is_none() => (ServerState::Answered, Answer::Batched),
            _ => return Err(ImportError::Malformed),
        };
        let function = if answer == Answer::Response { Function::Response } else { Function::Request };
        let is_odd = header.client.host() == host
            || server.host() != host
            || server.is_group()
            || header.server.is_group()
            || forward_count > 15
            || has_target != (answer == Answer::Forwarded)
            || has_target && (target == Some(host) || target.map(LogicalHost::to_bits) != Some(number))
            || header.control.function() != function
            || response.is_some_and(|segment| segment.bytes != header.message.segment_bytes());
        let bytes = response.map_or(0, |segment| segment.bytes);
        let wanted =
            if header.message.has(message::DELIVERY_MASK) { header.message.words[6] } else { u32::MAX };
        let outgoing = Outgoing::resume(bytes, wanted, acknowledged).filter(|_| !is_odd);
        let Some(outgoing) = outgoing else { return Err(ImportError::Malformed) };
        let record = ServerRecord {
            state,
            header,
            outgoing,
            answer,
            response,
            server,
            wanted_gap,
            forward_count,
            handed: if state == ServerState::Processing { Handed::Over } else { Handed::No },
            ..ServerRecord::default()
        };
        Ok(ImportedRequest { record, age_ns, left_ns, target, unsent })
    }
}

impl Engine {
    /// How many requests to servers of `host` there are, or were before those of their runs.
    pub(crate) fn count_requests(&self, host: LogicalHost) -> usize {
        let is_it = |record: &&ServerRecord| !record.server.is_group() && record.server.host() == host;
        (0..self.servers.len()).filter_map(|index| self.servers.get(index)).filter(is_it).count()
    }

    /// Moves the requests to servers of `host` to `out`; says how many. What stays of each keeps an older request of the
    /// client, to another server here, from being taken for a new one.
    pub(crate) fn export_requests(&mut self, host: LogicalHost, out: &mut Writer) -> u32 {
        let clients =
            (0..self.servers.len()).filter_map(|index| self.servers.get(index)).filter_map(|record| {
                let goes = !record.is_linked && !record.server.is_group() && record.server.host() == host;
                goes.then_some(record.header.client)
            });
        let mut count = 0;
        for client in clients.collect::<Vec<_>>() {
            self.forget_undelivered(client);
            let Some(latest) = self.server_map.get(client.to_bits()) else { continue };
            let mut run: Vec<usize> = self.run_behind(latest).collect();
            run.reverse();
            for index in run {
                self.export_request(index, out);
                count += 1;
                let node = self.server_node(index);
                let record = &mut self.servers[index];
                record.outgoing.clear();
                record.response = None;
                record.delayed = false;
                record.answer = Answer::Notice(code::ENTITY_MIGRATED);
                let target = record.target.take();
                let has_more = record.abandoned.is_some() || record.released.is_some();
                if let Some(target) = target {
                    self.let_go_of_host(target as usize);
                }
                self.close_request(index);
                if !has_more {
                    self.ready.remove(node);
                }
            }
        }
        count
    }

    /// Forgets the requests of `client` that the user never had: the client sends them again.
    fn forget_undelivered(&mut self, client: EntityId) {
        let Some(latest) = self.server_map.get(client.to_bits()) else { return };
        let is_open = |index: &usize| self.servers[*index].state != ServerState::Answered;
        let Some(index) = self.run_behind(latest).filter(is_open).last() else { return };
        // What is answered behind it was never executed either: its client no longer waits.
        self.forget_after(index);
        let record = &mut self.servers[index];
        let undelivered = matches!(record.state, ServerState::Receiving | ServerState::Validating)
            || matches!(record.handed, Handed::Due | Handed::Waiting);
        if undelivered {
            if record.state == ServerState::Processing {
                record.state = ServerState::Receiving;
            }
            self.drop_request(index);
            self.free_server(index);
        }
    }

    fn export_request(&self, index: usize, out: &mut Writer) {
        let record = &self.servers[index];
        let (answer, notice) = match record.answer {
            Answer::Nothing => (0, 0),
            Answer::Response => (1, 0),
            Answer::Notice(code) => (2, code),
            Answer::Forwarded => (3, 0),
            Answer::Batched => (4, 0),
        };
        // Where a forwarded request's target is no longer known, it only keeps the request from being executed again.
        let target = record.target.filter(|_| answer == 3);
        let answer = if answer == 3 && target.is_none() { 0 } else { answer };
        let is_sent_again = answer == 1 || answer == 3;
        let is_served = record.state == ServerState::Processing;
        let control = match answer {
            1 => record.header.control.without(Control::CONTINUED | Control::RESERVED),
            _ => Control::new(Function::Request)
                .and(record.header.control.without(Control::CONTINUED | Control::RESERVED).0 & !1),
        };
        let server = if is_sent_again { record.header.server } else { record.server };
        let message = if is_sent_again { record.header.message } else { Message::default() };
        out.header(&Header { control, server, message, ..record.header });
        out.u8(match record.state {
            ServerState::Forwarding if is_sent_again => 2,
            _ if is_served => 1,
            _ => 3,
        });
        out.u64(record.server.to_bits());
        out.u8(record.forward_count);
        out.u8(record.wanted_gap);
        out.u64(self.now_ns - record.arrived_ns);
        out.u64(record.keep_ns.saturating_sub(self.now_ns));
        out.u8(if is_served { 0 } else { answer });
        out.u32(notice);
        out.segment(record.response.filter(|_| is_sent_again && !is_served));
        out.u16(if is_sent_again && !is_served { record.outgoing.acknowledged() } else { 0 });
        out.u8(u8::from(!record.outgoing.is_idle()));
        out.u8(u8::from(target.is_some()));
        out.u32(target.map_or(0, |target| self.hosts[target as usize].number.to_bits()));
    }

    /// Goes on with a transaction, for which [`Engine::import`] has seen to room.
    pub(crate) fn import_request(&mut self, request: ImportedRequest, imported: &mut Imported) {
        let ImportedRequest { mut record, age_ns, left_ns, mut target, unsent } = request;
        let (client, transaction) = (record.header.client, record.header.transaction);
        if target.take_if(|host| self.is_local(*host)).is_some() {
            // Requests are forwarded between machines only: if it is not known here, nobody will answer it.
            imported.released.extend(record.response.take().map(|segment| segment.buffer));
            record.outgoing.clear();
            record.state = ServerState::Answered;
            record.answer = Answer::Notice(code::RESPONSE_DISCARDED);
        }
        let former = self.former_in_run(&record);
        if former.is_none() && !self.make_way(client, transaction, imported) {
            imported.released.extend(record.response.map(|segment| segment.buffer));
            if record.state == ServerState::Processing {
                imported.abandoned.push((client, transaction));
            }
            return;
        }
        let target = target.and_then(|host| self.host_of(host));
        let Some(host) = self.host_of(client.host()) else { return };
        record.host = host as u32;
        record.target = target.map(|target| target as u32);
        record.arrived_ns = self.now_ns.saturating_sub(age_ns);
        let keep_ns = self.now_ns + left_ns.min(self.configuration.retention_ns);
        record.keep_ns = keep_ns;
        let whole_again = unsent && record.outgoing.acknowledged() == 0;
        if !whole_again {
            record.outgoing.pause();
        }
        let (state, answer, has_segment) = (record.state, record.answer, record.response.is_some());
        let priority = record.header.control.priority();
        let Some(index) = self.servers.take(record) else { return };
        let node = self.server_node(index);
        self.server_map.insert(client.to_bits(), index);
        if let Some(former) = former {
            self.servers[index].linked = Some(former as u32);
            self.servers[former].is_linked = true;
            self.forget_oldest(index);
        }
        self.ready.set_priority(node, priority);
        self.hold_host(host);
        self.hosts[host].served += 1;
        if let Some(target) = target {
            self.hold_host(target);
        }
        if state == ServerState::Processing {
            imported.requests.push(self.servers[index].id(index));
            self.set_orphan_timer(index);
            return;
        }
        self.timers.set(node, keep_ns);
        let speaks = matches!(answer, Answer::Response | Answer::Forwarded);
        if speaks && (unsent || has_segment) || state == ServerState::Forwarding {
            if !whole_again {
                self.servers[index].outgoing.send_bare();
            }
            self.ready.insert(node);
        }
    }

    /// The transaction before this one in its run, if that came just before.
    fn former_in_run(&self, record: &ServerRecord) -> Option<usize> {
        let former = self.server_map.get(record.header.client.to_bits())?;
        let before = &self.servers[former];
        let ahead = record.header.transaction.wrapping_sub(before.header.transaction).cast_signed();
        let continues = record.header.control.has(Control::NOT_START_OF_RUN)
            && ahead > 0
            && before.server == record.server
            && before.state == ServerState::Answered
            && before.target.is_none()
            && before.answer != Answer::Notice(code::ENTITY_MIGRATED);
        continues.then_some(former)
    }

    /// How many records of what has moved from here are freed when transactions of these clients come back.
    pub(crate) fn marks_of(&self, clients: impl Iterator<Item = EntityId>) -> usize {
        let is_mark = |index: &usize| self.servers[*index].answer == Answer::Notice(code::ENTITY_MIGRATED);
        let mut marks: Vec<usize> =
            clients.filter_map(|client| self.server_map.get(client.to_bits())).filter(is_mark).collect();
        marks.sort_unstable();
        marks.dedup();
        marks.len()
    }

    /// Frees the record of `client`'s last transaction here, if `transaction` is newer or the same come back, and says
    /// what is to be given up with it; false if it is neither.
    fn make_way(&mut self, client: EntityId, transaction: u32, imported: &mut Imported) -> bool {
        let Some(index) = self.server_map.get(client.to_bits()) else { return true };
        let record = &self.servers[index];
        let newer = transaction.wrapping_sub(record.header.transaction).cast_signed();
        let came_back = record.answer == Answer::Notice(code::ENTITY_MIGRATED);
        if newer < 0 || newer == 0 && !came_back {
            return false;
        }
        self.drop_request(index);
        let record = &mut self.servers[index];
        record.follows = false;
        imported.abandoned.extend(record.abandoned.take().map(|transaction| (client, transaction)));
        imported.released.extend(record.released.take());
        self.free_server(index);
        true
    }
}
