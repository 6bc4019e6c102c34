//! The process server: teams and processes made, ended, listed and changed.

use abi::kernel::priority;
use abi::kernel::process::{
    AlienDestroyed, AlienSent, CreateProcess, CreateTeam, Destroyed, ExceptionServerSet, Identified, NameSet,
    NetworkServerSet, Prepared, PrioritySet, Process, ProcessCreated, ProcessQueried, ProcessesQueried,
    RegistersRead, RegistersWritten, Resumed, SetExceptionServer, SetPriority, Suspended, TeamAdopted,
    TeamCreated, Yielded,
};
use abi::kernel::record::{AlienRecord, ProcessRecord, ProcessState, RegisterRecord};
use abi::protocol::Reply;
use abi::{Error, Message, Pid, Rights};

use crate::birth::TeamDescription;
use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex};
use crate::process::{Flags, Kind, NOBODY, State};
use crate::request::Answer;

/// Answers one request.
#[inline(never)]
pub(crate) fn request<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: ProcessIndex,
    message: &Message,
) -> Result<Answer, Error> {
    match Process::from_message(message).ok_or(Error::BadRequest)? {
        Process::CreateTeam(create) => create_team(kernel, caller, &create),
        Process::CreateProcess(create) => create_process(kernel, caller, &create),
        Process::Prepare(prepare) => {
            let process = find_newborn(kernel, caller, prepare.process)?;
            let registers = &mut kernel.processes[process].registers;
            registers.instruction = prepare.instruction;
            registers.stack = prepare.stack;
            Ok(Answer::reply(&Prepared {}))
        }
        Process::Destroy(destroy) => {
            let process = kernel.find_controlled(caller, destroy.process)?;
            kernel.destroy(process, destroy.status);
            Ok(if_it_goes_on(kernel, caller, &Destroyed {}))
        }
        Process::QueryProcesses(query) => query_processes(kernel, caller, query.index),
        Process::QueryProcess(query) => {
            let process = kernel.find_listed(caller, query.process)?;
            let record = kernel.record(process).to_bytes();
            with_record(kernel, caller, &ProcessQueried {}, &record)
        }
        Process::Suspend(suspend) => {
            let process = kernel.find_controlled(caller, suspend.process)?;
            kernel.suspend(process);
            Ok(Answer::reply(&Suspended {}))
        }
        Process::Resume(resume) => {
            let process = kernel.find_controlled(caller, resume.process)?;
            kernel.resume(process)?;
            Ok(Answer::reply(&Resumed {}))
        }
        Process::SetPriority(set) => set_priority(kernel, caller, &set),
        Process::SetName(set) => {
            let process = kernel.find_controlled(caller, set.process)?;
            kernel.processes[process].name = [set.first_bytes, set.last_bytes];
            Ok(Answer::reply(&NameSet {}))
        }
        Process::SetExceptionServer(set) => set_exception_server(kernel, caller, &set),
        Process::GrantDevice(grant) => kernel.grant_device(caller, &grant),
        Process::Identify(identify) => {
            let process = kernel.find_sender(caller, identify.process)?;
            let team = kernel.team(kernel.processes[process].team);
            Ok(Answer::reply(&Identified {
                team: kernel.processes[team.root].pid,
                owner: team.owner,
                user: team.user,
                rights: team.rights,
            }))
        }
        Process::ReadRegisters(read) => {
            let process = find_excepted(kernel, caller, read.process)?;
            let record = kernel.machine.full_registers(process).to_bytes();
            with_record(kernel, caller, &RegistersRead {}, &record)
        }
        Process::WriteRegisters(write) => {
            let process = find_excepted(kernel, caller, write.process)?;
            let mut bytes = [0; RegisterRecord::BYTES];
            kernel.read_request_segment(caller, &mut bytes)?;
            let record = RegisterRecord::from_bytes(&bytes);
            kernel.machine.set_full_registers(process, &record);
            Ok(Answer::reply(&RegistersWritten {}))
        }
        Process::Yield(_) => {
            kernel.rotate();
            Ok(Answer::reply(&Yielded {}))
        }
        Process::BecomeNetworkServer(_) => {
            kernel.become_network_server(caller)?;
            Ok(Answer::reply(&NetworkServerSet { former: kernel.former_network_servers }))
        }
        Process::SendAlien(_) => {
            let mut bytes = [0; AlienRecord::BYTES];
            kernel.read_request_segment(caller, &mut bytes)?;
            kernel.send_alien(caller, &AlienRecord::from_bytes(&bytes))?;
            Ok(if_it_goes_on(kernel, caller, &AlienSent {}))
        }
        Process::DestroyAlien(destroy) => {
            kernel.destroy_alien(caller, destroy.client, destroy.cookie)?;
            Ok(Answer::reply(&AlienDestroyed {}))
        }
        Process::AdoptTeam(adopt) => {
            kernel.need_right(caller, Rights::CREATE_FOR_OTHERS)?;
            let team = kernel.find_team(caller, adopt.team)?;
            if kernel.is_alive(kernel.team(team).owner) {
                return Err(Error::NoPermission);
            }
            let pid = kernel.processes[caller].pid;
            kernel.team_mut(team).owner = pid;
            Ok(Answer::reply(&TeamAdopted {}))
        }
    }
}

