//! Programs: small state machines that make system calls. A *client* sends requests to all kinds of servers; a *server*
//! serves them in all kinds of ways.

use abi::call::{self, FOREVER, Registers};
use abi::kernel::{PROCESS, STATISTICS, TIME, process, statistics, time};
use abi::protocol::Request as _;
use abi::segment::HEAD_BYTES;
use abi::{Access, Error, Grant, Message, Pid, UserId};

use super::oracle::Shared;
use crate::Node;

/// What a program has while it takes a step.
pub struct Context<'a> {
    /// Who it is.
    pub pid: Pid,
    /// Its machine.
    pub node: &'a mut Node,
    /// What all machines share.
    pub shared: &'a mut Shared,
}

impl Context<'_> {
    pub(super) fn delay(&self, ns: u64) -> Registers {
        let delay = time::Delay { until_ns: self.shared.now_ns + ns };
        crate::node::send(abi::kernel::server(TIME), delay.to_message())
    }
}

/// The call by which a program ends itself.
pub(super) fn end_itself() -> Registers {
    let destroy = process::Destroy { process: Pid::NONE, status: 0 };
    crate::node::send(abi::kernel::server(PROCESS), destroy.to_message())
}

/// What runs in a team.
pub trait Program {
    /// Given the results of the last call, the next one.
    fn step(&mut self, results: &Registers, context: &mut Context<'_>) -> Registers;

    /// The same program, as it is now: for one that is to move, and may have to go on where it was.
    fn copy(&self) -> Box<dyn Program>;

    /// Who takes its place, of which user, when it ends.
    fn successor(&self) -> Option<(u32, Box<dyn Program>)> {
        None
    }
}

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// A reply.
    Plain,
    /// A reply with data.
    Read,
    /// To look at the segment, all of it.
    Write,
    /// To fill the segment, by MoveTo.
    Fill,
    /// To forward it to another server.
    Forward,
    /// To end before replying.
    Die,
    /// To reply after a while.
    Delay,
}

impl Operation {
    const ALL: [Operation; 7] = [
        Operation::Plain,
        Operation::Read,
        Operation::Write,
        Operation::Fill,
        Operation::Forward,
        Operation::Die,
        Operation::Delay,
    ];

    const fn code(self) -> u32 {
        0x5000 + self as u32
    }

    fn from_code(code: u32) -> Option<Operation> {
        Operation::ALL.into_iter().find(|operation| operation.code() == code)
    }
}

/// Byte `at` of the segment that belongs to a request.
pub(super) fn pattern(number: u32, at: usize) -> u8 {
    (number as usize * 31 + at * 7 + (at >> 8)) as u8
}

fn fill_pattern(number: u32, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| pattern(number, at)).collect()
}

fn assert_pattern(number: u32, data: &[u8], what: &str) {
    let wrong = data.iter().enumerate().find(|(at, byte)| **byte != pattern(number, *at));
    assert_eq!(wrong, None, "request {number}: {what} is wrong from there on");
}

/// How a client behaves.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// When it begins. What was sent before a machine had been up for a packet's lifetime may be refused there.
    pub start_ns: u64,
    /// Requests that it makes.
    pub requests: u32,
    /// Longest time between two of them.
    pub pause_ns: u64,
    /// Longest segment.
    pub segment_bytes: u64,
    /// Whether it asks servers to die, and addresses the dead.
    pub rough: bool,
    /// Whether it wants only its whole segment to be filled, or looked at, of servers elsewhere.
    pub only_copies: bool,
}

/// What a client does.
#[derive(Clone)]
enum Errand {
    /// It begins.
    Begin,
    /// It takes its time.
    Pause,
    /// It waits for a server.
    Asked { number: u32, operation: Operation, bytes: u64, since_ns: u64 },
    /// It waits for a kernel server.
    AskedKernel { number: u32 },
}

/// A client.
#[derive(Clone)]
pub struct Client {
    user: u32,
    manner: Manner,
    errand: Errand,
}

impl Client {
    /// A client of a user.
    pub fn new(user: u32, manner: Manner) -> Client {
        Client { user, manner, errand: Errand::Begin }
    }

