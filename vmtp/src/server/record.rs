//! The record of a remote client's transaction: what it holds, and how it changes when a whole message goes by.

use super::Reply;
use crate::EntityId;
use crate::action::{Buffer, Request, RequestId, Segment};
use crate::encapsulation::Address;
use crate::packet::header::{Control, Function, Header};
use crate::packet::{GROUP_BYTES, MESSAGE_GROUPS, message};
use crate::transfer::{Incoming, Outgoing};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) enum ServerState {
    #[default]
    Free,
    /// The client's manager is being asked whether the request is current.
    Validating,
    /// Some of the request's segment has come.
    Receiving,
    /// The request is the user's.
    Processing,
    /// The request is being forwarded; the other server's host has not said yet that it has it.
    Forwarding,
    /// It is answered; the record keeps it from being executed again.
    Answered,
}

/// What is sent when an answered request comes again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(super) enum Answer {
    /// Nothing: it was a datagram.
    #[default]
    Nothing,
    /// The response.
    Response,
    /// A notice with this code.
    Notice(u32),
    /// The response to a later request of the run, once there is one.
    Batched,
    /// The request, to the server that it was forwarded to.
    Forwarded,
}

/// Whether the user has a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(super) enum Handed {
    /// Not yet, or no longer.
    #[default]
    No,
    /// It is to get it when those before it in its run are answered.
    Waiting,
    /// It is to get it.
    Due,
    /// It has.
    Over,
}

/// The transaction of a remote client.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the transaction")]
pub(crate) struct ServerRecord {
    pub state: ServerState,
    /// The request's; once there is a response, the response's.
    pub header: Header,
    /// The client's host.
    pub host: u32,
    pub(super) arrived_ns: u64,
    pub(super) incoming: Incoming,
    /// Where the request's segment is received, until it is delivered.
    pub(super) buffer: Option<Buffer>,
    pub outgoing: Outgoing,
    pub(super) answer: Answer,
    pub response: Option<Segment>,
    /// Until when the record is kept.
    pub(super) keep_ns: u64,
    pub(super) attempts: u8,
    /// The transaction of the last probe, and when it left.
    pub(super) probe: u32,
    pub(super) probe_sent_ns: u64,
    pub(super) handed: Handed,
    /// Transaction that the user has and is to be told to give up.
    pub(super) abandoned: Option<u32>,
    /// A response's segment that is not needed any more.
    pub(super) released: Option<Buffer>,
    /// Whom the request is for; the header may say the responder instead.
    pub(super) server: EntityId,
    /// While the request is received: one before it may have been executed, which must not be forgotten with it.
    pub(super) follows: bool,
    /// Who forwarded the request to us: it is told what is missing.
    pub(super) forwarder: Option<Address>,
    /// The host that we forward the request to.
    pub target: Option<u32>,
    /// Of a request to a group: the first record of a response to it. Of the latest of a run: the transaction before it.
    /// Of such a record: the next.
    pub(super) linked: Option<u32>,
    /// It is to a group, and one member here is to answer: no response has a record of its own.
    pub(super) is_for_one: bool,
    /// Another record leads to this one, or none any more; the map does not.
    pub(super) is_linked: bool,
    /// The gap between packets that the client wants.
    pub(super) wanted_gap: u8,
    /// How often the request had been forwarded when it came.
    pub(super) forward_count: u8,
    /// The response waits for a random time to be over.
    pub(super) delayed: bool,
    /// The client knows that what came after this in its run came too early.
    pub(super) has_told_gap: bool,
}

impl ServerRecord {
    pub(super) fn id(&self, index: usize) -> RequestId {
        RequestId { index: index as u32, client: self.header.client, transaction: self.header.transaction }
    }

    /// Whether its response is this record's own.
    #[inline(always)]
    pub(super) fn has_one_response(&self) -> bool {
        !self.server.is_group() || self.is_for_one
    }

    /// Whether all is done for its transaction, which is before `transaction`, and nothing is left to give out, or back
    /// but a response's segment.
    #[inline(always)]
    pub fn is_over_before(&self, transaction: u32) -> bool {
        let ahead = transaction.wrapping_sub(self.header.transaction);
        self.state == ServerState::Answered
            && ahead.cast_signed() > 0
            && !self.header.control.has_any(Control::SKIP_TRANSACTIONS | Control::PLACE_IN_RUN)
            && self.released.is_none()
            && self.abandoned.is_none()
            && self.target.is_none()
            && self.linked.is_none()
    }

    /// The response's segment is not needed any more.
    #[inline]
    pub fn release_response(&mut self) {
        if let Some(segment) = self.response.take() {
            self.released = Some(segment.buffer);
        }
    }

