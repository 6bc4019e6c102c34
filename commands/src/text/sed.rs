//! `sed`: edits a stream by a script.
//!
//! | part | what it has |
//! |---|---|
//! | this file | the command: its options, and where its script comes from |
//! | `script` | the script's parts |
//! | `parser` | from text to a script |
//! | `runner` | a script at work on lines |

mod parser;
mod runner;
mod script;

use alloc::string::String;
use alloc::vec::Vec;

use crate::Command;
use crate::context::{Context, Failure, Outcome, failed};
use crate::usage::{Arguments, Choice, MANY, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "sed",
        synopsis: "[-inEr] [-e SCRIPT]... [-f FILE]... [SCRIPT] [FILE...]",
        summary: "Edits what flows from standard input or files to standard output.",
        details: "SCRIPT is commands with newlines or ; between, each with an address before it: none (every line), a line's\n\
                  number, $ (the last), /PATTERN/, \\cPATTERNc, two of these with a comma (from one to the other; the\n\
                  second may be +COUNT), and ! for all others. Commands: s/PATTERN/TEXT/[gpiNUMBER] y/abc/xyz/ d D p P q\n\
                  [STATUS] = n N g G h H x { } : b t and a i c with a text behind. In TEXT, & is what matched, \\1 a group.\n\
                  A PATTERN is a basic regular expression, an extended one with -E; an empty one is the last used.",
        choices: &[
            Choice { letter: 'i', long: "in-place", value: None, help: "Write each file anew, edited." },
            Choice { letter: 'n', long: "quiet", value: None, help: "Write only what commands write." },
            Choice { letter: 'E', long: "extended", value: None, help: "Patterns are extended expressions." },
            Choice { letter: 'r', long: "regexp-extended", value: None, help: "The same." },
            Choice { letter: 'e', long: "expression", value: Some("SCRIPT"), help: "Commands." },
            Choice { letter: 'f', long: "file", value: Some("FILE"), help: "Commands from a file." },
        ],
        operands: (0, MANY),
    },
    body: sed,
};

fn sed(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let mut pieces: Vec<String> = Vec::new();
    // Expressions come before files, wherever they stand.
    pieces.extend(arguments.values("expression").map(String::from));
    for name in arguments.values("file") {
        pieces.push(read_script(name, context)?);
    }
    let mut files = &arguments.operands[..];
    if pieces.is_empty() {
        let (first, rest) = files.split_first().ok_or_else(|| Misuse("a script is missing".into()))?;
        pieces.push(first.clone());
        files = rest;
    }
    let is_extended = arguments.has("extended") || arguments.has("regexp-extended");
    let (text, prints) = (pieces.join("\n"), !arguments.has("quiet"));
    let script = parser::parse(&text, is_extended)?;
    if !arguments.has("in-place") {
        return runner::run(script, prints, files, context);
    }
    if files.is_empty() {
        return Err(Misuse("-i: no file is named that could be written".into()).into());
    }
    for name in files {
        // The script begins anew with each, its line numbers and what it holds.
        let script = parser::parse(&text, is_extended)?;
        if let Some(edited) = edited(script, prints, name, context)?
            && let Err(error) = v::file::write(name, &edited)
        {
            context.complain(name, error);
        }
    }
    Ok(())
}

/// What becomes of a file; none if it cannot be read, which is complained about.
fn edited(
    script: script::Script,
    prints: bool,
    name: &String,
    context: &mut Context<'_>,
) -> Result<Option<Vec<u8>>, Failure> {
    let mut output = Vec::new();
    let mut inner = Context { output: &mut output, errors: &mut *context.errors, status: 0, ..*context };
    runner::run(script, prints, core::slice::from_ref(name), &mut inner)?;
    let status = inner.status;
    context.status = context.status.max(status);
    Ok((status == 0).then_some(output))
}

