//! The network server.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use hardware::device::Device;
use network_server::domain::Domain;
use network_server::frames::Frames;
use network_server::server::NetworkServer;
use v::prelude::*;
use v::{env, log, server};

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    // It sends to no server once it runs, the log server included.
    log::use_kernel_log();
    let mut frames = Frames::new();
    let service = env::program_name();
    let link_content = v::node::link_content().unwrap_or(network_card::ORDINARY_CONTENT);
    for device in Device::all_of(service)? {
        match network_card::start(&device, link_content) {
            Ok(card) => frames.add(&device, card),
            Err(error) => log::error!("{}: cannot start the card: {error}", device.address()),
        }
    }
    let own = v::process::own_pid()?.host();
    let domain = Domain::start(frames.domain_card().ok_or(Error::DeviceError)?, own)?;
    server::register_prefix("network", 0)?;
    server::ready();
    NetworkServer::new(frames, domain).serve()
}
