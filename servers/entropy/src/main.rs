//! The entropy server. Its seed is the random numbers of the processor and of a device, where there are such, the clocks, and how
//! long things take.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use entropy_server::{EntropyServer, Pool};
use io_server::{IoServer, Limits};
use v::abi::kernel::{self, statistics};
use v::file::File;
use v::log;
use v::prelude::*;

/// How often the time that a message takes is measured for the seed.
const TIMINGS: usize = 256;
/// What the driver of such a device registers.
const DEVICE_PREFIX: &str = "random";
/// Bytes that are asked of it, at the start and then not more often than so.
const DEVICE_BYTES: usize = 64;
const DEVICE_PAUSE_NS: u64 = 60_000_000_000;

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    let mut device = Device::find();
    let pool = seeded(&mut device);
    let server = EntropyServer::new(pool, move |pool| {
        for number in [hardware::random::number().unwrap_or(0), v::entry::time_stamp_counter()] {
            pool.mix(&number.to_le_bytes());
        }
        device.mix_into(pool);
    });
    io_server::serve_prefixes(IoServer::new(server, Limits::default()), &[("entropy", 0)])
}

/// A device of random numbers, if there is one.
struct Device {
    file: Option<File>,
    /// When it is asked again.
    next_ns: u64,
}

impl Device {
    fn find() -> Device {
        // Whoever asks for a prefix that no node has waits for all of them.
        let prefixes = v::name::global_prefixes().unwrap_or_default();
        let is_there = prefixes.iter().any(|(prefix, ..)| prefix == DEVICE_PREFIX);
        let file = is_there.then(|| File::open("[random]")).and_then(Result::ok);
        Device { file, next_ns: 0 }
    }

    /// Mixes in what it gives, if it was not asked just now. True if it gave something. It may have died, or be mute: then it
    /// is asked some other time.
    fn mix_into(&mut self, pool: &mut Pool) -> bool {
        let Some(file) = &self.file else { return false };
        let now_ns = v::time::now_ns();
        if now_ns < self.next_ns {
            return false;
        }
        self.next_ns = now_ns + DEVICE_PAUSE_NS;
        let mut bytes = [0; DEVICE_BYTES];
        let count = file.read_at(0, &mut bytes).unwrap_or(0);
        pool.mix(&bytes[..count]);
        count > 0
    }
}

fn seeded(device: &mut Device) -> Pool {
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
    let has_device = device.mix_into(&mut pool);
    if numbers.is_empty() && !has_device {
        log::warning!("neither processor nor a device gives random numbers: [entropy] knows clocks alone");
    }
    pool
}
