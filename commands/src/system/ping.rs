//! `ping`: messages to the kernel of another node and back.

use alloc::format;

use core::time::Duration;

use super::hosts::network_failure;
use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Choice, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "ping",
        synopsis: "[-c COUNT] NODE",
        summary: "Sends messages to the kernel of a node and says how long each took.",
        details: "Ends with status 1 if the node is not found or an answer is missing. A message is sent again by itself\n\
                  if a packet is lost: then it takes longer.",
        choices: &[Choice {
            letter: 'c',
            long: "count",
            value: Some("COUNT"),
            help: "How many messages, from 1 to 1000000; 4 if not said.",
        }],
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
    let mut summary = Summary::default();
    for number in 1..=count {
        let ns = v::node::read_clocks(host).map_err(|error| network_failure(name, error))?.round_trip_ns;
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
        "{count} answers from {name} ({:x}): shortest {} us, average {} us, longest {} us\n",
        host.to_bits(),
        shortest_ns / 1000,
        sum_ns / u64::from(count) / 1000,
        longest_ns / 1000,
    );
    Ok(context.output.write_all(text.as_bytes())?)
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
