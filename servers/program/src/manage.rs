//! The program manager at work.
//!
//! It waits for nobody but the kernel and this node's own file servers: images that another node has, and long start
//! blocks from there, are for the [loader](crate::loader) to read.
//!
//! **Guests** are what clients on other nodes start, guests of this one among them, and what is asked for as one. They have
//! no rights and run in the class for guests, so that the node's own programs do not notice them; and each has a logical
//! host of its own. A guest whose starter's node has died goes on; its streams may tell it.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::kernel::record::{ProcessRecord, ProcessState, StatisticsRecord, UsageRecord};
use abi::kernel::team_state::MOST_PROCESSES;
use abi::kernel::{self, priority, process, statistics};
use abi::notice::STATUS_KILLED;
use abi::notice::notice::{EndNoted, TeamEnded};
use abi::protocol::Reply;
use abi::{Error, Message, Pid, Rights};
use io_server::elsewhere;
use program_image::{NewTeam, Owner, team_end};
use protocols::moving::moving::Moving;
use protocols::program::program::{
    Bid, BidMade, EndJob, EndProgram, JobEnding, ListPrograms, Program as Request, ProgramEnding,
    ProgramFound, ProgramStarted, ProgramsListed, StandardError, StartProgram, WaitProgram,
};
use protocols::program::{Entry, MAX_START_BYTES, ProgramRecord, entries_of, entry_kind, flag};
use v::server::{Client, Outcome, Server};
use v::{Segment, message};

use crate::file::is_elsewhere;
use crate::images::{Image, Images};
use crate::loader::{GuestHost, Loader, Parts, is_guest};
use crate::moving::arrival::Arrivals;
use crate::moving::departure::Mover;
use crate::moving::host;
use crate::offers::{Offer, Offers};
use crate::programs::{End, Job, Program, Programs, STOPPED, Stream, Wait, Waiter, program_end};
use crate::stopping;

/// Rights that a program has from its starter. All others are of services alone.
const HANDED_DOWN: Rights = Rights::TRACE;
/// So much of the node's memory may be taken up by files in the cache, and be left to a program.
const CACHE_SHARE: u64 = 8;
const PROGRAM_SHARE: (u64, u64) = (3, 4);

/// How often the manager looks for what nobody wants any more.
pub const SWEEP_NS: u64 = 2_000_000_000;
/// Most jobs, one within the other, that a program is of.
const MOST_JOBS: usize = 16;
/// How long a starter may take to let a program run.
const MOST_HELD_NS: u64 = 60_000_000_000;
/// Most records of an answer.
const MOST_LISTED: usize = 64;

/// All that the program manager knows.
#[derive(Debug)]
pub struct Managing {
    pub(crate) programs: Programs,
    /// What programs run in, which is held as long.
    pub(crate) running: Vec<Running>,
    images: Arc<Images>,
    pub(crate) loader: Loader,
    pub(crate) mover: Mover,
    pub(crate) arrivals: Arrivals,
    pub(crate) offers: Offers,
    pub(crate) quota_pages: u32,
    next_sweep_ns: u64,
    /// What is answered to a bid.
    bid_made: Message,
    /// What a reply is made in.
    data: Vec<u8>,
}

/// What a program that runs takes up.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) program: Pid,
    /// Where it was started, what was loaded for it.
    pub(crate) _image: Option<Arc<Image>>,
    /// Instances that it owns as long as it runs: of the files that it is bound to.
    pub(crate) files: Vec<Stream>,
    /// Given back with it.
    pub(crate) host: Option<GuestHost>,
}

impl Managing {
    /// The manager of a node with so much memory; `own` is its process.
    pub fn new(memory_pages: u64, own: Pid) -> Result<Managing, Error> {
        let cache_bytes = memory_pages * abi::PAGE_BYTES / CACHE_SHARE;
        let (part, of) = PROGRAM_SHARE;
        let images = Arc::new(Images::new(cache_bytes));
        Ok(Managing {
            programs: Programs::default(),
            running: Vec::new(),
            loader: Loader::start(Arc::clone(&images), own)?,
            mover: Mover::start(own)?,
            arrivals: Arrivals::default(),
            images,
            offers: Offers::default(),
            quota_pages: u32::try_from(memory_pages * part / of).unwrap_or(u32::MAX),
            next_sweep_ns: 0,
            bid_made: BidMade::named(v::node::name()).to_message(),
            data: Vec::new(),
        })
    }

