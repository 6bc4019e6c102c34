//! The device as an instance of the I/O protocol. The prefix itself is the device; there are no names in it. Only the system
//! and the operator open it.
//!
//! A read gets what the device has given; if that is nothing, it waits for the next bytes. A device that gives none for a second
//! has the read refused, so whoever mixes its bytes in goes on without.

use alloc::vec::Vec;

use abi::notice::notice;
use abi::protocol::{Reply as _, Request as _, refusal};
use abi::{Error, Pid, UserId};
use hardware::interrupt::InterruptLine;
use io_server::path::{self, Step};
use io_server::service::OpenInstance;
use io_server::waiting::{Waiter, Waiters};
use io_server::{Client, Instances, Opening, Outcome, Reading, Request, Service, System};
use protocols::io::{attribute, io, mode};
use protocols::names::{Descriptor, kind};

use crate::source::BUFFER_BYTES;

/// The prefix.
pub const PREFIX: &str = "random";
/// How long a device may take.
const PATIENCE_NS: u64 = 1_000_000_000;
/// How often what it gives is looked at without a pause: it may give nothing without end.
const MOST_LOOKS: usize = 64;

/// Where random bytes come from.
pub trait Randomness {
    /// Who sends the device's interrupts.
    fn interrupt(&self) -> Pid;

    /// The next bytes, by which `place` begins: how many. None if there are none yet.
    fn take(&mut self, place: &mut [u8; BUFFER_BYTES]) -> usize;

    /// Asks for an interrupt when there are some. True if there are some already, for which none may come.
    fn ask(&mut self) -> bool;
}

/// The server.
#[derive(Debug)]
pub struct RandomServer<R> {
    device: R,
    waiters: Waiters,
    /// Since when the first of them waits.
    since_ns: u64,
    /// What was given out last, until the reply has it.
    drawn: Vec<u8>,
    next_instance: u64,
}

impl<R: Randomness> RandomServer<R> {
    /// A server of a started device.
    pub const fn new(device: R) -> RandomServer<R> {
        RandomServer { device, waiters: Waiters::new(), since_ns: 0, drawn: Vec::new(), next_instance: 0 }
    }

    /// Draws at most `room` bytes. Those of the same buffer that are too many are nobody's.
    fn draw(&mut self, room: usize) -> bool {
        let mut place = [0; BUFFER_BYTES];
        let count = (0..MOST_LOOKS).map(|_| self.device.take(&mut place)).find(|count| *count > 0);
        self.drawn.clear();
        self.drawn.extend_from_slice(&place[..count.unwrap_or(0).min(room)]);
        !self.drawn.is_empty()
    }

    /// Answers those who wait, as far as the device has given something.
    fn attend(&mut self, system: &mut dyn System) {
        for _ in 0..MOST_LOOKS {
            while let Some(waiter) = self.waiters.first()
                && self.draw(waiter.bytes)
            {
                self.waiters.pop();
                self.since_ns = system.monotonic_ns();
                let reply = io::ReadDone { count: self.drawn.len() as u32 };
                // Who has gone needs no answer.
                let _ = system.reply(waiter.client, &reply.to_message(), &self.drawn);
            }
            if self.waiters.is_empty() || !self.device.ask() {
                return;
            }
        }
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

impl<R: Randomness> Service for RandomServer<R> {
    /// A number of its own, for those who wait.
    type Open = u64;

    fn open(
        &mut self,
        client: &Client,
        context: u32,
        path: &[u8],
        mode: u32,
        _system: &mut dyn System,
    ) -> Result<Opening<u64>, Error> {
        check(context, path)?;
        if mode & mode::DIRECTORY != 0 {
            return Err(Error::NotADirectory);
        }
        if !client.user.may_operate() {
            return Err(Error::NoPermission);
        }
        if mode & mode::WRITES != 0 {
            return Err(Error::ReadOnly);
        }
        self.next_instance += 1;
        let attributes = attribute::STREAM | attribute::of_mode(mode);
        Ok(Opening::Object {
            open: self.next_instance,
            attributes,
            block_bytes: BUFFER_BYTES as u32,
            size: 0,
        })
    }

    fn close(&mut self, open: u64, system: &mut dyn System) {
        self.waiters.close(open, system);
    }

    fn read<'a>(
        &'a mut self,
        client: &Client,
        open: &'a mut u64,
        _position: u64,
        room: usize,
        system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        if self.waiters.is_empty() {
            if self.draw(room) {
                return Ok(Reading::Data(&self.drawn));
            }
            self.since_ns = system.monotonic_ns();
        }
        self.waiters.push(Waiter { client: client.pid, instance: *open, bytes: room });
        self.attend(system);
        Ok(Reading::Later)
    }

    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        check(context, path)?;
        self.describe_open(&0)
    }

