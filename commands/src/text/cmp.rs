//! `cmp`: where two files differ.

use alloc::format;

use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, Choice, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "cmp",
        synopsis: "[-s] FILE FILE",
        summary: "Compares two files byte by byte.",
        details: "The status is 0 if they are the same, 1 if they differ, and 2 if one cannot be read.",
        choices: &[Choice { letter: 's', long: "silent", value: None, help: "Only the status." }],
        operands: (2, 2),
    },
    body: cmp,
};

fn cmp(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let [left_name, right_name] = &arguments.operands[..] else {
        return Ok(());
    };
    context.failure_status = 2;
    let differ = |context: &mut Context<'_>, text| {
        context.status = 1;
        if arguments.has("silent") { Ok(()) } else { context.output.write_all(text) }
    };
    let mut left = (context.open)(left_name).map_err(|error| failed(left_name, error))?;
    let mut right = (context.open)(right_name).map_err(|error| failed(right_name, error))?;
    let (mut position, mut line) = (1_u64, 1_u64);
    loop {
        let first = left.fill_buf().map_err(|error| failed(left_name, error))?;
        let second = right.fill_buf().map_err(|error| failed(right_name, error))?;
        let shorter = match (first, second) {
            ([], []) => return Ok(()),
            ([], _) => Some(left_name),
            (_, []) => Some(right_name),
            _ => None,
        };
        if let Some(name) = shorter {
            let text = format!("cmp: {name} ends after byte {}\n", position - 1);
            return Ok(differ(context, text.as_bytes())?);
        }
        let count = first.len().min(second.len());
        let (first, second) = (&first[..count], &second[..count]);
        // Most are the same, which is seen at once.
        let same = if first == second { count } else { same_bytes(first, second) };
        position += same as u64;
        line += first[..same].iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        if same < count {
            let text = format!("{left_name} {right_name} differ: byte {position}, line {line}\n");
            return Ok(differ(context, text.as_bytes())?);
        }
        left.consume(count);
        right.consume(count);
    }
}

/// How many bytes two slices have in common at their beginning.
fn same_bytes(first: &[u8], second: &[u8]) -> usize {
    first.iter().zip(second).take_while(|(first, second)| first == second).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::try_command;
    use alloc::string::String;

    #[test]
    fn the_first_difference_is_named() {
        let files: &[(&str, &[u8])] =
            &[("a", b"1\n2\n3"), ("b", b"1\n2\nx"), ("c", b"1\n2"), ("d", b"1\n2\n3")];
        assert_eq!(try_command(&COMMAND, "a d", files).0, 0);
        assert_eq!(try_command(&COMMAND, "a b", files).1, "a b differ: byte 5, line 3\n");
        assert_eq!(try_command(&COMMAND, "a c", files).1, "cmp: c ends after byte 3\n");
        assert_eq!(try_command(&COMMAND, "-s a c", files), (1, String::new(), String::new()));
        assert_eq!(try_command(&COMMAND, "a gone", files).0, 2);
        assert_eq!(try_command(&COMMAND, "a", files).0, 2);
    }
}
