//! The log server's requests: an entry more, and reading.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use abi::{Error, Pid, UserId};
use io_server::path::{self, Step};
use io_server::service::OpenInstance;
use io_server::{Client, Instances, Opening, Outcome, Reading, Request, Service, System};
use protocols::io::{attribute, mode};
use protocols::log::log::{Append, Appended, Log};
use protocols::log::{Heading, MAX_ENTRY_BYTES};
use protocols::names::{Descriptor, kind};

use crate::lines::lines;
use crate::ring::Ring;

/// Bytes of log that are kept.
const KEPT_BYTES: usize = 256 * 1024;
/// Bytes taken from the kernel's log at once.
const PIECE_BYTES: usize = 4096;

/// What the log server needs of the kernel.
pub trait KernelLog {
    /// Appends a line to the kernel's log.
    fn write(&mut self, line: &str) -> Result<(), Error>;
    /// Copies the kernel's log from byte `from` on: how many bytes, and the byte to go on with.
    fn read(&mut self, from: u64, buffer: &mut [u8]) -> Result<(usize, u64), Error>;
    /// The name of a process.
    fn name_of(&mut self, process: Pid) -> Result<String, Error>;
}

/// The log.
#[derive(Debug)]
pub struct LogServer<K> {
    kernel: K,
    ring: Ring,
    /// The byte of the kernel's log that comes next.
    next: u64,
}

/// An open log: the number of the byte at its position 0.
#[derive(Clone, Copy, Debug)]
pub struct OpenLog {
    first: u64,
}

impl<K: KernelLog> LogServer<K> {
    /// The log as the kernel's has it.
    pub fn new(kernel: K) -> LogServer<K> {
        let mut server = LogServer { kernel, ring: Ring::new(KEPT_BYTES), next: 0 };
        server.catch_up();
        server
    }

    /// Takes what is new in the kernel's log.
    fn catch_up(&mut self) {
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok((count @ 1.., next)) = self.kernel.read(self.next, &mut piece) {
            self.ring.append(&piece[..count.min(PIECE_BYTES)]);
            if next <= self.next {
                break;
            }
            self.next = next;
        }
    }

    fn append(
        &mut self,
        append: Append,
        request: &Request<'_>,
        system: &mut dyn System,
    ) -> Result<Appended, Error> {
        let data = request.incoming()?;
        if data.bytes() > MAX_ENTRY_BYTES {
            return Err(Error::TooLong);
        }
        let mut entry = vec![0; data.bytes()];
        data.copy_to(0, &mut entry, system)?;
        // Of one on another node only its number is known.
        let program = self.kernel.name_of(request.client.pid);
        let program = program.unwrap_or_else(|_| request.client.pid.to_string());
        let heading = Heading { time_ns: system.monotonic_ns(), level: append.level, program: &program };
        for line in lines(&heading, &entry) {
            self.kernel.write(&line)?;
        }
        // Before the kernel's ring comes round.
        self.catch_up();
        Ok(Appended {})
    }

    fn descriptor(&self) -> Descriptor<'static> {
        Descriptor {
            kind: kind::FILE,
            attributes: attribute::READABLE,
            owner: UserId::SYSTEM.0,
            size: self.ring.end() - self.ring.first(),
            modified_ns: 0,
            created_ns: 0,
            object: 1,
            name: "log",
        }
    }
}

impl<K: KernelLog> Service for LogServer<K> {
    type Open = OpenLog;

    fn open(
        &mut self,
        _client: &Client,
        context: u32,
        path: &[u8],
        mode: u32,
        _system: &mut dyn System,
    ) -> Result<Opening<OpenLog>, Error> {
        self.describe(context, path)?;
        if mode & mode::DIRECTORY != 0 {
            return Err(Error::NotADirectory);
        }
        if mode & !mode::READ != 0 {
            return Err(Error::ReadOnly);
        }
        self.catch_up();
        let first = self.ring.first();
        Ok(Opening::Object {
            open: OpenLog { first },
            attributes: attribute::READABLE,
            block_bytes: PIECE_BYTES as u32,
            size: self.ring.end() - first,
        })
    }

    fn size(&mut self, open: &OpenLog) -> u64 {
        self.ring.end() - open.first
    }

