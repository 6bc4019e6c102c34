//! What pages hold, and in what order they are touched: all from a seed.

use alloc::vec::Vec;

use super::PAGE;

/// The content of a team's pages in one pass.
pub struct Pattern {
    seed: u64,
}

impl Pattern {
    /// Of team `piece` in pass `pass`.
    pub fn new(seed: u64, piece: u32, pass: u32) -> Pattern {
        Pattern { seed: mix(seed ^ u64::from(piece) << 32 ^ u64::from(pass)) }
    }

    /// Fills a page with what it should hold.
    pub fn fill(&self, page: u32, content: &mut [u8; PAGE]) {
        let mut word = mix(self.seed ^ u64::from(page));
        let (words, _) = content.as_chunks_mut();
        for place in words {
            *place = word.to_le_bytes();
            word = word.wrapping_mul(MULTIPLIER).wrapping_add(1);
        }
    }

    /// Every page once, in random order; in another one `again`.
    pub fn order(&self, pages: u32, again: bool) -> Vec<u32> {
        let mut order: Vec<u32> = (0..pages).collect();
        let mut state = self.seed ^ u64::from(again);
        for last in (1..order.len()).rev() {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            order.swap(last, (mix(state) % (last as u64 + 1)) as usize);
        }
        order
    }
}

/// Of Knuth's generator MMIX.
const MULTIPLIER: u64 = 6_364_136_223_846_793_005;

/// Of the generator `SplitMix64`, its last step: every bit of the result depends on every one of the number's.
const fn mix(mut number: u64) -> u64 {
    number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_comes_once_and_not_in_order() {
        let pattern = Pattern::new(1, 2, 3);
        let (first, second) = (pattern.order(100, false), pattern.order(100, true));
        assert!(first != second && !first.is_sorted());
        for mut order in [first, second] {
            order.sort_unstable();
            assert_eq!(order, (0..100).collect::<Vec<_>>());
        }
        assert_eq!(pattern.order(1, false), [0]);
    }

    #[test]
    fn no_two_pages_are_alike() {
        let mut seen = Vec::new();
        for (piece, pass, page) in [(0, 1, 0), (0, 1, 1), (0, 2, 0), (1, 1, 0), (1, 2, 1)] {
            let mut content = [0; PAGE];
            Pattern::new(5, piece, pass).fill(page, &mut content);
            assert!(!seen.contains(&content));
            seen.push(content);
        }
    }
}
