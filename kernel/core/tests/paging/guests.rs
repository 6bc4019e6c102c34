//! What of a guest's memory is told to be written, read, and put into another team, against an oracle.

use std::collections::BTreeSet;

use abi::call;
use abi::kernel::memory::{Bind, Discard, Map, Protect, ReadMemory, TakeWritten, WriteMemory};
use abi::kernel::process::CreateTeam;
use abi::kernel::protection::{READ, SHARED, WRITE};
use abi::kernel::record::{BindingRecord, PagesRecord};
use abi::kernel::{MEMORY, PROCESS};
use abi::{Access, Error, Grant, LogicalHost, Message, PAGE_BYTES, Pid, Rights, UserId};
use kernel_core::machine::{Machine, Place};
use proptest::collection::vec;
use proptest::prelude::*;
use simulator::node::{receive, send_with};
use simulator::{Node, Outcome};

use crate::fixture::{Fixture, INSTANCE, PLACE};

/// Pages of the guest's own memory, and of what it has bound.
const PAGES: u64 = 8;
/// From here the kernel's copies read.
const SOURCE: u64 = PAGES - 1;
/// Where the mover has records, and pages.
const RECORDS: u64 = 0;
const COPIES: u64 = 0x1000;
const RUNS: u64 = 5;

struct Move {
    at: Fixture,
    guest: Pid,
    second: Pid,
    mover: Pid,
    target: Pid,
    /// The pages that are the guest's own, and those that were written since they were told.
    own: BTreeSet<u64>,
    written: BTreeSet<u64>,
}

impl Move {
    fn new() -> Move {
        let mut at = Fixture::new();
        let guest = at.node.guest(100, 12, PAGES as u32, LogicalHost::from_bits(0x6e57));
        let second = at.node.process(guest, 12);
        at.bind(guest, PAGES as u32, READ | WRITE);
        let team = |rights| CreateTeam {
            user: UserId::SYSTEM,
            rights,
            priority: 12,
            quota_pages: 0,
            quota_processes: 0,
        };
        let root = at.node.root;
        let mover = at.node.team_as(root, &team(Rights::CREATE_FOR_OTHERS), 40).unwrap();
        let target = at.node.request(mover, PROCESS, &team(Rights::NONE)).unwrap().team;
        let (address, pages) = (Node::data(0), PAGES as u32);
        let map = Map { team: target, address, pages, protection: READ };
        at.node.request(mover, MEMORY, &map).unwrap();
        let binding = BindingRecord { pager: at.pager.to_bits(), instance: INSTANCE.into(), position: 0 };
        at.node.poke(mover, Node::data(RECORDS), &binding.to_bytes());
        let bind = Bind { team: target, address: PLACE, pages, protection: READ };
        let grant = Grant::new(BindingRecord::BYTES as u64, Access::READ);
        at.node.request_with(mover, MEMORY, &bind, Node::data(RECORDS), grant).unwrap();
        // The binding was written to the first page.
        let own = BTreeSet::from([Node::data(0)]);
        let mut moved = Move { at, guest, second, mover, target, written: own.clone(), own };
        moved.write(Node::data(SOURCE * PAGE_BYTES), b"what is copied");
        moved
    }

    fn wrote(&mut self, page: u64) {
        self.own.insert(page);
        self.written.insert(page);
    }

    fn write(&mut self, address: u64, bytes: &[u8]) {
        self.at.node.poke(self.guest, address, bytes);
        self.wrote(address & !(PAGE_BYTES - 1));
    }

