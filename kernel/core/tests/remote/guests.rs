//! Guests: teams with a logical host of their own, for which all others are elsewhere, and the other way round.

use abi::call::{self, MoveFrom, NOW, Registers};
use abi::kernel::record::AlienRecord;
use abi::kernel::{GROUP, MEMORY, PROCESS, TIME, group, memory, process, protection, time, well_known_group};
use abi::notice::notice::TeamEnded;
use abi::protocol::Request as _;
use abi::remote::Arrival;
use abi::{Access, Error, Grant, LogicalHost, Message, Pid, Rights, UserId};
use kernel_core::process::State;
use simulator::node::{receive, receive_from, reply, send, send_with};
use simulator::{Node, Outcome};

use crate::fixture::{ANSWER, BUFFER, Fixture, PRIORITY, WORDS, refused, succeeded};

const GUEST: LogicalHost = LogicalHost::from_bits(0x6e57);

/// The guest's root, and another process of its.
fn guests(fixture: &mut Fixture) -> (Pid, Pid) {
    let root = fixture.guest(GUEST);
    (root, fixture.node.process(root, PRIORITY))
}

fn forward(client: Pid, to: Pid) -> Registers {
    call::Forward { client, message: WORDS, to: to.to_bits(), forwarder: 0 }.encode()
}

/// The network server, which has received what a client sent elsewhere, sends it to where it goes, which is here.
fn carry(fixture: &mut Fixture, grant: Grant, head: &[u8]) -> Pid {
    let (registers, arrival) = fixture.arrival();
    let Arrival::Elsewhere { to, .. } = arrival else { panic!("{arrival:?}") };
    let client = Pid::from_bits(registers.pid);
    let record = AlienRecord { client: client.to_bits(), ..fixture.record(to, grant, head) };
    fixture.send_alien(&record).unwrap();
    client
}

fn create(rights: Rights) -> process::CreateTeam {
    let (priority, quota_pages, quota_processes) = (u32::from(PRIORITY), 0, 0);
    process::CreateTeam { user: UserId(100), rights, priority, quota_pages, quota_processes }
}

#[test]
fn a_newborn_becomes_a_guest() {
    let mut fixture = Fixture::new();
    let node = &mut fixture.node;
    let root = node.root;
    let set = |team, host: LogicalHost| process::SetHost {
        team,
        host: host.to_bits(),
        first_number: Pid::FIRST_GUEST_NUMBER,
    };
    let born = node.request(root, PROCESS, &create(Rights::NONE)).unwrap().team;
    for host in [LogicalHost::OWN, LogicalHost::EVERY, root.host()] {
        assert_eq!(node.request(root, PROCESS, &set(born, host)), Err(Error::BadArgument));
    }
    let far = process::SetHost { host: 1 << 28, ..set(born, GUEST) };
    let early = process::SetHost { first_number: Pid::FIRST_GUEST_NUMBER - 1, ..set(born, GUEST) };
    for set in [far, early] {
        assert_eq!(node.request(root, PROCESS, &set), Err(Error::BadArgument));
    }
    let guest = node.request(root, PROCESS, &set(born, GUEST)).unwrap().team;
    assert_eq!(guest, Pid::guest(GUEST, Pid::FIRST_GUEST_NUMBER));
    assert_eq!(node.kernel.processes.find(born), Err(Error::NonexistentProcess));
    assert_eq!(node.request(root, PROCESS, &set(guest, LogicalHost::from_bits(9))), Err(Error::Busy));
    // Its host is taken; and who has rights is no guest.
    let other = node.request(root, PROCESS, &create(Rights::NONE)).unwrap().team;
    assert_eq!(node.request(root, PROCESS, &set(other, GUEST)), Err(Error::Busy));
    let mighty = node.request(root, PROCESS, &create(Rights::FORWARD)).unwrap().team;
    let far = LogicalHost::from_bits(8);
    assert_eq!(node.request(root, PROCESS, &set(mighty, far)), Err(Error::BadArgument));
    // Who made it fills it and starts it as any other; then it is too late.
    let map = memory::Map { team: guest, address: 0, pages: 1, protection: protection::READ };
    node.request(root, MEMORY, &map).unwrap();
    succeeded(node.call(root, reply(guest, Message::default())));
    assert_eq!(node.state(guest), State::Ready);
    assert_eq!(node.request(root, PROCESS, &set(guest, far)), Err(Error::NotAwaitingReply));
    let plain = node.team(100, PRIORITY, 0);
    assert_eq!(node.request(plain, PROCESS, &create(Rights::NONE)).map(|_| ()), Ok(()));
    assert_eq!(node.request(plain, PROCESS, &set(plain, far)), Err(Error::NoPermission));
    let network = fixture.network;
    fixture.finish(&[guest, other, mighty, plain, network]);
}

