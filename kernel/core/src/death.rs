//! How processes and teams end.
//!
//! Ending a process takes it out of whatever it does, tells whoever waits for it, and gives back what it has. Ending a
//! team stops all its processes at once; what they have is then given back in bounded steps, as long work of the root's
//! slot, after which that slot sends the owner its notice and is free when that is replied to. The first team has no
//! owner that could start it again: its end is the node's, which starts over.
//!
//! | who waited for the ended process | what it gets |
//! |---|---|
//! | its message had not been received | `StaleProcess`: certainly not executed |
//! | its message had been received | `DiedBeforeReply`: perhaps executed |
//! | in Receive, for it alone | `StaleProcess` |
//! | newborn, awaiting its first reply | ends too |
//! | for another node, by the network server | `NoNetwork` or `HostUnreachable`, likewise |
//! | an alien | takes the same to the network server |
//! | with an exception | its team ends |

use abi::call::Send;
use abi::notice::{self, STATUS_EXCEPTION, STATUS_KILLED};
use abi::protocol::Request;
use abi::remote::AGAIN;
use abi::trace::Event;
use abi::{Error, Pid};

use crate::Result;
use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::page_request::Answer;
use crate::paging::Wait;
use crate::process::{Flags, Kind, NOBODY, State};
use crate::remote::STRANDED_NS;
use crate::team::{FIRST_TEAM, Team, TeamIndex};

/// Page tables that one step of long work frees.
const TABLES_PER_STEP: u32 = 64;

impl<M: Machine> Kernel<M> {
    /// Ends a program's process; with a root, its team.
    pub(crate) fn destroy(&mut self, index: ProcessIndex, status: u32) {
        let team = self.processes[index].team;
        if self.team(team).root == index {
            self.destroy_team(team, status);
        } else {
            let pid = self.processes[index].pid;
            self.trace(Event::End, status, pid, Pid::NONE);
            self.end_process(index);
        }
    }

    /// Begins the end of a team.
    pub(crate) fn destroy_team(&mut self, team: TeamIndex, status: u32) {
        if core::mem::replace(&mut self.team_mut(team).ending, true) {
            return;
        }
        if team == FIRST_TEAM {
            self.machine
                .restart(format_args!("V: the supervisor ended with status {status}: the node restarts"));
        }
        let mut member = self.team(team).first_process;
        while member != NOBODY {
            self.stop(member);
            member = self.processes[member].team_next;
        }
        let root = self.team(team).root;
        self.leave_state(root);
        let process = &mut self.processes[root];
        process.flags.clear(Flags(!Flags::GROUP.0));
        process.flags.set(Flags::ENDED);
        process.clear_results();
        process.extra.value = status;
        process.state = State::Working;
        let pid = process.pid;
        self.ready.push_back(&mut self.processes, root);
        self.trace(Event::End, status, pid, Pid::NONE);
    }

    /// Keeps a process from running or receiving again.
    pub(crate) fn stop(&mut self, index: ProcessIndex) {
        if matches!(self.processes[index].state, State::Ready | State::Working) {
            self.leave_processor(index);
        }
        self.processes[index].flags.set(Flags::SUSPENDED);
    }

    /// One step of ending a team, for its root's slot.
    pub(crate) fn end_team_step(&mut self, root: ProcessIndex) {
        let team = self.processes[root].team;
        // The root is the last of the list, as it was the first process.
        let member = self.team(team).first_process;
        if member != root {
            self.end_process(member);
            return;
        }
        self.abandon_all(root);
        match self.release_memory_step(team) {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => return self.pause_work(root),
        }
        self.ready.remove(&mut self.processes, root);
        self.processes[root].state = State::Idle;
        self.processes[root].space = self.nowhere;
        self.notify_owner(root);
    }

    /// One step of giving back a team's memory; true when all of it has been, an error if a page must be written first.
    fn release_memory_step(&mut self, team: TeamIndex) -> Result<bool> {
        let space = self.team(team).space;
        if space == self.nowhere {
            return Ok(true);
        }
        if !self.release_regions_step(team)? {
            return Ok(false);
        }
        let (freed, gone) = self.machine.destroy_space(space, TABLES_PER_STEP, &mut self.frames);
        self.team_mut(team).pages.give_back(freed);
        if gone {
            self.team_mut(team).space = self.nowhere;
        }
        Ok(gone)
    }

    /// All of a team has been given back but its root's slot: that sends the notice, if anyone wants to know.
    fn notify_owner(&mut self, root: ProcessIndex) {
        let process = &self.processes[root];
        let next_number = self.processes.guest(process.pid.host()).map_or(0, |guest| guest.next_number);
        let (team, status) = (process.pid, process.extra.value);
        let notice = notice::notice::TeamEnded { team, status, next_number };
        let owner = self.team(process.team).owner;
        match self.find_process(NOBODY, owner) {
            Ok(owner) if owner != NOBODY && !self.team(self.processes[owner].team).ending => {
                self.processes[root].registers.message = notice.to_message().to_registers();
                self.post(root, owner);
            }
            _ => self.forget_team(root),
        }
    }

    /// An ended team's slots are free again.
    pub(crate) fn forget_team(&mut self, root: ProcessIndex) {
        let team = self.processes[root].team;
        self.team_mut(team).first_process = NOBODY;
        self.release_slot(root);
        debug_assert_eq!(self.team(team).pages.used, 0, "team {team} keeps pages");
        debug_assert_eq!(self.team(team).processes.used, 0, "team {team} keeps slots");
        let next_free = core::mem::replace(&mut self.free_team, team);
        *self.team_mut(team) = Team::free(self.nowhere);
        self.team_mut(team).next_free = next_free;
        self.teams_used -= 1;
    }

