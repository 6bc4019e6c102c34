//! `true` and `false`.

use crate::Command;
use crate::context::{Context, Outcome};
use crate::usage::{Arguments, MANY, Usage};

/// `true`.
pub const TRUE: Command = Command {
    usage: Usage {
        name: "true",
        synopsis: "",
        summary: "Succeeds.",
        details: "",
        choices: &[],
        operands: (0, MANY),
    },
    body: |_: &Arguments, _: &mut Context<'_>| -> Outcome { Ok(()) },
};

/// `false`.
pub const FALSE: Command = Command {
    usage: Usage {
        name: "false",
        synopsis: "",
        summary: "Fails.",
        details: "",
        choices: &[],
        operands: (0, MANY),
    },
    body: |_: &Arguments, context: &mut Context<'_>| -> Outcome {
        context.status = 1;
        Ok(())
    },
};
