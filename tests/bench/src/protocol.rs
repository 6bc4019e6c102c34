//! The message protocol's engine: what two of them take for a transaction between their hosts, without a network.

use abi::Error;
use alloc::vec;
use alloc::vec::Vec;
use vmtp::encapsulation::Address;
use vmtp::{
    Action, Buffer, Configuration, Engine, EntityId, LogicalHost, Message, Outcome, Reply, Segment, Send,
};

use crate::measure::{Bench, measure, report};

/// Between two transactions.
const PAUSE_NS: u64 = 100_000;
/// Bytes of a packet group.
const GROUP_BYTES: u32 = 16 * 1024;
/// Of a plain Ethernet, and of the virtual one.
const ETHERNET_MTU_BYTES: u32 = 1500;
const JUMBO_MTU_BYTES: u32 = 9000;
/// Hosts that are known and do nothing.
const IDLE_HOSTS: u32 = 10_000;
const CLIENT_HOST: LogicalHost = LogicalHost::from_bits(100);
const SERVER_HOST: LogicalHost = LogicalHost::from_bits(200);
const CLIENT: EntityId = EntityId::from_bits(0x2000_0064_0001_0010);
const SERVER: EntityId = EntityId::from_bits(0x2000_00c8_0001_0020);

const ADDRESSES: [Address; 2] =
    [Address::Ethernet([2, 0, 0, 0, 0, 0]), Address::Ethernet([2, 0, 0, 0, 0, 1])];

/// All rows of the protocol.
pub fn protocol(bench: &Bench) -> Result<(), Error> {
    let mut pair = Pair::new(ETHERNET_MTU_BYTES);
    // The first goes the long way: the hosts look for each other.
    pair.transaction(0)?;
    bench.row("vmtp-transaction", 100, || pair.small_transaction())?;
    for (name, mtu_bytes) in [
        ("vmtp-packet-group-16-kib-mtu-1500", ETHERNET_MTU_BYTES),
        ("vmtp-packet-group-16-kib-mtu-9000", JUMBO_MTU_BYTES),
    ] {
        if bench.wants(name) {
            // What these two differ by is one packet group, sent, received and acknowledged by the next request. Its
            // bytes are neither copied nor summed.
            let mut pair = Pair::new(mtu_bytes);
            let small = measure(20, || pair.transaction(0))?;
            let large = measure(20, || pair.transaction(GROUP_BYTES))?;
            report(name, large - small);
        }
    }
    if bench.wants("vmtp-idle-hosts") {
        let mut engine = with_idle_hosts();
        let mut now_ns = engine.next_deadline().ok_or(Error::DeadlinePassed)? - 1_000_000;
        bench.row("vmtp-idle-hosts", 100, || {
            now_ns += 1;
            engine.advance(now_ns);
            let idle = engine.next_action().is_none() && engine.next_deadline().is_some();
            if idle { Ok(()) } else { Err(Error::DeadlinePassed) }
        })?;
    }
    Ok(())
}

/// A client's engine and a server's.
struct Pair {
    engines: [Engine; 2],
    now_ns: u64,
    transaction: u32,
    packet: Vec<u8>,
    send: Send,
    is_over: bool,
}

impl Pair {
    fn new(mtu_bytes: u32) -> Pair {
        let configuration =
            Configuration { clients: 16, servers: 16, hosts: 16, mtu_bytes, ..Configuration::default() };
        let engine = |seed: u64, host| {
            let mut engine = Engine::new(&configuration, 0, seed);
            engine.add_new_local_host(host);
            engine
        };
        Pair {
            engines: [engine(1, CLIENT_HOST), engine(2, SERVER_HOST)],
            now_ns: 0,
            transaction: 0,
            packet: vec![0; mtu_bytes as usize],
            send: Send {
                client: CLIENT,
                server: SERVER,
                message: Message { words: [0x1001, 1, 2, 3, 4, 5, 6, 7] },
                ..Send::default()
            },
            is_over: false,
        }
    }

