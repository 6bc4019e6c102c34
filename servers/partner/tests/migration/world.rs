//! Machines, the network between them, and who moves the guests.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use abi::{Error, LogicalHost, Pid};
use network_partner::{Configuration, Link, Partner, Standing};
use vmtp::Destination;
use vmtp::encapsulation::Address;

use crate::kernel::{Limbo, Machine, Team};
use crate::oracle::{Oracle, Request};

const MILLISECOND_NS: u64 = 1_000_000;
const SECOND_NS: u64 = 1_000_000_000;
const STEP_NS: u64 = MILLISECOND_NS / 2;
const MACHINES: usize = 3;
const GUESTS: usize = 2;
/// Processes of each kind of a logical host.
const PROCESSES: u16 = 2;
/// Time in which new requests are made, and in which all must end then.
const BUSY_NS: u64 = 2 * SECOND_NS;
const PATIENCE_NS: u64 = 120 * SECOND_NS;
/// Bytes that are more than any state.
const ROOM: usize = 4 * 1024 * 1024;

struct Node {
    partner: Partner,
    kernel: Machine,
    own: LogicalHost,
}

/// Where a guest is in its move.
#[derive(Clone, Debug)]
enum Step {
    /// It runs.
    Home,
    Frozen {
        from: usize,
        to: usize,
    },
    Exported {
        from: usize,
        to: usize,
        state: Vec<u8>,
    },
    Imported {
        from: usize,
        to: usize,
        state: Vec<u8>,
    },
    /// Its move failed: it goes back to where it came from.
    Back {
        from: usize,
        state: Vec<u8>,
    },
    /// The machine on which it was has died.
    Gone,
}

struct Guest {
    host: LogicalHost,
    at: usize,
    step: Step,
    next_ns: u64,
    /// What its clients waited for when its state was taken.
    open: Vec<Request>,
}

#[derive(Default)]
struct Outbox(Vec<(Destination, Vec<u8>)>);

impl Link for Outbox {
    fn transmit(&mut self, destination: &Destination, bytes: usize, fill: impl FnOnce(&mut [u8]) -> bool) {
        let mut packet = vec![0; bytes];
        if fill(&mut packet) {
            self.0.push((*destination, packet));
        }
    }
}

/// A xorshift generator.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

pub struct World {
    now_ns: u64,
    random: Random,
    nodes: Vec<Option<Node>>,
    guests: Vec<Guest>,
    flying: BTreeMap<(u64, u64), (usize, Address, Vec<u8>)>,
    flights: u64,
    loss: u64,
    repeats: u64,
    jitter_ns: u64,
    deaths: bool,
    limbo: Limbo,
    oracle: Rc<RefCell<Oracle>>,
    moves: u32,
    boots: u32,
    pub traced: bool,
}

fn address(at: usize) -> Address {
    Address::Ethernet([2, 0, 0, 0, 0, at as u8])
}

