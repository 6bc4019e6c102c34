//! How typed values lie in the words of a message: each type says how many words it takes and how it goes in
//! and out. The compiler turns this into register moves; nothing is serialised.

use crate::{Pid, UserId};

/// A value that fits whole words of a message.
pub trait Words: Copy {
    /// How many words it takes.
    const COUNT: usize;
    /// Writes the value to the first `COUNT` words.
    fn put(self, words: &mut [u32]);
    /// Reads it back. Any words are legal: what they mean is the receiver's to check.
    fn get(words: &[u32]) -> Self;
}

impl Words for u32 {
    const COUNT: usize = 1;
    #[inline]
    fn put(self, words: &mut [u32]) {
        words[0] = self;
    }
    #[inline]
    fn get(words: &[u32]) -> u32 {
        words[0]
    }
}

impl Words for u64 {
    const COUNT: usize = 2;
    #[inline]
    fn put(self, words: &mut [u32]) {
        words[0] = self as u32;
        words[1] = (self >> 32) as u32;
    }
    #[inline]
    fn get(words: &[u32]) -> u64 {
        u64::from(words[0]) | u64::from(words[1]) << 32
    }
}

impl Words for i32 {
    const COUNT: usize = 1;
    #[inline]
    fn put(self, words: &mut [u32]) {
        words[0] = self.cast_unsigned();
    }
    #[inline]
    fn get(words: &[u32]) -> i32 {
        words[0].cast_signed()
    }
}

impl Words for Pid {
    const COUNT: usize = 2;
    #[inline]
    fn put(self, words: &mut [u32]) {
        self.to_bits().put(words);
    }
    #[inline]
    fn get(words: &[u32]) -> Pid {
        Pid::from_bits(u64::get(words))
    }
}

impl Words for UserId {
    const COUNT: usize = 1;
    #[inline]
    fn put(self, words: &mut [u32]) {
        words[0] = self.0;
    }
    #[inline]
    fn get(words: &[u32]) -> UserId {
        UserId(words[0])
    }
}
