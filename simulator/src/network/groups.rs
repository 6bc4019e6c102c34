//! Programs of a group that spans machines: *members* answer what is sent to it, *askers* send and count the answers.
//!
//! The group is one that nobody made and all may join; or the first machine's first member makes a restricted one, which
//! members of its user join from wherever they are, and *strangers*, of another user, try to in vain.

use std::collections::BTreeSet;

use abi::call::{self, FOREVER, Registers};
use abi::kernel::{GROUP, group};
use abi::protocol::{Reply as _, Request as _};
use abi::{Access, Error, Grant, LogicalHost, Message, Pid};

use super::programs::{Context, Program, end_itself, pattern};
use crate::Node;

/// The group. Whose it is does not matter: there is no such machine.
pub const TOGETHER: Pid = Pid::unrestricted_group(LogicalHost::from_bits(0x77_7777), 300);

const CODE: u32 = 0x6000;
/// Bytes that are sent along, and that come back.
const BYTES: usize = 700;
/// How long who could not join waits before it tries again.
const AGAIN_NS: u64 = 50_000_000;
/// How often it tries: the group may have ended with its maker.
const TRIES: u32 = 20;
/// How long an asker waits for each answer.
const WAIT_NS: u64 = 2_000_000_000;

fn data(number: u32) -> Vec<u8> {
    (0..BYTES).map(|at| pattern(number, at)).collect()
}

/// How a member becomes one.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Role {
    /// It joins the group that all may join.
    #[default]
    Anyone,
    /// It makes a restricted group.
    Founder,
    /// It joins that, being of the same user.
    Friend,
    /// It tries to, being of another one.
    Stranger,
}

/// What a member waits for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Step {
    /// To begin, or to try again.
    #[default]
    Outside,
    /// To hear whether it has joined.
    Joining,
    /// To be asked.
    Inside,
}

/// A member.
#[derive(Clone, Default)]
pub struct Member {
    role: Role,
    step: Step,
    tries: u32,
    /// Whom it has to answer, and what.
    client: Option<(Pid, u32)>,
    /// What it has received: nothing comes twice.
    received: BTreeSet<(u32, Pid)>,
}

impl Member {
    /// One that becomes one in such a way.
    pub fn new(role: Role) -> Member {
        Member { role, ..Member::default() }
    }

    /// The call with which it tries to become a member.
    fn join(&mut self, context: &Context<'_>) -> Registers {
        let group = match self.role {
            Role::Anyone => Some(TOGETHER),
            Role::Founder => None,
            Role::Friend | Role::Stranger => match context.shared.restricted_group {
                None => return context.delay(AGAIN_NS),
                known => known,
            },
        };
        self.step = Step::Joining;
        let message = match group {
            Some(group) => group::Join { group, process: Pid::NONE }.to_message(),
            None => group::Create { restricted: 1 }.to_message(),
        };
        crate::node::send(abi::kernel::server(GROUP), message)
    }

    /// It has tried. The call to go on with, unless it is in the group.
    fn tried(&mut self, results: &Registers, context: &mut Context<'_>) -> Option<Registers> {
        let message = Message::from_registers(results.message);
        let outcome = Error::check(results.number as u32).and_then(|()| Error::check(message.code()));
        context.shared.note(|| format!("{} joins as {:?}: {outcome:?}", context.pid, self.role));
        assert!(outcome.is_err() || self.role != Role::Stranger, "{} may not join", context.pid);
        match outcome {
            Ok(()) => {
                if self.role == Role::Founder {
                    context.shared.restricted_group = Some(group::Created::from_message(&message).group);
                }
            }
            // It is not told more often.
            Err(Error::NoPermission) => assert_eq!(self.role, Role::Stranger),
            Err(_) if self.tries == TRIES => {}
            Err(_) => {
                self.tries += 1;
                self.step = Step::Outside;
                return Some(context.delay(AGAIN_NS));
            }
        }
        self.step = Step::Inside;
        None
    }
}

impl Program for Member {
    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }

    fn step(&mut self, results: &Registers, context: &mut Context<'_>) -> Registers {
        match self.step {
            Step::Outside => return self.join(context),
            Step::Joining => {
                if let Some(next) = self.tried(results, context) {
                    return next;
                }
                return receive();
            }
            Step::Inside => {}
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
            }
            .encode(),
            None => receive(),
        }
    }
}

fn receive() -> Registers {
    let (buffer_address, buffer_bytes) = (Node::data(0), 4096);
    call::Receive { from: Pid::NONE, buffer_address, buffer_bytes, deadline: FOREVER }.encode()
}

/// An asker.
#[derive(Clone)]
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
    fn copy(&self) -> Box<dyn Program> {
        Box::new(self.clone())
    }

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
            to: context.shared.restricted_group.unwrap_or(TOGETHER),
            message,
            segment_address: Node::data(0),
            grant: Grant::new(BYTES as u64, Access::READ_WRITE).to_bits(),
            deadline,
        }
        .encode()
    }
}
