//! `uptime`: how long the node runs, and how much of it it had nothing to do.

use alloc::format;

use super::kernel::statistics_of;
use super::node::Node;
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, NODE, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "uptime",
        synopsis: "[@NODE]",
        summary: "Says how long a node has been running, and what it did.",
        details: "",
        choices: &[NODE],
        operands: (0, 0),
    },
    body: uptime,
};

fn uptime(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let host = Node::of(arguments)?.host;
    let record = statistics_of(host).map_err(|error| failed("statistics server", error))?;
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
