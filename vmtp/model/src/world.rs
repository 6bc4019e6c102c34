//! The state of a network, and the steps that it can take.

use vmtp::encapsulation::Address;
use vmtp::packet::message::{self, Message};
use vmtp::packet::{HEADER_BYTES, Header};
use vmtp::{
    Action, Buffer, Destination, Engine, EntityId, Forward, LogicalHost, Outcome, Refusal, Reply, Request,
    Segment, Send, SendId, transaction_step,
};

use crate::claims::{Awaits, Claim};
use crate::scenario::{Budget, Deed, GROUP, Order, Scenario, entity};

/// The client's process on each host, and the server's.
const CLIENT: u32 = 0x10;
const SERVER: u32 = 0x20;
/// The number of the first order's buffer for the response; those of requests are half way between.
const RESPONSE_BUFFERS: u32 = 100;
const REQUEST_BUFFERS: u32 = 200;
const REPLY_BUFFERS: u32 = 300;
/// The request code of the first order.
const CODE: u32 = 0x1000;

/// A host.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Host {
    /// Its engine.
    pub engine: Engine,
    deadline_ns: Option<u64>,
    /// How often it was booted, or none if it is silent for ever.
    pub(crate) boots: Option<u8>,
    /// The number that it has, or claims.
    pub(crate) number: LogicalHost,
    /// What became of its claim, if it is to claim its number.
    pub(crate) claim: Option<Claim>,
    /// Requests that its server has.
    serving: Vec<Request>,
}

/// A packet on its way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Flight {
    pub(crate) to: usize,
    pub(crate) from: usize,
    /// Only headers matter: nobody looks at the bytes of segments.
    pub(crate) header: [u8; HEADER_BYTES],
    born_ns: u64,
    /// A copy that the network made: it may vanish.
    pub(crate) copy: bool,
}

/// What has become of an order.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct Fate {
    id: Option<SendId>,
    began_ns: u64,
    pub(crate) outcomes: u8,
    pub(crate) outcome: Option<Outcome>,
    /// By which servers, and how often.
    pub(crate) executed: Vec<(EntityId, u8)>,
    /// The client's host has crashed: nobody waits any more.
    excused: bool,
}

/// The network.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    pub(crate) now_ns: u64,
    /// The hosts.
    pub hosts: Vec<Host>,
    pub(crate) flying: Vec<Flight>,
    /// What may still go wrong.
    pub budget: Budget,
    pub(crate) fates: Vec<Fate>,
    /// A promise that a call broke.
    pub(crate) broken: Option<&'static str>,
}

/// A step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Step {
    /// Packet so-and-so arrives.
    Arrive(usize),
    /// It is lost.
    Lose(usize),
    /// It arrives, and a copy of it remains.
    Copy(usize),
    /// The next deadline is reached.
    Tick,
    /// A host's server does the deed to its first request.
    Serve(usize, Deed),
    /// A host's engine loses its state.
    Restart(usize),
    /// A host falls silent.
    Crash(usize),
    /// A host crashes and is up again.
    Reboot(usize),
    /// An order is taken back.
    Cancel(usize),
    /// A host begins to claim its number.
    Claim(usize),
}

impl World {
    /// The beginning: the first order of each client is sent.
    pub fn new(scenario: &Scenario) -> World {
        let host = |number: usize| Host {
            engine: engine(scenario, number, 0, 0, None),
            deadline_ns: None,
            boots: Some(0),
            number: scenario.number(number, 0),
            claim: scenario.claimants.contains(&number).then_some(Claim::Ahead),
            serving: Vec::new(),
        };
        let mut world = World {
            now_ns: 0,
            hosts: (0..scenario.hosts).map(host).collect(),
            flying: Vec::new(),
            budget: scenario.budget,
            fates: vec![Fate::default(); scenario.orders.len()],
            broken: None,
        };
        if let Some(holder) = scenario.holder {
            world.claim_unheard(holder);
        }
        world.now_ns = scenario.up_ns;
        world.settle(scenario);
        world
    }

