//! What the kernel itself sends: interrupts, alarms, exceptions; and delays.

use abi::call::{FOREVER, NOW};
use abi::kernel::process::{self, CreateTeam, SetExceptionServer};
use abi::kernel::record::RegisterRecord;
use abi::kernel::time::{Delay, SetAlarm, SetTime};
use abi::kernel::{MEMORY, PROCESS, TIME, message_line, time};
use abi::notice::STATUS_EXCEPTION;
use abi::notice::notice::{self, Notice};
use abi::protocol::Request;
use abi::{Access, Error, Grant, Message, Pid, Rights, UserId};
use kernel_core::machine::{Machine, Next, Resume};
use kernel_core::process::State;
use simulator::node::{receive, receive_from, reply, send};
use simulator::{Node, Outcome};

const EMPTY: Message = Message { words: [0; 8] };

fn received(outcome: Outcome) -> (Pid, Notice) {
    let Outcome::Done(registers) = outcome else {
        panic!("nothing was received");
    };
    assert_eq!(registers.number, 0);
    let message = Message::from_registers(registers.message);
    (Pid::from_bits(registers.pid), Notice::from_message(&message).expect("a notice"))
}

fn refused(outcome: Outcome) -> Error {
    let Outcome::Done(registers) = outcome else {
        panic!("it waits");
    };
    Error::check(registers.number as u32).expect_err("an error")
}

#[test]
fn an_interrupt_comes_once_until_it_is_answered() {
    let mut node = Node::new();
    let driver = node.team(0, 12, 0);
    let index = node.index(driver);
    let interrupt = node.kernel.claim_interrupt(index, 7).unwrap();
    assert_eq!(node.kernel.claim_interrupt(index, 7), Err(Error::Busy));
    assert_eq!(node.kernel.claim_interrupt(index, 30), Err(Error::BadArgument));
    assert_eq!(node.kernel.claim_interrupt(index, 100_000), Err(Error::BadArgument));
    node.call(driver, receive());
    assert!(node.interrupt(7));
    assert_eq!(node.running(), Some(driver));
    let expected = Notice::Interrupt(notice::Interrupt { line: 7, count: 1 });
    assert_eq!(received(Outcome::Done(node.results(driver))), (interrupt, expected));
    assert!(!node.interrupt(7), "masked until the reply");
    assert!(matches!(node.call(driver, reply(interrupt, EMPTY)), Outcome::Done(done) if done.number == 0));
    assert!(node.interrupt(7));
    assert_eq!(received(node.call(driver, receive_from(interrupt, NOW))), (interrupt, expected));
    // With its process everything is given back.
    let root = node.root;
    let destroy = process::Destroy { process: driver, status: 0 };
    node.request(root, PROCESS, &destroy).unwrap();
    node.pass(50_000_000);
    assert!(!node.interrupt(7));
    assert_eq!(node.kernel.processes.find(interrupt), Err(Error::StaleProcess));
    let other = node.team(0, 12, 0);
    let index = node.index(other);
    let again = node.kernel.claim_interrupt(index, 7).unwrap();
    assert_ne!(again, interrupt);
    assert_eq!(node.kernel.release_interrupt(index, interrupt), Err(Error::StaleProcess));
    assert_eq!(node.kernel.release_interrupt(index, other), Err(Error::NoPermission));
    assert_eq!(node.kernel.release_interrupt(index, again), Ok(()));
    assert_eq!(refused(node.call(other, send(interrupt, EMPTY))), Error::StaleProcess);
}

#[test]
fn an_interrupt_of_a_message_line_wants_no_reply() {
    // While something is traced, the general path does all.
    for events in [0, u32::MAX] {
        let mut node = Node::new();
        node.kernel.trace.choose(events);
        interrupt_by_message(node);
    }
}

