//! The kernel's side of messages between nodes: Sends that go to the network server, aliens that it sends for clients
//! elsewhere, copies and forwards across, and the end of each of those who take part.

use abi::call::{self, MoveFrom, MoveTo, NOW, Registers};
use abi::kernel::record::AlienRecord;
use abi::kernel::{PROCESS, REMOTE, STATISTICS, TIME, process, remote, statistics, time};
use abi::protocol::{Reply as _, Request};
use abi::remote::{Arrival, TRANSACTION_STEP};
use abi::segment::HEAD_BYTES;
use abi::{Access, Error, Grant, LogicalHost, Message, Pid, Rights, UserId};
use kernel_core::process::State;
use simulator::node::{receive, receive_from, reply, reply_receive, send, send_with};
use simulator::{Node, Outcome};

const WORDS: Message = Message { words: [0x71, 2, 3, 4, 5, 6, 7, 0] };
const ANSWER: Message = Message { words: [0, 12, 13, 14, 15, 16, 17, 0] };
const ELSEWHERE: LogicalHost = LogicalHost::from_bits(0x999);
const FAR: Pid = Pid::process(ELSEWHERE, 3, 40);
const FARTHER: Pid = Pid::process(LogicalHost::from_bits(0x777), 1, 17);
/// Everyone's: all are ready most of the time, and take turns.
const PRIORITY: u8 = 12;

/// Of the clients elsewhere.
const USER: UserId = UserId(100);
const TRANSACTION: u64 = 77;

/// Where the network server takes data, and where it keeps aliens' buffers.
const INBOX: u64 = 0;
const BUFFER: u64 = 0x2_0000;
const BUFFER_BYTES: u64 = 0x1_0000;

/// A node with a network server, which waits for messages.
struct Fixture {
    node: Node,
    network: Pid,
}

impl Fixture {
    fn new() -> Fixture {
        let mut node = Node::new();
        let network = network_team(&mut node);
        assert_eq!(
            node.request(network, PROCESS, &become_server()),
            Ok(process::NetworkServerSet { former: 0 })
        );
        let mut fixture = Fixture { node, network };
        assert_eq!(fixture.receive(), None);
        fixture
    }

