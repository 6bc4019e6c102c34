//! Messages between two teams: every path of Send, Receive, Reply, ReplyReceive and Forward, and every error of theirs.

use abi::call::{self, FOREVER, NOW};
use abi::kernel::protection::{READ, WIRED, WRITE};
use abi::kernel::record::ProcessRecord;
use abi::kernel::{GROUP, MEMORY, PROCESS, STATISTICS, group, memory, process, statistics};
use abi::{Access, Error, Grant, LogicalHost, Message, Pid, Rights, UserId};
use kernel_core::process::State;
use simulator::node::{receive, receive_from, reply, reply_receive, send, send_with};
use simulator::{Node, Outcome};

const WORDS: Message = Message { words: [0xff00_0001, 2, 3, 4, 5, 6, 7, 8] };

fn refused(outcome: Outcome) -> Error {
    let Outcome::Done(registers) = outcome else {
        panic!("it waits");
    };
    assert_eq!((registers.pid, registers.message), (0, [0; 4]));
    Error::check(registers.number as u32).expect_err("an error")
}

fn two(node: &mut Node) -> (Pid, Pid) {
    (node.team(100, 12, 4), node.team(101, 12, 4))
}

#[test]
fn a_message_goes_over_and_back() {
    let mut node = Node::new();
    let (client, server) = two(&mut node);
    assert_eq!(node.call(server, receive()), Outcome::Waits);
    assert_eq!(node.call(client, send(server, WORDS)), Outcome::Waits);
    assert_eq!(node.running(), Some(server), "switched over at once");
    let received = node.results(server);
    assert_eq!((received.number, received.pid), (0, client.to_bits()));
    let message = Message::from_registers(received.message);
    assert_eq!(message.words, [1, 2, 3, 4, 5, 6, 7, 0], "without the kernel's bits");
    assert_eq!(received.extra, [0, 100, 0, 0, 0], "no grant, the user, no forwarder");

    assert_eq!(node.call(server, reply_receive(client, WORDS)), Outcome::Waits);
    assert_eq!(node.running(), Some(client));
    let replied = node.results(client);
    assert_eq!((replied.number, replied.pid), (0, server.to_bits()));
    assert_eq!(Message::from_registers(replied.message).words, [1, 2, 3, 4, 5, 6, 7, 0]);
    assert_eq!(replied.extra, [0; 5]);
    assert_eq!(node.state(server), State::Receiving);
}

#[test]
fn senders_queue_by_priority_and_in_order() {
    let mut node = Node::new();
    let server = node.team(100, 12, 0);
    let senders: Vec<Pid> = [14, 12, 13, 12].iter().map(|priority| node.team(100, *priority, 0)).collect();
    for (number, sender) in (0..).zip(&senders) {
        assert_eq!(node.call(*sender, send(server, Message::with_code(number))), Outcome::Waits);
    }
    let codes: Vec<u64> = (0..4)
        .map(|_| match node.call(server, receive()) {
            Outcome::Done(registers) => registers.message[0],
            Outcome::Waits => panic!("nothing received"),
        })
        .collect();
    assert_eq!(codes, [1, 3, 2, 0]);
    // In any order, none twice.
    assert_eq!(node.call(server, reply(senders[0], WORDS)), done_empty());
    assert_eq!(node.call(server, reply(senders[3], WORDS)), done_empty());
    assert_eq!(refused(node.call(server, reply(senders[0], WORDS))), Error::NotAwaitingReply);
}

fn done_empty() -> Outcome {
    Outcome::Done(call::Registers { instruction: 0x1000, stack: 0x2000, ..call::Registers::default() })
}

