//! The processor's own random numbers.

use core::arch::x86_64::{__cpuid, _rdrand64_step};

/// `cpuid` leaf 1, register ecx: the processor has `rdrand`.
const RDRAND_BIT: u32 = 1 << 30;
/// The manual's advice: ten failures in a row mean that the source is broken.
const ATTEMPTS: u32 = 10;

/// 64 random bits; none if the processor has no source of them, or it fails.
pub fn number() -> Option<u64> {
    if __cpuid(1).ecx & RDRAND_BIT == 0 {
        return None;
    }
    // SAFETY: the processor has just said that it has the instruction.
    (0..ATTEMPTS).find_map(|_| unsafe { step() })
}

/// One try.
///
/// # Safety
/// The processor must have `rdrand`.
#[target_feature(enable = "rdrand")]
unsafe fn step() -> Option<u64> {
    let mut number = 0;
    (_rdrand64_step(&mut number) == 1).then_some(number)
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_differ() {
        if let Some(first) = super::number() {
            assert!((0..3).any(|_| super::number() != Some(first)));
        }
    }
}
