//! Who called whom, by frame pointers: at each frame lie the caller's frame and the address to return to.
//!
//! A stack that a program has overwritten can say anything. Frames must be aligned and lie one above the other, so
//! the walk ends; each is read where the program has memory, or not at all.

use alloc::vec::Vec;

/// Most frames that are followed.
pub const MOST_FRAMES: usize = 48;

/// The instruction and the return addresses above it. `read` gives the two words at an address of the process.
pub fn walk(instruction: u64, mut frame: u64, mut read: impl FnMut(u64) -> Option<[u64; 2]>) -> Vec<u64> {
    let mut addresses = Vec::from([instruction]);
    while addresses.len() < MOST_FRAMES && frame.is_multiple_of(8) && frame != 0 {
        let Some([callers_frame, return_address]) = read(frame) else {
            break;
        };
        if return_address == 0 {
            break;
        }
        addresses.push(return_address);
        if callers_frame <= frame {
            break;
        }
        frame = callers_frame;
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    extern crate std;

    #[test]
    fn callers_are_found_up_to_the_first() {
        let stack = |address| match address {
            0x1000 => Some([0x1100, 0x40_0001]),
            0x1100 => Some([0x1200, 0x40_0002]),
            0x1200 => Some([0, 0]),
            _ => None,
        };
        assert_eq!(walk(0x40_0000, 0x1000, stack), [0x40_0000, 0x40_0001, 0x40_0002]);
        assert_eq!(walk(0x40_0000, 0x1001, stack), [0x40_0000]);
        assert_eq!(walk(0, 0, stack), [0]);
        assert_eq!(walk(5, 0x1300, stack), [5]);
    }

    #[test]
    fn a_circle_ends() {
        let stack = |address| Some([0x3000 - address, 7]);
        assert_eq!(walk(1, 0x1000, stack), [1, 7, 7]);
        assert_eq!(walk(1, 0x1000, |address| Some([address + 8, 7])).len(), MOST_FRAMES);
    }

    proptest! {
        #[test]
        fn garbage_ends(words in prop::collection::vec(any::<u64>(), 1..64), frame in any::<u64>()) {
            let mut at = 0;
            let found = walk(1, frame, |_| {
                at += 2;
                Some([words[at % words.len()], words[(at + 1) % words.len()]])
            });
            prop_assert!(found.len() <= MOST_FRAMES);
        }
    }
}
