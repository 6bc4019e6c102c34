//! `echo`: its words.

use alloc::string::String;

use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "echo",
        synopsis: "[-n] [WORD...]",
        summary: "Writes its words with spaces between and a newline after.",
        details: "",
        choices: &[Choice { letter: 'n', long: "no-newline", value: None, help: "No newline." }],
        operands: (0, MANY),
    },
    body: echo,
};

fn echo(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let mut line: String = arguments.operands.join(" ");
    if !arguments.has("no-newline") {
        line.push('\n');
    }
    Ok(context.output.write_all(line.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::expect;

    #[test]
    fn words_are_joined() {
        expect(&COMMAND, "a 'b  c' d", "", "a b  c d\n");
        expect(&COMMAND, "-n a", "", "a");
        expect(&COMMAND, "-- -n", "", "-n\n");
    }
}
