//! The group server: groups made, joined, left and listed.

use abi::kernel::group::{Created, Group, GroupQueried, Joined, Left};
use abi::{Error, Message, Pid};

use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::process::NOBODY;
use crate::request::Answer;

/// Answers one request.
#[inline(never)]
pub(crate) fn request<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: ProcessIndex,
    message: &Message,
) -> Result<Answer, Error> {
    match Group::from_message(message).ok_or(Error::BadRequest)? {
        Group::Create(create) => {
            if create.restricted > 1 {
                return Err(Error::BadArgument);
            }
            let group = kernel.create_group(caller, create.restricted == 1)?;
            Ok(Answer::reply(&Created { group }))
        }
        Group::Join(join) => {
            let process = own_users(kernel, caller, join.process)?;
            kernel.join_group(join.group, process)?;
            Ok(Answer::reply(&Joined {}))
        }
        Group::Leave(leave) => {
            let process = own_users(kernel, caller, leave.process)?;
            kernel.leave_group(leave.group, process)?;
            Ok(Answer::reply(&Left {}))
        }
        Group::QueryGroup(query) => {
            let group = kernel.local_group(query.group)?;
            let (member, count) = kernel.groups.member(group, query.position)?;
            let member = if member == NOBODY { Pid::NONE } else { kernel.processes[member].pid };
            Ok(Answer::reply(&GroupQueried { member, count }))
        }
    }
}

/// A process of the caller's own user.
fn own_users<M: Machine>(kernel: &Kernel<M>, caller: ProcessIndex, pid: Pid) -> Result<ProcessIndex, Error> {
    let process = kernel.find_process(caller, pid)?;
    if kernel.processes[process].user == kernel.processes[caller].user {
        Ok(process)
    } else {
        Err(Error::NoPermission)
    }
}
