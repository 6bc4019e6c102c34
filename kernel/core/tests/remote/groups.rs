//! Groups with members elsewhere: the network server's copy of what is sent, and the replies that it brings.

use abi::call::{self, NOW};
use abi::kernel::group::{Create, Join, Joined, Leave, MembershipsQueried, QueryGroup, QueryMemberships};
use abi::kernel::record::MembershipRecord;
use abi::kernel::{GROUP, server, well_known_group};
use abi::protocol::{Reply as _, Request as _, refusal};
use abi::remote::Arrival;
use abi::{Access, Error, Grant, LogicalHost, Message, Pid};
use simulator::Outcome;
use simulator::node::{receive, reply, send};

use crate::fixture::{ANSWER, ELSEWHERE, FAR, FARTHER, Fixture, INBOX, PRIORITY, WORDS, refused, succeeded};

const EMPTY: Message = Message { words: [0; 8] };
const FOREIGN: Pid = Pid::unrestricted_group(LogicalHost::from_bits(0x999), 300);

fn group_send(to: Pid, grant: Grant) -> call::Registers {
    let (segment_address, grant) = (place(), grant.to_bits());
    call::Send { to, message: WORDS, segment_address, grant, deadline: 1_000_000_000_000 }.encode()
}

fn place() -> u64 {
    simulator::Node::data(0)
}

fn get_reply() -> call::Registers {
    call::GetReply { buffer_address: place(), buffer_bytes: 8, deadline: NOW }.encode()
}

#[test]
fn members_here_and_elsewhere_reply() {
    let mut fixture = Fixture::new();
    let [sender, member] = [(); 2].map(|()| fixture.node.team(100, PRIORITY, 4));
    fixture.node.request(member, GROUP, &Join { group: FOREIGN, process: Pid::NONE }).unwrap();
    fixture.node.call(member, receive());
    fixture.node.poke(sender, place(), b"question");
    let grant = Grant::new(8, Access::READ_WRITE);
    assert_eq!(fixture.node.call(sender, group_send(FOREIGN, grant)), Outcome::Waits);
    let (registers, arrival) = fixture.arrival();
    assert!(matches!(arrival, Arrival::Elsewhere { to: FOREIGN, .. }), "{arrival:?}");
    assert_eq!(registers.extra[0], grant.to_bits());
    assert_eq!(fixture.node.peek(fixture.network, place() + INBOX, 8), b"question");
    let copy = Pid::from_bits(registers.pid);

    // One from elsewhere, with data, ends the Send; further ones wait to be fetched, the one from here among them.
    succeeded(fixture.reply_with_data(copy, ANSWER, b"answer"));
    assert_eq!(fixture.node.peek(sender, place(), 8), b"answeron");
    succeeded(fixture.reply(copy, ANSWER, FARTHER, None));
    let own = Pid::from_bits(fixture.node.results(member).pid);
    succeeded(fixture.node.call(member, reply(own, ANSWER)));
    let mut heard = [(); 2].map(|()| succeeded(fixture.node.call(sender, get_reply())).pid);
    heard.sort_unstable();
    let mut expected = [FARTHER.to_bits(), member.to_bits()];
    expected.sort_unstable();
    assert_eq!(heard, expected);
    assert_eq!(refused(fixture.node.call(sender, get_reply())), Error::DeadlinePassed, "more may come");
    succeeded(fixture.reply(copy, Message::default(), Pid::NONE, Some(Error::EmptyGroup)));
    assert_eq!(refused(fixture.node.call(sender, get_reply())), Error::NothingWaiting);
    assert_eq!(refused(fixture.reply(copy, ANSWER, FAR, None)), Error::StaleProcess);

    // Nobody at all; then the network server ends.
    fixture.node.call(sender, group_send(well_known_group::ALL_NAMING, Grant::NONE));
    let copy = Pid::from_bits(fixture.arrival().0.pid);
    succeeded(fixture.reply(copy, Message::default(), Pid::NONE, Some(Error::EmptyGroup)));
    assert_eq!(fixture.node.error(sender), Error::EmptyGroup);
    for taken in [false, true] {
        fixture.node.call(sender, group_send(well_known_group::ALL_NAMING, Grant::NONE));
        if taken {
            fixture.arrival();
        }
        let network = fixture.network;
        fixture.end(network);
        assert_eq!(fixture.node.error(sender), Error::DiedBeforeReply);
        fixture.start_again();
    }
    let network = fixture.network;
    fixture.finish(&[sender, member, network]);
}

