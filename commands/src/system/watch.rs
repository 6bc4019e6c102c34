//! `watch`: a command again and again.

use alloc::format;

use v::process;

use super::date::format_time;
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, Choice, Misuse, PROGRAM, Usage, duration};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "watch",
        synopsis: "[-t] [-n SECONDS] [-c COUNT] COMMAND [WORD...]",
        summary: "Runs a command again and again on a cleared screen.",
        details: "The words are joined and read by the shell, so pipes work: watch 'ps | grep ram'. ^C ends it.",
        choices: &[
            Choice {
                letter: 'n',
                long: "interval",
                value: Some("SECONDS"),
                help: "Between two runs; 2. 500ms is half a second.",
            },
            Choice { letter: 'c', long: "count", value: Some("COUNT"), help: "So many times." },
            Choice {
                letter: 't',
                long: "no-title",
                value: None,
                help: "Without a line that says what runs.",
            },
        ],
        operands: (1, PROGRAM),
    },
    body: watch,
};

/// The shell.
const SHELL: &str = "exec";
/// To the upper left corner, and erases the screen.
pub const CLEAR: &str = "\x1b[H\x1b[2J";

fn watch(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let pause = duration(arguments.value("interval").unwrap_or("2"))?;
    let most: u64 = arguments.number("count")?.unwrap_or(u64::MAX);
    if most == 0 {
        return Err(Misuse("--count: at least once".into()).into());
    }
    let line = arguments.operands.join(" ");
    for round in 0..most {
        if round > 0 {
            v::time::sleep(pause).map_err(|error| failed("time server", error))?;
        }
        let time = format_time(v::time::real_ns(), "%T")?;
        let title = format!("Every {}: {line}   {time}\n\n", arguments.value("interval").unwrap_or("2"));
        let title = if arguments.has("no-title") { "" } else { &*title };
        context.output.write_all([CLEAR, title].concat().as_bytes())?;
        context.output.flush()?;
        let child = process::Command::new(SHELL).arg("-c").arg(&line).start();
        let ended = child.and_then(|mut child| child.wait()).map_err(|error| failed(SHELL, error))?;
        context.status = ended.code;
    }
    Ok(())
}
