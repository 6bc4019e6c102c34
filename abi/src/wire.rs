//! How a message and what belongs to it lie in a VMTP packet (RFC 1045, sections 2.15, 3.3).
//!
//! The eight words are the message control block, word for word, in network byte order. Word 0's top byte holds
//! VMTP's code flags; its low 24 bits are the program's code. Word 7 is VMTP's segment size. What VMTP has no field
//! for travels in a fixed prefix of the segment data: [`RequestPrefix`], [`ReplyPrefix`]. A request that grants nothing,
//! or a little to be written, has no segment: its word 7 tells the sender's user id and how much, and the packet is as
//! short as can be.

use crate::{Access, Error, Grant, Message, Pid, UserId};

/// Bytes of the message control block.
pub const CONTROL_BLOCK_BYTES: usize = 32;
/// Bytes of either prefix.
pub const PREFIX_BYTES: usize = 24;
/// VMTP's flag "a segment is appended" in the top byte of word 0 (SDA, bit 28).
pub const SEGMENT_APPENDED: u32 = 1 << 28;

/// What travels ahead of a request's segment data, or in its word 7 ([`RequestPrefix::as_word_7`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestPrefix {
    /// Length and access that the sender granted.
    pub grant: Grant,
    /// The sender's user id.
    pub user: UserId,
    /// Who forwarded the message to this machine, or none.
    pub forwarder: Pid,
}

/// What travels ahead of a response's segment data. A response without a segment is a plain reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplyPrefix {
    /// How the Send ended on the server's machine: with a reply or a Forward, or with this error.
    pub outcome: Result<(), Error>,
    /// To whom the responder forwards the message, which is the response's; none if it is a reply.
    pub forward_to: Pid,
}

/// The message as its control block. `segment_bytes` counts the prefix and is 0 for none.
pub fn encode_message(message: &Message, segment_bytes: u32) -> [u8; CONTROL_BLOCK_BYTES] {
    let mut words = message.words;
    words[0] = message.code() | if segment_bytes == 0 { 0 } else { SEGMENT_APPENDED };
    words[7] = segment_bytes;
    let mut bytes = [0; CONTROL_BLOCK_BYTES];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

/// The message out of its control block, flags dropped, and the segment's length, 0 unless a segment is appended.
pub fn decode_message(bytes: &[u8; CONTROL_BLOCK_BYTES]) -> (Message, u32) {
    let mut words = [0; 8];
    for (word, place) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_be_bytes([place[0], place[1], place[2], place[3]]);
    }
    let segment_bytes = if words[0] & SEGMENT_APPENDED == 0 { 0 } else { words[7] };
    words[0] &= crate::message::CODE_MASK;
    words[7] = segment_bytes;
    (Message { words }, segment_bytes)
}

/// A pid as an entity identifier.
pub fn encode_pid(pid: Pid) -> [u8; 8] {
    pid.to_bits().to_be_bytes()
}

/// An entity identifier as a pid.
pub fn decode_pid(bytes: [u8; 8]) -> Pid {
    Pid::from_bits(u64::from_be_bytes(bytes))
}

fn word(bytes: &[u8; PREFIX_BYTES], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_be_bytes(eight)
}

