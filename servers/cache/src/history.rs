//! The cache and a file server as they are, on a bad network with clocks at the bound: a writer writes growing numbers into a
//! file, the same into each of its pieces, and several readers on the cache's node read one piece after the other, so that the
//! next ones are fetched ahead. What a reader begins to read after a write has returned, or after another has read, is no smaller.
//! With one writer of growing numbers, that is what linearizable means.

extern crate std;
use std::vec;
use std::vec::Vec;

use abi::protocol::{Reply, Request};
use abi::{Access, Error, Pid, UserId};
use fastrand::Rng;
use io_server::testing::TestSystem;
use io_server::{IoServer, Limits};
use leases::Grant;
use protocols::cache::PIECE_BYTES;
use protocols::io::{io, mode};
use protocols::leases::leases::{Await, Lease, Recalled};
use ramfs_server::{FileServer, Quota};

use crate::jobs::{Finding, Job, Task, work};
use crate::tests::{Node, USER};

const MS: u64 = 1_000_000;
const END_NS: u64 = 60_000 * MS;
const READERS: usize = 3;
/// Pieces of the file, each of which begins with the number.
const PIECES: u64 = 4;
const NUMBER_BYTES: usize = 8;
const NOTHING: Recalled = Recalled { content: 0, grant: 0 };
const QUOTA: Quota = Quota { user_bytes: 1 << 20, user_objects: 8, total_bytes: 1 << 20, total_objects: 8 };

/// A message under way.
enum Flight {
    /// Of a worker, with when it was sent by its own clock.
    Job(Job, Pid, u64),
    Finding(Job, Pid, Finding),
    Await(Recalled),
    Recalled(Recalled),
    /// The watcher has not heard what it was told.
    Silence,
}

enum Writer {
    Thinking(u64),
    Opening,
    Open(u32, u64),
}

struct Reader {
    client: Pid,
    instance: u32,
    far_instance: u32,
    /// The least that may be read, once reading.
    least: Option<u64>,
    next_ns: u64,
    piece: u64,
}

/// Where a piece begins.
const fn position(piece: u64) -> u64 {
    piece * PIECE_BYTES as u64
}

struct World {
    rng: Rng,
    now_ns: u64,
    near: Node,
    far: TestSystem,
    files: IoServer<FileServer>,
    /// The cache, its watcher and the writer, as the file server knows them.
    cache: Pid,
    channel: Option<Pid>,
    writer: Pid,
    writing: Writer,
    flights: Vec<(u64, Flight)>,
    readers: Vec<Reader>,
    written: u64,
    /// The largest number that a write or a read has returned.
    least: u64,
    reads: u32,
    warm_reads: u32,
    /// Whether recalls are heeded.
    is_whole: bool,
}

impl World {
    fn new(seed: u64, is_whole: bool) -> World {
        let mut far = TestSystem::new();
        let files = IoServer::new(FileServer::new(QUOTA, 0), Limits::default());
        let (cache, writer) = (far.process_elsewhere(UserId::SYSTEM), far.process(USER));
        let mut world = World {
            rng: Rng::with_seed(seed),
            now_ns: MS,
            near: Node::new(),
            far,
            files,
            cache,
            channel: None,
            writer,
            writing: Writer::Thinking(0),
            flights: Vec::new(),
            readers: Vec::new(),
            written: 0,
            least: 0,
            reads: 0,
            warm_reads: 0,
            is_whole,
        };
        let opened = world.open(mode::WRITE | mode::CREATE);
        world.write(opened);
        for _ in 0..READERS {
            let client = world.near.system.process(USER);
            let far_instance = world.open(mode::READ);
            let instance = world.near.attach(client, far_instance).unwrap();
            world.readers.push(Reader { client, instance, far_instance, least: None, next_ns: 0, piece: 0 });
        }
        world
    }

    fn open(&mut self, mode: u32) -> u32 {
        let open = io::Open { context: 0, mode, owner: Pid::NONE };
        self.far.say(&mut self.files, self.writer, &open, b"number").unwrap().instance
    }

