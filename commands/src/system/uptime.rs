//! `uptime`: how long the node runs, and how much of it it had nothing to do.

use alloc::format;

use super::kernel::statistics;
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "uptime",
        synopsis: "",
        summary: "Says how long this node has been running, and what it did.",
        details: "",
        choices: &[],
        operands: (0, 0),
    },
    body: uptime,
};

fn uptime(_: &Arguments, context: &mut Context<'_>) -> Outcome {
    let record = statistics().map_err(|error| failed("statistics server", error))?;
    let seconds = record.uptime_ns / 1_000_000_000;
    let idle_percent = record.idle_ns.saturating_mul(100) / record.uptime_ns.max(1);
    let text = format!(
        "up {}:{:02}:{:02}, {} processes, {} messages, {idle_percent}% idle\n",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        record.processes,
        record.sends,
    );
    Ok(context.output.write_all(text.as_bytes())?)
}
