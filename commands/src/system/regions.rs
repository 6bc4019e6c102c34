//! `regions`: the map of a team's address space.

use alloc::format;
use alloc::string::String;

use abi::kernel::{MEMORY, memory, protection, server};
use abi::{Error, PAGE_BYTES, Pid};
use v::message::{Segment, call};

use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, MANY, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "regions",
        synopsis: "[PID...]",
        summary: "Shows what is mapped in a team's address space.",
        details: "Without PID it shows its own. RESIDENT is the pages that have memory. Letters: r read, w write,\n\
                  x execute, d device memory or the boot archive.",
        choices: &[],
        operands: (0, MANY),
    },
    body: regions,
};

fn regions(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    if arguments.operands.is_empty() {
        return show(context, Pid::NONE).map_err(|error| failed("memory server", error));
    }
    for word in &arguments.operands {
        match word.parse() {
            Err(()) => context.complain(word, "not a pid; ps shows them"),
            Ok(pid) => {
                if let Err(error) = show(context, pid) {
                    context.complain(word, error);
                }
            }
        }
    }
    Ok(())
}

fn show(context: &mut Context<'_>, team: Pid) -> Result<(), Error> {
    let quota = call(server(MEMORY), &memory::QueryTeam { team }, Segment::None)?;
    context
        .output
        .write_all(format!("{:>16} {:>16} {:>8} {:>8}\n", "FROM", "TO", "PAGES", "RESIDENT").as_bytes())?;
    let mut address = 0;
    loop {
        let region = match call(server(MEMORY), &memory::QueryRegion { team, address }, Segment::None) {
            Ok(region) => region,
            Err(Error::NotMapped) => break,
            Err(error) => return Err(error),
        };
        let end = region.address + u64::from(region.pages) * PAGE_BYTES;
        let line = format!(
            "{:16x} {end:16x} {:>8} {:>8} {}\n",
            region.address,
            region.pages,
            region.resident,
            letters(region.protection)
        );
        context.output.write_all(line.as_bytes())?;
        address = end;
    }
    let text = format!("{} of {} pages used, page tables included\n", quota.used_pages, quota.quota_pages);
    context.output.write_all(text.as_bytes())
}

fn letters(bits: u32) -> String {
    [(protection::READ, 'r'), (protection::WRITE, 'w'), (protection::EXECUTE, 'x'), (protection::DEVICE, 'd')]
        .into_iter()
        .map(|(bit, letter)| if bits & bit == 0 { '-' } else { letter })
        .collect()
}
