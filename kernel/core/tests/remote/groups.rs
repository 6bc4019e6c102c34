//! Groups with members elsewhere: the network server's copy of what is sent, and the replies that it brings.

use abi::call::{self, NOW};
use abi::kernel::group::{Create, Join, QueryGroup};
use abi::kernel::{GROUP, well_known_group};
use abi::remote::Arrival;
use abi::{Access, Error, Grant, LogicalHost, Message, Pid};
use simulator::Outcome;
use simulator::node::{receive, reply};

use crate::fixture::{ANSWER, FAR, FARTHER, Fixture, INBOX, PRIORITY, WORDS, refused, succeeded};

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
    assert_eq!(join(Pid::restricted_group(elsewhere, 300)), Some(Error::NoPermission));
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
