//! Runs of transactions (RFC 1045, 2.11), the client's side: several of one client with one server are outstanding, and
//! the server takes them in the order of their numbers.
//!
//! Each has a record of its own, with its own id, outcome and deadline. The map leads to the first, each leads to the
//! next; one stays in its place until its outcome is given out.
//!
//! - *In order*: a request leaves when all before it have left, and no more of them are outstanding than the server's
//!   host takes ([`RunWindow`]). One timer drives them all, that of the first without an answer, so that a new request
//!   which asks for an acknowledgement tells that none before it waits; what was lost after it
//!   shows when that has its response, when a later response comes, or when the server's host says what it misses.
//! - *Without its predecessor*, where that failed here and never got there, a request starts the run anew: its packets
//!   lose [`Control::NOT_START_OF_RUN`], which ends at the server whatever is before. So it waits until it is the first.
//! - A response may stand for others before it: they end with [`Outcome::Batched`](crate::Outcome::Batched).

use super::{ClientState, Ending, Send, next_retransmit_count, transaction_step};
use crate::EntityId;
use crate::encapsulation::Address;
use crate::engine::Engine;
use crate::host::NO_HOST;
use crate::manager::{Notice, code};
use crate::outcome::SendError;
use crate::packet::header::Control;

/// The numbers that a transaction and the next one of its run may differ by.
const STEPS: [u32; 2] = [1, super::SKIPPED_TRANSACTIONS];

/// A transaction's place in a run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(super) struct Place {
    pub in_run: bool,
    /// How many were sent before it since its run's records began.
    pub sequence: u32,
    /// The next one's record.
    pub later: Option<u32>,
    /// When it was last sent again at the wish of the server's host; 0 for never.
    pub repeated_ns: u64,
    /// Of the last record, what the next to be sent will be: those between have their outcome.
    pub next: Next,
}

/// The transaction of a run that is to be sent next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(super) struct Next {
    pub transaction: u32,
    pub sequence: u32,
    /// There may be one.
    pub may_follow: bool,
}

/// How many transactions of a client's run a host takes at a time, as far as is known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct RunWindow {
    /// 0 for no limit.
    limit: u8,
    refused: bool,
}

impl RunWindow {
    /// Whether the host takes no runs.
    pub fn is_refused(self) -> bool {
        self.refused
    }

    fn allows(self, ahead: u32) -> bool {
        self.limit == 0 || ahead < u32::from(self.limit)
    }

    /// It took so many and no more.
    fn shrink(&mut self, taken: u32) {
        let taken = u8::try_from(taken.max(1)).unwrap_or(u8::MAX);
        self.limit = if self.limit == 0 { taken } else { taken.min(self.limit) };
    }

    /// It answered one, and may take one more.
    fn grow(&mut self, most: usize) {
        self.limit = if usize::from(self.limit) >= most { 0 } else { self.limit.saturating_add(1) };
    }
}

