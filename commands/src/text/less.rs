//! `less`: a text, a screen at a time.
//!
//! What is shown and what keys do is [`pager`]'s, which knows no terminal; this file has the terminal.

mod keys;
mod pager;

use abi::Error;
use v::io::{BufRead, Instance};

use crate::Command;
use crate::context::{Context, Failure, FileFailure, Outcome, failed};
use crate::text::terminal::{ENTER, LEAVE, RawTerminal};
use crate::usage::{Arguments, Choice, Usage};
use pager::Pager;

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "less",
        synopsis: "[-N] [+LINE] [FILE]",
        summary: "Shows a text, a screen at a time.",
        details: "Keys: space f PageDown, b PageUp, d u half a screen; j Enter Down, k Up a line; g Home, G End; Left and\n\
                  Right where lines are long; /PATTERN and ?PATTERN look for an extended expression forward and\n\
                  backward, n and N again; 12g goes to line 12; h shows the keys, q ends it. What was not reached yet\n\
                  is not read. Where standard output is no terminal it only copies.",
        choices: &[Choice { letter: 'N', long: "numbers", value: None, help: "Numbers before the lines." }],
        operands: (0, 2),
    },
    body: less,
};

fn less(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let (mut file_name, mut first_line) = ("-", 1);
    for operand in &arguments.operands {
        match operand.strip_prefix('+') {
            Some(number) => first_line = crate::usage::number(number)?,
            None if file_name == "-" => file_name = operand,
            None => return Err(crate::usage::Misuse("one FILE at a time".into()).into()),
        }
    }
    let keyboard = RawTerminal::find().filter(|_| RawTerminal::is_watched());
    let Some(keyboard) = keyboard.filter(|keyboard| file_name != "-" || !is_same(keyboard, 0)) else {
        return context.each_file(&[file_name.into()], |context, _, file| copy(file, context));
    };
    let file = (context.open)(file_name).map_err(|error| failed(file_name, error))?;
    let title = if file_name == "-" { "standard input" } else { file_name };
    let mut pager = Pager::new(file, title, arguments.has("numbers"));
    let refused = |error: Error| failed("terminal", error);
    let terminal = RawTerminal::new(keyboard).map_err(refused)?;
    let outcome = show(&mut pager, first_line, &terminal, context);
    terminal.restore().map_err(refused)?;
    outcome
}

/// Whether a standard stream is this instance.
fn is_same(instance: &Instance, number: u32) -> bool {
    v::io::standard_stream(number).is_some_and(|stream| stream == *instance)
}

fn copy(file: &mut dyn BufRead, context: &mut Context<'_>) -> Result<(), FileFailure> {
    loop {
        let bytes = file.fill_buf().map_err(FileFailure::Input)?;
        let count = bytes.len();
        if count == 0 {
            return Ok(());
        }
        context.output.write_all(bytes)?;
        file.consume(count);
    }
}

fn show(pager: &mut Pager, first_line: usize, terminal: &RawTerminal, context: &mut Context<'_>) -> Outcome {
    let mut bytes = [0; 256];
    context.output.write_all(ENTER)?;
    pager.go_to(first_line.saturating_sub(1));
    let outcome = loop {
        if let Some((rows, columns)) = terminal.window() {
            pager.resize(rows, columns);
        }
        context.output.write_all(&pager.screen())?;
        context.output.flush()?;
        let count = match terminal.read(&mut bytes) {
            Ok(0) => break Ok(()),
            Ok(count) => count,
            Err(error) => break Err(failed("terminal", error)),
        };
        if !keys::keys(&bytes[..count]).into_iter().all(|key| pager.press(key)) {
            break Ok(());
        }
    };
    context.output.write_all(LEAVE)?;
    context.output.flush()?;
    if let Some(error) = pager.error() {
        return Err(Failure::Failed(alloc::format!("{error}")));
    }
    outcome
}
