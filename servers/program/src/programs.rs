//! Which programs run, which have ended, and who waits for whom.
//!
//! Pure bookkeeping. A program is remembered while it runs, and after its end until its starter has asked for its
//! status or has itself ended; of ended programs that nobody asks for, a user keeps [`MOST_UNCLAIMED`] at most.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use abi::kernel::record::UsageRecord;
use abi::notice::STATUS_EXCEPTION;
use abi::{Error, Pid, UserId};
use protocols::program::ProgramRecord;
use protocols::program::program::ProgramEnded;

/// Most ended programs that are kept for a user; of more, those that ended first are forgotten.
pub const MOST_UNCLAIMED: usize = 256;

/// An open stream: who serves it, and which instance it is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stream {
    /// The server.
    pub server: Pid,
    /// The instance.
    pub instance: u32,
}

/// A job: whose, and which of its.
pub type Job = (Pid, u32);

/// How long a job that was ended is remembered, for programs that are about to be started.
const MEMORY_NS: u64 = 10_000_000_000;
/// Most of these.
const MOST_ENDED_JOBS: usize = 64;

/// A program that was started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// Whose it is.
    pub user: UserId,
    /// The team that started it, and may wait for it. Of a program that an earlier manager started it is not known:
    /// the first of its user's teams that waits for it is taken for it.
    pub starter: Option<Pid>,
    /// Whether anybody will wait.
    pub detached: bool,
    /// Its standard error, if it has one.
    pub standard_error: Option<Stream>,
    /// Whether it is a guest.
    pub is_guest: bool,
    /// Since when its starter has yet to let it run.
    pub held_since_ns: Option<u64>,
    /// The first bytes of its name, with zeros at the end.
    pub name: [u8; ProgramRecord::NAME_BYTES],
    /// The jobs that it is of.
    pub jobs: Vec<Job>,
    /// Whether it was stopped.
    pub is_stopped: bool,
}

#[derive(Debug)]
enum State {
    Running { waiter: Option<Waiter> },
    Ended { end: End, order: u64 },
}

/// A process that waits for a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiter {
    /// Which.
    pub pid: Pid,
    /// Whether it wants to be told when the program is stopped.
    pub tells_stop: bool,
    /// Whether it has room to be told what the program did.
    pub has_room: bool,
}

/// How a program ended, and what it did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// How it ended.
    pub ended: ProgramEnded,
    /// What all of its processes did.
    pub usage: UsageRecord,
}

/// What is said of a program that is stopped.
pub const STOPPED: ProgramEnded = ProgramEnded { status: 0, exception: 0, is_stopped: 1 };

/// What a wait comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// It has ended, and is now forgotten.
    Over(End),
    /// It is stopped.
    Stopped,
    /// It runs; the waiter is told later.
    Later,
}

/// The programs, by the pid of their root.
#[derive(Debug, Default)]
pub struct Programs {
    known: BTreeMap<Pid, (Program, State)>,
    /// How many have ended so far.
    ends: u64,
    /// Jobs that were ended: whose user, and until when that is remembered.
    ended_jobs: Vec<(Job, UserId, u64)>,
}

impl Programs {
    /// A program has begun.
    pub fn started(&mut self, pid: Pid, program: Program) {
        let state = State::Running { waiter: None };
        self.known.insert(pid, (program, state));
    }

    /// The program with this root.
    pub fn get(&self, pid: Pid) -> Result<&Program, Error> {
        let (program, _) = self.known.get(&pid).ok_or(Error::NonexistentProcess)?;
        Ok(program)
    }

    /// Whether the program has not ended.
    pub fn is_running(&self, pid: Pid) -> bool {
        matches!(self.known.get(&pid), Some((_, State::Running { .. })))
    }

    /// Those that run, in the order of their pids.
    pub fn running(&self) -> impl Iterator<Item = ProgramRecord> {
        self.known.iter().filter(|(_, (_, state))| matches!(state, State::Running { .. })).map(
            |(pid, (program, _))| ProgramRecord {
                program: *pid,
                starter: program.starter.unwrap_or(Pid::NONE),
                user: program.user,
                is_guest: program.is_guest,
                name: program.name,
            },
        )
    }

