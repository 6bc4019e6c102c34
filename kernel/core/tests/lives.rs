//! Processes and teams from birth to the notice of their end: rights, quotas, who hears of it, what is given back.

use abi::call::{self, FOREVER, NOW};
use abi::kernel::process::{self, CreateProcess, CreateTeam, Destroy, Identify, Prepare};
use abi::kernel::record::{ProcessRecord, ProcessState, name_words};
use abi::kernel::{MEMORY, PROCESS, memory, protection};
use abi::notice::{STATUS_EXCEPTION, STATUS_KILLED, notice};
use abi::protocol::Request;
use abi::{Access, Error, Grant, Message, Pid, Rights, UserId};
use kernel_core::process::State;
use simulator::node::{receive, receive_from, reply, send};
use simulator::{Node, Outcome};

const EMPTY: Message = Message { words: [0; 8] };

fn description() -> CreateTeam {
    CreateTeam { user: UserId(100), rights: Rights::NONE, priority: 12, quota_pages: 0, quota_processes: 0 }
}

fn destroy(node: &mut Node, caller: Pid, process: Pid, status: u32) -> Result<(), Error> {
    node.request(caller, PROCESS, &Destroy { process, status }).map(|_| ())
}

/// Receives the notice that `team` has ended, and answers it.
fn reap(node: &mut Node, owner: Pid, team: Pid) -> u32 {
    node.pass(50_000_000);
    let Outcome::Done(registers) = node.call(owner, receive_from(team, NOW)) else {
        panic!("the owner waits");
    };
    assert_eq!((registers.number, registers.pid), (0, team.to_bits()));
    let message = Message::from_registers(registers.message);
    assert_eq!(message.code(), notice::TeamEnded::CODE);
    let ended = notice::TeamEnded::from_message(&message);
    assert_eq!(ended.team, team);
    node.call(owner, reply(team, EMPTY));
    ended.status
}

fn refused(outcome: Outcome) -> Error {
    let Outcome::Done(registers) = outcome else {
        panic!("it waits");
    };
    Error::check(registers.number as u32).expect_err("an error")
}

#[test]
fn a_newborn_starts_with_its_creators_reply() {
    let mut node = Node::new();
    let root = node.root;
    let team = node.request(root, PROCESS, &description()).unwrap().team;
    assert_eq!(node.state(team), State::AwaitingReply);
    // Whole space granted: fill it by MoveTo, at an address that only the creator's Map gave it.
    let map = |team, address| memory::Map {
        team,
        address,
        pages: 1,
        protection: protection::READ | protection::WRITE,
    };
    node.request(root, MEMORY, &map(team, 0x40_0000)).unwrap();
    node.request(root, MEMORY, &map(Pid::NONE, 0x50_0000)).unwrap();
    node.poke(root, 0x50_0000, b"program");
    let move_to = call::MoveTo { client: team, segment_offset: 0x40_0100, address: 0x50_0000, bytes: 7 };
    assert!(matches!(node.call(root, move_to.encode()), Outcome::Done(registers) if registers.extra[0] == 7));
    let prepare = Prepare { process: team, instruction: 0x40_0100, stack: 0x41_0000 };
    node.request(root, PROCESS, &prepare).unwrap();
    let stranger = node.team(101, 12, 0);
    assert_eq!(node.request(stranger, PROCESS, &prepare), Err(Error::NotAwaitingReply));
    let start = Message::with_code(77);
    node.call(root, reply(team, start));
    let registers = node.results(team);
    assert_eq!(
        (registers.instruction, registers.stack, registers.pid),
        (0x40_0100, 0x41_0000, root.to_bits())
    );
    assert_eq!((registers.message, registers.extra), (start.to_registers(), [0; 5]));
    assert_eq!(node.peek(team, 0x40_0100, 7), b"program");
    assert_eq!(node.request(root, PROCESS, &prepare), Err(Error::NotAwaitingReply));
    // And no one may map into it any more.
    assert_eq!(node.request(root, MEMORY, &map(team, 0x60_0000)), Err(Error::NoPermission));
}