#[test]
fn whom_one_cannot_send_to() {
    let mut node = Node::new();
    let (client, other) = two(&mut node);
    let host = client.host();
    let gone = node.team(100, 12, 0);
    end(&mut node, gone);
    let send_to = |node: &mut Node, pid| refused(node.call(client, send(pid, WORDS)));
    assert_eq!(send_to(&mut node, gone), Error::StaleProcess);
    assert_eq!(send_to(&mut node, Pid::NONE), Error::NonexistentProcess);
    assert_eq!(send_to(&mut node, Pid::process(host, 1, 9999)), Error::NonexistentProcess);
    assert_eq!(send_to(&mut node, Pid::process(host, 99, other.index())), Error::NonexistentProcess);
    assert_eq!(send_to(&mut node, Pid::kernel_server(host, 12)), Error::NonexistentProcess);
    let far = Pid::process(LogicalHost::from_bits(0x999), 1, 20);
    assert_eq!(send_to(&mut node, far), Error::NoNetwork);
    assert_eq!(send_to(&mut node, client), Error::BadArgument);
    let timed = call::Send { to: other, message: WORDS, segment_address: 0, grant: 0, deadline: 5 };
    assert_eq!(refused(node.call(client, timed.encode())), Error::BadArgument);
    let beyond = Grant::new(0x1000, Access::READ);
    let outcome = node.call(client, send_with(other, WORDS, abi::USER_ADDRESS_END - 0xfff, beyond));
    assert_eq!(refused(outcome), Error::BadAddress);
    let outcome = node.call(client, send_with(other, WORDS, u64::MAX, beyond));
    assert_eq!(refused(outcome), Error::BadAddress);
    let unknown = call::Registers { number: 99, ..call::Registers::default() };
    assert_eq!(refused(node.call(client, unknown)), Error::BadRequest);
    let unknown = Message::with_code(0x77_7777);
    let Outcome::Done(registers) = node.call(client, send(abi::kernel::server(PROCESS), unknown)) else {
        panic!("a kernel server made its client wait");
    };
    assert_eq!(registers.message[0], u64::from(Error::BadRequest.code()));
}

/// Ends a team whose owner is the first team's root, notice included.
fn end(node: &mut Node, team: Pid) {
    let destroy = process::Destroy { process: team, status: 3 };
    let root = node.root;
    node.request(root, PROCESS, &destroy).expect("destroyed");
    // Its end takes its turn with those who are ready.
    node.pass(50_000_000);
    let Outcome::Done(notice) = node.call(root, receive_from(team, FOREVER)) else {
        panic!("no notice of the end");
    };
    assert_eq!(notice.pid, team.to_bits());
    node.call(root, reply(team, Message::default()));
}

#[test]
fn receive_from_one_and_until_a_time() {
    let mut node = Node::new();
    let (client, server) = two(&mut node);
    let third = node.team(100, 12, 0);
    assert_eq!(refused(node.call(server, receive_from(Pid::NONE, NOW))), Error::NothingWaiting);
    assert_eq!(node.call(third, send(server, WORDS)), Outcome::Waits);
    assert_eq!(refused(node.call(server, receive_from(client, NOW))), Error::NothingWaiting);
    assert_eq!(node.call(server, receive_from(client, FOREVER)), Outcome::Waits);
    assert_eq!(node.call(client, send(server, WORDS)), Outcome::Waits);
    assert_eq!(node.results(server).pid, client.to_bits());

    assert_eq!(node.call(server, receive_from(client, 5_000)), Outcome::Waits);
    node.pass(4_999);
    assert_eq!(node.state(server), State::ReceivingFrom);
    node.pass(1);
    assert_eq!(node.error(server), Error::DeadlinePassed);
    assert_eq!(refused(node.call(server, receive_from(server, NOW))), Error::BadArgument);
    let kernel = abi::kernel::server(STATISTICS);
    assert_eq!(refused(node.call(server, receive_from(kernel, NOW))), Error::BadArgument);
    assert_eq!(
        refused(node.call(server, receive_from(Pid::process(client.host(), 7, 8), NOW))),
        Error::NonexistentProcess
    );
    // A message in time takes the deadline away.
    let late = call::Receive { from: Pid::NONE, buffer_address: 0, buffer_bytes: 0, deadline: 9_000 };
    node.call(server, reply(client, WORDS));
    assert!(
        matches!(node.call(server, late.encode()), Outcome::Done(registers) if registers.pid == third.to_bits())
    );
    assert!(node.kernel.deadlines.first().is_none());
}

#[test]
fn the_head_of_a_segment_comes_along() {
    let mut node = Node::new();
    let (client, server) = two(&mut node);
    node.poke(client, Node::data(4090), b"across two pages");
    node.poke(server, Node::data(0), &[0; 64]);
    let grant = Grant::new(16, Access::READ);
    let receive = |bytes| call::Receive {
        from: Pid::NONE,
        buffer_address: Node::data(8),
        buffer_bytes: bytes,
        deadline: FOREVER,
    };
    assert_eq!(node.call(server, receive(64).encode()), Outcome::Waits);
    node.call(client, send_with(server, WORDS, Node::data(4090), grant));
    let received = node.results(server);
    assert_eq!(received.extra[0], grant.to_bits());
    assert_eq!(Message::from_registers(received.message).segment_bytes(), 16);
    assert_eq!(node.peek(server, Node::data(8), 17), b"across two pages\0");
    node.call(server, reply(client, WORDS));

    // Only as much as the buffer holds, and from the queue as well.
    node.call(client, send_with(server, WORDS, Node::data(4090), grant));
    let Outcome::Done(received) = node.call(server, receive(6).encode()) else {
        panic!("nothing received");
    };
    assert_eq!(Message::from_registers(received.message).segment_bytes(), 6);
}

