//! The process server: teams and processes made, ended, listed and changed.

use abi::kernel::process::{
    AlienCreated, AlienDestroyed, CreateProcess, CreateTeam, Destroyed, ExceptionServerSet, HostSet,
    Identified, NameSet, NetworkServerSet, Prepared, Process, ProcessCreated, ProcessQueried,
    ProcessesQueried, RegistersRead, RegistersWritten, Resumed, SetExceptionServer, SetHost, Suspended,
    TeamAdopted, TeamCreated,
};
use abi::kernel::record::{ProcessRecord, ProcessState, RegisterRecord};
use abi::kernel::{FIRST_PROCESS_INDEX, priority};
use abi::{Error, LogicalHost, Message, Pid, Rights};

use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex, Resume};
use crate::paging::Wait;
use crate::process::{Flags, Kind, NOBODY, State};
use crate::request::Answer;
use crate::team::{Quota, Team};
use crate::{Result, ensure};

impl<M: Machine> Kernel<M> {
    /// Answers one request.
    #[inline(never)]
    pub(crate) fn process_request(&mut self, caller: ProcessIndex, message: &Message) -> Result<Answer> {
        match Process::from_message(message).ok_or(Error::BadRequest)? {
            Process::CreateTeam(create) => self.create_team_for(caller, &create),
            Process::CreateProcess(create) => self.create_process_for(caller, &create),
            Process::Prepare(prepare) => {
                let process = self.find_awaiting(caller, prepare.process, Flags::NEWBORN)?;
                let registers = &mut self.processes[process].registers;
                registers.instruction = prepare.instruction;
                registers.stack = prepare.stack;
                Ok(Answer::reply(&Prepared {}))
            }
            Process::Destroy(destroy) => {
                let process = self.find_controlled(caller, destroy.process)?;
                self.destroy(process, destroy.status);
                Ok(Answer::reply(&Destroyed {}))
            }
            Process::QueryProcesses(query) => self.query_processes(caller, query.index),
            Process::QueryProcess(query) => {
                let process = self.find_listed(caller, query.process)?;
                let record = self.record(process).to_bytes();
                self.reply_with(caller, &ProcessQueried {}, &record)
            }
            Process::Suspend(suspend) => {
                let process = self.find_controlled(caller, suspend.process)?;
                self.stop(process);
                self.processes[process].stays_suspended = true;
                Ok(Answer::reply(&Suspended {}))
            }
            Process::Resume(resume) => {
                let process = self.find_controlled(caller, resume.process)?;
                self.resume(process)?;
                Ok(Answer::reply(&Resumed {}))
            }
            Process::SetName(set) => {
                let process = self.find_controlled(caller, set.process)?;
                self.processes[process].name = [set.first_bytes, set.last_bytes];
                Ok(Answer::reply(&NameSet {}))
            }
            Process::SetExceptionServer(set) => self.set_exception_server(caller, &set),
            Process::GrantDevice(grant) => self.grant_device(caller, &grant),
            Process::Identify(identify) => {
                let process = self.find_listed(caller, identify.process)?;
                let team = self.team(self.processes[process].team);
                Ok(Answer::reply(&Identified {
                    team: self.processes[team.root].pid,
                    owner: team.owner,
                    user: team.user,
                    rights: team.rights,
                }))
            }
            Process::ReadRegisters(read) => {
                let process = self.find_stopped(caller, read.process)?;
                let record = match self.processes[process].resume {
                    Resume::Full => self.machine.full_registers(process),
                    Resume::Results => RegisterRecord::from(&self.processes[process].registers),
                };
                self.reply_with(caller, &RegistersRead {}, &record.to_bytes())
            }
            Process::WriteRegisters(write) => {
                let process = self.find_stopped(caller, write.process)?;
                let mut bytes = [0; RegisterRecord::BYTES];
                self.read_request_segment(caller, &mut bytes)?;
                let record = RegisterRecord::from_bytes(&bytes);
                self.machine.set_full_registers(process, &record);
                if self.processes[process].resume == Resume::Results {
                    let given = self.machine.full_registers(process);
                    self.processes[process].registers.set_place(&given);
                }
                Ok(Answer::reply(&RegistersWritten {}))
            }
            Process::BecomeNetworkServer(_) => {
                self.become_network_server(caller)?;
                Ok(Answer::reply(&NetworkServerSet { former: self.former_network_servers }))
            }
            Process::CreateAlien(_) => {
                let alien = self.create_alien(caller)?;
                Ok(Answer::reply(&AlienCreated { alien }))
            }
            Process::DestroyAlien(destroy) => {
                self.destroy_alien(caller, destroy.alien)?;
                Ok(Answer::reply(&AlienDestroyed {}))
            }
            Process::AdoptTeam(adopt) => {
                self.need_right(caller, Rights::CREATE_FOR_OTHERS)?;
                let team = self.find_team(caller, adopt.team)?;
                ensure(self.find_receiver(self.team(team).owner).is_err(), Error::NoPermission)?;
                let pid = self.processes[caller].pid;
                self.team_mut(team).owner = pid;
                Ok(Answer::reply(&TeamAdopted {}))
            }
            Process::SetHost(set) => self.set_host(caller, &set),
            Process::FreezeTeam(freeze) => self.freeze_team(caller, freeze.team),
            Process::ThawTeam(thaw) => self.thaw_team(caller, thaw.team),
            Process::ReadTeam(read) => self.read_team(caller, read.team),
            Process::WriteTeam(write) => self.write_team(caller, write.team),
        }
    }

