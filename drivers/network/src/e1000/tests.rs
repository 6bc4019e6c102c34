//! The driver against an imitated card, which does what the manual says, or nonsense.

extern crate std;

use core::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use hardware::dma::DmaMemory;
use proptest::prelude::*;

use super::registers::ring as at;
use super::*;

const COUNT: usize = 8;
const CONTENT: usize = 1500;
const DONE: u32 = 1;
const WHOLE: u32 = DONE | ENDS_FRAME;

/// The card's registers. Those that do something when they are written do it.
#[derive(Clone, Default)]
struct Chip(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    values: BTreeMap<usize, u32>,
    /// How often it is asked before its reset ends.
    slowness: u32,
    rests: u32,
}

impl Chip {
    fn get(&self, register: usize) -> u32 {
        self.0.borrow().values.get(&register).copied().unwrap_or(0)
    }

    fn set(&self, register: usize, value: u32) {
        self.0.borrow_mut().values.insert(register, value);
    }

    /// A card after power on, at this address.
    fn new() -> Chip {
        let chip = Chip::default();
        chip.set(RAL, 0x5600_5452);
        chip.set(RAH, ADDRESS_IS_VALID | 0x0200);
        chip.set(RCTL, rctl::ENABLE);
        chip.set(STATUS, status::LINK_UP);
        chip
    }

    fn interrupts(&self) -> bool {
        self.get(ICR) & self.get(IMS) != 0
    }
}

impl RegisterFile for Chip {
    fn read(&self, register: usize) -> u32 {
        let value = self.get(register);
        if register == CTRL && value & ctrl::RESET != 0 {
            let mut state = self.0.borrow_mut();
            state.slowness = state.slowness.saturating_sub(1);
            if state.slowness == 0 {
                state.values.insert(CTRL, value & !ctrl::RESET);
            }
        }
        value
    }

    fn write(&self, register: usize, value: u32) {
        match register {
            ICR => self.set(ICR, self.get(ICR) & !value),
            IMS => self.set(IMS, self.get(IMS) | value),
            IMC => self.set(IMS, self.get(IMS) & !value),
            _ => self.set(register, value),
        }
    }

    fn rest(&self) {
        self.0.borrow_mut().rests += 1;
    }
}

fn card(chip: &Chip) -> E1000Card<Chip> {
    let station = reset(chip).unwrap();
    let ring = |at| Ring::new(DmaMemory::imitate(COUNT * 16), COUNT, at, chip);
    let buffers = || {
        let capacity = Ring::capacity(COUNT);
        let memory = DmaMemory::imitate(capacity * SHORT_BUFFER_BYTES);
        Buffers::of(&memory, capacity, SHORT_BUFFER_BYTES)
    };
    let (receiving, sending) = ((ring(RECEIVE_RING), buffers()), (ring(TRANSMIT_RING), buffers()));
    E1000Card::new(chip.clone(), Pid::from_bits(9), station, CONTENT, receiving, sending)
}

/// The card receives a frame into the descriptor at its head, if it has one, and says that it has these bytes.
fn arrive(card: &mut E1000Card<Chip>, frame: &[u8], bytes: u16, status: u32) -> bool {
    let chip = card.registers.clone();
    let head = chip.get(RECEIVE_RING + at::HEAD) as usize;
    if head == chip.get(RECEIVE_RING + at::TAIL) as usize {
        chip.set(ICR, chip.get(ICR) | cause::OVERRUN);
        return false;
    }
    let physical: u64 = card.receiving.memory.get(16 * head);
    let buffer = (physical - card.received.physical(0)) as usize / SHORT_BUFFER_BYTES;
    assert!(card.received.take_back(buffer), "buffer {buffer} was the card's");
    card.received.get_mut(buffer)[..frame.len()].copy_from_slice(frame);
    card.received.lend(buffer);
    card.receiving.finish(head, bytes, status);
    chip.set(RECEIVE_RING + at::HEAD, (head as u32 + 1) % COUNT as u32);
    chip.set(ICR, chip.get(ICR) | cause::RECEIVED);
    true
}