fn interrupt_by_message(mut node: Node) {
    let driver = node.team(0, 12, 0);
    let index = node.index(driver);
    let line = message_line::FIRST + 3;
    let interrupt = node.kernel.claim_interrupt(index, line).unwrap();
    let expected = |count| (interrupt, Notice::Interrupt(notice::Interrupt { line, count }));
    for round in 1..=2 {
        assert_eq!(node.call(driver, receive()), Outcome::Waits);
        assert!(node.interrupt(line));
        assert_eq!(node.running(), Some(driver));
        let results = node.results(driver);
        assert_eq!((results.extra, received(Outcome::Done(results))), ([0; 5], expected(1)));
        assert_eq!(node.kernel.processes[index].usage.received, round);
        assert_eq!(refused(node.call(driver, reply(interrupt, EMPTY))), Error::NotAwaitingReply);
    }
    // While the driver is busy they are counted, but for the first, whose notice waits.
    for _ in 0..3 {
        assert!(node.interrupt(line));
    }
    assert_eq!(received(node.call(driver, receive_from(Pid::NONE, NOW))), expected(1));
    assert!(node.interrupt(line));
    assert_eq!(received(node.call(driver, receive_from(interrupt, NOW))), expected(3));
    assert_eq!(refused(node.call(driver, receive_from(Pid::NONE, NOW))), Error::NothingWaiting);
    assert_eq!(node.kernel.release_interrupt(index, interrupt), Ok(()));
}

#[test]
fn a_delay_lasts_until_its_time() {
    let mut node = Node::new();
    let sleeper = node.team(100, 12, 0);
    let delay = |until_ns| send(abi::kernel::server(TIME), Delay { until_ns }.to_message());
    node.pass(1_000);
    assert!(matches!(node.call(sleeper, delay(1_000)), Outcome::Done(_)));
    assert_eq!(node.call(sleeper, delay(6_000)), Outcome::Waits);
    node.pass(4_999);
    assert_eq!(node.state(sleeper), State::Delaying);
    node.pass(1);
    let results = node.results(sleeper);
    assert_eq!((results.number, results.message[0]), (0, 0));
    assert!(node.kernel.deadlines.first().is_none());
}

#[test]
fn an_alarm_is_a_message_at_a_time() {
    let mut node = Node::new();
    let owner = node.team(100, 12, 0);
    let set = |at_ns, tag| SetAlarm { at_ns, tag };
    node.request(owner, TIME, &set(1_000, 1)).unwrap();
    node.request(owner, TIME, &set(2_000, 2)).unwrap();
    node.pass(1_500);
    assert_eq!(refused(node.call(owner, receive_from(Pid::NONE, NOW))), Error::NothingWaiting);
    node.call(owner, receive());
    node.pass(500);
    let (alarm, came) = received(Outcome::Done(node.results(owner)));
    assert_eq!(came, Notice::Alarm(notice::Alarm { tag: 2 }));
    // A new one that comes due before the reply follows it.
    node.request(owner, TIME, &set(3_000, 3)).unwrap();
    node.pass(5_000);
    assert_eq!(refused(node.call(owner, receive_from(Pid::NONE, NOW))), Error::NothingWaiting);
    node.call(owner, reply(alarm, EMPTY));
    assert_eq!(received(node.call(owner, receive())), (alarm, Notice::Alarm(notice::Alarm { tag: 3 })));
    node.call(owner, reply(alarm, EMPTY));
    // Not received yet, it is replaced; and cancelled, it is gone.
    node.request(owner, TIME, &set(9_000, 4)).unwrap();
    node.pass(10_000);
    node.request(owner, TIME, &set(50_000, 5)).unwrap();
    assert_eq!(refused(node.call(owner, receive_from(Pid::NONE, NOW))), Error::NothingWaiting);
    node.request(owner, TIME, &set(0, 0)).unwrap();
    node.pass(100_000);
    assert_eq!(refused(node.call(owner, receive_from(Pid::NONE, NOW))), Error::NothingWaiting);
    assert_eq!(refused(node.call(owner, reply(alarm, EMPTY))), Error::StaleProcess);
}

#[test]
fn the_clock_is_set_by_right() {
    let mut node = Node::new();
    let (root, other) = (node.root, node.team(100, 12, 0));
    node.pass(500);
    let now = node.request(other, TIME, &time::Now {}).unwrap();
    assert_eq!((now.monotonic_ns, now.real_ns), (500, 500));
    let set = SetTime { real_ns: 7_000 };
    assert_eq!(node.request(other, TIME, &set), Err(Error::NoPermission));
    node.request(root, TIME, &set).unwrap();
    node.pass(1);
    let now = node.request(other, TIME, &time::Now {}).unwrap();
    assert_eq!((now.monotonic_ns, now.real_ns), (501, 7_001));
    assert_eq!(node.kernel.machine.real_base_ns, Some(6_500));
}

