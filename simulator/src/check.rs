//! What must hold of a kernel between any two steps.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use abi::kernel::priority;
use abi::kernel::protection::{READ, WRITE};
use abi::{LogicalHost, PAGE_BYTES, Pid};
use kernel_core::cache::flag::{DIRTY, WRITABLE};
use kernel_core::kernel::Kernel;
use kernel_core::machine::{Machine, ProcessIndex};
use kernel_core::paging::Wait;
use kernel_core::process::{Flags, Kind, NOBODY, State};
use kernel_core::region::Backing;

/// Checks every invariant.
///
/// # Panics
/// At the first that does not hold.
pub fn invariants<M: Machine>(kernel: &Kernel<M>) {
    ready_lists(kernel);
    queues(kernel);
    waiters_and_priorities(kernel);
    nobody_waits_for_nothing(kernel);
    frozen_teams(kernel);
    quotas(kernel);
    remote(kernel);
    bound_regions(kernel);
}

/// What is mapped in bound regions is the team's own, or what the cache has of that page; and can be written only if
/// who has to know does.
fn bound_regions<M: Machine>(kernel: &Kernel<M>) {
    for team in kernel.teams.iter().filter(|team| team.root != NOBODY) {
        let space = team.space;
        let mut address = 0;
        while let Some(index) = kernel.regions.first_ending_after(&team.regions, address) {
            let region = *kernel.regions.get(index);
            address = region.end();
            let Backing::Bound { object, page: first, shared } = region.backing else { continue };
            assert_ne!(kernel.regions.objects.get(object).pager, Pid::NONE, "a region is bound to nothing");
            for page in 0..region.pages {
                let at = region.start + u64::from(page) * PAGE_BYTES;
                let Some(frame) = kernel.machine.translate(space, at, READ) else { continue };
                if !kernel.cache.holds(frame) {
                    assert!(!shared, "a frame of a team's own at {at:#x}, which is shared");
                    continue;
                }
                let entry = kernel.cache.find(object, first + page).map(|entry| kernel.cache.get(entry));
                let entry = entry.expect("the cache knows what it holds");
                assert_eq!(entry.frame, frame, "at {at:#x} is another page's frame");
                if kernel.machine.translate(space, at, WRITE).is_some() {
                    assert!(shared, "the cache's frame at {at:#x} can be written");
                    assert_ne!(entry.flags & (DIRTY | WRITABLE), 0, "a write at {at:#x} would be missed");
                }
            }
        }
    }
}

/// Ready lists hold exactly those who could run, once, at their priority.
fn ready_lists<M: Machine>(kernel: &Kernel<M>) {
    let mut listed = BTreeSet::new();
    for (level, list) in (0..).zip(kernel.ready.lists) {
        let mut previous = NOBODY;
        let mut index = list.head;
        while index != NOBODY {
            let process = &kernel.processes[index];
            assert_eq!(process.previous, previous, "ready list {level} is torn");
            assert_eq!(process.priority, level, "slot {index} in the wrong ready list");
            assert!(listed.insert(index), "slot {index} is listed twice");
            previous = index;
            index = process.next;
        }
        assert_eq!(list.tail, previous, "ready list {level} has a wrong tail");
    }
    for (index, process) in kernel.processes.iter() {
        let runnable = matches!(process.state, State::Ready | State::Working)
            && !process.flags.has(Flags::SUSPENDED)
            && kernel.cpu().current != index;
        assert_eq!(listed.contains(&index), runnable, "slot {index}: {process:?}");
        assert!(process.priority < priority::COUNT);
    }
    let current = kernel.cpu().current;
    if current != NOBODY {
        let process = &kernel.processes[current];
        assert_eq!(process.state, State::Ready, "the current process is not ready");
        assert!(!process.flags.has(Flags::SUSPENDED), "a suspended process runs");
    }
}

