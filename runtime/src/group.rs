//! Process groups: to make, join and leave them, to see who is in one, and to ask all members at once.
//!
//! A group may have members on any nodes. Each node's kernel keeps those of its own processes, so what one says of
//! itself is true at once, and the death of a process or a node takes its memberships along; a list of all members is
//! put together from what the nodes that answer say, and may be out of date when it is read.
//!
//! ```no_run
//! use v::group::{Admission, Group};
//! use v::time::Duration;
//! # let question = v::Message::default();
//! let group = Group::create(Admission::OwnUser)?;
//! // Other processes join it, on this node or another, by `Group::from_pid(group.pid()).join()`.
//! for answer in group.send(&question, &[], 4096, Duration::from_millis(500))? {
//!     v::println!("{} says {} bytes", answer.from, answer.data.len());
//! }
//! # Ok::<(), v::Error>(())
//! ```

use alloc_crate::vec;
use alloc_crate::vec::Vec;

use abi::call::Deadline;
use abi::kernel::record::MembershipRecord;
use abi::kernel::{self, group};
use abi::{Error, LogicalHost, Message, PAGE_BYTES, Pid};

use crate::message::{self, Segment, call};
use crate::node;
use crate::time::{Duration, Instant};

/// Who may join a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// Anyone, on any node.
    Anyone,
    /// Processes of its maker's user, on any node, as long as the maker's node has a member.
    OwnUser,
}

/// A group, which is its pid: it can be sent in a message, or written into a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Group(Pid);

impl Group {
    /// Makes a group, with the calling process as its first member.
    pub fn create(admission: Admission) -> Result<Group, Error> {
        let restricted = u32::from(admission == Admission::OwnUser);
        Ok(Group(message::kernel(kernel::GROUP, &group::Create { restricted })?.group))
    }

    /// The group with this pid, whether it has members or not.
    pub const fn from_pid(pid: Pid) -> Group {
        Group(pid)
    }

    /// Its pid.
    pub const fn pid(self) -> Pid {
        self.0
    }

    /// Adds the calling process; one that is in it stays so. [`NoPermission`](Error::NoPermission) if the group is for
    /// others, [`EmptyGroup`](Error::EmptyGroup) if it is no more. Of a restricted group of another node, that node is
    /// asked, so this may wait for it.
    pub fn join(self) -> Result<(), Error> {
        self.join_by(Pid::NONE)
    }

    /// Adds another process of this node and of the caller's user.
    pub fn join_by(self, process: Pid) -> Result<(), Error> {
        let join = group::Join { group: self.0, process };
        message::again(true, || message::kernel(kernel::GROUP, &join))?;
        Ok(())
    }

    /// Takes the calling process out. The last member ends the group.
    pub fn leave(self) -> Result<(), Error> {
        message::kernel(kernel::GROUP, &group::Leave { group: self.0, process: Pid::NONE })?;
        Ok(())
    }

    /// The members on this node and on all that answer, those of each node together.
    pub fn members(self) -> Result<Vec<Pid>, Error> {
        let mut members = self.members_of(LogicalHost::OWN)?;
        let others = match node::all() {
            Ok(others) => others,
            Err(Error::NoNetwork) => return Ok(members),
            Err(error) => return Err(error),
        };
        for record in others.iter().filter(|record| record.logical_host != node::host()) {
            // One that has gone meanwhile has no members.
            members.extend(self.members_of(record.logical_host).unwrap_or_default());
        }
        Ok(members)
    }

    /// The members on one node.
    pub fn members_of(self, host: LogicalHost) -> Result<Vec<Pid>, Error> {
        let all = memberships(host)?;
        Ok(all.iter().filter(|record| record.group() == self.0).map(MembershipRecord::member).collect())
    }

    /// Sends `message` to every member but the caller, with the bytes of `data` to read, up to a page, and room for
    /// replies with up to `reply_bytes`, a page at most. The replies are taken until `patience` is over, or until all have
    /// answered, where that is known: on a network it never is before ten seconds have passed.
    ///
    /// The caller's next Send to a group discards the replies that were not taken. [`EmptyGroup`](Error::EmptyGroup) if
    /// nobody else is in it.
    pub fn send(
        self,
        message: &Message,
        data: &[u8],
        reply_bytes: usize,
        patience: Duration,
    ) -> Result<Replies, Error> {
        let most = PAGE_BYTES as usize;
        if data.len() > most {
            return Err(Error::TooLong);
        }
        let reply_bytes = reply_bytes.min(most);
        let mut buffer = vec![0; reply_bytes];
        if reply_bytes > 0 && !data.is_empty() {
            buffer.resize(reply_bytes.max(data.len()), 0);
            buffer[..data.len()].copy_from_slice(data);
        }
        let segment = match (data, &mut buffer[..]) {
            ([], []) => Segment::None,
            (data, []) => Segment::Read(data),
            ([], buffer) => Segment::Write(buffer),
            (_, buffer) => Segment::ReadWrite(buffer),
        };
        let deadline = (Instant::now() + patience).deadline();
        let (first, is_complete) = match message::send_group(self.0, message, segment, deadline) {
            Ok((from, message)) => (Some(Answer::new(from, message, &buffer)), false),
            Err(Error::DeadlinePassed) => (None, false),
            // All members have ended, or have nothing to say.
            Err(Error::DiedBeforeReply) => (None, true),
            Err(error) => return Err(error),
        };
        let is_over = first.is_none();
        Ok(Replies { first, buffer, deadline, is_over, is_complete })
    }
}

/// What one member has replied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Who.
    pub from: Pid,
    /// Its message; its code is to be checked.
    pub message: Message,
    /// What came with it.
    pub data: Vec<u8>,
}

impl Answer {
    fn new(from: Pid, message: Message, buffer: &[u8]) -> Answer {
        let bytes = (message.segment_bytes() as usize).min(buffer.len());
        Answer { from, message, data: buffer[..bytes].to_vec() }
    }
}

/// The replies to a Send to a group, in the order in which they come.
#[derive(Debug)]
pub struct Replies {
    first: Option<Answer>,
    buffer: Vec<u8>,
    deadline: Deadline,
    is_over: bool,
    is_complete: bool,
}

impl Replies {
    /// At the end: whether all have answered who are in the group and live. Else the time was over before that was known.
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }
}

impl Iterator for Replies {
    type Item = Answer;

    fn next(&mut self) -> Option<Answer> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        if self.is_over {
            return None;
        }
        match message::get_reply(&mut self.buffer, self.deadline) {
            Ok((from, message)) => Some(Answer::new(from, message, &self.buffer)),
            Err(error) => {
                self.is_over = true;
                self.is_complete = error == Error::NothingWaiting;
                None
            }
        }
    }
}

/// All memberships of a node's processes, in the order of its kernel's table.
pub fn memberships(host: LogicalHost) -> Result<Vec<MembershipRecord>, Error> {
    const AT_ONCE: usize = 32;
    let mut records = Vec::new();
    let mut bytes = [0; AT_ONCE * MembershipRecord::BYTES];
    let mut row = 0;
    loop {
        let server = Pid::kernel_server(host, kernel::GROUP);
        let reply = call(server, &group::QueryMemberships { row }, Segment::Write(&mut bytes))?;
        let (found, _) = bytes.as_chunks();
        records.extend(found.iter().take(reply.count as usize).map(MembershipRecord::from_bytes));
        if reply.next <= row {
            return Ok(records);
        }
        row = reply.next;
    }
}
