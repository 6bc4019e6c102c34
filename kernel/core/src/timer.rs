//! Deadlines: slots in the order of their times, the machine's one timer, and what happens when a time comes.
//!
//! Each slot has at most one deadline. The list has room for every slot from boot. A deadline is put in and taken out
//! where a binary search finds its place; those behind it move up, and they are few, since the earliest come last. A
//! cancelled deadline may leave the machine's timer set too early, which costs one needless interrupt at most.

use alloc::vec::Vec;

use abi::Error;
use abi::kernel::TIME;
use abi::kernel::time::Delayed;
use abi::protocol::Reply;

use crate::kernel::Kernel;
use crate::machine::{Machine, Next, ProcessIndex};
use crate::process::{Flags, Kind, NOBODY, State};
use crate::schedule::SLICE_NS;

/// Deadlines with their slots, the earliest last.
#[derive(Clone, Debug)]
pub struct Deadlines(pub Vec<(u64, ProcessIndex)>);

impl Deadlines {
    /// Empty, with room for every slot.
    pub fn new(process_slots: u16) -> Deadlines {
        Deadlines(Vec::with_capacity(process_slots.into()))
    }

    /// The earliest deadline, and whose it is.
    pub fn first(&self) -> Option<(u64, ProcessIndex)> {
        self.0.last().copied()
    }

    fn insert(&mut self, at_ns: u64, index: ProcessIndex) {
        let place = self.0.partition_point(|later| *later > (at_ns, index));
        self.0.insert(place, (at_ns, index));
    }

    fn remove(&mut self, at_ns: u64, index: ProcessIndex) {
        let place = self.0.partition_point(|later| *later > (at_ns, index));
        self.0.remove(place);
    }
}

impl<M: Machine> Kernel<M> {
    /// The machine's timer interrupt.
    pub fn timer(&mut self) -> Next<M::Space> {
        self.interrupt_current();
        self.counters.timer_interrupts += 1;
        self.charge();
        let now = self.coarse_now_ns;
        self.cpu_mut().timer_ns = u64::MAX;
        while let Some((at_ns, first)) = self.deadlines.first()
            && at_ns <= now
        {
            self.clear_deadline(first);
            self.expire(first);
        }
        if now >= self.cpu().slice_end_ns {
            self.cpu_mut().slice_end_ns = now + SLICE_NS;
            self.rotate();
        }
        self.set_timer();
        self.leave()
    }

    /// Gives a slot a deadline.
    pub(crate) fn set_deadline(&mut self, index: ProcessIndex, at_ns: u64) {
        self.clear_deadline(index);
        let process = &mut self.processes[index];
        process.deadline_ns = at_ns;
        process.flags.set(Flags::TIMED);
        self.deadlines.insert(at_ns, index);
        if at_ns < self.cpu().timer_ns {
            self.set_timer();
        }
    }

    /// The same with a time of the clock of the slot's team.
    pub(crate) fn set_own_deadline(&mut self, index: ProcessIndex, at_ns: u64) {
        let ahead_ns = self.team(self.processes[index].team).clock_offset_ns;
        self.set_deadline(index, at_ns.saturating_sub_signed(ahead_ns));
    }

    /// What the clock of a slot's team says when the node's says `at_ns`.
    pub(crate) fn own_time(&self, index: ProcessIndex, at_ns: u64) -> u64 {
        at_ns.saturating_add_signed(self.team(self.processes[index].team).clock_offset_ns)
    }

    /// Takes a slot's deadline away, if it has one.
    #[inline]
    pub(crate) fn clear_deadline(&mut self, index: ProcessIndex) {
        if self.processes[index].flags.has(Flags::TIMED) {
            self.deadlines.remove(self.processes[index].deadline_ns, index);
            self.processes[index].flags.clear(Flags::TIMED);
        }
    }

    /// Sees to it that the machine's timer comes by the earliest deadline, or the end of the running process's slice. One
    /// that comes too early is left: to set it costs more, and after it this is called again.
    pub(crate) fn set_timer(&mut self) {
        let deadline_ns = self.deadlines.first().map_or(u64::MAX, |(at_ns, _)| at_ns);
        let cpu = self.cpu_mut();
        let at_ns = if cpu.idle { deadline_ns } else { deadline_ns.min(cpu.slice_end_ns) };
        if at_ns < cpu.timer_ns {
            cpu.timer_ns = at_ns;
            self.machine.set_timer(at_ns);
        }
    }

    fn expire(&mut self, index: ProcessIndex) {
        let process = &self.processes[index];
        match (process.kind, process.state) {
            (Kind::Alarm, _) => self.alarm_due(index),
            (Kind::Page, _) => self.request_due(index),
            (_, State::Receiving | State::ReceivingFrom) => {
                self.end_receiving(index);
                self.fail(index, Error::DeadlinePassed);
            }
            (_, State::Idle) => self.fail_sender(index, Error::HostUnreachable),
            (_, State::AwaitingGroup) => self.fail(index, Error::DeadlinePassed),
            (_, State::Delaying) => {
                self.set_reply(index, TIME, &Delayed {}.to_message());
                self.make_ready(index);
            }
            (_, state) => debug_assert!(false, "slot {index} in {state:?} has a deadline"),
        }
    }

    /// The current process was interrupted: all its registers are with the machine.
    pub(crate) fn interrupt_current(&mut self) {
        let current = self.cpu().current;
        if current != NOBODY {
            self.processes[current].resume = crate::machine::Resume::Full;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_leave_in_order_and_by_name() {
        let mut deadlines = Deadlines::new(64);
        let times = [50, 20, 90, 10, 60, 30, 80, 40, 70, 20];
        for (slot, time) in (20..).zip(times) {
            deadlines.insert(time, slot);
        }
        for slot in [23, 29, 22] {
            deadlines.remove(times[usize::from(slot - 20)], slot);
        }
        let mut left = Vec::new();
        while let Some((time, slot)) = deadlines.first() {
            left.push(time);
            deadlines.remove(time, slot);
        }
        assert_eq!(left, [20, 30, 40, 50, 60, 70, 80]);
        assert_eq!(deadlines.0.len(), 0);
    }
}
