//! Every target with its corpus, and with a bounded number of inputs made of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fuzz::{TARGETS, Target, mutate};

/// Inputs made for each target.
const INPUTS: u64 = 20_000;
/// Bytes of an input that is made, at most.
const MAX_BYTES: usize = 8192;

fn run(name: &str) {
    let target = Target::named(name).expect("the target exists");
    let corpus = target.inputs();
    assert!(!corpus.is_empty(), "{} holds no input", target.corpus().display());
    for (name, input) in &corpus {
        try_input(&target, input, name);
    }
    let corpus: Vec<Vec<u8>> = corpus.into_iter().map(|(_, input)| input).collect();
    for seed in 0..INPUTS {
        try_input(&target, &mutate::input(&corpus, seed, MAX_BYTES), &format!("seed {seed}"));
    }
}

/// Leaves an input that breaks a promise where it can be looked at.
fn try_input(target: &Target, input: &[u8], name: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.check)(input))) {
        let path = std::env::temp_dir().join(format!("v-fuzz-{}-{}", target.name, name.replace(' ', "-")));
        std::fs::write(&path, input).expect("the input can be kept");
        eprintln!("{} breaks on {name}; the input is in {}", target.name, path.display());
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn archive() {
    run("archive");
}

#[test]
fn boot() {
    run("boot");
}

#[test]
fn channel() {
    run("channel");
}

#[test]
fn disk() {
    run("disk");
}

#[test]
fn engine() {
    run("engine");
}

#[test]
fn image() {
    run("image");
}

#[test]
fn migration() {
    run("migration");
}

#[test]
fn packet() {
    run("packet");
}

#[test]
fn records() {
    run("records");
}

#[test]
fn volume() {
    run("volume");
}

#[test]
fn every_target_is_run() {
    // The name of a target is the name of a test here.
    let text = include_str!("replay.rs");
    for target in TARGETS {
        assert!(text.contains(&format!("run(\"{}\");", target.name)), "{} is not run", target.name);
    }
}
