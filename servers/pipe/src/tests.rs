//! Pipes as their clients see them.

extern crate std;
use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

use abi::{Access, Error, Message, Pid, Request as _, UserId};
use io_server::testing::TestSystem;
use io_server::{IoServer, Limits};
use proptest::prelude::*;
use protocols::io::io;
use protocols::pipe::pipe;

use crate::{PIPE_BYTES, PIPES_BY_USER, PipeServer};

struct Setup {
    server: IoServer<PipeServer>,
    system: TestSystem,
    /// Processes of one user.
    processes: Vec<Pid>,
    reader: u32,
    writer: u32,
}

impl Setup {
    /// A pipe that belongs to the first process; the second owns the writer too.
    fn new() -> Setup {
        let mut system = TestSystem::new();
        let processes: Vec<Pid> = (0..6).map(|_| system.process(UserId(100))).collect();
        let mut server = IoServer::new(PipeServer::new(), Limits::default());
        let create = pipe::CreatePipe { owner: Pid::NONE };
        let created = system.say(&mut server, processes[0], &create, b"").unwrap();
        Setup { server, system, processes, reader: created.reader, writer: created.writer }
    }

    fn start_read(&mut self, process: usize, room: usize) {
        let read = io::Read { instance: self.reader, position: 0 };
        let (pid, message) = (self.processes[process], read.to_message());
        self.system.send(&mut self.server, pid, &message, vec![0; room], Access::WRITE);
    }

    fn start_write(&mut self, process: usize, data: &[u8]) {
        let write = io::Write { instance: self.writer, position: 0 };
        let (pid, message) = (self.processes[process], write.to_message());
        self.system.send(&mut self.server, pid, &message, data.to_vec(), Access::READ);
    }

    /// What a read or write gave, if it is over.
    fn outcome(&mut self, process: usize) -> Option<Result<Vec<u8>, Error>> {
        let (reply, mut segment) = self.system.take_reply(self.processes[process])?;
        Some(count(&reply).map(|count| {
            segment.truncate(count);
            segment
        }))
    }

    fn release(&mut self, process: usize, instance: u32) {
        let release = io::Release { instance, owner: Pid::NONE };
        let pid = self.processes[process];
        self.system.say(&mut self.server, pid, &release, b"").unwrap();
    }
}

fn count(reply: &Message) -> Result<usize, Error> {
    Error::check(reply.code()).map(|()| reply.words[1] as usize)
}

#[test]
fn readers_wait_and_are_served_in_their_order() {
    let mut pipe = Setup::new();
    pipe.start_read(1, 3);
    pipe.start_read(2, 100);
    assert!(pipe.server.next_tick_ns().is_some());
    pipe.start_write(3, b"abcdef");
    assert_eq!(pipe.outcome(1), Some(Ok(b"abc".to_vec())));
    assert_eq!(pipe.outcome(2), Some(Ok(b"def".to_vec())));
    assert_eq!(pipe.outcome(3), Some(Ok(b"abcdef".to_vec())));
}

#[test]
fn writers_wait_for_room() {
    let mut pipe = Setup::new();
    pipe.start_write(1, &vec![1; PIPE_BYTES + 10]);
    assert_eq!(pipe.outcome(1).unwrap().unwrap().len(), PIPE_BYTES);
    pipe.start_write(1, &[2; 10]);
    assert_eq!(pipe.outcome(1), None);
    pipe.start_read(2, 4);
    assert_eq!(pipe.outcome(2), Some(Ok(vec![1; 4])));
    assert_eq!(pipe.outcome(1).unwrap().unwrap().len(), 4);
    pipe.start_read(2, 2 * PIPE_BYTES);
    let rest = pipe.outcome(2).unwrap().unwrap();
    assert_eq!((rest.len(), &rest[PIPE_BYTES - 5..]), (PIPE_BYTES, &[1, 2, 2, 2, 2][..]));
}

#[test]
fn the_end_comes_after_the_last_byte() {
    let mut pipe = Setup::new();
    pipe.start_write(0, b"last");
    pipe.outcome(0);
    pipe.release(0, pipe.writer);
    pipe.start_read(1, 9);
    assert_eq!(pipe.outcome(1), Some(Ok(b"last".to_vec())));
    for _ in 0..2 {
        pipe.start_read(1, 9);
        assert_eq!(pipe.outcome(1), Some(Ok(vec![])));
    }
}

#[test]
fn nobody_waits_for_the_dead() {
    let mut pipe = Setup::new();
    let share = io::Share { instance: pipe.writer, owner: pipe.processes[1] };
    pipe.system.say(&mut pipe.server, pipe.processes[0], &share, b"").unwrap();
    pipe.release(0, pipe.writer);
    pipe.start_read(2, 9);
    pipe.server.tick(&mut pipe.system);
    assert_eq!(pipe.outcome(2), None);
    pipe.system.kill(pipe.processes[1]);
    pipe.server.tick(&mut pipe.system);
    assert_eq!(pipe.outcome(2), Some(Ok(vec![])));

    let mut pipe = Setup::new();
    pipe.start_write(1, &vec![0; PIPE_BYTES]);
    pipe.outcome(1);
    pipe.start_write(1, b"more");
    pipe.start_write(2, b"more");
    pipe.release(0, pipe.reader);
    assert_eq!(pipe.outcome(1), Some(Err(Error::BrokenPipe)));
    assert_eq!(pipe.outcome(2), Some(Err(Error::BrokenPipe)));
    pipe.start_write(1, b"more");
    assert_eq!(pipe.outcome(1), Some(Err(Error::BrokenPipe)));
}