#[test]
fn rights_never_widen() {
    let mut node = Node::new();
    let plain = node.team(100, 12, 0);
    let create = |node: &mut Node, caller, create| node.request(caller, PROCESS, &create).map(|_| ());
    let denied = Err(Error::NoPermission);
    for asked in [
        CreateTeam { user: UserId(101), ..description() },
        CreateTeam { rights: Rights::TRACE, ..description() },
        CreateTeam { priority: 11, ..description() },
        CreateTeam { quota_pages: 1_000_000, ..description() },
        CreateTeam { quota_processes: 60_000, ..description() },
    ] {
        assert_eq!(create(&mut node, plain, asked), denied, "{asked:?}");
    }
    let nonsense = CreateTeam { priority: 30, ..description() };
    assert_eq!(create(&mut node, plain, nonsense), Err(Error::BadArgument));
    assert_eq!(create(&mut node, plain, description()), Ok(()));
    // With the right to create for others, still only rights that one has.
    let root = node.root;
    let asked = CreateTeam { rights: Rights::CREATE_FOR_OTHERS, ..description() };
    let manager = node.team_as(root, &asked, 0).unwrap();
    let user = CreateTeam { user: UserId(200), quota_pages: 4000, ..description() };
    assert_eq!(create(&mut node, manager, user), Ok(()));
    let rights = CreateTeam { rights: Rights::TRACE, ..description() };
    assert_eq!(create(&mut node, manager, rights), denied);
    let urgent = CreateTeam { priority: 3, ..description() };
    assert_eq!(create(&mut node, manager, urgent), denied);
    assert_eq!(
        node.request(plain, PROCESS, &Identify { process: manager }).unwrap(),
        process::Identified {
            team: manager,
            owner: root,
            user: UserId(100),
            rights: Rights::CREATE_FOR_OTHERS,
        }
    );
}

#[test]
fn only_the_same_user_or_a_right_may_control() {
    let mut node = Node::new();
    let (one, other) = (node.team(100, 12, 0), node.team(101, 12, 0));
    let same = node.team(100, 12, 0);
    let denied = Err(Error::NoPermission);
    assert_eq!(destroy(&mut node, one, other, 0), denied);
    assert_eq!(node.request(one, PROCESS, &process::Suspend { process: other }).map(|_| ()), denied);
    assert_eq!(destroy(&mut node, one, same, 9), Ok(()));
    let root = node.root;
    assert_eq!(reap(&mut node, root, same), 9);
    assert_eq!(destroy(&mut node, one, same, 9), Err(Error::StaleProcess), "reaped");
    assert_eq!(destroy(&mut node, root, other, 9), Ok(()));
}

#[test]
fn quotas_of_slots_hold_and_come_back() {
    let mut node = Node::new();
    let root = node.root;
    let create = CreateTeam { quota_processes: 3, ..description() };
    let team = node.team_as(root, &create, 0).unwrap();
    let new = CreateProcess { instruction: 0, stack: 0, priority: 12 };
    let first = node.request(team, PROCESS, &new).unwrap().process;
    node.request(team, PROCESS, &new).unwrap();
    assert_eq!(node.request(team, PROCESS, &new), Err(Error::NoQuota));
    let alarm = abi::kernel::time::SetAlarm { at_ns: 500, tag: 0 };
    assert_eq!(node.request(team, abi::kernel::TIME, &alarm), Err(Error::NoQuota));
    destroy(&mut node, team, first, 0).unwrap();
    let again = node.request(team, PROCESS, &new).unwrap().process;
    assert_ne!(again, first);
    assert_eq!(refused(node.call(team, send(first, EMPTY))), Error::StaleProcess);
    let query = node.request(team, MEMORY, &memory::QueryTeam { team: Pid::NONE }).unwrap();
    assert_eq!((query.quota_processes, query.used_processes), (3, 3));
    destroy(&mut node, root, team, 1).unwrap();
    assert_eq!(reap(&mut node, root, team), 1);
    end_all(&mut node);
}

