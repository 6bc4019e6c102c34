//! A test on a booted node, or on several, as a file `tests/scenarios/NAME.toml` says it:
//! ```toml
//! summary = "Pipes carry bytes between programs"
//! exec = "echo hello | wc -c"
//! output = "6\n"
//! ```
//! `exec` holds shell lines, run as `cargo v run --exec` does. Steps ([`crate::script`]) wait for what a node shows,
//! then type at its console, which has a shell where the node has no lines, or do something to a node; without `exec`
//! the scenario is its steps. Everything else is optional: what goes in, what network there is, and what is expected
//! of `status` (0), `output`, `error` and the `log`. Patterns are regular expressions in which `^` and `$` match at
//! lines.
//! ```toml
//! nodes = 2
//! exec_on.2 = "serve"
//! network = { loss = "1%", seed = 7 }
//! [[step]]
//! wait = "ready"
//! node = 2
//! then = "pull 2"
//! ```

use std::collections::BTreeMap;
use std::io::Cursor;
use std::iter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::archive::SERVICES;
use crate::arguments::Accel;
use crate::book;
use crate::disk::New;
use crate::exec::Exec;
use crate::fat;
use crate::firmware::{Firmware, Medium};
use crate::gdb;
use crate::guest::checkout;
use crate::log::Log;
use crate::machine::{Display, Keyboard, Port, Start};
use crate::memory::Memory;
use crate::per_node::PerNode;
use crate::run::{Prepared, connect, status};
use crate::script::{Pattern, Script, Scripted, Shown, Step};
use crate::session::{End, Session};
use crate::views;
use crate::wiring::{CardKind, DomainNumber, Wiring};
use ethernet::impairment::Impairments;
use ethernet::partition::{MOST_NODES, node_place};

/// Seconds that a scenario may take if it doesn't say.
const TIMEOUT_SECONDS: u64 = 120;
/// Lines of a long text that a complaint shows.
const LINES_SHOWN: usize = 40;

/// A scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file")]
pub struct Scenario {
    /// The file's name without its ending.
    #[serde(skip)]
    pub name: String,
    /// What it shows, in a line.
    pub summary: String,
    /// Only with `--soak`.
    #[serde(default)]
    pub soak: bool,
    /// How many nodes it takes.
    #[serde(default = "one")]
    pub nodes: usize,
    /// What their network does to frames.
    #[serde(default)]
    network: Impairments,
    /// Their network cards, as `--card` takes them.
    #[serde(default)]
    card: PerNode<CardKind>,
    /// Their domains, as `--domain` takes them.
    #[serde(default)]
    domain: PerNode<DomainNumber>,
    /// Shell lines, for the first node.
    exec: Option<String>,
    /// Whether the lines of the manual's sessions follow.
    #[serde(default)]
    runs_book: bool,
    /// Shell lines for other nodes, by their numbers.
    #[serde(default)]
    exec_on: BTreeMap<String, String>,
    /// Whether all nodes but the first have no files of their own.
    #[serde(default)]
    diskless: bool,
    /// On which medium the image is that the nodes' firmware starts, as `--image` takes it.
    image: Option<Medium>,
    /// Whether all nodes but the first start over the network.
    #[serde(default)]
    netboot: bool,
    /// The firmware that starts them.
    #[serde(default)]
    firmware: Firmware,
    /// What to do at consoles and to nodes.
    #[serde(default)]
    step: Vec<Step>,
    /// How often all of these steps are done, one time after the other.
    #[serde(default = "one")]
    rounds: usize,
    /// The commands' standard input; it is empty if neither this nor the next is given.
    input: Option<String>,
    /// As standard input, the numbers from 1 to this, one a line.
    input_numbers: Option<u64>,
    /// Files and folders to put under `[boot]`, relative to the scenario's.
    #[serde(default)]
    add: Vec<PathBuf>,
    /// Further services, as lines of the nodes' `configuration/services`.
    services: Option<String>,
    /// A program to make with `cargo v new`, and to add.
    pub new_program: Option<String>,
    /// Memory of the nodes, as `--memory` takes it.
    #[serde(default)]
    pub memory: Memory,
    /// Whether the first node has a screen and a keyboard.
    #[serde(default)]
    display: bool,
    /// Which keyboard, as `--keyboard` takes it.
    #[serde(default)]
    keyboard: Keyboard,
    /// Whether the first node has a line to GDB, as `--gdb` leads it to a port.
    #[serde(default)]
    gdb: bool,
    /// Whether the nodes have a device of random numbers.
    #[serde(default)]
    random: bool,
    /// Whether the first node has two lines that lead to each other.
    #[serde(default)]
    ports: bool,
    /// Disks, new for each run, as `--disk` takes them but without a file.
    #[serde(default)]
    disk: Vec<New>,
    /// Patterns that files of the disk with a FAT volume contain in the end, by their names.
    #[serde(default)]
    fat_has: BTreeMap<String, Pattern>,
    /// Whether a reset starts the first node again, as at a terminal; the others always start again.
    #[serde(default)]
    restarts: bool,
    /// Whether the node runs deterministically.
    #[serde(default)]
    pub icount: bool,
    /// Features that the nodes' processors lack, by QEMU's names.
    #[serde(default)]
    lacking: Vec<String>,
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
    /// Standard output (without `exec`: what the console shows), exactly.
    output: Option<String>,
    /// Standard output is the numbers from 1 to this, one a line.
    output_numbers: Option<u64>,
    /// Patterns that it contains, in this order, without overlap.
    #[serde(default)]
    output_has: Vec<Pattern>,
    /// Patterns that it does not contain.
    #[serde(default)]
    output_lacks: Vec<Pattern>,
    /// How many views it has that are written as JSON, too; see [`views`].
    #[serde(default)]
    views: usize,
    /// Patterns that other nodes' output, with their standard error, or their consoles' contain, by their numbers.
    #[serde(default)]
    output_of: BTreeMap<String, Vec<Pattern>>,
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

fn one() -> usize {
    1
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
        if scenario.runs_book {
            scenario.exec.get_or_insert_default().push_str(&book::script()?);
        }
        ensure!(
            scenario.exec.is_some() || !scenario.step.is_empty(),
            "`exec` or steps must be given, or both"
        );
        ensure!(
            scenario.input.is_none() || scenario.input_numbers.is_none(),
            "only one of `input` and `input_numbers` can be given"
        );
        ensure!((1..=MOST_NODES).contains(&scenario.nodes), "`nodes` must be from 1 to {MOST_NODES}");
        let named = scenario
            .step
            .iter()
            .map(Step::nodes)
            .chain([scenario.network.nodes_named(), scenario.wiring().nodes_named()])
            .chain(scenario.disk.iter().map(|disk| disk.node() + 1))
            .max();
        ensure!(named <= Some(scenario.nodes), "it names node {}; see `nodes`", named.unwrap_or_default());
        for number in scenario.exec_on.keys().chain(scenario.output_of.keys()) {
            let node = node_place(number).map_err(anyhow::Error::msg)?;
            ensure!((1..scenario.nodes).contains(&node), "node {number} is no other node that there is");
        }
        Ok(scenario)
    }

