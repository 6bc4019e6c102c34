//! `ping`: messages to the kernel of another node, or to a process there, and back.

use alloc::format;
use alloc::string::String;

use core::time::Duration;

use abi::{Error, LogicalHost, Pid};
use protocols::naming::{MAX_PREFIX_BYTES, naming};
use v::message::{Segment, call};
use v::time::Instant;

use super::hosts::network_failure;
use crate::Command;
use crate::context::{Context, Failure, Outcome};
use crate::usage::{Arguments, Choice, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "ping",
        synopsis: "[-p] [-c COUNT] NODE",
        summary: "Sends messages to a node and says how long each took.",
        details: "The node's kernel answers, or with -p a process there: its naming server, which every node has.\n\
                  Ends with status 1 if the node is not found or an answer is missing. A message is sent again by itself\n\
                  if a packet is lost: then it takes longer.",
        choices: &[
            Choice {
                letter: 'p',
                long: "process",
                value: None,
                help: "From process to process: the node's naming server answers, not its kernel.",
            },
            Choice {
                letter: 'c',
                long: "count",
                value: Some("COUNT"),
                help: "How many messages, from 1 to 1000000; 4 if not said.",
            },
        ],
        operands: (1, 1),
    },
    body: ping,
};

const COUNT: u32 = 4;
const MOST: u32 = 1_000_000;
/// More messages than that are sent one right after the other.
const MOST_AT_LEISURE: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

fn ping(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let name = &arguments.operands[0];
    let count = match arguments.value("count") {
        Some(text) => parse(text)?,
        None => COUNT,
    };
    let host = super::node::find(name)?;
    let target = if arguments.has("process") { Target::process(name)? } else { Target::Kernel(host) };
    let mut summary = Summary::default();
    for number in 1..=count {
        let ns = target.round_trip_ns().map_err(|error| network_failure(name, error))?;
        summary.add(ns);
        if count <= MOST_AT_LEISURE {
            let line = format!("{number}: {} us\n", ns / 1000);
            context.output.write_all(line.as_bytes())?;
            if number < count {
                v::time::sleep(PAUSE)?;
            }
        }
    }
    let Summary { count, shortest_ns, longest_ns, sum_ns } = summary;
    let text = format!(
        "{count} answers from {name} ({}): shortest {} us, average {} us, longest {} us\n",
        target.shown(),
        shortest_ns / 1000,
        sum_ns / u64::from(count) / 1000,
        longest_ns / 1000,
    );
    Ok(context.output.write_all(text.as_bytes())?)
}

/// Who answers.
enum Target {
    /// The kernel of a node.
    Kernel(LogicalHost),
    /// A naming server.
    Naming(Pid),
}

impl Target {
    /// The process that answers for a node.
    fn process(node: &str) -> Result<Target, Failure> {
        let prefixes = format!("[{node}]");
        let place = v::name::resolve(&prefixes).map_err(|error| network_failure(&prefixes, error))?;
        Ok(Target::Naming(place.server))
    }

    /// Has a message answered.
    fn round_trip_ns(&self) -> Result<u64, Error> {
        match self {
            Target::Kernel(host) => Ok(v::node::read_clocks(*host)?.round_trip_ns),
            Target::Naming(server) => {
                let mut name = [0; MAX_PREFIX_BYTES];
                let began = Instant::now();
                call(*server, &naming::Enumerate { position: 0 }, Segment::Write(&mut name))?;
                Ok(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX))
            }
        }
    }

    /// The logical host, or the pid.
    fn shown(&self) -> String {
        match self {
            Target::Kernel(host) => format!("{:x}", host.to_bits()),
            Target::Naming(server) => format!("{server}"),
        }
    }
}

#[derive(PartialEq, Eq, Debug, Default)]
#[allow(clippy::struct_field_names)] // Three are times, in nanoseconds.
struct Summary {
    count: u32,
    shortest_ns: u64,
    longest_ns: u64,
    sum_ns: u64,
}

impl Summary {
    fn add(&mut self, ns: u64) {
        self.shortest_ns = if self.count == 0 { ns } else { self.shortest_ns.min(ns) };
        self.longest_ns = self.longest_ns.max(ns);
        self.sum_ns += ns;
        self.count += 1;
    }
}

fn parse(text: &str) -> Result<u32, Misuse> {
    let number = text.parse().ok().filter(|number| (1..=MOST).contains(number));
    number.ok_or_else(|| Misuse(format!("'{text}' is not a count from 1 to {MOST}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_summed_up() {
        let mut summary = Summary::default();
        for ns in [5, 3, 10] {
            summary.add(ns);
        }
        assert_eq!(summary, Summary { count: 3, shortest_ns: 3, longest_ns: 10, sum_ns: 18 });
    }

    #[test]
    fn counts_are_checked() {
        assert_eq!(parse("7").unwrap(), 7);
        for text in ["", "0", "-1", "x", "1000001"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
