//! The trace ring: the latest events, of the kinds that someone has asked for.
//!
//! Off, it costs one test an event. Events are numbered from 0 on; the ring keeps the last ones, and a reader who
//! comes late sees by the numbers what was lost.

use alloc::boxed::Box;

use abi::Pid;
use abi::trace::{Event, TraceRecord};

use crate::kernel::Kernel;
use crate::machine::Machine;

/// The ring.
pub struct Trace {
    records: Box<[TraceRecord]>,
    /// The number of the next event.
    next: u64,
    /// Events that are kept, by [`Event::bit`].
    events: u32,
}

impl Trace {
    /// A ring of `count` records, rounded up to a power of two, that keeps nothing yet.
    pub fn new(count: u32) -> Trace {
        Trace {
            records: alloc::vec![TraceRecord::default(); count.next_power_of_two() as usize].into(),
            next: 0,
            events: 0,
        }
    }

    /// Whether events of this kind are kept.
    #[inline]
    pub const fn wants(&self, event: Event) -> bool {
        self.events & event.bit() != 0
    }

    /// Whether none are.
    #[inline]
    pub const fn is_off(&self) -> bool {
        self.events == 0
    }

    /// Chooses the kinds that are kept; returns what was chosen before.
    pub fn choose(&mut self, events: u32) -> u32 {
        core::mem::replace(&mut self.events, events)
    }

    /// Adds an event.
    pub fn add(&mut self, record: TraceRecord) {
        let mask = self.records.len() - 1;
        if let Some(place) = self.records.get_mut(self.next as usize & mask) {
            *place = record;
        }
        self.next += 1;
    }

    /// The number of the oldest event from `from` on that is still there; the next one's if there is none.
    pub fn first_from(&self, from: u64) -> u64 {
        let oldest = self.next.saturating_sub(self.records.len() as u64);
        from.clamp(oldest, self.next)
    }

    /// The event with a number.
    pub fn get(&self, number: u64) -> Option<&TraceRecord> {
        if number >= self.next || number < self.first_from(0) {
            return None;
        }
        self.records.get(number as usize & (self.records.len() - 1))
    }
}

impl<M: Machine> Kernel<M> {
    /// Notes an event if its kind is kept.
    #[inline]
    pub(crate) fn trace(&mut self, event: Event, code: u32, from: Pid, to: Pid) {
        if self.trace.wants(event) {
            self.add_to_trace(event, code, from, to);
        }
    }

    #[cold]
    fn add_to_trace(&mut self, event: Event, code: u32, from: Pid, to: Pid) {
        let record = TraceRecord {
            time_ns: self.machine.now_ns(),
            event_and_code: u64::from(event as u32) | u64::from(code) << 32,
            from: from.to_bits(),
            to: to.to_bits(),
        };
        self.trace.add(record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(number: u64) -> TraceRecord {
        TraceRecord { time_ns: number, ..TraceRecord::default() }
    }

    #[test]
    fn the_ring_keeps_the_latest() {
        let mut trace = Trace::new(3);
        assert_eq!((trace.first_from(0), trace.first_from(9)), (0, 0));
        assert_eq!(trace.get(0), None);
        for number in 0..6 {
            trace.add(numbered(number));
        }
        assert_eq!((trace.first_from(0), trace.first_from(4)), (2, 4));
        assert_eq!(trace.first_from(u64::MAX), 6);
        for number in 0..8 {
            let expected = (2..6).contains(&number).then(|| numbered(number));
            assert_eq!(trace.get(number).copied(), expected, "{number}");
        }
    }

    #[test]
    fn only_chosen_events_are_wanted() {
        let mut trace = Trace::new(1);
        assert!(!trace.wants(Event::Send));
        assert_eq!(trace.choose(Event::Send.bit() | Event::End.bit()), 0);
        assert!(trace.wants(Event::Send) && trace.wants(Event::End) && !trace.wants(Event::Reply));
    }
}