    fn ask(&mut self, context: &mut Context<'_>) -> Registers {
        if self.manner.requests == 0 {
            return end_itself();
        }
        self.manner.requests -= 1;
        if self.manner.only_copies {
            return self.ask_for_copy(context);
        }
        let random = &mut context.shared.random;
        let servers = context.shared.oracle.servers();
        // Mostly one of the latest, which live.
        let latest =
            if self.manner.rough && random.per_mille(150) { servers.len() } else { servers.len().min(8) };
        let to = servers[servers.len() - 1 - random.below(latest as u64) as usize];
        if random.per_mille(100) {
            return self.ask_kernel(to, context);
        }
        let mut operation = random.pick(&Operation::ALL);
        if operation == Operation::Die && !(self.manner.rough && random.per_mille(300)) {
            operation = Operation::Plain;
        }
        let bytes = match random.below(8) {
            0 => random.below(self.manner.segment_bytes),
            1 => random.below(20_000.min(self.manner.segment_bytes)),
            _ => random.below(1000),
        } + 1;
        self.ask_for(to, operation, bytes, context)
    }

    fn ask_for_copy(&mut self, context: &mut Context<'_>) -> Registers {
        let servers = context.shared.oracle.servers();
        let elsewhere = servers.iter().find(|server| server.host() != context.pid.host());
        let to = *elsewhere.expect("a server on another machine");
        let operation =
            if self.manner.requests.is_multiple_of(2) { Operation::Fill } else { Operation::Write };
        self.ask_for(to, operation, self.manner.segment_bytes, context)
    }

    fn ask_for(&mut self, to: Pid, operation: Operation, bytes: u64, context: &mut Context<'_>) -> Registers {
        let access = match operation {
            Operation::Read | Operation::Fill => Access::WRITE,
            Operation::Write => Access::READ,
            _ => Access::NONE,
        };
        let number = context.shared.oracle.sent(context.pid, to);
        context.shared.note(|| format!("{} sends {number}, {operation:?} {bytes}, to {to}", context.pid));
        let data = if access == Access::READ {
            fill_pattern(number, bytes as usize)
        } else {
            vec![0xee; bytes as usize]
        };
        if access != Access::NONE {
            context.node.poke(context.pid, Node::data(0), &data);
        }
        self.errand = Errand::Asked { number, operation, bytes, since_ns: context.shared.now_ns };
        let choice = context.shared.random.bits() as u32;
        let message = Message { words: [operation.code(), number, bytes as u32, choice, self.user, 0, 0, 0] };
        let grant = if access == Access::NONE { Grant::NONE } else { Grant::new(bytes, access) };
        crate::node::send_with(to, message, Node::data(0), grant)
    }

    fn ask_kernel(&mut self, near: Pid, context: &mut Context<'_>) -> Registers {
        let (server, message) = match context.shared.random.below(3) {
            0 => (STATISTICS, statistics::Null {}.to_message()),
            1 => (TIME, time::Now {}.to_message()),
            _ => (PROCESS, process::QueryProcesses { index: 0 }.to_message()),
        };
        let to = Pid::kernel_server(near.host(), server);
        let number = context.shared.oracle.sent(context.pid, to);
        context.shared.note(|| format!("{} sends {number} to kernel server {to}", context.pid));
        self.errand = Errand::AskedKernel { number };
        crate::node::send_with(to, message, Node::data(0), Grant::new(4000, Access::WRITE))
    }

