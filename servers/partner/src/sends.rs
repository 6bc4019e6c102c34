//! Processes here that send to other machines: each message becomes a transaction, and its outcome the process's.
//!
//! | what came of it | what the process gets |
//! |---|---|
//! | a response | the reply, in the name of who responded |
//! | a response that names another process | its message forwarded there |
//! | a response whose data does not fit its segment | `ReplyLost` |
//! | an error from the server's machine | that |
//! | the server's machine has no room for it | nothing yet: it is sent again after a while |
//! | no machine answers for the server | `HostNotFound`: not executed |
//! | the server's machine fell silent | `HostUnreachable`: perhaps executed |

use alloc::vec::Vec;
use core::fmt;

use abi::remote::{AGAIN, Arrival, Received};
use abi::segment::HEAD_BYTES;
use abi::wire::{PREFIX_BYTES, ReplyPrefix, RequestPrefix};
use abi::{Access, Error, LogicalHost, Pid};
use vmtp::packet::message::MULTIPLE_RESPONSES;
use vmtp::{Buffer, Failure, Outcome, Response, Segment, SendError, SendId};

use crate::groups::COLLECT_NS;
use crate::kernel::Kernel;
use crate::moves::{end_move, is_remote_server};
use crate::{Link, Partner, Standing, entity, from_wire, pid, to_wire};

/// Segments from this size on are not copied out of the inbox, but sent from where they are.
const WHOLE_INBOX_BYTES: usize = 8 * 1024;

/// A process that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sent {
    /// Who.
    pub client: Pid,
    /// For whom.
    pub to: Pid,
    /// The number of its transaction.
    pub transaction: u32,
    /// Bytes of its request's segment that are kept here.
    pub request_bytes: usize,
    /// The engine's name for it.
    pub id: SendId,
}

/// All that wait.
pub struct Sends {
    slots: Vec<Option<Sent>>,
    /// The slot of each of the engine's records.
    slot_of: Vec<u32>,
    used: usize,
}

impl fmt::Debug for Sends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.slots.iter().flatten()).finish()
    }
}

impl Sends {
    /// None, and room for `count`.
    pub fn new(count: usize) -> Sends {
        Sends { slots: alloc::vec![None; count], slot_of: alloc::vec![0; count], used: 0 }
    }

    /// Whether nobody waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// How many wait.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Who waits for a transaction.
    pub fn client_of(&self, id: SendId) -> Option<Pid> {
        let sent = self.slots[self.slot_of[id.index as usize] as usize].as_ref()?;
        (sent.id == id).then_some(sent.client)
    }

    /// The transaction in a slot, if there is one.
    pub fn id_in(&self, slot: usize) -> Option<SendId> {
        self.slots[slot].as_ref().map(|sent| sent.id)
    }

    /// Whether a process waits for a transaction, in this slot.
    pub fn awaits(&self, slot: usize, client: Pid, transaction: u32) -> bool {
        self.slots[slot].as_ref().is_some_and(|sent| sent.client == client && sent.transaction == transaction)
    }

    /// All that wait.
    pub fn iter(&self) -> impl Iterator<Item = &Sent> {
        self.slots.iter().flatten()
    }

    /// The slots of the clients of a logical host.
    pub fn of_host(&self, host: LogicalHost) -> Vec<usize> {
        let is_of = |slot: &usize| self.slots[*slot].as_ref().is_some_and(|sent| sent.client.host() == host);
        (0..self.slots.len()).filter(is_of).collect()
    }

    /// So many free slots, or as many as there are.
    pub fn free_slots(&self, count: usize) -> Vec<usize> {
        (0..self.slots.len()).filter(|slot| self.slots[*slot].is_none()).take(count).collect()
    }

    /// Notes in a slot that is free who waits.
    pub fn put(&mut self, slot: usize, sent: Sent) {
        self.slot_of[sent.id.index as usize] = slot as u32;
        self.slots[slot] = Some(sent);
        self.used += 1;
    }

    /// Frees a slot.
    pub fn take(&mut self, slot: usize) -> Option<Sent> {
        let sent = self.slots[slot].take()?;
        self.used -= 1;
        Some(sent)
    }

    /// What `client` waits for, and its slot.
    pub fn find(&self, client: Pid) -> Option<(usize, &Sent)> {
        let slot =
            self.slots.iter().position(|sent| sent.as_ref().is_some_and(|sent| sent.client == client))?;
        Some((slot, self.slots[slot].as_ref()?))
    }
}

