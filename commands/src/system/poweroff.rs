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

/// How long output may take that was written before the machine goes down.
const OUTPUT_PATIENCE_NS: u64 = 10_000_000_000;

/// Waits until what was written to this program's output has left the machine, which may be far behind.
pub(super) fn wait_for_output() {
    let deadline = v::time::now_ns() + OUTPUT_PATIENCE_NS;
    for stream in [1, 2].into_iter().filter_map(v::io::standard_stream) {
        // What cannot leave is no reason to stay on.
        let _ = stream.synchronize_until(deadline);
    }
}

fn poweroff(_: &Arguments, _: &mut Context<'_>) -> Outcome {
    wait_for_output();
    let server = v::name::resolve("[supervisor]").map_err(|error| failed("[supervisor]", error))?.server;
    call(server, &supervisor::PowerOff { status: 0 }, Segment::None)
        .map_err(|error| failed("[supervisor]", error))?;
    Ok(())
}
