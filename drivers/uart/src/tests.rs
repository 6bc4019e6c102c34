//! The driver against a chip in memory.

extern crate std;
use std::vec;
use std::vec::Vec;

use abi::notice::notice;
use abi::{Access, Error, Pid, Request as _, UserId};
use io_server::testing::TestSystem;
use io_server::{IoServer, Limits, LineServer};
use proptest::prelude::*;
use protocols::io::{io, mode};

use crate::SerialPort;
use crate::chip::Chip;
use crate::port::{RECEIVE_BYTES, SEND_BYTES};

struct Setup {
    server: IoServer<LineServer<SerialPort<Chip>>>,
    system: TestSystem,
    chip: Chip,
    interrupt: Pid,
    client: Pid,
    instance: u32,
}

impl Setup {
    fn new() -> Setup {
        Setup::with(Chip::default())
    }

    /// With a chip that may have received something already.
    fn with(chip: Chip) -> Setup {
        let mut system = TestSystem::new();
        let interrupt = system.process(UserId::SYSTEM);
        let client = system.process(UserId::SYSTEM);
        let mut uart = LineServer::new();
        uart.add("com1".into(), SerialPort::start(chip.clone(), interrupt).unwrap());
        let mut server = IoServer::new(uart, Limits::default());
        let open = io::Open { context: 0, mode: mode::READ | mode::WRITE, owner: Pid::NONE };
        let instance = system.say(&mut server, client, &open, b"com1").unwrap().instance;
        Setup { server, system, chip, interrupt, client, instance }
    }

    /// Sends interrupts as long as the chip asks for them, also after a pause; a chip that never stops fails the test.
    fn run(&mut self) {
        self.run_without_pause();
        self.chip.0.borrow_mut().has_paused = true;
        self.run_without_pause();
    }

    fn run_without_pause(&mut self) {
        for _ in 0..10_000 {
            if !self.chip.0.borrow().interrupts() {
                return;
            }
            let notice = notice::Interrupt { line: 4, count: 1 };
            self.system.say(&mut self.server, self.interrupt, &notice, b"").unwrap();
        }
        panic!("the interrupt never ends");
    }

    fn start_read(&mut self, client: Pid, room: usize) {
        let read = io::Read { instance: self.instance, position: 0 };
        let segment = vec![0; room];
        self.system.send(&mut self.server, client, &read.to_message(), segment, Access::WRITE);
    }

    fn start_write(&mut self, client: Pid, data: &[u8]) {
        let write = io::Write { instance: self.instance, position: 0 };
        let segment = data.to_vec();
        self.system.send(&mut self.server, client, &write.to_message(), segment, Access::READ);
    }

    fn outcome(&mut self, client: Pid) -> Option<Result<Vec<u8>, Error>> {
        let (reply, mut segment) = self.system.take_reply(client)?;
        Some(Error::check(reply.code()).map(|()| {
            segment.truncate(reply.words[1] as usize);
            segment
        }))
    }
}

#[test]
fn what_was_typed_before_the_driver_started_is_kept() {
    let chip = Chip::default();
    // Before the first one, and while a second one is started.
    for typed in
        [&b"more than fits the queue of the chip\r"[..], b"and when it has been used already\r", b"x"]
    {
        chip.0.borrow_mut().incoming.extend(typed);
        let mut setup = Setup::with(chip.clone());
        setup.run();
        setup.start_read(setup.client, 100);
        assert_eq!(setup.outcome(setup.client), Some(Ok(typed.to_vec())));
    }
}

#[test]
fn a_reader_waits_for_what_comes() {
    let mut uart = Setup::new();
    uart.start_read(uart.client, 10);
    uart.run();
    assert_eq!(uart.outcome(uart.client), None);
    uart.chip.0.borrow_mut().incoming.extend(b"ls\r");
    uart.run();
    assert_eq!(uart.outcome(uart.client), Some(Ok(b"ls\r".to_vec())));
    uart.chip.0.borrow_mut().incoming.extend(b"more");
    uart.run();
    uart.start_read(uart.client, 3);
    assert_eq!(uart.outcome(uart.client), Some(Ok(b"mor".to_vec())));
}

