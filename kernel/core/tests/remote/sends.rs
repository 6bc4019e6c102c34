//! Sends that go to the network server, and its replies; the end of either side.

use abi::call::{self, MoveFrom, MoveTo, NOW};
use abi::kernel::record::AlienRecord;
use abi::kernel::{PROCESS, process};
use abi::remote::{AGAIN, Arrival, TRANSACTION_STEP};
use abi::trace::{Event, TraceRecord};
use abi::{Access, Error, Grant, Message, Pid};
use kernel_core::process::State;
use simulator::node::{receive, reply, send, send_with};
use simulator::{Node, Outcome};

use crate::fixture::{
    ANSWER, BUFFER, FAR, FARTHER, Fixture, INBOX, PRIORITY, WORDS, become_server, network_team, refused,
    succeeded,
};

#[test]
fn there_is_one_network_server_with_the_right() {
    let mut node = Node::new();
    let plain = node.team(100, PRIORITY, 0);
    assert_eq!(node.request(plain, PROCESS, &become_server()), Err(Error::NoPermission));
    assert_eq!(refused(node.call(plain, send(FAR, WORDS))), Error::NoNetwork);
    let first = network_team(&mut node);
    let second = network_team(&mut node);
    for _ in 0..2 {
        assert_eq!(
            node.request(first, PROCESS, &become_server()),
            Ok(process::NetworkServerSet { former: 0 })
        );
        assert_eq!(node.request(second, PROCESS, &become_server()), Err(Error::Busy));
    }
    // Only that may do what it may do.
    assert_eq!(node.request(second, PROCESS, &process::CreateAlien {}), Err(Error::NoPermission));
    let alien = node.request(first, PROCESS, &process::CreateAlien {}).unwrap().alien;
    let destroy = process::DestroyAlien { alien };
    assert_eq!(node.request(second, PROCESS, &destroy), Err(Error::NoPermission));
    assert_eq!(node.request(first, PROCESS, &destroy), Ok(process::AlienDestroyed {}));
    // It would wait for itself.
    assert_eq!(refused(node.call(first, send(FAR, WORDS))), Error::BadArgument);
    let timed = call::Send { to: FAR, message: WORDS, segment_address: 0, grant: 0, deadline: 5 };
    assert_eq!(refused(node.call(plain, timed.encode())), Error::BadArgument);
    let mut fixture = Fixture { node, network: first, alien };
    fixture.end(first);
    let node = &mut fixture.node;
    assert_eq!(refused(node.call(plain, send(FAR, WORDS))), Error::NoNetwork);
    assert_eq!(node.request(second, PROCESS, &become_server()), Ok(process::NetworkServerSet { former: 1 }));
    fixture.finish(&[plain, second]);
}

