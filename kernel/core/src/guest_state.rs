//! The state of a frozen guest's processes, told to another kernel and taken from one: `abi::kernel::team_state`.
//!
//! What is taken is an allegation, and each part is checked before anything is made of it. A team that is to be made of a
//! state that is refused ends, with all that was made of it, before anything in it has run.

use abi::call::{Receive, Send};
use abi::kernel::priority;
use abi::kernel::process::{TeamRead, TeamWritten};
use abi::kernel::record::{MembershipRecord, RegisterRecord};
use abi::kernel::team_state::{
    MOST_PROCESSES, MOST_VECTOR_BYTES, MovedProcessRecord, StandingRecord, TeamStateRecord, VERSION, activity,
};
use abi::kernel::well_known_group::FIRST_DYNAMIC_NUMBER;
use abi::{Error, LogicalHost, Pid, Rights, UserId};

use crate::group::{MEMBERSHIPS_PER_PROCESS, Membership};
use crate::kernel::Kernel;
use crate::machine::{Machine, ProcessIndex, Resume};
use crate::paging::Wait;
use crate::process::{Flags, Kind, NOBODY, Process, State};
use crate::request::Answer;
use crate::team::TeamIndex;
use crate::{Result, ensure};

const HEAD_BYTES: u64 = TeamStateRecord::BYTES as u64;
const PROCESS_BYTES: u64 = MovedProcessRecord::BYTES as u64;
const REGISTER_BYTES: u64 = RegisterRecord::BYTES as u64;
/// The activity without its bits.
const ACTIVITY: u64 = 0xffff_ffff;

impl<M: Machine> Kernel<M> {
    pub(crate) fn read_team(&mut self, caller: ProcessIndex, pid: Pid) -> Result<Answer> {
        let team = self.find_guest(caller, pid)?;
        ensure(self.team(team).frozen, Error::BadArgument)?;
        ensure(!self.processes.is_away(self.team(team).host), Error::ProcessElsewhere)?;
        self.check_movable(team)?;
        self.take_back_sends(team);
        let (root, host) = (self.team(team).root, self.team(team).host);
        let vector_bytes = self.machine.vector_state(root).len() as u64;
        let now = self.read_clock();
        let head = TeamStateRecord {
            version: VERSION,
            host: host.to_bits().into(),
            next_number: self.processes.guest(host).map_or(0, |guest| guest.next_number).into(),
            clock_ns: self.own_time(root, now),
            aliens: self.processes.iter().filter(|(_, alien)| self.is_for(alien, team)).count() as u64,
            memberships: self.members(team).map(|member| u64::from(self.processes[member].memberships)).sum(),
            processes: self.members(team).count() as u64,
            vector_bytes,
        };
        let interrupted = self.members(team).filter(|member| self.is_interrupted(*member)).count() as u64;
        let bytes = HEAD_BYTES
            + head.aliens * StandingRecord::BYTES as u64
            + head.memberships * MembershipRecord::BYTES as u64
            + head.processes * PROCESS_BYTES
            + interrupted * (REGISTER_BYTES + vector_bytes);
        let reply = TeamRead { bytes: bytes as u32 };
        if self.processes[caller].grant().bytes() < bytes {
            return Ok(Answer::reply(&reply));
        }
        let mut at = 0;
        self.put(caller, &mut at, &head.to_bytes())?;
        for slot in 0..self.processes.count() {
            let alien = &self.processes[slot];
            if alien.state != State::Free && self.is_for(alien, team) {
                let record = StandingRecord {
                    client: alien.registers.pid,
                    transaction: alien.transaction.into(),
                    receiver: self.processes[alien.partner].pid.to_bits(),
                    forwarder: alien.forwarder.to_bits(),
                    was_received: u64::from(alien.state == State::AwaitingReply),
                    ..StandingRecord::default()
                };
                let record = record.with_message(alien.registers.message);
                self.put(caller, &mut at, &record.to_bytes())?;
            }
        }
        for row in 0..self.groups.rows().len() {
            let Membership { group, process, .. } = self.groups.rows()[row];
            if !group.is_none() && self.processes[process].team == team {
                let record = self.membership_record(row);
                self.put(caller, &mut at, &record.to_bytes())?;
            }
        }
        let mut next = Some(root);
        while let Some(member) = next {
            self.put_process(caller, &mut at, member)?;
            next = self.next_member(member);
        }
        debug_assert_eq!(at, bytes);
        self.processes.set_away(host, true);
        // What is sent to its groups from now on is for where it goes.
        let mut next = Some(root);
        while let Some(member) = next {
            self.leave_groups(member);
            next = self.next_member(member);
        }
        Ok(Answer::with_segment(&reply, bytes))
    }

