//! VMTP's packets, and what carries them.

use vmtp::encapsulation::{ethernet, udp};
use vmtp::packet::{CHECKSUM_BYTES, HEADER_BYTES, Packet, assemble, checksum, mask};

/// The bytes as a packet as they come and with a right checksum, and as frames and datagrams.
pub fn check(bytes: &[u8]) {
    read(bytes);
    let mut repaired = bytes.to_vec();
    if let Some(end) = repaired.len().checked_sub(CHECKSUM_BYTES).filter(|end| *end >= HEADER_BYTES) {
        let words = (end - HEADER_BYTES) / 4;
        repaired[10] = repaired[10] & 0x20 | (words >> 8) as u8 & 0x1f;
        repaired[11] = words as u8;
        let sums = checksum::of(&repaired[..end & !1]);
        repaired[end..].copy_from_slice(&sums);
        read(&repaired);
    }
    for (packet, ahead) in [
        (ethernet::take_apart(bytes).map(|(_, packet)| packet), ethernet::HEADER_BYTES),
        (udp::take_apart_4(bytes).map(|(_, packet)| packet), udp::HEADER_BYTES_4),
        (udp::take_apart_6(bytes).map(|(_, packet)| packet), udp::HEADER_BYTES_6),
    ] {
        assert!(packet.is_none_or(|packet| packet.len() + ahead <= bytes.len()));
    }
}

/// What is taken apart is put together again as it was, padding apart.
fn read(bytes: &[u8]) {
    let Ok(packet) = Packet::parse(bytes, true) else { return };
    assert_eq!(packet.data.len(), usize::from(packet.header.length_words) * 4);
    assert_eq!(packet.header.encode(), bytes[..HEADER_BYTES]);
    let group_bytes = packet.header.message.segment_bytes().min(16384);
    let data_bytes = mask::bytes_of(packet.header.delivery, group_bytes) as usize;
    if data_bytes > packet.data.len() || packet.data.len() - data_bytes >= 8 {
        return;
    }
    let mut segment = vec![0; group_bytes as usize];
    for stretch in mask::stretches(packet.header.delivery, group_bytes) {
        let from = stretch.packet_offset as usize;
        segment[stretch.group_offset as usize..][..stretch.bytes as usize]
            .copy_from_slice(&packet.data[from..from + stretch.bytes as usize]);
    }
    let mut again = vec![0xee; bytes.len()];
    let length = assemble(&packet.header, group_bytes, &mut again, |stretch, place| {
        place.copy_from_slice(&segment[stretch.group_offset as usize..][..place.len()]);
    });
    assert_eq!(length, Some(bytes.len()));
    assert_eq!(again[..HEADER_BYTES + data_bytes], bytes[..HEADER_BYTES + data_bytes]);
    assert!(Packet::parse(&again, false).is_ok());
}
