//! `queens`: in how many ways N queens stand on a board of N by N without threatening each other.

use alloc::format;
use alloc::vec::Vec;

use v::parallel::Job;

use super::crew::{Crew, SPEED_UP, WORKERS};
use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Misuse, ON, Usage, number};

/// The largest board: on larger ones it takes days.
const MOST_QUEENS: u32 = 20;
/// Rows that are filled for a task: each way to fill them is one. More for boards so large that these would take minutes.
const fn rows_in_task(queens: u32) -> u32 {
    match queens {
        0..2 => queens,
        2..16 => 2,
        _ => 3,
    }
}

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "queens",
        synopsis: "[-w N] [--speed-up] QUEENS [@ PLACE]",
        summary: "Counts the ways to place queens on a board so that none threatens another.",
        details: "The board has as many rows and columns as there are queens, 20 at most. Workers count, each for some\n\
                  places of the first queens. They run on this node, or at PLACE: a node's name, or * for any.",
        choices: &[WORKERS, ON, SPEED_UP],
        operands: (1, 1),
    },
    body: queens,
};

fn queens(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let crew = Crew::of(arguments)?;
    let count: u32 = number(&arguments.operands[0])?;
    if !(1..=MOST_QUEENS).contains(&count) {
        return Err(Misuse(format!("expected a number of queens from 1 to {MOST_QUEENS}")).into());
    }
    let mut tasks = Vec::new();
    begin(Board::new(count), rows_in_task(count), &mut tasks);
    let job = Job::new().tasks(tasks.into_iter().map(Board::to_bytes)).on(crew.place.clone());
    let mut ways = 0;
    crew.run(context, job, &mut |_, _, result| {
        ways += u64::from_le_bytes(*result.first_chunk().ok_or(abi::Error::BadReply)?);
        Ok(())
    })?;
    Ok(context.output.write_all(format!("{ways}\n").as_bytes())?)
}

/// A board whose first rows are filled, as the next row sees it: a bit for each column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Board {
    /// The columns that there are.
    all: u32,
    /// Those with a queen, and those that one threatens from the left and from the right.
    columns: u32,
    from_left: u32,
    from_right: u32,
}

impl Board {
    fn new(queens: u32) -> Board {
        Board { all: (1 << queens) - 1, columns: 0, from_left: 0, from_right: 0 }
    }

    /// The columns in which the next queen may stand.
    fn free(self) -> u32 {
        self.all & !(self.columns | self.from_left | self.from_right)
    }

    /// With a queen in the next row.
    fn with(self, column: u32) -> Board {
        Board {
            all: self.all,
            columns: self.columns | column,
            from_left: (self.from_left | column) << 1,
            from_right: (self.from_right | column) >> 1,
        }
    }

    fn to_bytes(self) -> Vec<u8> {
        [self.all, self.columns, self.from_left, self.from_right].map(u32::to_le_bytes).concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Board> {
        let mut words = bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
        let mut next = || words.next();
        Some(Board { all: next()?, columns: next()?, from_left: next()?, from_right: next()? })
    }
}

/// Fills the first rows in every way.
fn begin(board: Board, rows: u32, tasks: &mut Vec<Board>) {
    if rows == 0 {
        tasks.push(board);
        return;
    }
    let mut free = board.free();
    while free != 0 {
        let column = free & free.wrapping_neg();
        free ^= column;
        begin(board.with(column), rows - 1, tasks);
    }
}

/// In how many ways the rest can be filled.
fn count(board: Board) -> u64 {
    if board.columns == board.all {
        return 1;
    }
    let (mut free, mut ways) = (board.free(), 0);
    while free != 0 {
        let column = free & free.wrapping_neg();
        free ^= column;
        ways += count(board.with(column));
    }
    ways
}

/// What a worker does: a board, in how many ways it can be filled.
pub fn work(_shared: &[u8], task: &[u8]) -> Vec<u8> {
    Board::from_bytes(task).map_or(Vec::new(), |board| count(board).to_le_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::try_command;

    /// From Sloane's list, A000170.
    const WAYS: [u64; 11] = [1, 0, 0, 2, 10, 4, 40, 92, 352, 724, 2680];

    #[test]
    fn tasks_together_have_all_ways() {
        for (queens, ways) in (1..).zip(WAYS) {
            let mut tasks = Vec::new();
            begin(Board::new(queens), rows_in_task(queens), &mut tasks);
            let results = tasks.iter().map(|task| work(&[], &task.to_bytes()));
            let sum: u64 = results.map(|bytes| u64::from_le_bytes(*bytes.first_chunk().unwrap())).sum();
            assert_eq!(sum, ways, "{queens} queens");
        }
        assert!(work(&[], &[1, 2]).is_empty());
    }

    #[test]
    fn bad_words_are_refused() {
        for (words, reason) in [
            ("0", "from 1 to 20"),
            ("21", "from 1 to 20"),
            ("eight", "'eight' is not a whole number"),
            ("8 --workers 0", "--workers: expected a number from 1 to 64"),
            ("8 --workers 65", "--workers: expected a number from 1 to 64"),
            ("", "expected more words"),
            ("8 9", "'9' is one word too many"),
        ] {
            let (status, output, errors) = try_command(&COMMAND, words, &[]);
            assert_eq!((status, output.as_str()), (2, ""), "{words}");
            assert!(errors.contains(reason), "{words}: {errors}");
        }
    }
}
