//! The driver of virtio console devices, each as a line of bytes.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use hardware::device::Device;
use io_server::{IoServer, Limits, LineServer};
use v::log;
use v::prelude::*;
use virtio_console::Port;
use virtio_console::line::WireLine;

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    log::use_kernel_log();
    let (mut server, mut count) = (LineServer::new(), 0);
    for device in Device::all_of(v::env::program_name())? {
        match Port::start(&device) {
            Ok(port) => {
                server.add(count.to_string(), WireLine::new(port));
                count += 1;
            }
            Err(error) => log::error!("{}: cannot start the device: {error}", device.address()),
        }
    }
    if count == 0 {
        v::server::ready();
        v::process::exit(0);
    }
    io_server::serve_prefixes(IoServer::new(server, Limits::default()), &[("port", 0)])
}
