//! The generator as an instance of the I/O protocol. The prefix itself is the device; there are no names in it.

use alloc::vec;
use alloc::vec::Vec;

use abi::{Error, UserId};
use io_server::path::{self, Step};
use io_server::{Client, Incoming, Opening, Reading, Service, System, Writing};
use protocols::io::{attribute, mode};
use protocols::names::{Descriptor, kind};

use crate::pool::Pool;

/// Most bytes that one read gives.
pub const READ_BYTES: usize = 16 * 1024;
/// Most bytes of one write that are looked at.
const MIX_BYTES: usize = 256;

/// The server. `fresh` mixes in what the machine has of randomness at any moment, before each read.
pub struct EntropyServer<F> {
    pool: Pool,
    fresh: F,
    /// Where what is given out lies until the reply; overwritten by the next read.
    drawn: Vec<u8>,
}

impl<F: FnMut(&mut Pool)> EntropyServer<F> {
    /// A server with a seeded pool.
    pub fn new(pool: Pool, fresh: F) -> EntropyServer<F> {
        EntropyServer { pool, fresh, drawn: vec![0; READ_BYTES] }
    }
}

fn check(context: u32, path: &[u8]) -> Result<(), Error> {
    if context != 0 {
        Err(Error::NotFound)
    } else if path::steps(path).any(|step| step != Step::Up) {
        Err(Error::NotADirectory)
    } else {
        Ok(())
    }
}

impl<F: FnMut(&mut Pool)> Service for EntropyServer<F> {
    type Open = ();

    fn open(
        &mut self,
        _client: &Client,
        context: u32,
        path: &[u8],
        mode: u32,
        _system: &mut dyn System,
    ) -> Result<Opening<()>, Error> {
        check(context, path)?;
        if mode & mode::DIRECTORY != 0 {
            return Err(Error::NotADirectory);
        }
        let attributes = attribute::STREAM | attribute::of_mode(mode);
        Ok(Opening::Object { open: (), attributes, block_bytes: READ_BYTES as u32, size: 0 })
    }

    fn read<'a>(
        &'a mut self,
        _client: &Client,
        (): &'a mut (),
        _position: u64,
        room: usize,
        _system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        (self.fresh)(&mut self.pool);
        let drawn = &mut self.drawn[..room.min(READ_BYTES)];
        self.pool.fill(drawn);
        Ok(Reading::Data(drawn))
    }

    fn write(
        &mut self,
        _client: &Client,
        (): &mut (),
        _position: u64,
        data: &Incoming<'_>,
        system: &mut dyn System,
    ) -> Result<Writing, Error> {
        let mut bytes = [0; MIX_BYTES];
        let bytes = &mut bytes[..data.bytes().min(MIX_BYTES)];
        data.copy_to(0, bytes, system)?;
        self.pool.mix(bytes);
        Ok(Writing::Done(data.bytes() as u32))
    }

    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        check(context, path)?;
        self.describe_open(&())
    }

    fn describe_open<'a>(&'a mut self, (): &'a ()) -> Result<Descriptor<'a>, Error> {
        Ok(Descriptor {
            kind: kind::DEVICE,
            attributes: attribute::READABLE | attribute::WRITABLE | attribute::STREAM,
            owner: UserId::SYSTEM.0,
            size: 0,
            modified_ns: 0,
            created_ns: 0,
            object: 1,
            name: "entropy",
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
    fn reads_differ_and_writes_are_taken() {
        let mut system = TestSystem::new();
        let client = system.process(UserId(100));
        let mut server = IoServer::new(EntropyServer::new(Pool::new(), |_| ()), Limits::default());
        let open = io::Open { context: 0, mode: mode::READ | mode::WRITE, owner: Pid::NONE };
        let instance = system.say(&mut server, client, &open, b"").unwrap().instance;
        let read = io::Read { instance, position: 0 };
        let (done, first) = system.ask(&mut server, client, &read, READ_BYTES + 1).unwrap();
        assert_eq!(done.count as usize, READ_BYTES);
        let (_, second) = system.ask(&mut server, client, &read, READ_BYTES + 1).unwrap();
        assert!(first[..100] != second[..100]);
        let write = io::Write { instance, position: 0 };
        let written = system.say(&mut server, client, &write, &[7; 5000]).unwrap();
        assert_eq!(written.count, 5000);
        assert_eq!(system.say(&mut server, client, &open, b"x"), Err(Error::NotADirectory));
    }
}
