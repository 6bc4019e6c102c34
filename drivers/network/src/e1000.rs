//! Intel's gigabit cards 8254x and 82574, which QEMU has as `e1000` and `e1000e`, by the descriptors that both understand.
//!
//! Each way has a ring ([`ring`]) and a fixed set of buffers that hold the longest frame whole. The 82574 interrupts by
//! messages; the older ones have a wired interrupt only, which stays up until its cause is cleared here.
//!
//! A frame that was received interrupts; one that was sent does only when the driver has waited for room. Buffers of sent
//! frames are taken back when there are no others.

mod registers;
mod ring;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use hardware::buffers::Buffers;
use hardware::device::Device;
use hardware::register::Registers;
use pci::Identity;
use v::{Error, Pid};

use crate::{Card, Counters, HEAD_BYTES, LONGEST_CONTENT, ORDINARY_CONTENT, Received, Station, TAG_BYTES};
use registers::{
    ADDRESS_IS_VALID, ALL_BY_MESSAGE_0, CTRL, GAPS, ICR, IMC, IMS, IVAR, RAH, RAL, RCTL, RECEIVE_RING,
    RegisterFile, STATUS, TCTL, TIPG, TRANSMIT_RING, cause, ctrl, rctl, status, tctl,
};
use ring::Ring;

/// Intel.
pub const VENDOR: u16 = 0x8086;
/// The cards that were tried: 82540EM, 82545EM and 82574L.
const DEVICES: [u16; 3] = [0x100e, 0x100f, 0x10d3];

/// Descriptors each way, at most, and bytes of buffers.
const MOST_DESCRIPTORS: usize = 128;
const MOST_BYTES: usize = 1 << 20;
/// What a buffer holds to receive into: one of the lengths that the card knows.
const SHORT_BUFFER_BYTES: usize = 2048;
const LONG_BUFFER_BYTES: usize = 16384;
/// How long the card may take to reset itself.
const RESET_MS: u32 = 100;
/// How many buffers are given back before the card is shown them.
const GIVEN_AT_ONCE: u16 = 16;

/// In a received descriptor's status: it ends a frame; and all errors, none of which a card that drops bad frames reports.
const ENDS_FRAME: u32 = 1 << 1;
const ERRORS: u32 = 0xff00;

/// A sent descriptor's command: it ends a frame, the card adds the frame's checksum, and says when it is done.
const SEND: u32 = (1 | 1 << 1 | 1 << 3) << 24;

/// Whether this driver is for a card.
pub fn is_for(identity: Identity) -> bool {
    identity.vendor == VENDOR && DEVICES.contains(&identity.device)
}

/// A started card.
#[derive(Debug)]
pub struct E1000Card<R = Registers> {
    registers: R,
    interrupt: Pid,
    receiving: Ring,
    received: Buffers,
    sending: Ring,
    sent: Buffers,
    /// Buffers that the card does not have of those to send with.
    free: Vec<u16>,
    given_back: u16,
    /// A frame is being left out that goes over more than one buffer.
    is_skipping: bool,
    /// An interrupt was asked for when there is room again.
    awaits_room: bool,
    station: Station,
    largest_content: usize,
    counters: Counters,
}

impl E1000Card {
    /// Resets the card and starts it. It takes frames with so much content as the link has, which it cannot tell itself.
    pub fn start(device: &Device, link_content: usize) -> Result<E1000Card, Error> {
        let registers = device.registers(0, 0, registers::BYTES)?;
        let station = reset(&registers)?;
        device.start()?;
        let interrupt = device.claim_interrupt()?.sender();
        let content = link_content.clamp(ORDINARY_CONTENT, LONGEST_CONTENT);
        let (count, bytes) = shape(content);
        let capacity = Ring::capacity(count);
        let receiving = Ring::allocate(count, RECEIVE_RING, &registers)?;
        let sending = Ring::allocate(count, TRANSMIT_RING, &registers)?;
        let (received, sent) = (Buffers::allocate(capacity, bytes)?, Buffers::allocate(capacity, bytes)?);
        Ok(E1000Card::new(registers, interrupt, station, content, (receiving, received), (sending, sent)))
    }
}

