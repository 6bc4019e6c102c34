//! `reboot`: restarts the machine.

use protocols::supervisor::supervisor;
use v::message::{Segment, call};

use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "reboot",
        synopsis: "",
        summary: "Restarts this machine.",
        details: "",
        choices: &[],
        operands: (0, 0),
    },
    body: reboot,
};

fn reboot(_: &Arguments, _: &mut Context<'_>) -> Outcome {
    super::poweroff::wait_for_output();
    let server = v::name::resolve("[supervisor]").map_err(|error| failed("[supervisor]", error))?.server;
    call(server, &supervisor::Reboot {}, Segment::None).map_err(|error| failed("[supervisor]", error))?;
    Ok(())
}
