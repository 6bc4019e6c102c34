//! `poweroff`: switches the machine off.

use protocols::supervisor::supervisor;
use v::message::{Segment, call};

use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "poweroff",
        synopsis: "",
        summary: "Switches this machine off.",
        details: "",
        choices: &[],
        operands: (0, 0),
    },
    body: poweroff,
};

fn poweroff(_: &Arguments, _: &mut Context<'_>) -> Outcome {
    let server = v::name::resolve("[supervisor]").map_err(|error| failed("[supervisor]", error))?.server;
    call(server, &supervisor::PowerOff { status: 0 }, Segment::None)
        .map_err(|error| failed("[supervisor]", error))?;
    Ok(())
}