    /// Adopts the programs of an earlier manager: whatever team of the users' has no owner any more. It may have ended in
    /// the midst of a move.
    pub fn adopt_orphans(&mut self) -> Result<(), Error> {
        for record in v::process::all()? {
            if record.pid != record.team || record.user().is_system() {
                continue;
            }
            let adopt = process::AdoptTeam { team: record.process() };
            // Most have an owner, and some end meanwhile.
            if v::call(kernel::server(kernel::PROCESS), &adopt, Segment::None).is_ok() {
                let program = record.process();
                if v::process::query(program) == Err(Error::ProcessElsewhere) {
                    // Its state was taken out: it is installed elsewhere, or has died with that manager.
                    v::log::error!("{program} was on its way to another node when the program manager ended");
                    let _ = destroy(program, STATUS_KILLED);
                    continue;
                }
                self.programs.started(program, adopted(&record));
                if program.is_guest() {
                    let host = Some(self.loader.adopt_host(program.host()));
                    self.running.push(Running { program, _image: None, files: Vec::new(), host });
                    // Nobody moves it any more; and what has come, nobody else lets go on.
                    host::thaw(program);
                }
            }
        }
        Ok(())
    }

    /// Starts a program, when its parts are there.
    fn start(&mut self, client: &Client<'_>, start: &StartProgram) -> Outcome<'static> {
        let parts = match self.loader.take(client.pid) {
            Some(loaded) => loaded,
            None if Loader::is_for(client, start) => match self.ready_parts(client, start) {
                Some(parts) => Ok(parts),
                None => return self.loader.ask(client.pid, start),
            },
            None => self
                .images
                .load(start.image_server, start.image_instance, client.user)
                .map(|image| Parts { image, block: None, host: None }),
        };
        Outcome::from(parts.and_then(|parts| self.start_image(client, start, parts)))
    }

    /// What a guest is made of, if all of it is here and nobody need be asked.
    fn ready_parts(&self, client: &Client<'_>, start: &StartProgram) -> Option<Parts> {
        if !is_guest(client, start) || client.head.len() as u64 != client.readable_bytes().ok()? {
            return None;
        }
        let object = entries_of(client.head, entry_kind::IMAGE).find_map(|entry| match entry {
            Entry::Image { object } => Some(object),
            _ => None,
        })?;
        let image = self.images.known(start.image_server, object, client.user)?;
        let host = self.loader.ready_host()?;
        Some(Parts { image, block: None, host: Some(host) })
    }

    fn start_image(
        &mut self,
        client: &Client<'_>,
        start: &StartProgram,
        parts: Parts,
    ) -> Result<ProgramStarted, Error> {
        let Parts { image, block, host } = parts;
        let block = block.map_or_else(|| start_block(client), |block| Ok(Cow::Owned(block)))?;
        let facts = Facts::read(&block);
        let (starter, rights) = starter(client, start)?;
        if !facts.jobs.is_empty()
            && self.programs.is_of_ended_job(&facts.jobs, client.user, v::time::now_ns())
        {
            return Err(Error::Aborted);
        }
        let has = |flag| start.flags & flag != 0;
        let is_guest = is_guest(client, start);
        let mut rights = rights.intersection(HANDED_DOWN);
        if is_guest || has(flag::WITHOUT_RIGHTS) {
            rights = Rights::NONE;
        }
        let class = match (is_guest, has(flag::BACKGROUND)) {
            (true, _) => priority::GUEST,
            (false, true) => priority::BACKGROUND,
            (false, false) => priority::FOREGROUND,
        };
        let mut team = NewTeam::create(&Owner {
            user: client.user,
            rights,
            priority: u32::from(class + priority::PROGRAM_LEVEL),
            quota_pages: self.quota_pages,
            quota_processes: MOST_PROCESSES as u32,
        })?;
        if let Some(host) = &host {
            team.set_host(host.host, host.first_number)?;
        }
        team.set_name(facts.name)?;
        let file = &image.file;
        team.bind_image(&image.layout, (file.server, file.instance), &image.copied)?;
        let mut files = Vec::new();
        if !image.is_whole() {
            file.share(team.pid());
            files.push(Stream { server: file.server, instance: file.instance });
        }
        if has(flag::HELD) {
            let suspend = process::Suspend { process: team.pid() };
            v::call(kernel::server(kernel::PROCESS), &suspend, Segment::None)?;
        }
        let program = team.begin(image.layout.entry, &block)?;
        let record = Program {
            user: client.user,
            starter: Some(starter),
            detached: has(flag::DETACHED),
            standard_error: facts.standard_error,
            is_guest,
            held_since_ns: has(flag::HELD).then(v::time::now_ns),
            name: record_name(facts.name),
            jobs: facts.jobs,
            is_stopped: false,
        };
        if is_guest {
            self.offers.guest_started(v::time::now_ns());
        }
        self.programs.started(program, record);
        self.running.push(Running { program, _image: Some(image), files, host });
        Ok(ProgramStarted { program })
    }

    fn wait(
        &mut self,
        client: &Client<'_>,
        WaitProgram { program, tells_stop, begins }: WaitProgram,
    ) -> Outcome<'_> {
        let mut wait = || {
            let team = self.waiting_team(client, program)?;
            let has_room = client.writable_bytes().is_ok_and(|room| room >= UsageRecord::BYTES as u64);
            let waiter = Waiter { pid: client.pid, tells_stop: tells_stop != 0, has_room };
            let wait = self.programs.wait(program, waiter, team, client.user)?;
            // It may have been stopped before this or, where a request is repeated, since. That is not to be undone.
            if begins != 0 && self.programs.get(program)?.held_since_ns.is_some() {
                self.programs.was_let_go(program);
                if !self.programs.get(program)?.is_stopped {
                    let resume = process::Resume { process: program };
                    v::call(kernel::server(kernel::PROCESS), &resume, Segment::None)?;
                }
            }
            Ok((wait, has_room))
        };
        match wait() {
            Ok((Wait::Over(end), has_room)) => {
                self.data.clear();
                self.data.extend_from_slice(
                    &end.usage.to_bytes()[..if has_room { UsageRecord::BYTES } else { 0 }],
                );
                Outcome::data(end.ended, &self.data)
            }
            Ok((Wait::Stopped, _)) => Outcome::Reply(STOPPED.to_message()),
            Ok((Wait::Later, _)) => Outcome::Later,
            Err(error) => Outcome::refuse(error),
        }
    }

