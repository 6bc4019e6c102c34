//! `env`: the environment, or a program with another one.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use v::process::Command as Program;

use crate::Command;
use crate::context::{Context, Outcome, not_run};
use crate::usage::{Arguments, Choice, PROGRAM, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "env",
        synopsis: "[-i] [NAME=VALUE...] [PROGRAM [WORD...]]",
        summary: "Shows the environment, or runs a program with more in it.",
        details: "The status is the program's, 127 if it is not there, or 126 if it cannot be run.",
        choices: &[Choice {
            letter: 'i',
            long: "ignore-environment",
            value: None,
            help: "Only what is given, not what there is.",
        }],
        operands: (0, PROGRAM),
    },
    body: env,
};

fn env(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let is_assignment = |word: &&String| word.split_once('=').is_some_and(|(name, _)| !name.is_empty());
    let count = arguments.operands.iter().take_while(is_assignment).count();
    let (assignments, program) = arguments.operands.split_at(count);
    let is_bare = arguments.has("ignore-environment");
    let Some((name, words)) = program.split_first() else {
        for (name, value) in v::env::variables().into_iter().filter(|_| !is_bare) {
            let replaced =
                assignments.iter().any(|word| word.split_once('=').is_some_and(|(new, _)| new == name));
            if !replaced {
                context.output.write_all(format!("{name}={value}\n").as_bytes())?;
            }
        }
        for word in assignments {
            context.output.write_all(format!("{word}\n").as_bytes())?;
        }
        return Ok(());
    };
    let mut command = Program::new(name);
    if is_bare {
        command = command.only_variables(Vec::new());
    }
    for word in words {
        command = command.arg(word);
    }
    for (name, value) in assignments.iter().filter_map(|word| word.split_once('=')) {
        command = command.env(name, value);
    }
    match command.start().and_then(|mut child| child.wait()) {
        Ok(status) => context.status = status.code,
        Err(error) => {
            context.failure_status = not_run(error);
            context.complain(name, error);
        }
    }
    Ok(())
}
