//! Virtio network cards.
//!
//! Two queues, one for each way, and a fixed set of buffers for each, that lie at the same place all the time. Each
//! begins with a head of the card's own, which would say what checksums it is to fill in: none.
//!
//! The card interrupts when it has received something after the driver has looked for the last time; for frames sent it
//! interrupts only when the driver has waited for room. Buffers of sent frames are taken back when there are no others.

use alloc::vec::Vec;

use hardware::device::Device;
use hardware::interrupt::InterruptLine;
use v::{Error, Pid};
use virtio::{Transport, Way, feature};

use crate::{Card, Counters, HEAD_BYTES, LONGEST_CONTENT, ORDINARY_CONTENT, Received, Station, TAG_BYTES};

/// Features of network cards.
mod network_feature {
    pub const LARGEST_CONTENT: u64 = 1 << 3;
    pub const STATION: u64 = 1 << 5;
    pub const STATUS: u64 = 1 << 16;
}

const WANTED: u64 = feature::EVENT_INDEX
    | network_feature::LARGEST_CONTENT
    | network_feature::STATION
    | network_feature::STATUS;

const RECEIVE_QUEUE: u16 = 0;
const SEND_QUEUE: u16 = 1;

/// Offsets in the registers of network cards.
const STATION: usize = 0;
const STATUS: usize = 6;
const LARGEST_CONTENT: usize = 10;
const IS_CONNECTED: u16 = 1;

/// The head before each frame: flags, kind of segmentation, three lengths that go with it, then where a checksum's range
/// begins and where in it it goes, and a count of buffers. All zero, it says that the frame is to be sent as it is: so
/// those of buffers to send with stay as the memory came.
const CARD_HEAD_BYTES: usize = 12;

/// Buffers each way, at most.
const MOST_BUFFERS: u16 = 128;
/// Bytes of all buffers of one way, at most.
const MOST_BYTES: usize = 1 << 20;
/// How many buffers are given back before the card is shown them.
const GIVEN_AT_ONCE: u16 = 16;

/// A started card.
#[derive(Debug)]
pub struct VirtioCard {
    transport: Transport,
    interrupt: InterruptLine,
    receiving: Way,
    sending: Way,
    /// Buffers that the card does not have of those to send with.
    free: Vec<u16>,
    given_back: u16,
    station: Station,
    largest_content: usize,
    features: u64,
    counters: Counters,
}

impl VirtioCard {
    /// Resets the card and starts it. Where it doesn't say how much content its link's frames have, that is told.
    pub fn start(device: &Device, link_content: usize) -> Result<VirtioCard, Error> {
        let transport = Transport::open(device)?;
        let features = transport.agree(WANTED)?;
        if features & network_feature::STATION == 0 {
            return Err(Error::NotSupported);
        }
        let mut station = Station::default();
        for (at, byte) in (STATION..).zip(&mut station.0) {
            *byte = transport.own_u8(at).ok_or(Error::NotSupported)?;
        }
        let largest_content = if features & network_feature::LARGEST_CONTENT == 0 {
            link_content
        } else {
            transport.own_u16(LARGEST_CONTENT).ok_or(Error::NotSupported)?.into()
        };
        let largest_content = largest_content.clamp(ORDINARY_CONTENT, LONGEST_CONTENT);
        let interrupt = device.claim_interrupt()?;
        let has_events = features & feature::EVENT_INDEX != 0;
        let bytes = (CARD_HEAD_BYTES + HEAD_BYTES + TAG_BYTES + largest_content).next_multiple_of(64);
        let most = MOST_BUFFERS.min(1 << (MOST_BYTES / bytes).ilog2());
        let way = |number, card_writes| Way::new(&transport, number, most, bytes, has_events, card_writes);
        let (receiving, sending) = (way(RECEIVE_QUEUE, true)?, way(SEND_QUEUE, false)?);
        transport.start();
        let mut card = VirtioCard {
            free: (0..sending.buffers.count() as u16).rev().collect(),
            transport,
            interrupt,
            receiving,
            sending,
            given_back: 0,
            station,
            largest_content,
            features,
            counters: Counters::default(),
        };
        for buffer in 0..card.receiving.buffers.count() as u16 {
            card.receiving.hand_over(buffer);
        }
        card.receiving.queue.ask();
        card.sending.queue.quieten();
        card.flush();
        Ok(card)
    }