impl Partner {
    /// A process sends to another machine.
    #[inline]
    pub(crate) fn send<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        received: &Received,
        kernel: &mut K,
        link: &mut L,
    ) {
        let may_send = match self.standing {
            Standing::Owned if received.sender.host() == self.own => Ok(()),
            Standing::Owned => self.meet_guest(received.sender.host()),
            Standing::Claiming => return self.waiting.push(*received),
            Standing::Lost => Err(Error::NoNetwork),
        };
        if let Err(error) = may_send.and_then(|()| self.begin_send(now_ns, received, kernel, link)) {
            // It may have ended in the meantime: then there is nobody to tell.
            let _ = kernel.fail(received.sender, error);
        }
    }

    /// What became of the claim to the logical host. Those who waited for it need not wait longer.
    pub(crate) fn set_standing<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        standing: Standing,
        kernel: &mut K,
        link: &mut L,
    ) {
        self.standing = standing;
        self.claim_in_advance(now_ns);
        for received in core::mem::take(&mut self.waiting) {
            // The inbox has had something else since; the segment is still there.
            let head = received.message.segment_bytes() as usize;
            if head == 0 || kernel.move_from(received.sender, 0, &mut self.inbox()[..head]).1.is_ok() {
                self.send(now_ns, &received, kernel, link);
            } else {
                let _ = kernel.fail(received.sender, Error::BadAddress);
            }
        }
    }

    #[inline]
    fn begin_send<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        received: &Received,
        kernel: &mut K,
        link: &mut L,
    ) -> Result<(), Error> {
        let Arrival::Elsewhere { to, transaction } = received.arrival else { return Ok(()) };
        // Since when nobody knows: a server that does not know it either may have executed and forgotten it.
        let resumed_since_ns = (transaction & AGAIN != 0).then_some(0);
        let transaction = transaction & !AGAIN;
        let slot = self.sends.slots.iter().position(Option::is_none).ok_or(Error::NoResources)?;
        if is_remote_server(to) {
            return self.begin_move(now_ns, received, slot, kernel, link);
        }
        let grant = received.grant;
        let head_bytes = received.message.segment_bytes() as usize;
        let reply_bytes =
            if grant.access().contains(Access::WRITE) { grant.bytes().min(HEAD_BYTES) as usize } else { 0 };
        if self.memory.used_bytes() + head_bytes + reply_bytes > self.configuration.memory_bytes {
            return Err(Error::NoResources);
        }
        let prefix = RequestPrefix { grant, user: received.user, forwarder: received.forwarder };
        let mut message = to_wire(&received.message);
        let (request_buffer, response_buffer) = (self.memory.request(slot), self.memory.response(slot));
        let segment = if let Some(word) = prefix.as_word_7() {
            message.words[7] = word;
            None
        } else {
            self.put_request(request_buffer, &prefix, head_bytes);
            Some(Segment { buffer: request_buffer, bytes: (PREFIX_BYTES + head_bytes) as u32 })
        };
        if to.is_group() {
            message.words[0] |= MULTIPLE_RESPONSES;
        }
        let send = vmtp::Send {
            client: entity(received.sender),
            transaction,
            server: entity(to),
            message,
            deadline_ns: to.is_group().then_some(now_ns + COLLECT_NS),
            segment,
            response: Segment { buffer: response_buffer, bytes: (PREFIX_BYTES + reply_bytes) as u32 },
            resumed_since_ns,
            ..vmtp::Send::default()
        };
        self.enter_send(now_ns, slot, to, &send, kernel, link)
    }

    /// Puts what is in the inbox behind a prefix into a buffer.
    #[inline(never)]
    fn put_request(&mut self, buffer: Buffer, prefix: &RequestPrefix, head_bytes: usize) {
        let mut request = if head_bytes < WHOLE_INBOX_BYTES {
            self.inbox[..PREFIX_BYTES + head_bytes].to_vec()
        } else {
            let next = self.memory.large();
            core::mem::replace(&mut self.inbox, next)
        };
        request[..PREFIX_BYTES].copy_from_slice(&prefix.encode());
        self.memory.put(buffer, request);
    }

    /// Begins a transaction with `to`, whose request is in its buffer, and notes in `slot` who waits for it. If it
    /// fails, the buffer is empty.
    #[inline]
    pub(crate) fn enter_send<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        slot: usize,
        to: Pid,
        send: &vmtp::Send,
        kernel: &mut K,
        link: &mut L,
    ) -> Result<(), Error> {
        match self.engine.send(now_ns, send) {
            Ok((id, ref mut first)) => {
                let request_bytes = send.segment.map_or(0, |segment| segment.bytes as usize);
                let client = pid(send.client);
                self.sends.put(slot, Sent { client, to, transaction: send.transaction, request_bytes, id });
                self.act_at_once(now_ns, first, kernel, link);
                Ok(())
            }
            Err(error) => {
                self.memory.take(self.memory.request(slot));
                Err(match error {
                    SendError::TooManyTransactions | SendError::TooManyHosts => Error::NoResources,
                    SendError::ClientBusy => Error::Busy,
                    SendError::NotLocal | SendError::SameHost | SendError::BadMessage => Error::BadArgument,
                })
            }
        }
    }

    /// A transaction has its outcome.
    pub(crate) fn complete<K: Kernel>(&mut self, id: SendId, outcome: &Outcome, kernel: &mut K) {
        let slot = self.sends.slot_of[id.index as usize] as usize;
        let data = self.memory.take(self.memory.response(slot));
        self.complete_with(id, outcome, &data, kernel);
    }

    /// A transaction has its outcome, a response with this for a segment.
    pub(crate) fn complete_with<K: Kernel>(
        &mut self,
        id: SendId,
        outcome: &Outcome,
        data: &[u8],
        kernel: &mut K,
    ) {
        let slot = self.sends.slot_of[id.index as usize] as usize;
        let (request, response) = (self.memory.request(slot), self.memory.response(slot));
        let place = self.places.take(request).or(self.places.take(response));
        if !self.memory.get(request).is_empty() {
            let request = self.memory.take(request);
            self.memory.recycle(request);
        }
        let Some(sent) = self.sends.slots[slot].take_if(|sent| sent.id == id) else { return };
        self.sends.used -= 1;
        if let Some(place) = place {
            return end_move(&sent, &place, outcome, data, kernel);
        }
        let ended = match outcome {
            Outcome::Response(response) => respond(&sent, response, data, kernel),
            // All of a group who answered have been heard.
            Outcome::Sent | Outcome::Collected { .. } => Err(Error::EmptyGroup),
            // Only in a run, and the kernel sends none.
            Outcome::Batched { .. } => Err(failed(Failure::Protocol, true)),
            Outcome::Failed { .. } if sent.to.is_group() => Err(Error::EmptyGroup),
            Outcome::Failed { failure, may_have_been_executed } => {
                Err(failed(*failure, *may_have_been_executed))
            }
        };
        if let Err(error) = ended {
            // It may have ended in the meantime: then there is nobody to tell.
            let _ = kernel.fail(sent.client, error);
        }
    }

    /// Takes transactions back whose processes have ended.
    pub(crate) fn look_for_clients<K: Kernel>(&mut self, now_ns: u64, kernel: &mut K) {
        for sent in self.sends.slots.iter().flatten() {
            if !kernel.awaits_reply(sent.client) {
                self.engine.cancel(now_ns, sent.id);
            }
        }
    }
}

