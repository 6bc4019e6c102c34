//! `[null]` takes everything that is written and gives nothing; `[zero]` gives zeros without end.
//!
//! There are no names in it: the prefix's context says which of the two is meant, and the path is empty.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;

use abi::{Error, UserId};
use io_server::path::{self, Step};
use io_server::{Client, Incoming, Opening, Reading, Service, System, Writing};
use protocols::io::{attribute, mode};
use protocols::names::{Descriptor, kind};

/// The context of `[null]`.
pub const NULL_CONTEXT: u32 = 0;
/// The context of `[zero]`.
pub const ZERO_CONTEXT: u32 = 1;

/// Most zeros at a time.
const ZEROS_BYTES: usize = 64 * 1024;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Device {
    /// Reads give nothing.
    Null,
    /// Reads give zeros.
    Zero,
}

/// The server.
#[derive(Debug)]
pub struct NullServer {
    zeros: Vec<u8>,
}

impl NullServer {
    /// A server.
    pub fn new() -> NullServer {
        NullServer { zeros: vec![0; ZEROS_BYTES] }
    }

    fn device(context: u32, path: &[u8]) -> Result<Device, Error> {
        if path::steps(path).any(|step| step != Step::Up) {
            return Err(Error::NotADirectory);
        }
        match context {
            NULL_CONTEXT => Ok(Device::Null),
            ZERO_CONTEXT => Ok(Device::Zero),
            _ => Err(Error::NotFound),
        }
    }
}

impl Default for NullServer {
    fn default() -> NullServer {
        NullServer::new()
    }
}

impl Service for NullServer {
    type Open = Device;

    fn open(
        &mut self,
        _client: &Client,
        context: u32,
        path: &[u8],
        mode: u32,
        _system: &mut dyn System,
    ) -> Result<Opening<Device>, Error> {
        let device = NullServer::device(context, path)?;
        if mode & mode::DIRECTORY != 0 {
            return Err(Error::NotADirectory);
        }
        if mode & mode::CREATE != 0 && mode & mode::NEW != 0 {
            return Err(Error::AlreadyExists);
        }
        let attributes = attribute::STREAM | attribute::of_mode(mode);
        Ok(Opening::Object { open: device, attributes, block_bytes: ZEROS_BYTES as u32, size: 0 })
    }

    fn read<'a>(
        &'a mut self,
        _client: &Client,
        device: &'a mut Device,
        _position: u64,
        room: usize,
        _system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        Ok(Reading::Data(match device {
            Device::Null => &[],
            Device::Zero => &self.zeros[..room.min(ZEROS_BYTES)],
        }))
    }

    fn write(
        &mut self,
        _client: &Client,
        _device: &mut Device,
        _position: u64,
        data: &Incoming<'_>,
        _system: &mut dyn System,
    ) -> Result<Writing, Error> {
        Ok(Writing::Done(data.bytes() as u32))
    }

    fn set_size(&mut self, _device: &mut Device, _size: u64, _system: &mut dyn System) -> Result<(), Error> {
        Ok(())
    }

    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        self.describe_open(match NullServer::device(context, path)? {
            Device::Null => &Device::Null,
            Device::Zero => &Device::Zero,
        })
    }

    fn describe_open<'a>(&'a mut self, device: &'a Device) -> Result<Descriptor<'a>, Error> {
        Ok(Descriptor {
            kind: kind::DEVICE,
            attributes: attribute::READABLE | attribute::WRITABLE | attribute::STREAM,
            owner: UserId::SYSTEM.0,
            size: 0,
            modified_ns: 0,
            created_ns: 0,
            object: match device {
                Device::Null => 1,
                Device::Zero => 2,
            },
            name: match device {
                Device::Null => "null",
                Device::Zero => "zero",
            },
        })
    }

    fn context(&mut self, _context: u32, _path: &[u8]) -> Result<u32, Error> {
        Err(Error::NotADirectory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::Pid;
    use io_server::testing::TestSystem;
    use io_server::{IoServer, Limits};
    use protocols::io::io;

    #[test]
    fn null_and_zero() {
        let mut system = TestSystem::new();
        let client = system.process(UserId(100));
        let mut server = IoServer::new(NullServer::new(), Limits::default());
        for (context, byte_count) in [(NULL_CONTEXT, 0), (ZERO_CONTEXT, 5)] {
            let open = io::Open {
                context,
                mode: mode::READ | mode::WRITE | mode::CREATE | mode::TRUNCATE,
                owner: Pid::NONE,
            };
            let instance = system.say(&mut server, client, &open, b"").unwrap().instance;
            let write = io::Write { instance, position: u64::MAX };
            let written = system.say(&mut server, client, &write, &[1; 9000]).unwrap();
            assert_eq!(written.count, 9000);
            let read = io::Read { instance, position: 7 };
            let segment = vec![9; 5];
            let (done, segment) =
                system.call(&mut server, client, &read, segment, abi::Access::WRITE).unwrap();
            assert_eq!(done.count as usize, byte_count);
            assert!(segment[..byte_count].iter().all(|byte| *byte == 0));
            assert_eq!(system.say(&mut server, client, &open, b"x"), Err(Error::NotADirectory));
        }
    }
}
