//! One machine: a node, the network server on it, and programs.
//!
//! The kernel decides who runs; what a program or the network server then does takes no time. The first team's root is
//! the idle process, and the owner of all teams.

use std::collections::{BTreeMap, VecDeque};

use abi::call::{self, NOW};
use abi::kernel::{PROCESS, process};
use abi::notice;
use abi::protocol::Request as _;
use abi::remote::{Arrival, Received};
use abi::{Error, LogicalHost, Message, Pid, Rights, UserId};
use kernel_core::machine::Next;
use network_partner::{Configuration, Link, Partner, Standing};
use vmtp::Destination;
use vmtp::encapsulation::Address;

use super::bridge::{Bridge, Lent};
use super::oracle::Shared;
use super::programs::{Context, Program};
use crate::{Node, Outcome, check};

/// The network card's interrupt line.
const LINE: u32 = 5;
/// Packets that its ring holds.
const RING_PACKETS: usize = 64;
/// Requests from other machines that are served at a time.
const SERVES: usize = 24;
/// Priority of programs, and of the network server.
const PRIORITY: u8 = 12;
const NETWORK_PRIORITY: u8 = 6;

/// What a machine has.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Pages of each program.
    pub program_pages: u32,
    /// Bytes of the largest packet.
    pub mtu_bytes: u32,
}

/// A packet on its way.
pub type Sent = (Destination, Vec<u8>);

/// The network server.
struct Network {
    pid: Pid,
    interrupt: Pid,
    partner: Partner,
    lent: Lent,
}

/// See the module.
pub struct Host {
    /// The kernel.
    pub node: Node,
    machine: Machine,
    network: Option<Network>,
    programs: BTreeMap<Pid, Box<dyn Program>>,
    /// Programs of users that begin as soon as there is a logical host for each.
    guests: VecDeque<(u32, Box<dyn Program>)>,
    /// Logical hosts that are claimed in advance.
    spare_hosts: usize,
    /// What the network server is to do for who moves guests, and what came of the last.
    order: Option<Order>,
    done: Option<Result<Vec<u8>, Error>>,
    ring: VecDeque<(Address, Vec<u8>)>,
    /// What is to be sent.
    pub outbox: Vec<Sent>,
}

/// What the network server is asked by who moves guests: a guest's logical host and a team.
enum Order {
    Export(LogicalHost, Pid),
    Import(LogicalHost, Pid, Vec<u8>),
}

/// A guest on its way.
pub struct Moving {
    /// Its root.
    pub pid: Pid,
    /// Its program, as it was taken out.
    program: Box<dyn Program>,
    /// Whose it is.
    pub user: u32,
    memory: Vec<u8>,
    state: Vec<u8>,
}

struct Outbox<'a>(&'a mut Vec<Sent>);

impl Link for Outbox<'_> {
    fn transmit(&mut self, destination: &Destination, bytes: usize, fill: impl FnOnce(&mut [u8]) -> bool) {
        let mut packet = vec![0; bytes];
        if fill(&mut packet) {
            self.0.push((*destination, packet));
        }
    }
}

impl Host {
    /// A machine that boots now, with a network server that has so many logical hosts ready for guests.
    pub fn boot(
        logical_host: LogicalHost,
        machine: Machine,
        spare_hosts: usize,
        shared: &mut Shared,
    ) -> Host {
        let mut node = Node::booted(logical_host, 200, 100, shared.now_ns);
        node.checked = false;
        let mut host = Host {
            node,
            machine,
            network: None,
            programs: BTreeMap::new(),
            guests: VecDeque::new(),
            spare_hosts,
            order: None,
            done: None,
            ring: VecDeque::new(),
            outbox: Vec::new(),
        };
        host.start_network(shared);
        host
    }

    /// Its logical host.
    pub fn logical_host(&self) -> LogicalHost {
        self.node.root.host()
    }

    /// Whether another machine has its logical host.
    pub fn has_lost(&self) -> bool {
        self.network.as_ref().is_some_and(|network| network.partner.standing() == Standing::Lost)
    }

