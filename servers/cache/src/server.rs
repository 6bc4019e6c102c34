//! What clients ask, and what becomes of it.
//!
//! An instance here stands for an instance there. Its reads are answered from the store while the file is leased. If it is
//! not, or the piece is not there, the read waits for a job: first for the lease, then for the piece. When a job is done, those who
//! wait are tried again. For who reads one piece after the other, the next ones are fetched before they are asked for.
//!
//! **What may be shown.** A piece is put into the store only if its content was leased before it was asked for, and the same
//! content is when it comes: so nobody has written the file in between. It is shown only while that is leased, or leased again.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use abi::protocol::{Reply, refusal};
use abi::{Error, Message, Pid, UserId};
use io_server::service::{Content, OpenInstance};
use io_server::{Client, Instances, Opening, Outcome, Reading, Request, Service, System, Table};
use leases::{Grant, Holdings, Recall};
use protocols::cache::{PIECE_BYTES, cache};
use protocols::io::{attribute, io};
use protocols::names::Descriptor;

use crate::jobs::{Finding, Helpers, Job, Task, WORKERS, work};
use crate::store::{FrameNumber, Store};

/// Files that are open here at a time.
const MOST_FILES: usize = 4096;
/// Servers whose recalls are waited for.
const MOST_WATCHERS: usize = 16;
/// How often it is looked which servers are not needed any more.
const LOOK_NS: u64 = 1_000_000_000;
/// Pieces that are fetched before they are asked for, of a file whose pieces are read one after the other.
const PIECES_AHEAD: u64 = 2;
/// Pieces of a file that are fetched at a time.
const MOST_FETCHED: usize = 1 + PIECES_AHEAD as usize;
/// How long a file is not asked about again of which no lease was to be had, or whose server did not answer.
const REFUSED_NS: u64 = 200_000_000;

/// A read that waits.
#[derive(Debug)]
struct Waiter {
    client: Pid,
    position: u64,
    room: usize,
}

/// An instance of another node's server.
#[derive(Debug)]
struct File {
    server: Pid,
    instance: u32,
    user: UserId,
    /// What was leased last, by the server's number and by the store's; 0 before.
    content: u32,
    stored: u32,
    /// Until when that may be shown, as far as this file knows: no longer than its lease lasts.
    until_ns: u64,
    /// Where the last read was.
    likely: FrameNumber,
    /// Until when it is read by its clients themselves.
    refused_until_ns: u64,
    waiting: Vec<Waiter>,
    /// A lease has been asked for.
    is_asking: bool,
    /// Where the pieces begin that are being fetched.
    fetching: Vec<u64>,
    /// The piece behind the one that was read last.
    next_piece: u64,
}

/// Where what may be shown is, and how much that is.
#[derive(Clone, Copy, Debug)]
struct Found {
    frame: FrameNumber,
    count: usize,
    /// The read before was of another frame.
    is_another: bool,
}

impl File {
    /// Gives all who wait the same answer.
    fn answer_all(&mut self, reply: &Message, system: &mut dyn System) {
        for waiter in self.waiting.drain(..) {
            // Who has gone needs no answer.
            let _ = system.reply(waiter.client, reply, &[]);
        }
    }
}

/// A server of another node.
#[derive(Debug, Default)]
struct Source {
    holdings: Holdings,
    is_watched: bool,
}

/// The server.
#[derive(Debug)]
pub struct FileCache<H> {
    helpers: H,
    /// The server's own process, whose node its helpers are on.
    own: Pid,
    files: Table<File>,
    sources: BTreeMap<Pid, Source>,
    store: Store,
    /// Workers that wait for something to do, and watchers that wait for a server to watch.
    idle: Vec<Pid>,
    idle_watchers: Vec<Pid>,
    watchers: usize,
    look_at_ns: u64,
}

impl<H: Helpers> FileCache<H> {
    /// An empty cache for so many bytes.
    pub fn new(helpers: H, own: Pid, most_bytes: usize) -> FileCache<H> {
        FileCache {
            helpers,
            own,
            files: Table::new(MOST_FILES),
            sources: BTreeMap::new(),
            store: Store::new(most_bytes),
            idle: Vec::with_capacity(WORKERS),
            idle_watchers: Vec::new(),
            watchers: 0,
            look_at_ns: 0,
        }
    }