/// Ends the first team, and with it everything that nobody owns.
fn end_all(node: &mut Node) {
    let root = node.root;
    let _ = node.call(
        root,
        send(abi::kernel::server(PROCESS), Destroy { process: Pid::NONE, status: 0 }.to_message()),
    );
    node.pass(100_000_000);
    node.assert_empty();
}

#[test]
fn tables_that_are_full_say_so() {
    let mut node = Node::with_slots(6, 4);
    let root = node.root;
    let teams: Vec<Pid> = (0..3).map(|_| node.request(root, PROCESS, &description()).unwrap().team).collect();
    assert_eq!(node.request(root, PROCESS, &description()), Err(Error::NoResources));
    let new = CreateProcess { instruction: 0, stack: 0, priority: 29 };
    node.request(root, PROCESS, &new).unwrap();
    node.request(root, PROCESS, &new).unwrap();
    assert_eq!(node.request(root, PROCESS, &new), Err(Error::NoResources));
    for team in teams {
        destroy(&mut node, root, team, 0).unwrap();
        reap(&mut node, root, team);
    }
    end_all(&mut node);
}

#[test]
fn whoever_waits_for_the_dead_is_told() {
    let mut node = Node::new();
    let root = node.root;
    let server = node.team(100, 12, 0);
    let [received, queued, expecting, forwarded] = [(); 4].map(|()| node.team(100, 12, 0));
    node.call(received, send(server, EMPTY));
    node.call(forwarded, send(server, EMPTY));
    node.call(server, receive());
    node.call(server, receive());
    node.call(queued, send(server, EMPTY));
    node.call(expecting, receive_from(server, FOREVER));
    destroy(&mut node, root, server, 5).unwrap();
    assert_eq!(reap(&mut node, root, server), 5);
    assert_eq!(node.error(received), Error::DiedBeforeReply);
    assert_eq!(node.error(forwarded), Error::DiedBeforeReply);
    assert_eq!(node.error(queued), Error::StaleProcess);
    assert_eq!(node.error(expecting), Error::StaleProcess);
    assert_eq!(refused(node.call(queued, send(server, EMPTY))), Error::StaleProcess);
}

#[test]
fn the_end_of_a_root_ends_all_at_once() {
    let mut node = Node::new();
    let root = node.root;
    let team = node.team(100, 12, 8);
    let members: Vec<Pid> = (0..4).map(|_| node.process(team, 12)).collect();
    node.poke(team, Node::data(0), &[1; 8192]);
    node.call(members[0], send(team, EMPTY));
    node.call(members[1], receive());
    node.call(members[2], send(members[1], EMPTY));
    let outsider = node.team(100, 12, 0);
    node.call(outsider, send(members[1], EMPTY));
    let unborn = CreateProcess { instruction: 0, stack: 0, priority: 12 };
    let unborn = node.request(team, PROCESS, &unborn).unwrap().process;
    let free = node.kernel.frames.free_count();
    // The root ends itself.
    let exit = Destroy { process: Pid::NONE, status: 42 };
    let outcome = node.call(team, send(abi::kernel::server(PROCESS), exit.to_message()));
    assert_eq!(outcome, Outcome::Waits);
    assert_eq!(reap(&mut node, root, team), 42);
    assert_eq!(node.error(outsider), Error::StaleProcess);
    for member in members.iter().chain([&unborn, &team]) {
        assert_eq!(refused(node.call(outsider, send(*member, EMPTY))), Error::StaleProcess);
    }
    assert!(node.kernel.frames.free_count() >= free + 2);
    destroy(&mut node, root, outsider, 0).unwrap();
    reap(&mut node, root, outsider);
    end_all(&mut node);
}

