//! Fonts of the Linux console: PC Screen Font, version 1. A header of four bytes, glyphs of eight pixels by a number of rows, and
//! for each glyph the characters that it is for.

use crate::Fields;

const MAGIC: [u8; 2] = [0x36, 0x04];
const HEADER_BYTES: usize = 4;
/// Bits of the mode: 512 glyphs rather than 256; there is a table of characters.
const IS_LARGE: u8 = 1;
const HAS_TABLE: u8 = 2;
/// In the table: the end of a glyph's characters; a sequence of several characters follows.
const END: u16 = 0xffff;
const SEQUENCE: u16 = 0xfffe;

/// A font.
#[derive(Clone, Copy, Debug)]
pub struct Font<'a> {
    glyphs: &'a [u8],
    table: &'a [u8],
    height: usize,
}

impl<'a> Font<'a> {
    /// The font in a file; none if it is not whole, or says of no character that it has it.
    pub fn parse(file: &'a [u8]) -> Option<Font<'a>> {
        let (mode, height) = (file.byte(2)?, usize::from(file.byte(3)?));
        if file.array(0)? != MAGIC || mode & HAS_TABLE == 0 || height == 0 {
            return None;
        }
        let count = if mode & IS_LARGE == 0 { 256 } else { 512 };
        let (glyphs, table) = file[HEADER_BYTES..].split_at_checked(count * height)?;
        Some(Font { glyphs, table, height })
    }

    /// How many rows a glyph has.
    pub const fn height(&self) -> usize {
        self.height
    }

    /// The characters and their glyphs: a byte for each row, the leftmost pixel in the highest bit.
    pub fn characters(self) -> impl Iterator<Item = (char, &'a [u8])> {
        let mut glyphs = self.glyphs.chunks_exact(self.height);
        let mut glyph = glyphs.next();
        let mut in_sequence = false;
        let halves = (0..self.table.len() / 2).filter_map(move |place| self.table.half(2 * place));
        halves.filter_map(move |half| {
            match half {
                END => {
                    glyph = glyphs.next();
                    in_sequence = false;
                    return None;
                }
                SEQUENCE => in_sequence = true,
                _ => {}
            }
            let character = char::from_u32(half.into()).filter(|_| !in_sequence)?;
            Some((character, glyph?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn file() -> Vec<u8> {
        let mut file = Vec::from([0x36, 0x04, HAS_TABLE, 2]);
        file.extend((0..512_u16).map(|at| at as u8));
        for half in [0x41, 0x391, END, END, 0x42, SEQUENCE, 0x43, 0x301, END, 0x44] {
            file.extend(half.to_le_bytes());
        }
        file
    }

    #[test]
    fn characters_have_their_glyphs() {
        let file = file();
        let found: Vec<_> = Font::parse(&file).unwrap().characters().collect();
        assert_eq!(found, [('A', &[0, 1][..]), ('Α', &[0, 1]), ('B', &[4, 5]), ('D', &[6, 7])]);
        assert!(Font::parse(&file[..300]).is_none() && Font::parse(b"").is_none());
    }

    proptest! {
        #[test]
        fn garbage_is_no_font(mut bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            for (byte, magic) in bytes.iter_mut().zip(MAGIC) {
                *byte = magic;
            }
            if let Some(font) = Font::parse(&bytes) {
                prop_assert!(font.characters().all(|(_, glyph)| glyph.len() == font.height()));
            }
        }
    }
}