fn read_script(name: &str, context: &Context<'_>) -> Result<String, Failure> {
    let mut file = (context.open)(name).map_err(|error| failed(name, error))?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|error| failed(name, error))?;
    text.truncate(text.trim_end_matches('\n').len());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    #[test]
    fn lines_are_edited() {
        for (line, input, output) in [
            ("s/a/b/", "aa\nca\n", "ba\ncb\n"),
            ("s/a/b/g", "aa\n", "bb\n"),
            ("s/a/b/2", "aaa\n", "aba\n"),
            ("s/a/b/2g", "aaa\n", "abb\n"),
            ("s/A/b/i", "a\n", "b\n"),
            ("-n s/a/b/p", "a\nx\n", "b\n"),
            ("'s/\\(.\\)\\(.\\)/\\2\\1/'", "abc\n", "bac\n"),
            ("-E 's/(.)(.)/[\\2&\\1]/'", "abc\n", "[baba]c\n"),
            ("s,/,\\,,", "a/b\n", "a,b\n"),
            ("'s|a\\|b|x|'", "a|b\n", "x\n"),
            ("s/x*/-/g", "abc\n", "-a-b-c-\n"),
            ("s/b*/-/g", "abbc\n", "-a-c-\n"),
            ("'s/a/\\n/;s/ä/&&/g'", "aäb", "\nääb"),
            ("'s/[/]/x/'", "a/b\n", "axb\n"),
            ("s/^/>/", "a\n\n", ">a\n>\n"),
            ("'s/$/\\&/'", "a\n", "a&\n"),
            ("y/abä/xyz/", "aäb\n", "xzy\n"),
            ("d", "a\n", ""),
            ("2d", "a\nb\nc\n", "a\nc\n"),
            ("'$d'", "a\nb\n", "a\n"),
            ("/b/d", "a\nb\n", "a\n"),
            ("'\\,/,d'", "a/\nb\n", "b\n"),
            ("-n 2,3p", "a\nb\nc\nd\n", "b\nc\n"),
            ("-n '/b/,/c/p'", "a\nb\nx\nc\nd\n", "b\nx\nc\n"),
            ("-n '/b/,+1p'", "a\nb\nx\nc\n", "b\nx\n"),
            ("-n '2,1p'", "a\nb\nc\n", "b\n"),
            ("'2!d'", "a\nb\n", "b\n"),
            ("-n '$='", "a\nb\n", "2\n"),
            ("2q", "a\nb\nc\n", "a\nb\n"),
            ("'a\\\nx\\\ny'", "a\n", "a\nx\ny\n"),
            ("'a x'", "a\nb", "a\nx\nb\nx\n"),
            ("'1i x'", "a\nb\n", "x\na\nb\n"),
            ("'1,2c x'", "a\nb\nc\n", "x\nc\n"),
            ("-e 'a x' -e 's/a/b/'", "a\n", "b\nx\n"),
            ("-n '2{p;s/b/c/;p}'", "a\nb\n", "b\nc\n"),
            ("'N;s/\\n/+/'", "a\nb\nc\n", "a+b\nc\n"),
            ("'n;d'", "a\nb\nc\n", "a\nc\n"),
            ("-n '1!G;h;$p'", "a\nb\nc\n", "c\nb\na\n"),
            ("'$!N;P;D'", "a\nb\nc\n", "a\nb\nc\n"),
            ("':a;s/^.\\{1,3\\}$/ &/;ta'", "1\n", "   1\n"),
            ("-n '/a/b x;p;b;:x;s/a/y/p'", "a\nb\n", "y\nb\n"),
            ("'x;$G'", "a\nb\n", "\na\nb\n"),
            ("'/a/s//b/'", "ca\n", "cb\n"),
            ("'# nothing\np'", "a\n", "a\na\n"),
            ("s/a/b/", "a", "b"),
        ] {
            expect(&COMMAND, line, input, output);
        }
        assert_eq!(try_command(&COMMAND, "'1q 5'", &[("-", b"a\nb\n")]), (5, "a\n".into(), String::new()));
    }

    #[test]
    fn files_are_one_stream() {
        let files: &[(&str, &[u8])] =
            &[("a", b"1\n2"), ("b", b"3\n"), ("empty", b""), ("script", b"s/./x/\n$d\n"), ("-", b"\xff\n")];
        assert_eq!(try_command(&COMMAND, "-n '$p;3p' a b empty", files).1, "3\n3\n");
        let (status, output, errors) = try_command(&COMMAND, "'' a gone b", files);
        assert_eq!((status, &*output, &*errors), (1, "1\n2\n3\n", "sed: gone: not found\n"));
        assert_eq!(try_command(&COMMAND, "-f script a b", files).1, "x\nx\n");
        assert_eq!(try_command(&COMMAND, "s/$/b/", files).1, "\u{fffd}b\n");
    }

    #[test]
    fn a_file_is_edited_by_itself() {
        let files: &[(&str, &[u8])] = &[("a", b"1\n2"), ("b", b"3\n")];
        let edit = |name: &str| {
            let (mut output, mut errors) = (Vec::new(), Vec::new());
            let open = |name: &str| -> Result<alloc::boxed::Box<dyn v::io::BufRead>, abi::Error> {
                let (_, bytes) =
                    files.iter().find(|(known, _)| *known == name).ok_or(abi::Error::NotFound)?;
                Ok(alloc::boxed::Box::new(v::io::BufReader::new(v::io::Cursor::new(bytes.to_vec()))))
            };
            let mut context = Context {
                name: "sed",
                output: &mut output,
                errors: &mut errors,
                open: &open,
                status: 0,
                failure_status: 1,
            };
            let script = parser::parse("1s/$/x/;$s/^/>/", false).unwrap();
            let edited = edited(script, true, &name.into(), &mut context).unwrap();
            (edited, context.status)
        };
        assert_eq!(edit("a"), (Some(b"1x\n>2".to_vec()), 0));
        assert_eq!(edit("b"), (Some(b">3x\n".to_vec()), 0));
        assert_eq!(edit("gone"), (None, 1));
        let (status, _, errors) = try_command(&COMMAND, "-i p", &[]);
        assert!(status == 2 && errors.contains("no file is named"), "{errors}");
    }

    #[test]
    fn bad_scripts_say_why() {
        for (line, reason) in [
            ("", "a script is missing"),
            ("k", "there is no command 'k'"),
            ("s/a", "expected another '/'"),
            ("s/a/b", "expected another '/'"),
            ("s/a/b/z", "there is no flag 'z'"),
            ("'s/\\(/b/'", "bad pattern"),
            ("'s/a/\\1/'", "the pattern has no group 1"),
            ("/a", "expected another '/'"),
            ("'1,p'", "expected an address behind ','"),
            ("'{p'", "a { has no }"),
            ("'p}'", "a } has no {"),
            ("'bx'", "there is no label 'x'"),
            ("'p p'", "expected a newline or ';'"),
            ("y/ab/c/", "as many characters"),
            ("0p", "counted from 1"),
            ("'1,2q'", "takes one address"),
            ("s//b/", "no pattern was used before"),
        ] {
            let (status, _, errors) = try_command(&COMMAND, line, &[("-", b"a\n")]);
            assert!(status == 2 && errors.contains(reason), "{line}: {status} {errors}");
        }
    }
}
