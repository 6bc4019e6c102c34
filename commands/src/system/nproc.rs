//! `nproc`: how many processors run.

use alloc::format;

use super::kernel::statistics_of;
use super::node::Node;
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, NODE, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "nproc",
        synopsis: "[@NODE]",
        summary: "Writes how many processors of a node run.",
        details: "",
        choices: &[NODE],
        operands: (0, 0),
    },
    body: nproc,
};

fn nproc(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let host = Node::of(arguments)?.host;
    let record = statistics_of(host).map_err(|error| failed("statistics server", error))?;
    Ok(context.output.write_all(format!("{}\n", record.processors).as_bytes())?)
}
