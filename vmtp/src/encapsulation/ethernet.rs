//! VMTP directly on Ethernet: destination, source, type 0x805B, packet.

use crate::EntityId;

/// The Ethernet type of VMTP.
pub const ETHER_TYPE: u16 = 0x805b;
/// Bytes ahead of the packet.
pub const HEADER_BYTES: usize = 14;

/// A station's address.
pub type Station = [u8; 6];

/// The multicast address of a group: locally administered, the group's low 32 bits at its end. What several groups
/// share is sorted out by the receiver.
pub const fn group_station(group: EntityId) -> Station {
    let [.., a, b, c, d] = group.to_bits().to_be_bytes();
    [0x03, 0x56, a, b, c, d]
}

/// Writes the frame's header to the start of `frame`, ahead of a packet that begins at [`HEADER_BYTES`]; none if it is
/// too short.
#[inline]
pub fn write_header(frame: &mut [u8], source: Station, destination: Station) -> Option<()> {
    let header = frame.first_chunk_mut::<HEADER_BYTES>()?;
    header[..6].copy_from_slice(&destination);
    header[6..12].copy_from_slice(&source);
    header[12..].copy_from_slice(&ETHER_TYPE.to_be_bytes());
    Some(())
}

/// The sender and the packet of a frame; none if it is not VMTP's.
#[inline]
pub fn take_apart(frame: &[u8]) -> Option<(Station, &[u8])> {
    let (header, packet) = frame.split_first_chunk::<HEADER_BYTES>()?;
    let [.., high, low] = *header;
    if u16::from_be_bytes([high, low]) != ETHER_TYPE {
        return None;
    }
    let mut source = [0; 6];
    source.copy_from_slice(&header[6..12]);
    Some((source, packet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back() {
        let mut frame = [0; 20];
        write_header(&mut frame, [1; 6], group_station(EntityId::from_bits(0x6000_0000_0102_0304))).unwrap();
        assert_eq!(frame[..6], [0x03, 0x56, 1, 2, 3, 4]);
        assert_eq!(frame[0] & 1, 1, "a multicast address");
        assert_eq!(take_apart(&frame), Some(([1; 6], &[0; 6][..])));
        frame[12] = 8;
        assert_eq!(take_apart(&frame), None);
        assert_eq!(take_apart(&frame[..13]), None);
    }
}