/// The prefix of a response, if it has one, and the data after it.
pub fn take_apart<'a>(response: &Response, data: &'a [u8]) -> Result<(Option<ReplyPrefix>, &'a [u8]), Error> {
    match data.get(..response.segment_bytes as usize).unwrap_or(data) {
        [] => Ok((None, &[])),
        segment => {
            let (prefix, data) = segment.split_first_chunk().ok_or(Error::ReplyLost)?;
            Ok((Some(ReplyPrefix::decode(prefix).ok_or(Error::ReplyLost)?), data))
        }
    }
}

/// Gives a response to the process that waits for it.
fn respond<K: Kernel>(sent: &Sent, response: &Response, data: &[u8], kernel: &mut K) -> Result<(), Error> {
    let (prefix, data) = take_apart(response, data)?;
    let message = from_wire(&response.message, data.len());
    let responder = pid(response.server);
    if let Some(prefix) = prefix {
        prefix.outcome?;
        if !prefix.forward_to.is_none() {
            return kernel.forward(sent.client, prefix.forward_to, &message, responder);
        }
    }
    let replier = if responder == sent.to { Pid::NONE } else { responder };
    kernel.reply(sent.client, &message, data, replier).map_err(|_| Error::ReplyLost)
}

/// The error for a failed transaction: one that tells whether it may have been executed.
pub fn failed(failure: Failure, may_have_been_executed: bool) -> Error {
    match failure {
        Failure::BadReplySegment { .. } | Failure::Withdrawn { .. } => Error::ReplyLost,
        _ if may_have_been_executed => Error::HostUnreachable,
        _ => Error::HostNotFound,
    }
}
