//! A test on a booted node, as a file `tests/scenarios/NAME.toml` says it:
//! ```toml
//! summary = "Pipes carry bytes between programs"
//! exec = "echo hello | wc -c"
//! output = "6\n"
//! ```
//! `exec` holds shell lines, run as `cargo v run --exec` does; `console` instead holds steps at the console of a node
//! with a shell, each of which waits for a pattern and then types something. Everything else is optional: what goes
//! in, and what is expected of `status` (0), `output`, `error` and the `log`. Patterns are regular expressions in
//! which `^` and `$` match at lines.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;
use serde::Deserialize;

use crate::arguments::Accel;
use crate::exec::{BOOT_PATIENCE, Exec};
use crate::guest::checkout;
use crate::log::Log;
use crate::node::{End, Node, Session};
use crate::run::{Prepared, status};

/// Seconds that a scenario may take if it doesn't say.
const TIMEOUT_SECONDS: u64 = 120;
/// Memory of its node, if it doesn't say.
const MEMORY_MIB: u32 = 256;
/// Lines of a long text that a complaint shows.
const LINES_SHOWN: usize = 40;

/// A scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without its ending.
    #[serde(skip)]
    pub name: String,
    /// What it shows, in a line.
    pub summary: String,
    /// Only with `--soak`.
    #[serde(default)]
    pub soak: bool,
    /// Shell lines.
    exec: Option<String>,
    /// What to do at the console.
    #[serde(default)]
    console: Vec<Step>,
    /// The commands' standard input; it is empty if neither this nor the next is given.
    input: Option<String>,
    /// As standard input, the numbers from 1 to this, one a line.
    input_numbers: Option<u64>,
    /// Files and folders to put under `[boot]`, relative to the scenario's.
    #[serde(default)]
    add: Vec<PathBuf>,
    /// A program to make with `cargo v new`, and to add.
    pub new_program: Option<String>,
    /// Memory of the node, in MiB.
    #[serde(default = "memory")]
    pub memory: u32,
    /// Whether the node runs deterministically.
    #[serde(default)]
    pub icount: bool,
    /// Whether the kernel is the one with its self-test.
    #[serde(default)]
    pub selftest: bool,
    /// More words for the boot command line.
    #[serde(default)]
    words: Vec<String>,
    /// Seconds that it may take.
    #[serde(default = "timeout")]
    timeout: u64,
    /// What the tool's status would be.
    #[serde(default)]
    status: u8,
    /// Standard output (with `console`: what the console shows), exactly.
    output: Option<String>,
    /// Patterns that it contains, in this order, without overlap.
    #[serde(default)]
    output_has: Vec<Pattern>,
    /// Patterns that it does not contain.
    #[serde(default)]
    output_lacks: Vec<Pattern>,
    /// Standard error, exactly.
    error: Option<String>,
    /// Patterns that it contains, in this order, without overlap.
    #[serde(default)]
    error_has: Vec<Pattern>,
    /// Patterns that the log contains, in this order, without overlap.
    #[serde(default)]
    log_has: Vec<Pattern>,
    /// Patterns that the log does not contain.
    #[serde(default)]
    log_lacks: Vec<Pattern>,
}

/// What to do at the console: wait for `wait` in what it shows after the last step's, then type `send`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    wait: Pattern,
    #[serde(default)]
    send: String,
}

/// A regular expression in which `^` and `$` match at lines.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Pattern(Regex);

impl TryFrom<String> for Pattern {
    type Error = regex::Error;
    fn try_from(text: String) -> Result<Pattern, regex::Error> {
        Regex::new(&format!("(?m){text}")).map(Pattern)
    }
}

fn memory() -> u32 {
    MEMORY_MIB
}

fn timeout() -> u64 {
    TIMEOUT_SECONDS
}

/// The folder of the scenarios.
pub fn folder() -> PathBuf {
    checkout().join("tests/scenarios")
}

/// All scenarios, by name.
pub fn all() -> Result<Vec<Scenario>> {
    let folder = folder();
    let mut scenarios = Vec::new();
    for entry in folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            scenarios.push(Scenario::read(&path)?);
        }
    }
    scenarios.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(scenarios)
}

