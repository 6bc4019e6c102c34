//! Runs of transactions (RFC 1045, 2.11), the server's side: a client's requests come before the first is answered, and
//! are given to the user one after the other, in the order of their numbers.
//!
//! The latest has the client's record. Those before it, back to the oldest that is remembered, are linked behind it and
//! go with it; so what comes in a run that is not the next and not among them is too old or too early. A request waits
//! ([`Handed::Waiting`]) until all before it are answered. While the client's engine keeps no more outstanding than are
//! remembered here, no response that it may still ask for is forgotten.
//!
//! - A request whose predecessor is not here is dropped, and its client told after which one to begin again; unless it
//!   asks for no retransmission, like a datagram: then it takes its place beyond the gap.
//! - What there is no room for is dropped, and its client told which one was the last that was taken.
//! - A request that starts a run takes the place of all that is there, like any new request.

use super::record::response_control;
use super::{Answer, Handed, ServerRecord, ServerState};
use crate::EntityId;
use crate::action::{RequestId, Store};
use crate::client::SKIPPED_TRANSACTIONS;
use crate::encapsulation::Address;
use crate::engine::Engine;
use crate::manager::code;
use crate::outcome::BatchError;
use crate::packet::header::{Control, Header};
use crate::packet::{GROUP_BYTES, Message, message};
use crate::table::NEVER;
use crate::transfer::Outgoing;

use super::request::is_first;

/// VMTP's most urgent priority.
const URGENT: u8 = 12;

