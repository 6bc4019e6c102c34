//! A packet's bytes from its header and its blocks of the segment, and the way back.

use super::checksum::Checksum;
use super::header::{ENCRYPTED, HEADER_CHECKSUM_ONLY, Header, HeaderError};
use super::mask::{self, Stretch};
use super::{CHECKSUM_BYTES, HEADER_BYTES};

/// Bytes of a packet without data.
const BARE_BYTES: usize = HEADER_BYTES + CHECKSUM_BYTES;

/// A received packet whose length and checksum are right.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The header.
    pub header: Header,
    /// The blocks of the header's mask one after the other, then padding.
    pub data: &'a [u8],
}

/// Why bytes are no packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PacketError {
    /// Shorter than a header and a checksum, or not as long as the header says.
    Length,
    /// Another version of the protocol.
    Version,
    /// Damaged on the way, or unchecked where that is not accepted.
    Checksum,
    /// Encrypted: there is no secure mode yet.
    Encrypted,
}

impl Packet<'_> {
    /// Takes a packet apart. `unchecked` says whether a packet without a checksum will do.
    #[inline]
    pub fn parse(bytes: &[u8], unchecked: bool) -> Result<Packet<'_>, PacketError> {
        let Some((start, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(PacketError::Length);
        };
        let Some((data, sent)) = rest.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(PacketError::Length);
        };
        let header = Header::decode(start).map_err(|error| match error {
            HeaderError::Version => PacketError::Version,
            HeaderError::Length => PacketError::Length,
        })?;
        if data.len() != usize::from(header.length_words) * 4 {
            return Err(PacketError::Length);
        }
        if header.flags & ENCRYPTED != 0 {
            return Err(PacketError::Encrypted);
        }
        if *sent == [0; CHECKSUM_BYTES] {
            return if unchecked { Ok(Packet { header, data }) } else { Err(PacketError::Checksum) };
        }
        let mut sums = Checksum::default();
        sums.add_header(start);
        if header.flags & HEADER_CHECKSUM_ONLY == 0 && !data.is_empty() {
            sums.add(data);
        }
        if u32::from_le_bytes(sums.finish()) == u32::from_le_bytes(*sent) {
            Ok(Packet { header, data })
        } else {
            Err(PacketError::Checksum)
        }
    }
}

/// Takes a packet apart, as [`Packet::parse`] does, that is as plain as can be: in this domain, without data, and with
/// nothing in its control word but `controls`. None if it is not, or is no packet.
#[inline(always)]
pub(crate) fn parse_plain(bytes: &[u8], domain: u16, controls: u32) -> Option<Header> {
    let bytes: &[u8; BARE_BYTES] = bytes.try_into().ok()?;
    let (start, sent) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let header = Header::decode_plain(start, domain, controls)?;
    let mut sums = Checksum::default();
    sums.add_header(start);
    (sums.finish() == *sent).then_some(header)
}

/// Writes a packet without data to the start of `out`, as [`assemble`] does. None if `out` is too short.
#[inline]
pub(crate) fn assemble_bare(header: &Header, out: &mut [u8]) -> Option<usize> {
    let out = out.first_chunk_mut::<BARE_BYTES>()?;
    let (start, place) = out.split_first_chunk_mut::<HEADER_BYTES>()?;
    header.encode_to(start);
    let mut sums = Checksum::default();
    sums.add_header(start);
    place.copy_from_slice(&sums.finish());
    Some(BARE_BYTES)
}

/// Writes a packet to the start of `out` and returns its length, or none if `out` is too short. `fill` is called for
/// each [`Stretch`] of the packet's blocks, in order, with the place to put its bytes; `group_bytes` is the packet
/// group's share of the segment.
pub fn assemble(
    header: &Header,
    group_bytes: u32,
    out: &mut [u8],
    mut fill: impl FnMut(Stretch, &mut [u8]),
) -> Option<usize> {
    let data_bytes = usize::from(header.length_words) * 4;
    let (start, rest) = out.split_first_chunk_mut::<HEADER_BYTES>()?;
    let (data, rest) = rest.split_at_mut_checked(data_bytes)?;
    let (place, _) = rest.split_first_chunk_mut::<CHECKSUM_BYTES>()?;
    header.encode_to(start);
    let mut filled = 0;
    for stretch in mask::stretches(header.delivery, group_bytes) {
        let at = stretch.packet_offset as usize;
        filled = at + stretch.bytes as usize;
        fill(stretch, data.get_mut(at..filled)?);
    }
    data[filled..].fill(0);
    let mut sums = Checksum::default();
    sums.add_header(start);
    if header.flags & HEADER_CHECKSUM_ONLY == 0 {
        sums.add(data);
    }
    *place = sums.finish();
    Some(HEADER_BYTES + data_bytes + CHECKSUM_BYTES)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::EntityId;
    use crate::packet::{Control, Message};
    use proptest::prelude::*;
    use std::{vec, vec::Vec};

    fn headers() -> impl Strategy<Value = Header> {
        let words = prop::array::uniform8(any::<u32>());
        let flags = prop_oneof![Just(0u8), Just(HEADER_CHECKSUM_ONLY), Just(1)];
        (any::<(u64, u64, u32, u32)>(), any::<u32>(), 0..0x2000u16, flags, words).prop_map(
            |((client, server, transaction, delivery), control, domain, flags, words)| Header {
                client: EntityId::from_bits(client),
                domain,
                flags,
                length_words: 0,
                control: Control(control),
                transaction,
                delivery,
                server: EntityId::from_bits(server),
                message: Message { words },
            },
        )
    }

    proptest! {
        #[test]
        fn packets_come_back(mut header in headers(), group_bytes in 0..=16384u32, bytes in prop::collection::vec(any::<u8>(), 16384)) {
            let data_bytes = mask::bytes_of(header.delivery, group_bytes);
            header.length_words = data_bytes.next_multiple_of(8) as u16 / 4;
            let mut out = vec![0xee; 17000];
            let length = assemble(&header, group_bytes, &mut out, |stretch, place| {
                place.copy_from_slice(&bytes[stretch.group_offset as usize..][..place.len()]);
            }).unwrap();
            let packet = Packet::parse(&out[..length], false).unwrap();
            prop_assert_eq!(packet.header, header);
            for stretch in mask::stretches(header.delivery, group_bytes) {
                let count = stretch.bytes as usize;
                prop_assert_eq!(
                    &packet.data[stretch.packet_offset as usize..][..count],
                    &bytes[stretch.group_offset as usize..][..count]
                );
            }
        }

        #[test]
        fn any_flipped_bit_is_seen(header in headers(), bit in 0..68 * 8usize) {
            let mut out = [0; 68];
            assemble(&header, 0, &mut out, |_, _| {}).unwrap();
            out[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Packet::parse(&out, false).is_err());
        }

        #[test]
        fn any_bytes_are_taken_apart(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Packet::parse(&bytes, true);
        }
    }

    #[test]
    fn a_short_place_is_refused() {
        let header = Header::default();
        let mut out: Vec<u8> = vec![0; 67];
        assert_eq!(assemble(&header, 0, &mut out, |_, _| {}), None);
    }
}
