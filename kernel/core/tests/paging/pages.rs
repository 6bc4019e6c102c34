//! Pages read from a pager, shared, copied when written, written back, lent, taken back and given up; and pagers that say
//! no, die, or never answer.

use abi::kernel::MEMORY;
use abi::kernel::PROCESS;
use abi::kernel::memory::{Discard, Fetch, Flush, QueryRegion, Revoke, Unmap};
use abi::kernel::process::{Destroy, QueryProcess};
use abi::kernel::protection::{READ, SHARED, WRITE};
use abi::kernel::record::{ProcessRecord, ProcessState};
use abi::page::page;
use abi::protocol::{Reply as _, Request as _};
use abi::{Access, Error, Grant, Message, PAGE_BYTES, Pid};
use kernel_core::process::State;
use simulator::node::{receive, reply, send, send_with};
use simulator::{Node, Outcome};

use crate::fixture::{BUFFER, Fixture, INSTANCE, PLACE, receive_into};

#[test]
fn a_touched_page_is_read_from_its_pager_once_for_all() {
    let mut at = Fixture::new();
    let (one, other) = (at.program(), at.program());
    for pid in [one, other] {
        at.bind(pid, 4, READ);
    }
    at.touch(one, 2, READ);
    assert_eq!(at.node.state(one), State::Sending);
    at.touch(other, 2, READ);
    assert_eq!(at.asked().1, 2);
    at.give(7, PAGE_BYTES, Access::NONE);
    assert_eq!((at.node.state(one), at.node.state(other)), (State::Ready, State::Ready));
    assert_eq!(at.node.state(at.pager), State::Receiving, "asked once");
    assert_eq!((at.see(one, 2), at.see(other, 2)), (7, 7));
    // A third has it at once.
    let third = at.program();
    at.bind(third, 4, READ);
    at.touch(third, 2, READ);
    assert_eq!((at.node.state(third), at.see(third, 2)), (State::Ready, 7));
    assert_eq!(at.node.kernel.cache.used(), 1);
    let faults = |pid| {
        let usage = at.node.kernel.processes[at.node.index(pid)].usage;
        (usage.page_faults, usage.page_reads)
    };
    assert_eq!([one, other, third].map(faults), [(1, 1), (1, 1), (1, 0)]);
    at.end(&[one, other, third]);
}

#[test]
fn what_a_reply_leaves_out_is_zeros() {
    let mut at = Fixture::new();
    let pid = at.program();
    at.bind(pid, 1, READ);
    at.touch(pid, 0, READ);
    at.give(9, 100, Access::NONE);
    let mut expected = vec![9; 100];
    expected.resize(PAGE_BYTES as usize, 0);
    assert_eq!(at.node.peek(pid, PLACE, PAGE_BYTES as usize), expected);
    at.end(&[pid]);
}

#[test]
fn a_written_private_page_is_a_copy() {
    let mut at = Fixture::new();
    let (one, other) = (at.program(), at.program());
    for pid in [one, other] {
        at.bind(pid, 2, READ | WRITE);
    }
    at.touch(one, 0, READ);
    at.give(3, PAGE_BYTES, Access::NONE);
    at.touch(other, 0, READ);
    at.touch(one, 0, WRITE);
    assert_eq!(at.node.state(one), State::Ready);
    at.node.poke(one, PLACE, &[44]);
    assert_eq!((at.see(one, 0), at.see(other, 0)), (44, 3));
    // Written first, it is read, and copied when it has come.
    at.touch(other, 1, WRITE);
    at.give(5, PAGE_BYTES, Access::NONE);
    at.node.poke(other, PLACE + PAGE_BYTES, &[55]);
    at.touch(one, 1, READ);
    assert_eq!((at.see(one, 1), at.see(other, 1)), (5, 55));
    assert_eq!(at.node.kernel.cache.dirty(), 0);
    at.end(&[one, other]);
}