    /// Those that run and whose starters have yet to let them: with their starters, and since when.
    pub fn held(&self) -> Vec<(Pid, Pid, u64)> {
        let running = self.known.iter().filter(|(_, (_, state))| matches!(state, State::Running { .. }));
        running
            .filter_map(|(pid, (program, _))| Some((*pid, program.starter?, program.held_since_ns?)))
            .collect()
    }

    /// The user's programs of a job that is to end, which nobody can start any more.
    pub fn end_job(&mut self, job: Job, user: UserId, now_ns: u64) -> Vec<Pid> {
        self.ended_jobs.retain(|(.., until_ns)| *until_ns > now_ns);
        if self.ended_jobs.len() == MOST_ENDED_JOBS {
            self.ended_jobs.remove(0);
        }
        self.ended_jobs.push((job, user, now_ns + MEMORY_NS));
        self.of_job(job, user)
    }

    /// The user's programs of a job that run.
    pub fn of_job(&self, job: Job, user: UserId) -> Vec<Pid> {
        let is_meant = |program: &Program| program.user == user && program.jobs.contains(&job);
        let running = self
            .known
            .iter()
            .filter(|(_, (program, state))| matches!(state, State::Running { .. }) && is_meant(program));
        running.map(|(pid, _)| *pid).collect()
    }

    /// A program was stopped, or goes on. Who waits and wants to know of stops is to be told of one.
    pub fn set_stopped(&mut self, pid: Pid, is_stopped: bool) -> Option<Pid> {
        let (program, state) = self.known.get_mut(&pid)?;
        program.is_stopped = is_stopped;
        match state {
            State::Running { waiter } if is_stopped => {
                waiter.take_if(|waiter| waiter.tells_stop).map(|waiter| waiter.pid)
            }
            _ => None,
        }
    }

    /// Those that were stopped, and who can let them go on.
    pub fn stopped(&self) -> Vec<(Pid, Pid)> {
        let stopped = self.known.iter().filter(|(_, (program, _))| program.is_stopped);
        stopped.filter_map(|(pid, (program, _))| Some((*pid, program.starter?))).collect()
    }

    /// Whether a user's program of some jobs comes too late.
    pub fn is_of_ended_job(&self, jobs: &[Job], user: UserId, now_ns: u64) -> bool {
        self.ended_jobs
            .iter()
            .any(|(job, whose, until_ns)| *whose == user && *until_ns > now_ns && jobs.contains(job))
    }

    /// A program's starter has let it run.
    pub fn was_let_go(&mut self, pid: Pid) {
        if let Some((program, _)) = self.known.get_mut(&pid) {
            program.held_since_ns = None;
        }
    }

    /// `waiter`, a process of `user`'s `team`, wants to know how the program ends. If it waits already, its first request
    /// was cut off on its way here from another node.
    pub fn wait(&mut self, pid: Pid, waiter: Waiter, team: Pid, user: UserId) -> Result<Wait, Error> {
        let (program, state) = self.known.get_mut(&pid).ok_or(Error::NonexistentProcess)?;
        if program.user != user || *program.starter.get_or_insert(team) != team || program.detached {
            return Err(Error::NoPermission);
        }
        match state {
            State::Running { waiter: Some(other) } if other.pid != waiter.pid => Err(Error::Busy),
            State::Running { .. } if program.is_stopped && waiter.tells_stop => Ok(Wait::Stopped),
            State::Running { waiter: place } => {
                *place = Some(waiter);
                Ok(Wait::Later)
            }
            State::Ended { end, .. } => {
                let end = *end;
                self.known.remove(&pid);
                Ok(Wait::Over(end))
            }
        }
    }

    /// Whether somebody wants to know what the program did, or may yet.
    pub fn is_usage_wanted(&self, pid: Pid) -> bool {
        match self.known.get(&pid) {
            Some((program, State::Running { waiter })) => {
                waiter.map_or(!program.detached, |waiter| waiter.has_room)
            }
            _ => false,
        }
    }