    /// Starts a network server.
    ///
    /// # Panics
    /// If there is one.
    pub fn start_network(&mut self, shared: &mut Shared) {
        let create = process::CreateTeam {
            user: UserId::SYSTEM,
            rights: Rights::NETWORK_SERVER,
            priority: u32::from(NETWORK_PRIORITY),
            quota_pages: 0,
            quota_processes: SERVES as u32 + 2,
        };
        let pid = self.node.team_as(self.node.root, &create, Lent::pages(SERVES)).expect("a team");
        let become_server = process::BecomeNetworkServer {};
        let former = self.node.request(pid, PROCESS, &become_server).expect("the only network server").former;
        let index = self.node.index(pid);
        let interrupt = self.node.kernel.claim_interrupt(index, LINE).expect("a free line");
        let default = Configuration::default();
        let configuration = Configuration {
            engine: vmtp::Configuration {
                mtu_bytes: self.machine.mtu_bytes,
                clients: 64,
                servers: 128,
                hosts: 32,
                buffers: 32,
                ..default.engine
            },
            spare_hosts: self.spare_hosts,
            serves: SERVES,
            serves_per_host: SERVES / 2,
            ..default
        };
        let seed = shared.random.bits();
        let partner = Partner::new(&configuration, self.logical_host(), former, shared.now_ns, seed);
        let mut network = Network { pid, interrupt, partner, lent: Lent::default() };
        for guest in self.programs.keys().filter(|pid| pid.is_guest()) {
            network.partner.resume_host(guest.host()).expect("not more than there were");
        }
        let mut bridge = Bridge { node: &mut self.node, pid, lent: &mut network.lent };
        network.partner.advance(shared.now_ns, &mut bridge, &mut Outbox(&mut self.outbox));
        self.network = Some(network);
        self.receive();
    }

    /// Ends the network server. Whatever it had is lost.
    ///
    /// # Panics
    /// If there is none.
    pub fn end_network(&mut self) {
        let network = self.network.take().expect("a network server");
        self.end(network.pid);
        self.ring.clear();
    }

    /// Ends a team.
    pub fn end(&mut self, pid: Pid) {
        let destroy = process::Destroy { process: pid, status: 0 };
        // It may have ended by itself.
        let _ = self.node.request(self.node.root, PROCESS, &destroy);
        self.programs.remove(&pid);
    }

    /// Starts a program of a user as a guest, as soon as there is a logical host for it.
    pub fn start_guest(&mut self, user: u32, program: Box<dyn Program>) {
        self.guests.push_back((user, program));
    }

    /// Starts the guests that wait, as far as there are logical hosts. Whether it has started any.
    fn start_guests(&mut self, shared: &mut Shared) -> bool {
        let before = self.guests.len();
        while let Some(network) = &mut self.network
            && !self.guests.is_empty()
            && let Ok(Some(host)) = network.partner.take_host(shared.now_ns, self.guests.len())
        {
            let (user, program) = self.guests.pop_front().expect("one that waits");
            let pid = self.node.guest(user, PRIORITY, self.machine.program_pages, host);
            shared.note(|| format!("guest {pid} begins"));
            if program.successor().is_some() {
                shared.oracle.meet_server(pid);
            }
            self.programs.insert(pid, program);
            self.node.interrupt(LINE);
        }
        self.guests.len() < before
    }

    /// The network server carries an order out, at once.
    fn carry_out(&mut self, order: Order, shared: &mut Shared) -> Result<Vec<u8>, Error> {
        self.order = Some(order);
        self.node.interrupt(LINE);
        self.run(shared);
        self.done.take().expect("the network server does what it is asked")
    }

    /// Stops a guest and takes it out.
    ///
    /// # Errors
    /// [`Busy`](Error::Busy), and it goes on.
    ///
    /// # Panics
    /// If it is no program's.
    pub fn take_out(&mut self, pid: Pid, shared: &mut Shared) -> Result<Moving, Error> {
        let root = self.node.root;
        self.node.request(root, PROCESS, &process::FreezeTeam { team: pid })?;
        let state = self.carry_out(Order::Export(pid.host(), pid), shared).inspect_err(|_| {
            self.thaw(pid, shared);
        })?;
        let memory = self.node.peek_touched(pid, Node::data(0), self.machine.program_pages as usize * 4096);
        let user = self.node.kernel.processes[self.node.index(pid)].user.0;
        let program = self.programs.remove(&pid).expect("the guest's program");
        Ok(Moving { pid, program, user, memory, state })
    }

