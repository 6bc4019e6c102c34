//! `free`: memory and the kernel's tables.

use alloc::format;

use super::kernel::statistics_of;
use super::node::Node;
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::json;
use crate::usage::{Arguments, NODE, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "free",
        synopsis: "[--json] [@NODE]",
        summary: "Shows how much memory is free, and the kernel's tables.",
        details: "Memory is in KiB. What is cached is pages of files that programs have mapped; of these, what is dirty was\n\
                  written and is not yet written back. Pages count since boot: read from files' servers, written\n\
                  back to them, and taken from the cache because memory was needed.",
        choices: &[json::OPTION, NODE],
        operands: (0, 0),
    },
    body: free,
};

fn free(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let host = Node::of(arguments)?.host;
    let record = statistics_of(host).map_err(|error| failed("statistics server", error))?;
    let kibibytes = |frames: u64| frames * abi::PAGE_BYTES / 1024;
    if arguments.has("json") {
        let object = json::Object::new()
            .number("memory_kib", kibibytes(record.total_frames))
            .number("free_kib", kibibytes(record.free_frames))
            .number("kernel_kib", kibibytes(record.kernel_frames))
            .number("cached_kib", kibibytes(record.cached_frames))
            .number("dirty_kib", kibibytes(record.dirty_frames))
            .number("process_slots", record.process_slots)
            .number("processes", record.processes)
            .number("team_slots", record.team_slots)
            .number("teams", record.teams)
            .number("region_slots", record.region_slots)
            .number("regions", record.regions)
            .number("pages_read", record.page_reads)
            .number("pages_written", record.page_writes)
            .number("pages_reclaimed", record.reclaimed_frames);
        return Ok(context.output.write_all((object.end() + "\n").as_bytes())?);
    }
    let used = record.total_frames.saturating_sub(record.free_frames);
    let heads = format!("{:<12} {:>10} {:>10} {:>10}\n", "", "TOTAL", "USED", "FREE");
    context.output.write_all(heads.as_bytes())?;
    for (what, total, used) in [
        ("memory", kibibytes(record.total_frames), kibibytes(used)),
        ("kernel", kibibytes(record.kernel_frames), kibibytes(record.kernel_frames)),
        ("processes", record.process_slots, record.processes),
        ("teams", record.team_slots, record.teams),
        ("regions", record.region_slots, record.regions),
    ] {
        let line = format!("{what:<12} {total:>10} {used:>10} {:>10}\n", total.saturating_sub(used));
        context.output.write_all(line.as_bytes())?;
    }
    let line = format!("{:<12} {:>10} {:>10}\n", "", "CACHED", "DIRTY");
    context.output.write_all(line.as_bytes())?;
    let (cached, dirty) = (kibibytes(record.cached_frames), kibibytes(record.dirty_frames));
    context.output.write_all(format!("{:<12} {cached:>10} {dirty:>10}\n", "files").as_bytes())?;
    let line = format!("{:<12} {:>10} {:>10} {:>10}\n", "", "READ", "WRITTEN", "RECLAIMED");
    context.output.write_all(line.as_bytes())?;
    let line = format!(
        "{:<12} {:>10} {:>10} {:>10}\n",
        "pages", record.page_reads, record.page_writes, record.reclaimed_frames
    );
    Ok(context.output.write_all(line.as_bytes())?)
}