    /// The outcome of a request to a server.
    fn check(
        &self,
        number: u32,
        operation: Operation,
        bytes: u64,
        results: &Registers,
        context: &mut Context<'_>,
    ) {
        let message = Message::from_registers(results.message);
        let outcome = Error::check(results.number as u32);
        context.shared.note(|| format!("{} has {number}: {outcome:?} {message:?}", context.pid));
        context.shared.oracle.ended(number, outcome, Pid::from_bits(results.pid), true);
        if outcome.is_err() {
            return;
        }
        assert_eq!(message.words[1], number, "the reply to another request");
        // A server that could not copy says so.
        let copied = Error::check(message.code());
        let bytes = bytes as usize;
        match operation {
            Operation::Read => {
                let count = message.segment_bytes() as usize;
                assert_eq!(count, bytes.min(HEAD_BYTES as usize), "request {number} lacks data");
                let data = context.node.peek(context.pid, Node::data(0), bytes);
                assert_pattern(number, &data[..count], "the reply's data");
                assert!(data[count..].iter().all(|byte| *byte == 0xee), "beyond the reply's data");
            }
            Operation::Fill => {
                let data = context.node.peek(context.pid, Node::data(0), bytes);
                let count = if copied.is_ok() { bytes } else { message.words[2] as usize };
                assert_pattern(number, &data[..count], "what was moved");
            }
            _ => assert_eq!(message.segment_bytes(), 0),
        }
        assert!(copied.is_ok() || self.manner.rough, "request {number}: {copied:?}");
    }
}

impl Program for Client {
    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }

    fn step(&mut self, results: &Registers, context: &mut Context<'_>) -> Registers {
        match self.errand {
            Errand::Begin => {
                self.errand = Errand::Pause;
                return context.delay(self.manner.start_ns);
            }
            Errand::Pause => return self.ask(context),
            Errand::Asked { number, operation, bytes, since_ns } => {
                context.shared.waited_ns += context.shared.now_ns - since_ns;
                self.check(number, operation, bytes, results, context);
            }
            Errand::AskedKernel { number } => {
                let outcome = Error::check(results.number as u32);
                context.shared.note(|| format!("{} has {number}: {outcome:?}", context.pid));
                let replier = Pid::from_bits(results.pid);
                context.shared.oracle.ended(number, outcome, replier, false);
                let code = Message::from_registers(results.message).code();
                assert!(outcome.is_err() || code == Error::OK_CODE, "request {number}: code {code}");
            }
        }
        self.errand = Errand::Pause;
        let pause_ns = context.shared.random.below(self.manner.pause_ns + 1);
        if pause_ns == 0 { self.ask(context) } else { context.delay(pause_ns) }
    }
}

/// What a server does.
#[derive(Clone)]
enum Duty {
    /// It begins.
    Begin,
    /// It has received, or not.
    Receive,
    /// It fetches the rest of a segment.
    Fetch { client: Pid, number: u32, bytes: u64, from: u64 },
    /// It fills a segment.
    Fill { client: Pid, number: u32 },
    /// It lets time pass before it replies.
    Delay { client: Pid, number: u32 },
    /// It hands a message on.
    Forward { client: Pid, number: u32 },
    /// It has replied; the client may be gone.
    Done,
}

/// A server.
#[derive(Clone)]
pub struct Server {
    user: u32,
    duty: Duty,
}

impl Server {
    /// A server of a user.
    pub fn new(user: u32) -> Server {
        Server { user, duty: Duty::Begin }
    }

    fn receive(&mut self, context: &mut Context<'_>) -> Registers {
        self.duty = Duty::Receive;
        call::Receive {
            from: Pid::NONE,
            buffer_address: Node::data(0),
            buffer_bytes: context.shared.random.pick(&[0, 100, 4096, HEAD_BYTES]),
            deadline: FOREVER,
        }
        .encode()
    }

    fn reply(
        &mut self,
        client: Pid,
        number: u32,
        error: Option<Error>,
        count: u64,
        data_bytes: u64,
    ) -> Registers {
        self.duty = Duty::Done;
        let code = error.map_or(Error::OK_CODE, Error::code);
        let message = Message { words: [code, number, count as u32, 0, 0, 0, 0, 0] };
        call::Reply {
            to: client,
            message,
            segment_address: Node::data(0),
            segment_bytes: data_bytes,
            replier: 0,
            error: 0,
        }
        .encode()
    }

