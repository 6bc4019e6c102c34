//! The master: gives tasks out, takes results, starts workers and hears of their ends.
//!
//! One process does all but two kinds of waiting, which have processes of their own: one starts workers one after the
//! other, so that each finds the nodes as the one before has left them; for each worker, one waits for its end. They put
//! what has happened into a list, and send the master a `Look`.
//!
//! What a message says is believed only if its sender is a worker that was started here. One may send before it is known
//! that it was: such a message is kept until then.

use alloc_crate::format;
use alloc_crate::string::ToString;
use alloc_crate::sync::Arc;
use alloc_crate::vec;
use alloc_crate::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::call::{Deadline, FOREVER};
use abi::protocol::{Reply as _, refusal};
use abi::segment::HEAD_BYTES;
use abi::{Error, Grant, LogicalHost, Message, Pid};

use super::bag::{Bag, Taken};
use super::work::{self, Begun, Delivered, Dismissed, Look, Looked, Work};
use super::{Failure, Job, MOST_BYTES, MOST_WORKERS, Progress, Report, Task, WORKER_WORD, WorkerReport};
use crate::message::{self, Received, Segment, call};
use crate::process::{self, Child, Command, Place, Stream, Thread};
use crate::server::Client;
use crate::sync::Mutex;
use crate::time::{self, Instant};

/// The stack of a process that starts workers, or waits for one's end.
const STACK_BYTES: usize = 64 * 1024;
/// How long workers that were dismissed have to end before they are left alone, in nanoseconds.
const END_NS: u64 = 1_000_000_000;
/// Most messages that are kept because their sender is not known yet, or till the end.
const MOST_KEPT: usize = 4 * MOST_WORKERS;

/// What other processes of this team tell the master.
enum Event {
    /// A worker was started; or was not.
    Started(Result<Child, Error>),
    /// This one has ended, or nothing is known of it any more.
    Ended(Pid),
}

/// Where they put it, with who did.
#[derive(Clone)]
struct Events {
    list: Arc<Mutex<Vec<(Pid, Event)>>>,
    /// No more workers are wanted.
    is_over: Arc<AtomicBool>,
    master: Pid,
}

impl Events {
    fn tell(&self, event: Event) {
        // A process that asks for its own number is there, so it has one.
        let own = process::own_pid().unwrap_or(Pid::NONE);
        self.list.lock().push((own, event));
        // The master may have done with it: then nobody wants to know.
        let _ = call(self.master, &Look {}, Segment::None);
    }
}

/// A worker.
struct Worker {
    pid: Pid,
    report: WorkerReport,
    has_ended: bool,
    /// Waits for its end.
    watcher: Option<Thread>,
    /// On which node it waits for a task, and the segment for that.
    asks: Option<(LogicalHost, Grant)>,
}

/// How workers are started.
struct Starter {
    command: Command,
    places: Vec<Place>,
    /// How many were.
    count: usize,
}

impl Starter {
    fn next(&mut self) -> Command {
        let place = self.places[self.count % self.places.len()].clone();
        self.count += 1;
        self.command.clone().on(place)
    }
}

struct Master<'a> {
    bag: Bag,
    tasks: Vec<Task>,
    shared: Vec<u8>,
    workers: Vec<Worker>,
    events: Events,
    starter: Starter,
    /// No task is given out until all have been.
    is_held: bool,
    /// How many are being started, and by whom.
    starting: usize,
    starters: Vec<Thread>,
    /// How often a lost worker may still be replaced.
    replacements: usize,
    /// Why the last worker could not be started, or that it has ended.
    last_error: Error,
    /// Messages that came before it was known that their sender is a worker.
    early: Vec<Received>,
    /// Who is to be dismissed.
    attending: Vec<Pid>,
    take: &'a mut dyn FnMut(usize, Vec<u8>) -> Result<(), Error>,
}

