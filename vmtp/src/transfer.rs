//! A message's way through packet groups (RFC 1045, 2.13, 2.14): what is still to be sent, what has come.
//!
//! A segment of up to 16 KiB is one packet group, a longer one a run of them with consecutive transaction numbers, of
//! which a window is on its way at a time. Both sides keep one mask for each group in the window and the number of
//! groups that are done, so their state has one size whatever the message.

use crate::packet::GROUP_BYTES;
use crate::packet::header::length_words;
use crate::packet::mask::{blocks_of, bytes_of, first_packet};
use crate::packet::{Control, Header};

/// Packet groups on their way at a time.
pub const WINDOW: u16 = 16;
/// Every so many groups of a message that is longer than the window an acknowledgement is asked for, if more follow: the
/// window moves before it is used up.
const ACKNOWLEDGE_GROUPS: u16 = WINDOW / 4;

/// A group is overtaken when a packet of one so many later has come: what it misses then has been lost, since few
/// packets are late by a whole group.
const OVERTAKEN_GROUPS: u16 = 2;
/// More than one group in so many with losses means that the network or the other side cannot follow.
const LOSSY_SHARE: u16 = 8;

pub const SLOTS: usize = WINDOW as usize;

/// Whether so many losses are too many for a message of `bytes`.
const fn is_lossy(losses: u16, bytes: u32) -> bool {
    losses.saturating_mul(LOSSY_SHARE) > groups_of(bytes)
}

const fn groups_of(bytes: u32) -> u16 {
    bytes.div_ceil(GROUP_BYTES as u32) as u16
}

const fn slot(group: u16) -> usize {
    (group % WINDOW) as usize
}

/// Bytes of packet group `group` of a segment of `bytes`.
pub const fn group_bytes(bytes: u32, group: u16) -> u32 {
    let rest = bytes.saturating_sub(group as u32 * GROUP_BYTES as u32);
    if rest < GROUP_BYTES as u32 { rest } else { GROUP_BYTES as u32 }
}

/// The sender's side. Groups below `base` are acknowledged, those from `opened` on have never been sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Outgoing {
    bytes: u32,
    base: u16,
    opened: u16,
    /// Of each group from `base` to `opened`, the blocks to send.
    pending: [u32; SLOTS],
    /// A packet without data is to be sent.
    bare: bool,
    /// The blocks that the first group has; of a longer message, all.
    wanted: u32,
    /// How often a part of a group had to be sent again.
    losses: u16,
}

/// What goes into the next packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Which group.
    pub group: u16,
    /// Which of its blocks; none of a bare packet.
    pub delivery: u32,
    /// The group is not the last.
    pub continued: bool,
    /// An acknowledgement is needed for the window to move.
    pub acknowledge: bool,
}

impl Piece {
    /// The header of this piece, of a message whose first packet group has the header `first`; the piece's has
    /// `group_bytes`.
    pub fn header(self, first: &Header, group_bytes: u32) -> Header {
        let mut flags = 0;
        if self.group != 0 {
            flags |= Control::NOT_START_OF_RUN;
        }
        if self.continued {
            flags |= Control::NOT_END_OF_RUN | Control::CONTINUED;
        }
        if self.acknowledge {
            flags |= Control::ACKNOWLEDGE;
        }
        Header {
            control: first.control.and(flags),
            transaction: first.transaction.wrapping_add(u32::from(self.group)),
            delivery: self.delivery,
            length_words: length_words(bytes_of(self.delivery, group_bytes)),
            ..*first
        }
    }
}

impl Outgoing {
    /// A message with a segment of `bytes`, of which only the blocks in `wanted` are sent if it is one group long.
    pub fn start(bytes: u32, wanted: u32) -> Outgoing {
        let mut outgoing = Outgoing { bytes, wanted, ..Outgoing::default() };
        outgoing.open();
        outgoing.bare = outgoing.pending[0] == 0;
        outgoing
    }

    /// Becomes a message without data that has been sent.
    #[inline]
    pub fn become_sent_bare(&mut self) {
        self.clear();
        self.wanted = u32::MAX;
    }

    /// A message of one packet group that has been sent but for the blocks in `rest`.
    #[inline]
    pub fn sent_but(bytes: u32, rest: u32) -> Outgoing {
        let mut outgoing = Outgoing { bytes, opened: 1, wanted: u32::MAX, ..Outgoing::default() };
        outgoing.pending[0] = rest;
        outgoing
    }