    /// The steps that can be taken.
    pub fn steps(&self, scenario: &Scenario) -> Vec<Step> {
        let mut steps = Vec::new();
        for (number, flight) in self.flying.iter().enumerate() {
            if number > 0 && self.flying[number - 1] == *flight {
                continue;
            }
            steps.push(Step::Arrive(number));
            if self.budget.losses > 0 && !flight.copy {
                steps.push(Step::Lose(number));
            }
            if self.budget.copies > 0 && !flight.copy {
                steps.push(Step::Copy(number));
            }
        }
        let busy = self.is_busy();
        let is_in_time = !busy || self.budget.delays > 0;
        let is_in_sight = match self.awaits() {
            Awaits::Outcomes => true,
            Awaits::Beginnings => false,
            Awaits::Nothing => self.budget.announcements > 0,
        };
        if is_in_time && is_in_sight && self.next_ns(scenario).is_some() {
            steps.push(Step::Tick);
        }
        for (number, host) in self.hosts.iter().enumerate() {
            if !host.serving.is_empty() {
                let can = |deed: &&Deed| **deed != Deed::Forward(number);
                steps.extend(scenario.deeds.iter().filter(can).map(|deed| Step::Serve(number, *deed)));
            }
            if host.boots.is_some() && host.claim == Some(Claim::Ahead) {
                steps.push(Step::Claim(number));
            }
            // Faults after everything is over change nothing.
            let is_over = !busy && !self.fates.iter().any(Fate::is_open) && !self.has_claims_ahead();
            if host.boots.is_some() && !is_over {
                let Budget { restarts, crashes, reboots, .. } = self.budget;
                let faults = [
                    (restarts, Step::Restart(number)),
                    (crashes, Step::Crash(number)),
                    (reboots, Step::Reboot(number)),
                ];
                steps.extend(faults.into_iter().filter(|(left, _)| *left > 0).map(|(_, step)| step));
            }
        }
        if self.budget.cancels > 0 {
            let open = self.fates.iter().enumerate().filter(|(_, fate)| fate.is_open());
            steps.extend(open.map(|(order, _)| Step::Cancel(order)));
        }
        steps
    }

    /// Takes one.
    pub fn take(&mut self, scenario: &Scenario, step: Step) {
        match step {
            Step::Arrive(number) => {
                let flight = self.flying.remove(number);
                self.arrive(&flight);
            }
            Step::Lose(number) => {
                self.flying.remove(number);
                self.budget.losses -= 1;
            }
            Step::Copy(number) => {
                self.budget.copies -= 1;
                let flight = self.flying.remove(number);
                self.flying.push(Flight { copy: true, ..flight });
                self.arrive(&flight);
            }
            Step::Tick => self.tick(scenario),
            Step::Serve(host, deed) => self.serve(scenario, host, deed),
            Step::Restart(host) => {
                self.budget.restarts -= 1;
                self.restart(scenario, host);
            }
            Step::Crash(host) => {
                self.budget.crashes -= 1;
                self.crash(scenario, host);
                self.hosts[host].boots = None;
            }
            Step::Reboot(host) => {
                self.budget.reboots -= 1;
                self.crash(scenario, host);
                let boots = self.hosts[host].boots.unwrap_or_default() + 1;
                let now_ns = self.now_ns;
                let host_again = &mut self.hosts[host];
                host_again.boots = Some(boots);
                host_again.number = scenario.number(host, boots);
                host_again.claim = host_again.claim.map(|_| Claim::Ahead);
                host_again.engine = engine(scenario, host, boots, now_ns, None);
            }
            Step::Cancel(order) => {
                self.budget.cancels -= 1;
                let host = scenario.orders[order].from;
                if let Some(id) = self.fates[order].id {
                    self.hosts[host].engine.cancel(self.now_ns, id);
                }
            }
            Step::Claim(host) => self.claim(host),
        }
        self.settle(scenario);
        self.flying.sort_unstable();
    }

