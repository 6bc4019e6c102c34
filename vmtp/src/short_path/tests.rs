//! Two hosts with clients and servers on each, each on a machine of its own or both on one, and everything that may
//! happen between them in random order.

extern crate std;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec::Vec;

use super::agree;
use crate::action::{Action, Destination, RequestId};
use crate::client::Send;
use crate::encapsulation::Address;
use crate::engine::Engine;
use crate::packet::message;
use crate::packet::{Control, Header};
use crate::server::Reply;
use crate::{Buffer, Configuration, EntityId, Message, Segment};

const FROM: [Address; 2] = [Address::Ethernet([2, 0, 0, 0, 0, 0]), Address::Ethernet([2, 0, 0, 0, 0, 1])];
const ELSEWHERE: Address = Address::Ethernet([2, 0, 0, 0, 0, 2]);
const MILLISECOND_NS: u64 = 1_000_000;

/// What happens next, to one of the hosts.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A client sends, with a segment of so many bytes, such flags and priority.
    Send { client: u8, server: u8, bytes: u16, code: u32, flags: u32, priority: u8 },
    /// A packet on its way arrives, perhaps not for the last time, perhaps from where the host never was.
    Arrive { which: u8, stays: bool, moved: bool },
    /// A packet on its way is lost.
    Lose { which: u8 },
    /// A server leaves its response to the next one.
    Batch { which: u8 },
    /// A server answers.
    Reply { which: u8, bytes: u16, code: u32 },
    /// A client gives up.
    Cancel,
    /// Time passes.
    Pass { ms: u16 },
    /// What is to be done waits until after the next step.
    Linger,
}

fn steps() -> impl Strategy<Value = (usize, Step)> {
    let code = prop_oneof![
        6 => Just(0u32),
        1 => Just(message::DATAGRAM),
        1 => Just(message::DELIVERY_MASK),
        1 => Just(message::CONDITIONAL),
    ];
    let bytes = prop_oneof![4 => Just(0u16), 1 => 1..3000u16];
    let flags = prop_oneof![
        8 => Just(0),
        1 => Just(Control::NO_RETRANSMISSION),
        1 => Just(Control::DELAY_RESPONSE),
        1 => Just(Control::NOT_END_OF_RUN),
        2 => Just(Control::PLACE_IN_RUN),
        1 => Just(Control::NOT_START_OF_RUN),
    ];
    let priority = prop_oneof![4 => Just(0u8), 1 => 0..16u8];
    let send = (0..3u8, 0..3u8, bytes.clone(), code.clone(), flags, priority).prop_map(
        |(client, server, bytes, code, flags, priority)| Step::Send {
            client,
            server,
            bytes,
            code,
            flags,
            priority,
        },
    );
    let step = prop_oneof![
        4 => send,
        8 => (any::<u8>(), prop::bool::weighted(0.1), prop::bool::weighted(0.03))
            .prop_map(|(which, stays, moved)| Step::Arrive { which, stays, moved }),
        1 => any::<u8>().prop_map(|which| Step::Lose { which }),
        5 => (any::<u8>(), bytes, code).prop_map(|(which, bytes, code)| Step::Reply { which, bytes, code }),
        1 => any::<u8>().prop_map(|which| Step::Batch { which }),
        1 => Just(Step::Cancel),
        2 => prop_oneof![4 => 0..3u16, 1 => 0..6000u16].prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::Linger),
    ];
    (0..2usize, step)
}

struct Pair {
    now_ns: u64,
    /// One for each machine.
    engines: Vec<Engine>,
    transaction: u32,
    /// Of each client, the last.
    last: BTreeMap<EntityId, u32>,
    /// To whom, and what.
    flying: Vec<(usize, Header)>,
    asked: [Vec<(RequestId, EntityId)>; 2],
    /// Actions that came of a call at once.
    short: usize,
}

fn entity(host: usize, index: u8) -> EntityId {
    EntityId::from_bits(0x2000_0000_0001_0010 + u64::from(index) + ((host as u64 + 100) << 32))
}

impl Pair {
    fn new(machines: usize) -> Pair {
        let configuration = Configuration {
            clients: 6,
            servers: 6,
            run_length: 3,
            hosts: 2,
            buffers: 2,
            ..Configuration::default()
        };
        let mut engines: Vec<_> =
            (0..machines).map(|own| Engine::new(&configuration, 0, own as u64)).collect();
        for host in 0..2 {
            assert!(engines[host % machines].add_new_local_host(entity(host, 0).host()));
        }
        Pair {
            now_ns: 0,
            engines,
            transaction: 0,
            last: BTreeMap::new(),
            flying: Vec::new(),
            asked: [Vec::new(), Vec::new()],
            short: 0,
        }
    }