    fn describe_open<'a>(&'a mut self, _open: &'a u64) -> Result<Descriptor<'a>, Error> {
        Ok(Descriptor {
            kind: kind::DEVICE,
            attributes: attribute::READABLE | attribute::STREAM,
            owner: UserId::OPERATOR.0,
            size: 0,
            modified_ns: 0,
            created_ns: 0,
            object: 1,
            name: PREFIX,
        })
    }

    fn context(&mut self, _context: u32, _path: &[u8]) -> Result<u32, Error> {
        Err(Error::NotADirectory)
    }

    fn other<'a>(
        &'a mut self,
        request: &Request<'_>,
        _instances: &mut Instances<OpenInstance<u64>>,
        system: &mut dyn System,
    ) -> Outcome<'a> {
        let is_interrupt = request.message.code() == notice::Interrupt::CODE;
        if !is_interrupt || request.client.pid != self.device.interrupt() {
            return Outcome::refuse(Error::BadRequest);
        }
        self.attend(system);
        InterruptLine::attended(request.message)
    }

    fn next_tick_ns(&self) -> Option<u64> {
        (!self.waiters.is_empty()).then_some(self.since_ns + PATIENCE_NS)
    }

    fn tick(&mut self, system: &mut dyn System) {
        // An interrupt that the device forgot is made up for.
        self.attend(system);
        if self.next_tick_ns().is_some_and(|end_ns| end_ns <= system.monotonic_ns()) {
            self.waiters.answer_all(&refusal(Error::DeviceError), system);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::Access;
    use alloc::vec;
    use io_server::testing::TestSystem;
    use io_server::{IoServer, Limits};

    /// A device that gives what a test puts into it.
    struct Given(Vec<Vec<u8>>);

    impl Randomness for Given {
        fn interrupt(&self) -> Pid {
            Pid::NONE
        }

        fn take(&mut self, place: &mut [u8; BUFFER_BYTES]) -> usize {
            let bytes = self.0.pop().unwrap_or_default();
            place[..bytes.len()].copy_from_slice(&bytes);
            bytes.len()
        }

        fn ask(&mut self) -> bool {
            !self.0.is_empty()
        }
    }

    fn machine(given: Vec<Vec<u8>>) -> (TestSystem, IoServer<RandomServer<Given>>, Pid, u32) {
        let mut system = TestSystem::new();
        let mut server = IoServer::new(RandomServer::new(Given(given)), Limits::default());
        let operator = system.process(UserId::OPERATOR);
        let open = io::Open { context: 0, mode: mode::READ, owner: Pid::NONE };
        let instance = system.say(&mut server, operator, &open, b"").unwrap().instance;
        (system, server, operator, instance)
    }

    #[test]
    fn a_read_gets_what_there_is_or_waits() {
        let (mut system, mut server, operator, instance) = machine(vec![vec![2; 9], Vec::new(), vec![1; 64]]);
        let read = io::Read { instance, position: 0 };
        let (done, bytes) = system.ask(&mut server, operator, &read, 100).unwrap();
        assert_eq!((done.count, &bytes[..64]), (64, &[1; 64][..]));
        // What gives nothing once is asked again.
        assert_eq!(system.ask(&mut server, operator, &read, 4).unwrap().0.count, 4);
        system.send(&mut server, operator, &read.to_message(), vec![0; 8], Access::WRITE);
        assert!(system.is_waiting(operator));
        server.service.device.0.push(vec![3; 8]);
        server.tick(&mut system);
        assert_eq!(system.take_reply(operator).unwrap().1, [3; 8]);
    }

    #[test]
    fn a_device_that_gives_nothing_has_nobody_wait_for_long() {
        let (mut system, mut server, operator, instance) = machine(Vec::new());
        let read = io::Read { instance, position: 0 }.to_message();
        system.send(&mut server, operator, &read, vec![0; 8], Access::WRITE);
        server.tick(&mut system);
        assert!(system.is_waiting(operator));
        system.now_ns += PATIENCE_NS;
        server.tick(&mut system);
        assert_eq!(system.take_reply(operator).unwrap().0.code(), Error::DeviceError.code());
        // Nor has one that gives nothing without end.
        server.service.device.0 = vec![Vec::new(); 100_000];
        system.send(&mut server, operator, &read, vec![0; 8], Access::WRITE);
        assert!(server.service.device.0.len() > 1000 && system.is_waiting(operator));
    }

    #[test]
    fn it_is_the_operators_and_cannot_be_written() {
        let (mut system, mut server, operator, _) = machine(Vec::new());
        let other = system.process(UserId(100));
        let open = |mode| io::Open { context: 0, mode, owner: Pid::NONE };
        assert_eq!(system.say(&mut server, other, &open(mode::READ), b""), Err(Error::NoPermission));
        for (mode, path, error) in [
            (mode::WRITE, &b""[..], Error::ReadOnly),
            (mode::READ, b"x", Error::NotADirectory),
            (mode::READ | mode::DIRECTORY, b"", Error::NotADirectory),
        ] {
            assert_eq!(system.say(&mut server, operator, &open(mode), path), Err(error));
        }
    }
}
