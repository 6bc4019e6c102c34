//! Inputs made of other inputs, as a seed says: what a search without guidance can do in a bounded time.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Changes of one input at most.
const MAX_CHANGES: u32 = 8;
/// Bytes inserted or taken out at once, at most.
const MAX_RUN: usize = 32;
/// Numbers at which something often changes.
const EDGES: [u32; 12] =
    [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x1ff, 0x1000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/// An input like those of `corpus`, at most `max_bytes` long.
///
/// # Panics
/// If the corpus is empty.
pub fn input(corpus: &[Vec<u8>], seed: u64, max_bytes: usize) -> Vec<u8> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut bytes = corpus.choose(&mut random).expect("a corpus has an input").clone();
    for _ in 0..random.random_range(1..=MAX_CHANGES) {
        change(&mut bytes, corpus, &mut random);
    }
    bytes.truncate(max_bytes);
    bytes
}

fn change(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut SmallRng) {
    let at = random.random_range(0..=bytes.len());
    let run = random.random_range(1..=MAX_RUN);
    let end = (at + run).min(bytes.len());
    match random.random_range(0..7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
        1 if at < bytes.len() => bytes[at] = random.random(),
        2 => {
            let edge = EDGES[random.random_range(0..EDGES.len())];
            let width = 1 << random.random_range(0..3);
            let number = if random.random() { edge.to_be_bytes() } else { edge.to_le_bytes() };
            let number = if random.random() { &number[..width] } else { &number[4 - width..] };
            let end = (at + width).min(bytes.len());
            bytes[at..end].copy_from_slice(&number[..end - at]);
        }
        3 => drop(bytes.splice(at..at, std::iter::repeat_n(random.random::<u8>(), run))),
        4 => drop(bytes.drain(at..end)),
        5 => {
            let copy = bytes[at..end].to_vec();
            let to = random.random_range(0..=bytes.len());
            bytes.splice(to..to, copy);
        }
        _ => {
            // The end of another input in place of this one's.
            let other = corpus.choose(random).expect("a corpus has an input");
            let from = random.random_range(0..=other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}
