//! Parallel programs: a bag of tasks, and workers on any nodes that take them out.
//!
//! The *master* has the tasks. Its *workers* are the same program, started for a [`Place`]; each asks the master for a
//! task, does it, delivers the result, and asks again. So faster workers do more, and it does not matter how long
//! each task takes.
//!
//! ```no_run
//! use v::parallel::{self, Job};
//! use v::process::Place;
//!
//! fn run() -> i32 {
//!     // In a worker this does the work and says with what status to end.
//!     if let Some(status) = parallel::worker(square) {
//!         return status;
//!     }
//!     let tasks = (1..=100_u64).map(|number| number.to_le_bytes().to_vec());
//!     let mut sum = 0;
//!     let job = Job::new().tasks(tasks).workers(8).on(Place::any());
//!     let done = job.run(|_task, result| {
//!         sum += result.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
//!         Ok(())
//!     });
//!     match done {
//!         Ok(_) => v::println!("{sum}"),
//!         Err(failure) => v::eprintln!("{failure}"),
//!     }
//!     0
//! }
//!
//! fn square(_shared: &[u8], task: &[u8]) -> Vec<u8> {
//!     let number = task.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
//!     (number * number).to_le_bytes().to_vec()
//! }
//! # fn main() { run(); }
//! ```
//!
//! **Each result comes once.** What a worker did that has ended, or whose node has, is given out again. At the end, when
//! nothing else is left, what takes much longer than the others did is given to a second worker, and the first result
//! counts. So a task may be *executed* more than once, also at the same time: a task is to change nothing.
//!
//! **Workers and their master hear of each other's end.** A worker has a message out to its master that is answered when
//! all is over; a worker whose master ends gets an error instead, and ends too, in the midst of a task. The master waits
//! for each worker as for any program that it has started.
//!
//! | module | what for |
//! |---|---|
//! | `bag` | which tasks are to be done, and by whom; pure |
//! | `master` | the job |
//! | `worker` | what a worker does |

mod bag;
mod master;
mod worker;

use alloc_crate::string::{String, ToString};
use alloc_crate::vec::Vec;
use core::fmt;

use abi::{Error, LogicalHost, protocol};

pub use worker::{Work, worker};

use crate::process::Place;

/// Longest result, and longest task, in bytes.
pub const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Most workers of one job.
pub const MOST_WORKERS: usize = 64;

/// The word, with the master's pid behind it, by which a program is told that it is a worker: its only argument.
pub const WORKER_WORD: &str = "--worker-of=";

protocol! {
    /// What workers, and nobody else, ask of their master.
    pub mod work = 0x1c, enum Work {
        /// Answered when all is over: a worker then ends, whatever it does.
        Attend = 1 {} => Dismissed {};
        /// What all tasks have in common, into the write segment, as much as fits.
        Begin = 2 {} => Begun {
            /// Bytes that there are.
            bytes: u32,
        };
        /// A task, its bytes into the write segment, as much as fits. Until its result has been delivered it is the same.
        /// Answered when there is one.
        Take = 3 {
            /// The worker's node.
            host: u32,
        } => Taken {
            task: u32,
            /// Bytes that there are.
            bytes: u32,
        };
        /// The result of a task, in the read segment.
        Deliver = 4 {
            task: u32,
            /// How long the worker has run since it began, in nanoseconds of its processor.
            busy_ns: u64,
        } => Delivered {};
        /// From a process of the master's own: something has happened to a worker.
        Look = 5 {} => Looked {};
    }
}

/// A task that is best done on a certain node.
#[derive(Clone, Debug)]
struct Task {
    bytes: Vec<u8>,
    home: Option<LogicalHost>,
}

/// What is to be done, by whom, and where.
#[derive(Clone, Debug)]
pub struct Job {
    program: String,
    shared: Vec<u8>,
    tasks: Vec<Task>,
    workers: usize,
    places: Vec<Place>,
    begins_together: bool,
}

impl Default for Job {
    fn default() -> Job {
        Job::new()
    }
}

