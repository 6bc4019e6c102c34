//! `wc`: lines, words, bytes.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::Command;
use crate::context::{Context, FileFailure, Outcome};
use crate::usage::{Arguments, Choice, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "wc",
        synopsis: "[-lwcm] [FILE...]",
        summary: "Counts lines, words and bytes.",
        details: "",
        choices: &[
            Choice { letter: 'l', long: "lines", value: None, help: "Only lines." },
            Choice { letter: 'w', long: "words", value: None, help: "Only words." },
            Choice { letter: 'c', long: "bytes", value: None, help: "Only bytes." },
            Choice { letter: 'm', long: "characters", value: None, help: "Only characters." },
        ],
        operands: (0, MANY),
    },
    body: wc,
};

#[derive(Default)]
struct Counts {
    lines: u64,
    words: u64,
    characters: u64,
    bytes: u64,
    in_word: bool,
}

impl Counts {
    fn add(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        for byte in chunk {
            self.lines += u64::from(*byte == b'\n');
            self.characters += u64::from(byte & 0xc0 != 0x80);
            let in_word = !byte.is_ascii_whitespace();
            self.words += u64::from(in_word && !self.in_word);
            self.in_word = in_word;
        }
    }
}

fn wc(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let chosen = |long| arguments.has(long);
    let any = ["lines", "words", "bytes", "characters"].into_iter().any(chosen);
    let line = |counts: &Counts, name: &str| {
        let columns = [
            (chosen("lines") || !any, counts.lines),
            (chosen("words") || !any, counts.words),
            (chosen("characters"), counts.characters),
            (chosen("bytes") || !any, counts.bytes),
        ];
        let only_one = columns.iter().filter(|(shown, _)| *shown).count() == 1;
        let width = if only_one { 0 } else { 7 };
        let shown = columns.into_iter().filter(|(shown, _)| *shown);
        let mut words: Vec<String> = shown.map(|(_, number)| format!("{number:width$}")).collect();
        if !name.is_empty() {
            words.push(String::from(name));
        }
        words.join(" ") + "\n"
    };
    let mut total = Counts::default();
    let given = &arguments.operands;
    let mut chunk = alloc::vec![0; 64 * 1024];
    context.each_file(given, |context, name, file| {
        let mut counts = Counts::default();
        loop {
            let count = file.read(&mut chunk).map_err(FileFailure::Input)?;
            if count == 0 {
                break;
            }
            counts.add(&chunk[..count]);
        }
        total.lines += counts.lines;
        total.words += counts.words;
        total.characters += counts.characters;
        total.bytes += counts.bytes;
        context.output.write_all(line(&counts, if given.is_empty() { "" } else { name }).as_bytes())?;
        Ok(())
    })?;
    if given.len() > 1 {
        context.output.write_all(line(&total, "total").as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    #[test]
    fn counts_are_right() {
        expect(&COMMAND, "-c", "hello\n", "6\n");
        expect(&COMMAND, "-l", "a\nb", "1\n");
        expect(&COMMAND, "-m", "ä\n", "2\n");
        expect(&COMMAND, "", " one  two\nthree", "      1       3      15\n");
        let (_, output, _) = try_command(&COMMAND, "-lc a b", &[("a", b"1\n"), ("b", b"22\n")]);
        assert_eq!(output, "      1       2 a\n      1       3 b\n      2       5 total\n");
    }
}
