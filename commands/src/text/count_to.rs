//! `count-to`: numbers in a row, at their time.

use alloc::format;

use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Choice, Usage, duration, number};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "count-to",
        synopsis: "[-e DURATION] LAST",
        summary: "Counts from 1 to LAST, a number a line.",
        details: "Each line is written when it is its turn, so a reader sees the counting.",
        choices: &[Choice {
            letter: 'e',
            long: "every",
            value: Some("DURATION"),
            help: "Between two numbers, as 20ms or 1.5 (seconds); none otherwise.",
        }],
        operands: (1, 1),
    },
    body: count_to,
};

fn count_to(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let last: u64 = number(&arguments.operands[0])?;
    let every = arguments.value("every").map(duration).transpose()?;
    for current in 1..=last {
        if let Some(every) = every.filter(|_| current > 1) {
            v::time::sleep(every)?;
        }
        context.output.write_all(format!("{current}\n").as_bytes())?;
        context.output.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    #[test]
    fn counting_begins_at_one() {
        expect(&COMMAND, "3", "", "1\n2\n3\n");
        expect(&COMMAND, "0", "", "");
        for words in ["x", "-- -1", "-e soon 3"] {
            assert_eq!(try_command(&COMMAND, words, &[]).0, 2, "{words}");
        }
    }
}
