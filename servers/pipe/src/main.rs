//! The pipe server.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use io_server::{IoServer, Limits};
use pipe_server::PipeServer;
use v::prelude::*;

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    let server = IoServer::new(PipeServer::new(), Limits::default());
    io_server::serve_prefixes(server, &[("pipe", 0)])
}
