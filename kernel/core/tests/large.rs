//! Regions of zeros that hold blocks of 2 MiB: when their pages get frames that may become a large page, how many at a time,
//! and that whatever is done with them afterwards, each page has what it must.

use std::collections::{BTreeMap, BTreeSet};

use abi::kernel::memory::{Discard, Fetch, Map, Protect, QueryTeam, Unmap};
use abi::kernel::process::Destroy;
use abi::kernel::protection::{EXECUTE, READ, WRITE};
use abi::kernel::{MEMORY, PROCESS};
use abi::{Error, Message, PAGE_BYTES, Pid};
use kernel_core::frame::Frame;
use kernel_core::machine::Machine;
use proptest::collection::vec;
use proptest::prelude::*;
use simulator::Node;
use simulator::node::{receive, reply};

/// A block begins 100 pages behind.
const PLACE: u64 = 0x4000_0000 - 100 * PAGE_BYTES;
const BEFORE: u64 = 100;
const BLOCK: u64 = 512;

/// A node, and a program with a region of so many pages.
fn program(pages: u64, protection: u32) -> (Node, Pid) {
    let mut node = Node::new();
    let pid = node.team(100, 12, 4);
    map(&mut node, pid, 0, pages, protection).unwrap();
    (node, pid)
}

fn map(node: &mut Node, pid: Pid, first: u64, pages: u64, protection: u32) -> Result<(), Error> {
    let address = PLACE + first * PAGE_BYTES;
    node.request(pid, MEMORY, &Map { team: Pid::NONE, address, pages: pages as u32, protection }).map(|_| ())
}

/// The program writes a byte into a page, by a fault if it must.
fn write(node: &mut Node, pid: Pid, page: u64, byte: u8) {
    let (space, address) = (node.kernel.processes[node.index(pid)].space, PLACE + page * PAGE_BYTES);
    if node.kernel.machine.translate(space, address, WRITE).is_none() {
        node.run(pid);
        let next = node.kernel.page_fault(address, WRITE, 6);
        node.settle(next);
    }
    node.kernel.machine.write(kernel_core::machine::Place { space, address }, &[byte]).expect("a page");
}

fn frame(node: &Node, pid: Pid, page: u64) -> Option<u32> {
    let space = node.kernel.processes[node.index(pid)].space;
    node.kernel.machine.translate(space, PLACE + page * PAGE_BYTES, 0).map(|Frame(frame)| frame)
}

fn used(node: &mut Node, pid: Pid) -> u32 {
    node.request(pid, MEMORY, &QueryTeam { team: Pid::NONE }).unwrap().used_pages
}

fn end(mut node: Node, pid: Pid) {
    let root = node.root;
    node.request(root, PROCESS, &Destroy { process: pid, status: 0 }).unwrap();
    node.call(root, receive());
    node.call(root, reply(pid, Message::default()));
    assert_eq!(node.kernel.regions.used(), 0);
    assert_eq!(node.kernel.frames.free_count(), Node::new().kernel.frames.free_count());
}

#[test]
fn what_is_touched_from_its_beginning_is_large_pages() {
    let (mut node, pid) = program(BEFORE + 2 * BLOCK + 50, READ | WRITE);
    let faults = node.kernel.counters.page_faults;
    let before = used(&mut node, pid);
    for page in 0..BEFORE + 2 * BLOCK + 50 {
        write(&mut node, pid, page, page as u8);
    }
    assert_eq!(node.kernel.machine.large, 2);
    // One by one around the blocks, and 16 at a time in them.
    let faults = node.kernel.counters.page_faults - faults;
    assert_eq!(u64::from(faults as u32), BEFORE + 50 + 2 * BLOCK / 16);
    for block in 0..2 {
        let first = frame(&node, pid, BEFORE + block * BLOCK).unwrap();
        assert_eq!(first % 512, 0);
        for page in 0..BLOCK {
            assert_eq!(frame(&node, pid, BEFORE + block * BLOCK + page), Some(first + page as u32));
        }
    }
    for page in 0..BEFORE + 2 * BLOCK + 50 {
        assert_eq!(node.peek(pid, PLACE + page * PAGE_BYTES, 2), [page as u8, 0]);
    }
    let tables = 4;
    assert_eq!(used(&mut node, pid) - before, (BEFORE + 2 * BLOCK + 50) as u32 + tables);
    let free = node.kernel.frames.free_count();
    let unmap = Unmap { team: Pid::NONE, address: PLACE, pages: (BEFORE + 2 * BLOCK + 50) as u32 };
    node.request(pid, MEMORY, &unmap).unwrap();
    assert_eq!(node.kernel.frames.free_count() - free, (BEFORE + 2 * BLOCK + 50) as u32);
    end(node, pid);
}