#[test]
fn a_written_shared_page_is_seen_by_all_and_written_back() {
    let mut at = Fixture::new();
    let (one, other) = (at.program(), at.program());
    for pid in [one, other] {
        at.bind(pid, 2, READ | WRITE | SHARED);
    }
    at.touch(one, 0, WRITE);
    // The end of the instance is in this page.
    at.give(3, 1000, Access::NONE);
    at.touch(other, 0, READ);
    at.node.poke(one, PLACE + 10, &[66]);
    assert_eq!(at.node.peek(other, PLACE + 10, 1), [66]);
    assert_eq!(at.node.kernel.cache.dirty(), 1);
    let query = QueryRegion { team: Pid::NONE, address: PLACE };
    let region = at.node.request(one, MEMORY, &query).unwrap();
    assert_eq!((region.resident, region.dirty), (1, 1));
    // Flushed: the pager gets what the instance has of the page.
    let flush = Flush { team: Pid::NONE, address: PLACE, pages: 2 };
    assert_eq!(at.node.call(other, send(abi::kernel::server(MEMORY), flush.to_message())), Outcome::Waits);
    let (sender, message) = at.request();
    assert_eq!(message.code(), page::Write::CODE);
    assert_eq!(message.segment_bytes(), 1000);
    assert_eq!(at.node.peek(at.pager, Node::data(BUFFER) + 10, 1), [66]);
    // Written meanwhile it is a new change.
    at.touch(one, 0, WRITE);
    at.reply(sender, page::PageWritten { count: 1000 }.to_message(), 0, Access::NONE).unwrap();
    at.node.call(at.pager, receive_into(BUFFER));
    at.node.settle_idle();
    assert_eq!(at.node.state(other), State::Sending, "what was written meanwhile goes as well");
    let (sender, _) = at.request();
    at.reply(sender, page::PageWritten { count: 1000 }.to_message(), 0, Access::NONE).unwrap();
    at.node.call(at.pager, receive_into(BUFFER));
    at.node.settle_idle();
    assert_eq!(at.node.results(other).number, 0);
    assert_eq!(at.node.kernel.cache.dirty(), 0);
    at.end(&[one, other]);
}

#[test]
fn who_changed_pages_has_ended_only_when_they_are_written_back() {
    let mut at = Fixture::new();
    let pid = at.program();
    at.bind(pid, 1, READ | WRITE | SHARED);
    at.touch(pid, 0, WRITE);
    at.give(3, PAGE_BYTES, Access::NONE);
    at.node.poke(pid, PLACE, &[66]);
    let (root, looker) = (at.node.root, at.program());
    let state = |at: &mut Fixture, looker: Pid| {
        let (query, address) = (QueryProcess { process: pid }, Node::data(0));
        let grant = Grant::new(ProcessRecord::BYTES as u64, Access::WRITE);
        at.node.request_with(looker, PROCESS, &query, address, grant).unwrap();
        let bytes = at.node.peek(looker, address, ProcessRecord::BYTES);
        ProcessState::from_number(ProcessRecord::from_bytes(&bytes.try_into().unwrap()).state)
    };
    at.node.request(root, PROCESS, &Destroy { process: pid, status: 0 }).unwrap();
    for waiting in [root, looker] {
        at.node.call(waiting, receive());
    }
    at.node.settle_idle();
    let (sender, message) = at.request();
    assert_eq!((message.code(), at.node.peek(at.pager, Node::data(BUFFER), 1)[0]), (page::Write::CODE, 66));
    let pager = at.pager;
    assert_eq!(state(&mut at, pager), Some(ProcessState::SendBlocked), "its instances are still its own");
    at.reply(sender, page::PageWritten { count: 4096 }.to_message(), 0, Access::NONE).unwrap();
    at.node.call(at.pager, receive_into(BUFFER));
    at.node.settle_idle();
    // The root has its notice.
    let notice = Pid::from_bits(at.node.results(root).pid);
    assert_eq!(notice, pid);
    at.node.call(root, send(looker, Message::default()));
    assert_eq!(state(&mut at, looker), Some(ProcessState::Ended));
    at.node.call(looker, reply(root, Message::default()));
    at.node.call(root, reply(notice, Message::default()));
    at.end(&[looker]);
}

#[test]
fn a_refused_page_is_an_exception_with_the_reason() {
    let mut at = Fixture::new();
    let pid = at.program();
    let keeper = at.program();
    let set = abi::kernel::process::SetExceptionServer { team: pid, server: keeper };
    let root = at.node.root;
    at.node.request(root, PROCESS, &set).unwrap();
    at.node.call(keeper, receive());
    at.bind(pid, 1, READ);
    at.touch(pid, 0, READ);
    at.refuse(Error::NoPermission);
    let registers = at.node.results(keeper);
    let notice = abi::notice::notice::Exception::from_message(&Message::from_registers(registers.message));
    assert_eq!((notice.vector, notice.address), (14, PLACE));
    assert_eq!(notice.code >> abi::notice::REASON_SHIFT, Error::NoPermission.code());
    at.end(&[pid, keeper]);
}

