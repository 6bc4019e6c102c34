//! `cargo v test`: the tests of the workspace, which run on the host, then the scenarios, each on a node of its own.

use std::io::{BufRead, BufReader, Write, stdout};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::arguments::Test;
use crate::fuzz::{self, Fuzzer};
use crate::guest::{self, Guest, cargo, checkout};
use crate::log::Log;
use crate::new;
use crate::package::{self, Need};
use crate::progress::Progress;
use crate::qemu;
use crate::run::Prepared;
use crate::scenario::{self, Scenario};

/// What tests on the host are compared with.
pub const NEEDS: [Need; 1] = [Need { what: "dash", package: "dash" }];
/// How alike a name must be to be suggested, from 0 to 1.
const LIKENESS: f64 = 0.75;
/// Names suggested at most.
const SUGGESTIONS: usize = 8;

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
}

/// `cargo v test`. The status that the tool is to end with.
pub fn test(options: &Test) -> Result<u8> {
    let scenarios = scenario::all()?;
    if options.list {
        for scenario in &scenarios {
            let soak = if scenario.soak { " (soak)" } else { "" };
            println!("{}: {}{soak}", scenario.name, scenario.summary);
        }
        return Ok(0);
    }
    let chosen = Chosen::new(options, &scenarios)?;
    let mut counts = Counts::default();
    if !chosen.host.is_empty() {
        package::ensure_all(&NEEDS)?;
    }
    for filter in &chosen.host {
        let more = run_on_host(filter.as_deref(), options.soak)?;
        counts.passed += more.passed;
        counts.failed += more.failed;
    }
    if !chosen.fuzzed.is_empty() {
        let more = run_fuzzer(&chosen.fuzzed)?;
        counts.passed += more.passed;
        counts.failed += more.failed;
    }
    if !chosen.scenarios.is_empty() {
        let more = run_on_nodes(&chosen.scenarios, options.jobs)?;
        counts.passed += more.passed;
        counts.failed += more.failed;
    }
    println!("{} passed, {} failed", counts.passed, counts.failed);
    Ok(u8::from(counts.failed > 0))
}

/// What is to be run.
struct Chosen<'a> {
    /// Each a filter for the tests on the host; `None` means all of them.
    host: Vec<Option<String>>,
    /// Targets for the guided fuzzing.
    fuzzed: Vec<String>,
    scenarios: Vec<&'a Scenario>,
}

