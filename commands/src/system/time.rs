//! `time`: what a program took.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use abi::kernel::record::{StatisticsRecord, UsageRecord};
use v::process;

use super::kernel::statistics;
use crate::Command;
use crate::context::{Context, Outcome, failed, not_run};
use crate::json;
use crate::usage::{Arguments, PROGRAM, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "time",
        synopsis: "[--json] PROGRAM [WORD...]",
        summary: "Runs a program, and says on standard error what it took.",
        details: "Real is how long it took, program for how long its processes had the processor of the node that they ran on,\n\
                  by the kernel's ticks: of short ones some have none. Where the clock counts instructions (cargo v run --icount),\n\
                  and a tick found the program, that is also how many it executed; else nobody knows. Program messages are those that they sent,\n\
                  requests to the kernel among them; those elsewhere were carried by the network server: to other nodes and,\n\
                  of a program that may move, to all others. Program page faults are touches of pages that were not there;\n\
                  for page reads of these a server was asked. These counts are exact, and go along when the program moves. What\n\
                  programs did that it started is not in it. What follows is what this node's kernel counted meanwhile, for\n\
                  the program, for the servers that worked for it, and for whatever else ran. What it alone asked for is\n\
                  shown by messages -s. The status is the program's, 127 if it is not there, or 126 if it cannot be run.",
        choices: &[json::OPTION],
        operands: (1, PROGRAM),
    },
    body: time,
};

fn time(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let Some((name, words)) = arguments.operands.split_first() else { return Ok(()) };
    let ask = || statistics().map_err(|error| failed("statistics server", error));
    let before = ask()?;
    let ended = process::Command::new(name).args(words).start().and_then(|mut child| child.wait_with_usage());
    let after = ask()?;
    let usage = match ended {
        Ok((status, usage)) => {
            context.status = status.code;
            usage
        }
        Err(error) => {
            context.failure_status = not_run(error);
            context.complain(name, error);
            return Ok(());
        }
    };
    let counts = counts(&before, &after, &usage, v::node::counts_instructions());
    let text = if arguments.has("json") { object(&counts) } else { lines(&counts) };
    // That nobody wants to know is no failure of the program.
    let _ = context.errors.write_all(text.as_bytes());
    Ok(())
}

/// What the program did, and what was counted between two records; each with its name.
fn counts(
    before: &StatisticsRecord,
    after: &StatisticsRecord,
    usage: &UsageRecord,
    counts_instructions: bool,
) -> Vec<(&'static str, u64)> {
    let since = |field: fn(&StatisticsRecord) -> u64| field(after).saturating_sub(field(before));
    let real_ns = since(|record| record.uptime_ns);
    let mut counts = Vec::from([("real_ns", real_ns), ("program_ns", usage.run_ns)]);
    if counts_instructions && usage.run_ns > 0 {
        counts.push(("program_instructions", usage.run_ns));
    }
    counts.extend([
        ("program_messages", usage.sent),
        ("program_messages_elsewhere", usage.sent_elsewhere),
        ("program_page_faults", usage.page_faults),
        ("program_page_reads", usage.page_reads),
        ("busy_ns", real_ns.saturating_sub(since(|record| record.idle_ns))),
        ("messages", since(|record| record.sends)),
        ("kernel_requests", since(|record| record.kernel_requests)),
        ("bytes_moved", since(|record| record.bytes_moved)),
        ("switches", since(|record| record.switches)),
        ("page_faults", since(|record| record.page_faults)),
        ("page_reads", since(|record| record.page_reads)),
        ("interrupts", since(|record| record.interrupts)),
    ]);
    counts
}

fn lines(counts: &[(&str, u64)]) -> String {
    let mut text = String::new();
    for (name, count) in counts {
        // A string takes whatever is written to it.
        let _ = match name.strip_suffix("_ns") {
            Some(name) => {
                let microseconds = count / 1000;
                writeln!(text, "{name:<26} {:>8}.{:06} s", microseconds / 1_000_000, microseconds % 1_000_000)
            }
            None => writeln!(text, "{:<26} {count:>15}", name.replace('_', " ")),
        };
    }
    text
}

fn object(counts: &[(&str, u64)]) -> String {
    let object = counts.iter().fold(json::Object::new(), |object, (name, count)| object.number(name, *count));
    format!("{}\n", object.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_shown_to_people_and_to_programs() {
        let before = StatisticsRecord { uptime_ns: 1_000, idle_ns: 500, sends: 7, ..Default::default() };
        let after = StatisticsRecord {
            uptime_ns: 2_500_001_000,
            idle_ns: 1_000_000_500,
            sends: 10,
            page_faults: 4,
            ..Default::default()
        };
        let usage = UsageRecord {
            run_ns: 1_000_000,
            sent: 12,
            sent_elsewhere: 5,
            page_faults: 3,
            ..Default::default()
        };
        let counted = counts(&before, &after, &usage, false);
        let text = lines(&counted);
        for line in [
            "real                              2.500000 s\n",
            "program                           0.001000 s\n",
            "program messages                        12\n",
            "program messages elsewhere               5\n",
            "program page faults                      3\n",
            "busy                              1.500000 s\n",
            "page faults                              4\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("instructions"), "nobody knows");
        assert!(object(&counted).starts_with(
            r#"{"real_ns":2500000000,"program_ns":1000000,"program_messages":12,"program_messages_elsewhere":5,"#
        ));
        let counted = counts(&before, &after, &usage, true);
        assert_eq!(counted[2], ("program_instructions", 1_000_000));
        let unseen = counts(&before, &after, &UsageRecord { run_ns: 0, ..usage }, true);
        assert_eq!(unseen[2], ("program_messages", 12), "no tick found it");
    }
}
