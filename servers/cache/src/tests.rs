//! The cache as its clients see it: the other node is played here.

extern crate std;
use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

use abi::protocol::Request as _;
use abi::{Access, Error, Pid, UserId};
use io_server::testing::TestSystem;
use io_server::{IoServer, Limits};
use leases::{Grant, TERM_MS, TERM_NS};
use protocols::cache::{PIECE_BYTES, cache};
use protocols::io::io;

use crate::jobs::{Finding, Helpers, Job, Task, WORKERS, work};
use crate::server::FileCache;
use crate::store::Store;

pub const USER: UserId = UserId(100);
const MOST_BYTES: usize = 8 * PIECE_BYTES;

#[derive(Default)]
pub struct Played {
    jobs: VecDeque<Job>,
    findings: VecDeque<(Job, Finding)>,
    pub watched: Vec<Pid>,
}

impl Helpers for Played {
    fn give(&mut self, job: Job) {
        self.jobs.push_back(job);
    }

    fn take_finding(&mut self) -> Option<(Job, Finding)> {
        self.findings.pop_front()
    }

    fn watch(&mut self, server: Pid) -> Result<(), Error> {
        self.watched.push(server);
        Ok(())
    }
}

pub struct Node {
    pub system: TestSystem,
    pub server: IoServer<FileCache<Played>>,
    pub far: Pid,
    pub client: Pid,
    pub watcher: Pid,
    pub workers: Vec<Pid>,
    pub grants: u64,
}

impl Node {
    pub fn new() -> Node {
        let mut system = TestSystem::new();
        let own = system.process(UserId::SYSTEM);
        let far = system.process_elsewhere(UserId::SYSTEM);
        let client = system.process(USER);
        let watcher = system.process(UserId::SYSTEM);
        let cache = FileCache::new(Played::default(), own, MOST_BYTES);
        let mut node = Node {
            server: IoServer::new(cache, Limits::default()),
            far,
            client,
            watcher,
            workers: Vec::new(),
            grants: 0,
            system,
        };
        for _ in 0..WORKERS {
            let worker = node.system.process(UserId::SYSTEM);
            node.workers.push(worker);
            node.next(worker);
        }
        node
    }

    fn next(&mut self, worker: Pid) {
        let message = work::Next {}.to_message();
        self.system.send(&mut self.server, worker, &message, vec![], Access::NONE);
    }

    pub fn attach(&mut self, client: Pid, instance: u32) -> Result<u32, Error> {
        let attach = cache::Attach { server: self.far, instance, owner: Pid::NONE };
        Ok(self.system.say(&mut self.server, client, &attach, b"")?.instance)
    }

    /// Begins to read.
    pub fn ask(&mut self, client: Pid, instance: u32, position: u64, room: usize) {
        let message = io::Read { instance, position }.to_message();
        self.system.send(&mut self.server, client, &message, vec![0; room], Access::WRITE);
    }

    /// What the read has come to, if it has.
    pub fn answer(&mut self, client: Pid) -> Option<Result<Vec<u8>, Error>> {
        use abi::protocol::Reply;
        let (reply, mut data) = self.system.take_reply(client)?;
        Some(Error::check(reply.code()).map(|()| {
            data.truncate(io::ReadDone::from_message(&reply).count as usize);
            data
        }))
    }

    fn read(&mut self, instance: u32, position: u64, room: usize) -> Option<Result<Vec<u8>, Error>> {
        self.ask(self.client, instance, position, room);
        self.answer(self.client)
    }

    /// The job that was given last, and the worker that has been told.
    pub fn job(&mut self) -> Option<(Job, Pid)> {
        let job = self.server.service.helpers().jobs.pop_front()?;
        let told = *self.workers.iter().find(|worker| self.system.take_reply(**worker).is_some()).unwrap();
        Some((job, told))
    }

