//! Stopping the programs of a job, and letting them go on: ^Z, `fg` and `bg`.
//!
//! A program that is stopped is one of which every process is suspended. What they have asked of servers is done all the
//! same, and answered; they take the answers when they go on. Nobody waits for what they would do meanwhile but those who
//! wait for them in any case, as the readers of a pipe.

use abi::kernel::record::ProcessState;
use abi::kernel::{self, process};
use abi::protocol::Reply;
use abi::{Error, Pid, Request};
use protocols::program::program::{ContinueJob, JobContinued, JobStopped, StopJob};
use v::server::Client;
use v::{Segment, message};

use crate::manage::Managing;
use crate::programs::STOPPED;

/// How often a program is looked through for processes that began meanwhile. One that has some more each time is stopped
/// but for these.
const MOST_LOOKS: usize = 8;

impl Managing {
    /// Stops what there is here of a job.
    pub(crate) fn stop_job(&mut self, client: &Client<'_>, stop: StopJob) -> Result<JobStopped, Error> {
        let programs = self.programs.of_job((stop.shell, stop.number), client.user);
        for program in &programs {
            // In a team that is frozen to move all are suspended, and go on where it has moved unless they are told here.
            each_process(*program, |_| true, |process| process::Suspend { process })?;
            for _ in 0..MOST_LOOKS {
                if each_process(*program, |is| !is, |process| process::Suspend { process })? == 0 {
                    break;
                }
            }
        }
        // Who is told goes on, and must find them all stopped.
        for program in &programs {
            if let Some(waiter) = self.programs.set_stopped(*program, true) {
                // A waiter that has ended meanwhile needs no answer.
                let _ = message::reply(waiter, &STOPPED.to_message(), &[]);
            }
        }
        Ok(JobStopped { count: programs.len() as u32 })
    }

    /// Lets it go on.
    pub(crate) fn continue_job(
        &mut self,
        client: &Client<'_>,
        go_on: ContinueJob,
    ) -> Result<JobContinued, Error> {
        let programs = self.programs.of_job((go_on.shell, go_on.number), client.user);
        for program in &programs {
            self.programs.set_stopped(*program, false);
            each_process(*program, |is| is, |process| process::Resume { process })?;
        }
        Ok(JobContinued { count: programs.len() as u32 })
    }
}

/// Whether a process of this node is suspended.
pub(crate) fn is_stopped(process: Pid) -> bool {
    v::process::query(process).is_ok_and(|record| record.state & ProcessState::SUSPENDED_BIT != 0)
}

/// Asks the kernel something about each process of a program that `is_meant`, being suspended or not; how many there were.
fn each_process<R: Request>(
    program: Pid,
    is_meant: impl Fn(bool) -> bool,
    request: impl Fn(Pid) -> R,
) -> Result<usize, Error> {
    let mut count = 0;
    for record in v::process::all()? {
        let is_suspended = record.state & ProcessState::SUSPENDED_BIT != 0;
        if record.team != program.to_bits() || !is_meant(is_suspended) {
            continue;
        }
        // One that has ended meanwhile is as good.
        let _ = v::call(kernel::server(kernel::PROCESS), &request(record.process()), Segment::None);
        count += 1;
    }
    Ok(count)
}
