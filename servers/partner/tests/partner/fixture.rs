//! A partner with a kernel that only notes what it is asked, and peers that are bare VMTP engines: they may say anything.

use std::collections::BTreeMap;

use abi::remote::{Alien, Arrival, Received};
use abi::wire::{PREFIX_BYTES, RequestPrefix};
use abi::{Error, Grant, LogicalHost, Message, Pid, UserId};
use network_partner::{AlienPlace, Configuration, Kernel, Link, MovingKernel, Partner};
use vmtp::encapsulation::Address;
use vmtp::{Action, Buffer, Destination, Engine, EntityId, Outcome, Request, Segment};

pub const OWN: LogicalHost = LogicalHost::from_bits(0x100);
pub const USER: UserId = UserId(100);

/// A process of the partner's node.
pub const fn here(index: u16) -> Pid {
    Pid::process(OWN, 1, index)
}

/// A process of a peer.
pub const fn there(peer: u32, index: u16) -> Pid {
    Pid::process(LogicalHost::from_bits(0x200 + peer), 1, index)
}

pub fn entity(pid: Pid) -> EntityId {
    EntityId::from_bits(pid.to_bits())
}

/// The kernel: what it was asked, and the buffers that it has.
#[derive(Default)]
pub struct Notes {
    pub aliens: Vec<Alien>,
    pub replies: Vec<(Pid, Message, Vec<u8>)>,
    pub failures: Vec<(Pid, Error)>,
    pub moved: Vec<(Pid, u64, Vec<u8>)>,
    /// What a Reply says, if not that all is well.
    pub reply_error: Option<Error>,
    /// From where on segments cannot be read.
    pub unreadable_from: Option<u64>,
    /// Who does not wait any more.
    pub gone: Vec<Pid>,
    /// Groups with their members here.
    pub members: Vec<(Pid, Pid)>,
    lent: BTreeMap<u64, Vec<u8>>,
}

impl Kernel for Notes {
    fn reply(&mut self, client: Pid, message: &Message, data: &[u8], _: Pid) -> Result<(), Error> {
        self.replies.push((client, *message, data.to_vec()));
        self.reply_error.map_or(Ok(()), Err)
    }

    fn fail(&mut self, client: Pid, error: Error) -> Result<(), Error> {
        self.failures.push((client, error));
        Ok(())
    }

    fn forward(&mut self, _: Pid, _: Pid, _: &Message, _: Pid) -> Result<(), Error> {
        Ok(())
    }

    fn move_to(&mut self, client: Pid, offset: u64, data: &[u8]) -> (u64, Result<(), Error>) {
        self.moved.push((client, offset, data.to_vec()));
        (data.len() as u64, Ok(()))
    }

    fn move_from(&mut self, client: Pid, offset: u64, buffer: &mut [u8]) -> (u64, Result<(), Error>) {
        buffer.fill(7);
        let readable = self.unreadable_from.map_or(u64::MAX, |end| end.saturating_sub(offset));
        if readable < buffer.len() as u64 {
            return (readable, Err(Error::BadAddressOfOther));
        }
        let outcome = if self.gone.contains(&client) { Err(Error::StaleProcess) } else { Ok(()) };
        (buffer.len() as u64, outcome)
    }

    fn send_alien(&mut self, alien: &Alien, buffer: Vec<u8>) -> Result<(), Error> {
        self.lent.insert(alien.cookie, buffer);
        self.aliens.push(*alien);
        Ok(())
    }

    fn members(&mut self, group: Pid) -> Vec<Pid> {
        self.members.iter().filter(|(known, _)| *known == group).map(|(_, member)| *member).collect()
    }

    fn take_back(&mut self, cookie: u64) -> Vec<u8> {
        self.lent.remove(&cookie).expect("a buffer that was lent")
    }
}

impl MovingKernel for Notes {
    fn look_at_alien(&mut self, cookie: u64, _: Pid) -> Result<AlienPlace, Error> {
        let alien = self.aliens.iter().rfind(|alien| alien.cookie == cookie).expect("an alien");
        Ok(AlienPlace::Received(alien.to))
    }

    fn restore_alien(&mut self, alien: &Alien, buffer: Vec<u8>) -> Result<(), Error> {
        self.send_alien(alien, buffer)
    }

