//! `strings`: text in files that are not text.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::Command;
use crate::context::{Context, FileFailure, Outcome};
use crate::usage::{Arguments, Choice, MANY, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "strings",
        synopsis: "[-an LENGTH] [-t d|o|x] [FILE...]",
        summary: "Writes what looks like text in files that are not text.",
        details: "That is four characters of ASCII or more in a row.",
        choices: &[
            Choice { letter: 'a', long: "all", value: None, help: "The whole file, as it does in any case." },
            Choice {
                letter: 'n',
                long: "length",
                value: Some("LENGTH"),
                help: "So many characters at least.",
            },
            Choice {
                letter: 't',
                long: "radix",
                value: Some("d|o|x"),
                help: "Say before each where it is, in this radix.",
            },
        ],
        operands: (0, MANY),
    },
    body: strings,
};

fn strings(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let least: usize = arguments.number("length")?.unwrap_or(4);
    let place: fn(u64) -> String = match arguments.value("radix") {
        None => |_| String::new(),
        Some("d") => |at| format!("{at:7} "),
        Some("o") => |at| format!("{at:7o} "),
        Some("x") => |at| format!("{at:7x} "),
        Some(other) => return Err(Misuse(format!("--radix: '{other}' is none of d, o and x")).into()),
    };
    if least == 0 {
        return Err(Misuse("--length: at least one character".into()).into());
    }
    context.each_file(&arguments.operands, |context, _, file| {
        let (mut text, mut begin, mut at) = (Vec::new(), 0, 0_u64);
        // What was shown of a text that is not kept whole.
        let mut is_shown = false;
        loop {
            let bytes = file.fill_buf().map_err(FileFailure::Input)?;
            if bytes.is_empty() {
                break;
            }
            let count = bytes.len();
            for byte in bytes {
                if matches!(byte, b' '..=b'~' | b'\t') {
                    if text.is_empty() && !is_shown {
                        begin = at;
                    }
                    text.push(*byte);
                    if text.len() >= least && !is_shown {
                        context.output.write_all(place(begin).as_bytes())?;
                        is_shown = true;
                    }
                } else {
                    if is_shown {
                        text.push(b'\n');
                        context.output.write_all(&text)?;
                    }
                    text.clear();
                    is_shown = false;
                }
                at += 1;
            }
            file.consume(count);
            if is_shown {
                context.output.write_all(&text)?;
                text.clear();
            }
        }
        if is_shown {
            context.output.write_all(b"\n")?;
        }
        Ok::<(), FileFailure>(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    #[test]
    fn text_is_found_among_bytes() {
        expect(&COMMAND, "", "abc\0abcd\0\u{1}tab\there\nend!", "abcd\ntab\there\nend!\n");
        expect(&COMMAND, "-n 2 -t x", "\0ab\0c\0def", "      1 ab\n      6 def\n");
        let long = "x".repeat(100_000);
        expect(&COMMAND, "", &format!("\0{long}\0"), &format!("{long}\n"));
        for line in ["-n 0", "-n x", "-t q"] {
            assert_eq!(try_command(&COMMAND, line, &[("-", b"")]).0, 2, "{line}");
        }
    }
}
