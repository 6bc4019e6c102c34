//! The characters of a console, in rows and columns, and how they move. The cursor is always within; lines scroll between two
//! margins, the first and the last row unless a program has set others.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// How a character looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pen {
    /// Its colour, of 256.
    pub foreground: u8,
    /// The colour behind it.
    pub background: u8,
    /// Bright.
    pub bold: bool,
    /// With a line below.
    pub underlined: bool,
    /// With the colours exchanged.
    pub reversed: bool,
}

impl Pen {
    /// As a console begins.
    pub const PLAIN: Pen =
        Pen { foreground: 7, background: 0, bold: false, underlined: false, reversed: false };
}

/// A place on the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    /// What stands there; NUL is the second half of a wide character.
    pub character: char,
    /// How it looks.
    pub pen: Pen,
}

impl Cell {
    /// Nothing.
    pub const BLANK: Cell = Cell { character: ' ', pen: Pen::PLAIN };
}

/// Rows of cells, and a cursor.
#[derive(Clone, Debug)]
pub struct Grid {
    columns: usize,
    rows: usize,
    cells: Vec<Cell>,
    /// Where the next character goes. In the last column it may be due to go on the next row: see `is_full`.
    pub row: usize,
    /// As `row`.
    pub column: usize,
    /// The last column has been written: the next character begins a new row.
    pub is_full: bool,
    /// The rows that scroll.
    margins: Range<usize>,
}

impl Grid {
    /// An empty one; of a row and a column at least.
    pub fn new(columns: usize, rows: usize) -> Grid {
        let (columns, rows) = (columns.max(2), rows.max(2));
        Grid {
            columns,
            rows,
            cells: vec![Cell::BLANK; columns * rows],
            row: 0,
            column: 0,
            is_full: false,
            margins: 0..rows,
        }
    }

    /// How many columns.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// How many rows.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// A row's cells.
    pub fn row_cells(&self, row: usize) -> &[Cell] {
        &self.cells[row * self.columns..][..self.columns]
    }

    fn cells_of(&mut self, row: usize) -> &mut [Cell] {
        &mut self.cells[row * self.columns..][..self.columns]
    }

    /// Puts the cursor somewhere, or as near as there is.
    pub fn go_to(&mut self, row: usize, column: usize) {
        self.row = row.min(self.rows - 1);
        self.column = column.min(self.columns - 1);
        self.is_full = false;
    }

    /// Sets the rows that scroll, from one up to another; all if there would not be two. The cursor goes home.
    pub fn set_margins(&mut self, first: usize, end: usize) {
        let end = end.min(self.rows);
        self.margins = if first + 1 < end { first..end } else { 0..self.rows };
        self.go_to(0, 0);
    }

    /// Writes a character of that width at the cursor, which goes on.
    pub fn put(&mut self, character: char, width: usize, pen: Pen, wraps: bool) {
        if wraps && (self.is_full || self.column + width > self.columns) {
            self.line_feed(pen);
            self.column = 0;
        }
        self.is_full = false;
        let column = self.column.min(self.columns - width);
        let row = self.row;
        let cells = self.cells_of(row);
        cells[column] = Cell { character, pen };
        if width == 2 {
            cells[column + 1] = Cell { character: '\0', pen };
        }
        self.column = column + width;
        if self.column >= self.columns {
            self.column = self.columns - 1;
            self.is_full = true;
        }
    }

    /// One row down; at the lower margin, the rows scroll up.
    pub fn line_feed(&mut self, pen: Pen) {
        if self.row + 1 == self.margins.end {
            self.scroll(self.margins.start, 1, pen);
        } else if self.row + 1 < self.rows {
            self.row += 1;
        }
    }

    /// One row up; at the upper margin, the rows scroll down.
    pub fn reverse_line_feed(&mut self, pen: Pen) {
        if self.row == self.margins.start {
            self.scroll_back(self.margins.start, 1, pen);
        } else {
            self.row = self.row.saturating_sub(1);
        }
    }

    /// The rows from one to the lower margin go up, blank ones following.
    fn scroll(&mut self, first: usize, count: usize, pen: Pen) {
        let (begin, end) = (first * self.columns, self.margins.end * self.columns);
        let moved = (count * self.columns).min(end - begin);
        self.cells.copy_within(begin + moved..end, begin);
        self.cells[end - moved..end].fill(blank(pen));
    }

    /// The rows from one to the lower margin go down, blank ones following.
    fn scroll_back(&mut self, first: usize, count: usize, pen: Pen) {
        let (begin, end) = (first * self.columns, self.margins.end * self.columns);
        let moved = (count * self.columns).min(end - begin);
        self.cells.copy_within(begin..end - moved, begin + moved);
        self.cells[begin..begin + moved].fill(blank(pen));
    }

    /// All rows that scroll go up, or down where the count is negative.
    pub fn scroll_all(&mut self, count: isize, pen: Pen) {
        let first = self.margins.start;
        if count >= 0 {
            self.scroll(first, count.unsigned_abs(), pen);
        } else {
            self.scroll_back(first, count.unsigned_abs(), pen);
        }
    }

    /// Inserts blank rows at the cursor's, or takes rows out where the count is negative; within the margins.
    pub fn insert_rows(&mut self, count: isize, pen: Pen) {
        if !self.margins.contains(&self.row) {
            return;
        }
        if count >= 0 {
            self.scroll_back(self.row, count.unsigned_abs(), pen);
        } else {
            self.scroll(self.row, count.unsigned_abs(), pen);
        }
        self.is_full = false;
    }

    /// Inserts blank cells at the cursor, or takes cells out where the count is negative.
    pub fn insert_cells(&mut self, count: isize, pen: Pen) {
        let (row, column) = (self.row, self.column);
        let rest = &mut self.cells_of(row)[column..];
        let (length, moved) = (rest.len(), count.unsigned_abs().min(rest.len()));
        if count >= 0 {
            rest.copy_within(..length - moved, moved);
            rest[..moved].fill(blank(pen));
        } else {
            rest.copy_within(moved.., 0);
            rest[length - moved..].fill(blank(pen));
        }
        self.is_full = false;
    }

    /// Blanks cells of the cursor's row.
    pub fn erase_in_row(&mut self, columns: Range<usize>, pen: Pen) {
        let (row, end) = (self.row, columns.end.min(self.columns));
        self.cells_of(row)[columns.start.min(end)..end].fill(blank(pen));
    }

    /// Blanks rows.
    pub fn erase_rows(&mut self, rows: Range<usize>, pen: Pen) {
        self.cells[rows.start * self.columns..rows.end * self.columns].fill(blank(pen));
    }
}

/// What an erased place is: as the pen's background.
const fn blank(pen: Pen) -> Cell {
    Cell { character: ' ', pen: Pen { background: pen.background, ..Pen::PLAIN } }
}