#[test]
fn what_nobody_owns_is_forgotten_at_once() {
    let mut node = Node::new();
    let root = node.root;
    let parent = node.team(100, 12, 0);
    let child = node.team_as(parent, &description(), 0).unwrap();
    let ended_child = node.team_as(parent, &description(), 0).unwrap();
    let newborn = node.request(parent, PROCESS, &description()).unwrap().team;
    destroy(&mut node, parent, ended_child, 0).unwrap();
    node.pass(50_000_000);
    destroy(&mut node, root, parent, STATUS_KILLED).unwrap();
    assert_eq!(reap(&mut node, root, parent), STATUS_KILLED);
    // The child lives on; the ended one's notice and the newborn went with their owner.
    assert!(node.kernel.processes.find(child).is_ok());
    assert_eq!(node.kernel.processes.find(ended_child), Err(Error::StaleProcess));
    assert_eq!(node.kernel.processes.find(newborn), Err(Error::StaleProcess));
    destroy(&mut node, root, child, 0).unwrap();
    node.pass(50_000_000);
    assert_eq!(node.kernel.processes.find(child), Err(Error::StaleProcess));
    end_all(&mut node);
}

#[test]
fn the_suspended_neither_run_nor_receive() {
    let mut node = Node::new();
    let (client, server) = (node.team(100, 12, 0), node.team(100, 12, 0));
    let manager = node.team(100, 12, 0);
    let suspend = |process| process::Suspend { process };
    let resume = |process| process::Resume { process };
    node.call(server, receive());
    node.request(manager, PROCESS, &suspend(server)).unwrap();
    node.call(client, send(server, EMPTY));
    assert_eq!(node.state(client), State::Sending);
    assert_eq!(node.state(server), State::Receiving);
    node.request(manager, PROCESS, &resume(server)).unwrap();
    assert_eq!(node.state(client), State::AwaitingReply);
    assert_eq!(node.results(server).pid, client.to_bits());
    // Answered while suspended, it goes on when it is resumed.
    node.request(manager, PROCESS, &suspend(client)).unwrap();
    node.call(server, reply(client, Message::with_code(6)));
    assert_eq!(node.state(client), State::Ready);
    node.call(manager, receive());
    node.call(server, receive());
    assert_ne!(node.running(), Some(client));
    let root = node.root;
    node.request(root, PROCESS, &resume(client)).unwrap();
    node.request(root, PROCESS, &resume(client)).unwrap();
    assert_eq!(node.running(), Some(client));
    assert_eq!(node.results(client).message[0], 6);
    // Oneself.
    let outcome = node.call(client, send(abi::kernel::server(PROCESS), suspend(Pid::NONE).to_message()));
    assert!(matches!(outcome, Outcome::Done(registers) if registers.number == 0));
    assert_ne!(node.running(), Some(client));
    node.request(root, PROCESS, &resume(client)).unwrap();
    assert_eq!(node.running(), Some(client));
}

#[test]
fn a_listing_says_what_each_waits_for() {
    let mut node = Node::new();
    let (client, server) = (node.team(100, 12, 4), node.team(101, 12, 0));
    let lister = node.team(102, 12, 4);
    node.call(server, receive());
    node.call(client, send(server, EMPTY));
    let (first_bytes, last_bytes) = name_words("a server");
    let name = process::SetName { process: Pid::NONE, first_bytes, last_bytes };
    node.request(server, PROCESS, &name).unwrap();
    let all = Grant::new(4 * 4096, Access::WRITE);
    let query = process::QueryProcesses { index: 0 };
    let answer = node.request_with(lister, PROCESS, &query, Node::data(0), all).unwrap();
    assert_eq!((answer.count, answer.next), (4, 0));
    let bytes = node.peek(lister, Node::data(0), 4 * ProcessRecord::BYTES);
    let records: Vec<ProcessRecord> = bytes
        .chunks_exact(ProcessRecord::BYTES)
        .map(|bytes| ProcessRecord::from_bytes(bytes.try_into().unwrap()))
        .collect();
    let record = records.iter().find(|record| record.process() == client).unwrap();
    assert_eq!(ProcessState::from_number(record.state), Some(ProcessState::AwaitingReply));
    assert_eq!((record.waits_on, record.user()), (server.to_bits(), UserId(100)));
    let record = records.iter().find(|record| record.process() == server).unwrap();
    assert_eq!(&record.name_bytes(), b"a server\0\0\0\0\0\0\0\0");
    // A piece at a time.
    let one = Grant::new(ProcessRecord::BYTES as u64 + 5, Access::WRITE);
    let answer = node.request_with(lister, PROCESS, &query, Node::data(0), one).unwrap();
    assert_eq!(answer.count, 1);
    assert_ne!(answer.next, 0);
    for (grant, address, error) in [
        (Grant::new(5, Access::WRITE), Node::data(0), Error::TooLong),
        (Grant::new(200, Access::READ), Node::data(0), Error::NoWriteAccess),
        (Grant::new(200, Access::WRITE), 0x10_0000, Error::BadAddress),
    ] {
        assert_eq!(node.request_with(lister, PROCESS, &query, address, grant), Err(error));
    }
}

