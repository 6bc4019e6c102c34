//! Copies and forwards from one node to another.

use abi::call::{self, FOREVER, MoveFrom, MoveTo, Registers};
use abi::kernel::record::AlienRecord;
use abi::kernel::{MOST_MOVED_BYTES, REMOTE, TIME, remote};
use abi::protocol::Reply as _;
use abi::remote::{Arrival, TRANSACTION_STEP};
use abi::{Access, Error, Grant, Message, Pid};
use kernel_core::process::State;
use kernel_core::short_path::ShortCall;
use simulator::node::{receive, reply_receive, send};
use simulator::{Node, Outcome};

use crate::fixture::{
    ANSWER, ELSEWHERE, FAR, FARTHER, Fixture, INBOX, PRIORITY, WORDS, refused, succeeded, take_until,
};

#[test]
fn copies_beyond_the_buffer_are_sent_to_the_clients_node() {
    let mut fixture = Fixture::new();
    let server = fixture.node.team(100, PRIORITY, 300);
    let grant = Grant::new(0x20_0000, Access::READ_WRITE);
    let record = fixture.record(server, grant, b"head");
    fixture.send_alien(&record).unwrap();
    succeeded(fixture.node.call(server, receive()));
    let total = MOST_MOVED_BYTES + 100;
    let content: Vec<u8> = (0..total).map(|at| (at % 251) as u8).collect();
    fixture.node.poke(server, Node::data(0), &content);

    let move_to =
        MoveTo { client: FAR, segment_offset: 0x5000, address: Node::data(0), bytes: total }.encode();
    assert_eq!(fixture.node.call(server, move_to), Outcome::Waits);
    let remote_server = Pid::kernel_server(ELSEWHERE, REMOTE);
    for (number, offset, bytes) in [(1, 0, MOST_MOVED_BYTES), (2, MOST_MOVED_BYTES, 100)] {
        let (registers, arrival) = fixture.arrival();
        let transaction = number * TRANSACTION_STEP;
        assert_eq!(arrival, Arrival::Elsewhere { to: remote_server, transaction });
        assert_eq!(registers.pid, server.to_bits());
        assert_eq!(registers.extra[0], Grant::new(bytes, Access::READ).to_bits());
        let message = Message::from_registers(registers.message);
        let request = remote::MoveTo { client: FAR, transaction: 77, offset: 0x5000 + offset };
        assert_eq!(remote::Remote::from_message(&message), Some(remote::Remote::MoveTo(request)));
        assert_eq!(message.segment_bytes(), 0, "it is read as it is sent");
        let (network, end) = (fixture.network, bytes - 100);
        let read =
            MoveFrom { client: server, segment_offset: end, address: Node::data(INBOX), bytes: 100 }.encode();
        succeeded(fixture.node.call(network, read));
        let read = fixture.node.peek(network, Node::data(INBOX), 100);
        assert_eq!(read, content[(offset + end) as usize..][..100]);
        let moved = remote::Moved { count: bytes as u32 };
        assert_eq!(fixture.node.state(server), State::AwaitingReply);
        succeeded(fixture.reply(server, moved.to_message(), Pid::NONE, None));
    }
    assert_eq!(succeeded(Outcome::Done(fixture.node.results(server))).extra[0], total);

    // Back, with an error in the second piece.
    let move_from =
        MoveFrom { client: FAR, segment_offset: 0x5000, address: Node::data(0), bytes: total }.encode();
    assert_eq!(fixture.node.call(server, move_from), Outcome::Waits);
    let (registers, arrival) = fixture.arrival();
    assert_eq!(arrival, Arrival::Elsewhere { to: remote_server, transaction: 3 * TRANSACTION_STEP });
    assert_eq!(registers.extra[0], Grant::new(MOST_MOVED_BYTES, Access::WRITE).to_bits());
    let network = fixture.network;
    let write = MoveTo { client: server, segment_offset: 0, address: Node::data(INBOX), bytes: 100 }.encode();
    succeeded(fixture.node.call(network, write));
    let moved = remote::MovedBack { count: MOST_MOVED_BYTES as u32 };
    succeeded(fixture.reply(server, moved.to_message(), Pid::NONE, None));
    fixture.arrival();
    let refusal = abi::protocol::refusal(Error::BadAddressOfOther);
    succeeded(fixture.reply(server, refusal, Pid::NONE, None));
    assert_eq!(fixture.node.error(server), Error::BadAddressOfOther);
    assert_eq!(fixture.node.results(server).extra[0], MOST_MOVED_BYTES);
    assert_eq!(fixture.node.peek(server, Node::data(0), 100), content[MOST_MOVED_BYTES as usize..]);

    // The client gives up while the copy is under way.
    assert_eq!(fixture.node.call(server, move_to), Outcome::Waits);
    fixture.arrival();
    fixture.destroy_alien().unwrap();
    let moved = remote::Moved { count: MOST_MOVED_BYTES as u32 };
    succeeded(fixture.reply(server, moved.to_message(), Pid::NONE, None));
    assert_eq!(fixture.node.error(server), Error::NotAwaitingReply);
    assert_eq!(fixture.node.results(server).extra[0], MOST_MOVED_BYTES);

    // So does the network server.
    fixture.send_alien(&record).unwrap();
    succeeded(fixture.node.call(server, receive()));
    assert_eq!(fixture.node.call(server, move_to), Outcome::Waits);
    let network = fixture.network;
    fixture.end(network);
    assert_eq!(fixture.node.error(server), Error::NoNetwork);
    fixture.finish(&[server]);
}

