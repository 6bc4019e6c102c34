//! Process groups: who is in which.
//!
//! A group is a slot with a list of memberships; the table of both has a fixed size from boot. A group's number is
//! never used again. A group ends with its last member; a Send to it then says that it is empty.

use alloc::boxed::Box;

use abi::kernel::well_known_group::FIRST_DYNAMIC_NUMBER;
use abi::{Error, LogicalHost, Pid, UserId};

use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::process::NOBODY;

/// Groups that one process may be in.
pub const MEMBERSHIPS_PER_PROCESS: u16 = 16;

/// Index of a membership.
type MembershipIndex = u16;
const NO_MEMBERSHIP: MembershipIndex = MembershipIndex::MAX;

#[derive(Clone, Copy, Debug)]
struct Group {
    /// None while the slot is free.
    pid: Pid,
    /// Who may join, if it is restricted.
    user: UserId,
    first: MembershipIndex,
    count: u16,
}

#[derive(Clone, Copy, Debug)]
struct Membership {
    process: ProcessIndex,
    /// The group's next one; or the next free one.
    next: MembershipIndex,
}

/// All groups.
#[derive(Clone, Debug)]
pub struct Groups {
    slots: Box<[Group]>,
    memberships: Box<[Membership]>,
    free_membership: MembershipIndex,
    next_number: u32,
}

impl Groups {
    /// Room for half as many groups, and as many memberships, as there are processes.
    pub fn new(process_slots: u16) -> Groups {
        let free = Group {
            pid: Pid::NONE,
            user: UserId::SYSTEM,
            first: NO_MEMBERSHIP,
            count: 0,
        };
        let memberships = process_slots.min(NO_MEMBERSHIP - 1);
        Groups {
            slots: (0..process_slots / 2).map(|_| free).collect(),
            memberships: (1..=memberships)
                .map(|next| Membership {
                    process: NOBODY,
                    next: if next == memberships { NO_MEMBERSHIP } else { next },
                })
                .collect(),
            free_membership: 0,
            next_number: FIRST_DYNAMIC_NUMBER,
        }
    }

    /// The group's slot.
    fn find(&self, group: Pid) -> Result<usize, Error> {
        self.slots
            .iter()
            .position(|slot| slot.pid == group && !group.is_none())
            .ok_or(Error::EmptyGroup)
    }

    fn found(&mut self, pid: Pid, user: UserId) -> Result<usize, Error> {
        let slot = self
            .slots
            .iter()
            .position(|slot| slot.pid.is_none())
            .ok_or(Error::NoResources)?;
        self.slots[slot].pid = pid;
        self.slots[slot].user = user;
        Ok(slot)
    }

    /// The `position`th member of a group and how many there are; nobody beyond the last.
    pub fn member(&self, group: Pid, position: u32) -> Result<(ProcessIndex, u16), Error> {
        let group = self.slots[self.find(group)?];
        let member = self.members(&group).nth(position as usize);
        Ok((member.unwrap_or(NOBODY), group.count))
    }

    fn members(&self, group: &Group) -> impl Iterator<Item = ProcessIndex> {
        let mut at = group.first;
        core::iter::from_fn(move || {
            let membership = self.memberships.get(usize::from(at))?;
            at = membership.next;
            Some(membership.process)
        })
    }

    fn contains(&self, slot: usize, process: ProcessIndex) -> bool {
        self.members(&self.slots[slot]).any(|member| member == process)
    }

    /// Adds a member behind the others.
    fn add(&mut self, slot: usize, process: ProcessIndex) -> Result<(), Error> {
        let new = self.free_membership;
        let membership = self
            .memberships
            .get_mut(usize::from(new))
            .ok_or(Error::NoResources)?;
        self.free_membership = membership.next;
        *membership = Membership {
            process,
            next: NO_MEMBERSHIP,
        };
        let group = &mut self.slots[slot];
        group.count += 1;
        if group.first == NO_MEMBERSHIP {
            group.first = new;
        } else {
            let mut last = group.first;
            while self.memberships[usize::from(last)].next != NO_MEMBERSHIP {
                last = self.memberships[usize::from(last)].next;
            }
            self.memberships[usize::from(last)].next = new;
        }
        Ok(())
    }

    /// Takes a member out, and ends the group with the last. False if it was none.
    fn remove(&mut self, slot: usize, process: ProcessIndex) -> bool {
        let group = &mut self.slots[slot];
        let mut at = group.first;
        let mut before = NO_MEMBERSHIP;
        while let Some(membership) = self.memberships.get(usize::from(at)).copied() {
            if membership.process != process {
                before = at;
                at = membership.next;
                continue;
            }
            match self.memberships.get_mut(usize::from(before)) {
                Some(before) => before.next = membership.next,
                None => group.first = membership.next,
            }
            self.memberships[usize::from(at)] = Membership {
                process: NOBODY,
                next: self.free_membership,
            };
            self.free_membership = at;
            group.count -= 1;
            if group.count == 0 {
                group.pid = Pid::NONE;
            }
            return true;
        }
        false
    }
}

