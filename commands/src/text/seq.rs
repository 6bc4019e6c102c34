//! `seq`: numbers in a row.

use alloc::format;
use alloc::string::ToString;

use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, Choice, Misuse, Usage, number};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "seq",
        synopsis: "[-w] [-s SEPARATOR] [FIRST [STEP]] LAST",
        summary: "Writes the whole numbers from FIRST to LAST.",
        details: "FIRST and STEP are 1 unless told.",
        choices: &[
            Choice { letter: 'w', long: "equal-width", value: None, help: "Pad with zeros on the left." },
            Choice {
                letter: 's',
                long: "separator",
                value: Some("TEXT"),
                help: "Between the numbers, instead of a newline.",
            },
        ],
        operands: (1, 3),
    },
    body: seq,
};

fn seq(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let read = |at: usize| number::<i64>(&arguments.operands[at]);
    let (first, step, last) = match arguments.operands.len() {
        1 => (1, 1, read(0)?),
        2 => (read(0)?, 1, read(1)?),
        _ => (read(0)?, read(1)?, read(2)?),
    };
    if step == 0 {
        return Err(Misuse("the step is zero".to_string()).into());
    }
    let separator = arguments.value("separator").unwrap_or("\n");
    let width =
        if arguments.has("equal-width") { first.to_string().len().max(last.to_string().len()) } else { 0 };
    let mut next = Some(first);
    let mut any = false;
    while let Some(current) = next.filter(|number| if step > 0 { *number <= last } else { *number >= last }) {
        let gap = if any { separator } else { "" };
        context.output.write_all(format!("{gap}{current:0width$}").as_bytes())?;
        any = true;
        next = current.checked_add(step);
    }
    if any {
        context.output.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    #[test]
    fn rows_end_where_they_should() {
        expect(&COMMAND, "3", "", "1\n2\n3\n");
        expect(&COMMAND, "2 4", "", "2\n3\n4\n");
        expect(&COMMAND, "1 2 6", "", "1\n3\n5\n");
        expect(&COMMAND, "-- 3 -2 -1", "", "3\n1\n-1\n");
        expect(&COMMAND, "-w 8 11", "", "08\n09\n10\n11\n");
        expect(&COMMAND, "-s , 3", "", "1,2,3\n");
        expect(&COMMAND, "5 1", "", "");
        expect(
            &COMMAND,
            "9223372036854775806 9223372036854775807",
            "",
            "9223372036854775806\n9223372036854775807\n",
        );
        assert_eq!(try_command(&COMMAND, "1 0 5", &[]).0, 2);
        let (status, _, errors) = try_command(&COMMAND, "99999999999999999999", &[]);
        assert_eq!(status, 2);
        assert!(errors.starts_with("seq: '99999999999999999999' is not a whole number from -9"), "{errors}");
    }
}
