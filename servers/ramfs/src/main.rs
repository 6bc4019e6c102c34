//! The file server: `[boot]` and `[tmp]`; and `[bin]`, the programs in `[boot]bin`.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use io_server::{IoServer, Limits, Service as _};
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
    let boot = files.boot_context();
    let mut prefixes = vec![("boot", boot), ("tmp", files.temporary_context())];
    // An archive without programs has no such directory.
    if let Ok(programs) = files.context(boot, b"bin") {
        prefixes.push(("bin", programs));
    }
    io_server::serve_prefixes(IoServer::new(files, Limits::default()), &prefixes)
}