#[test]
fn whose_address_is_bad() {
    let mut node = Node::new();
    let (client, server) = two(&mut node);
    let nowhere = Node::data(0x100_0000);
    let buffer =
        call::Receive { from: Pid::NONE, buffer_address: Node::data(0), buffer_bytes: 64, deadline: FOREVER };
    let bad_buffer = call::Receive { buffer_address: nowhere, ..buffer };
    let grant = Grant::new(16, Access::READ);

    // The sender's: the receiver waits on.
    node.call(server, buffer.encode());
    assert_eq!(node.call(client, send_with(server, WORDS, nowhere, grant)), node_error(Error::BadAddress));
    assert_eq!(node.state(server), State::Receiving);
    // The receiver's, while it waits: the message stays.
    node.poke(client, Node::data(0), b"here");
    let outcome = node.call(client, send_with(server, WORDS, Node::data(0), grant));
    assert_eq!(outcome, Outcome::Waits);
    node.call(server, reply(client, WORDS));
    node.call(server, bad_buffer.encode());
    node.call(client, send_with(server, WORDS, Node::data(0), grant));
    assert_eq!(node.error(server), Error::BadAddress);
    assert_eq!(node.state(client), State::Sending);
    // The receiver's, while the message waits.
    assert_eq!(refused(node.call(server, bad_buffer.encode())), Error::BadAddress);
    assert_eq!(node.state(client), State::Sending);
    assert!(matches!(node.call(server, buffer.encode()), Outcome::Done(registers) if registers.number == 0));
    node.call(server, reply(client, WORDS));
    // The sender's, from the queue: the receiver takes the next.
    node.call(client, send_with(server, WORDS, nowhere, grant));
    assert_eq!(
        node.call(server, call::Receive { deadline: NOW, ..buffer }.encode()),
        node_error(Error::NothingWaiting)
    );
    assert_eq!(node.error(client), Error::BadAddress);
}

fn node_error(error: Error) -> Outcome {
    Outcome::Done(call::Registers {
        number: u64::from(error.code()),
        instruction: 0x1000,
        stack: 0x2000,
        ..call::Registers::default()
    })
}

#[test]
fn a_reply_may_carry_data() {
    let mut node = Node::new();
    let (client, server) = two(&mut node);
    node.poke(client, Node::data(0), &[0; 32]);
    node.poke(server, Node::data(0), b"the data of the reply");
    let with_data = |address, bytes| {
        call::Reply {
            to: client,
            message: WORDS,
            segment_address: address,
            segment_bytes: bytes,
            replier: 0,
            error: 0,
        }
        .encode()
    };
    let request = |node: &mut Node, grant, address| {
        node.call(client, send_with(server, WORDS, address, grant));
        assert!(matches!(node.call(server, receive()), Outcome::Done(_)));
    };
    request(&mut node, Grant::new(21, Access::READ), Node::data(0));
    assert_eq!(refused(node.call(server, with_data(Node::data(0), 21))), Error::NoWriteAccess);
    node.call(server, reply(client, WORDS));

    request(&mut node, Grant::new(20, Access::WRITE), Node::data(0x100_0000));
    assert_eq!(refused(node.call(server, with_data(Node::data(0), 21))), Error::TooLong);
    assert_eq!(refused(node.call(server, with_data(Node::data(0), 20))), Error::BadAddressOfOther);
    assert_eq!(node.state(client), State::AwaitingReply);
    node.call(server, reply(client, WORDS));

    request(&mut node, Grant::new(21, Access::READ_WRITE), Node::data(2));
    assert_eq!(refused(node.call(server, with_data(Node::data(0x100_0000), 21))), Error::BadAddress);
    node.call(server, with_data(Node::data(0), 21));
    let results = node.results(client);
    assert_eq!(Message::from_registers(results.message).segment_bytes(), 21);
    assert_eq!(node.peek(client, Node::data(0), 24), b"\0\0the data of the reply\0");
}

