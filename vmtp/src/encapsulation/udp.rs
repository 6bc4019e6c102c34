//! VMTP over UDP, over IPv4 or IPv6, on port [`PORT`]: whole IP datagrams, for hosts that build their own, and the
//! multicast addresses of groups, for hosts whose sockets do.
//!
//! The RFC gives VMTP an IP protocol number of its own (81), which few networks let through; UDP gets everywhere. The
//! packet's own checksum is stronger than UDP's, so over IPv4 UDP's is left out (zero).

use crate::EntityId;

/// The UDP port of VMTP hosts unless they are told another.
pub const PORT: u16 = 8105;
/// Bytes ahead of the packet over IPv4.
pub const HEADER_BYTES_4: usize = 28;
/// Bytes ahead of the packet over IPv6.
pub const HEADER_BYTES_6: usize = 48;

const UDP: u8 = 17;
const UDP_HEADER_BYTES: usize = 8;
const TIME_TO_LIVE: u8 = 64;

/// The two ends of a datagram over addresses `A`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ends<A> {
    /// From whom.
    pub source: (A, u16),
    /// To whom.
    pub destination: (A, u16),
}

/// The IPv4 multicast address of a group (RFC 1045, IV.1): of a well-known group of domain 1, its low 32 bits; else
/// 232.X.X.X with the identifier's low 24 bits.
pub const fn group_address_4(group: EntityId) -> [u8; 4] {
    if group.to_bits() == EntityId::MANAGER_GROUP.to_bits() {
        return [224, 0, 1, 0];
    }
    let [.., a, b, c] = group.to_bits().to_be_bytes();
    [232, a, b, c]
}

/// The IPv6 multicast address of a group: transient, site-local, the identifier's 64 bits at its end.
pub const fn group_address_6(group: EntityId) -> [u8; 16] {
    (0xff15_u128 << 112 | group.to_bits() as u128).to_be_bytes()
}

/// The ones-complement sum of `bytes`, an even number of them, onto `sum`.
fn add(sum: u32, bytes: &[u8]) -> u32 {
    bytes.as_chunks::<2>().0.iter().fold(sum, |sum, word| sum + u32::from(u16::from_be_bytes(*word)))
}

fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

fn write_udp<A>(place: &mut [u8], ends: &Ends<A>, packet_bytes: u16) {
    place[..2].copy_from_slice(&ends.source.1.to_be_bytes());
    place[2..4].copy_from_slice(&ends.destination.1.to_be_bytes());
    place[4..6].copy_from_slice(&packet_bytes.to_be_bytes());
    place[6..8].fill(0);
}

/// Writes IPv4 and UDP headers to the start of `datagram`, ahead of the packet that fills its rest; none if it is too
/// short or long.
pub fn write_headers_4(datagram: &mut [u8], ends: &Ends<[u8; 4]>) -> Option<()> {
    let total = u16::try_from(datagram.len()).ok()?;
    let header = datagram.first_chunk_mut::<HEADER_BYTES_4>()?;
    header[..20].fill(0);
    header[0] = 0x45;
    header[2..4].copy_from_slice(&total.to_be_bytes());
    // Do not fragment: the packet was cut to fit.
    header[6] = 0x40;
    header[8] = TIME_TO_LIVE;
    header[9] = UDP;
    header[12..16].copy_from_slice(&ends.source.0);
    header[16..20].copy_from_slice(&ends.destination.0);
    let sum = !fold(add(0, &header[..20]));
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    write_udp(&mut header[20..], ends, total - 20);
    Some(())
}

/// The ends and the packet of an IPv4 datagram; none if it is not whole, not UDP, or damaged.
pub fn take_apart_4(datagram: &[u8]) -> Option<(Ends<[u8; 4]>, &[u8])> {
    let (header, _) = datagram.split_first_chunk::<20>()?;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
    // Options mean a longer header: nobody sends them to us.
    if header[0] != 0x45 || header[9] != UDP || fragment != 0 || fold(add(0, header)) != 0xffff {
        return None;
    }
    let udp = datagram.get(20..total)?;
    let (source_port, destination_port, packet) = take_udp(udp)?;
    let end = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
    Some((Ends { source: (end(12), source_port), destination: (end(16), destination_port) }, packet))
}

