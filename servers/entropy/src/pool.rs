//! The generator: `ChaCha20` with its key replaced after each use, so that who learns the key does not learn what was
//! given out before (Bernstein, "Fast-key-erasure random-number generators", 2017).
//!
//! What is mixed in is folded into the key, which the cipher then stirs: it can't make the key less random than it
//! was, whoever it comes from.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};

/// Bytes of the key.
pub const KEY_BYTES: usize = 32;

/// The generator's state.
pub struct Pool {
    key: [u8; KEY_BYTES],
}

impl Pool {
    /// A generator that knows nothing; what comes out is as random as what is mixed in first.
    pub const fn new() -> Pool {
        Pool { key: [0; KEY_BYTES] }
    }

    /// Mixes bytes into the key.
    pub fn mix(&mut self, bytes: &[u8]) {
        for block in bytes.chunks(KEY_BYTES) {
            for (key, byte) in self.key.iter_mut().zip(block) {
                *key ^= byte;
            }
            self.fill(&mut []);
        }
    }

    /// Fills `place` with random bytes.
    pub fn fill(&mut self, place: &mut [u8]) {
        let mut cipher = ChaCha20Rng::from_seed(self.key);
        cipher.fill_bytes(&mut self.key);
        cipher.fill_bytes(place);
    }
}

impl Default for Pool {
    fn default() -> Pool {
        Pool::new()
    }
}

/// The key is nobody's business.
impl core::fmt::Debug for Pool {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Pool")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(pool: &mut Pool) -> [u8; 64] {
        let mut bytes = [0; 64];
        pool.fill(&mut bytes);
        bytes
    }

    #[test]
    fn the_same_seed_gives_the_same_and_no_two_draws_agree() {
        let (mut one, mut other) = (Pool::new(), Pool::new());
        one.mix(b"seed");
        other.mix(b"seed");
        let first = drawn(&mut one);
        assert_eq!(first, drawn(&mut other));
        assert_ne!(first, drawn(&mut one));
    }

    #[test]
    fn every_byte_mixed_in_counts() {
        let mut draws = alloc::vec::Vec::new();
        for at in 0..100 {
            let mut pool = Pool::new();
            let mut seed = [0; 100];
            seed[at] = 1;
            pool.mix(&seed);
            draws.push(drawn(&mut pool));
        }
        draws.sort_unstable();
        draws.dedup();
        assert_eq!(draws.len(), 100);
    }

    #[test]
    fn bits_are_balanced() {
        let mut pool = Pool::new();
        let ones: u32 = (0..100).flat_map(|_| drawn(&mut pool)).map(u8::count_ones).sum();
        // 51,200 bits: five standard deviations are 566.
        assert!(ones.abs_diff(25_600) < 566, "{ones}");
    }
}
