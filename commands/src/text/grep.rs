//! `grep`: lines that match.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::pattern::{Pattern, escape, from_posix};
use crate::Command;
use crate::context::{Context, FileFailure, Outcome, next_line, without_newline};
use crate::usage::{Arguments, Choice, MANY, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "grep",
        synopsis: "[-EivncloqaFxwHh] [-e PATTERN]... [PATTERN] [FILE...]",
        summary: "Writes the lines that match a pattern.",
        details: "A PATTERN is a basic regular expression: \\| \\+ \\? \\( \\) \\{ \\} are special, with -E without the\n\
                  backslashes. Lines of one PATTERN are several. With -r directories are gone through. The status is 0 if a line matched, 1 if none did,\n\
                  and 2 if something failed. Of a file with zero bytes it says only that it matches.",
        choices: &[
            Choice {
                letter: 'e',
                long: "pattern",
                value: Some("PATTERN"),
                help: "The pattern, also one that begins with -.",
            },
            Choice {
                letter: 'E',
                long: "extended",
                value: None,
                help: "The pattern is an extended expression.",
            },
            Choice { letter: 'a', long: "text", value: None, help: "Lines of files with zero bytes too." },
            Choice {
                letter: 'F',
                long: "fixed",
                value: None,
                help: "The pattern is text, not an expression.",
            },
            Choice { letter: 'i', long: "ignore-case", value: None, help: "Take A and a for equal." },
            Choice { letter: 'x', long: "whole-line", value: None, help: "Match whole lines." },
            Choice { letter: 'w', long: "word", value: None, help: "Match whole words." },
            Choice { letter: 'v', long: "invert", value: None, help: "Lines that do not match." },
            Choice {
                letter: 'n',
                long: "line-number",
                value: None,
                help: "Say before each line its number.",
            },
            Choice { letter: 'H', long: "with-name", value: None, help: "Say before each line its file." },
            Choice { letter: 'h', long: "no-name", value: None, help: "Never say the file." },
            Choice {
                letter: 'o',
                long: "only-matching",
                value: None,
                help: "Only what matched, a line each.",
            },
            Choice { letter: 'c', long: "count", value: None, help: "Only how many lines matched." },
            Choice { letter: 'l', long: "list", value: None, help: "Only the names of files with a match." },
            Choice { letter: 'q', long: "quiet", value: None, help: "Only the status." },
        ],
        operands: (0, MANY),
    },
    body: grep,
};

/// The pattern that the options make of what was typed.
fn compile(arguments: &Arguments, patterns: &[&str]) -> Result<Pattern, Misuse> {
    // Of several, the lines of one among them, any may match. Each is looked at by itself first, so that none ends another.
    let lines: Vec<&str> = patterns.iter().flat_map(|text| text.split('\n')).collect();
    let ignores_case = arguments.has("ignore-case");
    let mut alternatives = Vec::new();
    for line in &lines {
        let expression =
            if arguments.has("fixed") { escape(line) } else { from_posix(line, arguments.has("extended")) };
        Pattern::compile(&expression, ignores_case, line)?;
        alternatives.push(if lines.len() > 1 { format!("(?:{expression})") } else { expression });
    }
    let mut expression = alternatives.join("|");
    if arguments.has("word") {
        expression = format!(r"(?-u:\b)(?:{expression})(?-u:\b)");
    }
    if arguments.has("whole-line") {
        expression = format!("^(?:{expression})$");
    }
    Pattern::compile(&expression, ignores_case, &patterns.join("\n"))
}

