//! Messages, threads, clocks and the serve loop, within one team.

use core::sync::atomic::{AtomicU32, Ordering};

use test_programs::{ensure, ensure_equal, must};
use v::abi::kernel::{self, time as clock};
use v::message;
use v::prelude::*;
use v::process::{Thread, spawn_thread};
use v::server::{Client, Options, Outcome, Server};
use v::sync::Mutex;
use v::time::{self, Duration, Instant};

v::abi::protocol! {
    /// What the server of these checks understands.
    pub mod check = 0x7e, enum Check {
        /// Adds.
        Add = 1 { left: u32, right: u32 } => Sum { sum: u64 };
        /// Writes so many bytes into the segment.
        Fill = 2 { count: u32 } => Filled { count: u32 };
        /// Adds up the bytes of the segment.
        Total = 3 {} => Totalled { total: u64 };
        /// Replies at the next tick.
        Wait = 4 {} => Waited { ticks: u32 };
        /// Says how many ticks there were.
        CountTicks = 6 {} => Counted { ticks: u32 };
        /// Ends the server without an answer.
        Die = 5 {} => Died {};
    }
}

const STACK_BYTES: usize = 64 * 1024;
const LIMIT: usize = 100_000;

struct Checked {
    bytes: Vec<u8>,
    waiting: Option<Pid>,
    ticks: u32,
}

impl Server for Checked {
    fn request(&mut self, client: &Client<'_>, message: &Message) -> Outcome<'_> {
        match check::Check::from_message(message) {
            Some(check::Check::Add(add)) => {
                let sum = u64::from(add.left) + u64::from(add.right);
                Outcome::from(Ok(check::Sum { sum }))
            }
            Some(check::Check::Fill(fill)) => {
                self.bytes.clear();
                self.bytes.extend((0..fill.count).map(|at| at as u8));
                Outcome::data(check::Filled { count: fill.count }, &self.bytes[..])
            }
            Some(check::Check::Total(_)) => Outcome::from(client.read_segment(LIMIT).map(|bytes| {
                let total = bytes.iter().map(|byte| u64::from(*byte)).sum();
                check::Totalled { total }
            })),
            Some(check::Check::Wait(_)) => {
                self.waiting = Some(client.pid);
                Outcome::Later
            }
            Some(check::Check::CountTicks(_)) => Outcome::from(Ok(check::Counted { ticks: self.ticks })),
            Some(check::Check::Die(_)) => {
                let destroy = kernel::process::Destroy { process: Pid::NONE, status: 0 };
                Outcome::from(
                    call(kernel::server(kernel::PROCESS), &destroy, Segment::None).map(|_| check::Died {}),
                )
            }
            None => Outcome::refuse(Error::BadRequest),
        }
    }

    fn tick(&mut self) {
        self.ticks += 1;
        if let Some(client) = self.waiting.take() {
            let waited = v::abi::protocol::Reply::to_message(&check::Waited { ticks: self.ticks });
            // A client that has gone needs no answer.
            let _ = message::reply(client, &waited, &[]);
        }
    }
}

fn start_server(tick_ns: u64) -> Result<Thread, String> {
    let body = move || {
        let mut server = Checked { bytes: Vec::new(), waiting: None, ticks: 0 };
        let options = Options { buffer_bytes: 256, tick_ns };
        v::server::serve(&mut server, options)
    };
    must("spawn", spawn_thread(STACK_BYTES, body))
}

fn end_server(server: Thread) -> Result<(), String> {
    let died = call(server.pid(), &check::Die {}, Segment::None);
    ensure_equal!(died.map(|_| ()), Err(Error::DiedBeforeReply));
    must("join", server.join())
}

pub fn serve() -> Result<(), String> {
    let server = start_server(0)?;
    let to = server.pid();
    for left in 0..1000 {
        let sum = must("add", call(to, &check::Add { left, right: u32::MAX }, Segment::None))?;
        ensure_equal!(sum.sum, u64::from(left) + u64::from(u32::MAX));
    }
    let mut place = [0; 5000];
    let filled = must("fill", call(to, &check::Fill { count: 4999 }, Segment::Write(&mut place)))?;
    ensure_equal!(filled.count, 4999);
    ensure!(place[..4999].iter().enumerate().all(|(at, byte)| *byte == at as u8) && place[4999] == 0);

    // More than one reply carries.
    let mut large = vec![0; 200_000];
    must("fill", call(to, &check::Fill { count: 200_000 }, Segment::Write(&mut large)))?;
    ensure!(large.iter().enumerate().all(|(at, byte)| *byte == at as u8));

    for length in [0, 1, 255, 256, 257, 5000, LIMIT] {
        let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
        let expected: u64 = bytes.iter().map(|byte| u64::from(*byte)).sum();
        let totalled = must("total", call(to, &check::Total {}, Segment::Read(&bytes)))?;
        ensure_equal!((length, totalled.total), (length, expected));
    }

    // What goes wrong is told, and the server goes on.
    let too_long = vec![0; LIMIT + 1];
    ensure_equal!(call(to, &check::Total {}, Segment::Read(&too_long)).map(|_| ()), Err(Error::TooLong));
    let total = call(to, &check::Total {}, Segment::Write(&mut [0; 10])).map(|_| ());
    ensure_equal!(total, Err(Error::NoReadAccess));
    let fill = check::Fill { count: 10 };
    ensure_equal!(call(to, &fill, Segment::Write(&mut [0; 9])).map(|_| ()), Err(Error::TooLong));
    ensure_equal!(call(to, &fill, Segment::Read(&[0; 10])).map(|_| ()), Err(Error::NoWriteAccess));
    let (_, reply) = must("send", message::send(to, &Message::with_code(0x7e09), Segment::None))?;
    ensure_equal!(reply.code(), Error::BadRequest.code());
    must("add", call(to, &check::Add { left: 1, right: 1 }, Segment::None))?;
    end_server(server)
}

pub fn ticks() -> Result<(), String> {
    const TICK: Duration = Duration::from_millis(5);
    let server = start_server(TICK.as_nanos() as u64)?;
    let start = Instant::now();
    let first = must("wait", call(server.pid(), &check::Wait {}, Segment::None))?;
    let second = must("wait", call(server.pid(), &check::Wait {}, Segment::None))?;
    ensure!(second.ticks > first.ticks);
    ensure!(start.elapsed() >= TICK);
    // Ticks come also while requests do.
    let before = must("wait", call(server.pid(), &check::Wait {}, Segment::None))?;
    let busy = Instant::now();
    let mut ticks = before.ticks;
    while ticks < before.ticks + 2 {
        ticks = must("count", call(server.pid(), &check::CountTicks {}, Segment::None))?.ticks;
        ensure!(busy.elapsed() < Duration::from_secs(10));
    }
    end_server(server)
}

pub fn clocks() -> Result<(), String> {
    let before = time::now_ns();
    let clocks = must("now", call(kernel::server(kernel::TIME), &clock::Now {}, Segment::None))?;
    let after = time::now_ns();
    ensure!(before <= clocks.monotonic_ns && clocks.monotonic_ns <= after);
    ensure!(time::real_ns() - clocks.real_ns < 1_000_000_000);
    // After 2020, so somebody has read a clock.
    ensure!(clocks.real_ns > 1_577_836_800_000_000_000);
    for pause in [0, 1, 1000, 3_000_000] {
        let pause = Duration::from_nanos(pause);
        let start = Instant::now();
        must("sleep", time::sleep(pause))?;
        ensure!(start.elapsed() >= pause);
    }
    Ok(())
}

pub fn threads() -> Result<(), String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let threads: Vec<Thread> = (0..10)
        .map(|number| {
            must(
                "spawn",
                spawn_thread(STACK_BYTES, move || {
                    let text = format!("{number}").repeat(100);
                    let deep: u32 = (0..number).map(|_| text.len() as u32 / 100).sum();
                    COUNT.fetch_add(deep, Ordering::Relaxed);
                }),
            )
        })
        .collect::<Result<_, _>>()?;
    for thread in threads {
        must("join", thread.join())?;
    }
    ensure_equal!(COUNT.load(Ordering::Relaxed), 45);
    Ok(())
}