    /// The processes beside it.
    #[cfg(test)]
    pub const fn helpers(&mut self) -> &mut H {
        &mut self.helpers
    }

    fn attach(
        &mut self,
        attach: &cache::Attach,
        client: &Client,
        instances: &mut Instances<OpenInstance<u32>>,
        system: &mut dyn System,
    ) -> Result<cache::Attached, Error> {
        // What is of this node needs no cache, and might be this server.
        if attach.server.host() == self.own.host() || attach.server.is_group() {
            return Err(Error::BadArgument);
        }
        let (owner, user) = io_server::server::owner(attach.owner, client, system)?;
        instances.check_room(user, 1)?;
        let file = File {
            server: attach.server,
            instance: attach.instance,
            user,
            content: 0,
            stored: 0,
            until_ns: 0,
            likely: 0,
            refused_until_ns: 0,
            waiting: Vec::new(),
            is_asking: false,
            fetching: Vec::new(),
            next_piece: 0,
        };
        let number = self.files.insert(file).map_err(|_| Error::NoResources)?;
        let open = OpenInstance::new(Content::Object(number), attribute::READABLE, PIECE_BYTES as u32);
        Ok(cache::Attached { instance: instances.insert(owner, user, open)? })
    }

    /// Has done what a read that waits needs next: a lease or a piece. If that, or enough, is under way, nothing more.
    fn ask_for(
        &mut self,
        number: u32,
        position: u64,
        now_ns: u64,
        system: &mut dyn System,
    ) -> Result<(), Error> {
        let file = self.files.get_mut(number).ok_or(Error::BadInstance)?;
        let start = position / PIECE_BYTES as u64 * PIECE_BYTES as u64;
        let is_leased = now_ns < file.until_ns;
        if file.is_asking
            || is_leased && (file.fetching.contains(&start) || file.fetching.len() >= MOST_FETCHED)
        {
            return Ok(());
        }
        if !is_leased && now_ns < file.refused_until_ns {
            return Err(Error::Busy);
        }
        let Some(worker) = self.idle.pop() else {
            // One that is at work for the file will come back.
            return if file.fetching.is_empty() { Err(Error::Busy) } else { Ok(()) };
        };
        let task = if is_leased { Task::Fetch(start, file.stored) } else { Task::Lease(file.user) };
        self.helpers.give(Job { file: number, server: file.server, instance: file.instance, task });
        match task {
            Task::Lease(_) => file.is_asking = true,
            Task::Fetch(..) => file.fetching.push(start),
        }
        system.reply(worker, &work::Given {}.to_message(), &[])
    }

    /// Has the next pieces fetched of a file that is read at `position`, if that goes on from the piece before and there is
    /// nothing else to do.
    fn read_ahead(&mut self, number: u32, position: u64, now_ns: u64, system: &mut dyn System) {
        let Some(file) = self.files.get_mut(number) else { return };
        let at = position / PIECE_BYTES as u64;
        let goes_on = at == file.next_piece;
        file.next_piece = at.saturating_add(1);
        let stored = file.stored;
        if !goes_on {
            return;
        }
        for ahead in at + 1..=at.saturating_add(PIECES_AHEAD) {
            // One worker is left to who asks for something.
            if self.idle.len() > 1 && self.store.lacks(stored, ahead) {
                let _ = self.ask_for(number, ahead * PIECE_BYTES as u64, now_ns, system);
            }
        }
    }

    /// Answers those who wait for a file, as far as there is something for them, and has the next thing done for the others.
    fn try_again(&mut self, number: u32, system: &mut dyn System) {
        let Some(file) = self.files.get_mut(number) else { return };
        let waiting = core::mem::take(&mut file.waiting);
        for waiter in waiting {
            let now_ns = system.monotonic_ns();
            if let Some(found) = self.find(number, waiter.position, waiter.room, now_ns) {
                let data = self.store.bytes(found.frame, waiter.position, found.count);
                let reply = io::ReadDone { count: data.len() as u32 }.to_message();
                let _ = system.reply(waiter.client, &reply, data);
                self.read_ahead(number, waiter.position, now_ns, system);
            } else if let Err(error) = self.ask_for(number, waiter.position, now_ns, system) {
                let _ = system.reply(waiter.client, &refusal(error), &[]);
            } else if let Some(file) = self.files.get_mut(number) {
                file.waiting.push(waiter);
            }
        }
    }

