//! Memory that runs low: pages written back for others' frames, the reserve, and the pids of page requests.

use abi::kernel::MEMORY;
use abi::kernel::memory::{Fetch, Fetched, Flush};
use abi::kernel::process::CreateTeam;
use abi::kernel::protection::{READ, SHARED, WRITE};
use abi::page::page;
use abi::protocol::{Reply as _, Request as _, refusal};
use abi::{Access, Error, PAGE_BYTES, Pid, Rights, UserId};
use kernel_core::page_request::PAGE_REQUESTS;
use kernel_core::process::State;
use simulator::Node;
use simulator::node::reply_receive;

use crate::fixture::{BUFFER, Fixture, PLACE, receive_into};

#[test]
fn an_answered_request_leaves_its_pid_to_the_next_and_no_other_does() {
    let mut at = Fixture::new();
    let pid = at.program();
    at.bind(pid, 3, READ);
    let used = at.node.kernel.processes.used();
    at.touch(pid, 0, READ);
    let first = at.asked().0;
    at.give(1, PAGE_BYTES, Access::NONE);
    assert_eq!(at.node.kernel.processes.used(), used);
    at.touch(pid, 1, READ);
    assert_eq!(at.asked().0, first);
    // This one is given up, so its answer must not be taken for the next one's.
    at.node.pass(abi::page::DEADLINE_NS + 1);
    at.node.settle_idle();
    let other = at.program();
    at.bind(other, 3, READ);
    at.touch(other, 2, READ);
    let late = at.reply(first, page::PageRead { count: 1 }.to_message(), 1, Access::NONE);
    assert_eq!(late, Err(Error::StaleProcess));
    at.node.call(at.pager, receive_into(BUFFER));
    assert_ne!(at.asked().0, first);
    at.give(3, PAGE_BYTES, Access::NONE);
    assert_eq!(at.see(other, 2), 3);
    at.end(&[other]);
}

#[test]
fn the_reserve_fills_again_from_the_cache() {
    let mut at = Fixture::new();
    let pid = at.program();
    let hog = at.node.team(100, 12, 4000);
    at.bind(pid, 32, READ);
    for page in 0..32 {
        at.touch(pid, page, READ);
        at.give(1, PAGE_BYTES, Access::NONE);
    }
    let total = at.node.kernel.frames.total_count();
    let mut taken = 0;
    let mut touch = |at: &mut Fixture| {
        at.node.run(hog);
        let next = at.node.kernel.page_fault(Node::data(taken * PAGE_BYTES), WRITE, 6);
        at.node.settle(next);
        taken += 1;
    };
    while at.node.kernel.frames.free_count() > total / 32 {
        touch(&mut at);
    }
    // Who may have of the reserve takes of it.
    let kept = at.node.kernel.frames.free_count();
    for _ in 0..4 {
        at.node.kernel.frames.allocate().unwrap();
    }
    let cached = at.node.kernel.cache.used();
    touch(&mut at);
    assert!(at.node.kernel.frames.free_count() >= kept - 1);
    assert!(
        at.node.kernel.cache.used() < cached - 1,
        "more was taken from the cache than was needed at once"
    );
}

#[test]
fn a_full_cache_makes_room_for_what_is_lent_and_what_is_copied() {
    for lend in [Access::READ, Access::NONE] {
        let mut at = Fixture::new();
        let pid = at.program();
        let slots = at.node.kernel.cache.slots();
        at.bind(pid, slots + 100, READ);
        for page in 0..u64::from(slots) + 100 {
            at.touch(pid, page, READ);
            assert_eq!(at.asked().1, page);
            at.give(page as u8, PAGE_BYTES, lend);
            assert_eq!(at.node.state(pid), State::Ready, "page {page}");
        }
        assert_eq!(at.node.kernel.cache.used(), slots);
        // What has made room is asked for again.
        at.touch(pid, 0, READ);
        assert_eq!((at.node.state(pid), at.asked().1), (State::Sending, 0));
        at.give(7, PAGE_BYTES, lend);
        assert_eq!(at.see(pid, 0), 7);
        at.end(&[pid]);
    }
}

/// Lets a team take zero pages until only the reserve is free; returns it.
fn exhaust(at: &mut Fixture) -> Pid {
    let hog = at.node.team(100, 12, 4000);
    let kept = at.node.kernel.frames.total_count() / 32;
    let mut taken = 0;
    while at.node.kernel.frames.free_count() > kept {
        at.node.run(hog);
        let next = at.node.kernel.page_fault(Node::data(taken * PAGE_BYTES), WRITE, 6);
        at.node.settle(next);
        taken += 1;
    }
    hog
}

