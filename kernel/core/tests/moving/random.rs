//! A guest that moves whenever it can, beside one that does the same and never moves: nobody could tell them apart.

use abi::call::{self, FOREVER, Registers};
use abi::kernel::process::{CreateProcess, Destroy, Resume, SetName, Suspend};
use abi::kernel::record::UsageRecord;
use abi::kernel::{GROUP, PROCESS, TIME, group, server, time};
use abi::protocol::Request;
use abi::{Error, LogicalHost, Message, Pid};
use kernel_core::machine::Machine;
use kernel_core::process::{Flags, NOBODY, Process, State};
use proptest::collection::vec;
use proptest::prelude::*;
use simulator::node::{receive, receive_from, reply, send};
use simulator::{Outcome, Space};

use crate::world::{PRIORITY, World};

/// What is done, by which process, to whom, with what.
type Step = (u8, u8, u8, u16);

const FAR: LogicalHost = LogicalHost::from_bits(0x999);

fn far(number: u8) -> Pid {
    Pid::process(FAR, 3, 20 + u16::from(number % 3))
}

fn message(number: u16) -> Message {
    Message { words: [0x7100 + u32::from(number), 2, 3, 4, 5, 6, number.into(), 0] }
}

/// What can be seen of a step.
#[derive(PartialEq, Debug)]
enum Seen {
    Nothing,
    Call(Option<Registers>),
    Carried(Vec<(Pid, Pid, Message)>),
    Made(Result<(), Error>),
    Clock(u64),
}

fn process(world: &World, pid: Pid) -> Option<&Process<Space>> {
    let node = &world.places[world.at].node;
    node.kernel.processes.find(pid).ok().map(|index| &node.kernel.processes[index])
}

fn may_call(world: &World, pid: Pid) -> bool {
    process(world, pid)
        .is_some_and(|process| process.state == State::Ready && process.flags.only(Flags::GROUP))
}

/// A process makes a system call.
fn make(world: &mut World, pid: Pid, registers: Registers) -> Seen {
    match world.here().node.call(pid, registers) {
        // Where the program is stays as it is.
        Outcome::Done(results) => Seen::Call(Some(results)),
        Outcome::Waits => Seen::Call(None),
    }
}

fn ask(world: &mut World, pid: Pid, index: u16, request: &impl Request) -> Seen {
    make(world, pid, send(server(index), request.to_message()))
}

/// Someone who awaits the reply of a process.
fn client_of(world: &World, pid: Pid) -> Pid {
    let kernel = &world.places[world.at].node.kernel;
    let Ok(index) = kernel.processes.find(pid) else { return Pid::NONE };
    let waits = |process: &Process<Space>| process.state == State::AwaitingReply && process.partner == index;
    // In the order of their pids: slots differ from place to place.
    let clients = kernel.processes.iter().filter(|(_, process)| waits(process));
    clients.map(|(slot, _)| kernel.sender_pid(slot)).min().unwrap_or(Pid::NONE)
}

