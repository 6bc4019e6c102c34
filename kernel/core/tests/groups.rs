//! Groups: membership, Send to all members, one reply at a time, and the death of members in between.

use abi::call::{self, FOREVER, NOW};
use abi::kernel::group::{Create, Join, Leave, QueryGroup};
use abi::kernel::process::Destroy;
use abi::kernel::{GROUP, PROCESS, well_known_group};
use abi::protocol::Request;
use abi::trace::{Event, TraceRecord};
use abi::{Access, Error, Grant, LogicalHost, Message, Pid};
use kernel_core::process::State;
use simulator::node::{receive, reply, send};
use simulator::{Node, Outcome};

const EMPTY: Message = Message { words: [0; 8] };

fn group_send(to: Pid, deadline: u64, address: u64, grant: Grant) -> call::Registers {
    call::Send {
        to,
        message: Message::with_code(5),
        segment_address: address,
        grant: grant.to_bits(),
        deadline,
    }
    .encode()
}

fn get_reply(buffer_bytes: u64, deadline: u64) -> call::Registers {
    call::GetReply { buffer_address: Node::data(0x2000), buffer_bytes, deadline }.encode()
}

fn refused(outcome: Outcome) -> Error {
    let Outcome::Done(registers) = outcome else {
        panic!("it waits");
    };
    Error::check(registers.number as u32).expect_err("an error")
}

/// A sender with memory and a group of three of its user's processes, all waiting to receive.
fn group_of_three(node: &mut Node) -> (Pid, Pid, [Pid; 3]) {
    let sender = node.team(100, 12, 8);
    let members = [(); 3].map(|()| node.team(100, 12, 8));
    let group = node.request(members[0], GROUP, &Create { restricted: 0 }).unwrap().group;
    for process in &members[1..] {
        let join = Join { group, process: *process };
        node.request(members[0], GROUP, &join).unwrap();
    }
    for member in members {
        node.call(member, receive());
    }
    (sender, group, members)
}

fn end(node: &mut Node, process: Pid) {
    let root = node.root;
    node.request(root, PROCESS, &Destroy { process, status: 0 }).unwrap();
    node.pass(50_000_000);
    node.call(root, receive());
    node.call(root, reply(process, EMPTY));
}

#[test]
fn the_first_reply_ends_the_send_and_the_others_can_be_fetched() {
    let mut node = Node::new();
    let (sender, group, members) = group_of_three(&mut node);
    node.poke(sender, Node::data(0), b"question");
    node.kernel.trace.choose(Event::Send.bit());
    let outcome =
        node.call(sender, group_send(group, 1_000_000, Node::data(0), Grant::new(8, Access::READ_WRITE)));
    assert_eq!(outcome, Outcome::Waits);
    assert_eq!(node.state(sender), State::AwaitingGroup);
    // It is traced once, as a Send to the group.
    let (records, _) = node.kernel.trace.records.row_from(0, 10).as_chunks();
    let traced: Vec<_> = records
        .iter()
        .map(TraceRecord::from_bytes)
        .map(|record| (record.code(), record.from_pid(), record.to_pid()))
        .collect();
    assert_eq!(traced, [(5, sender, group)]);
    node.kernel.trace.choose(0);
    // What the sender's memory holds later does not matter.
    node.poke(sender, Node::data(0), b"changed!");
    let mut copies = Vec::new();
    for member in members {
        let received = node.results(member);
        assert_eq!((received.message[0], received.extra[1]), (5, 100));
        let copy = Pid::from_bits(received.pid);
        assert_ne!(copy, sender);
        let move_from =
            call::MoveFrom { client: copy, segment_offset: 2, address: Node::data(0x1000), bytes: 6 };
        assert!(
            matches!(node.call(member, move_from.encode()), Outcome::Done(registers) if registers.extra[0] == 6)
        );
        assert_eq!(node.peek(member, Node::data(0x1000), 6), b"estion");
        let move_to = call::MoveTo { client: copy, segment_offset: 0, address: Node::data(0x1000), bytes: 1 };
        assert_eq!(refused(node.call(member, move_to.encode())), Error::NoWriteAccess);
        let forward = call::Forward { client: copy, message: EMPTY, to: members[0].to_bits(), forwarder: 0 };
        assert_eq!(refused(node.call(member, forward.encode())), Error::NotForwardable);
        copies.push(copy);
    }
    let answer = |copy, bytes| {
        call::Reply {
            to: copy,
            message: Message::with_code(6),
            segment_address: Node::data(0x1000),
            segment_bytes: bytes,
            replier: 0,
            error: 0,
        }
        .encode()
    };
    assert_eq!(refused(node.call(members[0], answer(copies[0], 9))), Error::TooLong);
    assert_eq!(refused(node.call(members[0], answer(copies[1], 6))), Error::NotAwaitingReply);
    node.call(members[1], answer(copies[1], 6));
    let first = node.results(sender);
    assert_eq!((first.number, first.pid), (0, members[1].to_bits()));
    assert_eq!(Message::from_registers(first.message).segment_bytes(), 6);
    assert_eq!(node.peek(sender, Node::data(0), 8), b"estiond!");

    assert_eq!(refused(node.call(sender, get_reply(0, NOW))), Error::DeadlinePassed);
    assert_eq!(refused(node.call(sender, get_reply(0, FOREVER))), Error::BadArgument);
    // One that came before it is asked for, one after.
    node.call(members[2], answer(copies[2], 6));
    let Outcome::Done(second) = node.call(sender, get_reply(3, NOW)) else {
        panic!("the reply was there");
    };
    assert_eq!(second.pid, members[2].to_bits());
    assert_eq!(Message::from_registers(second.message).segment_bytes(), 3);
    assert_eq!(node.peek(sender, Node::data(0x2000), 4), b"est\0");
    assert_eq!(node.call(sender, get_reply(8, 2_000_000)), Outcome::Waits);
    node.call(members[0], answer(copies[0], 6));
    assert_eq!(node.results(sender).pid, members[0].to_bits());
    assert_eq!(refused(node.call(sender, get_reply(8, 2_000_000))), Error::NothingWaiting);
    assert_eq!(refused(node.call(members[0], answer(copies[0], 6))), Error::StaleProcess);
}