    /// Ends a process that is not a root.
    fn end_process(&mut self, index: ProcessIndex) {
        self.leave_state(index);
        self.abandon_all(index);
        let process = &self.processes[index];
        let (team, next, previous) = (process.team, process.team_next, process.team_previous);
        let (root, usage) = (self.team(team).root, process.usage);
        self.processes[root].usage = self.processes[root].usage.plus(&usage);
        if previous == NOBODY {
            self.team_mut(team).first_process = next;
        } else {
            self.processes[previous].team_next = next;
        }
        if next != NOBODY {
            self.processes[next].team_previous = previous;
        }
        self.release_slot(index);
    }

    /// Gives a slot back that nobody waits for and that waits for nobody.
    pub(crate) fn release_slot(&mut self, index: ProcessIndex) {
        if self.processes[index].expected_by > 0 {
            self.disappoint(index);
        }
        let team = self.processes[index].team;
        self.team_mut(team).processes.give_back(1);
        for cpu in &mut self.cpus {
            if cpu.last == index {
                cpu.last = NOBODY;
            }
        }
        self.processes.release(index, self.nowhere);
    }

    /// Takes a slot out of whatever it does or waits for.
    pub(crate) fn leave_state(&mut self, index: ProcessIndex) {
        self.clear_deadline(index);
        let process = &self.processes[index];
        let (state, partner) = (process.state, process.partner);
        match state {
            State::Ready | State::Working => self.leave_processor(index),
            State::Receiving | State::ReceivingFrom => self.end_receiving(index),
            State::Sending => self.processes.dequeue(index),
            _ => {}
        }
        // Where processes wait for each other in a circle, the last step of what follows comes back to this one: it
        // must be seen to wait no longer.
        self.processes[index].state = State::Idle;
        self.processes[index].wait = Wait::None;
        if matches!(state, State::Sending | State::AwaitingReply) && partner != NOBODY {
            self.end_waiting(index, partner);
        }
    }

    /// Takes a process off its processor, or out of the list in which it waits for one.
    fn leave_processor(&mut self, index: ProcessIndex) {
        if self.cpu().current == index {
            self.forget_current();
        } else if self.is_listed(index) {
            self.ready.remove(&mut self.processes, index);
        }
    }

    /// Gives back what a process has beside its slot, and tells whoever waits for it.
    fn abandon_all(&mut self, index: ProcessIndex) {
        self.discard_group(index);
        self.leave_groups(index);
        self.cancel_alarm(index);
        self.release_interrupts(index);
        self.end_network_server(index);
        while let sender = self.processes[index].queue.head
            && sender != NOBODY
        {
            self.processes.dequeue(sender);
            self.end_waiting(sender, index);
            self.abandon(sender, Error::StaleProcess);
        }
        if !self.processes[index].waiters.is_empty() {
            for client in 0..self.processes.count() {
                let process = &self.processes[client];
                if process.state == State::AwaitingReply && process.partner == index {
                    self.end_waiting(client, index);
                    self.abandon(client, Error::DiedBeforeReply);
                }
            }
        }
    }

    /// Whoever waits in Receive for `index` alone waits in vain.
    pub(crate) fn disappoint(&mut self, index: ProcessIndex) {
        for receiver in 0..self.processes.count() {
            let process = &self.processes[receiver];
            if process.state == State::ReceivingFrom && process.partner == index {
                self.end_receiving(receiver);
                self.fail(receiver, Error::StaleProcess);
            }
        }
    }

    /// A sender's receiver has ended; the sender is in no queue and is counted nowhere.
    fn abandon(&mut self, sender: ProcessIndex, error: Error) {
        let process = &mut self.processes[sender];
        // It waits for nobody; and what follows must not look for it at the ended process.
        process.state = State::Idle;
        process.partner = NOBODY;
        let flags = process.flags;
        match process.kind {
            Kind::Copy => return self.copy_abandoned(sender, Error::DiedBeforeReply),
            Kind::Alien => return self.fail_sender(sender, error),
            // The next network server sends it.
            Kind::Page if flags.has(Flags::REMOTE) => return,
            Kind::Page => return self.end_request(sender, Err(error), Answer::None),
            // Theirs who ended: given back with it.
            Kind::Interrupt | Kind::Alarm => return,
            Kind::Program => {}
        }
        if flags.has(Flags::ENDED) {
            self.forget_team(sender);
        } else if flags.has(Flags::EXCEPTION) {
            let vector = process.extra.value;
            let team = process.team;
            self.destroy_team(team, STATUS_EXCEPTION + vector);
        } else if flags.has(Flags::NEWBORN) {
            self.destroy(sender, STATUS_KILLED);
        } else if flags.has(Flags::REMOTE) && process.registers.number == Send::NUMBER {
            // The next network server sends it; again by the same number, by which whoever has it knows it.
            if error.may_have_been_executed() {
                self.processes[sender].transaction |= AGAIN;
            }
            self.set_deadline(sender, self.coarse_now_ns + STRANDED_NS);
        } else if flags.has(Flags::REMOTE) {
            let received = error.may_have_been_executed();
            self.fail_sender(sender, if received { Error::HostUnreachable } else { Error::NoNetwork });
        } else {
            self.fail(sender, error);
        }
    }

    /// Frees the slot of a pseudo-sender.
    pub(crate) fn release_pseudo(&mut self, index: ProcessIndex) {
        self.leave_state(index);
        self.release_slot(index);
    }
}
