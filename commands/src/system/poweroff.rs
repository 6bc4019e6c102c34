//! `poweroff`: switches the machine off.

use protocols::supervisor::supervisor;
use v::message::{Segment, call};
use v::time::Duration;

use super::node::Node;
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, NODE, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "poweroff",
        synopsis: "[@NODE]",
        summary: "Switches a machine off.",
        details: "",
        choices: &[NODE],
        operands: (0, 0),
    },
    body: poweroff,
};

/// How long output may take that was written before the machine goes down.
const OUTPUT_PATIENCE_NS: u64 = 10_000_000_000;
const POLL: Duration = Duration::from_millis(1);
const STACK_BYTES: usize = 16 * 1024;

/// Waits until what was written to this program's output has left the machine, which may be far behind. A message to
/// one process has no deadline, so a process of its own waits for the servers, and this one for that, for a while.
pub(super) fn wait_for_output() {
    let streams = [1, 2].map(v::io::standard_stream);
    let spawned = v::process::spawn_thread(STACK_BYTES, move || {
        for stream in streams.into_iter().flatten() {
            if let Err(error) = stream.synchronize() {
                v::log::warning!("output that is on its way may be lost: {error}");
            }
        }
    });
    let synchronizer = match spawned {
        Ok(synchronizer) => synchronizer,
        // No reason to stay on.
        Err(error) => return v::log::warning!("output that is on its way may be lost: {error}"),
    };
    let deadline_ns = v::time::now_ns() + OUTPUT_PATIENCE_NS;
    while v::time::now_ns() < deadline_ns
        && !v::process::has_ended(synchronizer.pid()).unwrap_or(true)
        && v::time::sleep(POLL).is_ok()
    {}
}

fn poweroff(arguments: &Arguments, _: &mut Context<'_>) -> Outcome {
    let node = Node::of(arguments)?;
    let server = node.server("supervisor")?;
    if !node.is_named() {
        wait_for_output();
    }
    call(server, &supervisor::PowerOff { status: 0 }, Segment::None)
        .map_err(|error| failed(&node.prefix("supervisor"), error))?;
    Ok(())
}