impl Engine {
    /// The records of a run that ends with `latest`, which comes first; of a request to a group, its own.
    pub(super) fn run_behind(&self, latest: usize) -> impl Iterator<Item = usize> + '_ {
        core::iter::successors(Some(latest), |index| {
            let record = &self.servers[*index];
            record.linked.filter(|_| !record.server.is_group()).map(|linked| linked as usize)
        })
    }

    /// The latest record of a client.
    fn latest_of(&self, client: EntityId) -> Option<usize> {
        self.server_map.get(client.to_bits())
    }

    /// The record that `transaction` is a packet group of, among the client's that `latest` is the last of.
    pub(super) fn transaction_of(&self, latest: usize, transaction: u32) -> Option<(usize, u16)> {
        self.run_behind(latest).find_map(|index| Some((index, self.servers[index].group_of(transaction)?)))
    }

    /// A request that is not at the start of a run, nor a known one, but newer than `latest`.
    pub(super) fn continue_run(&mut self, latest: usize, from: Address, header: &Header) -> Option<Store> {
        let record = &self.servers[latest];
        let skips = record.header.control.has(Control::SKIP_TRANSACTIONS);
        let step = if skips { SKIPPED_TRANSACTIONS } else { 1 };
        let continues = record.header.control.has(Control::NOT_END_OF_RUN);
        let is_next = continues && header.transaction == record.header.transaction.wrapping_add(step);
        // Which packet group of a longer message this is cannot be known without those before it.
        let skips_gap = (header.control.has(Control::NO_RETRANSMISSION)
            || header.message.has(message::DATAGRAM))
            && !header.control.has(Control::CONTINUED)
            && header.message.segment_bytes() as usize <= GROUP_BYTES;
        let is_same = header.server == record.server
            && !header.server.is_group()
            && header.control.forward_count() == 0
            && record.forward_count == 0;
        if !is_same || self.configuration.run_length == 0 || !is_next && !skips_gap {
            self.miss_predecessor(latest, from, header);
            return None;
        }
        if !continues {
            // The run's start never came, and is not awaited.
            return self.replace_request(latest, from, header);
        }
        let (state, is_alone) = (record.state, record.linked.is_none());
        if state == ServerState::Validating || !self.make_room_in_run(latest, header) {
            if is_alone && self.is_not_wanted(latest, 1, header) {
                return self.replace_request(latest, from, header);
            }
            self.refuse_next(latest, header);
            return None;
        }
        let host = self.servers[latest].host;
        let record = ServerRecord {
            state: ServerState::Receiving,
            header: *header,
            host,
            arrived_ns: self.now_ns,
            server: header.server,
            linked: Some(latest as u32),
            follows: true,
            ..ServerRecord::default()
        };
        let index = self.servers.take(record)?;
        self.server_map.insert(header.client.to_bits(), index);
        self.hold_host(host as usize);
        self.hosts[host as usize].served += 1;
        let former = &mut self.servers[latest];
        former.is_linked = true;
        self.begin_request(index, 0, header)
    }

    /// Forgets the oldest of an answered run that ends with `latest`, if there are too many.
    pub(super) fn forget_oldest(&mut self, latest: usize) {
        let (count, oldest) = self.length_of_run(latest);
        if count > self.configuration.run_length.max(1) {
            self.unlink(oldest);
        }
    }

    /// How many records are remembered of a run that ends with `latest`, and the oldest.
    fn length_of_run(&self, latest: usize) -> (usize, usize) {
        self.run_behind(latest).fold((0, latest), |(count, _), index| (count + 1, index))
    }

    /// Sees to it that there is a record for the request of `header`, which comes after `latest`: the oldest that is
    /// answered is forgotten for it, if its client cannot want it any more. False if there is none.
    fn make_room_in_run(&mut self, latest: usize, header: &Header) -> bool {
        let (count, oldest) = self.length_of_run(latest);
        let is_full = self.servers.used() == self.servers.len()
            || !self.may_be_served(self.servers[latest].host as usize);
        if count < self.configuration.run_length && !is_full {
            return true;
        }
        if oldest != latest && self.is_not_wanted(oldest, count, header) {
            self.unlink(oldest);
            return self.servers.used() < self.servers.len();
        }
        false
    }

    /// Whether the client of the request of `header` cannot want the response of record `oldest`, the first of `count` that
    /// come before it: it has no more of them outstanding, or repeats this one, so it waits for none before.
    fn is_not_wanted(&self, oldest: usize, count: usize, header: &Header) -> bool {
        let is_repeated = header.control.has(Control::ACKNOWLEDGE);
        self.servers[oldest].state == ServerState::Answered
            && (count >= self.configuration.run_length || is_repeated)
    }

    /// There is no room for the request after `latest`.
    pub(super) fn refuse_next(&mut self, latest: usize, header: &Header) {
        self.counters.overflows += 1;
        if is_first(header) {
            let transaction = self.servers[latest].header.transaction;
            self.notify_request(latest, transaction, u32::MAX, code::MSGTRANS_OVERFLOW);
        }
    }

    /// The request before this one is not here.
    fn miss_predecessor(&mut self, latest: usize, from: Address, header: &Header) {
        let record = &mut self.servers[latest];
        if !record.header.control.has(Control::NOT_END_OF_RUN) || self.configuration.run_length == 0 {
            self.miss_start_of_run(from, header);
            return;
        }
        // One word for each gap is enough: all that came before it was heard will come again.
        if !is_first(header) {
            return;
        }
        let is_asked = header.control.has(Control::ACKNOWLEDGE);
        let has_told = core::mem::replace(&mut record.has_told_gap, true);
        if is_asked || !has_told {
            let transaction = record.header.transaction;
            self.notify_request(latest, transaction, u32::MAX, code::RETRY_ALL);
        }
    }

    /// A request that is older than what is remembered of a run: it may have been executed, and will never be.
    pub(super) fn refuse_late(&mut self, latest: usize, from: Address, header: &Header) {
        self.counters.duplicates += 1;
        let is_asked = header.control.has(Control::ACKNOWLEDGE);
        if is_asked && is_first(header) && self.servers[latest].header.control.has(Control::NOT_START_OF_RUN)
        {
            self.notify_sender(from, header, code::RESPONSE_DISCARDED);
        }
    }

    /// The client misses a part of a response that is older than what is remembered of its run.
    pub(super) fn refuse_late_notice(&mut self, latest: usize, transaction: u32) {
        let record = &self.servers[latest];
        let is_older = transaction.wrapping_sub(record.header.transaction).cast_signed() < 0;
        if is_older && record.header.control.has(Control::NOT_START_OF_RUN) {
            self.notify_request(latest, transaction, 0, code::RESPONSE_DISCARDED);
        }
    }

    /// Something of a client's run is over: the oldest request that is not may be given to the user.
    pub(super) fn go_on_with_requests(&mut self, client: EntityId) {
        let Some(latest) = self.latest_of(client) else { return };
        let is_open = |index: &usize| {
            let record = &self.servers[*index];
            record.state != ServerState::Answered || record.abandoned.is_some()
        };
        let Some(oldest) = self.run_behind(latest).filter(is_open).last() else { return };
        let node = self.server_node(oldest);
        let record = &mut self.servers[oldest];
        if record.state == ServerState::Processing && record.handed == Handed::Waiting {
            record.handed = Handed::Due;
            self.ready.insert(node);
        }
    }

    /// Until when a run that ends with `latest`, which is answered, is kept.
    pub(super) fn run_keep_ns(&self, latest: usize) -> u64 {
        let keep_ns = |index: usize| match &self.servers[index] {
            record if record.state == ServerState::Answered => record.keep_ns,
            _ => self.now_ns + self.configuration.retention_ns,
        };
        self.run_behind(latest).map(keep_ns).fold(0, u64::max)
    }

    /// Takes record `index`, which holds nothing of its transaction any more, out of its run and frees it. If it is the
    /// latest, the one before it is again.
    pub(super) fn unlink(&mut self, index: usize) {
        let client = self.servers[index].header.client;
        let Some(latest) = self.latest_of(client) else { return };
        let linked = self.servers[index].linked.take();
        if latest != index {
            let later = self.run_behind(latest).find(|at| self.servers[*at].linked == Some(index as u32));
            if let Some(later) = later {
                self.servers[later].linked = linked;
            }
        } else if let Some(linked) = linked {
            let former = &mut self.servers[linked as usize];
            former.is_linked = false;
            former.has_told_gap = false;
            let (is_over, keep_ns) = (former.state == ServerState::Answered, former.keep_ns);
            self.server_map.insert(client.to_bits(), linked as usize);
            if is_over {
                self.timers.set(self.server_node(linked as usize), keep_ns.max(self.now_ns));
            }
        }
        self.drop_request(index);
        self.detach(index);
        self.go_on_with_requests(client);
    }

    /// Frees record `index`, to which nothing leads any more, as soon as it has given out what it has to.
    pub(super) fn detach(&mut self, index: usize) {
        let node = self.server_node(index);
        let record = &mut self.servers[index];
        record.state = ServerState::Answered;
        record.answer = Answer::Nothing;
        record.is_linked = true;
        record.keep_ns = 0;
        if record.released.is_some() || record.abandoned.is_some() {
            // The user knows what is over before it gets what takes its place.
            self.ready.remove(node);
            self.ready.set_priority(node, URGENT);
            self.ready.insert(node);
            self.timers.set(node, self.now_ns);
        } else {
            self.timers.set(node, NEVER);
            self.free_member(index);
        }
    }

    /// Forgets what came of a run after record `index`: the user has had none of it.
    pub(super) fn forget_after(&mut self, index: usize) {
        let client = self.servers[index].header.client;
        while let Some(latest) = self.latest_of(client).filter(|latest| *latest != index) {
            self.unlink(latest);
        }
    }

    /// There is no room for request `index` of a run, which the user had, nor for those after it.
    pub(super) fn refuse_run_from(&mut self, index: usize) {
        self.forget_after(index);
        let record = &mut self.servers[index];
        record.handed = Handed::No;
        if let Some(former) = record.linked {
            let former = former as usize;
            self.unlink(index);
            let transaction = self.servers[former].header.transaction;
            self.notify_request(former, transaction, u32::MAX, code::MSGTRANS_OVERFLOW);
        } else {
            self.notify_request(index, self.servers[index].header.transaction, 0, code::BUSY);
            self.stand_for_former(index);
        }
    }

    /// Whether record `index` is one of a run of several.
    pub(super) fn is_in_run(&self, index: usize) -> bool {
        let record = &self.servers[index];
        !record.server.is_group() && (record.is_linked || record.linked.is_some())
    }

    /// Ends a delivered request in the middle of a run: the response to the next one stands for its response, too. Its id
    /// is void from then on. If its client asks before there is that response, or if there never is, it gets an empty
    /// one: code 0 and zeros.
    ///
    /// # Errors
    ///
    /// See [`BatchError`].
    pub fn batch(&mut self, now_ns: u64, id: RequestId) -> Result<(), BatchError> {
        self.advance(now_ns);
        let index = self.processing(id).map_err(|_| BatchError::Stale)?;
        let record = &mut self.servers[index];
        let control = record.header.control;
        if !control.has(Control::NOT_END_OF_RUN) || control.has(Control::SKIP_TRANSACTIONS) {
            return Err(BatchError::Alone);
        }
        record.answer = Answer::Batched;
        self.close_request(index);
        Ok(())
    }

    /// How many requests before `index` its response stands for.
    pub(super) fn batched_before(&self, index: usize) -> u8 {
        let transaction = self.servers[index].header.transaction;
        let batched = self.run_behind(index).skip(1).zip(1..=u8::MAX).take_while(|(before, count)| {
            let record = &self.servers[*before];
            record.state == ServerState::Answered
                && record.answer == Answer::Batched
                && record.header.transaction == transaction.wrapping_sub(u32::from(*count))
        });
        batched.last().map_or(0, |(_, count)| count)
    }

    /// The client asks for the response to request `index`, which was to come with a later one.
    pub(super) fn repeat_batched(&mut self, index: usize) {
        let transaction = self.servers[index].header.transaction;
        let stands_for_it = |later: &usize| {
            let record = &self.servers[*later];
            let ahead = record.header.transaction.wrapping_sub(transaction);
            let count = record.header.control.gap_or_group_count();
            record.answer == Answer::Response && ahead != 0 && ahead <= u32::from(count)
        };
        let latest = self.latest_of(self.servers[index].header.client);
        let later = latest.and_then(|latest| self.run_behind(latest).find(stands_for_it));
        if let Some(later) = later {
            self.repeat_answer(later);
            return;
        }
        let record = &mut self.servers[index];
        record.header.control = response_control(record.header.control);
        record.header.server = record.server;
        record.header.message = Message::default();
        record.outgoing = Outgoing::start(0, u32::MAX);
        record.answer = Answer::Response;
        self.ready.insert(self.server_node(index));
    }
}