    /// What options a node for it has, its disks in files of that folder. Scenarios always run emulated, so that hosts do
    /// not differ.
    pub fn options(&self, folder: &Path) -> crate::arguments::NodeOptions {
        crate::arguments::NodeOptions {
            memory: self.memory.clone(),
            disk: self.disk.iter().enumerate().map(|(number, disk)| disk.within(folder, number)).collect(),
            add: self.add.iter().map(|path| self::folder().join(path)).collect(),
            accel: Accel::Tcg,
            icount: self.icount,
            random: self.random,
            log: None,
            test_programs: true,
        }
    }

    fn wiring(&self) -> Wiring {
        Wiring { card: self.card.clone(), domain: self.domain.clone() }
    }

    /// The lines of the node at that place.
    fn lines(&self, node: usize) -> Option<&String> {
        if node == 0 { self.exec.as_ref() } else { self.exec_on.get(&(node + 1).to_string()) }
    }

    /// Runs it on nodes, and says what was not as expected.
    pub fn run(&self, mut nodes: Vec<Prepared>, log: &Log) -> Result<()> {
        if self.display {
            nodes[0].show(Display::Hidden, self.keyboard);
        }
        if self.gdb {
            nodes[0].machine.gdb_line = Some(gdb::free_port()?);
        }
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        if self.ports {
            let path = folder.path().join("ports");
            nodes[0].machine.ports =
                [true, false].map(|listens| Port { path: path.clone(), listens }).to_vec();
        }
        for (node, prepared) in nodes.iter_mut().enumerate() {
            self.words.iter().for_each(|word| prepared.say(word));
            let services = self.services.as_ref();
            services.map_or(Ok(()), |services| prepared.archive.append(SERVICES, services))?;
            prepared.machine.lacking.clone_from(&self.lacking);
            prepared.machine.may_restart = node > 0 || self.restarts;
            self.lines(node).map_or(Ok(()), |lines| prepared.run_lines(lines))?;
            prepared.machine.start = Start::of(node, self.image, self.netboot, self.firmware);
            if self.diskless && node > 0 {
                prepared.make_diskless()?;
            }
        }
        let steps: Vec<Step> = iter::repeat_n(self.step.clone(), self.rounds).flatten().collect();
        let mut script = Script::new(&steps, nodes.len(), self.exec.is_none());
        let shown: Vec<Shown> = (0..nodes.len()).map(|node| Shown::new(&script, node)).collect();
        let error = Shown::new(&script, 0);
        let fat_disk = self.fat_disk(&nodes);
        let mut domain = connect(nodes, &self.wiring(), self.network.clone(), None, log)?;
        let mut sessions: Vec<Box<dyn Session>> = Vec::new();
        for (node, shown) in shown.iter().enumerate() {
            let input = if node == 0 { self.input() } else { Vec::new() };
            let (log, error) = (domain.log(node), if node == 0 { &error } else { shown });
            sessions.push(if self.lines(node).is_some() {
                Box::new(Exec::new(log, Cursor::new(input), shown.clone(), error.clone()))
            } else {
                Box::new(Scripted::new(shown.clone(), node == 0))
            });
        }
        let end = domain.watch(&mut sessions, &mut script, Some(Duration::from_secs(self.timeout)))?.end;
        let texts: Vec<String> = shown.iter().map(Shown::text).collect();
        let (log, left) = (log.text(), script.left());
        let excerpts = texts.iter().map(|text| excerpt(text)).collect::<Vec<_>>().join("\n--\n");
        ensure!(
            left.is_empty(),
            "{end}; steps still wait for {left:?}; shown:\n{excerpts}\non the screen:\n{}\nlog:\n{}",
            excerpt(script.screen().trim_end()),
            excerpt(&log)
        );
        self.check(&end, &texts, &error.text(), &log)?;
        for (name, pattern) in &self.fat_has {
            let disk = fat_disk.as_ref().context("no disk has a FAT volume")?;
            let content = String::from_utf8_lossy(&fat::read(disk, name)?).into_owned();
            has(name, std::slice::from_ref(pattern), &content)?;
        }
        Ok(())
    }

