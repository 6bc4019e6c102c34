//! A storm: whoever the kernel runs does something at random, right or wrong, and the invariants must hold.
//!
//! A step is four numbers, so that a failing storm can be shrunk. What they mean depends on who runs: the *keeper*,
//! the first team's root, is the least urgent process and never waits, so that there is always someone to go on.

use std::collections::BTreeSet;

use abi::call::{self, FOREVER, NOW, Registers};
use abi::kernel::record::{AlienRecord, BindingRecord};
use abi::kernel::{GROUP, PROCESS, group, memory, process, protection, time};
use abi::protocol::{Reply as _, Request};
use abi::{Access, Error, Grant, LogicalHost, Message, Pid, Rights, UserId};
use kernel_core::machine::{Machine, Next, Place, ProcessIndex};
use kernel_core::process::{Flags, Kind, NOBODY, Process, State};

use crate::draft::Draft;
use crate::{Node, Space, check};

/// What happens next: which operation, on whom, with what.
pub type Step = (u8, u8, u8, u16);

/// What the first number of a step means, as often as it is likely; see `Storm::step` and `Draft::registers`.
#[rustfmt::skip]
const OPERATIONS: [u8; 72] = [
    2, 2, 2, 4, 4, 11, 11, 12,
    0, 0, 1, 3, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 8, 8,
    6, 7, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 12, 12, 12, 12,
    9, 9, 13, 13, 13, 13, 13, 13, 13, 14, 15, 16, 17, 18, 18, 18,
    19, 20, 21, 22, 23, 23, 24, 25, 26, 27, 28, 29, 30, 30, 30, 31,
];

/// A node in a storm.
pub struct Storm {
    /// The node.
    pub node: Node,
    /// Every pid that was ever seen, of processes living and dead, of groups, and nonsense.
    pids: Vec<Pid>,
    /// Every pid that a process was ever made with.
    born: BTreeSet<Pid>,
    line: u32,
    /// The number of the next guest's logical host.
    guests: u32,
}

/// What stands for no first number of a step.
const SEND_ALIEN: u8 = 255;

/// Pids that stay known: the keeper, nobody, a kernel server, a group, processes of other nodes.
const KNOWN_PIDS: usize = 8;

/// The logical host of the first guest; the others' follow.
const FIRST_GUEST_HOST: u32 = 0x6e00;

/// Whose the network server and its clients are.
const USER: UserId = UserId(100);

/// A process of another node.
const fn elsewhere(number: u16) -> Pid {
    Pid::process(LogicalHost::from_bits(0x900 + number as u32 % 2), 1, 16 + number % 4)
}

/// Whether it is an alien that the network server's reply sends.
fn is_back(process: &Process<Space>) -> bool {
    process.kind == Kind::Alien && process.flags.has(Flags::REMOTE) && process.state == State::AwaitingReply
}

impl Storm {
    /// A quiet node: the keeper, and some teams of two users.
    ///
    /// # Panics
    /// If the kernel refuses any of them.
    pub fn new() -> Storm {
        let mut node = Node::with_slots(48, 12);
        node.checked = true;
        let mut storm = Storm {
            born: BTreeSet::from([node.root]),
            pids: vec![
                node.root,
                Pid::NONE,
                abi::kernel::server(PROCESS),
                abi::kernel::well_known_group::NAMING,
                elsewhere(0),
                elsewhere(1),
                elsewhere(2),
                Pid::kernel_server(elsewhere(0).host(), PROCESS),
            ],
            node,
            line: 0,
            guests: 1,
        };
        for number in 0..4_u8 {
            let team = storm.node.team(100 + u32::from(number % 2), 12 + number, 20);
            storm.meet(team);
        }
        let guest = storm.node.guest(100, 13, 20, LogicalHost::from_bits(FIRST_GUEST_HOST));
        storm.meet(guest);
        let second = storm.node.process(guest, 13);
        storm.meet(second);
        let create = process::CreateTeam {
            user: USER,
            rights: Rights::NETWORK_SERVER,
            priority: 12,
            quota_pages: 40,
            quota_processes: 12,
        };
        let team = storm.node.team_as(storm.node.root, &create, 20).expect("a team for the network server");
        storm.meet(team);
        storm.node.request(team, PROCESS, &process::BecomeNetworkServer {}).expect("it has the right");
        storm
    }

