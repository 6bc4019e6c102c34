//! VMTP's engine under any string of events: packets forged, replayed and turned around, calls of its user, time.
//!
//! The bytes are a program: each event takes as many as it needs, and zeros when they are used up. The user is honest,
//! since it is code of ours; the network is not. What is promised holds after every event, see [`user`](crate::user).

use vmtp::encapsulation::Address;
use vmtp::packet::message::{DATAGRAM, SEGMENT};
use vmtp::packet::{Control, Function, Header, Message, assemble, mask};
use vmtp::{EntityId, LogicalHost};

use crate::user::{LOCAL, MTU_BYTES, REMOTE, User};

/// Events of one input at most.
const EVENTS: usize = 200;
/// What a packet may carry for a segment.
const SEGMENTS: [u32; 6] = [1, 8, 512, 1400, 20_000, 70_000];
/// Codes of the managers' procedures.
const PROCEDURES: [u32; 7] =
    [0x0500_0101, 0x0500_0103, 0x0500_0104, 0x4500_010f, 0x4500_0110, 0x4100_0111, 0x0500_0105];
const MILLISECOND_NS: u64 = 1_000_000;

/// What is left of the input.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    fn entity(&mut self) -> EntityId {
        let bits = match self.byte() % 8 {
            0 | 1 => LOCAL | (0x10 + u64::from(self.byte() % 3)),
            2..=4 => REMOTE | u64::from(self.byte() % 3) << 32 | (0x10 + u64::from(self.byte() % 3)),
            5 => 0x6000_0000_0000_0007 + u64::from(self.byte() % 2),
            6 => EntityId::manager_of(LogicalHost::from_bits(100 + u32::from(self.byte() % 4))).to_bits(),
            _ => u64::from(self.word()) << 32 | u64::from(self.word()),
        };
        EntityId::from_bits(bits)
    }

    /// Small, so that transactions meet.
    fn transaction(&mut self) -> u32 {
        match self.byte() {
            0xff => self.word(),
            small => 1 + u32::from(small % 16),
        }
    }

    fn message(&mut self) -> Message {
        let mut message = Message { words: [0x1000, 1, 2, 3, 4, 5, 6, 7] };
        let flags = u32::from(self.byte());
        message.words[0] |= flags << 24;
        if message.has(SEGMENT) {
            message.words[7] = SEGMENTS[self.below(SEGMENTS.len())];
        }
        if flags & 0x20 != 0 {
            message.words[6] = self.word();
        }
        if flags & 0x04 != 0 {
            let entity = self.entity();
            message.set_entity(1, entity);
        }
        message
    }

    fn control(&mut self, function: Function) -> Control {
        let control = Control::new(function);
        match self.byte() % 4 {
            0 => control,
            1 => {
                let byte = self.byte();
                // Two of its bits are a place in a run.
                let place = u32::from(byte >> 6) << 28;
                control.and(Control::ACKNOWLEDGE | place).with_retransmit_count(byte % 8)
            }
            2 => control.with_forward_count(self.byte() % 4),
            _ => control.and(self.word() & !1),
        }
    }

    fn address(&mut self) -> Address {
        Address::Ethernet([2, 0, 0, 0, 0, self.byte() % 4])
    }
}

/// Runs the program.
pub fn check(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut user = User::new(input.byte());
    for _ in 0..EVENTS {
        if input.0.is_empty() {
            break;
        }
        event(&mut input, &mut user);
    }
    user.finish();
}

