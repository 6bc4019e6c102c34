//! The trace ring: the latest events, of the kinds that someone has asked for.
//!
//! Off, it costs one test an event, and none on the short path, which is not taken while it is on.

use abi::message::CODE_MASK;
use abi::trace::{Event, TraceRecord};
use abi::{FIRST_GUEST_INDEX, Pid};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::ring::Ring;

/// The ring.
pub struct Trace {
    /// The events.
    pub records: Ring<{ TraceRecord::BYTES }>,
    /// Which kinds are kept, by [`Event::bit`]; and whether a guest runs.
    events: u32,
}

/// Beside the events' bits: a guest's process runs, whose calls are not for the short path either.
const GUEST_BIT: u32 = 1 << 31;

impl Trace {
    /// A ring of `count` records, rounded up to a power of two, that keeps nothing yet.
    pub fn new(count: u32) -> Trace {
        Trace { records: Ring::new(count), events: 0 }
    }

    /// Whether events of this kind are kept.
    #[inline]
    pub const fn wants(&self, event: Event) -> bool {
        self.events & event.bit() != 0
    }

    /// Whether none are, and who runs is no guest: the short path may be taken.
    #[inline]
    pub const fn is_off(&self) -> bool {
        self.events == 0
    }

    /// A process begins to run.
    #[inline]
    pub fn note_running(&mut self, pid: Pid) {
        const _: () = assert!(GUEST_BIT == (FIRST_GUEST_INDEX as u32) << 16);
        // Mostly none ran, and none does.
        if (pid.index() ^ (self.events >> 16) as u16) & FIRST_GUEST_INDEX != 0 {
            self.events ^= GUEST_BIT;
        }
    }

    /// Chooses the kinds that are kept; returns what was chosen before.
    pub fn choose(&mut self, events: u32) -> u32 {
        let before = self.events;
        self.events = before & GUEST_BIT | events & !GUEST_BIT;
        before & !GUEST_BIT
    }
}

impl<M: Machine> Kernel<M> {
    /// Notes an event if its kind is kept.
    #[inline]
    pub(crate) fn trace(&mut self, event: Event, code: u32, from: Pid, to: Pid) {
        if self.trace.wants(event) {
            self.add_to_trace(event, code, from, to, [0; 4]);
        }
    }

    /// Notes that a message went, if events of the kind are kept.
    pub(crate) fn trace_words(&mut self, event: Event, message: [u64; 4], from: Pid, to: Pid) {
        if self.trace.wants(event) {
            self.add_to_trace(event, message[0] as u32 & CODE_MASK, from, to, message);
        }
    }

    #[cold]
    fn add_to_trace(&mut self, event: Event, code: u32, from: Pid, to: Pid, message: [u64; 4]) {
        let record = TraceRecord {
            time_ns: self.machine.now_ns(),
            event_and_code: u64::from(event as u32) | u64::from(code) << 32,
            from: from.to_bits(),
            to: to.to_bits(),
            message,
        };
        self.trace.records.add(record.to_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_chosen_events_are_wanted() {
        let mut trace = Trace::new(1);
        assert!(!trace.wants(Event::Send));
        assert_eq!(trace.choose(Event::Send.bit() | Event::End.bit()), 0);
        assert!(trace.wants(Event::Send) && trace.wants(Event::End) && !trace.wants(Event::Reply));
    }
}
