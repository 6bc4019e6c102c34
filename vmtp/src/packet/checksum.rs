//! The checksum (RFC 1045, 3.2): two 16-bit ones-complement sums over alternating clusters of 32 bytes.
//!
//! A ones-complement sum is the same in either byte order, up to a swap at the end (RFC 1071), and may be taken over
//! wider words first. So this adds native 32-bit words into 64-bit sums and folds once.

const CLUSTER_BYTES: usize = 32;

/// The two sums so far. What is added must be a multiple of 64 bytes long, except the last piece.
#[derive(Clone, Copy, Default, Debug)]
pub struct Checksum {
    sums: [u64; 2],
}

impl Checksum {
    /// Adds a header, whose length makes a loop of it needless.
    #[inline]
    pub fn add_header(&mut self, header: &[u8; 2 * CLUSTER_BYTES]) {
        let words = header.as_chunks::<4>().0;
        for at in 0..8 {
            self.sums[0] += u64::from(u32::from_le_bytes(words[at]));
            self.sums[1] += u64::from(u32::from_le_bytes(words[at + 8]));
        }
    }

    /// Adds the next bytes of the packet, a multiple of 2 of them.
    pub fn add(&mut self, bytes: &[u8]) {
        let (pairs, rest) = bytes.as_chunks::<{ 2 * CLUSTER_BYTES }>();
        for pair in pairs {
            let words = pair.as_chunks::<4>().0;
            for (first, second) in words[..8].iter().zip(&words[8..]) {
                self.sums[0] += u64::from(u32::from_le_bytes(*first));
                self.sums[1] += u64::from(u32::from_le_bytes(*second));
            }
        }
        for (cluster, sum) in rest.chunks(CLUSTER_BYTES).zip(&mut self.sums) {
            for word in cluster.as_chunks::<2>().0 {
                *sum += u64::from(u16::from_le_bytes(*word));
            }
        }
    }

    /// The four bytes at the packet's end; never zero.
    #[inline]
    pub fn finish(self) -> [u8; 4] {
        let [first, second] = self.sums.map(fold);
        let [a, b] = first.to_le_bytes();
        let [c, d] = second.to_le_bytes();
        [a, b, c, d]
    }
}

/// A sum with its carries added in, which is what is left of a division by the largest word; zero, which means "none",
/// becomes the other zero.
fn fold(sum: u64) -> u16 {
    let sum = (sum % 0xffff) as u16;
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
