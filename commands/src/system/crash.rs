//! `crash`: makes each kind of fault on purpose.

use alloc::format;
use alloc::vec::Vec;

use hardware::fault::Fault;

use crate::Command;
use crate::context::{Context, Failure, Outcome};
use crate::usage::{Arguments, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "crash",
        synopsis: "KIND",
        summary: "Makes a fault on purpose, to see what the system does about it.",
        details: "KIND is one of: null, unmapped, read-only, execute, divide, opcode, privileged, address, kernel,\n\
                  breakpoint, simd, stack, panic.",
        choices: &[],
        operands: (1, 1),
    },
    body: crash,
};

const KINDS: &[(&str, Fault)] = &[
    ("null", Fault::Null),
    ("unmapped", Fault::Unmapped),
    ("read-only", Fault::WriteReadOnly),
    ("execute", Fault::ExecuteData),
    ("divide", Fault::Divide),
    ("opcode", Fault::InvalidOpcode),
    ("privileged", Fault::Privileged),
    ("address", Fault::NonCanonical),
    ("kernel", Fault::KernelAddress),
    ("breakpoint", Fault::Breakpoint),
    ("simd", Fault::Simd),
];

fn crash(arguments: &Arguments, _: &mut Context<'_>) -> Outcome {
    let kind = arguments.operands[0].as_str();
    match KINDS.iter().find(|(name, _)| *name == kind) {
        Some((_, fault)) => {
            hardware::fault::cause(*fault);
            // Emulated processors don't have all of them.
            return Err(Failure::Failed(format!("{kind}: this processor makes no fault of it")));
        }
        None if kind == "panic" => panic!("on purpose"),
        None if kind == "stack" => {
            descend(0);
        }
        None => {
            let known: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
            let known = known.join(" ");
            return Err(Misuse(format!("there is no fault '{kind}'; known are: {known} stack panic")).into());
        }
    }
    Ok(())
}

/// Uses up the stack.
#[inline(never)]
fn descend(depth: u64) -> u64 {
    let room = core::hint::black_box([depth; 512]);
    if depth == u64::MAX { 0 } else { descend(depth + 1) + room[usize::try_from(depth % 512).unwrap_or(0)] }
}
