//! What more nodes gain: a job done on one, on two, on all, and a table of it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::Error;
use v::parallel::{Job, Report};
use v::process::Place;

use super::crew::{Take, run};
use crate::context::{Context, Failure, failed};

/// Does the job for each number of nodes, with as many workers each time, put to them by turns. `take` is given the results
/// of the first time; the others' are compared with nothing, but must all come.
pub fn show(context: &mut Context<'_>, job: &Job, take: &mut Take<'_>) -> Result<(), Failure> {
    let nodes = names()?;
    let mut rows = Vec::new();
    for count in 1..=nodes.len().max(1) {
        let places = nodes.iter().take(count).map(|name| Place::Node(name.clone())).collect();
        let is_first = count == 1;
        let report = run(context, job.clone().on_each(places).together(), &mut |context, task, result| {
            if is_first { take(context, task, result) } else { Ok(()) }
        })?;
        rows.push(row(count, &report));
    }
    let head = format!(
        "{:>5} {:>7} {:>5} {:>8} {:>9} {:>9} {:>10} {:>8}\n",
        "NODES", "WORKERS", "TASKS", "REPEATED", "MS", "WORK-MS", "LONGEST-MS", "SPEED-UP"
    );
    Ok(context.output.write_all((head + &rows.concat()).as_bytes())?)
}

/// The nodes that answer, this one first; none where there is no network.
fn names() -> Result<Vec<String>, Failure> {
    match v::node::all() {
        Ok(records) => Ok(records.iter().filter_map(|record| record.name().map(String::from)).collect()),
        Err(Error::NoNetwork) => Ok(Vec::new()),
        Err(error) => Err(failed("[network]", error)),
    }
}

fn row(nodes: usize, report: &Report) -> String {
    let mut by_node = BTreeMap::new();
    for worker in &report.workers {
        *by_node.entry(worker.node.as_str()).or_insert(0) += worker.busy_ns;
    }
    let work_ns: u64 = by_node.values().sum();
    let longest_ns = by_node.values().copied().max().unwrap_or(0);
    let tasks: usize = report.workers.iter().map(|worker| worker.tasks).sum();
    let hundredths = (work_ns * 100).checked_div(longest_ns);
    let speed_up = hundredths.map_or(String::from("-"), |all| format!("{}.{:02}", all / 100, all % 100));
    format!(
        "{nodes:>5} {:>7} {tasks:>5} {:>8} {:>9} {:>9} {:>10} {speed_up:>8}\n",
        report.workers.len(),
        report.repeated,
        report.elapsed_ns / 1_000_000,
        work_ns / 1_000_000,
        longest_ns / 1_000_000,
    )
}

#[cfg(test)]
mod tests {
    use v::parallel::WorkerReport;

    use super::*;

    fn worker(node: &str, busy_ns: u64) -> WorkerReport {
        WorkerReport { node: node.into(), tasks: 5, busy_ns, is_lost: false }
    }

    #[test]
    fn a_row_compares_all_work_with_that_of_the_busiest_node() {
        let workers =
            Vec::from([worker("a", 300_000_000), worker("b", 250_000_000), worker("a", 200_000_000)]);
        let report = Report { workers, repeated: 1, elapsed_ns: 600_000_000 };
        let words: Vec<String> = row(2, &report).split_whitespace().map(String::from).collect();
        assert_eq!(words, ["2", "3", "15", "1", "600", "750", "500", "1.50"]);
        let nothing = Report { workers: Vec::from([worker("a", 0)]), repeated: 0, elapsed_ns: 5 };
        assert!(row(1, &nothing).ends_with(" -\n"));
    }
}