    fn meet(&mut self, pid: Pid) {
        assert!(self.born.insert(pid), "{pid} was given twice");
        self.pids.push(pid);
    }

    /// One step of whoever runs; time passes if nobody does.
    pub fn step(&mut self, step: Step) {
        let (operation, whom, how, number) = step;
        match self.node.next {
            Next::Run { process, .. } => {
                let keeper = self.node.kernel.processes[process].pid == self.node.root;
                match OPERATIONS[usize::from(operation) % OPERATIONS.len()] {
                    // Everyone waits: deadlines wake some.
                    6 | 13 if keeper => self.node.pass(u64::from(number) * u64::from(how)),
                    2 if !keeper => self.bind(process, whom, how, number),
                    0 => self.node.pass(u64::from(number) * 997),
                    3 => {
                        let _ = self.node.interrupt(u32::from(whom % 8));
                    }
                    4 if !keeper => self.fault(whom, number),
                    5 if !keeper => self.claim(process),
                    operation => self.call(process, operation, whom, how, number, keeper),
                }
            }
            Next::Idle => self.node.pass(u64::from(number) * 997 + 1),
            Next::Work => unreachable!("the node settles"),
        }
        self.learn();
    }

    /// Mostly a process that lives; also one that does not, a group, a pseudo-sender, nonsense.
    fn pid(&self, whom: u8) -> Pid {
        let live: Vec<Pid> = self
            .node
            .kernel
            .processes
            .iter()
            .filter(|(_, process)| process.kind == Kind::Program)
            .map(|(_, process)| process.pid)
            .collect();
        if whom < 180 && !live.is_empty() {
            return live[usize::from(whom) % live.len()];
        }
        self.pids[usize::from(whom) % self.pids.len()]
    }

    /// Whoever can be seen in the tables now has been met.
    fn learn(&mut self) {
        let new: Vec<Pid> = self
            .node
            .kernel
            .processes
            .iter()
            .map(|(_, process)| process.pid)
            .filter(|pid| !self.born.contains(pid))
            .collect();
        for pid in new {
            self.meet(pid);
        }
        // The dead stay known for a while; but not all of them for ever.
        if self.pids.len() > 250 {
            self.pids.drain(KNOWN_PIDS..120);
        }
    }

    fn fault(&mut self, whom: u8, number: u16) {
        let address = Node::data(u64::from(number) * 2);
        let access = [protection::READ, protection::WRITE, protection::EXECUTE][usize::from(whom % 3)];
        let next = if whom < 200 {
            self.node.kernel.page_fault(address, access, 7)
        } else {
            self.node.kernel.exception(u32::from(whom % 20), 0, address)
        };
        self.node.settle(next);
    }

    fn claim(&mut self, current: ProcessIndex) {
        self.line = (self.line + 1) % 8;
        let _ = self.node.kernel.claim_interrupt(current, self.line);
        check::invariants(&self.node.kernel);
    }

    /// What lets the others go on, most of the time: chance alone soon has everyone waiting for everyone.
    fn sensible(&self, current: ProcessIndex, operation: u8, how: u8, keeper: bool) -> u8 {
        let process = &self.node.kernel.processes[current];
        let live = self.node.kernel.processes.used();
        let is_network_server = self.node.kernel.network_server == current;
        match operation {
            8 if is_network_server || keeper => SEND_ALIEN,
            12 | 15..=18 if is_network_server && how.is_multiple_of(4) => SEND_ALIEN,
            7 if !is_network_server => 10,
            9 if keeper || self.waiting_for(current, 0).is_none() => 10,
            10 if is_network_server && how < 150 => 10,
            18 if keeper && live < 14 => 19,
            19 if keeper && live > 14 => 21,
            10 if keeper && how.is_multiple_of(2) => 12,
            22 if how > 60 => 23,
            6 | 10 if how.is_multiple_of(8) => operation,
            6 | 10 if self.waiting_for(current, 0).is_some() => 12 + how % 2,
            6 if !process.queue.is_empty() => 10,
            _ => operation,
        }
    }