impl Engine {
    /// The records of a client's transactions, in order.
    pub(super) fn run_of(&self, client: EntityId) -> impl Iterator<Item = usize> + '_ {
        let first = self.client_map.get(client.to_bits());
        core::iter::successors(first, |index| self.clients[*index].run.later.map(|later| later as usize))
    }

    /// Of those, the ones without an outcome.
    pub(crate) fn open_run_of(&self, client: EntityId) -> impl Iterator<Item = usize> + '_ {
        self.run_of(client).filter(|index| self.clients[*index].state != ClientState::Ended)
    }

    /// The client's transaction, without an outcome, that `transaction` is a packet group of, and which.
    pub(super) fn open_transaction(&self, client: EntityId, transaction: u32) -> Option<(usize, u16)> {
        self.open_run_of(client).find_map(|index| Some((index, self.clients[index].group_of(transaction)?)))
    }

    /// Whether no transaction of the same client before it waits for an answer.
    pub(super) fn is_first_open(&self, index: usize) -> bool {
        let record = &self.clients[index];
        !record.run.in_run || self.open_run_of(record.header.client).next() == Some(index)
    }

    /// The place that `send` takes.
    pub(super) fn place_in_run(&self, send: &Send) -> Result<Place, SendError> {
        let in_run = send.is_in_run();
        if in_run && (send.server.is_group() || self.configuration.run_length == 0) {
            return Err(SendError::BadMessage);
        }
        let mut place = Place { in_run, ..Place::default() };
        let mut run = self.run_of(send.client);
        if let Some(first) = run.next() {
            let last = &self.clients[run.last().unwrap_or(first)];
            let next = &last.run.next;
            let ahead = next.sequence.wrapping_sub(self.clients[first].run.sequence) as usize;
            let follows = send.flags & Control::NOT_START_OF_RUN != 0 && next.may_follow;
            if !follows || ahead >= self.configuration.run_length {
                return Err(SendError::ClientBusy);
            }
            // Of a run that an earlier engine began, some may have had their outcome.
            let may_skip = send.resumed_since_ns.is_some();
            let skipped = send.transaction.wrapping_sub(next.transaction).cast_signed();
            if skipped < 0 || skipped > 0 && !may_skip || send.server != last.header.server {
                return Err(SendError::BadMessage);
            }
            place.sequence = next.sequence;
        }
        let request_bytes = send.segment.map_or(0, |segment| segment.bytes);
        place.next = Next {
            transaction: send.transaction.wrapping_add(transaction_step(request_bytes, send.response.bytes)),
            sequence: place.sequence.wrapping_add(1),
            may_follow: in_run && send.flags & Control::NOT_END_OF_RUN != 0,
        };
        Ok(if in_run { place } else { Place::default() })
    }

    /// Record `index` comes behind all others of its client.
    pub(super) fn enter_run(&mut self, index: usize) {
        let client = self.clients[index].header.client;
        match self.run_of(client).last() {
            Some(last) => self.clients[last].run.later = Some(index as u32),
            None => self.client_map.insert(client.to_bits(), index),
        }
    }

    /// Takes record `index` out.
    pub(super) fn leave_run(&mut self, index: usize) {
        let record = &self.clients[index];
        let (client, Place { later, next, .. }) = (record.header.client, record.run);
        let before = self.run_of(client).find(|before| self.clients[*before].run.later == Some(index as u32));
        match (before, later) {
            (Some(before), Some(later)) => self.clients[before].run.later = Some(later),
            (Some(before), None) => {
                let place = &mut self.clients[before].run;
                (place.later, place.next) = (None, next);
            }
            (None, Some(later)) => self.client_map.insert(client.to_bits(), later as usize),
            (None, None) => self.client_map.remove(client.to_bits()),
        }
    }

    /// Whether a packet of request `index` may leave, as far as those before it are concerned.
    pub(super) fn may_go(&self, index: usize) -> bool {
        let record = &self.clients[index];
        if !record.run.in_run {
            return true;
        }
        let mut before = self.open_run_of(record.header.client).take_while(|before| *before != index);
        let Some(first) = before.next() else { return true };
        let ahead = record.run.sequence.wrapping_sub(self.clients[first].run.sequence);
        record.header.control.has(Control::NOT_START_OF_RUN)
            && self.hosts[record.host as usize].run_window.allows(ahead)
            && self.clients[first].outgoing.is_idle()
            && before.all(|before| self.clients[before].outgoing.is_idle())
    }

    /// Request `index` has left, or is over: the next may leave, and if it was the first, the next one's time begins.
    pub(super) fn go_on_with_run(&mut self, index: usize) {
        let record = &self.clients[index];
        if !record.run.in_run {
            return;
        }
        let (client, sequence) = (record.header.client, record.run.sequence);
        let first = self.open_run_of(client).next();
        if let Some(first) = first {
            let first_record = &self.clients[first];
            let succeeds = first_record.run.sequence.wrapping_sub(sequence).cast_signed() > 0;
            let waits = first_record.state == ClientState::Awaiting && first_record.outgoing.is_idle();
            if succeeds && waits {
                self.await_answer(first);
            }
        }
        self.wake_run(client);
    }

    /// The first of a client's requests that has something to send may send it.
    fn wake_run(&mut self, client: EntityId) {
        let next = self.open_run_of(client).find(|index| !self.clients[*index].outgoing.is_idle());
        if let Some(next) = next.filter(|next| self.may_go(*next)) {
            if self.client_destination(next).is_some() {
                self.ready.insert(next);
            } else {
                self.locate_host(self.clients[next].host as usize);
            }
        }
    }

    /// Transaction `index` has its response. Those before it have theirs with it, or are asked for again.
    pub(super) fn answered_in_run(&mut self, index: usize) {
        let record = &self.clients[index];
        if !record.run.in_run {
            return;
        }
        let (client, by) = (record.header.client, record.header.transaction);
        let is_server = record.responder == record.header.server;
        let count = if is_server { record.response_control.gap_or_group_count() } else { 0 };
        if record.host != NO_HOST {
            let most = self.configuration.run_length;
            self.hosts[record.host as usize].run_window.grow(most);
        }
        let mut next = self.client_map.get(client.to_bits());
        while let Some(before) = next.filter(|before| *before != index) {
            let record = &mut self.clients[before];
            next = record.run.later.map(|later| later as usize);
            if record.state != ClientState::Awaiting {
                continue;
            }
            if by.wrapping_sub(record.header.transaction) <= u32::from(count) {
                self.end_client(before, Ending::Batched { by });
            } else if record.sent && record.outgoing.is_idle() && record.attempts == 0 {
                // Once: then its timer, or a word that it is there.
                record.attempts = 1;
                self.retransmit_request(before);
            }
        }
    }

    /// A notice that concerns more of a client's run than the transaction it names. `control` is that of the packet that it
    /// is about.
    pub(super) fn run_notified(&mut self, client: EntityId, from: Address, control: Control, notice: Notice) {
        let Some(index) = self.open_run_of(client).next() else { return };
        let host = self.clients[index].host as usize;
        if notice.code != code::ENTITY_MIGRATED {
            self.hear_host(host, from);
        }
        let next = self.open_run_of(client).find(|index| self.is_after(*index, notice.transaction));
        match notice.code {
            code::RETRY_ALL => {
                if let Some(next) = next {
                    self.resume_run(next, notice.transaction);
                }
            }
            code::MSGTRANS_OVERFLOW => self.hold_run(client, next),
            code::BUSY => {
                let busy = self.open_transaction(client, notice.transaction).map(|(index, _)| index);
                if busy.is_some() {
                    self.hold_run(client, busy);
                }
            }
            code::NO_RUN_RECORD => {
                // All packets of a run without a start are answered like this; those that left before it was begun
                // anew tell nothing new.
                let is_of_last = |(index, _): &(usize, u16)| {
                    let last = self.clients[*index].header.control;
                    last.retransmit_count() == control.retransmit_count()
                };
                let is_awaiting = |index: &usize| self.clients[*index].state == ClientState::Awaiting;
                let about = self.open_transaction(client, notice.transaction).filter(is_of_last);
                let start = about.and_then(|_| self.open_run_of(client).find(is_awaiting));
                if let Some(start) = start.filter(|start| !self.was_just_repeated(*start)) {
                    self.start_run_anew(start);
                }
            }
            code::STREAMING_NOT_SUPPORTED => {
                self.hosts[host].run_window.refused = true;
                let mut next = Some(index);
                while let Some(index) = next {
                    let record = &mut self.clients[index];
                    record.header.control = record.header.control.without(Control::PLACE_IN_RUN);
                    next = record.run.later.map(|later| later as usize);
                }
                self.send_from(index);
            }
            _ => {
                self.send_from(index);
                self.look_for_host(host);
            }
        }
    }

    /// The server's host waits for the rest of `transaction`, which is over here: what is behind it starts the run anew.
    pub(super) fn run_lacks(&mut self, client: EntityId, transaction: u32) {
        let next = self.open_run_of(client).find(|index| self.is_after(*index, transaction));
        let Some(next) = next else { return };
        let record = &self.clients[next];
        // One that is a start has been sent, or will be when it is the first.
        let is_start = !record.header.control.has(Control::NOT_START_OF_RUN);
        if record.run.in_run && !is_start && !self.was_just_repeated(next) {
            self.start_run_anew(next);
        }
    }

    /// Whether what the server's host says may be about packets of a run that left before request `index` and those
    /// behind it were sent again. Each word heard may cause another, so that without a pause there would be no end.
    fn was_just_repeated(&self, index: usize) -> bool {
        let repeated_ns = self.clients[index].run.repeated_ns;
        repeated_ns != 0 && self.now_ns - repeated_ns < self.configuration.retransmit_min_ns
    }

    fn is_after(&self, index: usize, transaction: u32) -> bool {
        self.clients[index].header.transaction.wrapping_sub(transaction).cast_signed() > 0
    }

    /// The server's host has everything up to transaction `last`, and nothing of `next`, which is the next to it here.
    fn resume_run(&mut self, next: usize, last: u32) {
        if self.was_just_repeated(next) {
            return;
        }
        let step = self.clients[next].header.transaction.wrapping_sub(last);
        if STEPS.contains(&step) {
            self.send_from(next);
        } else {
            // Those between are over: they will never get there.
            self.start_run_anew(next);
        }
    }

    fn start_run_anew(&mut self, index: usize) {
        let control = &mut self.clients[index].header.control;
        *control = control.without(Control::NOT_START_OF_RUN);
        self.send_from(index);
    }

    /// Sends request `index` and those behind it again, whole, as far as they have been sent.
    fn send_from(&mut self, index: usize) {
        let client = self.clients[index].header.client;
        let mut next = Some(index);
        while let Some(index) = next {
            let record = &mut self.clients[index];
            next = record.run.later.map(|later| later as usize);
            if record.state == ClientState::Awaiting && record.sent {
                let control = record.header.control.without(Control::ACKNOWLEDGE);
                let count = next_retransmit_count(control.retransmit_count());
                record.header.control = control.with_retransmit_count(count);
                // If this is lost, too, it should be asked for soon.
                record.attempts = 1;
                record.run.repeated_ns = self.now_ns;
                record.outgoing.restart();
                self.counters.retransmissions += 1;
            }
        }
        self.wake_run(client);
    }

    /// The server's host has no room for `next` and what is behind it: they wait until those before are answered.
    fn hold_run(&mut self, client: EntityId, next: Option<usize>) {
        let (Some(next), Some(first)) = (next, self.open_run_of(client).next()) else { return };
        let sequence = |index: usize| self.clients[index].run.sequence;
        let taken = sequence(next).wrapping_sub(sequence(first));
        let host = self.clients[next].host as usize;
        self.hosts[host].run_window.shrink(taken);
        self.send_from(next);
        if next == first && self.clients[next].state == ClientState::Awaiting {
            self.ready.remove(next);
            self.request_must_wait(next);
        }
    }
}
