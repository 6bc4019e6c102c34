//! `log`: what servers and the kernel have said.

use protocols::log::level;
use v::file::File;
use v::io::{BufReader, Read};
use v::log::Level;

use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, Choice, MANY, Misuse, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "log",
        synopsis: "[WORD...]",
        summary: "Shows the log: what servers and the kernel have said, with time and level.",
        details: "With WORD..., it adds these words to the log.",
        choices: &[Choice {
            letter: 'l',
            long: "level",
            value: Some("LEVEL"),
            help: "Of the words to add: error, warning, notice, debug.",
        }],
        operands: (0, MANY),
    },
    body: log,
};

fn log(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    if !arguments.operands.is_empty() {
        let word = arguments.value("level").unwrap_or("notice");
        let level = [Level::Error, Level::Warning, Level::Notice, Level::Debug]
            .into_iter()
            .find(|level| level::name(*level as u32) == word)
            .ok_or_else(|| Misuse(alloc::format!("there is no level '{word}'")))?;
        v::log::write_text(level, &arguments.operands.join(" "));
        return Ok(());
    }
    let mut file = BufReader::new(File::open("[log]").map_err(|error| failed("[log]", error))?);
    let mut chunk = [0; 8192];
    loop {
        let count = file.read(&mut chunk).map_err(|error| failed("[log]", error))?;
        if count == 0 {
            return Ok(());
        }
        context.output.write_all(&chunk[..count])?;
    }
}
