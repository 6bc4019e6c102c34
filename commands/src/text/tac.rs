//! `tac`: the lines of files, last first.

use crate::Command;
use crate::context::{Context, FileFailure, Outcome, read_all};
use crate::usage::{Arguments, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "tac",
        synopsis: "[FILE...]",
        summary: "Writes the lines of each file, the last one first.",
        details: "It keeps a whole file in memory. A last line without a newline comes without one.",
        choices: &[],
        operands: (0, MANY),
    },
    body: tac,
};

fn tac(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    context.each_file(&arguments.operands, |context, _, file| {
        let text = read_all(file)?;
        for line in text.split_inclusive(|byte| *byte == b'\n').rev() {
            context.output.write_all(line)?;
        }
        Ok::<(), FileFailure>(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::expect;

    #[test]
    fn the_last_comes_first() {
        expect(&COMMAND, "", "a\n\nb", "b\na\n");
        expect(&COMMAND, "", "a\nb", "ba\n");
        expect(&COMMAND, "", "", "");
    }
}
