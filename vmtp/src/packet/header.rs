//! The 64 bytes ahead of the segment data (RFC 1045, 3.2 to 3.4).
//!
//! ```text
//!  word 0, 1  client                            5   delivery: the blocks in this packet, lowest bit first
//!       2     version, domain, flags, length    6,7 server
//!       3     control: see `Control`            8.. the message control block, eight words
//!       4     transaction                       16  segment data, padded to 8 bytes, then the checksum
//! ```
//! All words are big-endian.

use super::HEADER_BYTES;
use super::mask::bytes_of;
use super::message::Message;
use crate::EntityId;

/// The checksum covers the header only (HCO).
pub const HEADER_CHECKSUM_ONLY: u8 = 4;
/// The packet is encrypted (EPG): the place of a secure mode; such packets are refused.
pub const ENCRYPTED: u8 = 2;
/// The packet was multicast (MPG).
pub const MULTICAST: u8 = 1;

/// The highest 13-bit number of a domain.
pub const DOMAIN_MAX: u16 = 0x1fff;
/// The largest length of segment data, in words.
pub const LENGTH_WORDS_MAX: u16 = 4096;

/// Who a packet is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Function {
    /// From the client to the server.
    Request,
    /// From the server to the client.
    Response,
}

/// The fourth word: control flags, counts and priority.
///
/// ```text
///  31  30  29  28  27  26  25  24  23  22..20 19..16 15..8        7..4     3..1     0
///  NRS APG NSR NER NRT MDG CMG STI DRT count  forward gap/PGcount priority reserved function
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(transparent)]
pub struct Control(pub u32);

impl Control {
    /// The message was the next one from its sender (NRS).
    pub const NEXT_RECEIVE_SEQUENCE: u32 = 1 << 31;
    /// Acknowledge the packet group when it is received (APG).
    pub const ACKNOWLEDGE: u32 = 1 << 30;
    /// Not the first packet group of a run (NSR).
    pub const NOT_START_OF_RUN: u32 = 1 << 29;
    /// Not the last packet group of a run (NER).
    pub const NOT_END_OF_RUN: u32 = 1 << 28;
    /// Ask for no retransmission (NRT).
    pub const NO_RETRANSMISSION: u32 = 1 << 27;
    /// Request: the client is a member of the group addressed (MDG).
    pub const MEMBER_OF_GROUP: u32 = 1 << 26;
    /// The message goes on in the next packet group (CMG).
    pub const CONTINUED: u32 = 1 << 25;
    /// The client's next transaction is at least 256 later (STI).
    pub const SKIP_TRANSACTIONS: u32 = 1 << 24;
    /// Request: delay the response at random (DRT).
    pub const DELAY_RESPONSE: u32 = 1 << 23;
    /// The place of a packet group, or of a transaction, in a run; neither if it is alone.
    pub const PLACE_IN_RUN: u32 = Control::NOT_START_OF_RUN | Control::NOT_END_OF_RUN;
    /// What tells the packet groups of a run apart.
    pub const RUN: u32 = Control::NOT_START_OF_RUN | Control::NOT_END_OF_RUN | Control::CONTINUED;
    /// The bits that are reserved and must be 0.
    pub const RESERVED: u32 = 0b1110;

    /// The bits of [`Control::retransmit_count`].
    pub const RETRANSMIT_COUNT: u32 = 7 << Control::RETRANSMIT_SHIFT;
    /// The bits of [`Control::forward_count`].
    pub const FORWARD_COUNT: u32 = 15 << Control::FORWARD_SHIFT;

    /// The bits of [`Control::priority`].
    pub const PRIORITY: u32 = 15 << Control::PRIORITY_SHIFT;

    /// The bits of [`Control::gap_or_group_count`].
    pub const GAP_OR_GROUP_COUNT: u32 = 0xff << Control::GAP_SHIFT;
    /// The bit of [`Control::function`].
    pub const FUNCTION: u32 = 1;

