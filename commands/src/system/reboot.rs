//! `reboot`: restarts the machine.

use protocols::supervisor::supervisor;
use v::message::{Segment, call};

use super::node::Node;
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, NODE, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "reboot",
        synopsis: "[@NODE]",
        summary: "Restarts a machine.",
        details: "",
        choices: &[NODE],
        operands: (0, 0),
    },
    body: reboot,
};

fn reboot(arguments: &Arguments, _: &mut Context<'_>) -> Outcome {
    let node = Node::of(arguments)?;
    let server = node.server("supervisor")?;
    if !node.is_named() {
        super::poweroff::wait_for_output();
    }
    call(server, &supervisor::Reboot {}, Segment::None)
        .map_err(|error| failed(&node.prefix("supervisor"), error))?;
    Ok(())
}