#[expect(clippy::too_many_lines, reason = "one line for each thing that may happen")]
fn step(world: &mut World, (operation, who, whom, number): Step) -> Seen {
    let own = world.processes[usize::from(who) % world.processes.len()];
    let other = world.processes[usize::from(whom) % world.processes.len()];
    let later = world.clock() + 1 + u64::from(number) * 1000;
    if operation >= 6 {
        world.interrupted.remove(&own);
    }
    match operation {
        0 => world.pass(u64::from(number) * 500),
        1 => return Seen::Carried(world.carry()),
        2 if !world.clients.contains_key(&far(whom)) => {
            world.send_from_elsewhere(far(whom), own, message(number));
        }
        // Someone elsewhere answers.
        3 if !world.awaiting.is_empty() => {
            let client = world.awaiting.remove(usize::from(whom) % world.awaiting.len());
            let answer = call::Reply {
                to: client,
                message: message(number),
                segment_address: 0,
                segment_bytes: 0,
                replier: far(who).to_bits(),
                error: u64::from(if number % 5 == 0 { Error::HostUnreachable.code() } else { 0 }),
            };
            let network = world.here().network;
            return make(world, network, answer.encode());
        }
        // It is interrupted, with something in its registers.
        4 if may_call(world, own) => {
            let node = &mut world.here().node;
            node.run(own);
            node.kernel.processes[node.kernel.cpus[0].current].resume = kernel_core::machine::Resume::Full;
            let index = node.index(own);
            let registers = abi::kernel::record::RegisterRecord {
                rax: number.into(),
                rip: 0x40_0000 + u64::from(number),
                ..Default::default()
            };
            node.kernel.machine.set_full_registers(index, &registers);
            let mut vector = [0; 64];
            vector[1..3].copy_from_slice(&number.to_le_bytes());
            assert!(node.kernel.machine.set_vector_state(index, &vector));
            world.interrupted.insert(own);
        }
        5 => {
            let network = world.here().network;
            let request: Box<dyn Fn(&mut World) -> Seen> = if number % 3 == 0 {
                Box::new(move |world| ask(world, network, PROCESS, &Suspend { process: own }))
            } else {
                Box::new(move |world| ask(world, network, PROCESS, &Resume { process: own }))
            };
            return request(world);
        }
        _ if !may_call(world, own) => {}
        6 | 7 if own != other => return make(world, own, send(other, message(number))),
        8 => return make(world, own, send(far(whom), message(number))),
        9 => return make(world, own, receive()),
        10 => return make(world, own, receive_from(if number % 2 == 0 { Pid::NONE } else { other }, later)),
        11 | 12 => {
            let client = client_of(world, own);
            return make(world, own, reply(client, message(number)));
        }
        13 => {
            let client = client_of(world, own);
            let answer = call::ReplyReceive {
                to: client,
                message: message(number),
                segment_address: 0,
                segment_bytes: 0,
                deadline: if number % 2 == 0 { FOREVER } else { later },
                buffer_address: 0,
                buffer_bytes: 0,
            };
            return make(world, own, answer.encode());
        }
        14 => {
            let client = client_of(world, own);
            let to = if number % 3 == 0 { far(whom) } else { other };
            let onward = call::Forward { client, message: message(number), to: to.to_bits(), forwarder: 0 };
            if world.clients.contains_key(&client) && number % 3 == 0 {
                return Seen::Nothing;
            }
            return make(world, own, onward.encode());
        }
        15 => return ask(world, own, TIME, &time::Delay { until_ns: later }),
        16 => return ask(world, own, TIME, &time::SetAlarm { at_ns: later, tag: number.into() }),
        17 => {
            // The real-time clocks of the places are not alike.
            let kernel = &mut world.here().node.kernel;
            kernel.real_base_ns = 0_u64.wrapping_sub(kernel.machine.now_ns);
            let now = world.here().node.request(own, TIME, &time::Now {}).expect("a time");
            return Seen::Clock(now.monotonic_ns);
        }
        18 => {
            let group = Pid::unrestricted_group(FAR, 0x300 + u32::from(number % 3));
            if number.is_multiple_of(5) {
                return ask(world, own, GROUP, &group::Leave { group, process: Pid::NONE });
            }
            return ask(world, own, GROUP, &group::Join { group, process: Pid::NONE });
        }
        19 if world.processes.len() < 8 => {
            let create = CreateProcess { instruction: 1, stack: 2, priority: PRIORITY.into() };
            let made = world.here().node.request(own, PROCESS, &create);
            if let Ok(made) = &made {
                world.processes.push(made.process);
            }
            return Seen::Made(made.map(|_| ()));
        }
        20 if other != world.root() => {
            return ask(world, own, PROCESS, &Destroy { process: other, status: 0 });
        }
        21 => {
            let name = SetName { process: other, first_bytes: number.into(), last_bytes: 0 };
            return ask(world, own, PROCESS, &name);
        }
        _ => {}
    }
    Seen::Nothing
}

/// Results without what differs from place to place: the pids of an alarm, and of what kernel servers stand for.
fn comparable(seen: Seen) -> Seen {
    match seen {
        Seen::Call(Some(registers)) => {
            let pid = Pid::from_bits(registers.pid);
            let hides = pid.host() != FAR && !pid.is_guest();
            Seen::Call(Some(Registers { pid: if hides { 0 } else { registers.pid }, ..registers }))
        }
        seen => seen,
    }
}