/// Does a job.
pub fn run(
    job: Job,
    mut take: impl FnMut(usize, Vec<u8>) -> Result<(), Error>,
    mut tell: impl FnMut(&Progress),
) -> Result<Report, Failure> {
    let began = Instant::now();
    let is_too_long = |bytes: &Vec<u8>| bytes.len() > MOST_BYTES;
    if job.tasks.iter().any(|task| is_too_long(&task.bytes)) || is_too_long(&job.shared) {
        return Err(Failure::TooLong);
    }
    let own = process::own_pid().map_err(Failure::Master)?;
    let wanted = job.workers.min(job.tasks.len());
    let command = Command::new(&job.program).arg(&format!("{WORKER_WORD}{own}"));
    let command = command.stdin(Stream::Closed).stdout(Stream::Closed).without_rights();
    let mut master = Master {
        bag: Bag::new(job.tasks.iter().map(|task| task.home)),
        tasks: job.tasks,
        shared: job.shared,
        workers: Vec::new(),
        events: Events { list: Arc::default(), is_over: Arc::default(), master: own },
        starter: Starter { command, places: job.places, count: 0 },
        is_held: job.begins_together,
        starting: 0,
        starters: Vec::new(),
        replacements: wanted,
        last_error: Error::DiedBeforeReply,
        early: Vec::new(),
        attending: Vec::new(),
        take: &mut take,
    };
    let mut buffer = vec![0; HEAD_BYTES as usize];
    let outcome = master.start(wanted).and_then(|()| master.serve(&mut buffer, &mut tell));
    master.end(&mut buffer);
    outcome?;
    let elapsed_ns = began.elapsed().as_nanos() as u64;
    let workers = master.workers.into_iter().map(|worker| worker.report).collect();
    Ok(Report { workers, repeated: master.bag.repeated(), elapsed_ns })
}