    /// Whether a slot is an alien that waits for a process of a team.
    fn is_for(&self, alien: &Process<M::Space>, team: TeamIndex) -> bool {
        alien.kind == Kind::Alien
            && !alien.flags.has(Flags::REMOTE)
            && matches!(alien.state, State::Sending | State::AwaitingReply)
            && self.processes[alien.partner].team == team
    }

    fn put(&mut self, caller: ProcessIndex, at: &mut u64, bytes: &[u8]) -> Result<()> {
        self.write_reply_segment(caller, *at, bytes)?;
        *at += bytes.len() as u64;
        Ok(())
    }

    fn is_interrupted(&self, index: ProcessIndex) -> bool {
        let process = &self.processes[index];
        process.state == State::Ready && process.resume == Resume::Full
    }

    fn put_process(&mut self, caller: ProcessIndex, at: &mut u64, member: ProcessIndex) -> Result<()> {
        let record = self.moved_record(member).to_bytes();
        self.put(caller, at, &record)?;
        if self.is_interrupted(member) {
            let registers = self.machine.full_registers(member).to_bytes();
            self.put(caller, at, &registers)?;
            let mut vector = [0; MOST_VECTOR_BYTES];
            let state = self.machine.vector_state(member);
            let bytes = state.len();
            vector[..bytes].copy_from_slice(state);
            self.put(caller, at, &vector[..bytes])?;
        }
        Ok(())
    }

    /// What is told of a process that is settled.
    fn moved_record(&self, index: ProcessIndex) -> MovedProcessRecord {
        let process = &self.processes[index];
        let (mut registers, mut usage) = (process.registers, process.usage);
        let mut partner = Pid::NONE;
        let mut activity = match process.state {
            State::Ready if process.resume == Resume::Full => activity::INTERRUPTED,
            State::Ready => activity::RETURNS,
            State::Delaying => activity::DELAYS,
            State::AwaitingReply if process.flags.has(Flags::REMOTE) => activity::AWAITS_ELSEWHERE,
            State::AwaitingReply => {
                partner = self.processes[process.partner].pid;
                activity::AWAITS_PARTNER
            }
            state => {
                match state {
                    // It may have come there by a ReplyReceive.
                    State::Receiving => (registers.number, registers.pid) = (Receive::NUMBER, 0),
                    State::ReceivingFrom => registers.number = Receive::NUMBER,
                    // It may have been forwarded there, and is sent again.
                    State::Sending => {
                        registers.pid = self.processes[process.partner].pid.to_bits();
                        usage.sent -= 1;
                    }
                    _ => {}
                }
                activity::CALLS
            }
        };
        activity |= if process.stays_suspended { activity::SUSPENDED_BIT } else { 0 };
        activity |= if process.flags.has(Flags::NEWBORN) { activity::NEWBORN_BIT } else { 0 };
        let is_delaying = process.state == State::Delaying;
        let (alarm_ns, alarm_tag) = self.moved_alarm(process.alarm);
        let record = MovedProcessRecord {
            pid: process.pid.to_bits(),
            activity,
            partner: partner.to_bits(),
            forwarder: process.forwarder.to_bits(),
            transaction: process.transaction.into(),
            priority: process.own_priority.into(),
            name_first: process.name[0],
            name_last: process.name[1],
            deadline_ns: if is_delaying { self.own_time(index, process.deadline_ns) } else { 0 },
            alarm_ns,
            alarm_tag,
            ..MovedProcessRecord::from(&usage)
        };
        record.with_registers(&registers)
    }

    /// When an alarm comes, and its tag. One that came and was not received comes again.
    fn moved_alarm(&self, alarm: ProcessIndex) -> (u64, u64) {
        if alarm == NOBODY {
            return (0, 0);
        }
        let slot = &self.processes[alarm];
        let at_ns = match slot.state {
            State::Sending => 1,
            _ if slot.flags.has(Flags::TIMED) => self.own_time(alarm, slot.deadline_ns).max(1),
            _ => 0,
        };
        (at_ns, slot.extra.value.into())
    }

    pub(crate) fn write_team(&mut self, caller: ProcessIndex, pid: Pid) -> Result<Answer> {
        if caller != self.network_server {
            self.need_right(caller, Rights::CREATE_FOR_OTHERS)?;
        }
        let team = self.find_team(caller, pid)?;
        let (root, host) = (self.team(team).root, self.team(team).host);
        if host != LogicalHost::OWN && self.team(team).frozen {
            // It does not move after all.
            let head = TeamStateRecord::from_bytes(&self.get(caller, 0)?);
            ensure(head.version == VERSION && head.host == u64::from(host.to_bits()), Error::BadArgument)?;
            self.take_memberships(caller, team, &head)?;
            self.processes.set_away(host, false);
            return Ok(Answer::reply(&TeamWritten { team: pid }));
        }
        ensure(self.processes[root].flags.has(Flags::NEWBORN), Error::NotAwaitingReply)?;
        let is_bare = self.processes[root].team_previous == NOBODY
            && self.team(team).host == LogicalHost::OWN
            && self.team(team).rights == Rights::NONE;
        ensure(is_bare, Error::NotMovable)?;
        if let Err(error) = self.take_state(caller, team) {
            // Its end is that of who was to be a guest.
            self.processes.forget_guest(root);
            self.processes[root].pid = pid;
            self.team_mut(team).host = LogicalHost::OWN;
            self.destroy_team(team, abi::notice::STATUS_KILLED);
            return Err(error);
        }
        Ok(Answer::reply(&TeamWritten { team: self.processes[root].pid }))
    }