#[test]
fn pids_of_a_guest_are_counted_and_never_used_again() {
    let mut fixture = Fixture::new();
    let (guest, second) = guests(&mut fixture);
    assert_eq!(second, Pid::guest(GUEST, Pid::FIRST_GUEST_NUMBER + 1));
    let node = &mut fixture.node;
    let destroy = process::Destroy { process: second, status: 0 };
    node.request(guest, PROCESS, &destroy).unwrap();
    let third = node.process(guest, PRIORITY);
    assert_eq!(third, Pid::guest(GUEST, Pid::FIRST_GUEST_NUMBER + 2));
    let is_there = |node: &mut Node, pid| {
        node.request(guest, PROCESS, &process::Identify { process: pid }).map(|identified| identified.team)
    };
    assert_eq!(is_there(node, third), Ok(guest));
    assert_eq!(is_there(node, second), Err(Error::StaleProcess));
    let never = Pid::guest(GUEST, Pid::FIRST_GUEST_NUMBER + 3);
    assert_eq!(is_there(node, never), Err(Error::NonexistentProcess));
    assert_eq!(is_there(node, Pid::process(GUEST, 1, 20)), Err(Error::NonexistentProcess));
    assert_eq!(is_there(node, Pid::guest(GUEST, 5)), Err(Error::NonexistentProcess));
    assert_eq!(refused(node.call(guest, send(second, WORDS))), Error::StaleProcess);
    // When it has ended it is no longer here, and its owner knows which numbers it has had.
    let ended = fixture.end(guest);
    let next_number = third.guest_number() + 1;
    assert_eq!(ended, TeamEnded { team: guest, status: 0, next_number });
    let node = &mut fixture.node;
    assert_eq!(node.kernel.processes.find(third), Err(Error::ProcessElsewhere));
    assert!(node.kernel.processes.guest(GUEST).is_none());
    // Another with its logical host has others.
    let root = node.root;
    let born = node.request(root, PROCESS, &create(Rights::NONE)).unwrap().team;
    let first_number = ended.next_number;
    let set = process::SetHost { team: born, host: GUEST.to_bits(), first_number };
    let again = node.request(root, PROCESS, &set).unwrap().team;
    assert_eq!(again, never);
    assert_eq!(node.kernel.processes.find(third), Err(Error::StaleProcess));
    let network = fixture.network;
    fixture.finish(&[again, network]);
}

#[test]
fn within_a_guest_messages_go_straight() {
    let mut fixture = Fixture::new();
    let (guest, second) = guests(&mut fixture);
    let node = &mut fixture.node;
    let third = node.process(guest, PRIORITY);
    assert_eq!(node.call(second, receive_from(guest, call::FOREVER)), Outcome::Waits);
    assert_eq!(node.call(guest, send(second, WORDS)), Outcome::Waits);
    let received = node.results(second);
    assert_eq!((received.pid, received.extra[1]), (guest.to_bits(), 100));
    succeeded(node.call(second, forward(guest, third)));
    assert_eq!(succeeded(node.call(third, receive())).pid, guest.to_bits());
    succeeded(node.call(third, reply(guest, ANSWER)));
    assert_eq!(node.results(guest).pid, third.to_bits());
    assert_eq!(fixture.receive(), None, "the network server has no part in it");
    let network = fixture.network;
    fixture.finish(&[guest, network]);
}