/// The card sends what it was told of, up to `most` frames; their bytes.
fn depart(card: &mut E1000Card<Chip>, most: usize) -> Vec<Vec<u8>> {
    let chip = card.registers.clone();
    let mut frames = Vec::new();
    while frames.len() < most && chip.get(TRANSMIT_RING + at::HEAD) != chip.get(TRANSMIT_RING + at::TAIL) {
        let head = chip.get(TRANSMIT_RING + at::HEAD) as usize;
        let physical: u64 = card.sending.memory.get(16 * head);
        let command: u32 = card.sending.memory.get(16 * head + 8);
        assert_eq!(command & !0xffff, SEND);
        let buffer = (physical - card.sent.physical(0)) as usize / SHORT_BUFFER_BYTES;
        assert!(card.sent.take_back(buffer), "buffer {buffer} was the card's");
        frames.push(card.sent.get(buffer)[..(command & 0xffff) as usize].to_vec());
        card.sent.lend(buffer);
        card.sending.finish(head, command as u16, DONE);
        chip.set(TRANSMIT_RING + at::HEAD, (head as u32 + 1) % COUNT as u32);
        chip.set(ICR, chip.get(ICR) | cause::SENT);
    }
    frames
}

fn frame(number: usize) -> Vec<u8> {
    vec![number as u8; HEAD_BYTES + number % CONTENT]
}

#[test]
fn a_card_is_reset_before_it_may_do_anything() {
    let chip = Chip::new();
    chip.0.borrow_mut().slowness = 5;
    chip.set(IMS, cause::RECEIVED);
    assert_eq!(reset(&chip), Ok(Station([0x52, 0x54, 0, 0x56, 0, 2])));
    assert_eq!((chip.get(RCTL), chip.get(IMS)), (0, 0));
    assert!(chip.0.borrow().rests >= 5);
    chip.0.borrow_mut().slowness = RESET_MS + 1;
    assert_eq!(reset(&chip), Err(Error::DeviceError), "it never ends");
    for (low, high) in [(0x5600_5452, 2), (0x5600_5453, ADDRESS_IS_VALID)] {
        let chip = Chip::new();
        chip.set(RAL, low);
        chip.set(RAH, high);
        assert_eq!(reset(&chip), Err(Error::DeviceError), "{low:#x} {high:#x} is no station's");
    }
}

#[test]
fn frames_come_in_order_for_many_times_around() {
    let chip = Chip::new();
    let mut card = card(&chip);
    assert!(card.is_connected() && card.largest_content() == CONTENT);
    for number in 0..500 {
        assert!(!chip.interrupts());
        assert!(arrive(&mut card, &frame(number), frame(number).len() as u16, WHOLE), "frame {number}");
        assert!(chip.interrupts());
        let received = card.receive().unwrap();
        assert_eq!(card.frame(&received), frame(number));
        card.give_back(received);
        assert_eq!(card.receive(), None);
        assert!(!card.rearm());
    }
    assert_eq!((card.counters().received, card.counters().nonsense), (500, 0));
}

#[test]
fn no_frame_is_forgotten_that_comes_before_the_cause_is_cleared() {
    let chip = Chip::new();
    let mut card = card(&chip);
    assert_eq!(card.receive(), None);
    arrive(&mut card, &frame(1), 15, WHOLE);
    assert!(card.rearm(), "no interrupt will come for it");
    assert!(!chip.interrupts());
    assert!(card.receive().is_some());
}

#[test]
fn the_card_never_has_a_buffer_that_is_being_looked_at() {
    let chip = Chip::new();
    let mut card = card(&chip);
    let capacity = Ring::capacity(COUNT);
    let all: Vec<bool> = (0..=capacity).map(|number| arrive(&mut card, &frame(number), 60, WHOLE)).collect();
    assert_eq!(all.iter().filter(|came| **came).count(), capacity);
    let mut held: Vec<Received> = core::iter::from_fn(|| card.receive()).collect();
    assert_eq!(held.len(), capacity);
    // Given back in another order.
    held.reverse();
    for received in held {
        card.give_back(received);
    }
    card.flush();
    for number in 0..capacity {
        assert!(arrive(&mut card, &frame(number), 60, WHOLE));
        let received = card.receive().unwrap();
        assert_eq!(card.frame(&received)[..frame(number).len()], frame(number));
    }
}

