//! `cargo v run`, and the way from options to a node that all commands share.

use std::fs::File;
use std::io::{IsTerminal, Write, stderr, stdin, stdout};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::archive::{Archive, EXEC};
use crate::arguments::{NodeOptions, Run};
use crate::exec::Exec;
use crate::guest::{self, Guest};
use crate::log::Log;
use crate::machine::Machine;
use crate::node::{End, Node};
use crate::progress::Progress;
use crate::qemu;
use crate::terminal::Terminal;

/// The tool's status when the time ran out.
pub const STATUS_TIMEOUT: u8 = 124;
/// The tool's status when the system failed.
pub const STATUS_FAILED: u8 = 125;
/// Added to a signal's number, as shells do.
const STATUS_SIGNAL: u8 = 128;
/// SIGPIPE, which other programs die of where their output is closed.
const SIGNAL_PIPE: u8 = 13;

/// Words for the kernel in every boot but a debugger's: a panic ends the machine.
const EXIT_ON_PANIC: &str = "panic=exit";
/// The word that makes the system run the lines in the archive rather than a shell at the console.
const RUN_LINES: &str = "exec";

/// A node that is ready to be booted.
#[derive(Debug)]
pub struct Prepared {
    /// What it is made of.
    pub machine: Machine,
    /// What it is loaded with.
    pub archive: Archive,
}

impl Prepared {
    /// Packs what `options` asks for, out of what has been built.
    pub fn new(guest: &Guest, qemu: &Path, options: &NodeOptions) -> Result<Prepared> {
        let processor = qemu::processor(options.accel, options.icount)?;
        let mut archive = Archive::new(options.memory);
        archive.put_guest(guest, options.test_programs)?;
        for path in &options.add {
            match guest::build_program(path)? {
                Some(programs) => programs.iter().try_for_each(|program| archive.put_program(program))?,
                None => archive.put_host_path(path)?,
            }
        }
        archive.ensure_bootable()?;
        let machine = Machine {
            qemu: qemu.to_owned(),
            kernel: guest.kernel.clone(),
            command_line: EXIT_ON_PANIC.to_owned(),
            memory_mib: options.memory,
            processor,
            may_restart: true,
            debugger: None,
        };
        Ok(Prepared { machine, archive })
    }

    /// Has the node run `lines` and end.
    pub fn run_lines(&mut self, lines: &str) -> Result<()> {
        self.machine.command_line += " ";
        self.machine.command_line += RUN_LINES;
        self.machine.may_restart = false;
        self.archive.put_file(EXEC, lines.as_bytes().into())
    }
}

/// `cargo v run`. The status that the tool is to end with.
pub fn run(options: &Run) -> Result<u8> {
    let qemu = qemu::find_or_install()?;
    let mut prepared = Prepared::new(&guest::build()?, &qemu, &options.node)?;
    let log = Arc::new(Log::new(&prepared.machine.kernel, options.node.log.as_deref())?);
    let end = match &options.exec {
        None => {
            greet(options.node.log.as_deref());
            let mut node = Node::boot(&prepared.machine, &prepared.archive, Arc::clone(&log))?;
            let _signals = node.heed_signals()?;
            // Dropped before anything is printed below, which gives the terminal back.
            let mut terminal = Terminal::new(&node)?;
            node.watch(&mut terminal, options.timeout)?
        }
        Some(lines) => {
            prepared.run_lines(lines)?;
            let progress = Progress::new("booting");
            let mut node = Node::boot(&prepared.machine, &prepared.archive, Arc::clone(&log))?;
            drop(progress);
            let _signals = node.heed_signals()?;
            // Not through `io::stdin()`, whose buffer would take more than the commands want.
            let input =
                File::from(stdin().as_fd().try_clone_to_owned().context("cannot read standard input")?);
            let (mut output, mut error) = (stdout(), stderr());
            let mut session = Exec::new(&node, &log, input, &mut output, &mut error)?;
            let end = node.watch(&mut session, options.timeout)?;
            session.judge(end)
        }
    };
    if options.exec.is_none() && stdout().is_terminal() {
        println!();
    }
    report(&end, &log)
}

/// Says how to leave, where a person is there to read it.
fn greet(log: Option<&Path>) {
    if stdin().is_terminal() && stderr().is_terminal() {
        let log = log
            .map_or_else(|| "--log FILE keeps it".to_owned(), |path| format!("goes to {}", path.display()));
        eprintln!("Ctrl-] leaves; the kernel's log: {log}.");
    }
}

/// Says what there is to say about the end, and returns the tool's status.
fn report(end: &End, log: &Log) -> Result<u8> {
    match end {
        End::Timeout | End::Signal(_) => eprintln!("v: {end}"),
        End::Panic | End::NoBoot | End::Failed(_) | End::Restart => {
            let mut stderr = stderr();
            log.print(&mut stderr)?;
            writeln!(stderr, "v: {end}")?;
        }
        End::Exit(_) | End::PowerOff | End::Left | End::OutputClosed => {}
    }
    Ok(status(end))
}

/// The tool's status for an end.
pub fn status(end: &End) -> u8 {
    match *end {
        // A status too large for Linux must not look like success.
        End::Exit(status) => u8::try_from(status).unwrap_or(u8::MAX),
        End::PowerOff | End::Left => 0,
        End::Timeout => STATUS_TIMEOUT,
        End::Panic | End::NoBoot | End::Failed(_) | End::Restart => STATUS_FAILED,
        End::OutputClosed => STATUS_SIGNAL + SIGNAL_PIPE,
        End::Signal(number) => STATUS_SIGNAL.saturating_add(u8::try_from(number).unwrap_or(u8::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_as_documented() {
        assert_eq!(status(&End::Exit(0)), 0);
        assert_eq!(status(&End::Exit(7)), 7);
        assert_eq!(status(&End::Exit(256)), 255);
        assert_eq!(status(&End::PowerOff), 0);
        assert_eq!(status(&End::Timeout), 124);
        for end in [End::Panic, End::NoBoot, End::Restart, End::Failed(String::new())] {
            assert_eq!(status(&end), 125);
        }
        assert_eq!(status(&End::Signal(15)), 143);
    }
}
