//! A 16550 in memory, as QEMU's behaves: what is sent leaves at once unless the other side is blocked.

extern crate std;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::vec::Vec;

use crate::registers::{self, Registers, cause, enable, line, queue, status};

/// The chip, shared between driver and test.
#[derive(Clone, Default)]
pub struct Chip(pub Rc<RefCell<State>>);

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the chip")]
pub struct State {
    /// What the driver has not taken; more than fits the chip waits outside.
    pub incoming: VecDeque<u8>,
    /// Whether no byte has come or been taken for a while.
    pub has_paused: bool,
    /// What has left.
    pub outgoing: Vec<u8>,
    /// Whether what is sent stays in the queue.
    pub blocked: bool,
    /// Whether there is a chip at all.
    pub absent: bool,
    /// What every register reads as, for a chip that has gone mad.
    pub mad: Option<u8>,
    send_queue: Vec<u8>,
    enabled: u8,
    line_control: u8,
    scratch: u8,
    queue_control: u8,
    sent_pending: bool,
    pub accesses: usize,
}

impl State {
    /// Whether the interrupt line is raised.
    pub fn interrupts(&self) -> bool {
        self.cause() & cause::NONE == 0
    }

    fn cause(&self) -> u8 {
        let receives = self.enabled & enable::RECEIVED != 0;
        let what = if receives && self.incoming.len() >= queue::RECEIVED_BYTES {
            cause::RECEIVED
        } else if receives && !self.incoming.is_empty() && self.has_paused {
            cause::RECEIVED_FEW
        } else if self.enabled & enable::SENT != 0 && self.sent_pending {
            cause::SENT
        } else {
            cause::NONE
        };
        what | cause::HAS_QUEUES
    }

    fn flush(&mut self) {
        if !self.blocked {
            self.outgoing.append(&mut self.send_queue);
            self.sent_pending = true;
        }
    }

    /// Lets go on what was blocked.
    pub fn unblock(&mut self) {
        self.blocked = false;
        self.flush();
    }
}

impl Registers for Chip {
    fn read(&mut self, register: u16) -> u8 {
        let mut state = self.0.borrow_mut();
        state.accesses += 1;
        if state.absent {
            return 0xff;
        }
        if let Some(value) = state.mad {
            return value;
        }
        match register {
            registers::DATA => {
                state.has_paused = false;
                state.incoming.pop_front().unwrap_or(0)
            }
            registers::INTERRUPT_CAUSE => {
                let what = state.cause();
                if what & cause::MASK == cause::SENT {
                    state.sent_pending = false;
                }
                what
            }
            registers::LINE_STATUS => {
                let received = if state.incoming.is_empty() { 0 } else { status::RECEIVED };
                let sent = if state.send_queue.is_empty() { status::SENT | status::IDLE } else { 0 };
                received | sent
            }
            registers::SCRATCH => state.scratch,
            _ => 0,
        }
    }

    fn read_data(&mut self, bytes: &mut [u8]) {
        assert!(bytes.len() <= queue::BYTES);
        let accesses = self.0.borrow().accesses;
        for byte in bytes {
            *byte = self.read(registers::DATA);
        }
        self.0.borrow_mut().accesses = accesses + 1;
    }

    fn write(&mut self, register: u16, value: u8) {
        let mut state = self.0.borrow_mut();
        state.accesses += 1;
        let divisor = state.line_control & line::DIVISOR != 0;
        match register {
            registers::DATA if !divisor => {
                assert!(state.send_queue.len() < queue::BYTES, "the chip's queue overflows");
                state.send_queue.push(value);
                state.sent_pending = false;
                state.flush();
            }
            registers::INTERRUPT_ENABLE if !divisor => {
                let turned_on = value & enable::SENT != 0 && state.enabled & enable::SENT == 0;
                state.enabled = value;
                if turned_on && state.send_queue.is_empty() {
                    state.sent_pending = true;
                }
            }
            registers::LINE_CONTROL => state.line_control = value,
            registers::QUEUE_CONTROL => {
                const IN_USE: u8 = 1;
                const EMPTY_RECEIVED: u8 = 2;
                let was_used = state.queue_control & IN_USE != 0;
                if value & EMPTY_RECEIVED != 0 || was_used != (value & IN_USE != 0) {
                    let held = state.incoming.len().min(if was_used { queue::BYTES } else { 1 });
                    state.incoming.drain(..held);
                }
                state.queue_control = value;
            }
            registers::SCRATCH => state.scratch = value,
            _ => {}
        }
    }

    fn write_data(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= queue::BYTES);
        for byte in bytes {
            self.write(registers::DATA, *byte);
            self.0.borrow_mut().accesses -= 1;
        }
        self.0.borrow_mut().accesses += 1;
    }
}
