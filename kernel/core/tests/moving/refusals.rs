//! What keeps a guest from moving, and what becomes of a move that is given up.

use abi::call;
use abi::kernel::process::{CreateTeam, FreezeTeam, Resume, SetExceptionServer, SetName, Suspend};
use abi::kernel::{GROUP, PROCESS, TIME, group, process, time};
use abi::protocol::Request as _;
use abi::remote::Arrival;
use abi::{Error, LogicalHost, Message, Pid, Rights};
use kernel_core::process::State;
use simulator::Outcome;
use simulator::node::{receive, reply, send};

use crate::world::{GUEST, PRIORITY, World, create};

const FAR: Pid = Pid::process(LogicalHost::from_bits(0x999), 3, 20);

#[test]
fn only_who_may_move_guests_freezes_them() {
    let mut world = World::new(1);
    let root = world.root();
    let plain = world.here().node.team(100, PRIORITY, 1);
    let place = world.here();
    let freeze = |team| FreezeTeam { team };
    assert_eq!(place.node.request(plain, PROCESS, &freeze(root)).map(|_| ()), Err(Error::NoPermission));
    assert_eq!(place.freeze(plain), Err(Error::NotMovable));
    assert_eq!(place.thaw(root), Err(Error::BadArgument));
    assert_eq!(place.read(root), Err(Error::BadArgument));
    assert_eq!(place.write(root, &[0; 64]), Err(Error::NotAwaitingReply));
    assert_eq!(place.freeze(root), Ok(()));
    assert_eq!(place.freeze(root), Ok(()), "frozen it is already");
    let outcome = place.node.request(plain, PROCESS, &process::ReadTeam { team: root });
    assert_eq!(outcome.map(|_| ()), Err(Error::NoPermission));
    // A segment that is too short says how long it should be.
    let read = place.node.request(place.network, PROCESS, &process::ReadTeam { team: root }).unwrap();
    let state = place.read(root).unwrap();
    assert_eq!(state.len(), read.bytes as usize);
    assert_eq!(place.thaw(root), Err(Error::ProcessElsewhere), "it may go on elsewhere");
    assert_eq!(place.write(root, &state), Ok(root));
    assert_eq!(place.thaw(root), Ok(()));
}

