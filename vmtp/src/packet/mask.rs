//! Delivery masks: bit i, from the lowest, stands for the 512 bytes at 512 × i of a packet group's share of the
//! segment (RFC 1045, 2.13). A packet holds the blocks of its mask one after the other, in order.

use super::{BLOCK_BYTES, GROUP_BLOCKS, GROUP_BYTES};

/// The mask of the blocks that `bytes` of a packet group take; all of them from [`GROUP_BYTES`] on.
pub const fn blocks_of(bytes: u32) -> u32 {
    let blocks = bytes.div_ceil(BLOCK_BYTES as u32);
    if blocks >= GROUP_BLOCKS as u32 { u32::MAX } else { (1 << blocks) - 1 }
}

/// Bytes of the blocks in `mask`, of a packet group whose share of the segment is `group_bytes`.
pub const fn bytes_of(mask: u32, group_bytes: u32) -> u32 {
    let mask = mask & blocks_of(group_bytes);
    let full = mask.count_ones() * BLOCK_BYTES as u32;
    let rest = group_bytes % BLOCK_BYTES as u32;
    let holds_last = group_bytes < GROUP_BYTES as u32 && mask >> (group_bytes / BLOCK_BYTES as u32) & 1 == 1;
    if rest != 0 && holds_last { full - BLOCK_BYTES as u32 + rest } else { full }
}

/// Whether the blocks of `mask` follow one another.
pub const fn is_run(mask: u32) -> bool {
    let shifted = mask.unbounded_shr(mask.trailing_zeros());
    shifted & shifted.wrapping_add(1) == 0
}

/// `mask` without its lowest `count` blocks.
pub const fn without_first(mask: u32, count: u32) -> u32 {
    let (mut rest, mut count) = (mask, count);
    while count > 0 && rest != 0 {
        rest &= rest - 1;
        count -= 1;
    }
    rest
}

/// The blocks of `mask` that go into one packet with room for `room_bytes` of data: as many as fit from the lowest on,
/// the last block counting only the bytes it has.
pub const fn first_packet(mask: u32, group_bytes: u32, room_bytes: u32) -> u32 {
    // The common case first: whole blocks, as many as fit.
    let rest = without_first(mask, room_bytes / BLOCK_BYTES as u32);
    let taken = mask & !rest;
    // One block more, if it is the short one at the segment's end and fits.
    let next = rest & rest.wrapping_neg();
    let holds_short = !group_bytes.is_multiple_of(BLOCK_BYTES as u32);
    if holds_short && next != 0 && bytes_of(taken | next, group_bytes) <= room_bytes {
        taken | next
    } else {
        taken
    }
}

/// A stretch of bytes that is contiguous in a packet and in the segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// Where in the packet's data.
    pub packet_offset: u32,
    /// Where in the packet group's share of the segment.
    pub group_offset: u32,
    /// How many bytes.
    pub bytes: u32,
}

/// The stretches of a packet with the blocks of `mask`, of a packet group of `group_bytes`.
#[derive(Clone, Debug)]
pub struct Stretches {
    mask: u32,
    group_bytes: u32,
    packet_offset: u32,
}

/// See [`Stretches`].
pub const fn stretches(mask: u32, group_bytes: u32) -> Stretches {
    Stretches { mask: mask & blocks_of(group_bytes), group_bytes, packet_offset: 0 }
}

impl Iterator for Stretches {
    type Item = Stretch;

    fn next(&mut self) -> Option<Stretch> {
        if self.mask == 0 {
            return None;
        }
        let first = self.mask.trailing_zeros();
        let count = (self.mask >> first).trailing_ones();
        let run = if count == 32 { u32::MAX } else { ((1 << count) - 1) << first };
        self.mask &= !run;
        let group_offset = first * BLOCK_BYTES as u32;
        let bytes = (count * BLOCK_BYTES as u32).min(self.group_bytes - group_offset);
        let stretch = Stretch { packet_offset: self.packet_offset, group_offset, bytes };
        self.packet_offset += bytes;
        Some(stretch)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn the_rfcs_example() {
        // 14.5 blocks over Ethernet: two blocks a packet, three if the third is short.
        let (mut mask, mut packets) = (0x74ff, Vec::new());
        while mask != 0 {
            let packet = first_packet(mask, 0x1d00, 1024);
            mask &= !packet;
            packets.push(packet);
        }
        assert_eq!(packets, [0x3, 0xc, 0x30, 0xc0, 0x1400, 0x6000]);
        assert_eq!(first_packet(0x6400, 0x1d00, 1280), 0x6400, "the short block fits as a third");
        assert_eq!(first_packet(0x6400, 0x1d00, 1279), 0x2400);
    }

    proptest! {
        #[test]
        fn stretches_cover_the_mask(mask: u32, group_bytes in 0..=GROUP_BYTES as u32) {
            let mask = mask & blocks_of(group_bytes);
            let mut packet_offset = 0;
            let mut seen = 0u32;
            for stretch in stretches(mask, group_bytes) {
                prop_assert_eq!(stretch.packet_offset, packet_offset);
                prop_assert!(stretch.group_offset + stretch.bytes <= group_bytes);
                packet_offset += stretch.bytes;
                let first = stretch.group_offset / 512;
                for block in first..first + stretch.bytes.div_ceil(512) {
                    prop_assert_eq!(seen >> block & 1, 0);
                    seen |= 1 << block;
                }
            }
            prop_assert_eq!(seen, mask);
            prop_assert_eq!(packet_offset, bytes_of(mask, group_bytes));
        }

        #[test]
        fn packets_fit(mask: u32, group_bytes in 1..=GROUP_BYTES as u32, room in 512u32..9000) {
            let mut rest = mask & blocks_of(group_bytes);
            while rest != 0 {
                let packet = first_packet(rest, group_bytes, room);
                prop_assert!(packet != 0 && packet & !rest == 0);
                prop_assert!(bytes_of(packet, group_bytes) <= room);
                rest &= !packet;
            }
        }
    }
}
