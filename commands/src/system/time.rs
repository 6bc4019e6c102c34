//! `time`: what a program took.

use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use abi::Error;
use abi::kernel::record::StatisticsRecord;
use v::process;

use super::kernel::statistics;
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::json;
use crate::usage::{Arguments, PROGRAM, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "time",
        synopsis: "[--json] PROGRAM [WORD...]",
        summary: "Runs a program, and says on standard error what it took.",
        details: "Real is how long it took, program for how long its processes had the processor of the node that they ran on,\n\
                  by the kernel's ticks: of short ones some have none. What follows is what this node's kernel counted\n\
                  meanwhile, for the program, for the servers that worked for it, and for whatever else ran. What it alone\n\
                  asked for is counted by messages -s. The status is the program's, 127 if it is\n\
                  not there, or 126 if it cannot be run.",
        choices: &[json::OPTION],
        operands: (1, PROGRAM),
    },
    body: time,
};

/// The statuses of a program that is not there, and of one that could not be run.
const NOT_FOUND: i32 = 127;
const NOT_RUN: i32 = 126;

fn time(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let Some((name, words)) = arguments.operands.split_first() else { return Ok(()) };
    let ask = || statistics().map_err(|error| failed("statistics server", error));
    let before = ask()?;
    let ended = process::Command::new(name).args(words).start().and_then(|mut child| child.wait());
    let after = ask()?;
    let program_ns = match ended {
        Ok(status) => {
            context.status = status.code;
            status.run_ns
        }
        Err(error) => {
            context.failure_status = if error == Error::NotFound { NOT_FOUND } else { NOT_RUN };
            context.complain(name, error);
            return Ok(());
        }
    };
    let counts = counts(&before, &after, program_ns);
    let text = if arguments.has("json") { object(&counts) } else { lines(&counts) };
    // That nobody wants to know is no failure of the program.
    let _ = context.errors.write_all(text.as_bytes());
    Ok(())
}

/// What was counted between two records, each with its name.
fn counts(before: &StatisticsRecord, after: &StatisticsRecord, program_ns: u64) -> [(&'static str, u64); 10] {
    let since = |field: fn(&StatisticsRecord) -> u64| field(after).saturating_sub(field(before));
    let real_ns = since(|record| record.uptime_ns);
    [
        ("real_ns", real_ns),
        ("program_ns", program_ns),
        ("busy_ns", real_ns.saturating_sub(since(|record| record.idle_ns))),
        ("messages", since(|record| record.sends)),
        ("kernel_requests", since(|record| record.kernel_requests)),
        ("bytes_moved", since(|record| record.bytes_moved)),
        ("switches", since(|record| record.switches)),
        ("page_faults", since(|record| record.page_faults)),
        ("page_reads", since(|record| record.page_reads)),
        ("interrupts", since(|record| record.interrupts)),
    ]
}

fn lines(counts: &[(&str, u64)]) -> String {
    let mut text = String::new();
    for (name, count) in counts {
        // A string takes whatever is written to it.
        let _ = match name.strip_suffix("_ns") {
            Some(name) => {
                let microseconds = count / 1000;
                writeln!(text, "{name:<16} {:>8}.{:06} s", microseconds / 1_000_000, microseconds % 1_000_000)
            }
            None => writeln!(text, "{:<16} {count:>15}", name.replace('_', " ")),
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
        let counts = counts(&before, &after, 1_000_000);
        let text = lines(&counts);
        for line in [
            "real                    2.500000 s\n",
            "program                 0.001000 s\n",
            "busy                    1.500000 s\n",
            "page faults                    4\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(
            object(&counts).starts_with(
                r#"{"real_ns":2500000000,"program_ns":1000000,"busy_ns":1500000000,"messages":3,"#
            )
        );
    }
}
