//! Copies to and from the segments of processes that await the reply of a server on another machine.
//!
//! The server's MoveTo or MoveFrom is a Send to the remote server (`abi::kernel::remote`) of its client's machine, one
//! for each [`MOST_MOVED_BYTES`]: its data is read from, or written into, the server's memory here and the client's
//! segment there (`places`), packet by packet.

use alloc::vec::Vec;

use abi::kernel::remote::{Moved, MovedBack, Remote};
use abi::kernel::{MOST_MOVED_BYTES, REMOTE};
use abi::protocol::{Reply as _, refusal};
use abi::remote::{Arrival, Received};
use abi::wire::{PREFIX_BYTES, ReplyPrefix, RequestPrefix};
use abi::{Access, Error, Message, Pid};
use vmtp::packet::{Function, HEADER_BYTES, Header};
use vmtp::{Buffer, Failure, Outcome, Request, Segment};

use crate::kernel::Kernel;
use crate::places::Place;
use crate::sends::{Sent, failed, take_apart};
use crate::{Link, Partner, entity, from_wire, pid, to_wire};

/// Whether a process is some machine's remote server.
pub fn is_remote_server(pid: Pid) -> bool {
    pid.is_kernel_server() && pid.index() == REMOTE
}

impl Partner {
    /// A process here sends to another machine's remote server.
    #[inline(never)]
    pub(crate) fn begin_move<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        received: &Received,
        slot: usize,
        kernel: &mut K,
        link: &mut L,
    ) -> Result<(), Error> {
        let Arrival::Elsewhere { to, transaction } = received.arrival else { return Ok(()) };
        let grant = received.grant;
        if grant.bytes() > MOST_MOVED_BYTES {
            return Err(Error::TooLong);
        }
        let (request_buffer, response_buffer) = (self.memory.request(slot), self.memory.response(slot));
        let bytes = |access| if grant.access().contains(access) { grant.bytes() as u32 } else { 0 };
        let prefix = RequestPrefix { grant, user: received.user, forwarder: received.forwarder };
        let prefix_bytes = PREFIX_BYTES as u32;
        let send = vmtp::Send {
            client: entity(received.sender),
            transaction,
            server: entity(to),
            message: to_wire(&received.message),
            segment: Some(Segment { buffer: request_buffer, bytes: prefix_bytes + bytes(Access::READ) }),
            response: Segment { buffer: response_buffer, bytes: prefix_bytes + bytes(Access::WRITE) },
            // Of a MoveTo the other machine has most, and says itself what it misses: to ask would be a packet more.
            is_prompt: bytes(Access::READ) == 0,
            ..vmtp::Send::default()
        };
        self.memory.put(request_buffer, prefix.encode().to_vec());
        let is_written = bytes(Access::READ) == 0;
        self.places.put(Place {
            buffer: if is_written { response_buffer } else { request_buffer },
            process: received.sender,
            transaction,
            slot,
            offset: 0,
            is_written,
            stop: None,
        });
        let entered = self.enter_send(now_ns, slot, to, &send, kernel, link);
        if entered.is_err() {
            self.places.take(request_buffer).or(self.places.take(response_buffer));
        }
        entered
    }

    /// The data of a copy cannot be had. The copy ends.
    pub(crate) fn stop_copy(&mut self, now_ns: u64, buffer: Option<Buffer>) {
        let Some(buffer) = buffer else { return };
        match self.memory.send_of(buffer) {
            Some(slot) => {
                if let Some(id) = self.sends.id_in(slot) {
                    self.engine.cancel(now_ns, id);
                }
            }
            None => self.engine.withdraw(now_ns, buffer),
        }
    }

    /// The first data for one of the engine's buffers has come. If it is a copy into the segment of a process here, its
    /// place is that.
    pub(crate) fn begin_store(&mut self, buffer: Buffer, packet: &[u8]) {
        self.places.take(buffer);
        let header = packet.first_chunk::<HEADER_BYTES>().and_then(|start| Header::decode(start).ok());
        let Some(header) = header else { return };
        if header.control.function() != Function::Request || !is_remote_server(pid(header.server)) {
            return;
        }
        let message = from_wire(&header.message, 0);
        let Some(Remote::MoveTo(wanted)) = Remote::from_message(&message) else { return };
        let slot = self.check_move(pid(header.client), wanted.client, wanted.transaction);
        self.places.put(Place {
            buffer,
            process: wanted.client,
            transaction: wanted.transaction,
            slot: slot.unwrap_or_default(),
            offset: wanted.offset,
            is_written: true,
            stop: slot.err().map(|error| (0, error)),
        });
    }

    /// Carries out a request to the remote server, of which the data, if it had any, is in its place.
    #[allow(clippy::too_many_arguments)] // What a request consists of, and who carries it out.
    pub(crate) fn move_for<K: Kernel, L: Link>(
        &mut self,
        now_ns: u64,
        request: &Request,
        prefix: &RequestPrefix,
        place: Option<Place>,
        slot: usize,
        kernel: &mut K,
        link: &mut L,
    ) {
        let message = from_wire(&request.message, 0);
        let server = pid(request.id.client);
        let (mut bytes, mut source) = (0, None);
        let reply = match Remote::from_message(&message) {
            Some(Remote::MoveTo(wanted)) => {
                let data_bytes = (request.message.segment_bytes() as usize).saturating_sub(PREFIX_BYTES);
                let (count, outcome) = match place {
                    Some(place) => place.outcome(data_bytes),
                    None => (0, self.check_move(server, wanted.client, wanted.transaction).map(|_| ())),
                };
                with_outcome(Moved { count: count as u32 }.to_message(), outcome)
            }
            Some(Remote::MoveFrom(wanted)) => {
                bytes = prefix.grant.bytes().min(MOST_MOVED_BYTES);
                let checked = self.check_move(server, wanted.client, wanted.transaction).and_then(|slot| {
                    // Whether all of it has been granted.
                    let end = wanted.offset.checked_add(bytes).ok_or(Error::TooLong)?;
                    kernel.move_from(wanted.client, end, &mut []).1.map(|()| slot)
                });
                source = checked.ok().map(|slot| (slot, wanted));
                let count = if source.is_some() { bytes as u32 } else { 0 };
                with_outcome(MovedBack { count }.to_message(), checked.map(|_| ()))
            }
            None => refusal(Error::BadRequest),
        };
        let Some((send, wanted)) = source.filter(|_| bytes > 0) else {
            let nothing = (Vec::new(), 0);
            let told = (&reply, pid(request.server));
            return self.reply(now_ns, slot, request.id, told, nothing, kernel, link);
        };
        let buffer = self.memory.reply(slot);
        self.places.put(Place {
            buffer,
            process: wanted.client,
            transaction: wanted.transaction,
            slot: send,
            offset: wanted.offset,
            is_written: false,
            stop: None,
        });
        let prefix = ReplyPrefix { outcome: Ok(()), forward_to: Pid::NONE }.encode().to_vec();
        let segment = (prefix, PREFIX_BYTES + bytes as usize);
        self.reply(now_ns, slot, request.id, (&reply, pid(request.server)), segment, kernel, link);
        if !self.serves.is_answered(slot) {
            self.places.take(buffer);
        }
    }

    /// Only the machine that has a process's message may copy for it, and only for the Send that is under way, whose
    /// slot this is.
    fn check_move(&self, server: Pid, client: Pid, transaction: u32) -> Result<usize, Error> {
        let (slot, sent) = self.sends.find(client).ok_or(Error::NotAwaitingReply)?;
        if sent.transaction == transaction && sent.to.host() == server.host() {
            Ok(slot)
        } else {
            Err(Error::NotAwaitingReply)
        }
    }
}

