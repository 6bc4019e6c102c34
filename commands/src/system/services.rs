//! `services`: what the supervisor runs.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use abi::{Error, Pid};
use protocols::supervisor::{ServiceRecord, state, supervisor};
use v::message::{Segment, call};

use super::node::Node;
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::json;
use crate::usage::{Arguments, NODE, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "services",
        synopsis: "[--json] [@NODE]",
        summary: "Lists the services that a node's supervisor runs.",
        details: "To restart one: kill -s SERVICE [@NODE].",
        choices: &[json::OPTION, NODE],
        operands: (0, 0),
    },
    body: services,
};

fn services(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let node = Node::of(arguments)?;
    let server = node.server("supervisor")?;
    let now_ns = node.uptime_ns()?;
    let is_json = arguments.has("json");
    let mut objects: Vec<String> = Vec::new();
    let mut text = format!(
        "{:<14} {:<9} {:>8} {:<17} {:>9} {}\n",
        "SERVICE", "STATE", "RESTARTS", "PID", "UP", "LAST-END"
    );
    let mut buffer = [0; ServiceRecord::HEADER_BYTES + ServiceRecord::MAX_NAME_BYTES];
    for position in 0.. {
        match call(server, &supervisor::QueryService { position }, Segment::Write(&mut buffer)) {
            Ok(_) => {}
            Err(Error::NotFound) => break,
            Err(error) => return Err(failed("[supervisor]", error)),
        }
        let record = ServiceRecord::decode(&buffer).ok_or_else(|| failed("[supervisor]", Error::BadReply))?;
        let up = if record.state == state::RUNNING {
            format!("{}s", now_ns.saturating_sub(record.started_ns) / 1_000_000_000)
        } else {
            "-".into()
        };
        let last = match record.last_status {
            0 => "-".into(),
            abi::notice::STATUS_KILLED => "killed".into(),
            status if status >= abi::notice::STATUS_EXCEPTION => {
                format!("exception {}", status - abi::notice::STATUS_EXCEPTION)
            }
            status => format!("status {status}"),
        };
        if is_json {
            let object = json::Object::new()
                .text("name", record.name)
                .text("state", state::name(record.state))
                .number("restarts", record.restarts)
                .text("pid", &format!("{}", Pid::from_bits(record.process)))
                .number("started_ns", record.started_ns)
                .number("last_status", record.last_status);
            objects.push(object.end());
            continue;
        }
        // A string takes whatever is written to it.
        let _ = writeln!(
            text,
            "{:<14} {:<9} {:>8} {:<17} {:>9} {}",
            record.name,
            state::name(record.state),
            record.restarts,
            format!("{}", Pid::from_bits(record.process)),
            up,
            last
        );
    }
    if is_json {
        text = json::array(objects) + "\n";
    }
    Ok(context.output.write_all(text.as_bytes())?)
}
