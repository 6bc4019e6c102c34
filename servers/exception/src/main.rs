//! The exception server.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use exception_server::serve::{Excepting, take_over};
use v::prelude::*;
use v::protocols::supervisor::{ARCHIVE_VARIABLE, ArchivePlace};
use v::server::{self, Options};

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    v::log::use_kernel_log();
    let archive = archive().unwrap_or_else(|error| {
        v::log::warning!("functions have no names in reports: {error}");
        &[]
    });
    take_over()?;
    server::ready();
    server::serve(&mut Excepting::new(archive), Options::default())
}

fn archive() -> Result<&'static [u8], Error> {
    let place = v::env::variable(ARCHIVE_VARIABLE).ok_or(Error::NotFound)?;
    let place: ArchivePlace = place.parse()?;
    let bytes = usize::try_from(place.bytes).map_err(|_| Error::TooLong)?;
    hardware::physical::map(place.physical, bytes)
}