    /// The message is over: nothing is left to send.
    #[inline]
    pub fn clear(&mut self) {
        if self.bytes == 0 {
            // Without data nothing else ever changes.
            self.bare = false;
            self.wanted = 0;
        } else {
            *self = Outgoing::default();
        }
    }

    fn blocks(&self, group: u16) -> u32 {
        let blocks = blocks_of(group_bytes(self.bytes, group));
        if groups_of(self.bytes) == 1 { blocks & self.wanted } else { blocks }
    }

    fn open(&mut self) {
        let end = groups_of(self.bytes).min(self.base + WINDOW);
        while self.opened < end {
            self.pending[slot(self.opened)] = self.blocks(self.opened);
            self.opened += 1;
        }
    }

    fn has_blocks(&self) -> bool {
        self.pending.iter().fold(0, |all, blocks| all | blocks) != 0
    }

    /// Whether nothing is waiting to be sent.
    pub fn is_idle(&self) -> bool {
        !self.bare && !self.has_blocks()
    }

    /// Whether data is waiting to be sent.
    pub fn has_pending(&self) -> bool {
        !self.bare && self.has_blocks()
    }

    /// Bytes of the message's segment.
    pub fn bytes(&self) -> u32 {
        self.bytes
    }

    /// Whether the message has data at all.
    pub fn has_data(&self) -> bool {
        self.bytes != 0
    }

    /// Whether the message has packet groups after `group`.
    pub fn more_after(&self, group: u16) -> bool {
        group + 1 < groups_of(self.bytes)
    }

    /// Takes what goes into the next packet, with room for `room_bytes` of data.
    pub fn next(&mut self, room_bytes: u32) -> Option<Piece> {
        let groups = groups_of(self.bytes);
        if self.bare {
            self.bare = false;
            let group = self.base.min(groups.saturating_sub(1));
            return Some(Piece { group, delivery: 0, continued: group + 1 < groups, acknowledge: false });
        }
        let group = (self.base..self.opened).find(|group| self.pending[slot(*group)] != 0)?;
        let pending = &mut self.pending[slot(group)];
        let delivery = first_packet(*pending, group_bytes(self.bytes, group), room_bytes);
        *pending &= !delivery;
        let continued = group + 1 < groups;
        let acknowledge = continued && groups > WINDOW && (group + 1).is_multiple_of(ACKNOWLEDGE_GROUPS);
        Some(Piece { group, delivery, continued, acknowledge })
    }

    /// The blocks of `group` that are still to be sent.
    pub fn pending(&self, group: u16) -> u32 {
        self.pending[slot(group)]
    }

    /// Of `group`, the blocks in `rest` are still to be sent.
    pub fn leave(&mut self, group: u16, rest: u32) {
        self.pending[slot(group)] = rest;
    }

    /// Sends a packet without data: a retransmission, to which the receiver says what it misses.
    pub fn send_bare(&mut self) {
        self.bare = true;
    }

    /// Sends nothing until the receiver asks.
    #[inline]
    pub fn pause(&mut self) {
        self.bare = false;
        self.pending = [0; SLOTS];
    }

    /// Everything before `group` has arrived.
    pub fn acknowledge(&mut self, group: u16) {
        let group = group.min(self.opened);
        while self.base < group {
            self.pending[slot(self.base)] = 0;
            self.base += 1;
        }
        self.open();
    }

    /// Of `group` only `received` has arrived: sends the rest again. Says how many blocks that are.
    pub fn resend(&mut self, group: u16, received: u32) -> u32 {
        if group < self.base || group >= self.opened {
            return 0;
        }
        let missing = self.blocks(group) & !received;
        self.pending[slot(group)] |= missing;
        // A group of which nothing is there may simply not have been sent.
        self.losses = self.losses.saturating_add(u16::from(missing != 0 && received != 0));
        missing.count_ones()
    }

    /// Whether so much was lost that less is to be sent at a time.
    pub fn is_lossy(&self) -> bool {
        is_lossy(self.losses, self.bytes)
    }

    /// The receiver, which had `group`, must have it again: it carries the request out once more.
    pub fn reopen(&mut self, group: u16) {
        if group < self.base {
            self.pause();
            self.base = group;
            self.opened = group;
            self.open();
        }
    }

    /// How many groups at the start are acknowledged.
    pub fn acknowledged(&self) -> u16 {
        self.base
    }

