//! Keeps a shell at the console: opens the terminal, starts a shell on it, and another when that ends.
//!
//! It is started as the operator, so the shell and all that it starts are the operator's.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use protocols::io::mode;
use v::file::File;
use v::log;
use v::prelude::*;
use v::process::{Command, Stream};
use v::time::Duration;

v_start::program!(main);

const TERMINAL: &str = "[terminal]console";
const SHELL: &str = "[boot]bin/exec";
/// What a person sees first.
const GREETING: &str = "This is V. 'help' lists the commands, 'help NAME' explains one.\n";
/// The shell's working directory at its start.
const HOME: &str = "[tmp]";
/// Between the end of one shell and the start of the next, so that one that cannot run does not keep the node busy.
const PAUSE: Duration = Duration::from_millis(200);

fn main() -> Result<(), Error> {
    v::server::ready();
    loop {
        match run_shell() {
            Ok(status) => log::notice!("the shell ended with status {status}; starting another"),
            Err(error) => log::error!("no shell on {TERMINAL}: {error}"),
        }
        v::time::sleep(PAUSE)?;
    }
}

fn run_shell() -> Result<i32, Error> {
    let mut terminal = File::open_with(TERMINAL, mode::READ | mode::WRITE)?;
    if let Err(error) = v::name::resolve(SHELL) {
        terminal.write_all(format!("no shell yet: {SHELL}: {error}; waiting for its server\n").as_bytes())?;
        v::name::wait_for(SHELL)?;
    }
    terminal.write_all(GREETING.as_bytes())?;
    let stream = || Stream::Instance(terminal.instance());
    let mut shell = Command::new(SHELL)
        .env("HOME", HOME)
        .directory(HOME)
        .stdin(stream())
        .stdout(stream())
        .stderr(stream())
        .start()?;
    Ok(shell.wait()?.code)
}
