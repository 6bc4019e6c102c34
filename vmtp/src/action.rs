//! What the engine wants done, and the names in which engine and user speak of transactions and memory.

use crate::encapsulation::Address;
use crate::outcome::Outcome;
use crate::packet::mask::{self, Stretches};
use crate::packet::{self, Header, Message};
use crate::{EntityId, LogicalHost};

/// The number of a piece of the user's memory.
///
/// For segments that come in unasked the engine hands out numbers below
/// [`Configuration::buffers`](crate::Configuration::buffers); for all others the user says a number, which the engine
/// repeats and never interprets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub struct Buffer(pub u32);

/// A segment to send: its memory and length. The memory must stay as it is until the transaction has its outcome
/// (a request) or [`Action::Release`] names it (a response).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Segment {
    /// Where it is.
    pub buffer: Buffer,
    /// Its bytes, at least 1.
    pub bytes: u32,
}

/// A transaction of a local client.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SendId {
    /// Number of the engine's record, below [`Configuration::clients`](crate::Configuration::clients).
    pub index: u32,
    /// Who sends.
    pub client: EntityId,
    /// The client's transaction number.
    pub transaction: u32,
}

/// A transaction of a remote client that is being served here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RequestId {
    /// Number of the engine's record, below [`Configuration::servers`](crate::Configuration::servers).
    pub index: u32,
    /// Who asks.
    pub client: EntityId,
    /// The client's transaction number.
    pub transaction: u32,
}

/// Where a packet goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Destination {
    /// To one host.
    Host(Address),
    /// To all hosts that have joined this group; the encapsulations know its address.
    Group(EntityId),
}

/// A packet to send. [`Transmit::write`] makes its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Transmit {
    /// To whom.
    pub destination: Destination,
    /// The packet's header, complete.
    pub header: Header,
    /// Where its segment is, if it carries data.
    pub buffer: Option<Buffer>,
    /// Where in the segment its packet group begins.
    pub segment_offset: u32,
    /// Bytes of the segment from there on, up to a packet group's.
    pub group_bytes: u32,
}

impl Transmit {
    /// The stretches of the packet group's share of the segment that the packet takes: add
    /// [`Transmit::segment_offset`] to their `group_offset`.
    pub fn stretches(&self) -> Stretches {
        mask::stretches(self.header.delivery, self.group_bytes)
    }

    /// Bytes of the packet.
    #[inline]
    pub fn packet_bytes(&self) -> usize {
        packet::HEADER_BYTES + usize::from(self.header.length_words) * 4 + packet::CHECKSUM_BYTES
    }

    /// Writes the packet, checksum included, to the start of `out` and returns its length. `segment` is the whole
    /// segment, or empty if the packet carries none of it. None if `out` or `segment` is too short.
    #[inline]
    pub fn write(&self, segment: &[u8], out: &mut [u8]) -> Option<usize> {
        if self.header.length_words == 0 {
            return packet::assemble_bare(&self.header, out);
        }
        self.write_with(out, |start, place| match segment.get(start..start + place.len()) {
            Some(bytes) => {
                place.copy_from_slice(bytes);
                true
            }
            None => false,
        })
    }

    /// As [`Transmit::write`], of a segment that is anywhere: `read` copies the bytes from an offset in it on, as many
    /// as there is room for in the place given, or says that it cannot. None if it cannot, or `out` is too short.
    #[inline(never)]
    pub fn write_with(
        &self,
        out: &mut [u8],
        mut read: impl FnMut(usize, &mut [u8]) -> bool,
    ) -> Option<usize> {
        let mut whole = true;
        let written = packet::assemble(&self.header, self.group_bytes, out, |stretch, place| {
            whole = whole && read((self.segment_offset + stretch.group_offset) as usize, place);
        })?;
        whole.then_some(written)
    }
}

/// Data of a packet just received that the user must copy before the next call. [`Store::copy`] does it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Store {
    /// Where to.
    pub buffer: Buffer,
    /// Where in the segment the packet group begins.
    pub segment_offset: u32,
    /// Bytes of the segment from there on, up to a packet group's.
    pub group_bytes: u32,
    /// The blocks in the packet.
    pub delivery: u32,
    /// Whether it is the first data that comes of what one of the engine's buffers was taken for.
    pub is_first: bool,
}

