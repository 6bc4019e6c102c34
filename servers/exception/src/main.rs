//! The exception server.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use exception_server::serve::{Excepting, take_over};
use v::prelude::*;
use v::server::{self, Options};

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    v::log::use_kernel_log();
    let archive = hardware::physical::map_boot_archive().unwrap_or_else(|error| {
        v::log::warning!("functions have no names in reports: {error}");
        &[]
    });
    take_over()?;
    server::ready();
    server::serve(&mut Excepting::new(archive), Options::default())
}
