//! What is written to a console: text, and the control sequences of the terminals that everybody imitates (DEC's VT100, by
//! ECMA-48 and xterm's additions). Whatever is not understood is passed over.

use alloc::format;
use alloc::vec::Vec;

use anstyle_parse::{DefaultCharAccumulator, Params, Parser, Perform};
use unicode_width::UnicodeWidthChar;

use crate::grid::{Grid, Pen};

/// Columns between tabulators.
const TAB: usize = 8;
/// Most bytes of answers that nobody has read.
const MOST_ANSWERS: usize = 256;

/// One console.
#[derive(Debug)]
pub struct Console {
    parser: Parser<DefaultCharAccumulator>,
    state: State,
}

#[derive(Debug)]
struct State {
    grid: Grid,
    /// The other screen's, while a program uses the alternate one.
    main: Option<Grid>,
    pen: Pen,
    saved: (usize, usize, Pen),
    wraps: bool,
    shows_cursor: bool,
    answers: Vec<u8>,
}

impl Console {
    /// An empty one.
    pub fn new(columns: usize, rows: usize) -> Console {
        Console { parser: Parser::default(), state: State::new(columns, rows) }
    }

    /// Shows what a program has written. What the console says to that is its [answer](Console::take_answers).
    pub fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.parser.advance(&mut self.state, *byte);
        }
    }

    /// What stands on it.
    pub const fn grid(&self) -> &Grid {
        &self.state.grid
    }

    /// Where the cursor is, if it shows.
    pub fn cursor(&self) -> Option<(usize, usize)> {
        self.state.shows_cursor.then_some((self.state.grid.row, self.state.grid.column))
    }

    /// What it answers to questions that were written, as if it had been typed.
    pub fn take_answers(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.state.answers)
    }
}

impl State {
    fn new(columns: usize, rows: usize) -> State {
        State {
            grid: Grid::new(columns, rows),
            main: None,
            pen: Pen::PLAIN,
            saved: (0, 0, Pen::PLAIN),
            wraps: true,
            shows_cursor: true,
            answers: Vec::new(),
        }
    }

    fn answer(&mut self, text: &[u8]) {
        if self.answers.len() + text.len() <= MOST_ANSWERS {
            self.answers.extend_from_slice(text);
        }
    }

    fn save(&mut self) {
        self.saved = (self.grid.row, self.grid.column, self.pen);
    }

    fn restore(&mut self) {
        let (row, column, pen) = self.saved;
        self.grid.go_to(row, column);
        self.pen = pen;
    }

    fn use_alternate(&mut self, wanted: bool) {
        if wanted && self.main.is_none() {
            let empty = Grid::new(self.grid.columns(), self.grid.rows());
            self.main = Some(core::mem::replace(&mut self.grid, empty));
        } else if !wanted && let Some(main) = self.main.take() {
            self.grid = main;
        }
    }

    fn set_private_mode(&mut self, mode: u16, is_on: bool) {
        match mode {
            7 => self.wraps = is_on,
            25 => self.shows_cursor = is_on,
            47 | 1047 => self.use_alternate(is_on),
            1049 => {
                if is_on {
                    self.save();
                    self.use_alternate(true);
                } else {
                    self.use_alternate(false);
                    self.restore();
                }
            }
            _ => {}
        }
    }

    fn erase_display(&mut self, what: u16) {
        let (row, column, pen) = (self.grid.row, self.grid.column, self.pen);
        match what {
            0 => {
                self.grid.erase_in_row(column..usize::MAX, pen);
                self.grid.erase_rows(row + 1..self.grid.rows(), pen);
            }
            1 => {
                self.grid.erase_in_row(0..column + 1, pen);
                self.grid.erase_rows(0..row, pen);
            }
            2 | 3 => self.grid.erase_rows(0..self.grid.rows(), pen),
            _ => {}
        }
    }

    fn erase_row(&mut self, what: u16) {
        let (column, pen) = (self.grid.column, self.pen);
        match what {
            0 => self.grid.erase_in_row(column..usize::MAX, pen),
            1 => self.grid.erase_in_row(0..column + 1, pen),
            2 => self.grid.erase_in_row(0..usize::MAX, pen),
            _ => {}
        }
    }

