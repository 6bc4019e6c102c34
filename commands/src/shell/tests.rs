//! The shell's tests: scripts with what they print, on the host's files and programs.
//!
//! What POSIX says is also asked of the host's `dash`, if it has one, so that the expectations are not only
//! ours. Each script runs in an empty directory of its own, on a thread with a program's stack.

mod basics;
mod compound;
mod differential;
mod errors;
mod expansion;
pub(super) mod host;
mod jobs;
mod own;
mod printing;
mod properties;
mod session;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{self, Command, Stdio};
use std::string::String;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::vec::Vec;
use std::{format, println};

use super::ast::Text;
use host::{Host, start_shell};

/// A script, what it prints to standard output, and its status.
type Case = (&'static str, &'static str, i32);

/// What a script did.
#[derive(PartialEq, Debug)]
struct Outcome {
    output: String,
    errors: String,
    status: i32,
}

/// A directory for one script, removed afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("v-shell-{}-{number}", process::id()));
        fs::create_dir_all(path.join("work")).expect("a directory for a test");
        Scratch(path)
    }

    fn work(&self) -> PathBuf {
        self.0.join("work")
    }

    fn file(&self, name: &str) -> File {
        File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(self.0.join(name))
            .expect("a file for a test")
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.0.join(name)).expect("a test's output")).into_owned()
    }

    fn outcome(&self, status: i32) -> Outcome {
        Outcome { output: self.text("output"), errors: self.text("errors"), status }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What scripts find in their environment.
const ENVIRONMENT: [(&str, &str); 2] = [("HOME", "/home/me"), ("PATH", "/usr/bin:/bin")];

/// Runs our shell with these arguments and this input.
fn run(arguments: &[&str], input: &str) -> Outcome {
    run_with(arguments, input, &[])
}

/// As [`run`], with more in the environment.
fn run_with(arguments: &[&str], input: &str, more: &[(&str, &str)]) -> Outcome {
    let scratch = Scratch::new();
    fs::write(scratch.0.join("input"), input).expect("a test's input");
    let input = File::open(scratch.0.join("input")).expect("a test's input");
    let streams = [input, scratch.file("output"), scratch.file("errors")].map(|file| Some(Arc::new(file)));
    let arguments = arguments.iter().map(|argument| argument.as_bytes().to_vec()).collect();
    let environment: Vec<(Text, Text)> = ENVIRONMENT
        .iter()
        .chain(more)
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect();
    let shell = start_shell(Host::new(scratch.work()), streams, arguments, environment);
    let status = shell.join().expect("the shell does not panic");
    scratch.outcome(status)
}

/// Runs our shell on a script.
fn run_script(script: &str) -> Outcome {
    run(&["exec", "-c", script], "")
}

/// Runs the host's `dash` on a script; `None` if there is none.
fn run_dash(script: &str) -> Option<Outcome> {
    let scratch = Scratch::new();
    let status = Command::new("/usr/bin/dash")
        .args(["-c", script])
        .env_clear()
        .envs(ENVIRONMENT)
        .current_dir(scratch.work())
        .stdin(Stdio::null())
        .stdout(scratch.file("output"))
        .stderr(scratch.file("errors"))
        .status()
        .ok()?;
    Some(scratch.outcome(status.code().unwrap_or(-1)))
}

/// Checks our shell against expectations.
fn check(cases: &[Case]) {
    let failures: Vec<String> =
        cases.iter().filter_map(|case| compare(case, "ours", Some(&run_script(case.0)))).collect();
    report(&failures);
}

/// Checks our shell, and `dash`, against expectations.
fn check_with_dash(cases: &[Case]) {
    let mut failures = Vec::new();
    for case in cases {
        failures.extend(compare(case, "ours", Some(&run_script(case.0))));
        failures.extend(compare(case, "dash", run_dash(case.0).as_ref()));
    }
    report(&failures);
}

fn compare((script, output, status): &Case, who: &str, outcome: Option<&Outcome>) -> Option<String> {
    let outcome = outcome?;
    let is_right = outcome.output == *output && outcome.status == *status;
    (!is_right).then(|| format!("{who}: {script}\n  expected {output:?}, status {status}\n  got {outcome:?}"))
}

fn report(failures: &[String]) {
    for failure in failures {
        println!("{failure}");
    }
    assert!(failures.is_empty(), "{} cases failed", failures.len());
}
