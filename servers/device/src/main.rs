//! `[device]`.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use device_server::{DeviceServer, Supervisor};
use io_server::{IoServer, Limits};
use v::prelude::*;

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    let server = DeviceServer::new(Supervisor)?;
    io_server::serve_prefixes(IoServer::new(server, Limits::default()), &[("device", 0)])
}