    fn serve(&mut self, results: &Registers, context: &mut Context<'_>) -> Registers {
        assert_eq!(results.number, 0, "a server's Receive fails");
        let client = Pid::from_bits(results.pid);
        let message = Message::from_registers(results.message);
        let [_, number, bytes, choice, user, ..] = message.words;
        let bytes = u64::from(bytes);
        let operation = Operation::from_code(message.code()).expect("a request that was sent");
        let (own, here) = (context.pid, u64::from(message.segment_bytes()));
        context.shared.note(|| format!("{own} received {number}, {operation:?}, of {client}"));
        assert_eq!(UserId(results.extra[1] as u32), UserId(user), "request {number} is another user's");
        let forwarder = Pid::from_bits(results.extra[2]);
        let addressed = context.shared.oracle.entry(number).to;
        assert!(addressed == own || !forwarder.is_none(), "request {number} was for {addressed}, not {own}");
        context.shared.oracle.received(number, client, own);
        let grant = Grant::from_bits(results.extra[0]);
        if operation == Operation::Forward {
            let servers = context.shared.oracle.servers();
            let to = servers[servers.len() - 1 - choice as usize % servers.len().min(8)];
            // It would be received twice by one.
            let code = if to == own || to == addressed { None } else { Some(Operation::Plain.code()) };
            if let Some(code) = code {
                context.shared.note(|| format!("{own} forwards {number} to {to}"));
                let message = Message { words: [code, number, bytes as u32, choice, user, 0, 0, 0] };
                self.duty = Duty::Forward { client, number };
                return call::Forward { client, message, to: to.to_bits(), forwarder: 0 }.encode();
            }
        }
        context.shared.oracle.executed(number, own);
        match operation {
            Operation::Plain | Operation::Forward => self.reply(client, number, None, 0, 0),
            Operation::Read => {
                let data_bytes = bytes.min(HEAD_BYTES);
                assert_eq!(grant, Grant::new(bytes, Access::WRITE));
                context.node.poke(own, Node::data(0), &fill_pattern(number, data_bytes as usize));
                self.reply(client, number, None, 0, data_bytes)
            }
            Operation::Write => {
                assert_eq!(grant, Grant::new(bytes, Access::READ));
                self.duty = Duty::Fetch { client, number, bytes, from: here };
                call::MoveFrom {
                    client,
                    segment_offset: here,
                    address: Node::data(here),
                    bytes: bytes - here,
                }
                .encode()
            }
            Operation::Fill => {
                context.node.poke(own, Node::data(0), &fill_pattern(number, bytes as usize));
                self.duty = Duty::Fill { client, number };
                call::MoveTo { client, segment_offset: 0, address: Node::data(0), bytes }.encode()
            }
            Operation::Die => end_itself(),
            Operation::Delay => {
                self.duty = Duty::Delay { client, number };
                context.delay(u64::from(choice % 3_000) * 1_000_000)
            }
        }
    }
}

impl Program for Server {
    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }

    fn step(&mut self, results: &Registers, context: &mut Context<'_>) -> Registers {
        match self.duty {
            Duty::Begin | Duty::Done => self.receive(context),
            Duty::Receive => self.serve(results, context),
            Duty::Fetch { client, number, bytes, from } => {
                let error = Error::check(results.number as u32).err();
                let count = results.extra[0];
                context.shared.note(|| format!("{} fetched {count} of {number}: {error:?}", context.pid));
                assert_eq!(error.is_none(), from + count == bytes, "{error:?}, but {count} of {bytes} bytes");
                let data = context.node.peek_touched(context.pid, Node::data(0), (from + count) as usize);
                assert_pattern(number, &data, "the segment");
                self.reply(client, number, error, count, 0)
            }
            Duty::Fill { client, number } => {
                let error = Error::check(results.number as u32).err();
                let count = results.extra[0];
                context.shared.note(|| format!("{} filled {count} of {number}: {error:?}", context.pid));
                self.reply(client, number, error, count, 0)
            }
            Duty::Forward { .. } if results.number == 0 => self.receive(context),
            Duty::Forward { client, number } => {
                // The other has ended, or may not have another user's messages.
                context.shared.oracle.executed(number, context.pid);
                self.reply(client, number, None, 0, 0)
            }
            Duty::Delay { client, number } => self.reply(client, number, None, 0, 0),
        }
    }

    fn successor(&self) -> Option<(u32, Box<dyn Program>)> {
        Some((self.user, Box::new(Server::new(self.user))))
    }
}
