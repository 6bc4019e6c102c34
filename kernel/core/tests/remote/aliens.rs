//! Aliens: what the network server sends for clients elsewhere, and what becomes of it.

use abi::call::{self, MoveFrom, NOW, Registers};
use abi::kernel::record::{AlienRecord, ProcessRecord, ProcessState};
use abi::kernel::{PROCESS, STATISTICS, TIME, process, statistics, time};
use abi::protocol::{Reply as _, Request};
use abi::remote::Arrival;
use abi::{Access, Error, Grant, LogicalHost, Message, Pid};
use kernel_core::process::State;
use simulator::node::{receive, reply, send};
use simulator::{Node, Outcome};

use crate::fixture::{
    ANSWER, BUFFER, BUFFER_BYTES, ELSEWHERE, FAR, FARTHER, Fixture, PRIORITY, WORDS, become_server, refused,
    succeeded, take_until,
};

#[test]
fn an_alien_stands_for_its_client() {
    let mut fixture = Fixture::new();
    let server = fixture.node.team(100, PRIORITY, 8);
    let take = call::Receive {
        from: Pid::NONE,
        buffer_address: Node::data(0),
        buffer_bytes: 4,
        deadline: call::FOREVER,
    };
    assert_eq!(fixture.node.call(server, take.encode()), Outcome::Waits);
    let grant = Grant::new(0x10_0000, Access::READ_WRITE);
    let record = fixture.record(server, grant, b"head of the segment");
    let forwarder = FARTHER.to_bits();
    fixture.send_alien(&AlienRecord { forwarder, ..record }).unwrap();
    let received = fixture.node.results(server);
    assert_eq!((received.number, received.pid), (0, FAR.to_bits()));
    assert_eq!(received.extra, [grant.to_bits(), 100, forwarder, 0, 0]);
    assert_eq!(Message::from_registers(received.message).words, [0x71, 2, 3, 4, 5, 6, 7, 4]);
    assert_eq!(fixture.node.peek(server, Node::data(0), 4), b"head");
    assert_eq!(fixture.node.priority(server), PRIORITY, "it is no more urgent than it is");

    // What came along is at hand, and it is the client's pid that is answered.
    let move_from =
        MoveFrom { client: FAR, segment_offset: 12, address: Node::data(0x1000), bytes: 7 }.encode();
    assert_eq!(succeeded(fixture.node.call(server, move_from)).extra[0], 7);
    assert_eq!(fixture.node.peek(server, Node::data(0x1000), 7), b"segment");
    // The network server waits for what comes.
    assert_eq!(fixture.node.call(fixture.network, take_until(call::FOREVER)), Outcome::Waits);
    let answer = call::Reply {
        to: FAR,
        message: ANSWER,
        segment_address: Node::data(0x1000),
        segment_bytes: 7,
        replier: 0,
        error: 0,
    }
    .encode();
    succeeded(fixture.node.call(server, answer));
    assert_eq!(refused(fixture.node.call(server, answer)), Error::NotAwaitingReply);
    let registers = fixture.node.results(fixture.network);
    let arrival = Arrival::decode(&registers);
    assert_eq!(refused(fixture.node.call(fixture.network, answer)), Error::NotAwaitingReply);
    let cookie = record.cookie;
    assert_eq!(arrival, Arrival::Answered { cookie, replier: server, outcome: Ok(()) });
    assert_eq!(registers.pid, fixture.alien.to_bits());
    assert_eq!(Message::from_registers(registers.message).words, [0, 12, 13, 14, 15, 16, 17, 7]);
    assert_eq!(fixture.node.peek(fixture.network, Node::data(BUFFER), 8), b"segment ");
    assert_eq!(fixture.receive(), None);
    // The next client is another one, and none of what the alien had is left.
    let record = AlienRecord { client: FARTHER.to_bits(), ..fixture.record(server, Grant::NONE, b"") };
    let alien = fixture.alien;
    fixture.send_alien(&record).unwrap();
    assert_eq!(fixture.alien, alien);
    let received = succeeded(fixture.node.call(server, take.encode()));
    assert_eq!((received.pid, received.extra), (FARTHER.to_bits(), [0, 100, 0, 0, 0]));
    assert_eq!(Message::from_registers(received.message).words, [0x71, 2, 3, 4, 5, 6, 7, 0]);
    assert_eq!(refused(fixture.node.call(server, answer)), Error::NotAwaitingReply);
    let network = fixture.network;
    fixture.finish(&[server, network]);
}