    /// Whom to send to: someone who waits for messages, most of the time.
    fn receiver(&self, whom: u8) -> Pid {
        let ready: Vec<Pid> = self
            .node
            .kernel
            .processes
            .iter()
            .filter(|(_, process)| process.state == State::Receiving)
            .map(|(_, process)| process.pid)
            .collect();
        if whom.is_multiple_of(4) || ready.is_empty() {
            return self.pid(whom);
        }
        ready[usize::from(whom) % ready.len()]
    }

    fn call(&mut self, current: ProcessIndex, operation: u8, whom: u8, how: u8, number: u16, keeper: bool) {
        let operation = self.sensible(current, operation, how, keeper);
        if operation == SEND_ALIEN {
            return self.send_alien(current, whom, how, number);
        }
        let pid = if operation == 6 { self.receiver(whom) } else { self.pid(whom) };
        let draft = Draft {
            pid,
            other: if operation == 7 { self.alien(current, whom, |_| true) } else { self.pid(how) },
            client: self.waiting_for(current, whom).unwrap_or(pid),
            elsewhere: elsewhere(number),
            later: self.node.kernel.machine.now_ns + 2 + u64::from(number) / 2,
            whom,
            how,
            number,
            guest_host: FIRST_GUEST_HOST + self.guests,
            keeper,
        };
        self.guests += 1;
        let registers = draft.registers(operation);
        // The keeper must go on; these would stop it or end all.
        if keeper && self.stops_the_keeper(&registers) {
            return;
        }
        self.make(current, registers);
    }

    /// Someone binds pages behind its memory to an instance of someone who may serve it, or not.
    fn bind(&mut self, current: ProcessIndex, whom: u8, how: u8, number: u16) {
        let pid = self.node.kernel.processes[current].pid;
        let binding = BindingRecord {
            pager: self.receiver(whom).to_bits(),
            instance: u64::from(how % 2),
            position: u64::from(number % 4) * 4096,
        };
        let space = self.node.kernel.processes[current].space;
        let place = Place { space, address: Node::data(64) };
        let _ = self.node.kernel.machine.write(place, &binding.to_bytes());
        let shared = if how.is_multiple_of(3) { protection::SHARED } else { 0 };
        let request = memory::Bind {
            team: Pid::NONE,
            address: Node::data(u64::from(20 + number % 10) * 4096),
            pages: 1 + u32::from(how % 4),
            protection: protection::READ | protection::WRITE | shared,
        };
        let grant = Grant::new(BindingRecord::BYTES as u64, Access::READ);
        let server = abi::kernel::server(abi::kernel::MEMORY);
        self.node.call(pid, crate::node::send_with(server, request.to_message(), Node::data(64), grant));
    }

    /// An alien of `current` of which `wanted` holds; now and then, or if there is none, anyone.
    fn alien(&self, current: ProcessIndex, whom: u8, wanted: impl Fn(&Process<Space>) -> bool) -> Pid {
        let aliens: Vec<Pid> = self
            .node
            .kernel
            .processes
            .iter()
            .filter(|(_, process)| process.kind == Kind::Alien && process.owner == current && wanted(process))
            .map(|(_, process)| process.pid)
            .collect();
        if whom < 240 && !aliens.is_empty() {
            aliens[usize::from(whom) % aliens.len()]
        } else {
            self.pid(whom)
        }
    }