    /// The program has ended. Whoever waits for it, to be told so.
    pub fn ended(&mut self, pid: Pid, end: End) -> Option<Waiter> {
        let (program, state) = self.known.get_mut(&pid)?;
        let State::Running { waiter } = *state else {
            return None;
        };
        let user = program.user;
        if waiter.is_some() || program.detached {
            self.known.remove(&pid);
            return waiter;
        }
        *state = State::Ended { end, order: self.ends };
        self.ends += 1;
        self.forget_surplus(user);
        None
    }

    /// The program has left for another node. Whoever waits for it, to be sent there.
    pub fn left(&mut self, pid: Pid) -> Option<Waiter> {
        match self.known.remove(&pid)? {
            (_, State::Running { waiter }) => waiter,
            (_, State::Ended { .. }) => None,
        }
    }

    /// Forgets the user's program that ended first if there are too many.
    fn forget_surplus(&mut self, user: UserId) {
        let unclaimed = || {
            self.known.iter().filter_map(|(pid, (program, state))| match state {
                State::Ended { order, .. } if program.user == user => Some((*order, *pid)),
                _ => None,
            })
        };
        if unclaimed().count() > MOST_UNCLAIMED
            && let Some((_, oldest)) = unclaimed().min()
        {
            self.known.remove(&oldest);
        }
    }

    /// Forgets ended programs whose starters have ended. `has_ended` is asked once for each starter.
    pub fn forget_orphans(&mut self, mut has_ended: impl FnMut(Pid) -> bool) {
        let mut starters: Vec<Pid> = self
            .known
            .values()
            .filter(|(_, state)| matches!(state, State::Ended { .. }))
            .filter_map(|(program, _)| program.starter)
            .collect();
        starters.sort_unstable();
        starters.dedup();
        starters.retain(|starter| has_ended(*starter));
        self.known.retain(|_, (program, state)| {
            matches!(state, State::Running { .. })
                || program.starter.is_none_or(|starter| starters.binary_search(&starter).is_err())
        });
    }

    /// Whether there is anything to forget.
    pub fn has_unclaimed(&self) -> bool {
        self.known.values().any(|(_, state)| matches!(state, State::Ended { .. }))
    }
}