#[test]
fn nothing_that_comes_is_lost_while_nobody_reads() {
    let mut uart = Setup::new();
    let flood: Vec<u8> = (0..3 * RECEIVE_BYTES as u32).map(|at| (at % 251) as u8).collect();
    uart.chip.0.borrow_mut().incoming.extend(&flood);
    uart.run();
    let left = uart.chip.0.borrow().incoming.len();
    assert_eq!(left, flood.len() - RECEIVE_BYTES);
    let mut read = Vec::new();
    while read.len() < flood.len() {
        uart.start_read(uart.client, 1000);
        uart.run();
        read.extend(uart.outcome(uart.client).unwrap().unwrap());
    }
    assert!(read == flood);
}

#[test]
fn what_comes_without_a_pause_is_given_out_many_at_a_time() {
    let mut uart = Setup::new();
    uart.start_read(uart.client, 5000);
    uart.chip.0.borrow_mut().incoming.extend(&[b'x'; 70]);
    uart.run_without_pause();
    assert_eq!(uart.outcome(uart.client), None);
    uart.chip.0.borrow_mut().incoming.extend(&[b'x'; 1400]);
    uart.run_without_pause();
    let first = uart.outcome(uart.client).unwrap().unwrap().len();
    assert!(first >= 1024);
    uart.start_read(uart.client, 5000);
    assert_eq!(uart.outcome(uart.client), None);
    uart.run();
    let rest = uart.outcome(uart.client).unwrap().unwrap().len();
    assert_eq!(first + rest, 1470);
}

#[test]
fn receiving_takes_few_messages() {
    let mut uart = Setup::new();
    uart.chip.0.borrow_mut().incoming.extend(&[b'x'; 14_000]);
    let before = uart.chip.0.borrow().accesses;
    uart.run();
    let accesses = uart.chip.0.borrow().accesses - before;
    assert!(accesses < 14_000 / 4, "{accesses} accesses for 14,000 bytes");
}

#[test]
fn writers_wait_when_the_line_is_blocked() {
    let mut uart = Setup::new();
    let second = uart.system.process(UserId::SYSTEM);
    uart.chip.0.borrow_mut().blocked = true;
    uart.start_write(uart.client, &vec![b'a'; SEND_BYTES + 100]);
    let taken = uart.outcome(uart.client).unwrap().unwrap().len();
    assert_eq!(taken, SEND_BYTES, "what the buffer holds");
    uart.start_write(uart.client, &[b'b'; 16]);
    let more = uart.outcome(uart.client).unwrap().unwrap().len();
    assert_eq!(more, 16, "the chip's queue had made room");
    uart.start_write(uart.client, b"late");
    uart.start_write(second, b"later");
    uart.run();
    assert_eq!(uart.outcome(uart.client), None);
    uart.chip.0.borrow_mut().unblock();
    uart.run();
    assert_eq!(uart.outcome(uart.client), Some(Ok(b"late".to_vec())));
    assert_eq!(uart.outcome(second), Some(Ok(b"later".to_vec())));
    let sent = &uart.chip.0.borrow().outgoing;
    assert_eq!(sent.len(), SEND_BYTES + 16 + 9);
    assert!(sent.ends_with(b"bblatelater"));
}

#[test]
fn synchronizing_waits_until_all_has_left() {
    let mut uart = Setup::new();
    let waiting = uart.system.process(UserId::SYSTEM);
    let synchronize = io::Synchronize { instance: uart.instance };
    uart.system.say(&mut uart.server, waiting, &synchronize, b"").unwrap();
    uart.chip.0.borrow_mut().blocked = true;
    uart.start_write(uart.client, b"the last words");
    uart.outcome(uart.client).unwrap().unwrap();
    let message = synchronize.to_message();
    uart.system.send(&mut uart.server, waiting, &message, vec![], Access::NONE);
    uart.run();
    uart.server.tick(&mut uart.system);
    assert!(uart.system.is_waiting(waiting));
    assert!(uart.server.next_tick_ns().is_some());
    uart.chip.0.borrow_mut().unblock();
    uart.server.tick(&mut uart.system);
    assert_eq!(uart.outcome(waiting).map(|outcome| outcome.map(drop)), Some(Ok(())));
}