#[test]
fn thousands_of_lives_leave_nothing() {
    let mut node = Node::with_slots(20, 8);
    node.checked = false;
    let root = node.root;
    let mut seen = std::collections::BTreeSet::new();
    let free = node.kernel.frames.free_count();
    for round in 0..3000_u32 {
        let team = node.team(100, 12, 2);
        assert!(seen.insert(team), "{team} was used before");
        node.poke(team, Node::data(5), b"something");
        let member = node.process(team, 13);
        if round % 3 == 0 {
            node.call(member, send(team, EMPTY));
        }
        destroy(&mut node, root, team, round).unwrap();
        assert_eq!(reap(&mut node, root, team), round);
        assert_eq!(node.kernel.frames.free_count(), free);
    }
    end_all(&mut node);
}

#[test]
fn the_first_teams_end_is_the_nodes() {
    let destroyed = |node: &mut Node| {
        let root = node.root;
        let rebel = CreateTeam { rights: Rights::CONTROL_OTHERS, ..description() };
        let rebel = node.team_as(root, &rebel, 0).unwrap();
        let ended = node.team(100, 12, 0);
        destroy(node, rebel, ended, 5).unwrap();
        assert_eq!(node.kernel.machine.restart, None, "another team's end is its own");
        destroy(node, rebel, root, 5).unwrap();
    };
    let faulted = |node: &mut Node| {
        node.run(node.root);
        let next = node.kernel.exception(6, 0, 0);
        node.settle(next);
    };
    let restarts = |end: fn(&mut Node), status: u32| {
        let mut node = Node::new();
        end(&mut node);
        let why = format!("V: the supervisor ended with status {status}: the node restarts");
        assert_eq!(node.kernel.machine.restart, Some(why));
    };
    restarts(destroyed, 5);
    restarts(end_all, 0);
    restarts(faulted, STATUS_EXCEPTION + 6);
}

#[test]
fn a_team_without_owner_can_be_adopted() {
    let mut node = Node::new();
    let root = node.root;
    let makes_teams = CreateTeam { rights: Rights::CREATE_FOR_OTHERS, ..description() };
    let [owner, heir] = [(); 2].map(|()| node.team_as(root, &makes_teams, 0).unwrap());
    let stranger = node.team(100, 12, 0);
    let team = node.team_as(owner, &description(), 0).unwrap();
    let adopt =
        |node: &mut Node, caller| node.request(caller, PROCESS, &process::AdoptTeam { team }).map(drop);
    // Nobody takes a team away from an owner that lives.
    assert_eq!(adopt(&mut node, heir), Err(Error::NoPermission));
    destroy(&mut node, root, owner, 0).unwrap();
    reap(&mut node, root, owner);
    assert_eq!(adopt(&mut node, stranger), Err(Error::NoPermission));
    assert_eq!(adopt(&mut node, heir), Ok(()));
    let identified = node.request(heir, PROCESS, &Identify { process: team }).unwrap();
    assert_eq!(identified.owner, heir);
    destroy(&mut node, root, team, 5).unwrap();
    assert_eq!(reap(&mut node, heir, team), 5);
    assert_eq!(adopt(&mut node, heir), Err(Error::StaleProcess));
}