    const RETRANSMIT_SHIFT: u32 = 20;
    const FORWARD_SHIFT: u32 = 16;
    const GAP_SHIFT: u32 = 8;
    const PRIORITY_SHIFT: u32 = 4;

    /// Of a packet with this function and nothing else set.
    pub const fn new(function: Function) -> Control {
        Control(match function {
            Function::Request => 0,
            Function::Response => Control::FUNCTION,
        })
    }

    const fn field(self, shift: u32, mask: u32) -> u8 {
        (self.0 >> shift & mask) as u8
    }

    const fn with(self, shift: u32, mask: u32, value: u8) -> Control {
        Control(self.0 & !(mask << shift) | (value as u32 & mask) << shift)
    }

    /// Whether all of `flags` are set.
    pub const fn has(self, flags: u32) -> bool {
        self.0 & flags == flags
    }

    /// Whether any of `flags` is set.
    pub const fn has_any(self, flags: u32) -> bool {
        self.0 & flags != 0
    }

    /// With `flags` set too.
    #[must_use]
    pub const fn and(self, flags: u32) -> Control {
        Control(self.0 | flags)
    }

    /// With `flags` cleared.
    #[must_use]
    pub const fn without(self, flags: u32) -> Control {
        Control(self.0 & !flags)
    }

    /// Request or response.
    pub const fn function(self) -> Function {
        if self.has(Control::FUNCTION) { Function::Response } else { Function::Request }
    }

    /// How often this packet group was transmitted before, modulo 8.
    pub const fn retransmit_count(self) -> u8 {
        self.field(Control::RETRANSMIT_SHIFT, 7)
    }

    /// With another count of retransmissions.
    #[must_use]
    pub const fn with_retransmit_count(self, count: u8) -> Control {
        self.with(Control::RETRANSMIT_SHIFT, 7, count)
    }

    /// How often the request was forwarded.
    pub const fn forward_count(self) -> u8 {
        self.field(Control::FORWARD_SHIFT, 15)
    }

    /// With another count of forwardings.
    #[must_use]
    pub const fn with_forward_count(self, count: u8) -> Control {
        self.with(Control::FORWARD_SHIFT, 15, count)
    }

    /// Request: the gap between packets that the client wants, in 1/32 of the time of the largest packet. Response:
    /// how many packet groups before this one it stands for.
    pub const fn gap_or_group_count(self) -> u8 {
        self.field(Control::GAP_SHIFT, 0xff)
    }

    /// With another gap or group count.
    #[must_use]
    pub const fn with_gap_or_group_count(self, value: u8) -> Control {
        self.with(Control::GAP_SHIFT, 0xff, value)
    }

    /// The priority, a sign and a magnitude, lower is more urgent: 12 urgent, 8 important, 0 normal, 4 background.
    pub const fn priority(self) -> u8 {
        self.field(Control::PRIORITY_SHIFT, 15)
    }

    /// With another priority.
    #[must_use]
    pub const fn with_priority(self, priority: u8) -> Control {
        self.with(Control::PRIORITY_SHIFT, 15, priority)
    }
}

/// The length of a packet with `bytes` of segment data, at most a packet group's, in words.
pub const fn length_words(bytes: u32) -> u16 {
    bytes.next_multiple_of(8) as u16 / 4
}

/// A packet's header.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Header {
    /// Who asked, in requests and responses alike.
    pub client: EntityId,
    /// The naming domain, 13 bits.
    pub domain: u16,
    /// [`HEADER_CHECKSUM_ONLY`], [`ENCRYPTED`], [`MULTICAST`].
    pub flags: u8,
    /// Words of segment data in this packet, even, up to [`LENGTH_WORDS_MAX`].
    pub length_words: u16,
    /// The fourth word.
    pub control: Control,
    /// The transaction of this packet group.
    pub transaction: u32,
    /// The blocks of the packet group that this packet holds.
    pub delivery: u32,
    /// Whom the request is for; who responds.
    pub server: EntityId,
    /// The message control block.
    pub message: Message,
}

