//! The message: 32 bytes, eight 32-bit words, carried in four 64-bit registers.
//!
//! * Word 0 is the code. Its low 24 bits are the program's (a request code, or in a reply an outcome); the top
//!   byte is the kernel's, and what a program puts there is dropped at Send and Reply.
//! * Words 1 to 6 are the program's.
//! * Word 7 is the length in bytes of the segment data that came along, set by the kernel on delivery.
//!
//! The words are V's message and VMTP's message control block (RFC 1045, section 2.15); `wire` maps one to the
//! other. A register holds two words, the lower-numbered one in its low half.

/// The bits of word 0 that belong to the program.
pub const CODE_MASK: u32 = 0x00ff_ffff;

/// Words that a request or reply may use for its fields: words 1 to 6.
pub const FIELD_WORDS: usize = 6;

/// Eight words.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C, align(8))]
pub struct Message {
    /// Word 0 to word 7.
    pub words: [u32; 8],
}

const _: () = assert!(size_of::<Message>() == 32);

impl Message {
    /// A message with `code` in word 0 and zeros after it.
    pub const fn with_code(code: u32) -> Message {
        Message { words: [code & CODE_MASK, 0, 0, 0, 0, 0, 0, 0] }
    }

    /// The program's part of word 0.
    #[inline]
    pub const fn code(&self) -> u32 {
        self.words[0] & CODE_MASK
    }

    /// Bytes of segment data that came with this message.
    #[inline]
    pub const fn segment_bytes(&self) -> u32 {
        self.words[7]
    }

    /// The four registers.
    #[inline]
    pub const fn to_registers(&self) -> [u64; 4] {
        let w = &self.words;
        [pair(w[0], w[1]), pair(w[2], w[3]), pair(w[4], w[5]), pair(w[6], w[7])]
    }

    /// From the four registers.
    #[inline]
    pub const fn from_registers(registers: [u64; 4]) -> Message {
        let [a, b, c, d] = registers;
        Message {
            words: [
                a as u32,
                (a >> 32) as u32,
                b as u32,
                (b >> 32) as u32,
                c as u32,
                (c >> 32) as u32,
                d as u32,
                (d >> 32) as u32,
            ],
        }
    }
}

const fn pair(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_and_words_agree() {
        let message = Message { words: [1, 2, 3, 4, 5, 6, 7, 8] };
        assert_eq!(message.to_registers(), [0x2_0000_0001, 0x4_0000_0003, 0x6_0000_0005, 0x8_0000_0007]);
        assert_eq!(Message::from_registers(message.to_registers()), message);
        assert_eq!(Message::with_code(0xff12_3456).code(), 0x12_3456);
    }
}