    /// The team of a client that waits for a program. On another node it is any that is there, if the starter is.
    fn waiting_team(&self, client: &Client<'_>, program: Pid) -> Result<Pid, Error> {
        if !is_elsewhere(client.pid) {
            return Ok(v::process::identify(client.pid)?.team);
        }
        let starter =
            self.programs.get(program)?.starter.filter(|starter| starter.host() == client.pid.host());
        Ok(starter.unwrap_or(client.pid))
    }

    fn end(&self, client: &Client<'_>, end: EndProgram) -> Result<ProgramEnding, Error> {
        let owner = self.programs.get(end.program)?.user;
        let user = if client.user.is_system() { end.user } else { client.user };
        if user != owner {
            return Err(Error::NoPermission);
        }
        if self.programs.is_running(end.program) {
            destroy(end.program, end.status)?;
        }
        Ok(ProgramEnding {})
    }

    /// Ends what there is here of a job.
    fn end_job(&mut self, client: &Client<'_>, end: EndJob) -> JobEnding {
        let programs = self.programs.end_job((end.shell, end.number), client.user, v::time::now_ns());
        for program in &programs {
            // One that is ending by itself is as good.
            let _ = destroy(*program, end.status);
        }
        JobEnding { count: programs.len() as u32 }
    }

    fn standard_error(&self, client: &Client<'_>, program: Pid) -> Result<StandardError, Error> {
        let program = self.programs.get(program)?;
        if client.user != program.user && !client.user.is_system() {
            return Err(Error::NoPermission);
        }
        let Stream { server, instance } = program.standard_error.ok_or(Error::NotFound)?;
        Ok(StandardError { server, instance })
    }

