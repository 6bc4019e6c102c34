//! `test-clock`: sets the clock of one node an hour ahead, before anyone has looked at it.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use v::prelude::*;
use v::{node, time};

v_start::program!(main);

const HOUR_NS: u64 = 3_600_000_000_000;

fn main() -> Result<(), Error> {
    v::server::ready();
    if node::number() == Some(2) {
        time::set_real_ns(time::real_ns() + HOUR_NS)?;
    }
    Ok(())
}