#[test]
fn who_may_join_where() {
    let mut fixture = Fixture::new();
    let member = fixture.node.team(100, PRIORITY, 4);
    let (host, elsewhere) = (fixture.network.host(), LogicalHost::from_bits(0x999));
    let mut join = |group| fixture.node.request(member, GROUP, &Join { group, process: Pid::NONE }).err();
    assert_eq!(join(FOREIGN), None);
    assert_eq!(join(well_known_group::ALL_NAMING), Some(Error::NoPermission));
    assert_eq!(join(Pid::unrestricted_group(elsewhere, 1)), Some(Error::ProcessElsewhere));
    assert_eq!(join(Pid::unrestricted_group(host, 300)), Some(Error::EmptyGroup));
    let query = |group| QueryGroup { group, position: 0 };
    assert_eq!(fixture.node.request(member, GROUP, &query(FOREIGN)).unwrap().member, member);
    // Others may have joined a group that was made here.
    let group = fixture.node.request(member, GROUP, &Create { restricted: 0 }).unwrap().group;
    assert_eq!(fixture.node.call(member, group_send(group, Grant::NONE)), Outcome::Waits);
    let arrival = fixture.arrival().1;
    assert!(matches!(arrival, Arrival::Elsewhere { to, .. } if to == group), "{arrival:?}");
    assert_eq!(fixture.receive(), None);
    let network = fixture.network;
    fixture.finish(&[member, network]);
}

#[test]
fn who_has_nothing_to_say_is_left_out() {
    let mut fixture = Fixture::new();
    let [sender, first, second] = [(); 3].map(|()| fixture.node.team(100, PRIORITY, 4));
    for member in [first, second] {
        fixture.node.request(member, GROUP, &Join { group: FOREIGN, process: Pid::NONE }).unwrap();
        fixture.node.call(member, receive());
    }
    let nothing = Message { words: [Error::NothingToSay.code(), 0, 0, 0, 0, 0, 0, 0] };
    fixture.node.call(sender, group_send(FOREIGN, Grant::NONE));
    let remote = Pid::from_bits(fixture.arrival().0.pid);
    let [one, other] = [first, second].map(|member| Pid::from_bits(fixture.node.results(member).pid));
    succeeded(fixture.node.call(first, reply(one, nothing)));
    succeeded(fixture.node.call(second, reply(other, ANSWER)));
    assert_eq!(fixture.node.results(sender).pid, second.to_bits());
    for member in [first, second] {
        fixture.node.call(member, receive());
    }
    fixture.node.call(sender, group_send(FOREIGN, Grant::NONE));
    assert_eq!(refused(fixture.reply(remote, ANSWER, FAR, None)), Error::StaleProcess);
    let remote = Pid::from_bits(fixture.arrival().0.pid);
    for member in [first, second] {
        let copy = Pid::from_bits(fixture.node.results(member).pid);
        succeeded(fixture.node.call(member, reply(copy, nothing)));
    }
    succeeded(fixture.reply(remote, ANSWER, FAR, Some(Error::EmptyGroup)));
    assert_eq!(fixture.node.error(sender), Error::EmptyGroup);
    let network = fixture.network;
    fixture.finish(&[sender, first, second, network]);
}

