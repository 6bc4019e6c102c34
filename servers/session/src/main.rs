//! Keeps a shell at a terminal, `session TERMINAL`: opens the terminal, starts a shell on it, and another when that ends. Where the boot
//! command line says `startup`, the first of them runs the lines of a file.
//!
//! It is started as the operator, so the shell and all that it starts are the operator's. The supervisor keeps which
//! shell runs: two at one terminal would take each other's lines, so a session that is started again waits for the end
//! of the shell that the earlier one left.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use protocols::io::mode;
use protocols::storage::FILES;
use protocols::supervisor::supervisor;
use v::file::File;
use v::log;
use v::prelude::*;
use v::process::{Command, Stream};
use v::time::Duration;

v_start::program!(main);

/// Where the lines of the file are run, rather than at several terminals.
const CONSOLE: &str = "[terminal]console";
const SHELL: &str = "[boot]bin/exec";
/// The file in `[home]` with what was typed.
const HISTORY: &str = ".history";
/// The lines that are run first, and the word that says so.
const STARTUP: &str = "[boot]configuration/startup";
const RUN_STARTUP: &str = "startup";
/// What a person sees first.
const GREETING: &str = "This is V. 'help' lists the commands, 'help NAME' explains one.\n";
/// Between the end of one shell and the start of the next, so that one that cannot run does not keep the node busy.
const PAUSE: Duration = Duration::from_millis(200);

fn main() -> Result<(), Error> {
    v::server::ready();
    let terminal = v::env::arguments().nth(1).unwrap_or(CONSOLE);
    let supervisor = v::name::resolve("[supervisor]")?.server;
    if let Some(shell) = earlier_shell(supervisor)? {
        log::notice!("the shell {shell} goes on");
        // One that cannot be asked about is gone, too.
        while v::process::has_ended(shell) == Ok(false) {
            v::time::sleep(PAUSE)?;
        }
    } else if terminal == CONSOLE && v::entry::boot_command_line().split(' ').any(|word| word == RUN_STARTUP)
    {
        match run_shell(terminal, supervisor, &[STARTUP]) {
            Ok(status) => log::notice!("{STARTUP} ended with status {status}"),
            Err(error) => log::error!("{STARTUP}: {error}"),
        }
    }
    loop {
        match run_shell(terminal, supervisor, &[]) {
            Ok(status) => log::notice!("the shell ended with status {status}; starting another"),
            Err(error) => log::error!("no shell on {terminal}: {error}"),
        }
        v::time::sleep(PAUSE)?;
    }
}

/// The shell that an earlier life of this program started.
fn earlier_shell(supervisor: Pid) -> Result<Option<Pid>, Error> {
    let mut bits = [0; 8];
    let loaded = call(supervisor, &supervisor::LoadState {}, Segment::Write(&mut bits))?;
    Ok((loaded.count as usize == bits.len()).then(|| Pid::from_bits(u64::from_le_bytes(bits))))
}

fn run_shell(terminal: &str, supervisor: Pid, arguments: &[&str]) -> Result<i32, Error> {
    let mut terminal = File::open_with(terminal, mode::READ | mode::WRITE)?;
    if let Err(error) = v::name::resolve(SHELL) {
        terminal.write_all(format!("no shell yet: {SHELL}: {error}; waiting for its server\n").as_bytes())?;
        v::name::wait_for(SHELL)?;
    }
    if arguments.is_empty() {
        terminal.write_all(GREETING.as_bytes())?;
    }
    let stream = || Stream::Instance(terminal.instance());
    let home = v::name::set_home()?;
    let mut command = Command::new(SHELL).args(arguments).env("HOME", home);
    if v::name::is_known_here(FILES) {
        // On a disk it survives.
        command = command.env("HISTFILE", &format!("{home}/{HISTORY}"));
    }
    let mut shell = command.directory(home).stdin(stream()).stdout(stream()).stderr(stream()).start()?;
    let bits = shell.pid().to_bits().to_le_bytes();
    call(supervisor, &supervisor::SaveState {}, Segment::Read(&bits))?;
    Ok(shell.wait()?.code)
}