    /// It is done so.
    pub fn finish(&mut self, (job, worker): (Job, Pid), finding: Finding) {
        self.server.service.helpers().findings.push_back((job, finding));
        self.next(worker);
    }

    fn grant(&mut self, content: u32) -> Grant {
        self.grants += 1;
        Grant { content, number: self.grants, term_ms: TERM_MS }
    }

    /// The next job is for a lease, which there is, of a content of so many bytes.
    fn lease(&mut self, content: u32, size: u64) {
        let job = self.job().unwrap();
        assert_eq!(job.0.task, Task::Lease(USER));
        let grant = self.grant(content);
        let now_ns = self.system.now_ns;
        self.finish(job, Finding::Leased(grant, size, now_ns));
    }

    /// The next job is for a piece, which is that.
    fn fetch(&mut self, position: u64, bytes: &[u8]) {
        let job = self.job().unwrap();
        assert!(matches!(job.0.task, Task::Fetch(at, _) if at == position), "{:?}", job.0.task);
        self.finish(job, Finding::Fetched(position, bytes.into()));
    }

    fn recall(&mut self, content: u32) {
        let give_up = work::GiveUp { server: self.far, content, grant: self.grants };
        self.system.say(&mut self.server, self.watcher, &give_up, b"").unwrap();
    }

    /// A file of a content, of which the first piece is there.
    fn warm(&mut self, bytes: &[u8]) -> u32 {
        let instance = self.attach(self.client, 7).unwrap();
        assert_eq!(self.read(instance, 0, 100), None);
        self.lease(1, bytes.len() as u64);
        self.fetch(0, &bytes[..bytes.len().min(PIECE_BYTES)]);
        assert_eq!(self.answer(self.client), Some(Ok(bytes[..bytes.len().min(100)].to_vec())));
        instance
    }
}

#[test]
fn what_was_read_once_is_read_here_while_it_is_leased() {
    let mut node = Node::new();
    let instance = node.warm(b"some text");
    assert_eq!(node.read(instance, 5, 100), Some(Ok(b"text".to_vec())));
    assert_eq!(node.read(instance, 0, 4), Some(Ok(b"some".to_vec())));
    assert_eq!(node.read(instance, 9, 4), Some(Ok(vec![])));
    assert_eq!(node.read(instance, u64::MAX, 4), Some(Ok(vec![])));
    assert_eq!(node.server.service.helpers().watched, [node.far]);
    // Another program has the same file open; the server is asked whether it may.
    let other = node.system.process(USER);
    let second = node.attach(other, 8).unwrap();
    node.ask(other, second, 0, 100);
    node.lease(1, 9);
    assert_eq!((node.answer(other), node.job()), (Some(Ok(b"some text".to_vec())), None));
    // The lease ends; the content is still the same.
    node.system.now_ns = TERM_NS;
    assert_eq!(node.read(instance, 0, 4), None);
    node.lease(1, 9);
    assert_eq!((node.answer(node.client), node.job()), (Some(Ok(b"some".to_vec())), None));
}

#[test]
fn what_is_recalled_is_read_anew() {
    let mut node = Node::new();
    let instance = node.warm(b"old");
    node.recall(1);
    assert_eq!(node.read(instance, 0, 100), None);
    node.lease(2, 5);
    node.fetch(0, b"newer");
    assert_eq!(node.answer(node.client), Some(Ok(b"newer".to_vec())));
}

#[test]
fn a_piece_that_comes_after_a_recall_is_not_kept() {
    let mut node = Node::new();
    let instance = node.warm(&vec![1; 2 * PIECE_BYTES]);
    assert_eq!(node.read(instance, PIECE_BYTES as u64, 4), None);
    node.recall(1);
    node.fetch(PIECE_BYTES as u64, &vec![1; PIECE_BYTES]);
    // Nor is a lease that was granted before.
    let job = node.job().unwrap();
    let late = Grant { content: 1, number: node.grants, term_ms: TERM_MS };
    node.finish(job, Finding::Leased(late, 2 * PIECE_BYTES as u64, 0));
    assert_eq!(node.answer(node.client), Some(Err(Error::Busy)));
    node.system.now_ns = 1_000_000_000;
    assert_eq!(node.read(instance, PIECE_BYTES as u64, 4), None);
    node.lease(2, 2 * PIECE_BYTES as u64);
    node.fetch(PIECE_BYTES as u64, &vec![2; PIECE_BYTES]);
    assert_eq!(node.answer(node.client), Some(Ok(vec![2; 4])));
}

