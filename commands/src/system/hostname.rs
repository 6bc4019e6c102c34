//! `hostname`: this node's name.

use alloc::format;

use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "hostname",
        synopsis: "",
        summary: "Says the name of this node.",
        details: "",
        choices: &[],
        operands: (0, 0),
    },
    body: hostname,
};

fn hostname(_: &Arguments, context: &mut Context<'_>) -> Outcome {
    Ok(context.output.write_all(format!("{}\n", v::node::name()).as_bytes())?)
}
