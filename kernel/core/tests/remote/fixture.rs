//! A node with a network server, and what tests of it share.

use abi::call::{self, NOW, Registers};
use abi::kernel::record::AlienRecord;
use abi::kernel::{PROCESS, process};
use abi::notice::notice::TeamEnded;
use abi::protocol::{Reply as _, Request};
use abi::remote::Arrival;
use abi::{Error, Grant, LogicalHost, Message, Pid, Rights, UserId};
use kernel_core::process::{Flags, Kind, Process, State};
use simulator::node::{receive_from, reply, send};
use simulator::{Node, Outcome};

pub const WORDS: Message = Message { words: [0x71, 2, 3, 4, 5, 6, 7, 0] };
pub const ANSWER: Message = Message { words: [0, 12, 13, 14, 15, 16, 17, 0] };
pub const ELSEWHERE: LogicalHost = LogicalHost::from_bits(0x999);
pub const FAR: Pid = Pid::process(ELSEWHERE, 3, 40);
pub const FARTHER: Pid = Pid::process(LogicalHost::from_bits(0x777), 1, 17);
/// Everyone's: all are ready most of the time, and take turns.
pub const PRIORITY: u8 = 12;

/// Of the clients elsewhere.
pub const USER: UserId = UserId(100);
pub const TRANSACTION: u64 = 77;

/// Where the network server takes data, and where it keeps aliens' buffers.
pub const INBOX: u64 = 0;
pub const BUFFER: u64 = 0x2_0000;
pub const BUFFER_BYTES: u64 = 0x1_0000;

/// A node with a network server, which waits for messages.
pub struct Fixture {
    pub node: Node,
    pub network: Pid,
    /// The alien that was sent last.
    pub alien: Pid,
}

impl Fixture {
    pub fn new() -> Fixture {
        let mut fixture = Fixture { node: Node::new(), network: Pid::NONE, alien: Pid::NONE };
        fixture.start_again();
        fixture
    }

    /// Starts a network server, the first or after one that has ended.
    pub fn start_again(&mut self) {
        self.network = network_team(&mut self.node);
        self.node.request(self.network, PROCESS, &become_server()).expect("there is no other");
        assert_eq!(self.receive(), None);
    }

    /// The network server takes a message, if there is one.
    pub fn receive(&mut self) -> Option<Registers> {
        match self.node.call(self.network, take_until(NOW)) {
            Outcome::Done(registers) if registers.number == 0 => Some(registers),
            Outcome::Done(registers) => {
                assert_eq!(registers.number, u64::from(Error::NothingWaiting.code()));
                None
            }
            Outcome::Waits => panic!("it does not want to wait"),
        }
    }

    /// What came, and what it is about.
    pub fn arrival(&mut self) -> (Registers, Arrival) {
        let registers = self.receive().expect("something has come");
        assert_eq!(registers.number, 0);
        (registers, Arrival::decode(&registers))
    }

    pub fn reply(&mut self, client: Pid, message: Message, replier: Pid, error: Option<Error>) -> Outcome {
        let reply = call::Reply {
            to: client,
            message,
            segment_address: 0,
            segment_bytes: 0,
            replier: replier.to_bits(),
            error: error.map_or(0, |error| u64::from(error.code())),
        };
        self.node.call(self.network, reply.encode())
    }

    pub fn reply_with_data(&mut self, client: Pid, message: Message, data: &[u8]) -> Outcome {
        self.node.poke(self.network, Node::data(INBOX), data);
        let reply = call::Reply {
            to: client,
            message,
            segment_address: Node::data(INBOX),
            segment_bytes: data.len() as u64,
            replier: 0,
            error: 0,
        };
        self.node.call(self.network, reply.encode())
    }

    /// What the network server sends for [`FAR`], with `head` in the buffer.
    pub fn record(&mut self, to: Pid, grant: Grant, head: &[u8]) -> AlienRecord {
        if !head.is_empty() {
            self.node.poke(self.network, Node::data(BUFFER), head);
        }
        AlienRecord {
            client: FAR.to_bits(),
            to: to.to_bits(),
            user_and_transaction: u64::from(USER.0) | TRANSACTION << 32,
            priority: 14,
            grant: grant.to_bits(),
            buffer_address: Node::data(BUFFER),
            buffer_bytes: head.len() as u64,
            buffer_capacity: BUFFER_BYTES,
            cookie: 0xc0_0c1e,
            ..AlienRecord::default()
        }
    }

    pub fn send_alien(&mut self, record: &AlienRecord) -> Result<(), Error> {
        self.send_alien_with(record, WORDS)
    }