    /// A packet is on its way that the network did not make, or a server is at work.
    fn is_busy(&self) -> bool {
        self.flying.iter().any(|flight| !flight.copy)
            || self.hosts.iter().any(|host| !host.serving.is_empty())
    }

    /// The next deadline of a host that lives; none if packets on their way must arrive before.
    fn next_ns(&self, scenario: &Scenario) -> Option<u64> {
        let alive = self.hosts.iter().filter(|host| host.boots.is_some());
        let next_ns = alive.filter_map(|host| host.deadline_ns).min()?.max(self.now_ns);
        let lifetime_ns = scenario.configuration().maximum_packet_lifetime_ns;
        let outlived = |flight: &Flight| !flight.copy && flight.born_ns + lifetime_ns < next_ns;
        (!self.flying.iter().any(outlived)).then_some(next_ns)
    }

    /// Time passes to the next deadline. It passes for nothing while nothing is on its way but copies and no server is
    /// at work; else it uses up the budget of delays. Copies whose life is over vanish.
    fn tick(&mut self, scenario: &Scenario) {
        let Some(next_ns) = self.next_ns(scenario) else { return };
        self.budget.delays -= u8::from(self.is_busy());
        self.budget.announcements -= u8::from(self.awaits() == Awaits::Nothing);
        self.now_ns = next_ns;
        let lifetime_ns = scenario.configuration().maximum_packet_lifetime_ns;
        self.flying.retain(|flight| !flight.copy || flight.born_ns + lifetime_ns >= next_ns);
        for host in &mut self.hosts {
            if host.boots.is_some() {
                host.engine.advance(next_ns);
            }
        }
    }

    fn arrive(&mut self, flight: &Flight) {
        let host = &mut self.hosts[flight.to];
        if host.boots.is_none() {
            return;
        }
        let header = Header::decode(&flight.header).expect("the header was encoded by an engine");
        let received = host.engine.receive(self.now_ns, address(flight.from), &header);
        self.do_first(flight.to, received.action);
    }

    /// Does what comes of a call at once.
    fn do_first(&mut self, at: usize, action: Option<Action>) {
        if let Some(action) = action {
            self.act(at, action);
        }
    }

    /// The host's server takes its first request.
    fn serve(&mut self, scenario: &Scenario, at: usize, deed: Deed) {
        let now_ns = self.now_ns;
        let host = &mut self.hosts[at];
        let server = entity(host.number, SERVER);
        let request = host.serving.remove(0);
        if let Some(segment) = request.segment {
            host.engine.release_buffer(segment.buffer);
        }
        let index = (request.message.code() - CODE) as usize;
        let mut later = (index + 1..self.fates.len()).filter(|later| scenario.is_in_run_of(index, *later));
        if later.any(|later| self.fates[later].executed.iter().any(|(by, _)| *by == server)) {
            self.broken = Some("in order: a request comes after a later one");
        }
        match deed {
            Deed::Refuse => {
                if host.engine.refuse(now_ns, request.id, Refusal::NonexistentEntity).is_err() {
                    // The client had given up.
                }
            }
            Deed::Batch if self.hosts[at].engine.batch(now_ns, request.id).is_ok() => {
                self.execute(index, server);
            }
            Deed::Reply | Deed::Batch => {
                self.execute(index, server);
                let order = &scenario.orders[index];
                let flags = if order.idempotent { message::DATAGRAM } else { 0 };
                let bytes = order.response_bytes;
                let segment =
                    (bytes > 0).then_some(Segment { buffer: Buffer(REPLY_BUFFERS + index as u32), bytes });
                let message = Message { words: [flags, request.message.words[1], 0, 0, 0, 0, 0, 0] };
                let reply = Reply { server, message, segment };
                // One host's server says that it is the only one.
                let is_one = request.server.is_group() && at.is_multiple_of(2);
                if is_one && self.hosts[at].engine.expect_one(request.id).is_err() {
                    // The client had given up.
                }
                // A client that has given up is not told.
                let first = self.hosts[at].engine.reply(now_ns, request.id, &reply);
                self.do_first(at, first.ok().flatten());
                if request.server.is_group() && !is_one {
                    let _ = self.hosts[at].engine.finish(now_ns, request.id);
                }
            }
            Deed::Forward(to) => {
                let server = entity(scenario.number(to, 0), SERVER);
                let forward = Forward { server, message: request.message, segment: None };
                if self.hosts[at].engine.forward(now_ns, request.id, &forward).is_err() {
                    self.broken = Some("a request was not forwarded");
                }
            }
        }
    }