#[test]
fn a_reader_that_died_takes_nothing_along() {
    let mut pipe = Setup::new();
    pipe.start_read(1, 9);
    pipe.start_read(2, 9);
    pipe.system.kill(pipe.processes[1]);
    pipe.start_write(3, b"text");
    assert_eq!(pipe.outcome(2), Some(Ok(b"text".to_vec())));
}

#[test]
fn ends_are_told_apart_and_gone_when_both_are_closed() {
    let mut pipe = Setup::new();
    core::mem::swap(&mut pipe.reader, &mut pipe.writer);
    pipe.start_read(1, 9);
    assert_eq!(pipe.outcome(1), Some(Err(Error::NotReadable)));
    pipe.start_write(1, b"x");
    assert_eq!(pipe.outcome(1), Some(Err(Error::NotWritable)));
    pipe.start_write(1, b"");
    assert_eq!(pipe.outcome(1), Some(Err(Error::NotWritable)));
    pipe.release(0, pipe.reader);
    pipe.release(0, pipe.writer);
    assert_eq!(pipe.server.next_tick_ns(), None);
    assert!(pipe.server.service.pipes.is_empty());
}

#[test]
fn a_user_has_so_many_pipes() {
    let mut pipe = Setup::new();
    let create = pipe::CreatePipe { owner: Pid::NONE };
    for _ in 1..PIPES_BY_USER {
        pipe.system.say(&mut pipe.server, pipe.processes[0], &create, b"").unwrap();
    }
    assert_eq!(pipe.system.say(&mut pipe.server, pipe.processes[1], &create, b""), Err(Error::NoQuota));
    let other = pipe.system.process(UserId(101));
    assert!(pipe.system.say(&mut pipe.server, other, &create, b"").is_ok());
    let mut few = Setup::new();
    few.server = IoServer::new(PipeServer::new(), Limits { owned_by_user: 3, instances: 100 });
    for outcome in [Ok(()), Err(Error::NoQuota)] {
        let created = few.system.say(&mut few.server, few.processes[0], &create, b"");
        assert_eq!(created.map(drop), outcome);
    }
    assert_eq!(few.server.service.pipes.len(), 1, "no half of a pipe is left");
}

#[derive(Clone, Debug)]
enum Step {
    Read(usize, usize),
    Write(usize, usize),
    Kill(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![1..20usize, 1..3 * PIPE_BYTES / 2];
    prop_oneof![
        8 => (1..3usize, bytes.clone()).prop_map(|(process, bytes)| Step::Read(process, bytes)),
        8 => (3..5usize, bytes).prop_map(|(process, bytes)| Step::Write(process, bytes)),
        1 => (1..5usize).prop_map(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever reads and writes in whichever order, the bytes come out as they went in.
    #[test]
    fn bytes_keep_their_order(steps in prop::collection::vec(step(), 0..60)) {
        let mut pipe = Setup::new();
        // What was written, by what the writers were told, and has not been read.
        let mut expected: VecDeque<u8> = VecDeque::new();
        let mut waiting_writes: VecDeque<(usize, Vec<u8>)> = VecDeque::new();
        let mut waiting_reads: VecDeque<usize> = VecDeque::new();
        let mut next = 0u8;
        for step in steps {
            match step {
                Step::Read(process, room) if !waiting_reads.contains(&process) => {
                    if pipe.system.is_alive(pipe.processes[process]) {
                        pipe.start_read(process, room);
                        waiting_reads.push_back(process);
                    }
                }
                Step::Write(process, bytes) if waiting_writes.iter().all(|(waiting, _)| *waiting != process) => {
                    if pipe.system.is_alive(pipe.processes[process]) {
                        let data: Vec<u8> = (0..bytes).map(|_| { next = next.wrapping_add(1); next }).collect();
                        pipe.start_write(process, &data);
                        waiting_writes.push_back((process, data));
                    }
                }
                Step::Kill(process) => {
                    pipe.system.kill(pipe.processes[process]);
                    waiting_reads.retain(|waiting| *waiting != process);
                    waiting_writes.retain(|(waiting, _)| *waiting != process);
                }
                Step::Read(..) | Step::Write(..) => {}
            }
            // Writes were taken in the order in which they were made, and so were reads.
            let mut still = VecDeque::new();
            for (process, data) in waiting_writes.drain(..) {
                match pipe.outcome(process) {
                    Some(taken) => expected.extend(&taken.unwrap()),
                    None => still.push_back((process, data)),
                }
            }
            waiting_writes = still;
            let mut still = VecDeque::new();
            for process in waiting_reads.drain(..) {
                match pipe.outcome(process) {
                    Some(read) => {
                        let read = read.unwrap();
                        prop_assert!(!read.is_empty());
                        let wanted: Vec<u8> = expected.drain(..read.len()).collect();
                        prop_assert_eq!(read, wanted);
                    }
                    None => still.push_back(process),
                }
            }
            waiting_reads = still;
            prop_assert!(waiting_reads.is_empty() || expected.is_empty(), "nobody waits for what is there");
            prop_assert!(waiting_writes.is_empty() || expected.len() == PIPE_BYTES, "nor for room that is there");
        }
    }
}