#[test]
fn a_guest_and_the_others_of_its_node_are_elsewhere_for_each_other() {
    let mut fixture = Fixture::new();
    let (guest, _) = guests(&mut fixture);
    let other_guest = fixture.guest(LogicalHost::from_bits(0x6e58));
    let plain = fixture.node.team(100, PRIORITY, 8);
    let grant = Grant::new(0x1000, Access::READ_WRITE);
    for (client, server) in [(guest, plain), (plain, guest), (guest, other_guest)] {
        fixture.node.poke(client, Node::data(0), b"segment");
        // A server that waits, to which the short path would switch.
        assert_eq!(fixture.node.call(server, receive()), Outcome::Waits);
        let send = send_with(server, WORDS, Node::data(0), grant);
        assert_eq!(fixture.node.call(client, send), Outcome::Waits);
        assert_eq!(fixture.node.state(server), State::Receiving, "nothing has come to it");
        assert_eq!(carry(&mut fixture, grant, b"seg"), client);
        let received = fixture.node.results(server);
        assert_eq!((received.pid, Message::from_registers(received.message)), (client.to_bits(), WORDS));
        // What is not here of the segment is asked for elsewhere.
        let copy =
            |bytes| MoveFrom { client, segment_offset: 0, address: Node::data(0x1000), bytes }.encode();
        assert_eq!(succeeded(fixture.node.call(server, copy(3))).extra[0], 3);
        assert_eq!(fixture.node.call(server, copy(7)), Outcome::Waits);
        let (registers, arrival) = fixture.arrival();
        assert_eq!(registers.pid, server.to_bits());
        let remote_server = Pid::kernel_server(client.host(), abi::kernel::REMOTE);
        assert!(matches!(arrival, Arrival::Elsewhere { to, .. } if to == remote_server), "{arrival:?}");
        fixture.reply(server, Message::with_code(Error::NotSupported.code()), Pid::NONE, None);
        assert_eq!(fixture.node.error(server), Error::NotSupported);
        // A second time it would be in the way of the first.
        let record = AlienRecord { client: client.to_bits(), ..fixture.record(server, grant, b"") };
        assert_eq!(fixture.send_alien(&record), Err(Error::Busy));
        let answer = call::Reply {
            to: client,
            message: ANSWER,
            segment_address: Node::data(0x1000),
            segment_bytes: 3,
            replier: 0,
            error: 0,
        };
        succeeded(fixture.node.call(server, answer.encode()));
        assert_eq!(fixture.node.state(client), State::AwaitingReply, "the network server has it");
        let (_, arrival) = fixture.arrival();
        assert!(matches!(arrival, Arrival::Answered { replier, outcome: Ok(()), .. } if replier == server));
        assert_eq!(fixture.node.peek(fixture.network, Node::data(BUFFER), 3), b"seg");
        fixture.reply(client, ANSWER, server, None);
        assert_eq!(fixture.node.results(client).pid, server.to_bits());
        // Nor is either received from as from one who is here.
        let from = receive_from(client, NOW);
        assert_eq!(refused(fixture.node.call(server, from)), Error::ProcessElsewhere);
        assert_eq!(refused(fixture.node.call(server, reply(client, ANSWER))), Error::NotAwaitingReply);
    }
    let network = fixture.network;
    fixture.finish(&[guest, other_guest, plain, network]);
}

#[test]
fn what_is_forwarded_goes_by_the_network_server_too() {
    let mut fixture = Fixture::new();
    let (guest, second) = guests(&mut fixture);
    let (plain, client) = (fixture.node.team(100, PRIORITY, 8), fixture.node.team(100, PRIORITY, 8));
    // From one of the node's to a guest.
    fixture.node.call(client, send(plain, WORDS));
    succeeded(fixture.node.call(plain, receive()));
    succeeded(fixture.node.call(plain, forward(client, guest)));
    let (registers, arrival) = fixture.arrival();
    assert_eq!((registers.pid, registers.extra[2]), (client.to_bits(), plain.to_bits()));
    let Arrival::Elsewhere { to, transaction } = arrival else { panic!("{arrival:?}") };
    assert_eq!(to, guest);
    // And back to one of the node's own, where no network is needed.
    let home = call::Forward { client, message: WORDS, to: plain.to_bits(), forwarder: guest.to_bits() };
    succeeded(fixture.node.call(fixture.network, home.encode()));
    let received = succeeded(fixture.node.call(plain, receive()));
    assert_eq!((received.pid, received.extra[2]), (client.to_bits(), guest.to_bits()));
    succeeded(fixture.node.call(plain, reply(client, ANSWER)));
    // A guest's that is forwarded to one of the node's leaves again, as another transaction.
    fixture.node.call(guest, send(client, WORDS));
    let (_, arrival) = fixture.arrival();
    let Arrival::Elsewhere { transaction: first, .. } = arrival else { panic!("{arrival:?}") };
    succeeded(fixture.node.call(fixture.network, forward(guest, plain)));
    let (_, arrival) = fixture.arrival();
    let Arrival::Elsewhere { to, transaction: next } = arrival else { panic!("{arrival:?}") };
    assert_eq!((to, next), (plain, first + abi::remote::TRANSACTION_STEP));
    assert_ne!(transaction, 0);
    // But one process of the guest's to the other, none.
    succeeded(fixture.node.call(fixture.network, forward(guest, second)));
    assert_eq!(succeeded(fixture.node.call(second, receive())).pid, guest.to_bits());
    let network = fixture.network;
    fixture.finish(&[guest, plain, client, network]);
}

