//! A packet group in a few instructions: what is alike for all its packets is worked out with the first.
//!
//! Both halves are derived from the records, count as equal to any other, and stand beside the plain way, which does
//! the same to the same records: the tests below compare the two. A packet that is not simply the next of its group
//! goes the plain way.
//!
//! - *Out*: while nothing else is to be done, [`Engine::next_in_group`] turns one packet of a group into the next. The
//!   records learn of them with the next call of another kind: until then an engine is not to be compared.
//! - *In*: a packet that is as the last one of its group but for new blocks only adds its blocks and says that the host
//!   lives. The first and the last of a response of one group have a short way, too, as in `short_path`.

use core::hash::{Hash, Hasher};

use crate::action::{Action, Buffer, Destination, Received, Store, Transmit};
use crate::client::{ClientState, SendKind};
use crate::encapsulation::Address;
use crate::engine::Engine;
use crate::packet::header::length_words;
use crate::packet::mask::{blocks_of, bytes_of, first_packet, is_run};
use crate::packet::{BLOCK_BYTES, Function, GROUP_BYTES, Header, message};
use crate::server::Reply;
use crate::short_path::{SPECIAL, USUAL};
use crate::transfer::{Incoming, Outgoing, Piece};

/// The packet group that the last packet given out belongs to.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Departing {
    /// Its blocks that are still to be sent, as far as the node knows; none if the next packet goes the plain way.
    rest: u32,
    /// How many packets with `packet_blocks` whole blocks each, one after the other, are next for certain.
    full_packets: u32,
    /// How many that were when the node was last told.
    told_packets: u32,
    packet_blocks: u32,
    group: u16,
    group_bytes: u32,
    /// The node that sends it.
    node: usize,
}

impl Departing {
    /// How many packets the node does not know of. Their blocks are the first ones of those that are still to be sent,
    /// and are no longer among them.
    fn settle(&mut self) -> u32 {
        let packets = self.told_packets - self.full_packets;
        self.told_packets = self.full_packets;
        let gone = packets * self.packet_blocks;
        let rest = u64::from(self.rest);
        let end = u64::from(self.rest.trailing_zeros() + gone);
        self.rest = (rest >> end << end) as u32;
        packets
    }
}

/// The packet group that the last packet of a response belongs to, if it is not whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arriving {
    /// The client's record.
    pub index: usize,
    /// The record of the responder's host.
    pub host: usize,
    /// What the next packet's header has: as the last one's, and the blocks after.
    pub header: Header,
    /// Blocks of a packet.
    pub packet_blocks: u32,
    /// The blocks that the group has.
    pub blocks: u32,
    pub group: u16,
    /// What is to be done with the packet but for its blocks.
    pub store: Store,
    /// When the host was last heard and the timer set by a packet of the group that took this way; none at first.
    pub noted_ns: Option<u64>,
}

impl Arriving {
    /// Whether a packet is as the last one of the group, but for its blocks and what goes with them.
    #[inline(always)]
    fn is_of(&self, header: &Header) -> bool {
        let last = &self.header;
        header.transaction == last.transaction
            && header.control == last.control
            && header.client == last.client
            && header.server == last.server
            && header.domain == last.domain
    }
}

/// What follows from the rest of the engine's state: any two are equal.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Derived<T>(pub T);

impl<T> PartialEq for Derived<T> {
    fn eq(&self, _: &Derived<T>) -> bool {
        true
    }
}

impl<T> Eq for Derived<T> {}

impl<T> Hash for Derived<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Engine {
    /// Makes `transmit`, which [`Engine::next_action`] has just given out, the next packet of its packet group, the
    /// same that `next_action` would give out next, at a fraction of its cost. False if the next action, if any, is
    /// another: ask `next_action`. It need not be called at all.
    #[inline]
    pub fn next_in_group(&mut self, transmit: &mut Transmit) -> bool {
        let departing = &mut self.departing.0;
        if departing.full_packets == 0 {
            return self.next_of_few(transmit);
        }
        // As long as the last, and not the last of its group.
        departing.full_packets -= 1;
        transmit.header.delivery <<= departing.packet_blocks;
        true
    }

    /// The next packet goes the plain way.
    #[inline(always)]
    pub(crate) fn end_departing(&mut self) {
        if self.departing.0.rest != 0 {
            self.note_departed();
        }
    }

