//! Keeps the node's real-time clock in step with the domain's.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use clock_server::{PERIOD_NS, Reading, correction_ns, leader};
use v::log;
use v::node;
use v::prelude::*;
use v::time::{self, Duration};

v_start::program!(main);

/// Corrections below this are not worth telling at each look.
const WORTH_TELLING_NS: u64 = 1_000_000;

/// Ends where there is no network, and so nobody to ask.
fn main() -> Result<(), Error> {
    v::server::ready();
    loop {
        match look() {
            Err(Error::NoNetwork) => return Ok(()),
            Err(error) => log::warning!("the others' clocks cannot be read: {error}"),
            Ok(()) => {}
        }
        time::sleep(Duration::from_nanos(PERIOD_NS))?;
    }
}

/// Asks who is there, and follows the leader.
fn look() -> Result<(), Error> {
    let hosts = node::all()?;
    let Some((own, others)) = hosts.split_first() else { return Ok(()) };
    let own = (own.logical_host, node::read_clocks(own.logical_host)?);
    // One that does not answer any more is not followed.
    let readings = others
        .iter()
        .filter_map(|host| Some((host.logical_host, node::read_clocks_surely(host.logical_host).ok()?)));
    let Some((host, reading)) = leader(&own, readings.collect::<Vec<Reading>>()) else { return Ok(()) };
    let Some(correction_ns) = correction_ns(&reading) else { return Ok(()) };
    time::set_real_ns(time::real_ns().wrapping_add_signed(correction_ns))?;
    if correction_ns.unsigned_abs() >= WORTH_TELLING_NS {
        let name = hosts.iter().find(|record| record.logical_host == host).and_then(|record| record.name());
        log::notice!(
            "set the clock by {} us, after {}'s, to within {} us",
            correction_ns / 1000,
            name.unwrap_or("a node"),
            reading.error_ns() / 1000
        );
    }
    Ok(())
}
