//! `cmp`: where two files differ.

use alloc::format;

use v::io::BufRead;

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
        let first = next_byte(&mut *left).map_err(|error| failed(left_name, error))?;
        let second = next_byte(&mut *right).map_err(|error| failed(right_name, error))?;
        match (first, second) {
            (None, None) => return Ok(()),
            (Some(_), None) => {
                let text = format!("cmp: {right_name} ends after byte {}\n", position - 1);
                return Ok(differ(context, text.as_bytes())?);
            }
            (None, Some(_)) => {
                let text = format!("cmp: {left_name} ends after byte {}\n", position - 1);
                return Ok(differ(context, text.as_bytes())?);
            }
            (Some(first), Some(second)) if first != second => {
                let text = format!("{left_name} {right_name} differ: byte {position}, line {line}\n");
                return Ok(differ(context, text.as_bytes())?);
            }
            (Some(byte), Some(_)) => {
                position += 1;
                line += u64::from(byte == b'\n');
            }
        }
    }
}

fn next_byte(file: &mut dyn BufRead) -> Result<Option<u8>, abi::Error> {
    let mut byte = [0];
    Ok(if file.read(&mut byte)? == 0 { None } else { Some(byte[0]) })
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
