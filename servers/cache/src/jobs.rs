//! What the team's other processes do.
//!
//! *Workers* ask the server for something to do, do it, and come back with what they have found. For each server of other
//! nodes of which anything is leased, a *watcher* waits for recalls. They are processes of this team, and only they speak
//! [`work`]; what does not fit a message lies in queues that all share.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;

use abi::{Error, Pid, UserId, protocol};
use leases::Grant;
use protocols::cache::PIECE_BYTES;
use protocols::leases::leases::{Await, Lease, Recalled};
use v::io::Instance;
use v::message::{Segment, again, call};
use v::sync::Mutex;
use v::time::{self, Duration};

/// So many workers there are.
pub const WORKERS: usize = 4;
const STACK_BYTES: usize = 16 * 1024;
/// How long a watcher waits before it says that a server cannot be reached.
const WATCH_PAUSE: Duration = Duration::from_millis(500);
/// No recall.
const NOTHING: Recalled = Recalled { content: 0, grant: 0 };

protocol! {
    /// Between the processes of the team.
    pub mod work = 0x73, enum Work {
        /// A worker has done what there was to do, and is answered when there is more.
        Next = 1 {} => Given {};
        /// A watcher tells of a recall.
        GiveUp = 2 { server: Pid, content: u32, grant: u64 } => GivenUp {};
        /// A watcher hears no more: there is no lease of that server's left, or it cannot be reached. Answered when there is
        /// a server to be watched.
        WatchEnded = 3 { server: Pid } => Watch { server: Pid };
    }
}

/// Something that may take its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Job {
    /// The file for which it is, by its number here.
    pub file: u32,
    /// The file's server.
    pub server: Pid,
    /// The instance there.
    pub instance: u32,
    /// What is to be done.
    pub task: Task,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Task {
    /// A lease for a reader of this user.
    Lease(UserId),
    /// The piece at this position, of the content that has this number in the store.
    Fetch(u64, u32),
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// A lease, or none, asked for at this time; and the file's size.
    Leased(Grant, u64, u64),
    /// Bytes at this position.
    Fetched(u64, Box<[u8]>),
    /// The file's server, or the network, refused.
    Refused(Error),
}

static JOBS: Mutex<VecDeque<Job>> = Mutex::new(VecDeque::new());
static FINDINGS: Mutex<VecDeque<(Job, Finding)>> = Mutex::new(VecDeque::new());

/// What the server needs of the processes beside it.
pub trait Helpers {
    /// A job for a worker that is told then.
    fn give(&mut self, job: Job);
    /// What workers have found, one after the other.
    fn take_finding(&mut self) -> Option<(Job, Finding)>;
    /// Has a server's recalls waited for.
    fn watch(&mut self, server: Pid) -> Result<(), Error>;
}

/// The processes themselves.
#[derive(Clone, Copy, Debug)]
pub struct Processes {
    cache: Pid,
}

impl Processes {
    /// Starts the workers of `cache`, the server's process.
    pub fn start(cache: Pid) -> Result<Processes, Error> {
        for _ in 0..WORKERS {
            v::process::spawn_thread(STACK_BYTES, move || do_jobs(cache))?;
        }
        Ok(Processes { cache })
    }
}

impl Helpers for Processes {
    fn give(&mut self, job: Job) {
        JOBS.lock().push_back(job);
    }

    fn take_finding(&mut self) -> Option<(Job, Finding)> {
        FINDINGS.lock().pop_front()
    }

    fn watch(&mut self, server: Pid) -> Result<(), Error> {
        let cache = self.cache;
        let body = move || {
            let _ = watch(cache, server);
        };
        v::process::spawn_thread(STACK_BYTES, body).map(drop)
    }
}

fn do_jobs(cache: Pid) {
    // The server ends with this process, so there is nothing else that this could end with.
    while call(cache, &work::Next {}, Segment::None).is_ok() {
        let job = JOBS.lock().pop_front();
        if let Some(job) = job {
            let finding = job.task.run(&job, cache).unwrap_or_else(Finding::Refused);
            FINDINGS.lock().push_back((job, finding));
        }
    }
}

impl Task {
    fn run(self, job: &Job, cache: Pid) -> Result<Finding, Error> {
        match self {
            Task::Lease(user) => {
                let request = Lease { instance: job.instance, user: user.0, holder: cache };
                let mut asked_ns = 0;
                let leased = again(true, || {
                    asked_ns = time::now_ns();
                    call(job.server, &request, Segment::None)
                })?;
                let grant = Grant { content: leased.content, number: leased.grant, term_ms: leased.term_ms };
                Ok(Finding::Leased(grant, leased.size, asked_ns))
            }
            Task::Fetch(position, _) => {
                let instance = Instance { server: job.server, number: job.instance, attributes: 0 };
                let mut bytes = vec![0; PIECE_BYTES];
                let mut filled = 0;
                while filled < bytes.len() {
                    match instance.read(position + filled as u64, &mut bytes[filled..])? {
                        0 => break,
                        count => filled += count,
                    }
                }
                bytes.truncate(filled);
                Ok(Finding::Fetched(position, bytes.into()))
            }
        }
    }
}

/// Waits for a server's recalls, and then for those of the next one. It ends with the cache.
fn watch(cache: Pid, mut server: Pid) -> Result<(), Error> {
    loop {
        let mut heard = NOTHING;
        loop {
            let request = Await { holder: cache, content: heard.content, grant: heard.grant };
            heard = call(server, &request, Segment::None).unwrap_or_else(|_| {
                // Until it is heard again, its leases end by themselves.
                let _ = time::sleep(WATCH_PAUSE);
                NOTHING
            });
            if heard == NOTHING {
                break;
            }
            let give_up = work::GiveUp { server, content: heard.content, grant: heard.grant };
            call(cache, &give_up, Segment::None)?;
        }
        server = call(cache, &work::WatchEnded { server }, Segment::None)?.server;
    }
}
