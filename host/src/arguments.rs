//! What can be asked of the tool. The comments here are what `--help` prints.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::disk::{self, Wanted};
use crate::firmware::{Firmware, Medium};
use crate::machine::{Keyboard, Start};
use crate::memory::Memory;
use crate::output::ensure_writable;
use crate::wiring::DomainNumber;

#[cfg(test)]
mod documented;
mod domain;

pub use domain::DomainOptions;

/// The TCP port of QEMU's GDB stub, where no other is asked for.
pub const GDB_PORT: u16 = 1234;

/// Builds, boots, tests, measures and debugs V in QEMU.
#[derive(Debug, Parser)]
#[command(name = "cargo v", bin_name = "cargo v", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Boot a node, or several, and use its shell
    ///
    /// Builds the system, boots it in QEMU and connects this terminal to its console. Ctrl-] and then q leaves and ends
    /// all nodes; Ctrl-] and then ? lists what else can be done. Every other key goes to the node.
    ///
    /// With --exec, runs shell lines instead: this tool's standard input, output and error are the commands', and its
    /// exit status is that of the last command, 124 if the time ran out, or 125 if the system failed.
    ///
    /// With --nodes, the nodes are node1, node2 and so on, on an Ethernet of their own that this tool switches. The
    /// other nodes start first, then node1, which --exec is for; --exec-on is for the others. What those write goes to
    /// standard error with the node's name before each line. All nodes stay on until the lines of all have ended. The
    /// exit status is node1's if that is not 0, else that of the first other node whose lines failed.
    Run(Box<Run>),
    /// Run the tests: those on the host, then those on booted nodes
    Test(Test),
    /// Measure the system and print its budgets beside its peers' figures
    ///
    /// Counts guest instructions: of one node in QEMU's deterministic mode, of two by a plugin in both. Ends with status
    /// 1 if a figure exceeds its budget.
    Bench(Bench),
    /// Boot a node that waits for a debugger
    Debug(Debug),
    /// Write the system for machines that are not QEMU's
    ///
    /// Writes an image for a CD or a USB stick, which BIOS starts as well as UEFI. It goes onto a stick, and what was on
    /// that is lost, by `dd if=v.iso of=/dev/STICK bs=4M`. UEFI must not insist on signatures (`Secure Boot`). The
    /// console is the first serial port, at 115,200 baud.
    ///
    /// With --netboot, writes a folder for a TFTP server.
    Image(Image),
    /// Make the manual for a browser
    ///
    /// mdBook makes it, which cargo installs below target/ where this machine has none.
    Book(Book),
    /// Look into a disk's image, without a node
    ///
    /// For images that a node made a volume of: see --disk of `cargo v run`.
    Disk(DiskOptions),
    /// Look at what this machine has of what the tool needs, and say what to install
    ///
    /// Ends with status 1 if the system cannot be built or run here. What else is missing is said too, and what for.
    Doctor,
    /// Make a crate for a program of one's own
    ///
    /// The crate builds against this checkout of V, wherever it lies, and runs with `cargo v run --add PATH`.
    New(New),
}

/// How a node is made up, in every command that boots one.
#[derive(Args, Clone, Debug)]
pub struct NodeOptions {
    /// Memory of each node, in MiB; with `N:MIB` that of node N alone, as in `256,2:64`
    #[arg(long, value_name = "MIB", default_value_t, allow_negative_numbers = true)]
    pub memory: Memory,

    /// Give a node a disk, which is a file of this host; repeatable
    ///
    /// FILE[,size=SIZE][,bus=virtio|nvme|ahci][,node=NUMBER][,fat|raw], as in `d.img,size=256M`. Where there is no such file, one
    /// of that size is made, which takes up room only as it is written. In the node it is `[disk0]`, the next one
    /// `[disk1]`; `disks` lists them. Without `node` it is node 1's. Of one that is made now the node makes a volume, on which
    /// `[storage]` and `[home]` are, unless `raw` says that it is to stay blank, or `fat` that it is a FAT volume, `[fat]`.
    #[arg(long, value_name = "DISK")]
    pub disk: Vec<Wanted>,

    /// Put a host file or folder under `[boot]`, by its own name; repeatable
    ///
    /// A folder with a crate made by `cargo v new` is built instead, and its programs are put into `[boot]bin`.
    #[arg(long, value_name = "HOSTPATH")]
    pub add: Vec<PathBuf>,

