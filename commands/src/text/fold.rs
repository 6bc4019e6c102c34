//! `fold` and `expand`: lines that are not too wide, and blanks for tabulators.

use alloc::format;
use alloc::vec::Vec;

use super::characters::characters;
use crate::Command;
use crate::context::{Context, FileFailure, Outcome, next_line};
use crate::usage::{Arguments, Choice, MANY, Misuse, Usage, option_number};

/// The command `fold`.
pub const FOLD: Command = Command {
    usage: Usage {
        name: "fold",
        synopsis: "[-bs] [-w COLUMNS] [FILE...]",
        summary: "Breaks lines that are too wide.",
        details: "Each character counts as one column.",
        choices: &[
            Choice { letter: 'w', long: "width", value: Some("COLUMNS"), help: "So wide at most; 80." },
            Choice {
                letter: 's',
                long: "spaces",
                value: None,
                help: "Break behind a blank, where there is one.",
            },
            Choice { letter: 'b', long: "bytes", value: None, help: "Count bytes, not columns." },
        ],
        operands: (0, MANY),
    },
    body: fold,
};

/// The command `expand`.
pub const EXPAND: Command = Command {
    usage: Usage {
        name: "expand",
        synopsis: "[-i] [-t COLUMNS[,COLUMNS...]] [FILE...]",
        summary: "Writes blanks for tabulators.",
        details: "",
        choices: &[
            Choice {
                letter: 't',
                long: "tabs",
                value: Some("COLUMNS"),
                help: "A stop each so many columns, 8 unless said, or these stops.",
            },
            Choice {
                letter: 'i',
                long: "initial",
                value: None,
                help: "Only of those that lines begin with.",
            },
        ],
        operands: (0, MANY),
    },
    body: expand,
};

/// Between two stops where nothing else is said.
const STOP_COLUMNS: usize = 8;

/// How wide a character is that is at a column; a backspace goes back.
fn column_after(column: usize, character: &[u8]) -> usize {
    match character {
        b"\t" => (column / STOP_COLUMNS + 1) * STOP_COLUMNS,
        b"\x08" => column.saturating_sub(1),
        b"\r" => 0,
        _ => column + 1,
    }
}

fn fold(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let width: usize = arguments.number("width")?.unwrap_or(80);
    if width == 0 {
        return Err(Misuse("--width: at least one column".into()).into());
    }
    let counts_bytes = arguments.has("bytes");
    let after = |column: usize, character: &[u8]| {
        if counts_bytes { column + character.len() } else { column_after(column, character) }
    };
    context.each_file(&arguments.operands, |context, _, file| {
        let (mut line, mut row) = (Vec::new(), Vec::new());
        while next_line(file, &mut line)? {
            let mut column = 0;
            for character in characters(&line) {
                let mut next = after(column, character);
                if character != b"\n" && next > width && !row.is_empty() {
                    let blank = row.iter().rposition(|byte| matches!(byte, b' ' | b'\t'));
                    let end = blank.filter(|_| arguments.has("spaces")).map_or(row.len(), |at| at + 1);
                    context.output.write_all(&row[..end])?;
                    context.output.write_all(b"\n")?;
                    row.drain(..end);
                    column = characters(&row).fold(0, &after);
                    next = after(column, character);
                }
                row.extend_from_slice(character);
                column = next;
            }
            context.output.write_all(&row)?;
            row.clear();
        }
        Ok::<(), FileFailure>(())
    })
}

/// Where tabulators lead: each so many columns, or to these, and by a column behind them.
struct Stops {
    columns: Vec<usize>,
}

impl Stops {
    fn of(text: &str) -> Result<Stops, Misuse> {
        let columns = text.split([',', ' ']).map(|word| option_number(word, "tabs"));
        let columns = columns.collect::<Result<Vec<usize>, Misuse>>()?;
        if columns[0] == 0 || !columns.is_sorted_by(|left, right| left < right) {
            return Err(Misuse(format!("--tabs: '{text}' does not go up from 1")));
        }
        Ok(Stops { columns })
    }

    fn after(&self, column: usize) -> usize {
        match &self.columns[..] {
            [each] => (column / each + 1) * each,
            stops => stops.iter().copied().find(|stop| *stop > column).unwrap_or(column + 1),
        }
    }
}

fn expand(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let stops = Stops::of(arguments.value("tabs").unwrap_or("8"))?;
    context.each_file(&arguments.operands, |context, _, file| {
        let (mut line, mut row) = (Vec::new(), Vec::new());
        while next_line(file, &mut line)? {
            row.clear();
            let (mut column, mut expands) = (0, true);
            for character in characters(&line) {
                if character == b"\t" && expands {
                    let next = stops.after(column);
                    row.resize(row.len() + next - column, b' ');
                    column = next;
                    continue;
                }
                expands &= !arguments.has("initial") || character == b" ";
                row.extend_from_slice(character);
                column =
                    if character == b"\t" { stops.after(column) } else { column_after(column, character) };
            }
            context.output.write_all(&row)?;
        }
        Ok::<(), FileFailure>(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    #[test]
    fn columns_count_not_bytes() {
        expect(&FOLD, "-w 3", "äöüß\n", "äöü\nß\n");
        expect(&FOLD, "-w 4 -b", "äöü\n", "äö\nü\n");
        expect(&EXPAND, "", "ä\tx\n", "ä       x\n");
        for line in ["-w 0", "-w x"] {
            assert_eq!(try_command(&FOLD, line, &[("-", b"")]).0, 2);
        }
        for line in ["-t 0", "-t 4,4", "-t 4,2", "-t x", "-t ''"] {
            assert_eq!(try_command(&EXPAND, line, &[("-", b"")]).0, 2, "{line}");
        }
    }
}