    /// Writes the next number, and closes.
    fn write(&mut self, instance: u32) {
        self.written += 1;
        for position in (0..PIECES).map(position) {
            let write = io::Write { instance, position };
            self.far.say(&mut self.files, self.writer, &write, &self.written.to_le_bytes()).unwrap();
        }
        self.least = self.written;
        let release = io::Release { instance, owner: Pid::NONE };
        self.far.say(&mut self.files, self.writer, &release, b"").unwrap();
    }

    fn read_far(&mut self, instance: u32, position: u64, room: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let read = io::Read { instance, position: position + bytes.len() as u64 };
            let rest = room - bytes.len();
            let (done, data) = self.far.ask(&mut self.files, self.cache, &read, rest).unwrap();
            bytes.extend_from_slice(&data[..done.count as usize]);
            if done.count == 0 || bytes.len() == room {
                return bytes;
            }
        }
    }

    /// Puts a message on the network. What is lost is sent again, which takes its time.
    fn send(&mut self, flight: Flight) {
        let most_ms = if self.rng.u32(..100) < 6 { 7_000 } else { 5 };
        let at_ns = self.now_ns + self.rng.u64(MS / 10..most_ms * MS);
        self.flights.push((at_ns, flight));
    }

    fn run(mut self) -> Result<World, u64> {
        while self.now_ns < END_NS {
            self.now_ns += self.rng.u64(MS / 20..2 * MS);
            // The server's clock is fast by half of what clocks may differ, the cache's slow by as much.
            self.far.now_ns = self.now_ns + self.now_ns / 200;
            self.near.system.now_ns = self.now_ns - self.now_ns / 200;
            if self.files.next_tick_ns().is_some_and(|at_ns| at_ns <= self.far.now_ns) {
                self.files.tick(&mut self.far);
            }
            if self.near.server.next_tick_ns().is_some_and(|at_ns| at_ns <= self.near.system.now_ns) {
                self.near.server.tick(&mut self.near.system);
            }
            let now_ns = self.now_ns;
            let due: Vec<_> = self.flights.extract_if(.., |(at_ns, _)| *at_ns <= now_ns).collect();
            for (_, flight) in due {
                self.arrive(flight);
            }
            self.look_for_messages();
            self.go_on_writing();
            for at in 0..READERS {
                self.go_on_reading(at)?;
            }
        }
        Ok(self)
    }

    fn arrive(&mut self, flight: Flight) {
        match flight {
            Flight::Job(job, worker, asked_ns) => {
                let finding = match job.task {
                    Task::Lease(user) => {
                        let lease = Lease { instance: job.instance, user: user.0, holder: self.cache };
                        let leased = self.far.say(&mut self.files, self.cache, &lease, b"").unwrap();
                        let grant =
                            Grant { content: leased.content, number: leased.grant, term_ms: leased.term_ms };
                        Finding::Leased(grant, leased.size, asked_ns)
                    }
                    Task::Fetch(position, _) => {
                        let bytes = self.read_far(job.instance, position, PIECE_BYTES);
                        Finding::Fetched(position, bytes.into())
                    }
                };
                self.send(Flight::Finding(job, worker, finding));
            }
            Flight::Finding(job, worker, finding) => self.near.finish((job, worker), finding),
            Flight::Await(done) => {
                let channel = self.far.process_elsewhere(UserId::SYSTEM);
                self.channel = Some(channel);
                let message =
                    Await { holder: self.cache, content: done.content, grant: done.grant }.to_message();
                self.far.send(&mut self.files, channel, &message, vec![], Access::NONE);
            }
            Flight::Recalled(recalled) if recalled != NOTHING => {
                if self.is_whole {
                    let Recalled { content, grant } = recalled;
                    let give_up = work::GiveUp { server: self.near.far, content, grant };
                    let watcher = self.near.watcher;
                    self.near.system.say(&mut self.near.server, watcher, &give_up, b"").unwrap();
                }
                self.send(Flight::Await(recalled));
            }
            Flight::Recalled(_) | Flight::Silence => {
                let ended = work::WatchEnded { server: self.near.far }.to_message();
                let watcher = self.near.watcher;
                self.near.system.send(&mut self.near.server, watcher, &ended, vec![], Access::NONE);
            }
        }
    }

    /// What the servers have to say goes on its way.
    fn look_for_messages(&mut self) {
        while let Some((job, worker)) = self.near.job() {
            let asked_ns = self.near.system.now_ns;
            self.send(Flight::Job(job, worker, asked_ns));
        }
        let started = self.near.server.service.helpers().watched.pop();
        if started.is_some() || self.near.system.take_reply(self.near.watcher).is_some() {
            self.send(Flight::Await(NOTHING));
        }
        if let Some((reply, _)) = self.channel.and_then(|channel| self.far.take_reply(channel)) {
            self.channel = None;
            if self.rng.u32(..10) == 0 {
                self.flights.push((self.now_ns + 500 * MS, Flight::Silence));
            } else {
                self.send(Flight::Recalled(Recalled::from_message(&reply)));
            }
        }
    }

    fn go_on_writing(&mut self) {
        match self.writing {
            Writer::Thinking(until_ns) if until_ns <= self.now_ns => {
                let open = io::Open { context: 0, mode: mode::WRITE, owner: Pid::NONE }.to_message();
                self.far.send(&mut self.files, self.writer, &open, b"number".to_vec(), Access::READ);
                self.writing = Writer::Opening;
            }
            Writer::Opening => {
                if let Some((reply, _)) = self.far.take_reply(self.writer) {
                    let until_ns = self.now_ns + self.rng.u64(..20 * MS);
                    self.writing = Writer::Open(io::Opened::from_message(&reply).instance, until_ns);
                }
            }
            Writer::Open(instance, until_ns) if until_ns <= self.now_ns => {
                self.write(instance);
                self.writing = Writer::Thinking(self.now_ns + self.rng.u64(..3_000 * MS));
            }
            Writer::Thinking(_) | Writer::Open(..) => {}
        }
    }

    /// An error is a number that was read where a larger one should have been.
    fn go_on_reading(&mut self, at: usize) -> Result<(), u64> {
        let Reader { client, instance, far_instance, least, next_ns, piece } = self.readers[at];
        if least.is_none() && self.now_ns < next_ns {
            return Ok(());
        }
        let least = least.unwrap_or_else(|| {
            self.near.ask(client, instance, position(piece), NUMBER_BYTES);
            self.least
        });
        self.readers[at].least = Some(least);
        let bytes = match self.near.answer(client) {
            None => return Ok(()),
            Some(Err(Error::Busy)) => self.read_far(far_instance, position(piece), NUMBER_BYTES),
            Some(read) => {
                self.warm_reads += 1;
                read.unwrap()
            }
        };
        let number = u64::from_le_bytes(bytes.try_into().unwrap());
        if number < least {
            return Err(number);
        }
        self.reads += 1;
        self.least = self.least.max(number);
        self.readers[at].least = None;
        self.readers[at].piece = (piece + 1) % PIECES;
        self.readers[at].next_ns = self.now_ns + self.rng.u64(..30 * MS);
        Ok(())
    }
}

#[test]
fn no_read_of_the_real_servers_is_stale() {
    let (mut written, mut reads, mut warm_reads) = (0, 0, 0);
    for seed in 0..10 {
        let world = World::new(seed, true).run();
        let world = world.unwrap_or_else(|number| panic!("seed {seed}: {number} is stale"));
        written += world.written;
        reads += world.reads;
        warm_reads += world.warm_reads;
    }
    // The cache was of use, and writers came to write.
    assert!(
        written > 50 && warm_reads > reads / 2,
        "{written} written, {warm_reads} of {reads} by the cache"
    );
}

#[test]
fn a_cache_that_heeds_no_recall_is_found() {
    assert!((0..20).any(|seed| World::new(seed, false).run().is_err()));
}