    /// Tells the node what has been sent, and ends the short way for the rest.
    #[cold]
    fn note_departed(&mut self) {
        let packets = self.departing.0.settle();
        let Departing { node, group, rest, .. } = core::mem::take(&mut self.departing.0);
        self.counters.packets_sent += u64::from(packets);
        if packets > 0 {
            self.outgoing(node).leave(group, rest);
        }
    }

    /// As [`Engine::next_in_group`], of a packet that may be shorter or the last.
    fn next_of_few(&mut self, transmit: &mut Transmit) -> bool {
        let departing = &mut self.departing.0;
        if departing.rest == 0 {
            return false;
        }
        self.counters.packets_sent += u64::from(departing.settle());
        let delivery = first_packet(departing.rest, departing.group_bytes, self.room_bytes);
        departing.rest &= !delivery;
        transmit.header.delivery = delivery;
        transmit.header.length_words = length_words(bytes_of(delivery, departing.group_bytes));
        self.counters.packets_sent += 1;
        let Departing { node, group, rest, .. } = *departing;
        let outgoing = self.outgoing(node);
        outgoing.leave(group, rest);
        if rest == 0 && outgoing.is_idle() {
            self.group_transmitted(node);
        }
        true
    }

    /// What `node`, a client or server, has to send.
    fn outgoing(&mut self, node: usize) -> &mut Outgoing {
        match node.checked_sub(self.clients.len()) {
            Some(index) => &mut self.servers[index].outgoing,
            None => &mut self.clients[node].outgoing,
        }
    }

    fn group_transmitted(&mut self, node: usize) {
        match node.checked_sub(self.clients.len()) {
            Some(index) => self.response_transmitted(index),
            None => self.request_transmitted(node),
        }
    }

    /// Answers request `index` with a segment of one packet group, of which the first packet is to leave at once. None if
    /// that must go the plain way, where nothing has been done.
    #[inline(never)]
    pub(crate) fn reply_in_group(&mut self, index: usize, reply: &Reply) -> Option<Action> {
        let record = self.servers.at(index)?;
        let host = self.hosts.at(record.host as usize)?;
        let (bytes, address) = (record.takes_group(reply)?, host.address?);
        if host.gap != 0 || !self.is_idle() {
            return None;
        }
        let blocks = blocks_of(bytes);
        let delivery = first_packet(blocks, bytes, self.room_bytes);
        let rest = blocks & !delivery;
        let keep_ns = self.keep_ns(index);
        let node = self.server_node(index);
        self.servers[index].answer_group(reply, bytes, rest, keep_ns);
        if rest == 0 {
            self.response_transmitted(index);
        } else {
            self.timers.set(node, keep_ns);
            self.ready.insert(node);
            let piece = Piece { group: 0, delivery, continued: false, acknowledge: false };
            self.depart(node, piece, bytes, rest);
        }
        self.counters.packets_sent += 1;
        let destination = Destination::Host(address);
        Some(Action::Transmit(Transmit {
            destination,
            header: Header {
                domain: self.configuration.domain,
                flags: self.packet_flags(destination, true),
                length_words: length_words(bytes_of(delivery, bytes)),
                delivery,
                ..self.servers[index].header
            },
            buffer: reply.segment.map(|segment| segment.buffer),
            segment_offset: 0,
            group_bytes: bytes,
        }))
    }

    /// The packet with `piece` of a packet group of `group_bytes`, which lies in `buffer`; `header` is its sender's.
    #[inline(always)]
    pub(crate) fn packet(
        &mut self,
        header: Header,
        piece: Piece,
        destination: Destination,
        buffer: Option<Buffer>,
        group_bytes: u32,
    ) -> Action {
        self.counters.packets_sent += 1;
        let flags = self.packet_flags(destination, group_bytes != 0);
        Action::Transmit(Transmit {
            destination,
            header: Header { domain: self.configuration.domain, flags, ..header },
            buffer,
            segment_offset: u32::from(piece.group) * GROUP_BYTES as u32,
            group_bytes,
        })
    }

    /// `piece` is given out, of a packet group of `group_bytes` of which the blocks in `rest` are still to be sent by
    /// `node`. If nothing comes between, the next ones need no look at anything else.
    pub(crate) fn depart(&mut self, node: usize, piece: Piece, group_bytes: u32, rest: u32) {
        if !self.is_alone(node) {
            return;
        }
        let packet_blocks = self.room_bytes / BLOCK_BYTES as u32;
        let is_full = bytes_of(piece.delivery, group_bytes) == packet_blocks * BLOCK_BYTES as u32;
        // While two blocks are left over, no packet holds the last one, which may be short.
        let certain = rest.count_ones().saturating_sub(2) / packet_blocks;
        let full_packets = if is_full && is_run(piece.delivery | rest) { certain } else { 0 };
        self.departing.0 = Departing {
            rest,
            full_packets,
            told_packets: full_packets,
            packet_blocks,
            group: piece.group,
            group_bytes,
            node,
        };
    }

