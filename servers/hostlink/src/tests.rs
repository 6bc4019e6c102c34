//! The server as its clients and the tool see it.

extern crate std;

use core::cell::RefCell;
use std::vec;
use std::vec::Vec;

use abi::{Access, Message, Request as _, UserId};
use io_server::testing::TestSystem;
use io_server::{IoServer, Limits};
use protocols::host_channel::Decoder;
use std::collections::VecDeque;
use std::rc::Rc;

use super::*;

/// What a test sees of the line.
#[derive(Default)]
struct State {
    sent: Vec<u8>,
    /// Pieces that came.
    came: VecDeque<Vec<u8>>,
    was_opened: bool,
    is_open: bool,
    /// Frames that the device has not taken.
    held: usize,
    is_blocked: bool,
}

#[derive(Clone)]
struct TestLine {
    interrupt: Pid,
    state: Rc<RefCell<State>>,
}

const ROOM: usize = 8;

impl Line for TestLine {
    fn interrupt(&self) -> Pid {
        self.interrupt
    }

    fn attend(&mut self, take: &mut dyn FnMut(&[u8])) -> Result<bool, Error> {
        let mut state = self.state.borrow_mut();
        state.came.drain(..).for_each(|piece| take(&piece));
        Ok(core::mem::take(&mut state.was_opened))
    }

    fn room(&mut self, _fewer: usize) -> usize {
        let state = self.state.borrow();
        if state.is_open { ROOM - state.held } else { 0 }
    }

    fn send(&mut self, encoded: &[u8]) -> Result<(), Error> {
        let mut state = self.state.borrow_mut();
        assert!(state.is_open, "nobody would hear it");
        if state.held == ROOM {
            return Err(Error::NoResources);
        }
        state.held += usize::from(state.is_blocked);
        state.sent.extend_from_slice(encoded);
        Ok(())
    }

    fn is_idle(&mut self) -> bool {
        self.state.borrow().held == 0
    }
}

struct Setup {
    server: IoServer<HostLink<TestLine>>,
    system: TestSystem,
    line: TestLine,
    runner: Pid,
    program: Pid,
    /// Instances of input, output and errors.
    streams: [u32; 3],
}

impl Setup {
    fn new() -> Setup {
        let mut system = TestSystem::new();
        let (runner, program) = (system.process(UserId::OPERATOR), system.process(UserId::OPERATOR));
        let line = TestLine { interrupt: system.process(UserId::SYSTEM), state: Rc::default() };
        let mut server = IoServer::new(HostLink::new(line.clone(), runner), Limits::default());
        let streams = NAMES.map(|name| {
            let mode = if name == "input" { mode::READ } else { mode::WRITE };
            let open = io::Open { context: 0, mode, owner: Pid::NONE };
            system.say(&mut server, program, &open, name.as_bytes()).unwrap().instance
        });
        let mut setup = Setup { server, system, line, runner, program, streams };
        assert_eq!(setup.said(), [""; 0], "nobody is there yet");
        setup.open();
        assert_eq!(setup.said(), ["Hello { version: 1 }"]);
        setup
    }

    /// The tool opens the line.
    fn open(&mut self) {
        let mut state = self.line.state.borrow_mut();
        (state.is_open, state.was_opened) = (true, true);
        drop(state);
        self.interrupt();
    }

    fn interrupt(&mut self) {
        let Setup { server, system, line, .. } = self;
        system.say(server, line.interrupt, &notice::Interrupt { line: 0, count: 1 }, b"").unwrap();
    }

    /// The tool takes nothing any more, or all there is.
    fn block(&mut self, is_blocked: bool) {
        let mut state = self.line.state.borrow_mut();
        (state.is_blocked, state.held) = (is_blocked, 0);
        drop(state);
        self.interrupt();
    }

    /// What went down the line since the last call.
    fn said(&mut self) -> Vec<std::string::String> {
        let bytes = core::mem::take(&mut self.line.state.borrow_mut().sent);
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
            self.line.state.borrow_mut().came.push_back(piece.to_vec());
        }
        self.interrupt();
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
    assert_eq!(setup.said(), ["Credit { bytes: 65536 }"]);
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
fn only_the_runner_tells_of_the_end() {
    let mut setup = Setup::new();
    let ended = inner::CommandsEnded { status: 3 };
    assert_eq!(
        setup.system.say(&mut setup.server, setup.program, &ended, b"").unwrap_err(),
        Error::BadRequest
    );
    setup.system.say(&mut setup.server, setup.runner, &ended, b"").unwrap();
    assert_eq!(setup.said(), ["Exit { status: 3 }"]);
}

#[test]
fn writers_and_the_end_wait_for_a_slow_tool_in_order() {
    let mut setup = Setup::new();
    setup.block(true);
    let [_, output, _] = setup.streams;
    let write = io::Write { instance: output, position: 0 }.to_message();
    let Setup { server, system, program, runner, .. } = &mut setup;
    system.send(server, *program, &write, vec![b'x'; 16 * MAX_DATA], Access::READ);
    let (reply, _) = system.take_reply(*program).unwrap();
    let some = (ROOM - RESERVED_FRAMES) * MAX_DATA;
    assert_eq!(io::Written::from_message(&reply).count as usize, some, "what there is room for");
    system.send(server, *program, &write, vec![b'y'; 2], Access::READ);
    let ended = inner::CommandsEnded { status: 3 }.to_message();
    system.send(server, *runner, &ended, vec![], Access::NONE);
    assert!(system.is_waiting(*program) && system.is_waiting(*runner));
    setup.said();
    setup.block(true);
    assert_eq!(setup.said(), ["Output([121, 121])", "Exit { status: 3 }"]);
    assert!(setup.system.take_reply(setup.program).is_some(), "its bytes are taken");
    assert!(setup.system.take_reply(setup.runner).is_none(), "the tool has not taken the end");
    setup.block(false);
    assert!(setup.system.take_reply(setup.runner).is_some());
}

#[test]
fn a_line_opened_again_begins_anew_with_credit_for_the_room() {
    let mut setup = Setup::new();
    setup.start_read(3);
    setup.tool_says(&Frame::Input(b"hello"));
    setup.said();
    setup.open();
    assert_eq!(setup.said(), ["Hello { version: 1 }", "Credit { bytes: 65534 }"]);
    assert_eq!(setup.read().as_deref(), Some(&b"hel"[..]));
    setup.tool_says(&Frame::Input(b"more"));
    setup.start_read(9);
    assert_eq!(setup.read().as_deref(), Some(&b"lomore"[..]));
}

#[test]
fn a_reader_from_before_the_line_opened_is_asked_for() {
    let mut setup = Setup::new();
    setup.line.state.borrow_mut().is_open = false;
    setup.start_read(3);
    assert_eq!(setup.said(), [""; 0]);
    setup.open();
    assert_eq!(setup.said(), ["Hello { version: 1 }", "Credit { bytes: 65536 }"]);
}