    /// What may be shown of a file at a position.
    #[inline]
    fn find(&mut self, number: u32, position: u64, room: usize, now_ns: u64) -> Option<Found> {
        let file = self.files.get_mut(number)?;
        if file.until_ns <= now_ns {
            return None;
        }
        let (frame, count) = self.store.find(file.stored, position, room, file.likely)?;
        let is_another = core::mem::replace(&mut file.likely, frame) != frame;
        Some(Found { frame, count, is_another })
    }

    /// A worker has come back.
    fn take_findings(&mut self, system: &mut dyn System) {
        while let Some((job, finding)) = self.helpers.take_finding() {
            let number = job.file;
            if let Some(file) = self.files.get_mut(number) {
                match job.task {
                    Task::Lease(_) => file.is_asking = false,
                    Task::Fetch(start, _) => file.fetching.retain(|other| *other != start),
                }
            }
            match finding {
                Finding::Leased(grant, size, asked_ns) => self.leased(&job, grant, size, asked_ns, system),
                Finding::Fetched(position, bytes) => self.fetched(&job, position, &bytes, system),
                Finding::Refused(error) => {
                    if let Some(file) = self.files.get_mut(number) {
                        file.refused_until_ns = system.monotonic_ns() + REFUSED_NS;
                        file.answer_all(&refusal(error), system);
                    }
                }
            }
            self.try_again(number, system);
        }
    }

    fn leased(&mut self, job: &Job, grant: Grant, size: u64, asked_ns: u64, system: &mut dyn System) {
        let holdings = &mut self.sources.entry(job.server).or_default().holdings;
        let is_good = holdings.take(grant, asked_ns);
        let until_ns = holdings.until_ns(grant.content);
        if is_good {
            self.watch(job.server, system);
        }
        let Some(file) = self.files.get_mut(job.file) else { return };
        let stored = if is_good { self.store.enter((job.server, grant.content), size) } else { None };
        if let Some(stored) = stored {
            (file.content, file.stored, file.until_ns) = (grant.content, stored, until_ns);
        } else {
            file.refused_until_ns = system.monotonic_ns() + REFUSED_NS;
            file.answer_all(&refusal(Error::Busy), system);
        }
    }

    fn fetched(&mut self, job: &Job, position: u64, bytes: &[u8], system: &mut dyn System) {
        let now_ns = system.monotonic_ns();
        let Some(file) = self.files.get_mut(job.file) else { return };
        // A content that is leased now was not written since it was leased before the job was given; another one was.
        let is_same = job.task == Task::Fetch(position, file.stored);
        if is_same && now_ns < file.until_ns && !self.store.put(file.stored, position, bytes, system) {
            // Part of it cannot be read, or there is no memory; or the content is forgotten, and will be leased again.
            file.until_ns = 0;
            file.refused_until_ns = now_ns + REFUSED_NS;
            file.answer_all(&refusal(Error::Busy), system);
        }
    }

    /// Sees to it that a server's recalls are waited for. Where that cannot be, its leases end by themselves.
    fn watch(&mut self, server: Pid, system: &mut dyn System) {
        let source = self.sources.entry(server).or_default();
        if source.is_watched {
            return;
        }
        source.is_watched = if let Some(watcher) = self.idle_watchers.pop() {
            system.reply(watcher, &work::Watch { server }.to_message(), &[]).is_ok()
        } else {
            let is_started = self.watchers < MOST_WATCHERS && self.helpers.watch(server).is_ok();
            self.watchers += usize::from(is_started);
            is_started
        };
    }