    fn read_team(&mut self, _: Pid, _: usize) -> Result<Vec<u8>, Error> {
        Ok(b"its processes".to_vec())
    }

    fn write_team(&mut self, _: Pid, state: &[u8]) -> Result<(), Error> {
        if state == b"its processes" { Ok(()) } else { Err(Error::BadArgument) }
    }
}

/// A peer.
pub struct Peer {
    pub engine: Engine,
    pub outcomes: Vec<(EntityId, Outcome)>,
    pub requests: Vec<Request>,
    /// What it sends as every request's segment.
    segments: BTreeMap<u32, Vec<u8>>,
}

/// A partner with peers on a network that does what it should.
pub struct Net {
    pub partner: Partner,
    pub kernel: Notes,
    pub peers: Vec<Peer>,
    pub now_ns: u64,
    /// Packets that the partner has sent.
    pub sent: usize,
}

#[derive(Default)]
struct Sent(Vec<(Destination, Vec<u8>)>);

impl Link for Sent {
    fn transmit(&mut self, destination: &Destination, bytes: usize, fill: impl FnOnce(&mut [u8]) -> bool) {
        let mut packet = vec![0; bytes];
        if fill(&mut packet) {
            self.0.push((*destination, packet));
        }
    }
}

fn address(of: usize) -> Address {
    Address::Ethernet([2, 0, 0, 0, 0, of as u8])
}

impl Net {
    /// A partner that has its logical host, and so many peers.
    pub fn new(configuration: &Configuration, peers: u32) -> Net {
        let mut net = Net::claiming(configuration, peers);
        net.settle();
        net.pass(5_000_000_000);
        assert_eq!(net.partner.standing(), network_partner::Standing::Owned);
        net
    }

    /// A partner that has not begun to claim its logical host.
    pub fn claiming(configuration: &Configuration, peers: u32) -> Net {
        let peer = |number| {
            let mut engine = Engine::new(&configuration.engine, 0, u64::from(number) + 10);
            engine.add_new_local_host(vmtp::LogicalHost::from_bits(there(number, 0).host().to_bits()));
            Peer { engine, outcomes: Vec::new(), requests: Vec::new(), segments: BTreeMap::new() }
        };
        Net {
            partner: Partner::new(configuration, OWN, 0, 0, 1),
            kernel: Notes::default(),
            peers: (0..peers).map(peer).collect(),
            now_ns: 0,
            sent: 0,
        }
    }

    /// A request of a client of a peer, with this segment, or none. One to a group is given up after two seconds.
    pub fn ask(&mut self, peer: u32, client: Pid, server: EntityId, message: Message, segment: &[u8]) {
        let host = &mut self.peers[peer as usize];
        let buffer = Buffer(100_000 + host.segments.len() as u32);
        host.segments.insert(buffer.0, segment.to_vec());
        let bytes = segment.len() as u32;
        let send = vmtp::Send {
            client: entity(client),
            transaction: 256,
            server,
            message: vmtp::Message { words: message.words },
            segment: (bytes > 0).then_some(Segment { buffer, bytes }),
            response: Segment { buffer: Buffer(200_000), bytes: 200_024 },
            deadline_ns: server.is_group().then_some(self.now_ns + 2_000_000_000),
            ..vmtp::Send::default()
        };
        let (_, first) = host.engine.send(self.now_ns, &send).expect("a request that can be sent");
        self.act(peer as usize, first);
        self.settle();
    }

    /// A process of the partner's node sends to `to`.
    pub fn send(&mut self, from: Pid, to: Pid, transaction: u32, grant: Grant) {
        let arrival = Arrival::Elsewhere { to, transaction };
        let received = Received {
            sender: from,
            message: Message::with_code(0x77),
            grant,
            user: USER,
            forwarder: Pid::NONE,
            arrival,
        };
        self.take(&received);
    }

    /// The server of the alien that was sent last answers, with data.
    pub fn answer(&mut self, data: &[u8]) {
        let alien = *self.kernel.aliens.last().expect("an alien");
        self.answer_for(&alien, 0, data);
    }