    fn execute(&mut self, order: usize, server: EntityId) {
        let executed = &mut self.fates[order].executed;
        match executed.iter_mut().find(|(by, _)| *by == server) {
            Some((_, times)) => *times += 1,
            None => executed.push((server, 1)),
        }
    }

    /// The engine loses its state; processes and kernel do not, and tell the new engine who waits.
    fn restart(&mut self, scenario: &Scenario, at: usize) {
        let (now_ns, restarts) = (self.now_ns, self.budget.restarts + 1);
        let host = &mut self.hosts[at];
        host.engine = engine(scenario, at, host.boots.unwrap_or_default(), now_ns, Some(restarts));
        // The buffers were the old engine's, and so were the ids of requests: nobody can answer them.
        host.serving.clear();
        self.take_up_claim(at);
        for order in 0..self.fates.len() {
            if scenario.orders[order].from == at && self.fates[order].is_open() {
                let resumed = Some(self.fates[order].began_ns);
                self.send(scenario, order, resumed);
            }
        }
    }

    fn crash(&mut self, scenario: &Scenario, at: usize) {
        self.hosts[at].serving.clear();
        for (order, fate) in scenario.orders.iter().zip(&mut self.fates) {
            fate.excused |= order.from == at && fate.outcomes == 0;
        }
    }

    fn send(&mut self, scenario: &Scenario, order: usize, resumed_since_ns: Option<u64>) {
        let Order { from, to, request_bytes, response_bytes, datagram, patience_ns, .. } =
            scenario.orders[order];
        let client = entity(self.hosts[from].number, CLIENT);
        // Numbers of one client grow by what the sends before took.
        let before = scenario.orders[..order].iter().filter(|other| other.from == from);
        let transaction =
            1 + before.map(|other| transaction_step(other.request_bytes, other.response_bytes)).sum::<u32>();
        // The number that the server's host had at first: the client does not know of reboots.
        let server = to.map_or(GROUP, |to| entity(scenario.number(to, 0), SERVER));
        let began_ns = resumed_since_ns.unwrap_or(self.now_ns);
        let mut words = [CODE + order as u32, order as u32 ^ 0x5555, 0, 0, 0, 0, 0, 0];
        words[0] |= if datagram { message::DATAGRAM } else { 0 };
        let segment = (request_bytes > 0)
            .then_some(Segment { buffer: Buffer(REQUEST_BUFFERS + order as u32), bytes: request_bytes });
        let send = Send {
            client,
            transaction,
            server,
            message: Message { words },
            segment,
            response: Segment { buffer: Buffer(RESPONSE_BUFFERS + order as u32), bytes: response_bytes },
            deadline_ns: patience_ns.map(|patience_ns| began_ns + patience_ns),
            resumed_since_ns,
            flags: scenario.run_flags(order),
            ..Send::default()
        };
        match self.hosts[from].engine.send(self.now_ns, &send) {
            Ok((id, first)) => {
                let fate = &mut self.fates[order];
                fate.id = Some(id);
                fate.began_ns = began_ns;
                self.do_first(from, first);
            }
            Err(_) => self.broken = Some("a send was not begun"),
        }
    }

