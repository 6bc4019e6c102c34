//! The driver of virtio devices of random numbers. One device is enough; of several the first is served that starts.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use hardware::device::Device;
use io_server::{IoServer, Limits};
use v::log;
use v::prelude::*;
use virtio_random::device::RandomDevice;
use virtio_random::server::{PREFIX, RandomServer};

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    log::use_kernel_log();
    for device in Device::all_of(v::env::program_name())? {
        match RandomDevice::start(&device) {
            Ok(device) => {
                let server = IoServer::new(RandomServer::new(device), Limits::default());
                return io_server::serve_prefixes(server, &[(PREFIX, 0)]);
            }
            Err(error) => log::error!("{}: cannot start the device: {error}", device.address()),
        }
    }
    v::server::ready();
    v::process::exit(0)
}
