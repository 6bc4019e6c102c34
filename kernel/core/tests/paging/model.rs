//! Random reads, writes, bindings, flushes, revocations and want of memory, against what each team must see.
//!
//! The oracle has one byte for each page of the instance, and for each page of a team that wrote its own copy. Whatever
//! the cache does meanwhile, every read must find that byte.

use std::collections::BTreeMap;

use abi::Pid;
use abi::kernel::memory::{Bind, Flush, Revoke, Unmap};
use abi::kernel::protection::{READ, SHARED, WRITE};
use abi::kernel::record::BindingRecord;
use abi::kernel::{MEMORY, server};
use abi::page::page;
use abi::protocol::{Reply as _, Request};
use abi::{Access, Grant, LogicalHost, Message, PAGE_BYTES};
use kernel_core::process::State;
use proptest::collection::vec;
use proptest::prelude::*;
use simulator::Node;
use simulator::node::send;

use crate::elsewhere::network_server;
use crate::fixture::{BUFFER, Fixture, INSTANCE, PLACE, receive_into};

const PAGES: usize = 12;
const TEAMS: usize = 3;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// Team, first page of its region, page of the instance there, how many, shared.
    Bind(usize, usize, usize, usize, bool),
    /// Team, page.
    Read(usize, usize),
    /// Team, page, byte.
    Write(usize, usize, u8),
    /// Team, first page, how many.
    Unmap(usize, usize, usize),
    /// Team, first page, how many.
    Flush(usize, usize, usize),
    /// The pager takes pages back that are not dirty.
    Revoke(usize),
    /// Somebody takes all free memory, and ends.
    Want,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (team, place) = (0..TEAMS, 0..PAGES);
    let step = prop_oneof![
        2 => (team.clone(), place.clone(), place.clone(), 1..6_usize, any::<bool>())
            .prop_map(|(team, at, page, pages, shared)| Step::Bind(team, at, page, pages, shared)),
        5 => (team.clone(), place.clone()).prop_map(|(team, page)| Step::Read(team, page)),
        5 => (team.clone(), place.clone(), any::<u8>()).prop_map(|(team, at, byte)| Step::Write(team, at, byte)),
        1 => (team.clone(), place.clone(), 1..6_usize).prop_map(|(team, at, pages)| Step::Unmap(team, at, pages)),
        1 => (team, place.clone(), 1..6_usize).prop_map(|(team, at, pages)| Step::Flush(team, at, pages)),
        1 => place.prop_map(Step::Revoke),
        1 => Just(Step::Want),
    ];
    vec(step, 0..80)
}

/// What a page of a team is bound to, and the team's own byte.
#[derive(Clone, Copy, Debug)]
struct Bound {
    page: usize,
    shared: bool,
    own: Option<u8>,
}

struct World {
    /// Its pager is the network server, where the instance is another node's.
    at: Fixture,
    /// Who has the instance.
    owner: Pid,
    /// Who would have it, if that were no other node's.
    local: Pid,
    teams: Vec<Pid>,
    /// What the pager has.
    stored: [u8; PAGES + 6],
    /// What those see who have it bound.
    seen: [u8; PAGES + 6],
    bound: Vec<BTreeMap<usize, Bound>>,
}

impl World {
    fn new(elsewhere: bool) -> World {
        let mut at = Fixture::new();
        let local = at.pager;
        let mut owner = local;
        if elsewhere {
            at.pager = network_server(&mut at.node);
            for place in [BUFFER, 0] {
                at.node.poke(at.pager, Node::data(place), &[0]);
            }
            at.node.call(at.pager, receive_into(BUFFER));
            owner = Pid::process(LogicalHost::from_bits(0x77), 1, 20);
        }
        let teams: Vec<Pid> = (0..TEAMS).map(|_| at.node.team(100, 12, 2)).collect();
        for team in &teams {
            at.node.poke(*team, Node::data(0), &[0]);
        }
        let stored = std::array::from_fn(|page| page as u8 + 1);
        World { at, owner, local, teams, stored, seen: stored, bound: vec![BTreeMap::new(); TEAMS] }
    }

