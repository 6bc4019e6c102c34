//! The group server: groups made, joined, left and listed.

use abi::kernel::group::{Created, Group, GroupQueried, Joined, Left};
use abi::{Error, Message, Pid};

use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::process::NOBODY;
use crate::request::Answer;
use crate::{Result, ensure};

impl<M: Machine> Kernel<M> {
    /// Answers one request.
    #[inline(never)]
    pub(crate) fn group_request(&mut self, caller: ProcessIndex, message: &Message) -> Result<Answer> {
        match Group::from_message(message).ok_or(Error::BadRequest)? {
            Group::Create(create) => {
                ensure(create.restricted <= 1, Error::BadArgument)?;
                let group = self.create_group(caller, create.restricted == 1)?;
                Ok(Answer::reply(&Created { group }))
            }
            Group::Join(join) => {
                self.join_group(caller, join)?;
                // Not heard by one that now waits for another node's answer.
                Ok(Answer::reply(&Joined {}))
            }
            Group::Leave(leave) => {
                let process = self.find_own_users(caller, leave.process)?;
                self.leave_group(leave.group, process)?;
                Ok(Answer::reply(&Left {}))
            }
            Group::QueryGroup(query) => {
                let group = self.known_group(query.group)?;
                let (member, count) = self.groups.member(group, query.position)?;
                let member = if member == NOBODY { Pid::NONE } else { self.processes[member].pid };
                Ok(Answer::reply(&GroupQueried { member, count }))
            }
            Group::QueryMemberships(query) => self.query_memberships(caller, query.row),
        }
    }

    /// A process of the caller's own user.
    pub(crate) fn find_own_users(&self, caller: ProcessIndex, pid: Pid) -> Result<ProcessIndex> {
        let process = self.find_process(caller, pid)?;
        ensure(self.processes[process].user == self.processes[caller].user, Error::NoPermission)?;
        Ok(process)
    }
}