    /// As [`Outgoing::start`], of a message whose first groups are acknowledged. None if it has not so many.
    pub fn resume(bytes: u32, wanted: u32, acknowledged: u16) -> Option<Outgoing> {
        let mut outgoing = Outgoing::start(bytes, wanted);
        if acknowledged > groups_of(bytes) {
            return None;
        }
        while outgoing.base < acknowledged {
            outgoing.acknowledge(acknowledged);
        }
        Some(outgoing)
    }

    /// The receiver knows nothing of the message: begins again.
    pub fn restart(&mut self) {
        *self = Outgoing::start(self.bytes, self.wanted);
    }
}

/// The receiver's side. Groups below `base` are whole.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Incoming {
    bytes: u32,
    base: u16,
    received: [u32; SLOTS],
    wanted: u32,
    /// What groups before this one miss was told when they were overtaken.
    told: u16,
    /// How often a group missed something.
    losses: u16,
}

impl Incoming {
    /// A message with a segment of `bytes`, of which only the blocks in `wanted` are sent if it is one group long.
    pub fn start(bytes: u32, wanted: u32) -> Incoming {
        let mut incoming = Incoming { bytes, wanted, ..Incoming::default() };
        incoming.advance();
        incoming
    }

    /// A message of one packet group, of which the blocks in `received`, but not all, have come.
    #[inline]
    pub fn begun(bytes: u32, received: u32) -> Incoming {
        let mut incoming = Incoming { bytes, wanted: u32::MAX, ..Incoming::default() };
        incoming.received[0] = received;
        incoming
    }

    /// There is no message.
    #[inline]
    pub fn clear(&mut self) {
        if self.bytes == 0 {
            // Without data nothing else ever changes.
            self.wanted = 0;
        } else {
            *self = Incoming::default();
        }
    }

    /// Becomes a message without data that has come.
    #[inline]
    pub fn become_bare(&mut self) {
        self.clear();
        self.wanted = u32::MAX;
    }

    fn blocks(&self, group: u16) -> u32 {
        let blocks = blocks_of(group_bytes(self.bytes, group));
        if groups_of(self.bytes) == 1 { blocks & self.wanted } else { blocks }
    }

    /// Of the packet group that `delivery`, the last that came, is of: the blocks it has, if it is not whole.
    pub fn unfinished(&self, group: u16) -> Option<u32> {
        (group >= self.base).then(|| self.blocks(group))
    }

    fn advance(&mut self) {
        while self.base < groups_of(self.bytes) && self.received[slot(self.base)] == self.blocks(self.base) {
            self.received[slot(self.base)] = 0;
            self.base += 1;
        }
    }

    /// A packet has come with the blocks `delivery` of `group`. None if the group is beyond the window; else the
    /// blocks that are new.
    pub fn accept(&mut self, group: u16, delivery: u32) -> Option<u32> {
        if group < self.base {
            return Some(0);
        }
        if group >= groups_of(self.bytes).min(self.base + WINDOW) {
            return None;
        }
        let new = delivery & self.blocks(group) & !self.received[slot(group)];
        self.received[slot(group)] |= new;
        self.advance();
        Some(new)
    }

    /// Whether the sender is to be told of a packet of `group` that has come, when `before` groups were whole, so that its
    /// window moves: where that asks for it and all before it is there, or where it has filled a gap behind which others
    /// have asked.
    pub fn moves_window(&self, group: u16, before: u16, acknowledge: bool) -> bool {
        let has_passed = self.base / ACKNOWLEDGE_GROUPS != before / ACKNOWLEDGE_GROUPS;
        acknowledge && self.base > group || has_passed && groups_of(self.bytes) > WINDOW
    }

    /// Whether all blocks of `delivery` are new and `group`, which is in the window, is not whole with them. `blocks` are
    /// those that the group has.
    #[inline]
    pub fn is_middle(&self, group: u16, delivery: u32, blocks: u32) -> bool {
        let received = self.received[slot(group)];
        delivery != 0 && delivery & (received | !blocks) == 0 && received | delivery != blocks
    }

    /// As [`Incoming::accept`], of blocks of which [`Incoming::is_middle`] says so.
    #[inline]
    pub fn add(&mut self, group: u16, delivery: u32) {
        self.received[slot(group)] |= delivery;
    }

    /// Whether the blocks of `delivery` are what is left of the message's only group, which has `blocks`.
    #[inline]
    pub fn completes_only_group(&self, delivery: u32, blocks: u32) -> bool {
        let received = self.received[0];
        self.base == 0
            && groups_of(self.bytes) == 1
            && delivery & (received | !blocks) == 0
            && received | delivery == blocks
    }