#[test]
fn a_group_send_has_its_own_errors() {
    let mut node = Node::new();
    let (sender, group, members) = group_of_three(&mut node);
    let to = |group, deadline| group_send(group, deadline, 0, Grant::NONE);
    assert_eq!(refused(node.call(sender, to(group, FOREVER))), Error::BadArgument);
    let never = Pid::unrestricted_group(group.host(), 9999);
    assert_eq!(refused(node.call(sender, to(never, 500))), Error::EmptyGroup);
    assert_eq!(refused(node.call(sender, to(well_known_group::NAMING, 500))), Error::EmptyGroup);
    let far = Pid::unrestricted_group(LogicalHost::from_bits(0x77), 300);
    assert_eq!(refused(node.call(sender, to(far, 500))), Error::EmptyGroup);
    let bad = group_send(group, 500, Node::data(0x100_0000), Grant::new(8, Access::READ));
    assert_eq!(refused(node.call(sender, bad)), Error::BadAddress);
    let wild = group_send(group, 500, u64::MAX - 3, Grant::new(8, Access::READ));
    assert_eq!(refused(node.call(sender, wild)), Error::BadAddress);
    for member in members {
        assert_eq!(node.state(member), State::Receiving, "nothing was sent");
    }
    // The deadline: a reply can still be fetched afterwards.
    assert_eq!(node.call(sender, to(group, 5_000)), Outcome::Waits);
    node.pass(5_000);
    assert_eq!(node.error(sender), Error::DeadlinePassed);
    let copy = Pid::from_bits(node.results(members[0]).pid);
    node.call(members[0], reply(copy, EMPTY));
    assert!(
        matches!(node.call(sender, get_reply(0, NOW)), Outcome::Done(registers) if registers.number == 0)
    );
    // The next Send to a group discards what was left.
    let old = Pid::from_bits(node.results(members[1]).pid);
    node.call(members[0], receive());
    assert_eq!(node.call(sender, to(group, 9_000)), Outcome::Waits);
    assert_eq!(refused(node.call(members[1], reply(old, EMPTY))), Error::StaleProcess);
}

#[test]
fn members_that_die_are_not_waited_for() {
    let mut node = Node::new();
    let (sender, group, members) = group_of_three(&mut node);
    node.call(sender, group_send(group, 1_000_000_000, 0, Grant::NONE));
    end(&mut node, members[0]);
    assert_eq!(node.state(sender), State::AwaitingGroup);
    let copy = Pid::from_bits(node.results(members[1]).pid);
    node.call(members[1], reply(copy, EMPTY));
    assert_eq!(node.results(sender).number, 0);
    assert_eq!(node.call(sender, get_reply(0, 900_000_000)), Outcome::Waits);
    end(&mut node, members[2]);
    assert_eq!(node.error(sender), Error::NothingWaiting);
    // Only one is left; it dies with the message in its queue.
    node.call(sender, group_send(group, 1_000_000_000, 0, Grant::NONE));
    end(&mut node, members[1]);
    assert_eq!(node.error(sender), Error::DiedBeforeReply);
    assert_eq!(
        refused(node.call(sender, group_send(group, 1_000_000_000, 0, Grant::NONE))),
        Error::EmptyGroup
    );
}