#[test]
fn what_is_under_way_is_waited_for() {
    let mut world = World::new(1);
    let [root, second, ..] = world.processes[..] else { panic!("processes") };
    let place = world.here();
    let (keeper, network) = (place.node.root, place.network);
    // A message to a group, sent or received.
    let group = place.node.request(root, GROUP, &group::Create { restricted: 0 }).unwrap().group;
    let plain = place.node.team(100, PRIORITY, 1);
    let later = place.node.kernel.machine.now_ns + 1_000_000;
    let group_send = |deadline| {
        call::Send { to: group, message: Message::default(), segment_address: 0, grant: 0, deadline }.encode()
    };
    assert_eq!(place.node.call(plain, group_send(later)), Outcome::Waits);
    assert_eq!(place.freeze(root), Err(Error::Busy));
    let Outcome::Done(copy) = place.node.call(root, receive()) else { panic!("the copy waits") };
    assert_eq!(place.freeze(root), Err(Error::Busy));
    place.node.call(root, reply(Pid::from_bits(copy.pid), Message::default()));
    assert_eq!(place.freeze(root), Ok(()));
    place.thaw(root).unwrap();
    place.node.request(plain, GROUP, &group::Join { group, process: Pid::NONE }).unwrap();
    let later = place.node.kernel.machine.now_ns + 1_000_000;
    assert_eq!(place.node.call(second, group_send(later)), Outcome::Waits);
    assert_eq!(place.freeze(root), Err(Error::Busy));
    place.node.pass(2_000_000);
    while place.take().is_some() {}
    assert_eq!(place.freeze(root), Err(Error::Busy), "one of its own has not received it");
    let Outcome::Done(copy) = place.node.call(root, receive()) else { panic!("the copy waits") };
    place.node.call(root, reply(Pid::from_bits(copy.pid), Message::default()));
    assert_eq!(place.freeze(root), Ok(()));
    place.thaw(root).unwrap();
    // A message to the network server itself.
    place.node.call(second, send(network, Message::default()));
    assert_eq!(place.freeze(root), Err(Error::Busy));
    let received = place.take().unwrap();
    assert_eq!(Arrival::decode(&received), Arrival::Own);
    assert_eq!(place.freeze(root), Err(Error::Busy));
    place.node.call(network, reply(second, Message::default()));
    // An exception that someone looks at.
    let set = SetExceptionServer { team: root, server: keeper };
    place.node.request(keeper, PROCESS, &set).unwrap();
    place.node.run(second);
    let next = place.node.kernel.exception(3, 0, 0);
    place.node.settle(next);
    assert_eq!(place.freeze(root), Err(Error::Busy));
    assert!(matches!(place.node.call(keeper, receive()), Outcome::Done(_)));
    place.node.call(keeper, reply(second, Message::default()));
    // An alarm that was received.
    place.node.request(second, TIME, &time::SetAlarm { at_ns: 1, tag: 1 }).unwrap();
    place.node.pass(1);
    assert_eq!(place.freeze(root), Ok(()), "one that was not comes again");
    place.thaw(root).unwrap();
    let Outcome::Done(alarm) = place.node.call(second, receive()) else { panic!("the alarm waits") };
    assert_eq!(place.freeze(root), Err(Error::Busy));
    place.node.call(second, reply(Pid::from_bits(alarm.pid), Message::default()));
    // A team of its own that was not started yet.
    let child =
        place.node.request(second, PROCESS, &CreateTeam { quota_processes: 2, ..create(100, Rights::NONE) });
    let child = child.unwrap().team;
    assert_eq!(place.freeze(root), Err(Error::Busy));
    place.node.call(second, reply(child, Message::default()));
    assert_eq!(place.freeze(root), Ok(()));
    place.thaw(root).unwrap();
    // What stays for ever.
    let index = place.node.index(root);
    let team = place.node.kernel.processes[index].team;
    place.node.kernel.team_mut(team).grants[0].count = 1;
    assert_eq!(place.freeze(root), Err(Error::NotMovable));
}

/// Whoever is in a group and has moved gets its messages where it is.
#[test]
fn what_is_left_is_in_no_group() {
    let mut world = World::new(1);
    let [root, second, ..] = world.processes[..] else { panic!("processes") };
    let place = world.here();
    let plain = place.node.team(100, PRIORITY, 1);
    let group = place.node.request(plain, GROUP, &group::Create { restricted: 0 }).unwrap().group;
    for process in [root, second] {
        place.node.request(process, GROUP, &group::Join { group, process: Pid::NONE }).unwrap();
    }
    let members = |place: &mut crate::world::Place| {
        place
            .node
            .request(plain, GROUP, &group::QueryGroup { group, position: 0 })
            .map(|queried| queried.count)
    };
    assert_eq!(members(place), Ok(3));
    place.freeze(root).unwrap();
    assert_eq!(members(place), Ok(3));
    let state = place.read(root).unwrap();
    assert_eq!(members(place), Ok(1));
    assert_eq!(place.write(root, &state), Ok(root));
    assert_eq!(members(place), Ok(3));
    place.thaw(root).unwrap();
    // One that has not moved away, and is written anew, is in them once.
    place.freeze(root).unwrap();
    assert_eq!(place.write(root, &state), Ok(root));
    assert_eq!(members(place), Ok(3));
}