    fn create_team_for(&mut self, caller: ProcessIndex, create: &CreateTeam) -> Result<Answer> {
        let own = self.team(self.processes[caller].team);
        let mut others = create.user != own.user || create.rights != Rights::NONE;
        let limit = |asked: u32, own: u32| if asked == 0 { own } else { asked };
        let pages = limit(create.quota_pages, own.pages.limit);
        let processes = limit(create.quota_processes, own.processes.limit);
        others |= pages > own.pages.limit || processes > own.processes.limit;
        ensure(
            (!others || own.rights.contains(Rights::CREATE_FOR_OTHERS)) && own.rights.contains(create.rights),
            Error::NoPermission,
        )?;
        let priority = self.legal_priority(caller, create.priority, own.priority)?;
        let team = Team {
            user: create.user,
            rights: create.rights,
            priority,
            pages: Quota::new(pages),
            processes: Quota::new(processes),
            ..Team::free(self.nowhere)
        };
        let team = self.create_team(caller, team)?;
        let root = self.team(team).root;
        Ok(Answer::reply(&TeamCreated { team: self.processes[root].pid }))
    }

    /// Makes a newborn team, which has nothing but its root yet, a guest.
    fn set_host(&mut self, caller: ProcessIndex, set: &SetHost) -> Result<Answer> {
        self.need_right(caller, Rights::CREATE_FOR_OTHERS)?;
        let team = self.find_team(caller, set.team)?;
        ensure(self.is_newborn_of(caller, team), Error::NotAwaitingReply)?;
        let (root, host) = (self.team(team).root, LogicalHost::from_bits(set.host));
        ensure(host.to_bits() == set.host && self.team(team).rights == Rights::NONE, Error::BadArgument)?;
        ensure(set.first_number >= Pid::FIRST_GUEST_NUMBER, Error::BadArgument)?;
        self.processes.add_guest(root, host, set.first_number)?;
        self.processes.name_guest(root, host)?;
        self.team_mut(team).host = host;
        Ok(Answer::reply(&HostSet { team: self.processes[root].pid }))
    }

    fn create_process_for(&mut self, caller: ProcessIndex, create: &CreateProcess) -> Result<Answer> {
        let own = &self.processes[caller];
        let team = own.team;
        let asked = match create.priority {
            priority::OWN => u32::from(own.own_priority),
            other => other,
        };
        let priority = self.legal_priority(caller, asked, self.team(team).priority)?;
        let process = self.create_process(team, caller, priority)?;
        let registers = &mut self.processes[process].registers;
        registers.instruction = create.instruction;
        registers.stack = create.stack;
        Ok(Answer::reply(&ProcessCreated { process: self.processes[process].pid }))
    }

    /// A priority that the caller may give where `most_urgent` is the limit without the right to more.
    fn legal_priority(&self, caller: ProcessIndex, asked: u32, most_urgent: u8) -> Result<u8> {
        ensure(asked < u32::from(priority::COUNT), Error::BadArgument)?;
        if asked < u32::from(most_urgent) {
            self.need_right(caller, Rights::HIGH_PRIORITY)?;
        }
        Ok(asked as u8)
    }

    fn set_exception_server(&mut self, caller: ProcessIndex, set: &SetExceptionServer) -> Result<Answer> {
        let team = self.find_team(caller, set.team)?;
        self.may_control(caller, self.team(team).root)?;
        if !set.server.is_none() {
            let server = self.find_process(caller, set.server)?;
            // It will see the memory of those teams.
            if self.processes[server].user != self.team(team).user {
                self.need_right(server, Rights::EXCEPTION_SERVER)?;
            }
        }
        let former = core::mem::replace(&mut self.team_mut(team).exception_server, set.server);
        Ok(Answer::reply(&ExceptionServerSet { former }))
    }

    /// A process whose registers the caller may change: that awaits its reply to an exception, or is suspended and its to
    /// control.
    fn find_stopped(&self, caller: ProcessIndex, pid: Pid) -> Result<ProcessIndex> {
        match self.find_controlled(caller, pid) {
            Ok(index) if self.processes[index].flags.has(Flags::SUSPENDED) => Ok(index),
            _ => self.find_awaiting(caller, pid, Flags::EXCEPTION),
        }
    }

    /// A process that awaits the caller's reply to its birth or its exception, as `flag` says.
    fn find_awaiting(&self, caller: ProcessIndex, pid: Pid, flag: Flags) -> Result<ProcessIndex> {
        let index = self.find_receiver(pid)?;
        let process = &self.processes[index];
        ensure(process.flags.has(flag) && process.awaits_reply_of(caller), Error::NotAwaitingReply)?;
        Ok(index)
    }