#[test]
fn without_a_lease_clients_read_for_themselves() {
    let mut node = Node::new();
    let instance = node.attach(node.client, 7).unwrap();
    assert_eq!(node.read(instance, 0, 9), None);
    let job = node.job().unwrap();
    node.finish(job, Finding::Leased(Grant::NONE, 9, 0));
    assert_eq!(node.answer(node.client), Some(Err(Error::Busy)));
    // Not each read asks again.
    assert_eq!((node.read(instance, 0, 9), node.job()), (Some(Err(Error::Busy)), None));
    node.system.now_ns = 1_000_000_000;
    assert_eq!(node.read(instance, 0, 9), None);
    let job = node.job().unwrap();
    node.finish(job, Finding::Refused(Error::StaleProcess));
    assert_eq!(node.answer(node.client), Some(Err(Error::StaleProcess)));
}

#[test]
fn a_file_that_cannot_be_read_whole_is_not_kept() {
    let mut node = Node::new();
    let instance = node.attach(node.client, 7).unwrap();
    assert_eq!(node.read(instance, 0, 9), None);
    node.lease(1, 9);
    node.fetch(0, b"part");
    assert_eq!(node.answer(node.client), Some(Err(Error::Busy)));
}

#[test]
fn nobody_waits_for_workers_that_wait() {
    let mut node = Node::new();
    for at in 0..=WORKERS {
        let client = node.system.process(USER);
        let instance = node.attach(client, at as u32).unwrap();
        node.ask(client, instance, 0, 9);
        let expected = (at == WORKERS).then_some(Err(Error::Busy));
        assert_eq!(node.answer(client), expected);
    }
}

#[test]
fn only_files_of_other_nodes_and_ones_own_instances() {
    let mut node = Node::new();
    let attach = cache::Attach { server: node.client, instance: 7, owner: Pid::NONE };
    let refused = node.system.say(&mut node.server, node.client, &attach, b"");
    assert_eq!(refused.err(), Some(Error::BadArgument));
    let instance = node.attach(node.client, 7).unwrap();
    let stranger = node.system.process(UserId(101));
    node.ask(stranger, instance, 0, 9);
    assert_eq!(node.answer(stranger), Some(Err(Error::NoPermission)));
    let give_up = work::GiveUp { server: node.far, content: 1, grant: u64::MAX };
    let refused = node.system.say(&mut node.server, stranger, &give_up, b"");
    assert_eq!(refused.err(), Some(Error::NoPermission));
}

#[test]
fn a_watcher_goes_from_server_to_server() {
    let mut node = Node::new();
    node.warm(b"text");
    let ended = work::WatchEnded { server: node.far }.to_message();
    let (watcher, far) = (node.watcher, node.far);
    node.system.send(&mut node.server, watcher, &ended, vec![], Access::NONE);
    // There is a lease still.
    let (reply, _) = node.system.take_reply(watcher).unwrap();
    assert_eq!(<work::Watch as abi::protocol::Reply>::from_message(&reply).server, far);
    node.system.now_ns = TERM_NS;
    node.system.send(&mut node.server, watcher, &ended, vec![], Access::NONE);
    assert!(node.system.is_waiting(watcher) && node.system.take_reply(watcher).is_none());
}

