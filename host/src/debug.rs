//! `cargo v debug`: a node that waits for GDB, with the symbols of the kernel and of chosen programs at hand.

use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

use crate::arguments::Debug;
use crate::domain::plan::NoPlan;
use crate::domain::{Domain, Event};
use crate::guest::{self, Guest};
use crate::log::Log;
use crate::run::{Prepared, status};
use crate::session::{End, Unattended};
use crate::terminal::Terminal;
use crate::{package, qemu};

/// The debugger.
const GDB: &str = "gdb";

/// `cargo v debug`. The status that the tool is to end with.
pub fn debug(options: &Debug) -> Result<u8> {
    options.node.check(1)?;
    let qemu = qemu::find_or_install()?;
    let guest = guest::build()?;
    let mut prepared = Prepared::single(&guest, &qemu, &options.node)?;
    // A kernel that has failed stays to be looked at.
    prepared.keep_after_panic();
    prepared.machine.debugger = Some(options.port);
    let script = guest.products.join("debug.gdb");
    let commands = gdb_commands(&guest, &options.program, options.port)?;
    std::fs::write(&script, commands).with_context(|| format!("cannot write {}", script.display()))?;

    let log_path = options.node.log.clone().unwrap_or_else(|| guest.products.join("debug.log"));
    let log = Log::new(&guest.kernel, Some(&log_path))?;
    let gdb = package::in_path(GDB);
    if options.gdb && gdb.is_none() {
        bail!("{GDB} is not installed. On Debian or Ubuntu: sudo apt-get install {GDB}");
    }
    let mut domain = Domain::new(vec![prepared], None, &log);
    eprintln!("The node waits at 127.0.0.1:{}; its log goes to {}.", options.port, log_path.display());
    if let (true, Some(gdb)) = (options.gdb, gdb) {
        return run_gdb(&gdb, &script, domain);
    }
    eprintln!("In another terminal: {GDB} --command {}", script.display());
    eprintln!("This terminal is the node's console; Ctrl-] q leaves.");
    let signals = domain.heed_signals()?;
    let terminal = Terminal::new(&domain)?;
    let end = domain.watch(&mut terminal.sessions(), &mut NoPlan, None)?.end;
    drop((terminal, signals));
    eprintln!("\nv: {end}");
    Ok(status(&end))
}

/// Runs GDB in this terminal for as long as the user wants; the node ends with it.
fn run_gdb(gdb: &Path, script: &Path, mut domain: Domain) -> Result<u8> {
    // Ctrl-C is for GDB, and must not end the tool.
    let interrupts = Signals::new([SIGINT]).context("cannot keep Ctrl-C for GDB")?;
    let sender = domain.sender();
    let watch = thread::spawn(move || {
        let session = Unattended::new(domain.log(0), true);
        domain.watch(&mut [Box::new(session)], &mut NoPlan, None)
    });
    let ended =
        Command::new(gdb).arg("--quiet").arg("--command").arg(script).status().context("cannot run gdb");
    drop(interrupts);
    // Where the watch has ended, the node has too.
    let _ = sender.send(Event::Stop(End::Left));
    watch.join().ok().context("the watch over the node failed")??;
    Ok(u8::from(!ended?.success()))
}

/// What GDB has to know.
fn gdb_commands(guest: &Guest, programs: &[String], port: u16) -> Result<String> {
    let mut commands = vec!["set confirm off".to_owned(), format!("file {}", quoted(&guest.kernel))];
    for name in programs {
        let Some(program) =
            guest.programs.iter().find(|program| program.name == *name || program.names.contains(name))
        else {
            let mut names: Vec<&str> = guest.programs.iter().map(|program| program.name.as_str()).collect();
            names.sort_unstable();
            bail!("there is no program `{name}`; there are: {}", names.join(", "));
        };
        // Programs are linked to fixed addresses, so their symbols need no offset.
        commands.push(format!("add-symbol-file {}", quoted(&program.path)));
    }
    commands.push(format!("target remote 127.0.0.1:{port}\nset confirm on\n"));
    Ok(commands.join("\n"))
}

/// A path as GDB reads it.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::Program;

    fn guest() -> Guest {
        let program = Program {
            name: "exec".to_owned(),
            names: Vec::new(),
            path: "/t/a \"b\"/exec".into(),
            folder: "/t".into(),
            test: false,
        };
        Guest {
            kernel: "/t/kernel".into(),
            programs: vec![program],
            files: Vec::new(),
            products: "/t".into(),
        }
    }

    #[test]
    fn gdb_is_told_of_kernel_and_programs() {
        let commands = gdb_commands(&guest(), &["exec".to_owned()], 99).unwrap();
        assert!(commands.contains("file \"/t/kernel\"\n"));
        assert!(commands.contains("add-symbol-file \"/t/a \\\"b\\\"/exec\"\n"));
        assert!(commands.contains("target remote 127.0.0.1:99\n"));
    }

    #[test]
    fn an_unknown_program_is_named_with_those_there_are() {
        let error = gdb_commands(&guest(), &["exce".to_owned()], 99).unwrap_err().to_string();
        assert_eq!(error, "there is no program `exce`; there are: exec");
    }
}