    fn query_processes(&mut self, caller: ProcessIndex, from: u32) -> Result<Answer> {
        let slots = from.max(FIRST_PROCESS_INDEX.into())..self.processes.count().into();
        let (count, next) = self.write_records(caller, slots, |kernel, index| {
            let index = index as ProcessIndex;
            kernel.processes[index].is_program().then(|| kernel.record(index).to_bytes())
        })?;
        let bytes = u64::from(count) * ProcessRecord::BYTES as u64;
        Ok(Answer::with_segment(&ProcessesQueried { count, next }, bytes))
    }

    /// Lets a suspended process run and receive again.
    pub(crate) fn resume(&mut self, index: ProcessIndex) -> Result<()> {
        let process = &mut self.processes[index];
        process.stays_suspended = false;
        if !process.flags.has(Flags::SUSPENDED) || self.teams[usize::from(process.team)].frozen {
            return Ok(());
        }
        let process = &self.processes[index];
        let (team, state) = (process.team, process.state);
        ensure(!self.team(team).ending, Error::StaleProcess)?;
        self.processes[index].flags.clear(Flags::SUSPENDED);
        match state {
            State::Ready | State::Working => self.ready.push_back(&mut self.processes, index),
            _ => self.receive_again(index),
        }
        Ok(())
    }

    /// A program's process, also one that has ended and has not been forgotten; or what a message to a group comes from,
    /// which is its sender's team's, or one of another machine, which is the network server's.
    fn find_listed(&self, caller: ProcessIndex, pid: Pid) -> Result<ProcessIndex> {
        if pid.is_none() {
            return self.own(caller);
        }
        // What is left of one that has moved says nothing of it.
        ensure(!self.processes.is_away(pid.host()), Error::ProcessElsewhere)?;
        let index = self.processes.find(pid)?;
        let process = &self.processes[index];
        let is_stand_in = matches!(process.kind, Kind::Copy | Kind::Alien);
        ensure(process.is_program() || is_stand_in, Error::NonexistentProcess)?;
        Ok(index)
    }

    /// What is told of a process.
    fn record(&self, index: ProcessIndex) -> ProcessRecord {
        let process = &self.processes[index];
        let team = self.team(process.team);
        let waits_on = match process.state {
            // For a page: of whom.
            State::Sending if process.wait != Wait::None => {
                Pid::from_bits(self.processes[process.partner].registers.pid)
            }
            State::Sending | State::AwaitingReply if process.flags.has(Flags::REMOTE) => {
                Pid::from_bits(process.registers.pid)
            }
            State::Sending | State::AwaitingReply | State::ReceivingFrom if process.partner != NOBODY => {
                self.processes[process.partner].pid
            }
            State::Delaying => abi::kernel::server(abi::kernel::TIME),
            _ => Pid::NONE,
        };
        let mut queued = 0;
        let mut sender = process.queue.head;
        while sender != NOBODY {
            queued += 1;
            sender = self.processes[sender].next;
        }
        let state = self.state_number(index) as u64;
        let suspended = if process.flags.has(Flags::SUSPENDED) { ProcessState::SUSPENDED_BIT } else { 0 };
        ProcessRecord {
            pid: process.pid.to_bits(),
            team: self.processes[team.root].pid.to_bits(),
            owner: team.owner.to_bits(),
            state: state | suspended,
            waits_on: waits_on.to_bits(),
            user_and_rights: u64::from(process.user.0) | u64::from(team.rights.0) << 32,
            priorities: u64::from(process.own_priority) | u64::from(process.priority) << 32,
            queued,
            since_ns: process.since_ns,
            team_pages: u64::from(team.pages.used),
            name_first: process.name[0],
            name_last: process.name[1],
            ..ProcessRecord::from(&process.usage)
        }
    }

    fn state_number(&self, index: ProcessIndex) -> ProcessState {
        let process = &self.processes[index];
        match process.state {
            // Only then: as long as it has memory, what it changed of files is written back to instances that it owns.
            _ if process.flags.has(Flags::ENDED) && self.team(process.team).space == self.nowhere => {
                ProcessState::Ended
            }
            _ if process.flags.has(Flags::EXCEPTION) => ProcessState::Exception,
            _ if process.flags.has(Flags::NEWBORN) => ProcessState::Newborn,
            // For the next network server.
            State::Idle if process.flags.has(Flags::REMOTE) => ProcessState::SendBlocked,
            State::Free | State::KernelServer | State::Ready | State::Idle => ProcessState::Ready,
            State::Receiving | State::ReceivingFrom => ProcessState::ReceiveBlocked,
            State::Sending => ProcessState::SendBlocked,
            State::AwaitingReply if !process.forwarder.is_none() => ProcessState::Forwarded,
            State::AwaitingReply => ProcessState::AwaitingReply,
            State::AwaitingGroup => ProcessState::AwaitingGroup,
            State::Delaying => ProcessState::Delaying,
            State::Working => ProcessState::Working,
        }
    }
}
