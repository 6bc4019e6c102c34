//! Nodes with a network server each, and a guest on one of them.

use std::collections::{BTreeMap, BTreeSet};

use abi::call::{self, NOW, Registers};
use abi::kernel::process::{
    BecomeNetworkServer, CreateAlien, CreateTeam, Destroy, DestroyAlien, FreezeTeam, ReadTeam, ThawTeam,
    WriteTeam,
};
use abi::kernel::protection::{READ, WRITE};
use abi::kernel::record::AlienRecord;
use abi::kernel::{MEMORY, PROCESS, memory, team_state};
use abi::notice::notice::Notice;
use abi::remote::Arrival;
use abi::{Access, Error, Grant, LogicalHost, Message, Pid, Rights, UserId};
use kernel_core::machine::Resume;
use kernel_core::process::State;
use simulator::node::{receive, receive_from, reply};
use simulator::{Node, Outcome};

pub const GUEST: LogicalHost = LogicalHost::from_bits(0x6e57);
/// Of all that takes part.
pub const PRIORITY: u8 = 12;
/// Of the network server's memory: aliens' records and buffer, and the state that moves.
const RECORD: u64 = 0;
const STATE: u64 = 0x1000;
pub const STATE_BYTES: u64 = 0x8000;

/// A node with its network server.
pub struct Place {
    pub node: Node,
    pub network: Pid,
}

/// An alien that was sent.
#[derive(Clone, Copy)]
pub struct Client {
    pub alien: Pid,
    pub transaction: u64,
}

/// Places, and a guest at one of them.
pub struct World {
    pub places: Vec<Place>,
    pub at: usize,
    /// Its processes.
    pub processes: Vec<Pid>,
    /// The aliens of clients elsewhere that were not answered.
    pub clients: BTreeMap<Pid, Client>,
    /// Who has sent elsewhere, and awaits the reply.
    pub awaiting: Vec<Pid>,
    /// Processes whose full registers count. The simulated timer interrupts whoever runs, and has none for it.
    pub interrupted: BTreeSet<Pid>,
}

pub fn create(user: u32, rights: Rights) -> CreateTeam {
    CreateTeam {
        user: UserId(user),
        rights,
        priority: u32::from(PRIORITY),
        quota_pages: 0,
        quota_processes: 40,
    }
}

impl Place {
    /// A node whose clock says so.
    fn new(number: u32, now_ns: u64) -> Place {
        let mut node = Node::booted(LogicalHost::from_bits(0x100 + number), 240, 100, now_ns);
        let create = create(0, Rights(Rights::NETWORK_SERVER.0 | Rights::CREATE_FOR_OTHERS.0));
        let network = node.team_as(node.root, &create, 16).expect("a network server");
        node.request(network, PROCESS, &BecomeNetworkServer {}).expect("there is no other");
        let place = Place { node, network };
        assert_eq!(place.node.state(network), State::Ready);
        place
    }

    /// A team that a guest may move to, with memory.
    pub fn newborn(&mut self) -> Pid {
        let node = &mut self.node;
        let team = node.request(self.network, PROCESS, &create(100, Rights::NONE)).expect("a team").team;
        let map = memory::Map { team, address: Node::data(0), pages: 8, protection: READ | WRITE };
        node.request(self.network, MEMORY, &map).expect("memory for a newborn");
        team
    }

    pub fn freeze(&mut self, team: Pid) -> Result<(), Error> {
        self.node.request(self.network, PROCESS, &FreezeTeam { team }).map(|_| ())
    }

    pub fn thaw(&mut self, team: Pid) -> Result<(), Error> {
        self.node.request(self.network, PROCESS, &ThawTeam { team }).map(|_| ())
    }

    pub fn read(&mut self, team: Pid) -> Result<Vec<u8>, Error> {
        let grant = Grant::new(STATE_BYTES, Access::WRITE);
        let read = ReadTeam { team };
        let read = self.node.request_with(self.network, PROCESS, &read, Node::data(STATE), grant)?;
        Ok(self.node.peek_touched(self.network, Node::data(STATE), read.bytes as usize))
    }