    /// One transaction without segments between hosts that know each other, with its packets as bytes: each call
    /// gives back what comes of it, and nothing else is left to be done.
    fn small_transaction(&mut self) -> Result<(), Error> {
        const FAILED: Error = Error::DeadlinePassed;
        let (now_ns, [client, server]) = (self.now_ns + PAUSE_NS, &mut self.engines);
        self.now_ns = now_ns;
        self.transaction += 1;
        self.send.transaction = self.transaction;
        let (_, sent) = client.send(now_ns, &self.send).map_err(|_| FAILED)?;
        let Some(Action::Transmit(transmit)) = &sent else { return Err(FAILED) };
        let length = transmit.write(&[], &mut self.packet).ok_or(Error::TooLong)?;
        let received = server.receive_packet(now_ns, ADDRESSES[0], &self.packet[..length]);
        let Some(Action::Deliver(request)) = &received.action else { return Err(FAILED) };
        let reply = Reply { server: request.server, message: request.message, segment: None };
        let replied = server.reply(now_ns, request.id, &reply).map_err(|_| FAILED)?;
        let Some(Action::Transmit(transmit)) = &replied else { return Err(FAILED) };
        let length = transmit.write(&[], &mut self.packet).ok_or(Error::TooLong)?;
        let received = client.receive_packet(now_ns, ADDRESSES[1], &self.packet[..length]);
        let Some(Action::Complete { outcome: Outcome::Response(_), .. }) = &received.action else {
            return Err(FAILED);
        };
        let is_over = server.next_action().is_none() && client.next_action().is_none();
        if is_over { Ok(()) } else { Err(FAILED) }
    }

    /// One transaction with a response of so many bytes, of which only the packets' headers change hands.
    fn transaction(&mut self, response_bytes: u32) -> Result<(), Error> {
        self.now_ns += PAUSE_NS;
        self.transaction += 1;
        let send = Send {
            transaction: self.transaction,
            response: Segment { buffer: Buffer(1000), bytes: response_bytes },
            ..self.send
        };
        self.is_over = false;
        let (_, sent) = self.engines[0].send(self.now_ns, &send).map_err(|_| Error::TooLong)?;
        if let Some(action) = &sent {
            self.act(0, action, response_bytes)?;
        }
        while !self.is_over {
            let mut idle = true;
            for own in 0..2 {
                while let Some(action) = self.engines[own].next_action() {
                    idle = false;
                    self.act(own, &action, response_bytes)?;
                }
            }
            if idle {
                return Err(Error::DeadlinePassed);
            }
        }
        Ok(())
    }

    fn act(&mut self, own: usize, action: &Action, response_bytes: u32) -> Result<(), Error> {
        let other = 1 - own;
        match action {
            Action::Transmit(transmit) => {
                let (mut transmit, from, now_ns) = (*transmit, ADDRESSES[own], self.now_ns);
                let [first, second] = &mut self.engines;
                let (sender, receiver) = if own == 0 { (first, second) } else { (second, first) };
                loop {
                    let received = receiver.receive(now_ns, from, &transmit.header);
                    if let Some(action) = &received.action {
                        return self.act(other, action, response_bytes);
                    }
                    if !sender.next_in_group(&mut transmit) {
                        return Ok(());
                    }
                }
            }
            Action::Deliver(request) => {
                let segment =
                    (response_bytes > 0).then_some(Segment { buffer: Buffer(1001), bytes: response_bytes });
                let reply = Reply { server: request.server, message: request.message, segment };
                let replied =
                    self.engines[own].reply(self.now_ns, request.id, &reply).map_err(|_| Error::TooLong)?;
                match &replied {
                    Some(action) => self.act(own, action, response_bytes),
                    None => Ok(()),
                }
            }
            Action::Complete { outcome, .. } => {
                self.is_over = true;
                let is_response = matches!(outcome, Outcome::Response(_));
                if is_response { Ok(()) } else { Err(Error::DeadlinePassed) }
            }
            _ => Ok(()),
        }
    }
}

/// An engine that has looked for many hosts and found none, and remembers them for a while.
fn with_idle_hosts() -> Engine {
    let configuration = Configuration { hosts: IDLE_HOSTS as usize, ..Configuration::default() };
    let mut engine = Engine::new(&configuration, 0, 1);
    engine.add_new_local_host(CLIENT_HOST);
    let mut now_ns = 0;
    for number in 0..IDLE_HOSTS {
        let server = EntityId::from_bits(0x2000_0000_0001_0020 | u64::from(1000 + number) << 32);
        let send = Send { client: CLIENT, transaction: number + 1, server, ..Send::default() };
        if let Ok((id, _)) = engine.send(now_ns, &send) {
            while engine.next_action().is_some() {}
            engine.cancel(now_ns, id);
            while engine.next_action().is_some() {}
        }
        now_ns += 1;
    }
    // All are given up after some seconds, and forgotten much later.
    for _ in 0..60 {
        now_ns += 1_000_000_000;
        engine.advance(now_ns);
        while engine.next_action().is_some() {}
    }
    engine
}