    /// Who can run a guest.
    fn bid(&mut self, client: &Client<'_>, bid: Bid) -> Outcome<'_> {
        let guests = self.guests();
        let offer = statistics().map(|statistics| self.offers.bid(client.pid, bid, &statistics, guests));
        match offer {
            Ok(Offer::Now) => Outcome::Reply(self.bid_made),
            Ok(Offer::Later) => Outcome::Later,
            Ok(Offer::None) => Outcome::refuse(Error::NothingToSay),
            Err(error) => Outcome::refuse(error),
        }
    }

    fn guests(&self) -> usize {
        self.programs.running().filter(|record| record.is_guest).count()
    }

    /// Tells which programs run.
    fn list(&mut self, client: &Client<'_>, list: ListPrograms) -> Result<ProgramsListed, Error> {
        let room = client.writable_bytes()? / ProgramRecord::BYTES as u64;
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(MOST_LISTED);
        let position = list.position as usize;
        self.data.clear();
        let mut records = self.programs.running().skip(position);
        for record in records.by_ref().take(room) {
            self.data.extend_from_slice(&record.to_bytes());
        }
        let count = self.data.len() / ProgramRecord::BYTES;
        let next = records.next().map_or(0, |_| position + count);
        let guests = self.guests();
        let load_percent = self.offers.load_percent(&statistics()?, guests);
        Ok(ProgramsListed { count: count as u32, next: next as u32, load_percent })
    }

    /// Ends programs whose starters have ended, or lost touch, before they let them run.
    fn end_abandoned(&mut self, now_ns: u64) {
        for (program, starter, since_ns) in self.programs.held() {
            match v::process::query(program) {
                Ok(record) if has_yet_to_run(&record) => {
                    let is_late = since_ns + MOST_HELD_NS <= now_ns && !stopping::is_stopped(starter);
                    if elsewhere::has_ended(starter) || is_late {
                        // One that is being ended already is as good.
                        let _ = destroy(program, STATUS_KILLED);
                    }
                }
                _ => self.programs.was_let_go(program),
            }
        }
        for (program, starter) in self.programs.stopped() {
            if elsewhere::has_ended(starter) {
                // Nobody lets it go on any more. As above.
                let _ = destroy(program, STATUS_KILLED);
            }
        }
    }

    fn ended(&mut self, ended: &TeamEnded) {
        if let Some(place) = self.running.iter().rposition(|running| running.program == ended.team) {
            let Running { program, files, host, .. } = self.running.swap_remove(place);
            if let Some(host) = host {
                host.has_ended(ended.next_number);
            }
            for Stream { server, instance } in files {
                self.images.release(server, instance, program);
            }
        }
        let mut end = End { ended: program_end(ended.status), usage: UsageRecord::default() };
        // The kernel knows it until the notice is answered.
        if self.programs.is_usage_wanted(ended.team)
            && let Ok(record) = v::process::query(ended.team)
        {
            end.usage = record.usage();
        }
        if let Some(waiter) = self.programs.ended(ended.team, end) {
            let usage = end.usage.to_bytes();
            // A waiter that has ended meanwhile needs no answer.
            let _ = message::reply(
                waiter.pid,
                &end.ended.to_message(),
                if waiter.has_room { &usage } else { &[] },
            );
        }
    }
}

impl Server for Managing {
    fn request(&mut self, client: &Client<'_>, message: &Message) -> Outcome<'_> {
        let Some(request) = Request::from_message(message) else {
            if let Some(ended) = team_end(client.pid, message) {
                self.ended(&ended);
                return Outcome::Reply(EndNoted {}.to_message());
            }
            if let Some(request) = Moving::from_message(message) {
                return self.request_of_move(client, request);
            }
            return Outcome::refuse(Error::BadRequest);
        };
        match request {
            Request::StartProgram(start) => self.start(client, &start),
            Request::WaitProgram(wait) => self.wait(client, wait),
            Request::EndProgram(end) => Outcome::from(self.end(client, end)),
            Request::QueryStandardError(query) => Outcome::from(self.standard_error(client, query.program)),
            Request::EndJob(end) => Outcome::from(Ok(self.end_job(client, end))),
            Request::StopJob(stop) => Outcome::from(self.stop_job(client, stop)),
            Request::ContinueJob(go_on) => Outcome::from(self.continue_job(client, go_on)),
            Request::FindProgram(find) => match self.programs.get(find.program) {
                Ok(_) => Outcome::Reply(ProgramFound {}.to_message()),
                Err(_) => Outcome::refuse(Error::NothingToSay),
            },
            Request::Bid(bid) => self.bid(client, bid),
            Request::ListPrograms(list) => match self.list(client, list) {
                Ok(listed) => Outcome::data(listed, &self.data),
                Err(error) => Outcome::refuse(error),
            },
        }
    }

    fn next_tick_ns(&self) -> Option<u64> {
        self.offers.next_ns()
    }

    fn tick(&mut self) {
        let now_ns = v::time::now_ns();
        for client in self.offers.due(now_ns) {
            // Another node was quicker, and the client has gone.
            let _ = message::reply(client, &self.bid_made, &[]);
        }
        if now_ns < self.next_sweep_ns {
            return;
        }
        self.next_sweep_ns = now_ns + SWEEP_NS;
        self.loader.forget_dead();
        self.images.forget_idle();
        self.end_abandoned(now_ns);
        self.arrivals.expire();
        if self.programs.has_unclaimed() {
            self.programs.forget_orphans(elsewhere::has_ended);
        }
    }
}

/// Ends a program of this node.
pub(crate) fn destroy(program: Pid, status: u32) -> Result<(), Error> {
    let destroy = process::Destroy { process: program, status };
    v::call(kernel::server(kernel::PROCESS), &destroy, Segment::None)?;
    Ok(())
}

/// Whether a program has never run.
const fn has_yet_to_run(record: &ProcessRecord) -> bool {
    record.state & ProcessState::SUSPENDED_BIT != 0 && record.run_ns == 0
}

/// What is known of a program that an earlier manager started.
fn adopted(record: &ProcessRecord) -> Program {
    Program {
        user: record.user(),
        starter: None,
        detached: false,
        standard_error: None,
        is_guest: record.priorities as u32 >= u32::from(priority::GUEST),
        held_since_ns: has_yet_to_run(record).then(v::time::now_ns),
        name: record.name_bytes(),
        jobs: Vec::new(),
        is_stopped: false,
    }
}

fn record_name(name: &str) -> [u8; ProgramRecord::NAME_BYTES] {
    let (first, last) = kernel::record::name_words(name);
    kernel::record::name_bytes(first, last)
}

/// What the kernel counts.
pub(crate) fn statistics() -> Result<StatisticsRecord, Error> {
    let mut bytes = [0; StatisticsRecord::BYTES];
    let query = statistics::QueryStatistics {};
    v::call(kernel::server(kernel::STATISTICS), &query, Segment::Write(&mut bytes))?;
    Ok(StatisticsRecord::from_bytes(&bytes))
}

/// The team that starts a program, and the rights that it can hand down. On another node it is believed.
fn starter(client: &Client<'_>, start: &StartProgram) -> Result<(Pid, Rights), Error> {
    if !is_elsewhere(client.pid) {
        let starter = v::process::identify(client.pid)?;
        return Ok((starter.team, starter.rights));
    }
    let team = start.starter;
    if team.host() != client.pid.host() || team.is_group() || team.is_kernel_server() {
        return Err(Error::BadArgument);
    }
    Ok((team, Rights::NONE))
}

/// The start block that came with a request.
fn start_block<'a>(client: &Client<'a>) -> Result<Cow<'a, [u8]>, Error> {
    if client.head.len() as u64 == client.readable_bytes()? {
        return Ok(Cow::Borrowed(client.head));
    }
    Ok(Cow::Owned(client.read_segment(MAX_START_BYTES)?))
}