#[test]
fn a_sender_that_dies_takes_its_copies_along() {
    let mut node = Node::new();
    let (sender, group, members) = group_of_three(&mut node);
    node.poke(sender, Node::data(0), b"question");
    node.call(sender, group_send(group, 1_000_000_000, Node::data(0), Grant::new(8, Access::READ_WRITE)));
    let copies = members.map(|member| Pid::from_bits(node.results(member).pid));
    let answer = call::Reply {
        to: copies[0],
        message: EMPTY,
        segment_address: Node::data(0),
        segment_bytes: 4,
        replier: 0,
        error: 0,
    };
    node.call(members[0], answer.encode());
    let answer = call::Reply { to: copies[1], ..answer };
    node.call(members[1], answer.encode());
    end(&mut node, sender);
    assert_eq!(refused(node.call(members[2], reply(copies[2], EMPTY))), Error::StaleProcess);
    for member in members {
        end(&mut node, member);
    }
    let root = node.root;
    let exit = Destroy { process: Pid::NONE, status: 0 };
    node.call(root, send(abi::kernel::server(PROCESS), exit.to_message()));
    node.pass(50_000_000);
    node.assert_empty();
}

#[test]
fn who_may_join() {
    let mut node = Node::new();
    let (one, other) = (node.team(100, 12, 0), node.team(101, 12, 0));
    let same = node.team(100, 12, 0);
    let open = node.request(one, GROUP, &Create { restricted: 0 }).unwrap().group;
    let closed = node.request(one, GROUP, &Create { restricted: 1 }).unwrap().group;
    assert!(open.is_unrestricted_group() && closed.is_group() && !closed.is_unrestricted_group());
    assert_eq!(node.request(one, GROUP, &Create { restricted: 2 }), Err(Error::BadArgument));
    let join = |node: &mut Node, caller, group, process| {
        node.request(caller, GROUP, &Join { group, process }).map(|_| ())
    };
    let denied = Err(Error::NoPermission);
    assert_eq!(join(&mut node, other, open, Pid::NONE), Ok(()));
    assert_eq!(join(&mut node, other, open, Pid::NONE), Ok(()), "again changes nothing");
    assert_eq!(join(&mut node, other, closed, Pid::NONE), denied);
    assert_eq!(join(&mut node, one, open, other), denied);
    assert_eq!(join(&mut node, one, closed, same), Ok(()));
    assert_eq!(join(&mut node, one, well_known_group::NAMING, Pid::NONE), denied);
    assert_eq!(join(&mut node, one, one, Pid::NONE), Err(Error::BadArgument));
    let root = node.root;
    assert_eq!(join(&mut node, root, well_known_group::NAMING, Pid::NONE), Ok(()));
    let on_host = Pid::unrestricted_group(one.host(), well_known_group::NAMING.group_number());
    let query = |node: &mut Node, group, position| {
        let answer = node.request(one, GROUP, &QueryGroup { group, position })?;
        Ok::<_, Error>((answer.member, answer.count))
    };
    assert_eq!(query(&mut node, on_host, 0), Ok((root, 1)));
    assert_eq!(query(&mut node, open, 1), Ok((other, 2)));
    assert_eq!(query(&mut node, open, 2), Ok((Pid::NONE, 2)));
    let leave = |node: &mut Node, caller, group| {
        let process = Pid::NONE;
        node.request(caller, GROUP, &Leave { group, process }).map(|_| ())
    };
    assert_eq!(leave(&mut node, same, open), Err(Error::BadArgument));
    assert_eq!(leave(&mut node, one, open), Ok(()));
    assert_eq!(leave(&mut node, other, open), Ok(()));
    assert_eq!(query(&mut node, open, 0), Err(Error::EmptyGroup));
    // No group has but so many of them.
    for _ in 0..15 {
        node.request(one, GROUP, &Create { restricted: 0 }).unwrap();
    }
    assert_eq!(node.request(one, GROUP, &Create { restricted: 0 }), Err(Error::NoQuota));
}

#[test]
fn copies_are_charged_to_the_sender() {
    let mut node = Node::new();
    let (_, group, members) = group_of_three(&mut node);
    let root = node.root;
    let poor = abi::kernel::process::CreateTeam {
        user: abi::UserId(100),
        rights: abi::Rights::NONE,
        priority: 12,
        quota_pages: 0,
        quota_processes: 3,
    };
    let poor = node.team_as(root, &poor, 0).unwrap();
    assert_eq!(refused(node.call(poor, group_send(group, 500, 0, Grant::NONE))), Error::NoQuota);
    for member in members {
        assert_eq!(node.state(member), State::Receiving, "nothing was sent");
    }
}
