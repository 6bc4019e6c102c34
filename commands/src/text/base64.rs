//! `base64`: bytes as text (RFC 4648), by crate `base64`.

use alloc::vec::Vec;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::Command;
use crate::context::{Context, FileFailure, Outcome};
use crate::usage::{Arguments, Choice, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "base64",
        synopsis: "[-di] [-w COLUMNS] [FILE]",
        summary: "Writes bytes as text of letters and digits, or such text as bytes.",
        details: "",
        choices: &[
            Choice { letter: 'd', long: "decode", value: None, help: "Text to bytes." },
            Choice {
                letter: 'i',
                long: "ignore-garbage",
                value: None,
                help: "With -d, pass over what is not of the text.",
            },
            Choice {
                letter: 'w',
                long: "wrap",
                value: Some("COLUMNS"),
                help: "So long lines; 76 unless said, and 0 for one line.",
            },
        ],
        operands: (0, 1),
    },
    body: base64,
};

/// What is encoded and decoded at a time: whole groups of bytes and of characters.
const CHUNK_BYTES: usize = 3 * 4 * 4096;

fn base64(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let columns: usize = arguments.number("wrap")?.unwrap_or(76);
    let (decodes, ignores) = (arguments.has("decode"), arguments.has("ignore-garbage"));
    context.each_file(&arguments.operands, |context, name, file| {
        let mut waiting: Vec<u8> = Vec::new();
        let (mut chunk, mut column) = (alloc::vec![0; CHUNK_BYTES], 0);
        loop {
            let count = file.read(&mut chunk).map_err(FileFailure::Input)?;
            let is_text = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
            let passes = |byte: &&u8| !decodes || **byte != b'\n' && (!ignores || is_text(byte));
            waiting.extend(chunk[..count].iter().filter(passes));
            // Groups are complete but at the end, where padding may be.
            let group = if decodes { 4 } else { 3 };
            let ready = if count == 0 { waiting.len() } else { waiting.len() / group * group };
            if decodes {
                let Ok(bytes) = BASE64_STANDARD.decode(&waiting[..ready]) else {
                    // What can be read of it is.
                    let good = waiting.iter().take_while(|byte| is_text(byte) && **byte != b'=').count();
                    waiting.truncate(good);
                    waiting.resize(good.next_multiple_of(4), b'A');
                    let bytes = BASE64_STANDARD.decode(&waiting).unwrap_or_default();
                    context.output.write_all(&bytes[..(good * 6 / 8).min(bytes.len())])?;
                    context.complain(name, "it is not in base64");
                    return Ok(());
                };
                context.output.write_all(&bytes)?;
            } else {
                wrap(&BASE64_STANDARD.encode(&waiting[..ready]), columns, &mut column, context)?;
            }
            waiting.drain(..ready);
            if count == 0 {
                break;
            }
        }
        if !decodes && column > 0 && columns > 0 {
            context.output.write_all(b"\n")?;
        }
        Ok(())
    })
}

/// Writes a text in lines; `column` is where the last one ended.
fn wrap(text: &str, columns: usize, column: &mut usize, context: &mut Context<'_>) -> Outcome {
    let mut rest = text;
    while !rest.is_empty() {
        let room = if columns == 0 { rest.len() } else { (columns - *column).min(rest.len()) };
        context.output.write_all(&rest.as_bytes()[..room])?;
        (rest, *column) = (&rest[room..], *column + room);
        if *column == columns {
            context.output.write_all(b"\n")?;
            *column = 0;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};
    use alloc::format;

    #[test]
    fn bytes_become_text_and_come_back() {
        expect(&COMMAND, "", "hello", "aGVsbG8=\n");
        expect(&COMMAND, "-w 3", "hello", "aGV\nsbG\n8=\n");
        expect(&COMMAND, "-w 0", &"x".repeat(100_000), &("eHh4".repeat(33_333) + "eA=="));
        expect(&COMMAND, "-d", "aGVs\nbG8=\n", "hello");
        expect(&COMMAND, "-di", "aG-Vs bG8=!", "hello");
        let text = format!("{}\n", "QUJD".repeat(50_000));
        expect(&COMMAND, "-d", &text, &"ABC".repeat(50_000));
        let (status, output, errors) = try_command(&COMMAND, "-d", &[("-", b"aGVsbG8=*")]);
        assert_eq!((status, &*output), (1, "hello"), "{errors}");
    }
}
