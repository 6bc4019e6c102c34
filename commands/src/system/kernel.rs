//! What the kernel servers tell, as these commands need it.

use alloc::collections::BTreeMap;
use alloc::string::String;

use abi::kernel::record::{ProcessRecord, StatisticsRecord};
use abi::kernel::well_known_group::NAMING;
use abi::kernel::{STATISTICS, statistics};
use abi::{Error, LogicalHost, Pid};
use v::message::{Segment, call};

/// The counters of this node's kernel.
pub fn statistics() -> Result<StatisticsRecord, Error> {
    statistics_of(LogicalHost::OWN)
}

/// The counters of a node's kernel.
pub fn statistics_of(host: LogicalHost) -> Result<StatisticsRecord, Error> {
    let mut buffer = [0; StatisticsRecord::BYTES];
    call(Pid::kernel_server(host, STATISTICS), &statistics::QueryStatistics {}, Segment::Write(&mut buffer))?;
    Ok(StatisticsRecord::from_bytes(&buffer))
}

/// A process's own name, without the zeros.
pub fn name(record: &ProcessRecord) -> String {
    let bytes = record.name_bytes();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// A name in a column of a view for people, which is never empty, so that columns can be told by their number.
pub fn column(name: &str) -> &str {
    if name.is_empty() { "-" } else { name }
}

/// The names of processes by pid; the kernel servers' included.
pub fn names(records: &[ProcessRecord]) -> BTreeMap<Pid, String> {
    records.iter().map(|record| (record.process(), name(record))).collect()
}

/// How a pid reads in a listing: its name where it has one, else its number.
pub fn describe(pid: Pid, names: &BTreeMap<Pid, String>) -> String {
    const SERVERS: [&str; 7] = ["", "process", "memory", "device", "time", "group", "statistics"];
    if pid.is_none() {
        return "-".into();
    }
    if pid.is_kernel_server() {
        let known = SERVERS.get(usize::from(pid.index())).copied().unwrap_or_default();
        return alloc::format!("kernel:{known}");
    }
    if pid == NAMING {
        return "group:naming".into();
    }
    match names.get(&pid) {
        Some(name) if !name.is_empty() => name.clone(),
        _ => alloc::format!("{pid}"),
    }
}
