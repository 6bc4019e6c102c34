//! The process table: finding a slot by pid, giving slots out, taking them back.
//!
//! A look-up is one comparison. Slots are reused oldest first, so that a stale pid keeps saying that it is stale for
//! as long as possible; a slot whose generation is used up is never used again. The table has a fixed size from
//! boot, and never moves: the machine may keep pointers to slots' registers.
//!
//! A guest's processes are found by their team: a few links to follow, for pids that no slot has in its place.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

use abi::kernel::FIRST_PROCESS_INDEX;
use abi::{Error, FIRST_GUEST_INDEX, LogicalHost, Pid};

use crate::list::List;
use crate::machine::ProcessIndex;
use crate::process::{Flags, NOBODY, Process, State};
use crate::{Result, ensure};

/// Most guests at a time.
pub const MOST_GUESTS: usize = 128;

/// A team with a logical host of its own.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    /// Its logical host.
    pub host: LogicalHost,
    /// The slot of its root: the last of its processes' list.
    root: ProcessIndex,
    /// The number of its next process.
    pub next_number: u32,
    /// It has moved away, or is about to: only its pids are known here.
    pub away: bool,
}

/// All slots.
#[derive(Debug)]
pub struct Processes<Space> {
    slots: Box<[Process<Space>]>,
    /// The node's own logical host.
    host: LogicalHost,
    /// Free slots, the longest free first.
    free: List,
    used: u32,
    /// The guests that are here.
    guests: Vec<Guest>,
}

impl<Space: Copy> Processes<Space> {
    /// `count` free slots for programs behind the kernel servers' fixed ones.
    pub fn new(host: LogicalHost, count: u16, nowhere: Space) -> Processes<Space> {
        let total = slot_count(count);
        let mut processes = Processes {
            slots: (0..total).map(|_| Process::free(nowhere)).collect(),
            host,
            free: List::EMPTY,
            used: 0,
            guests: Vec::with_capacity(MOST_GUESTS),
        };
        for index in FIRST_PROCESS_INDEX..total {
            processes.append_free(index);
        }
        for index in abi::kernel::PROCESS..=abi::kernel::STATISTICS {
            let server = &mut processes[index];
            server.pid = abi::kernel::server(index);
            server.state = State::KernelServer;
        }
        processes
    }

    /// Takes the slot that has been free for longest, and gives it a pid never used before.
    pub fn allocate(&mut self) -> Result<ProcessIndex> {
        let mut free = self.free;
        let index = free.head;
        ensure(index != NOBODY, Error::NoResources)?;
        free.remove(self, index);
        self.free = free;
        let (nowhere, generation) = (self[index].space, self[index].generation + 1);
        self.used += 1;
        let pid = Pid::process(self.host, generation, index);
        let process = &mut self[index];
        *process = Process::free(nowhere);
        process.generation = generation;
        process.pid = pid;
        Ok(index)
    }

    /// Takes a slot back, which is in no list and for which nobody waits. Its pid is stale from now on.
    pub fn release(&mut self, index: ProcessIndex, nowhere: Space) {
        self.forget_guest(index);
        let process = &mut self[index];
        process.pid = Pid::NONE;
        process.state = State::Free;
        process.space = nowhere;
        self.used -= 1;
        if self[index].generation < u16::MAX {
            self.append_free(index);
        }
    }

    /// Sets a slot aside, which is in no list and for which nobody waits: nobody can send to its pid, which will be used again.
    /// Until it is [taken up](Processes::take_up) it does not count as used.
    pub fn set_aside(&mut self, index: ProcessIndex) {
        let process = &mut self[index];
        process.state = State::Idle;
        process.flags.clear(Flags(!Flags::TIMED.0));
        process.flags.set(Flags::PSEUDO);
        self.used -= 1;
    }

    /// A slot that was set aside is used again.
    pub fn take_up(&mut self, index: ProcessIndex) {
        self.used += 1;
        debug_assert!(self[index].queue.is_empty());
    }

    fn append_free(&mut self, index: ProcessIndex) {
        let mut free = self.free;
        free.push_back(self, index);
        self.free = free;
    }
}

/// How many slots a table for so many processes has: all indices are below it. Those of the kernel servers come first.
pub fn slot_count(processes: u16) -> u16 {
    (u32::from(processes) + u32::from(FIRST_PROCESS_INDEX)).min(u32::from(FIRST_GUEST_INDEX)) as u16
}

