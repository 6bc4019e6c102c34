//! Process groups: who is in which.
//!
//! One table of memberships, sized at boot; a group is there while it has a row, and its members come in the order of
//! the rows. A group's number is never used again. A Send to a group without members says that it is empty. A new
//! membership takes the first free row, and no search goes beyond the last that is taken: the table has room for every
//! process there may be, but only services and few others are in a group.
//!
//! A group may have members on several nodes. Each kernel knows its own, and nobody all: a Send goes to those here and
//! by the network server to the other nodes, of which those answer that have some.
//!
//! Whose a restricted group is, the kernel of its maker knows. So who joins one of another node waits for the answer of
//! that node's group server, to which the request goes on as a Send by way of the network server.

use alloc::boxed::Box;

use abi::kernel::GROUP;
use abi::kernel::group::{Join, Joined, MembershipsQueried};
use abi::kernel::record::MembershipRecord;
use abi::kernel::well_known_group::FIRST_DYNAMIC_NUMBER;
use abi::protocol::{Reply as _, Request as _, refusal};
use abi::{Error, LogicalHost, Message, Pid, UserId};

use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::process::{Flags, Kind, NOBODY, Process, State};
use crate::request::Answer;
use crate::{Result, ensure};

/// Groups that one process may be in.
pub const MEMBERSHIPS_PER_PROCESS: u16 = 16;

/// In place of a system call's number: the process waits for another node to say whether it may join a group.
const JOINING: u64 = u64::MAX;

impl<Space> Process<Space> {
    /// Whether it waits for another node to say whether it may join a group.
    pub(crate) fn is_joining(&self) -> bool {
        self.registers.number == JOINING && self.flags.has(Flags::REMOTE) && self.kind == Kind::Program
    }
}

/// That a process is in a group. Free if the group is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Membership {
    pub(crate) group: Pid,
    pub(crate) process: ProcessIndex,
    /// Of the group's creator: who may join, if it is restricted.
    user: UserId,
}

const FREE: Membership = Membership { group: Pid::NONE, process: NOBODY, user: UserId::SYSTEM };

/// All memberships.
#[derive(Clone, Debug)]
pub struct Groups {
    rows: Box<[Membership]>,
    /// The row after the last that is taken.
    end: usize,
    next_number: u32,
}

impl Groups {
    /// Room for as many memberships as there are processes.
    pub fn new(process_slots: u16) -> Groups {
        let rows = (0..process_slots).map(|_| FREE).collect();
        Groups { rows, end: 0, next_number: FIRST_DYNAMIC_NUMBER }
    }

    /// The rows up to the last that is taken.
    pub(crate) fn rows(&self) -> &[Membership] {
        &self.rows[..self.end]
    }

    /// The first member in a row from `row` on, and the row after its own.
    pub fn next_member(&self, group: Pid, row: usize) -> Option<(ProcessIndex, usize)> {
        let rows = self.rows().get(row..)?;
        let found = rows.iter().position(|membership| membership.group == group)?;
        Some((rows[found].process, row + found + 1))
    }

    /// The `position`th member of a group, or nobody beyond the last; and how many there are.
    pub fn member(&self, group: Pid, position: u32) -> Result<(ProcessIndex, u32)> {
        let members = || self.rows().iter().filter(|membership| membership.group == group);
        let count = members().count() as u32;
        ensure(count > 0, Error::EmptyGroup)?;
        let member = members().nth(position as usize).map_or(NOBODY, |membership| membership.process);
        Ok((member, count))
    }

    /// Whose the group is.
    fn user(&self, group: Pid) -> Result<UserId> {
        let row = self.rows().iter().find(|membership| membership.group == group);
        row.map(|membership| membership.user).ok_or(Error::EmptyGroup)
    }

    /// The row that says that a process is in a group.
    fn find(&self, group: Pid, process: ProcessIndex) -> Option<usize> {
        self.rows().iter().position(|row| row.group == group && row.process == process)
    }