#[test]
fn data_moves_between_receive_and_reply() {
    let mut node = Node::new();
    let client = node.team(100, 12, 40);
    let server = node.team(100, 12, 40);
    let content: Vec<u8> = (0..150_000_u32).map(|byte| (byte % 251) as u8).collect();
    node.poke(client, Node::data(0), &content);
    let grant = Grant::new(150_000, Access::READ);
    node.call(client, send_with(server, WORDS, Node::data(0), grant));
    assert!(matches!(node.call(server, receive()), Outcome::Done(_)));
    let move_from =
        |offset, address, bytes| call::MoveFrom { client, segment_offset: offset, address, bytes }.encode();
    let move_to =
        |offset, address, bytes| call::MoveTo { client, segment_offset: offset, address, bytes }.encode();
    let Outcome::Done(moved) = node.call(server, move_from(10, Node::data(3), 149_990)) else {
        panic!("the copy did not end");
    };
    assert_eq!((moved.number, moved.extra[0]), (0, 149_990));
    assert_eq!(node.peek(server, Node::data(3), 149_990), content[10..]);
    let failed = |node: &mut Node, registers| {
        let Outcome::Done(results) = node.call(server, registers) else {
            panic!("the copy did not end");
        };
        (Error::check(results.number as u32).expect_err("an error"), results.extra[0])
    };
    assert_eq!(failed(&mut node, move_from(11, Node::data(0), 149_990)), (Error::TooLong, 0));
    assert_eq!(failed(&mut node, move_from(u64::MAX, Node::data(0), 2)), (Error::TooLong, 0));
    assert_eq!(failed(&mut node, move_to(0, Node::data(0), 1)), (Error::NoWriteAccess, 0));
    // The buffer ends after 40 pages: what came before is counted.
    let room = 40 * 4096 - 0x8000;
    assert_eq!(failed(&mut node, move_from(0, Node::data(0x8000), 150_000)), (Error::BadAddress, room));
    node.call(server, reply(client, WORDS));
    assert_eq!(failed(&mut node, move_from(0, Node::data(0), 1)), (Error::NotAwaitingReply, 0));

    let grant = Grant::new(0x100_0000, Access::WRITE);
    node.call(client, send_with(server, WORDS, Node::data(0), grant));
    assert!(matches!(node.call(server, receive()), Outcome::Done(_)));
    assert_eq!(failed(&mut node, move_from(0, Node::data(0), 1)), (Error::NoReadAccess, 0));
    assert_eq!(failed(&mut node, move_to(0x8000, Node::data(0), 150_000)), (Error::BadAddressOfOther, room));
    assert_eq!(node.peek(client, Node::data(0x8000 + 3), 1000), content[10..1010]);
}

#[test]
fn a_message_is_handed_on() {
    let mut node = Node::new();
    let (client, server) = two(&mut node);
    let same_user = node.team(100, 12, 0);
    let forward = |client, to| {
        call::Forward { client, message: Message::with_code(9), to: Pid::to_bits(to), forwarder: 0 }.encode()
    };
    node.call(client, send(server, WORDS));
    node.call(server, receive());
    assert_eq!(refused(node.call(server, forward(client, same_user))), Error::NotForwardable);
    node.call(server, reply(client, WORDS));

    node.call(client, send(same_user, WORDS));
    assert_eq!(refused(node.call(same_user, forward(client, server))), Error::NotAwaitingReply);
    node.call(same_user, receive());
    assert_eq!(refused(node.call(same_user, forward(client, client))), Error::BadArgument);
    assert_eq!(
        refused(node.call(same_user, forward(client, abi::kernel::server(PROCESS)))),
        Error::BadArgument
    );
    assert_eq!(
        refused(node.call(same_user, forward(client, Pid::process(client.host(), 5, 9)))),
        Error::NonexistentProcess
    );
    assert!(
        matches!(node.call(same_user, forward(client, server)), Outcome::Done(registers) if registers.number == 0)
    );
    let Outcome::Done(received) = node.call(server, receive()) else {
        panic!("not handed on");
    };
    assert_eq!(received.pid, client.to_bits());
    assert_eq!(received.extra[1..3], [100, same_user.to_bits()]);
    assert_eq!(received.message[0], 9);
    assert_eq!(refused(node.call(same_user, reply(client, WORDS))), Error::NotAwaitingReply);
    node.call(server, reply(client, WORDS));
    assert_eq!(node.results(client).pid, server.to_bits());
    // The next Send does not remember the forwarder.
    node.call(client, send(server, WORDS));
    assert!(matches!(node.call(server, receive()), Outcome::Done(registers) if registers.extra[2] == 0));
}

