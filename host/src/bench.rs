//! `cargo v bench`: measures the system, and prints each figure beside its budget and its peers' figures.
//!
//! Most figures come from the guest's program `bench` (`tests/bench`). It writes one line for each: name, unit, value,
//! with tabs between. On one node ([`one`]) instructions are counted by QEMU's deterministic clock, with nothing that
//! reaches the node from outside, so they are the same on every run; between two ([`two`]) or among three ([`three`]) a
//! plugin counts those of all; so it does on one that uses a disk ([`disk`]).
//! With `--peer linux`, Linux does the same in the same run ([`linux`]). The table ([`rows`]) is kept here; a figure that it doesn't know is shown without a budget, one that is missing is
//! a failure.

mod disk;
mod figure;
mod linux;
mod nodes;
mod one;
mod rows;
mod size;
mod three;
mod two;

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::arguments::{Accel, Bench, NodeOptions, Peer};
use crate::domain::Domain;
use crate::domain::plan::NoPlan;
use crate::guest;
use crate::log::Log;
use crate::memory::Memory;
use crate::output::{Record, ensure_writable};
use crate::progress::Progress;
use crate::qemu;
use crate::session::{End, Session};
use linux::Linux;
use nodes::Bench as Nodes;
use rows::ROWS;

/// Memory of measured nodes, in MiB.
const MEMORY_MIB: u32 = 256;
/// How long the measurements may take on a slow host.
const PATIENCE: Duration = Duration::from_mins(10);

/// The tool's status when a figure exceeds its budget.
const STATUS_EXCEEDED: u8 = 1;

/// `cargo v bench`. The status that the tool is to end with.
pub fn bench(options: &Bench) -> Result<u8> {
    ensure!(
        options.nodes < 3 || options.peer.is_none(),
        "--peer linux is for one node or two: Linux has nothing to be compared with what three do"
    );
    for path in options.json.iter().chain(&options.log) {
        ensure_writable(path)?;
    }
    let qemu = qemu::find_or_install()?;
    let guest = guest::build()?;
    let progress = Progress::new("measuring");
    let log = options.log.as_deref();
    let linux = options.peer.map(|Peer::Linux| Linux::prepare(&qemu)).transpose()?;
    let (mut figures, beside) = match options.nodes {
        1 if !options.disk => {
            let figures = one::measure(&guest, &qemu, log, &progress)?;
            progress.show("measuring Linux");
            (figures, linux.as_ref().map(Linux::measure_one).transpose()?)
        }
        nodes => {
            let bench = Nodes { guest: &guest, qemu: &qemu, log: &Log::new(&guest.kernel, log)?, disk: None };
            match nodes {
                1 => disk::measure(&bench, linux.as_ref(), &progress)?,
                2 => two::measure(&bench, linux.as_ref(), &progress)?,
                _ => (three::measure(&bench, &progress)?, None),
            }
        }
    };
    drop(progress);
    figure::sort(&mut figures);
    if let (Some(linux), Some(beside)) = (&linux, &beside) {
        for figure in &mut figures {
            figure.put_beside(beside);
        }
        println!("Linux, here: {}", linux.kernel().file_name().unwrap_or_default().display());
    }
    print!("{}", figure::table(&figures));
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&figures)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let wanted = ROWS.iter().filter(|row| row.nodes == options.nodes && row.has_disk == options.disk);
    let missing = wanted.filter(|row| figures.iter().all(|figure| figure.name != row.name));
    let missing: Vec<&str> = missing.map(|row| row.name).collect();
    ensure!(missing.is_empty(), "not measured: {}", missing.join("; "));
    let exceeded = figures.iter().filter(|figure| !figure.is_within()).count();
    match exceeded {
        0 => println!("\nall {} within their budgets", figures.len()),
        _ => println!("\n{exceeded} of {} exceed their budgets", figures.len()),
    }
    Ok(if exceeded == 0 { 0 } else { STATUS_EXCEEDED })
}

fn options(memory: u32, icount: bool) -> NodeOptions {
    let memory = Memory::for_all(memory);
    NodeOptions {
        memory,
        disk: Vec::new(),
        add: Vec::new(),
        accel: Accel::Tcg,
        icount,
        random: false,
        log: None,
        test_programs: true,
    }
}

/// What makes the session of a node's lines, given where their output and their error output go.
type MakeSession<'a> = dyn Fn(&Record, &Record) -> Box<dyn Session> + 'a;

/// Runs the nodes' lines, and returns what the first one's wrote.
fn run(domain: &mut Domain, log: &Log, sessions: &[&MakeSession<'_>]) -> Result<String> {
    let records: Vec<_> = sessions.iter().map(|_| (Record::default(), Record::default())).collect();
    let mut sessions: Vec<_> =
        sessions.iter().zip(&records).map(|(session, (output, error))| session(output, error)).collect();
    let outcome = domain.watch(&mut sessions, &mut NoPlan, Some(PATIENCE))?;
    drop(sessions);
    if outcome.end != End::Exit(0) {
        let text = |record: &Record| String::from_utf8_lossy(&record.bytes()).into_owned();
        let said: Vec<_> = records.iter().map(|(output, error)| text(output) + &text(error)).collect();
        bail!("the measurement failed: {}\n{}\n{}", outcome.end, said.concat().trim_end(), log.text());
    }
    String::from_utf8(records[0].0.bytes()).context("the measurement's output is not text")
}