impl Job {
    /// A job without tasks for one worker on this node. The workers are programs of the name by which this one was called.
    pub fn new() -> Job {
        Job {
            program: crate::env::program_name().to_string(),
            shared: Vec::new(),
            tasks: Vec::new(),
            workers: 1,
            places: Vec::from([Place::Here]),
            begins_together: false,
        }
    }

    /// The workers are another program, as [`Command::new`](crate::process::Command::new) finds it.
    #[must_use]
    pub fn program(mut self, name: &str) -> Job {
        self.program = name.to_string();
        self
    }

    /// What the work on every task is given.
    #[must_use]
    pub fn shared(mut self, shared: Vec<u8>) -> Job {
        self.shared = shared;
        self
    }

    /// Adds tasks. They are given out in their order; those that take long had better come first.
    #[must_use]
    pub fn tasks(mut self, tasks: impl IntoIterator<Item = Vec<u8>>) -> Job {
        self.tasks.extend(tasks.into_iter().map(|bytes| Task { bytes, home: None }));
        self
    }

    /// Adds a task that goes to a worker on that node, unless only others have nothing else to do.
    #[must_use]
    pub fn task_at(mut self, home: LogicalHost, bytes: Vec<u8>) -> Job {
        self.tasks.push(Task { bytes, home: Some(home) });
        self
    }

    /// How many workers there are to be, from 1 to [`MOST_WORKERS`].
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Job {
        self.workers = workers.clamp(1, MOST_WORKERS);
        self
    }

    /// Where they are to be.
    #[must_use]
    pub fn on(self, place: Place) -> Job {
        self.on_each(Vec::from([place]))
    }

    /// Where they are to be: one after the other is put to these places by turns.
    #[must_use]
    pub fn on_each(mut self, places: Vec<Place>) -> Job {
        if !places.is_empty() {
            self.places = places;
        }
        self
    }

    /// Gives out no task before all workers have been started, so that what each does can be compared; otherwise the first
    /// begin while the others are being started.
    #[must_use]
    pub fn together(mut self) -> Job {
        self.begins_together = true;
        self
    }

    /// Does it: `take` gets each task's number and result once, in the order in which they come; an error of its ends the job.
    pub fn run(self, take: impl FnMut(usize, Vec<u8>) -> Result<(), Error>) -> Result<Report, Failure> {
        self.run_telling(take, |_| {})
    }

    /// As [`run`](Job::run); `tell` is told how far it is, at the beginning and whenever that has changed.
    pub fn run_telling(
        self,
        take: impl FnMut(usize, Vec<u8>) -> Result<(), Error>,
        tell: impl FnMut(&Progress),
    ) -> Result<Report, Failure> {
        master::run(self, take, tell)
    }
}

/// How far a job is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Tasks that are done.
    pub done: usize,
    /// Tasks.
    pub tasks: usize,
    /// Workers that work.
    pub workers: usize,
    /// Workers that were lost.
    pub lost: usize,
}

/// What a worker has done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkerReport {
    /// The name of its node.
    pub node: String,
    /// Results of its that were accepted.
    pub tasks: usize,
    /// How long it ran until it delivered the last, in nanoseconds of its processor.
    pub busy_ns: u64,
    /// Whether it ended before all was over.
    pub is_lost: bool,
}

/// How a job went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The workers, in the order in which they were started.
    pub workers: Vec<WorkerReport>,
    /// How often a task was given out although another worker was at it.
    pub repeated: usize,
    /// How long it took, in nanoseconds.
    pub elapsed_ns: u64,
}

/// Why a job was not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// No worker could be started, or all have ended and no more could be.
    NoWorkers(Error),
    /// Several workers ended while they did this task.
    Task(usize),
    /// Who takes the results has had enough.
    Stopped(Error),
    /// A task is longer than [`MOST_BYTES`], or there are too many.
    TooLong,
    /// A message could not be received.
    Master(Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoWorkers(error) => write!(f, "no worker is left: {error}"),
            Failure::Task(task) => write!(f, "task {task} ends every worker that does it"),
            Failure::Stopped(error) => write!(f, "{error}"),
            Failure::TooLong => write!(f, "a task is too long, or there are too many"),
            Failure::Master(error) => write!(f, "no message can be received: {error}"),
        }
    }
}