impl Store {
    /// The stretches of the packet's data and where they go: add [`Store::segment_offset`] to their `group_offset`.
    pub fn stretches(&self) -> Stretches {
        mask::stretches(self.delivery, self.group_bytes)
    }

    /// The packet's data, if it is all of one piece that belongs at `offset` in the segment.
    pub fn data_from<'a>(&self, packet: &'a [u8], offset: usize) -> Option<&'a [u8]> {
        let mut stretches = self.stretches();
        let stretch = stretches.next()?;
        let from = packet::HEADER_BYTES + stretch.packet_offset as usize;
        let is_next = (self.segment_offset + stretch.group_offset) as usize == offset;
        if is_next && stretches.next().is_none() {
            packet.get(from..from + stretch.bytes as usize)
        } else {
            None
        }
    }

    /// The packet's data, piece by piece, each with its place in the segment. The packet is as given to
    /// [`Engine::receive_packet`](crate::Engine::receive_packet).
    pub fn pieces<'a>(&self, packet: &'a [u8]) -> impl Iterator<Item = (usize, &'a [u8])> {
        let segment_offset = self.segment_offset;
        self.stretches().map(move |stretch| {
            let from = packet::HEADER_BYTES + stretch.packet_offset as usize;
            // The engine has checked the packet's length.
            let data = packet.get(from..from + stretch.bytes as usize).unwrap_or_default();
            ((segment_offset + stretch.group_offset) as usize, data)
        })
    }

    /// Copies from the packet, as given to [`Engine::receive_packet`](crate::Engine::receive_packet), into the
    /// segment's memory. None if that is too short.
    pub fn copy(&self, packet: &[u8], segment: &mut [u8]) -> Option<()> {
        for (at, data) in self.pieces(packet) {
            segment.get_mut(at..at + data.len())?.copy_from_slice(data);
        }
        Some(())
    }
}

/// What comes of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[must_use]
pub struct Received {
    /// Its data, to be copied first.
    pub store: Option<Store>,
    /// What is to be done then, ahead of what [`Engine::next_action`](crate::Engine::next_action) says.
    pub action: Option<Action>,
}

/// A request for a local server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Request {
    /// The transaction; what [`Engine::reply`](crate::Engine::reply) and its kin take.
    pub id: RequestId,
    /// The server or group that it is for.
    pub server: EntityId,
    /// The message. With [`DELIVERY_MASK`](crate::packet::message::DELIVERY_MASK) its word 6 says which blocks came.
    pub message: Message,
    /// Its segment, now the user's to release.
    pub segment: Option<Segment>,
    /// How often it was forwarded.
    pub forward_count: u8,
    /// VMTP's priority: 12 urgent, 8 important, 0 normal, 4 background; the low two bits are gradations.
    pub priority: u8,
}

/// A response to a local client.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Response {
    /// Who responded.
    pub server: EntityId,
    /// The message.
    pub message: Message,
    /// Bytes of its segment, which are in the buffer that the send named.
    pub segment_bytes: u32,
}

/// What is to be done, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Send a packet.
    Transmit(Transmit),
    /// A request has arrived: serve it, then reply, forward or refuse.
    Deliver(Request),
    /// The client of a delivered request no longer waits. Its id is void.
    Abandon(RequestId),
    /// A reply's segment is not needed any more.
    Release(Buffer),
    /// A send has its outcome; its id is void.
    Complete {
        /// Which.
        id: SendId,
        /// The outcome: exactly one for each send.
        outcome: Outcome,
    },
    /// A member of a group has responded to a send that wants several responses.
    Collect {
        /// Which.
        id: SendId,
        /// The response.
        response: Response,
        /// Its segment, in one of the engine's buffers, now the user's to release.
        segment: Option<Segment>,
    },
    /// A logical host's number is ours.
    Claimed(LogicalHost),
    /// A logical host's number is another's: give it up and choose again.
    ClaimLost(LogicalHost),
}