impl Scenario {
    /// Reads a scenario's file.
    pub fn read(path: &Path) -> Result<Scenario> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_stem().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("{} is no name for a scenario", path.display()))?;
        Scenario::parse(name, &text).with_context(|| path.display().to_string())
    }

    fn parse(name: &str, text: &str) -> Result<Scenario> {
        let mut scenario: Scenario = toml::from_str(text)?;
        name.clone_into(&mut scenario.name);
        ensure!(
            scenario.exec.is_some() == scenario.console.is_empty(),
            "either `exec` or `console` must be given"
        );
        let inputs =
            [scenario.input.is_some(), scenario.input_numbers.is_some(), !scenario.console.is_empty()];
        let inputs = inputs.into_iter().filter(|given| *given).count();
        ensure!(inputs <= 1, "only one of `input`, `input_numbers` and `console` can be given");
        Ok(scenario)
    }

    /// What options a node for it has. Scenarios always run emulated, so that hosts do not differ.
    pub fn options(&self) -> crate::arguments::NodeOptions {
        crate::arguments::NodeOptions {
            memory: self.memory,
            add: self.add.iter().map(|path| folder().join(path)).collect(),
            accel: Accel::Tcg,
            icount: self.icount,
            log: None,
            test_programs: true,
        }
    }

    /// Runs it on a node, and says what was not as expected.
    pub fn run(&self, mut prepared: Prepared, log: &Arc<Log>) -> Result<()> {
        let timeout = Some(Duration::from_secs(self.timeout));
        let mut output = Vec::new();
        let mut error = Vec::new();
        for word in &self.words {
            prepared.machine.command_line += " ";
            prepared.machine.command_line += word;
        }
        let end = if let Some(lines) = &self.exec {
            prepared.run_lines(lines)?;
            let mut node = Node::boot(&prepared.machine, &prepared.archive, Arc::clone(log))?;
            let mut session = Exec::new(&node, log, io::Cursor::new(self.input()), &mut output, &mut error)?;
            let end = node.watch(&mut session, timeout)?;
            session.judge(end)
        } else {
            prepared.machine.may_restart = false;
            let mut node = Node::boot(&prepared.machine, &prepared.archive, Arc::clone(log))?;
            let mut session =
                Script { steps: &self.console, seen: 0, output: &mut output, keys: node.console()? };
            let end = node.watch(&mut session, timeout)?;
            let left: Vec<String> = session.steps.iter().map(|step| step.wait.0.to_string()).collect();
            let (output, log) = (shown(&String::from_utf8_lossy(&output)), shown(&log.text()));
            ensure!(left.is_empty(), "{end}; the console never showed {left:?}, but:\n{output}\nlog:\n{log}");
            end
        };
        self.check(&end, &output, &error, &log.text())
    }

    fn input(&self) -> Vec<u8> {
        match (&self.input, self.input_numbers) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(last)) => (1..=last).flat_map(|number| format!("{number}\n").into_bytes()).collect(),
            (None, None) => Vec::new(),
        }
    }

    /// Compares what came with what was expected.
    fn check(&self, end: &End, output: &[u8], error: &[u8], log: &str) -> Result<()> {
        let (output, error) = (String::from_utf8_lossy(output), String::from_utf8_lossy(error));
        let compare = || {
            ensure!(status(end) == self.status, "{end}: status {}, not {}", status(end), self.status);
            exactly("output", self.output.as_deref(), &output)?;
            has("output", &self.output_has, &output)?;
            lacks("output", &self.output_lacks, &output)?;
            exactly("error", self.error.as_deref(), &error)?;
            has("error", &self.error_has, &error)?;
            has("log", &self.log_has, log)?;
            lacks("log", &self.log_lacks, log)
        };
        compare().with_context(|| {
            let (output, error, log) = (shown(&output), shown(&error), shown(log));
            format!("output:\n{output}\nerror:\n{error}\nlog:\n{log}\n")
        })
    }
}

/// The end of a long text.
fn shown(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let left_out = lines.len().saturating_sub(LINES_SHOWN);
    let begin = if left_out > 0 { format!("  … {left_out} lines before …\n") } else { String::new() };
    let end: Vec<String> = lines[left_out..].iter().map(|line| format!("  {line}")).collect();
    begin + &end.join("\n")
}

fn exactly(what: &str, expected: Option<&str>, came: &str) -> Result<()> {
    let Some(expected) = expected.filter(|expected| *expected != came) else {
        return Ok(());
    };
    let same = expected.lines().zip(came.lines()).take_while(|(expected, came)| expected == came).count();
    match (expected.lines().nth(same), came.lines().nth(same)) {
        (Some(expected), Some(came)) => bail!("{what}, line {}: {came:?}, not {expected:?}", same + 1),
        (Some(expected), None) => bail!("{what} ends before line {}: {expected:?}", same + 1),
        (None, Some(came)) => bail!("{what} has a line {} too many: {came:?}", same + 1),
        (None, None) => bail!("{what} differs in its line ends"),
    }
}

fn has(what: &str, patterns: &[Pattern], text: &str) -> Result<()> {
    let mut rest = text;
    for Pattern(pattern) in patterns {
        let found = pattern.find(rest).with_context(|| format!("{what} lacks `{pattern}`"))?;
        rest = &rest[found.end()..];
    }
    Ok(())
}

fn lacks(what: &str, patterns: &[Pattern], text: &str) -> Result<()> {
    match patterns.iter().find_map(|Pattern(pattern)| pattern.find(text)) {
        Some(found) => bail!("{what} has {:?}", found.as_str()),
        None => Ok(()),
    }
}

