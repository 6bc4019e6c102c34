//! `cargo v bench`: measures the system, and prints each figure beside its budget and its peers' figures.
//!
//! Most figures come from the guest's program `bench`, on a node that counts instructions and that nothing reaches
//! from outside, so they are the same on every run. It writes one line for each: name, unit, value, with tabs between.
//! The table ([`rows`]) is kept here; a figure that it doesn't know is shown without a budget, one that is missing is
//! a failure.

mod rows;
mod size;

use std::collections::BTreeMap;
use std::io::{Cursor, sink};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use crate::arguments::{Accel, Bench, NodeOptions};
use crate::domain::Domain;
use crate::domain::plan::NoPlan;
use crate::exec::Exec;
use crate::guest::{self, Guest, checkout};
use crate::log::Log;
use crate::memory::Memory;
use crate::output::Record;
use crate::progress::Progress;
use crate::qemu;
use crate::run::Prepared;
use crate::session::End;
use rows::{KERNEL_SIZE, PEERS, ROWS, Row, SMALLEST_MEMORY};

/// Memory of the measured node, in MiB.
const MEMORY_MIB: u32 = 256;
/// How long the measurements may take on a slow host.
const PATIENCE: Duration = Duration::from_mins(10);
/// How long a node may take that has too little memory, in real time.
const SMALL_PATIENCE: Duration = Duration::from_secs(20);

/// The tool's status when a figure exceeds its budget.
const STATUS_EXCEEDED: u8 = 1;

/// A line of the result.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Figure {
    name: String,
    unit: String,
    value: f64,
    at_most: Option<f64>,
    aim: Option<f64>,
    peers: BTreeMap<&'static str, f64>,
}

impl Figure {
    fn new(name: &str, unit: &str, value: f64) -> Figure {
        let row = ROWS.iter().find(|row| row.name == name);
        let peers = |row: &Row| {
            PEERS.into_iter().zip(row.peers).filter_map(|(peer, value)| Some((peer, value?))).collect()
        };
        Figure {
            name: name.to_owned(),
            unit: unit.to_owned(),
            value,
            at_most: row.map(|row| row.at_most),
            aim: row.map(|row| row.aim),
            peers: row.map(peers).unwrap_or_default(),
        }
    }

    fn within(&self) -> bool {
        self.at_most.is_none_or(|at_most| self.value <= at_most)
    }
}

/// `cargo v bench`. The status that the tool is to end with.
pub fn bench(options: &Bench) -> Result<u8> {
    let qemu = qemu::find_or_install()?;
    let guest = guest::build()?;
    let progress = Progress::new("measuring");
    let mut figures = measure(&guest, &qemu, options.log.as_deref())?;
    progress.show("looking for the smallest memory");
    figures.push(Figure::new(SMALLEST_MEMORY, "MiB", f64::from(smallest_memory(&guest, &qemu)?)));
    figures.push(Figure::new(
        KERNEL_SIZE,
        "lines",
        f64::from(size::lines_of_code(&checkout().join("kernel"))?),
    ));
    drop(progress);

    let place = |figure: &Figure| ROWS.iter().position(|row| row.name == figure.name).unwrap_or(ROWS.len());
    figures.sort_by_key(place);
    print!("{}", table(&figures));
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&figures)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let missing = ROWS.iter().filter(|row| figures.iter().all(|figure| figure.name != row.name));
    let missing: Vec<&str> = missing.map(|row| row.name).collect();
    ensure!(missing.is_empty(), "not measured: {}", missing.join("; "));
    let exceeded = figures.iter().filter(|figure| !figure.within()).count();
    match exceeded {
        0 => println!("\nall {} within their budgets", figures.len()),
        _ => println!("\n{exceeded} of {} exceed their budgets", figures.len()),
    }
    Ok(if exceeded == 0 { 0 } else { STATUS_EXCEEDED })
}

fn options(memory: u32, icount: bool) -> NodeOptions {
    let memory = Memory::for_all(memory);
    NodeOptions { memory, add: Vec::new(), accel: Accel::Tcg, icount, log: None, test_programs: icount }
}

/// Runs the guest's program `bench`.
fn measure(guest: &Guest, qemu: &Path, log: Option<&Path>) -> Result<Vec<Figure>> {
    let mut prepared = Prepared::single(guest, qemu, &options(MEMORY_MIB, true))?;
    prepared.run_lines("bench")?;
    let log = Log::new(&guest.kernel, log)?;
    let (output, error) = (Record::default(), Record::default());
    let session = Exec::silent(log.clone(), output.clone(), error.clone());
    let mut domain = Domain::new(vec![prepared], None, &log);
    let end = domain.watch(&mut [Box::new(session)], &mut NoPlan, Some(PATIENCE))?.end;
    if end != End::Exit(0) {
        bail!(
            "the measurement failed: {end}\n{}\n{}",
            String::from_utf8_lossy(&error.bytes()).trim_end(),
            log.text()
        );
    }
    String::from_utf8(output.bytes())
        .context("the measurement's output is not text")?
        .lines()
        .map(figure)
        .collect()
}