#[test]
fn pieces_that_are_used_stay() {
    let mut store = Store::new(MOST_BYTES);
    let mut system = TestSystem::new();
    let far = Pid::from_bits(0x2000_0002_0001_0010);
    let number = store.enter((far, 1), 1 << 40).unwrap();
    let piece = |at: u64| at * PIECE_BYTES as u64;
    let first = |store: &mut Store, at: u64| {
        let (frame, count) = store.find(number, piece(at) + 5, 3, 0)?;
        Some(store.bytes(frame, piece(at) + 5, count).to_vec())
    };
    for at in 0..100 {
        assert!(store.put(number, piece(at), &vec![at as u8; PIECE_BYTES], &mut system));
        assert_eq!(first(&mut store, 0), Some(vec![0; 3]), "{at}");
    }
    assert_eq!(first(&mut store, 99), Some(vec![99; 3]));
    assert_eq!((0..100).filter(|at| first(&mut store, *at).is_some()).count(), MOST_BYTES / PIECE_BYTES);
    // A short one is none.
    assert!(!store.put(number, piece(200), &[1], &mut system));
    for content in 2..10_000 {
        assert!(store.enter((far, content), 1).is_some(), "{content}");
    }
    store.remove_server(far);
    assert_eq!(first(&mut store, 0), None);
    // Without memory there is none.
    system.is_exhausted = true;
    let number = store.enter((far, 1), 1).unwrap();
    assert!(!store.put(number, 0, &[1], &mut system));
}

#[test]
fn who_reads_on_finds_the_next_pieces_there() {
    let mut node = Node::new();
    let piece = |at: usize| vec![at as u8; PIECE_BYTES];
    let size = 5 * PIECE_BYTES as u64;
    let instance = node.attach(node.client, 7).unwrap();
    assert_eq!(node.read(instance, 0, 1), None);
    node.lease(1, size);
    node.fetch(0, &piece(0));
    assert_eq!(node.answer(node.client), Some(Ok(vec![0])));
    // It began at the beginning, so the next two are on their way; who wants one waits for it.
    let (first, second) = (node.job().unwrap(), node.job().unwrap());
    assert_eq!(node.job(), None);
    let start = |(job, _): &(Job, Pid)| match job.task {
        Task::Fetch(start, _) => start as usize / PIECE_BYTES,
        Task::Lease(_) => panic!("it is leased"),
    };
    assert_eq!((start(&first), start(&second)), (1, 2));
    assert_eq!(node.read(instance, PIECE_BYTES as u64, 1), None);
    assert_eq!(node.job(), None, "it is being fetched");
    node.finish(second, Finding::Fetched(2 * PIECE_BYTES as u64, piece(2).into()));
    assert_eq!(node.answer(node.client), None);
    node.finish(first, Finding::Fetched(PIECE_BYTES as u64, piece(1).into()));
    assert_eq!(node.answer(node.client), Some(Ok(vec![1])));
    let third = node.job().unwrap();
    assert_eq!((start(&third), node.job()), (3, None));
    // The file is written meanwhile. What was fetched may be either, so it is not shown.
    node.recall(1);
    assert_eq!(node.read(instance, 2 * PIECE_BYTES as u64, 1), None);
    node.lease(2, size);
    node.finish(third, Finding::Fetched(3 * PIECE_BYTES as u64, piece(9).into()));
    node.fetch(2 * PIECE_BYTES as u64, &piece(22));
    assert_eq!(node.answer(node.client), Some(Ok(vec![22])));
    node.fetch(3 * PIECE_BYTES as u64, &piece(33));
    node.fetch(4 * PIECE_BYTES as u64, &piece(44));
    assert_eq!(node.read(instance, 3 * PIECE_BYTES as u64, 1), Some(Ok(vec![33])));
    assert_eq!(node.job(), None, "there is no more of it");
    // Who jumps about gets what it asks for.
    assert_eq!(node.read(instance, 0, 1), None);
    node.fetch(0, &piece(0));
    assert_eq!((node.answer(node.client), node.job()), (Some(Ok(vec![0])), None));
}
