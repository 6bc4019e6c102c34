//! Process groups: who is in which.
//!
//! One table of memberships, sized at boot; a group is there while it has a row, and its members come in the order of
//! the rows. A group's number is never used again. A Send to a group without members says that it is empty.
//!
//! A group may have members on several nodes. Each kernel knows its own, and nobody all: a Send goes to those here and
//! by the network server to the other nodes, of which those answer that have some.

use alloc::boxed::Box;

use abi::kernel::well_known_group::FIRST_DYNAMIC_NUMBER;
use abi::{Error, LogicalHost, Pid, UserId};

use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::process::NOBODY;
use crate::{Result, ensure};

/// Groups that one process may be in.
pub const MEMBERSHIPS_PER_PROCESS: u16 = 16;

/// That a process is in a group. Free if the group is none.
#[derive(Clone, Copy, Debug)]
struct Membership {
    group: Pid,
    process: ProcessIndex,
    /// Of the group's creator: who may join, if it is restricted.
    user: UserId,
}

const FREE: Membership = Membership { group: Pid::NONE, process: NOBODY, user: UserId::SYSTEM };

/// All memberships.
#[derive(Clone, Debug)]
pub struct Groups {
    rows: Box<[Membership]>,
    next_number: u32,
}

impl Groups {
    /// Room for as many memberships as there are processes.
    pub fn new(process_slots: u16) -> Groups {
        Groups { rows: (0..process_slots).map(|_| FREE).collect(), next_number: FIRST_DYNAMIC_NUMBER }
    }

    /// The first member in a row from `row` on, and the row after its own.
    pub fn next_member(&self, group: Pid, row: usize) -> Option<(ProcessIndex, usize)> {
        let rows = self.rows.get(row..)?;
        let found = rows.iter().position(|membership| membership.group == group)?;
        Some((rows[found].process, row + found + 1))
    }

    /// The `position`th member of a group, or nobody beyond the last; and how many there are.
    pub fn member(&self, group: Pid, position: u32) -> Result<(ProcessIndex, u32)> {
        let members = || self.rows.iter().filter(|membership| membership.group == group);
        let count = members().count() as u32;
        ensure(count > 0, Error::EmptyGroup)?;
        let member = members().nth(position as usize).map_or(NOBODY, |membership| membership.process);
        Ok((member, count))
    }

    /// Whose the group is.
    fn user(&self, group: Pid) -> Result<UserId> {
        let row = self.rows.iter().find(|membership| membership.group == group);
        row.map(|membership| membership.user).ok_or(Error::EmptyGroup)
    }

    fn find(&mut self, group: Pid, process: ProcessIndex) -> Option<&mut Membership> {
        let same = |row: &&mut Membership| row.group == group && row.process == process;
        self.rows.iter_mut().find(same)
    }
}

impl<M: Machine> Kernel<M> {
    /// A group's pid as this node's table has it: of the well-known ones, each node has its own, which its
    /// guests' hosts name too.
    pub(crate) fn known_group(&self, group: Pid) -> Result<Pid> {
        ensure(group.is_group(), Error::BadArgument)?;
        if group.group_number() >= FIRST_DYNAMIC_NUMBER || group.host() == LogicalHost::EVERY {
            return Ok(group);
        }
        let is_here = |host| {
            host == self.processes.host() || host == LogicalHost::OWN || self.processes.guest(host).is_some()
        };
        ensure(is_here(group.host()), Error::ProcessElsewhere)?;
        // A restricted group with such a number does not exist.
        if group.is_unrestricted_group() {
            Ok(Pid::unrestricted_group(LogicalHost::OWN, group.group_number()))
        } else {
            Err(Error::EmptyGroup)
        }
    }

    /// Makes a group with one member.
    pub(crate) fn create_group(&mut self, member: ProcessIndex, restricted: bool) -> Result<Pid> {
        let (host, number) = (self.processes.host(), self.groups.next_number);
        let pid = if restricted {
            Pid::restricted_group(host, number)
        } else {
            Pid::unrestricted_group(host, number)
        };
        let following = number.checked_add(1).ok_or(Error::NoResources)?;
        self.add_member(pid, self.processes[member].user, member)?;
        self.groups.next_number = following;
        Ok(pid)
    }

    /// Adds a process to a group.
    pub(crate) fn join_group(&mut self, group: Pid, process: ProcessIndex) -> Result<()> {
        let group = self.known_group(group)?;
        let user = self.processes[process].user;
        // A well-known group is there whether it has members or not; whose one of another node is, is not known here.
        let (owner, allowed) = if group.group_number() < FIRST_DYNAMIC_NUMBER {
            (user, user.is_system())
        } else if group.host() != self.processes.host() {
            (user, group.is_unrestricted_group())
        } else {
            let owner = self.groups.user(group)?;
            (owner, group.is_unrestricted_group() || owner == user)
        };
        ensure(allowed, Error::NoPermission)?;
        if self.groups.find(group, process).is_some() {
            return Ok(());
        }
        self.add_member(group, owner, process)
    }

    fn add_member(&mut self, group: Pid, user: UserId, process: ProcessIndex) -> Result<()> {
        ensure(self.processes[process].memberships < MEMBERSHIPS_PER_PROCESS, Error::NoQuota)?;
        let free = self.groups.find(Pid::NONE, NOBODY).ok_or(Error::NoResources)?;
        *free = Membership { group, process, user };
        self.processes[process].memberships += 1;
        Ok(())
    }

    /// Takes a process out of a group.
    pub(crate) fn leave_group(&mut self, group: Pid, process: ProcessIndex) -> Result<()> {
        let group = self.known_group(group)?;
        self.groups.user(group)?;
        let row = self.groups.find(group, process).ok_or(Error::BadArgument)?;
        *row = FREE;
        self.processes[process].memberships -= 1;
        Ok(())
    }

    /// Takes a process out of all its groups.
    pub(crate) fn leave_groups(&mut self, process: ProcessIndex) {
        if core::mem::take(&mut self.processes[process].memberships) > 0 {
            for row in self.groups.rows.iter_mut().filter(|row| row.process == process) {
                *row = FREE;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_by_rows() {
        let group = Pid::unrestricted_group(LogicalHost::OWN, 1);
        let mut groups = Groups::new(3);
        assert_eq!(groups.member(group, 0), Err(Error::EmptyGroup));
        for process in [20, 21] {
            *groups.find(Pid::NONE, NOBODY).unwrap() = Membership { group, process, user: UserId(7) };
        }
        assert_eq!(groups.member(group, 1), Ok((21, 2)));
        assert_eq!(groups.member(group, 2), Ok((NOBODY, 2)));
        assert_eq!(groups.user(group), Ok(UserId(7)));
        *groups.find(group, 20).unwrap() = FREE;
        assert_eq!(groups.next_member(group, 0), Some((21, 2)));
        assert_eq!(groups.next_member(group, 2), None);
        assert_eq!(groups.next_member(group, 99), None);
    }
}
