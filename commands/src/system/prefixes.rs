//! `prefixes`: which server answers for which prefix, on this node.

use alloc::format;

use super::kernel::{describe, names};
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, Usage};

/// The command, `prefixes`; the shell's own `prefix` shows and changes the shell's table.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "prefixes",
        synopsis: "",
        summary: "Lists the prefixes that servers of this node answer for.",
        details: "",
        choices: &[],
        operands: (0, 0),
    },
    body: prefixes,
};

fn prefixes(_: &Arguments, context: &mut Context<'_>) -> Outcome {
    let names = v::process::all().map(|records| names(&records)).unwrap_or_default();
    let mut found = v::name::global_prefixes().map_err(|error| failed("naming", error))?;
    found.sort();
    for (name, server, _) in found {
        let line = format!("{:<16} {:<18} {server}\n", format!("[{name}]"), describe(server, &names));
        context.output.write_all(line.as_bytes())?;
    }
    Ok(())
}