    pub fn write(&mut self, team: Pid, state: &[u8]) -> Result<Pid, Error> {
        if !state.is_empty() {
            self.node.poke(self.network, Node::data(STATE), state);
        }
        let grant = Grant::new(state.len() as u64, Access::READ);
        let write = WriteTeam { team };
        Ok(self.node.request_with(self.network, PROCESS, &write, Node::data(STATE), grant)?.team)
    }

    /// Ends a team of the network server's, and hears of it.
    pub fn end(&mut self, team: Pid) {
        let destroy = Destroy { process: team, status: 0 };
        self.node.request(self.node.root, PROCESS, &destroy).expect("it is there");
        assert_eq!(self.take_end(), team);
    }

    /// The network server takes note of the end of a team of its own: which that was.
    pub fn take_end(&mut self) -> Pid {
        for _ in 0..40 {
            let registers = match self.node.call(self.network, receive()) {
                Outcome::Done(registers) => registers,
                Outcome::Waits => {
                    // Whoever is less urgent has its turn.
                    self.node.pass(50_000_000);
                    self.node.results(self.network)
                }
            };
            if let Some(Notice::TeamEnded(ended)) =
                Notice::from_message(&Message::from_registers(registers.message))
            {
                self.node.call(self.network, reply(ended.team, Message::default()));
                return ended.team;
            }
        }
        panic!("no end is told");
    }

    /// What the network server receives now.
    pub fn take(&mut self) -> Option<Registers> {
        match self.node.call(self.network, receive_from(Pid::NONE, NOW)) {
            Outcome::Done(registers) => Some(registers).filter(|registers| registers.number == 0),
            Outcome::Waits => panic!("it does not want to wait"),
        }
    }

    /// Sends an alien for a client.
    pub fn send_alien(
        &mut self,
        client: Pid,
        to: Pid,
        message: Message,
        forwarder: u64,
        was_received: bool,
    ) -> Result<Pid, Error> {
        let alien = self.node.request(self.network, PROCESS, &CreateAlien {})?.alien;
        let record = AlienRecord {
            client: client.to_bits(),
            to: to.to_bits(),
            user_and_transaction: 0x100_0000_0064,
            forwarder,
            priority: u64::from(PRIORITY) | if was_received { AlienRecord::RECEIVED_BIT } else { 0 },
            ..AlienRecord::default()
        };
        self.node.poke(self.network, Node::data(RECORD), &record.to_bytes());
        let sends = call::Reply {
            to: alien,
            message,
            segment_address: Node::data(RECORD),
            segment_bytes: AlienRecord::BYTES as u64,
            replier: 0,
            error: 0,
        };
        match self.node.call(self.network, sends.encode()) {
            Outcome::Done(results) => Error::check(results.number as u32).map(|()| alien),
            Outcome::Waits => panic!("a Reply waits"),
        }
    }
}

impl World {
    /// As many places, each with another time, and a guest at the first.
    pub fn new(places: u32) -> World {
        let mut places: Vec<Place> = (0..places)
            .map(|number| Place::new(number, 1 + u64::from((number + 5) % 7) * 3_000_017))
            .collect();
        let first = &mut places[0];
        let team = first.newborn();
        let set = abi::kernel::process::SetHost {
            team,
            host: GUEST.to_bits(),
            first_number: Pid::FIRST_GUEST_NUMBER,
        };
        let guest = first.node.request(first.network, PROCESS, &set).expect("a guest").team;
        first.node.call(first.network, reply(guest, Message::default()));
        let mut processes = vec![guest];
        for _ in 0..3 {
            processes.push(first.node.process(guest, PRIORITY));
        }
        World {
            places,
            at: 0,
            processes,
            clients: BTreeMap::new(),
            awaiting: Vec::new(),
            interrupted: BTreeSet::new(),
        }
    }

    pub fn here(&mut self) -> &mut Place {
        &mut self.places[self.at]
    }