/// How a program ended, from the status of its team's end: for an exception, 128 plus the number of the signal that
/// POSIX has for it.
pub fn program_end(status: u32) -> ProgramEnded {
    const VECTORS: u32 = 32;
    const ILLEGAL: u32 = 4;
    const TRAP: u32 = 5;
    const BUS: u32 = 7;
    const ARITHMETIC: u32 = 8;
    const SEGMENT: u32 = 11;
    let Some(vector) = status.checked_sub(STATUS_EXCEPTION).filter(|vector| *vector < VECTORS) else {
        return ProgramEnded { status, exception: 0, is_stopped: 0 };
    };
    let signal = match vector {
        0 | 4 | 16 | 19 => ARITHMETIC,
        1 | 3 => TRAP,
        6 | 7 => ILLEGAL,
        17 => BUS,
        _ => SEGMENT,
    };
    ProgramEnded { status: 128 + signal, exception: vector + 1, is_stopped: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::LogicalHost;
    extern crate std;

    fn pid(number: u32) -> Pid {
        Pid::process(LogicalHost::from_bits(1), (number >> 16) as u16 + 1, number as u16)
    }

    fn program(starter: u32) -> Program {
        Program {
            user: USER,
            starter: Some(pid(starter)),
            detached: false,
            standard_error: None,
            is_guest: false,
            held_since_ns: None,
            name: *b"name............",
            jobs: Vec::new(),
            is_stopped: false,
        }
    }

    fn waiter(number: u32) -> Waiter {
        Waiter { pid: pid(number), tells_stop: false, has_room: true }
    }

    const USER: UserId = UserId(7);
    const USAGE: UsageRecord =
        UsageRecord { run_ns: 1, received: 2, sent: 3, sent_elsewhere: 4, page_faults: 5, page_reads: 6 };
    const END: End = End { ended: ProgramEnded { status: 3, exception: 0, is_stopped: 0 }, usage: USAGE };

    #[test]
    fn a_wait_before_the_end_is_answered_at_the_end() {
        let mut programs = Programs::default();
        programs.started(pid(1), program(9));
        assert_eq!(programs.wait(pid(1), waiter(8), pid(8), USER), Err(Error::NoPermission));
        assert_eq!(programs.wait(pid(1), waiter(8), pid(9), USER), Ok(Wait::Later));
        assert_eq!(programs.wait(pid(1), waiter(7), pid(9), USER), Err(Error::Busy));
        assert_eq!(programs.wait(pid(1), waiter(8), pid(9), USER), Ok(Wait::Later));
        assert!(programs.is_running(pid(1)) && programs.is_usage_wanted(pid(1)));
        assert_eq!(programs.ended(pid(1), END), Some(waiter(8)));
        assert_eq!(programs.ended(pid(1), END), None);
        assert!(!programs.is_usage_wanted(pid(1)));
        assert_eq!(programs.wait(pid(1), waiter(8), pid(9), USER), Err(Error::NonexistentProcess));
    }

    #[test]
    fn an_end_before_the_wait_is_kept_for_one_wait() {
        let mut programs = Programs::default();
        programs.started(pid(1), program(9));
        assert!(programs.is_usage_wanted(pid(1)), "it may be asked for later");
        assert_eq!(programs.ended(pid(1), END), None);
        assert!(!programs.is_running(pid(1)) && programs.has_unclaimed());
        assert_eq!(programs.wait(pid(1), waiter(9), pid(9), USER), Ok(Wait::Over(END)));
        assert!(programs.get(pid(1)).is_err() && !programs.has_unclaimed());
    }

    #[test]
    fn who_waits_first_is_taken_for_the_starter_that_is_not_known() {
        let mut programs = Programs::default();
        programs.started(pid(1), Program { starter: None, ..program(0) });
        assert_eq!(programs.wait(pid(1), waiter(8), pid(9), UserId(8)), Err(Error::NoPermission));
        assert_eq!(programs.wait(pid(1), waiter(8), pid(9), USER), Ok(Wait::Later));
        assert_eq!(programs.wait(pid(1), waiter(7), pid(7), USER), Err(Error::NoPermission));
        assert_eq!(programs.ended(pid(1), END), Some(waiter(8)));
        programs.started(pid(2), Program { starter: None, ..program(0) });
        assert_eq!(programs.ended(pid(2), END), None);
        programs.forget_orphans(|_| true);
        assert_eq!(programs.wait(pid(2), waiter(9), pid(9), USER), Ok(Wait::Over(END)));
    }

    #[test]
    fn a_detached_program_leaves_nothing() {
        let mut programs = Programs::default();
        programs.started(pid(1), Program { detached: true, ..program(9) });
        assert!(!programs.is_usage_wanted(pid(1)));
        assert_eq!(programs.wait(pid(1), waiter(9), pid(9), USER), Err(Error::NoPermission));
        assert_eq!(programs.ended(pid(1), END), None);
        assert!(programs.get(pid(1)).is_err());
    }

    #[test]
    fn orphans_are_forgotten_once_they_have_ended() {
        let mut programs = Programs::default();
        for number in 1..=4 {
            programs.started(pid(number), program(9 + number % 2));
        }
        programs.ended(pid(1), END);
        programs.ended(pid(2), END);
        let mut asked = Vec::new();
        programs.forget_orphans(|starter| {
            asked.push(starter);
            starter == pid(10)
        });
        assert_eq!(asked, [pid(9), pid(10)]);
        assert!(programs.get(pid(1)).is_err() && programs.get(pid(2)).is_ok());
        assert!(programs.is_running(pid(3)));
    }

    #[test]
    fn nobody_can_fill_the_table_with_the_dead() {
        let mut programs = Programs::default();
        for number in 1..=MOST_UNCLAIMED as u32 + 3 {
            programs.started(pid(number), program(9));
            programs.ended(pid(number), END);
        }
        assert_eq!(programs.known.len(), MOST_UNCLAIMED);
        assert!(programs.get(pid(3)).is_err() && programs.get(pid(4)).is_ok());
    }

    #[test]
    fn those_that_run_are_listed_and_those_that_are_held_known() {
        let mut programs = Programs::default();
        programs.started(pid(1), Program { is_guest: true, held_since_ns: Some(5), ..program(9) });
        programs.started(pid(2), program(9));
        programs.started(pid(3), program(9));
        programs.ended(pid(2), END);
        let listed: Vec<_> = programs.running().map(|record| (record.program, record.is_guest)).collect();
        assert_eq!(listed, [(pid(1), true), (pid(3), false)]);
        assert_eq!(programs.held(), [(pid(1), pid(9), 5)]);
        programs.was_let_go(pid(1));
        assert!(programs.held().is_empty());
    }

    #[test]
    fn a_job_ends_with_all_that_is_of_it() {
        let mut programs = Programs::default();
        let (job, inner, other) = ((pid(9), 1), (pid(1), 1), (pid(9), 2));
        programs.started(pid(1), Program { jobs: [job].into(), ..program(9) });
        programs.started(pid(2), Program { jobs: [job, inner].into(), ..program(1) });
        programs.started(pid(3), Program { jobs: [other].into(), ..program(9) });
        programs.started(pid(4), Program { jobs: [job].into(), user: UserId(8), ..program(9) });
        programs.started(pid(5), Program { jobs: [job].into(), ..program(9) });
        programs.ended(pid(5), END);
        assert_eq!(programs.end_job(inner, USER, 0), [pid(2)]);
        assert_eq!(programs.end_job(job, USER, 1), [pid(1), pid(2)]);
        assert!(programs.is_of_ended_job(&[other, job], USER, MEMORY_NS));
        assert!(!programs.is_of_ended_job(&[other], USER, MEMORY_NS));
        assert!(!programs.is_of_ended_job(&[job], UserId(8), MEMORY_NS));
        assert!(!programs.is_of_ended_job(&[job], USER, MEMORY_NS + 1));
    }

    #[test]
    fn who_wants_to_know_of_stops_is_told_and_may_wait_again() {
        let mut programs = Programs::default();
        let job = (pid(9), 1);
        programs.started(pid(1), Program { jobs: [job].into(), ..program(9) });
        programs.started(pid(2), Program { jobs: [job].into(), ..program(1) });
        let shell = Waiter { tells_stop: true, has_room: false, ..waiter(9) };
        assert_eq!(programs.wait(pid(1), shell, pid(9), USER), Ok(Wait::Later));
        assert_eq!(programs.wait(pid(2), waiter(1), pid(1), USER), Ok(Wait::Later));
        assert_eq!(programs.of_job(job, USER), [pid(1), pid(2)]);
        assert!(!programs.is_usage_wanted(pid(1)), "there is no room for it");
        assert_eq!(programs.set_stopped(pid(1), true), Some(pid(9)));
        assert_eq!(programs.set_stopped(pid(2), true), None);
        assert_eq!(programs.stopped(), [(pid(1), pid(9)), (pid(2), pid(1))]);
        assert_eq!(programs.wait(pid(1), shell, pid(9), USER), Ok(Wait::Stopped));
        assert_eq!(programs.set_stopped(pid(1), false), None);
        assert_eq!(programs.wait(pid(1), shell, pid(9), USER), Ok(Wait::Later));
        assert_eq!(programs.ended(pid(1), END), Some(shell));
        assert_eq!(programs.ended(pid(2), END), Some(waiter(1)));
        assert!(programs.stopped().is_empty());
    }

    #[test]
    fn exceptions_look_as_in_a_shell() {
        let end = |status| {
            let end = program_end(status);
            (end.status, end.exception)
        };
        assert_eq!(end(0), (0, 0));
        assert_eq!(end(137), (137, 0));
        assert_eq!(end(STATUS_EXCEPTION + 14), (139, 15));
        assert_eq!(end(STATUS_EXCEPTION), (136, 1));
        assert_eq!(end(STATUS_EXCEPTION + 6), (132, 7));
        assert_eq!(end(STATUS_EXCEPTION + 32), (0x120, 0));
        assert_eq!(end(u32::MAX), (u32::MAX, 0));
    }
}
