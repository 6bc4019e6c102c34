//! The file server: `[boot]` and `[tmp]`.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use io_server::{IoServer, Limits};
use ramfs_server::{FileServer, Quota};
use v::log;
use v::prelude::*;
use v::protocols::supervisor::{ARCHIVE_VARIABLE, ArchivePlace};

v_start::program!(main);

fn main() -> Result<Infallible, Error> {
    let memory_bytes = v::entry::information().total_frames * v::abi::PAGE_BYTES;
    let mut files = FileServer::new(Quota::for_memory(memory_bytes), v::time::real_ns());
    if let Err(error) = add_boot_archive(&mut files) {
        log::error!("[boot] is empty: {error}");
    }
    let prefixes = [("boot", files.boot_context()), ("tmp", files.temporary_context())];
    io_server::serve_prefixes(IoServer::new(files, Limits::default()), &prefixes)
}

/// The supervisor says where the archive is, and grants it.
fn add_boot_archive(files: &mut FileServer) -> Result<(), Error> {
    let place = v::env::variable(ARCHIVE_VARIABLE).ok_or(Error::NotFound)?;
    let place: ArchivePlace = place.parse().map_err(|_| Error::BadArgument)?;
    let bytes = usize::try_from(place.bytes).map_err(|_| Error::TooLong)?;
    let archive = hardware::physical::map(place.physical, bytes)?;
    if let Err(damage) = files.add_archive(archive) {
        log::error!("[boot] is not whole: {damage}");
    }
    Ok(())
}