/// What the manager itself wants to know of a start block.
struct Facts<'a> {
    /// The last part of the program's name.
    name: &'a str,
    standard_error: Option<Stream>,
    jobs: Vec<Job>,
}

impl Facts<'_> {
    fn read(block: &[u8]) -> Facts<'_> {
        const STANDARD_ERROR: u32 = 2;
        const KINDS: u32 = entry_kind::ARGUMENT | entry_kind::STREAM | entry_kind::JOB;
        let mut facts = Facts { name: "", standard_error: None, jobs: Vec::new() };
        for entry in entries_of(block, KINDS) {
            match entry {
                Entry::Job { shell, number } if facts.jobs.len() < MOST_JOBS => {
                    facts.jobs.push((shell, number));
                }
                Entry::Argument(argument) if facts.name.is_empty() => {
                    facts.name = argument.rsplit(['/', ']']).next().unwrap_or(argument);
                }
                Entry::Stream { number: STANDARD_ERROR, server, instance, .. } => {
                    facts.standard_error = Some(Stream { server, instance });
                    // The name mostly comes before it, and much comes behind it.
                    if !facts.name.is_empty() {
                        break;
                    }
                }
                _ => {}
            }
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_takes_name_and_standard_error_from_the_block() {
        let server = Pid::from_bits(77);
        let mut block = Vec::new();
        for entry in [
            Entry::Stream { number: 1, server, instance: 4, attributes: 0 },
            Entry::Argument("[boot]bin/cat"),
            Entry::Argument("-n"),
            Entry::Job { shell: server, number: 6 },
            Entry::Stream { number: 2, server, instance: 5, attributes: 0 },
        ] {
            entry.append(&mut block);
        }
        let facts = Facts::read(&block);
        assert_eq!(facts.name, "cat");
        assert_eq!(facts.standard_error, Some(Stream { server, instance: 5 }));
        assert_eq!(facts.jobs, [(server, 6)]);
        let facts = Facts::read(&block[..7]);
        assert_eq!((facts.name, facts.standard_error), ("", None));
    }
}
