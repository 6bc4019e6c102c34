//! The memory functions under `copy_from_slice` and the like, against plain loops, at every small length and
//! alignment.

use core::hint::black_box;

use test_programs::ensure_equal;
use v::prelude::*;

/// Longer than any special case of the functions.
const MOST_BYTES: usize = 160;
const ALIGNMENTS: usize = 16;

fn pattern(seed: usize) -> Vec<u8> {
    (0..MOST_BYTES + 2 * ALIGNMENTS).map(|at| (at * 7 + seed) as u8).collect()
}

/// What a loop makes of copying, byte by byte in the order that overlap needs, out of the compiler's sight.
fn copy_by_loop(bytes: &mut [u8], from: usize, to: usize, length: usize) {
    let before: Vec<u8> = bytes.iter().map(|byte| black_box(*byte)).collect();
    for at in 0..length {
        bytes[black_box(to + at)] = before[black_box(from + at)];
    }
}

pub fn copy() -> Result<(), String> {
    let source = pattern(1);
    for length in 0..=MOST_BYTES {
        for (from, to) in [(0, 0), (1, 0), (0, 1), (3, 7), (8, 8), (15, 9)] {
            let mut expected = pattern(90);
            for at in 0..length {
                expected[black_box(to + at)] = source[black_box(from + at)];
            }
            let mut place = pattern(90);
            place[to..to + length].copy_from_slice(&source[from..black_box(from + length)]);
            ensure_equal!((length, from, to, place), (length, from, to, expected));
        }
    }
    Ok(())
}

pub fn overlap() -> Result<(), String> {
    for length in 0..=MOST_BYTES {
        for (from, to) in [(0, 1), (1, 0), (0, 7), (7, 0), (0, 8), (8, 0), (3, 16), (16, 3), (5, 5)] {
            let mut expected = pattern(5);
            copy_by_loop(&mut expected, from, to, length);
            let mut place = pattern(5);
            place.copy_within(from..black_box(from + length), to);
            ensure_equal!((length, from, to, place), (length, from, to, expected));
        }
    }
    Ok(())
}

pub fn fill() -> Result<(), String> {
    for length in 0..=MOST_BYTES {
        for start in 0..ALIGNMENTS {
            let mut expected = pattern(3);
            for at in 0..length {
                expected[black_box(start + at)] = 0xa5;
            }
            let mut place = pattern(3);
            place[start..black_box(start + length)].fill(0xa5);
            ensure_equal!((length, start, place), (length, start, expected));
        }
    }
    Ok(())
}

pub fn compare() -> Result<(), String> {
    let left = pattern(2);
    for length in 0..=MOST_BYTES {
        let one = &left[3..black_box(3 + length)];
        let mut other = one.to_vec();
        ensure_equal!((length, one == other, one.cmp(&other)), (length, true, core::cmp::Ordering::Equal));
        for at in 0..length {
            for changed in [other[at].wrapping_add(1), other[at].wrapping_sub(128)] {
                let before = core::mem::replace(&mut other[at], changed);
                ensure_equal!(
                    (length, at, one == other, one.cmp(&other)),
                    (length, at, false, before.cmp(&changed))
                );
                other[at] = before;
            }
        }
    }
    Ok(())
}