    /// Whether everything has come.
    pub fn is_complete(&self) -> bool {
        self.base == groups_of(self.bytes)
    }

    /// Whether any block has come.
    pub fn has_some(&self) -> bool {
        self.base != 0 || self.received != [0; SLOTS]
    }

    /// How many groups at the start are whole.
    pub fn whole_groups(&self) -> u16 {
        self.base
    }

    /// The groups of the window that are not whole, each with the blocks that came.
    pub fn gaps(&self) -> impl Iterator<Item = (u16, u32)> + use<> {
        let incoming = *self;
        let end = groups_of(self.bytes).min(self.base + WINDOW);
        (self.base..end)
            .map(move |group| (group, incoming.received[slot(group)]))
            .filter(move |(group, received)| *received != incoming.blocks(*group))
    }

    /// Of these, when nothing has come for `silences` times in a row: the groups up to the last one of which anything has
    /// come, and the message's last one, if that is next: nothing behind it will show that it is lost. What else is behind
    /// may be on its way, so from the second time on one of that, then two, four and so on.
    pub fn gaps_after(&self, silences: u8) -> impl Iterator<Item = (u16, u32)> + use<> {
        let groups = groups_of(self.bytes);
        let mut window = self.base..groups.min(self.base + WINDOW);
        let last = window.rfind(|group| self.received[slot(*group)] != 0);
        let begun = last.map_or(self.base, |group| group + 1);
        let begun = if begun + 1 == groups { groups } else { begun };
        let more = silences.checked_sub(2).map_or(0, |doublings| 1 << doublings.min(8));
        self.gaps().take_while(move |(group, _)| *group < begun + more)
    }

    /// Whether a packet of `group`, which has come, has overtaken groups of which it is not told yet what they miss.
    #[inline]
    pub fn is_overtaken_by(&self, group: u16) -> bool {
        group + 1 >= OVERTAKEN_GROUPS + 1 + self.told.max(self.base)
    }

    /// The groups overtaken by a packet of `group` that are not whole, each told once.
    pub fn overtaken(&mut self, group: u16) -> impl Iterator<Item = (u16, u32)> + use<> {
        let from = self.told.max(self.base);
        let end = (group + 1).saturating_sub(OVERTAKEN_GROUPS).min(groups_of(self.bytes));
        self.told = self.told.max(end);
        let incoming = *self;
        let missing = move |group: &u16| incoming.received[slot(*group)] != incoming.blocks(*group);
        (from..end).filter(missing).map(move |group| (group, incoming.received[slot(group)]))
    }

    /// A group had to be asked for.
    pub fn count_loss(&mut self) {
        self.losses = self.losses.saturating_add(1);
    }

    /// Whether so much was lost that less is to be sent at a time.
    pub fn is_lossy(&self) -> bool {
        is_lossy(self.losses, self.bytes)
    }

    /// The last group before which everything is whole, if the sender must know in order to go on.
    pub fn movable(&self) -> Option<u16> {
        (groups_of(self.bytes) > WINDOW).then(|| self.base.checked_sub(1)).flatten()
    }

    /// What [`Incoming::resume`] takes: how many groups at the start are whole, and the blocks of the window that came.
    pub fn parts(&self) -> (u16, [u32; SLOTS]) {
        (self.base, self.received)
    }

    /// A message of which some has come, but not all. None if it cannot be.
    pub fn resume(bytes: u32, wanted: u32, whole: u16, received: [u32; SLOTS]) -> Option<Incoming> {
        let mut incoming = Incoming { bytes, wanted, base: whole, received, ..Incoming::default() };
        let end = groups_of(bytes);
        let window = whole..end.min(whole.saturating_add(WINDOW));
        let fits = |at: usize| match window.clone().find(|group| slot(*group) == at) {
            Some(group) => received[at] & !incoming.blocks(group) == 0,
            None => received[at] == 0,
        };
        if whole >= end || !(0..SLOTS).all(fits) {
            return None;
        }
        incoming.advance();
        (!incoming.is_complete()).then_some(incoming)
    }

    /// The blocks of the first group that came.
    pub fn first_received(&self) -> u32 {
        if self.base > 0 { self.blocks(0) } else { self.received[0] }
    }