    /// The network server, or someone who would like to be it, sends for a process of another node, or makes an alien
    /// first that can be sent.
    fn send_alien(&mut self, current: ProcessIndex, whom: u8, how: u8, number: u16) {
        let pid = self.node.kernel.processes[current].pid;
        let alien = self.alien(current, whom, is_back);
        if !self
            .node
            .kernel
            .processes
            .find(alien)
            .is_ok_and(|index| is_back(&self.node.kernel.processes[index]))
        {
            let outcome = self.node.request(pid, PROCESS, &process::CreateAlien {});
            assert!(
                outcome.is_err() || self.node.kernel.network_server == current,
                "only the network server may"
            );
            return;
        }
        let to = if whom.is_multiple_of(8) {
            Pid::kernel_server(self.node.root.host(), u16::from(whom / 8 % 8))
        } else {
            self.receiver(whom)
        };
        let access = Access(how % 4);
        let bytes = u64::from(number) / 4;
        let message = [0x101, 0x102, 0x103, 0x104, 0x105, 0x106, 0x107, 0x109, 0x401, 0x601, 0x201];
        let message_0 = message[usize::from(how) % message.len()] | self.pid(how).to_bits() << 32;
        let message = Message::from_registers([message_0, self.pid(how).to_bits() >> 32, 0, 0]);
        let record = AlienRecord {
            // For other logical hosts of this node the others are as good as elsewhere.
            client: if how % 8 < 3 { self.pid(how) } else { elsewhere(number) }.to_bits(),
            to: to.to_bits(),
            user_and_transaction: u64::from(USER.0) | u64::from(number) << 32,
            priority: u64::from(how % 31),
            grant: Grant::new(bytes, access).to_bits(),
            buffer_address: Node::data(u64::from(number) * 2),
            buffer_bytes: if access.contains(Access::READ) { bytes.min(u64::from(how)) } else { 0 },
            buffer_capacity: if how == 255 { u64::MAX } else { bytes },
            cookie: u64::from(number % 8),
            ..AlienRecord::default()
        };
        // Where its memory is not mapped any more, the kernel will say so.
        let space = self.node.kernel.processes[current].space;
        let place = Place { space, address: Node::data(64) };
        let _ = self.node.kernel.machine.write(place, &record.to_bytes());
        let (segment_address, segment_bytes) = (Node::data(64), AlienRecord::BYTES as u64);
        let registers = if how.is_multiple_of(2) {
            let (replier, error) = (0, 0);
            call::Reply { to: alien, message, segment_address, segment_bytes, replier, error }.encode()
        } else {
            let (buffer_address, buffer_bytes) = (Node::data(0), u64::from(whom));
            let (to, deadline) = (alien, if whom.is_multiple_of(2) { FOREVER } else { NOW });
            call::ReplyReceive {
                to,
                message,
                segment_address,
                segment_bytes,
                deadline,
                buffer_address,
                buffer_bytes,
            }
            .encode()
        };
        let is_network_server = self.node.kernel.network_server == current;
        let outcome = self.node.call(pid, registers);
        if !is_network_server && let crate::Outcome::Done(results) = outcome {
            assert_ne!(results.number, u64::from(Error::OK_CODE), "not the network server, and yet it sends");
        }
    }

    fn stops_the_keeper(&self, registers: &Registers) -> bool {
        let message = Message::from_registers(registers.message);
        let to = Pid::from_bits(registers.pid);
        let is_here = [LogicalHost::OWN, self.node.root.host()].contains(&to.host());
        if registers.number == call::Send::NUMBER && (!to.is_kernel_server() || !is_here) {
            return true;
        }
        if registers.number == call::Receive::NUMBER && registers.extra[2] != NOW {
            return true;
        }
        if registers.number == call::ReplyReceive::NUMBER && registers.extra[2] != NOW {
            return true;
        }
        match process::Process::from_message(&message) {
            Some(process::Process::Destroy(destroy)) => self.is_keeper(destroy.process),
            Some(process::Process::Suspend(suspend)) => self.is_keeper(suspend.process),
            // A fault in its team would be its end.
            Some(process::Process::CreateProcess(_)) => true,
            _ => matches!(time::Time::from_message(&message), Some(time::Time::Delay(_))),
        }
    }

    fn is_keeper(&self, pid: Pid) -> bool {
        pid.is_none() || pid == self.node.root
    }

    /// Someone who awaits the reply of `current`.
    fn waiting_for(&self, current: ProcessIndex, whom: u8) -> Option<Pid> {
        let clients: Vec<Pid> = self
            .node
            .kernel
            .processes
            .iter()
            .filter(|(_, process)| process.state == State::AwaitingReply && process.partner == current)
            // These send when they are replied to: an operation of its own.
            .filter(|(_, process)| !is_back(process))
            .map(|(index, _)| self.node.kernel.sender_pid(index))
            .collect();
        let count = clients.len();
        // Now and then a wrong one.
        (count > 0 && whom < 240).then(|| clients[usize::from(whom) % count])
    }