/// An exception server of the system's, and a team whose exceptions it hears of.
fn with_exception_server(node: &mut Node) -> (Pid, Pid) {
    let root = node.root;
    let server = CreateTeam {
        user: UserId::SYSTEM,
        rights: Rights::EXCEPTION_SERVER,
        priority: 6,
        quota_pages: 0,
        quota_processes: 0,
    };
    let server = node.team_as(root, &server, 4).unwrap();
    let set = SetExceptionServer { team: Pid::NONE, server };
    node.request(root, PROCESS, &set).unwrap();
    let program = node.team(100, 12, 4);
    (server, program)
}

fn except(node: &mut Node, process: Pid, vector: u32, address: u64) {
    node.run(process);
    let next = node.kernel.exception(vector, 2, address);
    node.settle(next);
}

#[test]
fn an_exception_waits_for_its_server() {
    let mut node = Node::new();
    let (server, program) = with_exception_server(&mut node);
    let index = node.index(program);
    let registers = RegisterRecord { rip: 0x1234, rsp: 0x7000, ..RegisterRecord::default() };
    node.kernel.machine.set_full_registers(index, &registers);
    node.poke(program, Node::data(0x100), b"stack");
    node.call(server, receive());
    except(&mut node, program, 13, 0);
    assert_eq!(node.running(), Some(server));
    let results = node.results(server);
    assert_eq!(Grant::from_bits(results.extra[0]).access(), Access::READ_WRITE);
    let (sender, came) = received(Outcome::Done(results));
    let expected = notice::Exception { vector: 13, code: 2, address: 0, instruction: 0x1234 };
    assert_eq!((sender, came), (program, Notice::Exception(expected)));
    // Its registers and memory can be looked at and changed.
    let read = process::ReadRegisters { process: program };
    let grant = Grant::new(RegisterRecord::BYTES as u64, Access::READ_WRITE);
    node.request_with(server, PROCESS, &read, Node::data(0), grant).unwrap();
    let bytes = node.peek(server, Node::data(0), RegisterRecord::BYTES);
    let mut seen = RegisterRecord::from_bytes(&bytes.try_into().unwrap());
    assert_eq!(seen, registers);
    seen.rip = 0x5678;
    node.poke(server, Node::data(0), &seen.to_bytes());
    let write = process::WriteRegisters { process: program };
    node.request_with(server, PROCESS, &write, Node::data(0), grant).unwrap();
    assert_eq!(node.kernel.machine.full_registers(index).rip, 0x5678);
    let move_from = abi::call::MoveFrom {
        client: program,
        segment_offset: Node::data(0x100),
        address: Node::data(0x200),
        bytes: 5,
    };
    node.call(server, move_from.encode());
    assert_eq!(node.peek(server, Node::data(0x200), 5), b"stack");
    let stranger = node.team(100, 12, 4);
    node.poke(stranger, Node::data(0), &[0; 200]);
    assert_eq!(
        node.request_with(stranger, PROCESS, &read, Node::data(0), grant),
        Err(Error::NotAwaitingReply)
    );
    node.call(stranger, receive());
    // The reply resumes it in full.
    node.call(server, reply(program, EMPTY));
    node.call(server, receive());
    assert!(
        matches!(node.next, Next::Run { process, resume: Resume::Full, .. } if process == index),
        "{:?}",
        node.next
    );
    // Out of its Receive by a message, the server finds it gone.
    let client = node.team(100, 12, 0);
    node.call(client, send(server, EMPTY));
    assert_eq!(node.request_with(server, PROCESS, &read, 0, Grant::NONE), Err(Error::NotAwaitingReply));
}

#[test]
fn a_forwarded_exception_leaves_no_forwarder_behind() {
    let mut node = Node::new();
    let [server, debugger, program] = [0; 3].map(|pages| node.team(100, 12, pages));
    node.request(program, PROCESS, &SetExceptionServer { team: Pid::NONE, server }).unwrap();
    node.call(server, receive());
    except(&mut node, program, 3, 0);
    let forward =
        abi::call::Forward { client: program, message: EMPTY, to: debugger.to_bits(), forwarder: 0 };
    node.call(server, forward.encode());
    let Outcome::Done(received) = node.call(debugger, receive()) else { panic!("it waits") };
    assert_eq!((received.pid, received.extra[2]), (program.to_bits(), server.to_bits()));
    node.call(debugger, reply(program, EMPTY));
    // What the program sends next comes from nobody but itself.
    node.call(program, send(debugger, EMPTY));
    let Outcome::Done(received) = node.call(debugger, receive()) else { panic!("it waits") };
    assert_eq!((received.pid, received.extra[2]), (program.to_bits(), 0));
}

