//! Characters as pixels. Only what has changed since it was last drawn is drawn.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use formats::psf::Font;
use spleen_font::FONT_8X16;

use crate::console::Console;
use crate::grid::{Cell, Pen};

/// Pixels of a character.
pub const CHARACTER_WIDTH: usize = 8;
/// As [`CHARACTER_WIDTH`].
pub const CHARACTER_HEIGHT: usize = 16;

/// Where pixels go: rows of 32-bit words. Colours have blue in the lowest byte, then green and red.
pub trait Surface {
    /// Sets eight pixels beside each other to these colours.
    fn put(&mut self, x: usize, y: usize, colours: [u32; CHARACTER_WIDTH]);
}

/// A character's rows, the leftmost pixel in the highest bit.
type Glyph = [u8; CHARACTER_HEIGHT];

/// What is drawn for a character that the font lacks.
const BOX: Glyph = [0, 0, 0xfe, 0x82, 0x82, 0x82, 0x82, 0x82, 0x82, 0x82, 0x82, 0xfe, 0, 0, 0, 0];

/// A screen with a console on it.
pub struct Screen<S> {
    surface: S,
    font: BTreeMap<char, Glyph>,
    columns: usize,
    /// What is on it.
    shown: Vec<Option<Cell>>,
}

impl<S: Surface> Screen<S> {
    /// One for so many characters, of which nothing has been drawn.
    pub fn new(surface: S, columns: usize, rows: usize) -> Screen<S> {
        let font = Font::parse(FONT_8X16).into_iter().flat_map(Font::characters);
        let font = font.filter_map(|(character, glyph)| Some((character, glyph.try_into().ok()?))).collect();
        Screen { surface, font, columns, shown: vec![None; columns * rows] }
    }

    /// Draws a console, which has as many rows and columns.
    pub fn draw(&mut self, console: &Console) {
        for row in 0..console.grid().rows() {
            for (column, cell) in console.grid().row_cells(row).iter().enumerate() {
                let mut cell = *cell;
                cell.pen.reversed ^= console.cursor() == Some((row, column));
                let Some(shown) = self.shown.get_mut(row * self.columns + column) else { continue };
                if shown.replace(cell) != Some(cell) {
                    self.draw_cell(row, column, cell);
                }
            }
        }
    }

    fn draw_cell(&mut self, row: usize, column: usize, cell: Cell) {
        let glyph = self.glyph(cell.character);
        let (ink, paper) = colours(cell.pen);
        for (y, bits) in glyph.into_iter().enumerate() {
            let is_line = cell.pen.underlined && y == CHARACTER_HEIGHT - 2;
            let bits = if is_line { 0xff } else { bits };
            let pixels = core::array::from_fn(|x| if bits << x & 0x80 != 0 { ink } else { paper });
            self.surface.put(column * CHARACTER_WIDTH, row * CHARACTER_HEIGHT + y, pixels);
        }
    }

    fn glyph(&self, character: char) -> Glyph {
        if character == '\0' {
            return [0; CHARACTER_HEIGHT];
        }
        self.font.get(&character).copied().unwrap_or(BOX)
    }
}

/// The colours of a pen: ink and paper.
fn colours(pen: Pen) -> (u32, u32) {
    let bright = u8::from(pen.bold && pen.foreground < 8) * 8;
    let (ink, paper) = (colour(pen.foreground + bright), colour(pen.background));
    if pen.reversed { (paper, ink) } else { (ink, paper) }
}

/// A colour of the 256 that terminals have: sixteen, a cube of 6 by 6 by 6, and shades of grey.
const fn colour(number: u8) -> u32 {
    const FIRST: [u32; 16] = [
        0x00_0000, 0xcd_3131, 0x0d_bc79, 0xe5_e510, 0x24_72c8, 0xbc_3fbc, 0x11_a8cd, 0xd4_d4d4, 0x66_6666,
        0xf1_4c4c, 0x23_d18b, 0xf5_f543, 0x3b_8eea, 0xd6_70d6, 0x29_b8db, 0xff_ffff,
    ];
    const STEPS: [u32; 6] = [0, 95, 135, 175, 215, 255];
    match number {
        0..16 => FIRST[number as usize],
        16..232 => {
            let place = (number - 16) as usize;
            STEPS[place / 36] << 16 | STEPS[place / 6 % 6] << 8 | STEPS[place % 6]
        }
        232.. => (8 + 10 * (number - 232) as u32) * 0x01_0101,
    }
}
