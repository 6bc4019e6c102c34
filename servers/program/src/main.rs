//! The node's program manager.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use program_server::manage::Managing;
use v::abi::kernel::{self, group, well_known_group};
use v::prelude::*;
use v::server::{self, Options};

/// How often the manager looks for programs that nobody will ask for any more.
const TICK_NS: u64 = 2_000_000_000;

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    let own = v::process::own_pid()?;
    let join = group::Join { group: well_known_group::PROGRAM_MANAGERS, process: own };
    call(kernel::server(kernel::GROUP), &join, Segment::None)?;
    let mut managing = Managing::new(v::entry::information().total_frames, own)?;
    // Before anybody finds this manager: who waited for a program with an earlier one asks here next.
    managing.adopt_orphans()?;
    server::register_prefix("program", 0)?;
    server::ready();
    server::serve(&mut managing, Options { tick_ns: TICK_NS, ..Options::default() })
}
