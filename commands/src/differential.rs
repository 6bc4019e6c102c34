//! Commands beside those of the host: each line of a table on each input of another, what is written and whether it
//! succeeds compared. A tool that the host lacks is passed over.
//!
//! What comes out otherwise, and shall, is in no table.

mod files;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command as Tool, Stdio};

use abi::Error;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use v::io::{BufRead, BufReader, Cursor};

use crate::run::run_with;
use crate::run::testing::words;
use crate::{Command, PROGRAMS};

/// Lines that every input is given to: as standard input, and as the files `f` and, reversed by its lines, `g`.
const LINES: &str = include_str!("differential/with-input.txt");

/// Lines that need no input.
const ALONE: &str = include_str!("differential/alone.txt");

/// What commands are given.
const INPUTS: &[&[u8]] = &[
    b"",
    b"\n",
    b"a",
    b"one a\ntwo b\nthree c",
    b"\n\na\n\n\nb\n\n",
    b"b:2:x\na:10:y\na:9:z\nc\n",
    b"10\n9\n-3\n 7\n+5\n1.5\n1.25\n1e2\nx\n\n",
    b"  lead\ttab  trail  \n\t\tx\n a  b   c \n",
    b"aaa\naaa\nAAA\nb\nB\nb\nb\n",
    b"a.b\na*b\n[a]\n\\a\n(a)\na|b\n$a^\n{a}\n",
    b"Aa bB a_b a-b ab a b\nba ab\n",
];

/// What the commands of [`BYTES`] are given beside.
const ODD_INPUTS: &[&[u8]] = &[
    b"a\0b\n\0\nc\x01\x7f\n",
    b"caf\xc3\xa9 \xe2\x82\xac\n\xff\xfe bad\na\xc3\n",
    b"\0",
    b"\xff",
    b"\x80\n\x80\0\n",
];

/// Commands to which a byte is a byte.
const BYTES: [&str; 15] = [
    "base64",
    "cat",
    "cksum",
    "cut",
    "head",
    "hexdump",
    "md5sum",
    "od",
    "paste",
    "sha256sum",
    "sort",
    "strings",
    "tac",
    "tail",
    "tr",
];

/// What ran: whether it succeeded, and what it wrote.
type Outcome = (i32, Vec<u8>);

fn files(input: &[u8]) -> [(&'static str, Vec<u8>); 2] {
    let reversed: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').rev().collect();
    [("f", input.to_vec()), ("g", reversed.concat())]
}

fn ours(command: &Command, words: &[String], input: &[u8]) -> Outcome {
    let files = files(input);
    let open = |name: &str| -> Result<Box<dyn BufRead>, Error> {
        let found = files.iter().find(|(known, _)| *known == name).map(|(_, bytes)| bytes.clone());
        let bytes = if name == "-" { Some(input.to_vec()) } else { found };
        Ok(Box::new(BufReader::new(Cursor::new(bytes.ok_or(Error::NotFound)?))))
    };
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let status = run_with(command, words, &mut output, &mut errors, &open);
    (status, output)
}

fn hosts(directory: &Path, name: &str, words: &[String], input: &[u8]) -> Option<Outcome> {
    for (name, bytes) in files(input) {
        fs::write(directory.join(name), bytes).expect("a file for a test");
    }
    let mut child = Tool::new(name)
        .args(words)
        .env("LC_ALL", "C")
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    // Who needs no input does not read it.
    let _ = child.stdin.take().map(|mut pipe| pipe.write_all(input));
    let output = child.wait_with_output().ok()?;
    Some((output.status.code().unwrap_or(-1), output.stdout))
}

/// Lines with one blank for several: how wide columns of numbers are is everyone's own.
fn words_of(output: &[u8]) -> Vec<Vec<&[u8]>> {
    let lines = output.split(|byte| *byte == b'\n');
    lines.map(|line| line.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect()).collect()
}

fn directory() -> PathBuf {
    std::env::temp_dir().join(format!("v-differential-{}", std::process::id()))
}

fn compare(line: &str, inputs: &[&[u8]]) -> Vec<String> {
    let mut words = words(line);
    let name = words.remove(0);
    let command =
        PROGRAMS.concat().into_iter().find(|command| command.usage.name == name).expect("a command");
    let directory = directory();
    fs::create_dir_all(&directory).expect("a directory for a test");
    let mut differences = Vec::new();
    let odd = if BYTES.contains(&&*name) && inputs.len() > 1 { ODD_INPUTS } else { &[] };
    for input in inputs.iter().chain(odd) {
        let Some(theirs) = hosts(&directory, &name, &words, input) else { break };
        let ours = ours(command, &words, input);
        if (theirs.0 == 0) != (ours.0 == 0) || words_of(&theirs.1) != words_of(&ours.1) {
            let shown = |(status, output): &Outcome| format!("{status} {}", output.escape_ascii());
            differences.push(format!(
                "{line}  <  {}\n    ours   {}\n    theirs {}",
                input.escape_ascii(),
                shown(&ours),
                shown(&theirs)
            ));
        }
    }
    differences
}

#[test]
fn commands_do_what_the_hosts_do() {
    let mut differences = Vec::new();
    for line in LINES.lines() {
        differences.extend(compare(line, INPUTS));
    }
    for line in ALONE.lines() {
        differences.extend(compare(line, &[b""]));
    }
    // Whoever looks for what is different wants the files.
    if differences.is_empty() {
        let _ = fs::remove_dir_all(directory());
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}
