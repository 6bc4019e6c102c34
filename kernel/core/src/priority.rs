//! Inheritance of priority: a server runs at least as urgently as whoever waits for it.
//!
//! Each process counts those who wait for it (in its queue or for its reply) by their priority. So joining and leaving,
//! which every message does, take an instruction or two however many wait; the most urgent is looked for only where
//! that may change the priority in force.

use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::process::{Flags, State};

/// Who waits for a process, by priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Waiters {
    /// How many at each.
    pub counts: [u16; 32],
}

impl Waiters {
    /// Counts one in.
    #[inline]
    pub fn join(&mut self, priority: u8) {
        let count = &mut self.counts[usize::from(priority & 31)];
        *count = count.wrapping_add(1);
    }

    /// Counts one out.
    #[inline]
    pub fn leave(&mut self, priority: u8) {
        let count = &mut self.counts[usize::from(priority & 31)];
        *count = count.wrapping_sub(1);
    }

    /// Whether anyone waits.
    pub fn is_empty(&self) -> bool {
        // All together, which takes a few vector instructions where a comparison takes a loop.
        self.counts.iter().fold(0, |all, count| all | count) == 0
    }

    /// The most urgent level of those who wait; beyond all priorities if nobody does.
    pub fn most_urgent(&self) -> u8 {
        let level = self.counts.iter().position(|count| *count != 0);
        level.unwrap_or(self.counts.len()) as u8
    }
}

impl<M: Machine> Kernel<M> {
    /// `index` now waits for `partner`.
    #[inline]
    pub(crate) fn begin_waiting(&mut self, index: ProcessIndex, partner: ProcessIndex) {
        let priority = self.processes[index].priority;
        let server = &mut self.processes[partner];
        server.waiters.join(priority);
        if priority < server.priority {
            self.update_priority(partner);
        }
    }

    /// `index` no longer waits for `partner`.
    #[inline]
    pub(crate) fn end_waiting(&mut self, index: ProcessIndex, partner: ProcessIndex) {
        let priority = self.processes[index].priority;
        let server = &mut self.processes[partner];
        server.waiters.leave(priority);
        if server.priority != server.own_priority {
            self.update_priority(partner);
        }
    }

    /// Brings the priority in force of `index`, and of whomever it waits for in turn, in line.
    ///
    /// Ends also where processes wait for each other in a circle: raised to one priority, each is passed once;
    /// and a circle keeps what it was raised to until it is broken.
    #[cold]
    pub(crate) fn update_priority(&mut self, index: ProcessIndex) {
        let mut index = index;
        loop {
            let process = &self.processes[index];
            let old = process.priority;
            let new = process.own_priority.min(process.waiters.most_urgent());
            if new == old {
                return;
            }
            let partner = process.partner;
            match process.state {
                State::Ready | State::Working if self.is_listed(index) => {
                    self.ready.remove(&mut self.processes, index);
                    self.processes[index].priority = new;
                    self.ready.push_back(&mut self.processes, index);
                }
                State::Sending => {
                    self.processes.dequeue(index);
                    self.processes[index].priority = new;
                    self.processes.enqueue(index);
                }
                _ => self.processes[index].priority = new,
            }
            if !matches!(self.processes[index].state, State::Sending | State::AwaitingReply) {
                return;
            }
            let server = &mut self.processes[partner];
            server.waiters.leave(old);
            server.waiters.join(new);
            index = partner;
        }
    }

    /// Whether a `Ready` or `Working` process is in a ready list: it is neither the current one nor suspended.
    pub(crate) fn is_listed(&self, index: ProcessIndex) -> bool {
        self.cpu().current != index && !self.processes[index].flags.has(Flags::SUSPENDED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::kernel::priority::COUNT;

    #[test]
    fn the_most_urgent_is_known_while_any_wait() {
        let mut waiters = Waiters::default();
        assert!(waiters.is_empty() && waiters.most_urgent() >= COUNT);
        waiters.join(12);
        waiters.join(12);
        waiters.join(7);
        assert_eq!(waiters.most_urgent(), 7);
        waiters.leave(7);
        waiters.leave(12);
        assert_eq!(waiters.most_urgent(), 12);
        waiters.leave(12);
        assert!(waiters.is_empty());
    }
}
