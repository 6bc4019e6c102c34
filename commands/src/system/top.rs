//! `top`: which processes work, how much goes by messages, and what the nodes do, again and again.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use abi::kernel::record::{ProcessRecord, ProcessState, StatisticsRecord};
use abi::{Error, Pid};
use protocols::io::attribute;
use protocols::terminal::terminal;
use v::message::{Segment, call};

use super::kernel::{column, name, statistics_of};
use super::node::Node;
use super::watch::CLEAR;
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::json;
use crate::usage::{Arguments, Choice, Misuse, NODE, Usage, duration};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "top",
        synopsis: "[-b] [-n COUNT] [-d SECONDS] [--json] [@NODE]",
        summary: "Shows again and again which processes of a node work most, and what all nodes do.",
        details: "CPU-% and RECEIVED/S are of the time since the last view; the first one is of a tenth of a second. PAGES\n\
                  is the memory of the process's team. ^C ends it. With --json each view is one object in a line.",
        choices: &[
            Choice { letter: 'b', long: "batch", value: None, help: "Views one below the other, whole." },
            Choice { letter: 'n', long: "views", value: Some("COUNT"), help: "So many views." },
            Choice { letter: 'd', long: "delay", value: Some("SECONDS"), help: "Between two views; 2." },
            json::OPTION,
            NODE,
        ],
        operands: (0, 0),
    },
    body: top,
};

/// What comes before the first view.
const FIRST_MS: u64 = 100;

/// What was seen of a node at one time.
struct Sample {
    statistics: StatisticsRecord,
    processes: Vec<ProcessRecord>,
}

impl Sample {
    fn of(node: &Node) -> Result<Sample, Error> {
        Ok(Sample { statistics: statistics_of(node.host)?, processes: v::process::all_of(node.host)? })
    }
}

/// A process in a view.
struct Row {
    pid: Pid,
    name: String,
    state: &'static str,
    user: u32,
    pages: u64,
    /// In tenths of a percent.
    cpu_permille: u64,
    received_per_second: u64,
}

/// What happened between two samples.
struct View {
    busy_permille: u64,
    messages_per_second: u64,
    faults_per_second: u64,
    processes: u64,
    free_kibibytes: u64,
    uptime_s: u64,
    rows: Vec<Row>,
}

impl View {
    fn between(before: &Sample, after: &Sample) -> View {
        let elapsed_ns = after.statistics.uptime_ns.saturating_sub(before.statistics.uptime_ns).max(1);
        let since = |field: fn(&StatisticsRecord) -> u64| {
            field(&after.statistics).saturating_sub(field(&before.statistics))
        };
        let per_second =
            |count: u64| (u128::from(count) * 1_000_000_000).div_ceil(u128::from(elapsed_ns)) as u64;
        let permille = |ns: u64| ((u128::from(ns) * 1000) / u128::from(elapsed_ns)).min(1000) as u64;
        let earlier: BTreeMap<u64, &ProcessRecord> =
            before.processes.iter().map(|record| (record.pid, record)).collect();
        let mut rows: Vec<Row> = after
            .processes
            .iter()
            .map(|record| {
                // One that was not there before did all of it since.
                let (run_ns, received) =
                    earlier.get(&record.pid).map_or((0, 0), |earlier| (earlier.run_ns, earlier.received));
                let state = ProcessState::from_number(record.state)
                    .and_then(|state| ProcessState::NAMES.iter().find(|(known, _)| *known == state));
                Row {
                    pid: record.process(),
                    name: name(record),
                    state: state.map_or("?", |(_, word)| word),
                    user: record.user().0,
                    pages: record.team_pages,
                    cpu_permille: permille(record.run_ns.saturating_sub(run_ns)),
                    received_per_second: per_second(record.received.saturating_sub(received)),
                }
            })
            .collect();
        rows.sort_by_key(|row| core::cmp::Reverse((row.cpu_permille, row.received_per_second)));
        View {
            busy_permille: 1000 - permille(since(|record| record.idle_ns)),
            messages_per_second: per_second(since(|record| record.sends)),
            faults_per_second: per_second(since(|record| record.page_faults)),
            processes: after.statistics.processes,
            free_kibibytes: after.statistics.free_frames * abi::PAGE_BYTES / 1024,
            uptime_s: after.statistics.uptime_ns / 1_000_000_000,
            rows,
        }
    }

    /// The view for people, at most so many lines long.
    fn text(&self, nodes: &[(String, u32)], most_lines: usize) -> String {
        let mut text = format!(
            "up {} s, busy {} %, {} messages/s, {} faults/s, {} processes, {} KiB free\n",
            self.uptime_s,
            percent(self.busy_permille),
            self.messages_per_second,
            self.faults_per_second,
            self.processes,
            self.free_kibibytes
        );
        if !nodes.is_empty() {
            let loads: Vec<String> = nodes.iter().map(|(name, load)| format!("{name} {load} %")).collect();
            text += &["load of nodes: ", &loads.join(", "), "\n"].concat();
        }
        // A string takes whatever is written to it.
        let _ = writeln!(
            text,
            "\n{:<17} {:<16} {:<10} {:>6} {:>7} {:>6} {:>10}",
            "PID", "NAME", "STATE", "USER", "PAGES", "CPU-%", "RECEIVED/S"
        );
        let room = most_lines.saturating_sub(text.lines().count());
        for row in self.rows.iter().take(room) {
            let _ = writeln!(
                text,
                "{:<17} {:<16} {:<10} {:>6} {:>7} {:>6} {:>10}",
                format!("{}", row.pid),
                column(&row.name),
                row.state,
                row.user,
                row.pages,
                percent(row.cpu_permille),
                row.received_per_second
            );
        }
        text
    }

