//! The remote server (`abi::kernel::remote`): copies to and from the segment of a process here that awaits the reply of
//! a server on another machine, for that server.

use alloc::vec::Vec;

use abi::kernel::remote::{Moved, MovedBack, Remote};
use abi::protocol::{Reply as _, refusal};
use abi::segment::HEAD_BYTES;
use abi::wire::{PREFIX_BYTES, ReplyPrefix, RequestPrefix};
use abi::{Error, Message, Pid};
use vmtp::Request;

use crate::kernel::Kernel;
use crate::{Partner, from_wire, pid};

impl Partner {
    /// Carries out a request to the remote server, and answers it.
    pub(crate) fn move_for<K: Kernel>(
        &mut self,
        now_ns: u64,
        request: &Request,
        prefix: &RequestPrefix,
        mut segment: Vec<u8>,
        slot: usize,
        kernel: &mut K,
    ) {
        if segment.len() < PREFIX_BYTES {
            segment.resize(PREFIX_BYTES, 0);
        }
        let message = from_wire(&request.message, segment.len() - PREFIX_BYTES);
        let server = pid(request.id.client);
        let mut data_bytes = 0;
        let reply = match Remote::from_message(&message) {
            Some(Remote::MoveTo(wanted)) => {
                let (count, outcome) = match self.check_move(server, wanted.client, wanted.transaction) {
                    Ok(()) => kernel.move_to(wanted.client, wanted.offset, &segment[PREFIX_BYTES..]),
                    Err(error) => (0, Err(error)),
                };
                with_outcome(Moved { count: count as u32 }.to_message(), outcome)
            }
            Some(Remote::MoveFrom(wanted)) => {
                let bytes = prefix.grant.bytes().min(HEAD_BYTES) as usize;
                segment = self.memory.room(PREFIX_BYTES + bytes);
                let (count, outcome) = match self.check_move(server, wanted.client, wanted.transaction) {
                    Ok(()) => {
                        kernel.move_from(wanted.client, wanted.offset, &mut segment[PREFIX_BYTES..][..bytes])
                    }
                    Err(error) => (0, Err(error)),
                };
                data_bytes = count as usize;
                with_outcome(MovedBack { count: count as u32 }.to_message(), outcome)
            }
            None => refusal(Error::BadRequest),
        };
        let mut bytes = 0;
        if data_bytes > 0 {
            let prefix = ReplyPrefix { outcome: Ok(()), forward_to: Pid::NONE };
            segment[..PREFIX_BYTES].copy_from_slice(&prefix.encode());
            bytes = PREFIX_BYTES + data_bytes;
        }
        self.reply(now_ns, slot, request.id, &reply, pid(request.server), segment, bytes);
    }

    /// Only the machine that has a process's message may copy for it, and only for the Send that is under way.
    fn check_move(&self, server: Pid, client: Pid, transaction: u32) -> Result<(), Error> {
        let sent = self.sends.find(client).ok_or(Error::NotAwaitingReply)?;
        if sent.transaction == transaction && sent.to.host() == server.host() {
            Ok(())
        } else {
            Err(Error::NotAwaitingReply)
        }
    }
}

/// A reply that tells a count, also where the copy failed midway.
fn with_outcome(mut message: Message, outcome: Result<(), Error>) -> Message {
    message.words[0] = outcome.err().map_or(Error::OK_CODE, Error::code);
    message
}
