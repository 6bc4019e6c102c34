//! The network server.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use hardware::device::Device;
use network_server::server::NetworkServer;
use protocols::network::MAX_FRAME_BYTES;
use v::prelude::*;
use v::server::{self, Options};
use v::{env, log};

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    // It sends to no server once it runs, the log server included.
    log::use_kernel_log();
    let mut network = NetworkServer::new();
    let service = env::program_name();
    for device in Device::all_of(service)? {
        match network_card::start(&device) {
            Ok(card) => network.add(&device, card),
            Err(error) => log::error!("{}: cannot start the card: {error}", device.address()),
        }
    }
    if network.count() == 0 {
        return Err(Error::DeviceError);
    }
    server::register_prefix("network", 0)?;
    server::ready();
    let options = Options { buffer_bytes: MAX_FRAME_BYTES, ..Options::default() };
    server::serve(&mut network, options)
}