#[test]
fn the_grant_holds_for_copies_too() {
    let mut fixture = Fixture::new();
    let server = fixture.node.team(100, PRIORITY, 16);
    let record = fixture.record(server, Grant::new(0x1000, Access::READ), b"head");
    fixture.send_alien(&record).unwrap();
    succeeded(fixture.node.call(server, receive()));
    let address = Node::data(0);
    for (bytes, offset, error) in [(1, 0x1000, Error::TooLong), (u64::MAX, 1, Error::TooLong)] {
        let call = MoveFrom { client: FAR, segment_offset: offset, address, bytes };
        assert_eq!(refused(fixture.node.call(server, call.encode())), error);
    }
    let call = MoveTo { client: FAR, segment_offset: 0, address, bytes: 1 };
    assert_eq!(refused(fixture.node.call(server, call.encode())), Error::NoWriteAccess);
    let call = MoveFrom { client: FAR, segment_offset: 0, address: u64::MAX - 10, bytes: 100 };
    assert_eq!(refused(fixture.node.call(server, call.encode())), Error::BadAddress);
    let call = MoveFrom { client: FAR, segment_offset: 0x1000, address, bytes: 0 };
    assert_eq!(succeeded(fixture.node.call(server, call.encode())).extra[0], 0);
    let network = fixture.network;
    fixture.finish(&[network, server]);
}

#[test]
fn messages_are_forwarded_here_and_elsewhere() {
    let forward = |client, to: Pid, forwarder: Pid| {
        call::Forward { client, message: ANSWER, to: to.to_bits(), forwarder: forwarder.to_bits() }.encode()
    };
    let mut fixture = Fixture::new();
    let client = fixture.node.team(100, PRIORITY, 4);
    let first = fixture.node.team(100, PRIORITY, 4);
    let second = fixture.node.team(100, PRIORITY, 4);

    // A client of this node to another one, whose node forwards it again, and back to this.
    fixture.node.call(client, send(first, WORDS));
    succeeded(fixture.node.call(first, receive()));
    succeeded(fixture.node.call(first, forward(client, FAR, FARTHER)));
    let (registers, arrival) = fixture.arrival();
    assert_eq!(arrival, Arrival::Elsewhere { to: FAR, transaction: TRANSACTION_STEP });
    assert_eq!(registers.extra[2], first.to_bits(), "only the network server says who forwards");
    assert_eq!(Message::from_registers(registers.message).words[1..7], ANSWER.words[1..7]);
    succeeded(fixture.node.call(fixture.network, forward(client, FARTHER, FAR)));
    let (registers, arrival) = fixture.arrival();
    assert_eq!(arrival, Arrival::Elsewhere { to: FARTHER, transaction: 2 * TRANSACTION_STEP });
    assert_eq!(registers.extra[2], FAR.to_bits());
    succeeded(fixture.node.call(fixture.network, forward(client, second, FARTHER)));
    let received = succeeded(fixture.node.call(second, receive()));
    assert_eq!((received.pid, received.extra), (client.to_bits(), [0, 100, FARTHER.to_bits(), 0, 0]));
    assert_eq!(fixture.node.call(second, reply_receive(client, ANSWER)), Outcome::Waits);
    assert_eq!(fixture.node.results(client).pid, second.to_bits());

    // An alien to another process here, and from there to another node.
    let record = fixture.record(first, Grant::NONE, b"");
    fixture.send_alien(&record).unwrap();
    succeeded(fixture.node.call(first, receive()));
    succeeded(fixture.node.call(first, forward(FAR, second, Pid::NONE)));
    let received = fixture.node.results(second);
    assert_eq!((received.pid, received.extra[2]), (FAR.to_bits(), first.to_bits()));
    succeeded(fixture.node.call(second, forward(FAR, FARTHER, Pid::NONE)));
    let (registers, arrival) = fixture.arrival();
    let cookie = record.cookie;
    assert_eq!(arrival, Arrival::Forwarded { cookie, forwarder: second, to: FARTHER });
    assert_eq!((registers.pid, registers.message), (fixture.alien.to_bits(), ANSWER.to_registers()));

    // Another user's needs the right; a copy to elsewhere and a kernel server cannot be forwarded.
    let stranger = fixture.node.team(101, PRIORITY, 4);
    fixture.send_alien(&AlienRecord { to: stranger.to_bits(), ..record }).unwrap();
    succeeded(fixture.node.call(stranger, receive()));
    let to_kernel = forward(FAR, Pid::kernel_server(first.host(), TIME), Pid::NONE);
    assert_eq!(refused(fixture.node.call(stranger, to_kernel)), Error::NotForwardable);
    assert_eq!(refused(fixture.node.call(stranger, forward(FAR, first, FAR))), Error::NotForwardable);
    let network = fixture.network;
    fixture.end(network);
    assert_eq!(refused(fixture.node.call(stranger, forward(FAR, FAR, FAR))), Error::NotAwaitingReply);
    fixture.finish(&[client, first, second, stranger]);
}