#[test]
fn an_exception_nobody_hears_of_ends_the_team() {
    let mut node = Node::new();
    let root = node.root;
    let status = |node: &mut Node, team: Pid| {
        node.pass(50_000_000);
        let (_, came) = received(node.call(root, receive_from(team, FOREVER)));
        node.call(root, reply(team, EMPTY));
        match came {
            Notice::TeamEnded(ended) => ended.status,
            other => panic!("{other:?}"),
        }
    };
    // No server.
    let alone = node.team(100, 12, 0);
    except(&mut node, alone, 6, 0);
    assert_eq!(status(&mut node, alone), STATUS_EXCEPTION + 6);
    // Two that are each other's: the one who meets the other in trouble; and then who waited for it.
    let (server, _) = with_exception_server(&mut node);
    let (friend, _) = with_exception_server(&mut node);
    for (team, server) in [(server, friend), (friend, server)] {
        let set = SetExceptionServer { team, server };
        node.request(root, PROCESS, &set).unwrap();
    }
    except(&mut node, friend, 3, 0);
    assert_eq!(node.state(friend), State::Sending);
    except(&mut node, server, 14, 0x77);
    assert_eq!(status(&mut node, server), STATUS_EXCEPTION + 14);
    assert_eq!(status(&mut node, friend), STATUS_EXCEPTION + 3);
    // One that is its own.
    let (server, _) = with_exception_server(&mut node);
    let set = SetExceptionServer { team: server, server };
    node.request(root, PROCESS, &set).unwrap();
    except(&mut node, server, 1, 0);
    assert_eq!(status(&mut node, server), STATUS_EXCEPTION + 1);
    // The server dies with the exception received.
    let (server, program) = with_exception_server(&mut node);
    node.call(server, receive());
    except(&mut node, program, 17, 0);
    assert_eq!(node.state(program), State::AwaitingReply);
    let destroy = process::Destroy { process: server, status: 0 };
    node.request(root, PROCESS, &destroy).unwrap();
    status(&mut node, server);
    assert_eq!(status(&mut node, program), STATUS_EXCEPTION + 17);
}

#[test]
fn a_page_fault_gives_the_page_or_is_an_exception() {
    use abi::kernel::protection::{EXECUTE, READ, WRITE};
    let mut node = Node::new();
    let (server, program) = with_exception_server(&mut node);
    node.call(server, receive());
    let index = node.index(program);
    for access in [READ, WRITE] {
        node.run(program);
        let next = node.kernel.page_fault(Node::data(0x1004), access, 6);
        node.settle(next);
        assert!(matches!(node.next, Next::Run { process, resume: Resume::Full, .. } if process == index));
    }
    assert_eq!(node.peek(program, Node::data(0x1000), 8), [0; 8]);
    for (address, access) in
        [(Node::data(0x1000), EXECUTE), (0, READ), (u64::MAX, WRITE), (Node::data(0x4000), READ)]
    {
        node.run(program);
        let next = node.kernel.page_fault(address, access, 4);
        node.settle(next);
        assert_eq!(node.state(program), State::AwaitingReply, "{address:#x}");
        let (sender, came) = received(Outcome::Done(node.results(server)));
        assert_eq!(sender, program);
        assert!(
            matches!(came, Notice::Exception(exception) if (exception.vector, exception.address) == (14, address))
        );
        node.call(server, reply(program, EMPTY));
        node.call(server, receive());
    }
}

