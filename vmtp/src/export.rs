//! A logical host's state as bytes: to move it to another machine's engine, or past an engine's restart.
//!
//! ```text
//! head    version u16 = 2, domain u16, logical host u32, strength of its claim u64, whether it is announced u8,
//!         age of what was forgotten u64 ns (all ones: nothing), count of sends u32, count of requests u32
//! send    see `client/export`          request    see `server/export`
//! ```
//! All numbers are big-endian. Times are ages and remainders, since two clocks share no beginning; what the journey takes
//! makes the importer more careful, never less. Addresses do not travel: the importer looks for each host itself.
//!
//! What comes back in is taken apart and checked whole before anything changes: a forged state can only hold what its
//! logical host could have said by itself.

use alloc::vec::Vec;

use crate::action::{Buffer, RequestId, Segment, SendId};
use crate::client::ImportedSend;
use crate::engine::Engine;
use crate::packet::SEGMENT_BYTES;
use crate::packet::header::{Control, Header};
use crate::packet::message::Message;
use crate::server::ImportedRequest;
use crate::{EntityId, LogicalHost};

const VERSION: u16 = 2;
/// Says "none" where a time is expected.
const NONE_NS: u64 = u64::MAX;

/// Bytes of the head, and of a send or request at most.
const HEAD_BYTES: usize = 33;
const SEND_BYTES: usize = 256;
const REQUEST_BYTES: usize = 160;

/// Why a state was not imported. Nothing changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImportError {
    /// Cut, too long, of another version or domain, or with a field that cannot be.
    Malformed,
    /// The logical host is local here, or being claimed.
    NotRemote,
    /// There is no room for its sends, its requests, the hosts that they are with, or one more local host.
    NoRoom,
    /// A buffer has no number here, or one of the engine's own.
    UnknownBuffer,
}

/// What came with a logical host.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Imported {
    /// Its clients' transactions under way. Each ends here, with one [`Action::Complete`](crate::Action::Complete).
    pub sends: Vec<SendId>,
    /// The requests that its servers are to answer, by their new ids. The client and transaction are as before.
    pub requests: Vec<RequestId>,
    /// Requests that nobody waits for here any more, as client and transaction: to be given up like an abandoned one.
    pub abandoned: Vec<(EntityId, u32)>,
    /// Buffers, as numbered here, of segments that are not needed any more.
    pub released: Vec<Buffer>,
}

impl Engine {
    /// Takes the state of local logical host `host` out of the engine, as bytes for [`Engine::import`]; none if it is not
    /// local. Afterwards it is not local any more, and requests to it are told that it moved.
    ///
    /// With the bytes go its clients' transactions, which will have their outcome there, the requests that its servers
    /// have, whose ids are void here, and its answered requests, with the buffers of all of them: none is released here.
    /// What stays: outcomes and other actions that were due already, so ask for them first; sends that want several
    /// responses, which end here; requests to groups. A request of which only some has come is forgotten, for its client
    /// to send again.
    pub fn export(&mut self, now_ns: u64, host: LogicalHost) -> Option<Vec<u8>> {
        self.advance(now_ns);
        self.arriving.0 = None;
        if !self.is_local(host) {
            return None;
        }
        let (strength, announces) = self.claim_of(host)?;
        let bound = self.state_bytes(host);
        let forgotten_ns =
            (0..self.hosts.len()).filter_map(|index| self.hosts.get(index)).map(|host| host.forgotten_ns);
        let forgotten_ns = forgotten_ns.fold(self.forgotten_ns, u64::max);
        let mut out = Writer::default();
        out.u16(VERSION);
        out.u16(self.configuration.domain);
        out.u32(host.to_bits());
        out.u64(strength);
        out.u8(u8::from(announces));
        out.u64(if forgotten_ns == 0 { NONE_NS } else { self.now_ns - forgotten_ns.min(self.now_ns) });
        let counts_at = out.0.len();
        out.u64(0);
        let sends = self.export_sends(host, &mut out);
        let requests = self.export_requests(host, &mut out);
        out.0[counts_at..counts_at + 4].copy_from_slice(&sends.to_be_bytes());
        out.0[counts_at + 4..counts_at + 8].copy_from_slice(&requests.to_be_bytes());
        debug_assert!(out.0.len() <= bound, "{} bytes, more than {bound}", out.0.len());
        self.remove_local_host(now_ns, host);
        Some(out.0)
    }

