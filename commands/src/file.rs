//! Files, directories and programs as commands use them: the runtime's. In tests on the host they are the host's, below a
//! directory of each test's own, so that what commands make of files can be compared with the host's tools.

#[cfg(test)]
mod on_host;

#[cfg(test)]
pub use on_host::*;
#[cfg(not(test))]
pub use v::file::*;
#[cfg(not(test))]
pub use v::name::{full_name, resolve};

#[cfg(not(test))]
use {alloc::string::String, v::io::Write};

/// How a command starts another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// It has this command's standard input.
    Shared,
    /// It has none.
    Empty,
}

/// Runs a program with its arguments to its end; its status. `output` is this command's own, which the program shares: what was
/// written to it has to be flushed before.
#[cfg(not(test))]
pub fn run(line: &[String], input: Input, _output: &mut dyn Write) -> Result<i32, abi::Error> {
    let mut program = v::process::Command::new(&line[0]).args(&line[1..]);
    let nothing;
    if input == Input::Empty {
        nothing = File::open("[null]")?;
        program = program.stdin(&nothing);
    }
    Ok(program.start()?.wait()?.code)
}
