//! Randomness at boot, for the node's logical host.

use crate::features::Features;
use crate::instructions::{counter, random, read_port_u8, write_port_u8};

/// Tries before a source is given up.
const TRIES: u32 = 16;

/// A number that differs from boot to boot and from node to node, as far as the machine has any randomness.
///
/// `salt` is what else may tell nodes apart: two emulated machines with the same seed have the same of everything
/// but what they were told on their command lines.
pub fn gather(features: &Features, salt: &[u8]) -> u64 {
    let mut pool = mix(real_time() ^ counter());
    for _ in 0..TRIES {
        // SAFETY: the instruction is used only where the processor says that it has it.
        let value = if features.random { unsafe { random() } } else { None };
        if let Some(value) = value {
            pool = mix(pool ^ value);
            break;
        }
        pool = mix(pool ^ counter());
    }
    salt.iter().fold(pool, |pool, byte| mix(pool ^ u64::from(*byte)))
}

/// What the real-time clock shows, whatever that means: it is another at each boot.
fn real_time() -> u64 {
    [0, 2, 4, 7, 8, 9].iter().fold(0, |shown, register| {
        // SAFETY: ports of the real-time clock, which touch no memory; bit 7 keeps the non-maskable interrupt enabled.
        let value = unsafe {
            write_port_u8(0x70, *register);
            read_port_u8(0x71)
        };
        shown << 8 | u64::from(value)
    })
}

/// `SplitMix64`'s finisher: every bit of the input changes half of the output's.
const fn mix(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
