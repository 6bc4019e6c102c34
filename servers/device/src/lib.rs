//! The machine's devices as names: `[device]00:02.0` and so on, each a text of what is known of the device.
//!
//! The supervisor has the devices; this server asks it, so that the supervisor needs to know nothing of instances and
//! names. Which devices there are doesn't change while the machine runs; what becomes of each does, so a text is
//! made when its device is opened.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod text;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::{Error, UserId};
use io_server::listing::{Flat, flat_root, slice_at};
use io_server::{Client, Listing, Opening, Reading, Service, System};
use pci::Address;
use protocols::device::DeviceRecord;
use protocols::io::{attribute, mode};
use protocols::names::{Descriptor, kind};

/// Where the devices are known.
pub trait Devices {
    /// The device at a position; none behind the last one.
    fn query<'b>(
        &mut self,
        position: u32,
        buffer: &'b mut [u8; DeviceRecord::MAX_BYTES],
    ) -> Result<Option<DeviceRecord<'b>>, Error>;
}

/// The supervisor that started this service.
#[derive(Clone, Copy, Debug)]
pub struct Supervisor;

impl Devices for Supervisor {
    fn query<'b>(
        &mut self,
        position: u32,
        buffer: &'b mut [u8; DeviceRecord::MAX_BYTES],
    ) -> Result<Option<DeviceRecord<'b>>, Error> {
        v::device::query(v::entry::creator(), position, buffer)
    }
}

/// The server.
#[derive(Debug)]
pub struct DeviceServer<D> {
    devices: D,
    names: Vec<String>,
}

impl<D: Devices> DeviceServer<D> {
    /// A server of the devices that there are now.
    pub fn new(mut devices: D) -> Result<DeviceServer<D>, Error> {
        let mut names = Vec::new();
        let mut buffer = [0; DeviceRecord::MAX_BYTES];
        while let Some(record) = devices.query(names.len() as u32, &mut buffer)? {
            names.push(Address::from_bits(record.address as u16).to_string());
        }
        Ok(DeviceServer { devices, names })
    }

    fn resolve(&self, context: u32, path: &[u8]) -> Result<Flat, Error> {
        Flat::resolve(context, path, self.names.iter().map(String::as_str))
    }

    /// A device's size is that of its text, which is not known until it is opened.
    fn descriptor(&self, at: usize) -> Descriptor<'_> {
        Descriptor {
            kind: kind::DEVICE,
            attributes: attribute::READABLE,
            owner: UserId::SYSTEM.0,
            size: 0,
            modified_ns: 0,
            created_ns: 0,
            object: 1 + at as u64,
            name: &self.names[at],
        }
    }
}

impl<D: Devices> Service for DeviceServer<D> {
    type Open = String;

    fn open(
        &mut self,
        _client: &Client,
        context: u32,
        path: &[u8],
        mode: u32,
        _system: &mut dyn System,
    ) -> Result<Opening<String>, Error> {
        let device = match (self.resolve(context, path)?, mode & mode::DIRECTORY != 0) {
            (Flat::Root, true) => {
                let mut listing = Listing::new();
                for at in 0..self.names.len() {
                    listing.push(&self.descriptor(at));
                }
                return Ok(Opening::Directory(listing));
            }
            (Flat::Root, false) => return Err(Error::IsADirectory),
            (Flat::Object(_), true) => return Err(Error::NotADirectory),
            (Flat::Object(device), false) => device,
        };
        if mode & !mode::READ != 0 {
            return Err(Error::ReadOnly);
        }
        let mut buffer = [0; DeviceRecord::MAX_BYTES];
        let record = self.devices.query(device as u32, &mut buffer)?.ok_or(Error::NotFound)?;
        let open = text::of(&record);
        let size = open.len() as u64;
        Ok(Opening::Object { open, attributes: attribute::READABLE, block_bytes: 4096, size })
    }

    fn size(&mut self, open: &String) -> u64 {
        open.len() as u64
    }

    fn read<'a>(
        &'a mut self,
        _client: &Client,
        open: &'a mut String,
        position: u64,
        room: usize,
        _system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        Ok(Reading::Data(slice_at(open.as_bytes(), position, room)))
    }

    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        Ok(match self.resolve(context, path)? {
            Flat::Root => flat_root(self.names.len()),
            Flat::Object(at) => self.descriptor(at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::{Access, Pid};
    use io_server::testing::TestSystem;
    use io_server::{IoServer, Limits};
    use protocols::device::{BarRecord, bar, state};
    use protocols::io::io;
    extern crate std;
    use std::vec;

    /// A machine with one device.
    struct One;

    impl Devices for One {
        fn query<'b>(
            &mut self,
            position: u32,
            buffer: &'b mut [u8; DeviceRecord::MAX_BYTES],
        ) -> Result<Option<DeviceRecord<'b>>, Error> {
            let mut configuration = [0; protocols::device::CONFIGURATION_BYTES];
            configuration[..12].copy_from_slice(&[0xf4, 0x1a, 0x41, 0x10, 7, 0, 0x10, 0, 1, 0, 0, 2]);
            configuration[0x34] = 0x40;
            configuration[0x40..0x44].copy_from_slice(&[0x11, 0, 2, 0]);
            let mut bars = [BarRecord::default(); 6];
            bars[1] = BarRecord { kind: bar::MEMORY, start: 0xfe00_0000, count: 0x1000 };
            let record = DeviceRecord {
                address: 0x10,
                state: state::RUNNING,
                line: 128,
                bars,
                configuration,
                service: "network",
            };
            record.encode(buffer).unwrap();
            Ok((position == 0).then(|| DeviceRecord::decode(buffer).unwrap()))
        }
    }

    #[test]
    fn a_device_is_a_text() {
        let mut system = TestSystem::new();
        let client = system.process(UserId(100));
        let mut server = IoServer::new(DeviceServer::new(One).unwrap(), Limits::default());
        let open = |mode| io::Open { context: 0, mode, owner: Pid::NONE };
        let instance = system.say(&mut server, client, &open(mode::READ), b"00:02.0").unwrap().instance;
        let read = io::Read { instance, position: 0 };
        let (done, segment) = system.call(&mut server, client, &read, vec![0; 4096], Access::WRITE).unwrap();
        let text = core::str::from_utf8(&segment[..done.count as usize]).unwrap();
        assert_eq!(
            text,
            "device     00:02.0\nidentity   1af4:1041\nclass      02.00.00, Ethernet controller\nrevision   1\n\
             service    network\nstate      running\ninterrupts message line 128; the device has 3\n\
             bar 1      memory 0xfe000000-0xfe000fff\n"
        );
        for (mode, name, error) in [
            (mode::READ, "00:02.1", Error::NotFound),
            (mode::READ | mode::WRITE, "00:02.0", Error::ReadOnly),
            (mode::READ, "", Error::IsADirectory),
            (mode::READ | mode::DIRECTORY, "00:02.0", Error::NotADirectory),
        ] {
            assert_eq!(system.say(&mut server, client, &open(mode), name.as_bytes()), Err(error), "{name}");
        }
    }
}
