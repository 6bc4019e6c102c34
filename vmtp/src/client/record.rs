//! The record of a local client's transaction, and how it changes when a whole message goes by.

use super::run::Place;
use super::{SKIPPED_TRANSACTIONS, Send};
use crate::EntityId;
use crate::action::{Buffer, Response, Segment, SendId};
use crate::outcome::{Failure, Outcome};
use crate::packet::header::{Control, Function, Header};
use crate::packet::message::{self, Message};
use crate::table::NEVER;
use crate::transfer::{Incoming, Outgoing};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) enum ClientState {
    #[default]
    Free,
    /// No packet of the response has come.
    Awaiting,
    /// Some of it has.
    Receiving,
    /// The outcome is to be given out.
    Ended,
}

/// What is asked of a transaction's request all along.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) enum SendKind {
    /// It is to a group, or in a run.
    #[default]
    Other,
    /// Its request has a segment.
    Large,
    /// So it has, and the server answers at once ([`Send::is_prompt`]).
    Prompt,
    /// It has none.
    Small,
}

impl SendKind {
    /// Of a transaction with a request segment of `bytes`.
    pub(super) fn of(server: EntityId, is_in_run: bool, bytes: u32) -> SendKind {
        match bytes {
            _ if is_in_run || server.is_group() => SendKind::Other,
            0 => SendKind::Small,
            _ => SendKind::Large,
        }
    }
}

/// The outcome of a transaction that has ended, but for what else is in the record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(super) enum Ending {
    #[default]
    Response,
    Collected,
    Batched {
        by: u32,
    },
    Sent,
    Failed {
        failure: Failure,
        may_have_been_executed: bool,
    },
}

/// A local client's transaction.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub(crate) struct ClientRecord {
    pub state: ClientState,
    /// The request's, as sent.
    pub header: Header,
    /// Where the request goes, or [`NO_HOST`] for all members of a group.
    pub host: u32,
    pub began_ns: u64,
    pub deadline_ns: u64,
    pub(super) request: Option<Segment>,
    pub outgoing: Outgoing,
    /// A packet has left.
    pub(super) sent: bool,
    /// Which short paths it may take, among others.
    pub kind: SendKind,
    /// Retransmissions without an answer.
    pub attempts: u8,
    /// Acknowledgements without a response: the server is at work.
    pub(super) polls: u8,
    pub(super) transmitted_ns: u64,
    pub(super) response: Segment,
    pub incoming: Incoming,
    pub(super) responder: EntityId,
    pub(super) response_control: Control,
    pub(super) response_message: Message,
    pub(super) ending: Ending,
    /// Responses given out, of a request that wants several.
    pub(super) collected: u32,
    /// Of such a request: the record of the response that began to come last.
    pub(super) members: Option<u32>,
    /// Its place in a run; of none, blank.
    pub(super) run: Place,
}

impl ClientRecord {
    pub fn id(&self, index: usize) -> SendId {
        SendId { index: index as u32, client: self.header.client, transaction: self.header.transaction }
    }

    /// Begins with `send`, which has no segment and is sent to `host` at once, in place of whatever was there.
    #[inline(always)]
    pub fn begin(&mut self, send: &Send, host: u32, wanted_gap: u8, now_ns: u64) {
        self.state = ClientState::Awaiting;
        self.header = Header {
            client: send.client,
            domain: 0,
            flags: 0,
            length_words: 0,
            control: Control::new(Function::Request)
                .with_priority(send.priority)
                .with_gap_or_group_count(wanted_gap)
                .and(send.flags & Send::FLAGS),
            transaction: send.transaction,
            delivery: 0,
            server: send.server,
            message: send.message,
        };
        self.header.message.words[0] &= !message::SEGMENT;
        self.host = host;
        self.began_ns = now_ns;
        self.deadline_ns = NEVER;
        self.request = None;
        self.outgoing.become_sent_bare();
        self.sent = true;
        self.kind = SendKind::Small;
        self.attempts = 0;
        self.polls = 0;
        self.transmitted_ns = now_ns;
        self.response = send.response;
        self.incoming.clear();
        self.responder = EntityId::NONE;
        self.response_control = Control(0);
        self.response_message = Message::default();
        self.ending = Ending::default();
        self.collected = 0;
    }

    /// Whether it waits for the response of `header`, which has a segment of `bytes`.
    #[inline]
    pub fn takes_group(&self, header: &Header, bytes: u32) -> bool {
        self.state == ClientState::Awaiting
            && self.header.transaction == header.transaction
            && self.kind != SendKind::Other
            && bytes <= self.response.bytes
    }

    /// The response of `header` has begun to come.
    #[inline]
    pub fn begin_group(&mut self, header: &Header, incoming: Incoming) {
        self.state = ClientState::Receiving;
        self.incoming = incoming;
        self.responder = header.server;
        self.response_control = header.control;
        self.response_message = header.message;
        self.attempts = 0;
        self.outgoing.pause();
    }

    /// Where the response's segment goes.
    pub fn response_buffer(&self) -> Buffer {
        self.response.buffer
    }

    /// The response's message, once some of it has come.
    pub fn response_message(&self) -> Message {
        self.response_message
    }

    /// It is over: the record is free.
    #[inline]
    pub fn end(&mut self) {
        self.state = ClientState::Free;
        self.outgoing.clear();
    }

    /// How it ended.
    pub(super) fn outcome(&self) -> Outcome {
        match self.ending {
            Ending::Response => Outcome::Response(Response {
                server: self.responder,
                message: self.response_message,
                segment_bytes: self.response_message.segment_bytes(),
            }),
            Ending::Collected => Outcome::Collected { responses: self.collected },
            Ending::Batched { by } => Outcome::Batched { by },
            Ending::Sent => Outcome::Sent,
            Ending::Failed { failure, may_have_been_executed } => {
                Outcome::Failed { failure, may_have_been_executed }
            }
        }
    }

    /// Which packet group of the transaction has this number, if any.
    pub(super) fn group_of(&self, transaction: u32) -> Option<u16> {
        let group = transaction.wrapping_sub(self.header.transaction);
        let skips = self.header.control.has(Control::SKIP_TRANSACTIONS);
        (group == 0 || skips && group < SKIPPED_TRANSACTIONS).then_some(group as u16)
    }
}