    /// Most bytes that [`Engine::export`] of `host` gives out now.
    pub fn state_bytes(&self, host: LogicalHost) -> usize {
        let is_send = |index: &usize| {
            self.clients.get(*index).is_some_and(|record| record.header.client.host() == host)
        };
        let sends = (0..self.clients.len()).filter(is_send).count();
        HEAD_BYTES + sends * SEND_BYTES + self.count_requests(host) * REQUEST_BYTES
    }

    /// Makes the logical host whose state is in `bytes` local and goes on with what it had under way, also with entities
    /// that are local here. `buffers` says what number here the memory has that an exported buffer's content was moved to.
    ///
    /// # Errors
    ///
    /// See [`ImportError`].
    pub fn import(
        &mut self,
        now_ns: u64,
        bytes: &[u8],
        mut buffers: impl FnMut(Buffer) -> Option<Buffer>,
    ) -> Result<Imported, ImportError> {
        self.advance(now_ns);
        self.arriving.0 = None;
        let first_buffer = self.configuration.buffers as u32;
        let mut buffers = |buffer| buffers(buffer).filter(|buffer| buffer.0 >= first_buffer);
        let mut from = Reader { bytes, buffers: &mut buffers };
        if from.u16()? != VERSION || from.u16()? != self.configuration.domain {
            return Err(ImportError::Malformed);
        }
        let number = from.u32()?;
        let host = LogicalHost::from_bits(number);
        let (strength, announces, forgotten_age_ns) = (from.u64()?, from.flag()?, from.u64()?);
        if host.to_bits() != number || number < LogicalHost::FIRST_CLAIMABLE {
            return Err(ImportError::Malformed);
        }
        let (send_count, request_count) = (from.u32()? as usize, from.u32()? as usize);
        if self.claim_of(host).is_some() {
            return Err(ImportError::NotRemote);
        }
        if send_count > self.clients.len() - self.clients.used() || request_count > self.servers.len() {
            return Err(ImportError::NoRoom);
        }
        let sends: Result<Vec<_>, _> = (0..send_count).map(|_| ImportedSend::read(&mut from, host)).collect();
        let requests: Result<Vec<_>, _> =
            (0..request_count).map(|_| ImportedRequest::read(&mut from, host)).collect();
        let (sends, requests) = (sends?, requests?);
        let in_way = self.marks_of(requests.iter().map(ImportedRequest::client));
        if request_count > self.servers.len() - self.servers.used() + in_way {
            return Err(ImportError::NoRoom);
        }
        if !from.bytes.is_empty() || self.has_twice(&sends) {
            return Err(ImportError::Malformed);
        }
        let numbers = sends.iter().filter_map(ImportedSend::host);
        let numbers = numbers.chain(requests.iter().flat_map(ImportedRequest::hosts));
        let held = self.hold_all(numbers)?;
        let adopted = self.adopt_claim(host, strength, announces);
        if adopted {
            // Packets to it from before may still come.
            let lifetime_ns = self.configuration.maximum_packet_lifetime_ns;
            self.trusted_from_ns = self.trusted_from_ns.max(self.now_ns + lifetime_ns);
            if forgotten_age_ns != NONE_NS {
                let forgotten_ns = self.now_ns.saturating_sub(forgotten_age_ns).max(1);
                self.forgotten_ns = self.forgotten_ns.max(forgotten_ns);
            }
        }
        let mut imported = Imported::default();
        if adopted {
            for send in sends {
                self.import_send(send, &mut imported);
            }
            for request in requests {
                self.import_request(request, &mut imported);
            }
        }
        for index in held {
            self.let_go_of_host(index);
        }
        if adopted { Ok(imported) } else { Err(ImportError::NoRoom) }
    }

