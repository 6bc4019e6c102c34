//! `services`: what the supervisor runs.

use alloc::format;

use abi::{Error, Pid};
use protocols::supervisor::{ServiceRecord, state, supervisor};
use v::message::{Segment, call};

use super::node::Node;
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, NODE, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "services",
        synopsis: "[@NODE]",
        summary: "Lists the services that a node's supervisor runs.",
        details: "To restart one: kill -s SERVICE [@NODE].",
        choices: &[NODE],
        operands: (0, 0),
    },
    body: services,
};

fn services(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let node = Node::of(arguments)?;
    let server = node.server("supervisor")?;
    let now_ns = node.uptime_ns()?;
    context.output.write_all(
        format!(
            "{:<14} {:<9} {:>8} {:<17} {:>9} {}\n",
            "SERVICE", "STATE", "RESTARTS", "PID", "UP", "LAST-END"
        )
        .as_bytes(),
    )?;
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
        let line = format!(
            "{:<14} {:<9} {:>8} {:<17} {:>9} {}\n",
            record.name,
            state::name(record.state),
            record.restarts,
            format!("{}", Pid::from_bits(record.process)),
            up,
            last
        );
        context.output.write_all(line.as_bytes())?;
    }
    Ok(())
}
