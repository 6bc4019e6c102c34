//! The FAT server: `[fat]`, the files of the first disk or partition that has a FAT volume.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use fat_server::FatServer;
use fat_server::disk::Storage;
use fat_server::volume::Volume;
use io_server::{IoServer, Limits};
use protocols::io::mode;
use v::file::File;
use v::log;
use v::prelude::*;
use v::time::Duration;

v_start::program!(main);

const PREFIX: &str = "fat";
/// How long a disk may be in use, and how often that is looked at.
const PATIENCE_NS: u64 = 5_000_000_000;
const PAUSE: Duration = Duration::from_millis(20);

fn main() -> Result<Infallible, Error> {
    for name in v::disk::names()? {
        match take(&name) {
            Ok(volume) => {
                log::notice!("[{PREFIX}] is {name}");
                return io_server::serve_prefixes(
                    IoServer::new(FatServer::new(volume), Limits::default()),
                    &[(PREFIX, 0)],
                );
            }
            Err(Error::NotFound) => {}
            Err(error) => log::error!("{name}: {error}"),
        }
    }
    // Nor will there be one before the machine starts again.
    v::server::ready();
    v::process::exit(0)
}

/// The volume on a disk, if there is one. Only then is it opened for writing; what an earlier life of this server had open is
/// free a moment later.
fn take(name: &str) -> Result<Volume<Disk>, Error> {
    drop(Volume::find(Disk::open(name, mode::READ)?)?);
    let end_ns = v::time::now_ns() + PATIENCE_NS;
    loop {
        match Disk::open(name, mode::READ | mode::WRITE) {
            Err(Error::Busy) if v::time::now_ns() < end_ns => v::time::sleep(PAUSE)?,
            disk => return Volume::find(disk?),
        }
    }
}

/// A disk or a partition. When its driver is started again, the file finds it.
struct Disk {
    file: File,
    bytes: u64,
}

impl Disk {
    fn open(name: &str, mode: u32) -> Result<Disk, Error> {
        let file = File::open_with(name, mode)?;
        let bytes = file.size()?;
        Ok(Disk { file, bytes })
    }
}

impl Storage for Disk {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read(&mut self, position: u64, place: &mut [u8]) -> Result<(), Error> {
        self.file.read_exact_at(position, place)
    }

    fn expect(&mut self, position: u64, bytes: u64) {
        v::disk::expect(&self.file.instance(), position, bytes);
    }

    fn write(&mut self, position: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut done = 0;
        while done < bytes.len() {
            match self.file.write_at(position + done as u64, &bytes[done..])? {
                0 => return Err(Error::DeviceError),
                count => done += count,
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.file.synchronize()
    }
}
