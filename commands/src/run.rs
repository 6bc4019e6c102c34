//! Runs a command: reads its words, gives it the real world, and turns how it ended into an exit status:
//! 0 all went well, 1 something failed, 2 the words made no sense.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::Error;
use v::io::{BufRead, BufReader, BufWriter, Write};

use crate::Command;
use crate::context::{Context, Failure, Open};
use crate::files::path;
use crate::usage::{Misuse, Wish};

/// Runs a command with the program's own arguments and streams.
pub fn run(command: &Command) -> i32 {
    run_words(command, v::env::arguments().skip(1))
}

/// Runs the one of these commands that the program is called by; or, called by its own name, the one that its first
/// word names.
pub fn run_by_name(commands: &[&Command]) -> i32 {
    let mut words = v::env::arguments();
    for _ in 0..2 {
        let name = path::last_component(words.next().unwrap_or_default());
        if let Some(command) = commands.iter().find(|command| command.usage.name == name) {
            return run_words(command, words);
        }
    }
    let names: Vec<&str> = commands.iter().map(|command| command.usage.name).collect();
    // When even this fails, the status still tells.
    let text = format!("{}: expected one of its commands: {}\n", v::env::program_name(), names.join(" "));
    let _ = v::io::stderr().write_all(text.as_bytes());
    2
}

fn run_words(command: &Command, words: impl Iterator<Item = &'static str>) -> i32 {
    let words: Vec<String> = words.map(String::from).collect();
    let mut output = BufWriter::new(v::io::stdout());
    let mut errors = v::io::stderr();
    run_with(command, &words, &mut output, &mut errors, &open)
}

fn open(name: &str) -> Result<Box<dyn BufRead>, Error> {
    if name == "-" {
        return Ok(Box::new(BufReader::new(v::io::stdin())));
    }
    Ok(Box::new(BufReader::new(v::file::File::open(name)?)))
}

/// Runs it in the world given.
pub fn run_with(
    command: &Command,
    words: &[String],
    output: &mut dyn Write,
    errors: &mut dyn Write,
    open: &Open<'_>,
) -> i32 {
    let usage = &command.usage;
    let (outcome, status, failure_status) = match usage.parse(words) {
        Err(misuse) => (Err(Failure::Misuse(misuse)), 0, 1),
        Ok(Wish::Help) => (output.write_all(usage.help().as_bytes()).map_err(Failure::Output), 0, 1),
        Ok(Wish::Run(arguments)) => {
            let (output, errors) = (&mut *output, &mut *errors);
            let mut context =
                Context { name: usage.name, output, errors, open, status: 0, failure_status: 1 };
            let outcome = (command.body)(&arguments, &mut context);
            (outcome, context.status, context.failure_status)
        }
    };
    let outcome = outcome.and_then(|()| output.flush().map_err(Failure::Output));
    let (text, status) = match outcome {
        Ok(()) => return status,
        Err(Failure::Misuse(Misuse(text))) => (format!("{text}; see '{} --help'", usage.name), 2),
        Err(Failure::Output(Error::BrokenPipe)) => return 1,
        Err(Failure::Output(error)) => (format!("standard output: {error}"), failure_status),
        Err(Failure::Failed(text)) => {
            // What was written before the failure is still wanted; the failure is what gets told.
            let _ = output.flush();
            (text, failure_status)
        }
    };
    // When even this fails, the status still tells.
    let _ = errors.write_all(format!("{}: {text}\n", usage.name).as_bytes());
    status
}

/// Runs a command in a test: its words, its standard input and files; returns status, output and errors.
#[cfg(test)]
pub mod testing {
    use super::*;
    use alloc::borrow::ToOwned;

    /// The words of a line, separated by spaces; `''` quotes one.
    pub fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        let mut quoted = false;
        for piece in line.split('\'') {
            if quoted {
                words.push(piece.to_owned());
            } else {
                words.extend(piece.split_whitespace().map(ToOwned::to_owned));
            }
            quoted = !quoted;
        }
        words
    }

    /// See the module. Words are those of [`words`].
    pub fn try_command(command: &Command, line: &str, files: &[(&str, &[u8])]) -> (i32, String, String) {
        let words = words(line);
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let open = |name: &str| -> Result<Box<dyn BufRead>, Error> {
            let (_, bytes) = files.iter().find(|(known, _)| *known == name).ok_or(Error::NotFound)?;
            Ok(Box::new(BufReader::new(v::io::Cursor::new(bytes.to_vec()))))
        };
        let status = run_with(command, &words, &mut output, &mut errors, &open);
        (status, String::from_utf8_lossy(&output).into_owned(), String::from_utf8_lossy(&errors).into_owned())
    }

    /// Checks output and status of a command without complaints.
    ///
    /// # Panics
    /// If they are not as expected.
    #[track_caller]
    pub fn expect(command: &Command, line: &str, input: &str, output: &str) {
        let (status, found, errors) = try_command(command, line, &[("-", input.as_bytes())]);
        assert_eq!((status, found.as_str(), errors.as_str()), (0, output, ""), "{line}");
    }
}