#[test]
fn a_send_to_elsewhere_goes_to_the_network_server() {
    let mut fixture = Fixture::new();
    let client = fixture.node.team(100, PRIORITY, 4);
    fixture.node.poke(client, Node::data(0), b"readable");
    for transaction in 1..=3 {
        let grant = Grant::new(8, Access::READ_WRITE);
        let outcome = fixture.node.call(client, send_with(FAR, WORDS, Node::data(0), grant));
        assert_eq!(outcome, Outcome::Waits);
        let (registers, arrival) = fixture.arrival();
        assert_eq!(arrival, Arrival::Elsewhere { to: FAR, transaction: transaction * TRANSACTION_STEP });
        assert_eq!((registers.pid, registers.extra[0]), (client.to_bits(), grant.to_bits()));
        assert_eq!((registers.extra[1] as u32, registers.extra[2]), (100, 0), "user and forwarder");
        assert_eq!(Message::from_registers(registers.message).words, [0x71, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(fixture.node.peek(fixture.network, Node::data(INBOX), 8), b"readable");

        match transaction {
            1 => {
                // As any server: the client sees whom it addressed.
                fixture.node.poke(fixture.network, Node::data(INBOX), b"writ");
                let answer = call::ReplyReceive {
                    to: client,
                    message: ANSWER,
                    segment_address: Node::data(INBOX),
                    segment_bytes: 4,
                    deadline: NOW,
                    buffer_address: Node::data(INBOX),
                    buffer_bytes: 0x1000,
                };
                let outcome = fixture.node.call(fixture.network, answer.encode());
                assert_eq!(refused(outcome), Error::NothingWaiting);
                let results = fixture.node.results(client);
                assert_eq!((results.number, results.pid), (0, FAR.to_bits()));
                assert_eq!(Message::from_registers(results.message).words, [0, 12, 13, 14, 15, 16, 17, 4]);
                assert_eq!(results.extra, [0; 5]);
                assert_eq!(fixture.node.peek(client, Node::data(0), 8), b"writable");
            }
            2 => {
                succeeded(fixture.reply(client, ANSWER, FARTHER, None));
                assert_eq!(fixture.node.results(client).pid, FARTHER.to_bits());
            }
            _ => {
                succeeded(fixture.reply(client, ANSWER, FAR, Some(Error::HostNotFound)));
                assert_eq!(fixture.node.error(client), Error::HostNotFound);
                assert_eq!(fixture.node.results(client).message, [0; 4]);
            }
        }
        fixture.node.poke(client, Node::data(0), b"readable");
    }
    // Others' replies say nothing of the kind.
    let server = fixture.node.team(100, PRIORITY, 0);
    fixture.node.call(client, send(server, WORDS));
    succeeded(fixture.node.call(server, receive()));
    let answer = call::Reply {
        to: client,
        message: ANSWER,
        segment_address: 0,
        segment_bytes: 0,
        replier: FAR.to_bits(),
        error: 5,
    };
    succeeded(fixture.node.call(server, answer.encode()));
    let results = fixture.node.results(client);
    assert_eq!((results.number, results.pid), (0, server.to_bits()));
    let (client_team, network) = (client, fixture.network);
    fixture.finish(&[client_team, server, network]);
}

#[test]
fn a_send_to_elsewhere_is_traced_as_what_it_is() {
    let mut fixture = Fixture::new();
    let client = fixture.node.team(100, PRIORITY, 0);
    fixture.node.kernel.trace.choose(Event::Send.bit());
    assert_eq!(fixture.node.call(client, send(FAR, WORDS)), Outcome::Waits);
    fixture.node.kernel.trace.choose(0);
    let (records, _) = fixture.node.kernel.trace.records.row_from(0, 10).as_chunks();
    let traced: Vec<TraceRecord> = records.iter().map(TraceRecord::from_bytes).collect();
    let [record] = traced.as_slice() else { panic!("{traced:?}") };
    assert_eq!((record.code(), record.from_pid(), record.to_pid()), (0x71, client, FAR));
    fixture.arrival();
    fixture.end(client);
    let network = fixture.network;
    fixture.finish(&[network]);
}

#[test]
fn a_client_that_ends_is_not_replied_to() {
    let mut fixture = Fixture::new();
    let client = fixture.node.team(100, PRIORITY, 4);
    fixture.node.call(client, send(FAR, WORDS));
    fixture.arrival();
    // How the network server looks whether it is still wanted.
    let look = MoveFrom { client, segment_offset: 0, address: 0, bytes: 0 }.encode();
    assert_eq!(refused(fixture.node.call(fixture.network, look)), Error::NoReadAccess);
    fixture.end(client);
    assert_eq!(refused(fixture.node.call(fixture.network, look)), Error::StaleProcess);
    assert_eq!(refused(fixture.reply(client, ANSWER, FAR, None)), Error::StaleProcess);
    let network = fixture.network;
    fixture.finish(&[network]);
}

#[test]
fn what_was_sent_through_a_network_server_that_has_ended_is_the_next_ones() {
    let mut fixture = Fixture::new();
    let received = fixture.node.team(100, PRIORITY, 4);
    let queued = fixture.node.team(100, PRIORITY, 4);
    fixture.node.call(received, send(FAR, WORDS));
    let (_, before) = fixture.arrival();
    fixture.node.call(queued, send(FAR, WORDS));
    // Two aliens, one received, one queued, and one on its way back.
    let servers = [0, 1, 2].map(|_| fixture.node.team(100, PRIORITY, 4));
    for (cookie, server) in (0..).zip(servers) {
        let record = AlienRecord { cookie, ..fixture.record(server, Grant::NONE, b"") };
        fixture.send_alien(&record).unwrap();
    }
    succeeded(fixture.node.call(servers[0], receive()));
    succeeded(fixture.node.call(servers[1], receive()));
    succeeded(fixture.node.call(servers[0], reply(FAR, ANSWER)));
    let network = fixture.network;
    fixture.end(network);
    assert_eq!(refused(fixture.node.call(servers[1], reply(FAR, ANSWER))), Error::NotAwaitingReply);
    assert_eq!(fixture.node.call(servers[2], receive()), Outcome::Waits);
    fixture.network = network_team(&mut fixture.node);
    fixture.node.request(fixture.network, PROCESS, &become_server()).expect("there is no other");
    let (again, after) = fixture.arrival();
    let Arrival::Elsewhere { to, transaction } = before else { panic!("{before:?}") };
    let before = Arrival::Elsewhere { to, transaction: transaction | AGAIN };
    assert_eq!((again.pid, after), (received.to_bits(), before), "the same transaction");
    assert_eq!(Message::from_registers(again.message), WORDS);
    let (registers, arrival) = fixture.arrival();
    assert_eq!(
        (registers.pid, arrival),
        (queued.to_bits(), Arrival::Elsewhere { to, transaction }),
        "a new one"
    );
    for client in [received, queued] {
        succeeded(fixture.reply(client, ANSWER, Pid::NONE, None));
        assert_eq!(fixture.node.results(client).number, 0);
    }
    // If there is none for a long time, nobody knows whether it was done.
    fixture.node.call(received, send(FAR, WORDS));
    let transaction = transaction + TRANSACTION_STEP;
    assert_eq!(fixture.arrival().1, Arrival::Elsewhere { to, transaction });
    fixture.node.call(queued, send(FAR, WORDS));
    let network = fixture.network;
    fixture.end(network);
    assert_eq!(fixture.node.state(queued), State::Idle);
    fixture.end(queued);
    fixture.node.pass(11_000_000_000);
    assert_eq!(fixture.node.error(received), Error::HostUnreachable);
    fixture.finish(&[received, servers[0], servers[1], servers[2]]);
}

#[test]
fn the_network_server_may_be_served_like_anyone() {
    let mut fixture = Fixture::new();
    let client = fixture.node.team(100, PRIORITY, 0);
    fixture.node.call(client, send(fixture.network, WORDS));
    let (registers, arrival) = fixture.arrival();
    assert_eq!((arrival, registers.extra), (Arrival::Own, [0, 100, 0, 0, 0]));
    succeeded(fixture.reply(client, ANSWER, FAR, Some(Error::Aborted)));
    let results = fixture.node.results(client);
    assert_eq!((results.number, results.pid), (0, fixture.network.to_bits()), "only for what is remote");

    // Also by a client elsewhere, whose answer comes back to itself.
    let record = fixture.record(fixture.network, Grant::new(10, Access::WRITE), b"");
    fixture.send_alien(&record).unwrap();
    let (registers, arrival) = fixture.arrival();
    assert_eq!((arrival, registers.pid), (Arrival::Own, FAR.to_bits()));
    let beyond = MoveTo { client: FAR, segment_offset: 0, address: Node::data(0), bytes: 10 }.encode();
    assert_eq!(refused(fixture.node.call(fixture.network, beyond)), Error::NotSupported);
    succeeded(fixture.reply_with_data(FAR, ANSWER, b"own"));
    let replier = fixture.network;
    let cookie = record.cookie;
    assert_eq!(fixture.arrival().1, Arrival::Answered { cookie, replier, outcome: Ok(()) });
    assert_eq!(fixture.node.peek(fixture.network, Node::data(BUFFER), 3), b"own");
    fixture.finish(&[client, replier]);
}
