//! Who runs when: strict priorities, slices, inheritance through servers, and what a suspended queue does to it.

use abi::kernel::process::CreateProcess;
use abi::kernel::time::Delay;
use abi::kernel::{PROCESS, TIME};
use abi::protocol::Request;
use abi::{Error, Message, Pid};
use kernel_core::machine::Next;
use simulator::node::{receive, reply, reply_receive, send};
use simulator::{Node, Outcome};

const EMPTY: Message = Message { words: [0; 8] };
const SLICE: u64 = kernel_core::schedule::SLICE_NS;

/// Teams of these priorities; the first team's root waits, so that the kernel alone decides.
fn teams<const COUNT: usize>(node: &mut Node, priorities: [u8; COUNT]) -> [Pid; COUNT] {
    let teams = priorities.map(|priority| node.team(100, priority, 0));
    let root = node.root;
    node.call(root, receive());
    teams
}

#[test]
fn equals_take_turns_and_the_urgent_run_first() {
    let mut node = Node::new();
    let [a, b, urgent, lazy] = teams(&mut node, [12, 12, 10, 20]);
    assert_eq!(node.running(), Some(urgent));
    node.pass(5 * SLICE);
    assert_eq!(node.running(), Some(urgent), "nobody is its equal");
    node.call(urgent, receive());
    let mut turns = Vec::new();
    for _ in 0..4 {
        turns.push(node.running().unwrap());
        node.pass(SLICE);
    }
    assert_eq!(turns[0], turns[2]);
    assert_eq!(turns[1], turns[3]);
    assert!(turns.contains(&a) && turns.contains(&b));
    node.call(a, receive());
    node.call(b, receive());
    assert_eq!(node.running(), Some(lazy));
    node.call(lazy, receive());
    assert_eq!(node.next, Next::Idle);
}

#[test]
fn whoever_wakes_more_urgent_runs_at_once() {
    let mut node = Node::new();
    let [sleeper, busy] = teams(&mut node, [10, 12]);
    let until_ns = 5_000;
    node.call(sleeper, send(abi::kernel::server(TIME), Delay { until_ns }.to_message()));
    assert_eq!(node.running(), Some(busy));
    node.pass(4_999);
    assert_eq!(node.running(), Some(busy));
    node.pass(1);
    assert_eq!(node.running(), Some(sleeper));
    node.call(sleeper, receive());
    assert!(
        matches!(node.next, Next::Run { resume: kernel_core::machine::Resume::Full, .. }),
        "it was interrupted"
    );
    // The time that each ran is charged to it.
    let busy = node.index(busy);
    node.pass(SLICE);
    assert!(node.kernel.processes[busy].usage.run_ns >= SLICE);
}

#[test]
fn time_without_work_is_nobodys() {
    let mut node = Node::new();
    let [sleeper] = teams(&mut node, [10]);
    node.pass(3_000);
    for _ in 0..3 {
        let until_ns = node.kernel.machine.now_ns + 50_000_000;
        node.call(sleeper, send(abi::kernel::server(TIME), Delay { until_ns }.to_message()));
        assert_eq!(node.next, Next::Idle);
        node.pass(50_000_000);
        assert_eq!(node.running(), Some(sleeper));
        node.pass(1_000);
    }
    node.call(sleeper, receive());
    assert_eq!(node.kernel.counters.idle_ns, 150_000_000);
    let ran: u64 = node.kernel.processes.iter().map(|(_, process)| process.usage.run_ns).sum();
    assert_eq!(ran, 6_000);
}

#[test]
fn a_server_is_as_urgent_as_its_clients() {
    let mut node = Node::new();
    let [server, lazy, urgent] = teams(&mut node, [15, 20, 8]);
    assert_eq!(node.priority(server), 15);
    node.call(lazy, send(server, EMPTY));
    assert_eq!(node.priority(server), 15);
    node.call(urgent, send(server, EMPTY));
    assert_eq!(node.priority(server), 8, "someone urgent is in its queue");
    assert!(
        matches!(node.call(server, receive()), Outcome::Done(registers) if registers.pid == urgent.to_bits())
    );
    assert_eq!(node.priority(server), 8, "it serves someone urgent");
    assert!(
        matches!(node.call(server, receive()), Outcome::Done(registers) if registers.pid == lazy.to_bits())
    );
    node.call(server, reply(urgent, EMPTY));
    assert_eq!(node.priority(server), 15);
    assert_eq!(node.running(), Some(urgent));
}

#[test]
fn urgency_goes_through_a_chain_and_back() {
    let mut node = Node::new();
    let [front, middle, back, other, urgent] = teams(&mut node, [16, 18, 22, 20, 9]);
    node.call(front, receive());
    node.call(other, send(back, EMPTY));
    node.call(middle, send(back, EMPTY));
    // Middle is in the queue of back, and front will be in that of middle.
    node.call(urgent, send(front, EMPTY));
    assert_eq!(node.priority(front), 9);
    node.call(front, send(middle, EMPTY));
    assert_eq!([middle, back].map(|pid| node.priority(pid)), [9, 9]);
    // Raised, middle is received before other, though it came later.
    assert!(
        matches!(node.call(back, receive()), Outcome::Done(registers) if registers.pid == middle.to_bits())
    );
    node.call(back, reply(middle, EMPTY));
    assert_eq!([middle, back].map(|pid| node.priority(pid)), [9, 20]);
    assert!(matches!(node.call(middle, receive()), Outcome::Done(_)));
    node.call(middle, reply(front, EMPTY));
    assert_eq!([front, middle].map(|pid| node.priority(pid)), [9, 18]);
    node.call(front, reply_receive(urgent, EMPTY));
    assert_eq!(node.priority(front), 16);
    assert_eq!(node.running(), Some(urgent));
}

#[test]
fn processes_that_wait_for_each_other_do_not_hang_the_kernel() {
    let mut node = Node::new();
    let [a, b, c, urgent] = teams(&mut node, [14, 15, 16, 8]);
    node.call(a, send(b, EMPTY));
    node.call(b, send(c, EMPTY));
    node.call(c, send(a, EMPTY));
    node.call(urgent, send(b, EMPTY));
    assert_eq!([a, b, c].map(|pid| node.priority(pid)), [8, 8, 8]);
}

#[test]
fn a_priority_is_given_within_the_class() {
    let mut node = Node::new();
    let team = node.team(100, 12, 0);
    let create = |priority| CreateProcess { instruction: 0, stack: 0, priority };
    let denied = Err(Error::NoPermission);
    assert_eq!(node.request(team, PROCESS, &create(11)).map(|_| ()), denied);
    assert_eq!(node.request(team, PROCESS, &create(30)).map(|_| ()), Err(Error::BadArgument));
    let own = CreateProcess { priority: abi::kernel::priority::OWN, ..create(0) };
    let like_me = node.request(team, PROCESS, &own).unwrap().process;
    assert_eq!(node.priority(like_me), 12);
    let member = node.process(team, 20);
    assert_eq!(node.priority(member), 20);
}
