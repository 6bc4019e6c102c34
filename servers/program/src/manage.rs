//! The program manager at work.
//!
//! It waits for nobody but the kernel and this node's own file servers: images that another node has are for the
//! [loader](crate::loader) to read.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::kernel::{self, priority, process};
use abi::notice::notice::{EndNoted, TeamEnded};
use abi::protocol::Reply;
use abi::{Error, Message, Pid, Rights};
use program_image::{NewTeam, Owner, team_end};
use protocols::program::program::{
    Program as Request, ProgramEnded, ProgramEnding, ProgramStarted, StandardError, StartProgram,
};
use protocols::program::{Entry, MAX_START_BYTES, entries_of, entry_kind, flag};
use v::server::{Client, Outcome, Server};
use v::{Segment, message};

use crate::images::{Image, Images};
use crate::loader::Loader;
use crate::programs::{Program, Programs, Stream, Wait, program_end};

/// Rights that a program has from its starter. All others are of services alone.
const HANDED_DOWN: Rights = Rights::TRACE;
/// Most processes of a program.
const MOST_PROCESSES: u32 = 256;
/// So much of the node's memory may be taken up by files in the cache, and be left to a program.
const CACHE_SHARE: u64 = 8;
const PROGRAM_SHARE: (u64, u64) = (3, 4);

/// All that the program manager knows.
#[derive(Debug)]
pub struct Managing {
    programs: Programs,
    /// What programs run in, which is held as long.
    running: Vec<(Pid, Arc<Image>)>,
    images: Arc<Images>,
    loader: Loader,
    quota_pages: u32,
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
            images,
            quota_pages: u32::try_from(memory_pages * part / of).unwrap_or(u32::MAX),
        })
    }

    /// Adopts the programs of an earlier manager: whatever team of the users' has no owner any more.
    pub fn adopt_orphans(&mut self) -> Result<(), Error> {
        for record in v::process::all()? {
            if record.pid != record.team || record.user().is_system() {
                continue;
            }
            let adopt = process::AdoptTeam { team: record.process() };
            // Most have an owner, and some end meanwhile.
            if v::call(kernel::server(kernel::PROCESS), &adopt, Segment::None).is_ok() {
                let program =
                    Program { user: record.user(), starter: None, detached: false, standard_error: None };
                self.programs.started(record.process(), program);
            }
        }
        Ok(())
    }

    /// Starts a program, when its image is there.
    fn start(&mut self, client: &Client<'_>, start: &StartProgram) -> Outcome<'static> {
        let image = match self.loader.take(client.pid) {
            Some(loaded) => loaded,
            None if Loader::is_for(start.image_server) => return self.loader.ask(client.pid, start),
            None => self.images.load(start.image_server, start.image_instance, client.user),
        };
        Outcome::from(image.and_then(|image| self.start_image(client, start, image)))
    }

    fn start_image(
        &mut self,
        client: &Client<'_>,
        start: &StartProgram,
        image: Arc<Image>,
    ) -> Result<ProgramStarted, Error> {
        let block = start_block(client)?;
        let facts = Facts::read(&block);
        let starter = v::process::identify(client.pid)?;
        let mut rights = starter.rights.intersection(HANDED_DOWN);
        if start.flags & flag::WITHOUT_RIGHTS != 0 {
            rights = Rights::NONE;
        }
        let class =
            if start.flags & flag::BACKGROUND == 0 { priority::FOREGROUND } else { priority::BACKGROUND };
        let team = NewTeam::create(&Owner {
            user: client.user,
            rights,
            priority: u32::from(class + priority::PROGRAM_LEVEL),
            quota_pages: self.quota_pages,
            quota_processes: MOST_PROCESSES,
        })?;
        team.set_name(facts.name)?;
        let file = &image.file;
        team.bind_image(&image.layout, (file.server, file.instance), &image.copied)?;
        if !image.is_whole {
            file.share(team.pid());
        }
        if start.flags & flag::HELD != 0 {
            let suspend = process::Suspend { process: team.pid() };
            v::call(kernel::server(kernel::PROCESS), &suspend, Segment::None)?;
        }
        let program = team.begin(image.layout.entry, &block)?;
        let record = Program {
            user: client.user,
            starter: Some(starter.team),
            detached: start.flags & flag::DETACHED != 0,
            standard_error: facts.standard_error,
        };
        self.programs.started(program, record);
        self.running.push((program, image));
        Ok(ProgramStarted { program })
    }

    fn wait(&mut self, client: &Client<'_>, program: Pid) -> Outcome<'static> {
        let mut wait = || {
            let team = v::process::identify(client.pid)?.team;
            self.programs.wait(program, client.pid, team, client.user)
        };
        match wait() {
            Ok(Wait::Over(end)) => Outcome::Reply(end.to_message()),
            Ok(Wait::Later) => Outcome::Later,
            Err(error) => Outcome::refuse(error),
        }
    }

    fn end(&self, client: &Client<'_>, program: Pid, status: u32) -> Result<ProgramEnding, Error> {
        let owner = self.programs.get(program)?.user;
        if client.user != owner && !client.user.is_system() {
            return Err(Error::NoPermission);
        }
        if self.programs.is_running(program) {
            let destroy = process::Destroy { process: program, status };
            v::call(kernel::server(kernel::PROCESS), &destroy, Segment::None)?;
        }
        Ok(ProgramEnding {})
    }

    fn standard_error(&self, client: &Client<'_>, program: Pid) -> Result<StandardError, Error> {
        let program = self.programs.get(program)?;
        if client.user != program.user && !client.user.is_system() {
            return Err(Error::NoPermission);
        }
        let Stream { server, instance } = program.standard_error.ok_or(Error::NotFound)?;
        Ok(StandardError { server, instance })
    }

    fn ended(&mut self, ended: &TeamEnded) {
        if let Some(place) = self.running.iter().rposition(|(program, _)| *program == ended.team) {
            let (program, image) = self.running.swap_remove(place);
            if !image.is_whole {
                image.file.release(program);
            }
        }
        let end: ProgramEnded = program_end(ended.status);
        if let Some(waiter) = self.programs.ended(ended.team, end) {
            // A waiter that has ended meanwhile needs no answer.
            let _ = message::reply(waiter, &end.to_message(), &[]);
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
            return Outcome::refuse(Error::BadRequest);
        };
        match request {
            Request::StartProgram(start) => self.start(client, &start),
            Request::WaitProgram(wait) => self.wait(client, wait.program),
            Request::EndProgram(end) => Outcome::from(self.end(client, end.program, end.status)),
            Request::QueryStandardError(query) => Outcome::from(self.standard_error(client, query.program)),
        }
    }

    fn tick(&mut self) {
        self.loader.forget_dead();
        self.images.forget_idle();
        if self.programs.has_unclaimed() {
            self.programs.forget_orphans(|starter| v::process::has_ended(starter) == Ok(true));
        }
    }
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
}

impl Facts<'_> {
    fn read(block: &[u8]) -> Facts<'_> {
        const STANDARD_ERROR: u32 = 2;
        let mut facts = Facts { name: "", standard_error: None };
        for entry in entries_of(block, entry_kind::ARGUMENT | entry_kind::STREAM) {
            match entry {
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
            Entry::Stream { number: 2, server, instance: 5, attributes: 0 },
        ] {
            entry.append(&mut block);
        }
        let facts = Facts::read(&block);
        assert_eq!(facts.name, "cat");
        assert_eq!(facts.standard_error, Some(Stream { server, instance: 5 }));
        let facts = Facts::read(&block[..7]);
        assert_eq!((facts.name, facts.standard_error), ("", None));
    }
}
