//! `[null]` and `[zero]`.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use io_server::{IoServer, Limits};
use null_server::{NULL_CONTEXT, NullServer, ZERO_CONTEXT};
use v::prelude::*;

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    let server = IoServer::new(NullServer::new(), Limits::default());
    io_server::serve_prefixes(server, &[("null", NULL_CONTEXT), ("zero", ZERO_CONTEXT)])
}