/// Reads a line of the guest's.
fn figure(line: &str) -> Result<Figure> {
    let [name, unit, value] = line.split('\t').collect::<Vec<_>>()[..] else {
        bail!("`{line}` is no figure: it should be name, unit and value with tabs between");
    };
    let value = value.parse().with_context(|| format!("`{line}` is no figure: `{value}` is no number"))?;
    Ok(Figure::new(name, unit, value))
}

/// The least memory, in MiB, with which a command still runs.
fn smallest_memory(guest: &Guest, qemu: &Path) -> Result<u32> {
    let (mut too_little, mut enough) = (3, MEMORY_MIB);
    ensure!(comes_up(guest, qemu, enough)?, "the system does not come up with {enough} MiB");
    while enough - too_little > 1 {
        let middle = too_little.midpoint(enough);
        if comes_up(guest, qemu, middle)? {
            enough = middle;
        } else {
            too_little = middle;
        }
    }
    Ok(enough)
}

/// Whether a system with that much memory runs a command.
fn comes_up(guest: &Guest, qemu: &Path, memory: u32) -> Result<bool> {
    // An archive that does not even fit counts as too little memory.
    let Ok(mut prepared) = Prepared::single(guest, qemu, &options(memory, false)) else {
        return Ok(false);
    };
    prepared.run_lines("true")?;
    let log = Log::new(&guest.kernel, None)?;
    let session = Exec::new(log.clone(), Cursor::new([]), sink(), sink());
    let mut domain = Domain::new(vec![prepared], None, &log);
    // QEMU itself refuses an archive that does not fit, which is no failure of the tool either.
    let outcome = domain.watch(&mut [Box::new(session)], &mut NoPlan, Some(SMALL_PATIENCE));
    Ok(outcome.is_ok_and(|outcome| outcome.end == End::Exit(0)))
}

/// The table as text.
fn table(figures: &[Figure]) -> String {
    let number = |value: Option<f64>| value.map_or_else(String::new, grouped);
    let mut lines = vec![["", "V", "at most", "aim", PEERS[0], PEERS[1], ""].map(str::to_owned)];
    for figure in figures {
        let peer = |index: usize| number(figure.peers.get(PEERS[index]).copied());
        lines.push([
            format!("{}, {}", title(&figure.name), figure.unit),
            grouped(figure.value),
            number(figure.at_most),
            number(figure.aim),
            peer(0),
            peer(1),
            if figure.within() { "" } else { "EXCEEDED" }.to_owned(),
        ]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    let mut text = String::new();
    for [name, numbers @ .., mark] in &lines {
        let mut line = format!("{name:0$}", widths[0]);
        for (number, width) in numbers.iter().zip(&widths[1..]) {
            line = format!("{line}  {number:>width$}");
        }
        text += format!("{line}  {mark}").trim_end();
        text.push('\n');
    }
    text
}

/// What a figure is, for people.
fn title(name: &str) -> &str {
    ROWS.iter().find(|row| row.name == name).map_or(name, |row| row.title)
}

/// A number with its thousands apart, and a decimal where it has one.
fn grouped(value: f64) -> String {
    let text = format!("{value:.1}");
    let (whole, decimal) = text.split_once('.').unwrap_or((&text, "0"));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if decimal == "0" { grouped } else { format!("{grouped}.{decimal}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_figure_has_its_budget_and_peers() {
        let figure = figure("send-receive-reply\tinstructions\t300").unwrap();
        assert_eq!((figure.at_most, figure.aim), (Some(350.0), Some(200.0)));
        assert_eq!(figure.peers.get("seL4"), Some(&458.0));
        assert!(figure.within());
        let json = serde_json::to_value(&figure).unwrap();
        assert_eq!(json["peers"]["Linux 6.1"], 10602.0);
        assert_eq!(json["unit"], "instructions");
    }

    #[test]
    fn what_is_over_its_budget_says_so() {
        let figures = [
            figure("null-kernel-request\tinstructions\t150.5").unwrap(),
            figure("something new\tinstructions\t12345").unwrap(),
        ];
        assert!(!figures[0].within() && figures[1].within());
        let table = table(&figures);
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[1].contains("150.5") && lines[1].ends_with("EXCEEDED"), "{table}");
        assert!(lines[2].ends_with("12,345"), "{table}");
    }

    #[test]
    fn a_line_that_is_no_figure_is_refused() {
        for line in ["", "a\tb", "a\tb\tc", "a\tb\t1\t2"] {
            assert!(figure(line).is_err(), "{line}");
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (value, text) in [
            (0.0, "0"),
            (999.0, "999"),
            (1000.0, "1,000"),
            (1_570_000_000.0, "1,570,000,000"),
            (12.34, "12.3"),
        ] {
            assert_eq!(grouped(value), text);
        }
    }

    #[test]
    fn rows_are_told_apart() {
        for (place, row) in ROWS.iter().enumerate() {
            assert!(row.aim <= row.at_most, "{}", row.name);
            assert!(ROWS[..place].iter().all(|other| other.name != row.name), "{}", row.name);
        }
    }
}
