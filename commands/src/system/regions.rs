//! `regions`: the map of a team's address space.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::kernel::record::BindingRecord;
use abi::kernel::{self, protection};
use abi::{Error, PAGE_BYTES, Pid};

use super::kernel::{describe, names};
use super::node::Node;
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::json;
use crate::usage::{Arguments, MANY, Misuse, NODE, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "regions",
        synopsis: "[--json] [PID...] [@NODE]",
        summary: "Shows what is mapped in a team's address space.",
        details: "Without PID it shows its own. RESIDENT is the pages that are mapped, DIRTY those that were written and\n\
                  not yet written back to the file. Letters: r read, w write, x execute, d device memory or the boot\n\
                  archive; of what is bound to a file, s shared with it, p private when written. Then comes what that\n\
                  is: the file's server, the number of the open file there, and from which byte on. JSON is one object a\n\
                  team.",
        choices: &[json::OPTION, NODE],
        operands: (0, MANY),
    },
    body: regions,
};

fn regions(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let node = Node::of(arguments)?;
    let own = kernel::server(kernel::MEMORY);
    let teller = if node.is_named() { node.server("supervisor")? } else { own };
    let records = v::process::all_of(node.host).map_err(|error| failed("process server", error))?;
    let names = names(&records);
    if arguments.operands.is_empty() {
        if node.is_named() {
            return Err(Misuse("which process of that node? 'ps @NODE' shows them".into()).into());
        }
        return show(arguments, context, teller, Pid::NONE, &names)
            .map_err(|error| failed("memory server", error));
    }
    for word in &arguments.operands {
        match word.parse() {
            Err(()) => context.complain(word, "not a pid; ps shows them"),
            Ok(pid) => match show(arguments, context, teller, pid, &names) {
                Ok(()) => {}
                Err(Error::ProcessElsewhere) => context.complain(word, "it is on another node: add @NODE"),
                Err(error) => context.complain(word, error),
            },
        }
    }
    Ok(())
}

/// Shows a team's regions, of which `teller` tells: this node's kernel, or another node's supervisor.
fn show(
    arguments: &Arguments,
    context: &mut Context<'_>,
    teller: Pid,
    team: Pid,
    names: &BTreeMap<Pid, String>,
) -> Result<(), Error> {
    let mut text = format!("{:>16} {:>16} {:>8} {:>8} {:>8}\n", "FROM", "TO", "PAGES", "RESIDENT", "DIRTY");
    let quota = v::memory::query_team(team)?;
    let mut address = 0;
    let mut objects = Vec::new();
    loop {
        let (found, binding) = match v::memory::query_region_by(teller, team, address) {
            Ok(found) => found,
            Err(Error::NotMapped) => break,
            Err(error) => return Err(error),
        };
        let end = found.address.saturating_add(u64::from(found.pages) * PAGE_BYTES);
        if end <= address {
            return Err(Error::BadReply);
        }
        let object = json::Object::new()
            .text("from", &format!("{:x}", found.address))
            .text("to", &format!("{end:x}"))
            .number("pages", found.pages)
            .number("resident", found.resident)
            .number("dirty", found.dirty)
            .text("access", &letters(found.protection, &binding))
            .text("bound_to", bound(&binding, names).trim_start());
        objects.push(object.end());
        let line = format!(
            "{:16x} {end:16x} {:>8} {:>8} {:>8} {}{}\n",
            found.address,
            found.pages,
            found.resident,
            found.dirty,
            letters(found.protection, &binding),
            bound(&binding, names)
        );
        text.push_str(&line);
        address = end;
    }
    let line = format!("{} of {} pages used, page tables included\n", quota.used_pages, quota.quota_pages);
    text.push_str(&line);
    if arguments.has("json") {
        let object = json::Object::new()
            .number("used_pages", quota.used_pages)
            .number("quota_pages", quota.quota_pages)
            .member("regions", json::array(objects));
        text = object.end() + "\n";
    }
    context.output.write_all(text.as_bytes())
}

fn letters(bits: u32, binding: &BindingRecord) -> String {
    let private = if binding.pager == 0 { '-' } else { 'p' };
    [
        (protection::READ, 'r', '-'),
        (protection::WRITE, 'w', '-'),
        (protection::EXECUTE, 'x', '-'),
        (protection::DEVICE, 'd', '-'),
        (protection::SHARED, 's', private),
    ]
    .into_iter()
    .map(|(bit, letter, otherwise)| if bits & bit == 0 { otherwise } else { letter })
    .collect()
}

/// What a region is bound to.
fn bound(binding: &BindingRecord, names: &BTreeMap<Pid, String>) -> String {
    let BindingRecord { pager, instance, position } = *binding;
    if pager == 0 {
        return String::new();
    }
    format!(" {} {instance}+{position:#x}", describe(Pid::from_bits(pager), names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::kernel::protection::{READ, SHARED, WRITE};

    #[test]
    fn a_bound_region_is_told_from_others() {
        let pager = Pid::from_bits(0x2000_0001_0001_0011);
        let binding = BindingRecord { pager: pager.to_bits(), instance: 5, position: 0x4000 };
        let names = BTreeMap::from([(pager, "ramfs".into())]);
        assert_eq!(bound(&binding, &names), " ramfs 5+0x4000");
        assert_eq!(bound(&BindingRecord::default(), &names), "");
        assert_eq!(letters(READ | WRITE | SHARED, &binding), "rw--s");
        assert_eq!(letters(READ | WRITE, &binding), "rw--p");
        assert_eq!(letters(READ | WRITE, &BindingRecord::default()), "rw---");
    }
}