    pub fn root(&self) -> Pid {
        self.processes[0]
    }

    /// Time passes everywhere.
    pub fn pass(&mut self, ns: u64) {
        for place in &mut self.places {
            place.node.pass(ns);
        }
    }

    /// The guest's monotonic clock.
    pub fn clock(&mut self) -> u64 {
        let root = self.root();
        let node = &self.here().node;
        let team = node.kernel.processes[node.index(root)].team;
        let offset = node.kernel.team(team).clock_offset_ns;
        node.kernel.machine.now_ns.checked_add_signed(offset).expect("a time")
    }

    /// A client elsewhere sends to one of the guest's processes.
    pub fn send_from_elsewhere(&mut self, client: Pid, to: Pid, message: Message) {
        if let Ok(alien) = self.here().send_alien(client, to, message, 0, false) {
            self.clients.insert(client, Client { alien, transaction: 0x100 });
        }
    }

    /// What has come to the network server: who has sent elsewhere, and answers to clients there. A process has one such
    /// message at a time, and those of several come in no certain order.
    pub fn carry(&mut self) -> Vec<(Pid, Pid, Message)> {
        let (mut carried, mut senders) = (Vec::new(), Vec::new());
        while let Some(registers) = self.here().take() {
            let message = Message::from_registers(registers.message);
            match Arrival::decode(&registers) {
                Arrival::Elsewhere { to, .. } => {
                    let client = Pid::from_bits(registers.pid);
                    senders.push(client);
                    carried.push((client, to, message));
                }
                Arrival::Answered { replier, .. } => {
                    let alien = registers.pid;
                    let answered = self.clients.iter().find(|(_, client)| client.alien.to_bits() == alien);
                    let (client, _) = answered.map(|(pid, client)| (*pid, *client)).expect("a client");
                    self.clients.remove(&client);
                    carried.push((replier, client, message));
                }
                Arrival::Own | Arrival::Forwarded { .. } => {}
            }
        }
        carried.sort_by_key(|(from, to, _)| (from.to_bits(), to.to_bits()));
        senders.sort_by_key(|sender| sender.to_bits());
        self.awaiting.extend(senders);
        carried
    }

    /// The guest moves to another place. False if it can't now.
    pub fn go(&mut self, to: usize) -> bool {
        let root = self.root();
        for pid in self.interrupted.clone() {
            // It was resumed meanwhile, did nothing, and is interrupted again.
            let kernel = &mut self.here().node.kernel;
            if let Ok(index) = kernel.processes.find(pid) {
                kernel.processes[index].resume = Resume::Full;
            }
        }
        if self.here().freeze(root).is_err() {
            return false;
        }
        let state = self.here().read(root).expect("a frozen team");
        assert_eq!(self.here().read(root), Err(Error::ProcessElsewhere), "it is told once");
        let target = self.places[to].newborn();
        assert_eq!(self.places[to].write(target, &state), Ok(root));
        // The network server takes its aliens along.
        let standing: Vec<_> = team_state::aliens(&state).collect();
        assert_eq!(standing.len(), self.clients.len());
        for (pid, client) in &mut self.clients {
            let here = &mut self.places[self.at];
            here.node.request(here.network, PROCESS, &DestroyAlien { alien: client.alien }).unwrap();
            let is_its = |record: &&team_state::StandingRecord| {
                record.client == pid.to_bits() && record.transaction == client.transaction
            };
            let record = standing.iter().find(is_its).expect("it is told");
            let message = Message::from_registers(record.message());
            let (receiver, was_received) = (Pid::from_bits(record.receiver), record.was_received == 1);
            let sent = self.places[to].send_alien(*pid, receiver, message, record.forwarder, was_received);
            client.alien = sent.expect("an alien");
        }
        assert_eq!(self.places[to].thaw(root), Ok(()));
        self.here().end(root);
        assert!(self.here().node.kernel.processes.guest(GUEST).is_none());
        self.at = to;
        true
    }
}