    /// The call itself, and what is known of its outcome beforehand.
    fn make(&mut self, current: ProcessIndex, registers: Registers) {
        let pid = self.node.kernel.processes[current].pid;
        let to = Pid::from_bits(registers.pid);
        let found = self.node.kernel.processes.find(to);
        let client = self.node.kernel.find_client(current, to);
        let outcome = self.node.call(pid, registers);
        let crate::Outcome::Done(results) = outcome else {
            return;
        };
        let code = Error::check(results.number as u32);
        if to == abi::kernel::server(GROUP)
            && Message::from_registers(registers.message).code() == group::Create::CODE
            && results.message[0] as u32 == Error::OK_CODE
        {
            let created = group::Created::from_message(&Message::from_registers(results.message));
            self.pids.push(created.group);
        }
        let replies = [call::Reply::NUMBER, call::Forward::NUMBER].contains(&registers.number);
        if replies && let Err(error) = client {
            assert_eq!(code, Err(error), "a reply that nobody awaits");
        }
        let sends = registers.number == call::Send::NUMBER;
        if sends && !to.is_elsewhere(pid.host()) && !to.is_group() && found == Err(Error::StaleProcess) {
            assert_eq!(code, Err(Error::StaleProcess), "a stale pid worked");
        }
    }

    /// Ends everything and looks whether all was given back.
    ///
    /// # Panics
    /// If it was not.
    pub fn calm(mut self) {
        let root = self.node.root;
        for _ in 0..1000 {
            // Whoever is more urgent than the keeper would run first: they all are stopped.
            let victim = self
                .node
                .kernel
                .processes
                .iter()
                .find(|(_, process)| {
                    process.kind == Kind::Program && process.pid != root && !process.flags.has(Flags::ENDED)
                })
                .map(|(_, process)| process.pid);
            let Some(victim) = victim else { break };
            let destroy = process::Destroy { process: victim, status: 0 };
            let _ = self.node.request(root, PROCESS, &destroy);
            self.reap();
        }
        self.reap();
        let destroy = process::Destroy { process: Pid::NONE, status: 0 };
        self.node.call(root, crate::node::send(abi::kernel::server(PROCESS), destroy.to_message()));
        // A page request to elsewhere waits for the next network server, as long as it may.
        self.node.pass(abi::page::DEADLINE_NS + 1_000_000_000);
        self.node.assert_empty();
    }

    /// The keeper answers all that waits for it.
    fn reap(&mut self) {
        let root = self.node.root;
        self.node.pass(50_000_000);
        while let crate::Outcome::Done(received) =
            self.node.call(root, crate::node::receive_from(Pid::NONE, NOW))
        {
            if received.number != 0 {
                break;
            }
            let sender = Pid::from_bits(received.pid);
            self.node.call(root, crate::node::reply(sender, Message::default()));
            self.node.pass(50_000_000);
        }
        // And all that it took in the storm.
        let keeper = self.node.index(root);
        let mut answered = 0;
        while let Some(client) = self.waiting_for(keeper, 0) {
            self.node.call(root, crate::node::reply(client, Message::default()));
            if self.waiting_for(keeper, 0) == Some(client) {
                // It stands for a group's members on other nodes, and takes replies until it is told of the last.
                let last = call::Reply {
                    to: client,
                    message: Message::default(),
                    segment_address: 0,
                    segment_bytes: 0,
                    replier: 0,
                    error: u64::from(Error::DeadlinePassed.code()),
                };
                self.node.call(root, last.encode());
            }
            answered += 1;
            assert!(answered < 1000, "{client} cannot be answered");
        }
    }

    /// Everything of the tables that a program could notice, to compare two nodes by.
    pub fn picture(&self) -> Vec<String> {
        let slot = |(index, process): (ProcessIndex, &Process<Space>)| {
            format!(
                "{index} {} {:?} {:?} {} partner {} next {} queue {:?} did {:?} transaction {} {:?}",
                process.pid,
                process.state,
                process.flags,
                process.priority,
                if matches!(process.state, State::Ready | State::Receiving) {
                    NOBODY
                } else {
                    process.partner
                },
                process.next,
                process.queue,
                process.usage,
                process.transaction,
                // A receiver's registers hold nothing yet.
                if matches!(process.state, State::Receiving | State::ReceivingFrom) {
                    Registers::default()
                } else {
                    process.registers
                },
            )
        };
        let mut picture: Vec<String> = self.node.kernel.processes.iter().map(slot).collect();
        picture.push(format!("{:?}", self.node.next));
        picture
    }
}

impl Default for Storm {
    fn default() -> Storm {
        Storm::new()
    }
}