#[test]
fn what_is_touched_here_and_there_is_given_page_by_page() {
    let (mut node, pid) = program(BEFORE + 3 * BLOCK, READ | WRITE);
    let before = used(&mut node, pid);
    let pages: BTreeSet<u64> = (0..BEFORE + 3 * BLOCK).step_by(17).chain([BEFORE, BEFORE + BLOCK]).collect();
    for page in &pages {
        write(&mut node, pid, *page, 1);
    }
    assert_eq!(used(&mut node, pid) - before, pages.len() as u32 + 4);
    // What is between two that are there is given up to the next.
    write(&mut node, pid, BEFORE + 1, 1);
    let next = pages.iter().find(|page| **page > BEFORE + 1).unwrap();
    let last = (*next).min(BEFORE + 16);
    assert!((BEFORE + 1..last).all(|page| frame(&node, pid, page).is_some()));
    assert_eq!(used(&mut node, pid) - before, pages.len() as u32 + 4 + (last - BEFORE - 1) as u32);
    end(node, pid);
}

#[test]
fn others_may_take_frames_of_a_block_that_was_begun() {
    let (mut node, pid) = program(BEFORE + BLOCK, READ | WRITE);
    for page in 0..40 {
        write(&mut node, pid, BEFORE + page, 7);
    }
    let first = frame(&node, pid, BEFORE).unwrap();
    assert!(node.kernel.frames.take_row(Frame(first + 100), 1));
    for page in 40..BLOCK {
        write(&mut node, pid, BEFORE + page, 7);
    }
    assert_eq!(node.kernel.machine.large, 0);
    assert_eq!(frame(&node, pid, BEFORE + 95), Some(first + 95));
    assert_ne!(frame(&node, pid, BEFORE + 100), Some(first + 100));
    node.kernel.frames.release(Frame(first + 100));
    end(node, pid);
}

#[test]
fn where_there_is_no_room_no_page_is_given_that_nobody_asked_for() {
    // Too short, and code.
    for (pages, protection) in [(BEFORE + BLOCK - 1, READ), (BEFORE + BLOCK, READ | EXECUTE)] {
        let (mut node, pid) = program(pages, protection);
        let before = used(&mut node, pid);
        for page in 0..20 {
            node.peek_touched(pid, PLACE + (BEFORE + page) * PAGE_BYTES, 1);
        }
        assert_eq!(used(&mut node, pid) - before, 20 + 1);
        end(node, pid);
    }
    // Little is free.
    let (mut node, pid) = program(BEFORE + BLOCK, READ | WRITE);
    let mut taken = Vec::new();
    while node.kernel.frames.free_count() > 500 {
        taken.push(node.kernel.frames.allocate().unwrap());
    }
    let before = used(&mut node, pid);
    for page in 0..20 {
        write(&mut node, pid, BEFORE + page, 7);
    }
    assert_eq!(used(&mut node, pid) - before, 20 + 1);
    for frame in taken {
        node.kernel.frames.release(frame);
    }
    // The quota ends within what would be given at once.
    let team = node.kernel.processes[node.index(pid)].team;
    let quota = node.kernel.team(team).pages;
    node.kernel.team_mut(team).pages.limit = quota.used + 5;
    for page in 20..25 {
        write(&mut node, pid, BEFORE + page, 7);
    }
    assert_eq!(node.kernel.team(team).pages.used, quota.used + 5);
    end(node, pid);
}

/// What a program does with three blocks and what is around them.
#[derive(Clone, Debug)]
enum Step {
    /// Writes pages, one after the other.
    Fill(u64, u64, u8),
    Write(u64, u8),
    Read(u64),
    Discard(u64, u64),
    /// Has pages given ahead.
    Fetch(u64, u64),
    Protect(u64, u64, bool),
    Unmap(u64, u64),
    Map(u64, u64),
}