    /// The image of the first disk that becomes a FAT volume; all of them are the first node's.
    fn fat_disk(&self, nodes: &[Prepared]) -> Option<PathBuf> {
        let number = self.disk.iter().position(New::is_fat)?;
        Some(nodes.first()?.machine.disks.get(number)?.path().to_owned())
    }

    fn input(&self) -> Vec<u8> {
        match (&self.input, self.input_numbers) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(last)) => numbers(last).into_bytes(),
            (None, None) => Vec::new(),
        }
    }

    /// Compares what came with what was expected; `outputs` are the nodes'.
    fn check(&self, end: &End, outputs: &[String], error: &str, log: &str) -> Result<()> {
        let output = &outputs[0];
        let compare = || {
            ensure!(status(end) == self.status, "{end}: status {}, not {}", status(end), self.status);
            exactly("output", self.output.as_deref(), output)?;
            exactly("output", self.output_numbers.map(numbers).as_deref(), output)?;
            has("output", &self.output_has, output)?;
            lacks("output", &self.output_lacks, output)?;
            let found = if self.views == 0 { 0 } else { views::compare(output)? };
            ensure!(found == self.views, "output has {found} views, not {}", self.views);
            for (number, patterns) in &self.output_of {
                let node = node_place(number).map_err(anyhow::Error::msg)?;
                has(&format!("output of node {number}"), patterns, &outputs[node])?;
            }
            exactly("error", self.error.as_deref(), error)?;
            has("error", &self.error_has, error)?;
            has("log", &self.log_has, log)?;
            lacks("log", &self.log_lacks, log)
        };
        compare().with_context(|| {
            let output = outputs.iter().map(|text| excerpt(text)).collect::<Vec<_>>().join("\n--\n");
            let (error, log) = (excerpt(error), excerpt(log));
            format!("output:\n{output}\nerror:\n{error}\nlog:\n{log}\n")
        })
    }
}

/// The numbers from 1 on, one a line.
fn numbers(last: u64) -> String {
    (1..=last).fold(String::new(), |text, number| text + &number.to_string() + "\n")
}

/// The end of a long text.
fn excerpt(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, end: &End, output: &str, error: &str, log: &str) -> Result<(), String> {
        let scenario = Scenario::parse("test", text).unwrap();
        let checked = scenario.check(end, &[output.to_owned(), "served".to_owned()], error, log);
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
    fn other_nodes_output_is_checked_too() {
        let text = "summary = 's'\nexec = 'x'\nnodes = 2\noutput_of.2 = ['^ser', 'ed$']";
        assert_eq!(check(text, &End::Exit(0), "", "", ""), Ok(()));
        let text = "summary = 's'\nexec = 'x'\nnodes = 2\noutput_of.2 = ['failed']";
        let complaint = "output of node 2 lacks `(?m)failed`".to_owned();
        assert_eq!(check(text, &End::Exit(0), "", "", ""), Err(complaint));
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
            ("summary = 's'", "`exec` or steps"),
            ("summary = 's'\nexec = 'x'\nstep = [{ then = 'pull 2' }]", "it names node 2"),
            ("summary = 's'\nexec = 'x'\nnodes = 2\nnetwork = { partition = ['1|3'] }", "it names node 3"),
            ("summary = 's'\nexec = 'x'\nnodes = 2\nexec_on.3 = 'y'", "no other node"),
            ("summary = 's'\nexec = 'x'\nnodes = 65", "from 1 to 64"),
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
    fn the_scenarios_of_this_checkout_can_be_read() {
        all().unwrap();
    }
}