#[test]
fn a_pager_that_dies_or_never_answers_is_an_exception_too() {
    for dies in [true, false] {
        let mut at = Fixture::new();
        let pid = at.program();
        at.bind(pid, 1, READ);
        at.touch(pid, 0, READ);
        let root = at.node.root;
        if dies {
            let destroy = Destroy { process: at.pager, status: 0 };
            at.node.request(root, PROCESS, &destroy).unwrap();
        } else {
            at.node.pass(abi::page::DEADLINE_NS + 1);
        }
        at.node.settle_idle();
        // It has no exception server, so its team ends.
        let team = at.node.kernel.processes[at.node.index(pid)].team;
        assert!(at.node.kernel.team(team).ending, "{dies}");
        if !dies {
            // What comes too late is for nobody.
            let (sender, _) = at.asked();
            let late = at.reply(sender, page::PageRead { count: 0 }.to_message(), 0, Access::NONE);
            assert!(matches!(late, Err(Error::StaleProcess | Error::NotAwaitingReply)), "{late:?}");
        }
    }
}

#[test]
fn a_lent_page_is_the_pagers_own() {
    let mut at = Fixture::new();
    let (one, other) = (at.program(), at.program());
    at.bind(one, 4, READ | WRITE | SHARED);
    at.bind(other, 4, READ | WRITE);
    at.touch(one, 0, READ);
    at.node.poke(at.pager, Node::data(0), &[0; 2 * PAGE_BYTES as usize]);
    let used = at.node.kernel.frames.free_count();
    at.give(3, 2 * PAGE_BYTES, Access::READ_WRITE);
    // The frame for a copy stays until it is wanted, a page table was added, and two pages came at once.
    assert_eq!(at.node.kernel.frames.free_count(), used - 1);
    at.node.kernel.empty_windows();
    assert_eq!(at.node.kernel.frames.free_count(), used);
    assert_eq!(at.node.kernel.cache.used(), 2);
    at.touch(one, 1, WRITE);
    at.node.poke(one, PLACE + PAGE_BYTES, &[77]);
    assert_eq!(at.node.peek(at.pager, Node::data(PAGE_BYTES), 1), [77]);
    at.node.poke(at.pager, Node::data(0), &[88]);
    assert_eq!(at.see(one, 0), 88);
    at.touch(other, 0, WRITE);
    at.node.poke(other, PLACE, &[99]);
    assert_eq!((at.see(one, 0), at.see(other, 0)), (88, 99));
    assert_eq!(at.node.kernel.cache.dirty(), 0, "needs not be written back");
    // Given up by the pager it stays with those who have it.
    let unmap = Unmap { team: Pid::NONE, address: Node::data(0), pages: 1 };
    let pager = at.pager_free();
    at.node.request(pager, MEMORY, &unmap).unwrap();
    assert_eq!(at.see(one, 0), 88);
    at.end(&[one, other]);
}

#[test]
fn a_revoked_page_is_read_anew() {
    let mut at = Fixture::new();
    let pid = at.program();
    at.bind(pid, 2, READ);
    at.touch(pid, 0, READ);
    at.give(1, PAGE_BYTES, Access::NONE);
    let revoke = Revoke { instance: INSTANCE, position: 0, pages: 1 };
    assert_eq!(at.node.request(pid, MEMORY, &revoke).unwrap().count, 0, "not its instance");
    let pager = at.pager_free();
    assert_eq!(at.node.request(pager, MEMORY, &revoke).unwrap().count, 1);
    at.node.call(pager, receive_into(BUFFER));
    at.touch(pid, 0, READ);
    at.give(2, PAGE_BYTES, Access::NONE);
    assert_eq!(at.see(pid, 0), 2);
    at.end(&[pid]);
}

#[test]
fn a_segment_that_is_not_resident_comes_in_its_senders_time() {
    let mut at = Fixture::new();
    let pid = at.program();
    at.bind(pid, 2, READ);
    let server = at.program();
    at.node.call(server, receive_into(BUFFER));
    let grant = Grant::new(5, Access::READ);
    let words = Message::with_code(0x7001);
    assert_eq!(at.node.call(pid, send_with(server, words, PLACE + 4094, grant)), Outcome::Waits);
    assert_eq!(at.node.state(server), State::Receiving, "the server waits for no page");
    assert_eq!(at.asked().1, 0);
    at.give(1, PAGE_BYTES, Access::NONE);
    assert_eq!(at.asked().1, 1);
    at.give(2, PAGE_BYTES, Access::NONE);
    let received = at.node.results(server);
    assert_eq!(Pid::from_bits(received.pid), pid);
    assert_eq!(at.node.peek(server, Node::data(BUFFER), 5), [1, 1, 2, 2, 2]);
    at.end(&[pid, server]);
}

