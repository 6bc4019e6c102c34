//! Nodes on a network of their own that are measured: booting them, and what figures follow from what they count and say.
//!
//! They are counted with a plugin in each QEMU ([`crate::counting`]). What counts is all that their processors execute
//! between two marks of node 1's program, by which a batch of operations begins and ends: programs, servers, kernels,
//! drivers, and the interrupts of all nodes. A node that waits halts, and executes nothing. The figure is the median of
//! the batches.

use std::io::empty;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use protocols::counting::{BEGIN, COUNTED, COUNTED_MOST, END, FIGURE};
use tempfile::TempDir;

use super::figure::Figure;
use super::{MEMORY_MIB, options, run};
use crate::arguments::NodeOptions;
use crate::counting::{Mark, Plugin, costs};
use crate::disk::Wanted;
use crate::exec::Exec;
use crate::guest::Guest;
use crate::log::Log;
use crate::output::Record;
use crate::run::{Prepared, connect};
use crate::session::Session;
use crate::wiring::Wiring;
use ethernet::impairment::Impairments;

/// What there is to measure nodes with.
#[derive(Clone, Copy, Debug)]
pub struct Bench<'a> {
    pub guest: &'a Guest,
    pub qemu: &'a Path,
    pub log: &'a Log,
    /// A disk of the first node.
    pub disk: Option<&'a Wanted>,
}

impl Bench<'_> {
    /// Counts the instructions of nodes, each of which runs its lines.
    pub fn count(&self, lines: &[&str]) -> Result<Vec<Figure>> {
        let folder = counting_folder()?;
        let counting = Plugin::build(folder.path())?.machines(folder.path(), lines.len());
        let mut nodes = self.prepare(lines)?;
        for (node, counting) in nodes.iter_mut().zip(&counting) {
            node.machine.counting = Some(counting.clone());
        }
        let said = self.watch(nodes, Impairments::default())?;
        counted(said.lines(), &counting[0].marks()?)
    }

    /// What nodes, each of which runs its lines, measure themselves.
    pub fn times(&self, lines: &[&str], impairments: Impairments) -> Result<Vec<Figure>> {
        let said = self.watch(self.prepare(lines)?, impairments)?;
        said.lines().map(Figure::read).collect()
    }

    fn prepare(&self, lines: &[&str]) -> Result<Vec<Prepared>> {
        let options =
            NodeOptions { disk: self.disk.into_iter().cloned().collect(), ..options(MEMORY_MIB, false) };
        let mut nodes = Prepared::new(self.guest, self.qemu, &options, lines.len())?;
        for (node, lines) in nodes.iter_mut().zip(lines) {
            node.run_lines(lines)?;
        }
        Ok(nodes)
    }

    /// Runs nodes on a network, and returns what the first one's lines wrote.
    fn watch(&self, nodes: Vec<Prepared>, impairments: Impairments) -> Result<String> {
        let count = nodes.len();
        let mut domain = connect(nodes, &Wiring::default(), impairments, None, self.log)?;
        let logs = (0..count).map(|node| domain.log(node));
        let sessions: Vec<_> = logs
            .map(|log| {
                move |output: &Record, error: &Record| -> Box<dyn Session> {
                    Box::new(Exec::new(log.clone(), empty(), output.clone(), error.clone()))
                }
            })
            .collect();
        let sessions: Vec<&super::MakeSession<'_>> = sessions.iter().map(|session| session as _).collect();
        run(&mut domain, self.log, &sessions)
    }
}

/// A folder for the counters, in memory where there is such.
pub fn counting_folder() -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("v-counting-");
    let in_memory = builder.tempdir_in("/dev/shm");
    in_memory.or_else(|_| builder.tempdir()).context("cannot make a temporary folder")
}

/// The figures of what was counted: a line for each tells how many operations its batches have, and whether what all nodes
/// execute is its figure, or what that node executes which executes most.
pub fn counted<'a>(lines: impl Iterator<Item = &'a str>, marks: &[Mark]) -> Result<Vec<Figure>> {
    let mut rows = marks.split(|mark| mark.number == FIGURE);
    let mut figures = Vec::new();
    for line in lines {
        let read = Figure::read(line)?;
        let cost = match &*read.unit {
            COUNTED => |costs: Vec<u64>| costs.iter().sum(),
            COUNTED_MOST => |costs: Vec<u64>| costs.into_iter().max().unwrap_or(0),
            _ => bail!("`{line}` is nothing that was counted"),
        };
        ensure!(read.value >= 1.0, "`{line}` is nothing that was counted");
        let marks = rows.next().unwrap_or_default();
        let mut costs: Vec<u64> = costs(marks, BEGIN, END).into_iter().map(cost).collect();
        costs.sort_unstable();
        let Some(&median) = costs.get(costs.len() / 2) else {
            bail!("{}: the guest has passed no marks", read.name);
        };
        figures.push(Figure::new(&read.name, "instructions", float(median) / read.value));
    }
    ensure!(!figures.is_empty(), "nothing was counted");
    Ok(figures)
}

/// The value of a figure that must have been measured.
pub fn value(figures: &[Figure], name: &str) -> Result<f64> {
    let figure = figures.iter().find(|figure| figure.name == name);
    figure.map(|figure| figure.value).with_context(|| format!("{name} was not measured"))
}

#[expect(clippy::cast_precision_loss, reason = "nothing that takes so long is measured")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_medians_of_batches() {
        let mark = |number, own, other| Mark { number, counts: vec![own, other] };
        let marks = [
            mark(BEGIN, 100, 100),
            mark(END, 200, 150),
            mark(BEGIN, 200, 150),
            mark(END, 201, 151),
            mark(BEGIN, 300, 300),
            mark(END, 500, 400),
            mark(FIGURE, 501, 401),
            mark(BEGIN, 600, 600),
            mark(END, 610, 600),
            mark(FIGURE, 620, 600),
        ];
        let values = |units: [&str; 2]| {
            let lines = [format!("a\t{}\t10", units[0]), format!("b\t{}\t1", units[1])];
            let figures = counted(lines.iter().map(String::as_str), &marks).unwrap();
            figures.into_iter().map(|figure| (figure.name, figure.value)).collect::<Vec<_>>()
        };
        assert_eq!(values([COUNTED; 2]), [("a".to_owned(), 15.0), ("b".to_owned(), 10.0)]);
        assert_eq!(values([COUNTED_MOST; 2]), [("a".to_owned(), 10.0), ("b".to_owned(), 10.0)]);
        assert!(counted(["a\tcounted\t1"].into_iter(), &[]).is_err());
        assert!(counted(["a\tus\t1"].into_iter(), &marks).is_err());
    }
}
