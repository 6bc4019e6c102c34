//! Deadlines: a heap of slots by time, the machine's one timer, and what happens when a time comes.
//!
//! Each slot has at most one deadline. The heap has room for every slot from boot, and each slot knows its place
//! in it, so that a deadline is taken out as quickly as it is put in. A cancelled deadline may leave the machine's
//! timer set too early, which costs one needless interrupt at most.

use alloc::vec::Vec;

use abi::Error;

use crate::kernel::Kernel;
use crate::machine::{Machine, Next, ProcessIndex};
use crate::process::{Flags, Kind, NOBODY, State};
use crate::schedule::SLICE_NS;
use crate::table::Processes;

/// Slots with a deadline, the earliest first, as a binary heap.
#[derive(Clone, Debug)]
pub struct TimerHeap {
    heap: Vec<ProcessIndex>,
}

impl TimerHeap {
    /// Empty, with room for every slot.
    pub fn new(process_slots: u16) -> TimerHeap {
        let slots = usize::from(process_slots) + usize::from(abi::kernel::FIRST_PROCESS_INDEX);
        TimerHeap { heap: Vec::with_capacity(slots) }
    }

    /// Who has the earliest deadline.
    pub fn first(&self) -> Option<ProcessIndex> {
        self.heap.first().copied()
    }

    /// How many have one.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nobody has one.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    fn insert<S>(&mut self, table: &mut Processes<S>, index: ProcessIndex) {
        let position = self.heap.len();
        self.heap.push(index);
        table[index].timer_position = position as u16;
        self.rise(table, position);
    }

    fn remove<S>(&mut self, table: &mut Processes<S>, index: ProcessIndex) {
        let position = usize::from(table[index].timer_position);
        self.heap.swap_remove(position);
        if let Some(moved) = self.heap.get(position) {
            table[*moved].timer_position = position as u16;
            self.rise(table, position);
            self.sink(table, position);
        }
    }

    fn rise<S>(&mut self, table: &mut Processes<S>, mut position: usize) {
        while position > 0 {
            let parent = (position - 1) / 2;
            if !self.earlier(table, position, parent) {
                return;
            }
            self.swap(table, position, parent);
            position = parent;
        }
    }

    fn sink<S>(&mut self, table: &mut Processes<S>, mut position: usize) {
        loop {
            let mut earliest = position;
            for child in [2 * position + 1, 2 * position + 2] {
                if child < self.heap.len() && self.earlier(table, child, earliest) {
                    earliest = child;
                }
            }
            if earliest == position {
                return;
            }
            self.swap(table, position, earliest);
            position = earliest;
        }
    }

    fn earlier<S>(&self, table: &Processes<S>, one: usize, other: usize) -> bool {
        table[self.heap[one]].deadline_ns < table[self.heap[other]].deadline_ns
    }

    fn swap<S>(&mut self, table: &mut Processes<S>, one: usize, other: usize) {
        self.heap.swap(one, other);
        table[self.heap[one]].timer_position = one as u16;
        table[self.heap[other]].timer_position = other as u16;
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
        while let Some(first) = self.timers.first()
            && self.processes[first].deadline_ns <= now
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
        self.timers.insert(&mut self.processes, index);
        if at_ns < self.cpu().timer_ns {
            self.set_timer();
        }
    }

    /// Takes a slot's deadline away, if it has one.
    #[inline]
    pub(crate) fn clear_deadline(&mut self, index: ProcessIndex) {
        if self.processes[index].flags.has(Flags::TIMED) {
            self.timers.remove(&mut self.processes, index);
            self.processes[index].flags.clear(Flags::TIMED);
        }
    }

    /// Sets the machine's timer for the earliest deadline, or the end of the running process's slice.
    pub(crate) fn set_timer(&mut self) {
        let deadline_ns = match self.timers.first() {
            Some(first) => self.processes[first].deadline_ns,
            None => u64::MAX,
        };
        let cpu = self.cpu_mut();
        let at_ns = if cpu.idle { deadline_ns } else { deadline_ns.min(cpu.slice_end_ns) };
        if at_ns != cpu.timer_ns {
            cpu.timer_ns = at_ns;
            self.machine.set_timer(at_ns);
        }
    }

    fn expire(&mut self, index: ProcessIndex) {
        let process = &self.processes[index];
        match (process.kind, process.state) {
            (Kind::Alarm, _) => self.alarm_due(index),
            (_, State::Receiving | State::ReceivingFrom) => {
                self.end_receiving(index);
                self.fail(index, Error::DeadlinePassed);
            }
            (_, State::AwaitingGroup) => self.group_deadline(index),
            (_, State::Delaying) => self.end_delay(index),
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
    use abi::LogicalHost;

    #[test]
    fn deadlines_leave_in_order_and_by_name() {
        let mut table = Processes::new(LogicalHost::from_bits(1), 64, ());
        let mut heap = TimerHeap::new(64);
        let times = [50, 20, 90, 10, 60, 30, 80, 40, 70, 20];
        let slots: Vec<ProcessIndex> = times
            .iter()
            .map(|time| {
                let index = table.allocate().unwrap();
                table[index].deadline_ns = *time;
                heap.insert(&mut table, index);
                index
            })
            .collect();
        heap.remove(&mut table, slots[3]);
        heap.remove(&mut table, slots[9]);
        heap.remove(&mut table, slots[2]);
        let mut left = Vec::new();
        while let Some(first) = heap.first() {
            left.push(table[first].deadline_ns);
            heap.remove(&mut table, first);
        }
        assert_eq!(left, [20, 30, 40, 50, 60, 70, 80]);
        assert!(heap.is_empty());
    }
}
