//! Machines on a network that loses, repeats, delays, reorders and corrupts packets, is torn apart and heals; whose
//! machines crash and boot again, and whose network servers end and are started anew. Everything follows from a seed.
//!
//! Each machine is a kernel, the network server's library and programs ([`host`]); time is virtual, and goes from one
//! event to the next. What must hold is checked all the while ([`oracle`]), and at the end, when everything has healed,
//! that nothing is left.

mod bridge;
#[allow(clippy::missing_panics_doc)] // As of the oracle.
pub mod groups;
pub mod host;
#[allow(clippy::missing_panics_doc)] // As of the oracle.
mod moves;
#[allow(clippy::missing_panics_doc)] // What does not hold panics: that is all it is for.
pub mod oracle;
pub mod programs;
pub mod random;
mod schedule;

use std::collections::{BTreeMap, BTreeSet};

use abi::{LogicalHost, Pid};
use groups::{Asker, Member, Role};
use host::{Host, Moving, Sent};
use oracle::{Oracle, Shared};
use programs::{Client, Manner, Server};
use random::Random;
use schedule::Event;
pub use schedule::{Interruption, Schedule};
use vmtp::Destination;
use vmtp::encapsulation::Address;
use vmtp::packet::{Function, Packet};

/// Time in which everything that was begun must end, once the network has healed.
const PATIENCE_NS: u64 = 200_000_000_000;

/// What is on the way, or will happen.
enum Coming {
    /// A packet arrives.
    Packet { to: usize, from: Address, packet: Vec<u8> },
    /// Something befalls the network or a machine.
    Event(Event),
    /// Some guest is to move.
    Move,
    /// A guest on its way arrives at a machine.
    Arrive { moving: Moving, from: usize, to: usize },
    /// It is to go on there.
    GoOn { pid: Pid, from: usize, to: usize },
}

/// See the module.
pub struct World {
    schedule: Schedule,
    hosts: Vec<Option<Host>>,
    shared: Shared,
    /// By time, and in order of their coming to be.
    coming: BTreeMap<(u64, u64), Coming>,
    count: u64,
    /// Pairs of machines that do not hear each other.
    apart: Vec<(usize, usize)>,
    /// The network is as bad as the schedule says.
    bad: bool,
    /// Until when each machine's link is busy.
    busy_ns: Vec<u64>,
    /// Guests on their way, until they go on.
    on_their_way: BTreeSet<Pid>,
    /// How often guests have moved.
    moved: usize,
    /// How often a move has come as far as that of the schedule's interruption.
    phases: u32,
}

impl World {
    /// The machines of a schedule, booted, with their programs.
    pub fn new(schedule: Schedule, traced: bool) -> World {
        let shared = Shared {
            now_ns: 2_000_000_000,
            waited_ns: 0,
            random: Random::new(schedule.seed),
            oracle: Oracle::default(),
            restricted_group: None,
            trace: traced.then(String::new),
        };
        let mut world = World {
            hosts: Vec::new(),
            shared,
            coming: BTreeMap::new(),
            count: 0,
            apart: Vec::new(),
            bad: true,
            busy_ns: vec![0; schedule.hosts],
            on_their_way: BTreeSet::new(),
            moved: 0,
            phases: 0,
            schedule,
        };
        for _ in 0..world.schedule.hosts {
            world.hosts.push(None);
        }
        for at in 0..world.schedule.hosts {
            if world.schedule.contested {
                world.boot_bare(at);
            } else {
                world.boot(at);
            }
        }
        let events = std::mem::take(&mut world.schedule.events);
        for (at_ns, event) in events {
            world.add(world.shared.now_ns + at_ns, Coming::Event(event));
        }
        world.add(world.shared.now_ns + world.schedule.heal_ns, Coming::Event(Event::Heal));
        if world.schedule.moves {
            world.add(world.shared.now_ns + 2_400_000_000, Coming::Move);
        }
        world
    }

    /// Lets everything happen, and checks that it went as it must.
    ///
    /// # Panics
    /// If it did not.
    pub fn run(&mut self) {
        let end_ns = self.shared.now_ns + self.schedule.heal_ns + PATIENCE_NS;
        for at in 0..self.hosts.len() {
            self.run_host(at);
        }
        while let Some(next_ns) = self.next_ns().filter(|next_ns| *next_ns <= end_ns) {
            self.shared.now_ns = self.shared.now_ns.max(next_ns);
            while let Some(entry) = self.coming.first_entry()
                && entry.key().0 <= self.shared.now_ns
            {
                match entry.remove() {
                    Coming::Packet { to, from, packet } => {
                        if let Some(host) = &mut self.hosts[to] {
                            host.take_packet(from, packet);
                            self.run_host(to);
                        }
                    }
                    Coming::Event(event) => self.befall(event),
                    Coming::Move => self.begin_move(),
                    Coming::Arrive { moving, from, to } => self.arrive(moving, from, to),
                    Coming::GoOn { pid, from, to } => self.go_on(pid, from, to),
                }
            }
            for at in 0..self.hosts.len() {
                let due = self.hosts[at].as_ref().and_then(Host::deadline_ns);
                if due.is_some_and(|due| due <= self.shared.now_ns) {
                    self.run_host(at);
                }
            }
        }
        self.shared.oracle.assert_all_ended();
        assert!(self.was_interrupted(), "no move has come so far that it could be interrupted");
        let numbers: BTreeSet<LogicalHost> = self.hosts.iter().flatten().map(Host::logical_host).collect();
        assert_eq!(numbers.len(), self.hosts.len(), "machines have one logical host: {numbers:?}");
        for host in self.hosts.iter().flatten() {
            host.assert_quiet();
        }
        if !self.schedule.rough {
            let flooding = self.hosts[0].as_ref().filter(|_| self.schedule.flood > 0).map(Host::logical_host);
            self.shared.oracle.assert_all_well(|client| Some(client.host()) != flooding);
        }
        for host in self.hosts.drain(..).flatten() {
            host.shut_down(&mut self.shared);
        }
    }

