//! What can be asked of the tool. The comments here are what `--help` prints.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// Boot a node and use its shell
    ///
    /// Builds the system, boots it in QEMU and connects this terminal to its console. Ctrl-] leaves and ends the node;
    /// every other key goes to the node.
    ///
    /// With --exec, runs shell lines instead: this tool's standard input, output and error are the commands', and its
    /// exit status is that of the last command, 124 if the time ran out, or 125 if the system failed.
    Run(Run),
    /// Run the tests: those on the host, then those on booted nodes
    Test(Test),
    /// Measure the system and print its budgets beside its peers' figures
    ///
    /// Counts guest instructions in QEMU's deterministic mode. Ends with status 1 if a figure exceeds its budget.
    Bench(Bench),
    /// Boot a node that waits for a debugger
    Debug(Debug),
    /// Make a crate for a program of one's own
    ///
    /// The crate builds against this checkout of V, wherever it lies, and runs with `cargo v run --add PATH`.
    New(New),
}

/// How a node is made up, in every command that boots one.
#[derive(Args, Clone, Debug)]
pub struct NodeOptions {
    /// Memory of the node, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(4..=1_048_576))]
    pub memory: u32,

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

    /// Write the boot and kernel log to this file
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,

    /// Put the programs that only tests use into `[boot]bin` too
    #[arg(long)]
    pub test_programs: bool,
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

    /// End after this time, counted from the node's start
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
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
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub jobs: u8,
}

/// `cargo v bench`.
#[derive(Args, Debug)]
pub struct Bench {
    /// Write the table to this file too, as a JSON array
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the boot and kernel log to this file
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
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
    #[arg(long, value_name = "PORT", default_value_t = 1234, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
}

/// `cargo v new`.
#[derive(Args, Debug)]
pub struct New {
    /// Name of the program; with a path before it, where the crate goes
    #[arg(value_name = "NAME")]
    pub path: PathBuf,
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
            "64",
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
        assert_eq!(run.node.memory, 64);
        assert_eq!(run.node.add, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(run.node.accel, Accel::Tcg);
        assert!(run.node.icount);
    }

    #[test]
    fn mistakes_are_named_with_what_is_valid() {
        let complaint = |arguments: &[&str]| Arguments::try_parse_from(arguments).unwrap_err().to_string();
        assert!(complaint(&["cargo v", "rum"]).contains("'run'"));
        assert!(complaint(&["cargo v", "run", "--accel", "hvf"]).contains("auto, kvm, tcg"));
        assert!(complaint(&["cargo v", "run", "--memory", "1"]).contains("4..=1048576"));
        assert!(complaint(&["cargo v", "run", "--timeout", "0"]).contains("whole number of seconds"));
        assert!(complaint(&["cargo v", "run", "--memroy", "64"]).contains("--memory"));
    }
}