#[test]
fn what_the_network_server_cannot_send() {
    let mut fixture = Fixture::new();
    let server = fixture.node.team(100, PRIORITY, 8);
    let gone = fixture.node.team(100, PRIORITY, 8);
    fixture.end(gone);
    let sound = fixture.record(server, Grant::new(0x1000, Access::READ_WRITE), b"12");
    let write = Grant::new(0x1_0000, Access::WRITE).to_bits();
    let local = Pid::process(server.host(), 99, 99).to_bits();
    let group = Pid::unrestricted_group(ELSEWHERE, 5).to_bits();
    let kernel = Pid::kernel_server(ELSEWHERE, PROCESS).to_bits();
    let own = Pid::process(LogicalHost::OWN, 1, 17).to_bits();
    for (record, error) in [
        (AlienRecord { client: local, ..sound }, Error::BadArgument),
        (AlienRecord { client: group, ..sound }, Error::BadArgument),
        (AlienRecord { client: kernel, ..sound }, Error::BadArgument),
        (AlienRecord { client: own, ..sound }, Error::BadArgument),
        (AlienRecord { client: 0, ..sound }, Error::BadArgument),
        (AlienRecord { priority: 30, ..sound }, Error::BadArgument),
        (AlienRecord { grant: write, buffer_bytes: 0, buffer_capacity: 0xffff, ..sound }, Error::BadArgument),
        (AlienRecord { grant: write, buffer_bytes: 1, ..sound }, Error::BadArgument),
        (AlienRecord { buffer_bytes: 0x1001, ..sound }, Error::BadArgument),
        (AlienRecord { buffer_address: abi::USER_ADDRESS_END - 0xffff, ..sound }, Error::BadAddress),
        (AlienRecord { buffer_capacity: u64::MAX, ..sound }, Error::BadAddress),
        (AlienRecord { to: gone.to_bits(), ..sound }, Error::StaleProcess),
        (AlienRecord { to: local, ..sound }, Error::NonexistentProcess),
        (AlienRecord { to: FARTHER.to_bits(), ..sound }, Error::ProcessElsewhere),
        (AlienRecord { to: group, ..sound }, Error::NonexistentProcess),
    ] {
        assert_eq!(fixture.send_alien(&record), Err(error), "{record:?}");
    }
    // The record itself.
    let whole = fixture.reply_to_alien(&sound, WORDS);
    let [at, bytes, ..] = whole.extra;
    let reply = |address, bytes| Registers { extra: [address, bytes, 0, 0, 0], ..whole };
    for (registers, error) in [
        (reply(at, bytes - 1), Error::BadArgument),
        (reply(at, 0), Error::BadArgument),
        (reply(0x1000, bytes), Error::BadAddress),
    ] {
        assert_eq!(refused(fixture.node.call(fixture.network, registers)), error);
    }
    assert_eq!(refused(fixture.node.call(server, whole)), Error::NotAwaitingReply, "it is not the server's");
    let forward =
        call::Forward { client: fixture.alien, message: ANSWER, to: server.to_bits(), forwarder: 0 };
    assert_eq!(refused(fixture.node.call(fixture.network, forward.encode())), Error::NotForwardable);
    fixture.send_alien(&sound).unwrap();
    assert_eq!(fixture.send_alien(&sound), Err(Error::Busy), "a second one of the client");
    // As many as the quota lets it.
    let mut made = 1;
    let error = loop {
        let client = Pid::process(ELSEWHERE, 1, 100 + made).to_bits();
        match fixture.send_alien(&AlienRecord { client, ..sound }) {
            Ok(()) => made += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((made, error), (19, Error::NoQuota));
    let network = fixture.network;
    fixture.finish(&[network, server]);
}

#[test]
fn a_reply_never_belongs_to_a_message_that_was_forwarded_late() {
    let mut fixture = Fixture::new();
    let [first, second] = [0; 2].map(|pages| fixture.node.team(100, PRIORITY, pages));
    // The client gave its first message up, and has sent another.
    for server in [first, second] {
        let record = fixture.record(server, Grant::NONE, b"");
        fixture.send_alien(&record).unwrap();
        succeeded(fixture.node.call(server, receive()));
    }
    let forward = call::Forward { client: FAR, message: ANSWER, to: second.to_bits(), forwarder: 0 }.encode();
    assert_eq!(refused(fixture.node.call(first, forward)), Error::Busy);
    for server in [second, first] {
        succeeded(fixture.node.call(server, reply(FAR, ANSWER)));
        let (_, arrival) = fixture.arrival();
        assert!(matches!(arrival, Arrival::Answered { replier, .. } if replier == server), "{arrival:?}");
    }
    let network = fixture.network;
    fixture.finish(&[first, second, network]);
}

#[test]
fn a_bad_buffer_is_the_network_servers_affair() {
    let mut fixture = Fixture::new();
    let server = fixture.node.team(100, PRIORITY, 8);
    let take = call::Receive {
        from: Pid::NONE,
        buffer_address: Node::data(0),
        buffer_bytes: 100,
        deadline: call::FOREVER,
    };
    assert_eq!(fixture.node.call(server, take.encode()), Outcome::Waits);
    let record = fixture.record(server, Grant::new(100, Access::READ), b"");
    let nowhere = AlienRecord { buffer_address: 0x1000, buffer_bytes: 100, ..record };
    // The receiver waits on, as for any sender with a bad segment.
    fixture.send_alien(&nowhere).unwrap();
    assert_eq!(fixture.node.state(server), State::Receiving);
    let failed =
        Arrival::Answered { cookie: record.cookie, replier: Pid::NONE, outcome: Err(Error::BadAddress) };
    assert_eq!(fixture.arrival().1, failed);
    let network = fixture.network;
    fixture.finish(&[server, network]);
}

#[test]
fn a_server_that_ends_leaves_the_client_an_error() {
    let mut fixture = Fixture::new();
    let servers = [0, 1].map(|_| fixture.node.team(100, PRIORITY, 8));
    for (cookie, server) in (0..).zip(servers) {
        let record = AlienRecord { cookie, ..fixture.record(server, Grant::NONE, b"") };
        fixture.send_alien(&record).unwrap();
    }
    succeeded(fixture.node.call(servers[0], receive()));
    for (cookie, error) in [(0, Error::DiedBeforeReply), (1, Error::StaleProcess)] {
        fixture.end(servers[cookie as usize]);
        let outcome = Err(error);
        assert_eq!(fixture.arrival().1, Arrival::Answered { cookie, replier: Pid::NONE, outcome });
    }
    let network = fixture.network;
    fixture.finish(&[network]);
}

#[test]
fn an_alien_can_be_destroyed_at_any_time() {
    let mut fixture = Fixture::new();
    let server = fixture.node.team(100, PRIORITY, 8);
    let record = fixture.record(server, Grant::NONE, b"");
    // Queued; received; answered; back.
    for stage in 0..4 {
        fixture.send_alien(&record).unwrap();
        if stage > 0 {
            succeeded(fixture.node.call(server, receive()));
        }
        if stage > 1 {
            succeeded(fixture.node.call(server, reply(FAR, ANSWER)));
        }
        if stage > 2 {
            fixture.arrival();
        }
        let destroy = process::DestroyAlien { alien: fixture.alien };
        assert_eq!(fixture.node.request(server, PROCESS, &destroy), Err(Error::NoPermission));
        let other = process::DestroyAlien { alien: server };
        assert_eq!(fixture.node.request(fixture.network, PROCESS, &other), Err(Error::NonexistentProcess));
        assert_eq!(fixture.destroy_alien(), Ok(process::AlienDestroyed {}));
        assert_eq!(refused(fixture.node.call(server, reply(FAR, ANSWER))), Error::NotAwaitingReply);
        let nothing = call::Receive { from: Pid::NONE, buffer_address: 0, buffer_bytes: 0, deadline: NOW };
        assert_eq!(refused(fixture.node.call(server, nothing.encode())), Error::NothingWaiting);
        assert_eq!(fixture.receive(), None);
    }
    let network = fixture.network;
    fixture.finish(&[server, network]);
}

#[test]
fn the_network_server_is_told_where_an_alien_is() {
    let mut fixture = Fixture::new();
    let server = fixture.node.team(100, PRIORITY, 8);
    let record = fixture.record(server, Grant::NONE, b"");
    fixture.send_alien(&record).unwrap();
    assert_eq!(place_of(&mut fixture), (ProcessState::SendBlocked as u64, server));
    succeeded(fixture.node.call(server, receive()));
    assert_eq!(place_of(&mut fixture), (ProcessState::AwaitingReply as u64, server));
    succeeded(fixture.node.call(server, reply(FAR, ANSWER)));
    assert_eq!(place_of(&mut fixture).1, FAR, "it is back");
}

/// What the latest alien does, and whom it waits for.
fn place_of(fixture: &mut Fixture) -> (u64, Pid) {
    let (query, at) = (process::QueryProcess { process: fixture.alien }, Node::data(BUFFER + BUFFER_BYTES));
    let grant = Grant::new(ProcessRecord::BYTES as u64, Access::WRITE);
    fixture.node.request_with(fixture.network, PROCESS, &query, at, grant).unwrap();
    let bytes = fixture.node.peek(fixture.network, at, ProcessRecord::BYTES);
    let record = ProcessRecord::from_bytes(&bytes.try_into().unwrap());
    (record.state, Pid::from_bits(record.waits_on))
}

#[test]
fn kernel_servers_answer_clients_elsewhere_without_rights() {
    let mut fixture = Fixture::new();
    let (own, other) = (fixture.node.team(100, PRIORITY, 0), fixture.node.team(101, PRIORITY, 0));
    fixture.node.pass(5);
    assert_eq!(fixture.ask_kernel(STATISTICS, &statistics::Null {}), Ok(statistics::Nothing {}));
    assert_eq!(fixture.ask_kernel(TIME, &time::Now {}).map(|clocks| clocks.monotonic_ns), Ok(5));
    let destroy = |process| process::Destroy { process, status: 1 };
    assert_eq!(fixture.ask_kernel(PROCESS, &destroy(other)), Err(Error::NoPermission));
    assert_eq!(fixture.ask_kernel(PROCESS, &destroy(Pid::NONE)), Err(Error::NonexistentProcess));
    assert_eq!(fixture.ask_kernel(PROCESS, &destroy(FAR)), Err(Error::ProcessElsewhere));
    let suspend = process::Suspend { process: own };
    assert_eq!(fixture.ask_kernel(PROCESS, &suspend), Ok(process::Suspended {}));
    assert_eq!(fixture.ask_kernel(PROCESS, &destroy(own)), Ok(process::Destroyed {}));
    // What has no meaning from there, or would act on the network server's own team.
    assert_eq!(fixture.ask_kernel(PROCESS, &process::CreateAlien {}), Err(Error::NotSupported));
    assert_eq!(fixture.ask_kernel(PROCESS, &become_server()), Err(Error::NotSupported));
    let unmap = abi::kernel::memory::Unmap { team: Pid::NONE, address: Node::data(0), pages: 1 };
    assert_eq!(fixture.ask_kernel(abi::kernel::MEMORY, &unmap), Err(Error::NotSupported));
    let query = abi::kernel::memory::QueryTeam { team: fixture.network };
    assert_eq!(fixture.ask_kernel(abi::kernel::MEMORY, &query), Err(Error::NoPermission));
    let identify = process::Identify { process: Pid::NONE };
    assert_eq!(fixture.ask_kernel(PROCESS, &identify), Err(Error::NonexistentProcess));

    // A listing goes to the buffer, and no farther than that.
    let to = Pid::kernel_server(other.host(), PROCESS).to_bits();
    let record = fixture.record(Pid::NONE, Grant::new(0x1_0000_0000, Access::WRITE), b"");
    let record = AlienRecord { to, ..record };
    fixture.send_alien_with(&record, process::QueryProcesses { index: 0 }.to_message()).unwrap();
    let (registers, _) = fixture.arrival();
    let message = Message::from_registers(registers.message);
    let count = process::ProcessesQueried::from_message(&message).count as usize;
    let bytes = count * abi::kernel::record::ProcessRecord::BYTES;
    assert!(count >= 3 && message.segment_bytes() as usize == bytes);
    let listed = fixture.node.peek(fixture.network, Node::data(BUFFER), bytes);
    assert_eq!(listed[..8], fixture.node.root.to_bits().to_le_bytes());

    // Whoever may end the network server may do so from elsewhere too.
    let record = AlienRecord { user_and_transaction: 0, ..record };
    let reply = fixture.reply_to_alien(&record, destroy(fixture.network).to_message());
    let reply_receive = Registers { number: call::ReplyReceive::NUMBER, ..reply };
    assert_eq!(fixture.node.call(fixture.network, reply_receive), Outcome::Waits);
    fixture.node.pass(1_000_000_000);
    assert_eq!(refused(fixture.node.call(other, send(FAR, WORDS))), Error::NoNetwork);
}