#[test]
fn a_move_that_is_given_up_leaves_all_as_it_was() {
    let mut world = World::new(1);
    let [root, second, third, fourth] = world.processes[..] else { panic!("processes") };
    let place = world.here();
    let network = place.network;
    let plain = place.node.team(100, PRIORITY, 1);
    // One waits for a message, one was suspended, one has sent what nobody has received, one what is awaited.
    assert_eq!(place.node.call(root, receive()), Outcome::Waits);
    let keeper = place.node.root;
    place.node.request(keeper, PROCESS, &Suspend { process: second }).unwrap();
    place.node.call(third, send(FAR, Message::with_code(3)));
    let first = place.take().unwrap();
    assert_eq!(first.pid, third.to_bits());
    place.node.call(fourth, send(FAR, Message::with_code(4)));
    place.freeze(root).unwrap();
    assert_eq!(place.take().map(|registers| registers.pid), None, "it was taken back");
    let name = SetName { process: root, first_bytes: 0, last_bytes: 0 };
    let by_host = |host| send(Pid::kernel_server(host, PROCESS), name.to_message());
    assert!(matches!(place.node.call(plain, by_host(GUEST)), Outcome::Done(_)));
    let state = place.read(root).unwrap();
    // Now its logical host is elsewhere; its pids are known still.
    assert_eq!(place.node.call(plain, by_host(GUEST)), Outcome::Waits);
    let carried = place.take().unwrap();
    assert_eq!(carried.pid, plain.to_bits());
    place.node.call(network, reply(plain, Message::default()));
    assert!(place.node.kernel.processes.find(fourth).is_ok());
    // Others are let go on or are suspended meanwhile: it counts when it is thawed.
    for (process, suspends) in [(second, false), (third, true)] {
        if suspends {
            place.node.request(keeper, PROCESS, &Suspend { process }).unwrap();
        } else {
            place.node.request(keeper, PROCESS, &Resume { process }).unwrap();
        }
    }
    // A reply, and a message, come to the frozen.
    place.node.call(network, reply(third, Message::with_code(9)));
    place.send_alien(FAR, root, Message::with_code(7), 0, false).unwrap();
    assert_eq!(place.node.state(root), State::Receiving);
    place.write(root, &state).unwrap();
    place.thaw(root).unwrap();
    assert!(matches!(place.node.call(plain, by_host(GUEST)), Outcome::Done(_)));
    assert_eq!(place.node.results(root).pid, FAR.to_bits());
    assert_eq!(place.node.state(second), State::Ready);
    place.node.call(second, receive());
    assert_eq!(place.node.state(third), State::Ready);
    let suspended = place.node.index(third);
    assert!(place.node.kernel.processes[suspended].flags.has(kernel_core::process::Flags::SUSPENDED));
    for _ in 0..4 {
        place.node.pass(10_000_000);
    }
    let again = place.take().unwrap();
    assert_eq!((again.pid, again.message[0] as u32), (fourth.to_bits(), 4), "it was sent again");
    assert_eq!(place.take().map(|registers| registers.pid), None);
}

#[test]
fn an_alien_counts_as_received_only_by_the_frozen() {
    let mut world = World::new(1);
    let root = world.root();
    let place = world.here();
    let send = |place: &mut crate::world::Place, to| place.send_alien(FAR, to, Message::default(), 0, true);
    assert_eq!(send(place, root), Err(Error::BadArgument));
    let server = Pid::kernel_server(LogicalHost::OWN, PROCESS);
    assert_eq!(send(place, server), Err(Error::BadArgument));
    place.freeze(root).unwrap();
    send(place, root).unwrap();
    place.thaw(root).unwrap();
    let Outcome::Done(results) = place.node.call(root, reply(FAR, Message::with_code(0))) else { panic!() };
    assert_eq!(results.number, 0);
    let answered = place.take().unwrap();
    assert!(matches!(Arrival::decode(&answered), Arrival::Answered { replier, .. } if replier == root));
}

#[test]
fn a_clock_goes_on_where_it_was() {
    let mut world = World::new(3);
    let root = world.root();
    let mut last = 0;
    for step in 0..9 {
        world.pass(1_000_003);
        let now = world.here().node.request(root, TIME, &time::Now {}).unwrap().monotonic_ns;
        assert!(now > last && (last == 0 || now - last < 2_000_006 + 50_000_000), "{last} {now}");
        last = now;
        assert!(world.go((step + 1) % 3));
    }
    // A time of its clock comes when that says so, wherever it is.
    let until_ns = world.clock() + 5_000_000;
    let delay = time::Delay { until_ns };
    assert_eq!(
        world.here().node.call(root, send(abi::kernel::server(TIME), delay.to_message())),
        Outcome::Waits
    );
    world.pass(2_000_000);
    assert!(world.go(1));
    world.pass(2_000_000);
    assert_eq!(world.here().node.state(root), State::Delaying);
    let left = until_ns - world.clock();
    world.pass(left);
    assert_eq!(world.here().node.state(root), State::Ready);
}