#[test]
fn the_right_to_forward_is_enough() {
    let mut node = Node::new();
    let client = node.team(100, 12, 0);
    let to = node.team(102, 12, 0);
    let create = process::CreateTeam {
        user: UserId(101),
        rights: Rights::FORWARD,
        priority: 12,
        quota_pages: 0,
        quota_processes: 0,
    };
    let root = node.root;
    let server = node.team_as(root, &create, 0).expect("a team");
    node.call(client, send(server, WORDS));
    node.call(server, receive());
    let forward = call::Forward { client, message: WORDS, to: to.to_bits(), forwarder: 0 };
    assert!(matches!(node.call(server, forward.encode()), Outcome::Done(registers) if registers.number == 0));
    assert_eq!(node.state(client), State::Sending);
}

#[test]
fn what_is_not_awaited_cannot_be_answered() {
    let mut node = Node::new();
    let (client, server) = two(&mut node);
    let third = node.team(100, 12, 0);
    for call in [reply, reply_receive] {
        assert_eq!(refused(node.call(server, call(client, WORDS))), Error::NotAwaitingReply);
        assert_eq!(
            refused(node.call(server, call(abi::kernel::server(PROCESS), WORDS))),
            Error::NotAwaitingReply
        );
        assert_eq!(refused(node.call(server, call(Pid::NONE, WORDS))), Error::NonexistentProcess);
    }
    // Not before it was received, and not by someone else.
    node.call(client, send(server, WORDS));
    assert_eq!(refused(node.call(server, reply(client, WORDS))), Error::NotAwaitingReply);
    node.call(server, receive());
    assert_eq!(refused(node.call(third, reply(client, WORDS))), Error::NotAwaitingReply);
    end(&mut node, client);
    assert_eq!(refused(node.call(server, reply(client, WORDS))), Error::StaleProcess);
}

/// What a process has sent: all, and what the network server got to carry.
fn sent(node: &mut Node, watcher: Pid, pid: Pid) -> (u64, u64) {
    let place = Node::data(0x800);
    let query = process::QueryProcess { process: pid };
    let grant = Grant::new(ProcessRecord::BYTES as u64, Access::WRITE);
    node.request_with(watcher, PROCESS, &query, place, grant).unwrap();
    let bytes = node.peek(watcher, place, ProcessRecord::BYTES);
    let usage = ProcessRecord::from_bytes(bytes[..].try_into().unwrap()).usage();
    (usage.sent, usage.sent_elsewhere)
}

#[test]
fn what_is_sent_is_counted_once() {
    let mut node = Node::new();
    let (client, server) = two(&mut node);
    let (thread, watcher) = (node.process(client, 12), node.team(102, 12, 4));
    let before = sent(&mut node, watcher, client).0;
    // To one that waits, to one that does not, and to the kernel, at once and in steps.
    node.call(server, receive());
    node.call(client, send(server, WORDS));
    node.call(server, reply(client, WORDS));
    node.call(client, send(server, WORDS));
    node.call(server, receive());
    node.call(server, reply(client, WORDS));
    node.request(client, STATISTICS, &statistics::Null {}).unwrap();
    let wired = memory::Map { team: Pid::NONE, address: 0, pages: 40, protection: READ | WRITE | WIRED };
    node.request(client, MEMORY, &wired).unwrap();
    assert_eq!(sent(&mut node, watcher, client), (before + 4, 0));
    // What nobody got was not sent, nor is a reply.
    let gone = Pid::process(client.host(), 9, 0x90);
    assert_eq!(refused(node.call(client, send(gone, WORDS))), Error::NonexistentProcess);
    assert_eq!(sent(&mut node, watcher, client), (before + 4, 0));
    // To a group, refused and answered.
    let group = node.request(server, GROUP, &group::Create { restricted: 0 }).unwrap().group;
    let deadline = node.kernel.machine.now_ns + 1000;
    let to_group = |to| call::Send { to, message: WORDS, segment_address: 0, grant: 0, deadline }.encode();
    let empty = Pid::unrestricted_group(LogicalHost::OWN, 200);
    assert_eq!(refused(node.call(client, to_group(empty))), Error::EmptyGroup);
    assert_eq!(node.call(client, to_group(group)), Outcome::Waits);
    assert_eq!(sent(&mut node, watcher, client), (before + 5, 0));
    node.pass(2000);
    // What a process did that has ended is its root's.
    node.request(thread, STATISTICS, &statistics::Null {}).unwrap();
    let of_thread = sent(&mut node, watcher, thread).0;
    node.request(client, PROCESS, &process::Destroy { process: thread, status: 0 }).unwrap();
    assert_eq!(sent(&mut node, watcher, client), (before + 5 + of_thread + 1, 0));
}