/// The reply, unless the caller has just ended.
fn if_it_goes_on<M: Machine>(kernel: &Kernel<M>, caller: ProcessIndex, reply: &impl Reply) -> Answer {
    match kernel.processes[caller].state {
        State::Free | State::Working => Answer::Later,
        _ => Answer::reply(reply),
    }
}

fn create_team<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: ProcessIndex,
    create: &CreateTeam,
) -> Result<Answer, Error> {
    let own = kernel.team(kernel.processes[caller].team);
    let mut others = create.user != own.user || create.rights != Rights::NONE;
    let limit = |asked: u32, own: u32| if asked == 0 { own } else { asked };
    let pages = limit(create.quota_pages, own.pages.limit);
    let processes = limit(create.quota_processes, own.processes.limit);
    others |= pages > own.pages.limit || processes > own.processes.limit;
    if (others && !own.rights.contains(Rights::CREATE_FOR_OTHERS)) || !own.rights.contains(create.rights) {
        return Err(Error::NoPermission);
    }
    let priority = legal_priority(kernel, caller, create.priority, own.priority)?;
    let description =
        TeamDescription { user: create.user, rights: create.rights, priority, pages, processes };
    let team = kernel.create_team(caller, &description)?;
    let root = kernel.team(team).root;
    Ok(Answer::reply(&TeamCreated { team: kernel.processes[root].pid }))
}

fn create_process<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: ProcessIndex,
    create: &CreateProcess,
) -> Result<Answer, Error> {
    let own = &kernel.processes[caller];
    let team = own.team;
    let asked = match create.priority {
        priority::OWN => u32::from(own.own_priority),
        other => other,
    };
    let priority = legal_priority(kernel, caller, asked, kernel.team(team).priority)?;
    let process = kernel.create_process(team, caller, priority)?;
    let registers = &mut kernel.processes[process].registers;
    registers.instruction = create.instruction;
    registers.stack = create.stack;
    Ok(Answer::reply(&ProcessCreated { process: kernel.processes[process].pid }))
}

/// A priority that the caller may give where `most_urgent` is the limit without the right to more.
fn legal_priority<M: Machine>(
    kernel: &Kernel<M>,
    caller: ProcessIndex,
    asked: u32,
    most_urgent: u8,
) -> Result<u8, Error> {
    if asked >= u32::from(priority::COUNT) {
        return Err(Error::BadArgument);
    }
    if asked < u32::from(most_urgent) {
        kernel.need_right(caller, Rights::HIGH_PRIORITY)?;
    }
    Ok(asked as u8)
}

fn set_priority<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: ProcessIndex,
    set: &SetPriority,
) -> Result<Answer, Error> {
    let process = kernel.find_controlled(caller, set.process)?;
    let team = kernel.team(kernel.processes[process].team);
    let priority = legal_priority(kernel, caller, set.priority, team.priority)?;
    kernel.processes[process].own_priority = priority;
    kernel.update_priority(process);
    Ok(Answer::reply(&PrioritySet {}))
}

fn set_exception_server<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: ProcessIndex,
    set: &SetExceptionServer,
) -> Result<Answer, Error> {
    let team = kernel.find_team(caller, set.team)?;
    kernel.may_control(caller, kernel.team(team).root)?;
    if !set.server.is_none() {
        let server = kernel.find_process(caller, set.server)?;
        // It will see the memory of those teams.
        if kernel.processes[server].user != kernel.processes[caller].user {
            kernel.need_right(caller, Rights::CONTROL_OTHERS)?;
        }
        if kernel.processes[server].user != kernel.team(team).user {
            kernel.need_right(server, Rights::EXCEPTION_SERVER)?;
        }
    }
    kernel.team_mut(team).exception_server = set.server;
    Ok(Answer::reply(&ExceptionServerSet {}))
}

fn find_newborn<M: Machine>(
    kernel: &Kernel<M>,
    caller: ProcessIndex,
    pid: Pid,
) -> Result<ProcessIndex, Error> {
    let index = kernel.find_receiver(pid)?;
    let process = &kernel.processes[index];
    if process.flags.has(Flags::NEWBORN) && process.partner == caller {
        Ok(index)
    } else {
        Err(Error::NotAwaitingReply)
    }
}