pub fn lock() -> Result<(), String> {
    static TOTAL: Mutex<Vec<u32>> = Mutex::new(Vec::new());
    let threads: Vec<Thread> = (0..4)
        .map(|number| {
            must(
                "spawn",
                spawn_thread(STACK_BYTES, move || {
                    for round in 0..50 {
                        let mut total = TOTAL.lock();
                        total.push(number);
                        if round % 10 == 0 {
                            // Others find the lock taken.
                            let _ = time::sleep(Duration::from_micros(50));
                        }
                    }
                }),
            )
        })
        .collect::<Result<_, _>>()?;
    for thread in threads {
        must("join", thread.join())?;
    }
    let total = TOTAL.lock();
    for number in 0..4 {
        ensure_equal!(total.iter().filter(|found| **found == number).count(), 50);
    }
    Ok(())
}

pub fn errors() -> Result<(), String> {
    let thread = must("spawn", spawn_thread(STACK_BYTES, || {}))?;
    let gone = thread.pid();
    must("join", thread.join())?;
    let sent = message::send(gone, &Message::default(), Segment::None).map(|_| ());
    ensure!(matches!(sent, Err(Error::StaleProcess | Error::NonexistentProcess)));
    ensure_equal!(message::reply(gone, &Message::default(), &[]).is_err(), true);
    let mut buffer = [0; 8];
    let received = message::receive(None, &mut buffer, v::abi::call::NOW).map(|_| ());
    ensure_equal!(received, Err(Error::NothingWaiting));
    let deadline = Instant::now() + Duration::from_millis(2);
    let received = message::receive(None, &mut buffer, deadline.deadline()).map(|_| ());
    ensure_equal!(received, Err(Error::DeadlinePassed));
    ensure!(Instant::now() >= deadline);
    Ok(())
}