    /// The network server takes a message, if there is one.
    fn receive(&mut self) -> Option<Registers> {
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
    fn arrival(&mut self) -> (Registers, Arrival) {
        let registers = self.receive().expect("something has come");
        assert_eq!(registers.number, 0);
        (registers, Arrival::decode(&registers))
    }

    fn reply(&mut self, client: Pid, message: Message, replier: Pid, error: Option<Error>) -> Outcome {
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

    fn reply_with_data(&mut self, client: Pid, message: Message, data: &[u8]) -> Outcome {
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
    fn record(&mut self, to: Pid, grant: Grant, head: &[u8]) -> AlienRecord {
        if !head.is_empty() {
            self.node.poke(self.network, Node::data(BUFFER), head);
        }
        let [message_0, message_1, message_2, message_3] = WORDS.to_registers();
        AlienRecord {
            client: FAR.to_bits(),
            to: to.to_bits(),
            user_and_transaction: u64::from(USER.0) | TRANSACTION << 32,
            priority: 14,
            message_0,
            message_1,
            message_2,
            message_3,
            grant: grant.to_bits(),
            buffer_address: Node::data(BUFFER),
            buffer_bytes: head.len() as u64,
            buffer_capacity: BUFFER_BYTES,
            cookie: 0xc0_0c1e,
            ..AlienRecord::default()
        }
    }

    fn send_alien(&mut self, record: &AlienRecord) -> Result<(), Error> {
        // Behind the buffer.
        let at = Node::data(BUFFER + BUFFER_BYTES);
        self.node.poke(self.network, at, &record.to_bytes());
        let grant = Grant::new(AlienRecord::BYTES as u64, Access::READ);
        self.node.request_with(self.network, PROCESS, &process::SendAlien {}, at, grant).map(|_| ())
    }

    fn destroy_alien(&mut self, cookie: u64) -> Result<process::AlienDestroyed, Error> {
        self.node.request(self.network, PROCESS, &process::DestroyAlien { client: FAR, cookie })
    }

    /// A request of [`FAR`] to a kernel server, and its answer.
    fn ask_kernel<R: Request>(&mut self, server: u16, request: &R) -> Result<R::Reply, Error> {
        let [message_0, message_1, message_2, message_3] = request.to_message().to_registers();
        let host = self.network.host();
        let record = self.record(Pid::kernel_server(host, server), Grant::NONE, b"");
        self.send_alien(&AlienRecord { message_0, message_1, message_2, message_3, ..record })?;
        let (registers, arrival) = self.arrival();
        let replier = Pid::kernel_server(host, server);
        assert_eq!(arrival, Arrival::Answered { cookie: 0xc0_0c1e, replier, outcome: Ok(()) });
        let message = Message::from_registers(registers.message);
        Error::check(message.code())?;
        Ok(R::Reply::from_message(&message))
    }

    fn end(&mut self, team: Pid) {
        let root = self.node.root;
        let destroy = process::Destroy { process: team, status: 0 };
        self.node.request(root, PROCESS, &destroy).expect("destroyed");
        self.node.pass(500_000_000);
        assert!(matches!(self.node.call(root, receive_from(team, NOW)), Outcome::Done(_)));
        self.node.call(root, reply(team, Message::default()));
        self.node.pass(500_000_000);
    }

    /// Ends these teams, which are all that there are, and looks whether nothing is left.
    fn finish(mut self, teams: &[Pid]) {
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
fn take_until(deadline: u64) -> Registers {
    let buffer_address = Node::data(INBOX);
    call::Receive { from: Pid::NONE, buffer_address, buffer_bytes: 0x1_0000, deadline }.encode()
}

fn become_server() -> process::BecomeNetworkServer {
    process::BecomeNetworkServer {}
}

fn network_team(node: &mut Node) -> Pid {
    let create = process::CreateTeam {
        user: UserId::SYSTEM,
        rights: Rights::NETWORK_SERVER,
        priority: u32::from(PRIORITY),
        quota_pages: 0,
        quota_processes: 20,
    };
    node.team_as(node.root, &create, 64).expect("a team for the network server")
}

fn refused(outcome: Outcome) -> Error {
    let Outcome::Done(registers) = outcome else {
        panic!("it waits");
    };
    Error::check(registers.number as u32).expect_err("an error")
}

fn succeeded(outcome: Outcome) -> Registers {
    let Outcome::Done(registers) = outcome else {
        panic!("it waits");
    };
    assert_eq!(registers.number, 0, "{}", Error::from_code(registers.number as u32));
    registers
}

#[test]
fn there_is_one_network_server_with_the_right() {
    let mut node = Node::new();
    let plain = node.team(100, PRIORITY, 0);
    assert_eq!(node.request(plain, PROCESS, &become_server()), Err(Error::NoPermission));
    assert_eq!(refused(node.call(plain, send(FAR, WORDS))), Error::NoNetwork);
    let first = network_team(&mut node);
    let second = network_team(&mut node);
    for _ in 0..2 {
        assert_eq!(
            node.request(first, PROCESS, &become_server()),
            Ok(process::NetworkServerSet { former: 0 })
        );
        assert_eq!(node.request(second, PROCESS, &become_server()), Err(Error::Busy));
    }
    // Only that may do what it may do.
    let destroy = process::DestroyAlien { client: FAR, cookie: 0 };
    assert_eq!(node.request(second, PROCESS, &destroy), Err(Error::NoPermission));
    assert_eq!(node.request(first, PROCESS, &destroy), Err(Error::NonexistentProcess));
    // It would wait for itself.
    assert_eq!(refused(node.call(first, send(FAR, WORDS))), Error::BadArgument);
    let timed = call::Send { to: FAR, message: WORDS, segment_address: 0, grant: 0, deadline: 5 };
    assert_eq!(refused(node.call(plain, timed.encode())), Error::BadArgument);
    let mut fixture = Fixture { node, network: first };
    fixture.end(first);
    let node = &mut fixture.node;
    assert_eq!(refused(node.call(plain, send(FAR, WORDS))), Error::NoNetwork);
    assert_eq!(node.request(second, PROCESS, &become_server()), Ok(process::NetworkServerSet { former: 1 }));
    fixture.finish(&[plain, second]);
}

#[test]
fn a_send_to_elsewhere_goes_to_the_network_server() {
    let mut fixture = Fixture::new();
    let client = fixture.node.team(100, PRIORITY, 4);
    fixture.node.poke(client, Node::data(0), b"readable");
    for transaction in 1..=3 {
        let grant = Grant::new(8, Access::READ_WRITE);
        let outcome = fixture.node.call(client, send_with(FAR, WORDS, Node::data(0), grant));
        assert_eq!(outcome, Outcome::Waits);
        let (registers, arrival) = fixture.arrival();
        assert_eq!(arrival, Arrival::Elsewhere { to: FAR, transaction: transaction * TRANSACTION_STEP });
        assert_eq!((registers.pid, registers.extra[0]), (client.to_bits(), grant.to_bits()));
        assert_eq!((registers.extra[1] as u32, registers.extra[2]), (100, 0), "user and forwarder");
        assert_eq!(Message::from_registers(registers.message).words, [0x71, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(fixture.node.peek(fixture.network, Node::data(INBOX), 8), b"readable");

        match transaction {
            1 => {
                // As any server: the client sees whom it addressed.
                fixture.node.poke(fixture.network, Node::data(INBOX), b"writ");
                let answer = call::ReplyReceive {
                    to: client,
                    message: ANSWER,
                    segment_address: Node::data(INBOX),
                    segment_bytes: 4,
                    deadline: NOW,
                    buffer_address: Node::data(INBOX),
                    buffer_bytes: 0x1000,
                };
                let outcome = fixture.node.call(fixture.network, answer.encode());
                assert_eq!(refused(outcome), Error::NothingWaiting);
                let results = fixture.node.results(client);
                assert_eq!((results.number, results.pid), (0, FAR.to_bits()));
                assert_eq!(Message::from_registers(results.message).words, [0, 12, 13, 14, 15, 16, 17, 4]);
                assert_eq!(results.extra, [0; 5]);
                assert_eq!(fixture.node.peek(client, Node::data(0), 8), b"writable");
            }
            2 => {
                succeeded(fixture.reply(client, ANSWER, FARTHER, None));
                assert_eq!(fixture.node.results(client).pid, FARTHER.to_bits());
            }
            _ => {
                succeeded(fixture.reply(client, ANSWER, FAR, Some(Error::HostNotFound)));
                assert_eq!(fixture.node.error(client), Error::HostNotFound);
                assert_eq!(fixture.node.results(client).message, [0; 4]);
            }
        }
        fixture.node.poke(client, Node::data(0), b"readable");
    }
    // Others' replies say nothing of the kind.
    let server = fixture.node.team(100, PRIORITY, 0);
    fixture.node.call(client, send(server, WORDS));
    succeeded(fixture.node.call(server, receive()));
    let answer = call::Reply {
        to: client,
        message: ANSWER,
        segment_address: 0,
        segment_bytes: 0,
        replier: FAR.to_bits(),
        error: 5,
    };
    succeeded(fixture.node.call(server, answer.encode()));
    let results = fixture.node.results(client);
    assert_eq!((results.number, results.pid), (0, server.to_bits()));
    let (client_team, network) = (client, fixture.network);
    fixture.finish(&[client_team, server, network]);
}

#[test]
fn a_client_that_ends_is_not_replied_to() {
    let mut fixture = Fixture::new();
    let client = fixture.node.team(100, PRIORITY, 4);
    fixture.node.call(client, send(FAR, WORDS));
    fixture.arrival();
    // How the network server looks whether it is still wanted.
    let look = MoveFrom { client, segment_offset: 0, address: 0, bytes: 0 }.encode();
    assert_eq!(refused(fixture.node.call(fixture.network, look)), Error::NoReadAccess);
    fixture.end(client);
    assert_eq!(refused(fixture.node.call(fixture.network, look)), Error::StaleProcess);
    assert_eq!(refused(fixture.reply(client, ANSWER, FAR, None)), Error::StaleProcess);
    let network = fixture.network;
    fixture.finish(&[network]);
}

#[test]
fn the_network_servers_end_tells_what_may_have_been_done() {
    let mut fixture = Fixture::new();
    let received = fixture.node.team(100, PRIORITY, 4);
    let queued = fixture.node.team(100, PRIORITY, 4);
    fixture.node.call(received, send(FAR, WORDS));
    fixture.arrival();
    fixture.node.call(queued, send(FAR, WORDS));
    // Two aliens, one received, one queued, and one on its way back.
    let servers = [0, 1, 2].map(|_| fixture.node.team(100, PRIORITY, 4));
    for (cookie, server) in (0..).zip(servers) {
        let record = AlienRecord { cookie, ..fixture.record(server, Grant::NONE, b"") };
        fixture.send_alien(&record).unwrap();
    }
    succeeded(fixture.node.call(servers[0], receive()));
    succeeded(fixture.node.call(servers[1], receive()));
    succeeded(fixture.node.call(servers[0], reply(FAR, ANSWER)));
    let network = fixture.network;
    fixture.end(network);
    assert_eq!(fixture.node.error(received), Error::HostUnreachable);
    assert_eq!(fixture.node.error(queued), Error::NoNetwork);
    assert_eq!(refused(fixture.node.call(servers[1], reply(FAR, ANSWER))), Error::NotAwaitingReply);
    assert_eq!(fixture.node.call(servers[2], receive()), Outcome::Waits);
    fixture.finish(&[received, queued, servers[0], servers[1], servers[2]]);
}

#[test]
fn an_alien_stands_for_its_client() {
    let mut fixture = Fixture::new();
    let server = fixture.node.team(100, PRIORITY, 8);
    let take = call::Receive {
        from: Pid::NONE,
        buffer_address: Node::data(0),
        buffer_bytes: 4,
        deadline: call::FOREVER,
    };
    assert_eq!(fixture.node.call(server, take.encode()), Outcome::Waits);
    let grant = Grant::new(0x10_0000, Access::READ_WRITE);
    let record = fixture.record(server, grant, b"head of the segment");
    let forwarder = FARTHER.to_bits();
    fixture.send_alien(&AlienRecord { forwarder, ..record }).unwrap();
    let received = fixture.node.results(server);
    assert_eq!((received.number, received.pid), (0, FAR.to_bits()));
    assert_eq!(received.extra, [grant.to_bits(), 100, forwarder, 0, 0]);
    assert_eq!(Message::from_registers(received.message).words, [0x71, 2, 3, 4, 5, 6, 7, 4]);
    assert_eq!(fixture.node.peek(server, Node::data(0), 4), b"head");
    assert_eq!(fixture.node.priority(server), PRIORITY, "it is no more urgent than it is");

    // What came along is at hand, and it is the client's pid that is answered.
    let move_from =
        MoveFrom { client: FAR, segment_offset: 12, address: Node::data(0x1000), bytes: 7 }.encode();
    assert_eq!(succeeded(fixture.node.call(server, move_from)).extra[0], 7);
    assert_eq!(fixture.node.peek(server, Node::data(0x1000), 7), b"segment");
    // The network server waits for what comes.
    assert_eq!(fixture.node.call(fixture.network, take_until(call::FOREVER)), Outcome::Waits);
    let answer = call::Reply {
        to: FAR,
        message: ANSWER,
        segment_address: Node::data(0x1000),
        segment_bytes: 7,
        replier: 0,
        error: 0,
    }
    .encode();
    succeeded(fixture.node.call(server, answer));
    assert_eq!(refused(fixture.node.call(server, answer)), Error::NotAwaitingReply);
    let registers = fixture.node.results(fixture.network);
    let arrival = Arrival::decode(&registers);
    assert_eq!(refused(fixture.node.call(fixture.network, answer)), Error::NotAwaitingReply);
    let cookie = record.cookie;
    assert_eq!(arrival, Arrival::Answered { cookie, replier: server, outcome: Ok(()) });
    assert_eq!(registers.pid, FAR.to_bits());
    assert_eq!(Message::from_registers(registers.message).words, [0, 12, 13, 14, 15, 16, 17, 7]);
    assert_eq!(fixture.node.peek(fixture.network, Node::data(BUFFER), 8), b"segment ");
    assert_eq!(fixture.receive(), None);
    assert_eq!(fixture.destroy_alien(cookie), Err(Error::NonexistentProcess));
    let network = fixture.network;
    fixture.finish(&[server, network]);
}

#[test]
fn what_the_network_server_cannot_send() {
    let mut fixture = Fixture::new();
    let server = fixture.node.team(100, PRIORITY, 8);
    let gone = fixture.node.team(100, PRIORITY, 8);
    fixture.end(gone);
    let sound = fixture.record(server, Grant::new(0x1000, Access::READ_WRITE), b"12");
    let write = Grant::new(0x1_0000, Access::WRITE).to_bits();
    let local = Pid::process(server.host(), 99, 99).to_bits();
    let group = Pid::unrestricted_group(ELSEWHERE, 5).to_bits();
    let kernel = Pid::kernel_server(ELSEWHERE, PROCESS).to_bits();
    let own = Pid::process(LogicalHost::OWN, 1, 17).to_bits();
    for (record, error) in [
        (AlienRecord { client: local, ..sound }, Error::BadArgument),
        (AlienRecord { client: group, ..sound }, Error::BadArgument),
        (AlienRecord { client: kernel, ..sound }, Error::BadArgument),
        (AlienRecord { client: own, ..sound }, Error::BadArgument),
        (AlienRecord { client: 0, ..sound }, Error::BadArgument),
        (AlienRecord { priority: 30, ..sound }, Error::BadArgument),
        (AlienRecord { grant: write, buffer_bytes: 0, buffer_capacity: 0xffff, ..sound }, Error::BadArgument),
        (AlienRecord { grant: write, buffer_bytes: 1, ..sound }, Error::BadArgument),
        (AlienRecord { buffer_bytes: 0x1001, ..sound }, Error::BadArgument),
        (AlienRecord { buffer_address: abi::USER_ADDRESS_END - 0xffff, ..sound }, Error::BadAddress),
        (AlienRecord { buffer_capacity: u64::MAX, ..sound }, Error::BadAddress),
        (AlienRecord { to: gone.to_bits(), ..sound }, Error::StaleProcess),
        (AlienRecord { to: local, ..sound }, Error::NonexistentProcess),
        (AlienRecord { to: FARTHER.to_bits(), ..sound }, Error::ProcessElsewhere),
        (AlienRecord { to: group, ..sound }, Error::NonexistentProcess),
    ] {
        assert_eq!(fixture.send_alien(&record), Err(error), "{record:?}");
    }
    fixture.send_alien(&sound).unwrap();
    assert_eq!(fixture.send_alien(&sound), Err(Error::Busy), "a second one of the client");
    // As many as the quota lets it.
    let mut made = 1;
    let error = loop {
        let client = Pid::process(ELSEWHERE, 1, 100 + made).to_bits();
        match fixture.send_alien(&AlienRecord { client, ..sound }) {
            Ok(()) => made += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((made, error), (19, Error::NoQuota));
    let network = fixture.network;
    fixture.finish(&[network, server]);
}

#[test]
fn a_bad_buffer_is_the_network_servers_affair() {
    let mut fixture = Fixture::new();
    let server = fixture.node.team(100, PRIORITY, 8);
    let take = call::Receive {
        from: Pid::NONE,
        buffer_address: Node::data(0),
        buffer_bytes: 100,
        deadline: call::FOREVER,
    };
    assert_eq!(fixture.node.call(server, take.encode()), Outcome::Waits);
    let record = fixture.record(server, Grant::new(100, Access::READ), b"");
    let nowhere = AlienRecord { buffer_address: 0x1000, buffer_bytes: 100, ..record };
    // The receiver waits on, as for any sender with a bad segment.
    fixture.send_alien(&nowhere).unwrap();
    assert_eq!(fixture.node.state(server), State::Receiving);
    let failed =
        Arrival::Answered { cookie: record.cookie, replier: Pid::NONE, outcome: Err(Error::BadAddress) };
    assert_eq!(fixture.arrival().1, failed);
    let network = fixture.network;
    fixture.finish(&[server, network]);
}

#[test]
fn a_server_that_ends_leaves_the_client_an_error() {
    let mut fixture = Fixture::new();
    let servers = [0, 1].map(|_| fixture.node.team(100, PRIORITY, 8));
    for (cookie, server) in (0..).zip(servers) {
        let record = AlienRecord { cookie, ..fixture.record(server, Grant::NONE, b"") };
        fixture.send_alien(&record).unwrap();
    }
    succeeded(fixture.node.call(servers[0], receive()));
    for (cookie, error) in [(0, Error::DiedBeforeReply), (1, Error::StaleProcess)] {
        fixture.end(servers[cookie as usize]);
        let outcome = Err(error);
        assert_eq!(fixture.arrival().1, Arrival::Answered { cookie, replier: Pid::NONE, outcome });
    }
    let network = fixture.network;
    fixture.finish(&[network]);
}

#[test]
fn an_alien_can_be_destroyed_at_any_time() {
    let mut fixture = Fixture::new();
    let server = fixture.node.team(100, PRIORITY, 8);
    let record = fixture.record(server, Grant::NONE, b"");
    // Queued; received; answered.
    for stage in 0..3 {
        fixture.send_alien(&record).unwrap();
        if stage > 0 {
            succeeded(fixture.node.call(server, receive()));
        }
        if stage > 1 {
            succeeded(fixture.node.call(server, reply(FAR, ANSWER)));
        }
        assert_eq!(fixture.destroy_alien(record.cookie + 1), Err(Error::NonexistentProcess));
        assert_eq!(fixture.destroy_alien(record.cookie), Ok(process::AlienDestroyed {}));
        assert_eq!(refused(fixture.node.call(server, reply(FAR, ANSWER))), Error::NotAwaitingReply);
        let nothing = call::Receive { from: Pid::NONE, buffer_address: 0, buffer_bytes: 0, deadline: NOW };
        assert_eq!(refused(fixture.node.call(server, nothing.encode())), Error::NothingWaiting);
        assert_eq!(fixture.receive(), None);
    }
    let network = fixture.network;
    fixture.finish(&[server, network]);
}

#[test]
fn copies_beyond_the_buffer_are_sent_to_the_clients_node() {
    let mut fixture = Fixture::new();
    let server = fixture.node.team(100, PRIORITY, 20);
    let grant = Grant::new(0x10_0000, Access::READ_WRITE);
    let record = fixture.record(server, grant, b"head");
    fixture.send_alien(&record).unwrap();
    succeeded(fixture.node.call(server, receive()));
    let total = HEAD_BYTES + 100;
    let content: Vec<u8> = (0..total).map(|at| (at % 251) as u8).collect();
    fixture.node.poke(server, Node::data(0), &content);

    let move_to =
        MoveTo { client: FAR, segment_offset: 0x5000, address: Node::data(0), bytes: total }.encode();
    assert_eq!(fixture.node.call(server, move_to), Outcome::Waits);
    let remote_server = Pid::kernel_server(ELSEWHERE, REMOTE);
    for (number, offset, bytes) in [(1, 0, HEAD_BYTES), (2, HEAD_BYTES, 100)] {
        let (registers, arrival) = fixture.arrival();
        let transaction = number * TRANSACTION_STEP;
        assert_eq!(arrival, Arrival::Elsewhere { to: remote_server, transaction });
        assert_eq!(registers.pid, server.to_bits());
        assert_eq!(registers.extra[0], Grant::new(bytes, Access::READ).to_bits());
        let message = Message::from_registers(registers.message);
        let request = remote::MoveTo { client: FAR, transaction: 77, offset: 0x5000 + offset };
        assert_eq!(remote::Remote::from_message(&message), Some(remote::Remote::MoveTo(request)));
        let head = fixture.node.peek(fixture.network, Node::data(INBOX), bytes as usize);
        assert_eq!(head, content[offset as usize..][..bytes as usize]);
        let moved = remote::Moved { count: bytes as u32 };
        assert_eq!(fixture.node.state(server), State::AwaitingReply);
        succeeded(fixture.reply(server, moved.to_message(), Pid::NONE, None));
    }
    assert_eq!(succeeded(Outcome::Done(fixture.node.results(server))).extra[0], total);

    // Back, with an error in the second piece.
    let move_from =
        MoveFrom { client: FAR, segment_offset: 0x5000, address: Node::data(0), bytes: total }.encode();
    assert_eq!(fixture.node.call(server, move_from), Outcome::Waits);
    let (registers, arrival) = fixture.arrival();
    assert_eq!(arrival, Arrival::Elsewhere { to: remote_server, transaction: 3 * TRANSACTION_STEP });
    assert_eq!(registers.extra[0], Grant::new(HEAD_BYTES, Access::WRITE).to_bits());
    let back: Vec<u8> = content.iter().map(|byte| byte ^ 0x55).collect();
    let moved = remote::MovedBack { count: HEAD_BYTES as u32 };
    succeeded(fixture.reply_with_data(server, moved.to_message(), &back[..HEAD_BYTES as usize]));
    fixture.arrival();
    let refusal = abi::protocol::refusal(Error::BadAddressOfOther);
    succeeded(fixture.reply(server, refusal, Pid::NONE, None));
    assert_eq!(fixture.node.error(server), Error::BadAddressOfOther);
    assert_eq!(fixture.node.results(server).extra[0], HEAD_BYTES);
    assert_eq!(fixture.node.peek(server, Node::data(0), HEAD_BYTES as usize), back[..HEAD_BYTES as usize]);

    // The client gives up while the copy is under way.
    assert_eq!(fixture.node.call(server, move_to), Outcome::Waits);
    fixture.arrival();
    fixture.destroy_alien(record.cookie).unwrap();
    let moved = remote::Moved { count: HEAD_BYTES as u32 };
    succeeded(fixture.reply(server, moved.to_message(), Pid::NONE, None));
    assert_eq!(fixture.node.error(server), Error::NotAwaitingReply);
    assert_eq!(fixture.node.results(server).extra[0], HEAD_BYTES);

    // So does the network server.
    fixture.send_alien(&record).unwrap();
    succeeded(fixture.node.call(server, receive()));
    assert_eq!(fixture.node.call(server, move_to), Outcome::Waits);
    let network = fixture.network;
    fixture.end(network);
    assert_eq!(fixture.node.error(server), Error::NoNetwork);
    fixture.finish(&[server]);
}

#[test]
fn the_grant_holds_for_copies_too() {
    let mut fixture = Fixture::new();
    let server = fixture.node.team(100, PRIORITY, 16);
    let record = fixture.record(server, Grant::new(0x1000, Access::READ), b"head");
    fixture.send_alien(&record).unwrap();
    succeeded(fixture.node.call(server, receive()));
    let address = Node::data(0);
    for (bytes, offset, error) in [(1, 0x1000, Error::TooLong), (u64::MAX, 1, Error::TooLong)] {
        let call = MoveFrom { client: FAR, segment_offset: offset, address, bytes };
        assert_eq!(refused(fixture.node.call(server, call.encode())), error);
    }
    let call = MoveTo { client: FAR, segment_offset: 0, address, bytes: 1 };
    assert_eq!(refused(fixture.node.call(server, call.encode())), Error::NoWriteAccess);
    let call = MoveFrom { client: FAR, segment_offset: 0, address: u64::MAX - 10, bytes: 100 };
    assert_eq!(refused(fixture.node.call(server, call.encode())), Error::BadAddress);
    let call = MoveFrom { client: FAR, segment_offset: 0x1000, address, bytes: 0 };
    assert_eq!(succeeded(fixture.node.call(server, call.encode())).extra[0], 0);
    let network = fixture.network;
    fixture.finish(&[network, server]);
}

#[test]
fn messages_are_forwarded_here_and_elsewhere() {
    let forward = |client, to: Pid, forwarder: Pid| {
        call::Forward { client, message: ANSWER, to: to.to_bits(), forwarder: forwarder.to_bits() }.encode()
    };
    let mut fixture = Fixture::new();
    let client = fixture.node.team(100, PRIORITY, 4);
    let first = fixture.node.team(100, PRIORITY, 4);
    let second = fixture.node.team(100, PRIORITY, 4);

    // A client of this node to another one, whose node forwards it again, and back to this.
    fixture.node.call(client, send(first, WORDS));
    succeeded(fixture.node.call(first, receive()));
    succeeded(fixture.node.call(first, forward(client, FAR, FARTHER)));
    let (registers, arrival) = fixture.arrival();
    assert_eq!(arrival, Arrival::Elsewhere { to: FAR, transaction: TRANSACTION_STEP });
    assert_eq!(registers.extra[2], first.to_bits(), "only the network server says who forwards");
    assert_eq!(Message::from_registers(registers.message).words[1..7], ANSWER.words[1..7]);
    succeeded(fixture.node.call(fixture.network, forward(client, FARTHER, FAR)));
    let (registers, arrival) = fixture.arrival();
    assert_eq!(arrival, Arrival::Elsewhere { to: FARTHER, transaction: 2 * TRANSACTION_STEP });
    assert_eq!(registers.extra[2], FAR.to_bits());
    succeeded(fixture.node.call(fixture.network, forward(client, second, FARTHER)));
    let received = succeeded(fixture.node.call(second, receive()));
    assert_eq!((received.pid, received.extra), (client.to_bits(), [0, 100, FARTHER.to_bits(), 0, 0]));
    assert_eq!(fixture.node.call(second, reply_receive(client, ANSWER)), Outcome::Waits);
    assert_eq!(fixture.node.results(client).pid, second.to_bits());

    // An alien to another process here, and from there to another node.
    let record = fixture.record(first, Grant::NONE, b"");
    fixture.send_alien(&record).unwrap();
    succeeded(fixture.node.call(first, receive()));
    succeeded(fixture.node.call(first, forward(FAR, second, Pid::NONE)));
    let received = fixture.node.results(second);
    assert_eq!((received.pid, received.extra[2]), (FAR.to_bits(), first.to_bits()));
    succeeded(fixture.node.call(second, forward(FAR, FARTHER, Pid::NONE)));
    let (registers, arrival) = fixture.arrival();
    let cookie = record.cookie;
    assert_eq!(arrival, Arrival::Forwarded { cookie, forwarder: second, to: FARTHER });
    assert_eq!((registers.pid, registers.message), (FAR.to_bits(), ANSWER.to_registers()));

    // Another user's needs the right; a copy to elsewhere and a kernel server cannot be forwarded.
    let stranger = fixture.node.team(101, PRIORITY, 4);
    fixture.send_alien(&AlienRecord { to: stranger.to_bits(), ..record }).unwrap();
    succeeded(fixture.node.call(stranger, receive()));
    let to_kernel = forward(FAR, Pid::kernel_server(first.host(), TIME), Pid::NONE);
    assert_eq!(refused(fixture.node.call(stranger, to_kernel)), Error::NotForwardable);
    assert_eq!(refused(fixture.node.call(stranger, forward(FAR, first, FAR))), Error::NotForwardable);
    let network = fixture.network;
    fixture.end(network);
    assert_eq!(refused(fixture.node.call(stranger, forward(FAR, FAR, FAR))), Error::NotAwaitingReply);
    fixture.finish(&[client, first, second, stranger]);
}

#[test]
fn a_copy_to_elsewhere_is_not_forwarded() {
    let mut fixture = Fixture::new();
    let server = fixture.node.team(100, PRIORITY, 4);
    let record = fixture.record(server, Grant::new(0x1000, Access::WRITE), b"");
    fixture.send_alien(&record).unwrap();
    succeeded(fixture.node.call(server, receive()));
    let call = MoveTo { client: FAR, segment_offset: 0, address: Node::data(0), bytes: 10 };
    assert_eq!(fixture.node.call(server, call.encode()), Outcome::Waits);
    fixture.arrival();
    let forward =
        call::Forward { client: server, message: ANSWER, to: FARTHER.to_bits(), forwarder: 0 }.encode();
    assert_eq!(refused(fixture.node.call(fixture.network, forward)), Error::NotForwardable);
    // The end of the server leaves neither of its two waits behind.
    fixture.end(server);
    let outcome = Err(Error::DiedBeforeReply);
    let cookie = record.cookie;
    assert_eq!(fixture.arrival().1, Arrival::Answered { cookie, replier: Pid::NONE, outcome });
    assert_eq!(refused(fixture.reply(server, ANSWER, Pid::NONE, None)), Error::StaleProcess);
    let network = fixture.network;
    fixture.finish(&[network]);
}

#[test]
fn kernel_servers_answer_clients_elsewhere_without_rights() {
    let mut fixture = Fixture::new();
    let (own, other) = (fixture.node.team(100, PRIORITY, 0), fixture.node.team(101, PRIORITY, 0));
    fixture.node.pass(5);
    assert_eq!(fixture.ask_kernel(STATISTICS, &statistics::Null {}), Ok(statistics::Nothing {}));
    assert_eq!(fixture.ask_kernel(TIME, &time::Now {}).map(|clocks| clocks.monotonic_ns), Ok(5));
    let destroy = |process| process::Destroy { process, status: 1 };
    assert_eq!(fixture.ask_kernel(PROCESS, &destroy(other)), Err(Error::NoPermission));
    assert_eq!(fixture.ask_kernel(PROCESS, &destroy(Pid::NONE)), Err(Error::NonexistentProcess));
    assert_eq!(fixture.ask_kernel(PROCESS, &destroy(FAR)), Err(Error::ProcessElsewhere));
    let suspend = process::Suspend { process: own };
    assert_eq!(fixture.ask_kernel(PROCESS, &suspend), Ok(process::Suspended {}));
    assert_eq!(fixture.ask_kernel(PROCESS, &destroy(own)), Ok(process::Destroyed {}));
    // What has no meaning from there, or would act on the network server's own team.
    assert_eq!(fixture.ask_kernel(PROCESS, &process::Yield {}), Err(Error::NotSupported));
    assert_eq!(fixture.ask_kernel(PROCESS, &become_server()), Err(Error::NotSupported));
    let unmap = abi::kernel::memory::Unmap { team: Pid::NONE, address: Node::data(0), pages: 1 };
    assert_eq!(fixture.ask_kernel(abi::kernel::MEMORY, &unmap), Err(Error::NotSupported));
    let query = abi::kernel::memory::QueryTeam { team: fixture.network };
    assert_eq!(fixture.ask_kernel(abi::kernel::MEMORY, &query), Err(Error::NoPermission));
    let identify = process::Identify { process: Pid::NONE };
    assert_eq!(fixture.ask_kernel(PROCESS, &identify), Err(Error::NonexistentProcess));

    // A listing goes to the buffer, and no farther than that.
    let [message_0, message_1, ..] = process::QueryProcesses { index: 0 }.to_message().to_registers();
    let to = Pid::kernel_server(other.host(), PROCESS).to_bits();
    let record = fixture.record(Pid::NONE, Grant::new(0x1_0000_0000, Access::WRITE), b"");
    let record = AlienRecord { to, message_0, message_1, ..record };
    fixture.send_alien(&record).unwrap();
    let (registers, _) = fixture.arrival();
    let message = Message::from_registers(registers.message);
    let count = process::ProcessesQueried::from_message(&message).count as usize;
    let bytes = count * abi::kernel::record::ProcessRecord::BYTES;
    assert!(count >= 3 && message.segment_bytes() as usize == bytes);
    let listed = fixture.node.peek(fixture.network, Node::data(BUFFER), bytes);
    assert_eq!(listed[..8], fixture.node.root.to_bits().to_le_bytes());

    // Whoever may end the network server may do so from elsewhere too.
    let [message_0, message_1, message_2, message_3] = destroy(fixture.network).to_message().to_registers();
    let user_and_transaction = 0;
    let record = AlienRecord { message_0, message_1, message_2, message_3, user_and_transaction, ..record };
    let at = Node::data(BUFFER + BUFFER_BYTES);
    fixture.node.poke(fixture.network, at, &record.to_bytes());
    let grant = Grant::new(AlienRecord::BYTES as u64, Access::READ);
    let request = process::SendAlien {}.to_message();
    let outcome =
        fixture.node.call(fixture.network, send_with(abi::kernel::server(PROCESS), request, at, grant));
    assert_eq!(outcome, Outcome::Waits);
    fixture.node.pass(1_000_000_000);
    assert_eq!(refused(fixture.node.call(other, send(FAR, WORDS))), Error::NoNetwork);
}

#[test]
fn the_network_server_may_be_served_like_anyone() {
    let mut fixture = Fixture::new();
    let client = fixture.node.team(100, PRIORITY, 0);
    fixture.node.call(client, send(fixture.network, WORDS));
    let (registers, arrival) = fixture.arrival();
    assert_eq!((arrival, registers.extra), (Arrival::Own, [0, 100, 0, 0, 0]));
    succeeded(fixture.reply(client, ANSWER, FAR, Some(Error::Aborted)));
    let results = fixture.node.results(client);
    assert_eq!((results.number, results.pid), (0, fixture.network.to_bits()), "only for what is remote");

    // Also by a client elsewhere, whose answer comes back to itself.
    let record = fixture.record(fixture.network, Grant::new(10, Access::WRITE), b"");
    fixture.send_alien(&record).unwrap();
    let (registers, arrival) = fixture.arrival();
    assert_eq!((arrival, registers.pid), (Arrival::Own, FAR.to_bits()));
    let beyond = MoveTo { client: FAR, segment_offset: 0, address: Node::data(0), bytes: 10 }.encode();
    assert_eq!(refused(fixture.node.call(fixture.network, beyond)), Error::NotSupported);
    succeeded(fixture.reply_with_data(FAR, ANSWER, b"own"));
    let replier = fixture.network;
    let cookie = record.cookie;
    assert_eq!(fixture.arrival().1, Arrival::Answered { cookie, replier, outcome: Ok(()) });
    assert_eq!(fixture.node.peek(fixture.network, Node::data(BUFFER), 3), b"own");
    fixture.finish(&[client, replier]);
}
