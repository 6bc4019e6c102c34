//! The kernel's trace ring: 64 bytes an event.

use crate::{Message, Pid};

/// What happened. The number is the event's bit in `SetTrace`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Event {
    /// `from` sent to `to`; the code is the message's.
    Send = 0,
    /// `to` received from `from`.
    Receive = 1,
    /// `from` replied to `to`.
    Reply = 2,
    /// `from` was forwarded to `to`.
    Forward = 3,
    /// The processor went from `from` to `to`.
    Switch = 4,
    /// `from` faulted; the code is the vector, `to` the address.
    Fault = 5,
    /// `from` was created by `to`.
    Create = 6,
    /// `from` ended; the code is its status.
    End = 7,
    /// An interrupt on line `code` for `to`.
    Interrupt = 8,
}

impl Event {
    /// Every event with its name.
    pub const NAMES: &[(Event, &str)] = &[
        (Event::Send, "send"),
        (Event::Receive, "receive"),
        (Event::Reply, "reply"),
        (Event::Forward, "forward"),
        (Event::Switch, "switch"),
        (Event::Fault, "fault"),
        (Event::Create, "create"),
        (Event::End, "end"),
        (Event::Interrupt, "interrupt"),
    ];

    /// Its bit in a set of events.
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// From its number.
    pub fn from_number(number: u32) -> Option<Event> {
        Event::NAMES.iter().map(|(event, _)| *event).find(|event| *event as u32 == number)
    }
}

/// One event.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct TraceRecord {
    /// Nanoseconds since boot.
    pub time_ns: u64,
    /// An [`Event`]'s number in the low half, a code in the high half.
    pub event_and_code: u64,
    /// Whose doing.
    pub from: u64,
    /// To whom.
    pub to: u64,
    /// The message that was sent, received or replied, as registers have it; zeros for all else.
    pub message: [u64; 4],
}

impl TraceRecord {
    /// Bytes of a record.
    pub const BYTES: usize = 64;

    /// The event, if it is one known here.
    pub fn event(&self) -> Option<Event> {
        Event::from_number(self.event_and_code as u32)
    }

    /// The code.
    pub const fn code(&self) -> u32 {
        (self.event_and_code >> 32) as u32
    }

    /// `from` as a pid.
    pub const fn from_pid(&self) -> Pid {
        Pid::from_bits(self.from)
    }

    /// `to` as a pid.
    pub const fn to_pid(&self) -> Pid {
        Pid::from_bits(self.to)
    }

    /// The message.
    pub const fn message(&self) -> Message {
        Message::from_registers(self.message)
    }

    /// As bytes.
    pub fn to_bytes(&self) -> [u8; TraceRecord::BYTES] {
        let mut bytes = [0; TraceRecord::BYTES];
        let [first, second, third, last] = self.message;
        let words = [self.time_ns, self.event_and_code, self.from, self.to, first, second, third, last];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// From bytes.
    pub fn from_bytes(bytes: &[u8; TraceRecord::BYTES]) -> TraceRecord {
        let word = |at: usize| {
            let mut half = [0; 8];
            half.copy_from_slice(&bytes[at * 8..at * 8 + 8]);
            u64::from_le_bytes(half)
        };
        TraceRecord {
            time_ns: word(0),
            event_and_code: word(1),
            from: word(2),
            to: word(3),
            message: [word(4), word(5), word(6), word(7)],
        }
    }
}
