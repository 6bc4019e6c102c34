//! The checksum (RFC 1045, 3.2): two 16-bit ones-complement sums over alternating clusters of 32 bytes.
//!
//! A ones-complement sum is the same in either byte order, up to a swap at the end (RFC 1071), and may be taken over
//! wider words first. So this adds native 64-bit words, their carries in a word above, and folds once.

const CLUSTER_BYTES: usize = 32;

/// The two sums so far. What is added must be a multiple of 64 bytes long, except the last piece.
#[derive(Clone, Copy, Default, Debug)]
pub struct Checksum {
    sums: [u128; 2],
}

impl Checksum {
    /// Adds a header, or as many bytes of data.
    #[inline]
    pub fn add_header(&mut self, header: &[u8; 2 * CLUSTER_BYTES]) {
        let words = header.as_chunks::<8>().0;
        let word = |at: usize| u128::from(u64::from_le_bytes(words[at]));
        self.sums[0] += word(0) + word(1) + word(2) + word(3);
        self.sums[1] += word(4) + word(5) + word(6) + word(7);
    }

    /// Adds the next bytes of the packet, a multiple of 2 of them.
    pub fn add(&mut self, bytes: &[u8]) {
        let (pairs, rest) = bytes.as_chunks::<{ 2 * CLUSTER_BYTES }>();
        for pair in pairs {
            self.add_header(pair);
        }
        for (cluster, sum) in rest.chunks(CLUSTER_BYTES).zip(&mut self.sums) {
            for word in cluster.as_chunks::<2>().0 {
                *sum += u128::from(u16::from_le_bytes(*word));
            }
        }
    }

    /// The four bytes at the packet's end; never zero.
    #[inline]
    pub fn finish(self) -> [u8; 4] {
        let [first, second] = self.sums;
        (u32::from(fold(first)) | u32::from(fold(second)) << 16).to_le_bytes()
    }
}

/// A sum with its carries added in; zero, which means "none", becomes the other zero.
#[inline]
fn fold(sum: u128) -> u16 {
    let (sum, carry) = (sum as u64).overflowing_add((sum >> 64) as u64);
    let sum = sum + u64::from(carry);
    // A word and itself with its halves swapped: the upper half is their sum, the lower half's carry included.
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    let sum = (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16;
    if sum == 0 { 0xffff } else { sum }
}

/// The checksum of `bytes`.
pub fn of(bytes: &[u8]) -> [u8; 4] {
    let mut checksum = Checksum::default();
    checksum.add(bytes);
    checksum.finish()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// The RFC's words, one 16-bit word at a time.
    fn plain(bytes: &[u8]) -> [u8; 4] {
        let mut sums = [0u32; 2];
        for (number, word) in bytes.chunks(2).enumerate() {
            let sum = &mut sums[number / 16 % 2];
            *sum += u32::from(u16::from_be_bytes([word[0], word[1]]));
            *sum = (*sum & 0xffff) + (*sum >> 16);
        }
        let [a, b] = sums.map(|sum| if sum == 0 { 0xffff } else { sum as u16 }).map(u16::to_be_bytes);
        [a[0], a[1], b[0], b[1]]
    }

    proptest! {
        #[test]
        fn wide_sums_are_the_plain_sums(words in prop::collection::vec(any::<[u8; 8]>(), 0..300)) {
            let bytes: Vec<u8> = words.concat();
            prop_assert_eq!(of(&bytes), plain(&bytes));
        }

        #[test]
        fn pieces_are_the_whole(words in prop::collection::vec(any::<[u8; 64]>(), 0..20), last in any::<[u8; 40]>()) {
            let mut checksum = Checksum::default();
            for piece in &words {
                checksum.add(piece);
            }
            checksum.add(&last);
            let whole: Vec<u8> = words.concat().into_iter().chain(last).collect();
            prop_assert_eq!(checksum.finish(), of(&whole));
        }
    }

    #[test]
    fn zero_is_never_sent() {
        assert_eq!(of(&[]), [0xff; 4]);
        assert_eq!(of(&[0; 64]), [0xff; 4]);
        assert_eq!(of(&[0xff; 64]), [0xff; 4]);
    }
}