    /// Whether a client has two transactions that are not of one run, here or there.
    fn has_twice(&self, sends: &[ImportedSend]) -> bool {
        let mut sends: Vec<&ImportedSend> = sends.iter().collect();
        sends.sort_by_key(|send| send.client());
        sends
            .windows(2)
            .any(|pair| pair[0].client() == pair[1].client() && !pair[1].continues_run_of(pair[0]))
            || sends.iter().any(|send| self.client_map.get(send.client().to_bits()).is_some())
    }

    /// Holds a record for each of these hosts, or none.
    fn hold_all(&mut self, numbers: impl Iterator<Item = LogicalHost>) -> Result<Vec<usize>, ImportError> {
        let mut held = Vec::new();
        for number in numbers {
            let Some(index) = self.host_of(number) else {
                for index in held {
                    self.let_go_of_host(index);
                }
                return Err(ImportError::NoRoom);
            };
            self.hold_host(index);
            held.push(index);
        }
        Ok(held)
    }
}

/// Puts numbers one after the other.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub fn u16(&mut self, value: u16) {
        self.0.extend(value.to_be_bytes());
    }

    pub fn u32(&mut self, value: u32) {
        self.0.extend(value.to_be_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.0.extend(value.to_be_bytes());
    }

    /// Length and buffer; no length for none.
    pub fn segment(&mut self, segment: Option<Segment>) {
        self.u32(segment.map_or(0, |segment| segment.bytes));
        self.u32(segment.map_or(0, |segment| segment.buffer.0));
    }

    pub fn message(&mut self, message: &Message) {
        for word in message.words {
            self.u32(word);
        }
    }

    /// What of a header is the message's, not one packet's.
    pub fn header(&mut self, header: &Header) {
        self.u64(header.client.to_bits());
        self.u32(header.control.0);
        self.u32(header.transaction);
        self.u64(header.server.to_bits());
        self.message(&header.message);
    }
}

/// Takes them off again, and says no to what cannot be.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    buffers: &'a mut dyn FnMut(Buffer) -> Option<Buffer>,
}

impl Reader<'_> {
    fn take<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], ImportError> {
        let (first, rest) = self.bytes.split_first_chunk().ok_or(ImportError::Malformed)?;
        self.bytes = rest;
        Ok(*first)
    }

    pub fn u8(&mut self) -> Result<u8, ImportError> {
        self.take().map(u8::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, ImportError> {
        self.take().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, ImportError> {
        self.take().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, ImportError> {
        self.take().map(u64::from_be_bytes)
    }

    pub fn flag(&mut self) -> Result<bool, ImportError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(ImportError::Malformed),
        }
    }

    pub fn segment(&mut self) -> Result<Option<Segment>, ImportError> {
        let (bytes, buffer) = (self.u32()?, Buffer(self.u32()?));
        if bytes as usize > SEGMENT_BYTES {
            return Err(ImportError::Malformed);
        }
        if bytes == 0 {
            return Ok(None);
        }
        let buffer = (self.buffers)(buffer).ok_or(ImportError::UnknownBuffer)?;
        Ok(Some(Segment { buffer, bytes }))
    }

    /// A message whose segment is one that the protocol has.
    pub fn message(&mut self) -> Result<Message, ImportError> {
        let mut message = Message::default();
        for word in &mut message.words {
            *word = self.u32()?;
        }
        let too_long = message.segment_bytes() as usize > SEGMENT_BYTES;
        if too_long { Err(ImportError::Malformed) } else { Ok(message) }
    }

    pub fn header(&mut self) -> Result<Header, ImportError> {
        let client = EntityId::from_bits(self.u64()?);
        let (control, transaction) = (Control(self.u32()?), self.u32()?);
        let server = EntityId::from_bits(self.u64()?);
        let message = self.message()?;
        let is_odd = client.is_group()
            || client.is_none()
            || server.is_none()
            || control.has_any(Control::CONTINUED | Control::RESERVED);
        if is_odd {
            return Err(ImportError::Malformed);
        }
        Ok(Header { client, control, transaction, server, message, ..Header::default() })
    }
}