#[test]
fn who_may_be_an_exception_server() {
    let mut node = Node::new();
    let (one, other) = (node.team(100, 12, 0), node.team(101, 12, 0));
    let same = node.team(100, 12, 0);
    let root = node.root;
    let set = |team, server| SetExceptionServer { team, server };
    let denied = Err(Error::NoPermission);
    assert_eq!(node.request(one, PROCESS, &set(other, same)).map(|_| ()), denied);
    assert_eq!(node.request(one, PROCESS, &set(Pid::NONE, other)).map(|_| ()), denied);
    assert_eq!(
        node.request(root, PROCESS, &set(one, other)).map(|_| ()),
        denied,
        "without the right to be one"
    );
    // A debugger gives exceptions back to whom they went before, whoever that is.
    node.request(root, PROCESS, &set(same, root)).unwrap();
    let former = node.request(one, PROCESS, &set(same, one)).unwrap().former;
    assert_eq!(former, root);
    assert_eq!(node.request(one, PROCESS, &set(same, former)).unwrap().former, one);
    assert_eq!(node.request(one, PROCESS, &set(Pid::NONE, Pid::NONE)).map(|_| ()), Ok(()));
}

#[test]
fn a_debugger_looks_at_what_it_has_suspended() {
    use abi::kernel::memory::{Peek, WriteMemory};
    let mut node = Node::new();
    let [debugger, program] = [2, 4].map(|pages| node.team(100, 12, pages));
    let stranger = node.team(101, 12, 2);
    node.poke(program, Node::data(0x1ffd), b"end");
    node.poke(stranger, Node::data(0), &[0; 200]);
    node.poke(debugger, Node::data(0), &[0; 200]);
    assert_eq!(node.call(program, receive()), Outcome::Waits);
    let grant = Grant::new(RegisterRecord::BYTES as u64, Access::READ_WRITE);
    let read = process::ReadRegisters { process: program };
    let refused = Err(Error::NotAwaitingReply);
    assert_eq!(node.request_with(debugger, PROCESS, &read, Node::data(0), grant).map(drop), refused);
    node.request(debugger, PROCESS, &process::Suspend { process: program }).unwrap();
    assert_eq!(node.request_with(stranger, PROCESS, &read, Node::data(0), grant).map(drop), refused);
    node.request_with(debugger, PROCESS, &read, Node::data(0), grant).unwrap();
    let bytes = node.peek(debugger, Node::data(0), RegisterRecord::BYTES);
    let mut seen = RegisterRecord::from_bytes(&bytes.try_into().unwrap());
    let called_from = node.kernel.processes[node.index(program)].registers;
    assert_eq!((seen.rip, seen.rsp), (called_from.instruction, called_from.stack));
    // It returns to where the debugger says, and with nothing else of what that says.
    (seen.rip, seen.rdi) = (0x5678, 99);
    node.poke(debugger, Node::data(0), &seen.to_bytes());
    let write = process::WriteRegisters { process: program };
    node.request_with(debugger, PROCESS, &write, Node::data(0), grant).unwrap();
    // Memory is read to the end of its page, and changed by whoever hears of its exceptions.
    let peek = |address| Peek { team: program, address };
    let room = Grant::new(64, Access::WRITE);
    node.request_with(debugger, MEMORY, &peek(Node::data(0x1ffd)), Node::data(0), room).unwrap();
    assert_eq!(
        (node.peek(debugger, Node::data(0), 4), node.results(debugger).message[3] >> 32),
        (b"end\0".to_vec(), 3)
    );
    for (who, address, error) in [
        (stranger, Node::data(0), Error::NoPermission),
        (debugger, Node::data(0x4000), Error::BadAddress),
        (debugger, u64::MAX, Error::BadAddress),
    ] {
        assert_eq!(node.request_with(who, MEMORY, &peek(address), Node::data(0), room).map(drop), Err(error));
    }
    let page = Grant::new(4096, Access::READ);
    let change = WriteMemory { team: program, address: Node::data(0x1000) };
    let refused = Err(Error::NoPermission);
    assert_eq!(node.request_with(debugger, MEMORY, &change, Node::data(0x1000), page).map(drop), refused);
    let former =
        node.request(debugger, PROCESS, &SetExceptionServer { team: program, server: debugger }).unwrap();
    assert_eq!(former.former, Pid::NONE);
    node.poke(debugger, Node::data(0x1000), b"changed");
    node.request_with(debugger, MEMORY, &change, Node::data(0x1000), page).unwrap();
    assert_eq!(node.peek(program, Node::data(0x1000), 7), b"changed");
    node.request(debugger, PROCESS, &process::Resume { process: program }).unwrap();
    node.call(stranger, send(program, EMPTY));
    let results = node.results(program);
    assert_eq!((results.instruction, results.pid), (0x5678, stranger.to_bits()));
}
