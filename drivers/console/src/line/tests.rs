//! Lines whose other side is a test.

use super::*;
use abi::protocol::{Reply as _, Request as _};
use abi::{Access, UserId};
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use io_server::testing::TestSystem;
use io_server::{IoServer, Limits, LineServer};
use protocols::io::{io, mode};

/// What a test and the wire share.
#[derive(Default)]
struct Far {
    to_come: VecDeque<Vec<u8>>,
    arrived: Vec<u8>,
    /// How many more times the device takes something.
    room: usize,
    is_idle: bool,
    /// It says without end that there is more.
    never_ends: bool,
    looks: usize,
}

#[derive(Clone)]
struct TestWire(Rc<RefCell<Far>>);

impl Wire for TestWire {
    fn interrupt(&self) -> Pid {
        Pid::NONE
    }

    fn attend(&mut self) {
        self.0.borrow_mut().looks += 1;
    }

    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        let next = self.0.borrow_mut().to_come.pop_front();
        next.is_some_and(|bytes| {
            take(&bytes);
            true
        })
    }

    fn rearm(&mut self) -> bool {
        let far = self.0.borrow();
        far.never_ends || !far.to_come.is_empty()
    }

    fn has_room(&mut self) -> bool {
        self.0.borrow().room > 0
    }

    fn send(&mut self, data: &[u8]) -> Result<(), Error> {
        assert!(!data.is_empty() && data.len() <= crate::SEND_BYTES);
        let mut far = self.0.borrow_mut();
        far.room -= 1;
        far.arrived.extend_from_slice(data);
        Ok(())
    }

    fn is_idle(&mut self) -> bool {
        self.0.borrow().is_idle
    }
}

struct Machine {
    system: TestSystem,
    server: IoServer<LineServer<WireLine<TestWire>>>,
    far: Rc<RefCell<Far>>,
    operator: Pid,
    instance: u32,
}

fn machine() -> Machine {
    let mut system = TestSystem::new();
    let wires: Vec<TestWire> = (0..2).map(|_| TestWire(Rc::default())).collect();
    let mut lines = LineServer::new();
    for (number, wire) in wires.iter().enumerate() {
        lines.add(number.to_string(), WireLine::new(wire.clone()));
    }
    let mut server = IoServer::new(lines, Limits::default());
    let operator = system.process(UserId::OPERATOR);
    let open = io::Open { context: 0, mode: mode::READ | mode::WRITE, owner: Pid::NONE };
    let instance = system.say(&mut server, operator, &open, b"1").unwrap().instance;
    Machine { system, server, far: wires[1].0.clone(), operator, instance }
}

impl Machine {
    fn send(&mut self, client: Pid, message: &Message, segment: Vec<u8>, access: Access) {
        self.system.send(&mut self.server, client, message, segment, access);
    }

    fn read(&mut self, room: usize) {
        let read = io::Read { instance: self.instance, position: 0 }.to_message();
        self.send(self.operator, &read, vec![0; room], Access::WRITE);
    }

    /// What the operator's read got.
    fn got(&mut self) -> Vec<u8> {
        let (reply, mut segment) = self.system.take_reply(self.operator).expect("it is answered");
        Error::check(reply.code()).unwrap();
        segment.truncate(io::ReadDone::from_message(&reply).count as usize);
        segment
    }

    fn write(&mut self, client: Pid, bytes: Vec<u8>) -> Option<u32> {
        let write = io::Write { instance: self.instance, position: 0 }.to_message();
        self.send(client, &write, bytes, Access::READ);
        self.system.take_reply(client).map(|(reply, _)| io::Written::from_message(&reply).count)
    }
}

#[test]
fn who_reads_gets_what_has_come_or_waits_for_it() {
    let mut machine = machine();
    machine.read(100);
    assert!(machine.system.is_waiting(machine.operator));
    machine.far.borrow_mut().to_come.extend([b"one ".to_vec(), b"two".to_vec()]);
    machine.server.tick(&mut machine.system);
    assert_eq!(machine.got(), b"one two");
    machine.far.borrow_mut().to_come.push_back(b"three".to_vec());
    machine.read(2);
    assert_eq!(machine.got(), b"th");
    machine.read(100);
    assert_eq!(machine.got(), b"ree");
}

#[test]
fn what_nobody_reads_holds_the_other_side_back_and_is_not_lost() {
    let mut machine = machine();
    let pieces = 3 * RECEIVED_BYTES / RECEIVE_BYTES;
    machine.far.borrow_mut().to_come.extend((0..pieces).map(|at| vec![at as u8; RECEIVE_BYTES]));
    machine.server.tick(&mut machine.system);
    assert_eq!(machine.far.borrow().to_come.len(), pieces - RECEIVED_BYTES / RECEIVE_BYTES);
    let mut all = Vec::new();
    while all.len() < pieces * RECEIVE_BYTES {
        machine.read(1000);
        all.extend(machine.got());
    }
    assert!(all.chunks(RECEIVE_BYTES).enumerate().all(|(at, piece)| piece == vec![at as u8; RECEIVE_BYTES]));
}

#[test]
fn what_is_written_leaves_when_the_other_side_takes_it() {
    let mut machine = machine();
    let (operator, other) = (machine.operator, machine.system.process(UserId::OPERATOR));
    let taken = machine.write(operator, vec![1; 40_000]).unwrap() as usize;
    assert!((1..40_000).contains(&taken));
    assert_eq!(machine.write(other, vec![2; 10]), None, "there is no room");
    assert!(machine.far.borrow().arrived.is_empty());
    let synchronize = io::Synchronize { instance: machine.instance }.to_message();
    machine.send(operator, &synchronize, Vec::new(), Access::READ);
    machine.far.borrow_mut().room = 1000;
    machine.server.tick(&mut machine.system);
    assert_eq!(io::Written::from_message(&machine.system.take_reply(other).unwrap().0).count, 10);
    assert_eq!(machine.far.borrow().arrived, [vec![1; taken], vec![2; 10]].concat());
    assert!(machine.system.is_waiting(operator), "it may still be on its way");
    machine.far.borrow_mut().is_idle = true;
    machine.server.tick(&mut machine.system);
    assert!(machine.system.take_reply(operator).is_some());
}

#[test]
fn a_device_that_never_ends_hangs_nobody() {
    let mut machine = machine();
    machine.far.borrow_mut().never_ends = true;
    machine.read(10);
    assert!(machine.system.is_waiting(machine.operator));
    assert!(machine.far.borrow().looks < 1000);
    // Who waits is told when the line is closed.
    let (closer, instance) = (machine.system.process(UserId::OPERATOR), machine.instance);
    let release = io::Release { instance, owner: Pid::NONE };
    let _ = machine.system.say(&mut machine.server, closer, &release, b"");
}

#[test]
fn lines_are_the_operators() {
    let mut machine = machine();
    let other = machine.system.process(UserId(100));
    let open = |mode| io::Open { context: 0, mode, owner: Pid::NONE };
    let mut ask =
        |client, mode, path: &[u8]| machine.system.say(&mut machine.server, client, &open(mode), path);
    assert_eq!(ask(other, mode::READ, b"0"), Err(Error::NoPermission));
    assert_eq!(ask(machine.operator, mode::READ, b"2"), Err(Error::NotFound));
    assert_eq!(ask(machine.operator, mode::READ, b""), Err(Error::IsADirectory));
    assert!(ask(machine.operator, mode::READ | mode::DIRECTORY, b"").is_ok());
}