    /// Sends an alien.
    pub fn send_alien_with(&mut self, record: &AlienRecord, message: Message) -> Result<(), Error> {
        self.find_alien()?;
        let reply = self.reply_to_alien(record, message);
        match self.node.call(self.network, reply) {
            Outcome::Done(results) => Error::check(results.number as u32),
            Outcome::Waits => panic!("a Reply waits"),
        }
    }

    /// An alien that is back, or a new one if there is none.
    pub fn find_alien(&mut self) -> Result<(), Error> {
        let is_back = |process: &Process<_>| {
            process.kind == Kind::Alien
                && process.state == State::AwaitingReply
                && process.flags.has(Flags::REMOTE)
        };
        let back = self.node.kernel.processes.iter().find(|(_, process)| is_back(process));
        self.alien = match back.map(|(_, alien)| alien.pid) {
            Some(alien) => alien,
            None => self.node.request(self.network, PROCESS, &process::CreateAlien {})?.alien,
        };
        Ok(())
    }

    /// The network server's reply to that alien.
    pub fn reply_to_alien(&mut self, record: &AlienRecord, message: Message) -> Registers {
        // Behind the buffer.
        let at = Node::data(BUFFER + BUFFER_BYTES);
        self.node.poke(self.network, at, &record.to_bytes());
        let segment_bytes = AlienRecord::BYTES as u64;
        let to = self.alien;
        call::Reply { to, message, segment_address: at, segment_bytes, replier: 0, error: 0 }.encode()
    }

    /// Ends that alien, whatever it does.
    pub fn destroy_alien(&mut self) -> Result<process::AlienDestroyed, Error> {
        self.node.request(self.network, PROCESS, &process::DestroyAlien { alien: self.alien })
    }

    /// A request of [`FAR`] to a kernel server, and its answer.
    pub fn ask_kernel<R: Request>(&mut self, server: u16, request: &R) -> Result<R::Reply, Error> {
        let host = self.network.host();
        let record = self.record(Pid::kernel_server(host, server), Grant::NONE, b"");
        self.send_alien_with(&record, request.to_message())?;
        let (registers, arrival) = self.arrival();
        let replier = Pid::kernel_server(host, server);
        assert_eq!(arrival, Arrival::Answered { cookie: 0xc0_0c1e, replier, outcome: Ok(()) });
        let message = Message::from_registers(registers.message);
        Error::check(message.code())?;
        Ok(R::Reply::from_message(&message))
    }

    /// A guest with some memory, started.
    pub fn guest(&mut self, host: LogicalHost) -> Pid {
        self.node.guest(100, PRIORITY, 8, host)
    }

    pub fn end(&mut self, team: Pid) -> TeamEnded {
        let root = self.node.root;
        let destroy = process::Destroy { process: team, status: 0 };
        self.node.request(root, PROCESS, &destroy).expect("destroyed");
        self.node.pass(500_000_000);
        let Outcome::Done(received) = self.node.call(root, receive_from(team, NOW)) else {
            panic!("its end")
        };
        self.node.call(root, reply(team, Message::default()));
        self.node.pass(500_000_000);
        TeamEnded::from_message(&Message::from_registers(received.message))
    }

    /// Ends these teams, which are all that there are, and looks whether nothing is left.
    pub fn finish(mut self, teams: &[Pid]) {
        for team in teams {
            self.end(*team);
        }
        let root = self.node.root;
        let destroy = process::Destroy { process: Pid::NONE, status: 0 };
        self.node.call(root, send(abi::kernel::server(PROCESS), destroy.to_message()));
        self.node.pass(1_000_000_000);
        self.node.assert_empty();
    }
}

/// The network server's Receive.
pub fn take_until(deadline: u64) -> Registers {
    let buffer_address = Node::data(INBOX);
    call::Receive { from: Pid::NONE, buffer_address, buffer_bytes: 0x1_0000, deadline }.encode()
}

pub fn become_server() -> process::BecomeNetworkServer {
    process::BecomeNetworkServer {}
}

pub fn network_team(node: &mut Node) -> Pid {
    let create = process::CreateTeam {
        user: UserId::SYSTEM,
        rights: Rights::NETWORK_SERVER,
        priority: u32::from(PRIORITY),
        quota_pages: 0,
        quota_processes: 20,
    };
    node.team_as(node.root, &create, 64).expect("a team for the network server")
}

pub fn refused(outcome: Outcome) -> Error {
    let Outcome::Done(registers) = outcome else {
        panic!("it waits");
    };
    Error::check(registers.number as u32).expect_err("an error")
}

pub fn succeeded(outcome: Outcome) -> Registers {
    let Outcome::Done(registers) = outcome else {
        panic!("it waits");
    };
    assert_eq!(registers.number, 0, "{}", Error::from_code(registers.number as u32));
    registers
}