impl Master<'_> {
    /// Serves until all is done.
    fn serve(&mut self, buffer: &mut [u8], tell: &mut dyn FnMut(&Progress)) -> Result<(), Failure> {
        let mut told = self.progress();
        tell(&told);
        while !self.bag.is_over() {
            let due_ns = self.give_out();
            let deadline = if due_ns == u64::MAX { FOREVER } else { Instant::from_ns(due_ns).deadline() };
            self.receive(buffer, deadline)?;
            let progress = self.progress();
            if progress != told {
                told = progress;
                tell(&told);
            }
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        let lost = self.workers.iter().filter(|worker| worker.has_ended).count();
        let workers = self.workers.len() - lost;
        Progress { done: self.bag.done(), tasks: self.bag.total(), workers, lost }
    }

    /// Whether all is done, or nothing more will be.
    fn is_over(&self) -> bool {
        self.bag.is_over() || self.events.is_over.load(Ordering::Relaxed)
    }

    /// Gives tasks to those who wait for one; says when one that still waits is to be looked at again.
    fn give_out(&mut self) -> u64 {
        let mut soonest_ns = u64::MAX;
        self.is_held &= self.starting > 0;
        if self.is_held {
            return soonest_ns;
        }
        for (number, worker) in self.workers.iter_mut().enumerate() {
            let Some((host, grant)) = worker.asks else { continue };
            match self.bag.take(number, host, time::now_ns()) {
                Taken::Task(task) => {
                    worker.asks = None;
                    let bytes = &self.tasks[task].bytes;
                    let taken = work::Taken { task: task as u32, bytes: bytes.len() as u32 };
                    answer(worker.pid, &taken.to_message(), within(bytes, grant));
                }
                Taken::Later(due_ns) => soonest_ns = soonest_ns.min(due_ns),
                Taken::Over => {}
            }
        }
        soonest_ns
    }

    /// Receives one message, if one comes in time, and does what it asks.
    fn receive(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<(), Failure> {
        let received = match message::receive(None, buffer, deadline) {
            Ok(received) => received,
            Err(Error::DeadlinePassed) => return Ok(()),
            Err(error) => return Err(Failure::Master(error)),
        };
        let sender = received.sender.pid;
        match Work::from_message(&received.message) {
            None => refuse(sender, Error::BadRequest),
            Some(Work::Look(_)) => {
                answer(sender, &Looked {}.to_message(), &[]);
                return self.look(sender);
            }
            // By another process of the worker's, and by anyone: there is nothing to be had.
            Some(Work::Attend(_)) if self.is_over() => answer(sender, &Dismissed {}.to_message(), &[]),
            Some(Work::Attend(_)) if self.attending.contains(&sender) => {}
            Some(Work::Attend(_)) if self.attending.len() < MOST_KEPT => self.attending.push(sender),
            Some(Work::Attend(_)) => refuse(sender, Error::NoResources),
            Some(_) if self.is_over() => refuse(sender, Error::StaleProcess),
            Some(request) => match self.workers.iter().position(|worker| worker.pid == sender) {
                Some(worker) => {
                    let head = &buffer[..received.segment_bytes().min(buffer.len())];
                    return self.request(worker, &received, request, head);
                }
                None if self.starting > 0 && self.early.len() < MOST_KEPT => self.early.push(received),
                None => refuse(sender, Error::NoPermission),
            },
        }
        Ok(())
    }

    /// A worker asks for something, or brings it.
    fn request(
        &mut self,
        worker: usize,
        received: &Received,
        request: Work,
        head: &[u8],
    ) -> Result<(), Failure> {
        let (pid, grant) = (received.sender.pid, received.sender.grant);
        match request {
            Work::Begin(_) => {
                let begun = Begun { bytes: self.shared.len() as u32 };
                answer(pid, &begun.to_message(), within(&self.shared, grant));
            }
            Work::Take(take) => {
                self.workers[worker].asks = Some((LogicalHost::from_bits(take.host), grant));
            }
            Work::Deliver(deliver) => return self.delivered(worker, received, deliver, head),
            // They are nobody's in particular.
            Work::Attend(_) | Work::Look(_) => {}
        }
        Ok(())
    }

    fn delivered(
        &mut self,
        worker: usize,
        received: &Received,
        deliver: work::Deliver,
        head: &[u8],
    ) -> Result<(), Failure> {
        let task = deliver.task as usize;
        let client = Client { sender: &received.sender, head };
        let pid = client.pid;
        // Of one that is done, or that there is not, nothing is fetched.
        let result = if self.bag.is_wanted(task) { client.read_segment(MOST_BYTES) } else { Ok(Vec::new()) };
        let result = match result {
            Ok(result) => result,
            Err(error) => {
                refuse(pid, error);
                return Ok(());
            }
        };
        let is_first = self.bag.deliver(worker, task, time::now_ns());
        answer(pid, &Delivered {}.to_message(), &[]);
        let report = &mut self.workers[worker].report;
        report.busy_ns = report.busy_ns.max(deliver.busy_ns);
        if is_first {
            report.tasks += 1;
            (self.take)(task, result).map_err(Failure::Stopped)?;
        }
        Ok(())
    }

    /// Takes note of what another process of this team has told, and of no more: who is still to send its `Look` must be
    /// answered before it is joined, or each would wait for the other.
    fn look(&mut self, teller: Pid) -> Result<(), Failure> {
        let told: Vec<_> = self.events.list.lock().extract_if(.., |(own, _)| *own == teller).collect();
        for (_, event) in told {
            match event {
                Event::Started(Ok(child)) => {
                    self.starting -= 1;
                    self.add(child)?;
                }
                Event::Started(Err(error)) => {
                    self.starting -= 1;
                    self.last_error = error;
                }
                Event::Ended(pid) => self.ended(pid)?,
            }
        }
        let is_alone = self.starting == 0 && self.workers.iter().all(|worker| worker.has_ended);
        if is_alone && !self.is_over() { Err(Failure::NoWorkers(self.last_error)) } else { Ok(()) }
    }

    /// A worker was started.
    fn add(&mut self, mut child: Child) -> Result<(), Failure> {
        let pid = child.pid();
        let node = child.node().unwrap_or(crate::node::name()).to_string();
        let events = self.events.clone();
        let watcher = process::spawn_thread(STACK_BYTES, move || {
            // However it ended, and if nothing can be known of it any more: it will deliver nothing.
            let _ = child.wait();
            events.tell(Event::Ended(pid));
        });
        self.workers.push(Worker {
            pid,
            report: WorkerReport { node, tasks: 0, busy_ns: 0, is_lost: false },
            has_ended: false,
            // Without, its end is not noticed; what it did is then repeated as if it were slow.
            watcher: watcher.ok(),
            asks: None,
        });
        let worker = self.workers.len() - 1;
        for received in self.early.extract_if(.., |early| early.sender.pid == pid).collect::<Vec<_>>() {
            if let Some(request) = Work::from_message(&received.message) {
                self.request(worker, &received, request, &[])?;
            }
        }
        Ok(())
    }

    /// A worker has ended.
    fn ended(&mut self, pid: Pid) -> Result<(), Failure> {
        let Some(number) = self.workers.iter().position(|worker| worker.pid == pid) else { return Ok(()) };
        let worker = &mut self.workers[number];
        worker.has_ended = true;
        worker.asks = None;
        if self.is_over() {
            return Ok(());
        }
        let worker = &mut self.workers[number];
        worker.report.is_lost = true;
        self.last_error = Error::DiedBeforeReply;
        if let Some(task) = self.bag.lose(number) {
            return Err(Failure::Task(task));
        }
        if self.replacements > 0 {
            self.replacements -= 1;
            self.start(1)?;
        }
        Ok(())
    }

    /// Has so many workers started.
    fn start(&mut self, count: usize) -> Result<(), Failure> {
        if count == 0 {
            return Ok(());
        }
        let commands: Vec<Command> = (0..count).map(|_| self.starter.next()).collect();
        let events = self.events.clone();
        let starter = process::spawn_thread(STACK_BYTES, move || {
            for command in commands {
                let is_over = events.is_over.load(Ordering::Relaxed);
                events.tell(Event::Started(if is_over { Err(Error::Aborted) } else { command.start() }));
            }
        });
        self.starters.push(starter.map_err(Failure::NoWorkers)?);
        self.starting += count;
        Ok(())
    }

    /// Dismisses everyone, and waits a moment for their ends.
    fn end(&mut self, buffer: &mut [u8]) {
        self.events.is_over.store(true, Ordering::Relaxed);
        let end_ns = time::now_ns() + END_NS;
        loop {
            for pid in self.attending.drain(..) {
                answer(pid, &Dismissed {}.to_message(), &[]);
            }
            // It is too late for what they want.
            let early = self.early.drain(..).map(|received| received.sender.pid);
            let asking = self.workers.iter_mut().filter_map(|worker| worker.asks.take().map(|_| worker.pid));
            early.chain(asking).for_each(|pid| refuse(pid, Error::StaleProcess));
            let is_quiet = self.starting == 0 && self.workers.iter().all(|worker| worker.has_ended);
            if is_quiet || time::now_ns() >= end_ns {
                break;
            }
            // What fails now has failed before, or does not matter any more.
            let _ = self.receive(buffer, Instant::from_ns(end_ns).deadline());
        }
        let ended = self.workers.iter_mut().filter(|worker| worker.has_ended);
        let watchers = ended.filter_map(|worker| worker.watcher.take());
        let starters = if self.starting == 0 { core::mem::take(&mut self.starters) } else { Vec::new() };
        for thread in watchers.chain(starters) {
            // It is at its end.
            let _ = thread.join();
        }
    }
}

/// As much of some data as was granted for it.
fn within(data: &[u8], grant: Grant) -> &[u8] {
    let room = usize::try_from(grant.bytes()).unwrap_or(usize::MAX);
    &data[..data.len().min(room)]
}

fn refuse(client: Pid, error: Error) {
    answer(client, &refusal(error), &[]);
}

/// Answers a client, whose segment gets `data`. One that is no more is not missed.
fn answer(client: Pid, message: &Message, data: &[u8]) {
    let (head, rest) = data.split_at(data.len().min(HEAD_BYTES as usize));
    let moved = if rest.is_empty() { Ok(()) } else { message::move_to(client, HEAD_BYTES, rest) };
    if let Err(error) = moved.and_then(|()| message::reply(client, message, head)) {
        // If even this fails, there is nobody to be told.
        let _ = message::reply(client, &refusal(error), &[]);
    }
}