    /// The pager answers all that it is asked.
    fn serve(&mut self) {
        self.at.node.settle_idle();
        while self.at.node.state(self.at.pager) == State::Ready {
            let (sender, message) = self.at.request();
            let pager = self.at.pager;
            match page::Page::from_message(&message).expect("a page request") {
                page::Page::Read(read) => {
                    assert_eq!(read.instance, INSTANCE);
                    let byte = self.stored[(read.position / PAGE_BYTES) as usize];
                    self.at.node.poke(pager, Node::data(0), &[byte; PAGE_BYTES as usize]);
                    let reply = page::PageRead { count: PAGE_BYTES as u32 }.to_message();
                    self.at.reply(sender, reply, PAGE_BYTES, Access::NONE).unwrap();
                }
                page::Page::Write(write) => {
                    let bytes = self.at.node.peek(pager, Node::data(BUFFER), 1);
                    self.stored[(write.position / PAGE_BYTES) as usize] = bytes[0];
                    let reply = page::PageWritten { count: PAGE_BYTES as u32 }.to_message();
                    self.at.reply(sender, reply, 0, Access::NONE).unwrap();
                }
            }
            self.at.node.call(pager, receive_into(BUFFER));
            self.at.node.settle_idle();
        }
    }

    fn ask(&mut self, team: usize, request: &impl Request) {
        let pid = self.teams[team];
        self.at.node.call(pid, send(server(MEMORY), request.to_message()));
        self.serve();
        assert_eq!(self.at.node.state(pid), State::Ready, "{team} waits for ever");
    }

