//! `cargo v run`, and the way from options to a node that all commands share.

use std::fs::File;
use std::io::{Cursor, IsTerminal, Write, stderr, stdin, stdout};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::archive::{Archive, EXEC};
use crate::arguments::{NodeOptions, Run};
use crate::disk::{self, Attached, Wanted};
use crate::diskless;
use crate::domain::plan::NoPlan;
use crate::domain::{Domain, Outcome, name};
use crate::exec::Exec;
use crate::guest::{self, Guest};
use crate::image::{self, Content};
use crate::log::Log;
use crate::machine::{Card, Display, Keyboard, MOST_DATA_BYTES, Machine, Port, Start};
use crate::output::{Prefixed, ensure_writable};
use crate::qemu;
use crate::session::{End, Session, Unattended};
use crate::terminal::Terminal;
use crate::wiring::Wiring;
use ethernet::Network;
use ethernet::impairment::Impairments;

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
/// The word that has it use its screen and keyboard, where there are such.
pub const SHOWS: &str = "display";
/// The word that tells programs that a nanosecond is an instruction.
const COUNTS: &str = "icount";
/// The word that keeps a node on when its lines have ended, because there are others who may need it.
const STAY: &str = "stay";

/// A node that is ready to be booted.
#[derive(Debug)]
pub struct Prepared {
    /// What it is made of.
    pub machine: Machine,
    /// What it is loaded with.
    pub archive: Archive,
    /// The folder with the programs as they were built, with their symbols.
    pub programs: PathBuf,
}

impl Prepared {
    /// Packs what `options` asks for, out of what has been built, for that many nodes.
    pub fn new(guest: &Guest, qemu: &Path, options: &NodeOptions, nodes: usize) -> Result<Vec<Prepared>> {
        let processor = qemu::processor(options.accel, options.icount)?;
        // Nodes boot from the same files, so these must leave room on the smallest.
        let least_mib = (0..nodes).map(|node| options.memory.of(node).0).min();
        let mut archive = Archive::new(least_mib.context("there is no node")?);
        archive.put_guest(guest, options.test_programs)?;
        put_added(&mut archive, &options.add)?;
        archive.ensure_bootable()?;
        let programs = guest.programs.first().and_then(|program| program.path.parent());
        let programs = programs.context("there are no programs")?;
        let prepared = |node| {
            let disks = disks(&options.disk, node)?;
            let mut command_line = format!("{EXIT_ON_PANIC} node={} name={}", node + 1, name(node));
            if options.icount {
                command_line = format!("{command_line} {COUNTS}");
            }
            if let Some(word) = disk::boot_word(&disks) {
                command_line = format!("{command_line} {word}");
            }
            Ok(Prepared {
                machine: Machine {
                    qemu: qemu.to_owned(),
                    start: Start::Direct,
                    kernel: guest.kernel.clone(),
                    command_line,
                    memory_mib: options.memory.of(node).0,
                    processor,
                    lacking: Vec::new(),
                    may_restart: true,
                    debugger: None,
                    gdb_line: None,
                    display: Display::None,
                    keyboard: Keyboard::default(),
                    has_random: options.random,
                    ports: Vec::new(),
                    card: None,
                    disks,
                    counting: None,
                },
                archive: archive.clone(),
                programs: programs.to_owned(),
            })
        };
        (0..nodes).map(prepared).collect()
    }

    /// As [`Prepared::new`], for one node.
    pub fn single(guest: &Guest, qemu: &Path, options: &NodeOptions) -> Result<Prepared> {
        Prepared::new(guest, qemu, options, 1)?.pop().context("there is no node")
    }

    /// More words for the boot command line.
    pub fn say(&mut self, words: &str) {
        self.machine.command_line += " ";
        self.machine.command_line += words;
    }

    /// Gives a node a screen, with shells on it, and a keyboard.
    pub fn show(&mut self, display: Display, keyboard: Keyboard) {
        self.machine.display = display;
        self.machine.keyboard = keyboard;
        self.say(SHOWS);
    }

    /// Has a node whose kernel has failed stay as it is.
    pub fn keep_after_panic(&mut self) {
        let words = self.machine.command_line.split(' ').filter(|word| *word != EXIT_ON_PANIC);
        self.machine.command_line = words.collect::<Vec<_>>().join(" ");
    }

