//! The server as its clients and the tool see it.

extern crate std;

use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use abi::{Access, Message, Request as _, UserId};
use io_server::testing::TestSystem;
use io_server::{IoServer, Limits};
use protocols::host_channel::Decoder;
use std::rc::Rc;

use super::*;

#[derive(Clone, Default)]
struct TestLine(Rc<RefCell<Vec<u8>>>);

impl Line for TestLine {
    fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }

    fn synchronize(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

struct Setup {
    server: IoServer<HostLink<TestLine>>,
    system: TestSystem,
    line: TestLine,
    helper: Pid,
    program: Pid,
    /// Instances of input, output and errors.
    streams: [u32; 3],
}

impl Setup {
    fn new() -> Setup {
        let mut system = TestSystem::new();
        let (helper, program) = (system.process(UserId::OPERATOR), system.process(UserId::OPERATOR));
        let line = TestLine::default();
        let link = HostLink::new(line.clone(), vec![helper]).unwrap();
        let mut server = IoServer::new(link, Limits::default());
        let streams = NAMES.map(|name| {
            let mode = if name == "input" { mode::READ } else { mode::WRITE };
            let open = io::Open { context: 0, mode, owner: Pid::NONE };
            system.say(&mut server, program, &open, name.as_bytes()).unwrap().instance
        });
        let mut setup = Setup { server, system, line, helper, program, streams };
        assert_eq!(setup.said(), ["Hello { version: 1 }"]);
        setup
    }

    /// What went down the line since the last call.
    fn said(&mut self) -> Vec<std::string::String> {
        let bytes = core::mem::take(&mut *self.line.0.borrow_mut());
        let mut decoder = Decoder::new();
        bytes
            .iter()
            .filter_map(|byte| decoder.push(*byte).map(|frame| std::format!("{:?}", frame.unwrap())))
            .collect()
    }

    fn tool_says(&mut self, frame: &Frame<'_>) {
        let mut room = [0; MAX_ENCODED];
        let bytes = frame.encode(&mut room).unwrap().to_vec();
        for piece in bytes.chunks(7) {
            self.system.say(&mut self.server, self.helper, &inner::Arrived {}, piece).unwrap();
        }
    }

    fn start_read(&mut self, room: usize) {
        let read: Message = io::Read { instance: self.streams[0], position: 0 }.to_message();
        self.system.send(&mut self.server, self.program, &read, vec![0; room], Access::WRITE);
    }

    fn read(&mut self) -> Option<Vec<u8>> {
        let (reply, mut segment) = self.system.take_reply(self.program)?;
        assert_eq!(reply.code(), Error::OK_CODE);
        segment.truncate(io::ReadDone::from_message(&reply).count as usize);
        Some(segment)
    }
}

#[test]
fn input_is_asked_for_when_wanted_and_ends() {
    let mut setup = Setup::new();
    setup.start_read(3);
    assert_eq!(setup.said(), ["Credit { bytes: 16384 }"]);
    assert_eq!(setup.read(), None);
    setup.tool_says(&Frame::Input(b"hello"));
    assert_eq!(setup.read().as_deref(), Some(&b"hel"[..]));
    setup.start_read(9);
    assert_eq!(setup.read().as_deref(), Some(&b"lo"[..]));
    setup.start_read(9);
    assert_eq!(setup.said(), [""; 0], "the rest of the credit is enough");
    setup.tool_says(&Frame::InputEnd);
    assert_eq!(setup.read().as_deref(), Some(&b""[..]));
    setup.start_read(9);
    assert_eq!(setup.read().as_deref(), Some(&b""[..]));
}

#[test]
fn input_beyond_the_credit_is_dropped() {
    let mut setup = Setup::new();
    setup.tool_says(&Frame::Input(b"unasked"));
    setup.start_read(9);
    assert_eq!(setup.read(), None);
}

#[test]
fn what_is_written_goes_down_the_line_in_order() {
    let mut setup = Setup::new();
    let long = vec![b'x'; MAX_DATA + 1];
    let (output, errors) = (setup.streams[1], setup.streams[2]);
    let write = |setup: &mut Setup, instance, data: &[u8]| {
        let request = io::Write { instance, position: 0 };
        setup.system.say(&mut setup.server, setup.program, &request, data).unwrap().count
    };
    assert_eq!(write(&mut setup, errors, b"oh"), 2);
    assert_eq!(write(&mut setup, output, &long), MAX_DATA as u32 + 1);
    let said = setup.said();
    assert_eq!(said[0], "ErrorOutput([111, 104])");
    assert_eq!(said.len(), 3);
    assert_eq!(said[2], "Output([120])");
}

#[test]
fn only_the_helpers_speak_for_the_line() {
    let mut setup = Setup::new();
    let ended = inner::CommandsEnded { status: 3 };
    assert_eq!(
        setup.system.say(&mut setup.server, setup.program, &ended, b"").unwrap_err(),
        Error::BadRequest
    );
    setup.system.say(&mut setup.server, setup.helper, &ended, b"").unwrap();
    assert_eq!(setup.said(), ["Exit { status: 3 }"]);
}

#[test]
fn a_lost_line_begins_anew_with_credit_for_the_room() {
    let mut setup = Setup::new();
    setup.start_read(3);
    setup.tool_says(&Frame::Input(b"hello"));
    setup.said();
    let Setup { system, server, helper, .. } = &mut setup;
    system.say(server, *helper, &inner::LineLost {}, b"").unwrap();
    assert_eq!(setup.said(), ["Hello { version: 1 }", "Credit { bytes: 16382 }"]);
    assert_eq!(setup.read().as_deref(), Some(&b"hel"[..]));
    setup.tool_says(&Frame::Input(b"more"));
    setup.start_read(9);
    assert_eq!(setup.read().as_deref(), Some(&b"lomore"[..]));
}
