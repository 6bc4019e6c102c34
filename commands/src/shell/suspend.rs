//! ^Z: a process of the shell that waits until the terminal says that the user wants to stop what runs, and has the program
//! managers of all nodes stop the job in the foreground.
//!
//! The user may be quicker than the shell: then the job is stopped when all of it has been started. While the shell waits for
//! something else, as the output that it substitutes, nothing is stopped.
//!
//! The shell itself waits for its programs meanwhile, and is told by their manager. What programs that are stopped wait to
//! read, the terminal keeps aside until they go on.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Error;
use protocols::terminal::terminal;
use v::io::Instance;
use v::message::{Segment, call};
use v::process::{self, Job, Thread};
use v::sync::Mutex;

const STACK_BYTES: usize = 32 << 10;

/// The process, as the shell sees it.
pub(super) struct Suspender {
    terminal: Instance,
    jobs: Arc<Mutex<Jobs>>,
    _process: Thread,
}

/// What the shell and the process share.
#[derive(Default)]
struct Jobs {
    /// The job that may be stopped.
    current: Option<Job>,
    /// The shell waits for nothing but its programs, all of which have been started.
    is_waited_for: bool,
    /// The user wanted to stop it before that.
    is_stop_wanted: bool,
    /// Those that were stopped, with the number under which the terminal has their readers.
    stopped: Vec<(Job, u32)>,
}

impl Suspender {
    /// Starts the process; none if there is no memory for it, and then ^Z does nothing.
    pub(super) fn start(terminal: Instance) -> Option<Suspender> {
        let jobs = Arc::new(Mutex::new(Jobs::default()));
        let shared = Arc::clone(&jobs);
        let process = process::spawn_thread(STACK_BYTES, move || stop_jobs(terminal, &shared)).ok()?;
        Some(Suspender { terminal, jobs, _process: process })
    }

    /// Says which job may be stopped from now on.
    pub(super) fn allow(&self, job: Option<Job>) {
        let mut jobs = self.jobs.lock();
        jobs.current = job;
        jobs.is_waited_for = false;
        if core::mem::take(&mut jobs.is_stop_wanted) {
            // The shell never came to wait for it.
            jobs.stopped.pop();
        }
    }

    /// All programs of the current job have been started, and the shell is about to wait for them. If the user wanted to stop
    /// it before, it is stopped now.
    pub(super) fn begin_wait(&self) {
        let mut jobs = self.jobs.lock();
        jobs.is_waited_for = true;
        let is_wanted = core::mem::take(&mut jobs.is_stop_wanted);
        let job = jobs.current.filter(|_| is_wanted);
        drop(jobs);
        // As in `stop_jobs`.
        let _ = job.map(Job::stop);
    }

    /// The shell has been told that the last job was stopped. What that asked to read before is put aside, so that it does not
    /// take what the shell is about to read.
    pub(super) fn put_readers_aside(&self) {
        let Some(readers) = self.jobs.lock().stopped.last().map(|(_, readers)| *readers) else { return };
        let request = terminal::PutReadersAside { instance: self.terminal.number, readers };
        // Readers of a terminal that was restarted have been told so.
        let _ = call(self.terminal.server, &request, Segment::None);
    }

    /// Lets a job go on that was stopped.
    pub(super) fn let_go_on(&self, job: Job) -> Result<(), Error> {
        let mut jobs = self.jobs.lock();
        let readers = jobs.stopped.extract_if(.., |(stopped, _)| *stopped == job).last();
        drop(jobs);
        let outcome = job.let_go_on();
        if let Some((_, readers)) = readers {
            resume_readers(self.terminal, readers);
        }
        outcome
    }
}

fn stop_jobs(terminal: Instance, jobs: &Mutex<Jobs>) {
    let request = terminal::AwaitStop { instance: terminal.number };
    // A terminal that was restarted has other instances: then there is none to wait at, and no shell for long.
    while let Ok(stop) = call(terminal.server, &request, Segment::None) {
        let mut shared = jobs.lock();
        let Some(job) = shared.current else {
            drop(shared);
            resume_readers(terminal, stop.readers);
            continue;
        };
        shared.stopped.push((job, stop.readers));
        if !shared.is_waited_for {
            shared.is_stop_wanted = true;
            drop(shared);
            resume_readers(terminal, stop.readers);
            continue;
        }
        drop(shared);
        // Of what does not hear of it nobody is told that it was stopped: ^C is left.
        let _ = job.stop();
    }
}

fn resume_readers(terminal: Instance, readers: u32) {
    let request = terminal::ResumeReaders { instance: terminal.number, readers };
    // Readers of a terminal that was restarted have been told so.
    let _ = call(terminal.server, &request, Segment::None);
}
