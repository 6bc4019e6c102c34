//! `regions`: the map of a team's address space.

use alloc::format;
use alloc::string::String;

use abi::kernel::memory::RegionQueried;
use abi::kernel::protection;
use abi::{Error, PAGE_BYTES, Pid};
use protocols::supervisor::supervisor;
use v::message::{Segment, call};

use super::node::Node;
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, MANY, Misuse, NODE, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "regions",
        synopsis: "[PID...] [@NODE]",
        summary: "Shows what is mapped in a team's address space.",
        details: "Without PID it shows its own. RESIDENT is the pages that have memory. Letters: r read, w write,\n\
                  x execute, d device memory or the boot archive.",
        choices: &[NODE],
        operands: (0, MANY),
    },
    body: regions,
};

fn regions(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let node = Node::of(arguments)?;
    let teller =
        if node.is_named() { Teller::Supervisor(node.server("supervisor")?) } else { Teller::Kernel };
    if arguments.operands.is_empty() {
        if node.is_named() {
            return Err(Misuse("which process of that node? 'ps @NODE' shows them".into()).into());
        }
        return show(context, &teller, Pid::NONE).map_err(|error| failed("memory server", error));
    }
    for word in &arguments.operands {
        match word.parse() {
            Err(()) => context.complain(word, "not a pid; ps shows them"),
            Ok(pid) => match show(context, &teller, pid) {
                Ok(()) => {}
                Err(Error::ProcessElsewhere) => context.complain(word, "it is on another node: add @NODE"),
                Err(error) => context.complain(word, error),
            },
        }
    }
    Ok(())
}

/// Who tells of regions: this node's kernel, or another node's supervisor.
enum Teller {
    Kernel,
    Supervisor(Pid),
}

impl Teller {
    fn region(&self, team: Pid, address: u64) -> Result<RegionQueried, Error> {
        let Teller::Supervisor(supervisor) = self else { return v::memory::query_region(team, address) };
        let query = supervisor::QueryRegion { team, address };
        let region = call(*supervisor, &query, Segment::None)?;
        Ok(RegionQueried {
            address: region.address,
            pages: region.pages,
            protection: region.protection,
            resident: region.resident,
            dirty: region.dirty,
        })
    }
}

fn show(context: &mut Context<'_>, teller: &Teller, team: Pid) -> Result<(), Error> {
    let mut text = format!("{:>16} {:>16} {:>8} {:>8}\n", "FROM", "TO", "PAGES", "RESIDENT");
    let quota = v::memory::query_team(team)?;
    let mut address = 0;
    loop {
        let found = match teller.region(team, address) {
            Ok(found) => found,
            Err(Error::NotMapped) => break,
            Err(error) => return Err(error),
        };
        let end = found.address.saturating_add(u64::from(found.pages) * PAGE_BYTES);
        if end <= address {
            return Err(Error::BadReply);
        }
        let line = format!(
            "{:16x} {end:16x} {:>8} {:>8} {}\n",
            found.address,
            found.pages,
            found.resident,
            letters(found.protection)
        );
        text.push_str(&line);
        address = end;
    }
    let line = format!("{} of {} pages used, page tables included\n", quota.used_pages, quota.quota_pages);
    text.push_str(&line);
    context.output.write_all(text.as_bytes())
}

fn letters(bits: u32) -> String {
    [(protection::READ, 'r'), (protection::WRITE, 'w'), (protection::EXECUTE, 'x'), (protection::DEVICE, 'd')]
        .into_iter()
        .map(|(bit, letter)| if bits & bit == 0 { '-' } else { letter })
        .collect()
}