    /// The guest does something, or the kernel for it.
    fn step(&mut self, (operation, page, byte): (u8, u64, u8)) {
        let address = Node::data(page * PAGE_BYTES);
        let bound = PLACE + page * PAGE_BYTES;
        let pages = 1;
        match operation {
            0 | 1 => self.write(address + u64::from(byte), &[byte]),
            // A reply's data, over a page's end.
            2 if page + 1 < SOURCE => {
                assert_eq!(self.at.node.call(self.second, receive()), Outcome::Waits);
                let grant = Grant::new(10, Access::WRITE);
                let end = address + PAGE_BYTES;
                self.at.node.call(self.guest, send_with(self.second, Message::default(), end - 5, grant));
                let reply = call::Reply {
                    to: self.guest,
                    message: Message::default(),
                    segment_address: Node::data(SOURCE * PAGE_BYTES),
                    segment_bytes: 10,
                    replier: 0,
                    error: 0,
                };
                let Outcome::Done(results) = self.at.node.call(self.second, reply.encode()) else { panic!() };
                assert_eq!(results.number, 0);
                self.wrote(address);
                self.wrote(end);
            }
            3 if page < SOURCE => {
                let discard = Discard { team: Pid::NONE, address, pages };
                self.at.node.request(self.guest, MEMORY, &discard).unwrap();
                self.own.remove(&address);
                self.written.remove(&address);
            }
            // What may not be touched is there still.
            4 if page < SOURCE => {
                for protection in [0, READ | WRITE] {
                    let protect = Protect { team: Pid::NONE, address, pages, protection };
                    self.at.node.request(self.guest, MEMORY, &protect).unwrap();
                    self.tell();
                }
            }
            5 | 6 => {
                let access = if operation == 5 { READ } else { WRITE };
                self.at.touch(self.guest, page, access);
                if self.at.node.state(self.at.pager) == kernel_core::process::State::Ready {
                    self.at.give(page as u8 + 1, PAGE_BYTES, Access::NONE);
                }
                if operation == 6 {
                    self.write(bound, &[byte]);
                }
            }
            _ => self.tell(),
        }
    }

    /// Records of pages from the beginning, `RUNS` at a time.
    fn ask(&mut self, all: u32) -> BTreeSet<u64> {
        let mut told = BTreeSet::new();
        let mut address = 0;
        loop {
            let take = TakeWritten { team: self.guest, address, all };
            let bytes = PagesRecord::BYTES as u64;
            let grant = Grant::new(RUNS * bytes, Access::WRITE);
            let taken =
                self.at.node.request_with(self.mover, MEMORY, &take, Node::data(RECORDS), grant).unwrap();
            let records = self.at.node.peek_touched(
                self.mover,
                Node::data(RECORDS),
                taken.count as usize * PagesRecord::BYTES,
            );
            for record in records.as_chunks().0 {
                let record = PagesRecord::from_bytes(record);
                for page in 0..record.pages {
                    assert!(told.insert(record.address + page * PAGE_BYTES), "told twice");
                }
            }
            if taken.next == 0 {
                return told;
            }
            assert!(taken.next > address);
            address = taken.next;
        }
    }

    /// A round: what was written goes to the target.
    fn tell(&mut self) {
        let told = self.ask(0);
        assert_eq!(told, core::mem::take(&mut self.written));
        for page in told {
            self.carry(page);
        }
    }

    fn carry(&mut self, address: u64) {
        let node = &mut self.at.node;
        let read = ReadMemory { team: self.guest, address };
        let grant = Grant::new(PAGE_BYTES, Access::WRITE);
        let pages = node.request_with(self.mover, MEMORY, &read, Node::data(COPIES), grant).unwrap().pages;
        assert_eq!(pages, 1);
        let write = WriteMemory { team: self.target, address };
        let grant = Grant::new(PAGE_BYTES, Access::READ);
        node.request_with(self.mover, MEMORY, &write, Node::data(COPIES), grant).unwrap();
    }

    fn content(&mut self, team: Pid, address: u64) -> Option<Vec<u8>> {
        let space = self.at.node.kernel.processes[self.at.node.index(team)].space;
        let machine = &mut self.at.node.kernel.machine;
        let frame = machine.translate(space, address, 0)?;
        let mut page = vec![0; PAGE_BYTES as usize];
        machine.read_frame(frame, 0, &mut page);
        Some(page)
    }

