//! A file server, caches with readers, and writers, on a network that loses, repeats and delays messages for seconds and is
//! parted, with clocks that go wrong as far as they may; the server crashes. All of it follows from a seed. What the programs
//! saw comes out as histories.
//!
//! The server and the caches are those of the crate. What stands around them here is what the servers of the system do: the
//! server answers whoever opens a file for writing when it may be written; while one is open so, nobody gets a lease.

pub mod linearizable;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use fastrand::Rng;
use leases::{Grant, Grants, Holdings, Permission, Recall};
use linearizable::{Kind, Operation};

/// A part of the protocol that is left out, to see that this is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// None.
    Nothing,
    /// Who opens a file for writing does not wait.
    WritersDoNotWait,
    /// A restarted server lets everyone write at once.
    NothingIsWaitedOut,
    /// The term counts from when the answer came.
    TermsCountFromTheAnswer,
    /// Clocks differ by more than they may.
    ClocksDifferTooMuch,
    /// Grants that come after their recall are taken.
    LateGrantsAreTaken,
    /// There are leases while a file is open for writing.
    LeasesWhileWriting,
}

pub const FILES: usize = 2;
const CACHES: usize = 3;
const WRITERS: usize = 2;
const MS: u64 = 1_000_000;
const END_NS: u64 = 60_000 * MS;
/// How long after the first time a message is sent again, and given up.
const AGAIN_NS: u64 = 700 * MS;
const PATIENCE_NS: u64 = 12_000 * MS;

#[derive(Clone, Copy, Debug)]
struct Clock {
    ahead_ns: u64,
    /// In parts of a million.
    fast: i64,
}

impl Clock {
    fn at(self, real_ns: u64) -> u64 {
        let drift_ns = (real_ns / 1_000_000).cast_signed() * self.fast;
        (self.ahead_ns + real_ns).strict_add_signed(drift_ns)
    }
}