    fn json(&self, nodes: &[(String, u32)]) -> String {
        let rows = self.rows.iter().map(|row| {
            json::Object::new()
                .text("pid", &format!("{}", row.pid))
                .text("name", &row.name)
                .text("state", row.state)
                .number("user", row.user)
                .number("pages", row.pages)
                .member("cpu_percent", percent(row.cpu_permille))
                .number("received_per_second", row.received_per_second)
                .end()
        });
        let nodes = nodes
            .iter()
            .map(|(name, load)| json::Object::new().text("name", name).number("load_percent", *load).end());
        json::Object::new()
            .number("uptime_s", self.uptime_s)
            .member("busy_percent", percent(self.busy_permille))
            .number("messages_per_second", self.messages_per_second)
            .number("faults_per_second", self.faults_per_second)
            .number("free_kib", self.free_kibibytes)
            .member("nodes", json::array(nodes))
            .member("processes", json::array(rows))
            .end()
    }
}

fn percent(permille: u64) -> String {
    format!("{}.{}", permille / 10, permille % 10)
}

/// The nodes that answer, with their load in percent; none without a network.
fn loads() -> Vec<(String, u32)> {
    let Ok(nodes) = v::node::all() else { return Vec::new() };
    let load = |node: &protocols::network::HostRecord| {
        let programs = v::process::programs_of(node.logical_host).ok()?;
        Some((node.name()?.into(), programs.load_percent))
    };
    nodes.iter().filter_map(load).collect()
}

/// How many rows the terminal has that is standard output.
fn window_rows() -> usize {
    const USUAL: usize = 24;
    let Some(output) = v::io::standard_stream(1).filter(|output| output.is(attribute::INTERACTIVE)) else {
        return USUAL;
    };
    let query = terminal::QueryWindow { instance: output.number };
    match call(output.server, &query, Segment::None) {
        Ok(window) if window.rows > 0 => window.rows as usize,
        _ => USUAL,
    }
}

fn top(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let node = Node::of(arguments)?;
    let is_json = arguments.has("json");
    let clears = !is_json && !arguments.has("batch");
    let delay = duration(arguments.value("delay").unwrap_or("2"))?;
    let most: u64 = arguments.number("views")?.unwrap_or(u64::MAX);
    if most == 0 {
        return Err(Misuse("--views: at least one".into()).into());
    }
    let sample = || Sample::of(&node).map_err(|error| failed("process server", error));
    let sleep = |time| v::time::sleep(time).map_err(|error| failed("time server", error));
    let mut before = sample()?;
    for view in 0..most {
        sleep(if view == 0 { v::time::Duration::from_millis(FIRST_MS) } else { delay })?;
        let after = sample()?;
        let (seen, nodes) = (View::between(&before, &after), loads());
        let text = match (is_json, clears) {
            (true, _) => seen.json(&nodes) + "\n",
            // The line below the last is the cursor's.
            (_, true) => [CLEAR, &seen.text(&nodes, window_rows() - 1)].concat(),
            _ => seen.text(&nodes, usize::MAX) + "\n",
        };
        context.output.write_all(text.as_bytes())?;
        context.output.flush()?;
        before = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(number: u64, run_ms: u64, received: u64) -> ProcessRecord {
        let (name_first, name_last) = abi::kernel::record::name_words("worker");
        let (state, run_ns) = (ProcessState::Ready as u64, run_ms * 1_000_000);
        ProcessRecord { pid: number, state, run_ns, received, name_first, name_last, ..Default::default() }
    }

    #[test]
    fn a_view_is_what_happened_between_two_samples() {
        let statistics = StatisticsRecord { uptime_ns: 1_000_000_000, ..Default::default() };
        let before = Sample { statistics, processes: Vec::from([process(1, 10, 5), process(2, 0, 0)]) };
        let statistics = StatisticsRecord {
            uptime_ns: 3_000_000_000,
            idle_ns: 500_000_000,
            sends: 100,
            free_frames: 2,
            ..Default::default()
        };
        let processes = Vec::from([process(1, 10, 25), process(2, 1000, 0), process(3, 100, 1)]);
        let view = View::between(&before, &Sample { statistics, processes });
        assert_eq!((view.busy_permille, view.messages_per_second, view.free_kibibytes), (750, 50, 8));
        let rows: Vec<_> = view
            .rows
            .iter()
            .map(|row| (row.pid.to_bits(), row.cpu_permille, row.received_per_second))
            .collect();
        assert_eq!(rows, [(2, 500, 0), (3, 50, 1), (1, 0, 10)]);
        let nodes = [(String::from("node1"), 7)];
        let text = view.text(&nodes, 5);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0], "up 3 s, busy 75.0 %, 50 messages/s, 0 faults/s, 0 processes, 8 KiB free");
        assert_eq!(lines[1], "load of nodes: node1 7 %");
        assert!(lines[4].contains("worker") && lines[4].contains("50.0"));
        let json = view.json(&nodes);
        assert!(json.starts_with(r#"{"uptime_s":3,"busy_percent":75.0,"messages_per_second":50,"#), "{json}");
        assert!(
            json.contains(r#""nodes":[{"name":"node1","load_percent":7}],"processes":[{"pid":""#),
            "{json}"
        );
    }
}
