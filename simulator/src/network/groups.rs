//! Programs of a group that spans machines: *members* answer what is sent to it, *askers* send and count the answers.

use std::collections::BTreeSet;

use abi::call::{self, FOREVER, Registers};
use abi::kernel::{GROUP, group};
use abi::protocol::Request as _;
use abi::{Access, Error, Grant, LogicalHost, Message, Pid};

use super::programs::{Context, Program, end_itself, pattern};
use crate::Node;

/// The group. Whose it is does not matter: there is no such machine.
pub const TOGETHER: Pid = Pid::unrestricted_group(LogicalHost::from_bits(0x77_7777), 300);

const CODE: u32 = 0x6000;
/// Bytes that are sent along, and that come back.
const BYTES: usize = 700;
/// How long an asker waits for each answer.
const WAIT_NS: u64 = 2_000_000_000;

fn data(number: u32) -> Vec<u8> {
    (0..BYTES).map(|at| pattern(number, at)).collect()
}

/// A member.
#[derive(Default)]
pub struct Member {
    joined: bool,
    /// Whom it has to answer, and what.
    client: Option<(Pid, u32)>,
    /// What it has received: nothing comes twice.
    received: BTreeSet<(u32, Pid)>,
}

impl Program for Member {
    fn step(&mut self, results: &Registers, context: &mut Context<'_>) -> Registers {
        if !self.joined {
            self.joined = true;
            let join = group::Join { group: TOGETHER, process: Pid::NONE };
            return crate::node::send(abi::kernel::server(GROUP), join.to_message());
        }
        let message = Message::from_registers(results.message);
        if results.number == 0 && message.code() == CODE {
            let [_, number, low, high, ..] = message.words;
            let asker = Pid::from_bits(u64::from(low) | u64::from(high) << 32);
            context.shared.note(|| format!("{} is asked {number} of {asker}", context.pid));
            assert!(self.received.insert((number, asker)), "{} is asked {number} twice", context.pid);
            assert_eq!(message.segment_bytes() as usize, BYTES);
            assert_eq!(context.node.peek(context.pid, Node::data(0), BYTES), data(number));
            self.client = Some((Pid::from_bits(results.pid), number));
        }
        match self.client.take() {
            Some((client, number)) => call::Reply {
                to: client,
                message: Message { words: [0, number, 0, 0, 0, 0, 0, 0] },
                segment_address: Node::data(0),
                segment_bytes: BYTES as u64,
                replier: 0,
                error: 0,
                lend: 0,
            }
            .encode(),
            None => call::Receive {
                from: Pid::NONE,
                buffer_address: Node::data(0),
                buffer_bytes: 4096,
                deadline: FOREVER,
            }
            .encode(),
        }
    }
}

/// An asker.
pub struct Asker {
    requests: u32,
    /// How many answers there must be, if it is known.
    expected: Option<usize>,
    number: u32,
    heard: BTreeSet<Pid>,
    is_asking: bool,
}

impl Asker {
    /// One that asks so often. Where nothing goes wrong, `expected` members answer each time.
    pub fn new(requests: u32, expected: Option<usize>) -> Asker {
        Asker { requests, expected, number: 0, heard: BTreeSet::new(), is_asking: false }
    }

    fn hear(&mut self, results: &Registers, context: &mut Context<'_>) {
        let (member, message) = (Pid::from_bits(results.pid), Message::from_registers(results.message));
        context.shared.note(|| format!("{} hears of {member} about {}", context.pid, self.number));
        assert_eq!(message.words[1], self.number, "an answer to another question");
        assert!(self.heard.insert(member), "{member} answers {} twice", self.number);
        assert_eq!(message.segment_bytes() as usize, BYTES);
        assert_eq!(context.node.peek(context.pid, Node::data(0), BYTES), data(self.number));
    }
}

impl Program for Asker {
    fn step(&mut self, results: &Registers, context: &mut Context<'_>) -> Registers {
        let deadline = context.shared.now_ns + WAIT_NS;
        if self.is_asking {
            match Error::check(results.number as u32) {
                Ok(()) => {
                    self.hear(results, context);
                    let (buffer_address, buffer_bytes) = (Node::data(0), 4096);
                    return call::GetReply { buffer_address, buffer_bytes, deadline }.encode();
                }
                Err(error) => {
                    let (pid, number, heard) = (context.pid, self.number, self.heard.len());
                    context.shared.note(|| format!("{pid} heard {heard} about {number}: {error:?}"));
                    if let Some(expected) = self.expected {
                        assert_eq!(heard, expected, "{pid}, {number}: {error:?}");
                    }
                }
            }
        } else if self.number == 0 {
            // Members are to have joined before.
            self.number = 1;
            let delay = abi::kernel::time::Delay { until_ns: deadline };
            return crate::node::send(abi::kernel::server(abi::kernel::TIME), delay.to_message());
        }
        if self.requests == 0 {
            return end_itself();
        }
        self.requests -= 1;
        self.number += 1;
        self.heard.clear();
        self.is_asking = true;
        context.node.poke(context.pid, Node::data(0), &data(self.number));
        let asker = context.pid.to_bits();
        let message = Message { words: [CODE, self.number, asker as u32, (asker >> 32) as u32, 0, 0, 0, 0] };
        call::Send {
            to: TOGETHER,
            message,
            segment_address: Node::data(0),
            grant: Grant::new(BYTES as u64, Access::READ_WRITE).to_bits(),
            deadline,
        }
        .encode()
    }
}