    /// Takes a guest in, which comes from another machine, or from here. It is still frozen.
    ///
    /// # Errors
    /// It is not here.
    ///
    /// # Panics
    /// If there is no room for a team.
    pub fn take_in(&mut self, moving: &Moving, shared: &mut Shared) -> Result<(), Error> {
        let is_here = self.node.kernel.processes.find(moving.pid).is_ok();
        let team = if is_here {
            moving.pid
        } else {
            let team = self.node.newborn(moving.user, PRIORITY, self.machine.program_pages);
            self.node.poke(team, Node::data(0), &moving.memory);
            team
        };
        let order = Order::Import(moving.pid.host(), team, moving.state.clone());
        let taken = self.carry_out(order, shared);
        if let Err(error) = taken {
            if !is_here && self.node.kernel.processes.find(team).is_ok() {
                self.end(team);
            }
            return Err(error);
        }
        self.programs.insert(moving.pid, moving.program.copy());
        Ok(())
    }

    /// Lets a frozen guest go on.
    ///
    /// # Panics
    /// If it is not there, or not frozen.
    pub fn thaw(&mut self, pid: Pid, shared: &mut Shared) {
        let root = self.node.root;
        self.node.request(root, PROCESS, &process::ThawTeam { team: pid }).expect("it is frozen");
        self.run(shared);
    }

    /// Whether a guest is here, moved away or not.
    pub fn has(&self, pid: Pid) -> bool {
        self.node.kernel.processes.find(pid).is_ok()
    }

    /// A program has ended: a server gets a successor, and a guest's logical host is nobody's.
    fn succeed(&mut self, ended: Pid, successor: Option<(u32, Box<dyn Program>)>, shared: &mut Shared) {
        if ended.is_guest() {
            if let Some(network) = &mut self.network {
                // The network server may have been another one when it began, and not have been told.
                let _ = network.partner.release_host(shared.now_ns, ended.host());
                // What that has brought about, the network server does when it runs.
                self.node.interrupt(LINE);
            }
            self.guests.extend(successor);
        } else if let Some((user, successor)) = successor {
            let pid = self.start(user, successor);
            shared.oracle.meet_server(pid);
        }
    }

    /// Ends a program that may be in the midst of something.
    pub fn kill(&mut self, pid: Pid, shared: &mut Shared) {
        let successor = self.programs.get(&pid).and_then(|program| program.successor());
        self.end(pid);
        self.succeed(pid, successor, shared);
    }

