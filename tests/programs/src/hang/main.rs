//! A service that hangs: `test-hang serve` says that it is ready and never receives anything. `test-hang ask PID` sends
//! to it, and says how that ends; `suspend PID` and `resume PID` do to the service what they say. As the service
//! `test-hang revolt` it ends the supervisor when something is sent to it.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;
use core::time::Duration;

use v::abi::call::FOREVER;
use v::abi::kernel::{self, PROCESS, process};
use v::prelude::*;
use v::protocols::io::io::QueryInstance;
use v::{env, message, name, server, time};

/// How long one of the sleeps lasts that the service spends its life in.
const NAP: Duration = Duration::from_hours(1);

v_start::program!(main);

fn main() -> i32 {
    let word = env::arguments().nth(1).unwrap_or_default();
    let done = match word {
        "serve" => serve().map(|never| match never {}),
        "revolt" => revolt(),
        "ask" => ask(),
        "suspend" => suspend(),
        "resume" => resume(),
        _ => Err(Error::BadArgument),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("test-hang: {word}: {error}");
            1
        }
    }
}

fn serve() -> Result<Infallible, Error> {
    server::ready();
    loop {
        time::sleep(NAP)?;
    }
}

fn revolt() -> Result<(), Error> {
    let supervisor = name::resolve("[supervisor]")?.server;
    server::ready();
    message::receive(None, &mut [], FOREVER)?;
    call(kernel::server(PROCESS), &process::Destroy { process: supervisor, status: 7 }, Segment::None)?;
    Ok(())
}

fn service() -> Result<Pid, Error> {
    env::arguments().nth(2).and_then(|word| word.parse().ok()).ok_or(Error::BadArgument)
}

fn ask() -> Result<(), Error> {
    match call(service()?, &QueryInstance { instance: 0 }, Segment::None) {
        Ok(_) => println!("it answers"),
        Err(error) => println!("it does not answer: {error}"),
    }
    Ok(())
}

fn suspend() -> Result<(), Error> {
    call(kernel::server(PROCESS), &process::Suspend { process: service()? }, Segment::None)?;
    Ok(())
}

fn resume() -> Result<(), Error> {
    call(kernel::server(PROCESS), &process::Resume { process: service()? }, Segment::None)?;
    Ok(())
}
