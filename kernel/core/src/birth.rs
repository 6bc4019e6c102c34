//! How teams and processes come to be.
//!
//! A process is born awaiting reply from its creator, like any client: the creator says where it begins, fills its
//! address space if it is a new team's, and replies, which starts it with the reply in its registers.

use abi::trace::Event;
use abi::{Access, Error, Grant, Message, Pid, Rights, USER_ADDRESS_END, UserId};

use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::process::{Flags, Kind, NOBODY, Process, State};
use crate::team::{NO_TEAM, Quota, Team, TeamIndex};

/// What a new team is to be; checked by the process server.
#[derive(Clone, Copy, Debug)]
pub struct TeamDescription {
    /// Whose.
    pub user: UserId,
    /// What it may do.
    pub rights: Rights,
    /// Its class, and its root's priority.
    pub priority: u8,
    /// Most pages.
    pub pages: u32,
    /// Most processes.
    pub processes: u32,
}

impl<M: Machine> Kernel<M> {
    /// A team, by index.
    #[inline]
    pub fn team(&self, index: TeamIndex) -> &Team<M::Space> {
        &self.teams[usize::from(index)]
    }

    /// A team, by index.
    #[inline]
    pub fn team_mut(&mut self, index: TeamIndex) -> &mut Team<M::Space> {
        &mut self.teams[usize::from(index)]
    }

    /// The first team of all, with every right, whose root will run once [`Kernel::start_first`] has been called.
    pub fn create_first_team(&mut self, priority: u8) -> Result<TeamIndex, Error> {
        let description = TeamDescription {
            user: UserId::SYSTEM,
            rights: Rights::ALL,
            priority,
            pages: self.frames.total_count(),
            processes: u32::from(self.processes.count()),
        };
        self.create_team(NOBODY, &description)
    }

    /// Starts the first team's root.
    pub fn start_first(&mut self, team: TeamIndex, instruction: u64, stack: u64, message: &Message) {
        let root = self.team(team).root;
        let process = &mut self.processes[root];
        process.flags.clear(Flags::NEWBORN);
        process.clear_results();
        process.registers.message = message.to_registers();
        process.registers.instruction = instruction;
        process.registers.stack = stack;
        self.make_ready(root);
    }

    /// A team with an empty address space and its newborn root.
    pub(crate) fn create_team(
        &mut self,
        creator: ProcessIndex,
        description: &TeamDescription,
    ) -> Result<TeamIndex, Error> {
        let index = self.free_team;
        if index == NO_TEAM {
            return Err(Error::NoResources);
        }
        let (owner, exception_server) = if creator == NOBODY {
            (Pid::NONE, Pid::NONE)
        } else {
            let process = &self.processes[creator];
            (process.pid, self.team(process.team).exception_server)
        };
        let free_before = self.frames.free_count();
        let space = self.machine.create_space(&mut self.frames).ok_or(Error::NoMemory)?;
        let tables = free_before - self.frames.free_count();
        let next_free = self.team(index).next_free;
        *self.team_mut(index) = Team {
            space: Some(space),
            owner,
            user: description.user,
            rights: description.rights,
            priority: description.priority,
            exception_server,
            pages: Quota { limit: description.pages, used: 0 },
            processes: Quota { limit: description.processes, used: 0 },
            ..Team::free()
        };
        let root = self
            .team_mut(index)
            .pages
            .take(tables)
            .and_then(|()| self.create_process(index, creator, description.priority));
        match root {
            Ok(root) => {
                self.free_team = next_free;
                self.team_mut(index).root = root;
                self.teams_used += 1;
                let registers = &mut self.processes[root].registers;
                registers.extra[1] = Grant::new(USER_ADDRESS_END, Access::READ_WRITE).to_bits();
                Ok(index)
            }
            Err(error) => {
                while self.machine.destroy_space(space, u32::MAX, &mut self.frames) == u32::MAX {}
                *self.team_mut(index) = Team::free();
                self.team_mut(index).next_free = next_free;
                Err(error)
            }
        }
    }

    /// A process in a team, newborn: awaiting `creator`'s reply.
    pub(crate) fn create_process(
        &mut self,
        team: TeamIndex,
        creator: ProcessIndex,
        priority: u8,
    ) -> Result<ProcessIndex, Error> {
        let index = self.create_slot(team, Kind::Program, priority)?;
        let next = core::mem::replace(&mut self.team_mut(team).first_process, index);
        if next != NOBODY {
            self.processes[next].team_previous = index;
        }
        let process = &mut self.processes[index];
        process.team_next = next;
        process.flags.set(Flags::NEWBORN);
        process.state = State::AwaitingReply;
        process.partner = creator;
        if creator != NOBODY {
            self.begin_waiting(index, creator);
            let (from, to) = (self.processes[index].pid, self.processes[creator].pid);
            self.trace(Event::Create, 0, from, to);
        }
        Ok(index)
    }

    /// A slot charged to a team.
    pub(crate) fn create_slot(
        &mut self,
        team: TeamIndex,
        kind: Kind,
        priority: u8,
    ) -> Result<ProcessIndex, Error> {
        self.team_mut(team).processes.take(1)?;
        let index = match self.processes.allocate() {
            Ok(index) => index,
            Err(error) => {
                self.team_mut(team).processes.give_back(1);
                return Err(error);
            }
        };
        let now = self.coarse_now_ns;
        let (user, space) = (self.team(team).user, self.team(team).space);
        let nowhere = self.nowhere;
        let process: &mut Process<M::Space> = &mut self.processes[index];
        process.kind = kind;
        process.state = State::Idle;
        process.priority = priority;
        process.own_priority = priority;
        process.user = user;
        process.team = team;
        process.since_ns = now;
        if kind == Kind::Program {
            process.space = space.unwrap_or(nowhere);
        } else {
            process.flags.set(Flags::PSEUDO);
        }
        Ok(index)
    }
}