/// Everything about the processes that could be noticed.
fn picture(world: &World) -> Vec<String> {
    let mut lines = Vec::new();
    let kernel = &world.places[world.at].node.kernel;
    for pid in &world.processes {
        let Some(process) = process(world, *pid) else {
            lines.push(format!("{pid} {:?}", kernel.processes.find(*pid)));
            continue;
        };
        let index = kernel.processes.find(*pid).expect("it was there");
        let waits = matches!(process.state, State::Sending | State::AwaitingReply | State::ReceivingFrom);
        let partner = match process.partner {
            _ if !waits => Pid::NONE,
            NOBODY => Pid::NONE,
            partner if partner == kernel.network_server => Pid::NONE,
            partner => kernel.processes[partner].pid,
        };
        let mut groups: Vec<_> = kernel.memberships_of(index).collect();
        let UsageRecord { received, sent, sent_elsewhere, .. } = process.usage;
        let did = (received, sent, sent_elsewhere);
        groups.sort_unstable();
        let registers = match process.state {
            State::Ready if world.interrupted.contains(pid) => {
                format!("{:?} {:?}", kernel.machine.full_registers(index), kernel.machine.vector_state(index))
            }
            State::Ready => format!("{:?}", comparable(Seen::Call(Some(process.registers)))),
            _ => String::new(),
        };
        lines.push(format!(
            "{pid} {:?} {:?} {} of {partner} {:?} {groups:?} {registers} {:?}",
            process.state, process.flags, process.own_priority, process.name, did
        ));
    }
    lines
}

/// Whether messages that would be sent again might come in another order, or pids would be seen that stay behind.
fn would_show(world: &World) -> bool {
    let kernel = &world.places[world.at].node.kernel;
    world.processes.iter().any(|pid| {
        process(world, *pid).is_some_and(|process| {
            let several = process.queue.head != process.queue.tail
                || !process.queue.is_empty() && process.alarm != NOBODY;
            let from_pseudo = process.state == State::ReceivingFrom
                && kernel.processes[process.partner].kind != kernel_core::process::Kind::Program;
            several || from_pseudo
        })
    })
}

/// What is to be called again is, before any time passes; and what has come due comes.
fn settle(worlds: &mut [World; 2]) {
    let busy = |world: &World| {
        let calls = |process: &Process<Space>| {
            process.state == State::Working && !process.flags.has(Flags::SUSPENDED)
        };
        world.processes.iter().any(|pid| process(world, *pid).is_some_and(calls))
    };
    let mut turns = 0;
    while busy(&worlds[1]) {
        // The next one's turn.
        let node = &mut worlds[1].here().node;
        node.kernel.cpu_mut().slice_end_ns = 0;
        let next = node.kernel.timer();
        node.settle(next);
        turns += 1;
        assert!(turns < 100, "a call is not made again");
    }
    for world in &mut *worlds {
        world.pass(1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn whether_it_moves_cannot_be_told(steps in vec((0_u8..26, any::<u8>(), any::<u8>(), any::<u16>()), 0..120)) {
        let mut worlds = [World::new(3), World::new(3)];
        let mut moves = 0;
        for at in steps {
            if at.0 >= 22 {
                // What the network servers have, they have received.
                let carried = [0, 1].map(|world| worlds[world].carry());
                prop_assert_eq!(&carried[0], &carried[1]);
                if !would_show(&worlds[1]) {
                    let to = (worlds[1].at + 1 + usize::from(at.1 % 2)) % 3;
                    moves += u32::from(worlds[1].go(to));
                    settle(&mut worlds);
                }
            } else {
                let seen = [0, 1].map(|world| comparable(step(&mut worlds[world], at)));
                prop_assert_eq!(&seen[0], &seen[1], "{:?} after {} moves", at, moves);
            }
            prop_assert_eq!(picture(&worlds[0]), picture(&worlds[1]), "{:?} after {} moves", at, moves);
        }
    }
}