    fn get<const BYTES: usize>(&mut self, caller: ProcessIndex, at: u64) -> Result<[u8; BYTES]> {
        let mut bytes = [0; BYTES];
        self.read_segment_at(caller, at, &mut bytes)?;
        Ok(bytes)
    }

    /// Makes a team of a state.
    fn take_state(&mut self, caller: ProcessIndex, team: TeamIndex) -> Result<()> {
        let root = self.team(team).root;
        let head = TeamStateRecord::from_bytes(&self.get(caller, 0)?);
        let vector_bytes = self.machine.vector_state(root).len() as u64;
        ensure(head.version == VERSION && head.vector_bytes == vector_bytes, Error::NotMovable)?;
        let is_sound = (1..=MOST_PROCESSES as u64).contains(&head.processes)
            && head.memberships <= head.processes * u64::from(MEMBERSHIPS_PER_PROCESS)
            && head.aliens <= self.processes.count().into()
            && (u64::from(Pid::FIRST_GUEST_NUMBER)..=1 << 31).contains(&head.next_number)
            && head.clock_ns < 1 << 62;
        ensure(is_sound, Error::BadArgument)?;
        let host = u32::try_from(head.host).map_err(|_| Error::BadArgument)?;
        let host = Some(LogicalHost::from_bits(host)).filter(|known| known.to_bits() == host);
        let host = host.ok_or(Error::BadArgument)?;
        self.processes.add_guest(root, host, head.next_number as u32)?;
        self.leave_state(root);
        for _ in 1..head.processes {
            let process = self.create_process(team, NOBODY, self.team(team).priority)?;
            self.processes[process].state = State::Idle;
        }
        let ahead_ns = head.clock_ns.wrapping_sub(self.read_clock()).cast_signed();
        let slot = self.team_mut(team);
        (slot.host, slot.frozen, slot.clock_offset_ns) = (host, true, ahead_ns);
        // First they get their pids, by which one awaits the other.
        for is_named in [false, true] {
            let mut at = memberships_at(&head) + head.memberships * MembershipRecord::BYTES as u64;
            let mut next = Some(root);
            while let Some(index) = next {
                let record = MovedProcessRecord::from_bytes(&self.get(caller, at)?);
                if is_named {
                    self.make_process(index, &record)?;
                } else {
                    self.name_process(index, Pid::from_bits(record.pid), host, head.next_number)?;
                }
                at += PROCESS_BYTES;
                if record.activity & ACTIVITY == activity::INTERRUPTED {
                    self.take_interrupted(caller, index, at, vector_bytes as usize)?;
                    at += REGISTER_BYTES + vector_bytes;
                }
                next = self.next_member(index);
            }
        }
        self.take_memberships(caller, team, &head)
    }

    /// Gives a process the pid that is told, if it may have it.
    fn name_process(&mut self, index: ProcessIndex, pid: Pid, host: LogicalHost, end: u64) -> Result<()> {
        let number = pid.guest_number();
        let is_its = pid == Pid::guest(host, number)
            && (Pid::FIRST_GUEST_NUMBER..end as u32).contains(&number)
            && self.processes.find(pid).is_err();
        ensure(is_its, Error::BadArgument)?;
        self.processes[index].pid = pid;
        Ok(())
    }

    /// Checks what one process is to be and do. Whom it awaits, or nobody.
    fn check_process(&self, index: ProcessIndex, record: &MovedProcessRecord) -> Result<ProcessIndex> {
        let process = &self.processes[index];
        let partner = self.processes.find(Pid::from_bits(record.partner)).unwrap_or(NOBODY);
        let is_newborn = record.activity & activity::NEWBORN_BIT != 0;
        let (is_sound, awaits) = match record.activity & ACTIVITY {
            activity::INTERRUPTED | activity::RETURNS | activity::CALLS | activity::DELAYS => {
                (!is_newborn, NOBODY)
            }
            activity::AWAITS_ELSEWHERE => {
                ensure(self.network_server != NOBODY, Error::NoNetwork)?;
                let is_elsewhere = Pid::from_bits(record.register_pid).is_elsewhere(process.pid.host());
                let is_send = record.number == Send::NUMBER && record.is_accepted_send();
                (!is_newborn && is_send && is_elsewhere, self.network_server)
            }
            activity::AWAITS_PARTNER => {
                let is_other =
                    partner != NOBODY && partner != index && self.processes[partner].team == process.team;
                let is_root = self.team(process.team).root == index;
                (is_other && record.is_accepted_send() && !(is_newborn && is_root), partner)
            }
            _ => (false, NOBODY),
        };
        let bits = record.activity & !(ACTIVITY | activity::SUSPENDED_BIT | activity::NEWBORN_BIT);
        let most_urgent = u64::from(self.team(process.team).priority);
        let is_legal = (most_urgent..priority::COUNT.into()).contains(&record.priority);
        ensure(is_sound && is_legal && bits == 0, Error::BadArgument)?;
        Ok(awaits)
    }

