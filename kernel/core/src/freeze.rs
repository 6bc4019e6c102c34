//! Stopping a guest that is to move, letting it go on, and why one cannot move.
//!
//! In a frozen team everything is suspended, and what its processes wait for can be told to another kernel: the reply of
//! another process of the team or of the network server, a time, or nothing. What is under way besides is soon over, or
//! the guest has a part in something of this node that it cannot take along.

use abi::call::Send;
use abi::kernel::process::{TeamFrozen, TeamThawed};
use abi::kernel::team_state::MOST_PROCESSES;
use abi::{Error, Pid};

use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::paging::Wait;
use crate::process::{Flags, Kind, NOBODY, State};
use crate::region::Backing;
use crate::request::Answer;
use crate::team::TeamIndex;
use crate::{Result, ensure};

impl<M: Machine> Kernel<M> {
    /// The process of a team that came after `index`; the root is the first.
    pub(crate) fn next_member(&self, index: ProcessIndex) -> Option<ProcessIndex> {
        Some(self.processes[index].team_previous).filter(|next| *next != NOBODY)
    }

    /// The processes of a team, the root first.
    pub(crate) fn members(&self, team: TeamIndex) -> impl Iterator<Item = ProcessIndex> {
        core::iter::successors(Some(self.team(team).root), |index| self.next_member(*index))
    }

    pub(crate) fn freeze_team(&mut self, caller: ProcessIndex, team: Pid) -> Result<Answer> {
        let team = self.find_guest(caller, team)?;
        ensure(self.processes[caller].team != team, Error::BadArgument)?;
        self.check_movable(team)?;
        if !self.team(team).frozen {
            self.team_mut(team).frozen = true;
            let mut next = Some(self.team(team).root);
            while let Some(member) = next {
                self.stop(member);
                next = self.next_member(member);
            }
        }
        self.take_back_sends(team);
        Ok(Answer::reply(&TeamFrozen {}))
    }

    pub(crate) fn thaw_team(&mut self, caller: ProcessIndex, team: Pid) -> Result<Answer> {
        let team = self.find_guest(caller, team)?;
        ensure(self.team(team).frozen, Error::BadArgument)?;
        // What has moved away goes on elsewhere.
        ensure(!self.processes.is_away(self.team(team).host), Error::ProcessElsewhere)?;
        self.team_mut(team).frozen = false;
        let mut next = Some(self.team(team).root);
        while let Some(member) = next {
            if !self.processes[member].stays_suspended {
                self.resume(member)?;
            }
            next = self.next_member(member);
        }
        Ok(Answer::reply(&TeamThawed {}))
    }

    /// What a frozen team has sent elsewhere, and the network server has not received, is to be sent again.
    pub(crate) fn take_back_sends(&mut self, team: TeamIndex) {
        let mut next = Some(self.team(team).root);
        while let Some(member) = next {
            let process = &self.processes[member];
            if process.state == State::Sending && process.flags.has(Flags::REMOTE) {
                let server = process.partner;
                self.processes.dequeue(member);
                self.processes[member].state = State::Working;
                self.processes[member].wait = Wait::Call;
                self.processes[member].flags.clear(Flags::REMOTE);
                self.processes[member].usage.sent -= 1;
                self.processes[member].usage.sent_elsewhere -= 1;
                self.end_waiting(member, server);
                self.processes[member].partner = NOBODY;
            }
            next = self.next_member(member);
        }
    }

    /// The error unless a guest can be moved now.
    pub(crate) fn check_movable(&self, team: TeamIndex) -> Result<()> {
        let slot = self.team(team);
        ensure(!slot.ending, Error::StaleProcess)?;
        let has_device = slot.dma_pages + slot.wired_pages > 0
            || slot.grants.iter().any(|grant| grant.count > 0)
            || self.members(team).any(|member| self.processes[member].interrupts > 0);
        ensure(!has_device && self.members(team).count() <= MOST_PROCESSES, Error::NotMovable)?;
        let mut address = 0;
        while let Some(region) = self.first_region_ending_after(team, address) {
            ensure(!matches!(region.backing, Backing::Physical { .. }), Error::NotMovable)?;
            address = region.end();
        }
        ensure(self.members(team).all(|member| self.is_settled(team, member)), Error::Busy)?;
        // Who waits for one of them moves with it, or is an alien, which the network server makes anew.
        let is_waited_for = |member: ProcessIndex| !self.processes[member].waiters.is_empty();
        let strangers = self.members(team).any(is_waited_for)
            && self.processes.iter().any(|(_, sender)| {
                let waits = matches!(sender.state, State::Sending | State::AwaitingReply);
                let is_own =
                    sender.team == team && sender.kind == Kind::Program || sender.kind == Kind::Alien;
                let is_alarm = sender.kind == Kind::Alarm && sender.state == State::Sending;
                waits
                    && sender.partner != NOBODY
                    && self.processes[sender.partner].team == team
                    && !is_own
                    && !is_alarm
            });
        ensure(!strangers, Error::Busy)
    }

    /// Whether what a process does can be told.
    fn is_settled(&self, team: TeamIndex, index: ProcessIndex) -> bool {
        let process = &self.processes[index];
        match process.state {
            State::Ready | State::Receiving | State::ReceivingFrom | State::Delaying => true,
            State::Working => process.wait == Wait::Call,
            State::Sending | State::AwaitingReply if process.flags.has(Flags::REMOTE) => {
                process.wait == Wait::None && process.registers.number == Send::NUMBER
            }
            State::Sending | State::AwaitingReply => {
                process.partner != NOBODY
                    && process.wait == Wait::None
                    && !process.flags.has(Flags::EXCEPTION)
                    && self.processes[process.partner].team == team
            }
            _ => false,
        }
    }
}
