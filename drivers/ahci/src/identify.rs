//! What a disk says of itself: 256 words.

use abi::Error;
use alloc::vec::Vec;
use block_device::{Facts, LARGEST_TRANSFER_BYTES, SECTOR_BYTES, text};

/// Bytes of what it says.
pub const BYTES: usize = 512;

/// What it says of a disk with so many slots. [`NotSupported`](Error::NotSupported) for one that has no addresses of 48 bits,
/// as all since 2003 have, or blocks that cannot be.
pub fn facts(bytes: &[u8; BYTES], slots: usize) -> Result<Facts, Error> {
    const IS_NO_DISK: u16 = 1 << 15;
    const HAS_LONG_ADDRESSES: u16 = 1 << 10;
    const WRITE_CACHE_IS_ON: u16 = 1 << 5;
    const TRIMS: u16 = 1;
    // Of the word about blocks: it means something; a physical block has several; one is longer than 512 bytes.
    const VALID: u16 = 1 << 14;
    const INVALID: u16 = 1 << 15;
    const HAS_SEVERAL: u16 = 1 << 13;
    const IS_LONG: u16 = 1 << 12;
    let word = |at: usize| u16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]]);
    let words = |at: usize, count: usize| {
        (0..count).fold(0_u64, |value, index| value | u64::from(word(at + index)) << (16 * index))
    };
    if word(0) & IS_NO_DISK != 0 || word(83) & HAS_LONG_ADDRESSES == 0 {
        return Err(Error::NotSupported);
    }
    let blocks = word(106);
    let is_valid = blocks & (VALID | INVALID) == VALID;
    let block_bytes = match blocks & IS_LONG {
        bit if bit != 0 && is_valid => u32::try_from(2 * words(117, 2)).map_err(|_| Error::NotSupported)?,
        _ => SECTOR_BYTES,
    };
    let exponent = if is_valid && blocks & HAS_SEVERAL != 0 { u32::from(blocks & 0xf) } else { 0 };
    Facts {
        block_bytes,
        physical_block_bytes: block_bytes.saturating_mul(1 << exponent),
        block_count: words(100, 4),
        largest_transfer_bytes: LARGEST_TRANSFER_BYTES as u32,
        slots,
        has_write_cache: word(85) & WRITE_CACHE_IS_ON != 0,
        is_read_only: false,
        largest_discard_blocks: if word(169) & TRIMS != 0 { crate::requests::LARGEST_DISCARD } else { 0 },
        model: text(&swapped(&bytes[54..94])),
        serial: text(&swapped(&bytes[20..40])),
    }
    .check()
}

/// Texts have their first letter in the upper half of a word.
fn swapped(bytes: &[u8]) -> Vec<u8> {
    bytes.chunks_exact(2).flat_map(|two| [two[1], two[0]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_disk_tells_what_it_is() {
        let mut bytes = [0; BYTES];
        let mut set = |at: usize, word: u16| bytes[2 * at..2 * at + 2].copy_from_slice(&word.to_le_bytes());
        set(83, 1 << 10);
        set(85, 1 << 5);
        set(100, 0x8000);
        set(101, 1);
        set(106, 0x6003);
        set(169, 1);
        bytes[54..66].copy_from_slice(b"EQUMH RADDSI");
        bytes[20..24].copy_from_slice(b"0V  ");
        let facts = facts(&bytes, 16).unwrap();
        assert_eq!((facts.block_bytes, facts.physical_block_bytes, facts.block_count), (512, 4096, 0x1_8000));
        assert_eq!((&*facts.model, &*facts.serial), ("QEMU HARDDIS", "V0"));
        assert!(facts.has_write_cache && facts.largest_discard_blocks > 0);
        assert_eq!(super::facts(&[0; BYTES], 16), Err(Error::NotSupported));
    }

    proptest! {
        #[test]
        fn nothing_that_is_said_confuses_the_reader(bytes in prop::collection::vec(any::<u8>(), BYTES)) {
            let mut bytes: [u8; BYTES] = bytes.try_into().unwrap();
            bytes[1] &= 0x7f;
            bytes[167] |= 4;
            if let Ok(facts) = facts(&bytes, 16) {
                prop_assert!(facts.block_count.checked_mul(facts.block_bytes.into()).is_some());
                prop_assert!(facts.block_bytes >= SECTOR_BYTES);
            }
        }
    }
}
