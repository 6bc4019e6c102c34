//! A network whose losses are scripted, and which draws what goes over it.

use std::collections::BTreeMap;

use vmtp::encapsulation::Address;
use vmtp::manager::{code, procedure};
use vmtp::packet::header::{Control, Function};
use vmtp::packet::{Header, Message};
use vmtp::{
    Action, Buffer, Configuration, Destination, Engine, EntityId, Forward, LogicalHost, Outcome, Reply,
    Request, Segment, Send,
};

const MICROSECOND_NS: u64 = 1000;
const MILLISECOND_NS: u64 = 1000 * MICROSECOND_NS;
/// From one host to another.
const FLIGHT_NS: u64 = 50 * MICROSECOND_NS;
/// What a server takes.
const WORK_NS: u64 = 200 * MICROSECOND_NS;
/// How long a host is down.
const DOWN_NS: u64 = 100 * MILLISECOND_NS;
/// How long a logical host is on its way to another machine.
const MOVE_NS: u64 = 250 * MILLISECOND_NS;
/// What its server takes there.
const MOVED_WORK_NS: u64 = 25 * MILLISECOND_NS;
/// How long a client collects the responses of a group.
const COLLECT_NS: u64 = 20 * MILLISECOND_NS;
const GROUP: EntityId = EntityId::from_bits(0x6000_0000_0000_0007);
/// Characters before the first host's line.
const MARGIN: usize = 12;
/// Things that may happen before an outcome.
const EVENTS: usize = 1000;

/// When to stop drawing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cue {
    /// The client has its outcome, and nothing is on its way.
    Outcome,
}

#[derive(Clone, Copy)]
enum Event {
    Arrive { from: usize, to: usize, header: Header },
    Work { at: usize, request: Request },
    Boot { at: usize },
    Move { from: usize, to: usize },
    TakeIn { at: usize, server: EntityId },
}

/// Hosts side by side, and the drawing so far.
pub struct Stage {
    names: Vec<&'static str>,
    spacing: usize,
    engines: Vec<Option<Engine>>,
    boots: Vec<u32>,
    now_ns: u64,
    begin_ns: u64,
    coming: BTreeMap<(u64, u64), Event>,
    events: u64,
    packets: usize,
    lost: Vec<usize>,
    hands_on: Option<(usize, usize)>,
    crashes: Option<usize>,
    moves: Option<(usize, usize)>,
    /// The state of a logical host on its way.
    moving: Vec<u8>,
    transaction: u32,
    response_bytes: u32,
    /// Sends without an outcome.
    open: usize,
    batches: bool,
    drawing: String,
}

fn entity(host: LogicalHost, process: u32) -> EntityId {
    EntityId::from_bits(0x2000_0000_0001_0000 | u64::from(host.to_bits()) << 32 | u64::from(process))
}