/// A process whose exception the caller has received.
fn find_excepted<M: Machine>(
    kernel: &Kernel<M>,
    caller: ProcessIndex,
    pid: Pid,
) -> Result<ProcessIndex, Error> {
    let index = kernel.find_receiver(pid)?;
    let process = &kernel.processes[index];
    if process.flags.has(Flags::EXCEPTION)
        && process.state == State::AwaitingReply
        && process.partner == caller
    {
        Ok(index)
    } else {
        Err(Error::NotAwaitingReply)
    }
}

fn query_processes<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: ProcessIndex,
    from: u32,
) -> Result<Answer, Error> {
    let grant = kernel.processes[caller].grant();
    let capacity = grant.bytes() / ProcessRecord::BYTES as u64;
    let capacity = capacity.min(RECORDS_PER_REQUEST) as u32;
    if capacity == 0 {
        return Err(Error::TooLong);
    }
    let total = u32::from(kernel.processes.count());
    let mut index = from.max(u32::from(abi::kernel::FIRST_PROCESS_INDEX));
    let (mut count, mut bytes) = (0, 0);
    while index < total && count < capacity {
        if kernel.processes[index as ProcessIndex].is_program() {
            let record = kernel.record(index as ProcessIndex).to_bytes();
            kernel.write_reply_segment(caller, bytes, &record)?;
            bytes += record.len() as u64;
            count += 1;
        }
        index += 1;
    }
    let next = if index < total { index } else { 0 };
    Ok(Answer::with_segment(&ProcessesQueried { count, next }, bytes))
}

/// Records written in one go, so that a request stays short.
const RECORDS_PER_REQUEST: u64 = 64;

/// A reply with a record in the caller's segment.
fn with_record<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: ProcessIndex,
    reply: &impl Reply,
    record: &[u8],
) -> Result<Answer, Error> {
    kernel.write_reply_segment(caller, 0, record)?;
    Ok(Answer::with_segment(reply, record.len() as u64))
}

impl<M: Machine> Kernel<M> {
    /// Stops a process until it is resumed.
    fn suspend(&mut self, index: ProcessIndex) {
        if !self.processes[index].flags.has(Flags::SUSPENDED) {
            self.stop(index);
        }
    }

    /// Lets a suspended process run and receive again.
    fn resume(&mut self, index: ProcessIndex) -> Result<(), Error> {
        let process = &mut self.processes[index];
        if !process.flags.has(Flags::SUSPENDED) {
            return Ok(());
        }
        let (team, state) = (process.team, process.state);
        if self.team(team).ending {
            return Err(Error::StaleProcess);
        }
        self.processes[index].flags.clear(Flags::SUSPENDED);
        match state {
            State::Ready | State::Working => self.ready.push_back(&mut self.processes, index),
            _ => self.receive_again(index),
        }
        Ok(())
    }

    /// A program's process, also one that has ended and has not been forgotten.
    fn find_listed(&self, caller: ProcessIndex, pid: Pid) -> Result<ProcessIndex, Error> {
        if pid.is_none() {
            return self.own(caller);
        }
        let index = self.processes.find(pid)?;
        if !self.processes[index].is_program() {
            return Err(Error::NonexistentProcess);
        }
        Ok(index)
    }

    /// A program's process, or what a message to a group comes from: that is its sender's team's.
    fn find_sender(&self, caller: ProcessIndex, pid: Pid) -> Result<ProcessIndex, Error> {
        match self.processes.find(pid) {
            Ok(index) if self.processes[index].kind == Kind::Copy => Ok(index),
            _ => self.find_listed(caller, pid),
        }
    }

    /// What is told of a process.
    fn record(&self, index: ProcessIndex) -> ProcessRecord {
        let process = &self.processes[index];
        let team = self.team(process.team);
        let waits_on = match process.state {
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
            run_ns: process.run_ns,
            received: process.received,
            queued,
            since_ns: process.since_ns,
            team_pages: u64::from(team.pages.used),
            name_first: process.name[0],
            name_last: process.name[1],
        }
    }

    fn state_number(&self, index: ProcessIndex) -> ProcessState {
        let process = &self.processes[index];
        let flags = process.flags;
        if flags.has(Flags::ENDED) {
            return ProcessState::Ended;
        }
        if flags.has(Flags::EXCEPTION) {
            return ProcessState::Exception;
        }
        if flags.has(Flags::NEWBORN) {
            return ProcessState::Newborn;
        }
        match process.state {
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