/// Why 64 bytes are no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderError {
    /// The version is not 0.
    Version,
    /// The length is odd or beyond [`LENGTH_WORDS_MAX`].
    Length,
}

impl Default for Header {
    /// An empty request from nobody to nobody.
    fn default() -> Header {
        Header {
            client: EntityId::NONE,
            domain: 0,
            flags: 0,
            length_words: 0,
            control: Control(0),
            transaction: 0,
            delivery: 0,
            server: EntityId::NONE,
            message: Message::default(),
        }
    }
}

impl Header {
    /// As it travels.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        self.encode_to(&mut bytes);
        bytes
    }

    /// Puts it where it travels from: eight stores.
    #[inline]
    pub fn encode_to(&self, bytes: &mut [u8; HEADER_BYTES]) {
        let third = u32::from(self.domain & DOMAIN_MAX) << 16
            | u32::from(self.flags & 7) << 13
            | u32::from(self.length_words & DOMAIN_MAX);
        let pair = |first: u32, second: u32| (u64::from(first) << 32 | u64::from(second)).to_be_bytes();
        let words = &self.message.words;
        let places = bytes.as_chunks_mut::<8>().0;
        places[0] = self.client.to_bits().to_be_bytes();
        places[1] = pair(third, self.control.0);
        places[2] = pair(self.transaction, self.delivery);
        places[3] = self.server.to_bits().to_be_bytes();
        for at in 0..4 {
            places[4 + at] = pair(words[2 * at], words[2 * at + 1]);
        }
    }

    /// Whether the packet is long enough for the blocks that it claims to hold, of a packet group of `group_bytes`.
    pub const fn holds(&self, group_bytes: u32) -> bool {
        bytes_of(self.delivery, group_bytes) <= self.length_words as u32 * 4
    }

    /// From 64 bytes. Reserved bits are kept as they came: whoever knows their meaning may have set them.
    #[inline]
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Header, HeaderError> {
        let second = word(bytes, 1);
        let kind = (second >> 32) as u32;
        let length_words = (kind & u32::from(DOMAIN_MAX)) as u16;
        if kind >> 29 != 0 {
            return Err(HeaderError::Version);
        }
        if length_words > LENGTH_WORDS_MAX || !length_words.is_multiple_of(2) {
            return Err(HeaderError::Length);
        }
        let (domain, flags) = ((kind >> 16) as u16 & DOMAIN_MAX, (kind >> 13) as u8 & 7);
        Ok(Header { domain, flags, length_words, ..Header::decode_rest(bytes, Control(second as u32)) })
    }

    /// As [`Header::decode`], in one comparison: a header of this domain, without flags and data, and with nothing in its
    /// control word but `controls`.
    #[inline]
    pub(crate) fn decode_plain(bytes: &[u8; HEADER_BYTES], domain: u16, controls: u32) -> Option<Header> {
        let second = word(bytes, 1);
        if second & !u64::from(controls) != u64::from(domain) << 48 {
            return None;
        }
        Some(Header { domain, ..Header::decode_rest(bytes, Control(second as u32)) })
    }

    /// All but domain, flags and length, which are 0.
    #[inline]
    fn decode_rest(bytes: &[u8; HEADER_BYTES], control: Control) -> Header {
        let third = word(bytes, 2);
        let mut message = Message::default();
        for at in 0..4 {
            let pair = word(bytes, 4 + at);
            message.words[2 * at] = (pair >> 32) as u32;
            message.words[2 * at + 1] = pair as u32;
        }
        Header {
            client: EntityId::from_bits(word(bytes, 0)),
            domain: 0,
            flags: 0,
            length_words: 0,
            control,
            transaction: (third >> 32) as u32,
            delivery: third as u32,
            server: EntityId::from_bits(word(bytes, 3)),
            message,
        }
    }
}

/// Eight bytes of a header.
#[inline]
fn word(bytes: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from_be_bytes(bytes.as_chunks::<8>().0[at])
}