    /// What happened, if it was traced.
    pub fn trace(&self) -> &str {
        self.shared.trace.as_deref().unwrap_or_default()
    }

    /// How many requests ended well, and how many did not.
    pub fn counts(&self) -> (usize, usize) {
        self.shared.oracle.counts()
    }

    /// How long programs have waited for servers, together.
    pub fn waited_ns(&self) -> u64 {
        self.shared.waited_ns
    }

    fn next_ns(&self) -> Option<u64> {
        let coming = self.coming.keys().next().map(|(at_ns, _)| *at_ns);
        let timers = self.hosts.iter().flatten().filter_map(Host::deadline_ns).min();
        [coming, timers].into_iter().flatten().min()
    }

    fn add(&mut self, at_ns: u64, coming: Coming) {
        self.count += 1;
        self.coming.insert((at_ns, self.count), coming);
    }

    /// A machine boots as another one does, without programs: their pids would be another's, too.
    fn boot_bare(&mut self, at: usize) {
        self.shared.note(|| format!("h{at} boots as {CONTESTED:?}"));
        self.hosts[at] = Some(Host::boot(CONTESTED, self.schedule.machine, 0, &mut self.shared));
    }

    /// A machine boots, with a logical host that nobody had before.
    fn boot(&mut self, at: usize) {
        let number = 0x10_0000 + (self.shared.random.below(1 << 16) as u32) * 16 + at as u32;
        let spare_hosts = if self.schedule.guests > 0 { 2 } else { 0 };
        let number = LogicalHost::from_bits(number);
        let mut host = Host::boot(number, self.schedule.machine, spare_hosts, &mut self.shared);
        let number = number.to_bits();
        self.shared.note(|| format!("h{at} boots as {number:x}"));
        for _ in 0..self.schedule.servers {
            let pid = host.start(USER, Box::new(Server::new(USER)));
            self.shared.oracle.meet_server(pid);
        }
        let manner = Manner { rough: self.schedule.rough, ..self.schedule.manner };
        let clients = self.schedule.clients;
        for number in 0..clients {
            let user = USER + number % 2;
            host.start(user, Box::new(Client::new(user, manner)));
        }
        for number in 0..self.schedule.guests {
            if number % 2 == 0 {
                host.start_guest(USER, Box::new(Server::new(USER)));
            } else {
                host.start_guest(USER, Box::new(Client::new(USER, manner)));
            }
        }
        if at == 0 {
            for _ in 0..self.schedule.flood {
                host.start(USER, Box::new(Client::new(USER, Manner { requests: 20, ..manner })));
            }
        }
        let restricted = self.schedule.restricted && self.schedule.members > 0;
        for number in 0..self.schedule.members {
            let role = match restricted {
                false => Role::Anyone,
                true if (at, number) == (0, 0) => Role::Founder,
                true => Role::Friend,
            };
            host.start(USER, Box::new(Member::new(role)));
        }
        if restricted {
            host.start(USER + 1, Box::new(Member::new(Role::Stranger)));
        }
        let members = self.schedule.members as usize * self.schedule.hosts;
        let expected = (self.schedule.loss == 0 && !self.schedule.rough).then_some(members);
        for _ in 0..self.schedule.askers {
            host.start(USER, Box::new(Asker::new(3, expected)));
        }
        self.hosts[at] = Some(host);
    }

    fn run_host(&mut self, at: usize) {
        let Some(host) = &mut self.hosts[at] else { return };
        host.run(&mut self.shared);
        let sent = std::mem::take(&mut host.outbox);
        let has_lost = host.has_lost();
        for packet in sent {
            self.carry(at, packet);
        }
        if has_lost {
            // As the network server of a real machine does.
            self.befall(Event::Crash(at));
            self.add(self.shared.now_ns + REBOOT_NS, Coming::Event(Event::Boot(at)));
        }
    }

