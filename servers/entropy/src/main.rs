//! The entropy server. Its seed is the processor's random numbers, where it has any, the clocks, and how long things
//! take.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use entropy_server::{EntropyServer, Pool};
use io_server::{IoServer, Limits};
use v::abi::kernel::{self, statistics};
use v::log;
use v::prelude::*;

/// How often the time that a message takes is measured for the seed.
const TIMINGS: usize = 256;

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    let server = EntropyServer::new(seeded(), || {
        [hardware::random::number().unwrap_or(0), v::entry::time_stamp_counter()]
    });
    io_server::serve_prefixes(IoServer::new(server, Limits::default()), &[("entropy", 0)])
}

fn seeded() -> Pool {
    let mut pool = Pool::new();
    let information = v::entry::information();
    for number in
        [information.real_base_ns, information.logical_host, information.counter_base, v::time::real_ns()]
    {
        pool.mix(&number.to_le_bytes());
    }
    for _ in 0..TIMINGS {
        // The kernel answers at once; only the time that it takes is of interest.
        let _ = call(kernel::server(kernel::STATISTICS), &statistics::Null {}, Segment::None);
        pool.mix(&v::entry::time_stamp_counter().to_le_bytes());
    }
    let numbers: Vec<u64> = (0..4).map_while(|_| hardware::random::number()).collect();
    for number in &numbers {
        pool.mix(&number.to_le_bytes());
    }
    if numbers.is_empty() {
        log::warning!("the processor has no random numbers: [entropy] knows clocks alone");
    }
    pool
}