fn prefix(words: [u64; 3]) -> [u8; PREFIX_BYTES] {
    let mut bytes = [0; PREFIX_BYTES];
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

/// In word 7 of a request without segment: something is granted to be written. Its length is in the low bits, the user
/// id above it. Otherwise all below is the user id.
const WRITABLE: u32 = 1 << 31;
const WRITABLE_BYTES_BITS: u32 = 19;
const WRITABLE_USER_BITS: u32 = 12;

impl RequestPrefix {
    /// What is in word 7 of a request without segment, if that can say all.
    #[inline]
    pub fn as_word_7(&self) -> Option<u32> {
        let (bytes, user) = (self.grant.bytes(), self.user.0);
        if !self.forwarder.is_none() {
            None
        } else if self.grant == Grant::NONE {
            (user & WRITABLE == 0).then_some(user)
        } else {
            let fits = self.grant.access() == Access::WRITE
                && bytes >> WRITABLE_BYTES_BITS == 0
                && user >> WRITABLE_USER_BITS == 0;
            fits.then_some(WRITABLE | user << WRITABLE_BYTES_BITS | bytes as u32)
        }
    }

    /// What word 7 of a request without segment says.
    #[inline]
    pub const fn from_word_7(word: u32) -> RequestPrefix {
        let forwarder = Pid::NONE;
        if word & WRITABLE == 0 {
            return RequestPrefix { grant: Grant::NONE, user: UserId(word), forwarder };
        }
        let bytes = word & ((1 << WRITABLE_BYTES_BITS) - 1);
        let user = word >> WRITABLE_BYTES_BITS & ((1 << WRITABLE_USER_BITS) - 1);
        RequestPrefix { grant: Grant::new(bytes as u64, Access::WRITE), user: UserId(user), forwarder }
    }

    /// As bytes: grant, user, four zero bytes, forwarder.
    pub fn encode(&self) -> [u8; PREFIX_BYTES] {
        prefix([self.grant.to_bits(), u64::from(self.user.0) << 32, self.forwarder.to_bits()])
    }

    /// From bytes; none if the reserved ones are not zero.
    pub fn decode(bytes: &[u8; PREFIX_BYTES]) -> Option<RequestPrefix> {
        let user_and_reserved = word(bytes, 8);
        (user_and_reserved as u32 == 0).then(|| RequestPrefix {
            grant: Grant::from_bits(word(bytes, 0)),
            user: UserId((user_and_reserved >> 32) as u32),
            forwarder: Pid::from_bits(word(bytes, 16)),
        })
    }
}

impl ReplyPrefix {
    /// As bytes: the error's code or 0, four zero bytes, whom it is forwarded to, eight zero bytes.
    pub fn encode(&self) -> [u8; PREFIX_BYTES] {
        let code = self.outcome.err().map_or(Error::OK_CODE, Error::code);
        prefix([u64::from(code) << 32, self.forward_to.to_bits(), 0])
    }

    /// From bytes; none if the reserved ones are not zero.
    pub fn decode(bytes: &[u8; PREFIX_BYTES]) -> Option<ReplyPrefix> {
        let code_and_reserved = word(bytes, 0);
        (code_and_reserved as u32 == 0 && word(bytes, 16) == 0).then(|| ReplyPrefix {
            outcome: Error::check((code_and_reserved >> 32) as u32),
            forward_to: Pid::from_bits(word(bytes, 8)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogicalHost;

    // Golden vectors: these bytes are what goes over the network. They never change.

    #[test]
    fn golden_message() {
        let message = Message { words: [0xff00_1001, 2, 0x0304_0506, 4, 5, 6, 0xffff_ffff, 99] };
        let bytes = encode_message(&message, 24);
        let golden = [
            0x10, 0x00, 0x10, 0x01, 0, 0, 0, 2, 3, 4, 5, 6, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0xff, 0xff,
            0xff, 0xff, 0, 0, 0, 24,
        ];
        assert_eq!(bytes, golden);
        let (back, segment_bytes) = decode_message(&golden);
        assert_eq!((back.code(), segment_bytes, back.words[7]), (0x1001, 24, 24));
        assert_eq!(back.words[1..7], message.words[1..7]);
        assert_eq!(encode_message(&message, 0)[..4], [0x00, 0x00, 0x10, 0x01]);
    }

    #[test]
    fn golden_pid() {
        let pid = Pid::process(LogicalHost::from_bits(0xabc_def1), 0x1234, 0x5678);
        assert_eq!(encode_pid(pid), [0x2a, 0xbc, 0xde, 0xf1, 0x12, 0x34, 0x56, 0x78]);
        assert_eq!(decode_pid(encode_pid(pid)), pid);
    }

    #[test]
    fn golden_request_prefix() {
        let prefix = RequestPrefix {
            grant: Grant::new(0x1_0000, Access::WRITE),
            user: UserId(100),
            forwarder: Pid::process(LogicalHost::from_bits(0xabc_def1), 0x1234, 0x5678),
        };
        let golden = [
            0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 100, 0, 0, 0, 0, 0x2a, 0xbc, 0xde, 0xf1, 0x12, 0x34, 0x56,
            0x78,
        ];
        assert_eq!(prefix.encode(), golden);
        assert_eq!(RequestPrefix::decode(&golden), Some(prefix));
        let mut reserved = golden;
        reserved[15] = 1;
        assert_eq!(RequestPrefix::decode(&reserved), None);
    }

    #[test]
    fn what_fits_into_word_7_needs_no_prefix() {
        let plain = RequestPrefix { grant: Grant::NONE, user: UserId(100), forwarder: Pid::NONE };
        assert_eq!(plain.as_word_7(), Some(100));
        assert_eq!(RequestPrefix::from_word_7(100), plain);
        let writable = |bytes, user| RequestPrefix {
            grant: Grant::new(bytes, Access::WRITE),
            user: UserId(user),
            forwarder: Pid::NONE,
        };
        for (bytes, user, word) in
            [(4096, 100, 0x8320_1000), (1, 0, 0x8000_0001), (0x7_ffff, 0xfff, 0xffff_ffff)]
        {
            assert_eq!(writable(bytes, user).as_word_7(), Some(word), "{word:#x}");
            assert_eq!(RequestPrefix::from_word_7(word), writable(bytes, user));
        }
        let forwarder = Pid::process(LogicalHost::from_bits(0xabc_def1), 0x1234, 0x5678);
        for other in [
            RequestPrefix { grant: Grant::new(1, Access::READ), ..plain },
            RequestPrefix { grant: Grant::new(1, Access::READ_WRITE), ..plain },
            RequestPrefix { forwarder, ..plain },
            RequestPrefix { user: UserId(1 << 31), ..plain },
            writable(0x8_0000, 100),
            writable(4096, 0x1000),
            RequestPrefix { forwarder, ..writable(4096, 100) },
        ] {
            assert_eq!(other.as_word_7(), None, "{other:?}");
        }
    }

    #[test]
    fn golden_reply_prefix() {
        let forward_to = Pid::process(LogicalHost::from_bits(0xabc_def1), 0x1234, 0x5678);
        let prefix = ReplyPrefix { outcome: Err(Error::DiedBeforeReply), forward_to };
        let mut golden = [0; PREFIX_BYTES];
        golden[3] = 18;
        golden[8..16].copy_from_slice(&[0x2a, 0xbc, 0xde, 0xf1, 0x12, 0x34, 0x56, 0x78]);
        assert_eq!(prefix.encode(), golden);
        assert_eq!(ReplyPrefix::decode(&golden), Some(prefix));
        assert_eq!(
            ReplyPrefix::decode(&[0; PREFIX_BYTES]),
            Some(ReplyPrefix { outcome: Ok(()), forward_to: Pid::NONE })
        );
        for at in [7, 23] {
            let mut reserved = golden;
            reserved[at] = 1;
            assert_eq!(ReplyPrefix::decode(&reserved), None);
        }
    }
}