#[test]
fn a_segment_sent_to_its_own_pager_comes_first() {
    let mut at = Fixture::new();
    let pid = at.program();
    at.bind(pid, 1, READ);
    let grant = Grant::new(5, Access::READ);
    let words = Message::with_code(0x7001);
    assert_eq!(at.node.call(pid, send_with(at.pager, words, PLACE, grant)), Outcome::Waits);
    at.give(6, PAGE_BYTES, Access::NONE);
    let (sender, message) = at.request();
    assert_eq!((sender, message.code(), message.segment_bytes()), (pid, 0x7001, 5));
    assert_eq!(at.node.peek(at.pager, Node::data(BUFFER), 5), [6; 5]);
    at.end(&[pid]);
}

#[test]
fn a_pager_that_waits_for_itself_is_told() {
    let mut at = Fixture::new();
    let pager = at.pager_free();
    at.bind(pager, 1, READ);
    let to = at.program();
    let grant = Grant::new(5, Access::READ);
    at.node.call(to, receive_into(BUFFER));
    let sent = at.node.call(pager, send_with(to, Message::with_code(1), PLACE, grant));
    let Outcome::Done(registers) = sent else { panic!("it waits for itself") };
    assert_eq!(Error::check(registers.number as u32), Err(Error::BadAddress));
}

#[test]
fn a_reply_into_a_page_that_is_not_there_is_refused_at_once() {
    let mut at = Fixture::new();
    let pid = at.program();
    at.bind(pid, 1, READ | WRITE);
    let grant = Grant::new(5, Access::WRITE);
    assert_eq!(
        at.node.call(pid, send_with(at.pager, Message::with_code(0x7001), PLACE, grant)),
        Outcome::Waits
    );
    let (sender, _) = at.request();
    at.node.poke(at.pager, Node::data(0), b"hello");
    assert_eq!(at.reply(sender, Message::default(), 5, Access::NONE), Err(Error::NotResident));
    // The page was asked for on the client's behalf: with it the reply fits.
    at.node.call(at.pager, receive_into(BUFFER));
    at.give(4, PAGE_BYTES, Access::NONE);
    at.node.poke(at.pager, Node::data(0), b"hello");
    assert_eq!(at.reply_later(pid, 5), Ok(()));
    assert_eq!(at.node.peek(pid, PLACE, 6), b"hello\x04");
    at.end(&[pid]);
}

#[test]
fn memory_that_runs_low_takes_clean_pages_and_writes_dirty_ones_back() {
    let mut at = Fixture::new();
    let pid = at.program();
    let hog = at.node.team(100, 12, 4000);
    at.bind(pid, 8, READ | WRITE | SHARED);
    for page in 0..8 {
        at.touch(pid, page, if page < 4 { READ } else { WRITE });
        at.give(page as u8 + 1, PAGE_BYTES, Access::NONE);
        if page >= 4 {
            at.node.poke(pid, PLACE + page * PAGE_BYTES, &[100 + page as u8]);
        }
    }
    // The hog takes all that is free, then the clean pages, and waits for the others.
    let mut taken = 0;
    while at.node.state(hog) == State::Ready && taken < 4000 {
        at.node.run(hog);
        let next = at.node.kernel.page_fault(Node::data(taken * PAGE_BYTES), WRITE, 6);
        at.node.settle(next);
        taken += 1;
    }
    assert_eq!(at.node.state(hog), State::Sending, "it waits for a page to be written back");
    assert_eq!(at.node.kernel.cache.used(), 4, "the clean ones are gone");
    let (sender, message) = at.request();
    assert_eq!(message.code(), page::Write::CODE);
    let position = page::Write::from_message(&message).position;
    assert_eq!(u64::from(at.node.peek(at.pager, Node::data(BUFFER), 1)[0]), 100 + position / PAGE_BYTES);
    at.reply(sender, page::PageWritten { count: 4096 }.to_message(), 0, Access::NONE).unwrap();
    at.node.settle_idle();
    assert_eq!(at.node.state(hog), State::Ready, "and goes on");
}