    /// The last round; after it the target has what the guest has.
    fn end(mut self) {
        self.tell();
        assert_eq!(self.ask(1), self.own);
        for page in 0..PAGES {
            let (address, bound) = (Node::data(page * PAGE_BYTES), PLACE + page * PAGE_BYTES);
            if !self.own.contains(&address) {
                let discard = Discard { team: self.target, address, pages: 1 };
                self.at.node.request(self.mover, MEMORY, &discard).unwrap();
            }
            assert_eq!(self.content(self.target, address), self.content(self.guest, address));
            let own = self.content(self.guest, bound).filter(|_| self.own.contains(&bound));
            assert_eq!(self.content(self.target, bound), own, "page {page} is read again, or moved");
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_told_once_and_arrives(
        steps in vec((0_u8..8, 0..PAGES, any::<u8>()), 0..60)
    ) {
        let mut moved = Move::new();
        for step in steps {
            moved.step(step);
        }
        moved.end();
    }
}

#[test]
fn only_who_may_move_guests_sees_their_memory() {
    let mut moved = Move::new();
    let plain = moved.at.program();
    let (guest, mover, target) = (moved.guest, moved.mover, moved.target);
    let node = &mut moved.at.node;
    node.poke(plain, Node::data(0), &[0]);
    let address = Node::data(0);
    let grant = Grant::new(PAGE_BYTES, Access::WRITE);
    let mut take = |caller, team, grant| {
        let take = TakeWritten { team, address, all: 1 };
        node.request_with(caller, MEMORY, &take, Node::data(COPIES), grant).map(|taken| taken.count)
    };
    assert_eq!(take(plain, guest, grant), Err(Error::NoPermission));
    assert_eq!(take(guest, guest, grant), Err(Error::NoPermission));
    assert_eq!(take(mover, plain, grant), Err(Error::NotMovable), "not a guest");
    assert_eq!(take(mover, guest, Grant::new(16, Access::READ)), Err(Error::NoWriteAccess));
    assert_eq!(take(mover, guest, Grant::new(15, Access::WRITE)), Err(Error::TooLong));
    assert_eq!(take(mover, guest, grant), Ok(2));
    // Reading ends where nothing is; writing needs the newborn, and private memory.
    let mut read = |team, address, grant| {
        let read = ReadMemory { team, address };
        node.request_with(mover, MEMORY, &read, Node::data(COPIES), grant).map(|read| read.pages)
    };
    let all = Grant::new(PAGES * PAGE_BYTES, Access::WRITE);
    assert_eq!(read(guest, address, all), Ok(1));
    assert_eq!(read(guest, address + PAGE_BYTES, all), Ok(0));
    assert_eq!(read(guest, 0, all), Err(Error::BadArgument));
    assert_eq!(read(guest, address, Grant::new(100, Access::WRITE)), Err(Error::BadArgument));
    assert_eq!(read(target, address, all), Err(Error::NotMovable));
    let mut write = |team, address| {
        let write = WriteMemory { team, address };
        let grant = Grant::new(PAGE_BYTES, Access::READ);
        node.request_with(mover, MEMORY, &write, Node::data(COPIES), grant).map(|_| ())
    };
    assert_eq!(write(guest, address), Err(Error::NoPermission));
    assert_eq!(write(target, address + PAGES * PAGE_BYTES), Err(Error::NotMapped));
    assert_eq!(write(target, address), Ok(()));
    let shared = PLACE + PAGES * PAGE_BYTES;
    let bind = Bind { team: target, address: shared, pages: 1, protection: READ | SHARED };
    let binding = BindingRecord { pager: moved.at.pager.to_bits(), instance: 5, position: 0 };
    moved.at.node.poke(mover, Node::data(RECORDS), &binding.to_bytes());
    let grant = Grant::new(BindingRecord::BYTES as u64, Access::READ);
    moved.at.node.request_with(mover, MEMORY, &bind, Node::data(RECORDS), grant).unwrap();
    let write = WriteMemory { team: target, address: shared };
    let grant = Grant::new(PAGE_BYTES, Access::READ);
    let refused = moved.at.node.request_with(mover, MEMORY, &write, Node::data(COPIES), grant);
    assert_eq!(refused.map(|_| ()), Err(Error::BadArgument));
    // A long request goes in steps.
    for page in 0..PAGES {
        moved.write(Node::data(page * PAGE_BYTES), &[page as u8]);
    }
    moved.tell();
    let place = Place { space: moved.at.node.kernel.processes[moved.at.node.index(guest)].space, address };
    let mut first = [9];
    moved.at.node.kernel.machine.read(place, &mut first).unwrap();
    assert_eq!(first, [0]);
    moved.end();
}