#[test]
fn sending_takes_few_messages_and_no_interrupt_when_short() {
    let mut uart = Setup::new();
    let before = uart.chip.0.borrow().accesses;
    uart.start_write(uart.client, &[b'x'; 160]);
    assert_eq!(uart.chip.0.borrow().outgoing.len(), 160);
    assert_eq!(uart.chip.0.borrow().accesses - before, 20);
    assert!(!uart.chip.0.borrow().interrupts());
}

#[test]
fn a_chip_that_goes_mad_hangs_nobody() {
    for value in 0..=255 {
        let mut uart = Setup::new();
        uart.chip.0.borrow_mut().mad = Some(value);
        let notice = notice::Interrupt { line: 4, count: 1 };
        uart.system.say(&mut uart.server, uart.interrupt, &notice, b"").unwrap();
        uart.start_write(uart.client, b"x");
        assert!(uart.outcome(uart.client).is_some());
    }
    let absent = Chip::default();
    absent.0.borrow_mut().absent = true;
    assert!(SerialPort::start(absent, Pid::NONE).is_none());
}

#[test]
fn only_the_interrupt_interrupts_and_only_operators_open() {
    let mut uart = Setup::new();
    let notice = notice::Interrupt { line: 4, count: 1 };
    assert_eq!(uart.system.say(&mut uart.server, uart.client, &notice, b""), Err(Error::BadRequest));
    let user = uart.system.process(UserId(100));
    let open = io::Open { context: 0, mode: mode::READ, owner: Pid::NONE };
    let opened = uart.system.say(&mut uart.server, user, &open, b"com1");
    assert_eq!(opened, Err(Error::NoPermission));
    let opened = uart.system.say(&mut uart.server, uart.client, &open, b"com9");
    assert_eq!(opened, Err(Error::NotFound));
}

#[test]
fn closing_frees_those_who_wait() {
    let mut uart = Setup::new();
    let second = uart.system.process(UserId::SYSTEM);
    uart.start_read(second, 10);
    let release = io::Release { instance: uart.instance, owner: Pid::NONE };
    uart.system.say(&mut uart.server, uart.client, &release, b"").unwrap();
    assert_eq!(uart.outcome(second), Some(Err(Error::BadInstance)));
}

proptest! {
    /// However reads, writes, blocking and what comes interleave, bytes keep their order and nobody waits in vain.
    #[test]
    fn bytes_keep_their_order(steps in prop::collection::vec((0..5u8, 1..3000usize), 0..80)) {
        let mut uart = Setup::new();
        let writer = uart.system.process(UserId::SYSTEM);
        let (mut sent, mut came, mut read, mut counter) = (Vec::new(), Vec::new(), Vec::new(), 0u8);
        let mut writing: Option<Vec<u8>> = None;
        for (what, count) in steps {
            let mut data = || -> Vec<u8> {
                (0..count).map(|_| { counter = counter.wrapping_add(1); counter }).collect()
            };
            match what {
                0 => {
                    let data = data();
                    came.extend(&data);
                    uart.chip.0.borrow_mut().incoming.extend(&data);
                }
                1 if !uart.system.is_waiting(uart.client) => uart.start_read(uart.client, count),
                2 if writing.is_none() => {
                    let data = data();
                    uart.start_write(writer, &data);
                    writing = Some(data);
                }
                3 => uart.chip.0.borrow_mut().blocked = true,
                4 => uart.chip.0.borrow_mut().unblock(),
                _ => {}
            }
            uart.run();
            if let Some(bytes) = uart.outcome(uart.client) {
                read.extend(bytes.unwrap());
            }
            if let Some(taken) = uart.outcome(writer) {
                let taken = taken.unwrap();
                prop_assert!(!taken.is_empty());
                sent.extend(taken);
                writing = None;
            }
        }
        uart.chip.0.borrow_mut().unblock();
        uart.run();
        if let Some(taken) = uart.outcome(writer) {
            sent.extend(taken.unwrap());
        }
        prop_assert!(!uart.system.is_waiting(writer));
        prop_assert!(uart.chip.0.borrow().outgoing == sent);
        prop_assert!(came.starts_with(&read));
        prop_assert!(!uart.system.is_waiting(uart.client) || read.len() == came.len());
    }
}