fn take_udp(udp: &[u8]) -> Option<(u16, u16, &[u8])> {
    let (header, _) = udp.split_first_chunk::<UDP_HEADER_BYTES>()?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let packet = udp.get(UDP_HEADER_BYTES..length)?;
    Some((u16::from_be_bytes([header[0], header[1]]), u16::from_be_bytes([header[2], header[3]]), packet))
}

/// UDP's checksum over IPv6, which may not leave it out. `datagram` begins with the IPv6 header.
fn checksum_6(datagram: &[u8]) -> u16 {
    let udp = &datagram[40..];
    let mut sum = add(u32::from(UDP) + udp.len() as u32, &datagram[8..40]);
    sum = u32::from(fold(add(sum, udp)));
    if let [last] = udp.as_chunks::<2>().1 {
        sum += u32::from(*last) << 8;
    }
    fold(sum)
}

/// Writes IPv6 and UDP headers to the start of `datagram`, ahead of the packet that fills its rest and is complete;
/// none if it is too short or long.
pub fn write_headers_6(datagram: &mut [u8], ends: &Ends<[u8; 16]>) -> Option<()> {
    let payload = u16::try_from(datagram.len().checked_sub(40)?).ok()?;
    let header = datagram.first_chunk_mut::<HEADER_BYTES_6>()?;
    header[..4].copy_from_slice(&[0x60, 0, 0, 0]);
    header[4..6].copy_from_slice(&payload.to_be_bytes());
    header[6] = UDP;
    header[7] = TIME_TO_LIVE;
    header[8..24].copy_from_slice(&ends.source.0);
    header[24..40].copy_from_slice(&ends.destination.0);
    write_udp(&mut header[40..], ends, payload);
    let sum = match !checksum_6(datagram) {
        0 => 0xffff,
        sum => sum,
    };
    datagram[46..48].copy_from_slice(&sum.to_be_bytes());
    Some(())
}

/// The ends and the packet of an IPv6 datagram; none if it is not whole, not UDP, or damaged.
pub fn take_apart_6(datagram: &[u8]) -> Option<(Ends<[u8; 16]>, &[u8])> {
    let (header, _) = datagram.split_first_chunk::<40>()?;
    let payload = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let whole = datagram.get(..40 + payload)?;
    if header[0] >> 4 != 6 || header[6] != UDP || payload < UDP_HEADER_BYTES || checksum_6(whole) != 0xffff {
        return None;
    }
    let (source_port, destination_port, packet) = take_udp(&whole[40..])?;
    let end = |at: usize| {
        let mut address = [0; 16];
        address.copy_from_slice(&header[at..at + 16]);
        address
    };
    Some((Ends { source: (end(8), source_port), destination: (end(24), destination_port) }, packet))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    #[test]
    fn a_known_ip_header_sums_up() {
        let mut datagram = [0; 28];
        let ends = Ends { source: ([192, 168, 0, 1], 68), destination: ([192, 168, 0, 199], PORT) };
        write_headers_4(&mut datagram, &ends).unwrap();
        assert_eq!(fold(add(0, &datagram[..20])), 0xffff);
        assert_eq!(group_address_4(EntityId::from_bits(0x6000_0000_0000_0102)), [232, 0, 1, 2]);
        assert_eq!(group_address_4(EntityId::MANAGER_GROUP), [224, 0, 1, 0]);
    }

    proptest! {
        #[test]
        fn datagrams_come_back(packet in prop::collection::vec(any::<u8>(), 0..300), a: [u8; 16], b: [u8; 16], port: u16) {
            let four = Ends { source: ([a[0], a[1], a[2], a[3]], port), destination: ([b[0], b[1], b[2], b[3]], PORT) };
            let mut datagram = vec![0xee; HEADER_BYTES_4];
            datagram.extend(&packet);
            write_headers_4(&mut datagram, &four).unwrap();
            prop_assert_eq!(take_apart_4(&datagram), Some((four, &packet[..])));

            let six = Ends { source: (a, port), destination: (b, PORT) };
            let mut datagram = vec![0xee; HEADER_BYTES_6];
            datagram.extend(&packet);
            write_headers_6(&mut datagram, &six).unwrap();
            prop_assert_eq!(take_apart_6(&datagram), Some((six, &packet[..])));
            if let Some(byte) = datagram.get_mut(HEADER_BYTES_6) {
                *byte ^= 4;
                prop_assert_eq!(take_apart_6(&datagram), None);
            }
        }

        #[test]
        fn any_bytes_are_taken_apart(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = (take_apart_4(&bytes), take_apart_6(&bytes));
        }
    }
}
