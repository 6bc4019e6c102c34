//! `hosts`: the nodes of the domain.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use abi::Error;
use abi::kernel::record::StatisticsRecord;
use protocols::network::HostRecord;
use protocols::program::ProgramRecord;
use v::node::ClockReading;

use super::kernel::statistics_of;
use crate::Command;
use crate::context::{Context, Failure, Outcome, failed};
use crate::json;
use crate::usage::{Arguments, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "hosts",
        synopsis: "[--json]",
        summary: "Lists the nodes that answer, with what each has and does, and their guests.",
        details: "HOST is the node's logical host: the first part of its processes' numbers. ROUND-TRIP is how long a\n\
                  message to its kernel and back took, CLOCK how far its date is ahead of this node's, give or\n\
                  take half of that. Memory is in KiB. Nodes that do not answer are not listed.\n\
                  LOAD is what a further guest would meet: how busy the processor was in the last seconds, once for\n\
                  the node itself and once for each of its GUESTS, the programs that were started from elsewhere\n\
                  or are free to move. They follow, FROM being the node on which they were started.",
        choices: &[json::OPTION],
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
    load_percent: u32,
    guests: Vec<ProgramRecord>,
}

fn hosts(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let is_json = arguments.has("json");
    let records = v::node::all().map_err(|error| network_failure("[network]", error))?;
    let mut text = if is_json {
        String::new()
    } else {
        format!(
            "{:<24} {:<8} {:>13} {:>10} {:>10} {:>10} {:>9} {:>9} {:>6} {:>6} {:>6}\n",
            "NAME",
            "HOST",
            "ROUND-TRIP-US",
            "CLOCK-US",
            "MEMORY",
            "FREE",
            "PROCESSES",
            "UP-S",
            "IDLE-%",
            "LOAD-%",
            "GUESTS"
        )
    };
    // One that has gone meanwhile is not there.
    let nodes: Vec<Node> = records.into_iter().filter_map(|record| ask(record).ok()).collect();
    if is_json {
        text = json::array(nodes.iter().map(|node| object(node, &nodes))) + "\n";
    } else {
        text.extend(nodes.iter().map(plain));
        text += &guests(&nodes);
    }
    Ok(context.output.write_all(text.as_bytes())?)
}

fn ask(record: HostRecord) -> Result<Node, Error> {
    let statistics = statistics_of(record.logical_host)?;
    let clocks = v::node::read_clocks(record.logical_host)?;
    // A node can be there without its program manager, which is being started again.
    let programs = v::process::programs_of(record.logical_host).unwrap_or_default();
    let mut guests = programs.running;
    guests.retain(|program| program.is_guest);
    Ok(Node { record, statistics, clocks, load_percent: programs.load_percent, guests })
}

/// The node's name as a word; `?` for what is no name.
fn name(record: &HostRecord) -> &str {
    word(record.name())
}

fn word(name: Option<&str>) -> &str {
    let is_name = |name: &&str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
    };
    name.filter(is_name).unwrap_or("?")
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
        "{:<24} {:<8} {:>13} {:>10} {:>10} {:>10} {:>9} {:>9} {:>6} {:>6} {:>6}\n",
        name(&node.record),
        format!("{:x}", node.record.logical_host.to_bits()),
        node.clocks.round_trip_ns / 1000,
        node.clocks.ahead_ns / 1000,
        kibibytes(statistics.total_frames),
        kibibytes(statistics.free_frames),
        statistics.processes,
        statistics.uptime_ns / 1_000_000_000,
        idle_percent(statistics),
        node.load_percent,
        node.guests.len(),
    )
}

/// A table of the guests, if there are any.
fn guests(nodes: &[Node]) -> String {
    if nodes.iter().all(|node| node.guests.is_empty()) {
        return String::new();
    }
    let mut text = format!("\n{:<16} {:<17} {:<24} {:<24} {:>6}\n", "GUEST", "PID", "ON", "FROM", "USER");
    for node in nodes {
        for guest in &node.guests {
            let _ = writeln!(
                text,
                "{:<16} {:<17} {:<24} {:<24} {:>6}",
                word(guest.name()),
                format!("{}", guest.program),
                name(&node.record),
                origin(guest, nodes),
                guest.user,
            );
        }
    }
    text
}