fn event(input: &mut Input, user: &mut User) {
    match input.byte() % 16 {
        0 | 1 => {
            let (client, server) = (input.entity(), input.entity());
            let control = input.control(Function::Request);
            let header = Header { client, server, control, ..forged(input) };
            receive(input, user, header);
        }
        2 => {
            let (client, server) = (input.entity(), input.entity());
            let control = input.control(Function::Response);
            let header = Header { client, server, control, ..forged(input) };
            receive(input, user, header);
        }
        3 => management(input, user),
        4 => {
            // Whatever the engine said last, answered.
            if let Some(header) = user.said(input.below(8)) {
                let control = Control::new(Function::Response)
                    .with_retransmit_count(header.control.retransmit_count())
                    .and(u32::from(input.byte()) << 24);
                let message = input.message();
                let flags = header.message.words[0] & DATAGRAM;
                let message = if flags == 0 { message } else { header.message };
                let server = if input.byte() < 200 && !header.server.is_group() {
                    header.server
                } else {
                    input.entity()
                };
                receive(input, user, Header { control, message, server, flags: 0, ..header });
            }
        }
        5 => {
            if let Some(header) = user.said(input.below(8)) {
                receive(input, user, header);
            }
        }
        6 => {
            let from = input.address();
            user.again(from, input.below(8));
        }
        7 => {
            let length = usize::from(input.byte());
            let (packet, rest) = input.0.split_at(length.min(input.0.len()));
            let packet = packet.to_vec();
            input.0 = rest;
            user.receive(Address::Ethernet([2, 0, 0, 0, 0, 9]), &packet);
        }
        8 => user.pass(u64::from(input.byte()) * MILLISECOND_NS),
        9 => user.pass_to_deadline(),
        10 | 11 => {
            let (client, server) = (input.entity(), input.entity());
            let (message, transaction) = (input.message(), input.transaction());
            // The high bits say which place in a run it has.
            let what = input.byte();
            let capacity = SEGMENTS[usize::from(what) % SEGMENTS.len()];
            let flags = u32::from(what >> 6) << 28;
            user.send(client, server, message, transaction, capacity, (input.byte(), flags));
        }
        12 => {
            let message = input.message();
            user.reply(input.byte(), message);
        }
        13 if input.byte().is_multiple_of(2) => {
            let (server, message) = (input.entity(), input.message());
            user.forward(input.byte(), server, message);
        }
        13 if input.byte().is_multiple_of(2) => user.end(input.byte()),
        13 => {
            let (which, why) = (input.byte(), input.byte());
            if why >= 192 { user.batch(which) } else { user.refuse(which, why) }
        }
        14 => user.cancel(input.byte()),
        _ => user.own(input.byte(), u32::from(input.byte())),
    }
}

fn forged(input: &mut Input) -> Header {
    let message = input.message();
    let delivery = match input.byte() % 4 {
        0 => 0,
        1 => 1,
        2 => 1 << (input.byte() % 32),
        _ => input.word(),
    };
    let domain = if input.byte() == 0xff { 4 } else { 3 };
    Header {
        domain,
        flags: input.byte() % 2,
        transaction: input.transaction(),
        delivery,
        message,
        ..Header::default()
    }
}

/// A request to the managers.
fn management(input: &mut Input, user: &mut User) {
    let mut message = Message::default();
    message.words[0] = PROCEDURES[input.below(PROCEDURES.len())];
    message.set_entity(1, input.entity());
    message.set_entity(3, input.entity());
    message.words[5] = input.transaction();
    message.words[6] = if input.byte() < 128 { u32::MAX } else { input.word() };
    message.words[7] = u32::from(input.byte() % 26);
    if message.words[0] & 0xff == 0x0f {
        message.words[3] = input.control(Function::Response).0;
    }
    let control = input.control(Function::Request);
    let header = Header { control, message, server: EntityId::MANAGER_GROUP, ..forged(input) };
    let header = Header { client: input.entity(), message, ..header };
    receive(input, user, header);
}

/// Sends the engine a packet with as much data as its header calls for, where one packet can hold it.
fn receive(input: &mut Input, user: &mut User, mut header: Header) {
    let from = input.address();
    let group_bytes = header.message.segment_bytes().min(16384);
    header.delivery = mask::first_packet(header.delivery, group_bytes, MTU_BYTES - 68);
    header.length_words = mask::bytes_of(header.delivery, group_bytes).next_multiple_of(8) as u16 / 4;
    let mut packet = vec![0; MTU_BYTES as usize];
    let length = assemble(&header, group_bytes, &mut packet, |_, place| place.fill(7));
    user.receive(from, &packet[..length.expect("the packet has room")]);
}
