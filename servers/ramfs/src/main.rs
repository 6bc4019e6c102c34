//! The file server: `[boot]` and `[tmp]`.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use io_server::{IoServer, Limits};
use ramfs_server::{FileServer, Quota};
use v::log;
use v::prelude::*;

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    let memory_bytes = v::entry::information().total_frames * v::abi::PAGE_BYTES;
    let mut files = FileServer::new(Quota::for_memory(memory_bytes), v::time::real_ns());
    match hardware::physical::map_boot_archive() {
        Err(error) => log::error!("[boot] is empty: {error}"),
        Ok(archive) => {
            if let Err(damage) = files.add_archive(archive) {
                log::error!("[boot] is not whole: {damage}");
            }
        }
    }
    let prefixes = [("boot", files.boot_context()), ("tmp", files.temporary_context())];
    io_server::serve_prefixes(IoServer::new(files, Limits::default()), &prefixes)
}