/// The name of the node on which a guest was started; the number of its logical host, if none that answers has it.
fn origin(guest: &ProgramRecord, nodes: &[Node]) -> String {
    match guest.from() {
        None => "?".into(),
        Some(host) => {
            let is_there = |node: &&Node| {
                node.record.logical_host == host
                    || node.guests.iter().any(|other| other.program.host() == host)
            };
            nodes
                .iter()
                .find(is_there)
                .map_or_else(|| format!("{:x}", host.to_bits()), |node| name(&node.record).into())
        }
    }
}

fn object(node: &Node, nodes: &[Node]) -> String {
    let statistics = &node.statistics;
    let guests = node.guests.iter().map(|guest| {
        json::Object::new()
            .text("name", word(guest.name()))
            .text("pid", &format!("{}", guest.program))
            .text("from", &origin(guest, nodes))
            .number("user", guest.user.0)
            .end()
    });
    json::Object::new()
        .text("name", name(&node.record))
        .text("logical_host", &format!("{:x}", node.record.logical_host.to_bits()))
        .number("round_trip_ns", node.clocks.round_trip_ns)
        .number("clock_ns", node.clocks.ahead_ns)
        .number("memory_kib", kibibytes(statistics.total_frames))
        .number("free_kib", kibibytes(statistics.free_frames))
        .number("processes", statistics.processes)
        .number("uptime_ns", statistics.uptime_ns)
        .number("idle_percent", idle_percent(statistics))
        .number("load_percent", node.load_percent)
        .member("guests", json::array(guests))
        .end()
}

#[cfg(test)]
mod tests {
    use abi::{LogicalHost, Pid, UserId};

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
        let guest = ProgramRecord {
            program: Pid::guest(LogicalHost::from_bits(0x77), 0x8000),
            starter: Pid::process(LogicalHost::from_bits(0xabc), 3, 0x21),
            user: UserId(1),
            is_guest: true,
            name: *b"count-to\0\0\0\0\0\0\0\0",
        };
        let child =
            ProgramRecord { starter: guest.program, program: Pid::from_bits(0x2000_0088_0001_8000), ..guest };
        let lost = ProgramRecord { starter: Pid::from_bits(0x2000_0099_0001_0021), ..child };
        let guests = Vec::from([guest, child, lost]);
        let node = Node { record: host, statistics, clocks, load_percent: 150, guests };
        let words: Vec<String> = plain(&node).split_whitespace().map(String::from).collect();
        assert_eq!(words, ["node2", "abc", "1234", "-2000", "4096", "2048", "40", "3", "50", "150", "3"]);
        assert!(
            object(&node, &[])
                .starts_with("{\"name\":\"node2\",\"logical_host\":\"abc\",\"round_trip_ns\":1234567,")
        );
        let nodes = [node];
        let table = super::guests(&nodes);
        let lines: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .filter(|words: &Vec<_>| !words.is_empty())
            .collect();
        assert_eq!(lines[0], ["GUEST", "PID", "ON", "FROM", "USER"]);
        assert_eq!(lines[1], ["count-to", "77.1.8000", "node2", "node2", "1"]);
        assert_eq!(lines[2], ["count-to", "88.1.8000", "node2", "node2", "1"]);
        assert_eq!(lines[3], ["count-to", "88.1.8000", "node2", "99", "1"]);
        let guests = ",\"load_percent\":150,\"guests\":[{\"name\":\"count-to\",\"pid\":\"77.1.8000\",\"from\":\"node2\",\"user\":1},";
        assert!(object(&nodes[0], &nodes).contains(guests), "{}", object(&nodes[0], &nodes));
        let [mut node] = nodes;
        node.guests.clear();
        assert_eq!(super::guests(&[]), "");
        node.record.name[2] = b'"';
        assert!(object(&node, &[]).starts_with("{\"name\":\"?\","));
    }
}