impl<M: Machine> Kernel<M> {
    /// A group's pid as this node's table has it: the well-known ones belong to every host.
    pub(crate) fn local_group(&self, group: Pid) -> Result<Pid, Error> {
        let well_known = group.group_number() < FIRST_DYNAMIC_NUMBER;
        let host = self.processes.host();
        if !group.is_group() {
            return Err(Error::BadArgument);
        }
        if group.host() != host && group.host() != LogicalHost::OWN {
            return Err(Error::HostUnreachable);
        }
        if !well_known {
            return Ok(group);
        }
        // A restricted group with such a number does not exist.
        if group.is_unrestricted_group() {
            Ok(Pid::unrestricted_group(LogicalHost::OWN, group.group_number()))
        } else {
            Err(Error::EmptyGroup)
        }
    }

    /// Makes a group with one member.
    pub(crate) fn create_group(&mut self, member: ProcessIndex, restricted: bool) -> Result<Pid, Error> {
        let number = self.groups.next_number;
        let host = self.processes.host();
        let pid = if restricted {
            Pid::restricted_group(host, number)
        } else {
            Pid::unrestricted_group(host, number)
        };
        let following = number.checked_add(1).ok_or(Error::NoResources)?;
        let slot = self.groups.found(pid, self.processes[member].user)?;
        self.add_member(slot, member)?;
        self.groups.next_number = following;
        Ok(pid)
    }

    /// Adds a process to a group.
    pub(crate) fn join_group(&mut self, group: Pid, process: ProcessIndex) -> Result<(), Error> {
        let group = self.local_group(group)?;
        let user = self.processes[process].user;
        let slot = if group.group_number() < FIRST_DYNAMIC_NUMBER {
            if !user.is_system() {
                return Err(Error::NoPermission);
            }
            match self.groups.find(group) {
                Ok(slot) => slot,
                Err(_) => self.groups.found(group, user)?,
            }
        } else {
            let slot = self.groups.find(group)?;
            if !group.is_unrestricted_group() && self.groups.slots[slot].user != user {
                return Err(Error::NoPermission);
            }
            slot
        };
        if self.groups.contains(slot, process) {
            return Ok(());
        }
        self.add_member(slot, process)
    }

    fn add_member(&mut self, slot: usize, process: ProcessIndex) -> Result<(), Error> {
        let added = if self.processes[process].memberships >= MEMBERSHIPS_PER_PROCESS {
            Err(Error::NoQuota)
        } else {
            self.groups.add(slot, process)
        };
        match added {
            Ok(()) => self.processes[process].memberships += 1,
            Err(_) if self.groups.slots[slot].count == 0 => self.groups.slots[slot].pid = Pid::NONE,
            Err(_) => {}
        }
        added
    }

    /// Takes a process out of a group.
    pub(crate) fn leave_group(&mut self, group: Pid, process: ProcessIndex) -> Result<(), Error> {
        let group = self.local_group(group)?;
        let slot = self.groups.find(group)?;
        if !self.groups.remove(slot, process) {
            return Err(Error::BadArgument);
        }
        self.processes[process].memberships -= 1;
        Ok(())
    }

    /// Takes a process out of all its groups.
    pub(crate) fn leave_groups(&mut self, process: ProcessIndex) {
        let mut slot = 0;
        while self.processes[process].memberships > 0 && slot < self.groups.slots.len() {
            if self.groups.remove(slot, process) {
                self.processes[process].memberships -= 1;
            }
            slot += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_in_order_and_memberships_come_back() {
        let group = Pid::unrestricted_group(LogicalHost::OWN, 1);
        let mut groups = Groups::new(4);
        let slot = groups.found(group, UserId::SYSTEM).unwrap();
        for process in [20, 21, 22, 23] {
            groups.add(slot, process).unwrap();
        }
        assert_eq!(groups.add(slot, 24), Err(Error::NoResources));
        assert_eq!(groups.member(group, 1), Ok((21, 4)));
        assert!(groups.remove(slot, 21) && !groups.remove(slot, 21));
        assert_eq!(groups.member(group, 1), Ok((22, 3)));
        assert_eq!(groups.member(group, 3), Ok((NOBODY, 3)));
        assert!(groups.remove(slot, 23) && groups.remove(slot, 20) && groups.remove(slot, 22));
        assert_eq!(groups.member(group, 0), Err(Error::EmptyGroup));
        let slot = groups.found(group, UserId::SYSTEM).unwrap();
        for process in [30, 31, 32, 33] {
            groups.add(slot, process).unwrap();
        }
    }
}