    fn step(&mut self, host: usize, step: Step) {
        let machines = self.engines.len();
        let own = host % machines;
        let first = match step {
            Step::Send { client, server, bytes, code, flags, priority } => {
                self.transaction += 256;
                let last = self.last.entry(entity(host, client)).or_default();
                let goes_on = flags & Control::NOT_START_OF_RUN != 0;
                let transaction = if goes_on { *last + 1 } else { self.transaction };
                let mut words = [code | 0x1001, 1, 2, 3, 4, 5, u32::MAX, 7];
                words[6] = if code & message::DELIVERY_MASK != 0 { 0b101 } else { words[6] };
                let send = Send {
                    client: entity(host, client),
                    transaction,
                    server: entity(1 - host, server),
                    message: Message { words },
                    segment: (bytes != 0).then_some(Segment { buffer: Buffer(100), bytes: bytes.into() }),
                    response: Segment { buffer: Buffer(101), bytes: 4000 },
                    flags,
                    priority,
                    ..Send::default()
                };
                let sent = agree::send(&mut self.engines[own], self.now_ns, &send).ok();
                if sent.is_some() {
                    *last = transaction;
                }
                sent.and_then(|sent| sent.1)
            }
            Step::Arrive { which, stays, moved } => {
                if self.flying.is_empty() {
                    return;
                }
                let place = usize::from(which) % self.flying.len();
                let (to, header) = if stays { self.flying[place] } else { self.flying.swap_remove(place) };
                let from = match machines {
                    _ if moved => ELSEWHERE,
                    1 => Address::Own,
                    _ => FROM[1 - to],
                };
                let received = agree::receive(&mut self.engines[to], self.now_ns, from, &header);
                self.act(to, received.action);
                return;
            }
            Step::Lose { which } => {
                if !self.flying.is_empty() {
                    self.flying.swap_remove(usize::from(which) % self.flying.len());
                }
                None
            }
            Step::Batch { which } => {
                if !self.asked[own].is_empty() {
                    let place = usize::from(which) % self.asked[own].len();
                    if self.engines[own].batch(self.now_ns, self.asked[own][place].0).is_ok() {
                        self.asked[own].swap_remove(place);
                    }
                }
                None
            }
            Step::Reply { which, bytes, code } => {
                if self.asked[own].is_empty() {
                    return;
                }
                let place = usize::from(which) % self.asked[own].len();
                let (id, server) = self.asked[own].swap_remove(place);
                let segment = (bytes != 0).then_some(Segment { buffer: Buffer(102), bytes: bytes.into() });
                let message = Message { words: [code | 1, 2, 3, 4, 5, 6, 0b11, 8] };
                let reply = Reply { server, message, segment };
                agree::reply(&mut self.engines[own], self.now_ns, id, &reply).ok().flatten()
            }
            Step::Cancel => {
                if let Some(id) = self.engines[own].clients.get(0).map(|record| record.id(0)) {
                    self.engines[own].cancel(self.now_ns, id);
                }
                None
            }
            Step::Pass { ms } => {
                self.now_ns += u64::from(ms) * MILLISECOND_NS;
                self.engines[own].advance(self.now_ns);
                None
            }
            Step::Linger => None,
        };
        self.act(own, first);
    }

    /// Does what came of a call at once.
    fn act(&mut self, own: usize, first: Option<Action>) {
        self.short += usize::from(first.is_some());
        if let Some(action) = first {
            self.act_on(own, action);
        }
    }

    fn act_on(&mut self, own: usize, action: Action) {
        match action {
            Action::Transmit(transmit) => {
                let to = (own + 1) % self.engines.len();
                let is_own = transmit.destination == Destination::Host(Address::Own);
                if is_own == (to == own) {
                    self.flying.push((to, transmit.header));
                }
            }
            Action::Deliver(request) => {
                if let Some(segment) = request.segment {
                    self.engines[own].release_buffer(segment.buffer);
                }
                if !request.message.has(message::DATAGRAM) {
                    self.asked[own].push((request.id, request.server));
                }
            }
            Action::Abandon(id) => self.asked[own].retain(|asked| asked.0 != id),
            _ => {}
        }
    }

    /// Does all that is to be done.
    fn settle(&mut self) {
        for own in 0..self.engines.len() {
            while let Some(action) = self.engines[own].next_action() {
                self.act_on(own, action);
            }
        }
    }
}

proptest! {
    #[test]
    fn the_short_path_is_the_plain_path(
        machines in 1..3usize,
        steps in prop::collection::vec(steps(), 0..300),
    ) {
        let mut pair = Pair::new(machines);
        for (own, step) in steps {
            pair.step(own, step);
            if !matches!(step, Step::Linger | Step::Send { priority: 1.., .. }) {
                pair.settle();
            }
        }
    }
}

/// Between two hosts that know each other, all takes the short path: four times for each transaction.
fn check_all_is_short(machines: usize) {
    let mut pair = Pair::new(machines);
    let send = Step::Send { client: 0, server: 0, bytes: 0, code: 0, flags: 0, priority: 0 };
    for round in 0..10 {
        let before = pair.short;
        pair.step(0, send);
        while pair.asked[1 % machines].is_empty() {
            pair.settle();
            pair.step(0, Step::Arrive { which: 0, stays: false, moved: false });
        }
        pair.step(1, Step::Reply { which: 0, bytes: 0, code: 0 });
        pair.step(0, Step::Arrive { which: 0, stays: false, moved: false });
        if round > 0 {
            assert_eq!(pair.short - before, 4, "sent, delivered, answered, complete");
        }
        pair.settle();
        assert!(pair.flying.is_empty() && pair.engines[0].clients.used() == 0);
    }
}

#[test]
fn between_hosts_that_know_each_other_all_is_short() {
    check_all_is_short(2);
}

#[test]
fn between_hosts_of_one_machine_all_is_short() {
    check_all_is_short(1);
}