/// Queues hold exactly those who send to their owner, the most urgent first.
fn queues<M: Machine>(kernel: &Kernel<M>) {
    let mut queued = BTreeSet::new();
    for (receiver, process) in kernel.processes.iter() {
        let mut previous = NOBODY;
        let mut index = process.queue.head;
        let mut last_priority = 0;
        while index != NOBODY {
            let sender = &kernel.processes[index];
            assert_eq!(sender.previous, previous, "queue of {receiver} is torn");
            assert_eq!((sender.state, sender.partner), (State::Sending, receiver));
            assert!(sender.priority >= last_priority, "queue of {receiver} is out of order");
            assert!(queued.insert(index));
            last_priority = sender.priority;
            previous = index;
            index = sender.next;
        }
        assert_eq!(process.queue.tail, previous);
    }
    for (index, process) in kernel.processes.iter() {
        assert_eq!(process.state == State::Sending, queued.contains(&index), "slot {index}");
    }
}

/// Waiters are counted right, and priorities in force follow from them.
fn waiters_and_priorities<M: Machine>(kernel: &Kernel<M>) {
    let mut counts: BTreeMap<(ProcessIndex, u8), u16> = BTreeMap::new();
    let mut expected: BTreeMap<ProcessIndex, u16> = BTreeMap::new();
    for (_, process) in kernel.processes.iter() {
        match process.state {
            State::Sending | State::AwaitingReply if process.partner != NOBODY => {
                *counts.entry((process.partner, process.priority)).or_default() += 1;
            }
            State::ReceivingFrom => *expected.entry(process.partner).or_default() += 1,
            _ => {}
        }
    }
    for (index, process) in kernel.processes.iter() {
        let mut most_urgent = process.own_priority;
        for level in 0..priority::COUNT {
            let count = counts.get(&(index, level)).copied().unwrap_or(0);
            assert_eq!(process.waiters.counts[usize::from(level)], count, "waiters of slot {index}");
            if count > 0 {
                most_urgent = most_urgent.min(level);
            }
        }
        assert_eq!(process.waiters.is_empty(), counts.range((index, 0)..=(index, 255)).next().is_none());
        // Processes that wait for each other in a circle keep what they were raised to.
        if process.priority != most_urgent {
            assert!(
                process.priority < most_urgent && in_circle(kernel, index),
                "slot {index} runs at {} instead of {most_urgent}",
                process.priority
            );
        }
        assert_eq!(process.expected_by, expected.get(&index).copied().unwrap_or(0));
    }
}

/// Whether a process waits, through others, for itself.
fn in_circle<M: Machine>(kernel: &Kernel<M>, start: ProcessIndex) -> bool {
    let mut index = start;
    for _ in 0..kernel.processes.count() {
        let process = &kernel.processes[index];
        if !matches!(process.state, State::Sending | State::AwaitingReply) || process.partner == NOBODY {
            return false;
        }
        index = process.partner;
        if index == start {
            return true;
        }
    }
    false
}

/// Whoever waits, waits for someone or something that is there.
fn nobody_waits_for_nothing<M: Machine>(kernel: &Kernel<M>) {
    let mut timed = 0;
    for (index, process) in kernel.processes.iter() {
        timed += usize::from(process.flags.has(Flags::TIMED));
        let live = |partner: ProcessIndex| {
            partner != NOBODY && !matches!(kernel.processes[partner].state, State::Free)
        };
        match process.state {
            State::Sending | State::AwaitingReply => {
                assert!(live(process.partner), "slot {index} waits for a free slot");
            }
            State::ReceivingFrom => assert!(live(process.partner), "slot {index} receives from a free slot"),
            State::Delaying => assert!(process.flags.has(Flags::TIMED), "slot {index} delays for ever"),
            State::AwaitingGroup => {
                assert!(process.flags.has(Flags::TIMED), "slot {index} has no deadline");
                assert!(process.flags.has(Flags::GROUP), "slot {index} has no group");
            }
            State::Receiving => assert!(
                process.queue.is_empty() || process.flags.has(Flags::SUSPENDED),
                "slot {index} waits with a full queue"
            ),
            State::Idle => assert!(
                process.kind != Kind::Program
                    || kernel.team(process.team).ending
                    || process.flags.has(Flags::REMOTE) && process.flags.has(Flags::TIMED),
                "slot {index} does nothing"
            ),
            State::Ready => assert!(process.forwarder.is_none(), "slot {index} runs, and is forwarded"),
            State::Free | State::KernelServer | State::Working => {}
        }
        if !matches!(process.kind, Kind::Program | Kind::Page) {
            assert!(live(process.owner), "pseudo-sender {index} belongs to nobody");
        }
    }
    assert_eq!(timed, kernel.deadlines.0.len(), "deadlines and flags differ");
}