impl<'a> Chosen<'a> {
    fn new(options: &Test, scenarios: &'a [Scenario]) -> Result<Chosen<'a>> {
        let targets = if options.soak { fuzz::targets()? } else { Vec::new() };
        if options.names.is_empty() {
            let scenarios = scenarios.iter().filter(|scenario| options.soak || !scenario.soak);
            return Ok(Chosen { host: vec![None], fuzzed: targets, scenarios: scenarios.collect() });
        }
        let mut chosen = Chosen { host: Vec::new(), fuzzed: Vec::new(), scenarios: Vec::new() };
        let mut host_names = None;
        for name in &options.names {
            // Whoever names a scenario wants it, long or not.
            let exact: Vec<&Scenario> = scenarios.iter().filter(|scenario| scenario.name == *name).collect();
            if !exact.is_empty() {
                chosen.scenarios.extend(exact);
                continue;
            }
            let like =
                |scenario: &&Scenario| scenario.name.contains(name) && (options.soak || !scenario.soak);
            let found = chosen.scenarios.len() + chosen.fuzzed.len();
            chosen.scenarios.extend(scenarios.iter().filter(like));
            chosen.fuzzed.extend(targets.iter().filter(|target| fuzz::title(target).contains(name)).cloned());
            let host_names = match &mut host_names {
                Some(names) => names,
                none => none.insert(names_on_host()?),
            };
            if host_names.iter().any(|test| test.contains(name)) {
                chosen.host.push(Some(name.clone()));
            } else if chosen.scenarios.len() + chosen.fuzzed.len() == found {
                let names = scenarios.iter().map(|scenario| &scenario.name).chain(&*host_names);
                bail!("no test has `{name}` in its name{}", suggestion(name, names.map(String::as_str)));
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        chosen.scenarios.retain(|scenario| seen.insert(&scenario.name));
        Ok(chosen)
    }
}

/// The names that are most like `name`, as the end of a complaint.
fn suggestion<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    // A host test is named by its last part too.
    let likeness = |other: &str| {
        let last = other.rsplit("::").next().unwrap_or(other);
        strsim::jaro_winkler(name, other).max(strsim::jaro_winkler(name, last))
    };
    let mut near: Vec<(f64, &str)> = names.map(|other| (likeness(other), other)).collect();
    near.retain(|(likeness, _)| *likeness >= LIKENESS);
    near.sort_by(|left, right| right.0.total_cmp(&left.0));
    near.truncate(SUGGESTIONS);
    if near.is_empty() {
        return "; `cargo v test --list` lists the scenarios".to_owned();
    }
    let near: Vec<&str> = near.into_iter().map(|(_, name)| name).collect();
    format!("; near ones are: {}", near.join(", "))
}

/// The names of the tests on the host.
fn names_on_host() -> Result<Vec<String>> {
    let progress = Progress::new("building the tests on the host");
    let output = cargo()
        .args(["test", "--quiet", "--workspace", "--", "--list", "--format", "terse"])
        .current_dir(checkout())
        .stdin(Stdio::null())
        .output()
        .context("cannot run cargo")?;
    drop(progress);
    if !output.status.success() {
        bail!("the tests on the host do not build:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    Ok(lines.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// Runs the tests on the host, shows what they say, and counts them.
/// Those too long for every day are marked with `#[ignore = "soak"]`.
fn run_on_host(filter: Option<&str>, soak: bool) -> Result<Counts> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-fail-fast", "--"]).args(filter).current_dir(checkout());
    command.args(soak.then_some("--include-ignored"));
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let output = BufReader::new(child.stdout.take().context("cargo's output is piped")?);
    let mut counts = Counts::default();
    for line in output.lines() {
        let line = line.context("cannot understand cargo")?;
        println!("{line}");
        if let Some(more) = counted(&line) {
            counts.passed += more.passed;
            counts.failed += more.failed;
        }
    }
    if !child.wait()?.success() && counts.failed == 0 {
        // Something did not even build, or a test ended its process.
        counts.failed = 1;
    }
    Ok(counts)
}

/// Reads `test result: ok. 3 passed; 0 failed; …`.
fn counted(line: &str) -> Option<Counts> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |unit: &str| numbers.split("; ").find_map(|part| part.strip_suffix(unit)?.parse().ok());
    Some(Counts { passed: number(" passed")?, failed: number(" failed")? })
}

/// Lets the guided fuzzing search on each of these targets.
fn run_fuzzer(targets: &[String]) -> Result<Counts> {
    println!("\nfuzzing {} targets", targets.len());
    let fuzzer = Fuzzer::build()?;
    let mut counts = Counts::default();
    for target in targets {
        match fuzzer.run(target) {
            Ok(()) => {
                counts.passed += 1;
                println!("{} ... ok", fuzz::title(target));
            }
            Err(error) => {
                counts.failed += 1;
                println!("{} ... FAILED\n{error}", fuzz::title(target));
            }
        }
    }
    Ok(counts)
}

/// Runs scenarios, some at a time.
fn run_on_nodes(scenarios: &[&Scenario], jobs: u8) -> Result<Counts> {
    let qemu = qemu::find_or_install()?;
    let wants_selftest = scenarios.iter().any(|scenario| scenario.selftest);
    let selftest_kernel = if wants_selftest { Some(guest::build_selftest_kernel()?) } else { None };
    let guest = guest::build()?;
    let selftest_guest = selftest_kernel.map(|kernel| Guest { kernel, ..guest.clone() });
    let logs = guest.products.join("test");
    std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
    println!("\nrunning {} scenarios; their logs are in {}", scenarios.len(), logs.display());
    let next = AtomicUsize::new(0);
    let counts = Mutex::new(Counts::default());
    thread::scope(|scope| {
        for _ in 0..usize::from(jobs).min(scenarios.len()) {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let started = Instant::now();
                    let guest = selftest_guest.as_ref().filter(|_| scenario.selftest).unwrap_or(&guest);
                    let outcome = run_on_node(scenario, guest, &qemu, &logs);
                    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                    let word = if outcome.is_ok() { "ok" } else { "FAILED" };
                    let seconds = started.elapsed().as_secs_f32();
                    println!("scenario {} ... {word} ({seconds:.1} s)", scenario.name);
                    match outcome {
                        Ok(()) => counts.passed += 1,
                        Err(error) => {
                            counts.failed += 1;
                            println!("{}\n{error}", error.root_cause());
                        }
                    }
                    // A closed output is noticed when the counts are printed.
                    let _ = stdout().flush();
                }
            });
        }
    });
    println!();
    Ok(counts.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn run_on_node(scenario: &Scenario, guest: &Guest, qemu: &Path, logs: &Path) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut options = scenario.options(folder.path());
    if let Some(name) = &scenario.new_program {
        let path = folder.path().join(name);
        new::make(&path)?;
        options.add.push(path);
    }
    let nodes = Prepared::new(guest, qemu, &options, scenario.nodes)?;
    let log = Log::new(&guest.kernel, Some(&logs.join(format!("{}.log", scenario.name))))?;
    scenario.run(nodes, &log)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_results_are_counted() {
        let line =
            "test result: ok. 29 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.01s";
        assert_eq!(counted(line), Some(Counts { passed: 29, failed: 0 }));
        let line =
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0s";
        assert_eq!(counted(line), Some(Counts { passed: 1, failed: 2 }));
        for other in ["test result:", "test result: ok. many", "running 3 tests", ""] {
            assert_eq!(counted(other), None);
        }
    }

    #[test]
    fn near_names_are_suggested() {
        let names = ["pipes", "kill-ramfs", "archive::tests::the_supervisor_is_first"];
        assert_eq!(suggestion("pipe", names.into_iter()), "; near ones are: pipes");
        let suggested = suggestion("the_supervisor_was_first", names.into_iter());
        assert_eq!(suggested, "; near ones are: archive::tests::the_supervisor_is_first");
        assert!(suggestion("zzz", names.into_iter()).contains("--list"));
    }
}
