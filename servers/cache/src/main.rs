//! The cache of a node: files of other nodes.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use cache_server::FileCache;
use cache_server::jobs::Processes;
use io_server::{IoServer, Limits};
use protocols::cache::CACHE;
use v::prelude::*;

v_start::program!(main);

/// Of the machine's memory, the part for pieces of files.
const SHARE: u64 = 16;

/// Ends where there is no network, and so no other node.
fn main() -> Result<Infallible, Error> {
    if !v::name::is_known_here("network") {
        v::server::ready();
        v::process::exit(0);
    }
    let own = v::process::own_pid()?;
    let most_bytes = v::entry::information().total_frames * v::abi::PAGE_BYTES / SHARE;
    let cache = FileCache::new(Processes::start(own)?, own, most_bytes as usize);
    io_server::serve_prefixes(IoServer::new(cache, Limits::default()), &[(CACHE, 0)])
}