    /// Takes the first free row. [`NoResources`](Error::NoResources) if there is none.
    fn add(&mut self, membership: Membership) -> Result<()> {
        let row = self.rows().iter().position(|row| row.group.is_none()).unwrap_or(self.end);
        *self.rows.get_mut(row).ok_or(Error::NoResources)? = membership;
        self.end = self.end.max(row + 1);
        Ok(())
    }

    /// Frees the taken rows that are meant.
    fn remove(&mut self, is_meant: impl Fn(&Membership) -> bool) {
        for row in &mut self.rows[..self.end] {
            if is_meant(row) {
                *row = FREE;
            }
        }
        let last = self.rows().iter().rposition(|row| !row.group.is_none());
        self.end = last.map_or(0, |last| last + 1);
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
            host == self.processes.host()
                || host == LogicalHost::OWN
                || self.processes.guest(host).is_some_and(|guest| !guest.away)
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

    /// Does what a Join asks: adds a process to a group, or says that it may be added elsewhere, or asks elsewhere.
    pub(crate) fn join_group(&mut self, caller: ProcessIndex, join: Join) -> Result<()> {
        let group = self.known_group(join.group)?;
        let is_dynamic = group.group_number() >= FIRST_DYNAMIC_NUMBER;
        let is_from_here = group.host() == self.processes.host();
        let (owner, user) = (self.groups.user(group), self.processes[caller].user);
        if self.processes[caller].kind == Kind::Alien {
            ensure(is_dynamic && is_from_here, Error::BadArgument)?;
            return ensure(group.is_unrestricted_group() || owner? == user, Error::NoPermission);
        }
        let process = self.find_own_users(caller, join.process)?;
        // A well-known group is there whether it has members or not.
        let owner = if !is_dynamic {
            ensure(user.is_system(), Error::NoPermission)?;
            user
        } else if is_from_here || owner.is_ok() {
            let owner = owner?;
            ensure(group.is_unrestricted_group() || owner == user, Error::NoPermission)?;
            owner
        } else if group.is_unrestricted_group() {
            user
        } else {
            return self.ask_to_join(caller, group);
        };
        self.add_member(group, owner, process)
    }

    /// Sends the caller's Join on to the group server of the group's node.
    fn ask_to_join(&mut self, caller: ProcessIndex, group: Pid) -> Result<()> {
        let server = self.network_server;
        ensure(server != NOBODY, Error::NoNetwork)?;
        ensure(server != caller, Error::NotSupported)?;
        self.block_current(State::Sending);
        let process = &mut self.processes[caller];
        process.registers.number = JOINING;
        process.registers.pid = Pid::kernel_server(group.host(), GROUP).to_bits();
        process.registers.extra = [0; 5];
        process.forwarder = Pid::NONE;
        process.begin_transaction();
        self.post(caller, server);
        Ok(())
    }

    /// The network server, `server`, has brought the answer to the Join of `client`, or the error that it ends with.
    pub(crate) fn join_answered(
        &mut self,
        server: ProcessIndex,
        client: ProcessIndex,
        outcome: Result<()>,
    ) -> ProcessIndex {
        let reply = Message::from_registers(self.processes[server].registers.message);
        let join = Join::from_message(&Message::from_registers(self.processes[client].registers.message));
        self.end_waiting(client, server);
        let process = &mut self.processes[client];
        process.flags.clear(Flags::REMOTE);
        process.state = State::Ready;
        let user = process.user;
        let joined = outcome.and_then(|()| Error::check(reply.code())).and_then(|()| {
            let process = self.find_own_users(client, join.process)?;
            self.add_member(join.group, user, process)
        });
        let answer = joined.map_or_else(refusal, |()| Joined {}.to_message());
        self.set_reply(client, GROUP, &answer);
        client
    }

    /// The groups that a process is in.
    pub fn memberships_of(&self, process: ProcessIndex) -> impl Iterator<Item = Pid> {
        self.groups.rows().iter().filter(move |row| row.process == process).map(|row| row.group)
    }

    /// What is told of a membership, by its row.
    pub(crate) fn membership_record(&self, row: usize) -> MembershipRecord {
        let Membership { group, process, user } = self.groups.rows()[row];
        let member = self.processes[process].pid.to_bits();
        MembershipRecord { group: group.to_bits(), member, user: user.0.into() }
    }

    /// Adds a process, unless it is in the group.
    pub(crate) fn add_member(&mut self, group: Pid, user: UserId, process: ProcessIndex) -> Result<()> {
        if self.groups.find(group, process).is_some() {
            return Ok(());
        }
        ensure(self.processes[process].memberships < MEMBERSHIPS_PER_PROCESS, Error::NoQuota)?;
        self.groups.add(Membership { group, process, user })?;
        self.processes[process].memberships += 1;
        Ok(())
    }

    /// Takes a process out of a group.
    pub(crate) fn leave_group(&mut self, group: Pid, process: ProcessIndex) -> Result<()> {
        let group = self.known_group(group)?;
        self.groups.user(group)?;
        ensure(self.groups.find(group, process).is_some(), Error::BadArgument)?;
        self.groups.remove(|row| row.group == group && row.process == process);
        self.processes[process].memberships -= 1;
        Ok(())
    }

    /// Answers `QueryMemberships`.
    pub(crate) fn query_memberships(&mut self, caller: ProcessIndex, from: u32) -> Result<Answer> {
        let rows = from..self.groups.rows().len() as u32;
        let (count, next) = self.write_records(caller, rows, |kernel, row| {
            let row = row as usize;
            (!kernel.groups.rows()[row].group.is_none()).then(|| kernel.membership_record(row).to_bytes())
        })?;
        let bytes = u64::from(count) * MembershipRecord::BYTES as u64;
        Ok(Answer::with_segment(&MembershipsQueried { count, next }, bytes))
    }

    /// Takes a process out of all its groups.
    pub(crate) fn leave_groups(&mut self, process: ProcessIndex) {
        if core::mem::take(&mut self.processes[process].memberships) > 0 {
            self.groups.remove(|row| row.process == process);
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
        let member = |process| Membership { group, process, user: UserId(7) };
        for process in [20, 21] {
            groups.add(member(process)).unwrap();
        }
        assert_eq!(groups.member(group, 1), Ok((21, 2)));
        assert_eq!(groups.member(group, 2), Ok((NOBODY, 2)));
        assert_eq!(groups.user(group), Ok(UserId(7)));
        groups.remove(|row| row.process == 20);
        assert_eq!(groups.next_member(group, 0), Some((21, 2)));
        assert_eq!(groups.next_member(group, 2), None);
        assert_eq!(groups.next_member(group, 99), None);
    }

    #[test]
    fn the_first_free_row_is_taken_and_free_ones_at_the_end_are_not_searched() {
        let group = Pid::unrestricted_group(LogicalHost::OWN, 1);
        let mut groups = Groups::new(3);
        let member = |process| Membership { group, process, user: UserId(7) };
        for process in [20, 21, 22] {
            groups.add(member(process)).unwrap();
        }
        assert_eq!(groups.add(member(23)), Err(Error::NoResources));
        groups.remove(|row| row.process == 21);
        assert_eq!(groups.end, 3);
        groups.add(member(23)).unwrap();
        assert_eq!(groups.find(group, 23), Some(1));
        groups.remove(|row| row.process == 22);
        groups.remove(|row| row.process == 20);
        assert_eq!((groups.end, groups.find(group, 23)), (2, Some(1)));
        groups.remove(|row| row.process == 23);
        assert_eq!((groups.end, groups.find(group, 23)), (0, None));
        assert_eq!(groups.next_member(group, 1), None);
        groups.add(member(24)).unwrap();
        assert_eq!(groups.member(group, 0), Ok((24, 1)));
    }
}