    /// A team touches a page; false if that would be its end.
    fn touch(&mut self, team: usize, page: usize, access: u32) {
        let pid = self.teams[team];
        self.at.touch(pid, page as u64, access);
        self.serve();
        assert_eq!(self.at.node.state(pid), State::Ready, "{team} waits for page {page} for ever");
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Bind(team, at, page, pages, shared) => self.bind(team, at, page, pages, shared),
            Step::Read(team, page) => {
                if let Some(bound) = self.bound[team].get(&page).copied() {
                    self.touch(team, page, READ);
                    let expected = bound.own.unwrap_or(self.seen[bound.page]);
                    assert_eq!(
                        self.at.see(self.teams[team], page as u64),
                        expected,
                        "{team} {page} {bound:?}"
                    );
                }
            }
            Step::Write(team, page, byte) => {
                if let Some(bound) = self.bound[team].get_mut(&page) {
                    if bound.shared {
                        self.seen[bound.page] = byte;
                    } else {
                        bound.own = Some(byte);
                    }
                    self.touch(team, page, WRITE);
                    let pid = self.teams[team];
                    self.at.node.poke(pid, PLACE + page as u64 * PAGE_BYTES, &[byte]);
                }
            }
            Step::Unmap(team, at, pages) => {
                // All of it or nothing.
                if (at..at + pages).all(|page| self.bound[team].contains_key(&page)) {
                    self.bound[team].retain(|page, _| !(at..at + pages).contains(page));
                }
                let address = PLACE + at as u64 * PAGE_BYTES;
                self.ask(team, &Unmap { team: Pid::NONE, address, pages: pages as u32 });
            }
            Step::Flush(team, at, pages) => {
                let address = PLACE + at as u64 * PAGE_BYTES;
                self.ask(team, &Flush { team: Pid::NONE, address, pages: pages as u32 });
            }
            Step::Revoke(page) if self.owner == self.at.pager && self.stored[page] == self.seen[page] => {
                let pager = self.at.pager;
                let position = page as u64 * PAGE_BYTES;
                let request = Revoke { instance: INSTANCE, position, pages: 1 };
                let pid = self.at.pager_free();
                assert_eq!(pid, pager);
                self.at.node.request(pager, MEMORY, &request).unwrap();
                self.at.node.call(pager, receive_into(BUFFER));
            }
            Step::Revoke(_) => {}
            Step::Want => self.want(),
        }
    }

    fn bind(&mut self, team: usize, at: usize, page: usize, pages: usize, shared: bool) {
        let free = !self.bound[team].keys().any(|bound| (at..at + pages).contains(bound));
        let binding = BindingRecord {
            pager: self.owner.to_bits(),
            instance: INSTANCE.into(),
            position: page as u64 * PAGE_BYTES,
        };
        let pid = self.teams[team];
        self.at.node.poke(pid, Node::data(0), &binding.to_bytes());
        let protection = READ | WRITE | if shared { SHARED } else { 0 };
        let address = PLACE + at as u64 * PAGE_BYTES;
        let request = Bind { team: Pid::NONE, address, pages: pages as u32, protection };
        let grant = Grant::new(BindingRecord::BYTES as u64, Access::READ);
        let bound = self.at.node.request_with(pid, MEMORY, &request, Node::data(0), grant);
        assert_eq!(bound.is_ok(), free);
        for offset in (0..pages).filter(|_| free) {
            self.bound[team].insert(at + offset, Bound { page: page + offset, shared, own: None });
        }
    }

    /// A team takes all that is free and all that the cache can spare, and ends.
    fn want(&mut self) {
        let hog = self.at.node.team(100, 12, 4000);
        for page in 0..4000 {
            let index = self.at.node.index(hog);
            let team = self.at.node.kernel.processes[index].team;
            if self.at.node.kernel.team(team).ending {
                break;
            }
            self.at.node.run(hog);
            let next = self.at.node.kernel.page_fault(Node::data(page * PAGE_BYTES), WRITE, 6);
            self.at.node.settle(next);
            self.serve();
        }
        let root = self.at.node.root;
        let destroy = abi::kernel::process::Destroy { process: hog, status: 0 };
        let _ = self.at.node.request(root, abi::kernel::PROCESS, &destroy);
        self.serve();
        // Others run as well: its turns come with time. Its slot is free when its owner has heard of it.
        for _ in 0..2000 {
            if self.at.node.state(hog) != State::Working {
                break;
            }
            self.at.node.pass(20_000_000);
        }
        let waits = self.at.node.call(root, simulator::node::receive_from(hog, abi::call::NOW));
        if matches!(waits, simulator::Outcome::Done(registers) if registers.number == 0) {
            self.at.node.call(root, simulator::node::reply(hog, Message::default()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn each_team_sees_what_it_must(steps in steps(), traced in any::<bool>(), elsewhere in any::<bool>()) {
        check(&steps, traced, elsewhere);
    }
}

/// Does the steps, and looks whether each team sees what it must, and the pager what was shared.
fn check(steps: &[Step], traced: bool, elsewhere: bool) {
    let mut world = World::new(elsewhere);
    // While something is traced, the general path does all.
    world.at.node.kernel.trace.choose(if traced { u32::MAX } else { 0 });
    world.at.node.checked = false;
    for step in steps {
        world.step(step);
        simulator::check::invariants(&world.at.node.kernel);
    }
    let teams = world.teams.clone();
    // What was shared is with the pager when all have ended.
    for team in 0..TEAMS {
        for page in 0..PAGES + 6 {
            if world.bound[team].contains_key(&page) {
                let address = PLACE + page as u64 * PAGE_BYTES;
                world.ask(team, &Unmap { team: Pid::NONE, address, pages: 1 });
            }
        }
    }
    assert_eq!(world.stored, world.seen);
    let local = (world.local != world.at.pager).then_some(world.local);
    world.at.end(&teams.into_iter().chain(local).collect::<Vec<_>>());
}

/// The second page has to be written back first, when the first is gone already.
#[test]
fn an_unmap_that_waits_in_its_midst_goes_on_there() {
    let bind = |at, page, pages, shared| Step::Bind(2, at, page, pages, shared);
    let steps = [
        bind(9, 2, 3, true),
        Step::Write(2, 9, 0),
        bind(8, 0, 1, false),
        Step::Unmap(2, 8, 2),
        bind(8, 0, 2, false),
    ];
    check(&steps, false, false);
}
