//! `rev`: each line backwards.

use alloc::vec::Vec;

use super::characters::characters;
use crate::Command;
use crate::context::{Context, FileFailure, Outcome, next_line, without_newline};
use crate::usage::{Arguments, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "rev",
        synopsis: "[FILE...]",
        summary: "Writes the characters of each line backwards.",
        details: "",
        choices: &[],
        operands: (0, MANY),
    },
    body: rev,
};

fn rev(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    context.each_file(&arguments.operands, |context, _, file| {
        let mut line = Vec::new();
        while next_line(file, &mut line)? {
            let text = without_newline(&line);
            let mut backwards: Vec<&[u8]> = characters(text).collect();
            backwards.reverse();
            context.output.write_all(&backwards.concat())?;
            context.output.write_all(&line[text.len()..])?;
        }
        Ok::<(), FileFailure>(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::expect;

    #[test]
    fn lines_are_turned_round() {
        expect(&COMMAND, "", "abc\n\näb", "cba\n\nbä");
    }
}
