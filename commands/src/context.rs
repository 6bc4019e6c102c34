//! What a command sees of the world: files to read, standard output and error. A test gives it others.

use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use abi::Error;
use v::io::{BufRead, Write};

use crate::usage::{Arguments, Misuse};

/// Opens a file for reading.
pub type Open<'a> = dyn Fn(&str) -> Result<Box<dyn BufRead>, Error> + 'a;

/// The world of one command.
pub struct Context<'a> {
    /// Its name, for messages.
    pub name: &'static str,
    /// Standard output.
    pub output: &'a mut dyn Write,
    /// Standard error.
    pub errors: &'a mut dyn Write,
    /// Opens a file for reading; `-` is standard input.
    pub open: &'a Open<'a>,
    /// The exit status so far.
    pub status: i32,
    /// The exit status once something has been complained about: 1, but for commands in which 1 means "no".
    pub failure_status: i32,
}

/// Why a command stops early.
#[derive(Debug)]
pub enum Failure {
    /// The words make no sense.
    Misuse(Misuse),
    /// Something failed; says what.
    Failed(String),
    /// Standard output failed. A reader that went away is no reason to complain.
    Output(Error),
}

impl From<Misuse> for Failure {
    fn from(misuse: Misuse) -> Failure {
        Failure::Misuse(misuse)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Output(error)
    }
}

/// A failure that names its object.
pub fn failed(object: &str, error: impl core::fmt::Display) -> Failure {
    Failure::Failed(format!("{}: {error}", shown(object)))
}

/// The most of a name that a message shows, in bytes: a terminal's rows are precious.
const SHOWN_BYTES: usize = 200;

/// An object's name as people can see it, even if it is empty or endless.
fn shown(object: &str) -> Cow<'_, str> {
    if object.is_empty() {
        Cow::Borrowed("''")
    } else if object.len() <= SHOWN_BYTES {
        Cow::Borrowed(object)
    } else {
        Cow::Owned(format!("{}…", &object[..object.floor_char_boundary(SHOWN_BYTES)]))
    }
}

/// The status of a command whose program is not there, or is there and cannot be run.
pub fn not_run(error: Error) -> i32 {
    if error == Error::NotFound { 127 } else { 126 }
}

/// How a command ends: its status is `Context::status` unless it fails.
pub type Outcome = Result<(), Failure>;

/// The body of a command.
pub type Body = fn(&Arguments, &mut Context<'_>) -> Outcome;

/// Why the work on one file ended early.
#[derive(Debug)]
pub enum FileFailure {
    /// The file failed; the next one may not.
    Input(Error),
    /// There is no sense in going on.
    Stop(Failure),
}

impl<F: Into<Failure>> From<F> for FileFailure {
    fn from(failure: F) -> FileFailure {
        FileFailure::Stop(failure.into())
    }
}

impl Context<'_> {
    /// Complains about `object` on standard error and goes on.
    pub fn complain(&mut self, object: &str, error: impl core::fmt::Display) {
        self.status = self.failure_status;
        // When even the complaint fails, the status still tells.
        let _ = self.errors.write_all(format!("{}: {}: {error}\n", self.name, shown(object)).as_bytes());
    }

    /// Calls `body` with each file in turn, no operand at all meaning standard input. A file that cannot be opened
    /// or read is complained about.
    pub fn each_file(
        &mut self,
        operands: &[String],
        mut body: impl FnMut(&mut Self, &str, &mut dyn BufRead) -> Result<(), FileFailure>,
    ) -> Outcome {
        let input = ["-".to_owned()];
        for name in if operands.is_empty() { &input } else { operands } {
            let result = match (self.open)(name) {
                Ok(mut file) => body(self, name, &mut *file),
                Err(error) => Err(FileFailure::Input(error)),
            };
            match result {
                Ok(()) => {}
                Err(FileFailure::Input(error)) => self.complain(name, error),
                Err(FileFailure::Stop(failure)) => return Err(failure),
            }
        }
        Ok(())
    }
}

/// Reads up to and with the next newline into `line`, which is emptied first; false at the end.
pub fn next_line(file: &mut dyn BufRead, line: &mut Vec<u8>) -> Result<bool, FileFailure> {
    line.clear();
    Ok(file.read_until(b'\n', line).map_err(FileFailure::Input)? > 0)
}

/// The line without its newline.
pub fn without_newline(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// Reads a whole file.
pub fn read_all(file: &mut dyn BufRead) -> Result<Vec<u8>, FileFailure> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(FileFailure::Input)?;
    Ok(bytes)
}