    /// The short way of a packet of a response. None if it must go the plain way, where nothing has been done.
    #[inline]
    pub(crate) fn receive_in_group(&mut self, from: Address, header: &Header) -> Option<Store> {
        let arriving = self.arriving.0.as_mut()?;
        let expected = &arriving.header;
        let is_expected = header.delivery == expected.delivery
            && header.length_words == expected.length_words
            && arriving.is_of(header);
        if !is_expected {
            return None;
        }
        let record = self.clients.at_mut(arriving.index)?;
        let host = self.hosts.at_mut(arriving.host)?;
        if record.state != ClientState::Receiving
            || !host.is_at(&from)
            || !record.incoming.is_middle(arriving.group, header.delivery, arriving.blocks)
        {
            return None;
        }
        // Of packets that come at one time, the first says all that there is to say of the time.
        if arriving.noted_ns != Some(self.now_ns) {
            let gap_over_ns = (self.now_ns + self.configuration.group_gap_ns).min(record.deadline_ns);
            if !self.timers.set_quietly(arriving.index, gap_over_ns) {
                return None;
            }
            arriving.noted_ns = Some(self.now_ns);
            record.attempts = 0;
            host.heard_ns = self.now_ns;
        }
        record.incoming.add(arriving.group, header.delivery);
        self.counters.packets_received += 1;
        arriving.header.delivery = (u64::from(header.delivery) << arriving.packet_blocks) as u32;
        Some(Store { delivery: header.delivery, ..arriving.store })
    }
}

impl Engine {
    /// The short way of the packet that completes a response of one packet group. None if it must go the plain way, where
    /// nothing has been done.
    #[inline]
    pub(crate) fn complete_group(&mut self, from: Address, header: &Header) -> Option<Received> {
        let arriving = self.arriving.0?;
        let record = &self.clients[arriving.index];
        let fits = arriving.is_of(header)
            && record.state == ClientState::Receiving
            && record.incoming.completes_only_group(header.delivery, arriving.blocks)
            && !record.incoming.is_lossy()
            && record.kind != SendKind::Other
            && header.holds(arriving.store.group_bytes)
            && self.hosts.at(arriving.host)?.is_at(&from)
            && self.is_idle();
        if !fits {
            return None;
        }
        let (entry, _) = self.client_map.entry(header.client.to_bits())?;
        self.narrow_wanted_gap(arriving.host);
        let store = Some(Store { delivery: header.delivery, ..arriving.store });
        let message = self.clients[arriving.index].response_message();
        Some(Received { store, ..self.end_short(entry, arriving.index, header, message) })
    }
}

impl Engine {
    /// Whether a packet is of a response of one packet group, with all that the short ways want to know beforehand.
    #[inline]
    fn is_of_one_group(&self, header: &Header) -> bool {
        let bytes = header.message.words[7];
        header.control.without(USUAL).0 == 0
            && header.control.function() == Function::Response
            && header.domain == self.configuration.domain
            && header.message.words[0] & (SPECIAL | message::SEGMENT) == message::SEGMENT
            && bytes <= GROUP_BYTES as u32
            && header.delivery != 0
            && header.delivery & !blocks_of(bytes) == 0
            && header.holds(bytes)
            && !header.client.is_manager()
    }

    /// The short way of a packet that is a whole response, of one packet group. None if it must go the plain way, where
    /// nothing has been done.
    #[inline]
    fn receive_whole(&mut self, from: Address, header: &Header) -> Option<Received> {
        let bytes = header.message.words[7];
        let (entry, index) = self.client_map.entry(header.client.to_bits())?;
        let record = self.clients.at(index)?;
        let host = self.hosts.at(record.host as usize)?;
        let fits = record.takes_group(header, bytes)
            && !record.outgoing.has_data()
            && host.number == header.server.host()
            && host.is_at(&from)
            && self.is_idle();
        if !fits {
            return None;
        }
        let (buffer, host) = (record.response_buffer(), record.host as usize);
        self.narrow_wanted_gap(host);
        let (segment_offset, is_first) = (0, false);
        let store = Store { buffer, segment_offset, group_bytes: bytes, delivery: header.delivery, is_first };
        Some(Received { store: Some(store), ..self.end_short(entry, index, header, header.message) })
    }