impl Stage {
    /// Hosts with these names, so many characters apart. The first is the client's.
    pub fn new(names: &[&'static str], spacing: usize) -> Stage {
        let mut stage = Stage {
            names: names.to_vec(),
            spacing,
            engines: vec![None; names.len()],
            boots: vec![0; names.len()],
            now_ns: 0,
            begin_ns: 0,
            coming: BTreeMap::new(),
            events: 0,
            packets: 0,
            lost: Vec::new(),
            hands_on: None,
            crashes: None,
            moves: None,
            moving: Vec::new(),
            transaction: 0,
            response_bytes: 0,
            open: 0,
            batches: false,
            drawing: String::new(),
        };
        for at in 0..names.len() {
            stage.boot(at);
        }
        stage
    }

    fn number(&self, at: usize) -> LogicalHost {
        LogicalHost::from_bits(0x100 * (at as u32 + 1) + self.boots[at])
    }

    fn boot(&mut self, at: usize) {
        let seed = at as u64 * 100 + u64::from(self.boots[at]);
        let configuration = Configuration { clients: 8, servers: 8, hosts: 8, ..Configuration::default() };
        let mut engine = Engine::new(&configuration, self.now_ns, seed);
        assert!(engine.add_new_local_host(self.number(at)));
        // The client asks the group and is no member.
        if at > 0 {
            assert!(engine.join_group(GROUP));
        }
        self.engines[at] = Some(engine);
    }

    /// Every host has heard of every other: what that takes is not drawn.
    pub fn acquaint(&mut self) {
        for from in 0..self.names.len() {
            for to in 0..self.names.len() {
                if from == to {
                    continue;
                }
                let (client, server) = (entity(self.number(from), 1), entity(self.number(to), 2));
                self.begin(from, client, server, (0x1000, 0), (None, 0));
                self.go_on();
                assert!(self.open == 0, "they answer");
            }
        }
        self.now_ns += 10_000 * MILLISECOND_NS;
        self.coming.clear();
        self.begin_ns = self.now_ns;
        self.drawing.clear();
        self.packets = 0;
        self.transaction = 0;
        let mut head = " ".repeat(MARGIN);
        for (at, name) in self.names.iter().enumerate() {
            let from = (self.column(at) + 1).saturating_sub(name.len().div_ceil(2));
            head = format!("{head:from$}{name}");
        }
        self.drawing = format!("{head}\n");
    }

    /// The packets with these numbers, counted from 0, are lost.
    pub fn lose(&mut self, packets: &[usize]) {
        self.lost = packets.to_vec();
    }

    /// The server of one host hands requests on to that of another.
    pub fn hand_on(&mut self, from: usize, to: usize) {
        self.hands_on = Some((from, to));
    }

    /// That host crashes when its server has begun to work, and boots again.
    pub fn crash_at_work(&mut self, at: usize) {
        self.crashes = Some(at);
    }

    /// That host's logical host moves to another machine when its server has begun to work.
    pub fn move_at_work(&mut self, from: usize, to: usize) {
        self.moves = Some((from, to));
    }

    /// The client sends a request to the server of host `to`.
    pub fn send(&mut self, to: usize, request_bytes: u32, response_bytes: u32) {
        let server = entity(self.number(to), 2);
        self.response_bytes = response_bytes;
        self.begin(0, entity(self.number(0), 10), server, (0x1001, request_bytes), (None, 0));
    }

    /// The client sends a request to all servers.
    pub fn send_to_group(&mut self, flags: u32) {
        let deadline_ns = Some(self.now_ns + COLLECT_NS);
        self.begin(0, entity(self.number(0), 10), GROUP, (0x1001 | flags, 0), (deadline_ns, 0));
    }

    /// The client sends so many requests to the server of host `to`, a run.
    pub fn send_run(&mut self, to: usize, count: usize) {
        let server = entity(self.number(to), 2);
        for place in 0..count {
            let start = if place == 0 { 0 } else { Control::NOT_START_OF_RUN };
            let end = if place + 1 == count { 0 } else { Control::NOT_END_OF_RUN };
            self.begin(0, entity(self.number(0), 10), server, (0x1001, 0), (None, start | end));
        }
    }

    /// Servers leave a response to the next one where they can.
    pub fn batch(&mut self) {
        self.batches = true;
    }

    fn begin(
        &mut self,
        from: usize,
        client: EntityId,
        server: EntityId,
        (code, bytes): (u32, u32),
        (deadline_ns, flags): (Option<u64>, u32),
    ) {
        self.transaction += 1;
        self.open += 1;
        let send = Send {
            client,
            transaction: self.transaction,
            server,
            message: Message { words: [code, 0, 0, 0, 0, 0, 0, 0] },
            segment: (bytes > 0).then_some(Segment { buffer: Buffer(1000), bytes }),
            response: Segment { buffer: Buffer(1001), bytes: self.response_bytes },
            deadline_ns,
            flags,
            ..Send::default()
        };
        let now_ns = self.now_ns;
        let (_, first) = self.engine(from).send(now_ns, &send).expect("the send is begun");
        self.do_first(from, first);
        self.settle();
    }

    fn engine(&mut self, at: usize) -> &mut Engine {
        self.engines[at].as_mut().expect("the host is up")
    }

    /// Goes on until the cue; the drawing.
    pub fn run(mut self, cue: Cue) -> String {
        assert!(cue == Cue::Outcome);
        self.go_on();
        assert!(self.open == 0, "{}", self.drawing);
        self.drawing
    }

    fn go_on(&mut self) {
        for _ in 0..EVENTS {
            let deadlines = self.engines.iter_mut().flatten().filter_map(Engine::next_deadline);
            let deadline_ns = deadlines.min().unwrap_or(u64::MAX);
            let next = self.coming.first_key_value().map(|(key, _)| *key);
            match next {
                Some(key) if key.0 <= deadline_ns => {
                    self.now_ns = key.0;
                    let event = self.coming.remove(&key).expect("it is coming");
                    self.happen(event);
                }
                None if self.open == 0 => return,
                _ => {
                    assert_ne!(deadline_ns, u64::MAX, "nothing happens any more:\n{}", self.drawing);
                    self.now_ns = deadline_ns;
                    for engine in self.engines.iter_mut().flatten() {
                        engine.advance(deadline_ns);
                    }
                }
            }
            self.settle();
        }
        panic!("it goes on and on:\n{}", self.drawing);
    }

    fn later(&mut self, in_ns: u64, event: Event) {
        self.events += 1;
        self.coming.insert((self.now_ns + in_ns, self.events), event);
    }

    fn happen(&mut self, event: Event) {
        let now_ns = self.now_ns;
        match event {
            Event::Arrive { from, to, header } => {
                if let Some(engine) = &mut self.engines[to] {
                    let received = engine.receive(now_ns, address(from), &header);
                    self.do_first(to, received.action);
                }
            }
            Event::Work { at, request } => self.work(at, &request),
            Event::Boot { at } => {
                self.boots[at] += 1;
                self.boot(at);
                self.note(at, "is up again, as another host");
            }
            Event::Move { from, to } => {
                let number = self.number(from);
                self.moving = self.engine(from).export(now_ns, number).expect("it is local");
                self.note(from, "leaves");
                self.later(MOVE_NS, Event::TakeIn { at: to, server: entity(number, 2) });
            }
            Event::TakeIn { at, server } => {
                let state = core::mem::take(&mut self.moving);
                let imported = self.engine(at).import(now_ns, &state, Some).expect("there is room");
                self.note(at, "it is here, and goes on");
                let (id, message) = (imported.requests[0], Message::default());
                let request = Request { id, server, message, segment: None, forward_count: 0, priority: 0 };
                self.later(MOVED_WORK_NS, Event::Work { at, request });
            }
        }
    }

    fn work(&mut self, at: usize, request: &Request) {
        let now_ns = self.now_ns;
        if self.engines[at].is_none() {
            return;
        }
        if let Some((from, to)) =
            self.hands_on.filter(|(from, _)| *from == at && request.message.code() != 0x1000)
        {
            self.note(from, "hands it on");
            let server = entity(self.number(to), 2);
            let forward = Forward { server, message: request.message, segment: None };
            self.engine(at).forward(now_ns, request.id, &forward).expect("it can be handed on");
            return;
        }
        if self.batches && self.engine(at).batch(now_ns, request.id).is_ok() {
            return;
        }
        let bytes = self.response_bytes;
        let segment = (bytes > 0).then_some(Segment { buffer: Buffer(1002), bytes });
        let server = if request.server.is_group() { entity(self.number(at), 2) } else { request.server };
        let reply = Reply { server, message: Message::default(), segment };
        let first = self.engine(at).reply(now_ns, request.id, &reply).expect("the client waits");
        self.do_first(at, first);
    }

    fn settle(&mut self) {
        for at in 0..self.engines.len() {
            while let Some(action) = self.engines[at].as_mut().and_then(Engine::next_action) {
                self.act(at, action);
            }
        }
    }

    /// Does what comes of a call at once.
    fn do_first(&mut self, at: usize, action: Option<Action>) {
        if let Some(action) = action {
            self.act(at, action);
        }
    }

    fn act(&mut self, at: usize, action: Action) {
        match action {
            Action::Transmit(transmit) => {
                let mut to: Vec<usize> = (0..self.names.len()).filter(|to| *to != at).collect();
                if let Destination::Host(there) = transmit.destination {
                    to.retain(|to| address(*to) == there);
                }
                let lost = self.lost.contains(&self.packets);
                self.packets += 1;
                self.arrow(at, &to, &label(&transmit.header), lost);
                if !lost {
                    for to in to {
                        let event = Event::Arrive { from: at, to, header: transmit.header };
                        self.later(FLIGHT_NS, event);
                    }
                }
            }
            Action::Deliver(request) => {
                if self.crashes == Some(at) && request.message.code() != 0x1000 {
                    self.note(at, "executes, and crashes");
                    self.engines[at] = None;
                    self.crashes = None;
                    self.later(DOWN_NS, Event::Boot { at });
                    return;
                }
                if self.hands_on.is_none_or(|(from, _)| from != at) {
                    self.note(at, "executes");
                }
                if let Some((from, to)) = self.moves.take_if(|(from, _)| *from == at) {
                    self.later(WORK_NS, Event::Move { from, to });
                    return;
                }
                // The members of a group take different times.
                self.later(WORK_NS * at as u64, Event::Work { at, request });
            }
            Action::Complete { id, outcome } => {
                self.open -= 1;
                let told = match outcome {
                    Outcome::Response(_) if self.transaction > 1 => {
                        format!("has response {}", id.transaction)
                    }
                    Outcome::Response(_) => "has its response".to_owned(),
                    Outcome::Collected { responses } => format!("has {responses} responses"),
                    Outcome::Failed { failure, may_have_been_executed } => {
                        let executed = if may_have_been_executed { "may have been" } else { "was not" };
                        format!("fails: {failure:?}; {executed} executed")
                    }
                    Outcome::Batched { by } => format!("has response {by} for {}, too", id.transaction),
                    Outcome::Sent => "has sent".to_owned(),
                };
                self.note(at, &told);
            }
            _ => {}
        }
    }

    fn column(&self, at: usize) -> usize {
        MARGIN + 2 + at * self.spacing
    }

    /// The lines of all hosts, and the time.
    fn line(&self) -> Vec<char> {
        let us = (self.now_ns - self.begin_ns) / MICROSECOND_NS;
        let mut line: Vec<char> = format!("{:>5}.{:02} ms", us / 1000, us % 1000 / 10).chars().collect();
        line.resize(self.column(self.names.len() - 1) + 1, ' ');
        for at in 0..self.names.len() {
            let column = self.column(at);
            line[column] = if self.engines[at].is_some() { '|' } else { ' ' };
        }
        line
    }

    fn put(&mut self, line: &[char]) {
        let text: String = line.iter().collect();
        self.drawing += text.trim_end();
        self.drawing.push('\n');
    }

    /// Something at a host.
    fn note(&mut self, at: usize, text: &str) {
        let mut line = self.line();
        write(&mut line, self.column(at) + 2, text);
        self.put(&line);
    }

    /// A packet.
    fn arrow(&mut self, from: usize, to: &[usize], label: &str, lost: bool) {
        let mut line = self.line();
        let own = self.column(from);
        let rightwards = to.iter().any(|to| *to > from);
        for to in to {
            let mut end = self.column(*to);
            let head = if *to > from { '>' } else { '<' };
            if lost {
                end = if *to > from { end - 6 } else { end + 6 };
            }
            let between = if *to > from { own + 1..end } else { end + 1..own };
            line[between.clone()].iter_mut().filter(|place| **place == ' ').for_each(|place| *place = '-');
            match (lost, *to > from) {
                (true, _) => line[end] = 'x',
                (false, true) => line[between.end - 1] = head,
                (false, false) => line[between.start] = head,
            }
        }
        // The label stands at the sender.
        let text = format!(" {label} ");
        let start = if rightwards { own + 3 } else { own - 2 - text.chars().count() };
        write(&mut line, start, &text);
        self.put(&line);
    }
}

fn write(line: &mut Vec<char>, start: usize, text: &str) {
    for (place, character) in (start..).zip(text.chars()) {
        if line.len() <= place {
            line.resize(place + 1, ' ');
        }
        line[place] = character;
    }
}

fn address(at: usize) -> Address {
    Address::Ethernet([2, 0, 0, 0, 0, at as u8])
}

/// What a packet says, in a few words.
fn label(header: &Header) -> String {
    let message = &header.message;
    let is = |procedure: u32| header.server == EntityId::MANAGER_GROUP && message.words[0] == procedure;
    let response = header.control.function() == Function::Response;
    if is(procedure::NOTIFY_CLIENT) || is(procedure::NOTIFY_SERVER) || is(procedure::NOTIFY_REMOTE_CLIENT) {
        let said = match message.words[7] {
            code::OK => "all here".to_owned(),
            code::RETRY => format!("has {}", blocks(message.words[6])),
            code::ENTITY_MIGRATED => "not here".to_owned(),
            code::RETRY_ALL => "has all up to this".to_owned(),
            code::RESPONSE_DISCARDED => "forgotten".to_owned(),
            code::BAD_TRANSACTION_ID => "not wanted".to_owned(),
            other => format!("code {other}"),
        };
        return format!("notice {}: {said}", message.words[5]);
    }
    if is(procedure::PROBE_ENTITY) {
        return format!("probe: who has {:x}?", message.entity(3).host().to_bits());
    }
    if response && header.client.is_manager() {
        return "probe's answer".to_owned();
    }
    let what = if response { "response" } else { "request" };
    let mut label = format!("{what} {}", header.transaction);
    let count = header.control.gap_or_group_count();
    if response && count != 0 {
        label = format!("{label}, for {count} before, too");
    }
    if header.delivery != 0 {
        label = format!("{label}, {}", blocks(header.delivery));
    }
    if header.control.has(Control::ACKNOWLEDGE) {
        label += ", got it?";
    }
    label
}

/// The blocks of a mask as ranges.
fn blocks(mask: u32) -> String {
    if mask == 0 {
        return "no blocks".to_owned();
    }
    let mut ranges = Vec::new();
    let mut block = 0;
    while block < 32 {
        let count = (mask >> block).trailing_ones();
        match count {
            0 => block += 1,
            1 => ranges.push(block.to_string()),
            _ => ranges.push(format!("{block}-{}", block + count - 1)),
        }
        block += count;
    }
    format!("blocks {}", ranges.join(", "))
}