#[test]
fn no_page_of_zeros_is_fetched_from_the_reserve() {
    let mut at = Fixture::new();
    let create = CreateTeam {
        user: UserId::SYSTEM,
        rights: Rights::WIRE_MEMORY,
        priority: 6,
        quota_pages: 0,
        quota_processes: 0,
    };
    let server = at.node.team_as(at.node.root, &create, 200).unwrap();
    let fetch = |page: u64, pages| Fetch { team: Pid::NONE, address: Node::data(page * PAGE_BYTES), pages };
    let free = at.node.kernel.frames.free_count();
    assert_eq!(at.node.request(server, MEMORY, &fetch(0, 40)), Ok(Fetched {}));
    let taken = free - at.node.kernel.frames.free_count();
    assert!((40..=41).contains(&taken), "{taken} frames for 40 pages and a table");
    assert_eq!(at.node.request(server, MEMORY, &fetch(0, 40)), Ok(Fetched {}));
    assert_eq!(free - at.node.kernel.frames.free_count(), taken, "what is there takes nothing");
    exhaust(&mut at);
    assert_eq!(at.node.request(server, MEMORY, &fetch(40, 1)), Err(Error::NoMemory));
    // To touch it is another thing.
    at.node.run(server);
    let next = at.node.kernel.page_fault(Node::data(40 * PAGE_BYTES), WRITE, 6);
    at.node.settle(next);
    assert_eq!(
        (at.node.state(server), at.node.request(server, MEMORY, &fetch(40, 1))),
        (State::Ready, Ok(Fetched {}))
    );
}

#[test]
fn a_page_is_asked_for_while_others_are_written_back_for_its_frame() {
    let mut at = Fixture::new();
    let pid = at.program();
    at.bind(pid, 9, READ | WRITE | SHARED);
    for page in 0..8 {
        at.touch(pid, page, if page < 4 { WRITE } else { READ });
        at.give(page as u8, PAGE_BYTES, Access::NONE);
    }
    exhaust(&mut at);
    at.touch(pid, 8, READ);
    assert_eq!(at.node.state(pid), State::Sending);
    for _ in 0..4 {
        let (sender, message) = at.request();
        assert_eq!(message.code(), page::Write::CODE);
        at.reply(sender, page::PageWritten { count: 4096 }.to_message(), 0, Access::NONE).unwrap();
        at.node.call(at.pager, receive_into(BUFFER));
    }
    assert_eq!(at.asked().1, 8);
    at.give(8, PAGE_BYTES, Access::NONE);
    assert_eq!(at.see(pid, 8), 8);
}

#[test]
fn who_waits_for_room_does_not_fail_because_others_pages_do() {
    let mut at = Fixture::new();
    let pid = at.program();
    at.bind(pid, 2, READ | WRITE | SHARED);
    at.touch(pid, 0, WRITE);
    at.give(1, PAGE_BYTES, Access::NONE);
    let hog = exhaust(&mut at);
    at.node.run(hog);
    let next = at.node.kernel.page_fault(Node::data(3999 * PAGE_BYTES), WRITE, 6);
    at.node.settle(next);
    assert_eq!(at.node.state(hog), State::Sending);
    at.refuse(Error::NoSpace);
    at.node.settle_idle();
    assert_eq!(at.node.state(hog), State::Ready);
    // Whose page it was is told when it asks.
    let flush = Flush { team: Pid::NONE, address: PLACE, pages: 2 };
    assert_eq!(at.node.request(pid, MEMORY, &flush).unwrap_err(), Error::NoSpace);
    assert_eq!(at.node.request(pid, MEMORY, &flush), Ok(abi::kernel::memory::Flushed {}));
}

#[test]
fn a_pager_that_does_not_answer_leaves_windows_to_the_system() {
    let mut at = Fixture::new();
    let pid = at.node.team(100, 12, 2);
    at.bind(pid, 40, READ);
    for page in 0..40 {
        let process = at.node.process(pid, 12);
        at.touch(process, page, READ);
        assert_eq!(at.node.state(process), State::Sending);
    }
    let taken = |at: &Fixture| at.node.kernel.page_requests.under_way().count();
    let by_users = taken(&at);
    assert!(by_users < kernel_core::page_request::PAGE_REQUESTS, "{by_users}");
    let system = at.node.team(0, 12, 2);
    at.bind(system, 1, READ);
    at.touch(system, 0, READ);
    assert_eq!((at.node.state(system), taken(&at)), (State::Sending, by_users + 1));
}

#[test]
fn a_pager_that_ends_itself_by_its_reply_leaves_nobody_behind() {
    let mut at = Fixture::new();
    let pager = at.pager_free();
    let own = at.node.process(pager, 12);
    at.node.call(pager, receive_into(BUFFER));
    at.bind(own, 1, READ);
    let pid = at.node.team(100, 12, 2);
    at.bind(pid, 40, READ);
    at.touch(own, 0, READ);
    let (request, _) = at.asked();
    let mut last = pid;
    while at.node.kernel.page_requests.under_way().count() < PAGE_REQUESTS - PAGE_REQUESTS / 4 {
        last = at.node.process(pid, 12);
        let page = at.node.kernel.page_requests.under_way().count() as u64;
        at.touch(last, page, READ);
    }
    // No window is left for this one, which waits for the first of them.
    let waiting = at.node.process(pid, 12);
    at.touch(waiting, 39, READ);
    // The pager's team cannot have its page, and nobody hears its exception: it ends, and with it the pager.
    at.node.call(at.pager, reply_receive(request, refusal(Error::NoSpace)));
    at.node.settle_idle();
    assert!(at.node.kernel.page_requests.under_way().next().is_none());
    // All who waited heard of the end, the last one as well.
    for pid in [waiting, last] {
        let gone = at.node.kernel.processes.find(pid).is_err();
        assert!(gone || at.node.state(pid) != State::Sending, "{pid:?} waits for ever");
    }
}
