//! The node's naming server.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use naming_server::answer::Answering;
use v::abi::kernel::{self, group, well_known_group};
use v::prelude::*;
use v::server::{self, Options};

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    // The log server is found through this one.
    v::log::use_kernel_log();
    let own = v::process::own_pid()?;
    let mut answering = Answering::new(v::entry::creator(), own)?;
    for group in [well_known_group::NAMING, well_known_group::ALL_NAMING] {
        let join = group::Join { group, process: own };
        call(kernel::server(kernel::GROUP), &join, Segment::None)?;
    }
    server::ready();
    server::serve(&mut answering, Options::default())
}