#[test]
fn what_makes_no_sense_is_left_out_and_counted() {
    let chip = Chip::new();
    let mut card = card(&chip);
    let nonsense = [
        (HEAD_BYTES as u16 - 1, WHOLE),
        (0, WHOLE),
        (u16::MAX, WHOLE),
        (60, WHOLE | 0x100),
        // A frame in three pieces.
        (60, DONE),
        (60, DONE),
        (60, WHOLE),
    ];
    for (bytes, status) in nonsense {
        assert!(arrive(&mut card, &frame(1), bytes, status));
    }
    assert_eq!(card.receive(), None);
    assert!(!card.rearm());
    assert_eq!(card.counters().nonsense, nonsense.len() as u64);
    arrive(&mut card, &frame(7), 21, WHOLE);
    assert!(card.receive().is_some_and(|received| card.frame(&received) == frame(7)));
}

#[test]
fn frames_are_sent_and_room_is_told_of() {
    let chip = Chip::new();
    let mut card = card(&chip);
    let mut sent = 0;
    while let Some(place) = card.next_frame() {
        assert_eq!(place.len(), HEAD_BYTES + CONTENT);
        place[..frame(sent).len()].copy_from_slice(&frame(sent));
        card.send(frame(sent).len());
        sent += 1;
    }
    assert_eq!(sent, Ring::capacity(COUNT));
    assert!(depart(&mut card, 8).is_empty(), "it has not been told yet");
    card.flush();
    assert_eq!(depart(&mut card, 2), [frame(0), frame(1)]);
    assert!(chip.interrupts(), "there is room, which was waited for");
    assert!(!card.rearm());
    assert!(card.next_frame().is_some());
    assert_eq!(depart(&mut card, 8).len(), sent - 2);
    assert!(!chip.interrupts(), "there was room");
}

#[test]
fn short_frames_are_filled_up_and_long_ones_refused() {
    let chip = Chip::new();
    let mut card = card(&chip);
    assert_eq!(card.send_parts(&[&[1; 14], &[2]]), Ok(true));
    assert_eq!(card.send_parts(&[&[1; 14], &[2; CONTENT]]), Ok(true));
    assert_eq!(card.send_parts(&[&[1; 15], &[2; CONTENT]]), Err(Error::TooLong));
    card.flush();
    let frames = depart(&mut card, 8);
    assert_eq!(frames.iter().map(Vec::len).collect::<Vec<_>>(), [60, 1514]);
    assert!(frames[0][15..].iter().all(|byte| *byte == 0));
}

#[test]
fn buffers_hold_the_longest_frame() {
    assert_eq!(shape(1500), (MOST_DESCRIPTORS, SHORT_BUFFER_BYTES));
    assert_eq!(shape(9000), (64, LONG_BUFFER_BYTES));
}

proptest! {
    #[test]
    fn whatever_the_card_writes_is_taken_as_numbers(words in prop::collection::vec(any::<u32>(), 4 * COUNT)) {
        let chip = Chip::new();
        let mut card = card(&chip);
        for (place, word) in words.iter().enumerate() {
            card.receiving.memory.set(4 * place, *word);
            card.sending.memory.set(4 * place, *word);
        }
        for _ in 0..3 {
            while let Some(received) = card.receive() {
                prop_assert!(card.frame(&received).len() <= SHORT_BUFFER_BYTES);
                card.give_back(received);
            }
            card.rearm();
            while card.next_frame().is_some() && card.counters().sent < 100 {
                card.send(60);
            }
            card.flush();
        }
    }
}
