//! `log`: what servers and the kernel have said.

use alloc::string::String;
use alloc::vec::Vec;

use abi::Error;
use protocols::log::{Heading, level, log as protocol};
use v::file::File;
use v::io::{BufRead, BufReader, Read};
use v::log::Level;
use v::message::{Segment, call};

use super::node::Node;
use crate::Command;
use crate::context::{Context, Outcome, failed, without_newline};
use crate::json;
use crate::usage::{Arguments, Choice, MANY, Misuse, NODE, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "log",
        synopsis: "[--json] [-l LEVEL] [WORD...] [@NODE]",
        summary: "Shows the log: what servers and the kernel have said, with time and level.",
        details: "With WORD..., it adds these words to the log. JSON is an array with an object for each line; the kernel's\n\
                  own have only a text.",
        choices: &[
            Choice {
                letter: 'l',
                long: "level",
                value: Some("LEVEL"),
                help: "Of the words to add: error, warning, notice, debug.",
            },
            json::OPTION,
            NODE,
        ],
        operands: (0, MANY),
    },
    body: log,
};

fn log(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let node = Node::of(arguments)?;
    let name = node.prefix("log");
    let refused = |error: Error| failed(&name, error);
    if !arguments.operands.is_empty() {
        let word = arguments.value("level").unwrap_or("notice");
        let level = [Level::Error, Level::Warning, Level::Notice, Level::Debug]
            .into_iter()
            .find(|level| level::name(*level as u32) == word)
            .ok_or_else(|| Misuse(alloc::format!("there is no level '{word}'")))?;
        let text = arguments.operands.join(" ");
        if !node.is_named() {
            v::log::write_text(level, &text);
            return Ok(());
        }
        let append = protocol::Append { level: level as u32 };
        call(node.server("log")?, &append, Segment::Read(text.as_bytes())).map_err(refused)?;
        return Ok(());
    }
    if arguments.has("level") {
        return Err(Misuse("a level is that of words to add, and there are none".into()).into());
    }
    let mut file = BufReader::new(File::open(&name).map_err(refused)?);
    if arguments.has("json") {
        let mut before = "[";
        let mut line = Vec::new();
        while file.read_until(b'\n', &mut line).map_err(refused)? > 0 {
            let object = object(&String::from_utf8_lossy(without_newline(&line)));
            context.output.write_all([before, &object].concat().as_bytes())?;
            before = ",";
            line.clear();
        }
        let end: &[u8] = if before == "[" { b"[]\n" } else { b"]\n" };
        return Ok(context.output.write_all(end)?);
    }
    let mut chunk = [0; 8192];
    loop {
        let count = file.read(&mut chunk).map_err(refused)?;
        if count == 0 {
            return Ok(());
        }
        context.output.write_all(&chunk[..count])?;
    }
}

/// A line for programs.
fn object(line: &str) -> String {
    match Heading::parse(line) {
        Some((heading, text)) => json::Object::new()
            .number("time_ns", heading.time_ns)
            .text("level", level::name(heading.level))
            .text("program", heading.program)
            .text("text", text)
            .end(),
        None => json::Object::new().text("text", line).end(),
    }
}