    /// How QEMU runs the processor
    #[arg(long, value_enum, default_value_t = Accel::Auto)]
    pub accel: Accel,

    /// Run deterministically, one instruction per nanosecond, as `cargo v bench` does
    #[arg(long)]
    pub icount: bool,

    /// Give each node a device of random numbers, which are the host's: `[random]`
    #[arg(long, conflicts_with = "icount")]
    pub random: bool,

    /// Write the boot and kernel log to this file
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,

    /// Put the programs that only tests use into `[boot]bin` too
    #[arg(long)]
    pub test_programs: bool,
}

impl NodeOptions {
    /// Complains of files that can't be read or written, and of disks of nodes that there are not, before anything is
    /// built.
    pub fn check(&self, nodes: usize) -> Result<()> {
        check_added(&self.add)?;
        disk::check(&self.disk, nodes)?;
        self.log.as_deref().map_or(Ok(()), ensure_writable)
    }
}

/// Complains of files to add that can't be read.
pub fn check_added(paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        std::fs::metadata(path).with_context(|| format!("cannot add {}", path.display()))?;
    }
    Ok(())
}

/// Ways to run the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Accel {
    /// The hardware's virtualisation where this host has it, else emulation
    Auto,
    /// The hardware's virtualisation
    Kvm,
    /// Emulation
    Tcg,
}

/// `cargo v run`.
#[derive(Args, Debug)]
pub struct Run {
    /// The node.
    #[command(flatten)]
    pub node: NodeOptions,

    /// Run these shell lines, without a terminal, and end with the status of the last command
    #[arg(long, value_name = "LINES", allow_hyphen_values = true)]
    pub exec: Option<String>,

    /// End after this time
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,

    /// Have the nodes' firmware start an image on such a medium, as `cargo v image` writes it
    #[arg(long, value_name = "MEDIUM", value_enum, conflicts_with = "icount")]
    pub image: Option<Medium>,

    /// Open a window with the first node's screen: shells on it, chosen by Alt and F1 to F3
    ///
    /// This terminal stays its console.
    #[arg(long)]
    pub display: bool,

    /// The keyboard that goes with the window
    #[arg(long, value_enum, default_value_t = Keyboard::Ps2, requires = "display")]
    pub keyboard: Keyboard,

    /// Give the first node a line, `[port]0`, that leads to a Unix socket made at this path; the next one is `[port]1`
    ///
    /// Who connects to the socket, as `socat - UNIX:PATH` does, is at its other end.
    #[arg(long, value_name = "PATH")]
    pub port: Vec<PathBuf>,

    /// Lead the first node's second serial port to this TCP port of the host, for GDB
    ///
    /// There a person starts `debug PROGRAM` or `debug PID` at the shell, and here GDB, with `target remote :PORT`.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub gdb: Option<u16>,

    /// The firmware of nodes that are started by it: see --image and --netboot
    #[arg(long, value_enum, default_value_t = Firmware::Bios)]
    pub firmware: Firmware,

    /// The nodes and their network.
    #[command(flatten)]
    pub domain: DomainOptions,
}

impl Run {
    /// Makes sure that the options go together.
    pub fn check(&self) -> Result<()> {
        self.domain.check(self.node.icount)?;
        ensure!(
            self.firmware == Firmware::Bios || self.image.is_some() || self.domain.netboot,
            "--firmware is for nodes that firmware starts: see --image and --netboot"
        );
        self.node.check(self.domain.nodes.into())
    }

    /// How the node at that place comes to its kernel.
    pub fn start(&self, node: usize) -> Start {
        Start::of(node, self.image, self.domain.netboot, self.firmware)
    }
}

/// `cargo v disk`.
#[derive(Args, Debug)]
pub struct DiskOptions {
    /// What to do.
    #[command(subcommand)]
    pub action: DiskAction,
}

/// What is done with a disk's image.
#[derive(Debug, Subcommand)]
pub enum DiskAction {
    /// Look at all that is on it, and say what is wrong
    Check {
        /// The image
        image: PathBuf,
    },
    /// List a directory
    Ls {
        /// The image
        image: PathBuf,
        /// The directory, such as `home`
        #[arg(default_value = "")]
        path: String,
    },
    /// Copy a file out of it
    Get {
        /// The image
        image: PathBuf,
        /// The file, such as `home/notes`
        path: String,
        /// Where to; without it, to standard output
        file: Option<PathBuf>,
    },
    /// Copy a file into it
    Put {
        /// The image
        image: PathBuf,
        /// The file of this host
        file: PathBuf,
        /// Where to, such as `home/notes`
        path: String,
    },
}