/// Who asks: a cache's reader of a file, a cache's channel for recalls, a writer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Client {
    Reader(usize, usize),
    Channel(usize),
    Writer(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Question {
    Lease(usize),
    Read(usize),
    /// And what was given up, in which life of the server's.
    Await(Option<(u64, Recall)>),
    Open(usize),
    Write(usize, u64),
    Close(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    Leased(Grant),
    Value(u64),
    Recalled(Recall),
    Done,
    /// Of a file that is not open.
    Refused,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// Life of the server for which it is, client, number of the question.
    Ask(u64, Client, u64, Question),
    Answer(u64, Client, u64, Answer),
    Again(Client, u64),
    Think(Client),
    /// A writer that was told to wait may ask again.
    Due,
    Crash,
    Restart,
    Part(usize, bool),
}

/// A question that is not answered.
#[derive(Clone, Copy, Debug)]
struct Asked {
    number: u64,
    question: Question,
    since_ns: u64,
    /// By the asker's own clock.
    local_ns: u64,
}

#[derive(Default)]
struct Cache {
    /// By the server's life.
    holdings: BTreeMap<u64, Holdings>,
    known: [Option<(u64, u32, u64)>; FILES],
    /// The lease under which a reader's read is under way.
    reading: [Option<(u64, u32)>; FILES],
}

struct Server {
    life: u64,
    is_up: bool,
    grants: Grants<usize>,
    /// Who has which file open for writing.
    open: BTreeSet<(usize, Client)>,
    waiting: Vec<(Client, u64, usize)>,
    channels: [Option<u64>; CACHES],
    /// What was answered last to whom: nothing is done twice.
    answered: BTreeMap<Client, (u64, Answer)>,
    values: [u64; FILES],
}

pub struct World {
    rng: Rng,
    broken: Broken,
    now_ns: u64,
    events: BinaryHeap<Reverse<(u64, u64)>>,
    scheduled: BTreeMap<u64, Event>,
    next_event: u64,
    server: Server,
    server_clock: Clock,
    caches: [Cache; CACHES],
    cache_clocks: [Clock; CACHES],
    is_cut: [bool; CACHES],
    asked: BTreeMap<Client, Asked>,
    next_number: u64,
    began_ns: BTreeMap<Client, u64>,
    next_value: u64,
    pub histories: [Vec<Operation>; FILES],
    /// Reads that no message was sent for.
    pub warm_reads: u32,
    /// Opens for writing that had to wait.
    pub waits: u32,
}

/// What programs see until the end, from a seed.
pub fn run(seed: u64, broken: Broken) -> World {
    let mut world = World::new(seed, broken);
    while let Some(Reverse((at_ns, number))) = world.events.pop() {
        let event = world.scheduled.remove(&number).expect("it was scheduled");
        if at_ns > END_NS {
            break;
        }
        world.now_ns = at_ns;
        world.happen(event);
    }
    world.end();
    world
}

impl World {
    fn new(seed: u64, broken: Broken) -> World {
        let mut rng = Rng::with_seed(seed);
        // The server's is fast by half of what they may differ, caches' slow by as much or anything between.
        let half: i64 = if broken == Broken::ClocksDifferTooMuch { 25_000 } else { 5_000 };
        let server_clock = Clock { ahead_ns: rng.u64(..1 << 40), fast: half };
        let cache_clocks = [0; CACHES].map(|_| Clock {
            ahead_ns: rng.u64(..1 << 40),
            fast: if rng.bool() { -half } else { rng.i64(-half..=half) },
        });
        let mut world = World {
            rng,
            broken,
            now_ns: 0,
            events: BinaryHeap::new(),
            scheduled: BTreeMap::new(),
            next_event: 0,
            server: Server {
                life: 1,
                is_up: true,
                grants: Grants::new(),
                open: BTreeSet::new(),
                waiting: Vec::new(),
                channels: [None; CACHES],
                answered: BTreeMap::new(),
                values: [0; FILES],
            },
            server_clock,
            caches: Default::default(),
            cache_clocks,
            is_cut: [false; CACHES],
            asked: BTreeMap::new(),
            next_number: 0,
            began_ns: BTreeMap::new(),
            next_value: 0,
            histories: Default::default(),
            warm_reads: 0,
            waits: 0,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for cache in 0..CACHES {
            self.ask(Client::Channel(cache), Question::Await(None));
            for file in 0..FILES {
                self.think(Client::Reader(cache, file));
            }
        }
        (0..WRITERS).for_each(|writer| self.think(Client::Writer(writer)));
        for _ in 0..self.rng.u32(..4) {
            let at_ns = self.rng.u64(..END_NS);
            self.schedule(at_ns, Event::Crash);
        }
        for _ in 0..self.rng.u32(..6) {
            let (cache, at_ns) = (self.rng.usize(..CACHES), self.rng.u64(..END_NS));
            let for_ns = self.rng.u64(200 * MS..12_000 * MS);
            self.schedule(at_ns, Event::Part(cache, true));
            self.schedule(at_ns + for_ns, Event::Part(cache, false));
        }
    }

    fn schedule(&mut self, at_ns: u64, event: Event) {
        self.next_event += 1;
        self.events.push(Reverse((at_ns, self.next_event)));
        self.scheduled.insert(self.next_event, event);
    }

    fn think(&mut self, client: Client) {
        let longest_ms = if matches!(client, Client::Writer(_)) { 4_000 } else { 600 };
        let at_ns = self.now_ns + self.rng.u64(..longest_ms * MS);
        self.schedule(at_ns, Event::Think(client));
    }

    /// Puts a message on the network, to or from a client: it is lost, late, twice there.
    fn send(&mut self, client: Client, event: Event) {
        let is_lost = self.rng.u32(..100) < 8;
        if is_lost
            || matches!(client, Client::Reader(cache, _) | Client::Channel(cache) if self.is_cut[cache])
        {
            return;
        }
        for _ in 0..if self.rng.u32(..100) < 5 { 2 } else { 1 } {
            let most_ms = if self.rng.u32(..100) < 4 { 6_000 } else { 20 };
            let at_ns = self.now_ns + self.rng.u64(MS / 10..most_ms * MS);
            self.schedule(at_ns, event);
        }
    }

    fn ask(&mut self, client: Client, question: Question) {
        self.next_number += 1;
        let number = self.next_number;
        let local_ns = self.local_ns(client);
        self.asked.insert(client, Asked { number, question, since_ns: self.now_ns, local_ns });
        self.send(client, Event::Ask(self.server.life, client, number, question));
        self.schedule(self.now_ns + AGAIN_NS, Event::Again(client, number));
    }

    fn local_ns(&self, client: Client) -> u64 {
        match client {
            Client::Reader(cache, _) | Client::Channel(cache) => self.cache_clocks[cache].at(self.now_ns),
            Client::Writer(_) => self.now_ns,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Ask(life, client, number, question) => {
                if self.server.is_up && life == self.server.life {
                    self.serve(client, number, question);
                }
            }
            Event::Answer(life, client, number, answer) => {
                if self.asked.get(&client).is_some_and(|asked| asked.number == number) {
                    let asked = self.asked.remove(&client).expect("it was just there");
                    self.hear(life, client, asked, answer);
                }
            }
            Event::Again(client, number) => self.ask_again(client, number),
            Event::Think(client) => self.start(client),
            Event::Due => self.let_write(),
            Event::Crash => {
                if self.server.is_up {
                    self.server.is_up = false;
                    let for_ns = self.rng.u64(50 * MS..2_000 * MS);
                    self.schedule(self.now_ns + for_ns, Event::Restart);
                }
            }
            Event::Restart => self.restart(),
            Event::Part(cache, is_cut) => self.is_cut[cache] = is_cut,
        }
    }

    fn restart(&mut self) {
        let now_ns = self.server_clock.at(self.now_ns);
        let server = &mut self.server;
        server.life += 1;
        server.is_up = true;
        server.grants = Grants::new();
        if self.broken != Broken::NothingIsWaitedOut {
            server.grants.wait_out(now_ns);
        }
        server.open.clear();
        server.waiting.clear();
        server.channels = [None; CACHES];
        server.answered.clear();
    }

    // The server.

    fn answer(&mut self, client: Client, number: u64, answer: Answer) {
        self.server.answered.insert(client, (number, answer));
        self.send(client, Event::Answer(self.server.life, client, number, answer));
    }

    fn serve(&mut self, client: Client, number: u64, question: Question) {
        match self.server.answered.get(&client) {
            Some((last, _)) if number < *last => return,
            Some((last, answer)) if number == *last => return self.answer(client, number, *answer),
            _ => {}
        }
        let now_ns = self.server_clock.at(self.now_ns);
        let server = &mut self.server;
        let is_open = |file| server.open.contains(&(file, client));
        let answer = match (question, client) {
            (Question::Lease(file), Client::Reader(cache, _)) => {
                let is_written = server.open.iter().any(|(open, _)| *open == file);
                Answer::Leased(if is_written && self.broken != Broken::LeasesWhileWriting {
                    Grant::NONE
                } else {
                    server.grants.grant(file as u64, cache, now_ns)
                })
            }
            (Question::Read(file), _) => Answer::Value(server.values[file]),
            (Question::Await(done), Client::Channel(cache)) => {
                let done = done.filter(|(life, _)| *life == server.life).map(|(_, recall)| recall);
                server.grants.approve(cache, done);
                server.channels[cache] = Some(number);
                self.let_write();
                return;
            }
            (Question::Open(file), _) if is_open(file) => Answer::Done,
            (Question::Open(file), _) => {
                server.waiting.retain(|waiting| waiting.0 != client);
                server.waiting.push((client, number, file));
                self.let_write();
                return;
            }
            (Question::Write(file, value), _) if is_open(file) => {
                server.values[file] = value;
                Answer::Done
            }
            (Question::Write(..), _) => Answer::Refused,
            (Question::Close(file), _) => {
                server.open.remove(&(file, client));
                Answer::Done
            }
            (Question::Lease(_) | Question::Await(_), _) => panic!("{client:?} is no cache"),
        };
        self.answer(client, number, answer);
    }

    /// Opens files for those who wait for that and may write by now, and tells caches what is recalled.
    fn let_write(&mut self) {
        if !self.server.is_up {
            return;
        }
        let now_ns = self.server_clock.at(self.now_ns);
        for waiting @ (client, number, file) in std::mem::take(&mut self.server.waiting) {
            let permission = self.server.grants.begin_write(file as u64, now_ns);
            match permission {
                Permission::At(until_ns) if self.broken != Broken::WritersDoNotWait => {
                    self.waits += 1;
                    self.server.waiting.push(waiting);
                    // It is fast, so it comes at the time that it says or a little later.
                    self.schedule(self.now_ns + (until_ns - now_ns), Event::Due);
                }
                _ => {
                    self.server.open.insert((file, client));
                    self.answer(client, number, Answer::Done);
                }
            }
        }
        for cache in 0..CACHES {
            if let Some(number) = self.server.channels[cache]
                && let Some(recall) = self.server.grants.next_recall(cache, now_ns)
            {
                self.server.channels[cache] = None;
                self.answer(Client::Channel(cache), number, Answer::Recalled(recall));
            }
        }
    }

    // The clients.

    fn start(&mut self, client: Client) {
        self.began_ns.insert(client, self.now_ns);
        match client {
            Client::Reader(cache, file) => match self.find(cache, file) {
                Some(value) => {
                    self.warm_reads += 1;
                    self.has_read(client, file, value);
                }
                None => self.ask(client, Question::Lease(file)),
            },
            Client::Writer(_) => {
                let file = self.rng.usize(..FILES);
                self.ask(client, Question::Open(file));
            }
            Client::Channel(_) => {}
        }
    }

    /// What a cache has of a file and may rely on.
    fn find(&self, cache: usize, file: usize) -> Option<u64> {
        let (life, content, value) = self.caches[cache].known[file]?;
        let now_ns = self.cache_clocks[cache].at(self.now_ns);
        self.caches[cache].holdings.get(&life)?.holds(content, now_ns).then_some(value)
    }

    fn has_read(&mut self, client: Client, file: usize, value: u64) {
        let began_ns = self.began_ns[&client];
        let ended_ns = Some(self.now_ns);
        self.histories[file].push(Operation { kind: Kind::Read(value), began_ns, ended_ns });
        self.think(client);
    }

    fn has_written(&mut self, file: usize, value: u64, began_ns: u64, ended_ns: Option<u64>) {
        self.histories[file].push(Operation { kind: Kind::Write(value), began_ns, ended_ns });
    }

    fn hear(&mut self, life: u64, client: Client, asked: Asked, answer: Answer) {
        match (client, asked.question, answer) {
            (Client::Reader(cache, file), _, Answer::Leased(grant)) => {
                let from_ns = match self.broken {
                    Broken::TermsCountFromTheAnswer => self.local_ns(client),
                    _ => asked.local_ns,
                };
                let holdings = self.caches[cache].holdings.entry(life).or_default();
                let is_good = holdings.take(grant, from_ns);
                self.caches[cache].reading[file] = is_good.then_some((life, grant.content));
                let known = self.caches[cache].known[file];
                if let Some((.., value)) = known.filter(|known| (known.0, known.1) == (life, grant.content))
                    && self.find(cache, file).is_some()
                {
                    self.has_read(client, file, value);
                } else {
                    self.ask(client, Question::Read(file));
                }
            }
            (Client::Reader(cache, file), _, Answer::Value(value)) => {
                let now_ns = self.local_ns(client);
                let cache = &mut self.caches[cache];
                if let Some((under, content)) = cache.reading[file].filter(|(under, _)| *under == life)
                    && cache.holdings.get(&under).is_some_and(|holdings| holdings.holds(content, now_ns))
                {
                    cache.known[file] = Some((life, content, value));
                }
                self.has_read(client, file, value);
            }
            (Client::Channel(cache), _, Answer::Recalled(recall)) => {
                let holdings = self.caches[cache].holdings.entry(life).or_default();
                if self.broken == Broken::LateGrantsAreTaken {
                    holdings.give_up(Recall { grant: 0, ..recall });
                } else {
                    holdings.give_up(recall);
                }
                self.ask(client, Question::Await(Some((life, recall))));
            }
            (Client::Writer(_), Question::Open(file), _) => {
                self.next_value += 1;
                self.began_ns.insert(client, self.now_ns);
                self.ask(client, Question::Write(file, self.next_value));
            }
            (Client::Writer(_), Question::Write(file, value), answer) => {
                let ended_ns = (answer == Answer::Done).then_some(self.now_ns);
                self.has_written(file, value, self.began_ns[&client], ended_ns);
                self.ask(client, Question::Close(file));
            }
            (Client::Writer(_), Question::Close(_), _) => self.think(client),
            (_, question, answer) => panic!("{question:?} is answered {answer:?}"),
        }
    }

    /// What was not answered is asked again, of the server that there is now, or given up.
    fn ask_again(&mut self, client: Client, number: u64) {
        let Some(asked) = self.asked.get(&client).copied().filter(|asked| asked.number == number) else {
            return;
        };
        let is_over = self.now_ns - asked.since_ns > PATIENCE_NS;
        match (client, asked.question) {
            (Client::Reader(..), _) if is_over => {
                self.asked.remove(&client);
                self.think(client);
            }
            (_, Question::Write(file, value)) if is_over => {
                self.asked.remove(&client);
                self.has_written(file, value, self.began_ns[&client], None);
                self.ask(client, Question::Close(file));
            }
            (_, question) => {
                self.send(client, Event::Ask(self.server.life, client, number, question));
                self.schedule(self.now_ns + AGAIN_NS, Event::Again(client, number));
            }
        }
    }

    /// What is under way at the end may have happened or not.
    fn end(&mut self) {
        for (client, asked) in std::mem::take(&mut self.asked) {
            if let Question::Write(file, value) = asked.question {
                self.has_written(file, value, self.began_ns[&client], None);
            }
        }
    }
}
