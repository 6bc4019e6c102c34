//! `sleep`: does nothing for a while.

use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Usage, duration};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "sleep",
        synopsis: "SECONDS",
        summary: "Waits for so many seconds; fractions such as 0.2 too, and 200ms.",
        details: "",
        choices: &[],
        operands: (1, 1),
    },
    body: sleep,
};

fn sleep(arguments: &Arguments, _: &mut Context<'_>) -> Outcome {
    v::time::sleep(duration(&arguments.operands[0])?)?;
    Ok(())
}