/// `cargo v test`.
#[derive(Args, Debug)]
pub struct Test {
    /// Only tests whose name contains one of these; a scenario's whole name means that scenario alone
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    /// The long tests too
    #[arg(long)]
    pub soak: bool,

    /// List the scenarios and what each is about
    #[arg(long)]
    pub list: bool,

    /// Nodes that run at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub jobs: u8,
}

/// `cargo v bench`.
#[derive(Args, Debug)]
pub struct Bench {
    /// Measure what is done by that many nodes, on a network of their own, rather than by one
    ///
    /// With 2: messages, pages, copies and programs between two. With 3: programs that select a node, move, and work in
    /// parallel.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = bench_node_count, allow_negative_numbers = true)]
    pub nodes: u8,

    /// Measure what files on a disk take, rather than what a node does without
    #[arg(long, conflicts_with = "nodes")]
    pub disk: bool,

    /// Measure this system too, in the same run
    ///
    /// Linux is Debian's, fetched by apt when it is needed for the first time.
    #[arg(long, value_enum)]
    pub peer: Option<Peer>,

    /// Write the table to this file too, as a JSON array
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the boot and kernel log to this file
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

/// What can be measured beside V.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// Debian's Linux
    Linux,
}

/// `cargo v debug`.
#[derive(Args, Debug)]
pub struct Debug {
    /// The node.
    #[command(flatten)]
    pub node: NodeOptions,

    /// Start GDB in this terminal; the node's console then goes to the log only
    #[arg(long)]
    pub gdb: bool,

    /// Load the symbols of this program too; repeatable
    #[arg(long, value_name = "NAME")]
    pub program: Vec<String>,

    /// TCP port of QEMU's GDB stub, on this host only
    #[arg(long, value_name = "PORT", default_value_t = GDB_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
}

/// `cargo v book`.
#[derive(Args, Debug)]
pub struct Book {
    /// The folder for the pages; without this, target/v/book
    #[arg(long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
}

/// `cargo v image`.
#[derive(Args, Debug)]
pub struct Image {
    /// Write an image for a CD or a USB stick to this file; without this and --netboot, to v.iso
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Write the files for machines that start over the network into this folder
    ///
    /// They are bios.pxe and uefi.efi, to be named to machines by DHCP, boot.ipxe for iPXE, and what those load.
    #[arg(long, value_name = "DIR")]
    pub netboot: Option<PathBuf>,

    /// Have machines that start over the network get programs and all other files from the node of this name
    #[arg(long, value_name = "NODE", requires = "netboot", conflicts_with_all = ["output", "exec"])]
    pub files_from: Option<String>,

    /// Have the machine with the image start others over the network, as nodes without files: it answers DHCP and TFTP
    #[arg(long, conflicts_with = "netboot")]
    pub boot_server: bool,

    /// Run these shell lines at the console before its shell
    #[arg(long, value_name = "LINES", allow_hyphen_values = true)]
    pub exec: Option<String>,

    /// The node's name; machines that start over the network are called by the last part of their addresses, as in node7
    #[arg(long, value_name = "NAME", default_value = "node1")]
    pub name: String,

    /// The domain that the node is in, from 0 to 8191
    #[arg(long, value_name = "NUMBER", default_value_t, allow_negative_numbers = true)]
    pub domain: DomainNumber,

    /// Put a host file or folder under `[boot]`, as with `cargo v run`; repeatable
    #[arg(long, value_name = "HOSTPATH")]
    pub add: Vec<PathBuf>,

    /// Put the programs that only tests use into `[boot]bin` too
    #[arg(long)]
    pub test_programs: bool,
}

/// `cargo v new`.
#[derive(Args, Debug)]
pub struct New {
    /// Name of the program; with a path before it, where the crate goes
    #[arg(value_name = "NAME")]
    pub path: PathBuf,
}