/// Tells a process what became of its copy, whose data was, or was to come, in its place.
pub fn end_move<K: Kernel>(sent: &Sent, place: &Place, outcome: &Outcome, data: &[u8], kernel: &mut K) {
    // What cannot be copied of the process's own memory, the kernel says to be another's.
    let own_stop = place.stop.map(|(count, error)| match error {
        Error::BadAddressOfOther => (count, Error::BadAddress),
        error => (count, error),
    });
    let reply = match (outcome, own_stop) {
        (Outcome::Response(response), None) => {
            let prefix = response.segment_bytes.min(PREFIX_BYTES as u32);
            let prefixed = vmtp::Response { segment_bytes: prefix, ..*response };
            let outcome =
                take_apart(&prefixed, data).and_then(|(prefix, _)| prefix.map_or(Ok(()), |p| p.outcome));
            outcome.map(|()| told(&response.message, place, response.segment_bytes - prefix))
        }
        (Outcome::Response(_), Some((count, error))) => {
            Ok(with_outcome(MovedBack { count: count as u32 }.to_message(), Err(error)))
        }
        (_, Some((_, error))) => Err(error),
        (Outcome::Failed { failure: Failure::Withdrawn { bytes }, .. }, None) => {
            let count = bytes.saturating_sub(PREFIX_BYTES as u32);
            Ok(with_outcome(MovedBack { count }.to_message(), Err(Error::BadAddressOfOther)))
        }
        (Outcome::Failed { failure, may_have_been_executed }, None) => {
            Err(failed(*failure, *may_have_been_executed))
        }
        // None of these is asked for.
        (Outcome::Sent | Outcome::Collected { .. } | Outcome::Batched { .. }, None) => Err(Error::EmptyGroup),
    };
    // It may have ended in the meantime: then there is nobody to tell.
    let _ = match reply {
        Ok(message) => kernel.reply(sent.client, &message, &[], Pid::NONE),
        Err(error) => kernel.fail(sent.client, error),
    };
}

/// The reply to a copy. Of a MoveFrom it cannot tell more bytes than have come.
fn told(reply: &vmtp::Message, place: &Place, data_bytes: u32) -> Message {
    let message = from_wire(reply, 0);
    if !place.is_written {
        return message;
    }
    let count = MovedBack::from_message(&message).count.min(data_bytes);
    with_outcome(MovedBack { count }.to_message(), Error::check(message.code()))
}

/// A reply that tells a count, also where the copy failed midway.
fn with_outcome(mut message: Message, outcome: Result<(), Error>) -> Message {
    message.words[0] = outcome.err().map_or(Error::OK_CODE, Error::code);
    message
}
