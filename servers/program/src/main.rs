//! The node's program manager.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use program_server::manage::{Managing, SWEEP_NS};
use protocols::moving::MOST_PUT_BYTES;
use v::abi::kernel::{self, group, well_known_group};
use v::prelude::*;
use v::server::{self, Options};

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    let own = v::process::own_pid()?;
    let mut managing = Managing::new(v::entry::information().total_frames, own)?;
    // Before anybody finds this manager: who waited for a program with an earlier one asks here next.
    managing.adopt_orphans()?;
    for group in [well_known_group::PROGRAM_MANAGERS, well_known_group::ALL_PROGRAM_MANAGERS] {
        let join = group::Join { group, process: own };
        call(kernel::server(kernel::GROUP), &join, Segment::None)?;
    }
    server::register_prefix("program", 0)?;
    server::ready();
    // What is put into programs that come comes with its request.
    let options = Options { buffer_bytes: MOST_PUT_BYTES, tick_ns: SWEEP_NS };
    server::serve(&mut managing, options)
}
