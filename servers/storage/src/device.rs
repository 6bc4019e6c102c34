//! The disk: an instance of a driver's, read and written by blocks.
//!
//! **A driver that ends** is started again, and what it did not answer is asked again: by block, so that it does no harm if
//! it was done before. Whoever waits for a file sees only that it takes longer. What was written and answered lies in the
//! device, whose cache survives its driver, and the next flush makes it safe.

use abi::{Error, PAGE_BYTES};
use alloc::string::String;
use alloc::vec;
use io_server::System as _;
use io_server::serve::Kernel;
use protocols::block::{Geometry, block};
use protocols::io::{io, mode};
use v::file::File;
use v::io::Instance;
use v::log;
use v::memory::Pages;
use v::prelude::*;
use v::time::{self, Duration};
use volume::{Disk, Memory};

/// How long a driver may take to come back.
const PATIENCE_NS: u64 = 60_000_000_000;
const PAUSE: Duration = Duration::from_millis(50);

/// A disk or a partition.
#[derive(Debug)]
pub struct Device {
    name: String,
    serial: String,
    file: File,
    largest_bytes: usize,
    bytes: u64,
}

impl Device {
    /// Opens the one of that name, for writing too.
    pub fn open(name: &str) -> Result<Device, Error> {
        let file = File::open_with(name, mode::READ | mode::WRITE)?;
        let mut place = vec![0; Geometry::MAX_BYTES];
        let query = block::QueryGeometry { instance: file.instance().number };
        let count = v::call(file.instance().server, &query, Segment::Write(&mut place))?.count as usize;
        let geometry = place.get(..count).and_then(Geometry::decode).ok_or(Error::BadReply)?;
        // Blocks are the machine's pages here.
        if geometry.block_bytes == 0 || !(PAGE_BYTES as u32).is_multiple_of(geometry.block_bytes) {
            return Err(Error::NotSupported);
        }
        let largest = geometry.largest_transfer_bytes as usize / PAGE_BYTES as usize;
        Ok(Device {
            name: String::from(name),
            serial: String::from(geometry.serial),
            largest_bytes: largest.max(1) * PAGE_BYTES as usize,
            bytes: geometry.bytes(),
            file,
        })
    }

    /// The serial number of the disk.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Does something with the instance, again and again while the driver is being restarted.
    fn ask<T>(&mut self, mut what: impl FnMut(&Instance) -> Result<T, Error>) -> Result<T, Error> {
        let end_ns = time::now_ns() + PATIENCE_NS;
        loop {
            let error = match what(&self.file.instance()) {
                Err(
                    error @ (Error::NonexistentProcess
                    | Error::StaleProcess
                    | Error::DiedBeforeReply
                    | Error::BadInstance),
                ) => error,
                outcome => return outcome,
            };
            log::warning!("{}: {error}; what it did not answer is asked again", self.name);
            while let Err(error) = self.open_again() {
                if time::now_ns() > end_ns {
                    return Err(error);
                }
                time::sleep(PAUSE)?;
            }
        }
    }

    fn open_again(&mut self) -> Result<(), Error> {
        // An operation on the file would look for its server anew; opening it under its name does too.
        let again = Device::open(&self.name)?;
        if again.bytes != self.bytes {
            return Err(Error::DeviceError);
        }
        self.file = again.file;
        Ok(())
    }
}

impl Disk for Device {
    fn blocks(&self) -> u64 {
        self.bytes / PAGE_BYTES
    }

    fn read(&mut self, first: u64, place: &mut [u8]) -> Result<(), Error> {
        let mut done = 0;
        while done < place.len() {
            let end = place.len().min(done + self.largest_bytes);
            let position = first * PAGE_BYTES + done as u64;
            let part = &mut place[done..end];
            let count = self.ask(|instance| {
                let request = io::Read { instance: instance.number, position };
                v::call(instance.server, &request, Segment::Write(&mut *part))
            })?;
            match count.count as usize {
                0 => return Err(Error::EndOfFile),
                count => done += count.min(end - done),
            }
        }
        Ok(())
    }

    fn expect(&mut self, first: u64, blocks: u64) {
        v::disk::expect(&self.file.instance(), first * PAGE_BYTES, blocks * PAGE_BYTES);
    }

    fn write(&mut self, first: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut done = 0;
        while done < bytes.len() {
            let end = bytes.len().min(done + self.largest_bytes);
            let position = first * PAGE_BYTES + done as u64;
            let part = &bytes[done..end];
            let count = self.ask(|instance| {
                let request = io::Write { instance: instance.number, position };
                v::call(instance.server, &request, Segment::Read(part))
            })?;
            match count.count as usize {
                0 => return Err(Error::DeviceError),
                count => done += count.min(end - done),
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.ask(Instance::synchronize)
    }
}

impl Memory for Device {
    type Pages = Pages;

    fn allocate(&mut self, bytes: usize) -> Result<Pages, Error> {
        Pages::new(bytes)
    }

    fn discard(&mut self, page: &mut [u8]) -> Result<(), Error> {
        Kernel.discard(page)
    }

    fn make_present(&mut self, address: usize, pages: u32) -> Result<(), Error> {
        Kernel.make_present(address, pages)
    }
}