    fn set_pen(&mut self, params: &Params) {
        let mut numbers = params.iter().flat_map(|group| group.iter().copied());
        if params.is_empty() {
            self.pen = Pen::PLAIN;
        }
        while let Some(number) = numbers.next() {
            match number {
                0 => self.pen = Pen::PLAIN,
                1 => self.pen.bold = true,
                4 => self.pen.underlined = true,
                7 => self.pen.reversed = true,
                22 => self.pen.bold = false,
                24 => self.pen.underlined = false,
                27 => self.pen.reversed = false,
                30..=37 => self.pen.foreground = (number - 30) as u8,
                39 => self.pen.foreground = Pen::PLAIN.foreground,
                40..=47 => self.pen.background = (number - 40) as u8,
                49 => self.pen.background = Pen::PLAIN.background,
                90..=97 => self.pen.foreground = (number - 90 + 8) as u8,
                100..=107 => self.pen.background = (number - 100 + 8) as u8,
                38 | 48 => {
                    let colour = match numbers.next() {
                        Some(5) => numbers.next().map(|colour| colour as u8),
                        Some(2) => {
                            let [red, green, blue] = [numbers.next(), numbers.next(), numbers.next()];
                            Some(nearest([red, green, blue].map(Option::unwrap_or_default)))
                        }
                        _ => None,
                    };
                    match (colour, number) {
                        (Some(colour), 38) => self.pen.foreground = colour,
                        (Some(colour), _) => self.pen.background = colour,
                        (None, _) => {}
                    }
                }
                _ => {}
            }
        }
    }
}

/// Of the 6 by 6 by 6 colours among the 256, the one nearest to red, green and blue from 0 to 255.
fn nearest(colour: [u16; 3]) -> u8 {
    let [red, green, blue] = colour.map(|part| (part.min(255) * 5 + 127) / 255);
    (16 + 36 * red + 6 * green + blue) as u8
}

/// A count, which is at least 1.
fn count(params: &Params, place: usize) -> usize {
    usize::from(number(params, place).max(1))
}

fn number(params: &Params, place: usize) -> u16 {
    params.iter().nth(place).and_then(|group| group.first()).copied().unwrap_or(0)
}

impl Perform for State {
    fn print(&mut self, character: char) {
        // What combines with the character before is not shown.
        if let Some(width @ 1..=2) = character.width() {
            self.grid.put(character, width, self.pen, self.wraps);
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            0x08 => {
                let column = self.grid.column.saturating_sub(1);
                self.grid.go_to(self.grid.row, column);
            }
            b'\t' => self.grid.go_to(self.grid.row, (self.grid.column / TAB + 1) * TAB),
            b'\n' | 0x0b | 0x0c => self.grid.line_feed(self.pen),
            b'\r' => self.grid.go_to(self.grid.row, 0),
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: u8) {
        if ignore {
            return;
        }
        if let (b"?", b'h' | b'l') = (intermediates, action) {
            for group in params {
                for mode in group {
                    self.set_private_mode(*mode, action == b'h');
                }
            }
        }
        if !intermediates.is_empty() {
            return;
        }
        let (row, column, pen) = (self.grid.row, self.grid.column, self.pen);
        let times = count(params, 0);
        let signed = isize::try_from(times).unwrap_or(isize::MAX);
        match action {
            b'A' => self.grid.go_to(row.saturating_sub(times), column),
            b'B' | b'e' => self.grid.go_to(row + times, column),
            b'C' | b'a' => self.grid.go_to(row, column + times),
            b'D' => self.grid.go_to(row, column.saturating_sub(times)),
            b'E' => self.grid.go_to(row + times, 0),
            b'F' => self.grid.go_to(row.saturating_sub(times), 0),
            b'G' | b'`' => self.grid.go_to(row, times - 1),
            b'H' | b'f' => self.grid.go_to(times - 1, count(params, 1) - 1),
            b'd' => self.grid.go_to(times - 1, column),
            b'J' => self.erase_display(number(params, 0)),
            b'K' => self.erase_row(number(params, 0)),
            b'L' => self.grid.insert_rows(signed, pen),
            b'M' => self.grid.insert_rows(-signed, pen),
            b'@' => self.grid.insert_cells(signed, pen),
            b'P' => self.grid.insert_cells(-signed, pen),
            b'X' => self.grid.erase_in_row(column..column.saturating_add(times), pen),
            b'S' => self.grid.scroll_all(signed, pen),
            b'T' => self.grid.scroll_all(-signed, pen),
            b'm' => self.set_pen(params),
            b'r' => {
                let end = match number(params, 1) {
                    0 => self.grid.rows(),
                    end => end.into(),
                };
                self.grid.set_margins(times - 1, end);
            }
            b'n' if number(params, 0) == 5 => self.answer(b"\x1b[0n"),
            b'n' if number(params, 0) == 6 => {
                let text = format!("\x1b[{};{}R", row + 1, column + 1);
                self.answer(text.as_bytes());
            }
            b'c' => self.answer(b"\x1b[?6c"),
            b's' => self.save(),
            b'u' => self.restore(),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _ignore: bool, byte: u8) {
        match (intermediates, byte) {
            ([], b'7') => self.save(),
            ([], b'8') => self.restore(),
            ([], b'D') => self.grid.line_feed(self.pen),
            ([], b'E') => {
                self.grid.line_feed(self.pen);
                self.grid.go_to(self.grid.row, 0);
            }
            ([], b'M') => self.grid.reverse_line_feed(self.pen),
            ([], b'c') => *self = State::new(self.grid.columns(), self.grid.rows()),
            _ => {}
        }
    }
}