#[test]
fn kernel_servers_and_the_network_server_are_near_to_all() {
    let mut fixture = Fixture::new();
    let (guest, second) = guests(&mut fixture);
    let plain = fixture.node.team(100, PRIORITY, 8);
    let node = &mut fixture.node;
    for host in [LogicalHost::OWN, node.root.host(), GUEST] {
        for caller in [guest, plain] {
            let ask = send(Pid::kernel_server(host, TIME), time::Now {}.to_message());
            succeeded(node.call(caller, ask));
            // Of processes of every logical host that is here.
            for process in [guest, second, plain] {
                let name = process::SetName { process, first_bytes: 1, last_bytes: 2 };
                let ask = send(Pid::kernel_server(host, PROCESS), name.to_message());
                assert_eq!(succeeded(node.call(caller, ask)).message[0] as u32, Error::OK_CODE);
            }
        }
    }
    let network = fixture.network;
    fixture.node.call(guest, send(network, WORDS));
    let (registers, arrival) = fixture.arrival();
    assert_eq!((registers.pid, arrival), (guest.to_bits(), Arrival::Own));
    // While it awaits that reply no alien may stand for it there.
    let record = AlienRecord { client: guest.to_bits(), ..fixture.record(network, Grant::NONE, b"") };
    assert_eq!(fixture.send_alien(&record), Err(Error::Busy));
    fixture.reply(guest, ANSWER, Pid::NONE, None);
    assert_eq!(fixture.node.results(guest).pid, network.to_bits());
    // The group with a number is its node's.
    let node = &mut fixture.node;
    let root = node.root;
    let join = group::Join { group: well_known_group::PROGRAM_MANAGERS, process: Pid::NONE };
    node.request(root, GROUP, &join).unwrap();
    let number = well_known_group::PROGRAM_MANAGERS.group_number();
    for host in [GUEST, root.host(), LogicalHost::OWN] {
        let query = group::QueryGroup { group: Pid::unrestricted_group(host, number), position: 0 };
        assert_eq!(node.request(guest, GROUP, &query).unwrap().member, root);
    }
    let far = Pid::unrestricted_group(LogicalHost::from_bits(5), number);
    let query = group::QueryGroup { group: far, position: 0 };
    assert_eq!(node.request(guest, GROUP, &query).map(|_| ()), Err(Error::ProcessElsewhere));
    fixture.finish(&[guest, plain, network]);
}

#[test]
fn a_guests_end_and_exceptions_are_told_at_once() {
    let mut fixture = Fixture::new();
    let (guest, _) = guests(&mut fixture);
    let root = fixture.node.root;
    let set = process::SetExceptionServer { team: guest, server: root };
    fixture.node.request(root, PROCESS, &set).unwrap();
    fixture.node.run(guest);
    let next = fixture.node.kernel.exception(3, 0, 0);
    fixture.node.settle(next);
    let notice = succeeded(fixture.node.call(root, receive_from(Pid::NONE, NOW)));
    assert_eq!(notice.pid, guest.to_bits());
    succeeded(fixture.node.call(root, reply(guest, Message::default())));
    assert_eq!(fixture.node.state(guest), State::Ready);
    fixture.end(guest);
    assert_eq!(fixture.node.kernel.processes.find(guest), Err(Error::ProcessElsewhere));
    let network = fixture.network;
    assert_eq!(fixture.receive(), None, "the network server has no part in it");
    fixture.finish(&[network]);
}