    /// The server of an alien answers with a code, and data.
    pub fn answer_for(&mut self, alien: &Alien, code: u32, data: &[u8]) {
        let buffer = self.kernel.lent.get_mut(&alien.cookie).expect("its buffer");
        buffer[PREFIX_BYTES..][..data.len()].copy_from_slice(data);
        let mut message = Message::with_code(code);
        message.words[7] = data.len() as u32;
        let arrival = Arrival::Answered { cookie: alien.cookie, replier: alien.to, outcome: Ok(()) };
        self.take(&Received {
            sender: here(99),
            message,
            grant: Grant::NONE,
            user: USER,
            forwarder: Pid::NONE,
            arrival,
        });
    }

    /// A guest's state, in at most so many bytes.
    pub fn export(&mut self, guest: (LogicalHost, Pid), most_bytes: usize) -> Result<Vec<u8>, Error> {
        let mut sent = Sent::default();
        let state = self.partner.export_host(self.now_ns, guest, most_bytes, &mut self.kernel, &mut sent);
        self.carry(sent);
        self.settle();
        state
    }

    /// It comes in; into which team, says its logical host.
    pub fn import(&mut self, guest: (LogicalHost, Pid), state: &[u8]) -> Result<(), Error> {
        let mut sent = Sent::default();
        let imported = self.partner.import_host(self.now_ns, guest, state, &mut self.kernel, &mut sent);
        self.carry(sent);
        self.settle();
        imported
    }

    /// A logical host for a guest.
    pub fn guest(&mut self) -> LogicalHost {
        let host = self.partner.take_host(self.now_ns, 1).expect("there can be one more");
        self.settle();
        host.expect("one is ready")
    }

    /// The partner receives.
    pub fn take(&mut self, received: &Received) {
        let mut sent = Sent::default();
        self.partner.take_message(self.now_ns, received, &mut self.kernel, &mut sent);
        self.carry(sent);
        self.settle();
    }

    /// Time passes, and whatever is due happens.
    pub fn pass(&mut self, ns: u64) {
        let end_ns = self.now_ns + ns;
        while let Some(at_ns) = self
            .peers
            .iter_mut()
            .map(|peer| peer.engine.next_deadline())
            .chain([self.partner.next_deadline()])
            .flatten()
            .min()
            .filter(|at_ns| *at_ns <= end_ns)
        {
            self.now_ns = self.now_ns.max(at_ns);
            self.settle();
        }
        self.now_ns = end_ns;
    }

    /// Whatever can happen now does.
    pub fn settle(&mut self) {
        let mut sent = Sent::default();
        self.partner.advance(self.now_ns, &mut self.kernel, &mut sent);
        self.carry(sent);
        for own in 0..self.peers.len() {
            self.peers[own].engine.advance(self.now_ns);
            self.act(own, None);
        }
    }

    /// A peer does what its engine wants done, this first.
    pub fn act(&mut self, own: usize, mut first: Option<Action>) {
        while let Some(action) = first.take().or_else(|| self.peers[own].engine.next_action()) {
            let peer = &mut self.peers[own];
            match action {
                Action::Transmit(transmit) => {
                    let empty = Vec::new();
                    let segment = transmit.buffer.and_then(|buffer| peer.segments.get(&buffer.0));
                    let mut packet = vec![0; transmit.packet_bytes()];
                    transmit.write(segment.unwrap_or(&empty), &mut packet).expect("room for the packet");
                    let mut sent = Sent::default();
                    let mut brought =
                        self.partner.take_packet(self.now_ns, address(own + 1), &packet, &mut self.kernel);
                    self.partner.act(self.now_ns, brought.action.as_mut(), &mut self.kernel, &mut sent);
                    self.carry(sent);
                }
                Action::Deliver(request) => peer.requests.push(request),
                Action::Complete { id, outcome } => peer.outcomes.push((id.client, outcome)),
                _ => {}
            }
        }
    }

    /// What the partner has sent arrives.
    fn carry(&mut self, sent: Sent) {
        self.sent += sent.0.len();
        for (destination, packet) in sent.0 {
            for to in 0..self.peers.len() {
                let reached = match destination {
                    Destination::Host(host) => host == address(to + 1),
                    Destination::Group(_) => true,
                };
                if reached {
                    let received = self.peers[to].engine.receive_packet(self.now_ns, address(0), &packet);
                    self.act(to, received.action);
                }
            }
        }
    }
}

/// A sound prefix.
pub fn prefix(grant: Grant) -> Vec<u8> {
    RequestPrefix { grant, user: USER, forwarder: Pid::NONE }.encode().to_vec()
}