impl World {
    pub fn new(seed: u64, deaths: bool) -> World {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.below(1);
        }
        let (loss, repeats) =
            ([0, 20, 100, 200][random.below(4) as usize], [0, 50][random.below(2) as usize]);
        let jitter_ns = [1, 300_000, 3 * MILLISECOND_NS][random.below(3) as usize];
        let mut world = World {
            now_ns: SECOND_NS,
            random,
            nodes: Vec::new(),
            guests: Vec::new(),
            flying: BTreeMap::new(),
            flights: 0,
            loss,
            repeats,
            jitter_ns,
            deaths,
            limbo: Limbo::default(),
            oracle: Rc::default(),
            moves: 0,
            boots: 0,
            traced: false,
        };
        for at in 0..MACHINES {
            let node = world.boot(at);
            world.nodes.push(Some(node));
        }
        world
    }

    fn boot(&mut self, at: usize) -> Node {
        self.boots += 1;
        let own = LogicalHost::from_bits(0x1000 + self.boots * 16 + at as u32);
        let default = Configuration::default();
        let engine =
            vmtp::Configuration { clients: 16, servers: 32, hosts: 16, buffers: 16, ..default.engine };
        let configuration = Configuration { engine, serves: 16, serves_per_host: 12, ..default };
        let seed = self.random.below(u64::MAX);
        let mut kernel = Machine::new(self.limbo.clone(), self.oracle.clone());
        kernel.teams.insert(own.to_bits(), Team::new(own, PROCESSES));
        Node { partner: Partner::new(&configuration, own, 0, self.now_ns, seed), kernel, own }
    }

    pub fn counts(&self) -> (u32, u32, u32) {
        let oracle = self.oracle.borrow();
        (oracle.well, oracle.badly, self.moves)
    }

    fn note(&self, text: impl FnOnce() -> String) {
        if self.traced {
            println!("{:>12} {}", self.now_ns, text());
        }
    }

    /// Lets everything happen, and checks that it went as it must.
    pub fn run(&mut self) {
        // Nobody is known to anyone, and all claim.
        let begin_ns = self.now_ns + 2 * SECOND_NS;
        while self.now_ns < begin_ns || self.guests.len() < GUESTS {
            self.step(false);
            if self.now_ns >= begin_ns {
                self.start_guest();
            }
        }
        let end_ns = self.now_ns + BUSY_NS;
        while self.now_ns < end_ns {
            self.step(true);
            self.move_guests(true);
        }
        let end_ns = self.now_ns + PATIENCE_NS;
        while !self.is_over() {
            assert!(self.now_ns < end_ns, "these have no outcome: {:?}", self.oracle.borrow().open());
            self.step(false);
            self.move_guests(false);
        }
        let end_ns = self.now_ns + 40 * SECOND_NS;
        while self.now_ns < end_ns {
            self.step(false);
            // Nothing but timers is left.
            let soonest = self.nodes.iter().flatten().filter_map(|node| node.partner.next_deadline()).min();
            let next_ns = soonest.unwrap_or(end_ns).min(end_ns);
            if self.flying.is_empty() && next_ns > self.now_ns {
                self.now_ns = next_ns - STEP_NS;
            }
        }
        for node in self.nodes.iter().flatten() {
            assert!(node.partner.is_quiet(), "something is left: {:?}", node.partner);
            assert!(node.kernel.is_idle(), "the kernel has something left");
        }
    }

    fn is_over(&self) -> bool {
        let rests = self.guests.iter().all(|guest| matches!(guest.step, Step::Home | Step::Gone));
        rests && self.oracle.borrow().open().is_empty()
    }

    fn start_guest(&mut self) {
        let at = self.random.below(MACHINES as u64) as usize;
        let now_ns = self.now_ns;
        let Some(node) = &mut self.nodes[at] else { return };
        if node.partner.standing() != Standing::Owned || self.guests.len() == GUESTS {
            return;
        }
        if let Ok(Some(host)) = node.partner.take_host(now_ns, 1) {
            node.kernel.teams.insert(host.to_bits(), Team::new(host, PROCESSES));
            self.guests.push(Guest { host, at, step: Step::Home, next_ns: now_ns, open: Vec::new() });
        }
    }

    /// A moment passes.
    fn step(&mut self, asks: bool) {
        self.now_ns += STEP_NS;
        while let Some(entry) = self.flying.first_entry()
            && entry.key().0 <= self.now_ns
        {
            let (to, from, packet) = entry.remove();
            let mut outbox = Outbox::default();
            if let Some(node) = &mut self.nodes[to] {
                node.kernel.now_ns = self.now_ns;
                let mut brought = node.partner.take_packet(self.now_ns, from, &packet, &mut node.kernel);
                node.partner.act(self.now_ns, brought.action.as_mut(), &mut node.kernel, &mut outbox);
            }
            self.carry(to, outbox);
        }
        for at in 0..MACHINES {
            let mut outbox = Outbox::default();
            if let Some(node) = &mut self.nodes[at] {
                node.kernel.now_ns = self.now_ns;
                let random = &mut self.random;
                node.kernel.run(&mut |limit| random.below(limit));
                // Some wait for a moment.
                while !node.kernel.sent.is_empty() && self.random.below(4) > 0 {
                    let (received, head) = node.kernel.sent.remove(0);
                    node.partner.inbox()[..head.len()].copy_from_slice(&head);
                    node.partner.take_message(self.now_ns, &received, &mut node.kernel, &mut outbox);
                }
                if node.partner.next_deadline().is_some_and(|due_ns| due_ns <= self.now_ns) {
                    node.partner.advance(self.now_ns, &mut node.kernel, &mut outbox);
                }
            }
            self.carry(at, outbox);
        }
        if asks {
            self.ask();
        }
        if self.deaths && asks && self.random.below(4000) == 0 {
            let at = self.random.below(MACHINES as u64) as usize;
            self.die(at);
        }
    }

    /// Clients that have nothing to wait for send, now and then.
    fn ask(&mut self) {
        let hosts: Vec<LogicalHost> = self.hosts();
        for at in 0..MACHINES {
            let Some(node) = &mut self.nodes[at] else { continue };
            let idle: Vec<Pid> = node
                .kernel
                .teams
                .values()
                .filter(|team| !team.is_frozen && !team.is_moved)
                .flat_map(|team| team.clients.iter().filter(|client| client.waits.is_none()))
                .map(|client| client.pid)
                .collect();
            for client in idle {
                if self.random.below(60) > 0 {
                    continue;
                }
                let others: Vec<_> = hosts.iter().filter(|host| **host != client.host()).collect();
                let host = *others[self.random.below(others.len() as u64) as usize];
                let index = 100 + self.random.below(u64::from(PROCESSES)) as u16;
                let bytes = |random: &mut Random| match random.below(6) {
                    0 | 1 => 0,
                    2 => random.below(500) as usize,
                    3 => random.below(20_000) as usize,
                    4 => random.below(32_000) as usize,
                    _ => 40_000 + random.below(60_000) as usize,
                };
                let sizes = (bytes(&mut self.random), bytes(&mut self.random));
                node.kernel.ask(client, Pid::process(host, 1, index), sizes);
            }
        }
    }

    /// All logical hosts that there are.
    fn hosts(&self) -> Vec<LogicalHost> {
        let guests =
            self.guests.iter().filter(|guest| !matches!(guest.step, Step::Gone)).map(|guest| guest.host);
        self.nodes.iter().flatten().map(|node| node.own).chain(guests).collect()
    }

    fn carry(&mut self, from: usize, outbox: Outbox) {
        for (destination, packet) in outbox.0 {
            for to in (0..MACHINES).filter(|to| *to != from) {
                let reached = match destination {
                    Destination::Host(host) => host == address(to),
                    Destination::Group(_) => true,
                };
                let copies = 1 + u64::from(self.random.below(1000) < self.repeats);
                for _ in 0..copies * u64::from(reached) {
                    if self.random.below(1000) < self.loss {
                        continue;
                    }
                    self.flights += 1;
                    let at_ns = self.now_ns + 50_000 + self.random.below(self.jitter_ns);
                    self.flying.insert((at_ns, self.flights), (to, address(from), packet.clone()));
                }
            }
        }
    }

    fn die(&mut self, at: usize) {
        self.note(|| format!("m{at} dies"));
        let Some(node) = self.nodes[at].take() else { return };
        self.oracle.borrow_mut().forget(node.own);
        for guest in &mut self.guests {
            guest.step = match guest.step.clone() {
                Step::Home | Step::Frozen { .. } if guest.at == at => Step::Gone,
                // The mover has its state, and where it came from still its processes.
                Step::Exported { from, to, state } | Step::Imported { from, to, state } if to == at => {
                    self.oracle.borrow_mut().take_back(&guest.open);
                    if from == at { Step::Gone } else { Step::Back { from, state } }
                }
                Step::Back { from, .. } if from == at => Step::Gone,
                other => other,
            };
            if matches!(guest.step, Step::Gone) {
                self.oracle.borrow_mut().forget(guest.host);
            }
        }
        self.nodes[at] = Some(self.boot(at));
    }

    /// Each guest's move goes on, or begins.
    fn move_guests(&mut self, begins: bool) {
        for number in 0..self.guests.len() {
            if self.guests[number].next_ns > self.now_ns {
                continue;
            }
            let (host, step, at) =
                (self.guests[number].host, self.guests[number].step.clone(), self.guests[number].at);
            let pause_ns = self.random.below(20 * MILLISECOND_NS);
            self.guests[number].next_ns = self.now_ns + pause_ns;
            let before = format!("{step:?}");
            let next = match step {
                Step::Home if begins && self.random.below(4) == 0 => {
                    let to = self.random.below(MACHINES as u64) as usize;
                    self.team(at, host).is_frozen = true;
                    Step::Frozen { from: at, to }
                }
                Step::Home | Step::Gone => continue,
                Step::Frozen { from, to } => self.export(host, from, to),
                Step::Exported { from, to, state } => match self.import(host, to, &state) {
                    Ok(()) => Step::Imported { from, to, state },
                    Err(error) => {
                        assert_eq!(error, Error::NoResources, "{host:?}");
                        Step::Back { from, state }
                    }
                },
                Step::Imported { from, to, .. } => {
                    if from != to
                        && let Some(node) = &mut self.nodes[from]
                    {
                        node.kernel.teams.remove(&host.to_bits());
                    }
                    self.guests[number].at = to;
                    self.thaw(to, host);
                    self.moves += 1;
                    Step::Home
                }
                Step::Back { from, state } => match self.import(host, from, &state) {
                    Ok(()) => {
                        self.thaw(from, host);
                        Step::Home
                    }
                    Err(error) => {
                        assert_eq!(error, Error::NoResources, "{host:?}");
                        Step::Back { from, state }
                    }
                },
            };
            let after = format!("{next:?}");
            self.note(|| format!("{host:?}: {before:.40} -> {after:.40}"));
            if matches!(next, Step::Exported { .. }) {
                self.guests[number].open = self.oracle.borrow().open_of(host);
            }
            self.guests[number].step = next;
        }
    }

    fn team(&mut self, at: usize, host: LogicalHost) -> &mut Team {
        let node = self.nodes[at].as_mut().expect("a machine");
        node.kernel.teams.get_mut(&host.to_bits()).expect("the guest is there")
    }

    fn thaw(&mut self, at: usize, host: LogicalHost) {
        let team = self.team(at, host);
        (team.is_frozen, team.is_moved) = (false, false);
    }

    fn export(&mut self, host: LogicalHost, from: usize, to: usize) -> Step {
        let mut outbox = Outbox::default();
        let now_ns = self.now_ns;
        let node = self.nodes[from].as_mut().expect("a machine");
        let team = Pid::process(host, 1, 0);
        // What the kernel has not given to the partner yet is the kernel's to take along: here it is waited for.
        let is_quiet = node.kernel.sent.iter().all(|(received, _)| received.sender.host() != host);
        let exported = if is_quiet {
            let room = if self.random.below(10) == 0 { 100 } else { ROOM };
            node.partner.export_host(now_ns, (host, team), room, &mut node.kernel, &mut outbox)
        } else {
            Err(Error::Busy)
        };
        self.carry(from, outbox);
        match exported {
            Ok(state) => Step::Exported { from, to, state },
            Err(error) => {
                assert!(matches!(error, Error::Busy | Error::TooLong), "{error}");
                self.thaw(from, host);
                Step::Home
            }
        }
    }

    fn import(&mut self, host: LogicalHost, to: usize, state: &[u8]) -> Result<(), Error> {
        let mut outbox = Outbox::default();
        let now_ns = self.now_ns;
        let node = self.nodes[to].as_mut().expect("a machine");
        node.kernel.now_ns = now_ns;
        let is_there = node.kernel.teams.contains_key(&host.to_bits());
        let team = if is_there { Pid::process(host, 1, 0) } else { Pid::process(node.own, 1, 200) };
        let imported = node.partner.import_host(now_ns, (host, team), state, &mut node.kernel, &mut outbox);
        self.carry(to, outbox);
        imported
    }
}