const PAGES: u64 = BEFORE + 3 * BLOCK + 20;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (page, some) = (0..PAGES, prop_oneof![Just(1_u64), 2..40_u64, Just(BLOCK), Just(2 * BLOCK)]);
    let begin = prop_oneof![Just(0), Just(BEFORE), Just(BEFORE + BLOCK), 0..PAGES];
    let step = prop_oneof![
        4 => (begin.clone(), 1..3 * BLOCK, any::<u8>()).prop_map(|(at, pages, byte)| Step::Fill(at, pages, byte)),
        4 => (page.clone(), any::<u8>()).prop_map(|(at, byte)| Step::Write(at, byte)),
        4 => page.clone().prop_map(Step::Read),
        2 => (page.clone(), some.clone()).prop_map(|(at, pages)| Step::Discard(at, pages)),
        1 => (page.clone(), 1..65_u64).prop_map(|(at, pages)| Step::Fetch(at, pages)),
        2 => (begin.clone(), some.clone(), any::<bool>()).prop_map(|(at, pages, may)| Step::Protect(at, pages, may)),
        1 => (begin, some.clone()).prop_map(|(at, pages)| Step::Unmap(at, pages)),
        2 => (page, some).prop_map(|(at, pages)| Step::Map(at, pages)),
    ];
    vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, ..ProptestConfig::default() })]

    #[test]
    fn each_page_has_what_it_must(steps in steps()) {
        let (mut node, pid) = program(PAGES, READ | WRITE);
        node.checked = false;
        // By mapped page: what it begins with, and whether it may be written.
        let mut expected: BTreeMap<u64, (u8, bool)> = (0..PAGES).map(|page| (page, (0, true))).collect();
        for step in &steps {
            take(&mut node, pid, &mut expected, step);
        }
        simulator::check::invariants(&node.kernel);
        let mut frames = BTreeSet::new();
        for page in 0..PAGES {
            match (expected.get(&page), frame(&node, pid, page)) {
                (None, found) => prop_assert_eq!(found, None),
                (Some(_), None) => {}
                (Some((byte, _)), Some(frame)) => {
                    prop_assert!(frames.insert(frame), "one frame in two places");
                    prop_assert_eq!(node.peek_touched(pid, PLACE + page * PAGE_BYTES, 2), [*byte, 0]);
                }
            }
        }
        end(node, pid);
    }
}

fn take(node: &mut Node, pid: Pid, expected: &mut BTreeMap<u64, (u8, bool)>, step: &Step) {
    let team = Pid::NONE;
    let range = |at: u64, pages: u64| (PLACE + at * PAGE_BYTES, pages as u32, at..at + pages);
    match *step {
        Step::Fill(at, pages, byte) => {
            for page in at..(at + pages).min(PAGES) {
                if let Some((content, true)) = expected.get_mut(&page) {
                    *content = byte;
                    write(node, pid, page, byte);
                }
            }
        }
        Step::Write(page, byte) => {
            if let Some((content, true)) = expected.get_mut(&page) {
                *content = byte;
                write(node, pid, page, byte);
            }
        }
        Step::Read(page) => {
            if let Some((content, _)) = expected.get(&page) {
                assert_eq!(
                    node.peek_touched(pid, PLACE + page * PAGE_BYTES, 2),
                    [*content, 0],
                    "page {page}"
                );
            }
        }
        Step::Discard(at, pages) => {
            let (address, pages, range) = range(at, pages);
            let done = node.request(pid, MEMORY, &Discard { team, address, pages });
            assert_eq!(done.is_ok(), range.clone().all(|page| expected.contains_key(&page)));
            if done.is_ok() {
                range.for_each(|page| expected.get_mut(&page).unwrap().0 = 0);
            }
        }
        Step::Fetch(at, pages) => {
            let (address, pages, range) = range(at, pages.min(64));
            let done = node.request(pid, MEMORY, &Fetch { team, address, pages });
            assert_eq!(done.is_ok(), range.clone().all(|page| expected.contains_key(&page)));
            assert!(done.is_err() || range.clone().all(|page| frame(node, pid, page).is_some()));
        }
        Step::Protect(at, pages, may_write) => {
            let (address, pages, range) = range(at, pages);
            let protection = if may_write { READ | WRITE } else { READ };
            let done = node.request(pid, MEMORY, &Protect { team, address, pages, protection });
            assert_eq!(done.is_ok(), range.clone().all(|page| expected.contains_key(&page)));
            if done.is_ok() {
                range.for_each(|page| expected.get_mut(&page).unwrap().1 = may_write);
            }
        }
        Step::Unmap(at, pages) => {
            let (address, pages, range) = range(at, pages);
            if node.request(pid, MEMORY, &Unmap { team, address, pages }).is_ok() {
                range.for_each(|page| assert!(expected.remove(&page).is_some()));
            }
        }
        Step::Map(at, pages) => {
            let (_, _, range) = range(at, pages.min(PAGES - at));
            let free = !range.clone().any(|page| expected.contains_key(&page));
            let done = map(node, pid, at, range.end - range.start, READ | WRITE);
            assert_eq!(done.is_ok(), free);
            if free {
                range.for_each(|page| assert!(expected.insert(page, (0, true)).is_none()));
            }
        }
    }
}
