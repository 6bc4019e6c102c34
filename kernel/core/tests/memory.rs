//! Long requests to the memory server and long copies, on the simulated machine: done in steps, with others running
//! and things ending in between.

use abi::call::{MoveFrom, MoveTo, Registers};
use abi::kernel::memory::{Map, QueryTeam, Unmap};
use abi::kernel::process::{Destroy, Resume, Suspend};
use abi::kernel::protection::{READ, WIRED, WRITE};
use abi::kernel::{MEMORY, PROCESS, server};
use abi::{Access, Error, Grant, Message, Pid, Request};
use kernel_core::machine::Next;
use kernel_core::process::State;
use simulator::node::{receive, reply, send, send_with};
use simulator::{Node, Outcome};

const PLACE: u64 = 0x2000_0000;
const PAGES: u32 = 300;

fn map() -> Map {
    Map { team: Pid::NONE, address: PLACE, pages: PAGES, protection: READ | WRITE | WIRED }
}

fn used_pages(node: &mut Node, pid: Pid) -> u32 {
    let query = QueryTeam { team: Pid::NONE };
    node.request(pid, MEMORY, &query).unwrap().used_pages
}

/// Begins a request and takes a few of its steps.
fn begin(node: &mut Node, pid: Pid, request: &impl Request) {
    node.run(pid);
    let index = node.index(pid);
    let registers = &mut node.kernel.processes[index].registers;
    *registers = Registers {
        instruction: registers.instruction,
        stack: registers.stack,
        flags: registers.flags,
        ..send(server(MEMORY), request.to_message())
    };
    let mut next = simulator::system_call(&mut node.kernel);
    for _ in 0..3 {
        assert_eq!(next, Next::Work);
        assert_eq!(node.state(pid), State::Working);
        next = node.kernel.step();
    }
}

#[test]
fn a_long_request_ends_as_if_it_were_short() {
    let mut node = Node::new();
    let pid = node.team(100, 12, 8);
    let used = used_pages(&mut node, pid);
    let mapped = node.request(pid, MEMORY, &map()).unwrap();
    assert_eq!(mapped.address, PLACE);
    assert!(used_pages(&mut node, pid) >= used + PAGES);
    let unmap = Unmap { team: Pid::NONE, address: PLACE, pages: PAGES };
    node.request(pid, MEMORY, &unmap).unwrap();
    assert!(used_pages(&mut node, pid) < used + 10);
}

#[test]
fn the_sender_of_a_long_request_may_end_in_the_middle() {
    let mut node = Node::new();
    let root = node.running().expect("the first team runs");
    let free = node.kernel.frames.free_count();
    let pid = node.team(100, 12, 8);
    begin(&mut node, pid, &map());
    let destroy = Destroy { process: pid, status: 1 };
    node.request(root, PROCESS, &destroy).unwrap();
    node.call(root, receive());
    node.call(root, reply(pid, Message::with_code(0)));
    assert_eq!(node.kernel.frames.free_count(), free);
    assert_eq!(node.kernel.regions.used(), 0);
}

#[test]
fn a_long_request_waits_while_its_sender_is_suspended() {
    let mut node = Node::new();
    let root = node.running().expect("the first team runs");
    let pid = node.team(100, 12, 8);
    begin(&mut node, pid, &map());
    node.request(root, PROCESS, &Suspend { process: pid }).unwrap();
    assert_eq!(node.state(pid), State::Working);
    node.request(root, PROCESS, &Resume { process: pid }).unwrap();
    assert_eq!(node.state(pid), State::Ready);
    let message = Message::from_registers(node.results(pid).message);
    assert_eq!(Error::check(message.code()), Ok(()));
    assert!(used_pages(&mut node, pid) > PAGES);
}

#[test]
fn a_long_copy_touches_pages_on_both_sides() {
    const BYTES: u64 = 200 * 1024 + 77;
    let mut node = Node::new();
    let client = node.team(100, 12, 60);
    let worker = node.team(100, 12, 60);
    node.call(worker, receive());
    let pattern: Vec<u8> = (0..BYTES).map(|at| (at ^ at >> 8) as u8).collect();
    node.poke(client, Node::data(5), &pattern);
    let grant = Grant::new(BYTES, Access::READ_WRITE);
    let message = Message::with_code(9);
    let outcome = node.call(client, send_with(worker, message, Node::data(5), grant));
    assert_eq!(outcome, Outcome::Waits);
    let fetch = MoveFrom { client, segment_offset: 0, address: Node::data(1001), bytes: BYTES };
    let Outcome::Done(registers) = node.call(worker, fetch.encode()) else {
        panic!("it waits");
    };
    assert_eq!((registers.number, registers.extra[0]), (0, BYTES));
    assert_eq!(node.peek(worker, Node::data(1001), BYTES as usize), pattern);
    // 60 pages hold 245,760 bytes: what begins too late stops at the end, and says how far it came.
    let start = 60 * 4096 - 100_000;
    let fetch = MoveFrom { address: Node::data(start), ..fetch };
    let Outcome::Done(registers) = node.call(worker, fetch.encode()) else {
        panic!("it waits");
    };
    let error = Error::from_code(registers.number as u32);
    assert_eq!((error, registers.extra[0]), (Error::BadAddress, 100_000));
    let send = MoveTo { client, segment_offset: 1, address: Node::data(0), bytes: BYTES };
    let Outcome::Done(registers) = node.call(worker, send.encode()) else {
        panic!("it waits");
    };
    assert_eq!(Error::from_code(registers.number as u32), Error::TooLong);
}