fn grep(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    context.failure_status = 2;
    let mut patterns: Vec<&str> = arguments.values("pattern").collect();
    let mut files = &arguments.operands[..];
    if patterns.is_empty() {
        let missing = || Misuse("a pattern is missing".to_string());
        let (text, rest) = files.split_first().ok_or_else(missing)?;
        patterns.push(text);
        files = rest;
    }
    let mut pattern = compile(arguments, &patterns)?;
    let named = !arguments.has("no-name") && (arguments.has("with-name") || files.len() > 1);
    let mut any = false;
    context.each_file(files, |context, name, file| {
        let shown = if name == "-" { "(standard input)" } else { name };
        let (mut line, mut number, mut matches) = (Vec::new(), 0_u64, 0_u64);
        let mut is_binary = false;
        while next_line(file, &mut line)? {
            number += 1;
            is_binary |= line.contains(&0);
            let whole = without_newline(&line);
            if pattern.matches(whole) == arguments.has("invert") {
                continue;
            }
            any = true;
            matches += 1;
            if arguments.has("quiet") || arguments.has("list") {
                break;
            }
            if arguments.has("count") {
                continue;
            }
            if is_binary && !arguments.has("text") {
                context.output.write_all(format!("{shown}: a file with zero bytes matches\n").as_bytes())?;
                break;
            }
            let file_name = if named { format!("{shown}:") } else { String::new() };
            let line_number = if arguments.has("line-number") { format!("{number}:") } else { String::new() };
            let pieces = if arguments.has("only-matching") {
                pattern.find_all(whole).collect()
            } else {
                alloc::vec![whole]
            };
            for piece in
                pieces.into_iter().filter(|piece| !piece.is_empty() || !arguments.has("only-matching"))
            {
                context.output.write_all(file_name.as_bytes())?;
                context.output.write_all(line_number.as_bytes())?;
                context.output.write_all(piece)?;
                context.output.write_all(b"\n")?;
            }
        }
        if arguments.has("list") && matches > 0 {
            context.output.write_all(format!("{shown}\n").as_bytes())?;
        } else if arguments.has("count") && !arguments.has("quiet") {
            let lead = if named { format!("{shown}:") } else { String::new() };
            context.output.write_all(format!("{lead}{matches}\n").as_bytes())?;
        }
        Ok::<(), FileFailure>(())
    })?;
    if !any && context.status == 0 {
        context.status = 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    const LINES: &str = "one\nTwo\nthree 33\n";

    #[test]
    fn lines_are_chosen() {
        expect(&COMMAND, "o", LINES, "one\nTwo\n");
        expect(&COMMAND, "-v o", LINES, "three 33\n");
        expect(&COMMAND, "-i t", LINES, "Two\nthree 33\n");
        expect(&COMMAND, "-n 't.*e'", LINES, "3:three 33\n");
        expect(&COMMAND, "-c .", LINES, "3\n");
        expect(&COMMAND, "-o '[0-9]'", LINES, "3\n3\n");
        expect(&COMMAND, "-x one", LINES, "one\n");
        expect(&COMMAND, "-w three", LINES, "three 33\n");
        expect(&COMMAND, "-F -e .", "a\n.\n", ".\n");
        expect(&COMMAND, "-e one -e 3", LINES, "one\nthree 33\n");
        expect(&COMMAND, "-x -e one -e three", LINES, "one\n");
        expect(&COMMAND, "-F 'one\nTwo'", LINES, "one\nTwo\n");
        expect(&COMMAND, "-q one", LINES, "");
        expect(&COMMAND, "-E '^(one|two)$'", LINES, "one\n");
        expect(&COMMAND, "'^\\(one\\|two\\)$'", LINES, "one\n");
        expect(&COMMAND, "'e\\+'", LINES, "one\nthree 33\n");
        expect(&COMMAND, "a|b", "a\na|b\n", "a|b\n");
    }

    #[test]
    fn the_status_tells() {
        let files: &[(&str, &[u8])] = &[("a", b"x\n"), ("b", b"y\n"), ("-", b"")];
        assert_eq!(try_command(&COMMAND, "x a b", files), (0, "a:x\n".into(), String::new()));
        assert_eq!(try_command(&COMMAND, "z a b", files).0, 1);
        assert_eq!(try_command(&COMMAND, "x a gone", files).0, 2);
        assert_eq!(try_command(&COMMAND, "-l y a b", files).1, "b\n");
        assert_eq!(try_command(&COMMAND, "", files).0, 2);
        let (status, _, errors) = try_command(&COMMAND, "-E '(' a", files);
        assert_eq!(status, 2);
        assert!(errors.contains("bad pattern '(': unclosed group"), "{errors}");
    }

    #[test]
    fn bytes_that_are_no_text_match_too() {
        let (_, output, _) = try_command(&COMMAND, "-c a -", &[("-", b"\xffa\n\xfe\n")]);
        assert_eq!(output, "1\n");
        let binary: &[(&str, &[u8])] = &[("b", b"one\n\0two\nthree\n")];
        assert_eq!(try_command(&COMMAND, "t b", binary).1, "b: a file with zero bytes matches\n");
        assert_eq!(try_command(&COMMAND, "-a three b", binary).1, "three\n");
    }
}