/// How many descriptors each way has, and how long their buffers are.
fn shape(content: usize) -> (usize, usize) {
    let longest = HEAD_BYTES + TAG_BYTES + content;
    let bytes = if longest <= SHORT_BUFFER_BYTES { SHORT_BUFFER_BYTES } else { LONG_BUFFER_BYTES };
    (MOST_DESCRIPTORS.min(MOST_BYTES / bytes), bytes)
}

/// Resets the card, so that it neither uses memory nor interrupts. The address that it has in store.
fn reset(registers: &impl RegisterFile) -> Result<Station, Error> {
    registers.write(IMC, cause::ALL);
    // Not every card forgets its rings when it is reset, QEMU's e1000 among them; one that is off does not use them.
    registers.write(RCTL, 0);
    registers.write(TCTL, 0);
    registers.write(CTRL, registers.read(CTRL) | ctrl::RESET);
    // The card may not be asked anything at first.
    registers.rest();
    let is_reset = |_: &u32| {
        let is_reset = registers.read(CTRL) & ctrl::RESET == 0;
        if !is_reset {
            registers.rest();
        }
        is_reset
    };
    (0..RESET_MS).find(is_reset).ok_or(Error::DeviceError)?;
    // It is as after power on, when interrupts are masked; but that is not left to the card.
    registers.write(IMC, cause::ALL);
    registers.write(ICR, cause::ALL);
    let (low, high) = (registers.read(RAL).to_le_bytes(), registers.read(RAH));
    let [fifth, sixth, ..] = high.to_le_bytes();
    let station = Station([low[0], low[1], low[2], low[3], fifth, sixth]);
    let is_valid = high & ADDRESS_IS_VALID != 0 && low[0] & 1 == 0;
    is_valid.then_some(station).ok_or(Error::DeviceError)
}

impl<R: RegisterFile> E1000Card<R> {
    /// Starts a card that was [`reset`], with these rings and their buffers.
    fn new(
        registers: R,
        interrupt: Pid,
        station: Station,
        largest_content: usize,
        (receiving, received): (Ring, Buffers),
        (sending, sent): (Ring, Buffers),
    ) -> E1000Card<R> {
        let is_long = received.bytes() == LONG_BUFFER_BYTES;
        let mut card = E1000Card {
            free: (0..sent.count() as u16).rev().collect(),
            registers,
            interrupt,
            receiving,
            received,
            sending,
            sent,
            given_back: 0,
            is_skipping: false,
            awaits_room: false,
            station,
            largest_content,
            counters: Counters::default(),
        };
        for buffer in 0..card.received.count() as u16 {
            card.hand_over(buffer);
        }
        let on = card.registers.read(CTRL) | ctrl::AUTO_SPEED | ctrl::LINK_UP;
        card.registers.write(CTRL, on);
        // Cards with wired interrupts have nothing there.
        card.registers.write(IVAR, ALL_BY_MESSAGE_0);
        card.registers.write(TIPG, GAPS);
        card.registers.write(TCTL, tctl::ENABLE | tctl::PAD | tctl::COLLISIONS);
        let long = if is_long { rctl::LONG_FRAMES | rctl::BUFFERS_OF_16384 } else { rctl::BUFFERS_OF_2048 };
        let all = rctl::ENABLE | rctl::ALL_GROUPS | rctl::BROADCAST | rctl::STRIP_CHECKSUM;
        card.registers.write(RCTL, all | long);
        card.flush();
        let received = cause::RECEIVED | cause::FEW_LEFT | cause::OVERRUN;
        card.registers.write(IMS, received | cause::RECEIVE_QUEUE | cause::OTHER);
        card
    }