    /// Has a node do without files of its own: all but its services come from the first node.
    pub fn make_diskless(&mut self) -> Result<()> {
        diskless::reduce(&mut self.archive, &name(0))
    }

    /// Has the node run `lines` and end.
    pub fn run_lines(&mut self, lines: &str) -> Result<()> {
        self.say(RUN_LINES);
        self.machine.may_restart = false;
        self.archive.put_file(EXEC, lines.as_bytes().into())
    }
}

/// Puts files of the host's into an archive, and the programs of crates.
pub fn put_added(archive: &mut Archive, paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        match guest::build_program(path)? {
            Some(programs) => programs.iter().try_for_each(|program| archive.put_program(program))?,
            None => archive.put_host_path(path)?,
        }
    }
    Ok(())
}

/// Sees to it that what the nodes start by is there, and has the first one start those that start over the network.
fn serve_boot(nodes: &mut [Prepared]) -> Result<bool> {
    for prepared in &mut *nodes {
        if let Start::Medium(_, firmware) | Start::Network(firmware) = prepared.machine.start {
            image::ensure_tools()?;
            firmware.ensure()?;
        }
        if let Start::Network(_) = prepared.machine.start {
            prepared.make_diskless()?;
        }
    }
    // They have one kernel, one archive and one command line, in which no node is named.
    let words = |prepared: &Prepared| {
        let words = prepared.machine.command_line.split(' ');
        words
            .filter(|word| !word.starts_with("node=") && !word.starts_with("name="))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let started = |prepared: &&Prepared| matches!(prepared.machine.start, Start::Network(_));
    let Some(first) = nodes.iter().find(started) else { return Ok(false) };
    let command_line = words(first);
    ensure!(
        nodes.iter().filter(started).all(|prepared| words(prepared) == command_line),
        "nodes that start over the network are in one domain: what --domain says of one of them cannot be"
    );
    let Machine { kernel, .. } = first.machine.clone();
    let mut served = nodes[0].archive.clone();
    Content { kernel: &kernel, archive: &first.archive, command_line: &command_line }
        .serve_from(&mut served)?;
    nodes[0].archive = served;
    nodes[0].say(image::BOOT_SERVER);
    Ok(true)
}

/// The disks of the node at that place.
fn disks(wanted: &[Wanted], node: usize) -> Result<Vec<Attached>> {
    wanted.iter().filter(|disk| disk.node == node).map(Wanted::attach).collect()
}

/// Puts nodes together: several of them, wired as `wiring` says, on a network, which writes what passes to the file
/// `capture`.
pub fn connect(
    mut nodes: Vec<Prepared>,
    wiring: &Wiring,
    impairments: Impairments,
    capture: Option<&Path>,
    log: &Log,
) -> Result<Domain> {
    if nodes.len() == 1 {
        serve_boot(&mut nodes)?;
        return Ok(Domain::new(nodes, None, log));
    }
    let network = Network::start(nodes.len(), impairments, capture)?;
    for (node, prepared) in nodes.iter_mut().enumerate() {
        prepared.say(STAY);
        let card = Card::new(*wiring.card.of(node), node, network.socket(node));
        prepared.say(&format!("mtu={MOST_DATA_BYTES} domain={}", wiring.domain.of(node)));
        prepared.machine.card = Some(card);
    }
    let serves = serve_boot(&mut nodes)?;
    let mut domain = Domain::new(nodes, Some(network), log);
    if serves {
        domain.start_first(0);
    }
    Ok(domain)
}

/// `cargo v run`. The status that the tool is to end with.
pub fn run(options: &Run) -> Result<u8> {
    options.check()?;
    options.domain.pcap.as_deref().map_or(Ok(()), ensure_writable)?;
    let mut lines = options.domain.lines()?;
    lines[0].clone_from(&options.exec);
    let qemu = qemu::find_or_install()?;
    let guest = guest::build()?;
    let log = Log::new(&guest.kernel, options.node.log.as_deref())?;
    let mut nodes = Prepared::new(&guest, &qemu, &options.node, lines.len())?;
    for (prepared, lines) in nodes.iter_mut().zip(&lines) {
        lines.as_ref().map_or(Ok(()), |lines| prepared.run_lines(lines))?;
    }
    for (node, prepared) in nodes.iter_mut().enumerate() {
        prepared.machine.start = options.start(node);
    }
    if options.display {
        nodes[0].show(Display::Window, options.keyboard);
    }
    nodes[0].machine.ports =
        options.port.iter().map(|path| Port { path: path.clone(), listens: true }).collect();
    if let Some(port) = options.gdb {
        nodes[0].machine.gdb_line = Some(port);
        eprintln!(
            "v: `debug` on node1 is reached by GDB's `target remote :{port}`; programs with symbols: {}",
            nodes[0].programs.display()
        );
    }
    if options.domain.diskless {
        nodes.iter_mut().skip(1).try_for_each(Prepared::make_diskless)?;
    }
    let mut domain = connect(
        nodes,
        &options.domain.wiring(),
        options.domain.impairments(),
        options.domain.pcap.as_deref(),
        &log,
    )?;
    let _signals = domain.heed_signals()?;
    // Whose streams and status are the tool's, if nobody sits at a terminal.
    let first = lines.iter().position(Option::is_some);
    let outcome = if let Some(first) = first {
        if !options.domain.netboot {
            domain.start_last(first);
        }
        let mut sessions = Vec::new();
        for (node, lines) in lines.iter().enumerate() {
            sessions.push(session(node, lines.is_some(), first, domain.log(node))?);
        }
        domain.watch(&mut sessions, &mut NoPlan, options.timeout)?
    } else {
        greet(options.node.log.as_deref(), domain.nodes(), options.domain.netboot);
        // Dropped before anything is printed below, which gives the terminal back.
        let terminal = Terminal::new(&domain)?;
        domain.watch(&mut terminal.sessions(), &mut NoPlan, options.timeout)?
    };
    if first.is_none() && stdout().is_terminal() {
        println!();
    }
    report(&outcome, first.unwrap_or(0), domain.nodes(), &log)
}

/// The session of a node, with or without lines of its own. The streams of node `first` are the tool's.
fn session(node: usize, has_lines: bool, first: usize, log: Log) -> Result<Box<dyn Session>> {
    if !has_lines {
        return Ok(Box::new(Unattended::new(log, false)));
    }
    if node == first {
        // Not through `io::stdin()`, whose buffer would take more than the commands want.
        let input = File::from(stdin().as_fd().try_clone_to_owned().context("cannot read standard input")?);
        return Ok(Box::new(Exec::new(log, input, stdout(), stderr())));
    }
    let prefixed = || Prefixed::new(stderr(), format!("{}: ", name(node)));
    Ok(Box::new(Exec::new(log, Cursor::new([]), prefixed(), prefixed())))
}

/// Says how to leave, where a person is there to read it.
fn greet(log: Option<&Path>, nodes: usize, netboot: bool) {
    if stdin().is_terminal() && stderr().is_terminal() {
        let log = log
            .map_or_else(|| "--log FILE keeps it".to_owned(), |path| format!("goes to {}", path.display()));
        eprintln!("Ctrl-] q leaves, Ctrl-] ? lists what else there is; the kernel's log: {log}.");
        if nodes > 1 && !netboot {
            eprintln!("node1 starts when the others have come up.");
        }
    }
}

/// Says what there is to say about the end, and returns the tool's status.
fn report(outcome: &Outcome, first: usize, nodes: usize, log: &Log) -> Result<u8> {
    let Outcome { node, end } = outcome;
    let whose = if nodes > 1 { format!("{}: ", name(*node)) } else { String::new() };
    match end {
        End::Timeout | End::Signal(_) => eprintln!("v: {end}"),
        End::Panic | End::NoBoot | End::Failed(_) | End::Restart => {
            let mut stderr = stderr();
            log.print(&mut stderr)?;
            writeln!(stderr, "v: {whose}{end}")?;
        }
        End::Exit(_) if *node != first => eprintln!("v: {whose}{end}"),
        // At a terminal other nodes go on after it.
        End::Left | End::PowerOff if log.any_panicked() => log.print(&mut stderr())?,
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
