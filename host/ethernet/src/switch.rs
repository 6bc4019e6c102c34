//! The Ethernet switch, without its sockets: who gets a frame, and when.
//!
//! It learns which addresses are behind which port from the frames that come, as any switch does. Each node has one
//! port; a port whose cable is pulled neither sends nor receives. Frames up to [`MOST_FRAME_BYTES`] pass, so a card
//! may use jumbo frames.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::deliveries::Deliveries;
use super::impairment::{Fate, HOLD, Impairments};

/// The longest frame that passes, header included.
pub const MOST_FRAME_BYTES: usize = 9216;
/// Two addresses and a type.
pub const HEADER_BYTES: usize = 14;
/// Addresses that are remembered; frames to others go to everyone.
const MOST_ADDRESSES: usize = 1024;

type Address = [u8; 6];

/// The switch. Times count from the network's start.
#[derive(Debug)]
pub struct Switch {
    impairments: Impairments,
    ports: Vec<Port>,
    addresses: BTreeMap<Address, usize>,
    deliveries: Deliveries,
    counts: Counts,
}

#[derive(Clone, Copy, Debug)]
struct Port {
    plugged: bool,
    /// Frames that came from it.
    frames: u64,
}

/// What became of a frame, for one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What the impairments made of it.
    Fate(Fate),
    /// The receiver's cable is pulled.
    Unplugged,
    /// Too much is under way.
    NoRoom,
}

/// Frames by what became of them, each counted once for each receiver, and `sent` once for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// They came from a node.
    pub sent: u64,
    /// They went to a node, each copy counted.
    pub delivered: u64,
    /// They were lost by chance.
    pub lost: u64,
    /// A partition stopped them.
    pub partitioned: u64,
    /// They came twice.
    pub duplicated: u64,
    /// They were held back for others to overtake.
    pub held: u64,
    /// A pulled cable stopped them, at either end.
    pub unplugged: u64,
    /// Too much was under way, or the node was off or took nothing.
    pub dropped: u64,
    /// They were too short or too long for any frame.
    pub malformed: u64,
}

impl Switch {
    /// A switch with that many ports, all plugged.
    pub fn new(ports: usize, impairments: Impairments) -> Switch {
        Switch {
            impairments,
            ports: vec![Port { plugged: true, frames: 0 }; ports],
            addresses: BTreeMap::new(),
            deliveries: Deliveries::default(),
            counts: Counts::default(),
        }
    }

    /// Plugs a node's cable, or pulls it. What was under way to it still arrives.
    pub fn plug(&mut self, port: usize, plugged: bool) {
        self.ports[port].plugged = plugged;
        self.addresses.retain(|_, behind| *behind != port);
    }

    /// Takes a frame from a port, and tells what became of it for each receiver.
    pub fn take(&mut self, port: usize, frame: &[u8], now: Duration) -> Vec<(usize, Outcome)> {
        self.counts.sent += 1;
        let number = self.ports[port].frames;
        self.ports[port].frames += 1;
        let (Some((&to, rest)), HEADER_BYTES..=MOST_FRAME_BYTES) = (frame.split_first_chunk(), frame.len())
        else {
            self.counts.malformed += 1;
            return Vec::new();
        };
        if !self.ports[port].plugged {
            self.counts.unplugged += 1;
            return Vec::new();
        }
        if let Some(from) = rest.first_chunk() {
            self.learn(*from, port);
        }
        let frame = Arc::from(frame);
        let receivers: Vec<usize> = match self.addresses.get(&to) {
            Some(behind) if !is_group(to) => vec![*behind],
            _ => (0..self.ports.len()).collect(),
        };
        let others = receivers.into_iter().filter(|receiver| *receiver != port);
        others.map(|receiver| (receiver, self.send(port, receiver, number, &frame, now))).collect()
    }

    fn learn(&mut self, address: Address, port: usize) {
        let room = self.addresses.len() < MOST_ADDRESSES || self.addresses.contains_key(&address);
        if room && !is_group(address) {
            self.addresses.insert(address, port);
        }
    }

    fn send(
        &mut self,
        sender: usize,
        receiver: usize,
        number: u64,
        frame: &Arc<[u8]>,
        now: Duration,
    ) -> Outcome {
        let counts = &mut self.counts;
        if !self.ports[receiver].plugged {
            counts.unplugged += 1;
            return Outcome::Unplugged;
        }
        let fate = self.impairments.fate(sender, receiver, number, now);
        match fate {
            Fate::Lost => counts.lost += 1,
            Fate::Partitioned => counts.partitioned += 1,
            Fate::Arrives { delay, held, again } => {
                let due = now + delay + if held { HOLD } else { Duration::ZERO };
                if !self.deliveries.put(sender, receiver, due, held, frame) {
                    counts.dropped += 1;
                    return Outcome::NoRoom;
                }
                counts.held += u64::from(held);
                if let Some(again) = again
                    && self.deliveries.put(sender, receiver, now + again, true, frame)
                {
                    counts.duplicated += 1;
                }
            }
        }
        Outcome::Fate(fate)
    }

    /// The next frame whose time has come, and its receiver.
    pub fn deliver(&mut self, now: Duration) -> Option<(usize, Arc<[u8]>)> {
        let delivery = self.deliveries.take(now)?;
        self.counts.delivered += 1;
        Some(delivery)
    }

    /// A frame that was delivered could not be handed over after all.
    pub fn dropped(&mut self) {
        self.counts.delivered -= 1;
        self.counts.dropped += 1;
    }

    /// When the next frame arrives.
    pub fn next_due(&self) -> Option<Duration> {
        self.deliveries.next_due()
    }