#[test]
fn a_restricted_group_of_another_node_is_joined_once_that_agrees() {
    let mut fixture = Fixture::new();
    let [member, friend, stranger] = [100, 100, 101].map(|user| fixture.node.team(user, PRIORITY, 4));
    let group = Pid::restricted_group(ELSEWHERE, 300);
    let join = Join { group, process: Pid::NONE };
    let call = send(server(GROUP), join.to_message());
    let query = QueryGroup { group, position: 0 };
    let answer = |fixture: &mut Fixture, message, error| {
        assert_eq!(fixture.node.call(member, call), Outcome::Waits);
        let (registers, arrival) = fixture.arrival();
        let home = Pid::kernel_server(ELSEWHERE, GROUP);
        assert!(matches!(arrival, Arrival::Elsewhere { to, .. } if to == home), "{arrival:?}");
        assert_eq!((registers.pid, registers.extra[0]), (member.to_bits(), 0), "nothing is granted");
        let asked = Join::from_message(&Message::from_registers(registers.message));
        assert_eq!((asked.group, asked.process), (group, Pid::NONE));
        succeeded(fixture.reply(member, message, Pid::NONE, error));
        let results = fixture.node.results(member);
        let message = Message::from_registers(results.message);
        Error::check(results.number as u32).and_then(|()| Error::check(message.code()))
    };
    for error in [Error::NoPermission, Error::EmptyGroup] {
        assert_eq!(answer(&mut fixture, refusal(error), None), Err(error));
        assert_eq!(fixture.node.request(member, GROUP, &query), Err(Error::EmptyGroup));
    }
    let silent = answer(&mut fixture, EMPTY, Some(Error::HostUnreachable));
    assert_eq!(silent, Err(Error::HostUnreachable));
    assert_eq!(answer(&mut fixture, Joined {}.to_message(), None), Ok(()));
    assert_eq!(fixture.node.request(member, GROUP, &query).unwrap().member, member);

    // From now on it is known here whose the group is.
    assert_eq!(fixture.node.request(friend, GROUP, &join), Ok(Joined {}));
    assert_eq!(fixture.node.request(stranger, GROUP, &join), Err(Error::NoPermission));
    assert_eq!(fixture.node.request(member, GROUP, &query).unwrap().count, 2);
    for leaving in [member, friend] {
        fixture.node.request(leaving, GROUP, &Leave { group, process: Pid::NONE }).unwrap();
    }

    // The network server ends while it is asked; without one nobody is; what is not a Send is not forwarded.
    for received in [false, true] {
        assert_eq!(fixture.node.call(member, call), Outcome::Waits);
        if received {
            fixture.arrival();
            let forward = call::Forward { client: member, message: EMPTY, to: FAR.to_bits(), forwarder: 0 };
            assert_eq!(refused(fixture.node.call(fixture.network, forward.encode())), Error::NotForwardable);
        }
        let network = fixture.network;
        fixture.end(network);
        let expected = if received { Error::HostUnreachable } else { Error::NoNetwork };
        assert_eq!(fixture.node.error(member), expected);
        assert_eq!(fixture.node.request(member, GROUP, &join), Err(Error::NoNetwork));
        fixture.start_again();
    }
    // So does who asks.
    assert_eq!(fixture.node.call(member, call), Outcome::Waits);
    fixture.arrival();
    fixture.end(member);
    assert_eq!(refused(fixture.reply(member, Joined {}.to_message(), Pid::NONE, None)), Error::StaleProcess);
    let network = fixture.network;
    fixture.finish(&[friend, stranger, network]);
}

#[test]
fn who_may_join_from_elsewhere_is_said_and_nobody_added() {
    let mut fixture = Fixture::new();
    let [own, other] = [100, 101].map(|user| fixture.node.team(user, PRIORITY, 4));
    let groups = [own, other]
        .map(|maker| [0, 1].map(|restricted| fixture.node.request(maker, GROUP, &Create { restricted })))
        .map(|pair| pair.map(|created| created.unwrap().group));
    let mut ask = |group| fixture.ask_kernel(GROUP, &Join { group, process: FAR }).err();
    let [[own_open, own_closed], [other_open, other_closed]] = groups;
    // The clients elsewhere are of the first one's user.
    assert_eq!([own_open, own_closed, other_open].map(&mut ask), [None; 3]);
    assert_eq!(ask(other_closed), Some(Error::NoPermission));
    assert_eq!(ask(well_known_group::ALL_NAMING), Some(Error::BadArgument));
    assert_eq!(ask(Pid::restricted_group(ELSEWHERE, 300)), Some(Error::BadArgument));
    assert_eq!(ask(Pid::restricted_group(own.host(), 999)), Some(Error::EmptyGroup));

    let record = fixture.record(Pid::kernel_server(own.host(), GROUP), Grant::new(4096, Access::WRITE), b"");
    fixture.send_alien_with(&record, QueryMemberships { row: 0 }.to_message()).unwrap();
    let (registers, _) = fixture.arrival();
    let message = Message::from_registers(registers.message);
    assert_eq!(MembershipsQueried::from_message(&message), MembershipsQueried { count: 4, next: 0 });
    let bytes = fixture.node.peek(fixture.network, simulator::Node::data(crate::fixture::BUFFER), 4 * 24);
    let records: Vec<_> = bytes.as_chunks().0.iter().map(MembershipRecord::from_bytes).collect();
    let expected = [(own_open, own), (own_closed, own), (other_open, other), (other_closed, other)];
    assert_eq!(records.iter().map(|record| (record.group(), record.member())).collect::<Vec<_>>(), expected);
    assert_eq!(records.iter().map(|record| record.user).collect::<Vec<_>>(), [100, 100, 101, 101]);
    let network = fixture.network;
    fixture.finish(&[own, other, network]);
}