/// In a frozen team nothing runs, nor is in the network server's queue.
fn frozen_teams<M: Machine>(kernel: &Kernel<M>) {
    for (index, process) in kernel.processes.iter().filter(|(_, process)| process.kind == Kind::Program) {
        let team = kernel.team(process.team);
        if team.frozen {
            assert!(
                process.flags.has(Flags::SUSPENDED) || team.ending,
                "slot {index} of a frozen team may run"
            );
        }
        let has_host = team.host != LogicalHost::OWN;
        // What was begun to be made of a state that was refused has pids that nobody knows.
        let is_of_host = team.ending || process.pid.is_guest() == has_host;
        assert!(is_of_host, "slot {index} has a pid of another logical host");
        assert!(!has_host || kernel.processes.find(process.pid) == Ok(index), "a guest cannot be found");
    }
}

/// Slots in use are charged to their teams.
fn quotas<M: Machine>(kernel: &Kernel<M>) {
    let mut slots: BTreeMap<u16, u32> = BTreeMap::new();
    for (_, process) in kernel.processes.iter().filter(|(_, process)| process.kind != Kind::Page) {
        *slots.entry(process.team).or_default() += 1;
    }
    for (index, team) in (0..).zip(kernel.teams.iter()) {
        let used = slots.get(&index).copied().unwrap_or(0);
        assert_eq!(team.processes.used, used, "slots of team {index}");
        assert!(team.processes.used <= team.processes.limit);
        assert!(team.pages.used <= team.pages.limit);
        if team.root != NOBODY {
            assert_eq!(kernel.processes[team.root].team, index, "team {index} has a strange root");
        }
    }
}

/// What is for other nodes, or from there, is with the network server, and nowhere without one.
fn remote<M: Machine>(kernel: &Kernel<M>) {
    let server = kernel.network_server;
    let mut aliens = 0;
    for (index, process) in kernel.processes.iter() {
        let remote = process.flags.has(Flags::REMOTE);
        let waits = matches!(process.state, State::Sending | State::AwaitingReply);
        // One that waits for a page of its segment first is with nobody yet; nor are those that wait for a network server.
        let is_for_another = server != NOBODY && !kernel.processes.is_away(process.pid.host());
        let is_stranded = process.state == State::Idle && !is_for_another;
        if remote && process.wait == Wait::None && !is_stranded {
            assert!(
                waits && process.partner == server,
                "slot {index} is for another node, and nobody has it"
            );
        }
        if process.kind != Kind::Alien {
            continue;
        }
        assert!(waits, "alien {index} does nothing");
        assert_eq!(process.owner, server, "alien {index} belongs to nobody");
        if remote {
            continue;
        }
        aliens += 1;
        let client = kernel.sender_pid(index);
        let host = kernel.processes[process.partner].pid.host();
        assert!(client.is_elsewhere(host), "alien {index} stands for a process of its receiver's host");
        let mut row = kernel.aliens.first(client);
        while row != index {
            assert_ne!(row, NOBODY, "alien {index} cannot be found");
            row = kernel.processes[row].copy;
        }
    }
    assert_eq!(alien_count(kernel), aliens, "rows hold something else");
    if server != NOBODY {
        assert!(kernel.processes[server].is_program());
    }
}

/// How many aliens the rows hold in which those that are not back are found.
pub fn alien_count<M: Machine>(kernel: &Kernel<M>) -> usize {
    let some = |slot: ProcessIndex| Some(slot).filter(|slot| *slot != NOBODY);
    let row =
        |first: &ProcessIndex| iter::successors(some(*first), |slot| some(kernel.processes[*slot].copy));
    kernel.aliens.rows.iter().flat_map(row).count()
}