    /// Takes the buffers of sent frames back.
    #[cold]
    fn take_sent(&mut self) {
        while let Some(used) = self.sending.queue.take() {
            let buffer = used.buffer as usize;
            if self.sending.buffers.take_back(buffer) {
                self.free.push(buffer as u16);
            } else {
                self.counters.nonsense += 1;
                break;
            }
        }
        self.sending.queue.quieten();
    }
}

impl Card for VirtioCard {
    fn station(&self) -> Station {
        self.station
    }

    fn largest_content(&self) -> usize {
        self.largest_content
    }

    fn is_connected(&self) -> bool {
        self.features & network_feature::STATUS == 0
            || self.transport.own_u16(STATUS).is_none_or(|status| status & IS_CONNECTED != 0)
    }

    fn interrupt(&self) -> Pid {
        self.interrupt.sender()
    }

    fn receive(&mut self) -> Option<Received> {
        loop {
            let used = self.receiving.queue.take()?;
            let buffer = used.buffer as usize;
            if !self.receiving.buffers.take_back(buffer) {
                self.counters.nonsense += 1;
                // A card that counts buffers which it does not have may do so without end.
                return None;
            }
            let shortest = CARD_HEAD_BYTES + HEAD_BYTES;
            if !(shortest..=self.receiving.buffers.bytes()).contains(&(used.bytes as usize)) {
                self.counters.nonsense += 1;
                self.receiving.hand_over(buffer as u16);
                continue;
            }
            let bytes = used.bytes as u16 - CARD_HEAD_BYTES as u16;
            self.counters.received += 1;
            self.counters.received_bytes += u64::from(bytes);
            return Some(Received { buffer: buffer as u16, bytes });
        }
    }

    fn frame(&self, received: &Received) -> &[u8] {
        let buffer = self.receiving.buffers.get(received.buffer.into());
        &buffer[CARD_HEAD_BYTES..][..received.bytes.into()]
    }

    fn give_back(&mut self, received: Received) {
        self.receiving.hand_over(received.buffer);
        self.given_back += 1;
        if self.given_back == GIVEN_AT_ONCE {
            self.given_back = 0;
            self.counters.notices += u64::from(self.receiving.show(&self.transport));
        }
    }

    fn rearm(&mut self) -> bool {
        self.counters.interrupts += 1;
        self.given_back = 0;
        self.counters.notices += u64::from(self.receiving.show(&self.transport));
        self.receiving.queue.ask()
    }

    fn next_frame(&mut self) -> Option<&mut [u8]> {
        if self.free.is_empty() {
            self.take_sent();
            if self.free.is_empty() && self.sending.queue.ask() {
                self.take_sent();
            }
        }
        let buffer = *self.free.last()?;
        let end = CARD_HEAD_BYTES + HEAD_BYTES + self.largest_content;
        Some(&mut self.sending.buffers.get_mut(buffer.into())[CARD_HEAD_BYTES..end])
    }

    fn send(&mut self, bytes: usize) {
        assert!(bytes <= HEAD_BYTES + self.largest_content, "a frame of {bytes} bytes");
        let buffer = self.free.pop().expect("`next_frame` has given one");
        self.sending.queue.set_length(buffer, (CARD_HEAD_BYTES + bytes) as u32);
        self.sending.hand_over(buffer);
        self.counters.sent += 1;
        self.counters.sent_bytes += bytes as u64;
    }

    fn flush(&mut self) {
        self.counters.notices += u64::from(self.sending.show(&self.transport));
        self.counters.notices += u64::from(self.receiving.show(&self.transport));
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}