impl<Space> Processes<Space> {
    /// The slot of a process on this node, or of a kernel server.
    #[inline]
    pub fn find(&self, pid: Pid) -> Result<ProcessIndex> {
        match self.slots.get(usize::from(pid.index())) {
            Some(process) if process.pid == pid && !pid.is_none() => Ok(pid.index()),
            _ => self.find_slowly(pid),
        }
    }

    /// What there is to say of a pid that no slot has just so.
    #[cold]
    fn find_slowly(&self, pid: Pid) -> Result<ProcessIndex> {
        ensure(!pid.is_none() && !pid.is_group(), Error::NonexistentProcess)?;
        let is_server = pid.is_kernel_server();
        let guest = self.guest(pid.host()).filter(|guest| !guest.away || !is_server);
        ensure(guest.is_some() || !pid.is_elsewhere(self.host), Error::ProcessElsewhere)?;
        if let Some(guest) = guest.filter(|_| !is_server) {
            return self.find_in(guest, pid);
        }
        let index = pid.index();
        let process = self.slots.get(usize::from(index)).ok_or(Error::NonexistentProcess)?;
        if is_server {
            return ensure(process.state == State::KernelServer, Error::NonexistentProcess).map(|()| index);
        }
        let last_ended =
            process.generation - u16::from(process.state != State::Free && process.generation > 0);
        if pid == Pid::process(self.host, pid.generation(), index) && pid.generation() <= last_ended {
            Err(Error::StaleProcess)
        } else {
            Err(Error::NonexistentProcess)
        }
    }

    /// The slot of a guest's process.
    fn find_in(&self, guest: &Guest, pid: Pid) -> Result<ProcessIndex> {
        let mut index = guest.root;
        while index != NOBODY {
            if self[index].pid == pid {
                return Ok(index);
            }
            index = self[index].team_previous;
        }
        let number = pid.guest_number();
        let is_past = number >= Pid::FIRST_GUEST_NUMBER && number < guest.next_number;
        Err(if is_past && pid == Pid::guest(guest.host, number) {
            Error::StaleProcess
        } else {
            Error::NonexistentProcess
        })
    }

    /// The guest with a logical host, if it is here.
    pub fn guest(&self, host: LogicalHost) -> Option<&Guest> {
        self.guests.iter().find(|guest| guest.host == host)
    }

    /// Makes the team of a root, which has no other process, a guest, whose further processes are numbered from
    /// `next_number` on.
    pub fn add_guest(&mut self, root: ProcessIndex, host: LogicalHost, next_number: u32) -> Result<()> {
        ensure(
            host != LogicalHost::OWN && host != LogicalHost::EVERY && host != self.host,
            Error::BadArgument,
        )?;
        ensure(self.guest(host).is_none() && !self[root].pid.is_guest(), Error::Busy)?;
        ensure(self.guests.len() < self.guests.capacity(), Error::NoResources)?;
        self.guests.push(Guest { host, root, next_number, away: false });
        Ok(())
    }

    /// A slot is not a guest's root any more, if it was.
    pub fn forget_guest(&mut self, root: ProcessIndex) {
        self.guests.retain(|guest| guest.root != root);
    }

    /// Whether a logical host is that of a guest that has moved away.
    pub fn is_away(&self, host: LogicalHost) -> bool {
        self.guest(host).is_some_and(|guest| guest.away)
    }

    /// Notes whether a guest has moved away.
    pub fn set_away(&mut self, host: LogicalHost, away: bool) {
        for guest in self.guests.iter_mut().filter(|guest| guest.host == host) {
            guest.away = away;
        }
    }

    /// Gives a slot the next pid of the guest with a logical host.
    pub fn name_guest(&mut self, index: ProcessIndex, host: LogicalHost) -> Result<()> {
        let guest = self.guests.iter_mut().find(|guest| guest.host == host).ok_or(Error::NoResources)?;
        let number = guest.next_number;
        ensure(number < 1 << 31, Error::NoResources)?;
        guest.next_number += 1;
        self[index].pid = Pid::guest(host, number);
        Ok(())
    }

    /// How many slots there are, the kernel servers' included.
    #[inline]
    pub fn count(&self) -> u16 {
        self.slots.len() as u16
    }

    /// How many programs' slots are in use.
    pub fn used(&self) -> u32 {
        self.used
    }

    /// The node's own logical host.
    pub fn host(&self) -> LogicalHost {
        self.host
    }

