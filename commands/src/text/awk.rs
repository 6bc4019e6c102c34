//! `awk`: programs about lines and their fields.
//!
//! | part | what it has |
//! |---|---|
//! | this file | the command |
//! | `tree` | the parts of a program |
//! | `lexer`, `parser`, `expressions` | from text to a program |
//! | `value` | numbers and texts, and what is made of one for the other |
//! | `format` | `printf` |
//! | `input` | records of files, and fields |
//! | `machine`, `statements` | a program at work |
//! | `variables` | what its names and `$` stand for meanwhile |
//! | `functions` | the functions that are built in |
//!
//! The language is POSIX's but for what runs commands: `system`, and `|` behind `print` or before `getline`.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "the language has but one kind of number; what is converted is small or meant to be cut"
)]

mod expressions;
mod format;
mod functions;
mod input;
mod lexer;
mod machine;
mod parser;
mod statements;
mod tree;
mod value;
mod variables;

use alloc::string::String;
use alloc::vec::Vec;

use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, Choice, Misuse, PROGRAM, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "awk",
        synopsis: "[-F SEPARATOR] [-v NAME=VALUE]... [-f FILE]... [SCRIPT] [NAME=VALUE | FILE]...",
        summary: "Runs a program over the lines of files and their fields.",
        details: "A PROGRAM is rules, as /PATTERN/ { print $1, NF }, with BEGIN and END; see POSIX for the language. Its\n\
                  functions: length substr index split sub gsub match tolower toupper sprintf int sqrt exp log sin cos\n\
                  atan2 rand srand close. Not there: system, and pipes to and from commands.",
        choices: &[
            Choice { letter: 'F', long: "field-separator", value: Some("SEPARATOR"), help: "What FS is." },
            Choice {
                letter: 'v',
                long: "assign",
                value: Some("NAME=VALUE"),
                help: "Sets a variable at first.",
            },
            Choice { letter: 'f', long: "file", value: Some("FILE"), help: "The program is in a file." },
        ],
        operands: (0, PROGRAM),
    },
    body: awk,
};

fn awk(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    context.failure_status = 2;
    let mut text = String::new();
    for name in arguments.values("file") {
        let mut file = (context.open)(name).map_err(|error| failed(name, error))?;
        file.read_to_string(&mut text).map_err(|error| failed(name, error))?;
        text.push('\n');
    }
    let mut operands = &arguments.operands[..];
    if !arguments.has("file") {
        let (first, rest) = operands.split_first().ok_or_else(|| Misuse("a program is missing".into()))?;
        text.clone_from(first);
        operands = rest;
    }
    let program = parser::parse(&text)?;
    let mut machine = machine::Machine::new(program, operands.to_vec());
    if let Some(separator) = arguments.value("field-separator") {
        // As long as there has been awk, a t is a tabulator.
        machine.set_by_name("FS", if separator == "t" { "\t" } else { separator });
    }
    for assignment in arguments.values("assign") {
        let (name, value) = assignment
            .split_once('=')
            .filter(|(name, _)| lexer::is_name(name))
            .ok_or_else(|| Misuse(alloc::format!("--assign: '{assignment}' is not NAME=VALUE")))?;
        machine.set_by_name(name, &unescape(value));
    }
    machine.run(context)
}

