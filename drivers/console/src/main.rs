//! The driver of virtio console devices, each as a line of bytes.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use hardware::device::Device;
use io_server::{IoServer, Limits};
use v::log;
use v::prelude::*;
use virtio_console::Port;
use virtio_console::line::Line;
use virtio_console::server::{LineServer, PREFIX};

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    log::use_kernel_log();
    let mut lines = Vec::new();
    for device in Device::all_of(v::env::program_name())? {
        match Port::start(&device) {
            Ok(port) => lines.push(Line::new(port)),
            Err(error) => log::error!("{}: cannot start the device: {error}", device.address()),
        }
    }
    if lines.is_empty() {
        v::server::ready();
        v::process::exit(0);
    }
    io_server::serve_prefixes(IoServer::new(LineServer::new(lines), Limits::default()), &[(PREFIX, 0)])
}
