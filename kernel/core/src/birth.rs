//! How teams and processes come to be.
//!
//! A process is born awaiting reply from its creator, like any client: the creator says where it begins, fills its
//! address space if it is a new team's, and replies, which starts it with the reply in its registers.

use abi::kernel::FIRST_PROCESS_INDEX;
use abi::trace::Event;
use abi::{Access, Error, Grant, LogicalHost, Message, Rights, USER_ADDRESS_END, UserId};

use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::page_request::PAGE_REQUESTS;
use crate::process::{Flags, Kind, NOBODY, State};
use crate::region::RegionList;
use crate::team::{NO_TEAM, Quota, Team, TeamIndex};
use crate::{Result, ensure};

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
    pub fn create_first_team(&mut self, priority: u8) -> Result<TeamIndex> {
        let team = Team {
            user: UserId::SYSTEM,
            rights: Rights::ALL,
            priority,
            pages: Quota::new(self.frames.total_count()),
            processes: Quota::new(self.processes.count().into()),
            ..Team::free(self.nowhere)
        };
        self.create_team(NOBODY, team)
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

    /// Makes a team with an empty address space and its newborn root. What `team` may have and do, the process server
    /// has checked.
    pub(crate) fn create_team(
        &mut self,
        creator: ProcessIndex,
        mut team: Team<M::Space>,
    ) -> Result<TeamIndex> {
        let index = self.free_team;
        ensure(index != NO_TEAM, Error::NoResources)?;
        if creator != NOBODY {
            let process = &self.processes[creator];
            team.owner = process.pid;
            team.exception_server = self.team(process.team).exception_server;
        }
        let free_before = self.frames.free_count();
        let space = self.machine.create_space(&mut self.frames).ok_or(Error::NoMemory)?;
        let tables = free_before - self.frames.free_count();
        team.space = space;
        team.regions = RegionList::new(index);
        let priority = team.priority;
        let next_free = core::mem::replace(self.team_mut(index), team).next_free;
        let taken = self.team_mut(index).pages.take(tables);
        let root = taken.and_then(|()| self.create_process(index, creator, priority));
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
                self.machine.destroy_space(space, u32::MAX, &mut self.frames);
                *self.team_mut(index) = Team::free(self.nowhere);
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
    ) -> Result<ProcessIndex> {
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

    /// How many slots teams may have beside those that are used.
    pub(crate) fn free_slots(&self) -> u32 {
        // Page requests are no team's: some slots are kept for them.
        let slots = u32::from(self.processes.count() - FIRST_PROCESS_INDEX);
        let kept = (PAGE_REQUESTS as u32).min(slots / 16);
        slots.saturating_sub(self.processes.used() + kept)
    }

    /// A slot charged to a team.
    pub(crate) fn create_slot(&mut self, team: TeamIndex, kind: Kind, priority: u8) -> Result<ProcessIndex> {
        ensure(self.free_slots() > 0, Error::NoResources)?;
        let quota = &mut self.teams[usize::from(team)].processes;
        quota.take(1)?;
        let index = self.processes.allocate().inspect_err(|_| quota.give_back(1))?;
        let host = self.team(team).host;
        if host != LogicalHost::OWN
            && kind == Kind::Program
            && let Err(error) = self.processes.name_guest(index, host)
        {
            self.processes.release(index, self.nowhere);
            self.team_mut(team).processes.give_back(1);
            return Err(error);
        }
        let now = self.coarse_now_ns;
        let (user, space) = (self.team(team).user, self.team(team).space);
        let process = &mut self.processes[index];
        process.kind = kind;
        process.state = State::Idle;
        process.priority = priority;
        process.own_priority = priority;
        process.user = user;
        process.team = team;
        process.since_ns = now;
        if kind == Kind::Program {
            process.space = space;
        } else {
            process.flags.set(Flags::PSEUDO);
        }
        Ok(index)
    }
}