    /// A packet leaves a machine.
    fn carry(&mut self, from: usize, (destination, packet): Sent) {
        if let Ok(parsed) = Packet::parse(&packet, false)
            && parsed.header.control.function() == Function::Request
        {
            self.shared.oracle.left(Pid::from_bits(parsed.header.client.to_bits()));
        }
        match destination {
            Destination::Host(address) => {
                for to in (0..self.hosts.len()).filter(|to| address_of(*to) == address) {
                    self.send(from, to, &packet);
                }
            }
            Destination::Group(_) => {
                for to in (0..self.hosts.len()).filter(|to| *to != from) {
                    self.send(from, to, &packet);
                }
            }
        }
    }

    /// A packet is on its way to a machine, and what may happen to it there does.
    fn send(&mut self, from: usize, to: usize, packet: &[u8]) {
        let (mut copies, mut fate) = (1, "");
        let mut packet = packet.to_vec();
        if self.apart.contains(&(from.min(to), from.max(to))) {
            (copies, fate) = (0, ", apart");
        } else if self.bad {
            let random = &mut self.shared.random;
            if random.per_mille(self.schedule.loss) {
                (copies, fate) = (0, ", lost");
            } else if random.per_mille(self.schedule.repeats) {
                (copies, fate) = (2, ", twice");
            } else if random.per_mille(self.schedule.corruption) {
                fate = ", corrupted";
                let at = random.below(packet.len() as u64) as usize;
                packet[at] ^= 1 << random.below(8);
            }
        }
        self.shared.note(|| format!("h{from} -> h{to} {}{fate}", describe(&packet)));
        let busy_ns = &mut self.busy_ns[from];
        *busy_ns = self.shared.now_ns.max(*busy_ns) + packet.len() as u64 * self.schedule.byte_ns;
        let left_ns = *busy_ns;
        for _ in 0..copies {
            let spread = if self.bad { self.schedule.spread_ns } else { 0 };
            let late = if self.bad && self.shared.random.per_mille(20) { 20 } else { 1 };
            let delay_ns = self.schedule.delay_ns + self.shared.random.below(spread * late + 1);
            let at_ns = left_ns + delay_ns;
            self.add(at_ns, Coming::Packet { to, from: address_of(from), packet: packet.clone() });
        }
    }

    fn befall(&mut self, event: Event) {
        self.shared.note(|| format!("*** {event:?}"));
        match event {
            Event::Part(one, other) => self.apart.push((one.min(other), one.max(other))),
            Event::Join(one, other) => self.apart.retain(|pair| *pair != (one.min(other), one.max(other))),
            Event::Crash(at) => {
                if let Some(host) = self.hosts[at].take() {
                    for (pid, _) in host.programs() {
                        self.shared.oracle.client_ended(pid);
                        self.on_their_way.remove(&pid);
                    }
                }
            }
            Event::Boot(at) => {
                if self.hosts[at].is_none() {
                    self.boot(at);
                    self.run_host(at);
                }
            }
            Event::RestartNetwork(at) => {
                if let Some(host) = &mut self.hosts[at] {
                    let own: Vec<Pid> = host.programs().map(|(pid, _)| pid).collect();
                    self.shared.oracle.network_ended(|client| own.contains(&client));
                    host.end_network();
                    host.run(&mut self.shared);
                    host.start_network(&mut self.shared);
                    self.run_host(at);
                }
            }
            Event::Kill(at, choice) => {
                if let Some(host) = &mut self.hosts[at] {
                    let is_on_its_way = |pid: &Pid| self.on_their_way.contains(pid);
                    let programs: Vec<Pid> =
                        host.programs().map(|(pid, _)| pid).filter(|pid| !is_on_its_way(pid)).collect();
                    if let Some(pid) = programs.get(choice % programs.len().max(1)) {
                        self.shared.note(|| format!("{pid} is killed"));
                        self.shared.oracle.client_ended(*pid);
                        host.kill(*pid, &mut self.shared);
                        self.run_host(at);
                    }
                }
            }
            Event::Heal => {
                self.bad = false;
                self.apart.clear();
                for at in 0..self.hosts.len() {
                    self.befall(Event::Boot(at));
                }
            }
        }
    }
}

/// What machines claim that shall claim the same.
const CONTESTED: LogicalHost = LogicalHost::from_bits(0xf_0000);
/// How long a machine takes to boot that has lost its logical host.
const REBOOT_NS: u64 = 10_000_000;

/// Whose the programs are.
const USER: u32 = 100;

/// The address of a machine's network card; it stays when the machine boots again.
fn address_of(host: usize) -> Address {
    Address::Ethernet([2, 0, 0, 0, 0, host as u8])
}

/// A packet, for the trace.
fn describe(packet: &[u8]) -> String {
    match Packet::parse(packet, true) {
        Ok(packet) => {
            let header = &packet.header;
            format!(
                "{:?} {:?} -> {:?} transaction {} control {:08x} delivery {:x} data {}, message {:x?}",
                header.control.function(),
                header.client,
                header.server,
                header.transaction,
                header.control.0,
                header.delivery,
                header.length_words * 4,
                header.message.words,
            )
        }
        Err(error) => format!("{error:?}"),
    }
}