/// The session of a scenario at the console. It ends well when all steps are done and the node ends, or when the last
/// step has nothing to send.
struct Script<'a> {
    steps: &'a [Step],
    /// How much of the output earlier steps have matched.
    seen: usize,
    output: &'a mut Vec<u8>,
    keys: UnixStream,
}

impl Session for Script<'_> {
    fn console(&mut self, bytes: &[u8]) -> Result<Option<End>> {
        self.output.extend(bytes);
        while let Some((step, later)) = self.steps.split_first() {
            let text = String::from_utf8_lossy(&self.output[self.seen..]);
            // What isn't text moves the ends of matches; nothing but text is expected of a console.
            let Some(found) = step.wait.0.find(&text) else {
                break;
            };
            self.seen = (self.seen + found.end()).min(self.output.len());
            self.steps = later;
            if later.is_empty() && step.send.is_empty() {
                return Ok(Some(End::Exit(0)));
            }
            self.keys.write_all(step.send.as_bytes()).context("the console does not listen")?;
        }
        Ok(None)
    }

    fn channel(&mut self, _bytes: &[u8]) -> Result<Option<End>> {
        Ok(None)
    }

    fn patience(&self) -> Option<Duration> {
        self.output.is_empty().then_some(BOOT_PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn check(text: &str, end: &End, output: &str, error: &str, log: &str) -> Result<(), String> {
        let scenario = Scenario::parse("test", text).unwrap();
        let checked = scenario.check(end, output.as_bytes(), error.as_bytes(), log);
        checked.map_err(|error| error.root_cause().to_string())
    }

    #[test]
    fn what_is_expected_is_checked() {
        let text =
            "summary = 's'\nexec = 'x'\noutput = \"6\\n\"\nlog_has = ['^a$', 'b']\nlog_lacks = ['panic']";
        let well = End::Exit(0);
        assert_eq!(check(text, &well, "6\n", "", "a\nb\n"), Ok(()));
        for (end, output, log, complaint) in [
            (&End::Exit(1), "6\n", "a\nb\n", "the commands ended with status 1: status 1, not 0"),
            (&End::Panic, "6\n", "a\nb\n", "the kernel failed: status 125, not 0"),
            (&well, "7\n", "a\nb\n", "output, line 1: \"7\", not \"6\""),
            (&well, "6\n7\n", "a\nb\n", "output has a line 2 too many: \"7\""),
            (&well, "", "a\nb\n", "output ends before line 1: \"6\""),
            (&well, "6", "a\nb\n", "output differs in its line ends"),
            (&well, "6\n", "b\na\n", "log lacks `(?m)b`"),
            (&well, "6\n", "a\nb\npanic", "log has \"panic\""),
        ] {
            assert_eq!(check(text, end, output, "", log), Err(complaint.to_owned()));
        }
    }

    #[test]
    fn a_failure_may_be_what_is_expected() {
        let text = "summary = 's'\nexec = 'x'\nstatus = 125\nlog_has = ['^kernel panic']";
        assert_eq!(check(text, &End::Panic, "", "", "kernel panic: so\n"), Ok(()));
    }

    #[test]
    fn mistakes_in_a_file_are_named() {
        for (text, complaint) in [
            ("exec = 'x'", "summary"),
            ("summary = 's'", "either `exec` or `console`"),
            ("summary = 's'\nexec = 'x'\nconsole = [{ wait = 'a' }]", "either `exec` or `console`"),
            ("summary = 's'\nexec = 'x'\ninput = ''\ninput_numbers = 3", "only one of"),
            ("summary = 's'\nexec = 'x'\noutput_has = ['(']", "regex parse error"),
            ("summary = 's'\nexecute = 'x'", "unknown field `execute`"),
        ] {
            let error = format!("{:#}", Scenario::parse("test", text).unwrap_err());
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn input_may_be_made_up() {
        let scenario = Scenario::parse("t", "summary = 's'\nexec = 'x'\ninput_numbers = 3").unwrap();
        assert_eq!(scenario.input(), b"1\n2\n3\n");
    }

    #[test]
    fn steps_are_taken_one_after_another() {
        let text = "summary = 's'\nconsole = [{ wait = '\\$ $', send = 'ls' }, { wait = 'bin', send = 'x' }, { wait = 'y' }]";
        let scenario = Scenario::parse("t", text).unwrap();
        let (keys, mut node) = UnixStream::pair().unwrap();
        let mut output = Vec::new();
        let mut script = Script { steps: &scenario.console, seen: 0, output: &mut output, keys };
        assert_eq!(script.console(b"bin y $").unwrap(), None);
        assert_eq!(script.console(b" ").unwrap(), None);
        assert_eq!(script.console(b"lsbi").unwrap(), None);
        assert_eq!(script.console(b"n\r\nx y").unwrap(), Some(End::Exit(0)));
        drop(script);
        let mut typed = String::new();
        node.read_to_string(&mut typed).unwrap();
        assert_eq!(typed, "lsx");
    }

    #[test]
    fn the_scenarios_of_this_checkout_can_be_read() {
        all().unwrap();
    }
}
