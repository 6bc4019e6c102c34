//! `hexdump`: bytes in hexadecimal and as characters.

use alloc::format;
use alloc::string::String;

use v::io::BufRead;

use crate::Command;
use crate::context::{Context, FileFailure, Outcome};
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "hexdump",
        synopsis: "[-Cv] [-n BYTES] [-s BYTES] [FILE...]",
        summary: "Shows bytes in hexadecimal and as characters.",
        details: "Lines like the one before are shown as *.",
        choices: &[
            Choice { letter: 'C', long: "canonical", value: None, help: "As it does in any case." },
            Choice { letter: 'v', long: "verbose", value: None, help: "Show every line." },
            Choice { letter: 'n', long: "length", value: Some("BYTES"), help: "Show so many bytes." },
            Choice { letter: 's', long: "skip", value: Some("BYTES"), help: "Begin after so many bytes." },
        ],
        operands: (0, MANY),
    },
    body: hexdump,
};

const LINE_BYTES: usize = 16;

fn hexdump(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let mut to_skip: u64 = arguments.number("skip")?.unwrap_or(0);
    let mut left: u64 = arguments.number("length")?.unwrap_or(u64::MAX);
    let mut position = to_skip;
    let mut line = [0; LINE_BYTES];
    let mut filled = 0;
    let mut previous: Option<[u8; LINE_BYTES]> = None;
    let mut starred = false;
    context.each_file(&arguments.operands, |context, _, file| {
        while to_skip > 0 {
            let wanted = LINE_BYTES.min(usize::try_from(to_skip).unwrap_or(LINE_BYTES));
            let count = file.read(&mut line[..wanted]).map_err(FileFailure::Input)?;
            if count == 0 {
                return Ok(());
            }
            to_skip -= count as u64;
        }
        // A line may be filled from several files.
        while left > 0 {
            let count = fill(file, &mut line[filled..], left)?;
            if count == 0 {
                break;
            }
            left -= count as u64;
            filled += count;
            if filled == LINE_BYTES {
                if previous == Some(line) && !arguments.has("verbose") {
                    if !starred {
                        context.output.write_all(b"*\n")?;
                    }
                    starred = true;
                } else {
                    context.output.write_all(show(position, &line).as_bytes())?;
                    starred = false;
                }
                previous = Some(line);
                position += LINE_BYTES as u64;
                filled = 0;
            }
        }
        Ok(())
    })?;
    if previous.is_none() && filled == 0 {
        return Ok(());
    }
    if filled > 0 {
        context.output.write_all(show(position, &line[..filled]).as_bytes())?;
    }
    Ok(context.output.write_all(format!("{:08x}\n", position + filled as u64).as_bytes())?)
}

fn fill(file: &mut dyn BufRead, place: &mut [u8], left: u64) -> Result<usize, FileFailure> {
    let wanted = place.len().min(usize::try_from(left).unwrap_or(usize::MAX));
    file.read(&mut place[..wanted]).map_err(FileFailure::Input)
}

fn show(position: u64, bytes: &[u8]) -> String {
    let mut text = format!("{position:08x} ");
    for at in 0..LINE_BYTES {
        if at == LINE_BYTES / 2 {
            text.push(' ');
        }
        let shown = bytes.get(at).map(|byte| format!(" {byte:02x}"));
        text += shown.as_deref().unwrap_or("   ");
    }
    text += "  |";
    text.extend(bytes.iter().map(|byte| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' }));
    text += "|\n";
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    #[test]
    fn lines_are_shown_and_starred() {
        expect(
            &COMMAND,
            "",
            "hello\n",
            "00000000  68 65 6c 6c 6f 0a                                 |hello.|\n00000006\n",
        );
        let zeros = "\0".repeat(64);
        let line = "00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n";
        expect(&COMMAND, "", &zeros, &format!("00000000  {line}*\n00000040\n"));
        expect(&COMMAND, "-v -n 32", &zeros, &format!("00000000  {line}00000010  {line}00000020\n"));
        expect(
            &COMMAND,
            "-s 62",
            &zeros,
            "0000003e  00 00                                             |..|\n00000040\n",
        );
        expect(&COMMAND, "", "", "");
        assert_eq!(try_command(&COMMAND, "gone", &[]).1, "");
    }
}