    /// Takes what an interrupted process had in its registers.
    fn take_interrupted(
        &mut self,
        caller: ProcessIndex,
        index: ProcessIndex,
        at: u64,
        vector_bytes: usize,
    ) -> Result<()> {
        let registers = RegisterRecord::from_bytes(&self.get(caller, at)?);
        let mut vector = [0; MOST_VECTOR_BYTES];
        let state = vector.get_mut(..vector_bytes).ok_or(Error::NotMovable)?;
        self.read_segment_at(caller, at + REGISTER_BYTES, state)?;
        self.machine.set_full_registers(index, &registers);
        ensure(self.machine.set_vector_state(index, state), Error::NotMovable)
    }

    /// Lets the processes of a team be in the groups that a state tells.
    fn take_memberships(
        &mut self,
        caller: ProcessIndex,
        team: TeamIndex,
        head: &TeamStateRecord,
    ) -> Result<()> {
        ensure(head.aliens <= self.processes.count().into(), Error::BadArgument)?;
        let mut at = memberships_at(head);
        for _ in 0..head.memberships {
            let record = MembershipRecord::from_bytes(&self.get(caller, at)?);
            let (group, process) = (record.group(), self.processes.find(record.member())?);
            let is_sound = self.processes[process].team == team
                && group.is_group()
                && group.group_number() >= FIRST_DYNAMIC_NUMBER;
            ensure(is_sound, Error::BadArgument)?;
            self.add_member(group, UserId(record.user as u32), process)?;
            at += MembershipRecord::BYTES as u64;
        }
        Ok(())
    }

    /// Makes a slot in no list the process that a record tells.
    fn make_process(&mut self, index: ProcessIndex, record: &MovedProcessRecord) -> Result<()> {
        let awaits = self.check_process(index, record)?;
        // The machine knows what a program may have in these.
        let given = RegisterRecord {
            rip: record.instruction,
            rsp: record.stack,
            rflags: record.flags,
            ..RegisterRecord::default()
        };
        self.machine.set_full_registers(index, &given);
        let given = self.machine.full_registers(index);
        let process = &mut self.processes[index];
        process.registers = record.registers();
        process.registers.set_place(&given);
        process.own_priority = record.priority as u8;
        process.priority = process.own_priority.min(process.waiters.most_urgent());
        process.name = [record.name_first, record.name_last];
        process.usage = record.usage();
        process.transaction = record.transaction as u32;
        process.stays_suspended = record.activity & activity::SUSPENDED_BIT != 0;
        process.flags = Flags::SUSPENDED;
        if awaits != NOBODY || record.activity & ACTIVITY == activity::CALLS {
            process.forwarder = Pid::from_bits(record.forwarder);
        }
        match record.activity & ACTIVITY {
            activity::INTERRUPTED | activity::RETURNS => process.state = State::Ready,
            activity::DELAYS => process.state = State::Delaying,
            activity::CALLS => (process.state, process.wait) = (State::Working, Wait::Call),
            _ => {
                if record.activity & activity::NEWBORN_BIT != 0 {
                    process.flags.set(Flags::NEWBORN);
                } else if record.activity & ACTIVITY == activity::AWAITS_ELSEWHERE {
                    process.flags.set(Flags::REMOTE);
                }
                process.state = State::AwaitingReply;
                process.partner = awaits;
                self.begin_waiting(index, awaits);
            }
        }
        let process = &mut self.processes[index];
        if record.activity & ACTIVITY == activity::INTERRUPTED {
            process.resume = Resume::Full;
        }
        if process.state == State::Delaying {
            self.set_own_deadline(index, record.deadline_ns);
        }
        if record.alarm_ns != 0 {
            self.set_alarm(index, record.alarm_ns, record.alarm_tag as u32)?;
        }
        Ok(())
    }
}

/// Where a state tells memberships.
fn memberships_at(head: &TeamStateRecord) -> u64 {
    HEAD_BYTES + head.aliens * StandingRecord::BYTES as u64
}