    /// Starts a program of a user in a team of its own.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn start(&mut self, user: u32, program: Box<dyn Program>) -> Pid {
        let pid = self.node.team(user, PRIORITY, self.machine.program_pages);
        self.programs.insert(pid, program);
        pid
    }

    /// The programs that there are.
    pub fn programs(&self) -> impl Iterator<Item = (Pid, &dyn Program)> {
        self.programs.iter().map(|(pid, program)| (*pid, program.as_ref()))
    }

    /// A packet has come.
    pub fn take_packet(&mut self, from: Address, packet: Vec<u8>) {
        if self.network.is_some() && self.ring.len() < RING_PACKETS {
            self.ring.push_back((from, packet));
            self.node.interrupt(LINE);
        }
    }

    /// The time has come, and whoever can run does, until nobody can.
    ///
    /// # Panics
    /// If that has no end, or someone does what he should not.
    pub fn run(&mut self, shared: &mut Shared) {
        let passed = shared.now_ns - self.node.kernel.machine.now_ns;
        self.node.pass(passed);
        for _ in 0..100_000 {
            let Next::Run { process, .. } = self.node.next else {
                panic!("the idle process does not run");
            };
            let pid = self.node.kernel.processes[process].pid;
            if pid == self.node.root {
                if !self.reap(shared) && (self.guests.is_empty() || !self.start_guests(shared)) {
                    return;
                }
            } else if self.network.as_ref().is_some_and(|network| network.pid == pid) {
                self.step_network(shared);
            } else {
                self.step_program(pid, shared);
            }
        }
        panic!("the machine does not come to rest");
    }

    /// When the machine wants the time.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.node.kernel.machine.timer_ns
    }

    /// The idle process takes notice of a team's end, if there is one. A server gets a successor.
    fn reap(&mut self, shared: &mut Shared) -> bool {
        let root = self.node.root;
        let receive = call::Receive { from: Pid::NONE, buffer_address: 0, buffer_bytes: 0, deadline: NOW };
        let Outcome::Done(results) = self.node.call(root, receive.encode()) else {
            panic!("the idle process waits");
        };
        if results.number != 0 {
            return false;
        }
        let ended = Pid::from_bits(results.pid);
        self.node.call(root, crate::node::reply(ended, Message::default()));
        if let Some(program) = self.programs.remove(&ended) {
            self.succeed(ended, program.successor(), shared);
        }
        true
    }

    fn step_program(&mut self, pid: Pid, shared: &mut Shared) {
        let results = self.node.results(pid);
        let program = self.programs.get_mut(&pid).expect("who runs is known");
        let registers = program.step(&results, &mut Context { pid, node: &mut self.node, shared });
        self.node.call(pid, registers);
    }

    /// The network server has received something, or its time has come.
    fn step_network(&mut self, shared: &mut Shared) {
        let Some(network) = self.network.as_mut() else { return };
        let results = self.node.results(network.pid);
        let mut bridge = Bridge { node: &mut self.node, pid: network.pid, lent: &mut network.lent };
        let mut link = Outbox(&mut self.outbox);
        let now_ns = shared.now_ns;
        if results.number != 0 {
            assert_eq!(Error::from_code(results.number as u32), Error::DeadlinePassed);
            network.partner.advance(now_ns, &mut bridge, &mut link);
        } else {
            let received = Received::decode(&results);
            let head = received.message.segment_bytes() as usize;
            if head > 0 && matches!(received.arrival, Arrival::Elsewhere { .. }) {
                let content = bridge.node.peek(network.pid, Node::data(0), head);
                network.partner.inbox()[..head].copy_from_slice(&content);
            }
            if !network.partner.take_message(now_ns, &received, &mut bridge, &mut link) {
                assert_eq!(received.sender, network.interrupt, "nobody else sends to the network server");
                assert_eq!(received.message.code(), notice::notice::Interrupt::CODE);
                while let Some((from, packet)) = self.ring.pop_front() {
                    let mut brought = network.partner.take_packet(now_ns, from, &packet, &mut bridge);
                    network.partner.act(now_ns, brought.action.as_mut(), &mut bridge, &mut link);
                }
                network.partner.act(now_ns, None, &mut bridge, &mut link);
                if let Some(order) = self.order.take() {
                    self.done = Some(match order {
                        Order::Export(host, team) => {
                            let most_bytes = 1 << 20;
                            network.partner.export_host(
                                now_ns,
                                (host, team),
                                most_bytes,
                                &mut bridge,
                                &mut link,
                            )
                        }
                        Order::Import(host, team, state) => network
                            .partner
                            .import_host(now_ns, (host, team), &state, &mut bridge, &mut link)
                            .map(|()| Vec::new()),
                    });
                }
                self.node.call(network.pid, crate::node::reply(network.interrupt, Message::default()));
            }
        }
        self.receive();
    }

    /// The network server receives, until the partner wants the time.
    fn receive(&mut self) {
        let Some(network) = self.network.as_mut() else { return };
        let now_ns = self.node.kernel.machine.now_ns;
        let deadline = network.partner.next_deadline().map_or(call::FOREVER, |at| at.max(now_ns + 1));
        let receive = call::Receive {
            from: Pid::NONE,
            buffer_address: Node::data(0),
            buffer_bytes: abi::segment::HEAD_BYTES,
            deadline,
        };
        self.node.call(network.pid, receive.encode());
    }

    /// Checks that nothing is under way between this machine and others, and the kernel's invariants.
    ///
    /// # Panics
    /// If anything is.
    pub fn assert_quiet(&self) {
        check::invariants(&self.node.kernel);
        assert_eq!(check::alien_count(&self.node.kernel), 0, "aliens are left");
        let network = self.network.as_ref().expect("a network server");
        assert!(network.partner.is_quiet(), "the partner still has something: {:?}", network.partner);
        assert!(network.lent.is_empty(), "the kernel still has buffers");
    }

    /// Ends all programs and the network server.
    ///
    /// # Panics
    /// If the machine has not then all that it had at first.
    pub fn shut_down(mut self, shared: &mut Shared) {
        let programs: Vec<Pid> = self.programs.keys().copied().collect();
        for pid in programs {
            self.end(pid);
        }
        self.end_network();
        self.run(shared);
        let destroy = process::Destroy { process: Pid::NONE, status: 0 };
        let root = self.node.root;
        self.node.call(root, crate::node::send(abi::kernel::server(PROCESS), destroy.to_message()));
        self.node.pass(1_000_000_000);
        self.node.assert_empty();
    }
}
