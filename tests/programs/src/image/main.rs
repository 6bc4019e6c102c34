//! `test-image SERVER [SECONDS]`: has the program manager start a program out of a file of a server, given by a name that
//! it has or by its pid, which the server does not have open; after so many seconds. Says how that ends.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::time::Duration;

use v::prelude::*;
use v::protocols::program::Entry;
use v::protocols::program::program::StartProgram;
use v::{env, name, time};

v_start::program!(main);

fn main() -> Result<(), Error> {
    let server = env::arguments().nth(1).ok_or(Error::BadArgument)?;
    let server = server.parse().or_else(|()| name::resolve(server).map(|place| place.server))?;
    println!("there is {server}");
    let seconds = env::arguments().nth(2).and_then(|word| word.parse().ok()).unwrap_or(0);
    time::sleep(Duration::from_secs(seconds))?;
    let mut block = Vec::new();
    Entry::Argument("none").append(&mut block);
    let start = StartProgram { image_server: server, image_instance: u32::MAX, flags: 0, starter: Pid::NONE };
    let manager = name::resolve("[program]")?.server;
    println!("asking");
    match call(manager, &start, Segment::Read(&block)) {
        Ok(_) => println!("it was started"),
        Err(error) => println!("it was refused: {error}"),
    }
    Ok(())
}
