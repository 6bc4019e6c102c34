//! `shuf`: lines in an order that nobody knows before.

use alloc::format;
use alloc::vec::Vec;

use v::io::BufRead;

use crate::Command;
use crate::context::{Context, Failure, FileFailure, Outcome, failed, read_all};
use crate::usage::{Arguments, Choice, MANY, Misuse, Usage, option_number};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "shuf",
        synopsis: "[-n COUNT] [-e WORD... | -i FIRST-LAST | FILE]",
        summary: "Writes lines in a random order.",
        details: "",
        choices: &[
            Choice { letter: 'n', long: "count", value: Some("COUNT"), help: "So many of them at most." },
            Choice { letter: 'e', long: "echo", value: None, help: "The words, not lines of a file." },
            Choice {
                letter: 'i',
                long: "range",
                value: Some("FIRST-LAST"),
                help: "The whole numbers from one to the other.",
            },
        ],
        operands: (0, MANY),
    },
    body: shuf,
};

/// Where random bytes come from.
const RANDOM: &str = "[entropy]";
/// The most numbers of a range, which are all kept.
const MOST_NUMBERS: u64 = 1 << 22;

fn shuf(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let most: usize = arguments.number("count")?.unwrap_or(usize::MAX);
    let mut lines: Vec<Vec<u8>> = Vec::new();
    if let Some(range) = arguments.value("range") {
        let (first, last) =
            range.split_once('-').ok_or_else(|| Misuse(format!("'{range}' is no range, such as 1-6")))?;
        let (first, last): (u64, u64) = (option_number(first, "range")?, option_number(last, "range")?);
        if last.checked_sub(first).is_none_or(|count| count >= MOST_NUMBERS) || !arguments.operands.is_empty()
        {
            return Err(Misuse(format!(
                "'{range}' is no range of at most {MOST_NUMBERS} numbers, with nothing else"
            ))
            .into());
        }
        lines.extend((first..=last).map(|number| format!("{number}").into_bytes()));
    } else if arguments.has("echo") {
        lines.extend(arguments.operands.iter().map(|word| word.clone().into_bytes()));
    } else if let Some(extra) = arguments.operands.get(1) {
        return Err(Misuse(format!("'{extra}' is one word too many without -e")).into());
    } else {
        context.each_file(&arguments.operands, |_, _, file| {
            let text = read_all(file)?;
            let text = text.strip_suffix(b"\n").map_or_else(|| text.clone(), <[u8]>::to_vec);
            if !text.is_empty() {
                lines.extend(text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
            }
            Ok::<(), FileFailure>(())
        })?;
    }
    let mut random = (context.open)(RANDOM).map_err(|error| failed(RANDOM, error))?;
    // Each place in turn gets one of those that are left.
    for at in 0..lines.len().min(most) {
        let other = at + below(&mut *random, (lines.len() - at) as u64)? as usize;
        lines.swap(at, other);
        context.output.write_all(&lines[at])?;
        context.output.write_all(b"\n")?;
    }
    Ok(())
}

/// A number below another, each as likely as all others.
fn below(random: &mut dyn BufRead, bound: u64) -> Result<u64, Failure> {
    // Of what is left over when they are dealt out evenly none is used.
    let usable = u64::MAX - u64::MAX % bound;
    loop {
        let mut bytes = [0; 8];
        random.read_exact(&mut bytes).map_err(|error| failed(RANDOM, error))?;
        let number = u64::from_le_bytes(bytes);
        if number < usable {
            return Ok(number % bound);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::try_command;
    use alloc::collections::BTreeMap;
    use alloc::string::String;

    #[test]
    fn every_order_comes() {
        let mut orders: BTreeMap<String, u32> = BTreeMap::new();
        for seed in 0..600_u64 {
            let mut bytes = Vec::new();
            for at in 0..8 {
                let number = (seed * 8 + at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                bytes.extend_from_slice(
                    &(number ^ number >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9).to_le_bytes(),
                );
            }
            let files: &[(&str, &[u8])] = &[("-", b"a\nb\nc"), ("[entropy]", &bytes)];
            let (status, output, errors) = try_command(&COMMAND, "", files);
            assert_eq!((status, &*errors), (0, ""));
            *orders.entry(output).or_default() += 1;
        }
        assert!(orders.len() == 6 && orders.values().all(|count| (60..140).contains(count)), "{orders:?}");
    }

    #[test]
    fn so_many_and_no_others() {
        let files: &[(&str, &[u8])] = &[("-", b""), ("[entropy]", &[0; 64])];
        for (line, output) in [
            ("-i 3-5", "3\n4\n5\n"),
            ("-e b a", "b\na\n"),
            ("-n 1 -e b a", "b\n"),
            ("", ""),
            ("-n 0 -e a", ""),
        ] {
            assert_eq!(try_command(&COMMAND, line, files).1, output, "{line}");
        }
        for line in ["-i 5-3", "-i x", "-i 1-x", "-n x", "a b", "-i 0-99999999999", "-i 1-2 x"] {
            assert_eq!(try_command(&COMMAND, line, files).0, 2, "{line}");
        }
        assert_eq!(try_command(&COMMAND, "-e a", &[("[entropy]", b"")]).0, 1);
        // The last numbers of 64 bits are not dealt out evenly, and passed over.
        let few: &[(&str, &[u8])] = &[("[entropy]", &[0xff; 64])];
        assert_eq!(try_command(&COMMAND, "-e a b c", few).0, 1);
    }
}