    /// The short way of the first packet that comes of a response of one packet group. None if it must go the plain way,
    /// where nothing has been done.
    #[inline]
    pub(crate) fn begin_group(&mut self, from: Address, header: &Header) -> Option<Received> {
        if !self.is_of_one_group(header) {
            return None;
        }
        let bytes = header.message.words[7];
        let responder = header.server.host();
        if header.delivery == blocks_of(bytes) {
            return self.receive_whole(from, header);
        }
        let index = self.client_map.get(header.client.to_bits())?;
        let record = self.clients.at_mut(index)?;
        let host = self.hosts.at_mut(record.host as usize)?;
        if !record.takes_group(header, bytes) || host.number != responder || !host.is_at(&from) {
            return None;
        }
        host.heard_ns = self.now_ns;
        host.heard = true;
        let (host, had_data) = (record.host as usize, record.outgoing.has_data());
        record.begin_group(header, Incoming::begun(bytes, header.delivery));
        let (buffer, deadline_ns) = (record.response_buffer(), record.deadline_ns);
        if had_data {
            self.narrow_gap(host);
        }
        self.ready.remove(index);
        self.timers.set(index, (self.now_ns + self.configuration.group_gap_ns).min(deadline_ns));
        self.counters.packets_received += 1;
        self.arriving.0 = None;
        let store = Store {
            buffer,
            segment_offset: 0,
            group_bytes: bytes,
            delivery: header.delivery,
            is_first: false,
        };
        self.expect_more(index, 0, store, header);
        Some(Received { store: Some(store), action: None })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::short_path::agree;
    use crate::{Action, Buffer, Configuration, EntityId, LogicalHost, Message, Reply, Segment, Send};
    use proptest::prelude::*;
    use std::vec::Vec;

    const FROM: [Address; 2] = [Address::Ethernet([2, 0, 0, 0, 0, 0]), Address::Ethernet([2, 0, 0, 0, 0, 1])];

    /// Gives `header` to `engine`, and to a copy that knows no short way: both must do the same.
    fn receive(engine: &mut Engine, now_ns: u64, from: Address, header: &Header) -> (bool, Option<Action>) {
        let mut short = engine.clone();
        short.advance(now_ns);
        let is_short = short.receive_in_group(from, header).is_some();
        (is_short, agree::receive(engine, now_ns, from, header).action)
    }

    /// Makes `transmit` the next packet of its group, and has a copy find it the plain way: it must be the same.
    fn next_in_group(engine: &mut Engine, transmit: &mut Transmit) -> bool {
        let mut late = engine.clone();
        late.advance(0);
        assert!(!late.next_in_group(&mut transmit.clone()), "another call came between");
        let mut plain = engine.clone();
        if !engine.next_in_group(transmit) {
            assert_eq!(*engine, plain, "nothing is done");
            return false;
        }
        assert_eq!(plain.next_action(), Some(Action::Transmit(*transmit)));
        let mut told = engine.clone();
        told.end_departing();
        assert_eq!(told, plain);
        true
    }

    /// A transaction with segments of such sizes, over a network that drops and repeats packets. How many packets went
    /// the short way out, and in.
    fn transaction(mtu_bytes: u32, request_bytes: u32, response_bytes: u32, fates: &[u8]) -> (u32, u32) {
        let configuration = Configuration {
            clients: 2,
            servers: 2,
            hosts: 2,
            buffers: 2,
            mtu_bytes,
            ..Configuration::default()
        };
        let mut engines = [100, 200].map(|host| {
            let mut engine = Engine::new(&configuration, 0, host);
            engine.add_new_local_host(LogicalHost::from_bits(host as u32));
            engine
        });
        let entity = |host: u64| EntityId::from_bits(0x2000_0000_0001_0010 | host << 32);
        let send = Send {
            client: entity(100),
            transaction: 1,
            server: entity(200),
            segment: (request_bytes != 0).then_some(Segment { buffer: Buffer(1000), bytes: request_bytes }),
            response: Segment { buffer: Buffer(1001), bytes: response_bytes },
            ..Send::default()
        };
        let mut first = engines[0].send(0, &send).unwrap().1;
        let mut fates = fates.iter().copied().chain(std::iter::repeat(2));
        let (mut now_ns, mut out, mut arrived) = (0, 0, 0);
        for _ in 0..100_000 {
            let mut idle = true;
            for own in 0..2 {
                let mut next = first.take_if(|_| own == 0);
                while let Some(action) = next.take().or_else(|| engines[own].next_action()) {
                    idle = false;
                    match action {
                        Action::Transmit(mut transmit) => loop {
                            for _ in 0..fates.next().unwrap_or(2).div_ceil(2).min(2) {
                                let other = &mut engines[1 - own];
                                let (is_short, action) = receive(other, now_ns, FROM[own], &transmit.header);
                                arrived += u32::from(is_short);
                                if action.is_some() {
                                    return (out, arrived);
                                }
                            }
                            if !next_in_group(&mut engines[own], &mut transmit) {
                                break;
                            }
                            out += 1;
                        },
                        Action::Deliver(request) => {
                            let segment = (response_bytes != 0)
                                .then_some(Segment { buffer: Buffer(1002), bytes: response_bytes });
                            let reply =
                                Reply { server: request.server, message: Message::default(), segment };
                            next = agree::reply(&mut engines[own], now_ns, request.id, &reply).unwrap();
                        }
                        // Of so many drops that the other host counts as dead, no response comes of it.
                        Action::Complete { .. } => return (out, arrived),
                        _ => {}
                    }
                }
            }
            if idle {
                now_ns = engines.iter_mut().filter_map(Engine::next_deadline).min().unwrap();
                for engine in &mut engines {
                    engine.advance(now_ns);
                }
            }
        }
        panic!("no outcome");
    }

    proptest! {
        /// A fate of 0 drops a packet, 1 and 2 let it through, more repeat it.
        #[test]
        fn the_short_way_is_the_plain_way(
            mtu_bytes in 580..9000u32,
            request_bytes in 0..40_000u32,
            response_bytes in 0..200_000u32,
            fates in prop::collection::vec(0..4u8, 0..60),
        ) {
            transaction(mtu_bytes, request_bytes, response_bytes, &fates);
        }
    }

    #[test]
    fn a_whole_group_takes_the_short_way() {
        // Sixteen packets: the first goes the plain way, and the last one in, which completes the group.
        assert_eq!(transaction(1500, 0, 16 * 1024, &[]), (15, 14));
        assert_eq!(transaction(1500, 0, 16 * 1024 - 7, &[]), (15, 14));
    }

    /// A logical host moves away and back in the middle of a packet group, its memory to another buffer: what was
    /// remembered of the group must not send the rest to the old one.
    #[test]
    fn a_move_forgets_the_group_that_was_coming() {
        let configuration = Configuration::default();
        let mut engines = [100, 200].map(|host| {
            let mut engine = Engine::new(&configuration, 0, host);
            engine.add_new_local_host(LogicalHost::from_bits(host as u32));
            engine
        });
        let entity = |host: u64| EntityId::from_bits(0x2000_0000_0001_0010 | host << 32);
        let response = Segment { buffer: Buffer(1001), bytes: 16 * 1024 };
        let send =
            Send { client: entity(100), transaction: 1, server: entity(200), response, ..Send::default() };
        let mut first = engines[0].send(0, &send).unwrap().1;
        let mut stores = Vec::new();
        for round in 0..8 {
            for own in 0..2 {
                let mut next = first.take_if(|_| own == 0);
                while let Some(action) = next.take().or_else(|| engines[own].next_action()) {
                    match action {
                        Action::Transmit(transmit) => {
                            let other = &mut engines[1 - own];
                            let received = agree::receive(other, 0, FROM[own], &transmit.header);
                            stores.extend(received.store.filter(|_| own == 1));
                            if stores.len() == 4 {
                                assert!(other.arriving.0.is_some());
                                let state = other.export(0, entity(100).host()).unwrap();
                                assert!(other.arriving.0.is_none());
                                other.import(0, &state, |buffer| Some(Buffer(buffer.0 + 1000))).unwrap();
                            }
                        }
                        Action::Deliver(request) => {
                            let segment = Some(Segment { buffer: Buffer(1002), bytes: 16 * 1024 });
                            let reply =
                                Reply { server: request.server, message: Message::default(), segment };
                            next = engines[own].reply(0, request.id, &reply).unwrap();
                        }
                        _ => {}
                    }
                }
            }
            assert!(round < 7 || stores.len() == 16);
        }
        let buffers: Vec<u32> = stores.iter().map(|store| store.buffer.0).collect();
        assert_eq!(buffers, [[1001; 4].as_slice(), &[2001; 12]].concat());
    }
}