    /// What became of all frames so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

/// Whether it is the address of more than one card.
fn is_group(address: Address) -> bool {
    address[0] & 1 == 1
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Outcome::Fate(fate) => fate.fmt(formatter),
            Outcome::Unplugged => write!(formatter, "the cable is pulled"),
            Outcome::NoRoom => write!(formatter, "too much is under way"),
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{} frames sent, {} delivered", self.sent, self.delivered)?;
        for (count, what) in [
            (self.lost, "lost"),
            (self.partitioned, "stopped by a partition"),
            (self.duplicated, "duplicated"),
            (self.held, "held back"),
            (self.unplugged, "stopped by a pulled cable"),
            (self.dropped, "not taken"),
            (self.malformed, "malformed"),
        ] {
            if count > 0 {
                write!(formatter, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVERYONE: Address = [0xff; 6];

    fn address(node: u8) -> Address {
        [2, 0, 0, 0, 0, node]
    }

    fn frame(to: Address, from: Address, data: &[u8]) -> Vec<u8> {
        [&to[..], &from, &[0x88, 0xb5], data].concat()
    }

    /// Who got something by now, in order.
    fn delivered(switch: &mut Switch, now: Duration) -> Vec<usize> {
        std::iter::from_fn(|| switch.deliver(now)).map(|(receiver, _)| receiver).collect()
    }

    fn sent(switch: &mut Switch, port: usize, frame: &[u8]) -> Vec<usize> {
        switch.take(port, frame, Duration::ZERO);
        delivered(switch, Duration::ZERO)
    }

    #[test]
    fn addresses_are_learnt() {
        let mut switch = Switch::new(3, Impairments::default());
        let (one, two) = (address(1), address(2));
        assert_eq!(sent(&mut switch, 0, &frame(two, one, b"who has it?")), [1, 2]);
        assert_eq!(sent(&mut switch, 1, &frame(one, two, b"I")), [0]);
        assert_eq!(sent(&mut switch, 0, &frame(two, one, b"so")), [1]);
        assert_eq!(sent(&mut switch, 0, &frame(EVERYONE, one, b"all")), [1, 2]);
        // A card that has moved is found at its new port, and nobody gets his own frames.
        assert_eq!(sent(&mut switch, 2, &frame(one, two, b"moved")), [0]);
        assert_eq!(sent(&mut switch, 0, &frame(two, one, b"there")), [2]);
        assert_eq!(sent(&mut switch, 0, &frame(one, one, b"myself")), Vec::<usize>::new());
    }

    #[test]
    fn a_group_address_is_never_learnt() {
        let mut switch = Switch::new(3, Impairments::default());
        assert_eq!(sent(&mut switch, 1, &frame(address(1), EVERYONE, b"")), [0, 2]);
        assert_eq!(sent(&mut switch, 0, &frame(EVERYONE, address(1), b"")), [1, 2]);
    }

    #[test]
    fn a_pulled_cable_carries_nothing() {
        let mut switch = Switch::new(3, Impairments::default());
        let everyone = |from| frame(EVERYONE, address(from), b"");
        switch.plug(1, false);
        assert_eq!(sent(&mut switch, 0, &everyone(1)), [2]);
        assert_eq!(sent(&mut switch, 1, &everyone(2)), Vec::<usize>::new());
        switch.plug(1, true);
        assert_eq!(sent(&mut switch, 1, &everyone(2)), [0, 2]);
        let counts = switch.counts();
        assert_eq!((counts.sent, counts.delivered, counts.unplugged), (3, 3, 2));
    }

    #[test]
    fn only_frames_pass() {
        let mut switch = Switch::new(2, Impairments::default());
        for (length, passes) in [(0, false), (13, false), (14, true), (9216, true), (9217, false)] {
            assert_eq!(sent(&mut switch, 0, &vec![1; length]).len(), usize::from(passes), "{length}");
        }
        assert_eq!(switch.counts().malformed, 3);
    }

    #[test]
    fn what_is_held_back_is_overtaken() {
        let reorder = Impairments { reorder: "50".parse().unwrap(), ..Impairments::default() };
        let mut switch = Switch::new(2, reorder);
        for number in 0..100 {
            switch.take(0, &frame(EVERYONE, address(1), &[number]), Duration::ZERO);
        }
        let order: Vec<u8> =
            std::iter::from_fn(|| switch.deliver(HOLD)).map(|(_, frame)| frame[14]).collect();
        assert_eq!(order.len(), 100);
        assert!(!order.is_sorted());
        assert!((30..70).contains(&switch.counts().held), "{}", switch.counts());
    }

    #[test]
    fn the_counts_are_told_in_words() {
        let counts = Counts { sent: 3, delivered: 2, lost: 1, ..Counts::default() };
        assert_eq!(counts.to_string(), "3 frames sent, 2 delivered, 1 lost");
    }

    proptest! {
        #[test]
        fn every_frame_is_accounted_for(
            seed: u64,
            frames in prop::collection::vec((0..3_usize, prop::collection::vec(any::<u8>(), 0..40)), 0..100),
        ) {
            let half = || "50".parse().unwrap();
            let impairments = Impairments { seed, loss: half(), duplicate: half(), reorder: half(), ..Impairments::default() };
            let mut switch = Switch::new(3, impairments);
            let mut receivers = 0;
            for (port, frame) in &frames {
                receivers += switch.take(*port, frame, Duration::ZERO).len() as u64;
            }
            delivered(&mut switch, HOLD);
            let counts = switch.counts();
            prop_assert_eq!(counts.sent, frames.len() as u64);
            prop_assert_eq!(counts.delivered + counts.lost, receivers + counts.duplicated);
            prop_assert_eq!(switch.next_due(), None);
        }
    }
}