fn bench_node_count(text: &str) -> Result<u8, String> {
    let count = text.parse().ok().filter(|count| (1..=3).contains(count));
    count.ok_or_else(|| "there are measurements of 1, 2 and 3 nodes only".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(seconds @ 1..=31_536_000) => Ok(Duration::from_secs(seconds)),
        _ => Err("a whole number of seconds, from 1 to 31536000 (one year)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wiring::CardKind;
    use anyhow::bail;
    use clap::CommandFactory;

    #[test]
    fn the_declarations_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_run_has_the_documented_options() {
        let arguments = Arguments::try_parse_from([
            "cargo v",
            "run",
            "--exec",
            "-x; echo hi",
            "--memory",
            "64,2:32",
            "--add",
            "a",
            "--add",
            "b",
            "--timeout",
            "9",
            "--accel",
            "tcg",
            "--icount",
            "--log",
            "boot.log",
        ])
        .unwrap();
        let Command::Run(run) = arguments.command else { panic!("a run was asked for") };
        assert_eq!(run.exec.as_deref(), Some("-x; echo hi"));
        assert_eq!(run.timeout, Some(Duration::from_secs(9)));
        assert_eq!((run.node.memory.of(0).0, run.node.memory.of(1).0), (64, 32));
        assert_eq!(run.node.add, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(run.node.accel, Accel::Tcg);
        assert!(run.node.icount);
    }

    fn domain(arguments: &[&str]) -> Result<DomainOptions> {
        let arguments = [&["cargo v", "run", "--exec", "true"], arguments].concat();
        match Arguments::try_parse_from(arguments)?.command {
            Command::Run(run) => run.domain.check(run.node.icount).map(|()| run.domain),
            _ => bail!("a run was asked for"),
        }
    }

    #[test]
    fn a_domain_has_the_documented_options() {
        let domain = domain(&[
            "--nodes",
            "3",
            "--exec-on",
            "3",
            "-x",
            "--loss",
            "0.5%",
            "--delay",
            "20",
            "--card",
            "2:e1000e",
            "--domain",
            "7",
            "--partition",
            "1|2-3 after 1s",
            "--seed",
            "7",
        ])
        .unwrap();
        assert_eq!(domain.lines().unwrap(), [None, None, Some("-x".to_owned())]);
        let impairments = domain.impairments();
        assert_eq!((impairments.seed, impairments.delay), (7, Duration::from_millis(20)));
        assert_eq!(impairments.loss, "0.5".parse().unwrap());
        assert_eq!(impairments.nodes_named(), 3);
        let wiring = domain.wiring();
        assert_eq!((wiring.card.of(1), wiring.domain.of(0).0), (&CardKind::E1000e, 7));
    }

    #[test]
    fn what_is_said_of_nodes_that_are_not_there_is_an_error() {
        let complaint = |arguments: &[&str]| domain(arguments).unwrap_err().to_string();
        assert!(complaint(&["--partition", "1|2"]).contains("names node 2"));
        assert!(complaint(&["--nodes", "2", "--card", "3:e1000"]).contains("names node 3"));
        assert!(complaint(&["--pcap", "x"]).contains("--nodes"));
        assert!(complaint(&["--nodes", "2", "--icount"]).contains("--icount"));
        assert!(complaint(&["--nodes", "2", "--loss", "101"]).contains("no percentage"));
        let lines = |node: &str| domain(&["--nodes", "2", "--exec-on", node, "x"]).unwrap().lines();
        assert!(lines("1").unwrap_err().to_string().contains("--exec is for node 1"));
        assert!(lines("3").unwrap_err().to_string().contains("no such node"));
        assert!(lines("2").is_ok());
    }

    #[test]
    fn mistakes_are_named_with_what_is_valid() {
        let complaint = |arguments: &[&str]| Arguments::try_parse_from(arguments).unwrap_err().to_string();
        assert!(complaint(&["cargo v", "rum"]).contains("'run'"));
        assert!(complaint(&["cargo v", "run", "--accel", "hvf"]).contains("auto, kvm, tcg"));
        assert!(complaint(&["cargo v", "run", "--memory", "1"]).contains("from 4 to 1048576"));
        assert!(complaint(&["cargo v", "run", "--timeout", "0"]).contains("whole number of seconds"));
        assert!(complaint(&["cargo v", "run", "--memroy", "64"]).contains("--memory"));
        for count in ["0", "4", "-1", "three"] {
            assert!(complaint(&["cargo v", "bench", "--nodes", count]).contains("of 1, 2 and 3 nodes only"));
        }
    }
}