    /// Does what the engines and the clients want done, until they want nothing.
    fn settle(&mut self, scenario: &Scenario) {
        loop {
            let mut idle = true;
            for at in 0..self.hosts.len() {
                while self.hosts[at].boots.is_some() {
                    let Some(action) = self.hosts[at].engine.next_action() else { break };
                    idle = false;
                    self.act(at, action);
                }
            }
            for order in 0..self.fates.len() {
                let from = scenario.orders[order].from;
                let is_next = self.fates[order].id.is_none()
                    && (0..order).filter(|before| scenario.orders[*before].from == from).all(|before| {
                        let fate = &self.fates[before];
                        fate.outcomes > 0 || fate.id.is_some() && scenario.is_in_run_of(before, order)
                    });
                if is_next && self.hosts[from].boots == Some(0) {
                    idle = false;
                    self.send(scenario, order, None);
                }
            }
            if idle || self.broken.is_some() {
                break;
            }
        }
        for host in &mut self.hosts {
            host.deadline_ns = host.engine.next_deadline();
        }
    }

    pub(crate) fn act(&mut self, at: usize, action: Action) {
        match action {
            Action::Transmit(transmit) => {
                let mut targets: Vec<usize> = (0..self.hosts.len()).filter(|to| *to != at).collect();
                if let Destination::Host(to) = transmit.destination {
                    targets.retain(|host| address(*host) == to);
                }
                for to in targets {
                    let header = transmit.header.encode();
                    self.flying.push(Flight { to, from: at, header, born_ns: self.now_ns, copy: false });
                }
            }
            Action::Deliver(request) => {
                if request.message.has(message::DATAGRAM) {
                    let server = entity(self.hosts[at].number, SERVER);
                    self.execute((request.message.code() - CODE) as usize, server);
                    if let Some(segment) = request.segment {
                        self.hosts[at].engine.release_buffer(segment.buffer);
                    }
                } else {
                    let serving = &mut self.hosts[at].serving;
                    if serving.iter().any(|served| served.id.client == request.id.client) {
                        self.broken = Some("in order: a request comes before the one before it is answered");
                    }
                    serving.push(request);
                }
            }
            Action::Abandon(id) => {
                let serving = &mut self.hosts[at].serving;
                match serving.iter().position(|request| request.id == id) {
                    Some(place) => {
                        let request = serving.remove(place);
                        if let Some(segment) = request.segment {
                            self.hosts[at].engine.release_buffer(segment.buffer);
                        }
                    }
                    None => self.broken = Some("what nobody serves was abandoned"),
                }
            }
            Action::Complete { id, outcome } => {
                match self.fates.iter_mut().find(|fate| fate.id == Some(id)) {
                    Some(fate) => {
                        fate.outcomes += 1;
                        fate.outcome = Some(outcome);
                    }
                    None => self.broken = Some("what nobody sent has an outcome"),
                }
            }
            Action::Claimed(_) => self.claim_ended(at, Claim::Won),
            Action::ClaimLost(_) => self.claim_ended(at, Claim::Lost),
            _ => {}
        }
    }
}

impl Fate {
    /// Somebody waits for it.
    pub(crate) fn is_open(&self) -> bool {
        self.id.is_some() && self.outcomes == 0 && !self.excused
    }
}

fn address(host: usize) -> Address {
    Address::Ethernet([2, 0, 0, 0, 0, host as u8])
}

/// A new engine, of a host that has just booted or of one whose engine was started for the so manyth time. Its seed is
/// another each time, as its driver must see to.
fn engine(scenario: &Scenario, host: usize, boots: u8, now_ns: u64, restarts: Option<u8>) -> Engine {
    let seed =
        u64::from_le_bytes([host as u8, boots, restarts.unwrap_or_default(), scenario.seed, 0, 0, 0, 0]);
    let restarted = restarts.is_some();
    let mut engine = Engine::new(&scenario.configuration(), now_ns, seed);
    let number = scenario.number(host, boots);
    if !scenario.claimants.contains(&host) {
        let added = if restarted { engine.add_local_host(number) } else { engine.add_new_local_host(number) };
        assert!(added, "there is room for one");
    }
    assert!(engine.join_group(GROUP), "there is room for one");
    engine
}
