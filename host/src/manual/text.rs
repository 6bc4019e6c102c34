//! Pages as text of 80 columns.

use std::fmt::Write as _;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// The widest line, where words can be parted.
const COLUMNS: usize = 80;
/// What stands before code.
const CODE_INDENT: &str = "    ";
/// The widest column of a table that others stand behind.
const MOST_CELL_COLUMNS: usize = 28;

/// A page as text.
pub fn rendered(markdown: &str) -> String {
    let mut rendering = Rendering::default();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        rendering.take(event);
    }
    rendering.text.trim_end().to_owned() + "\n"
}

#[derive(Default)]
struct Rendering {
    text: String,
    /// What has come of the paragraph, heading or cell.
    line: String,
    is_code: bool,
    /// For each list around, the number of its next item if it has numbers.
    lists: Vec<Option<u64>>,
    row: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Rendering {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Text(text) if self.is_code => {
                for line in text.lines() {
                    self.text += format!("{CODE_INDENT}{line}").trim_end();
                    self.text.push('\n');
                }
            }
            Event::Text(text) | Event::Code(text) => self.line += &text,
            Event::SoftBreak | Event::HardBreak => self.line.push(' '),
            Event::Start(Tag::CodeBlock(_)) => {
                self.end_paragraph();
                self.is_code = true;
            }
            Event::End(TagEnd::CodeBlock) => {
                self.is_code = false;
                self.text.push('\n');
            }
            Event::End(TagEnd::Heading(level)) => {
                let heading = core::mem::take(&mut self.line);
                self.text += &if level <= HeadingLevel::H2 { heading.to_uppercase() } else { heading };
                self.text += "\n\n";
            }
            Event::Start(Tag::List(number)) => {
                self.end_paragraph();
                self.lists.push(number);
            }
            Event::End(TagEnd::List(_)) => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.text.push('\n');
                }
            }
            Event::End(TagEnd::Item | TagEnd::Paragraph) => self.end_paragraph(),
            Event::End(TagEnd::TableCell) => self.row.push(core::mem::take(&mut self.line)),
            Event::End(TagEnd::TableRow | TagEnd::TableHead) => {
                self.rows.push(core::mem::take(&mut self.row));
            }
            Event::End(TagEnd::Table) => self.end_table(),
            _ => {}
        }
    }

    fn end_paragraph(&mut self) {
        let line = core::mem::take(&mut self.line);
        if line.is_empty() {
            return;
        }
        let depth = self.lists.len();
        let mark = match self.lists.last_mut() {
            None => String::new(),
            Some(None) => "* ".to_owned(),
            Some(Some(number)) => {
                *number += 1;
                format!("{}. ", *number - 1)
            }
        };
        let indent = " ".repeat(2 * depth.saturating_sub(1));
        let rest = " ".repeat(indent.len() + mark.len());
        let width = COLUMNS - rest.len();
        for (at, part) in wrapped(&line, width).into_iter().enumerate() {
            let before = if at == 0 { format!("{indent}{mark}") } else { rest.clone() };
            self.text.extend([&before, &*part, "\n"]);
        }
        if depth == 0 {
            self.text.push('\n');
        }
    }

    /// Columns as wide as they need to be, and the last as there is room.
    fn end_table(&mut self) {
        let rows = core::mem::take(&mut self.rows);
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).min(MOST_CELL_COLUMNS)
        };
        let mut widths: Vec<usize> = (0..columns).map(width).collect();
        let before: usize = widths.iter().rev().skip(1).map(|width| width + 2).sum();
        if let Some(last) = widths.last_mut() {
            *last = COLUMNS.saturating_sub(before).max(MOST_CELL_COLUMNS);
        }
        for row in rows.iter().filter(|row| row.iter().any(|cell| !cell.is_empty())) {
            let cells: Vec<Vec<String>> =
                row.iter().zip(&widths).map(|(cell, width)| wrapped(cell, *width)).collect();
            for at in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
                let mut line = String::new();
                for (cell, width) in cells.iter().zip(&widths) {
                    // A string takes whatever is written to it.
                    let _ = write!(line, "{:<width$}  ", cell.get(at).map_or("", String::as_str));
                }
                self.text += line.trim_end();
                self.text.push('\n');
            }
        }
        self.text.push('\n');
    }
}

/// A text in lines that are no wider, where it has blanks.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_ascii_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            *line += word;
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            *line = format!("{line} {word}");
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_become_text() {
        let markdown = "# Title\n\nSome *words* with `code` and [a link](x.md),\nin two lines.\n\n```\n# shell\n  x\n```\n\n\
                        | a | b |\n|---|---|\n| `one` | first |\n| two | second |\n\n* item\n* other\n  with more\n  1. inner\n\n\
                        <!-- hidden -->\n### Part\n";
        assert_eq!(
            rendered(markdown),
            "TITLE\n\nSome words with code and a link, in two lines.\n\n    # shell\n      x\n\n\
             a    b\none  first\ntwo  second\n\n* item\n* other with more\n  1. inner\n\nPart\n"
        );
    }

    #[test]
    fn long_lines_are_parted() {
        let text = rendered(&"word ".repeat(40));
        assert!(text.lines().all(|line| line.len() <= COLUMNS) && text.lines().count() == 3, "{text}");
        let cell = "cell ".repeat(30);
        let text = rendered(&format!("| a | b |\n|---|---|\n| x | {cell} |\n"));
        assert!(text.lines().all(|line| line.len() <= COLUMNS), "{text}");
    }
}