    fn hand_over(&mut self, buffer: u16) {
        self.received.lend(buffer.into());
        self.receiving.name(buffer, self.received.physical(buffer.into()), 0);
    }

    /// Takes the buffers of sent frames back.
    #[cold]
    fn take_sent(&mut self) {
        while let Some(done) = self.sending.take() {
            self.sent.take_back(done.buffer.into());
            self.free.push(done.buffer);
        }
    }
}

impl<R: RegisterFile> Card for E1000Card<R> {
    fn station(&self) -> Station {
        self.station
    }

    fn largest_content(&self) -> usize {
        self.largest_content
    }

    fn is_connected(&self) -> bool {
        self.registers.read(STATUS) & status::LINK_UP != 0
    }

    fn interrupt(&self) -> Pid {
        self.interrupt
    }

    fn receive(&mut self) -> Option<Received> {
        loop {
            let done = self.receiving.take()?;
            self.received.take_back(done.buffer.into());
            let ends = done.status & ENDS_FRAME != 0;
            let was_skipping = core::mem::replace(&mut self.is_skipping, !ends);
            let is_whole = ends && !was_skipping;
            let is_right = done.status & ERRORS == 0
                && (HEAD_BYTES..=self.received.bytes()).contains(&usize::from(done.bytes));
            if !(is_whole && is_right) {
                self.counters.nonsense += 1;
                self.hand_over(done.buffer);
                // It will be shown with others; the card has more, or it would not have used this one.
                continue;
            }
            self.counters.received += 1;
            self.counters.received_bytes += u64::from(done.bytes);
            return Some(Received { buffer: done.buffer, bytes: done.bytes });
        }
    }

    fn frame(&self, received: &Received) -> &[u8] {
        &self.received.get(received.buffer.into())[..received.bytes.into()]
    }

    fn give_back(&mut self, received: Received) {
        self.hand_over(received.buffer);
        self.given_back += 1;
        if self.given_back == GIVEN_AT_ONCE {
            self.given_back = 0;
            self.counters.notices += u64::from(self.receiving.show(&self.registers));
        }
    }

    fn rearm(&mut self) -> bool {
        self.counters.interrupts += 1;
        self.given_back = 0;
        self.counters.notices += u64::from(self.receiving.show(&self.registers));
        self.registers.write(ICR, cause::ALL);
        // What comes from here on has a cause anew. The read is for the write to have reached the card before the ring is
        // looked at: what had come by then would have none.
        self.registers.read(STATUS);
        if self.awaits_room {
            self.take_sent();
            if !self.free.is_empty() {
                self.awaits_room = false;
                self.registers.write(IMC, cause::SENT | cause::TRANSMIT_QUEUE);
            }
        }
        self.receiving.has_done()
    }

    fn next_frame(&mut self) -> Option<&mut [u8]> {
        if self.free.is_empty() {
            self.take_sent();
            if self.free.is_empty() && !self.awaits_room {
                self.awaits_room = true;
                self.registers.write(IMS, cause::SENT | cause::TRANSMIT_QUEUE);
                self.take_sent();
            }
        }
        let buffer = *self.free.last()?;
        Some(&mut self.sent.get_mut(buffer.into())[..HEAD_BYTES + self.largest_content])
    }

    fn send(&mut self, bytes: usize) {
        assert!(bytes <= HEAD_BYTES + self.largest_content, "a frame of {bytes} bytes");
        let buffer = self.free.pop().expect("`next_frame` has given one");
        self.sent.lend(buffer.into());
        self.sending.name(buffer, self.sent.physical(buffer.into()), SEND | bytes as u32);
        self.counters.sent += 1;
        self.counters.sent_bytes += bytes as u64;
    }

    fn flush(&mut self) {
        self.counters.notices += u64::from(self.sending.show(&self.registers));
        self.counters.notices += u64::from(self.receiving.show(&self.registers));
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}