#[test]
fn a_copy_to_elsewhere_is_not_forwarded() {
    let mut fixture = Fixture::new();
    let server = fixture.node.team(100, PRIORITY, 4);
    let record = fixture.record(server, Grant::new(0x1000, Access::WRITE), b"");
    fixture.send_alien(&record).unwrap();
    succeeded(fixture.node.call(server, receive()));
    let call = MoveTo { client: FAR, segment_offset: 0, address: Node::data(0), bytes: 10 };
    assert_eq!(fixture.node.call(server, call.encode()), Outcome::Waits);
    fixture.arrival();
    let forward =
        call::Forward { client: server, message: ANSWER, to: FARTHER.to_bits(), forwarder: 0 }.encode();
    assert_eq!(refused(fixture.node.call(fixture.network, forward)), Error::NotForwardable);
    // The end of the server leaves neither of its two waits behind.
    fixture.end(server);
    let outcome = Err(Error::DiedBeforeReply);
    let cookie = record.cookie;
    assert_eq!(fixture.arrival().1, Arrival::Answered { cookie, replier: Pid::NONE, outcome });
    assert_eq!(refused(fixture.reply(server, ANSWER, Pid::NONE, None)), Error::StaleProcess);
    let network = fixture.network;
    fixture.finish(&[network]);
}

/// A server's `ReplyReceive` without data, until the next message comes.
fn reply_and_wait(to: Pid) -> Registers {
    reply_receive(to, ANSWER)
}

#[test]
fn whoever_simply_waits_does_so_the_short_way() {
    let mut fixture = Fixture::new();
    let server = fixture.node.team(100, PRIORITY, 4);
    fixture.node.run(server);
    let index = fixture.node.kernel.cpu().current;
    for (call, is_short) in [(take_until(1), false), (take_until(FOREVER), true)] {
        fixture.node.kernel.processes[index].registers = call;
        assert_eq!(fixture.node.kernel.short_call() == ShortCall::Choose, is_short);
    }
    let next = fixture.node.kernel.choose();
    fixture.node.settle(next);
    let network = fixture.network;
    fixture.finish(&[server, network]);
}

#[test]
fn what_waits_simply_is_reached_the_short_way() {
    let mut fixture = Fixture::new();
    let [client, server] = [0, 1].map(|_| fixture.node.team(100, PRIORITY, 4));
    let network = fixture.network;
    let calls = |fixture: &Fixture| {
        let calls = fixture.node.kernel.short_calls;
        (calls.sends, calls.replies)
    };
    let before = calls(&fixture);
    fixture.find_alien().unwrap();
    assert_eq!(fixture.node.call(network, take_until(FOREVER)), Outcome::Waits);
    // A client here, and its answer from elsewhere.
    for round in 1..=2 {
        assert_eq!(fixture.node.call(client, send(FAR, WORDS)), Outcome::Waits);
        let arrival = Arrival::decode(&fixture.node.results(network));
        assert_eq!(arrival, Arrival::Elsewhere { to: FAR, transaction: round * TRANSACTION_STEP });
        assert_eq!(fixture.node.call(network, reply_and_wait(client)), Outcome::Waits);
        let results = fixture.node.results(client);
        assert_eq!((results.number, results.pid), (0, FAR.to_bits()));
        assert_eq!(Message::from_registers(results.message).words, ANSWER.words);
    }
    assert_eq!(calls(&fixture), (before.0 + 2, before.1 + 2));
    // A client elsewhere, and the answer to it.
    assert_eq!(fixture.node.call(server, receive()), Outcome::Waits);
    let record = fixture.record(server, Grant::NONE, b"");
    fixture.node.call(client, send(FAR, WORDS));
    for round in 3..=4 {
        let reply = fixture.reply_to_alien(&record, WORDS);
        let reply_receive = Registers { number: call::ReplyReceive::NUMBER, ..reply };
        assert_eq!(fixture.node.call(network, reply_receive), Outcome::Waits);
        let received = fixture.node.results(server);
        assert_eq!((received.number, received.pid), (0, FAR.to_bits()));
        assert_eq!(received.extra, [0, 100, 0, 0, 0]);
        assert_eq!(fixture.node.call(server, reply_and_wait(FAR)), Outcome::Waits);
        let registers = fixture.node.results(network);
        let answered = Arrival::Answered { cookie: record.cookie, replier: server, outcome: Ok(()) };
        assert_eq!((Arrival::decode(&registers), registers.pid), (answered, fixture.alien.to_bits()));
        assert_eq!(calls(&fixture), (before.0 + round + 1, before.1 + round));
    }
    fixture.finish(&[client, server, network]);
}
