//! `cargo v`. See the library for how it works, `cargo v --help` for what it does.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use host::arguments::{Arguments, Command};
use host::{bench, book, debug, doctor, image, new, run, test, volume};

/// What the tool itself could not do, be it for a mistake in its arguments or for something missing.
const FAILURE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let status = match arguments.command {
        Command::Run(options) => run::run(&options),
        Command::Test(options) => test::test(&options),
        Command::Bench(options) => bench::bench(&options),
        Command::Debug(options) => debug::debug(&options),
        Command::Image(options) => image::image(&options),
        Command::Book(options) => book::book(&options),
        Command::Disk(options) => volume::disk(&options),
        Command::Doctor => doctor::doctor(),
        Command::New(options) => new::new(&options),
    };
    match status {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("v: {error:#}");
            ExitCode::from(FAILURE)
        }
    }
}