    /// How many bytes came without a gap from the start.
    pub fn contiguous_bytes(&self) -> u32 {
        let whole = u32::from(self.base) * GROUP_BYTES as u32;
        if self.is_complete() {
            return self.bytes;
        }
        let blocks = self.received[slot(self.base)].trailing_ones();
        (whole + blocks * crate::packet::BLOCK_BYTES as u32).min(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_nothing_has_come_of_may_be_on_its_way() {
        let mut incoming = Incoming::start(20 * GROUP_BYTES as u32, u32::MAX);
        let begun = |incoming: &Incoming| incoming.gaps_after(1).collect::<std::vec::Vec<_>>();
        assert_eq!((begun(&incoming), incoming.gaps().count()), (std::vec![], usize::from(WINDOW)));
        incoming.accept(0, u32::MAX);
        assert_eq!(begun(&incoming), []);
        incoming.accept(2, 7);
        assert_eq!(begun(&incoming), [(1, 0), (2, 7)]);
        incoming.accept(2, !7);
        assert_eq!(begun(&incoming), [(1, 0)]);
        // In the end it is asked for all the same.
        let counts = [2, 3, 4, 5, 6, 200].map(|silences| incoming.gaps_after(silences).count());
        assert_eq!(counts, [2, 3, 5, 9, 15, 15]);
        assert!((0..19).all(|group| incoming.accept(group, u32::MAX).is_some()));
        assert_eq!(begun(&incoming), [(19, 0)]);
    }

    #[test]
    fn losses_are_judged_by_the_messages_length() {
        for (bytes, losses, is_lossy) in
            [(100, 0, false), (100, 1, true), (1 << 20, 8, false), (1 << 20, 9, true)]
        {
            let mut incoming = Incoming::start(bytes, u32::MAX);
            (0..losses).for_each(|_| incoming.count_loss());
            assert_eq!(incoming.is_lossy(), is_lossy, "{losses} in {bytes}");
        }
    }

    proptest! {
        /// Over a network that drops at random, with the receiver's reports answered, every message arrives.
        #[test]
        fn messages_arrive(bytes in 0..600_000u32, room in 512..9000u32, drops in prop::collection::vec(any::<bool>(), 64)) {
            let mut outgoing = Outgoing::start(bytes, u32::MAX);
            let mut incoming = Incoming::start(bytes, u32::MAX);
            let mut taken = 0u64;
            let mut drop = drops.iter().copied().chain(std::iter::repeat(false));
            let mut rounds = 0;
            while !incoming.is_complete() {
                while let Some(piece) = outgoing.next(room / 8 * 8) {
                    if drop.next() == Some(true) {
                        continue;
                    }
                    if let Some(new) = incoming.accept(piece.group, piece.delivery) {
                        taken += u64::from(new.count_ones());
                    }
                }
                outgoing.acknowledge(incoming.movable().map_or(0, |group| group + 1));
                for (group, received) in incoming.gaps() {
                    outgoing.resend(group, received);
                }
                rounds += 1;
                prop_assert!(rounds < 200);
            }
            prop_assert_eq!(taken, u64::from(bytes.div_ceil(512)));
            prop_assert_eq!(incoming.contiguous_bytes(), bytes);
        }

        #[test]
        fn what_was_overtaken_is_told_once(arrivals in prop::collection::vec((0..24u16, 1..=u32::MAX), 0..80)) {
            let mut incoming = Incoming::start(24 * GROUP_BYTES as u32, u32::MAX);
            let mut told = std::vec::Vec::new();
            for (group, delivery) in arrivals {
                if incoming.accept(group, delivery).is_some_and(|new| new != 0) {
                    let overtaken: std::vec::Vec<_> = incoming.overtaken(group).collect();
                    for (earlier, received) in overtaken {
                        prop_assert!(earlier + OVERTAKEN_GROUPS <= group && received != u32::MAX);
                        prop_assert!(incoming.gaps().any(|gap| gap == (earlier, received)));
                        prop_assert!(!told.contains(&earlier));
                        told.push(earlier);
                    }
                }
            }
        }

        #[test]
        fn only_wanted_blocks_travel(mask: u32, bytes in 1..16384u32) {
            let mut outgoing = Outgoing::start(bytes, mask);
            let mut incoming = Incoming::start(bytes, mask);
            let mut sent = 0;
            while let Some(piece) = outgoing.next(1024) {
                sent |= piece.delivery;
                incoming.accept(piece.group, piece.delivery);
            }
            prop_assert_eq!(sent, mask & blocks_of(bytes));
            prop_assert!(incoming.is_complete());
        }
    }
}