    /// What the ring has lost since the log was opened can't be found any more.
    fn read<'a>(
        &'a mut self,
        _client: &Client,
        open: &'a mut OpenLog,
        position: u64,
        room: usize,
        _system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        self.catch_up();
        let number = open.first.saturating_add(position);
        let data = self.ring.read(number, room).ok_or(Error::NotFound)?;
        Ok(Reading::Data(data))
    }

    fn describe<'a>(&'a mut self, context: u32, path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        if path::steps(path).any(|step| step != Step::Up) {
            return Err(Error::NotADirectory);
        }
        if context != 0 {
            return Err(Error::NotFound);
        }
        Ok(self.descriptor())
    }

    fn describe_open<'a>(&'a mut self, _open: &'a OpenLog) -> Result<Descriptor<'a>, Error> {
        Ok(self.descriptor())
    }

    fn context(&mut self, _context: u32, _path: &[u8]) -> Result<u32, Error> {
        Err(Error::NotADirectory)
    }

    fn other<'a>(
        &'a mut self,
        request: &Request<'_>,
        _instances: &mut Instances<OpenInstance<OpenLog>>,
        system: &mut dyn System,
    ) -> Outcome<'a> {
        match Log::from_message(request.message) {
            Some(Log::Append(append)) => Outcome::from(self.append(append, request, system)),
            None => Outcome::refuse(Error::BadRequest),
        }
    }
}

/// A process's name as text.
pub fn name(bytes: [u8; 16]) -> String {
    let bytes: Vec<u8> = bytes.into_iter().take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).replace(|character: char| character.is_control(), "?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;
    use alloc::rc::Rc;
    use core::cell::RefCell;
    use io_server::testing::TestSystem;
    use io_server::{IoServer, Limits};
    use protocols::io::io;
    extern crate std;

    /// A kernel's log of which the first bytes have gone already.
    #[derive(Clone)]
    struct TestLog(Rc<RefCell<Vec<u8>>>);

    const GONE: u64 = 5;

    impl KernelLog for TestLog {
        fn write(&mut self, line: &str) -> Result<(), Error> {
            self.0.borrow_mut().extend(line.bytes());
            Ok(())
        }

        fn read(&mut self, from: u64, buffer: &mut [u8]) -> Result<(usize, u64), Error> {
            let log = self.0.borrow();
            let begin = (from.max(GONE) - GONE) as usize;
            let count = (log.len() - begin).min(buffer.len());
            buffer[..count].copy_from_slice(&log[begin..begin + count]);
            Ok((count, from.max(GONE) + count as u64))
        }

        fn name_of(&mut self, _process: Pid) -> Result<String, Error> {
            Ok("tester".to_owned())
        }
    }

    #[test]
    fn entries_and_the_kernels_lines_are_in_one_order() {
        let kernel = TestLog(Rc::new(RefCell::new(b"V boots\n".to_vec())));
        let mut server = IoServer::new(LogServer::new(kernel.clone()), Limits::default());
        let mut system = TestSystem::new();
        let client = system.process(UserId(100));
        let level = protocols::log::level::WARNING;
        system.say(&mut server, client, &Append { level }, b"first").unwrap();
        kernel.clone().write("kernel again\n").unwrap();
        let too_long = [b'x'; MAX_ENTRY_BYTES + 1];
        assert_eq!(system.say(&mut server, client, &Append { level }, &too_long), Err(Error::TooLong));

        let open = |mode| io::Open { context: 0, mode, owner: Pid::NONE };
        assert_eq!(system.say(&mut server, client, &open(mode::WRITE), b""), Err(Error::ReadOnly));
        assert_eq!(system.say(&mut server, client, &open(mode::READ), b"x"), Err(Error::NotADirectory));
        let instance = system.say(&mut server, client, &open(mode::READ), b"").unwrap().instance;
        system.say(&mut server, client, &Append { level }, b"second").unwrap();
        let mut text = Vec::new();
        loop {
            let read = io::Read { instance, position: text.len() as u64 };
            let (done, segment) =
                system.call(&mut server, client, &read, vec![0; 7], abi::Access::WRITE).unwrap();
            text.extend(&segment[..done.count as usize]);
            if done.count == 0 {
                break;
            }
        }
        let text = String::from_utf8(text).unwrap();
        let said: Vec<&str> = text.lines().map(|line| line.rsplit(": ").next().unwrap()).collect();
        assert_eq!(said, ["V boots", "first", "kernel again", "second"]);
        assert!(text.contains("warning tester: first"));
    }

    #[test]
    fn names_are_text() {
        assert_eq!(name(*b"ramfs\0\0\0\0\0\0\0\0\0\0\0"), "ramfs");
        assert_eq!(name(*b"\x1b[2Jevil\xff\0\0\0\0\0\0\0"), "?[2Jevil\u{fffd}");
    }
}