#[test]
fn pages_are_fetched_before_they_are_touched() {
    let mut at = Fixture::new();
    let pid = at.program();
    at.bind(pid, 4, READ);
    let fetch = |pages| {
        let request = Fetch { team: Pid::NONE, address: PLACE, pages };
        send(abi::kernel::server(MEMORY), request.to_message())
    };
    assert_eq!(at.node.call(pid, fetch(4)), Outcome::Waits);
    at.node.poke(at.pager, Node::data(0), &[0; 2 * PAGE_BYTES as usize]);
    at.give(3, 2 * PAGE_BYTES, Access::READ);
    at.node.settle_idle();
    assert_eq!(at.asked().1, 2, "what was lent needs no asking");
    at.give(4, PAGE_BYTES, Access::NONE);
    at.node.settle_idle();
    assert_eq!(at.node.state(pid), State::Sending);
    at.give(5, PAGE_BYTES, Access::NONE);
    at.node.settle_idle();
    assert_eq!((at.node.state(pid), at.node.results(pid).number), (State::Ready, 0));
    for page in 0..4 {
        at.touch(pid, page, READ);
        assert_eq!(at.node.state(pid), State::Ready);
    }
    assert_eq!(at.see(pid, 3), 5);
    let refused = |at: &mut Fixture, pages| {
        let request = Fetch { team: Pid::NONE, address: PLACE, pages };
        at.node.request(pid, MEMORY, &request).unwrap_err()
    };
    assert_eq!(refused(&mut at, 5), Error::NotMapped);
    assert_eq!(refused(&mut at, abi::kernel::MOST_FETCHED + 1), Error::TooLong);
    at.end(&[pid]);
}

#[test]
fn what_cannot_be_fetched_is_an_error_and_no_exception() {
    let mut at = Fixture::new();
    let pid = at.program();
    at.bind(pid, 1, READ);
    let request = Fetch { team: Pid::NONE, address: PLACE, pages: 1 };
    at.node.call(pid, send(abi::kernel::server(MEMORY), request.to_message()));
    at.refuse(Error::NoPermission);
    at.node.settle_idle();
    assert_eq!(at.node.state(pid), State::Ready);
    assert_eq!(Error::check(at.node.results(pid).number as u32), Err(Error::BadAddress));
    at.end(&[pid]);
}

#[test]
fn a_page_that_was_lent_with_another_meanwhile_is_no_error() {
    for lend in [Access::READ, Access::NONE] {
        let mut at = Fixture::new();
        let (one, other) = (at.program(), at.program());
        for pid in [one, other] {
            at.bind(pid, 2, READ);
        }
        at.touch(one, 0, READ);
        at.touch(other, 1, READ);
        at.node.poke(at.pager, Node::data(0), &[0; 2 * PAGE_BYTES as usize]);
        at.give(3, 2 * PAGE_BYTES, Access::READ);
        assert_eq!((at.node.state(one), at.node.state(other)), (State::Ready, State::Sending));
        assert_eq!(at.asked().1, 1);
        at.give(4, PAGE_BYTES, lend);
        assert_eq!(at.node.state(other), State::Ready);
        assert_eq!(at.node.kernel.cache.used(), 2);
        at.end(&[one, other]);
    }
}

#[test]
fn what_was_lent_stays_when_its_owner_discards_it() {
    let mut at = Fixture::new();
    let pid = at.program();
    at.bind(pid, 1, READ);
    at.touch(pid, 0, READ);
    at.node.poke(at.pager, Node::data(0), &[0]);
    at.give(3, PAGE_BYTES, Access::READ);
    let pager = at.pager_free();
    let used = at.node.kernel.frames.free_count();
    let discard = |at: &mut Fixture, pages| {
        let request = Discard { team: Pid::NONE, address: Node::data(0), pages };
        at.node.request(pager, MEMORY, &request).map(|_| ())
    };
    discard(&mut at, 1).unwrap();
    assert_eq!(at.node.kernel.frames.free_count(), used, "it is in use");
    // Now it has one that nobody else has.
    at.node.poke(pager, Node::data(1), &[5]);
    assert_eq!((at.see(pid, 0), at.node.peek(pager, Node::data(0), 2)), (3, vec![0, 5]));
    let used = at.node.kernel.frames.free_count();
    discard(&mut at, 1).unwrap();
    assert_eq!(at.node.kernel.frames.free_count(), used + 1);
    assert_eq!(discard(&mut at, u32::MAX), Err(Error::BadArgument));
    let bound = Discard { team: Pid::NONE, address: PLACE, pages: 1 };
    assert_eq!(at.node.request(pid, MEMORY, &bound).map(|_| ()), Err(Error::BadArgument));
    at.end(&[pid]);
}