/// A text with the escapes that a string in a program may have.
fn unescape(text: &str) -> String {
    let bytes: Vec<u8> = lexer::unescape(text.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{expect, try_command};

    const LINES: &str = "one 1 x\ntwo 22 y\nthree 3 x\n";

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn programs_do_what_they_say() {
        for (line, input, output) in [
            ("'{ print $2 }'", LINES, "1\n22\n3\n"),
            ("'{ print NR, NF, $NF }'", LINES, "1 3 x\n2 3 y\n3 3 x\n"),
            ("'/o/'", LINES, "one 1 x\ntwo 22 y\n"),
            ("'$2 > 2 { print $1 }'", LINES, "two\nthree\n"),
            ("'NR==2,NR==3 { print $1 }'", LINES, "two\nthree\n"),
            ("'$3 == \"x\" { n++ } END { print n, n / 4 }'", LINES, "2 0.5\n"),
            ("'!/o/ && NR > 1'", LINES, "three 3 x\n"),
            ("'{ sum[$3] += $2 } END { for (k in sum) print k, sum[k] }'", LINES, "x 4\ny 22\n"),
            ("-F: '{ print $2 }'", "a:b\n", "b\n"),
            ("-F '[:,]' '{ print $2 $3 }'", "a:b,c\n", "bc\n"),
            ("-v n=3 'BEGIN { print n + 1 }'", "", "4\n"),
            ("'BEGIN { FS = \",\"; OFS = \"-\" } { $1 = $1; print; print NF }'", "a,b\n", "a-b\n2\n"),
            ("'{ $5 = \"e\"; print; print NF; NF = 2; print }'", "a b c\n", "a b c  e\n5\na b\n"),
            ("'{ $0 = \"x y\"; print $2, NF }'", "a\n", "y 2\n"),
            (
                "'BEGIN { printf \"%5.2f|%-4d|%04d|%s|%c|%c|%x|%%\\n\", 3.14159, 7, 42, \"s\", 65, \"abc\", 255 }'",
                "",
                " 3.14|7   |0042|s|A|a|ff|%\n",
            ),
            (
                "'BEGIN { printf \"%e %g %g %g\\n\", 12345.678, 0.0001, 1e10, 100000 }'",
                "",
                "1.234568e+04 0.0001 1e+10 100000\n",
            ),
            (
                "'BEGIN { print 1e6, 0.1 + 0.2, 1/3, -5 % 3, 2 ^ 10, 2 ** 3 ** 2, 1e300 * 1e10 }'",
                "",
                "1000000 0.3 0.333333 -2 1024 512 inf\n",
            ),
            (
                "'BEGIN { print length(\"äb\"), substr(\"hello\", 2, 3), substr(\"hello\", 0, 2), index(\"hello\", \"l\") }'",
                "",
                "2 ell h 3\n",
            ),
            (
                "'BEGIN { n = split(\"a:b:c\", p, \":\"); print n, p[1] p[3]; print split(\"\", p), length(p) }'",
                "",
                "3 ac\n0 0\n",
            ),
            (
                "'BEGIN { s = \"aaa\"; print gsub(/a/, \"b&\", s), s; t = \"xax\"; sub(\"a\", \"\\\\&\", t); print t }'",
                "",
                "3 bababa\nx&x\n",
            ),
            ("'{ gsub(/[0-9]+/, \"<&>\"); print }'", LINES, "one <1> x\ntwo <22> y\nthree <3> x\n"),
            (
                "'BEGIN { print match(\"foobar\", /o+/), RSTART, RLENGTH; print match(\"x\", /y/), RLENGTH }'",
                "",
                "2 2 2\n0 -1\n",
            ),
            (
                "'BEGIN { print toupper(\"aB\") tolower(\"Cd\"), sprintf(\"%03d\", 7), int(-3.7), sqrt(16) }'",
                "",
                "ABcd 007 -3 4\n",
            ),
            ("'function f(n) { return n < 2 ? 1 : n * f(n - 1) } BEGIN { print f(10) }'", "", "3628800\n"),
            (
                "'function fill(a, k) { a[k] = 1 } BEGIN { fill(m, \"x\"); print (\"x\" in m), (\"y\" in m) }'",
                "",
                "1 0\n",
            ),
            (
                "'BEGIN { a[1, 2] = 3; for (k in a) { split(k, p, SUBSEP); print p[1], p[2] }; print ((1, 2) in a); delete a; print length(a) }'",
                "",
                "1 2\n1\n0\n",
            ),
            (
                "'BEGIN { while (i < 3) { i++; if (i == 2) continue; print i }; do i--; while (i > 0); print i; for (;;) break }'",
                "",
                "1\n3\n0\n",
            ),
            ("'function stop(s) { exit s } { print; stop(0) }'", LINES, "one 1 x\n"),
            ("'{ print ($1 < $2) }'", "10 9\nabc 9\n", "0\n0\n"),
            ("'BEGIN { x = y = 2; x += 3; x ^= 2; print x, y, x++ + ++x, -y ^ 2 }'", "", "25 2 52 -4\n"),
            ("'BEGIN { while ((getline line) > 0) n++; print n, line }'", LINES, "3 three 3 x\n"),
            ("'BEGIN { RS = \"\" } { print NR \": \" $1 \"-\" $NF }'", "a b\nc\n\n\nd\n", "1: a-c\n2: d-d\n"),
            ("'BEGIN { RS = \";\" } { print }'", "a;b;c", "a\nb\nc\n"),
            ("'BEGIN { ORS = \"|\"; print 1; print 2 }'", "", "1|2|"),
            ("'BEGIN { print substr(\"abc\", 2) > \"/dev/stdout\" }'", "", "bc\n"),
            ("'BEGIN { print length() } { print length }'", "abc\n", "0\n3\n"),
            ("'BEGIN { if (!(3 in a)) print \"no\"; print a[3] == 0, 3 in a }'", "", "no\n1 1\n"),
            ("'BEGIN { printf(\"%s %s\\n\", \"a\", \"b\"); print(1)(2) }'", "", "a b\n12\n"),
            ("'BEGIN { print 1==1 ? \"y\" : \"n\"; print 1,\n2 } # a remark\n\n'", "", "y\n1 2\n"),
            ("'BEGIN { $3 = \"c\"; print NF; print }'", "", "3\n  c\n"),
            ("'BEGIN { print -1 \" \" -1; print 1 - 1, 2 -1 }'", "", "-1-1\n0 1\n"),
            ("'$1 ~ /^t/ && $2 !~ \"3$\" { print $1 }'", LINES, "two\n"),
            (
                "'BEGIN { s = \"a.b\"; print split(s, p, \".\"), p[2]; print \"a/b\" ~ /a\\/b/, \"x\" ~ /[/]/ }'",
                "",
                "2 b\n1 0\n",
            ),
        ] {
            expect(&COMMAND, line, input, output);
        }
        expect(
            &COMMAND,
            "'BEGIN { print (10 < 9), (\"10\" < \"9\"), (\"a\" \"b\" == \"ab\"), (1 == 1.0) }'",
            "",
            "0 1 1 1\n",
        );
        expect(
            &COMMAND,
            "'BEGIN { srand(1); a = rand(); srand(1); print (a == rand()), (a < 1) }'",
            "",
            "1 1\n",
        );
        let (status, output, _) = try_command(
            &COMMAND,
            "'NR == 1 { next } { print; exit 3 } END { print \"end\" }'",
            &[("-", LINES.as_bytes())],
        );
        assert_eq!((status, &*output), (3, "two 22 y\nend\n"));
    }

    #[test]
    fn files_and_assignments_come_in_turn() {
        let files: &[(&str, &[u8])] =
            &[("a", b"1\n2\n"), ("b", b"3"), ("-", b"in\n"), ("p", b"{ print FILENAME, FNR, x }")];
        let (status, output, errors) = try_command(&COMMAND, "-f p a x=5 b gone", files);
        assert_eq!((status, &*output), (2, "a 1 \na 2 \nb 1 5\n"));
        assert_eq!(errors, "awk: gone: not found\n");
        assert_eq!(try_command(&COMMAND, "'END { print NR }' a b", files).1, "3\n");
        assert_eq!(
            try_command(&COMMAND, "'{ getline other < \"b\"; print $0 other }' a", files).1,
            "13\n23\n"
        );
        assert_eq!(try_command(&COMMAND, "'{ print length }' a -", files).1, "1\n1\n2\n");
        let (_, output, _) = try_command(&COMMAND, "'{ print length }'", &[("-", b"\xff\xfe\n")]);
        assert_eq!(output, "2\n");
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (line, reason) in [
            ("", "a program is missing"),
            ("'{ print'", "line 1: expected }"),
            ("'\n{ print ) }'", "line 2: "),
            ("'BEGIN { f(1) }'", "there is no function f"),
            ("'BEGIN { \"x\" | getline }'", "pipes"),
            ("'{ print | \"sort\" }'", "pipes"),
            ("'/(/'", "bad pattern"),
            ("'BEGIN { \"abc }'", "a string does not end"),
            ("'function f(a, a) { }'", "twice"),
            ("'function f(a) { } function f(b) { }'", "twice"),
            ("'BEGIN { break }'", "break"),
            ("'BEGIN { return }'", "return"),
            ("'BEGIN { next }'", "next"),
            ("-v 1=2 x", "NAME=VALUE"),
            ("'BEGIN { substr(1) }'", "substr"),
            ("'BEGIN { a[1] = 1; a = 2 }'", "array"),
            ("'BEGIN { a = 1; a[1] = 2 }'", "no array"),
            ("'BEGIN { print 1 / 0 }'", "division by zero"),
            ("'function f() { f() } BEGIN { f() }'", "nested too deeply"),
            ("'BEGIN { print ~ /(/ }'", "line 1"),
            ("'BEGIN { print \"a\" ~ \"(\" }'", "bad pattern"),
        ] {
            let (status, _, errors) = try_command(&COMMAND, line, &[("-", b"x\n")]);
            assert!(status == 2 && errors.contains(reason), "{line}: {status} {errors}");
        }
        let deep = alloc::format!("'BEGIN {{ print {}1{} }}'", "(".repeat(5000), ")".repeat(5000));
        assert!(try_command(&COMMAND, &deep, &[]).2.contains("nested too deeply"));
    }
}