    /// Begins with the request of `header`, in place of one that was dropped.
    #[inline(always)]
    pub fn begin(&mut self, header: &Header, now_ns: u64) {
        let forward_count = header.control.forward_count();
        self.follows |= self.state != ServerState::Receiving;
        self.state = ServerState::Receiving;
        self.header = *header;
        self.arrived_ns = now_ns;
        self.incoming.clear();
        self.buffer = None;
        self.outgoing.clear();
        self.answer = Answer::Nothing;
        self.response = None;
        self.keep_ns = 0;
        self.attempts = 0;
        self.probe = 0;
        self.probe_sent_ns = 0;
        self.handed = Handed::No;
        self.server = header.server;
        self.forwarder = None;
        self.target = None;
        self.linked = None;
        self.wanted_gap = 0;
        self.forward_count = forward_count;
        self.delayed = false;
    }

    /// The request is all here, without data, and given to the user.
    #[inline]
    pub fn take_whole(&mut self, index: usize) -> Request {
        self.set_received();
        self.handed = Handed::Over;
        self.request(index, None)
    }

    /// The request is all here, without data, and to be given to the user.
    #[inline]
    pub fn set_received(&mut self) {
        self.incoming.become_bare();
        self.state = ServerState::Processing;
        self.handed = Handed::Due;
    }

    /// As the user gets it, with what it carries.
    #[inline]
    pub(super) fn request(&self, index: usize, segment: Option<Segment>) -> Request {
        Request {
            id: self.id(index),
            server: self.header.server,
            message: self.header.message,
            segment,
            forward_count: self.header.control.forward_count(),
            priority: self.header.control.priority(),
        }
    }

    /// Whether `reply` may answer it the short way.
    #[inline]
    pub fn takes_short(&self, reply: &Reply) -> bool {
        reply.segment.is_none()
            && self.has_one_response()
            && reply.message.words[0] & message::DELIVERY_MASK == 0
            && !self.header.control.has_any(Control::DELAY_RESPONSE | Control::PLACE_IN_RUN)
            && self.abandoned.is_none()
            && self.released.is_none()
    }

    /// Whether `reply` may answer it with a packet group that begins at once. How long that is.
    #[inline]
    pub fn takes_group(&self, reply: &Reply) -> Option<u32> {
        let bytes = reply.segment?.bytes;
        let fits = bytes != 0
            && bytes <= GROUP_BYTES as u32
            && self.has_one_response()
            && reply.message.words[0] & (message::DELIVERY_MASK | message::DATAGRAM) == 0
            && !self
                .header
                .control
                .has_any(Control::DELAY_RESPONSE | Control::GAP_OR_GROUP_COUNT | Control::PLACE_IN_RUN)
            && self.abandoned.is_none()
            && self.released.is_none();
        fits.then_some(bytes)
    }

    /// Answers it with `reply`, of whose segment the blocks in `rest` are still to be sent, and keeps that until
    /// `keep_ns`.
    #[inline]
    pub fn answer_group(&mut self, reply: &Reply, bytes: u32, rest: u32, keep_ns: u64) {
        self.answer(reply, keep_ns);
        self.header.message.words[0] |= message::SEGMENT;
        self.header.message.words[7] = bytes;
        self.outgoing = Outgoing::sent_but(bytes, rest);
        self.response = reply.segment;
    }

    /// Answers it with `reply`, which has no segment, and keeps that until `keep_ns`.
    #[inline(always)]
    pub fn answer(&mut self, reply: &Reply, keep_ns: u64) {
        let request = self.header.control;
        self.wanted_gap = request.gap_or_group_count();
        self.header.control = response_control(request);
        self.header.server = reply.server;
        self.header.message = reply.message;
        self.header.message.words[0] &= Reply::KEPT;
        self.outgoing.become_sent_bare();
        self.response = None;
        self.answer = Answer::Response;
        self.close(keep_ns);
    }

    /// From now on the record only keeps the request from being executed again.
    #[inline]
    pub(super) fn close(&mut self, keep_ns: u64) {
        self.state = ServerState::Answered;
        self.handed = Handed::No;
        self.attempts = 0;
        self.keep_ns = keep_ns;
    }

    /// Which packet group of the transaction has this number, if any.
    pub(super) fn group_of(&self, transaction: u32) -> Option<u16> {
        let group = transaction.wrapping_sub(self.header.transaction);
        let skips = self.header.control.has(Control::SKIP_TRANSACTIONS);
        (group == 0 || skips && group < MESSAGE_GROUPS as u32).then_some(group as u16)
    }
}

/// The control word of the response to a request.
pub(super) const fn response_control(request: Control) -> Control {
    const SAME: u32 = Control::RETRANSMIT_COUNT
        | Control::FORWARD_COUNT
        | Control::PRIORITY
        | Control::SKIP_TRANSACTIONS
        | Control::PLACE_IN_RUN;
    Control::new(Function::Response).and(request.0 & SAME)
}