    /// A message of the team's own.
    fn work(&mut self, work: &work::Work, client: Pid, system: &mut dyn System) -> Outcome<'static> {
        match work {
            work::Work::Next(_) => {
                self.idle.push(client);
                self.take_findings(system);
                Outcome::Later
            }
            work::Work::GiveUp(recalled) => {
                let recall = Recall { content: recalled.content, grant: recalled.grant };
                self.sources.entry(recalled.server).or_default().holdings.give_up(recall);
                for file in self.files.values_mut().filter(|file| file.server == recalled.server) {
                    if file.content == recalled.content {
                        file.until_ns = 0;
                    }
                }
                Outcome::from(Ok(work::GivenUp {}))
            }
            work::Work::WatchEnded(ended) => {
                self.idle_watchers.push(client);
                let source = self.sources.entry(ended.server).or_default();
                source.is_watched = false;
                if source.holdings.holds_any(system.monotonic_ns()) {
                    // It was granted when the server had already looked, or the server was not to be reached.
                    self.watch(ended.server, system);
                }
                Outcome::Later
            }
        }
    }

    /// Forgets servers of which nothing is open and nothing leased.
    fn forget_sources(&mut self, now_ns: u64) {
        let used: Vec<Pid> = self.files.iter().map(|(_, file)| file.server).collect();
        let store = &mut self.store;
        self.sources.retain(|server, source| {
            let is_used = source.is_watched || source.holdings.holds_any(now_ns) || used.contains(server);
            if !is_used {
                store.remove_server(*server);
            }
            is_used
        });
    }
}

impl<H: Helpers> Service for FileCache<H> {
    /// The file's number.
    type Open = u32;

    fn open(
        &mut self,
        _client: &Client,
        _context: u32,
        _path: &[u8],
        _mode: u32,
        _system: &mut dyn System,
    ) -> Result<Opening<u32>, Error> {
        Err(Error::NotSupported)
    }

    fn close(&mut self, open: u32, system: &mut dyn System) {
        if let Some(mut file) = self.files.remove(open) {
            file.answer_all(&refusal(Error::BadInstance), system);
        }
    }

    #[inline]
    fn read<'a>(
        &'a mut self,
        client: &Client,
        open: &'a mut u32,
        position: u64,
        room: usize,
        system: &mut dyn System,
    ) -> Result<Reading<'a>, Error> {
        if client.page_of.is_some() {
            // The kernel would keep what it was given.
            return Err(Error::NotSupported);
        }
        let now_ns = system.monotonic_ns();
        if let Some(found) = self.find(*open, position, room, now_ns) {
            if found.is_another {
                self.read_ahead(*open, position, now_ns, system);
            }
            return Ok(Reading::Data(self.store.bytes(found.frame, position, found.count)));
        }
        self.ask_for(*open, position, now_ns, system)?;
        let file = self.files.get_mut(*open).ok_or(Error::BadInstance)?;
        file.waiting.push(Waiter { client: client.pid, position, room });
        Ok(Reading::Later)
    }

    fn describe<'a>(&'a mut self, _context: u32, _path: &'a [u8]) -> Result<Descriptor<'a>, Error> {
        Err(Error::NotFound)
    }

    fn other<'a>(
        &'a mut self,
        request: &Request<'_>,
        instances: &mut Instances<OpenInstance<u32>>,
        system: &mut dyn System,
    ) -> Outcome<'a> {
        let client = request.client;
        if let Some(cache::Cache::Attach(attach)) = cache::Cache::from_message(request.message) {
            return Outcome::from(self.attach(&attach, client, instances, system));
        }
        match work::Work::from_message(request.message) {
            Some(work) if client.user.is_system() && client.pid.host() == self.own.host() => {
                self.work(&work, client.pid, system)
            }
            Some(_) => Outcome::refuse(Error::NoPermission),
            None => Outcome::refuse(Error::BadRequest),
        }
    }

    fn next_tick_ns(&self) -> Option<u64> {
        (!self.sources.is_empty()).then_some(self.look_at_ns)
    }

    fn tick(&mut self, system: &mut dyn System) {
        let now_ns = system.monotonic_ns();
        if self.look_at_ns <= now_ns {
            self.look_at_ns = now_ns + LOOK_NS;
            self.forget_sources(now_ns);
        }
    }
}
