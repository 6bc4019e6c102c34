//! The guided fuzzing of `cargo v test --soak`: LLVM's libFuzzer searches for bytes that break a promise of the
//! package `fuzz`, for a while on each of its targets.
//!
//! It runs on the stable compiler: what guides the search is a pass of LLVM that the compiler passes on. The C++
//! compiler that libFuzzer needs is installed on first use where that is possible, as QEMU is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::guest::{cargo, checkout};
use crate::package;
use crate::progress::Progress;

/// The package.
const PACKAGE: &str = "fuzz";
/// With `--target`, build scripts are built without the instrumentation.
const HOST: &str = "x86_64-unknown-linux-gnu";
/// Counts each edge of the control flow, and tells the search what was compared with what.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];
/// Seconds for each target.
const SECONDS: u32 = 60;
/// Seconds that one input may take.
const PATIENCE_SECONDS: u32 = 10;
/// Memory that the program may take.
const MEMORY_MIB: u32 = 1024;

/// Where the targets' corpora are, a folder for each.
fn corpora() -> PathBuf {
    checkout().join("tests/fuzz/corpus")
}

/// The names of the targets.
pub fn targets() -> Result<Vec<String>> {
    let folder = corpora();
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// What a target's search is called in the list of tests.
pub fn title(target: &str) -> String {
    format!("fuzz-{target}")
}

/// The program, built.
pub struct Fuzzer {
    program: PathBuf,
    folder: PathBuf,
}

impl Fuzzer {
    /// Builds it.
    pub fn build() -> Result<Fuzzer> {
        package::find_or_install("c++", "g++")?;
        let folder = checkout().join("target/fuzz");
        let progress = Progress::new("building the fuzzer");
        let output = cargo()
            .args(["build", "--release", "--package", PACKAGE, "--bin", PACKAGE, "--features", "libfuzzer"])
            .args(["--target", HOST, "--target-dir"])
            .arg(&folder)
            .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"))
            .current_dir(checkout())
            .stdin(Stdio::null())
            .output()
            .context("cannot run cargo")?;
        drop(progress);
        if !output.status.success() {
            bail!("the fuzzer does not build:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(Fuzzer { program: folder.join(HOST).join("release").join(PACKAGE), folder })
    }

    /// Lets it search on a target. The error says where the input is that breaks a promise.
    pub fn run(&self, target: &str) -> Result<()> {
        // What it learns stays in the target folder, for the next time.
        let learnt = self.folder.join("learnt").join(target);
        let found = self.folder.join("found");
        for folder in [&learnt, &found] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let output = Command::new(&self.program)
            .args([format!("-max_total_time={SECONDS}"), format!("-timeout={PATIENCE_SECONDS}")])
            .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
            .arg(format!("-artifact_prefix={}/{target}-", found.display()))
            .args([&learnt, &corpora().join(target)])
            .env("FUZZ_TARGET", target)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        if output.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{}\nmove the input to {} to keep it",
            told(&words),
            Path::new("tests/fuzz/corpus").join(target).display()
        )
    }
}

/// Of what the program says, the panic and where the input is.
fn told(words: &str) -> String {
    let panic = words.lines().skip_while(|line| !line.contains("panicked at")).take(4);
    let input =
        words.lines().filter(|line| line.starts_with("SUMMARY") || line.contains("Test unit written"));
    let told: Vec<&str> = panic.chain(input).collect();
    if told.is_empty() { words.to_owned() } else { told.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_targets() {
        assert!(targets().unwrap().contains(&"image".to_owned()));
    }

    #[test]
    fn the_panic_is_told() {
        let words = "#1 INITED\nthread 'x' panicked at a.rs:1:1:\nno!\n==1== ERROR: libFuzzer\nSUMMARY: deadly\n\
                     artifact_prefix='./'; Test unit written to ./crash-1\nBase64: AA==\n";
        let told = told(words);
        assert!(told.starts_with("thread 'x' panicked") && told.ends_with("crash-1"), "{told}");
        assert_eq!(super::told("killed"), "killed");
    }
}
