//! `hosts`: the nodes of the domain.

use alloc::format;
use alloc::string::String;

use abi::Error;
use abi::kernel::record::StatisticsRecord;
use protocols::network::HostRecord;
use v::node::ClockReading;

use super::kernel::statistics_of;
use crate::Command;
use crate::context::{Context, Failure, Outcome, failed};
use crate::usage::{Arguments, Choice, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "hosts",
        synopsis: "[--json]",
        summary: "Lists the nodes that answer, with what each has and does.",
        details: "HOST is the node's logical host: the first part of its processes' numbers. ROUND-TRIP is how long a\n\
                  message to its kernel and back took, CLOCK how far its date is ahead of this node's, give or\n\
                  take half of that. Memory is in KiB. Nodes that do not answer are not listed.",
        choices: &[Choice {
            letter: '\0',
            long: "json",
            value: None,
            help: "Write one JSON array with an object for each node.",
        }],
        operands: (0, 0),
    },
    body: hosts,
};

/// A failure to ask the network, or something by the network.
pub(super) fn network_failure(object: &str, error: Error) -> Failure {
    if error == Error::NoNetwork {
        let text = "this node has no network, since it was started without a network card; \
                    'cargo v run --nodes 2' starts two that have one each";
        return Failure::Failed(text.into());
    }
    failed(object, error)
}

/// What a node says of itself.
struct Node {
    record: HostRecord,
    statistics: StatisticsRecord,
    clocks: ClockReading,
}

fn hosts(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let is_json = arguments.has("json");
    let records = v::node::all().map_err(|error| network_failure("[network]", error))?;
    let mut text = if is_json {
        String::new()
    } else {
        format!(
            "{:<24} {:<8} {:>13} {:>10} {:>10} {:>10} {:>9} {:>9} {:>6}\n",
            "NAME", "HOST", "ROUND-TRIP-US", "CLOCK-US", "MEMORY", "FREE", "PROCESSES", "UP-S", "IDLE-%"
        )
    };
    let mut comma = "";
    for record in records {
        // One that has gone meanwhile is not there.
        let Ok(node) = ask(record) else { continue };
        if is_json {
            text += comma;
            comma = ",";
            text += &json(&node);
        } else {
            text += &plain(&node);
        }
    }
    if is_json {
        text = format!("[{text}]\n");
    }
    Ok(context.output.write_all(text.as_bytes())?)
}

fn ask(record: HostRecord) -> Result<Node, Error> {
    let statistics = statistics_of(record.logical_host)?;
    let clocks = v::node::read_clocks(record.logical_host)?;
    Ok(Node { record, statistics, clocks })
}

/// The node's name as a word; `?` for what is no name.
fn name(record: &HostRecord) -> &str {
    let is_name = |name: &&str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
    };
    record.name().filter(is_name).unwrap_or("?")
}

const fn kibibytes(frames: u64) -> u64 {
    frames * abi::PAGE_BYTES / 1024
}

fn idle_percent(statistics: &StatisticsRecord) -> u64 {
    statistics.idle_ns.saturating_mul(100) / statistics.uptime_ns.max(1)
}

fn plain(node: &Node) -> String {
    let statistics = &node.statistics;
    format!(
        "{:<24} {:<8} {:>13} {:>10} {:>10} {:>10} {:>9} {:>9} {:>6}\n",
        name(&node.record),
        format!("{:x}", node.record.logical_host.to_bits()),
        node.clocks.round_trip_ns / 1000,
        node.clocks.ahead_ns / 1000,
        kibibytes(statistics.total_frames),
        kibibytes(statistics.free_frames),
        statistics.processes,
        statistics.uptime_ns / 1_000_000_000,
        idle_percent(statistics),
    )
}

fn json(node: &Node) -> String {
    let statistics = &node.statistics;
    format!(
        "{{\"name\":\"{}\",\"logical_host\":\"{:x}\",\"round_trip_ns\":{},\"clock_ns\":{},\"memory_kib\":{},\"free_kib\":{},\
         \"processes\":{},\"uptime_ns\":{},\"idle_percent\":{}}}",
        name(&node.record),
        node.record.logical_host.to_bits(),
        node.clocks.round_trip_ns,
        node.clocks.ahead_ns,
        kibibytes(statistics.total_frames),
        kibibytes(statistics.free_frames),
        statistics.processes,
        statistics.uptime_ns,
        idle_percent(statistics),
    )
}

#[cfg(test)]
mod tests {
    use abi::LogicalHost;

    use super::*;

    #[test]
    fn nodes_are_shown_to_people_and_to_programs() {
        let mut host = HostRecord { logical_host: LogicalHost::from_bits(0xabc), name: [0; 24] };
        host.name[..5].copy_from_slice(b"node2");
        let statistics = StatisticsRecord {
            total_frames: 1024,
            free_frames: 512,
            processes: 40,
            uptime_ns: 3_000_000_000,
            idle_ns: 1_500_000_000,
            ..StatisticsRecord::default()
        };
        let clocks = ClockReading { at_ns: 0, round_trip_ns: 1_234_567, uptime_ns: 0, ahead_ns: -2_000_000 };
        let mut node = Node { record: host, statistics, clocks };
        let words: alloc::vec::Vec<String> = plain(&node).split_whitespace().map(String::from).collect();
        assert_eq!(words, ["node2", "abc", "1234", "-2000", "4096", "2048", "40", "3", "50"]);
        assert!(
            json(&node)
                .starts_with("{\"name\":\"node2\",\"logical_host\":\"abc\",\"round_trip_ns\":1234567,")
        );
        node.record.name[2] = b'"';
        assert!(json(&node).starts_with("{\"name\":\"?\","));
    }
}