    /// Two different slots at once, if they are two and in the table.
    #[inline]
    pub(crate) fn two(
        &mut self,
        one: ProcessIndex,
        other: ProcessIndex,
    ) -> Option<(&mut Process<Space>, &mut Process<Space>)> {
        let [one, other] = self.slots.get_disjoint_mut([usize::from(one), usize::from(other)]).ok()?;
        Some((one, other))
    }

    /// Two different slots at once.
    ///
    /// # Panics
    /// If they are one: the caller has made sure that they aren't.
    #[inline(always)]
    #[allow(clippy::inline_always)] // All that is left of it is two additions.
    pub fn pair(
        &mut self,
        one: ProcessIndex,
        other: ProcessIndex,
    ) -> (&mut Process<Space>, &mut Process<Space>) {
        self.two(one, other).expect("two different slots")
    }

    /// Puts a sender into its partner's queue.
    #[inline]
    pub(crate) fn enqueue(&mut self, sender: ProcessIndex) {
        let receiver = self[sender].partner;
        let mut queue = self[receiver].queue;
        queue.insert_by_priority(self, sender);
        self[receiver].queue = queue;
    }

    /// Takes a sender out of its partner's queue.
    #[inline]
    pub(crate) fn dequeue(&mut self, sender: ProcessIndex) {
        let receiver = self[sender].partner;
        let mut queue = self[receiver].queue;
        queue.remove(self, sender);
        self[receiver].queue = queue;
    }

    /// Every slot in use by programs, with its index.
    pub fn iter(&self) -> impl Iterator<Item = (ProcessIndex, &Process<Space>)> {
        (0..)
            .zip(self.slots.iter())
            .filter(|(_, process)| !matches!(process.state, State::Free | State::KernelServer))
    }
}

impl<Space> Index<ProcessIndex> for Processes<Space> {
    type Output = Process<Space>;
    #[inline]
    fn index(&self, index: ProcessIndex) -> &Process<Space> {
        &self.slots[usize::from(index)]
    }
}

impl<Space> IndexMut<ProcessIndex> for Processes<Space> {
    #[inline]
    fn index_mut(&mut self, index: ProcessIndex) -> &mut Process<Space> {
        &mut self.slots[usize::from(index)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: LogicalHost = LogicalHost::from_bits(7);

    fn table(count: u16) -> Processes<()> {
        Processes::new(HOST, count, ())
    }

    #[test]
    fn stale_and_never_used_are_told_apart() {
        let mut table = table(2);
        let index = table.allocate().unwrap();
        let pid = table[index].pid;
        assert_eq!(table.find(pid), Ok(index));
        let later = Pid::process(HOST, pid.generation() + 1, index);
        assert_eq!(table.find(later), Err(Error::NonexistentProcess));
        table.release(index, ());
        assert_eq!(table.find(pid), Err(Error::StaleProcess));
        assert_eq!(table.find(later), Err(Error::NonexistentProcess));
        assert_eq!(table.find(Pid::process(HOST, 1, 500)), Err(Error::NonexistentProcess));
        assert_eq!(table.find(Pid::NONE), Err(Error::NonexistentProcess));
        assert_eq!(table.find(Pid::unrestricted_group(HOST, 16)), Err(Error::NonexistentProcess));
        let elsewhere = Pid::process(LogicalHost::from_bits(8), 1, index);
        assert_eq!(table.find(elsewhere), Err(Error::ProcessElsewhere));
    }

    #[test]
    fn kernel_servers_have_two_names() {
        let table = table(2);
        let own = abi::kernel::server(abi::kernel::TIME);
        assert_eq!(table.find(own), Ok(abi::kernel::TIME));
        assert_eq!(table.find(Pid::kernel_server(HOST, abi::kernel::TIME)), Ok(abi::kernel::TIME));
        assert_eq!(table.find(Pid::kernel_server(HOST, 9)), Err(Error::NonexistentProcess));
        assert_eq!(table.find(Pid::kernel_server(HOST, 16)), Err(Error::NonexistentProcess));
    }

    #[test]
    fn slots_are_reused_oldest_first_and_retire() {
        let mut table = table(3);
        let first = table.allocate().unwrap();
        let second = table.allocate().unwrap();
        table.release(second, ());
        table.release(first, ());
        let third = table.allocate().unwrap();
        assert_ne!(third, first);
        assert_eq!(table.allocate(), Ok(second));
        assert_eq!(table.allocate(), Ok(first));
        assert_eq!(table.allocate(), Err(Error::NoResources));
        table[first].generation = u16::MAX;
        table.release(first, ());
        assert_eq!(table.allocate(), Err(Error::NoResources));
        assert_eq!(table.used(), 2);
    }
}
